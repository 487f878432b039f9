//! No two holders at once, and fences that rise.

use std::time::Duration;

/// One time a lock was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// When the holder knew that it holds the lock.
    pub from: Duration,
    /// When it began to give the lock up, or its deadline if that came first.
    pub until: Duration,
    /// Its fence.
    pub fence: u64,
}

/// Checks the whole history of one lock; its order is free, all times are of one clock.
///
/// # Errors
/// The two entries that contradict each other, and how.
pub fn check_locks(history: &[Held]) -> Result<(), String> {
    let mut sorted = history.to_vec();
    sorted.sort_unstable_by_key(|held| held.from);
    for (earlier, later) in sorted.iter().zip(sorted.iter().skip(1)) {
        if later.from < earlier.until {
            return Err(format!("two holders at once: {earlier:?} and {later:?}"));
        }
        if later.fence <= earlier.fence {
            return Err(format!(
                "the fence did not rise: {earlier:?} then {later:?}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(from: u64, until: u64, fence: u64) -> Held {
        Held {
            from: Duration::from_millis(from),
            until: Duration::from_millis(until),
            fence,
        }
    }

    #[test]
    fn one_after_the_other_with_rising_fences_is_right() {
        assert_eq!(check_locks(&[held(20, 30, 9), held(0, 20, 3)]), Ok(()));
    }

    #[test]
    fn an_overlap_is_found() {
        let wrong = check_locks(&[held(19, 30, 9), held(0, 20, 3)]).unwrap_err();
        assert!(wrong.starts_with("two holders at once"), "{wrong}");
    }

    #[test]
    fn a_fence_that_stays_is_found() {
        let wrong = check_locks(&[held(0, 10, 3), held(10, 20, 3)]).unwrap_err();
        assert!(wrong.starts_with("the fence did not rise"), "{wrong}");
    }
}
