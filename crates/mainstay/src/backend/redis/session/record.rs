//! A session's record, as it is read: one `MessagePack` map.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::backend::{Device, Fields, SessionRecord, TOUCHED_EVERY};
use crate::error::{Error, ErrorKind, Result};

pub(super) const AGENT: &str = "agent";
pub(super) const NETWORK: &str = "network";
pub(super) const SEED: &str = "seed";

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
    pub(super) epoch: Option<u64>,
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

/// What a session has for its readers.
pub(super) struct Told {
    pub(super) record: SessionRecord,
    pub(super) data: Fields,
    pub(super) seed: String,
}

impl Place {
    /// Reads a record; what is none is an error, never a session without data.
    pub(super) fn of(packed: &Bytes) -> Result<Self> {
        let mut reader = rmp_serde::Deserializer::from_read_ref(&packed[..]);
        reader.deserialize_map(Fill { packed }).map_err(|source| {
            let message = "a session's record holds something else than it should";
            Error::with_source(ErrorKind::Corrupt, message, source)
        })
    }
}

/// Takes a record apart. Values of the data stay where they are: in one buffer.
struct Fill<'a> {
    packed: &'a Bytes,
}

impl<'de> Visitor<'de> for Fill<'de> {
    type Value = Place;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Place, A::Error> {
        let (mut held, mut to, mut by) = (Held::default(), None, None);
        while let Some(name) = fields.next_key::<&[u8]>()? {
            match name {
                b"to" => to = Some(fields.next_value()?),
                b"by" => by = Some(fields.next_value()?),
                b"from" => held.from = Some(fields.next_value()?),
                b"user" => held.user = Some(fields.next_value()?),
                b"epoch" => held.epoch = Some(fields.next_value()?),
                b"created" => held.created = fields.next_value()?,
                b"auth" => held.auth = fields.next_value()?,
                b"touched" => held.touched = fields.next_value()?,
                b"idle" => held.idle = fields.next_value()?,
                b"deadline" => held.deadline = fields.next_value()?,
                b"seed" => held.seed = fields.next_value()?,
                b"network" => held.device.network = Some(fields.next_value()?),
                b"agent" => held.device.user_agent = Some(fields.next_value()?),
                data if data == b"data" || data.starts_with(b".") => {
                    let name = std::str::from_utf8(data).map_err(A::Error::custom)?;
                    let value = self.packed.slice_ref(fields.next_value()?);
                    held.data.insert(name.to_owned(), value);
                }
                // A field of a later layout, or another program's own.
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        let auth = held.auth;
        Ok(match to {
            Some(to) => Place::Moved(Moved { to, by, auth }),
            None => Place::Session(held),
        })
    }
}

impl Held {
    /// Whether no log-out everywhere has ended it.
    pub(super) fn is_of(&self, epoch: Option<u64>) -> bool {
        match &self.user {
            Some(_) => self.epoch.is_some() && self.epoch == epoch,
            None => self.epoch == Some(0),
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

    /// What is told of it, with the times that others know better than the record.
    pub(super) fn told(self, now: u64, last_use: u64, auth: u64) -> Told {
        let since = |earlier: u64| Duration::from_millis(now.saturating_sub(earlier));
        let until = |later: u64| Duration::from_millis(later.saturating_sub(now));
        let expires_in = until(self.ends());
        let record = SessionRecord {
            user: self.user,
            device: self.device,
            age: since(self.created),
            authenticated_for: since(auth),
            idle_for: since(last_use),
            expires_in,
            absolute_in: until(self.deadline),
        };
        Told {
            record,
            data: self.data,
            seed: self.seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &serde_json::Value) -> Result<Place> {
        Place::of(&rmp_serde::to_vec(json).unwrap().into())
    }

    #[test]
    fn data_is_bytes_and_unknown_fields_are_nothing() {
        // As cmsgpack writes them: strings of any bytes, of the type of text.
        let mut packed = b"\x83\xa5epoch\x00\xa4.key\xa2\xff\x00".to_vec();
        packed.extend(b"\xa5later\x92\x01\xc0");
        let Place::Session(held) = Place::of(&packed.into()).unwrap() else {
            panic!("it is a session");
        };
        let wanted = Fields::from([(".key".to_owned(), Bytes::from_static(b"\xff\x00"))]);
        assert_eq!((held.data, held.user), (wanted, None));
        assert_eq!(held.epoch, Some(0));
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        let wrong = [
            serde_json::json!({"created": "yesterday"}),
            serde_json::json!({"created": -1}),
            serde_json::json!({"user": 7}),
            serde_json::json!(["user"]),
            serde_json::json!("user"),
        ];
        for record in wrong {
            let error = read(&record).err().expect("it is no record");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{record}");
        }
        assert!(Place::of(&Bytes::new()).is_err() && Place::of(&Bytes::from("{}")).is_err());
    }

    #[test]
    fn a_session_without_an_epoch_is_of_none() {
        let Place::Session(held) = read(&serde_json::json!({"user": "ada"})).unwrap() else {
            panic!("it is a session");
        };
        assert!(!held.is_of(None) && !held.is_of(Some(0)));
    }
}
