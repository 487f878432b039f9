//! The receiving end of one or more channels.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use metrics::counter;
use serde::de::DeserializeOwned;

use super::Event;
use super::builder::buffer;
use crate::backend::{ChannelStore, Delivery, GapReason, Subscription};
use crate::error::{Error, Result};
use crate::key::{Keyspace, Name, StoreKey};

/// Hands out the events of its channels; dropping it unsubscribes.
///
/// Losing the backend does not end it: it is restored, and a gap says so.
pub struct Subscriber<T> {
    subscription: Box<dyn Subscription>,
    channels: Vec<(StoreKey, Name)>,
    data: PhantomData<fn() -> T>,
}

/// What a subscriber hands out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Item<T> {
    /// An event.
    Event {
        /// The channel it was published on.
        channel: Name,
        /// The event.
        event: Event<T>,
    },
    /// Events of any of the channels may be missing here.
    Gap(GapReason),
    /// A message that is no event with a `T`.
    Undecodable {
        /// The channel it was published on.
        channel: Name,
        /// Its bytes.
        payload: Bytes,
        /// Why it could not be decoded.
        error: Error,
    },
}

impl<T> Subscriber<T> {
    pub(crate) async fn open(
        store: &dyn ChannelStore,
        keyspace: &Keyspace,
        names: &[Name],
        buffer_bytes: usize,
    ) -> Result<Self> {
        let buffer_bytes = buffer(buffer_bytes)?;
        if names.is_empty() {
            return Err(Error::invalid("no channel to subscribe to"));
        }
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        let channels: Vec<_> = names
            .into_iter()
            .map(|name| (keyspace.channel(&name), name))
            .collect();
        let keys: Vec<_> = channels.iter().map(|(key, _)| key.clone()).collect();
        Ok(Self {
            subscription: store.subscribe(&keys, buffer_bytes).await?,
            channels,
            data: PhantomData,
        })
    }

    fn name_of(&self, key: &StoreKey) -> Option<&Name> {
        let found = self.channels.iter().find(|(known, _)| known == key);
        found.map(|(_, name)| name)
    }
}

impl<T: DeserializeOwned> Subscriber<T> {
    /// The next event, gap or undecodable message; waits while there is none. Cancel safe.
    ///
    /// ```
    /// use mainstay::pubsub::{GapReason, Item};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let stay = mainstay::Mainstay::memory();
    /// let notes = stay.channel::<String>("notes").buffer_bytes(300).build()?;
    /// let mut slow = notes.subscribe().await?;
    /// for _ in 0..9 {
    ///     notes.publish("note", &"n".repeat(50)).await?;
    /// }
    /// let mut dropped = 0;
    /// let mut read = 0;
    /// while read + dropped < 9 {
    ///     match slow.next().await {
    ///         Item::Event { .. } => read += 1,
    ///         Item::Gap(GapReason::Overflow { dropped: count }) => dropped += count,
    ///         other => panic!("{other:?}"),
    ///     }
    /// }
    /// assert!(dropped > 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next(&mut self) -> Item<T> {
        loop {
            match self.subscription.next().await {
                Delivery::Message { channel, payload } => {
                    let Some(name) = self.name_of(&channel) else {
                        tracing::error!(%channel, "message of a channel nobody subscribed to");
                        continue;
                    };
                    return Self::decode(name.clone(), payload);
                }
                Delivery::Gap(reason) => {
                    let label = match reason {
                        GapReason::Disconnected => "disconnected",
                        GapReason::Overflow { .. } => "overflow",
                    };
                    counter!("mainstay_channel_gaps_total", "reason" => label).increment(1);
                    return Item::Gap(reason);
                }
            }
        }
    }

    fn decode(channel: Name, payload: Bytes) -> Item<T> {
        match Event::from_json(&payload) {
            Ok(event) => Item::Event { channel, event },
            Err(error) => {
                counter!("mainstay_channel_undecodable_total", "channel" => channel.to_string())
                    .increment(1);
                Item::Undecodable {
                    channel,
                    payload,
                    error,
                }
            }
        }
    }
}

impl<T> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.channels.iter().map(|(_, name)| name).collect();
        f.debug_struct("Subscriber")
            .field("channels", &names)
            .field("subscription", &self.subscription)
            .finish_non_exhaustive()
    }
}
