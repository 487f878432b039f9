//! Sessions on Redis: a packed record a session, an epoch and a listing a user, all in one slot.

mod list;
mod read;
mod record;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;

use super::cache::millis;
use super::commander::{Commander, Effect};
use super::reply;
use super::script::{self, Script};
use crate::backend::{
    Admission, Device, Handover, ListedSession, NewSession, OnConflict, Rotated, Rotation,
    SUCCESSORS_MAX, Save, Saved, SessionKeys, SessionStore, SessionTimes, StoredSession, UserKeys,
    WhenFull,
};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct RedisSessions {
    commander: Arc<Commander>,
}

/// What a script says of the session that it was asked for.
enum Answer {
    Gone,
    Moved(String),
    Is(Vec<Value>),
}

impl Answer {
    fn of(reply: Value) -> Result<Self> {
        match reply {
            Value::Nil => Ok(Self::Gone),
            Value::Array(items) => Ok(Self::Is(items)),
            other => Ok(Self::Moved(reply::text(other)?)),
        }
    }
}

impl RedisSessions {
    pub(super) fn new(commander: Arc<Commander>) -> Self {
        Self { commander }
    }

    async fn eval(
        &self,
        script: &Script,
        keys: &SessionKeys,
        further_key: Option<&str>,
        arguments: &[&[u8]],
        effect: Effect,
    ) -> Result<Value> {
        let record = keys.record();
        let UserKeys { user, index, .. } = &keys.of_user;
        let mut all = vec![record.as_str(), user.as_str(), index.as_str()];
        all.extend(further_key);
        let arguments: Vec<&[u8]> = std::iter::once(keys.id_hash.as_bytes())
            .chain(arguments.iter().copied())
            .collect();
        self.commander.eval(script, &all, &arguments, effect).await
    }

    /// Runs a script on the session that an id leads to.
    async fn ask(
        &self,
        script: &Script,
        keys: &SessionKeys,
        arguments: &[&[u8]],
        effect: Effect,
    ) -> Result<Option<Vec<Value>>> {
        let asked = async {
            let mut keys = keys.clone();
            for _ in 0..=SUCCESSORS_MAX {
                let reply = self.eval(script, &keys, None, arguments, effect).await?;
                match Answer::of(reply)? {
                    Answer::Gone => return Ok(None),
                    Answer::Moved(to) => keys = keys.moved(to),
                    Answer::Is(items) => return Ok(Some(items)),
                }
            }
            Ok(None)
        };
        self.commander.within(asked).await
    }
}

#[async_trait]
impl SessionStore for RedisSessions {
    async fn create(&self, keys: &SessionKeys, session: &NewSession<'_>) -> Result<Admission> {
        let (idle, absolute) = (millis(session.idle), millis(session.absolute));
        let most = session.cap.map_or(0, |cap| cap.sessions).to_string();
        let ends_others = session
            .cap
            .is_some_and(|cap| cap.when_full == WhenFull::EndOldest);
        let flag = |is: bool| -> &[u8] { if is { b"1" } else { b"0" } };
        let record = keys.record();
        let UserKeys { user, index, .. } = &keys.of_user;
        let mut arguments: Vec<&[u8]> = vec![
            session.user.unwrap_or_default().as_bytes(),
            keys.id_hash.as_bytes(),
            idle.as_bytes(),
            absolute.as_bytes(),
            most.as_bytes(),
            flag(ends_others),
            flag(session.user.is_none()),
            session.replaces.as_deref().unwrap_or_default().as_bytes(),
            record::SEED.as_bytes(),
            session.seed.as_bytes(),
        ];
        let Device {
            user_agent,
            network,
        } = &session.device;
        for (name, value) in [(record::AGENT, user_agent), (record::NETWORK, network)] {
            if let Some(value) = value {
                arguments.extend([name.as_bytes(), value.as_bytes()]);
            }
        }
        for (name, value) in &session.data {
            arguments.extend([name.as_bytes(), value]);
        }
        let reply = self
            .commander
            .eval(
                &script::SESSION_CREATE,
                &[record.as_str(), user.as_str(), index.as_str()],
                &arguments,
                // Sent again it would bring back what was revoked meanwhile.
                Effect::Once,
            )
            .await?;
        match reply {
            Value::Int(-1) => Ok(Admission::Full),
            ended => Ok(Admission::Created {
                ended: reply::count(&ended)?,
            }),
        }
    }

