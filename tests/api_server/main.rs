//! The operator against a real API server and etcd, with RBAC on, under the chart's own rights.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test that can't go on fails, and a table of cases is long"
)]

mod access;
mod admission;
mod bad_answers;
mod bad_endpoints;
mod bad_sources;
mod canary;
mod chart;
mod client_secrets;
mod conflicts;
mod crd;
mod deletion;
mod dialects;
mod discovery;
mod drift;
mod folder;
mod gate;
mod grants;
mod leader;
mod limits;
mod lost_state;
mod main_job;
mod mutual_tls;
mod older_kubernetes;
mod other_crds;
mod permissions;
mod policy;
mod presets;
mod probe;
mod program;
mod providers;
mod restart;
mod rotation;
mod stage;
mod story;
mod undecodable;
mod uninstall;
mod upgrades;
mod write_back;
mod writes;

use std::process::ExitCode;

use oauth_keeper_test_support::{suite, tests};

#[expect(clippy::too_many_lines, reason = "a list")]
fn main() -> ExitCode {
    // The longest first, so that no core waits for them at the end.
    suite::run(tests![
        permissions::on_secrets_are_named_when_missing,
        permissions::on_credentials_are_named_when_missing,
        permissions::on_the_rest_are_named_when_missing,
        permissions::on_pods_are_named_when_missing,
        permissions::cluster::are_named_when_missing,
        permissions::tokens::are_named_when_missing,
        upgrades::with_helm_4_lose_nothing,
        upgrades::with_helm_3_lose_nothing,
        upgrades::from_helm_3_to_helm_4_lose_nothing,
        upgrades::back_without_the_crds_the_rest_of_the_cluster_s_stays,
        upgrades::back_to_a_chart_that_has_no_word_for_it_the_crds_stay,
        upgrades::back_there_with_some_namespaces_the_policy_is_asked_for,
        upgrades::crds::with_helm_4_does_not_delete_them,
        upgrades::crds::with_helm_3_does_not_delete_them,
        upgrades::crds::does_not_delete_those_of_another_release,
        upgrades::crds::does_not_delete_those_of_which_no_deployment_tells,
        upgrades::crds::does_not_delete_those_of_a_tenant_to_be_of_which_nothing_tells,
        upgrades::crds::with_helm_3_deletes_marked_ones_with_a_release_that_does_not_keep_them,
        upgrades::crds::takes_no_policy_away_from_the_cluster,
        upgrades::crds::says_at_the_first_installation_that_there_are_none,
        upgrades::crds::needs_no_right_on_them_in_a_release_of_one_namespace,
        upgrades::strategy::is_switched_to_recreate_and_back,
        upgrades::running::a_change_that_takes_two_steps_is_refused_in_one,
        upgrades::running::a_change_that_takes_rights_is_refused_while_pods_run,
        upgrades::running::an_account_and_rights_of_the_user_s_own_are_not_taken,
        upgrades::running::a_release_that_does_not_say_what_it_brought_is_taken_to_have_brought_all,
        upgrades::running::pods_that_are_ending_are_waited_for,
        upgrades::running::a_new_name_takes_two_steps,
        upgrades::running::a_new_name_of_the_pods_needs_a_new_deployment,
        upgrades::running::what_kubectl_scaled_is_the_chart_s_again,
        uninstall::a_release_with_roles_alone_leaves_what_it_must,
        uninstall::crds_that_are_not_kept_go_with_their_credentials,
        other_crds::a_missing_one_is_named_and_waited_for,
        other_crds::without_those_of_providers_the_rest_works,
        other_crds::fields_that_an_older_one_lacks_are_named,
        presets::each_preset_brings_the_documented_token,
        presets::without_the_kinds_it_is_said_what_to_install,
        presets::all_presets_are_valid_as_they_are,
        bad_answers::a_server_that_never_answers_is_given_up_after_two_minutes,
        bad_answers::a_host_that_hangs_does_not_hold_up_others,
        bad_answers::each_bad_answer_has_its_reason_and_its_patience,
        bad_answers::strange_lifetimes_are_read_or_named,
        bad_answers::client_credentials_that_fail_lose_nothing,
        limits::a_flood_of_broken_credentials_delays_no_other_namespace,
        limits::when_a_host_is_back_all_that_waited_go_on,
        limits::an_error_that_passes_by_its_code_alone_holds_others_back,
        limits::a_rate_limit_is_kept,
        limits::many_due_at_once_do_not_rush_to_their_host,
        limits::many_namespaces_of_one_credential_do_not_rush_either,
        limits::a_repeat_in_its_window_waits_for_nothing,
        mutual_tls::a_client_is_known_by_its_certificate,
        mutual_tls::a_probe_shows_the_certificate_too,
        mutual_tls::an_issuer_may_name_an_endpoint_for_such_clients,
        mutual_tls::an_alias_that_an_issuer_begins_to_name_stops_nothing,
        client_secrets::the_next_one_is_sent_once_the_present_one_is_refused,
        client_secrets::which_one_works_is_known_after_writes_of_the_source_and_a_restart,
        client_secrets::where_both_are_refused_one_follows_the_other_once,
        client_secrets::moving_it_to_its_place_makes_no_request,
        leader::a_leader_that_was_frozen_past_its_lease_ends,
        leader::a_killed_leader_is_followed_when_its_lease_has_run_out,
        leader::one_of_two_works_and_hands_over_at_its_end,
        leader::an_operator_without_the_lease_is_refused_nothing_else,
        chart::its_renderings_are_taken,
        chart::what_guards_does_so_in_doubt,
        chart::the_operator_may_do_this_and_no_more,
        chart::limited_to_namespaces_it_may_do_nothing_elsewhere,
        admission::an_author_needs_rights_on_the_secrets,
        admission::a_change_of_what_is_asked_for_needs_them_too,
        admission::tokens_of_service_accounts_need_the_right_to_them,
        admission::what_changes_nothing_of_it_is_let_through,
        admission::a_provider_is_written_by_those_who_read_secrets,
        admission::an_author_without_rights_gets_nothing_sent,
        admission::tenants::their_policies_refuse_at_home_and_nowhere_else,
        canary::no_secret_shows_anywhere,
        probe::tokens_that_are_all_refused_are_not_renewed_in_a_loop,
        probe::a_token_that_is_refused_is_renewed_at_once,
        probe::what_is_said_of_an_older_token_is_no_news,
        probe::without_an_interval_a_token_is_looked_at_once_after_a_restart,
        probe::other_answers_say_nothing_about_the_token,
        probe::what_was_said_of_a_token_stays_over_a_restart,
        dialects::the_end_of_a_refresh_token_is_told_ahead_of_time,
        dialects::a_server_is_spoken_to_in_its_own_words,
        dialects::what_a_server_says_beside_the_token_is_told_or_hidden,
        dialects::error_codes_may_be_numbers_in_a_success,
        dialects::tokens_are_taken_from_a_list_and_from_what_calls_itself_a_failure,
        bad_endpoints::an_endpoint_that_is_down_is_tried_again_later,
        bad_endpoints::metadata_services_are_never_called,
        bad_endpoints::without_flags_neither_http_nor_loopback_is_called,
        bad_sources::a_bad_key_is_named_and_nothing_is_sent,
        bad_sources::a_missing_source_is_named_and_waited_for,
        bad_sources::a_spoiled_state_is_left_alone,
        conflicts::a_secret_of_somebody_else_is_never_touched,
        conflicts::the_older_of_two_credentials_has_the_target,
        conflicts::a_state_of_somebody_else_is_never_touched,
        restart::a_restart_renews_and_writes_nothing_that_is_in_order,
        restart::an_unrelated_edit_of_the_source_costs_nothing_after_a_restart,
        restart::a_token_that_came_due_meanwhile_is_renewed,
        restart::an_edit_made_meanwhile_is_acted_on,
        restart::sigterm_waits_for_the_commit,
        restart::a_journaled_answer_is_committed_by_the_next_process,
        restart::an_exchange_cut_by_a_kill_is_made_again,
        restart::a_claim_is_respected_as_long_as_its_pod_is_there,
        rotation::the_claim_is_written_before_the_request_goes_out,
        rotation::an_answer_with_a_refresh_token_alone_is_kept_and_not_repeated_without_a_pause,
        rotation::a_server_that_refuses_early_renewals_is_not_asked_early,
        rotation::the_commit_comes_before_the_target,
        rotation::an_edit_of_the_state_meanwhile_does_not_cost_the_token,
        rotation::a_state_deleted_meanwhile_is_made_anew,
        rotation::a_credential_deleted_amid_an_exchange_goes_after_its_commit,
        deletion::its_state_goes_with_it_and_the_finalizer_after,
        deletion::what_shall_stay_stays,
        deletion::the_refresh_token_is_revoked_first,
        deletion::a_revocation_is_asked_for_in_the_words_of_the_server,
        deletion::a_spec_that_can_t_be_used_does_not_go_without_a_word,
        deletion::a_provider_that_is_gone_does_not_hold_it_up,
        deletion::a_revocation_that_fails_does_not_hold_it_up_for_ever,
        providers::a_named_provider_is_used_and_its_changes_act,
        providers::a_provider_that_can_t_be_used_is_told_and_mended,
        providers::a_provider_that_moves_gets_no_refresh_token,
        providers::an_edit_reaches_those_that_wait_for_their_turn,
        providers::a_namespaced_operator_takes_none_of_the_cluster,
        discovery::endpoints_are_found_in_either_document,
        discovery::a_document_of_another_issuer_is_not_gone_by,
        discovery::a_document_that_moves_gets_no_refresh_token,
        discovery::a_restart_writes_nothing_while_an_issuer_is_slow,
        discovery::an_expired_token_is_not_called_good_while_a_document_is_awaited,
        discovery::slow_issuers_of_one_namespace_hold_up_no_other,
        write_back::each_rotated_token_is_written_into_the_source,
        write_back::a_backup_of_the_source_is_no_new_seed,
        write_back::a_newer_seed_is_not_overwritten,
        write_back::without_it_the_source_is_not_touched,
        rotation::without_a_claim_nothing_is_sent,
        rotation::a_refused_target_does_not_cost_the_token,
        program::the_namespaces_given_are_watched_and_no_other,
        program::without_rights_it_is_alive_and_not_ready,
        program::metrics_tell_what_happened,
        program::proxies_of_the_environment_are_not_used,
        program::wrong_flags_are_told,
        older_kubernetes::is_told_of_once_and_worked_with,
        older_kubernetes::gets_no_release,
        program::logs_are_for_machines_or_for_people,
        main_job::a_refresh_token_becomes_a_target,
        main_job::client_credentials_keep_no_state,
        main_job::tokens_are_renewed_before_they_expire,
        main_job::the_next_renewal_follows_from_expires_in,
        main_job::a_suspended_credential_is_left_alone,
        main_job::events_tell_transitions_only,
        main_job::nothing_is_written_without_a_change,
        writes::a_renewal_costs_two_writes_or_four,
        lost_state::with_a_rotated_token_a_human_must_sign_in,
        lost_state::with_a_token_that_is_not_rotated_it_is_made_anew,
        grants::a_workload_identity_needs_no_stored_secret,
        grants::claims_are_said_as_they_are_written,
        grants::a_token_of_a_service_account_that_is_refused_is_told,
        grants::a_journaled_session_is_committed_by_the_next_process,
        grants::a_refresh_cookie_that_is_replaced_is_sent_next,
        drift::edits_in_a_row_keep_the_least_interval,
        drift::a_spoiled_target_is_rendered_from_the_state,
        drift::without_a_state_a_spoiled_target_costs_one_request,
        drift::an_edited_template_is_rendered_and_its_remains_removed,
        drift::a_renamed_target_is_made_from_the_state,
        drift::an_edit_of_the_request_acts_at_once,
        drift::a_new_seed_in_the_source_acts_at_once,
        drift::an_edit_of_the_source_that_changes_nothing_makes_no_request,
        crd::right_specs_are_taken,
        crd::wrong_specs_are_refused_with_words_to_act_on,
        crd::providers_are_taken_and_refused_likewise,
        crd::presets_are_taken,
        crd::misspelt_fields_are_refused_by_kubectl,
        crd::nothing_is_filled_in,
        crd::the_grant_can_be_changed_by_apply,
        crd::kubectl_shows_what_matters;
        alone:
        rotation::a_crash_of_the_api_server_does_not_cost_the_token,
        leader::a_leader_that_cannot_renew_ends_when_all_is_committed,
        program::without_a_namespace_all_are_watched,
        providers::one_of_the_cluster_is_for_the_namespaces_it_names,
        presets::one_of_the_cluster_is_renewed_by_and_upgraded,
        undecodable::an_unreadable_object_says_so_and_harms_no_other,
    ])
}
