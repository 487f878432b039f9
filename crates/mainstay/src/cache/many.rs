//! Several keys at once: one round trip to read them, one call to load what is missing.

use std::collections::{HashMap, HashSet};
use std::error::Error as StdError;
use std::sync::Arc;

use futures_util::future::join_all;

use super::batch::{Batch, Seat};
use super::entries::{Found, Nothing, Read};
use super::handle::Cache;
use super::load::{Absence, Demand, Start, Store};
use super::obtain::seen;
use super::section::Section;
use super::table::Boarding;
use crate::error::{Error, ErrorKind, Result};
use crate::key::AsKey;

/// Keys of one call.
const MOST_KEYS: usize = 10_000;

impl<T: Clone + Send + Sync + 'static> Section<T> {
    /// What stands under each key: those that the process does not hold are read together.
    async fn read_many(&self, texts: &[&str]) -> Vec<Read<T>> {
        let Some(values) = &self.entries.values else {
            return join_all(texts.iter().map(|text| self.read(text))).await;
        };
        let mut reads: Vec<Option<Read<T>>> = texts.iter().map(|_| None).collect();
        let all: Vec<_> = texts.iter().map(|text| self.key(text)).collect();
        let settled = self.debts.settle(&self.store, &all).await;
        let changes = self.tag_changes();
        let sent = self.clock.now();
        let mut landings = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            // One that may still be good, or is being read already, is waited for below.
            if self.with_current_mark(text, sent).is_none()
                && let Boarding::Pilot(landing) = values.board(text, changes)
            {
                landings.push((index, landing));
            }
        }
        let boarded = landings.iter().filter_map(|(index, _)| all.get(*index));
        let keys: Vec<_> = boarded.cloned().collect();
        let sightings = match settled {
            Ok(()) => self.store.sight_many(&keys).await,
            Err(error) => Err(error),
        };
        let mut sightings = sightings.map(Vec::into_iter);
        // Together: tags that are not known are asked for in the same round trip.
        let landing = landings.into_iter().map(|(index, landing)| {
            let sighting = match &mut sightings {
                Ok(sightings) => Ok(sightings.next().map(|s| (s.stored, s.mark))),
                Err(error) => Err(error.clone()),
            };
            let key = all.get(index);
            async move {
                let read = match sighting {
                    Ok(Some((Some(stored), mark))) => self.open(&stored, mark, sent, changes).await,
                    Ok(Some((None, _)) | None) => Ok(Found::Nothing(Nothing::default())),
                    Err(error) => Err(error),
                };
                if let Some(key) = key {
                    landing.land(self.to_keep(key, &read), read.clone());
                }
                (index, read)
            }
        });
        for (index, read) in join_all(landing).await {
            if let Some(slot) = reads.get_mut(index) {
                *slot = Some(read);
            }
        }
        let rest = reads.into_iter().zip(texts).map(|(read, text)| async move {
            match read {
                Some(read) => read,
                None => self.read(text).await,
            }
        });
        join_all(rest).await
    }
}

