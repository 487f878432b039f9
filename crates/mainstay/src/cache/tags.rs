//! Generations of tags: one number a tag, which an invalidation raises.
//!
//! An entry carries the generations that its tags had; it is valid while they are the same. The
//! numbers come from one counter a cache, the watermark, which an invalidation advances in the same
//! step. A load that began at watermark `w` may carry a tag whose generation is at most `w`: nothing
//! has invalidated it since the load began. So tags may be chosen from the value that was loaded. A
//! tag that is missing in the store, never made or evicted, makes every entry that carries it
//! invalid; it is made anew, in one step with a look at the counter, only while that still stands
//! at `w`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;

use super::envelope::{Tagged, store_ttl};
use super::table::{Boarding, Table, Wait, Weigh, wait};
use crate::backend::{CacheStore, Mark, Owed, Sighting, Watcher};
use crate::clock::{Clock, Moment, TIMER_LAG};
use crate::error::{Error, ErrorKind, Result};
use crate::key::StoreKey;

/// The tag that every entry of a cache carries; no key is empty.
pub(super) const EVERY_ENTRY: &str = "";

/// Where the table keeps the watermark; no key holds a control character.
const WATERMARK: &str = "\n";

/// For the generations that are known in the process.
const TABLE_BYTES: u64 = 8 << 20;
const TYPICAL_BYTES: u64 = 256;

/// A tag lives at least this much longer than the entries that carry it.
const MARGIN: Duration = Duration::from_hours(1);

/// The tags of one cache.
pub(super) struct Tags {
    store: Arc<dyn CacheStore>,
    clock: Arc<dyn Clock>,
    prefix: StoreKey,
    counter: StoreKey,
    max_staleness: Duration,
    table: Table<Generation, Result<Option<Generation>>>,
    changes: AtomicU64,
}

#[derive(Debug, Clone)]
pub(super) struct Generation {
    number: u64,
    expires_at: Option<Moment>,
    mark: Option<Mark>,
}

impl Weigh for Generation {
    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// Whether tags are those that an entry carries, and what tells of their next change.
pub(super) struct Verdict {
    pub(super) is_valid: bool,
    /// Empty if one of them is not watched.
    pub(super) marks: Vec<Mark>,
}

impl Tags {
    pub(super) fn new(
        store: Arc<dyn CacheStore>,
        clock: Arc<dyn Clock>,
        prefix: StoreKey,
        counter: StoreKey,
        max_staleness: Duration,
    ) -> Arc<Self> {
        let tags = Arc::new(Self {
            store,
            clock,
            prefix,
            counter,
            max_staleness,
            table: Table::new(TABLE_BYTES, TYPICAL_BYTES),
            changes: AtomicU64::new(0),
        });
        let watchers = tags.store.watchers();
        watchers.register(tags.prefix.as_str(), Arc::downgrade(&tags) as _);
        watchers.register(tags.counter.as_str(), Arc::downgrade(&tags) as _);
        tags
    }

    /// Rises whenever a tag may have changed: what was valid at one number is so while it stands,
    /// and a read that began at one is not handed to who asks at another.
    #[inline]
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Whether all tags still have the generations that an entry carries; with marks if it may stay
    /// in the process.
    pub(super) async fn judge(&self, carried: &[Tagged], with_marks: bool) -> Result<Verdict> {
        let mut verdict = Verdict {
            is_valid: true,
            marks: Vec::new(),
        };
        let mut all_watched = with_marks;
        for Tagged { tag, generation } in carried {
            let current = self.current(tag).await?;
            let Some(current) = current.filter(|current| current.number == *generation) else {
                verdict.is_valid = false;
                return Ok(verdict);
            };
            match current.mark.filter(|_| with_marks) {
                Some(mark) if verdict.marks.iter().any(|known| known.is_same(&mark)) => {}
                Some(mark) => verdict.marks.push(mark),
                None => all_watched = false,
            }
        }
        if !all_watched {
            verdict.marks.clear();
        }
        Ok(verdict)
    }

    /// The number that a load which starts now must not be overtaken by.
    pub(super) async fn watermark(&self) -> Result<u64> {
        match self.current(WATERMARK).await? {
            Some(known) => Ok(known.number),
            None => self.store.watermark(&self.counter).await,
        }
    }

