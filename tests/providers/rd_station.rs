//! RD Station: the client in the body, a refresh token that may be replaced, errors with names of its own.

use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::credentials::condition;
use oauth_keeper_test_support::documented::rd_station::{RdStation, RefreshTokenInAnswer};
use oauth_keeper_test_support::http_server::RecordedRequest;
use oauth_keeper_test_support::operator::Operator;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::tools;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, assert_calm, lifetime, time};
use crate::{api_call, wire};

const DAY: Duration = Duration::from_secs(86_400);
/// Renewed two seconds after its issue.
const SHORT: Duration = Duration::from_secs(3);

pub(crate) async fn the_form_request_is_exact(env: Arc<Env>) {
    let (server, world, _operator) = start(&env, "rd-form").await;
    let seed = server.refresh_token();
    world.source(&source(&server, &seed)).await;

    world.credential(spec(&server)).await;

    let status = world.ready().await;
    assert_eq!(lifetime(&status), 86_400);
    let requests = server.token_requests();
    assert_eq!(requests.len(), 1);
    let (id, secret) = (server.client_id(), server.client_secret());
    let body = format!(
        "grant_type=refresh_token&client_id={id}&client_secret={secret}&refresh_token={seed}"
    );
    let content_type = "application/x-www-form-urlencoded";
    let host = server.server().address();
    let expected = wire::expected("/auth/token", host, content_type, &body);
    assert_eq!(wire::sent(&requests[0]), expected);
}

pub(crate) async fn the_json_request_is_exact(env: Arc<Env>) {
    let (server, world, _operator) = start(&env, "rd-json").await;
    let seed = server.refresh_token();
    world.source(&source(&server, &seed)).await;
    let mut spec = spec(&server);
    spec["provider"]["request"] = json!({"encoding": "Json"});

    world.credential(spec).await;

    world.ready().await;
    let requests = server.token_requests();
    assert_eq!(requests.len(), 1);
    let (id, secret) = (server.client_id(), server.client_secret());
    let body = format!(
        r#"{{"grant_type":"refresh_token","client_id":"{id}","client_secret":"{secret}","refresh_token":"{seed}"}}"#
    );
    let host = server.server().address();
    let expected = wire::expected("/auth/token", host, "application/json", &body);
    assert_eq!(wire::sent(&requests[0]), expected);
}

pub(crate) async fn a_returned_refresh_token_is_stored_and_sent_next(env: Arc<Env>) {
    let (server, world, operator) = start(&env, "rd-rotation").await;
    server.set_lifetime(SHORT);
    world.source(&source(&server, &server.refresh_token())).await;

    world.credential(spec(&server)).await;

    world.revision(3).await;
    server.set_lifetime(DAY);
    let status = world.lifetime(86_400).await;
    let issued = refresh_tokens(&server);
    let last = issued.len() - 1;
    assert_eq!(sent_refresh_tokens(&server), issued[..last]);
    let record = world.state_record().await;
    assert_eq!(record["refreshToken"], issued[last]);
    assert_eq!(record["rotations"], last);
    assert_eq!(status["refreshToken"]["rotations"], last);
    assert_eq!(status["target"]["revision"], last);
    assert_eq!(server.reuses(), 0);
    assert_calm(&operator);
    world.assert_hidden(&operator, &server.secrets()).await;
}

pub(crate) async fn an_answer_without_a_new_refresh_token_keeps_the_old_one(env: Arc<Env>) {
    let (server, world, operator) = start(&env, "rd-kept").await;
    server.set_lifetime(SHORT);
    server.set_refresh_token_in_answer(RefreshTokenInAnswer::Left);
    let seed = server.refresh_token();
    world.source(&source(&server, &seed)).await;

    world.credential(spec(&server)).await;

    world.revision(2).await;
    server.set_refresh_token_in_answer(RefreshTokenInAnswer::Repeated);
    let status = world.revision(4).await;
    assert!(sent_refresh_tokens(&server).iter().all(|sent| *sent == seed));
    assert_eq!(world.state_record().await["refreshToken"], seed);
    assert_eq!(status["refreshToken"], json!({"rotations": 0}));
    world.assert_hidden(&operator, &server.secrets()).await;
}

pub(crate) async fn the_target_is_a_header_for_the_api(env: Arc<Env>) {
    let (server, world, _operator) = start(&env, "rd-api").await;
    world.source(&source(&server, &server.refresh_token())).await;
    world.credential(spec(&server)).await;
    world.ready().await;
    let url = server.contacts_url();
    let first = world.target_key("authorization").await;
    assert_eq!(api_call::get(&url, &first).await, StatusCode::OK);

    // Another request, so another token; this one lives for seconds only.
    server.set_lifetime(SHORT);
    let mut changed = spec(&server);
    changed["provider"]["request"] = json!({"encoding": "Json"});
    world.credential(changed).await;
    world.revision(2).await;
    let second = world.target_key("authorization").await;
    server.set_lifetime(DAY);

    assert_ne!(second, first);
    api_call::until_refused(&url, &second).await;
    world.lifetime(86_400).await;
    let third = world.target_key("authorization").await;
    assert_eq!(api_call::get(&url, &third).await, StatusCode::OK);
    let requests = server.server().requests();
    let mut calls = requests.iter().filter(|request| request.method == "GET");
    assert!(!calls.any(|call| wire::sent(call).contains("-refresh-")));
}

