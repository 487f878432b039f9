//! What has to hold in every state, and what has to be seen in some.

use stateright::Property;

use super::Scope;
use super::protocol::Protocol;
use super::state::{Flight, Generation, Invalidation, LAPSED, Node, Site, State, Token, Version};

/// What the cache promises; a hit is a read that the near cache answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Guarantee {
    /// No value from before a completed invalidation is served by Redis, nor by a near cache once
    /// the staleness bound has passed since.
    G1,
    /// Each hit was Redis's value within the staleness bound.
    G2,
    /// One loader at most holds the lease.
    G3,
    /// No hit on a node is older than a write that was acknowledged there.
    G4,
}

impl Guarantee {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::G1, Self::G2, Self::G3, Self::G4];

    /// Its name, such as `G1`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::G1 => "G1",
            Self::G2 => "G2",
            Self::G3 => "G3",
            Self::G4 => "G4",
        }
    }

    fn property(self) -> Property<Protocol> {
        let holds: fn(&Protocol, &State) -> bool = match self {
            Self::G1 => nothing_invalidated_is_served,
            Self::G2 => hits_are_recent,
            Self::G3 => one_loader_holds_the_lease,
            Self::G4 => own_writes_are_read,
        };
        Property::always(self.name(), holds)
    }
}

/// What has to hold in this scope, then what has to be seen in it.
pub(super) fn properties(scope: &Scope) -> Vec<Property<Protocol>> {
    let mut properties: Vec<_> = scope.guarantees().map(Guarantee::property).collect();
    if scope.has_near() {
        properties.extend([
            Property::sometimes("a near hit", some_hit),
            Property::sometimes("a poisoned reply", some_poisoned_reply),
            Property::sometimes("a reply that outlived a reset", some_former_reply),
        ]);
    }
    if scope.loads() > 0 {
        properties.push(Property::sometimes(
            "a fill that is refused",
            some_late_load,
        ));
    }
    if scope.loads() > 1 {
        properties.push(Property::sometimes("a lease taken over", some_takeover));
    }
    properties
}

fn some_hit(protocol: &Protocol, state: &State) -> bool {
    hits(protocol, state).next().is_some()
}

fn some_poisoned_reply(_: &Protocol, state: &State) -> bool {
    replies(state).any(|flight| flight.poisoned)
}

fn some_former_reply(_: &Protocol, state: &State) -> bool {
    replies(state).any(|flight| flight.former)
}

fn some_late_load(_: &Protocol, state: &State) -> bool {
    loaders(state).any(|token| token == LAPSED)
}

/// Without a write and without a fill, only its expiry ends a lease.
fn some_takeover(protocol: &Protocol, state: &State) -> bool {
    let untouched = state.source == 0 && state.redis.entry.is_none();
    let holds = |token| Some(token) == state.redis.lease;
    untouched && some_late_load(protocol, state) && loaders(state).any(holds)
}

fn nodes(state: &State) -> impl Iterator<Item = &Node> {
    Site::BOTH.into_iter().map(|site| state.node(site))
}

/// Reads whose reply is in their caller's hands.
fn replies(state: &State) -> impl Iterator<Item = &Flight> {
    let flights = nodes(state).flat_map(|node| &node.flights);
    flights.filter(|flight| !flight.is_waiting())
}

/// The version of each possible hit, and the highest that was acknowledged on its node.
fn hits(protocol: &Protocol, state: &State) -> impl Iterator<Item = (Version, Version)> {
    nodes(state).filter_map(|node| Some((protocol.near_hit(node)?, node.acked)))
}

fn loaders(state: &State) -> impl Iterator<Item = Token> {
    nodes(state).flat_map(|node| node.loads.iter().map(|load| load.token))
}

fn nothing_invalidated_is_served(protocol: &Protocol, state: &State) -> bool {
    let mut hits = hits(protocol, state);
    state
        .redis
        .entry
        .is_none_or(|entry| entry.version >= oldest(state, entry.generation))
        && hits.all(|(version, _)| state.witness.outdated(version) <= Scope::STALENESS)
}

/// The oldest version that an entry with this generation of its tag may have.
///
/// Any, if its tag is past it for good. Otherwise what is left by the invalidations that are
/// complete, and by those that this generation takes for granted before they are.
pub(super) fn oldest(state: &State, generation: Generation) -> Version {
    if generation < state.redis.generation() {
        return 0;
    }
    let writes = nodes(state).filter_map(|node| Some(&node.write.as_ref()?.invalidation));
    let begun = writes.chain(&state.adrift).filter_map(|step| match step {
        Invalidation::Raise { to, since } if *to <= generation => Some(*since),
        _ => None,
    });
    begun.fold(state.witness.floor, Version::max)
}

/// Without a clock: once its stream is drained, a node serves what Redis does.
fn hits_are_recent(protocol: &Protocol, state: &State) -> bool {
    if protocol.scope.clock {
        return hits(protocol, state)
            .all(|(version, _)| state.witness.unserved(version) <= Scope::STALENESS);
    }
    let served = state.redis.served(protocol.scope.tags);
    nodes(state)
        .filter(|node| !node.link.half_open && !node.awaits_push())
        .filter_map(|node| protocol.near_hit(node))
        .all(|version| served == Some(version))
}

/// A lease that was not ended, by expiry, invalidation or fill, counts for whoever was granted it.
fn one_loader_holds_the_lease(_: &Protocol, state: &State) -> bool {
    state.tokens().count() <= 1
}

fn own_writes_are_read(protocol: &Protocol, state: &State) -> bool {
    hits(protocol, state).all(|(version, acked)| version >= acked)
}
