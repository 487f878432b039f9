//! The scripts: one table, each with the digest that `EVALSHA` takes.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sha1::{Digest, Sha1};

/// What the scripts that change a cache entry start with.
const CHANGED: &str = include_str!("lua/cache_changed.lua");

/// What the scripts that look at a lock's queue start with.
const QUEUE: &str = include_str!("lua/lock_queue.lua");

const CHANGES: [&str; 6] = [
    "put",
    "fill",
    "forfeit",
    "remove",
    "expire",
    "tag_invalidate",
];

/// One Lua script of `lua/`.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) source: String,
    pub(crate) digest: String,
}

impl Script {
    fn new(name: &'static str, source: &str) -> Self {
        let source = match (name, name.strip_prefix("cache_")) {
            ("lock_acquire" | "lock_release", _) => format!("{QUEUE}{source}"),
            (_, Some(change)) if CHANGES.contains(&change) => format!("{CHANGED}{source}"),
            _ => source.to_owned(),
        };
        let mut digest = String::with_capacity(40);
        for byte in Sha1::digest(source.as_bytes()) {
            write!(digest, "{byte:02x}").expect("invariant: a String takes text");
        }
        Self {
            name,
            source,
            digest,
        }
    }
}

macro_rules! scripts {
    ($($constant:ident = $file:literal),+ $(,)?) => {
        $(pub(crate) static $constant: LazyLock<Script> = LazyLock::new(|| {
            Script::new($file, include_str!(concat!("lua/", $file, ".lua")))
        });)+
    };
}

scripts! {
    CACHE_ACQUIRE = "cache_acquire",
    CACHE_COUNT = "cache_count",
    CACHE_EXPIRE = "cache_expire",
    CACHE_FILL = "cache_fill",
    CACHE_FORFEIT = "cache_forfeit",
    CACHE_INSPECT = "cache_inspect",
    CACHE_PUT = "cache_put",
    CACHE_REMOVE = "cache_remove",
    CACHE_RENEW = "cache_renew",
    CACHE_TAG_CREATE = "cache_tag_create",
    CACHE_TAG_INVALIDATE = "cache_tag_invalidate",
    CACHE_TOUCH = "cache_touch",
    CACHE_WATERMARK = "cache_watermark",
    LIMIT_WINDOW = "limit_window",
    LOCK_ACQUIRE = "lock_acquire",
    LOCK_RENEW = "lock_renew",
    LOCK_RELEASE = "lock_release",
    SESSION_CREATE = "session_create",
    SESSION_LOAD = "session_load",
    SESSION_REVOKE = "session_revoke",
    SESSION_REVOKE_ALL = "session_revoke_all",
    SESSION_INDEX = "session_index",
}
