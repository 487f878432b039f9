//! Rate limits by brute force: every charge is kept as it was made, and sums are taken anew.

mod bucket;
mod rule;

use std::time::Duration;

pub use self::bucket::Bucket;
pub use self::rule::LimitRule;
use self::rule::Seen;

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
pub trait Limits {
    /// Changes the policy.
    fn change(&mut self, rule: LimitRule);

    /// A call of this cost, charged if it fits and `charges` says so; `id` is of a permit.
    fn call(&mut self, now: u64, cost: u64, charges: bool, id: u32) -> Said;

    /// Gives back what was taken at `at`.
    fn refund(&mut self, now: u64, at: u64, cost: u64, id: u32) -> bool;

    /// Forgets all.
    fn reset(&mut self);
}

/// Limits that can also say what would be.
pub trait LimitOracle: Limits {
    /// Whether a call of this cost would fit at a later time, if nothing else happens until then.
    fn would_admit(&self, later: u64, cost: u64, id: u32) -> bool;
}

/// A charge, until it counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Charge {
    at: u64,
    cost: u64,
    id: u32,
    /// When it has left, by the rule that it was written by.
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
    written_at: u64,
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
            written_at: 0,
            expires: 0,
        }
    }

    /// What counts now, and whether the clock has stepped back.
    fn counting(&self, now: u64) -> (Vec<Charge>, bool) {
        if now >= self.expires {
            return (Vec::new(), false);
        }
        let seen = Seen {
            now,
            newest: self.made.iter().map(|charge| charge.at).max(),
            written_by: self.written_by,
            written_at: self.written_at,
        };
        let views = self.made.iter().map(|charge| self.rule.view(charge, &seen));
        let views: Vec<_> = views.collect();
        let moved = views.iter().any(|view| view.moved);
        let counting = views.into_iter().filter_map(|view| view.counts);
        (counting.collect(), moved)
    }

    /// What is gone stays so, even if the clock steps back.
    fn expire(&mut self, now: u64) {
        if now >= self.expires {
            self.reset();
        }
    }

    /// Writes what counts, by a rule that lets it leave as it does.
    fn write(&mut self, now: u64, rule: LimitRule, mut charges: Vec<Charge>) {
        charges.retain(|charge| charge.cost > 0);
        for charge in &mut charges {
            charge.leaves = rule.leaves(charge, now);
        }
        self.expires = charges.iter().map(|it| it.leaves).max().unwrap_or(0);
        self.made = charges;
        self.written_by = rule;
        self.written_at = now;
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

impl Limits for Charges {
    fn change(&mut self, rule: LimitRule) {
        self.rule = rule;
    }

    fn call(&mut self, now: u64, cost: u64, charges: bool, id: u32) -> Said {
        self.expire(now);
        let (mut counting, moved) = self.counting(now);
        let said = self.said(now, &counting, cost, id);
        if !(said.admitted && charges && cost > 0) {
            if moved {
                self.write(now, self.rule.no_longer_than(self.written_by), counting);
            }
            return said;
        }
        if self.rule.is_concurrent() {
            counting.retain(|charge| charge.id != id);
        }
        counting.push(Charge {
            at: now,
            cost,
            id,
            leaves: u64::MAX,
            lasts: self.rule.lasts(),
        });
        self.write(now, self.rule, counting);
        let after = self.said(now, &self.made, 0, id);
        Said {
            remaining: said.remaining - cost,
            reset: after.reset,
            ..said
        }
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
        if refunded {
            self.write(now, self.rule, counting);
        } else if moved {
            self.write(now, self.rule.no_longer_than(self.written_by), counting);
        }
        refunded
    }

    fn reset(&mut self) {
        self.made.clear();
        self.written_by = self.rule;
    }
}

impl LimitOracle for Charges {
    fn would_admit(&self, later: u64, cost: u64, id: u32) -> bool {
        let (counting, _) = self.counting(later);
        self.said(later, &counting, cost, id).admitted
    }
}

/// Whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).expect("fewer than 500,000 years")
}
