//! Steps of a node: reads, what its reader task does with the stream, writes, loads.

use super::protocol::Protocol;
use super::state::{
    Answer, Flight, Invalidation, Key, LAPSED, Load, Message, Node, PerKey, Request, Site, Slot,
    State, TagTaken, Token, Version, Write,
};
use super::{Flaw, Scope};

impl Protocol {
    /// What a read of the entry gets from the near cache.
    pub(super) fn near_hit(&self, node: &Node) -> Option<Version> {
        let entry = self.near(node, Key::Entry)?;
        if self.scope.tags {
            let tag = self.near(node, Key::Tag)?;
            (entry.value.generation == tag.value.generation).then_some(entry.value.version)
        } else {
            Some(entry.value.version)
        }
    }

    /// A slot that may be used now.
    fn near(&self, node: &Node, key: Key) -> Option<Slot> {
        let slot = node.slots.of(key).as_ref();
        let slot = slot.filter(|slot| !self.is_over(slot.former));
        let confirmed = node.confirmed.is_some_and(|age| age <= Scope::STALENESS);
        slot.copied().filter(|_| confirmed || !self.scope.clock)
    }

    /// Whether something of that epoch has ended with it.
    pub(super) fn is_over(&self, former: bool) -> bool {
        former && self.flaw != Flaw::KeepEpoch
    }

    fn fences(&self, node: &Node, key: Key) -> bool {
        node.write.is_some() && key == self.scope.written() && self.flaw != Flaw::SkipFence
    }

    /// Whether a read of this key would go to the server.
    pub(super) fn wants(&self, node: &Node, key: Key) -> bool {
        let missing = self.near(node, key).is_none() || key == Key::Entry;
        let joined = |flight: &Flight| flight.key == key && !flight.poisoned && !flight.former;
        missing && self.near_hit(node).is_none() && !node.flights.iter().any(joined)
    }

    pub(super) fn may_load(&self, state: &State, site: Site) -> bool {
        state.node(site).loads.len() < self.scope.of(site).loads
    }

    /// The caller of a read stores its reply, if it still may.
    pub(super) fn settle(&self, node: &mut Node, index: usize) {
        let flight = node.flights.remove(index);
        let poisoned = flight.poisoned && self.flaw != Flaw::IgnorePoison;
        if !poisoned && !self.is_over(flight.former) && !self.fences(node, flight.key) {
            *node.slots.of_mut(flight.key) = flight.reply.map(|value| Slot {
                value,
                former: flight.former,
            });
        }
    }

    /// The reader task takes the oldest message of the stream.
    pub(super) fn receive(&self, state: &mut State, site: Site) {
        let node = state.node_mut(site);
        match node.link.stream.remove(0) {
            Message::Push(key) => node.forget(key),
            Message::Pong(_) if self.flaw == Flaw::PongTimeIsReceipt => node.confirmed = Some(0),
            Message::Pong(age) => node.confirmed = Some(age),
            Message::Answer(answer) => {
                let asked = node.flights.iter().position(|flight| flight.is_waiting());
                let index = asked.expect("invariant: answers belong to flights, in order");
                match answer {
                    Answer::Found(value) => node.flights[index].reply = Some(value),
                    Answer::Nothing => drop(node.flights.remove(index)),
                    Answer::Leased(token) => {
                        node.flights.remove(index);
                        state.begin_load(site, token, 0);
                    }
                }
            }
        }
    }

    /// Commits to the source, raises the fence and sends the invalidation.
    pub(super) fn write(&self, state: &mut State, site: Site) {
        state.source += 1;
        let invalidation = if self.scope.tags {
            Invalidation::Bump
        } else {
            Invalidation::Remove
        };
        if self.scope.of(site).flights == 0 {
            // Without a near cache there is no fence to take down.
            state.set_adrift(invalidation);
            return;
        }
        let version = state.source;
        let node = state.node_mut(site);
        node.write = Some(Write {
            version,
            invalidation,
        });
        self.fence(node);
    }

    /// The server's reply to the write arrives, and its caller goes on.
    pub(super) fn acknowledge(&self, node: &mut Node) {
        if let Some(write) = node.write.take() {
            self.fence(node);
            node.acked = node.acked.max(write.version);
        }
    }

