//! What goes on beside the calls: checks of near hits, sliding ttls, sums over all processes.

use std::sync::Arc;
use std::time::Duration;

use super::counters::Count;
use super::envelope::store_ttl;
use super::resident::Resident;
use super::section::Section;
use crate::clock::Moment;
use crate::error::Result;

/// Near hits that are compared at a time; more are not.
const CHECKS: usize = 64;

/// How often the store is told what was counted.
const REPORT_EVERY: Duration = Duration::from_secs(10);

impl<T: Clone + Send + Sync + 'static> Section<T> {
    /// Counts a near hit, and checks it if it is its turn.
    #[inline]
    pub(super) fn note_near_hit(self: &Arc<Self>, text: &str, resident: &Arc<Resident<T>>) {
        let before = self.counters.add_near_hit();
        if let Some(near) = &self.entries.near
            // Never a division: this is on the way of every hit.
            && before & near.check_mask == near.check_mask
        {
            self.check_later(text, resident, near.max_staleness);
        }
    }

    /// Compares a hit with the store: if that has had another entry for longer than the bound, and
    /// the hit's is still served, the near cache lies.
    fn check_later(self: &Arc<Self>, text: &str, hit: &Arc<Resident<T>>, bound: Duration) {
        let Ok(permit) = Arc::clone(&self.checks).try_acquire_owned() else {
            return;
        };
        let section = Arc::downgrade(self);
        let clock = Arc::clone(&self.clock);
        let (text, seen) = (Box::<str>::from(text), hit.identity.get());
        self.start_chore(async move {
            let _permit = permit;
            clock.sleep_until(clock.now().after(bound)).await;
            let Some(section) = section.upgrade() else {
                return;
            };
            let key = section.key(&text);
            let Ok(stored) = section.store.get(&key).await else {
                return;
            };
            section.counters.add(Count::Checked);
            if stored.map(|bytes| section.identity(&bytes)).as_ref() == Some(&seen) {
                return;
            }
            clock.sleep_until(clock.now().after(bound)).await;
            let served = section.near(&text).map(|(resident, _)| resident);
            if served.is_some_and(|resident| resident.identity.get() == seen) {
                section.counters.add(Count::Incoherent);
                tracing::error!(cache = %section.name, "near cache serves what the store has not");
            }
        });
    }

    /// Starts a sliding ttl anew when enough of it is over.
    pub(super) fn slide(self: &Arc<Self>, text: &str, resident: &Arc<Resident<T>>, now: Moment) {
        if !self.policy.is_sliding() || !resident.is_due_for_touch(now) {
            return;
        }
        let section = Arc::downgrade(self);
        let (text, resident) = (Box::<str>::from(text), Arc::clone(resident));
        self.start_chore(async move {
            if let Some(section) = section.upgrade()
                && let Err(error) = section.touch(&text, &resident).await
            {
                tracing::debug!(cache = %section.name, %error, "sliding ttl not started anew");
            }
        });
    }

    /// The tags first: an entry is worth nothing without them.
    async fn touch(&self, text: &str, resident: &Resident<T>) -> Result<()> {
        let kept = resident.times().kept();
        if let Some(tags) = &self.tags {
            tags.prolong(&resident.tags, kept).await?;
        }
        let (key, seen) = (self.key(text), resident.identity.get());
        self.store.touch(&key, &seen, store_ttl(kept)?).await?;
        Ok(())
    }

    /// Tells the store from time to time what was counted here.
    pub(super) fn report(self: &Arc<Self>) {
        self.reporting.get_or_init(|| {
            let section = Arc::downgrade(self);
            let clock = Arc::clone(&self.clock);
            self.start_chore(async move {
                loop {
                    clock.sleep_until(clock.now().after(REPORT_EVERY)).await;
                    let Some(section) = section.upgrade() else {
                        return;
                    };
                    let added = section.counters.unreported();
                    if added.is_empty() {
                        continue;
                    }
                    if let Err(error) = section.store.count(&section.sums, &added).await {
                        tracing::debug!(cache = %section.name, %error, "sums not reported");
                    }
                }
            });
        });
    }

    /// A limit on the checks that go on at a time.
    pub(super) fn check_permits() -> Arc<tokio::sync::Semaphore> {
        Arc::new(tokio::sync::Semaphore::new(CHECKS))
    }
}
