//! iTFLEX: JSON with nothing but the refresh token, no client, errors without a code, cookies that
//! are not asked for.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use oauth_keeper_test_support::credentials::condition;
use oauth_keeper_test_support::documented::itflex::Itflex;
use oauth_keeper_test_support::operator::Operator;
use oauth_keeper_test_support::suite::Env;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, assert_calm, lifetime, time};
use crate::{api_call, wire};

/// Renewed two seconds after its issue.
const SHORT: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(900);

pub(crate) async fn the_request_is_exact(env: Arc<Env>) {
    let (server, world, _operator) = start(&env, "itflex-exact").await;
    server.set_lifetime(SHORT);
    world.source(&[("refresh_token", &server.refresh_token())]).await;

    world.credential(spec(&server)).await;

    // The second one too: the cookies of the first answer are not sent back.
    world.revision(2).await;
    let host = server.server().address();
    for (request, token) in server.token_requests().iter().zip(refresh_tokens(&server)) {
        let body = format!(r#"{{"grant_type":"refresh_token","refresh_token":"{token}"}}"#);
        let path = "/api/v1/oauth2/token";
        let expected = wire::expected(path, host, "application/json", &body);
        assert_eq!(wire::sent(request), expected);
    }
}

pub(crate) async fn the_lifetime_is_the_one_in_the_answer(env: Arc<Env>) {
    let (server, world, _operator) = start(&env, "itflex-life").await;
    world.source(&[("refresh_token", &server.refresh_token())]).await;
    let before = Timestamp::now().as_second();

    world.credential(spec(&server)).await;

    let status = world.ready().await;
    let after = Timestamp::now().as_second();
    assert_eq!(lifetime(&status), 900);
    let issued_at = time(&status, "issuedAt").as_second();
    assert!((before..=after).contains(&issued_at), "{status:#}");
    let expires_at = time(&status, "expiresAt");
    assert_eq!(time(&status, "nextRenewalTime").as_second(), issued_at + 600);
    assert_eq!(world.target_key("expires_at").await, expires_at.to_string());
}

pub(crate) async fn a_returned_refresh_token_is_stored_and_sent_next(env: Arc<Env>) {
    let (server, world, operator) = start(&env, "itflex-rotation").await;
    server.set_lifetime(SHORT);
    world.source(&[("refresh_token", &server.refresh_token())]).await;

    world.credential(spec(&server)).await;

    world.revision(3).await;
    server.set_lifetime(LONG);
    let status = world.lifetime(900).await;
    let issued = refresh_tokens(&server);
    let last = issued.len() - 1;
    let requests = server.token_requests();
    let sent: Vec<Value> =
        requests.iter().map(|request| request.json()["refresh_token"].clone()).collect();
    assert_eq!(sent, issued[..last]);
    assert_eq!(world.state_record().await["refreshToken"], issued[last]);
    assert_eq!(status["refreshToken"]["rotations"], last);
    assert_eq!(server.reuses(), 0);
    assert_calm(&operator);
    world.assert_hidden(&operator, &server.secrets()).await;
}

pub(crate) async fn the_target_is_a_header_for_the_api(env: Arc<Env>) {
    let (server, world, _operator) = start(&env, "itflex-api").await;
    world.source(&[("refresh_token", &server.refresh_token())]).await;

    let mut spec = spec(&server);
    spec["target"] = json!({"cookieName": "access-token"});
    world.credential(spec).await;

    world.ready().await;
    let target = world.target().await;
    let token = server.access_token().expect("one was issued");
    assert_eq!(target["access_token"], token);
    assert_eq!(target["token_type"], "Bearer");
    assert_eq!(target["authorization"], format!("Bearer {token}"));
    assert_eq!(target["cookie"], format!("access-token={token}"));
    let url = server.protected_url();
    assert_eq!(api_call::get(&url, &target["authorization"]).await, StatusCode::OK);
    assert_eq!(api_call::get_with_cookie(&url, &target["cookie"]).await, StatusCode::OK);
    assert_eq!(api_call::get(&url, "Bearer another").await, StatusCode::UNAUTHORIZED);
}

pub(crate) async fn a_refusal_without_a_code_is_understood(env: Arc<Env>) {
    let (server, world, _operator) = start(&env, "itflex-refusal").await;
    world.source(&[("refresh_token", "dead-refresh-token")]).await;

    world.credential(spec(&server)).await;

    let status = world.condition("Reconciling", "True", "RefreshTokenRejected").await;
    let message = condition(&status, "Ready")["message"].as_str();
    let message = message.expect("a condition has a message");
    assert!(message.contains("answered 401 without an OAuth error code"), "{message}");

    // No need to wait for the second look: a new seed is tried at once.
    world.source(&[("refresh_token", &server.refresh_token())]).await;
    let status = world.ready().await;
    assert_eq!(condition(&status, "Reconciling"), &Value::Null);
    assert_eq!(server.token_requests().len(), 2);
}

pub(crate) async fn a_session_is_kept_by_calls_with_the_refresh_cookie(env: Arc<Env>) {
    let (server, world, operator) = start(&env, "itflex-cookie").await;
    let seed = server.refresh_token();
    world.source(&[("refresh_token", &seed)]).await;

    world.credential(session(&server)).await;

    // The life of the token is that of its cookie.
    let status = world.revision(1).await;
    assert_eq!(lifetime(&status), 15);
    world.revision(3).await;
    let host = server.server().address();
    let expected = wire::expected_call("/api/v1/devices", host, &format!("refresh-token={seed}"));
    let requests = server.session_requests();
    assert!(requests.len() >= 3, "{requests:?}");
    for request in &requests {
        assert_eq!(wire::sent(request), expected);
    }
    assert_eq!(server.token_requests().len(), 0);
    assert_eq!(world.state_record().await["refreshToken"], seed);
    assert_eq!(status["refreshToken"]["rotations"], 0);
    let (visible, log) = (world.visible().await, operator.log());
    for secret in server.secrets() {
        assert!(!visible.contains(&secret) && !log.contains(&secret), "{secret} shows");
    }
}

pub(crate) async fn the_target_of_a_session_is_a_cookie_for_the_api(env: Arc<Env>) {
    let (server, world, _operator) = start(&env, "itflex-cookie-api").await;
    world.source(&[("refresh_token", &server.refresh_token())]).await;

    world.credential(session(&server)).await;

    world.ready().await;
    // It is renewed at any time, so that what the server gave last may be newer.
    let target = world.target().await;
    let token = &target["access_token"];
    assert!(server.secrets().contains(token));
    assert_eq!(target["cookie"], format!("access-token={token}"));
    assert_eq!(target["authorization"], format!("Bearer {token}"));
    assert!(!target.values().any(|text| text.contains(&server.refresh_token())));
    let url = server.protected_url();
    assert_eq!(api_call::get_with_cookie(&url, &target["cookie"]).await, StatusCode::OK);
    assert_eq!(api_call::get(&url, &target["authorization"]).await, StatusCode::OK);
    let refused = api_call::get_with_cookie(&url, "access-token=another").await;
    assert_eq!(refused, StatusCode::UNAUTHORIZED);
}

pub(crate) async fn a_session_that_is_over_is_told(env: Arc<Env>) {
    let (server, world, operator) = start(&env, "itflex-cookie-dead").await;
    world.source(&[("refresh_token", "dead-refresh-token")]).await;

    world.credential(session(&server)).await;

    let status = world.condition("Reconciling", "True", "RefreshTokenRejected").await;
    let message = condition(&status, "Ready")["message"].as_str();
    let message = message.expect("a condition has a message");
    assert!(message.contains("answered 401 without a usable cookie access-token"), "{message}");
    assert!(!operator.log().contains("dead-refresh-token"));

    world.source(&[("refresh_token", &server.refresh_token())]).await;
    let status = world.ready().await;
    assert_eq!(condition(&status, "Reconciling"), &Value::Null);
}

/// Renewed two seconds after its issue.
fn session(server: &Itflex) -> Value {
    json!({
        "provider": {"tokenEndpoint": server.token_endpoint()},
        "grant": {"cookieSession": {"url": server.protected_url()}},
        "renewal": {"renewBefore": "13s", "jitter": "0s", "minInterval": "1s"},
    })
}

async fn start(env: &Env, name: &str) -> (Itflex, World, Operator) {
    let server = Itflex::start().await;
    let world = World::new(env, name).await;
    let operator = world.operator().await;
    (server, world, operator)
}

fn spec(server: &Itflex) -> Value {
    json!({
        "provider": {
            "tokenEndpoint": server.token_endpoint(),
            "clientAuthentication": {"method": "None"},
            "request": {"encoding": "Json"},
        },
        "renewal": {"jitter": "0s", "minInterval": "1s"},
    })
}

/// Every refresh token the server gave out, in order, with the seed.
fn refresh_tokens(server: &Itflex) -> Vec<String> {
    let mut tokens = server.secrets();
    tokens.retain(|token| token.contains("-refresh-"));
    tokens
}
