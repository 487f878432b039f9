//! One client's events, from the first frame to the last.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use mainstay::Name;
use mainstay::backend::GapReason;
use mainstay::pubsub::{Event, Item, Subscriber};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::frame;

const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) struct Feed {
    subscriber: Subscriber<Value>,
    channels: Vec<Name>,
    closing: CancellationToken,
    next: Next,
}

enum Next {
    Connected { resuming: bool },
    Live,
    End,
}

impl Feed {
    pub(super) fn new(
        subscriber: Subscriber<Value>,
        channels: Vec<Name>,
        closing: CancellationToken,
        resuming: bool,
    ) -> Self {
        Self {
            subscriber,
            channels,
            closing,
            next: Next::Connected { resuming },
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
        match self.next {
            Next::Connected { resuming } => {
                self.next = Next::Live;
                let mut first = frame::retry("connected");
                if resuming {
                    first.push_str(&self.reset("no_history", None));
                }
                Some(first.into())
            }
            Next::Live => {
                let item = tokio::select! {
                    biased;
                    () = self.closing.cancelled() => {
                        self.next = Next::End;
                        return Some(frame::retry("closing").into());
                    }
                    item = timeout(HEARTBEAT, self.subscriber.next()) => item,
                };
                let text =
                    item.map_or_else(|_| frame::comment("heartbeat"), |item| self.item(item));
                Some(text.into())
            }
            Next::End => None,
        }
    }

    fn item(&self, item: Item<Value>) -> String {
        match item {
            Item::Event { channel, event } => published(&channel, &event.identified()),
            Item::Gap(GapReason::Disconnected) => self.reset("disconnected", None),
            Item::Gap(GapReason::Overflow { dropped }) => self.reset("overflow", Some(dropped)),
            Item::Undecodable {
                channel, payload, ..
            } => undecodable(&channel, Some(payload.len())),
            _ => self.reset("unknown", None),
        }
    }

    /// Says that events of any of the channels may be missing here.
    fn reset(&self, reason: &str, dropped: Option<u64>) -> String {
        let channels: Vec<&str> = self.channels.iter().map(Name::as_str).collect();
        let mut data = json!({ "channels": channels, "reason": reason });
        if let (Some(dropped), Value::Object(data)) = (dropped, &mut data) {
            data.insert("dropped".into(), dropped.into());
        }
        frame::control("reset", &data)
    }
}

fn published(channel: &Name, event: &Event<Value>) -> String {
    match event.to_json() {
        Ok(json) => frame::event(&event.id, &event.kind, &with_channel(channel, &json)),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, %channel, "message is no CloudEvent that can be sent on");
            undecodable(channel, None)
        }
    }
}

/// The event with its channel as an extension attribute of `CloudEvents`.
fn with_channel(channel: &Name, json: &[u8]) -> Vec<u8> {
    // A name needs no escaping, and an event is an object that is not empty.
    let mut named = format!("{{\"channel\":\"{channel}\",").into_bytes();
    let fields = json.strip_prefix(b"{");
    named.extend_from_slice(fields.expect("invariant: an event is a JSON object"));
    named
}

fn undecodable(channel: &Name, bytes: Option<usize>) -> String {
    let mut data = json!({ "channel": channel.as_str() });
    if let (Some(bytes), Value::Object(data)) = (bytes, &mut data) {
        data.insert("bytes".into(), bytes.into());
    }
    frame::control("undecodable", &data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_its_channel() {
        let name = Name::new("alarms").unwrap();
        let named = with_channel(&name, br#"{"specversion":"1.0"}"#);
        assert_eq!(named, br#"{"channel":"alarms","specversion":"1.0"}"#);
    }

    #[test]
    fn a_message_of_another_program_is_sent_on_with_an_id() {
        let name = Name::new("alarms").unwrap();
        let foreign = Event::from_json(br#"{"type":"ping","n":1}"#).unwrap();
        let event = foreign.identified();
        let frame = published(&name, &event);
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
        let frame = published(&name, &Event::new("", Value::Null));
        assert_eq!(
            frame,
            "event: undecodable\ndata: {\"channel\":\"alarms\"}\n\n"
        );
    }

    #[test]
    fn an_undecodable_message_is_named_but_not_shown() {
        let name = Name::new("alarms").unwrap();
        let frame = undecodable(&name, Some(12));
        assert_eq!(
            frame,
            "event: undecodable\ndata: {\"channel\":\"alarms\",\"bytes\":12}\n\n"
        );
    }
}
