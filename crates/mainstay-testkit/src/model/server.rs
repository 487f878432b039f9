//! Steps of the Redis server: commands, expiry, eviction, and the pushes that follow from them.

use super::Flaw;
use super::protocol::Protocol;
use super::state::{
    Answer, Invalidation, Key, LAPSED, Load, Message, Request, Site, State, TagTaken, Token, Value,
};

impl Protocol {
    /// Runs the oldest request of a tracking connection.
    pub(super) fn serve(&self, state: &mut State, site: Site) {
        let message = match state.node_mut(site).link.requests.remove(0) {
            Request::Ping(age) => Message::Pong(age),
            Request::Read(key) => {
                let answer = self.read(state, site, key);
                *state.node_mut(site).link.tracked.of_mut(key) = true;
                Message::Answer(answer)
            }
        };
        state.node_mut(site).link.stream.push(message);
    }

    fn read(&self, state: &mut State, site: Site, key: Key) -> Answer {
        let found = match key {
            Key::Entry => state.redis.entry,
            Key::Tag => state.redis.tag.map(|generation| Value {
                version: 0,
                generation,
            }),
        };
        match found {
            Some(value) => Answer::Found(value),
            None if key == Key::Entry && self.grants(state) && self.may_load(state, site) => {
                Answer::Leased(grant(state))
            }
            None => Answer::Nothing,
        }
    }

    /// Whether the server gives the lease to who asks.
    pub(super) fn grants(&self, state: &State) -> bool {
        state.redis.lease.is_none() || self.flaw == Flaw::GrantHeldLease
    }

    /// Grants the lease at once to a node without a tracking connection, whose loader begins.
    pub(super) fn acquire(state: &mut State, site: Site, watermark: u8) {
        let token = grant(state);
        state.begin_load(site, token, watermark);
    }

    /// Takes the generation for a loaded value, as one script; gives the load up if it has none.
    pub(super) fn take_tag(&self, state: &mut State, site: Site, index: usize) {
        let Load { watermark, tag, .. } = state.node(site).loads[index];
        let unchanged = state.redis.sequence == watermark;
        let taken = match state.redis.tag {
            Some(generation) if generation <= watermark || self.flaw == Flaw::IgnoreWatermark => {
                TagTaken::Yes(generation)
            }
            None if tag == TagTaken::Missing => create_tag(state, watermark),
            None if self.flaw == Flaw::TagCreatedLate && unchanged => TagTaken::Missing,
            None if unchanged || self.flaw == Flaw::ReviveTag => create_tag(state, watermark),
            Some(_) | None => TagTaken::No,
        };
        let loads = &mut state.node_mut(site).loads;
        if taken == TagTaken::No {
            loads.remove(index);
        } else {
            loads[index].tag = taken;
        }
        self.ran(state);
    }

    /// Stores what a loader returned, if its lease still is the one.
    pub(super) fn fill(&self, state: &mut State, site: Site, index: usize) {
        let load = state.node_mut(site).loads.remove(index);
        if state.redis.lease == Some(load.token) || self.flaw == Flaw::SkipLeaseCheck {
            let generation = match load.tag {
                TagTaken::Yes(generation) => generation,
                TagTaken::No | TagTaken::Missing => 0,
            };
            state.redis.entry = Some(Value {
                version: load.version,
                generation,
            });
            end_lease(state);
            push(state, Key::Entry);
        }
        self.ran(state);
    }

    /// Fills at once what a load could have been filling.
    pub(super) fn publish(&self, state: &mut State, value: Value) {
        state.redis.entry = Some(value);
        push(state, Key::Entry);
        self.ran(state);
    }

    /// Creates the missing tag, as a load does that nothing was invalidated during.
    pub(super) fn begin_tag(&self, state: &mut State) {
        create_tag(state, state.redis.sequence);
        self.ran(state);
    }

    /// Runs one command of an invalidation and returns what is left of it.
    pub(super) fn invalidate(&self, state: &mut State, step: Invalidation) -> Invalidation {
        let left = match step {
            Invalidation::Remove => {
                state.redis.entry = None;
                end_lease(state);
                push(state, Key::Entry);
                state.witness.raise_floor(state.source);
                Invalidation::Done
            }
            Invalidation::Bump => {
                state.redis.sequence += 1;
                Invalidation::Raise {
                    to: state.redis.sequence,
                    since: state.source,
                }
            }
            Invalidation::Raise { to, since } => {
                if state.redis.tag.is_some_and(|generation| generation < to) {
                    state.redis.tag = Some(to);
                    push(state, Key::Tag);
                }
                state.witness.raise_floor(since);
                Invalidation::Done
            }
            Invalidation::Done => Invalidation::Done,
        };
        self.ran(state);
        left
    }

    /// Expires or evicts a key.
    pub(super) fn evict(&self, state: &mut State, key: Key) {
        match key {
            Key::Entry => state.redis.entry = None,
            Key::Tag => state.redis.tag = None,
        }
        push(state, key);
        self.ran(state);
    }

    fn ran(&self, state: &mut State) {
        state.witness.note(state.redis.served(self.scope.tags));
    }
}

fn create_tag(state: &mut State, generation: u8) -> TagTaken {
    state.redis.tag = Some(generation);
    push(state, Key::Tag);
    TagTaken::Yes(generation)
}

/// Tells every connection that tracks the key, once.
fn push(state: &mut State, key: Key) {
    for site in Site::BOTH {
        let link = &mut state.node_mut(site).link;
        if std::mem::take(link.tracked.of_mut(key)) {
            link.stream.push(Message::Push(key));
        }
    }
}

/// Gives out the lowest token that is nowhere in use.
fn grant(state: &mut State) -> Token {
    let mut free = LAPSED + 1..;
    let token = free
        .find(|free| state.tokens().all(|held| held != *free) && state.redis.lease != Some(*free));
    state.redis.lease = token;
    token.expect("invariant: tokens are few")
}

/// Ends the lease, if there is one.
pub(super) fn end_lease(state: &mut State) {
    if let Some(token) = state.redis.lease.take() {
        state.lapse(token);
    }
}
