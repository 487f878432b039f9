//! Gets a value from wherever it is: the process, the store, the loader, or an older one.

use std::error::Error as StdError;
use std::sync::Arc;

use super::counters::Count;
use super::entries::{Found, Nothing};
use super::flight::Flights;
use super::load::{self, Absence, Demand, Start, Store};
use super::loaded::{Loaded, Source, StaleReason};
use super::resident::{Freshness, Resident};
use super::section::Section;
use crate::clock::Moment;
use crate::error::{Error, Result};

/// Reads of values, with and without a way to load them.
pub(super) struct Desk<T> {
    pub(super) section: Arc<Section<T>>,
    pub(super) flights: Flights<Loaded<T>>,
}

impl<T: Clone + Send + Sync + 'static> Desk<T> {
    /// What the process may serve without asking, counted.
    #[inline]
    pub(super) fn near_hit(&self, text: &str) -> Option<(Arc<Resident<T>>, Moment)> {
        let (resident, now) = self.section.near(text)?;
        if now >= resident.times().fresh_until {
            return None;
        }
        self.section.note_near_hit(text, &resident);
        self.section.slide(text, &resident, now);
        Some((resident, now))
    }

    /// A fresh entry of the store, counted; a stale one only while the store cannot be asked, where
    /// the cache allows that.
    pub(super) async fn look_up(&self, text: &str) -> Result<Option<Arc<Resident<T>>>> {
        self.section.report();
        match self.section.read(text).await {
            Ok(found) => Ok(self.if_fresh(text, &found)),
            Err(error) => match self.usable_leftover(text) {
                Some(stale) => {
                    self.section.counters.add(Count::StaleServed);
                    Ok(Some(stale))
                }
                None => Err(error),
            },
        }
    }

    /// Counts what was read as a hit or a miss.
    pub(super) fn if_fresh(&self, text: &str, found: &Found<T>) -> Option<Arc<Resident<T>>> {
        let now = self.section.clock.now();
        match found {
            Found::Entry(resident) if resident.times().freshness(now) == Freshness::Fresh => {
                self.section.counters.add(Count::RemoteHit);
                self.section.slide(text, resident, now);
                Some(Arc::clone(resident))
            }
            Found::Entry(_) | Found::Nothing(_) => {
                self.section.counters.add(Count::Miss);
                None
            }
        }
    }

    /// What may be served while the store cannot be asked.
    fn usable_leftover(&self, text: &str) -> Option<Arc<Resident<T>>> {
        if self.section.policy.stale_if_error.is_zero() {
            return None;
        }
        let now = self.section.clock.now();
        let usable = |resident: &Arc<Resident<T>>| {
            resident.times().freshness(now) != Freshness::Expired
                && resident.has_valid_tags(self.section.tag_changes())
        };
        self.section.leftover(text).filter(usable)
    }

    /// The value; loaded if it is neither in the process nor in the store.
    pub(super) async fn obtain<F, Fut, E>(
        &self,
        text: &str,
        absence: Absence,
        load: F,
    ) -> Result<Loaded<T>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let hit = self.near_hit(text);
        let Some((resident, now)) = hit.filter(|(hit, _)| absence.accepts(hit)) else {
            // Boxed: a hit in the process need not carry all that may follow.
            return Box::pin(self.obtain_from_store(text, absence, load)).await;
        };
        self.refresh_if_due(text, &resident, now, load);
        Ok(self.section.serve(&resident, Source::Near))
    }

    async fn obtain_from_store<F, Fut, E>(
        &self,
        text: &str,
        absence: Absence,
        load: F,
    ) -> Result<Loaded<T>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let section = &self.section;
        section.report();
        let start = match section.read(text).await {
            Ok(Found::Entry(resident)) if absence.accepts(&resident) => {
                let now = section.clock.now();
                match resident.times().freshness(now) {
                    Freshness::Fresh => {
                        section.counters.add(Count::RemoteHit);
                        section.slide(text, &resident, now);
                        self.refresh_if_due(text, &resident, now, load);
                        return Ok(section.serve(&resident, Source::Remote));
                    }
                    Freshness::Revalidate => {
                        self.start_alone(text, &resident, load);
                        let reason = Source::Stale(StaleReason::Revalidating);
                        return Ok(section.serve(&resident, reason));
                    }
                    freshness => {
                        section.counters.add(Count::Miss);
                        Start {
                            nothing: seen(&resident),
                            fallback: (freshness == Freshness::IfError).then_some(resident),
                            store: Store::Reachable,
                            demand: Demand::Callers,
                            absence,
                            on_wait: None,
                        }
                    }
                }
            }
            Ok(found) => {
                section.counters.add(Count::Miss);
                Start {
                    nothing: match found {
                        Found::Entry(resident) => seen(&resident),
                        Found::Nothing(nothing) => nothing,
                    },
                    fallback: None,
                    store: Store::Reachable,
                    demand: Demand::Callers,
                    absence,
                    on_wait: None,
                }
            }
            Err(error) => {
                if let Some(stale) = self.usable_leftover(text) {
                    let reason = Source::Stale(StaleReason::BackendDown);
                    return Ok(section.serve(&stale, reason));
                }
                self.without_store(&error)
            }
        };
        self.load(text, start, load).await
    }

    /// How to load while the store cannot be asked: for the callers of this process alone.
    pub(super) fn without_store(&self, error: &Error) -> Start<T> {
        tracing::debug!(cache = %self.section.name, %error, "loading without the store");
        self.section.counters.add(Count::Miss);
        Start {
            nothing: Nothing::default(),
            fallback: None,
            store: Store::Unreachable,
            demand: Demand::Callers,
            absence: Absence::Answer,
            on_wait: None,
        }
    }

    /// Loads, or waits for a load of this process that is under way.
    pub(super) async fn load<F, Fut, E>(
        &self,
        text: &str,
        start: Start<T>,
        load: F,
    ) -> Result<Loaded<T>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let section = &self.section;
        let patience = section.policy.serve_stale_after.zip(start.fallback.clone());
        let flight = self.flights.join(text, section.tag_changes(), || {
            load::run(Arc::clone(section), text.into(), start, load)
        });
        let Some((patience, stale)) = patience else {
            return flight.await;
        };
        let until = section.clock.now().after(patience);
        tokio::select! {
            biased;
            loaded = flight => loaded,
            () = section.clock.sleep_until(until) => {
                Ok(section.serve(&stale, Source::Stale(StaleReason::LoadSlow)))
            }
        }
    }

    /// Draws lots for an early refresh, and starts it without waiting.
    fn refresh_if_due<F, Fut, E>(
        &self,
        text: &str,
        resident: &Arc<Resident<T>>,
        now: Moment,
        load: F,
    ) where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        if self.section.policy.refreshes_early() && resident.times().is_due_early(now) {
            self.section.counters.add(Count::EarlyRefresh);
            self.start_alone(text, resident, load);
        }
    }

    /// Loads an entry anew unless that is under way already, and waits for neither.
    fn start_alone<F, Fut, E>(&self, text: &str, resident: &Arc<Resident<T>>, load: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<T>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let start = Start {
            nothing: seen(resident),
            fallback: Some(Arc::clone(resident)),
            store: Store::Reachable,
            demand: Demand::Ahead,
            absence: Absence::Answer,
            on_wait: None,
        };
        self.flights
            .start_alone(text, self.section.tag_changes(), || {
                load::run(Arc::clone(&self.section), text.into(), start, load)
            });
    }
}

/// What a load is to replace.
pub(super) fn seen<T>(resident: &Resident<T>) -> Nothing {
    Nothing {
        seen: resident.identity.get(),
        is_newer: false,
    }
}
