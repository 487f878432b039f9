//! Which steps are possible, and what each one does.

use stateright::{Model, Property};

use super::scope::Ending;
use super::state::{
    Age, Invalidation, Key, Message, Node, Request, Site, State, TagTaken, Value, Write,
};
use super::witness::Witness;
use super::{Flaw, Scope, guarantee, server};

/// The protocol within bounds, perhaps with a flaw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Protocol {
    pub(super) scope: Scope,
    pub(super) flaw: Flaw,
}

/// One step of one part, while all others stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A tick goes by.
    Tick,
    Write(Site),
    /// The server runs a command of this node's write.
    Invalidate(Site),
    Acknowledge(Site),
    /// The writer stops waiting for its reply.
    GiveUp(Site),
    /// The server runs a command of a write that nobody waits for.
    InvalidateAdrift(usize),
    Read(Site, Key),
    Ping(Site),
    /// The server runs the oldest request of the tracking connection.
    Serve(Site),
    /// The reader task takes the oldest message of the stream.
    Receive(Site),
    /// A caller stores its reply.
    Settle(Site, usize),
    /// The node notices that the connection ends, before its callers do.
    NoticeEnd(Site),
    /// The node closes the connection and opens another.
    Reset(Site),
    /// The server loses the connection.
    HalfOpen(Site),
    /// A node without a tracking connection gets the lease and begins to load.
    Acquire {
        site: Site,
        watermark: u8,
    },
    /// A load that is not followed step by step fills this.
    Publish(Value),
    /// A load that is not followed step by step creates the tag.
    BeginTag,
    TakeTag(Site, usize),
    Fill(Site, usize),
    /// A loader ends without a value.
    Abandon(Site, usize),
    /// A key expires or is evicted.
    Evict(Key),
    /// The lease expires.
    Expire,
}

impl Protocol {
    fn steps_of(&self, state: &State, site: Site, steps: &mut Vec<Step>) {
        let node = state.node(site);
        let ability = self.scope.of(site);
        if state.source < self.scope.writes && node.write.is_none() {
            steps.push(Step::Write(site));
        }
        match node.write.map(|write| write.invalidation) {
            None => {}
            Some(Invalidation::Done) => {
                steps.extend([Step::Acknowledge(site), Step::GiveUp(site)]);
            }
            Some(_) => steps.extend([Step::Invalidate(site), Step::GiveUp(site)]),
        }
        if ability.flights > 0 {
            self.steps_of_near(node, site, ability.flights, steps);
        } else if self.grants(state) && self.may_load(state, site) {
            let watermarks = 0..=state.redis.sequence;
            steps.extend(watermarks.map(|watermark| Step::Acquire { site, watermark }));
        }
        for (index, load) in node.loads.iter().enumerate() {
            if self.scope.tags && !matches!(load.tag, TagTaken::Yes(_)) {
                steps.push(Step::TakeTag(site, index));
            } else {
                steps.push(Step::Fill(site, index));
            }
            steps.push(Step::Abandon(site, index));
        }
    }

    fn steps_of_near(&self, node: &Node, site: Site, flights: usize, steps: &mut Vec<Step>) {
        if node.flights.len() < flights {
            let wanted = self
                .scope
                .keys()
                .iter()
                .filter(|key| self.wants(node, **key));
            steps.extend(wanted.map(|key| Step::Read(site, *key)));
        }
        if self.scope.clock && !node.awaits_pong() {
            steps.push(Step::Ping(site));
        }
        if !node.link.requests.is_empty() && !node.link.half_open {
            steps.push(Step::Serve(site));
        }
        if !node.link.stream.is_empty() {
            steps.push(Step::Receive(site));
        }
        let handed = node
            .flights
            .iter()
            .enumerate()
            .filter(|(_, flight)| !flight.is_waiting());
        steps.extend(handed.map(|(index, _)| Step::Settle(site, index)));
        steps.push(Step::Reset(site));
        if self.scope.ending == Ending::NoticedFirst && !node.link.ending {
            steps.push(Step::NoticeEnd(site));
        }
        if self.scope.ending == Ending::ServerFirst && !node.link.half_open {
            steps.push(Step::HalfOpen(site));
        }
    }

