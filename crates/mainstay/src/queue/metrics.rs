//! What is counted of queues.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::key::Name;

/// Queues of tenants are as many as those: what comes before the first `/` is their label.
fn label(name: &Name) -> String {
    let name = name.as_str();
    name.split_once('/')
        .map_or(name, |(family, _)| family)
        .to_owned()
}

pub(super) fn pushed(name: &Name, many: u64) {
    counter!("mainstay_queue_pushed_total", "queue" => label(name)).increment(many);
}

pub(super) fn refused(name: &Name, why: &'static str) {
    counter!("mainstay_queue_refused_total", "queue" => label(name), "why" => why).increment(1);
}

pub(super) fn delivered(name: &Name, many: u64) {
    counter!("mainstay_queue_deliveries_total", "queue" => label(name)).increment(many);
}

pub(super) fn settled(name: &Name, how: &'static str, many: u64) {
    if many > 0 {
        let queue = label(name);
        counter!("mainstay_queue_settled_total", "queue" => queue, "how" => how).increment(many);
    }
}

pub(super) fn lost(name: &Name) {
    counter!("mainstay_queue_lost_total", "queue" => label(name)).increment(1);
}

pub(super) fn handled(name: &Name, took: Duration) {
    histogram!("mainstay_queue_job_seconds", "queue" => label(name)).record(took);
}

pub(super) fn has_one_more() {
    gauge!("mainstay_queue_in_flight").increment(1);
}

pub(super) fn has_one_less() {
    gauge!("mainstay_queue_in_flight").decrement(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_of_many_tenants_share_a_label() {
        for (name, wanted) in [
            ("reports", "reports"),
            ("mail/acme", "mail"),
            ("a/b/c", "a"),
        ] {
            assert_eq!(label(&Name::new(name).unwrap()), wanted);
        }
    }
}
