//! How much of the world a check includes.

use super::Guarantee;
use super::state::{Age, Key, Site, Version};

/// Bounds of one check, and what can happen within them.
///
/// Everything else is free: steps of different parts come in any order, and as often as they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    name: &'static str,
    /// How often the source is written, by either node; at most 2.
    pub(super) writes: Version,
    /// Whether the entry carries a tag, and writes invalidate that.
    pub(super) tags: bool,
    /// Whether time passes and the near cache keeps to its bound.
    pub(super) clock: bool,
    pub(super) ending: Ending,
    a: Ability,
    b: Ability,
}

/// How a connection may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// For both sides together.
    AtOnce,
    /// The server loses it before the node does.
    ServerFirst,
    /// The node may read on it though it has noticed its end.
    NoticedFirst,
}

/// What a node does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ability {
    /// Reads under way; 0 for a node without a near cache, whose reads change nothing.
    pub(super) flights: usize,
    pub(super) loads: usize,
}

impl Ability {
    const fn near(flights: usize, loads: usize) -> Self {
        Self { flights, loads }
    }

    const fn far(loads: usize) -> Self {
        Self::near(0, loads)
    }
}

impl Scope {
    /// Two nodes with three loads each, and no near cache: value and lease.
    pub const LEASE: Self = Self {
        name: "lease",
        writes: 2,
        tags: false,
        clock: false,
        ending: Ending::AtOnce,
        a: Ability::far(3),
        b: Ability::far(3),
    };

    /// A near cache against all that can happen to its key, in time.
    pub const NEAR: Self = Self {
        name: "near",
        writes: 2,
        tags: false,
        clock: true,
        ending: Ending::AtOnce,
        a: Ability::near(1, 0),
        b: Ability::far(0),
    };

    /// A near cache whose connection is lost on one side first, in time.
    pub const HALF_OPEN: Self = Self {
        name: "half-open",
        writes: 1,
        ending: Ending::ServerFirst,
        ..Self::NEAR
    };

    /// A near cache that reads on while its connection ends, in time.
    pub const LINGERING: Self = Self {
        name: "lingering",
        writes: 1,
        ending: Ending::NoticedFirst,
        ..Self::NEAR
    };

    /// A near cache with reads that overtake each other, in time.
    pub const FLIGHTS: Self = Self {
        name: "flights",
        writes: 1,
        a: Ability::near(2, 0),
        ..Self::NEAR
    };

    /// Two nodes with all they have: near caches and loads.
    pub const PAIR: Self = Self {
        name: "pair",
        writes: 1,
        clock: false,
        a: Ability::near(1, 1),
        b: Ability::near(1, 1),
        ..Self::NEAR
    };

    /// An entry with a tag, and three loads of it.
    pub const TAGS: Self = Self {
        name: "tags",
        tags: true,
        a: Ability::far(0),
        b: Ability::far(3),
        ..Self::LEASE
    };

    /// A near cache that holds an entry and its tag.
    pub const NEAR_TAGS: Self = Self {
        name: "near tags",
        writes: 1,
        tags: true,
        clock: false,
        ..Self::NEAR
    };

    /// The bound on staleness, in ticks.
    pub(super) const STALENESS: Age = 1;

    /// The age that stands for all that are too old.
    pub(super) const TOO_OLD: Age = Self::STALENESS + 1;

    /// What it is called.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The guarantees that can be told right from wrong here.
    pub fn guarantees(&self) -> impl Iterator<Item = Guarantee> {
        let (near, loads) = (self.has_near(), self.loads() > 0);
        let here = move |guarantee: &Guarantee| match guarantee {
            Guarantee::G1 => true,
            Guarantee::G2 | Guarantee::G4 => near,
            Guarantee::G3 => loads,
        };
        Guarantee::ALL.into_iter().filter(here)
    }

    pub(super) fn of(&self, site: Site) -> Ability {
        match site {
            Site::A => self.a,
            Site::B => self.b,
        }
    }

    pub(super) fn has_near(&self) -> bool {
        self.a.flights + self.b.flights > 0
    }

    /// How many loads there can be at a time; with none of them, a fill is one step of its own.
    pub(super) fn loads(&self) -> usize {
        self.a.loads + self.b.loads
    }

    /// The key that a write invalidates.
    pub(super) fn written(&self) -> Key {
        if self.tags { Key::Tag } else { Key::Entry }
    }

    pub(super) fn keys(&self) -> &'static [Key] {
        if self.tags {
            &[Key::Entry, Key::Tag]
        } else {
            &[Key::Entry]
        }
    }
}
