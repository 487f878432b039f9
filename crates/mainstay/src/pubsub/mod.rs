//! Typed events to whoever listens, with a mark wherever some may be missing.
//!
//! Events travel as `CloudEvents` 1.0 JSON on a channel of the plain name, so that any client's
//! `SUBSCRIBE` hears them and any client's `PUBLISH` is heard.
//!
//! ```
//! use mainstay::Mainstay;
//! use mainstay::pubsub::Item;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> mainstay::Result<()> {
//! let stay = Mainstay::memory();
//! let alarms = stay.channel::<u32>("alarms").source("boiler-3").build()?;
//! let mut subscriber = alarms.subscribe().await?;
//!
//! assert_eq!(alarms.publish("alarm.raised", &95).await?, 1);
//! match subscriber.next().await {
//!     Item::Event { event, .. } => {
//!         assert_eq!((event.kind.as_str(), event.data), ("alarm.raised", 95));
//!         assert_eq!(event.source, "boiler-3");
//!     }
//!     other => panic!("{other:?}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Metrics
//! `mainstay_channel_gaps_total{reason}` (`disconnected`, `overflow`; of histories `trimmed`,
//! `rewritten`, `lost`), `mainstay_channel_undecodable_total{channel}`,
//! `mainstay_history_missing_total{channel}` (events in the gaps of histories).

mod builder;
mod channel;
mod event;
mod history;
mod subscriber;
mod time;
mod wire;

pub use builder::ChannelBuilder;
pub use channel::Channel;
pub use event::Event;
pub use history::{
    History, HistoryBuilder, HistoryGap, HistoryGapReason, HistoryItem, HistorySubscriber,
    Published, Retention, Start,
};
pub use subscriber::{Item, Subscriber};

pub use crate::backend::{GapReason, Position};
