//! What is counted of locks.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::key::Name;

/// Locks of orders or users are as many as those: what comes before the first `/` is their label.
fn label(name: &Name) -> String {
    let name = name.as_str();
    name.split_once('/')
        .map_or(name, |(family, _)| family)
        .to_owned()
}

pub(super) fn acquired(name: &Name, waited: Duration) {
    let lock = label(name);
    counter!("mainstay_lock_acquired_total", "lock" => lock.clone()).increment(1);
    histogram!("mainstay_lock_wait_seconds", "lock" => lock).record(waited);
}

pub(super) fn refused(name: &Name) {
    counter!("mainstay_lock_refused_total", "lock" => label(name)).increment(1);
}

pub(super) fn lost(name: &Name) {
    counter!("mainstay_lock_lost_total", "lock" => label(name)).increment(1);
}

pub(super) fn broken(name: &Name) {
    counter!("mainstay_lock_broken_total", "lock" => label(name)).increment(1);
}

pub(super) fn holds_one_more() {
    gauge!("mainstay_lock_held").increment(1);
}

pub(super) fn holds_one_less() {
    gauge!("mainstay_lock_held").decrement(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_of_many_things_share_a_label() {
        for (name, wanted) in [("report", "report"), ("order/17", "order"), ("a/b/c", "a")] {
            assert_eq!(label(&Name::new(name).unwrap()), wanted);
        }
    }
}
