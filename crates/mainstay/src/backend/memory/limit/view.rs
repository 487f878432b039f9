//! What the algorithms have in common.

use super::{concurrent, exact, fixed, gcra, window};

/// What is kept of a key between two calls; an algorithm knows only its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Window(window::History),
    Gcra(gcra::Full),
    Fixed(fixed::Taken),
    Exact(exact::Log),
    Concurrent(Vec<concurrent::Permit>),
}

/// A state as one rule sees it at one instant: pure, no clock and no map.
///
/// It may have been written by another rule of the algorithm. What it counts leaves when the one or the
/// other rule lets it, whichever is earlier; only a charge, or what is given back, writes it by this one.
pub(super) trait View: Send {
    /// What fits now.
    fn free(&self) -> u64;

    /// Whether the clock has stepped back: what was counted then counts as of now, and is kept so even if
    /// nothing is charged. Otherwise it would count as of now at every look, and never leave.
    fn has_moved(&self) -> bool;

    /// Counts a cost that fits.
    fn charge(&mut self, cost: u64);

    /// Gives a cost back that was taken at `at`, as far as it counts; whether something did.
    fn refund(&mut self, at_micros: u64, cost: u64) -> bool;

    /// Until a cost fits that does not fit now, and is not above the limit.
    fn wait_micros(&self, cost: u64) -> u64;

    /// Until nothing counts any more; 0 if nothing does.
    fn reset_after_micros(&self) -> u64;

    /// What to keep until then.
    fn into_state(self: Box<Self>) -> State;
}
