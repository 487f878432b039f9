//! How many units a call takes.

/// How many units a call takes, where it is said.
#[derive(Debug, Clone)]
pub(super) enum Cost {
    Same(Option<u64>),
    /// Of each policy.
    Each(Vec<Option<u64>>),
}

impl Cost {
    pub(super) fn of(&self, index: usize) -> Option<u64> {
        match self {
            Self::Same(cost) => *cost,
            Self::Each(costs) => costs.get(index).copied().flatten(),
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Same(cost) => *cost == Some(0),
            Self::Each(costs) => costs.contains(&Some(0)),
        }
    }

    pub(super) fn of_each(&self, policies: usize) -> impl Iterator<Item = Option<u64>> {
        (0..policies).map(|index| self.of(index))
    }
}
