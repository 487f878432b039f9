//! What the model remembers: the source, Redis, two nodes and what is on the wire.

use super::witness::Witness;

/// Counts the writes to the source; the value of a key is the version its loader read.
pub(super) type Version = u8;
/// What a tag stands at, and what an entry was stored with.
pub(super) type Generation = u8;
/// Ticks since something happened; one more than the staleness bound stands for all that follow.
pub(super) type Age = u8;
/// Which grant of the lease; see [`LAPSED`].
pub(super) type Token = u8;

/// Every token whose lease has ended, as nothing can tell two of them apart.
pub(super) const LAPSED: Token = 0;

/// One of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Site {
    A,
    B,
}

impl Site {
    pub(super) const BOTH: [Self; 2] = [Self::A, Self::B];
}

/// What a connection tracks and a near cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Entry,
    Tag,
}

/// Something for each key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct PerKey<T> {
    pub(super) entry: T,
    pub(super) tag: T,
}

impl<T> PerKey<T> {
    pub(super) fn of(&self, key: Key) -> &T {
        match key {
            Key::Entry => &self.entry,
            Key::Tag => &self.tag,
        }
    }

    pub(super) fn of_mut(&mut self, key: Key) -> &mut T {
        match key {
            Key::Entry => &mut self.entry,
            Key::Tag => &mut self.tag,
        }
    }
}

/// What is read from a key. The tag itself has no version, an entry without tags no generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Value {
    pub(super) version: Version,
    pub(super) generation: Generation,
}

/// The whole world between two steps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// Version that the source is at.
    pub(super) source: Version,
    pub(super) redis: Redis,
    pub(super) a: Node,
    pub(super) b: Node,
    /// Invalidations that nobody waits for any more, which the server may still run; sorted.
    pub(super) adrift: Vec<Invalidation>,
    pub(super) witness: Witness,
}

impl State {
    pub(super) fn new(witness: Witness) -> Self {
        Self {
            source: 0,
            redis: Redis::default(),
            a: Node::default(),
            b: Node::default(),
            adrift: Vec::new(),
            witness,
        }
    }

    pub(super) fn node(&self, site: Site) -> &Node {
        match site {
            Site::A => &self.a,
            Site::B => &self.b,
        }
    }

    pub(super) fn node_mut(&mut self, site: Site) -> &mut Node {
        match site {
            Site::A => &mut self.a,
            Site::B => &mut self.b,
        }
    }

    pub(super) fn set_adrift(&mut self, invalidation: Invalidation) {
        self.adrift.push(invalidation);
        self.adrift.sort_unstable();
    }
}

/// The keys on the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Redis {
    pub(super) entry: Option<Value>,
    pub(super) lease: Option<Token>,
    pub(super) tag: Option<Generation>,
    /// How many tag invalidations have begun.
    pub(super) sequence: Generation,
}

impl Redis {
    /// What the tag stands at, or will once it is created.
    pub(super) fn generation(&self) -> Generation {
        self.tag.unwrap_or(self.sequence)
    }

    /// The version that a reader without a near cache gets.
    pub(super) fn served(&self, tags: bool) -> Option<Version> {
        let entry = self.entry?;
        (!tags || self.tag == Some(entry.generation)).then_some(entry.version)
    }
}

/// The server's work for one write, command by command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Invalidation {
    /// Drop value and lease of the key.
    Remove,
    /// Count up the sequence.
    Bump,
    /// Lift the tag to what the sequence was counted to, when the source was at `since`.
    Raise { to: Generation, since: Version },
    /// Done; the reply is on its way.
    Done,
}

/// One process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) slots: PerKey<Option<Slot>>,
    /// Reads under way, in the order in which they were sent.
    pub(super) flights: Vec<Flight>,
    pub(super) loads: Vec<Load>,
    /// The write that is waited for, which fences what it invalidates.
    pub(super) write: Option<Write>,
    /// The highest version whose write has been acknowledged here.
    pub(super) acked: Version,
    /// How long ago the server is known to have answered on this connection.
    pub(super) confirmed: Option<Age>,
    pub(super) link: Link,
}

/// A value in the near cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) value: Value,
    /// Whether it was read in an epoch that has ended.
    pub(super) former: bool,
}

/// A tracked read, from before it is sent until its caller has dealt with the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) key: Key,
    pub(super) poisoned: bool,
    pub(super) former: bool,
    /// The reply, once the caller's task has it.
    pub(super) reply: Option<Value>,
}

/// A loader that holds, or has held, the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Load {
    pub(super) token: Token,
    /// What the source was at when the loader began.
    pub(super) version: Version,
    /// The sequence as it was read before the loader began.
    pub(super) watermark: Generation,
    pub(super) tag: TagTaken,
}

/// How far a load is with the generation of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum TagTaken {
    No,
    /// Seen missing, the sequence unchanged; only [`Flaw::TagCreatedLate`](super::Flaw) stops here.
    Missing,
    Yes(Generation),
}

/// A write of this node, committed to the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Write {
    pub(super) version: Version,
    pub(super) invalidation: Invalidation,
}

/// The tracking connection of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Link {
    /// To the server, in order.
    pub(super) requests: Vec<Request>,
    /// To the node, in order.
    pub(super) stream: Vec<Message>,
    /// What the server would tell this connection about.
    pub(super) tracked: PerKey<bool>,
    /// Whether the server has dropped it, which the node does not know yet.
    pub(super) half_open: bool,
    /// Whether the node has noticed that it ends; callers may still read on it.
    pub(super) ending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Request {
    Read(Key),
    /// Sent so long ago.
    Ping(Age),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Message {
    Push(Key),
    Answer(Answer),
    /// Answers a PING that was sent so long ago.
    Pong(Age),
}

/// Answer to a tracked read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    Found(Value),
    Leased(Token),
    /// No such key, or another holds the lease.
    Nothing,
}
