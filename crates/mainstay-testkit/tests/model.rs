//! The cache's protocol in every order of its steps, as it is meant and with each rule left out.

use mainstay_testkit::model::{Flaw, Guarantee, Scope, check, refute};

/// Checks a scope; one with fewer states than `at_least` would not show much.
fn holds(scope: Scope, at_least: usize) {
    let verdict = check(scope);
    let names: Vec<_> = scope.guarantees().map(Guarantee::name).collect();
    let found: Vec<_> = verdict.broken.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}:\n{}", scope.name(), found.join("\n"));
    println!(
        "model: {}, {} states, {} hold",
        scope.name(),
        verdict.states,
        names.join(" ")
    );
    assert_eq!(
        verdict.unseen,
        [""; 0],
        "never happened in {}",
        scope.name()
    );
    assert!(verdict.states >= at_least, "{} states", verdict.states);
}

/// Checks that a flaw breaks a guarantee.
fn breaks(scope: Scope, flaw: Flaw, guarantee: Guarantee) {
    let found = refute(scope, flaw, guarantee);
    let found = found.unwrap_or_else(|| panic!("{flaw:?} does no harm in {}", scope.name()));
    println!("model: with {flaw:?} in {}: {found}", scope.name());
}

#[test]
fn values_and_leases_of_two_processes_keep_to_the_guarantees() {
    holds(Scope::LEASE, 1_000);
}

#[test]
fn a_near_cache_keeps_to_the_guarantees_in_time() {
    holds(Scope::NEAR, 100_000);
}

#[test]
fn a_near_cache_whose_connection_is_half_open_keeps_to_the_guarantees() {
    holds(Scope::HALF_OPEN, 50_000);
}

#[test]
fn a_near_cache_that_reads_on_a_connection_which_ends_keeps_to_the_guarantees() {
    holds(Scope::LINGERING, 50_000);
}

#[test]
fn reads_that_overtake_each_other_keep_to_the_guarantees() {
    holds(Scope::FLIGHTS, 200_000);
}

#[test]
fn two_near_caches_with_loads_keep_to_the_guarantees() {
    holds(Scope::PAIR, 90_000);
}

#[test]
fn tags_keep_to_the_guarantees() {
    holds(Scope::TAGS, 40_000);
}

#[test]
fn a_near_cache_of_tagged_entries_keeps_to_the_guarantees() {
    holds(Scope::NEAR_TAGS, 60_000);
}

#[test]
fn without_the_poison_flag_a_hit_is_too_old() {
    breaks(Scope::HALF_OPEN, Flaw::IgnorePoison, Guarantee::G2);
}

#[test]
fn without_the_lease_check_an_invalidated_value_is_stored() {
    breaks(Scope::LEASE, Flaw::SkipLeaseCheck, Guarantee::G1);
}

#[test]
fn a_lease_that_is_granted_twice_is_held_by_two() {
    breaks(Scope::LEASE, Flaw::GrantHeldLease, Guarantee::G3);
}

#[test]
fn without_the_epoch_what_was_read_before_a_reset_is_served_too_long() {
    breaks(Scope::NEAR, Flaw::KeepEpoch, Guarantee::G2);
}

#[test]
fn an_epoch_that_rises_once_for_an_end_lets_what_was_read_meanwhile_be_served_too_long() {
    breaks(Scope::LINGERING, Flaw::EpochRisesOnce, Guarantee::G2);
}

#[test]
fn a_pong_that_counts_from_its_receipt_makes_hits_too_old() {
    breaks(Scope::HALF_OPEN, Flaw::PongTimeIsReceipt, Guarantee::G2);
}

#[test]
fn without_the_fence_a_process_does_not_read_what_it_wrote() {
    breaks(Scope::NEAR, Flaw::SkipFence, Guarantee::G4);
}

#[test]
fn without_the_watermark_a_load_takes_a_tag_that_was_invalidated_under_it() {
    breaks(Scope::TAGS, Flaw::IgnoreWatermark, Guarantee::G1);
}

#[test]
fn a_tag_that_is_made_anew_whatever_happened_revives_entries() {
    breaks(Scope::TAGS, Flaw::ReviveTag, Guarantee::G1);
}

#[test]
fn a_tag_that_is_made_in_two_steps_is_made_too_late() {
    breaks(Scope::TAGS, Flaw::TagCreatedLate, Guarantee::G1);
}
