//! `CloudEvents` 1.0 in structured JSON
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>).

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::Event;
use super::time;
use crate::error::{Error, ErrorKind, Result};

const SPECVERSION: &str = "1.0";

/// Kind of a message that names none.
const FOREIGN_KIND: &str = "message";

#[derive(Serialize)]
struct Outgoing<'a, T> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    datacontenttype: &'static str,
    data: &'a T,
}

#[derive(Deserialize)]
struct Incoming<'a, T> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: Option<String>,
    subject: Option<String>,
    traceparent: Option<String>,
    data: T,
}

/// Tells a `CloudEvent` from the JSON of another program.
#[derive(Deserialize)]
struct Probe {
    specversion: Option<IgnoredAny>,
    #[serde(rename = "type")]
    kind: Option<Value>,
}

/// Writes an event; an empty source and a missing time are filled in.
pub(super) fn encode<T: Serialize>(
    event: &Event<T>,
    source: &str,
    now: Option<SystemTime>,
) -> Result<Bytes> {
    for (name, text) in [("id", &event.id), ("type", &event.kind)] {
        if text.is_empty() {
            return Err(Error::invalid(format!("{name} of an event is empty")));
        }
    }
    let outgoing = Outgoing {
        specversion: SPECVERSION,
        id: &event.id,
        source: Some(event.source.as_str())
            .filter(|own| !own.is_empty())
            .unwrap_or(source),
        kind: &event.kind,
        time: event.time.or(now).map(time::format),
        subject: event.subject.as_deref(),
        traceparent: event.traceparent.as_deref(),
        datacontenttype: "application/json",
        data: &event.data,
    };
    let json = serde_json::to_vec(&outgoing).map_err(|source| {
        Error::with_source(
            ErrorKind::Codec,
            "data of an event has no JSON form",
            source,
        )
    })?;
    if json.len() > Event::<T>::MAX_BYTES {
        return Err(Error::invalid(format!(
            "event is longer than {} bytes as JSON",
            Event::<T>::MAX_BYTES
        )));
    }
    Ok(json.into())
}

pub(super) fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<Event<T>> {
    let foreign_kind = match probe(json)? {
        Some(Probe {
            specversion: Some(_),
            ..
        }) => return decode_cloud_event(json),
        Some(Probe {
            kind: Some(Value::String(kind)),
            ..
        }) if !kind.is_empty() => kind,
        _ => FOREIGN_KIND.to_owned(),
    };
    let data = serde_json::from_slice(json).map_err(|source| {
        Error::with_source(ErrorKind::Codec, "message is not the expected JSON", source)
    })?;
    Ok(Event {
        id: String::new(),
        source: String::new(),
        kind: foreign_kind,
        time: None,
        subject: None,
        traceparent: None,
        data,
    })
}

/// `None` for JSON that is no object: serde would read an array as a struct.
fn probe(json: &[u8]) -> Result<Option<Probe>> {
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Ok(None);
    }
    serde_json::from_slice(json)
        .map(Some)
        .map_err(|source| Error::with_source(ErrorKind::Codec, "message is not JSON", source))
}

fn decode_cloud_event<T: DeserializeOwned>(json: &[u8]) -> Result<Event<T>> {
    let incoming: Incoming<'_, T> = serde_json::from_slice(json).map_err(|source| {
        Error::with_source(
            ErrorKind::Codec,
            "message is not the expected CloudEvent",
            source,
        )
    })?;
    if incoming.specversion != SPECVERSION {
        return Err(Error::new(
            ErrorKind::Codec,
            format!("CloudEvent has a specversion other than {SPECVERSION}"),
        ));
    }
    let time = incoming.time.as_deref().map(time::parse).transpose();
    let time = time.map_err(|source| {
        Error::with_source(
            ErrorKind::Codec,
            "time of a CloudEvent is not RFC 3339",
            source,
        )
    })?;
    Ok(Event {
        id: incoming.id,
        source: incoming.source,
        kind: incoming.kind,
        time,
        subject: incoming.subject,
        traceparent: incoming.traceparent,
        data: incoming.data,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_written_as_a_cloud_event() -> Result<()> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_714_564_800_250);
        let event = Event::new("alarm.raised", 95)
            .with_id("7")
            .with_subject("valve");
        let written: Value = serde_json::from_slice(&encode(&event, "boiler", Some(now))?).unwrap();
        let expected = json!({
            "specversion": "1.0",
            "id": "7",
            "source": "boiler",
            "type": "alarm.raised",
            "time": "2024-05-01T12:00:00.250Z",
            "subject": "valve",
            "datacontenttype": "application/json",
            "data": 95,
        });
        assert_eq!(written, expected);
        Ok(())
    }

    #[test]
    fn own_source_and_time_are_kept() -> Result<()> {
        let event = Event::new("x", 1)
            .with_source("own")
            .with_time(SystemTime::UNIX_EPOCH)
            .with_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        assert_eq!(
            decode::<i32>(&encode(&event, "boiler", Some(later))?)?,
            event
        );
        Ok(())
    }

    #[test]
    fn json_of_another_program_becomes_an_event() -> Result<()> {
        for (json, kind) in [
            (r#"{"type":"ping","n":1}"#, "ping"),
            (r#" {"type":7}"#, "message"),
            (r#"{"type":""}"#, "message"),
            ("[1,2]", "message"),
            ("5", "message"),
        ] {
            let event = decode::<Value>(json.as_bytes())?;
            let whole: Value = serde_json::from_str(json).unwrap();
            assert_eq!((event.kind.as_str(), event.data), (kind, whole), "{json}");
            assert_eq!(
                (event.id.as_str(), event.source.as_str()),
                ("", ""),
                "{json}"
            );
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_says_why() {
        let event = |change: &str| {
            format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","data":1{change}}}"#)
        };
        for (json, message) in [
            ("{".to_owned(), "message is not JSON"),
            ("nonsense".to_owned(), "message is not the expected JSON"),
            (
                r#"{"type":"x"}"#.to_owned(),
                "message is not the expected JSON",
            ),
            (
                event(r#","time":"noon""#),
                "time of a CloudEvent is not RFC 3339",
            ),
            (
                event("").replace("1.0", "0.3"),
                "CloudEvent has a specversion other than 1.0",
            ),
            (
                event("").replace(r#""id":"1","#, ""),
                "message is not the expected CloudEvent",
            ),
            (
                event("").replace("data\":1", "data\":\"x\""),
                "message is not the expected CloudEvent",
            ),
        ] {
            let error = decode::<u8>(json.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Codec);
            assert_eq!(error.to_string(), message, "{json}");
        }
    }

    #[test]
    fn an_event_above_one_mebibyte_is_refused() {
        let error = encode(&Event::new("x", "d".repeat(1024 * 1024)), "s", None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(
            error.to_string(),
            "event is longer than 1048576 bytes as JSON"
        );
    }

    #[test]
    fn an_event_without_a_type_is_refused() {
        let error = encode(&Event::new("", 1), "s", None).unwrap_err();
        assert_eq!(error.to_string(), "type of an event is empty");
    }
}
