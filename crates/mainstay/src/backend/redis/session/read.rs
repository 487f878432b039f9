//! Reads a session by plain commands, which are a fraction of a script's cost.
//!
//! The time, the record and the user's epoch are read one after the other, and a session that they show
//! was valid at one instant between: a record that was removed never comes back, an epoch never returns
//! to an earlier value, and no record is written with an epoch that is already past. If both were seen,
//! in whatever order, there was an instant at which both held. A record whose epoch is not the user's
//! shows nothing: one may have been read before a log-out elsewhere that it has outlived and the other
//! after it. Then a script looks at both at once, as it does when a use is to be written down.

use redis::Value;
use tokio::time::Instant;

use super::record::{Held, Moved, Place, Told};
use super::{Answer, RedisSessions};
use crate::backend::redis::commander::{Effect, until};
use crate::backend::redis::link::Request;
use crate::backend::redis::{reply, script};
use crate::backend::{SUCCESSORS_MAX, SessionKeys, StoredSession};
use crate::error::Result;

/// What one id leads to.
enum Seen {
    Session(Sight),
    Moved(Moved),
    Nothing,
}

/// A record, at about the time that it was read.
struct Sight {
    held: Held,
    now: u64,
    /// Whether record and epoch agree.
    is_valid: bool,
}

impl Sight {
    /// Whether all that there is to know is seen, and nothing is to be written down.
    fn is_all(&self) -> bool {
        self.is_valid && self.held.from.is_none() && !self.held.is_worth_a_touch(self.now)
    }
}

/// What a session's use has found.
enum Use {
    /// It was used before at this time.
    After(u64),
    Moved,
    Gone,
}

/// When a use was written down, and when the one before it.
enum Touched {
    At { now: u64, before: u64 },
    Moved,
    Gone,
    Not,
}

impl RedisSessions {
    /// The session that an id leads to; counts as activity.
    ///
    /// Nearly always there is nothing to do but to read it, which watches over its time itself.
    pub(super) async fn read(&self, asked: &SessionKeys) -> Result<Option<StoredSession>> {
        let deadline = self.commander.deadline();
        match self.see(asked, deadline).await? {
            Seen::Nothing => Ok(None),
            Seen::Session(sight) if sight.is_all() => {
                let (last_use, auth) = (sight.held.touched, sight.held.auth);
                let told = sight.held.told(sight.now, last_use, auth);
                Ok(Some(stored(told, asked.id_hash.clone(), Some(Vec::new()))))
            }
            seen => until(deadline, self.follow(asked, seen, deadline)).await,
        }
    }

    /// Goes on where an id leads, and writes down that the session is used.
    async fn follow(
        &self,
        asked: &SessionKeys,
        mut seen: Seen,
        deadline: Instant,
    ) -> Result<Option<StoredSession>> {
        let mut keys = asked.clone();
        let (mut successors, mut auth) = (Some(Vec::new()), u64::MAX);
        for _ in 0..=SUCCESSORS_MAX {
            match seen {
                Seen::Nothing => return Ok(None),
                Seen::Moved(moved) => {
                    auth = auth.min(moved.auth);
                    successors = successors.zip(moved.by).map(|(mut known, by)| {
                        known.push(by);
                        known
                    });
                    keys = keys.moved(moved.to);
                }
                Seen::Session(mut sight) => {
                    // Who is led here by the id before has not seen this one.
                    sight.held.from.take_if(|_| keys != *asked);
                    match self.use_now(&keys, &mut sight).await? {
                        Use::Gone => return Ok(None),
                        // It was rotated meanwhile: how, is read from where it was.
                        Use::Moved => {}
                        Use::After(last_use) => {
                            let auth = auth.min(sight.held.auth);
                            let told = sight.held.told(sight.now, last_use, auth);
                            return Ok(Some(stored(told, keys.id_hash, successors)));
                        }
                    }
                }
            }
            seen = self.see(&keys, deadline).await?;
        }
        Ok(None)
    }

    /// Writes down that a session is used, where that is due, and looks anew at one that may have ended.
    async fn use_now(&self, keys: &SessionKeys, sight: &mut Sight) -> Result<Use> {
        let last_use = sight.held.touched;
        if sight.is_all() {
            return Ok(Use::After(last_use));
        }
        Ok(match self.touch(keys, sight).await? {
            Touched::Gone => Use::Gone,
            Touched::Moved => Use::Moved,
            Touched::Not => Use::After(last_use),
            Touched::At { now, before } => {
                sight.now = now;
                if sight.held.is_worth_a_touch(now) {
                    sight.held.touched = now;
                }
                Use::After(before)
            }
        })
    }

    async fn see(&self, keys: &SessionKeys, deadline: Instant) -> Result<Seen> {
        let record = keys.record();
        let (record, user) = (record.as_str(), keys.of_user.user.as_str());
        let time: [&[u8]; 1] = [b"TIME"];
        let read: [&[u8]; 2] = [b"GET", record.as_bytes()];
        let epoch: [&[u8]; 2] = [b"GET", user.as_bytes()];
        let reads: [&dyn Request; 3] = [&time, &read, &epoch];
        let replies = self
            .commander
            .read_together(record, &reads, deadline)
            .await?;
        let [time, read, epoch] = reply::fields(replies)?;
        let Some(packed) = reply::optional_bytes(read)? else {
            return Ok(Seen::Nothing);
        };
        let held = match Place::of(&packed)? {
            Place::Moved(moved) => return Ok(Seen::Moved(moved)),
            Place::Session(held) => held,
        };
        let [seconds, micros] = reply::fields(time)?;
        let now = reply::count(&seconds)? * 1_000 + reply::count(&micros)? / 1_000;
        // The key ends with the session; one that somebody has made to stay ends all the same.
        if now >= held.ends() {
            return Ok(Seen::Nothing);
        }
        let is_valid = held.is_of(reply::optional_count(&epoch)?);
        Ok(Seen::Session(Sight {
            held,
            now,
            is_valid,
        }))
    }

    /// Writes down that a session is used. Where that fails, as at a full or read-only server, a session
    /// that was seen to be valid is so all the same.
    async fn touch(&self, keys: &SessionKeys, sight: &Sight) -> Result<Touched> {
        let from = sight.held.from.as_deref();
        let from = from.map(|id_hash| keys.of_user.record(id_hash));
        let from = from.as_ref().map(crate::StoreKey::as_str);
        let touched = self
            .eval(&script::SESSION_TOUCH, keys, from, &[], Effect::Idempotent)
            .await;
        let reply = match touched {
            Err(error) if sight.is_valid => {
                metrics::counter!("mainstay_session_touches_failed_total").increment(1);
                tracing::debug!(%error, "a session's use is not written down");
                return Ok(Touched::Not);
            }
            touched => touched?,
        };
        Ok(match Answer::of(reply)? {
            Answer::Gone => Touched::Gone,
            Answer::Moved(_) => Touched::Moved,
            Answer::Is(times) => {
                let [now, before] = reply::fields(Value::Array(times))?;
                Touched::At {
                    now: reply::count(&now)?,
                    before: reply::count(&before)?,
                }
            }
        })
    }
}

fn stored(told: Told, id_hash: String, successors: Option<Vec<String>>) -> StoredSession {
    let Told { record, data, seed } = told;
    StoredSession {
        record,
        data,
        seed,
        id_hash,
        successors,
    }
}
