//! The bucket, as a queue of units that come back one after the other.

use super::{LimitOracle, LimitRule, Limits, Said};

const NANOS: u128 = 1_000;
const MILLI: u128 = 1_000_000;

/// Milliseconds beyond which a step of the clock is not told: 12 days.
const LONGEST: u128 = (1 << 30) - 1;

/// GCRA: the theoretical arrival time, in nanoseconds since 1970.
#[derive(Debug)]
pub struct Bucket {
    rule: LimitRule,
    full_at: u128,
    missing_when_written: u128,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rule: LimitRule) -> Self {
        Self {
            rule,
            full_at: 0,
            missing_when_written: 0,
        }
    }

    /// Capacity, nanoseconds in which one unit comes back, and nanoseconds of a tick.
    fn terms(&self) -> (u64, u128, u128) {
        let LimitRule::Gcra {
            limit,
            period,
            burst,
        } = self.rule
        else {
            unreachable!("only a bucket is a bucket")
        };
        let nanos = (u128::from(period) * NANOS).div_ceil(u128::from(limit));
        if nanos * u128::from(burst) <= 1 << 52 {
            return (burst, nanos, 1);
        }
        let micros = u128::from(period).div_ceil(u128::from(limit));
        (burst, micros * NANOS, NANOS)
    }

    /// As seen now: what is missing, and whether the clock has stepped back.
    fn missing(&self, now: u64) -> (u128, bool) {
        let (_, _, tick) = self.terms();
        let millis = self.missing_when_written.div_ceil(MILLI);
        let left = (self.full_at / NANOS).saturating_sub(u128::from(now));
        let stepped_back = millis < LONGEST && left * NANOS > millis * MILLI;
        let missing = if stepped_back {
            millis * MILLI
        } else {
            self.full_at.saturating_sub(u128::from(now) * NANOS)
        };
        (missing.div_ceil(tick) * tick, stepped_back)
    }

    fn set(&mut self, now: u64, missing: u128) {
        self.full_at = u128::from(now) * NANOS + missing;
        self.missing_when_written = missing;
    }
}

impl Limits for Bucket {
    fn change(&mut self, rule: LimitRule) {
        self.rule = rule;
    }

    fn call(&mut self, now: u64, cost: u64, charges: bool, _id: u32) -> Said {
        let (burst, unit, _) = self.terms();
        let (missing, moved) = self.missing(now);
        if missing == 0 {
            self.full_at = 0;
        } else if moved {
            self.set(now, missing);
        }
        let size = unit * u128::from(burst);
        let room = size.saturating_sub(missing);
        let free = u64::try_from(room / unit).expect("at most the burst");
        let admitted = cost <= free;
        let micros = |nanos: u128| u64::try_from(nanos.div_ceil(NANOS)).expect("142 years");
        let short = (u128::from(cost) * unit + missing).saturating_sub(size);
        let taken = if admitted && charges { cost } else { 0 };
        let missing = missing + u128::from(taken) * unit;
        if taken > 0 {
            self.set(now, missing);
        }
        Said {
            admitted,
            remaining: free - taken,
            retry: (!admitted && cost <= burst).then(|| micros(short)),
            reset: micros(missing),
        }
    }

    fn refund(&mut self, now: u64, _at: u64, cost: u64, _id: u32) -> bool {
        let (burst, unit, _) = self.terms();
        let (missing, moved) = self.missing(now);
        let left = missing.saturating_sub(u128::from(cost.min(burst)) * unit);
        if moved || left < missing {
            self.set(now, left);
        }
        if left == 0 {
            self.full_at = 0;
        }
        left < missing
    }

    fn reset(&mut self) {
        self.full_at = 0;
    }
}

impl LimitOracle for Bucket {
    fn would_admit(&self, later: u64, cost: u64, _id: u32) -> bool {
        let (burst, unit, _) = self.terms();
        let (missing, _) = self.missing(later);
        u128::from(cost) * unit + missing <= u128::from(burst) * unit
    }
}
