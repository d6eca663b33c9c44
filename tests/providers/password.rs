//! A person's user name and password (RFC 6749 §4.3), which Keycloak calls direct access grants.

use std::sync::Arc;

use oauth_keeper_test_support::credentials::condition;
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::keycloak::Keycloak;
use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use crate::world::{World, assert_calm};

pub(crate) async fn a_token_is_asked_for_by_password_each_time(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let world = World::new(&env, "password").await;
    let operator = world.operator().await;
    let person = keycloak.person().await;
    world.source(&source(keycloak, &person, keycloak.password())).await;

    world.credential(spec(keycloak)).await;

    // The refresh tokens that come along are left alone.
    let status = world.revision(3).await;
    assert_eq!(status["refreshToken"], Value::Null);
    assert_eq!(world.state_record().await, Value::Null, "nothing is kept");
    assert!(keycloak.accepts(&world.target_key("access_token").await).await);
    let target = world.target().await;
    let keys: Vec<&str> = target.keys().map(String::as_str).collect();
    assert_eq!(keys, ["access_token", "authorization", "expires_at", "token_type"]);
    assert_calm(&operator);
    assert_hidden(&world, &operator.log(), keycloak.password()).await;
}

pub(crate) async fn a_wrong_password_is_sent_once_and_a_right_one_heals(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let world = World::new(&env, "password-wrong").await;
    let operator = world.operator().await;
    let person = keycloak.person().await;
    world.source(&source(keycloak, &person, "a-wrong-password")).await;

    world.credential(spec(keycloak)).await;

    let status = world.condition("Stalled", "True", "PasswordRejected").await;
    assert_eq!(condition(&status, "Ready")["status"], "False");
    assert_eq!(status["failure"]["nextAttemptTime"], Value::Null, "accounts are locked");
    assert_hidden(&world, &operator.log(), "a-wrong-password").await;

    world.source(&source(keycloak, &person, keycloak.password())).await;
    let status = world.ready().await;
    assert_eq!(condition(&status, "Stalled"), &Value::Null);
}

pub(crate) async fn one_that_is_refused_without_a_word_is_sent_once_too(env: Arc<Env>) {
    let server = ScriptedServer::start().await;
    server.always(Answer::json(401, &json!({"msg": "Valid authentication token required"})));
    let world = World::new(&env, "password-bare").await;
    let operator = world.operator().await;
    let secrets = [("client_id", "i"), ("client_secret", "s"), ("next_client_secret", "t")];
    world.source(&[&secrets[..], &[("username", "u"), ("password", "wrong")]].concat()).await;

    world
        .credential(json!({
            "provider": {"tokenEndpoint": server.url("/token")},
            "grant": {"password": {}},
        }))
        .await;

    let status = world.condition("Stalled", "True", "PasswordRejected").await;
    assert_eq!(status["failure"]["nextAttemptTime"], Value::Null, "accounts are locked");
    assert!(operator.stop().await.success(), "{}", operator.log());
    assert_eq!(server.requests().len(), 1, "not with the other client secret either");
}

async fn assert_hidden(world: &World, log: &str, password: &str) {
    assert!(!world.visible().await.contains(password) && !log.contains(password));
}

/// Asks again after a hundredth of the lifetime, or a second.
fn spec(keycloak: &Keycloak) -> Value {
    json!({
        "provider": {"tokenEndpoint": keycloak.token_endpoint()},
        "grant": {"password": {}},
        "renewal": {"renewBefore": "99%", "jitter": "0s", "minInterval": "1s"},
    })
}

fn source<'a>(
    keycloak: &'a Keycloak,
    person: &'a str,
    password: &'a str,
) -> [(&'static str, &'a str); 4] {
    [
        ("client_id", keycloak.offline_client_id()),
        ("client_secret", keycloak.offline_client_secret()),
        ("username", person),
        ("password", password),
    ]
}
