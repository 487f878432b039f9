//! One client's events, from the first frame to the last.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::Either;
use futures_util::stream::{self, Stream};
use mainstay::Name;
use mainstay::backend::GapReason;
use mainstay::pubsub::{Event, HistoryItem, Item};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::cursor::Cursor;
use super::frame;
use super::source::{Kept, Source};

const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) struct Feed {
    source: Source,
    /// Those without a history.
    plain: Vec<Name>,
    /// How far the client has come with the others.
    cursor: Cursor,
    closing: CancellationToken,
    next: Next,
}

enum Next {
    /// The client was here before, and these channels do not know how far it came.
    Connected {
        forgotten: Vec<Name>,
    },
    Live,
    End,
}

impl Feed {
    pub(super) fn new(
        source: Source,
        plain: Vec<Name>,
        cursor: Cursor,
        forgotten: Vec<Name>,
        closing: CancellationToken,
    ) -> Self {
        Self {
            source,
            plain,
            cursor,
            closing,
            next: Next::Connected { forgotten },
        }
    }

    /// The frames; ends when the server shuts down.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut feed| async {
            let frame = feed.frame().await?;
            Some((Ok(frame), feed))
        })
    }

    async fn frame(&mut self) -> Option<Bytes> {
        match &self.next {
            Next::Connected { forgotten } => {
                let mut first = frame::retry("connected");
                if !forgotten.is_empty() {
                    let data = reset(forgotten, "no_history");
                    first.push_str(&frame::control(self.id().as_deref(), "reset", &data));
                } else if let Some(id) = self.id() {
                    // Whoever is cut off before the first event comes back to this place.
                    first.push_str(&frame::place(&id));
                }
                self.next = Next::Live;
                Some(first.into())
            }
            Next::Live => {
                let item = tokio::select! {
                    biased;
                    () = self.closing.cancelled() => {
                        self.next = Next::End;
                        return Some(frame::retry("closing").into());
                    }
                    item = timeout(HEARTBEAT, self.source.next()) => item,
                };
                let text = match item {
                    Err(_quiet) => frame::comment("heartbeat"),
                    Ok(Either::Left(item)) => self.item(item),
                    Ok(Either::Right(kept)) => self.kept(kept),
                };
                Some(text.into())
            }
            Next::End => None,
        }
    }

    /// The id of a frame, where the client can come back to it.
    fn id(&self) -> Option<String> {
        (!self.cursor.is_empty()).then(|| self.cursor.write())
    }

    fn item(&self, item: Item<Value>) -> String {
        match item {
            Item::Event { channel, event } => {
                let event = event.identified();
                let id = self.id();
                published(id.as_deref().unwrap_or(&event.id), &named(&channel), &event)
            }
            Item::Gap(GapReason::Disconnected) => self.reset_plain("disconnected", None),
            Item::Gap(GapReason::Overflow { dropped }) => {
                self.reset_plain("overflow", Some(dropped))
            }
            Item::Undecodable {
                channel, payload, ..
            } => self.undecodable(&channel, payload.len()),
            _ => self.reset_plain("unknown", None),
        }
    }

    fn kept(&mut self, kept: Kept) -> String {
        let Kept {
            channel,
            item,
            position,
        } = kept;
        let sequence = position.sequence();
        self.cursor.set(&channel, position);
        let id = self.id();
        match item {
            HistoryItem::Event { event, .. } => {
                let named = format!("{},\"sequence\":\"{sequence}\"", named(&channel));
                published(
                    id.as_deref().unwrap_or_default(),
                    &named,
                    &event.identified(),
                )
            }
            HistoryItem::Undecodable { payload, .. } => self.undecodable(&channel, payload.len()),
            HistoryItem::Gap(gap) => {
                let mut data = reset(&[channel], gap.reason.as_str());
                insert(&mut data, "from", Some(gap.from));
                insert(&mut data, "to", gap.to);
                frame::control(id.as_deref(), "reset", &data)
            }
            _ => frame::control(id.as_deref(), "reset", &reset(&[channel], "unknown")),
        }
    }

    /// Says that events of any of the channels without a history may be missing here.
    fn reset_plain(&self, reason: &str, dropped: Option<u64>) -> String {
        let mut data = reset(&self.plain, reason);
        insert(&mut data, "dropped", dropped);
        frame::control(self.id().as_deref(), "reset", &data)
    }

    fn undecodable(&self, channel: &Name, bytes: usize) -> String {
        undecodable(self.id().as_deref(), channel.as_str(), Some(bytes))
    }
}