impl<T: Clone + Send + Sync + 'static> Cache<T> {
    /// The values under several keys, in their order, as [`get`](Self::get) gives each; at most
    /// 10,000 keys. What the process does not hold is read in one round trip to each node.
    /// Cancel safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let cache = mainstay::Mainstay::memory().cache::<u8>("numbers").build()?;
    /// cache.set("one", &1).await?;
    /// assert_eq!(cache.get_many(&["one", "two"]).await?, [Some(1), None]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get), the first of any key.
    pub async fn get_many<K: AsKey + Sync>(&self, keys: &[K]) -> Result<Vec<Option<T>>> {
        let texts = texts(keys)?;
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let mut values: Vec<Option<T>> = vec![None; texts.len()];
        let mut absent = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match (self.0.near_hit(text), values.get_mut(index)) {
                (Some((resident, _)), Some(value)) => value.clone_from(&resident.value),
                _ => absent.push((index, *text)),
            }
        }
        if absent.is_empty() {
            return Ok(values);
        }
        self.section().report();
        let asked: Vec<&str> = absent.iter().map(|(_, text)| *text).collect();
        for ((index, text), read) in absent.iter().zip(self.section().read_many(&asked).await) {
            let found = self.0.if_fresh(text, &read?);
            if let (Some(resident), Some(value)) = (found, values.get_mut(*index)) {
                value.clone_from(&resident.value);
            }
        }
        Ok(values)
    }

    /// The values under several keys, in their order; those that are missing are loaded by as few
    /// calls of `load` as possible, and each as [`get_or_load`](Self::get_or_load) would.
    ///
    /// `load` gets keys that nobody else is loading, and returns their values in the same order. It
    /// is called once, and again only for keys that another process had under way and did not
    /// bring to an end. At most 10,000 keys; one that is given twice is loaded once. Cancel safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mainstay::Result<()> {
    /// let squares = mainstay::Mainstay::memory().cache::<u32>("squares").build()?;
    /// squares.set("2", &4).await?;
    /// let load = |keys: Vec<&'static str>| async move {
    ///     assert_eq!(keys, ["3", "4"], "only what is missing");
    ///     keys.iter().map(|key| key.parse().map(|number: u32| number * number)).collect()
    /// };
    /// let loaded = squares.get_or_load_many(&["2", "3", "4"], load).await?;
    /// assert_eq!(loaded, [4, 9, 16]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load), the first of any key;
    /// [`Loader`](crate::ErrorKind::Loader) as well when `load` gives another number of values
    /// than it got keys.
    pub async fn get_or_load_many<K, F, Fut, E>(&self, keys: &[K], load: F) -> Result<Vec<T>>
    where
        K: AsKey + Clone + Send + Sync + 'static,
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<T>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let texts = texts(keys)?;
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let mut values: HashMap<&str, T> = HashMap::new();
        let mut absent: Vec<(&str, &K)> = Vec::new();
        let mut known: HashSet<&str> = HashSet::new();
        for (text, key) in texts.iter().zip(keys) {
            if !known.insert(text) {
                continue;
            }
            match self.0.near_hit(text).and_then(|(hit, _)| hit.value.clone()) {
                Some(value) => drop(values.insert(text, value)),
                None => absent.push((text, key)),
            }
        }
        if !absent.is_empty() {
            self.section().report();
            let asked: Vec<&str> = absent.iter().map(|(text, _)| *text).collect();
            let reads = self.section().read_many(&asked).await;
            let mut missing = Vec::new();
            for ((text, key), read) in absent.into_iter().zip(reads) {
                match self.found_or_start(text, read) {
                    Ok(value) => drop(values.insert(text, value)),
                    Err(start) => missing.push((text, key, start)),
                }
            }
            self.load_many(missing, load, &mut values).await?;
        }
        let lost = || Error::new(ErrorKind::Loader, "a value was not loaded");
        texts
            .iter()
            .map(|text| values.get(text).cloned().ok_or_else(lost))
            .collect()
    }

    /// A value that was read, or how to load it.
    fn found_or_start(&self, text: &str, read: Read<T>) -> std::result::Result<T, Start<T>> {
        let found = match read {
            Ok(found) => found,
            Err(error) => return Err(self.0.without_store(&error)),
        };
        if let Some(value) = self.0.if_fresh(text, &found).and_then(|r| r.value.clone()) {
            return Ok(value);
        }
        Err(Start {
            nothing: match found {
                Found::Entry(resident) => seen(&resident),
                Found::Nothing(nothing) => nothing,
            },
            fallback: None,
            store: Store::Reachable,
            demand: Demand::Callers,
            absence: Absence::Miss,
            on_wait: None,
        })
    }

    async fn load_many<'a, K, F, Fut, E>(
        &self,
        missing: Vec<(&'a str, &K, Start<T>)>,
        load: F,
        values: &mut HashMap<&'a str, T>,
    ) -> Result<()>
    where
        K: Clone + Send + Sync + 'static,
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<T>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let batch = Batch::new(load, missing.len());
        let loading = missing.into_iter().map(|(text, key, start)| {
            let seat = Arc::new(Seat::new(Arc::clone(&batch), key.clone()));
            async move {
                let waiting = Arc::clone(&seat);
                let start = Start {
                    on_wait: Some(Box::new(move || waiting.leave())),
                    ..start
                };
                let loaded = self.0.load(text, start, move || seat.load()).await?;
                let known = loaded.value.ok_or_else(|| {
                    Error::new(ErrorKind::Loader, "it is known that there is no value")
                })?;
                Ok::<_, Error>((text, known))
            }
        });
        for loaded in join_all(loading).await {
            let (text, value) = loaded?;
            values.insert(text, value);
        }
        Ok(())
    }
}

/// The text of each key.
fn texts<K: AsKey>(keys: &[K]) -> Result<Vec<std::borrow::Cow<'_, str>>> {
    if keys.len() > MOST_KEYS {
        return Err(Error::invalid(format!(
            "more than {MOST_KEYS} keys in one call"
        )));
    }
    keys.iter().map(AsKey::key_text).collect()
}
