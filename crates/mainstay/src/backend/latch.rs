//! Contract of the latch store.

use async_trait::async_trait;

use super::Wakeups;
use crate::error::Result;
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// Counts who has arrived, each once.
///
/// # Behaviour
/// - Who arrives again is not counted again, so a lost reply is safe to ask for again.
/// - All is forgotten when nobody has arrived for the time it is kept.
/// - When as many have arrived as are expected, all who listen are woken.
#[async_trait]
pub trait LatchStore: Send + Sync {
    /// Notes that somebody has arrived; how many have.
    async fn arrive(&self, key: &StoreKey, arrival: &Arrival<'_>) -> Result<u64>;

    /// How many have arrived.
    async fn arrived(&self, key: &StoreKey) -> Result<u64>;

    /// Forgets who has arrived.
    async fn reset(&self, key: &StoreKey) -> Result<()>;

    /// Starts to listen.
    async fn wakeups(&self, key: &StoreKey) -> Result<Box<dyn Wakeups>>;
}

/// Somebody who arrives.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Their name.
    pub who: &'a str,
    /// How many are expected.
    pub of: u64,
    /// How long all arrivals are kept from now.
    pub keep: Ttl,
}
