//! Leases for those who load elsewhere: another process, another language.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Entry;
use super::entries::Found;
use super::handle::Cache;
use super::obtain::seen;
use super::resident::Freshness;
use super::store::{EntryOptions, Making};
use crate::backend::{Acquired, Attempt, Fill, Lease, LoadFailure};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::key::AsKey;
use crate::ttl::Ttl;

/// Answer of [`Cache::acquire`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acquire<T> {
    /// There is a fresh value.
    Value(Entry<T>),
    /// The caller is to load it and to [`fill`](Cache::fill) it.
    Lease(LoadLease),
    /// Somebody else is loading it, for at most this long unless the lease is renewed.
    Wait(Duration),
    /// Loading it has just failed.
    Failed(String),
}

/// The right to fill one entry, as text that can be sent around: `<lease>.<watermark>`.
#[derive(Clone, PartialEq, Eq)]
pub struct LoadLease {
    lease: Lease,
    watermark: Option<u64>,
}

impl fmt::Display for LoadLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.lease.as_str())?;
        match self.watermark {
            Some(watermark) => write!(f, ".{watermark}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for LoadLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoadLease").finish_non_exhaustive()
    }
}

impl FromStr for LoadLease {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (lease, watermark) = match text.split_once('.') {
            Some((lease, watermark)) => {
                let watermark = watermark.parse().map_err(|_| foreign_lease())?;
                (lease, Some(watermark))
            }
            None => (text, None),
        };
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if lease.len() != 22 || !lease.bytes().all(is_token) {
            return Err(foreign_lease());
        }
        Ok(Self {
            lease: Lease::from_text(lease),
            watermark,
        })
    }
}

fn foreign_lease() -> Error {
    Error::invalid("lease is none that acquire of this cache has handed out")
}

impl<T: Clone + Send + Sync + 'static> Cache<T> {
    /// The value, or else the right to fill it for at most `lease_for`; not waiting for anybody.
    ///
    /// For loads that cannot be given as a closure; [`get_or_load`](Self::get_or_load) does all of
    /// this by itself. A dropped call may leave a lease that nobody has, until its time is over.
    /// Where an entry of a higher schema stands, the lease is one that stores nothing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainstay::cache::{Acquire, EntryOptions, Fill};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let cache = mainstay::Mainstay::memory().cache::<u8>("numbers").build()?;
    /// let wait = Duration::from_secs(10);
    /// let Acquire::Lease(lease) = cache.acquire("one", wait).await? else {
    ///     panic!("nobody else loads it");
    /// };
    /// assert!(matches!(cache.acquire("one", wait).await?, Acquire::Wait(_)));
    /// let filled = cache.fill("one", &lease, &1, EntryOptions::new()).await?;
    /// assert_eq!(filled, Fill::Stored);
    /// assert_eq!(cache.get("one").await?, Some(1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get); [`Invalid`](crate::ErrorKind::Invalid) when `lease_for` is no
    /// [`Ttl`].
    pub async fn acquire(&self, key: impl AsKey, lease_for: Duration) -> Result<Acquire<T>> {
        let section = self.section();
        section.report();
        let lease_for = Ttl::new(lease_for)?;
        let text = key.key_text()?;
        let watermark = section.watermark().await?;
        let read = section.read(&text).await?;
        let now = section.clock.now();
        if let Some(entry) = fresh_entry(&read, now) {
            return Ok(Acquire::Value(entry));
        }
        let nothing = match read {
            Found::Entry(resident) => seen(&resident),
            Found::Nothing(nothing) => nothing,
        };
        // A lease that nobody knows: the caller loads, and what it fills is not stored.
        let unknown = || {
            Acquire::Lease(LoadLease {
                lease: Lease::random(),
                watermark,
            })
        };
        if nothing.is_newer {
            return Ok(unknown());
        }
        let attempt = Attempt {
            lease_for,
            seen: nothing.seen,
            waited_for: None,
        };
        let key = section.key(&text);
        let changes = section.tag_changes();
        Ok(match section.store.acquire(&key, &attempt).await? {
            Acquired::Leased(lease) => Acquire::Lease(LoadLease { lease, watermark }),
            Acquired::Busy { left, .. } => Acquire::Wait(left),
            Acquired::Failed(message) => Acquire::Failed(message),
            Acquired::Fresh(stored) => {
                let read = section.open(&stored, None, now, changes).await?;
                match (&read, fresh_entry(&read, section.clock.now())) {
                    (_, Some(entry)) => Acquire::Value(entry),
                    (Found::Nothing(nothing), None) if nothing.is_newer => unknown(),
                    // One that is not fresh has only just appeared: look again.
                    (_, None) => Acquire::Wait(Duration::ZERO),
                }
            }
        })
    }

    /// Stores a value under a lease, unless the lease has ended or something has changed since.
    ///
    /// That another process has invalidated a tag may not be known here yet, within the bound of
    /// near caches: the entry is then stored, and invalid for whoever knows.
    ///
    /// A dropped call may have taken effect; repeating it is harmless.
    ///
    /// # Errors
    /// As [`set_with`](Self::set_with).
    pub async fn fill(
        &self,
        key: impl AsKey,
        lease: &LoadLease,
        value: &T,
        options: EntryOptions,
    ) -> Result<Fill> {
        let section = self.section();
        if let Some(ttl) = options.ttl {
            Ttl::new(ttl)?;
        }
        if section.tags.is_some() != lease.watermark.is_some() {
            return Err(foreign_lease());
        }
        let text = key.key_text()?;
        section.settle(&section.key(&text)).await?;
        let making = Making {
            options: &options,
            watermark: lease.watermark,
            load_time: Duration::ZERO,
            over: None,
        };
        section
            .fill(&text, &lease.lease, Some(value), &making)
            .await
    }

    /// Gives a lease back without a value; with a reason, those who wait are told that it failed.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn give_up(
        &self,
        key: impl AsKey,
        lease: &LoadLease,
        reason: Option<&str>,
    ) -> Result<()> {
        let section = self.section();
        let failure = reason.map(|reason| LoadFailure {
            message: reason.to_owned(),
            told_for: section.policy.error_ttl,
        });
        let key = section.key(&key.key_text()?);
        section
            .store
            .forfeit(&key, &lease.lease, failure.as_ref())
            .await
    }
}

fn fresh_entry<T: Clone>(found: &Found<T>, now: Moment) -> Option<Entry<T>> {
    let Found::Entry(resident) = found else {
        return None;
    };
    let times = resident.times();
    let is_fresh = times.freshness(now) == Freshness::Fresh;
    let value = resident.value.clone().filter(|_| is_fresh)?;
    Some(Entry::new(
        value,
        times.age(now),
        times.fresh_until.since(now),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_survives_its_text_and_nothing_else_is_one() {
        let lease = LoadLease {
            lease: Lease::random(),
            watermark: Some(7),
        };
        assert_eq!(lease.to_string().parse::<LoadLease>().unwrap(), lease);
        for text in [
            "",
            "short.7",
            "AAAAAAAAAAAAAAAAAAAAAA.x",
            "AAAAAAAAAAAAAAAAAAAA|A.1",
        ] {
            assert!(text.parse::<LoadLease>().is_err(), "{text}");
        }
    }
}