    /// The reply to the write is lost; what was sent may still be run, at any time.
    pub(super) fn give_up(&self, state: &mut State, site: Site) {
        let node = state.node_mut(site);
        if let Some(write) = node.write.take() {
            self.fence(node);
            if write.invalidation != Invalidation::Done {
                state.set_adrift(write.invalidation);
            }
        }
    }

    /// Ends the connection and its epoch, and has a new one.
    ///
    /// Replies that a caller has in hand are not poisoned here: the epoch alone has to keep them out.
    pub(super) fn reset(&self, node: &mut Node) {
        let was_ending = std::mem::take(&mut node.link).ending;
        node.confirmed = None;
        node.flights.retain(|flight| !flight.is_waiting());
        if !was_ending || self.flaw != Flaw::EpochRisesOnce {
            node.end_epoch();
        }
    }

    /// What happens when a fence goes up, and again when it comes down.
    fn fence(&self, node: &mut Node) {
        if self.flaw != Flaw::SkipFence {
            node.forget(self.scope.written());
        }
    }
}

impl Node {
    /// Empties the slot and poisons every read of the key.
    fn forget(&mut self, key: Key) {
        *self.slots.of_mut(key) = None;
        for flight in self.flights.iter_mut().filter(|flight| flight.key == key) {
            flight.poisoned = true;
        }
    }

    /// Registers a read, then sends it.
    pub(super) fn read(&mut self, key: Key) {
        self.flights.push(Flight {
            key,
            poisoned: false,
            former: false,
            reply: None,
        });
        self.link.requests.push(Request::Read(key));
    }

    pub(super) fn ping(&mut self) {
        self.link.requests.push(Request::Ping(0));
    }

    pub(super) fn awaits_pong(&self) -> bool {
        let is_ping = |request: &Request| matches!(request, Request::Ping(_));
        let answers_ping = |message: &Message| matches!(message, Message::Pong(_));
        self.link.requests.iter().any(is_ping) || self.link.stream.iter().any(answers_ping)
    }

    pub(super) fn awaits_push(&self) -> bool {
        let is_push = |message: &Message| matches!(message, Message::Push(_));
        self.link.stream.iter().any(is_push)
    }

    /// The epoch ends: the connection is about to.
    pub(super) fn notice_end(&mut self) {
        self.link.ending = true;
        self.end_epoch();
    }

    fn end_epoch(&mut self) {
        for flight in &mut self.flights {
            flight.former = true;
        }
        for slot in [&mut self.slots.entry, &mut self.slots.tag]
            .into_iter()
            .flatten()
        {
            slot.former = true;
        }
    }

    /// The server drops the connection; what is in the stream may still arrive.
    pub(super) fn half_open(&mut self) {
        self.link.half_open = true;
        self.link.requests.clear();
        self.link.tracked = PerKey::default();
    }
}

impl Flight {
    pub(super) fn is_waiting(self) -> bool {
        self.reply.is_none()
    }
}

impl State {
    /// A loader that was granted the lease reads the source.
    pub(super) fn begin_load(&mut self, site: Site, token: Token, watermark: u8) {
        let version = self.source;
        self.node_mut(site).loads.push(Load {
            token,
            version,
            watermark,
            tag: TagTaken::No,
        });
    }

    /// Tokens of leases that have not ended, one for each that was granted them or will be told so.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> {
        let held = [&self.a, &self.b].into_iter().flat_map(|node| {
            let loading = node.loads.iter().map(|load| load.token);
            loading.chain(
                node.link
                    .stream
                    .iter()
                    .copied()
                    .filter_map(Message::granted),
            )
        });
        held.filter(|token| *token != LAPSED)
    }

    /// The lease that this token was for has ended.
    pub(super) fn lapse(&mut self, token: Token) {
        for node in [&mut self.a, &mut self.b] {
            let loading = node.loads.iter_mut().map(|load| &mut load.token);
            let told = node.link.stream.iter_mut().filter_map(Message::granted_mut);
            for held in loading.chain(told).filter(|held| **held == token) {
                *held = LAPSED;
            }
        }
    }
}

impl Message {
    fn granted(self) -> Option<Token> {
        match self {
            Self::Answer(Answer::Leased(token)) => Some(token),
            _ => None,
        }
    }

    fn granted_mut(&mut self) -> Option<&mut Token> {
        match self {
            Self::Answer(Answer::Leased(token)) => Some(token),
            _ => None,
        }
    }
}
