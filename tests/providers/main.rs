//! The operator against authorization servers: two as their vendors document them, request by request
//! and byte for byte, and two real ones.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

mod api_call;
mod itflex;
mod jwt_bearer;
mod keycloak_exchange;
mod keycloak_jwt;
mod keycloak_tls;
mod mutual_tls;
mod openid;
mod openid_jwt;
mod openid_resource;
mod password;
mod rd_station;
mod thingpark;
mod wire;
mod world;

use std::process::ExitCode;

use oauth_keeper_test_support::suite;
use oauth_keeper_test_support::tests;

fn main() -> ExitCode {
    // The longest first, so that it runs beside all the others.
    suite::run(tests![
        rd_station::a_dead_refresh_token_is_believed_the_second_time,
        thingpark::a_token_is_renewed_ten_seconds_before_its_expiry,
        thingpark::the_client_secret_goes_into_the_body,
        thingpark::the_client_secret_goes_into_the_header,
        keycloak_jwt::a_client_signs_with_its_key,
        keycloak_jwt::a_client_signs_with_its_secret,
        keycloak_jwt::another_key_is_told_and_the_right_one_heals,
        keycloak_tls::a_client_is_known_by_its_certificate,
        keycloak_exchange::a_token_is_given_for_one_of_a_service,
        keycloak_exchange::a_token_that_is_not_taken_is_told_and_a_good_one_heals,
        thingpark::a_wrong_secret_is_told_and_a_right_one_heals,
        rd_station::the_form_request_is_exact,
        rd_station::the_json_request_is_exact,
        rd_station::a_returned_refresh_token_is_stored_and_sent_next,
        rd_station::an_answer_without_a_new_refresh_token_keeps_the_old_one,
        rd_station::the_target_is_a_header_for_the_api,
        rd_station::the_preset_tells_a_wrong_secret_from_a_dead_refresh_token,
        itflex::the_request_is_exact,
        itflex::the_lifetime_is_the_one_in_the_answer,
        itflex::a_returned_refresh_token_is_stored_and_sent_next,
        itflex::the_target_is_a_header_for_the_api,
        itflex::a_refusal_without_a_code_is_understood,
        itflex::a_session_is_kept_by_calls_with_the_refresh_cookie,
        itflex::the_target_of_a_session_is_a_cookie_for_the_api,
        itflex::a_session_that_is_over_is_told,
        password::a_token_is_asked_for_by_password_each_time,
        password::a_wrong_password_is_sent_once_and_a_right_one_heals,
        password::one_that_is_refused_without_a_word_is_sent_once_too,
        openid::every_refresh_token_is_used_once_by_a_post_client,
        openid::every_refresh_token_is_used_once_by_a_basic_client,
        mutual_tls::a_client_is_known_by_its_certificate,
        openid_jwt::every_refresh_token_is_used_once_by_a_client_that_signs_with_its_key,
        openid_jwt::every_refresh_token_is_used_once_by_a_client_that_signs_with_its_secret,
        openid_jwt::every_refresh_token_is_used_once_by_a_client_with_an_ed25519_key,
        openid_jwt::every_refresh_token_is_used_once_by_a_client_that_names_its_certificate,
        openid_jwt::every_refresh_token_is_used_once_by_a_public_client,
        openid_resource::a_token_is_for_the_api_that_is_asked_for,
        jwt_bearer::the_request_of_a_google_service_account_is_exact,
        jwt_bearer::salesforce_is_asked_as_it_documents,
        openid::a_restart_sends_and_writes_nothing,
        openid::its_endpoints_are_discovered,
        thingpark::its_endpoints_are_discovered,
    ])
}