fn reset(channels: &[Name], reason: &str) -> Value {
    let channels: Vec<&str> = channels.iter().map(Name::as_str).collect();
    json!({ "channels": channels, "reason": reason })
}

fn insert(data: &mut Value, name: &str, number: Option<u64>) {
    if let (Some(number), Value::Object(data)) = (number, data) {
        data.insert(name.into(), number.into());
    }
}

/// A channel as an extension attribute of `CloudEvents`; a name needs no escaping.
fn named(channel: &Name) -> String {
    format!("\"channel\":\"{channel}\"")
}

fn published(id: &str, attributes: &str, event: &Event<Value>) -> String {
    match event.to_json() {
        Ok(json) => frame::event(id, &event.kind, &with(attributes, &json)),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(
                error,
                attributes,
                "message is no CloudEvent that can be sent on"
            );
            let data = serde_json::from_str::<Value>(&format!("{{{attributes}}}"));
            let data = data.expect("invariant: attributes are written as JSON");
            frame::control(None, "undecodable", &data)
        }
    }
}

/// The event with more attributes, which come first.
fn with(attributes: &str, json: &[u8]) -> Vec<u8> {
    let mut whole = format!("{{{attributes},").into_bytes();
    // An event is an object that is not empty.
    let fields = json.strip_prefix(b"{");
    whole.extend_from_slice(fields.expect("invariant: an event is a JSON object"));
    whole
}

fn undecodable(id: Option<&str>, channel: &str, bytes: Option<usize>) -> String {
    let mut data = json!({ "channel": channel });
    insert(
        &mut data,
        "bytes",
        bytes.and_then(|bytes| u64::try_from(bytes).ok()),
    );
    frame::control(id, "undecodable", &data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_its_channel() {
        let name = Name::new("alarms").unwrap();
        let whole = with(&named(&name), br#"{"specversion":"1.0"}"#);
        assert_eq!(whole, br#"{"channel":"alarms","specversion":"1.0"}"#);
    }

    #[test]
    fn a_message_of_another_program_is_sent_on_with_an_id() {
        let name = Name::new("alarms").unwrap();
        let foreign = Event::from_json(br#"{"type":"ping","n":1}"#).unwrap();
        let event = foreign.identified();
        let frame = published(&event.id, &named(&name), &event);
        let start = format!(
            "id: {id}\nevent: ping\ndata: {{\"channel\":\"alarms\",\"specversion\":\"1.0\",\"id\":\"{id}\",",
            id = event.id
        );
        assert!(!event.id.is_empty() && frame.starts_with(&start), "{frame}");
        let end = "\"data\":{\"type\":\"ping\",\"n\":1}}\n\n";
        assert!(frame.ends_with(end), "{frame}");
    }

    #[test]
    fn an_event_that_cannot_be_sent_on_is_named() {
        let name = Name::new("alarms").unwrap();
        let frame = published("1", &named(&name), &Event::new("", Value::Null));
        assert_eq!(
            frame,
            "event: undecodable\ndata: {\"channel\":\"alarms\"}\n\n"
        );
    }

    #[test]
    fn an_undecodable_message_is_named_but_not_shown() {
        let frame = undecodable(None, "alarms", Some(12));
        assert_eq!(
            frame,
            "event: undecodable\ndata: {\"channel\":\"alarms\",\"bytes\":12}\n\n"
        );
    }
}
