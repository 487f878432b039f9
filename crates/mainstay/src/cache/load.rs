//! Loads one entry: under a lease that is renewed, or by waiting for whoever holds it.

use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;

use super::counters::Count;
use super::entries::{Found, Nothing};
use super::loaded::{Fetched, Loaded, Source, StaleReason};
use super::resident::{Freshness, Resident};
use super::section::Section;
use super::store::{EntryOptions, Making};
use crate::backend::{Acquired, Attempt, Fill, Lease, LoadFailure};
use crate::error::{Error, ErrorKind, Result};
use crate::key::StoreKey;
use crate::ttl::Ttl;

/// How long a holder that has died keeps others waiting.
pub(super) const LEASE_FOR: Duration = Duration::from_secs(3);

/// How often a lease is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// How often a waiter looks again that would not hear of a change.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often an entry that stands in the way is looked at before it is left alone.
const LOOKS: u32 = 4;

/// What is known when a load starts.
pub(super) struct Start<T> {
    /// What stands under the key and cannot be used.
    pub(super) nothing: Nothing,
    /// What may be served if nothing better can be had.
    pub(super) fallback: Option<Arc<Resident<T>>>,
    /// Whether the store is asked, or could not be.
    pub(super) store: Store,
    /// Who wants it.
    pub(super) demand: Demand,
    /// What an entry is that says that there is no value.
    pub(super) absence: Absence,
    /// Called when the load has to wait for another process.
    pub(super) on_wait: Option<Box<dyn FnOnce() + Send>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Reachable,
    Unreachable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// Callers who wait.
    Callers,
    /// Nobody yet: an entry is loaded anew before it is needed.
    Ahead,
}

/// What callers make of a known miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// It is an answer.
    Answer,
    /// It is as good as nothing: they know of a value.
    Miss,
}

impl Absence {
    pub(super) fn accepts<T>(self, resident: &Resident<T>) -> bool {
        self == Self::Answer || resident.value.is_some()
    }
}

/// The outcome of asking for the right to load.
enum Claim<T> {
    /// To be loaded and stored.
    Leased(Leased),
    /// To be loaded, but not stored.
    Unleased,
    /// Somebody else was faster.
    Found(Arc<Resident<T>>),
    /// Somebody else is at it, and there is something to serve meanwhile.
    Busy(Arc<Resident<T>>),
    /// Somebody else has failed.
    Failed(String),
}

/// The right to load an entry, and what was seen of the one that it is to replace.
struct Leased {
    lease: Lease,
    over: Bytes,
}

/// The value of an entry that is missing or to be replaced.
pub(super) async fn run<T, F, Fut, E>(
    section: Arc<Section<T>>,
    text: Box<str>,
    mut start: Start<T>,
    load: F,
) -> Result<Loaded<T>>
where
    T: Clone + Send + Sync + 'static,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<Option<T>, E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let key = section.key(&text);
    let claim = match start.store {
        Store::Reachable => claim(&section, &text, &key, &mut start).await,
        Store::Unreachable => Claim::Unleased,
    };
    let leased = match claim {
        Claim::Leased(leased) => Some(leased),
        Claim::Unleased => None,
        Claim::Found(resident) => return Ok(section.serve(&resident, Source::Remote)),
        Claim::Busy(stale) => {
            let reason = Source::Stale(StaleReason::Revalidating);
            return Ok(section.serve(&stale, reason));
        }
        Claim::Failed(message) => {
            let error = Error::new(ErrorKind::Loader, message);
            return section.fall_back(start.fallback.as_deref(), error);
        }
    };
    let outcome = match &leased {
        Some(leased) => {
            let load = load_and_fill(&section, &text, &key, leased, load);
            renewing(&section, &key, &leased.lease, load).await
        }
        None => call(&section, load).await,
    };
    match outcome {
        Ok(value) => Ok(Fetched::new(value, Duration::ZERO, Source::Loaded)),
        Err(error) => section.fall_back(start.fallback.as_deref(), error),
    }
}

