//! The entries of one cache in its store, and how they are read.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use metrics::SharedString;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::counters::{Count, Counters};
use super::entries::{Entries, Found, Nothing, Read};
use super::envelope::{Envelope, Header, Identity, identity, outlives_its_ttl};
use super::near::Near;
use super::policy::{Layout, Policy};
use super::resident::{Resident, Times};
use super::table::{Boarding, Wait, wait};
use super::tags::Tags;
use crate::backend::unpoisoned::lock;
use crate::backend::{CacheStore, Debts, Mark, Stored};
use crate::clock::{Clock, Moment, TIMER_LAG};
use crate::codec::{self, Codec};
use crate::error::{ErrorKind, Result};
use crate::key::{Keyspace, Name, StoreKey};

/// How far tags may lag for a cache that keeps nothing else in the process.
const TAGS_LAG: Near = Near::new(0);

/// What a cache and its loads share.
pub(super) struct Section<T> {
    pub(super) name: Name,
    prefix: StoreKey,
    pub(super) sums: StoreKey,
    pub(super) store: Arc<dyn CacheStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) codec: Box<dyn Codec<T>>,
    pub(super) policy: Policy<T>,
    pub(super) entries: Arc<Entries<T>>,
    /// None in a plain layout.
    pub(super) tags: Option<Arc<Tags>>,
    pub(super) counters: Counters,
    pub(super) debts: Arc<Debts>,
    /// What goes on beside the calls; ends with this.
    pub(super) chores: Mutex<JoinSet<()>>,
    pub(super) reporting: OnceLock<()>,
    pub(super) checks: Arc<Semaphore>,
}

/// What a cache is made of.
pub(super) struct Parts<T> {
    pub(super) name: Name,
    pub(super) keyspace: Keyspace,
    pub(super) store: Arc<dyn CacheStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) codec: Box<dyn Codec<T>>,
    pub(super) policy: Policy<T>,
    pub(super) near: Option<Near>,
}

