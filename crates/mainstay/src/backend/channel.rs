//! Contract of fire-and-forget channels.

use std::fmt;
use std::num::NonZeroUsize;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::key::StoreKey;

/// Carries messages to whoever listens at that moment.
///
/// # Behaviour
/// - When `subscribe` returns, every later publish reaches the subscription, or a
///   [`Delivery::Gap`] stands in its place.
/// - Messages of one publisher arrive in the order they were published.
/// - A subscription holds at most `max_bytes` of undelivered messages; more are dropped, and a
///   gap with their number stands where they were. A slow subscriber slows nobody else.
/// - Losing the backend never ends a subscription: it is restored, and a gap says that something
///   may have been missed.
#[async_trait]
pub trait ChannelStore: Send + Sync {
    /// Sends a message to the subscribers of the moment; their number as far as the store knows.
    ///
    /// A message whose reply was lost is not sent again.
    async fn publish(&self, channel: &StoreKey, payload: Bytes) -> Result<u64>;

    /// Starts to listen to several channels at once.
    ///
    /// Fails when the backend does not confirm in time; nothing is left behind then.
    async fn subscribe(
        &self,
        channels: &[StoreKey],
        max_bytes: NonZeroUsize,
    ) -> Result<Box<dyn Subscription>>;
}

/// One subscriber's end. Dropping it unsubscribes.
#[async_trait]
pub trait Subscription: fmt::Debug + Send {
    /// The next message or gap. Never fails; waits while there is none. Cancel safe.
    async fn next(&mut self) -> Delivery;
}

/// What a subscription hands out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// A message.
    Message {
        /// The channel it was published on.
        channel: StoreKey,
        /// Its bytes.
        payload: Bytes,
    },
    /// Messages of any of the channels may be missing here.
    Gap(GapReason),
}

/// Why messages may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// The connection was lost and is restored; what was sent meanwhile is gone.
    Disconnected,
    /// The subscriber was too slow and its buffer full.
    Overflow {
        /// Messages dropped.
        dropped: u64,
    },
}
