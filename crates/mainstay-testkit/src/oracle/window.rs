//! The most that was admitted in any window.

use std::time::Duration;

/// One admitted call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Admission {
    /// When it was decided, by the store's clock.
    pub at: Duration,
    /// What it cost.
    pub cost: u64,
}

/// The highest cost admitted in any interval `(t - period, t]`; the order of the history is free.
pub fn most_in_any_window(history: &[Admission], period: Duration) -> u64 {
    let mut sorted = history.to_vec();
    sorted.sort_unstable();
    let (mut most, mut sum) = (0, 0);
    let mut leaving = sorted.iter().peekable();
    for entered in &sorted {
        sum += entered.cost;
        // Strictly inside: what happened exactly a period ago is out.
        while let Some(left) = leaving.next_if(|first| first.at + period <= entered.at) {
            sum -= left.cost;
        }
        most = most.max(sum);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);

    fn most(history: &[(u64, u64)]) -> u64 {
        let admission = |&(ms, cost)| Admission {
            at: Duration::from_millis(ms),
            cost,
        };
        let history: Vec<_> = history.iter().map(admission).collect();
        most_in_any_window(&history, PERIOD)
    }

    #[test]
    fn a_window_is_open_at_its_start_and_closed_at_its_end() {
        assert_eq!(most(&[(100, 1), (110, 1)]), 1);
        assert_eq!(most(&[(100, 1), (109, 1)]), 2);
        assert_eq!(most(&[(100, 1), (100, 1)]), 2);
    }

    #[test]
    fn the_worst_window_counts_and_order_does_not() {
        assert_eq!(most(&[(130, 2), (104, 3), (100, 1), (109, 4), (111, 1)]), 8);
        assert_eq!(most(&[]), 0);
    }
}