impl<T: Clone + Send + Sync + 'static> Section<T> {
    pub(super) fn new(parts: Parts<T>) -> Self {
        let Parts {
            name,
            keyspace,
            store,
            clock,
            codec,
            policy,
            near,
        } = parts;
        let prefix = match &policy.layout {
            Layout::Sealed => keyspace.cache_prefix(&name),
            Layout::Plain(prefix) => keyspace.plain_prefix(prefix),
        };
        let entries = Arc::new(Entries::new(prefix.clone(), near));
        let watchers = store.watchers();
        watchers.register(prefix.as_str(), Arc::downgrade(&entries) as _);
        let debts = watchers.debts.of(prefix.as_str());
        let tags = (policy.layout == Layout::Sealed).then(|| {
            Tags::new(
                Arc::clone(&store),
                Arc::clone(&clock),
                keyspace.tag_prefix(&name),
                keyspace.watermark(&name),
                near.unwrap_or(TAGS_LAG).max_staleness,
            )
        });
        Self {
            counters: Counters::new(&SharedString::from_shared(name.as_str().into())),
            sums: keyspace.cache_counters(&name),
            prefix,
            name,
            store,
            clock,
            codec,
            policy,
            entries,
            tags,
            debts,
            chores: Mutex::default(),
            reporting: OnceLock::new(),
            checks: Self::check_permits(),
        }
    }

    pub(super) fn key(&self, text: &str) -> StoreKey {
        self.prefix.below(text)
    }

    pub(super) fn tag_changes(&self) -> u64 {
        self.tags.as_ref().map_or(0, |tags| tags.changes())
    }

    /// What the process holds and may serve without asking, with the time of this look.
    #[inline]
    pub(super) fn near(&self, text: &str) -> Option<(Arc<Resident<T>>, Moment)> {
        let values = self.entries.values.as_ref()?;
        let resident = values.peek(text)?;
        let mut now = self.clock.coarse();
        let bound = self.entries.near.as_ref()?.bound();
        if now.after(TIMER_LAG) >= resident.times().fresh_until {
            // A clock that may be late does not say whether it is over.
            now = self.clock.now();
        }
        (resident.is_coherent(now, bound)
            && now < resident.times().expires_at
            && resident.has_valid_tags(self.tag_changes()))
        .then_some((resident, now))
    }

    /// What the process holds, whether or not it is still true.
    pub(super) fn leftover(&self, text: &str) -> Option<Arc<Resident<T>>> {
        self.entries.values.as_ref()?.peek(text)
    }

    /// What stands under the key, kept in the process where that is allowed.
    pub(super) async fn read(&self, text: &str) -> Read<T> {
        let key = self.key(text);
        loop {
            self.settle(&key).await?;
            let Some(values) = &self.entries.values else {
                return self.fetch(&key).await;
            };
            if let Some(found) = self.confirm_tags(text, &key).await? {
                return Ok(Found::Entry(found));
            }
            match values.board(text, self.tag_changes()) {
                Boarding::Pilot(landing) => {
                    let read = self.fetch(&key).await;
                    landing.land(self.to_keep(&key, &read), read.clone());
                    return read;
                }
                Boarding::Passenger(outcome) => match wait(outcome, &*self.clock).await {
                    Wait::Landed(read) => return read,
                    Wait::GivenUp => {}
                    Wait::TooLong => return self.fetch(&key).await,
                },
            }
        }
    }

    /// What a read has found that may stay in the process: not if its invalidation is owed.
    pub(super) fn to_keep(&self, key: &StoreKey, read: &Read<T>) -> Option<Arc<Resident<T>>> {
        match read {
            Ok(Found::Entry(resident)) if resident.is_watched() && !self.debts.concerns(key) => {
                Some(Arc::clone(resident))
            }
            Ok(_) | Err(_) => None,
        }
    }

    /// What the process holds, if nothing but a tag has changed and it is not one of its own.
    async fn confirm_tags(&self, text: &str, key: &StoreKey) -> Result<Option<Arc<Resident<T>>>> {
        let now = self.clock.now();
        let (Some(resident), Some(tags)) = (self.with_current_mark(text, now), &self.tags) else {
            return Ok(None);
        };
        let changes = tags.changes();
        let verdict = tags.judge(&resident.tags, true).await?;
        if !verdict.is_valid || verdict.marks.is_empty() || self.debts.concerns(key) {
            return Ok(None);
        }
        resident.validate_tags(changes);
        // Another change since the first look would have taken it away.
        Ok(self.near(text).map(|(resident, _)| resident))
    }

    /// What the process holds and may be good, but for its tags.
    pub(super) fn with_current_mark(&self, text: &str, now: Moment) -> Option<Arc<Resident<T>>> {
        let max_staleness = self.entries.near.as_ref()?.max_staleness;
        self.leftover(text).filter(|resident| {
            resident.is_coherent(now, max_staleness) && now < resident.times().expires_at
        })
    }

    /// What stands under the key with its times, read for this caller alone.
    pub(super) async fn inspect(&self, text: &str) -> Read<T> {
        let key = self.key(text);
        self.settle(&key).await?;
        let changes = self.tag_changes();
        let sent = self.clock.now();
        match self.store.inspect(&key).await? {
            Some(stored) => self.open(&stored, None, sent, changes).await,
            None => Ok(Found::Nothing(Nothing::default())),
        }
    }

    async fn fetch(&self, key: &StoreKey) -> Read<T> {
        let changes = self.tag_changes();
        let sent = self.clock.now();
        let (stored, mark) = if self.entries.values.is_some() {
            let sighting = self.store.sight(key).await?;
            (sighting.stored, sighting.mark)
        } else {
            (self.look(key).await?, None)
        };
        match stored {
            Some(stored) => self.open(&stored, mark, sent, changes).await,
            None => Ok(Found::Nothing(Nothing::default())),
        }
    }

    /// Reads bytes, with their age where that decides what they are good for.
    async fn look(&self, key: &StoreKey) -> Result<Option<Stored>> {
        if self.policy.needs_age() {
            return self.store.inspect(key).await;
        }
        match self.store.get(key).await {
            // Another process of this cache serves stale entries, and so keeps them for longer.
            Ok(Some(bytes)) if self.is_sealed() && outlives_its_ttl(&bytes) => {
                self.store.inspect(key).await
            }
            Ok(bytes) => Ok(bytes.map(|bytes| Stored {
                bytes,
                ttl_left: None,
            })),
            // Another type than a string is nothing that this cache can use.
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Of bytes that were read, enough to know them again.
    pub(super) fn identity(&self, bytes: &Bytes) -> Bytes {
        identity(bytes, self.is_sealed())
    }

    fn is_sealed(&self) -> bool {
        self.policy.layout == Layout::Sealed
    }

    /// Makes sense of bytes that were read at `sent`, when that many tag changes were known.
    pub(super) async fn open(
        &self,
        stored: &Stored,
        mark: Option<Mark>,
        sent: Moment,
        changes: u64,
    ) -> Read<T> {
        let nothing = |is_newer| {
            Ok(Found::Nothing(Nothing {
                seen: self.identity(&stored.bytes),
                is_newer,
            }))
        };
        let seen = |mark: Option<&Mark>| match mark {
            // What stays in the process does not keep all of the bytes.
            Some(_) => Identity::Known(Bytes::copy_from_slice(&self.identity(&stored.bytes))),
            None if self.is_sealed() => Identity::Known(self.identity(&stored.bytes)),
            None => Identity::Of(stored.bytes.clone()),
        };
        if let Layout::Plain(_) = self.policy.layout {
            return match self.decode(&stored.bytes) {
                Some(value) => {
                    let header = self.plain_header(stored);
                    let times = Times::new(&self.policy, &header, sent, stored.ttl_left);
                    let seen = seen(mark.as_ref());
                    let bytes = stored.bytes.len();
                    let resident = Resident::new(Some(value), seen, Box::default(), times, bytes);
                    Ok(Self::vouch(resident, mark, Vec::new(), 0))
                }
                None => nothing(false),
            };
        }
        let Some(Envelope { header, payload }) = Envelope::open(&stored.bytes) else {
            self.note_undecodable("it is no whole entry");
            return nothing(false);
        };
        if header.schema != self.policy.schema {
            return nothing(header.schema > self.policy.schema);
        }
        let mut tag_marks = Vec::new();
        if let Some(tags) = &self.tags {
            let verdict = tags.judge(&header.tags, mark.is_some()).await?;
            if !verdict.is_valid {
                return nothing(false);
            }
            tag_marks = verdict.marks;
        }
        let value = if header.negative {
            None
        } else {
            let value = codec::can_read(self.codec.id(), header.codec)
                .then(|| self.decode(&payload))
                .flatten();
            match value {
                Some(value) => Some(value),
                None => return nothing(header.codec > self.codec.id()),
            }
        };
        let times = Times::new(&self.policy, &header, sent, stored.ttl_left);
        let seen = seen(mark.as_ref());
        let unwatched_tags = tag_marks.is_empty() && !header.tags.is_empty();
        let resident = Resident::new(value, seen, header.tags, times, payload.len());
        let mark = mark.filter(|_| !unwatched_tags);
        Ok(Self::vouch(resident, mark, tag_marks, changes))
    }

    fn vouch(
        resident: Resident<T>,
        mark: Option<Mark>,
        mut marks: Vec<Mark>,
        changes: u64,
    ) -> Found<T> {
        let resident = match mark {
            Some(mark) => {
                if !marks.iter().any(|known| known.is_same(&mark)) {
                    marks.push(mark);
                }
                resident.vouched(marks, changes)
            }
            None => resident,
        };
        Found::Entry(Arc::new(resident))
    }

    /// What an entry without a header is taken for.
    fn plain_header(&self, stored: &Stored) -> Header {
        let ttl = stored.ttl_left.unwrap_or(self.policy.ttl);
        Header {
            negative: false,
            stale: false,
            schema: 0,
            codec: self.codec.id(),
            ttl,
            kept: ttl,
            load_time: Duration::ZERO,
            tags: Box::default(),
        }
    }

    /// The value in `bytes`; `None`, counted and logged, for bytes of another shape.
    fn decode(&self, bytes: &Bytes) -> Option<T> {
        match self.codec.decode(bytes) {
            Ok(value) => Some(value),
            Err(error) => {
                self.note_undecodable(&error.to_string());
                None
            }
        }
    }

    fn note_undecodable(&self, why: &str) {
        tracing::debug!(cache = %self.name, why, "entry does not decode: a miss");
        self.counters.add(Count::Undecodable);
    }

    /// Runs a chore that ends with the cache.
    pub(super) fn start_chore(&self, chore: impl Future<Output = ()> + Send + 'static) {
        let mut chores = lock(&self.chores);
        while chores.try_join_next().is_some() {}
        chores.spawn(chore);
    }
}