    /// The tags with their generations, for an entry that is kept for `kept` and whose load began
    /// at `watermark`; `None` when one has been invalidated since, or may have been.
    pub(super) async fn stamp(
        &self,
        tags: impl IntoIterator<Item = Box<str>>,
        watermark: u64,
        kept: Duration,
    ) -> Result<Option<Box<[Tagged]>>> {
        let stamping = tags.into_iter().map(async |tag| {
            let generation = self.generation(&tag, watermark, kept).await?;
            Ok(generation.map(|generation| Tagged { tag, generation }))
        });
        let stamped = try_join_all(stamping).await?;
        Ok(stamped.into_iter().collect())
    }

    async fn generation(&self, tag: &str, watermark: u64, kept: Duration) -> Result<Option<u64>> {
        let lives_until = self.clock.now().after(kept.saturating_add(MARGIN / 2));
        match self.current(tag).await? {
            Some(known) if known.number > watermark => return Ok(None),
            Some(known) if known.expires_at.is_none_or(|end| end >= lives_until) => {
                return Ok(Some(known.number));
            }
            Some(_) | None => {}
        }
        let ttl = store_ttl(kept.saturating_mul(2).saturating_add(MARGIN))?;
        let made = self
            .store
            .create_tag(&self.counter, &self.key(tag), watermark, ttl)
            .await?;
        Ok(made.filter(|number| *number <= watermark))
    }

    /// What makes every entry invalid that carries the tag and whose load began before.
    pub(super) fn owed(&self, tag: &str) -> Owed {
        Owed::Tag {
            counter: self.counter.clone(),
            tag: self.key(tag),
        }
    }

    /// Sees to it that the tags of an entry live as long as one that is kept for `kept` from now on.
    pub(super) async fn prolong(&self, tags: &[Tagged], kept: Duration) -> Result<()> {
        let prolonging = tags
            .iter()
            .map(|tagged| self.generation(&tagged.tag, tagged.generation, kept));
        try_join_all(prolonging).await.map(drop)
    }

    fn key(&self, tag: &str) -> StoreKey {
        self.prefix.below(tag)
    }

    /// A number by its name in the table, as the store has it or had it within the bound.
    async fn current(&self, name: &str) -> Result<Option<Generation>> {
        let now = self.clock.coarse();
        let bound = self.max_staleness.saturating_sub(TIMER_LAG);
        if let Some(known) = self.table.peek(name)
            && known.expires_at.is_none_or(|end| now < end)
            && known.mark.as_ref().is_some_and(|m| m.holds(now, bound))
        {
            return Ok(Some(known));
        }
        loop {
            match self.table.board(name, 0) {
                Boarding::Pilot(landing) => {
                    let outcome = self.read(name).await;
                    let keep = outcome.as_ref().ok().cloned().flatten();
                    landing.land(keep.filter(|read| read.mark.is_some()), outcome.clone());
                    return outcome;
                }
                Boarding::Passenger(outcome) => match wait(outcome, &*self.clock).await {
                    Wait::Landed(outcome) => return outcome,
                    Wait::GivenUp => {}
                    Wait::TooLong => return self.read(name).await,
                },
            }
        }
    }

    async fn read(&self, name: &str) -> Result<Option<Generation>> {
        let sent = self.clock.now();
        let Sighting { stored, mark } = if name == WATERMARK {
            self.store.sight(&self.counter).await?
        } else {
            self.store.sight(&self.key(name)).await?
        };
        let Some(stored) = stored else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&stored.bytes).ok();
        let number = text
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, "a tag's generation is not a number"))?;
        Ok(Some(Generation {
            number,
            expires_at: stored.ttl_left.map(|left| sent.after(left)),
            mark,
        }))
    }

    /// Of a complete key, what the table knows it by.
    fn name_of<'a>(&self, key: &'a str) -> Option<&'a str> {
        if key == self.counter.as_str() {
            Some(WATERMARK)
        } else {
            key.strip_prefix(self.prefix.as_str())
        }
    }

    fn note_change(&self, name: &str) {
        // The watermark alone makes nothing invalid.
        if name != WATERMARK {
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Watcher for Tags {
    fn changed(&self, key: &str) {
        if let Some(name) = self.name_of(key) {
            self.table.invalidate(name);
            if name != WATERMARK {
                // It advances with each tag; where changes are announced, only the tag is named.
                self.table.invalidate(WATERMARK);
            }
            self.note_change(name);
        }
    }

    /// No tag is known to have changed: entries learn of the interruption by their own marks.
    fn flushed(&self) {
        self.table.ground();
    }

    fn fence(&self, key: &str) {
        if let Some(name) = self.name_of(key) {
            self.table.fence(name);
            self.note_change(name);
        }
    }

    fn unfence(&self, key: &str) {
        if let Some(name) = self.name_of(key) {
            self.table.unfence(name);
            self.note_change(name);
        }
    }
}
