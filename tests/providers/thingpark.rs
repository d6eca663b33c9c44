//! `ThingPark`, which is a Keycloak: `client_credentials`, renewed shortly before expiry.
//!
//! The realm's token lifetime is common to all tests here; only one of them sets it and relies on it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_keeper_test_support::credentials::condition;
use oauth_keeper_test_support::keycloak::Keycloak;
use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use crate::world::{World, assert_calm, time};

pub(crate) async fn the_client_secret_goes_into_the_body(env: Arc<Env>) {
    a_token_is_issued(&env, "thingpark-post", "ClientSecretPost").await;
}

pub(crate) async fn the_client_secret_goes_into_the_header(env: Arc<Env>) {
    a_token_is_issued(&env, "thingpark-basic", "ClientSecretBasic").await;
}

async fn a_token_is_issued(env: &Env, name: &str, method: &str) {
    let keycloak = env.keycloak().await;
    let world = World::new(env, name).await;
    let operator = world.operator().await;
    world.source(&source(keycloak, keycloak.client_secret())).await;

    world.credential(spec(keycloak, method)).await;

    let status = world.ready().await;
    let target = world.target().await;
    assert!(keycloak.accepts(&target["access_token"]).await);
    assert_eq!(target["authorization"], format!("Bearer {}", target["access_token"]));
    assert_eq!(status["refreshToken"], Value::Null);
    assert_eq!(world.state_record().await, Value::Null, "nothing is kept");
    assert_calm(&operator);
}

pub(crate) async fn its_endpoints_are_discovered(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let world = World::new(&env, "thingpark-discovery").await;
    let operator = world.operator().await;
    world.source(&source(keycloak, keycloak.client_secret())).await;
    let mut spec = spec(keycloak, "ClientSecretPost");
    spec["provider"].as_object_mut().expect("it is one").remove("tokenEndpoint");
    spec["provider"]["issuer"] = keycloak.issuer().into();
    world.credential(spec).await;
    world.ready().await;
    assert!(keycloak.accepts(&world.target_key("access_token").await).await);
    assert_calm(&operator);
}

pub(crate) async fn a_token_is_renewed_ten_seconds_before_its_expiry(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    keycloak.set_access_token_lifetime(Duration::from_secs(20)).await;
    let world = World::new(&env, "thingpark-renewal").await;
    let _operator = world.operator().await;
    world.source(&source(keycloak, keycloak.client_secret())).await;

    world.credential(spec(keycloak, "ClientSecretPost")).await;

    let first = world.revision(1).await;
    let first_token = world.target_key("access_token").await;
    // `expires_in` is what is left when Keycloak answers, so a second less when the clock has moved.
    let expires_at = time(&first, "expiresAt").as_second();
    let early = expiry(&first_token) - expires_at;
    assert!((0..5).contains(&early), "{early} s early: {first:#}");
    let due = expires_at - 10;
    assert_eq!(time(&first, "nextRenewalTime").as_second(), due);

    let second = world.revision(2).await;
    let renewed = time(&second, "lastRenewalTime").as_second();
    assert!((due..due + 10).contains(&renewed), "due {due}: {second:#}");
    let second_token = world.target_key("access_token").await;
    assert_ne!(second_token, first_token);
    assert!(keycloak.accepts(&second_token).await);
}

pub(crate) async fn a_wrong_secret_is_told_and_a_right_one_heals(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let world = World::new(&env, "thingpark-wrong").await;
    let operator = world.operator().await;
    world.source(&source(keycloak, "a-wrong-secret")).await;

    world.credential(spec(keycloak, "ClientSecretPost")).await;

    let status = world.condition("Stalled", "True", "ClientRejected").await;
    assert_eq!(condition(&status, "Ready")["status"], "False");
    let message = condition(&status, "Stalled")["message"].as_str();
    let message = message.expect("a condition has a message");
    assert!(message.contains("Correct client id and client secret in the source"), "{message}");
    assert!(!operator.log().contains("a-wrong-secret"));

    world.source(&source(keycloak, keycloak.client_secret())).await;
    let status = world.ready().await;
    assert_eq!(condition(&status, "Stalled"), &Value::Null);
    assert_eq!(status["failure"], Value::Null);
}

/// When an access token of Keycloak expires, as it says itself.
fn expiry(token: &str) -> i64 {
    let claims = token.split('.').nth(1).expect("it is a JWT");
    let claims = URL_SAFE_NO_PAD.decode(claims);
    let claims: Value = serde_json::from_slice(&claims.expect("a JWT is base64url"))
        .expect("the claims of a JWT are JSON");
    claims["exp"].as_i64().expect("an access token has an expiry")
}

fn spec(keycloak: &Keycloak, method: &str) -> Value {
    json!({
        "provider": {
            "tokenEndpoint": keycloak.token_endpoint(),
            "clientAuthentication": {"method": method},
        },
        "grant": {"clientCredentials": {}},
        "renewal": {"renewBefore": "10s", "jitter": "0s", "minInterval": "1s"},
    })
}

fn source<'a>(keycloak: &Keycloak, secret: &'a str) -> [(&'static str, &'a str); 2] {
    [("client_id", keycloak.client_id()), ("client_secret", secret)]
}