pub(crate) async fn a_dead_refresh_token_is_believed_the_second_time(env: Arc<Env>) {
    let (server, world, _operator) = start(&env, "rd-dead").await;
    world.source(&source(&server, "dead-refresh-token")).await;

    world.credential(spec(&server)).await;

    let status = world.condition("Reconciling", "True", "RefreshTokenRejected").await;
    assert_eq!(condition(&status, "Ready")["status"], "False");
    assert_eq!(condition(&status, "Stalled"), &Value::Null);
    let failure = &status["failure"];
    assert_eq!(failure["attempts"], 1);
    let wait = time(failure, "nextAttemptTime").duration_since(time(failure, "lastAttemptTime"));
    assert!(wait.as_secs() >= 60, "{status:#}");

    let status = world.condition("Stalled", "True", "ReauthorizationRequired").await;
    assert_eq!(condition(&status, "Reconciling"), &Value::Null);
    assert_eq!(status["nextRenewalTime"], Value::Null);
    let message = condition(&status, "Stalled")["message"].as_str();
    let message = message.expect("a condition has a message");
    assert!(message.contains("Sign in again"), "{message}");
    let times: Vec<_> = server.token_requests().iter().map(|request| request.at).collect();
    assert_eq!(times.len(), 2);
    assert!(times[1] - times[0] >= Duration::from_secs(60));

    // What changes nothing about the token is looked at, and nothing is sent.
    let mut labelled = spec(&server);
    labelled["target"] = json!({"labels": {"team": "marketing"}});
    world.credential(labelled.clone()).await;
    world.condition("Stalled", "True", "ReauthorizationRequired").await;
    assert_eq!(server.token_requests().len(), 2);

    let seed = server.refresh_token();
    world.source(&source(&server, &seed)).await;
    let status = world.ready().await;
    assert_eq!(condition(&status, "Stalled"), &Value::Null);
    assert_eq!(status["failure"], Value::Null);
    assert_eq!(sent_refresh_tokens(&server)[2..], [seed]);
}

pub(crate) async fn the_preset_tells_a_wrong_secret_from_a_dead_refresh_token(env: Arc<Env>) {
    let (server, world, _operator) = start(&env, "rd-named").await;
    let seed = server.refresh_token();
    let mut wrong = source(&server, &seed);
    wrong[1].1 = "wrong-secret";
    world.source(&wrong).await;
    let preset = tools::repository_root().join("examples/providers/rd-station.yaml");
    let preset = std::fs::read_to_string(preset).expect("there is a preset");
    let preset: Value = serde_yaml_ng::from_str(&preset).expect("it is YAML");
    let mut spec = spec(&server);
    spec["provider"] = preset["spec"].clone();
    spec["provider"]["tokenEndpoint"] = server.token_endpoint().into();

    world.credential(spec).await;
    world.condition("Stalled", "True", "ClientRejected").await;

    world.source(&source(&server, &seed)).await;
    world.ready().await;
    assert_eq!(sent_refresh_tokens(&server), [seed.clone(), seed]);
}

async fn start(env: &Env, name: &str) -> (RdStation, World, Operator) {
    let server = RdStation::start().await;
    let world = World::new(env, name).await;
    let operator = world.operator().await;
    (server, world, operator)
}

fn spec(server: &RdStation) -> Value {
    json!({
        "provider": {"tokenEndpoint": server.token_endpoint()},
        "renewal": {"jitter": "0s", "minInterval": "1s"},
    })
}

fn source<'a>(server: &RdStation, refresh_token: &'a str) -> [(&'static str, &'a str); 3] {
    [
        ("client_id", server.client_id()),
        ("client_secret", server.client_secret()),
        ("refresh_token", refresh_token),
    ]
}

/// Every refresh token the server gave out, in order, with the seed.
fn refresh_tokens(server: &RdStation) -> Vec<String> {
    let mut tokens = server.secrets();
    tokens.retain(|token| token.contains("-refresh-"));
    tokens
}

fn sent_refresh_tokens(server: &RdStation) -> Vec<String> {
    let requests = server.token_requests();
    let fields = requests.iter().flat_map(RecordedRequest::form);
    fields.filter(|(name, _)| name == "refresh_token").map(|(_, value)| value).collect()
}
