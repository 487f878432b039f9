//! The scripts of rate limits: each algorithm by itself, and all together for calls that need several.

use std::sync::LazyLock;

use crate::backend::redis::script::Script;
use crate::backend::{Demand, Rule};

const CLOCK: &str = include_str!("../lua/limit_clock.lua");
const TAKE: &str = include_str!("../lua/limit_take.lua");
const REFUND: &str = include_str!("../lua/limit_refund.lua");

const WINDOW: &str = include_str!("../lua/limit_window.lua");
const GCRA: &str = include_str!("../lua/limit_gcra.lua");
const FIXED: &str = include_str!("../lua/limit_fixed.lua");
const EXACT: &str = include_str!("../lua/limit_exact.lua");
const CONCURRENT: &str = include_str!("../lua/limit_concurrent.lua");

/// What some algorithms decide by.
pub(super) struct LimitScripts {
    pub(super) take: Script,
    pub(super) refund: Script,
}

impl LimitScripts {
    fn new(names: [&'static str; 2], algorithms: &[&str]) -> Self {
        let script = |name, last| {
            let parts = [&[CLOCK], algorithms, &[last]].concat();
            Script::assembled(name, &parts)
        };
        let [take, refund] = names;
        Self {
            take: script(take, TAKE),
            refund: script(refund, REFUND),
        }
    }

    /// Those that know the algorithms of these demands: not more, since functions cost time even where
    /// they are not called.
    pub(super) fn of(demands: &[Demand]) -> &'static Self {
        let kinds = demands.iter().map(|demand| word(&demand.rule));
        let mut kinds: Vec<_> = kinds.collect();
        kinds.dedup();
        match kinds.as_slice() {
            ["window"] => &WINDOWS,
            ["gcra"] => &BUCKETS,
            ["fixed"] => &CALENDARS,
            ["exact"] => &LOGS,
            ["concurrent"] => &PERMITS,
            _ => &ALL,
        }
    }
}

/// What scripts call the algorithm of a rule.
pub(super) fn word(rule: &Rule) -> &'static str {
    match rule {
        Rule::Window(_) => "window",
        Rule::Gcra(_) => "gcra",
        Rule::Fixed(_) => "fixed",
        Rule::Exact(_) => "exact",
        Rule::Concurrent(_) => "concurrent",
    }
}

macro_rules! scripts {
    ($($constant:ident = $names:expr, $algorithms:expr;)+) => {
        $(static $constant: LazyLock<LimitScripts> =
            LazyLock::new(|| LimitScripts::new($names, &$algorithms));)+
    };
}

scripts! {
    WINDOWS = ["limit_take of window", "limit_refund of window"], [WINDOW];
    BUCKETS = ["limit_take of gcra", "limit_refund of gcra"], [GCRA];
    CALENDARS = ["limit_take of fixed", "limit_refund of fixed"], [FIXED];
    LOGS = ["limit_take of exact", "limit_refund of exact"], [EXACT];
    PERMITS = ["limit_take of concurrent", "limit_refund of concurrent"], [CONCURRENT];
    ALL = ["limit_take", "limit_refund"], [WINDOW, GCRA, FIXED, EXACT, CONCURRENT];
}
