//! Random steps: few ids and keys, so that they meet.

use super::Given;

/// How a delivery is to end.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) id: String,
    pub(super) fence: u64,
    pub(super) verb: &'static str,
    pub(super) after_ms: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Push {
        id: String,
        key: &'static str,
        delay_ms: u64,
        data: u32,
    },
    Take {
        most: u32,
        lease_ms: u64,
    },
    Renew {
        held: Vec<(String, u64)>,
        lease_ms: u64,
    },
    Settle {
        ends: Vec<End>,
    },
    Dead {
        skip: u64,
        most: u64,
    },
    Replay {
        ids: Vec<String>,
    },
    Purge {
        ids: Vec<String>,
    },
    Stats,
}

/// The same steps in every run.
pub(super) struct Steps {
    state: u64,
    /// In microseconds.
    now: u64,
    data: u32,
    /// What was given out lately, some of it ended since.
    given: Vec<(String, u64)>,
}

impl Steps {
    pub(super) fn new() -> Self {
        Self {
            state: 11,
            // 2020.
            now: 1_577_836_800_123_456,
            data: 0,
            given: Vec::new(),
        }
    }

    pub(super) fn were_given(&mut self, given: &[Given]) {
        self.given
            .extend(given.iter().map(|job| (job.id.clone(), job.fence)));
        let older = self.given.len().saturating_sub(12);
        self.given.drain(..older);
    }

    pub(super) fn next_step(&mut self) -> (u64, Step) {
        self.now += match self.below(20) {
            0..6 => 0,
            6..14 => self.below(5_000),
            14..19 => self.below(150_000),
            _ => self.below(3_000_000),
        };
        let step = match self.below(100) {
            0..35 => self.push(),
            35..55 => Step::Take {
                most: u32::try_from(self.below(5)).unwrap(),
                lease_ms: 100 + self.below(400),
            },
            55..62 => Step::Renew {
                held: self.tickets(),
                lease_ms: 100 + self.below(400),
            },
            62..87 => self.settle(),
            87..90 => Step::Dead {
                skip: self.below(3),
                most: 1 + self.below(6),
            },
            90..93 => Step::Replay { ids: self.ids() },
            93..95 => Step::Purge { ids: self.ids() },
            _ => Step::Stats,
        };
        (self.now, step)
    }

    fn push(&mut self) -> Step {
        self.data += 1;
        let keys = ["", "", "a", "b", "a:b"];
        Step::Push {
            id: self.id(),
            key: keys[self.index(keys.len())],
            delay_ms: if self.below(3) == 0 {
                self.below(600)
            } else {
                0
            },
            data: self.data,
        }
    }

    fn settle(&mut self) -> Step {
        let verbs = ["done", "done", "done", "retry", "retry", "back", "dead"];
        let tickets = self.tickets();
        let ends = tickets.into_iter().map(|(id, fence)| End {
            id,
            // Sometimes of nobody.
            fence: if self.below(20) == 0 {
                fence + 1_000_000
            } else {
                fence
            },
            verb: verbs[self.index(verbs.len())],
            after_ms: if self.below(2) == 0 {
                0
            } else {
                self.below(300)
            },
        });
        Step::Settle {
            ends: ends.collect(),
        }
    }

    /// One to three, maybe the same twice.
    fn tickets(&mut self) -> Vec<(String, u64)> {
        let many = if self.given.is_empty() {
            0
        } else {
            1 + self.below(3)
        };
        (0..many)
            .map(|_| {
                let index = self.index(self.given.len());
                self.given[index].clone()
            })
            .collect()
    }

    fn id(&mut self) -> String {
        format!("job {}", self.below(60))
    }

    fn ids(&mut self) -> Vec<String> {
        (0..=self.below(12)).map(|_| self.id()).collect()
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
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
