//! What goes wrong between an operator, its API server and its authorization servers, made to go wrong on purpose: no
//! refresh token is used twice, and none is lost but for causes that no client can close.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

// Shared with the tests on a real API server; neither binary uses all of it.
#[allow(dead_code, reason = "shared")]
#[path = "../api_server/folder.rs"]
mod folder;
#[allow(dead_code, reason = "shared")]
#[path = "../api_server/gate.rs"]
mod gate;
#[allow(dead_code, reason = "shared")]
#[path = "../api_server/policy.rs"]
mod policy;
#[allow(dead_code, reason = "shared")]
#[path = "../api_server/stage.rs"]
mod stage;
#[allow(dead_code, reason = "shared")]
#[path = "../api_server/story.rs"]
mod story;

mod answers;
mod bad_journal;
mod bad_state;
mod clocks;
mod copies;
mod crashes;
mod cuts;
mod edits;
mod fail_points;
mod fleet;
mod holds;
mod keycloak;
mod lost_replies;
mod oracle;
mod pod;
mod process;
mod refusals;
mod replicas;
mod scene;
mod sizes;
mod table;

use std::process::ExitCode;

use oauth_keeper_test_support::suite::{self, Case, Env};
use oauth_keeper_test_support::tests;

fn main() -> ExitCode {
    let limit = sizes::sizes().limit;
    // The longest first, so that no core waits for them at the end.
    let tests = long().into_iter().chain(short());
    suite::run(tests.map(|test| test.within(limit)).collect())
}

fn long() -> Vec<Case<Env>> {
    tests![
        answers::a_single_invalid_grant_is_not_believed,
        replicas::rolling_restarts_under_load_never_use_a_token_twice,
        replicas::two_replicas_without_a_lease_never_use_a_token_twice,
        replicas::a_leader_frozen_amid_an_exchange_that_comes_back_late_sends_nothing,
        replicas::a_standby_does_not_end_before_what_its_predecessor_received_is_committed,
        replicas::a_lease_that_is_stolen_or_deleted_costs_nothing,
        keycloak::what_died_with_its_process_is_asked_for_again,
        keycloak::what_was_cut_is_asked_for_again,
        clocks::a_clock_set_under_a_running_operator_neither_misses_a_renewal_nor_makes_many,
        clocks::a_clock_set_between_two_runs_neither_misses_a_renewal_nor_makes_many,
        clocks::a_clock_that_is_set_costs_at_most_one_request_each_time,
        copies::objects_copied_to_a_second_cluster_send_nothing_before_they_are_adopted,
        cuts::the_certified_provider_whose_answer_is_cut_is_not_asked_again_before_the_hold_ends,
        cuts::a_strict_server_whose_answer_is_cut_is_not_asked_again_before_the_hold_ends,
        cuts::with_a_reuse_window_no_cut_costs_the_token,
    ]
}

fn short() -> Vec<Case<Env>> {
    tests![
        fail_points::a_stop_at_any_point_costs_nothing,
        fail_points::a_kill_at_any_point_costs_at_most_what_was_not_journaled,
        fail_points::a_panic_at_any_point_costs_nothing,
        fail_points::a_kill_of_the_container_that_replays_costs_nothing,
        fail_points::a_panic_of_the_container_that_replays_costs_nothing,
        fail_points::a_lost_pod_costs_at_most_what_was_not_committed,
        fail_points::with_a_reuse_window_a_lost_pod_costs_nothing,
        bad_journal::a_journal_that_lost_the_answer_holds_the_token_back,
        bad_journal::a_journal_of_another_credential_is_of_no_use,
        bad_journal::a_journal_of_another_release_holds_back_its_credential_and_no_other,
        bad_journal::a_journal_that_is_given_up_is_an_answer_that_was_lost,
        bad_journal::a_journal_that_the_state_is_past_holds_nobody_back,
        bad_journal::a_new_seed_needs_no_journal_that_can_not_be_read,
        bad_journal::a_journal_cut_behind_the_refresh_token_is_as_good_as_whole,
        bad_state::a_spoiled_state_sends_nothing_until_it_is_restored,
        bad_state::a_state_spoiled_under_a_running_operator_sends_nothing,
        bad_state::a_state_deleted_and_put_back_in_two_steps_goes_on,
        bad_state::a_state_of_another_type_sends_nothing,
        bad_state::a_state_with_keys_of_others_keeps_them,
        answers::an_error_after_the_token_was_spent_is_as_a_lost_answer,
        answers::an_error_after_the_token_was_spent_costs_nothing_within_a_window,
        answers::an_error_that_spent_nothing_costs_nothing,
        answers::an_endpoint_at_another_origin_gets_no_token_before_the_source_allows_it,
        copies::the_second_of_two_credentials_with_one_refresh_token_sends_nothing,
        copies::of_many_credentials_made_at_once_with_one_refresh_token_one_sends_it,
        copies::a_token_in_two_namespaces_of_one_operator_is_sent_by_one,
        edits::a_storm_of_edits_does_not_cost_the_token,
        edits::a_new_seed_during_the_exchange_wins,
        edits::an_old_seed_put_back_twenty_times_costs_no_exchange,
        edits::a_state_deleted_during_the_exchange_is_made_anew,
        edits::a_namespace_that_ends_during_the_exchange_keeps_the_token,
        edits::a_namespace_whose_content_goes_during_the_exchange_does_not_wait_for_it,
        edits::in_a_namespace_that_ends_nothing_is_sent,
        edits::a_state_set_back_under_a_running_operator_is_restored,
        edits::a_state_set_back_while_no_operator_ran_is_not_used,
        holds::a_state_deleted_while_its_token_is_held_comes_back_with_the_hold,
        holds::a_new_seed_is_sent_at_once_though_another_client_waits_out_the_hold,
        holds::a_new_seed_that_comes_to_nothing_does_not_end_the_hold_of_the_old_one,
        holds::a_credential_that_waits_for_its_turn_can_be_deleted,
        holds::two_seeds_whose_outcome_nobody_knows_are_both_held,
        holds::a_state_deleted_before_it_had_a_record_does_not_end_the_hold,
        lost_replies::a_write_whose_reply_is_lost_is_neither_missed_nor_repeated,
        lost_replies::with_half_of_all_replies_lost_no_token_is_used_twice,
        refusals::a_policy_before_the_claim_costs_no_request,
        refusals::a_policy_after_the_claim_delays_the_commit,
        refusals::a_target_that_may_not_be_written_costs_no_request,
        refusals::without_room_in_the_quota_nothing_is_sent,
        refusals::a_quota_used_up_after_the_claim_costs_no_token,
        refusals::a_nearly_full_state_has_room_for_the_answer_or_no_request_is_made,
        refusals::rights_revoked_before_the_claim_cost_no_request,
        refusals::without_the_right_to_change_secrets_no_first_token_is_asked_for,
        refusals::rights_revoked_after_the_claim_delay_the_commit,
        refusals::a_neighbour_is_not_held_up_by_a_commit_that_is_refused;
        alone:
        crashes::an_answer_outlives_the_api_server_and_then_its_container,
    ]
}
