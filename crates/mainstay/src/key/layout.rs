//! The keys that mainstay writes: one place that knows their shape.
//!
//! A main key holds no braces, so Redis Cluster hashes all of it; a companion puts the whole
//! main key in its hash tag (`{lock:report}:f`) and so always shares its slot. Main keys look
//! exactly as the plain recipes write them (`lock:report`), which is why a service that follows
//! such a recipe excludes us and is excluded.

use std::fmt;

use super::{Key, Name, Namespace};
use crate::backend::{PlainLayout, UserKeys};

/// A complete key, as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreKey(Box<str>);

impl StoreKey {
    fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key below this prefix.
    pub(crate) fn below(&self, rest: &str) -> Self {
        let mut text = String::with_capacity(self.0.len() + rest.len());
        text.push_str(&self.0);
        text.push_str(rest);
        Self::new(text)
    }

    /// A second key in the same Cluster slot.
    ///
    /// Only a key without a hash tag of its own may have companions.
    #[cfg(feature = "redis")]
    pub(crate) fn companion(&self, suffix: &str) -> String {
        debug_assert!(!self.0.contains('{'), "invariant: one hash tag a key");
        format!("{{{}}}:{suffix}", self.0)
    }

    /// The companion as a key of its own.
    #[cfg(feature = "redis")]
    pub(crate) fn sibling(&self, suffix: &str) -> Self {
        Self::new(self.companion(suffix))
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Builds every [`StoreKey`] under one namespace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keyspace(Option<Namespace>);

impl Keyspace {
    pub(crate) fn new(namespace: Option<Namespace>) -> Self {
        Self(namespace)
    }

    fn key(&self, rest: fmt::Arguments<'_>) -> StoreKey {
        StoreKey::new(match &self.0 {
            Some(namespace) => format!("{}:{rest}", namespace.as_str()),
            None => rest.to_string(),
        })
    }

    #[cfg(test)]
    pub(crate) fn cache(&self, cache: &Name, key: &Key) -> StoreKey {
        self.cache_prefix(cache).below(key.as_str())
    }

    /// What the keys of a cache's entries start with.
    pub(crate) fn cache_prefix(&self, cache: &Name) -> StoreKey {
        self.key(format_args!("cache:{cache}:"))
    }

    /// What the keys of plain entries start with.
    pub(crate) fn plain_prefix(&self, prefix: &str) -> StoreKey {
        self.key(format_args!("{prefix}"))
    }

    /// What the keys of a cache's tags start with; the prefix itself is the tag of all entries.
    /// They share a slot with their counter: one script decides on both.
    pub(crate) fn tag_prefix(&self, cache: &Name) -> StoreKey {
        self.key(format_args!("tag:{{{cache}}}:"))
    }

    /// The number of the latest invalidation of a tag of a cache.
    pub(crate) fn watermark(&self, cache: &Name) -> StoreKey {
        self.key(format_args!("tags:{{{cache}}}"))
    }

    /// Sums over all processes that use a cache.
    pub(crate) fn cache_counters(&self, cache: &Name) -> StoreKey {
        self.key(format_args!("stats:cache:{cache}"))
    }

    /// Counter and channel of announced changes.
    #[cfg(feature = "redis")]
    pub(crate) fn changes(&self) -> StoreKey {
        self.key(format_args!("cache-changes"))
    }

    pub(crate) fn lock(&self, name: &Name) -> StoreKey {
        self.lock_prefix().below(name.as_str())
    }

    pub(crate) fn semaphore(&self, name: &Name) -> StoreKey {
        self.semaphore_prefix().below(name.as_str())
    }

    pub(crate) fn read_write_lock(&self, name: &Name) -> StoreKey {
        self.read_write_lock_prefix().below(name.as_str())
    }

    /// What the keys of locks start with.
    pub(crate) fn lock_prefix(&self) -> StoreKey {
        self.key(format_args!("lock:"))
    }

    /// What the keys of semaphores start with.
    pub(crate) fn semaphore_prefix(&self) -> StoreKey {
        self.key(format_args!("semaphore:"))
    }

    /// What the keys of read/write locks start with.
    pub(crate) fn read_write_lock_prefix(&self) -> StoreKey {
        self.key(format_args!("rwlock:"))
    }

    pub(crate) fn latch(&self, name: &Name) -> StoreKey {
        self.key(format_args!("latch:{name}"))
    }

    pub(crate) fn fenced(&self, name: &Name) -> StoreKey {
        self.key(format_args!("fenced:{name}"))
    }

    pub(crate) fn queue(&self, name: &Name) -> StoreKey {
        self.key(format_args!("queue:{name}"))
    }

    /// A channel carries its plain name, so that any client's `SUBSCRIBE name` hears it.
    pub(crate) fn channel(&self, name: &Name) -> StoreKey {
        self.key(format_args!("{name}"))
    }

    /// What was published on a channel that keeps it.
    pub(crate) fn history(&self, channel: &Name) -> StoreKey {
        self.key(format_args!("history:{channel}"))
    }

    /// All policies of one subject share a slot: one script decides on several.
    pub(crate) fn limit(&self, subject: &Key, policy: &Name) -> StoreKey {
        self.key(format_args!("rl:{{{subject}}}:{policy}"))
    }

    /// `tag` is derived from the user: all keys of one user share a slot.
    pub(crate) fn sessions(&self, tag: &str) -> UserKeys {
        UserKeys {
            records: self.joined(["session:{", tag, "}:"]),
            user: self.joined(["user:{", tag, "}"]),
            index: self.joined(["user:{", tag, "}:sessions"]),
        }
    }

    /// As [`key`](Self::key), at a fraction of the cost: for keys of every request.
    fn joined(&self, [start, tag, end]: [&str; 3]) -> StoreKey {
        StoreKey::new(match &self.0 {
            Some(namespace) => [namespace.as_str(), ":", start, tag, end].concat(),
            None => [start, tag, end].concat(),
        })
    }

    /// As the plain recipe has them: what follows is not escaped, and holds no braces.
    pub(crate) fn plain_sessions(&self) -> PlainLayout {
        PlainLayout {
            sessions: self.key(format_args!("session:")),
            users: self.key(format_args!("user:")),
        }
    }

    /// Names a slot for commands that touch no key.
    #[cfg(feature = "redis")]
    pub(crate) fn probe(&self) -> StoreKey {
        self.key(format_args!("probe"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_the_documented_one() -> crate::Result<()> {
        let plain = Keyspace::default();
        let spaced = Keyspace::new(Some(Namespace::new("plant")?));
        let report = Name::new("report")?;
        assert_eq!(plain.lock(&report).as_str(), "lock:report");
        assert_eq!(spaced.lock(&report).as_str(), "plant:lock:report");
        assert_eq!(spaced.queue(&report).as_str(), "plant:queue:report");
        assert_eq!(plain.channel(&report).as_str(), "report");
        let sessions = spaced.plain_sessions();
        assert_eq!(sessions.session("7-f").as_str(), "plant:session:7-f");
        assert_eq!(
            sessions.listing("a:sessions").as_str(),
            "plant:user:a:sessions:sessions"
        );
        assert_eq!(
            spaced.limit(&Key::new("ip:1")?, &report).as_str(),
            "plant:rl:{ip%3A1}:report"
        );
        assert_eq!(
            plain.cache(&report, &Key::new("a{b}")?).as_str(),
            "cache:report:a%7Bb%7D"
        );
        Ok(())
    }
}
