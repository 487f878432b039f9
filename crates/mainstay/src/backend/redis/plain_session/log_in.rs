//! One attempt of a log-in.

use std::time::{Duration, SystemTime};

use super::{RedisPlainSessions, record};
use crate::backend::redis::commander::Effect;
use crate::backend::redis::{reply, script};
use crate::backend::{NewPlainSession, PlainLayout, PlainSession};
use crate::error::Result;
use crate::random;

/// How much longer a listing is kept than the session that is added to it.
const LISTING_KEPT: Duration = Duration::from_mins(1);

impl RedisPlainSessions {
    /// One attempt of a log-in; `None` when it was revoked meanwhile.
    pub(super) async fn try_create(
        &self,
        layout: &PlainLayout,
        session: &NewPlainSession<'_>,
    ) -> Result<Option<PlainSession>> {
        let id = random::uuid();
        let (key, listing) = (layout.session(&id), layout.listing(session.user_id));
        let ttl = session.ttl.as_duration();
        let end = self.now(&key).await? + ttl;
        let issued = session.issue(id, SystemTime::UNIX_EPOCH + end);
        let record = record::write(issued.clone())?;

        let for_now = self.limits.command.as_millis().max(1).to_string();
        let (at, px) = (key.as_str(), for_now.as_bytes());
        let set: [&[u8]; 5] = [b"SET", at.as_bytes(), &record, b"PX", px];
        self.commander.run(at, &set, Effect::Once).await?;

        let kept = (ttl + LISTING_KEPT).as_millis().to_string();
        let arguments = [issued.id.as_bytes(), kept.as_bytes()];
        let (script, keys) = (&script::PLAIN_SESSION_LIST, [listing.as_str()]);
        self.commander
            .eval(script, &keys, &arguments, Effect::Idempotent)
            .await?;

        let end = end.as_millis().to_string();
        let keep: [&[u8]; 3] = [b"PEXPIREAT", at.as_bytes(), end.as_bytes()];
        let (list, id) = (listing.as_str(), issued.id.as_bytes());
        let member: [&[u8]; 3] = [b"SISMEMBER", list.as_bytes(), id];
        let (is_kept, is_listed) = futures_util::try_join!(
            self.commander.run(at, &keep, Effect::Idempotent),
            self.commander.run(list, &member, Effect::Read),
        )?;
        if reply::count(&is_kept)? == 1 && reply::count(&is_listed)? == 1 {
            return Ok(Some(issued));
        }
        self.delete(&[key]).await?;
        self.forget(&listing, &[issued.id]).await?;
        Ok(None)
    }
}
