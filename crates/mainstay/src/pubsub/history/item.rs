//! What a subscriber of a history is handed.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use metrics::counter;
use serde::de::DeserializeOwned;

use crate::backend::{HistoryEntry, Position};
use crate::error::Error;
use crate::key::Name;
use crate::pubsub::Event;

/// What a subscriber of a history is handed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum HistoryItem<T> {
    /// An event.
    Event {
        /// Its place; keep it, to go on after it.
        position: Position,
        /// When it was published, by the backend's clock.
        published: SystemTime,
        /// The event.
        event: Event<T>,
    },
    /// Events are missing here; what follows comes after them.
    Gap(HistoryGap),
    /// What was published is no event with a `T`.
    Undecodable {
        /// Its place.
        position: Position,
        /// Its bytes.
        payload: Bytes,
        /// Why it could not be decoded.
        error: Error,
    },
}

/// Events that cannot be handed out any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryGap {
    /// The number of the first event that may be missing.
    pub from: u64,
    /// The number of the last; `None` where the numbers begin anew, and nobody knows.
    pub to: Option<u64>,
    /// Why.
    pub reason: HistoryGapReason,
}

/// Why events cannot be handed out any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HistoryGapReason {
    /// The retention has passed them.
    Trimmed,
    /// The backend has lost the latest events, and others were published under their numbers: a
    /// failover to a replica that lagged. Some of those, up to the last number, were not handed out.
    Rewritten,
    /// The backend has lost the history and begun another.
    Lost,
}

impl HistoryGapReason {
    /// The reason as one word, as it stands in metrics and streams.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trimmed => "trimmed",
            Self::Rewritten => "rewritten",
            Self::Lost => "lost",
        }
    }
}

impl<T: DeserializeOwned> HistoryItem<T> {
    pub(super) fn read(channel: &Name, epoch: &str, entry: HistoryEntry) -> Self {
        let position = Position {
            epoch: epoch.into(),
            sequence: entry.sequence,
            mark: entry.mark,
        };
        let payload = entry.payload;
        match Event::from_json(&payload) {
            Ok(event) => Self::Event {
                position,
                published: SystemTime::UNIX_EPOCH + Duration::from_millis(entry.appended_ms),
                event,
            },
            Err(error) => {
                counter!("mainstay_channel_undecodable_total", "channel" => channel.to_string())
                    .increment(1);
                Self::Undecodable {
                    position,
                    payload,
                    error,
                }
            }
        }
    }

    pub(super) fn missing(channel: &Name, gap: HistoryGap) -> Self {
        let reason = gap.reason.as_str();
        counter!("mainstay_channel_gaps_total", "reason" => reason).increment(1);
        if let Some(to) = gap.to {
            counter!("mainstay_history_missing_total", "channel" => channel.to_string())
                .increment(to.saturating_add(1).saturating_sub(gap.from));
        }
        Self::Gap(gap)
    }
}
