//! A plain session's record: the recipe's JSON.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::backend::PlainSession;
use crate::error::{Error, ErrorKind, Result};

#[derive(Serialize, Deserialize)]
struct Record {
    id: String,
    user_id: String,
    // Go reads a field that is not there as an empty one.
    #[serde(default)]
    tenant_id: String,
    #[serde(default)]
    role: String,
    expires_at: String,
}

/// The record of a session.
pub(super) fn write(session: PlainSession) -> Result<Vec<u8>> {
    let encoding = |source: Box<dyn std::error::Error + Send + Sync>| {
        Error::with_source(
            ErrorKind::Codec,
            "a plain session cannot be encoded",
            source,
        )
    };
    let expires_at =
        Timestamp::try_from(session.expires_at).map_err(|source| encoding(source.into()))?;
    let record = Record {
        id: session.id,
        user_id: session.user_id,
        tenant_id: session.tenant_id,
        role: session.role,
        // As `Date.toISOString` has it, which Go and Python read as well.
        expires_at: format!("{expires_at:.3}"),
    };
    serde_json::to_vec(&record).map_err(|source| encoding(source.into()))
}

/// The session that a record under the key of `id` holds. What is wrong with one is told without
/// showing any of it.
pub(super) fn read(id: &str, record: &[u8]) -> Result<PlainSession> {
    let record: Record = serde_json::from_slice(record).map_err(|error| {
        corrupt(format!(
            "the record of a plain session is not what it should be at line {}, column {}",
            error.line(),
            error.column()
        ))
    })?;
    if record.id != id {
        return Err(corrupt(
            "the record of a plain session has another id than its key".to_owned(),
        ));
    }
    Ok(PlainSession {
        expires_at: time(&record.expires_at)?,
        id: record.id,
        user_id: record.user_id,
        tenant_id: record.tenant_id,
        role: record.role,
    })
}

/// Any spelling of RFC 3339. Without an offset, as Python writes a `datetime` that has none, it is UTC.
fn time(text: &str) -> Result<SystemTime> {
    let time = text.parse::<Timestamp>().or_else(|error| {
        let local = text.parse::<DateTime>().map_err(|_| error)?;
        TimeZone::UTC.to_timestamp(local)
    });
    time.and_then(SystemTime::try_from).map_err(|source| {
        Error::with_source(
            ErrorKind::Corrupt,
            "the record of a plain session does not say when it ends",
            source,
        )
    })
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ID: &str = "0b5f2f0e-4a53-4c3b-9e1e-2f6f1f6f9a01";

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn expiring(text: &str) -> Result<PlainSession> {
        let record = format!(r#"{{"id":"{ID}","user_id":"ann","expires_at":"{text}"}}"#);
        read(ID, record.as_bytes())
    }

    #[test]
    fn a_plain_record_is_the_recipes_json() -> Result<()> {
        let session = PlainSession {
            id: ID.to_owned(),
            user_id: "änn:1".to_owned(),
            tenant_id: "plant \"7\"".to_owned(),
            role: "admin".to_owned(),
            expires_at: at(1_714_564_800_250),
        };
        let record = write(session.clone())?;
        let text = String::from_utf8_lossy(&record);
        let expected = format!(
            r#"{{"id":"{ID}","user_id":"änn:1","tenant_id":"plant \"7\"","role":"admin","expires_at":"2024-05-01T12:00:00.250Z"}}"#
        );
        assert_eq!(text, expected);
        assert_eq!(read(ID, &record)?, session);
        Ok(())
    }

    #[test]
    fn a_plain_record_ends_when_its_writer_says_in_any_spelling() {
        for text in [
            "2024-05-01T12:00:00.250Z",
            "2024-05-01T14:00:00.250000000+02:00",
            "2024-05-01T06:30:00.25-05:30",
            "2024-05-01T12:00:00.250000+00:00",
            "2024-05-01T12:00:00.250000",
            "2024-05-01 12:00:00.250+00:00",
        ] {
            let session = expiring(text);
            let expires_at = session.map(|session| session.expires_at);
            assert_eq!(expires_at.ok(), Some(at(1_714_564_800_250)), "{text}");
        }
        let nanoseconds = at(1_714_564_800_250) + Duration::from_nanos(7);
        let session = expiring("2024-05-01T12:00:00.250000007Z").unwrap();
        assert_eq!(session.expires_at, nanoseconds);
        assert_eq!((session.tenant_id, session.role), Default::default());
        // What Go writes for a time that was never set.
        let never = expiring("0001-01-01T00:00:00Z").unwrap();
        assert!(never.expires_at < SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn a_plain_record_that_is_none_is_told_without_showing_it() {
        let other = format!(r#"{{"id":"other","user_id":"ann","expires_at":"{ID}"}}"#);
        for record in ["", "\"secret\"", "{}", "[\"secret\"]", &other] {
            let error = read(ID, record.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("secret") && !shown.contains(ID), "{shown}");
        }
        assert_eq!(expiring("soon").unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