/// Runs the loader under a lease, and ends the lease with what it gives.
async fn load_and_fill<T, F, Fut, E>(
    section: &Section<T>,
    text: &str,
    key: &StoreKey,
    Leased { lease, over }: &Leased,
    load: F,
) -> Result<Option<T>>
where
    T: Clone + Send + Sync + 'static,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<Option<T>, E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    // Before the loader begins: what is invalidated from here on may not be in its value.
    let watermark = section.watermark().await;
    let began = section.clock.now();
    let value = match call(section, load).await {
        Ok(value) => value,
        Err(error) => {
            let failure = LoadFailure {
                message: describe(&error),
                told_for: section.policy.error_ttl,
            };
            section.give_back(key, lease, Some(&failure)).await;
            return Err(error);
        }
    };
    let filled = match watermark {
        Ok(watermark) => {
            let making = Making {
                options: &EntryOptions::new(),
                watermark,
                load_time: section.clock.now().since(began),
                over: Some(over),
            };
            section.fill(text, lease, value.as_ref(), &making).await
        }
        Err(error) => {
            section.give_back(key, lease, None).await;
            Err(error)
        }
    };
    note(section, filled);
    Ok(value)
}

/// Asks for the lease until it is ours, or not needed, or there is no time left.
async fn claim<T: Clone + Send + Sync + 'static>(
    section: &Section<T>,
    text: &str,
    key: &StoreKey,
    start: &mut Start<T>,
) -> Claim<T> {
    if start.nothing.is_newer || section.settle(key).await.is_err() {
        return Claim::Unleased;
    }
    let Ok(lease_for) = Ttl::new(LEASE_FOR) else {
        return Claim::Unleased;
    };
    let deadline = section.clock.now().after(section.policy.load_timeout);
    let mut attempt = Attempt {
        lease_for,
        seen: start.nothing.seen.clone(),
        waited_for: None,
    };
    let mut looks = 0;
    loop {
        let mut listening = section.entries.waiters.listen(text);
        let changes = section.tag_changes();
        let sent = section.clock.now();
        let acquired = match section.store.acquire(key, &attempt).await {
            Ok(acquired) => acquired,
            Err(error) => {
                tracing::debug!(cache = %section.name, %error, "no lease: loading without");
                return Claim::Unleased;
            }
        };
        match acquired {
            Acquired::Leased(lease) => {
                let over = attempt.seen;
                return Claim::Leased(Leased { lease, over });
            }
            Acquired::Failed(message) => return Claim::Failed(message),
            Acquired::Fresh(stored) => {
                looks += 1;
                match section.open(&stored, None, sent, changes).await {
                    Ok(Found::Entry(found)) => {
                        let now = section.clock.now();
                        let is_fresh = found.times().freshness(now) == Freshness::Fresh;
                        if is_fresh && start.absence.accepts(&found) {
                            return Claim::Found(found);
                        }
                        attempt.seen = found.identity.get();
                    }
                    Ok(Found::Nothing(nothing)) if !nothing.is_newer => {
                        attempt.seen = nothing.seen;
                    }
                    Ok(Found::Nothing(_)) | Err(_) => return Claim::Unleased,
                }
                if looks >= LOOKS {
                    return Claim::Unleased;
                }
            }
            Acquired::Busy {
                left,
                holder,
                is_heard,
            } => {
                section.counters.add(Count::Wait);
                let now = section.clock.now();
                if let Some(stale) = &start.fallback {
                    let may_serve = match stale.times().freshness(now) {
                        Freshness::Fresh | Freshness::Revalidate => true,
                        Freshness::IfError => start.demand == Demand::Ahead,
                        Freshness::Expired => false,
                    };
                    if may_serve {
                        return Claim::Busy(Arc::clone(stale));
                    }
                }
                if let Some(on_wait) = start.on_wait.take() {
                    on_wait();
                }
                attempt.waited_for = Some(holder);
                let left = if is_heard { left } else { left.min(LOOK_EVERY) };
                // A moment longer: the lease must be over on the store's clock.
                let until = now.after(left.saturating_add(Duration::from_millis(1)));
                tokio::select! {
                    () = listening.changed() => {}
                    () = section.clock.sleep_until(until.min(deadline)) => {}
                }
                if section.clock.now() >= deadline {
                    return Claim::Unleased;
                }
            }
        }
    }
}