    /// Whatever G1 lets loads do, which other scopes check that they keep to.
    fn steps_of_loads_elsewhere(&self, state: &State, steps: &mut Vec<Step>) {
        for generation in 0..=state.redis.generation() {
            let versions = guarantee::oldest(state, generation)..=state.source;
            steps.extend(versions.map(|version| {
                Step::Publish(Value {
                    version,
                    generation,
                })
            }));
        }
        if self.scope.tags && state.redis.tag.is_none() {
            steps.push(Step::BeginTag);
        }
    }

    fn tick(&self, state: &mut State) {
        state.witness.tick(state.redis.served(self.scope.tags));
        for node in [&mut state.a, &mut state.b] {
            node.confirmed.iter_mut().for_each(grow);
            node.link.requests.iter_mut().for_each(|request| {
                if let Request::Ping(age) = request {
                    grow(age);
                }
            });
            node.link.stream.iter_mut().for_each(|message| {
                if let Message::Pong(age) = message {
                    grow(age);
                }
            });
        }
    }

    fn invalidate_awaited(&self, state: &mut State, site: Site) {
        if let Some(write) = state.node(site).write {
            let invalidation = self.invalidate(state, write.invalidation);
            let write = Write {
                invalidation,
                ..write
            };
            state.node_mut(site).write = Some(write);
        }
    }

    fn invalidate_adrift(&self, state: &mut State, index: usize) {
        let step = state.adrift.remove(index);
        let left = self.invalidate(state, step);
        if left != Invalidation::Done {
            state.set_adrift(left);
        }
    }
}

/// A tick goes by; what is too old already gets no older.
pub(super) fn grow(age: &mut Age) {
    *age = Scope::TOO_OLD.min(*age + 1);
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(Witness::new())]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if self.scope.clock {
            steps.push(Step::Tick);
        }
        for site in Site::BOTH {
            self.steps_of(state, site, steps);
        }
        steps.extend((0..state.adrift.len()).map(Step::InvalidateAdrift));
        if self.scope.loads() == 0 {
            self.steps_of_loads_elsewhere(state, steps);
        }
        if state.redis.entry.is_some() {
            steps.push(Step::Evict(Key::Entry));
        }
        if state.redis.tag.is_some() {
            steps.push(Step::Evict(Key::Tag));
        }
        if state.redis.lease.is_some() {
            steps.push(Step::Expire);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut next = last.clone();
        let state = &mut next;
        match step {
            Step::Tick => self.tick(state),
            Step::Write(site) => self.write(state, site),
            Step::Invalidate(site) => self.invalidate_awaited(state, site),
            Step::Acknowledge(site) => self.acknowledge(state.node_mut(site)),
            Step::GiveUp(site) => self.give_up(state, site),
            Step::InvalidateAdrift(index) => self.invalidate_adrift(state, index),
            Step::Read(site, key) => state.node_mut(site).read(key),
            Step::Ping(site) => state.node_mut(site).ping(),
            Step::Serve(site) => self.serve(state, site),
            Step::Receive(site) => self.receive(state, site),
            Step::Settle(site, index) => self.settle(state.node_mut(site), index),
            Step::NoticeEnd(site) => state.node_mut(site).notice_end(),
            Step::Reset(site) => self.reset(state.node_mut(site)),
            Step::HalfOpen(site) => state.node_mut(site).half_open(),
            Step::Acquire { site, watermark } => Self::acquire(state, site, watermark),
            Step::Publish(value) => self.publish(state, value),
            Step::BeginTag => self.begin_tag(state),
            Step::TakeTag(site, index) => self.take_tag(state, site, index),
            Step::Fill(site, index) => self.fill(state, site, index),
            Step::Abandon(site, index) => drop(state.node_mut(site).loads.remove(index)),
            Step::Evict(key) => self.evict(state, key),
            Step::Expire => server::end_lease(state),
        }
        self.tidy(state);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        guarantee::properties(&self.scope)
    }
}
