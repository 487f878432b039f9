//! The scripts: one table, each with the digest that `EVALSHA` takes.

use std::sync::LazyLock;

use crate::backend::digest::sha1_hex;

/// What several scripts start with, and which.
const PRELUDES: [(&str, &[&str]); 8] = [
    (
        include_str!("lua/cache_changed.lua"),
        &[
            "cache_put",
            "cache_fill",
            "cache_forfeit",
            "cache_remove",
            "cache_expire",
            "cache_tag_invalidate",
        ],
    ),
    (
        include_str!("lua/cache_seen.lua"),
        &["cache_acquire", "cache_fill", "cache_touch"],
    ),
    (
        include_str!("lua/history_sweep.lua"),
        &["history_append", "history_read"],
    ),
    (
        include_str!("lua/lock_queue.lua"),
        &[
            "lock_acquire",
            "lock_break",
            "lock_inspect",
            "lock_release",
            "share_acquire",
            "share_break",
            "share_inspect",
            "share_release",
            "share_renew",
        ],
    ),
    (
        include_str!("lua/lock_seen.lua"),
        &["lock_inspect", "share_inspect"],
    ),
    (
        include_str!("lua/queue_state.lua"),
        &[
            "queue_dead",
            "queue_purge",
            "queue_push",
            "queue_renew",
            "queue_replay",
            "queue_seen",
            "queue_settle",
            "queue_take",
        ],
    ),
    (
        include_str!("lua/session_state.lua"),
        &[
            "session_create",
            "session_revoke",
            "session_revoke_others",
            "session_rotate",
            "session_save",
            "session_touch",
        ],
    ),
    (
        include_str!("lua/share_held.lua"),
        &[
            "share_acquire",
            "share_break",
            "share_inspect",
            "share_release",
        ],
    ),
];

/// A line of a script that its prelude takes the place of; without one it comes first.
const HERE: &str = "-- PRELUDE\n";

/// One Lua script of `lua/`.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(crate) source: String,
    pub(crate) digest: String,
}

impl Script {
    fn new(name: &'static str, source: &str) -> Self {
        let preludes = PRELUDES
            .iter()
            .filter(|(_, scripts)| scripts.contains(&name));
        let prelude: String = preludes.map(|(prelude, _)| *prelude).collect();
        // Functions cost time even where they are not called.
        let source = match source.split_once(HERE) {
            Some((short_cut, rest)) => [short_cut, &prelude, rest].concat(),
            None => [&prelude, source].concat(),
        };
        Self::whole(name, source)
    }

    /// A script of several files.
    pub(crate) fn assembled(name: &'static str, parts: &[&str]) -> Self {
        Self::whole(name, parts.concat())
    }

    fn whole(name: &'static str, source: String) -> Self {
        Self {
            name,
            digest: sha1_hex(source.as_bytes()),
            source,
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
    FENCED_SET = "fenced_set",
    HISTORY_APPEND = "history_append",
    HISTORY_READ = "history_read",
    LATCH_ARRIVE = "latch_arrive",
    LOCK_ACQUIRE = "lock_acquire",
    LOCK_BREAK = "lock_break",
    LOCK_INSPECT = "lock_inspect",
    LOCK_RENEW = "lock_renew",
    LOCK_RELEASE = "lock_release",
    PLAIN_SESSION_LIST = "plain_session_list",
    QUEUE_DEAD = "queue_dead",
    QUEUE_PURGE = "queue_purge",
    QUEUE_PUSH = "queue_push",
    QUEUE_RENEW = "queue_renew",
    QUEUE_REPLAY = "queue_replay",
    QUEUE_SEEN = "queue_seen",
    QUEUE_SETTLE = "queue_settle",
    QUEUE_TAKE = "queue_take",
    SESSION_CREATE = "session_create",
    SESSION_FORGET = "session_forget",
    SESSION_INDEX = "session_index",
    SESSION_LINES = "session_lines",
    SESSION_REVOKE = "session_revoke",
    SESSION_REVOKE_ALL = "session_revoke_all",
    SESSION_REVOKE_OTHERS = "session_revoke_others",
    SESSION_ROTATE = "session_rotate",
    SESSION_SAVE = "session_save",
    SESSION_TOUCH = "session_touch",
    SHARE_ACQUIRE = "share_acquire",
    SHARE_BREAK = "share_break",
    SHARE_INSPECT = "share_inspect",
    SHARE_RELEASE = "share_release",
    SHARE_RENEW = "share_renew",
}
