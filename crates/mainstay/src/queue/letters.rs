//! Jobs that are dead: to look at, to try again, to forget.

use std::time::Duration;

use bytes::Bytes;

use super::content;
use super::handle::Queue;
use super::job::check_id;
use crate::backend::Letter;
use crate::error::{Error, Result};

/// Letters that one call of the store is asked for.
const PART: u64 = 100;

/// A job that failed too often, or can never be done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// As it was pushed.
    pub id: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was pushed, since 1970, by the store's clock.
    pub pushed_at: Duration,
    /// When it died.
    pub died_at: Duration,
    /// Who had it last.
    pub consumer: String,
    /// Whose order was kept.
    pub key: Option<String>,
    /// Why it died.
    pub reason: String,
    /// As it was pushed.
    pub traceparent: Option<String>,
    /// As it was encoded.
    pub payload: Bytes,
}

impl DeadLetter {
    fn new(letter: Letter) -> Self {
        let (traceparent, payload) = content::split(&letter.content);
        Self {
            id: letter.id,
            attempts: letter.attempts,
            pushed_at: letter.pushed,
            died_at: letter.died,
            consumer: letter.consumer,
            key: Some(letter.key).filter(|key| !key.is_empty()),
            reason: letter.reason,
            traceparent,
            payload,
        }
    }
}

impl<T> Queue<T> {
    /// Dead letters, the latest first: at most `most` (at most 1,000), without the first `skip`. Cancel
    /// safe.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) when the backend does not answer.
    pub async fn dead(&self, skip: u64, most: u64) -> Result<Vec<DeadLetter>> {
        let most = most.min(1_000);
        let mut letters = Vec::new();
        while (letters.len() as u64) < most {
            let seen = letters.len() as u64;
            let part = PART.min(most - seen);
            let some = self.0.store.letters(&self.0.key, skip + seen, part).await?;
            if some.is_empty() {
                break;
            }
            letters.extend(some.into_iter().map(DeadLetter::new));
        }
        Ok(letters)
    }

    /// Makes dead letters jobs again, with all their attempts before them, at the end of the queue; how
    /// many. One whose id was pushed again and is in the queue stays dead. At most 1,000 at once.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for what can be no id, or too many;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Unknown`](crate::ErrorKind::Unknown) when
    /// the backend does not answer.
    pub async fn replay<I: AsRef<str>>(&self, ids: &[I]) -> Result<u64> {
        let ids = checked(ids)?;
        self.0.store.replay(&self.0.key, &ids).await
    }

    /// Forgets dead letters; how many. At most 1,000 at once.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub async fn purge<I: AsRef<str>>(&self, ids: &[I]) -> Result<u64> {
        let ids = checked(ids)?;
        self.0.store.purge(&self.0.key, &ids).await
    }

    /// As [`replay`](Self::replay), for all letters there are now that `wanted` says yes to.
    ///
    /// # Errors
    /// As [`replay`](Self::replay); some may have been replayed then.
    pub async fn replay_if(&self, wanted: impl FnMut(&DeadLetter) -> bool + Send) -> Result<u64> {
        let ids = self.matching(wanted).await?;
        let mut replayed = 0;
        for part in ids.chunks(100) {
            replayed += self.replay(part).await?;
        }
        Ok(replayed)
    }

    /// As [`purge`](Self::purge), for all letters there are now that `wanted` says yes to.
    ///
    /// # Errors
    /// As [`purge`](Self::purge); some may have been forgotten then.
    pub async fn purge_if(&self, wanted: impl FnMut(&DeadLetter) -> bool + Send) -> Result<u64> {
        let ids = self.matching(wanted).await?;
        let mut purged = 0;
        for part in ids.chunks(100) {
            purged += self.purge(part).await?;
        }
        Ok(purged)
    }

    /// Their ids; payloads are held a part at a time.
    async fn matching(
        &self,
        mut wanted: impl FnMut(&DeadLetter) -> bool + Send,
    ) -> Result<Vec<String>> {
        let (mut ids, mut seen) = (Vec::new(), 0);
        loop {
            let part = self.dead(seen, PART).await?;
            if part.is_empty() {
                return Ok(ids);
            }
            seen += part.len() as u64;
            ids.extend(part.into_iter().filter(&mut wanted).map(|letter| letter.id));
        }
    }
}

fn checked<I: AsRef<str>>(ids: &[I]) -> Result<Vec<&str>> {
    if ids.len() > 1_000 {
        return Err(Error::invalid("more than 1000 dead letters in one call"));
    }
    for id in ids {
        check_id(id.as_ref())?;
    }
    Ok(ids.iter().map(AsRef::as_ref).collect())
}
