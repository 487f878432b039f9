//! What travels on a channel.

use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire;
use crate::error::Result;
use crate::random;

/// An event: a `CloudEvent` 1.0 with JSON data.
///
/// ```
/// use mainstay::pubsub::Event;
///
/// let event = Event::new("alarm.raised", 95).with_source("boiler-3").with_subject("valve");
/// let read = Event::<u32>::from_json(&event.to_json()?)?;
/// assert_eq!(read, event);
///
/// let foreign = Event::<serde_json::Value>::from_json(br#"{"type": "ping", "n": 1}"#)?;
/// assert_eq!((foreign.kind.as_str(), &foreign.data["n"]), ("ping", &1.into()));
/// assert_eq!((foreign.id.as_str(), foreign.source.as_str()), ("", ""));
/// # Ok::<(), mainstay::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event<T> {
    /// Unique with the source; empty for a message that is no `CloudEvent`.
    pub id: String,
    /// Where it happened; empty until it is published, and for a message that is no `CloudEvent`.
    pub source: String,
    /// What happened: the `CloudEvents` `type`.
    pub kind: String,
    /// When it happened, kept in milliseconds; a channel fills it in.
    pub time: Option<SystemTime>,
    /// What it happened to.
    pub subject: Option<String>,
    /// W3C trace context of the publisher.
    pub traceparent: Option<String>,
    /// The payload.
    pub data: T,
}

impl<T> Event<T> {
    /// The largest event, as JSON, in bytes: 1 MiB.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// An event with a random id; the channel fills in source and time.
    pub fn new(kind: impl Into<String>, data: T) -> Self {
        Self {
            id: random::token(),
            source: String::new(),
            kind: kind.into(),
            time: None,
            subject: None,
            traceparent: None,
            data,
        }
    }

    /// Gives a message of another program, which is no `CloudEvent`, an id of its own, so that it can be
    /// sent on as one.
    #[must_use]
    pub fn identified(self) -> Self {
        if self.id.is_empty() && self.source.is_empty() {
            Self::new(self.kind, self.data)
        } else {
            self
        }
    }

    /// Replaces the id; with the source it must be unique.
    #[must_use]
    pub fn with_id(self, id: impl Into<String>) -> Self {
        let id = id.into();
        Self { id, ..self }
    }

    /// Sets where it happened.
    #[must_use]
    pub fn with_source(self, source: impl Into<String>) -> Self {
        let source = source.into();
        Self { source, ..self }
    }

    /// Sets when it happened; milliseconds are kept.
    #[must_use]
    pub fn with_time(self, time: SystemTime) -> Self {
        let time = Some(time);
        Self { time, ..self }
    }

    /// Sets what it happened to.
    #[must_use]
    pub fn with_subject(self, subject: impl Into<String>) -> Self {
        let subject = Some(subject.into());
        Self { subject, ..self }
    }

    /// Sets the W3C trace context.
    #[must_use]
    pub fn with_traceparent(self, traceparent: impl Into<String>) -> Self {
        let traceparent = Some(traceparent.into());
        Self {
            traceparent,
            ..self
        }
    }
}

impl<T: Serialize> Event<T> {
    /// The event as structured `CloudEvents` 1.0 JSON; an empty source is written as `mainstay`.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) for data without a JSON form;
    /// [`Invalid`](crate::ErrorKind::Invalid) for an empty id or kind and for more than
    /// [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn to_json(&self) -> Result<Bytes> {
        wire::encode(self, super::builder::DEFAULT_SOURCE, None)
    }
}

impl<T: DeserializeOwned> Event<T> {
    /// Reads an event.
    ///
    /// JSON that is no `CloudEvent` (it has no `specversion`) is the data of an event whose kind is
    /// its `type`, or `message`.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) for what is no JSON, a `CloudEvent` without its required
    /// attributes or of another version, and data that is no `T`.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        wire::decode(json)
    }
}
