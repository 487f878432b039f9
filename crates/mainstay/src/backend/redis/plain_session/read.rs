//! Reads sessions, and drops from a listing what has ended.

use std::cmp::Reverse;
use std::time::SystemTime;

use futures_util::{StreamExt, stream};
use redis::Value;

use super::{RedisPlainSessions, SENT_AT_ONCE, record};
use crate::backend::redis::commander::Effect;
use crate::backend::{PlainLayout, PlainSession};
use crate::error::{Error, Result};
use crate::key::StoreKey;

/// What stands under the key of a session.
pub(super) enum Found {
    Nothing,
    /// A record that has no time to live, and ended by its own account.
    Ended,
    Valid(PlainSession),
}

impl RedisPlainSessions {
    pub(super) async fn read(&self, layout: &PlainLayout, id: &str) -> Result<Found> {
        let key = layout.session(id);
        let left: [&[u8]; 2] = [b"PTTL", key.as_str().as_bytes()];
        // A session is written once: both speak of the same, or it has ended.
        let (record, left) = futures_util::try_join!(
            self.get(&key),
            self.commander.run(key.as_str(), &left, Effect::Read),
        )?;
        let Some(record) = record.filter(|_| left != Value::Int(-2)) else {
            return Ok(Found::Nothing);
        };
        let session = record::read(id, &record)?;
        if left == Value::Int(-1) {
            let now = SystemTime::UNIX_EPOCH + self.now(&key).await?;
            if session.expires_at <= now {
                return Ok(Found::Ended);
            }
        }
        Ok(Found::Valid(session))
    }

    /// Reads so many sessions of a listing, and drops those that have ended from it. `None` when they
    /// have kept others out.
    pub(super) async fn try_list(
        &self,
        layout: &PlainLayout,
        listing: &StoreKey,
        limit: usize,
    ) -> Result<Option<Vec<PlainSession>>> {
        let ids = self.page(listing, limit).await?;
        let is_full = ids.len() >= limit;
        let reads = ids.into_iter().map(|id| async move {
            let found = self.read(layout, &id).await?;
            Ok::<_, Error>((id, found))
        });
        let reads: Vec<_> = reads.collect();
        let mut reads = stream::iter(reads).buffer_unordered(SENT_AT_ONCE);
        let (mut valid, mut ended, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(read) = reads.next().await {
            match read? {
                (_, Found::Valid(session)) => valid.push(session),
                (id, Found::Nothing) => gone.push(id),
                (id, Found::Ended) => {
                    // For programs that do not look at the time it is still there.
                    ended.push(layout.session(&id));
                    gone.push(id);
                }
            }
        }
        self.delete(&ended).await?;
        self.forget(listing, &gone).await?;
        valid.sort_by_key(|session| Reverse(session.expires_at));
        Ok((gone.is_empty() || !is_full).then_some(valid))
    }
}
