//! A session's hash, as it is read.

use std::time::Duration;

use bytes::Bytes;
use redis::Value;

use crate::backend::redis::reply;
use crate::backend::{Device, Fields, SessionRecord, TOUCHED_EVERY};
use crate::error::{Error, ErrorKind, Result};

pub(super) const SEED: &str = "seed";

/// What the client calls itself, in pieces: a hash with a longer value takes twice the memory
/// (`hash-max-listpack-value`).
pub(super) const AGENT: [&str; 4] = ["agent", "agent1", "agent2", "agent3"];
pub(super) const AGENT_PIECE_BYTES: usize = 64;

pub(super) const NETWORK: &str = "network";

/// What an id leads to.
pub(super) enum Place {
    Session(Held),
    Moved(Moved),
}

/// An id that was rotated away.
pub(super) struct Moved {
    pub(super) to: String,
    /// What the successor's id follows from, where it may be known.
    pub(super) by: Option<String>,
    /// When the user authenticated, as far as this id shows; in milliseconds of the server's clock.
    pub(super) auth: u64,
}

/// A session as stored; instants are milliseconds of the server's clock.
#[derive(Default)]
pub(super) struct Held {
    pub(super) user: Option<String>,
    pub(super) epoch: Bytes,
    pub(super) created: u64,
    pub(super) auth: u64,
    pub(super) touched: u64,
    pub(super) idle: u64,
    pub(super) deadline: u64,
    pub(super) device: Device,
    pub(super) seed: String,
    /// Hash of the id before, until this one was used.
    pub(super) from: Option<String>,
    pub(super) data: Fields,
}

impl Place {
    /// `None` for a key that is not there.
    pub(super) fn of(hash: Value) -> Result<Option<Self>> {
        let fields = reply::pairs(hash)?;
        if fields.is_empty() {
            return Ok(None);
        }
        let (mut held, mut to, mut by) = (Held::default(), None, None);
        let mut agent = [const { None }; AGENT.len()];
        for (name, value) in fields {
            match &name[..] {
                b"to" => to = Some(text(value)?),
                b"by" => by = Some(text(value)?),
                b"from" => held.from = Some(text(value)?),
                b"user" => held.user = Some(text(value)?),
                b"epoch" => held.epoch = value,
                b"created" => held.created = number(&value)?,
                b"auth" => held.auth = number(&value)?,
                b"touched" => held.touched = number(&value)?,
                b"idle" => held.idle = number(&value)?,
                b"deadline" => held.deadline = number(&value)?,
                b"seed" => held.seed = text(value)?,
                b"network" => held.device.network = Some(text(value)?),
                data if data == b"data" || data.starts_with(b".") => {
                    held.data.insert(text(name)?, value);
                }
                other => {
                    let pieces = AGENT.iter().zip(&mut agent);
                    for (_, piece) in pieces.filter(|(name, _)| name.as_bytes() == other) {
                        *piece = Some(value.clone());
                    }
                    // Else a field of a later layout, or another program's own.
                }
            }
        }
        let agent: Vec<_> = agent.iter().flatten().map(|piece| &piece[..]).collect();
        if !agent.is_empty() {
            held.device.user_agent = Some(text(agent.concat().into())?);
        }
        let auth = held.auth;
        Ok(Some(match to {
            Some(to) => Self::Moved(Moved { to, by, auth }),
            None => Self::Session(held),
        }))
    }
}

impl Held {
    /// Whether no log-out everywhere has ended it.
    pub(super) fn is_of(&self, epoch: Option<&[u8]>) -> bool {
        match &self.user {
            Some(_) => epoch == Some(&self.epoch[..]),
            None => self.epoch == "0".as_bytes(),
        }
    }

    /// When it ends, as the scripts compute it.
    pub(super) fn ends(&self) -> u64 {
        let idle = self
            .idle
            .saturating_add(self.idle / u64::from(TOUCHED_EVERY));
        self.touched.saturating_add(idle).min(self.deadline)
    }

    pub(super) fn is_worth_a_touch(&self, now: u64) -> bool {
        let idle_for = now.saturating_sub(self.touched);
        idle_for.saturating_mul(u64::from(TOUCHED_EVERY)) > self.idle
    }

    pub(super) fn describe(&self, now: u64, last_use: u64, auth: u64) -> SessionRecord {
        let since = |earlier: u64| Duration::from_millis(now.saturating_sub(earlier));
        let until = |later: u64| Duration::from_millis(later.saturating_sub(now));
        SessionRecord {
            user: self.user.clone(),
            device: self.device.clone(),
            age: since(self.created),
            authenticated_for: since(auth),
            idle_for: since(last_use),
            expires_in: until(self.ends()),
            absolute_in: until(self.deadline),
        }
    }
}

fn text(value: Bytes) -> Result<String> {
    String::from_utf8(value.into()).map_err(|_| corrupt())
}

fn number(value: &Bytes) -> Result<u64> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(corrupt)
}

fn corrupt() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "a session's record holds something else than it should",
    )
}
