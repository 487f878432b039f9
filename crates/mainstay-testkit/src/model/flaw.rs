//! Ways to get the protocol wrong.

/// A rule of the protocol that the model breaks.
///
/// Each one has to lead to a counterexample: a check that does not find it would not find it in
/// the code either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// The protocol as it is meant.
    None,
    /// A reply is stored though a push for its key came after it was read.
    IgnorePoison,
    /// A value is filled without comparing the lease.
    SkipLeaseCheck,
    /// The lease is granted to who asks, whether or not another holds it.
    GrantHeldLease,
    /// What was read before a reset is stored and served after it.
    KeepEpoch,
    /// The epoch rises when the loss of a connection is noticed, and not again when there is a new
    /// one.
    EpochRisesOnce,
    /// The bound on staleness counts from when a PONG was received, not from when its PING was
    /// sent.
    PongTimeIsReceipt,
    /// A write neither clears the near cache of its own node nor keeps replies out of it.
    SkipFence,
    /// A value is stored under a generation that is newer than its load.
    IgnoreWatermark,
    /// A missing tag is created whatever the sequence says.
    ReviveTag,
    /// Looking at the sequence and creating a missing tag are two commands, not one script.
    TagCreatedLate,
}
