//! Random steps: those that fill a limit, those that leave it, and those at its edges.

use mainstay_testkit::oracle::limit::LimitRule;

const YEAR: u64 = 366 * 24 * 3_600 * 1_000_000;
const LARGEST: u64 = 1 << 53;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Window,
    Exact,
    Gcra,
    Fixed,
    Concurrent,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Change {
        rule: LimitRule,
    },
    Call {
        now: u64,
        cost: u64,
        charges: bool,
        id: u32,
    },
    Refund {
        now: u64,
        at: u64,
        cost: u64,
        id: u32,
    },
    Reset,
}

/// The same steps in every run.
pub(super) struct Steps {
    kind: Kind,
    state: u64,
    rule: LimitRule,
    now: u64,
    next_id: u32,
    /// What was admitted lately: when, how much, which permit.
    taken: Vec<(u64, u64, u32)>,
}

impl Steps {
    pub(super) fn new(kind: Kind) -> Self {
        let mut steps = Self {
            kind,
            state: 7,
            rule: LimitRule::Exact {
                limit: 1,
                period: 1_000,
            },
            // 2020, in microseconds: far enough from 1970 for steps back.
            now: 1_577_836_800_123_456,
            next_id: 0,
            taken: Vec::new(),
        };
        steps.rule = steps.any_rule();
        steps
    }

    pub(super) fn rule(&self) -> LimitRule {
        self.rule
    }

    pub(super) fn was_admitted(&mut self, step: &Step) {
        if let Step::Call {
            now,
            cost,
            charges: true,
            id,
        } = *step
            && cost > 0
        {
            self.taken.push((now, cost, id));
            if self.taken.len() > 4 {
                self.taken.remove(0);
            }
        }
    }

    pub(super) fn next_step(&mut self) -> Step {
        self.pass_time();
        match self.below(100) {
            0 => {
                self.rule = self.any_rule();
                Step::Change { rule: self.rule }
            }
            1 if self.below(4) == 0 => Step::Reset,
            2..8 if !self.taken.is_empty() => {
                let index = self.below(self.taken.len() as u64);
                let index = usize::try_from(index).unwrap();
                let (at, cost, id) = self.taken.swap_remove(index);
                let cost = if self.kind == Kind::Concurrent {
                    cost
                } else {
                    1 + self.below(cost)
                };
                Step::Refund {
                    now: self.now,
                    at,
                    cost,
                    id,
                }
            }
            other => {
                self.next_id += 1;
                Step::Call {
                    now: self.now,
                    cost: self.cost(),
                    charges: other >= 15,
                    id: self.next_id,
                }
            }
        }
    }

    fn pass_time(&mut self) {
        let period = self.period();
        match self.below(50) {
            // At the same instant.
            0..10 => {}
            10..35 => self.now += self.below(period / 20 + 2),
            35..42 => self.now += self.below(period / 2 + 2),
            // Around the end.
            42..46 => self.now += period - period / 50 + self.below(period / 20 + 2),
            46..48 => self.now += self.below(period * 3),
            48 => self.now = self.now.saturating_sub(self.below(period * 2)),
            _ => self.now = self.now.saturating_sub(self.below(600_000_000)),
        }
        // Scripts count exactly up to 2^53 us, in the year 2255; a bucket may be full 142 years later.
        if self.now > 4_000_000_000_000_000 || self.now < 1_000_000_000 {
            self.now = 1_577_836_800_123_456;
        }
    }

    fn cost(&mut self) -> u64 {
        let limit = self.rule.limit();
        match self.below(40) {
            0 => 0,
            1 => limit,
            2 => (limit + 1).min(LARGEST),
            3 => LARGEST,
            4..10 => 1 + self.below(limit),
            _ => 1 + self.below((limit / 4).clamp(1, 1 << 40)),
        }
    }

    fn period(&self) -> u64 {
        match self.rule {
            LimitRule::Window { period, .. }
            | LimitRule::Exact { period, .. }
            | LimitRule::Fixed { period, .. } => period,
            LimitRule::Concurrent { lease, .. } => lease,
            LimitRule::Gcra {
                limit,
                period,
                burst,
            } => (period / limit).saturating_mul(burst).max(1),
        }
    }

    fn any_rule(&mut self) -> LimitRule {
        let huge = self.below(10) == 0;
        let period = match self.below(3) {
            _ if huge => YEAR,
            0 => 1_000,
            1 => 1_000 * (1 + self.below(50)),
            _ => 1_000 * (1 + self.below(5_000)),
        };
        let limit = 1 + self.below(30);
        let largest = if huge { LARGEST } else { limit };
        match self.kind {
            Kind::Window => LimitRule::Window {
                limit: largest,
                period,
            },
            Kind::Exact => LimitRule::Exact { limit, period },
            Kind::Fixed => {
                let periods = [1_000_000, 60_000_000, 3_600_000_000];
                let index = usize::try_from(self.below(3)).unwrap();
                LimitRule::Fixed {
                    limit: largest,
                    period: periods[index],
                }
            }
            Kind::Concurrent => LimitRule::Concurrent {
                limit,
                lease: 100_000 + self.below(1_000) * 1_000,
            },
            // A huge one counts in microseconds.
            Kind::Gcra => LimitRule::Gcra {
                limit: if huge { 1 + self.below(9) } else { limit },
                period,
                burst: 1 + self.below(60),
            },
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64 (Steele, Lea and Flood 2014).
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
