//! What every backend must do, as functions named by a sentence.
//!
//! A behaviour is an `async fn(&Subject)` that panics when the sentence is not true.
//! [`behaviours!`](crate::behaviours) lists all of them, so that a test binary can stamp each
//! behaviour with each backend.

#![expect(missing_docs, reason = "the name of a behaviour says it")]
#![expect(clippy::unwrap_used, reason = "a behaviour is the body of a test")]

pub mod cache;
pub mod channel;
pub mod entries;
pub mod health;
pub mod history;
pub mod limit;
pub mod limit_kinds;
pub mod limit_permits;
pub mod limit_prepaid;
pub mod lock;
pub mod lock_drops;
pub mod lock_kinds;
pub mod near;
pub mod plain_session;
pub mod queue;
pub mod queue_dead;
pub mod queue_work;
pub mod session;
pub mod session_data;
pub mod session_ids;
pub mod stale;
pub mod tags;

mod loading;
mod subject;

pub use subject::Subject;

use std::time::Duration;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Hands the list of all behaviours, by area, to the macro `$stamp`, after the tokens `$with`.
#[macro_export]
macro_rules! behaviours {
    ($stamp:ident! [$($with:tt)*]) => {
        $stamp! {
            [$($with)*]
            cache {
                a_value_is_gone_after_its_ttl
                a_set_replaces_the_value_and_its_ttl
                a_removed_value_is_gone
                a_loaded_value_is_served_without_loading_again
                a_hundred_callers_share_one_load
                a_loader_error_reaches_every_waiter_once
                a_loader_panic_reaches_every_waiter_once
                a_dropped_caller_does_not_end_the_load
                a_load_that_ends_after_a_remove_is_not_stored
                a_load_that_ends_after_a_set_is_not_stored
                a_load_from_before_a_remove_is_not_given_to_later_callers
                a_load_of_another_process_is_waited_for
                an_undecodable_value_is_a_miss_and_replaced
                an_entry_tells_its_age_and_the_time_it_has_left
                keys_with_special_characters_do_not_collide
                caches_with_different_names_are_apart
                namespaces_are_apart
            }
            near {
                a_value_that_was_read_is_served_by_the_process
                a_process_reads_what_it_wrote_through_every_handle
                what_another_process_writes_is_seen_within_the_bound
                a_near_value_goes_with_its_ttl
                a_load_that_a_removal_overtakes_is_not_kept_near
                several_keys_are_read_at_once_and_in_their_order
                compressed_entries_weigh_what_they_take_in_the_process
                a_process_reads_what_it_has_loaded_anew
            }
            tags {
                a_tag_takes_its_entries_and_no_others
                a_load_that_its_tag_overtakes_is_not_stored
                clear_takes_every_entry
                a_tag_of_another_process_takes_entries_within_the_bound
                tags_are_checked_before_anything_is_sent
            }
            stale {
                a_stale_value_is_served_at_once_while_one_load_replaces_it
                a_stale_value_stands_in_for_a_load_that_fails
                a_stale_value_stands_in_for_a_load_that_is_slow
                an_entry_that_was_declared_stale_is_served_only_as_such
                an_entry_ages_alike_for_who_keeps_it_shorter
            }
            entries {
                a_known_miss_is_remembered_for_its_own_ttl
                who_wants_a_value_loads_past_a_known_miss
                everybody_is_told_of_a_failed_load_for_the_error_ttl
                a_load_that_takes_too_long_fails
                a_refresh_replaces_a_fresh_value
                a_ttl_may_come_from_the_value
                an_entry_with_a_sliding_ttl_stays_while_it_is_read
                a_value_that_is_too_large_is_returned_and_not_stored
                a_compressed_value_comes_back_whole
                the_highest_schema_wins
                missing_keys_are_loaded_by_one_call
                a_lease_that_was_handed_out_ends_with_any_change
                an_outdated_schema_leases_what_it_cannot_fill
                a_lease_of_another_layout_is_refused
                an_entry_of_another_codec_is_none
                a_panic_of_the_tags_costs_callers_nothing
                a_plain_entry_cannot_be_declared_stale
            }
            session {
                a_created_session_loads_with_its_data
                an_id_that_was_never_issued_loads_nothing
                a_planted_id_is_never_adopted
                an_idle_session_expires
                an_active_session_expires_at_its_absolute_deadline
                activity_keeps_a_session_alive
                a_revoked_session_is_gone_and_others_stay
                revoke_all_ends_every_session_of_the_user_and_no_other
                a_login_after_revoke_all_works
                the_listing_holds_every_valid_session_and_no_other
                a_listed_session_can_be_revoked_by_its_hash
                revoke_all_that_races_with_logins_leaves_nothing_unlisted
                ids_are_hashed_at_rest
                an_idle_session_lives_at_least_its_idle_time_after_any_use
                an_active_session_stays_listed
                a_listing_tells_where_sessions_are_used_from
                a_listing_tells_of_sessions_with_much_data_as_of_others
                all_sessions_but_one_end_together
                a_visitor_has_a_session_that_is_nobodys_and_ends_at_log_in
                a_session_that_outlives_the_others_is_seen_all_the_time
                no_listing_is_longer_than_asked_for
                whatever_becomes_of_sessions_every_key_ends
            }
            session_data {
                keys_that_others_change_meanwhile_are_kept
                the_later_of_two_writes_to_a_key_stays_or_is_refused
                keys_that_a_change_does_not_touch_are_not_written
                a_change_is_made_anew_on_what_another_has_stored
                data_that_is_no_object_changes_as_one
                nothing_is_saved_to_a_session_that_has_ended
                more_data_than_is_allowed_is_refused_and_loses_nothing
                data_of_another_type_is_an_error_and_no_empty_session
            }
            session_ids {
                a_rotated_session_goes_on_under_a_new_id
                an_old_id_works_until_its_grace_after_the_first_use_of_the_new
                an_old_id_that_is_used_lives_as_long_as_its_session
                to_rotate_a_new_id_is_its_first_use
                a_log_in_ends_the_session_that_its_old_id_leads_to
                rotations_at_a_time_give_one_successor
                ids_lead_over_several_rotations
                a_session_can_be_ended_by_its_old_id
                an_id_before_a_second_log_in_does_not_show_it_and_leads_to_no_other
                a_log_in_beyond_the_limit_ends_the_one_that_would_end_first
                a_log_in_beyond_the_limit_is_refused_until_there_is_room
                never_are_there_more_sessions_than_allowed
            }
            plain_session {
                a_plain_session_loads_as_it_was_created
                a_plain_session_ends_at_its_time_however_much_it_is_used
                a_revoked_plain_session_is_gone_and_others_stay
                revoking_all_ends_every_plain_session_of_the_user_and_no_other
                the_plain_listing_holds_every_valid_session_and_no_other
                many_plain_sessions_are_listed_and_revoked
                plain_log_ins_beside_revoke_all_are_listed_or_gone
                plain_sessions_of_users_with_similar_ids_are_apart
                what_can_be_no_plain_id_is_refused
                plain_sessions_and_others_of_a_user_are_apart
                plain_sessions_of_namespaces_are_apart
            }
            channel {
                events_of_one_publisher_arrive_in_order
                every_subscriber_hears_every_event
                an_event_arrives_as_it_was_published
                a_slow_subscriber_gets_a_gap_with_the_number_dropped
                a_slow_subscriber_slows_nobody_else
                a_dropped_subscriber_is_unsubscribed
                one_subscriber_listens_to_several_channels
                an_event_that_does_not_decode_is_handed_out_as_such
                json_of_another_program_becomes_an_event
                an_event_over_the_size_limit_is_refused
            }
            history {
                events_are_numbered_and_handed_out_in_order
                who_comes_late_reads_what_is_kept_and_goes_on
                a_subscriber_goes_on_after_the_place_it_names
                a_subscriber_that_attaches_while_others_publish_misses_nothing
                a_slow_subscriber_of_a_history_misses_nothing
                an_event_larger_than_a_buffer_arrives
                no_more_events_are_kept_than_the_retention_counts
                no_event_is_handed_out_that_is_too_old
                no_more_bytes_are_kept_than_the_retention_says
                an_event_is_published_once_however_often_it_is_sent
                what_is_read_has_a_bound_and_a_time
                histories_of_different_channels_are_apart
                what_is_no_event_of_the_type_has_its_place_too
                a_place_of_another_history_is_told_apart
                only_a_retention_that_keeps_nothing_or_too_much_is_refused
                no_key_of_a_history_is_immortal
            }
            limit {
                no_window_admits_more_than_the_limit
                remaining_counts_down_to_a_denial
                a_denial_changes_nothing
                a_denied_call_is_admitted_at_its_retry_after_and_not_before
                a_cost_above_the_limit_is_never_admitted
                a_peek_charges_nothing
                a_cost_is_taken_whole_or_not_at_all
                subjects_and_policies_are_apart
                nothing_counts_any_more_after_the_reset
            }
            limit_kinds {
                every_algorithm_counts_down_to_a_denial
                a_bucket_is_refilled_evenly
                a_denial_by_one_policy_charges_none
                each_policy_may_have_a_subject_of_its_own
                calls_of_several_limiters_are_decided_together
                denials_are_remembered_until_they_end
                what_is_given_back_can_be_taken_again
                a_reset_forgets_what_was_counted
                a_call_with_a_token_is_charged_once
                a_changed_policy_finds_what_was_counted
                a_look_by_another_rule_changes_nothing
            }
            limit_permits {
                permits_are_given_back_when_they_are_left_or_dropped
                a_permit_lasts_while_it_is_kept_and_no_longer
                a_permit_may_be_kept_by_its_token
                a_permit_and_a_rate_are_taken_together_or_not_at_all
            }
            limit_prepaid {
                prepaid_units_of_all_processes_stay_within_the_limit
                prepaid_units_that_are_not_used_come_back
                prepaid_units_come_back_when_nobody_can_use_them
                a_dropped_prepaid_call_loses_nothing
                a_prepaid_refusal_is_held_to_for_a_lease_at_most
                a_prepaid_limit_can_be_looked_at_and_reset
            }
            lock {
                a_held_lock_excludes_others
                concurrent_holders_never_overlap_and_fences_rise
                a_fence_rises_with_every_holder
                a_renewed_lease_keeps_its_fence
                releasing_twice_answers_released_twice
                a_guard_renews_itself_beyond_its_ttl
                a_lease_that_is_not_renewed_ends
                renewing_never_takes_a_free_lock
                only_the_owner_can_release
                a_waiter_gets_the_lock_when_it_is_released
                waiters_get_the_lock_in_the_order_in_which_they_came
                who_does_not_wait_does_not_overtake_who_does
                a_waiter_who_gives_up_holds_nobody_up
                a_wait_that_runs_out_tells_who_holds_the_lock
                a_dropped_guard_frees_the_lock
                a_dropped_acquisition_holds_nothing_beyond_its_ttl
                a_lock_that_was_taken_away_is_lost
                a_token_that_is_no_token_is_refused
                what_is_held_can_be_seen
                a_forced_release_ends_what_was_seen_and_nothing_else
            }
            lock_drops {
                a_dropped_acquisition_leaves_nothing
                a_dropped_lease_call_leaves_nothing
                a_dropped_release_releases
                work_that_is_dropped_under_a_lock_releases_it
                a_dropped_acquisition_of_units_leaves_nothing
                a_dropped_writer_holds_up_no_reader
                a_dropped_acquisition_of_several_locks_leaves_none_of_them
                a_dropped_candidate_leads_no_longer
            }
            lock_kinds {
                a_semaphore_lets_in_as_many_as_it_has_units
                many_units_are_taken_at_once_or_not_at_all
                who_wants_many_units_is_not_overtaken_by_who_wants_few
                a_shared_hold_is_renewed_and_seen_and_can_be_broken
                what_is_held_of_every_kind_is_listed_and_can_be_freed
                readers_share_and_a_writer_is_alone
                a_writer_who_waits_is_not_starved_and_readers_follow_together
                several_locks_are_taken_all_or_none
                sets_that_overlap_never_wait_for_each_other
                one_candidate_leads_until_it_resigns_or_is_lost
                a_latch_opens_when_all_have_arrived
                a_smaller_fence_never_replaces_a_guarded_value
                work_under_a_lock_ends_with_the_lock
            }
            queue {
                a_job_is_gone_when_it_is_done
                jobs_come_in_the_order_in_which_they_were_pushed
                a_delayed_job_comes_when_it_is_due_and_not_before
                an_id_is_pushed_once_within_its_window
                concurrent_pushes_of_one_id_add_one_job
                a_full_queue_says_so_and_drops_nothing
                a_job_whose_lease_has_ended_comes_before_all_others
                who_has_lost_a_delivery_can_do_nothing_with_it
                a_lease_that_is_renewed_goes_on
                a_failed_job_comes_again_as_the_same_job
                what_is_given_back_does_not_count
                jobs_of_one_key_come_one_at_a_time_and_in_order
                a_delayed_job_holds_up_the_later_ones_of_its_key
                queues_and_namespaces_are_apart
                many_large_jobs_are_not_taken_at_once
                every_key_of_a_queue_ends
                what_is_out_of_range_is_refused
            }
            queue_dead {
                a_job_is_dead_after_its_last_attempt
                lost_workers_count_as_attempts
                a_job_of_a_key_that_dies_makes_way_for_the_next
                dead_letters_are_listed_replayed_and_forgotten
                dead_letters_are_bounded_and_what_falls_out_is_counted
                a_letter_whose_id_is_a_job_again_stays_dead
            }
            queue_work {
                a_worker_who_waits_is_called
                workers_share_the_jobs
                no_more_are_in_flight_than_a_worker_may_have
                a_long_job_is_extended_while_its_worker_lives
                a_worker_learns_that_it_has_lost_a_delivery
                a_dropped_delivery_is_a_failed_attempt
                what_cannot_be_decoded_is_dead_and_others_go_on
                a_handler_decides_by_what_it_returns
                jobs_of_one_key_are_never_worked_on_together
                a_worker_that_ends_gives_back_what_is_not_done
                a_handler_has_the_grace_to_end
            }
            health {
                a_probe_names_the_server
                a_running_backend_is_up
            }
        }
    };
}

#[cfg(test)]
mod tests {
    macro_rules! names {
        ([] $($area:ident { $($name:ident)* })*) => {
            [$((
                include_str!(concat!(stringify!($area), ".rs")),
                &[$(stringify!($name)),*][..],
            )),*]
        };
    }

    #[test]
    fn every_behaviour_is_listed() {
        for (source, listed) in behaviours!(names![]) {
            let written = source
                .lines()
                .filter_map(|line| line.strip_prefix("pub async fn "))
                .filter_map(|rest| rest.split('(').next());
            assert_eq!(written.collect::<Vec<_>>(), listed);
        }
    }
}
