//! Channels that keep what was published: every subscriber resumes without a gap, or is told of it.
//!
//! ```
//! use std::time::Duration;
//! use mainstay::Mainstay;
//! use mainstay::pubsub::{HistoryItem, Retention, Start};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> mainstay::Result<()> {
//! let stay = Mainstay::memory();
//! let kept = Retention::count(10_000).age(Duration::from_secs(24 * 3600));
//! let alarms = stay.channel::<u32>("alarms").history(kept).build()?;
//! let first = alarms.publish("alarm.raised", &95).await?;
//! alarms.publish("alarm.cleared", &95).await?;
//!
//! // Who was away for a while says how far it came.
//! let mut subscriber = alarms.subscribe_from(Start::After(first)).await?;
//! let HistoryItem::Event { event, position, .. } = subscriber.next().await else {
//!     panic!("it was published");
//! };
//! assert_eq!((event.kind.as_str(), position.sequence()), ("alarm.cleared", 2));
//! # Ok(())
//! # }
//! ```

mod builder;
mod cursor;
mod handle;
mod item;
mod retention;
mod subscriber;

pub use builder::HistoryBuilder;
pub use handle::{History, Published};
pub use item::{HistoryGap, HistoryGapReason, HistoryItem};
pub use retention::Retention;
pub use subscriber::{HistorySubscriber, Start};
