//! Reads a session by plain commands, which are a fraction of a script's cost.
//!
//! The record, its time to live and the user's epoch are read one after the other, and the answer is
//! still that of one instant: a record that was removed never comes back, an epoch never returns to
//! an earlier value, and no record is written with an epoch that is already past. If both were seen,
//! in whatever order, there was an instant between at which both held. The server's clock is not asked
//! for: the key expires when the session ends, so what it still has to live tells the time.

use redis::Value;

use super::record::{Held, Place};
use super::{Answer, RedisSessions};
use crate::backend::redis::commander::Effect;
use crate::backend::redis::{reply, script};
use crate::backend::{SUCCESSORS_MAX, SessionKeys, StoredSession};
use crate::error::Result;

/// What one id leads to.
enum Seen {
    Session { held: Held, now: Option<u64> },
    Moved(super::record::Moved),
    Nothing,
}

/// When a use was written down, and when the one before it.
enum Touched {
    At { now: u64, before: u64 },
    Moved,
    Gone,
}

impl RedisSessions {
    /// The session that an id leads to; counts as activity.
    pub(super) async fn read(&self, asked: &SessionKeys) -> Result<Option<StoredSession>> {
        let mut keys = asked.clone();
        let (mut successors, mut auth) = (Some(Vec::new()), u64::MAX);
        for _ in 0..=SUCCESSORS_MAX {
            let (mut held, now) = match self.see(&keys).await? {
                Seen::Nothing => return Ok(None),
                Seen::Session { held, now } => (held, now),
                Seen::Moved(moved) => {
                    auth = auth.min(moved.auth);
                    successors = successors.zip(moved.by).map(|(mut known, by)| {
                        known.push(by);
                        known
                    });
                    keys = keys.moved(moved.to);
                    continue;
                }
            };
            let last_use = held.touched;
            let from = held.from.as_deref().filter(|_| keys == *asked);
            // Without a time to live only the script can tell the time.
            let is_due = now.is_none_or(|now| held.is_worth_a_touch(now)) || from.is_some();
            let touched = if is_due {
                self.touch(&keys, from, now).await?
            } else {
                None
            };
            let (now, last_use) = match touched {
                Some(Touched::Gone) => return Ok(None),
                // It was rotated meanwhile: how, is read from where it was.
                Some(Touched::Moved) => continue,
                Some(Touched::At { now, before }) => {
                    if held.is_worth_a_touch(now) {
                        held.touched = now;
                    }
                    (now, before)
                }
                None => (now.unwrap_or(held.touched), last_use),
            };
            let auth = auth.min(held.auth);
            return Ok(Some(StoredSession {
                record: held.describe(now, last_use, auth),
                data: held.data,
                seed: held.seed,
                id_hash: keys.id_hash,
                successors,
            }));
        }
        Ok(None)
    }

    async fn see(&self, keys: &SessionKeys) -> Result<Seen> {
        let record = keys.record();
        let (record, user) = (record.as_str(), keys.of_user.user.as_str());
        let read: [&[u8]; 2] = [b"HGETALL", record.as_bytes()];
        let left: [&[u8]; 2] = [b"PTTL", record.as_bytes()];
        let epoch: [&[u8]; 3] = [b"HGET", user.as_bytes(), b"epoch"];
        let (read, left, epoch) = futures_util::try_join!(
            self.commander.run(record, &read, Effect::Read),
            self.commander.run(record, &left, Effect::Read),
            self.commander.run(user, &epoch, Effect::Read),
        )?;
        let held = match Place::of(read)? {
            None => return Ok(Seen::Nothing),
            Some(Place::Moved(moved)) => return Ok(Seen::Moved(moved)),
            Some(Place::Session(held)) => held,
        };
        let epoch = reply::optional_bytes(epoch)?;
        let left = match left {
            Value::Int(-1) => None,
            Value::Int(-2) => return Ok(Seen::Nothing),
            left => Some(reply::count(&left)?),
        };
        if !held.is_of(epoch.as_deref()) {
            return Ok(Seen::Nothing);
        }
        let now = left.map(|left| held.ends().saturating_sub(left));
        Ok(Seen::Session { held, now })
    }

    /// Writes down that a session is used. `None` where that fails, as at a full or read-only server:
    /// the session is valid all the same.
    async fn touch(
        &self,
        keys: &SessionKeys,
        from: Option<&str>,
        now: Option<u64>,
    ) -> Result<Option<Touched>> {
        let from = from.map(|id_hash| keys.of_user.record(id_hash));
        let from = from.as_ref().map(crate::StoreKey::as_str);
        let touched = self
            .eval(&script::SESSION_TOUCH, keys, from, &[], Effect::Idempotent)
            .await;
        let reply = match touched {
            Err(error) if now.is_some() => {
                metrics::counter!("mainstay_session_touches_failed_total").increment(1);
                tracing::warn!(%error, "a session's use is not written down");
                return Ok(None);
            }
            touched => touched?,
        };
        Ok(Some(match Answer::of(reply)? {
            Answer::Gone => Touched::Gone,
            Answer::Moved(_) => Touched::Moved,
            Answer::Is(times) => {
                let [now, before] = reply::fields(Value::Array(times))?;
                Touched::At {
                    now: reply::count(&now)?,
                    before: reply::count(&before)?,
                }
            }
        }))
    }
}
