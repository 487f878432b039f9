//! What an all-seeing observer notes, and no part of the protocol knows.

use super::Scope;
use super::protocol::grow;
use super::state::{Age, Version};

/// Versions that a model can reach: two writes.
const VERSIONS: usize = 3;

/// Since when which version is out of date.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Witness {
    /// What the source was at for the latest invalidation that is complete.
    pub(super) floor: Version,
    /// For each version, how long Redis has not served it: 0 while it does.
    unserved: [Age; VERSIONS],
    /// For each version below the floor, how long it has been there; 0 for the others.
    outdated: [Age; VERSIONS],
}

impl Witness {
    /// Nothing was ever served.
    pub(super) fn new() -> Self {
        Self {
            floor: 0,
            unserved: [Scope::TOO_OLD; VERSIONS],
            outdated: [0; VERSIONS],
        }
    }

    /// How long ago Redis served this version.
    pub(super) fn unserved(&self, version: Version) -> Age {
        self.unserved[usize::from(version)]
    }

    /// How long ago an invalidation of this version was complete.
    pub(super) fn outdated(&self, version: Version) -> Age {
        self.outdated[usize::from(version)]
    }

    /// An invalidation is complete that began with the source at `version`.
    pub(super) fn raise_floor(&mut self, version: Version) {
        self.floor = self.floor.max(version);
    }

    /// The server has run a command; this is what it serves now.
    pub(super) fn note(&mut self, served: Option<Version>) {
        if let Some(version) = served {
            self.unserved[usize::from(version)] = 0;
        }
    }

    /// Time passes while the server serves this.
    pub(super) fn tick(&mut self, served: Option<Version>) {
        for (version, age) in (0..).zip(&mut self.unserved) {
            if served != Some(version) {
                grow(age);
            }
        }
        for age in self.outdated.iter_mut().take(usize::from(self.floor)) {
            grow(age);
        }
    }

    /// Takes these versions for long out of date, as nobody has them.
    pub(super) fn forget(&mut self, gone: impl Fn(Version) -> bool) {
        for (version, age) in (0..).zip(&mut self.unserved) {
            if gone(version) {
                *age = Scope::TOO_OLD;
            }
        }
        for (version, age) in (0..self.floor).zip(&mut self.outdated) {
            if gone(version) {
                *age = Scope::TOO_OLD;
            }
        }
    }
}