    async fn load(&self, keys: &SessionKeys) -> Result<Option<StoredSession>> {
        self.read(keys).await
    }

    async fn save(&self, keys: &SessionKeys, save: &Save<'_>) -> Result<Saved> {
        let is_checked: &[u8] = match save.on_conflict {
            OnConflict::Overwrite => b"0",
            OnConflict::Refuse => b"1",
        };
        let lasts = save.lasts.map(millis).unwrap_or_default();
        let marked = |value: &Option<bytes::Bytes>| match value {
            Some(value) => [b"=", &value[..]].concat(),
            None => Vec::new(),
        };
        let values: Vec<_> = save
            .changes
            .iter()
            .map(|change| (&change.name, marked(&change.before), marked(&change.after)))
            .collect();
        let mut arguments = vec![is_checked, lasts.as_bytes()];
        for (name, before, after) in &values {
            arguments.extend([name.as_bytes(), before, after]);
        }
        let answer = self
            // Sent again it would find its own change, or undo another's that came between.
            .ask(&script::SESSION_SAVE, keys, &arguments, Effect::Once)
            .await?;
        let Some(conflicts) = answer else {
            return Ok(Saved::Ended);
        };
        if conflicts.is_empty() {
            return Ok(Saved::Stored);
        }
        let names = conflicts.into_iter().map(reply::text);
        Ok(Saved::Conflict(names.collect::<Result<_>>()?))
    }

    async fn rotate(&self, keys: &SessionKeys, rotation: &Rotation<'_>) -> Result<Rotated> {
        let successor = keys.of_user.record(rotation.id_hash);
        let grace = millis(rotation.grace);
        let derivation = match rotation.handover {
            Handover::Derived(derivation) => derivation,
            Handover::Authenticated => "",
        };
        let words = [rotation.id_hash, &grace, derivation].map(str::as_bytes);
        let reply = self
            .eval(
                &script::SESSION_ROTATE,
                keys,
                Some(successor.as_str()),
                &words,
                Effect::Idempotent,
            )
            .await?;
        let times = match reply {
            Value::Nil => return Ok(Rotated::Ended),
            Value::Array(times) => times,
            before => {
                let derivation = reply::text(before)?;
                return Ok(Rotated::Before(
                    Some(derivation).filter(|it| !it.is_empty()),
                ));
            }
        };
        let [expires_in, absolute_in] = reply::fields(Value::Array(times))?;
        Ok(Rotated::Done(SessionTimes {
            expires_in: Duration::from_millis(reply::count(&expires_in)?),
            absolute_in: Duration::from_millis(reply::count(&absolute_in)?),
        }))
    }

    async fn revoke(&self, keys: &SessionKeys) -> Result<bool> {
        let removed = self
            .ask(&script::SESSION_REVOKE, keys, &[], Effect::Idempotent)
            .await?;
        Ok(removed.is_some())
    }

    async fn revoke_all(&self, keys: &UserKeys) -> Result<u64> {
        let keys = [keys.user.as_str(), keys.index.as_str()];
        let reply = self
            .commander
            .eval(&script::SESSION_REVOKE_ALL, &keys, &[], Effect::Idempotent)
            .await?;
        reply::count(&reply)
    }

    async fn revoke_others(&self, keys: &SessionKeys) -> Result<Option<u64>> {
        let answer = self
            .ask(
                &script::SESSION_REVOKE_OTHERS,
                keys,
                &[],
                Effect::Idempotent,
            )
            .await?;
        let Some(answer) = answer else {
            return Ok(None);
        };
        let [others] = reply::fields(Value::Array(answer))?;
        reply::count(&others).map(Some)
    }

    async fn list(&self, keys: &UserKeys, limit: usize) -> Result<Vec<ListedSession>> {
        self.commander.within(self.listed(keys, limit)).await
    }
}
