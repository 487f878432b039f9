//! The peers, in the order of the tables; the last is what the others are compared to.

use std::path::{Path, PathBuf};

use crate::Outcome;

/// One way to start one library.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// How many processes of it can share what they cache.
    pub(crate) processes: usize,
    pub(crate) program: Program,
}

/// What a peer is written in.
#[derive(Clone, Copy)]
pub(crate) enum Program {
    /// This program, as the named library.
    Rust(&'static str),
    /// This program, as the named server whose requests have sessions.
    App(&'static str),
    /// A script of bench/peers, with further arguments.
    Script(Language, &'static str, &'static [&'static str]),
}

#[derive(Clone, Copy)]
pub(crate) enum Language {
    JavaScript,
    Python,
}

const SHARED: usize = 2;
const ALONE: usize = 1;

/// Peers for get-or-load with mostly hits.
pub(crate) fn for_rounds(with_scripts: bool) -> Vec<Peer> {
    peers(
        with_scripts,
        script("cashews", Language::Python, "cashews_peer.py", &[]),
    )
}

/// Peers for one cold key that everybody wants: where a library has an option against that, it is
/// on.
pub(crate) fn for_stampedes(with_scripts: bool) -> Vec<Peer> {
    let cashews = script(
        "cashews lock=True",
        Language::Python,
        "cashews_peer.py",
        &["lock"],
    );
    peers(with_scripts, cashews)
}

/// Lock libraries in other languages.
pub(crate) fn for_locks(with_scripts: bool) -> Vec<Peer> {
    let javascript = Language::JavaScript;
    let peers = [
        script("redlock (npm)", javascript, "redlock_peer.mjs", &[]),
        script(
            "python-redis-lock",
            Language::Python,
            "redis_lock_peer.py",
            &[],
        ),
    ];
    peers.into_iter().filter(|_| with_scripts).collect()
}

/// Rate limit libraries in other languages.
pub(crate) fn for_limits(with_scripts: bool) -> Vec<Peer> {
    let (javascript, python) = (Language::JavaScript, Language::Python);
    let peers = [
        script(
            "rate-limiter-flexible (npm)",
            javascript,
            "rate_limiter_flexible_peer.mjs",
            &[],
        ),
        script("limits (PyPI)", python, "limits_peer.py", &[]),
    ];
    peers.into_iter().filter(|_| with_scripts).collect()
}

/// Servers that read a request's session, each in a way of its own, and such as only read a value.
pub(crate) fn for_requests(with_scripts: bool) -> Vec<Peer> {
    let mut peers = vec![
        app("mainstay", "mainstay"),
        app("tower-sessions", "tower-sessions"),
        app("tower-sessions, always_save", "tower-sessions-saving"),
        app("axum_session (in process)", "axum-session"),
        app("axum_session, no memory", "axum-session-unremembered"),
    ];
    peers.extend(express_session().filter(|_| with_scripts));
    peers.extend([
        app("no session, no Redis", "constant"),
        app("raw link GET", "raw-link"),
        app("redis-rs GET", "redis-rs"),
    ]);
    peers
}

/// Servers that keep sessions, and one that keeps a plain value.
pub(crate) fn for_log_ins(with_scripts: bool) -> Vec<Peer> {
    let mut peers = vec![
        app("mainstay", "mainstay"),
        app("tower-sessions", "tower-sessions"),
        app("axum_session", "axum-session"),
    ];
    peers.extend(express_session().filter(|_| with_scripts));
    peers.push(app("redis-rs SET", "redis-rs"));
    peers
}

fn express_session() -> impl Iterator<Item = Peer> {
    let file = "express_session_peer.mjs";
    std::iter::once(script(
        "express-session (npm)",
        Language::JavaScript,
        file,
        &[],
    ))
}

fn app(name: &'static str, server: &'static str) -> Peer {
    Peer {
        name,
        processes: ALONE,
        program: Program::App(server),
    }
}

fn peers(with_scripts: bool, cashews: Peer) -> Vec<Peer> {
    let mut peers = Vec::new();
    peers.push(rust("mainstay near", "mainstay-near", SHARED));
    peers.extend([
        rust("mainstay", "mainstay", SHARED),
        rust("cached, client cache", "cached-near", SHARED),
        rust("cached", "cached", SHARED),
        rust("moka (in process only)", "moka", ALONE),
        rust("foyer (in process only)", "foyer", ALONE),
    ]);
    if with_scripts {
        let language = Language::JavaScript;
        peers.push(script("bentocache", language, "bentocache_peer.mjs", &[]));
        peers.push(cashews);
    }
    peers.push(rust("by hand: GET, load, SET", "by-hand", SHARED));
    peers
}

fn rust(name: &'static str, library: &'static str, processes: usize) -> Peer {
    Peer {
        name,
        processes,
        program: Program::Rust(library),
    }
}

fn script(
    name: &'static str,
    language: Language,
    file: &'static str,
    arguments: &'static [&'static str],
) -> Peer {
    Peer {
        name,
        processes: SHARED,
        program: Program::Script(language, file, arguments),
    }
}

impl Language {
    /// Where `cargo xtask bench` has put the interpreter, and the scripts with what they import.
    pub(super) fn installed(self) -> Outcome<(PathBuf, PathBuf)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-peers");
        let (interpreter, scripts) = match self {
            Self::JavaScript => ("node".into(), root.join("node")),
            Self::Python => (root.join("python/bin/python"), root.join("python")),
        };
        if !scripts.is_dir() {
            return Err(
                "peers are not installed: run cargo xtask bench, which installs them, or \
                        leave them out by --without-peers"
                    .into(),
            );
        }
        Ok((interpreter, scripts))
    }
}
