//! Rate limits by brute force: every charge is kept as it was made, and sums are taken anew.

mod bucket;
mod rule;

use std::time::Duration;

pub use self::bucket::Bucket;
pub use self::rule::LimitRule;

/// What is said of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Whether the cost fits.
    pub admitted: bool,
    /// What is left after the call.
    pub remaining: u64,
    /// Microseconds until the cost fits that does not now; `None` if it never will.
    pub retry: Option<u64>,
    /// Microseconds until nothing counts.
    pub reset: u64,
}

/// What is done to a limit, at times in microseconds since 1970.
pub trait LimitOracle {
    /// Changes the policy.
    fn change(&mut self, rule: LimitRule);

    /// A call of this cost, charged if it fits and `charges` says so; `id` is of a permit.
    fn call(&mut self, now: u64, cost: u64, charges: bool, id: u32) -> Said;

    /// Whether a call of this cost would fit at a later time, if nothing else happens until then.
    fn would_admit(&self, later: u64, cost: u64, id: u32) -> bool;

    /// Gives back what was taken at `at`.
    fn refund(&mut self, now: u64, at: u64, cost: u64, id: u32) -> bool;

    /// Forgets all.
    fn reset(&mut self);
}

/// A charge, until it counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Charge {
    at: u64,
    cost: u64,
    id: u32,
    /// When it has left, by the rule that it was seen by last.
    leaves: u64,
    /// How long it was to last when it was made.
    lasts: u64,
}

/// All algorithms but the bucket: a charge counts whole until it has left.
#[derive(Debug)]
pub struct Charges {
    rule: LimitRule,
    /// The rule by which the charges were written last.
    written_by: LimitRule,
    made: Vec<Charge>,
    /// When what was written last is gone, whatever rule comes.
    expires: u64,
}

impl Charges {
    /// Nothing is charged yet.
    pub fn new(rule: LimitRule) -> Self {
        Self {
            rule,
            written_by: rule,
            made: Vec::new(),
            expires: 0,
        }
    }

    /// What counts now, with what has been moved; whether anything has.
    fn counting(&self, now: u64) -> (Vec<Charge>, bool) {
        if now >= self.expires {
            return (Vec::new(), false);
        }
        let newest = self.made.iter().map(|charge| charge.at).max();
        let seen_at = self.written_by.seen_at(now, newest);
        let alive = |charge: &&Charge| match self.rule {
            // By the period of now, whoever wrote it.
            LimitRule::Exact { period, .. } => charge.at + period > now,
            _ => charge.leaves > seen_at,
        };
        let mut counting: Vec<_> = self.made.iter().filter(alive).copied().collect();
        let mut moved = false;
        let everything = self.rule.moves_everything(self.written_by, now, newest);
        for charge in &mut counting {
            moved |= everything || self.rule.moves(charge, self.written_by, now);
            charge.leaves = self.rule.leaves(charge, now, everything);
            charge.at = self.rule.seen_as_of(charge.at, now, everything);
        }
        (counting, moved)
    }

    /// What is gone stays so, even if the clock steps back.
    fn expire(&mut self, now: u64) {
        if now >= self.expires {
            self.reset();
        }
    }

    fn write(&mut self, mut charges: Vec<Charge>) {
        charges.retain(|charge| charge.cost > 0);
        self.expires = charges.iter().map(|it| it.leaves).max().unwrap_or(0);
        self.made = charges;
        self.written_by = self.rule;
    }

    fn said(&self, now: u64, counting: &[Charge], cost: u64, own: u32) -> Said {
        let limit = self.rule.limit();
        let is_other = |charge: &&Charge| !self.rule.is_concurrent() || charge.id != own;
        let used = |at: u64| -> u64 {
            let left = counting.iter().filter(is_other);
            left.filter(|it| it.leaves > at).map(|it| it.cost).sum()
        };
        let fits = |at: u64| cost <= limit.saturating_sub(used(at));
        let leaves = counting.iter().filter(is_other).map(|it| it.leaves);
        let earliest = leaves.filter(|at| fits(*at)).min();
        let admitted = fits(now);
        Said {
            admitted,
            remaining: limit.saturating_sub(used(now)),
            retry: earliest
                .filter(|_| !admitted && cost <= limit)
                .map(|at| at - now),
            reset: counting.iter().map(|it| it.leaves - now).max().unwrap_or(0),
        }
    }
}

impl LimitOracle for Charges {
    fn change(&mut self, rule: LimitRule) {
        self.rule = rule;
    }

    fn call(&mut self, now: u64, cost: u64, charges: bool, id: u32) -> Said {
        self.expire(now);
        let (mut counting, moved) = self.counting(now);
        let said = self.said(now, &counting, cost, id);
        if !(said.admitted && charges && cost > 0) {
            if moved {
                self.write(counting);
            }
            return said;
        }
        if self.rule.is_concurrent() {
            counting.retain(|charge| charge.id != id);
        }
        let mut charge = Charge {
            at: now,
            cost,
            id,
            leaves: u64::MAX,
            lasts: self.rule.lasts(),
        };
        charge.leaves = self.rule.leaves(&charge, now, false);
        counting.push(charge);
        let after = self.said(now, &counting, 0, id);
        self.write(counting);
        Said {
            remaining: said.remaining - cost,
            reset: after.reset,
            ..said
        }
    }

    fn would_admit(&self, later: u64, cost: u64, id: u32) -> bool {
        let (counting, _) = self.counting(later);
        self.said(later, &counting, cost, id).admitted
    }

    fn refund(&mut self, now: u64, at: u64, cost: u64, id: u32) -> bool {
        self.expire(now);
        let (mut counting, moved) = self.counting(now);
        let rule = self.rule;
        let mut left = cost;
        let mut refunded = false;
        for charge in &mut counting {
            if rule.is_refunded(charge.at, charge.id, at, id, now) {
                let taken = if rule.is_concurrent() {
                    charge.cost
                } else {
                    charge.cost.min(left)
                };
                charge.cost -= taken;
                left -= taken.min(left);
                refunded = true;
            }
        }
        if refunded || moved {
            self.write(counting);
        }
        refunded
    }

    fn reset(&mut self) {
        self.made.clear();
        self.written_by = self.rule;
    }
}

/// Whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).expect("fewer than 500,000 years")
}