/// Keeps the lease while a load goes on.
async fn renewing<T: Clone + Send + Sync + 'static, O>(
    section: &Section<T>,
    key: &StoreKey,
    lease: &Lease,
    load: impl Future<Output = O>,
) -> O {
    let mut load = pin!(load);
    loop {
        let next = section.clock.now().after(RENEW_EVERY);
        tokio::select! {
            biased;
            outcome = &mut load => return outcome,
            () = section.clock.sleep_until(next) => {}
        }
        let renewal = async {
            if let Ok(lease_for) = Ttl::new(LEASE_FOR)
                && let Err(error) = section.store.renew(key, lease, lease_for).await
            {
                tracing::debug!(cache = %section.name, %error, "lease not renewed");
            }
        };
        // A load that ends meanwhile is not held up.
        tokio::select! {
            biased;
            outcome = &mut load => return outcome,
            () = renewal => {}
        }
    }
}

/// Runs the caller's loader; its panic is an error of this load only.
async fn call<T, F, Fut, E>(section: &Section<T>, load: F) -> Result<Option<T>>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<Option<T>, E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    section.counters.add(Count::Load);
    let timeout = section.policy.load_timeout;
    let deadline = section.clock.now().after(timeout);
    let loaded = AssertUnwindSafe(async move { load().await.map_err(Into::into) });
    let outcome = tokio::select! {
        biased;
        outcome = loaded.catch_unwind() => outcome,
        () = section.clock.sleep_until(deadline) => {
            section.counters.add(Count::LoadFailed);
            let message = format!("loader of cache {} took longer than {timeout:?}", section.name);
            return Err(Error::new(ErrorKind::Loader, message));
        }
    };
    let error = match outcome {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(source)) => {
            let message = format!("loader of cache {} failed", section.name);
            Error::with_source(ErrorKind::Loader, message, source)
        }
        Err(_panic) => {
            let message = format!("loader of cache {} panicked", section.name);
            Error::new(ErrorKind::Loader, message)
        }
    };
    section.counters.add(Count::LoadFailed);
    Err(error)
}

/// An error with its causes, for processes that cannot have the error itself.
fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

/// The callers get their value whether it can be stored or not.
fn note<T>(section: &Section<T>, filled: Result<Fill>) {
    match filled {
        Ok(Fill::Stored) => {}
        Ok(Fill::Superseded) => {
            tracing::debug!(cache = %section.name, "loaded value was outdated: not stored");
        }
        Err(error) => {
            section.counters.add(Count::NotStored);
            tracing::warn!(cache = %section.name, %error, "loaded value could not be stored");
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Section<T> {
    /// An entry as an answer, counted where it is stale.
    pub(super) fn serve(&self, resident: &Resident<T>, source: Source) -> Loaded<T> {
        if let Source::Stale(_) = source {
            self.counters.add(Count::StaleServed);
        }
        let age = resident.times().age(self.clock.now());
        Fetched::new(resident.value.clone(), age, source)
    }

    /// Something stale in place of an error, where the cache allows it.
    fn fall_back(&self, fallback: Option<&Resident<T>>, error: Error) -> Result<Loaded<T>> {
        match fallback {
            Some(stale) if stale.times().freshness(self.clock.now()) != Freshness::Expired => {
                tracing::warn!(cache = %self.name, %error, "serving a stale value");
                Ok(self.serve(stale, Source::Stale(StaleReason::LoadFailed)))
            }
            _ => Err(error),
        }
    }
}
