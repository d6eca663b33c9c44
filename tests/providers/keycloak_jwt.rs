//! Keycloak's client authenticators "Signed JWT" and "Signed JWT with Client Secret".

use std::sync::Arc;

use oauth_keeper_test_support::credentials::condition;
use oauth_keeper_test_support::keycloak::Keycloak;
use oauth_keeper_test_support::signing_key::{KEY_ID, SigningKey};
use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use crate::world::{World, assert_calm};

pub(crate) async fn a_client_signs_with_its_key(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let world = World::new(&env, "keycloak-key").await;
    let operator = world.operator().await;
    let key = &keycloak.signing_key().pem;
    world.source(&[("client_id", keycloak.key_client_id()), ("private_key", key)]).await;

    world.credential(spec(keycloak, &by_key())).await;

    world.ready().await;
    assert!(keycloak.accepts(&world.target_key("access_token").await).await);
    // Keycloak takes each assertion once.
    let mut again = spec(keycloak, &by_key());
    again["scopes"] = json!(["profile"]);
    world.credential(again).await;
    world.revision(2).await;
    assert!(keycloak.accepts(&world.target_key("access_token").await).await);
    assert_calm(&operator);
    assert_no_line(&operator.log(), key);
}

pub(crate) async fn a_client_signs_with_its_secret(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let world = World::new(&env, "keycloak-secret").await;
    let operator = world.operator().await;
    let secret = keycloak.signing_client_secret();
    let id = keycloak.signing_client_id();
    world.source(&[("client_id", id), ("client_secret", secret)]).await;

    let authentication = json!({"method": "ClientSecretJwt", "algorithm": "HS512"});
    world.credential(spec(keycloak, &authentication)).await;

    world.ready().await;
    assert!(keycloak.accepts(&world.target_key("access_token").await).await);
    assert_calm(&operator);
    assert!(!operator.log().contains(secret));
}

pub(crate) async fn another_key_is_told_and_the_right_one_heals(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let world = World::new(&env, "keycloak-other-key").await;
    let operator = world.operator().await;
    let give = async |key: &str| {
        world.source(&[("client_id", keycloak.key_client_id()), ("private_key", key)]).await;
    };
    let other = SigningKey::generate();
    give(&other.pem).await;

    world.credential(spec(keycloak, &by_key())).await;

    world.condition("Stalled", "True", "ClientRejected").await;
    assert_no_line(&operator.log(), &other.pem);

    give("-----BEGIN PRIVATE KEY-----\nbm8ga2V5\n-----END PRIVATE KEY-----\n").await;
    let status = world.condition("Stalled", "True", "SourceInvalid").await;
    let message = condition(&status, "Stalled")["message"].as_str().unwrap_or_default();
    assert!(message.contains("key private_key of the source Secret source"), "{message}");

    give(&keycloak.signing_key().pem).await;
    let status = world.ready().await;
    assert_eq!(status["failure"], Value::Null);
}

/// No line of a key is there.
pub(crate) fn assert_no_line(log: &str, pem: &str) {
    for line in pem.lines().filter(|line| !line.starts_with("-----")) {
        assert!(!log.contains(line), "{line} is in the log");
    }
}

fn by_key() -> Value {
    json!({"method": "PrivateKeyJwt", "algorithm": "ES256", "keyId": KEY_ID})
}

fn spec(keycloak: &Keycloak, authentication: &Value) -> Value {
    json!({
        "provider": {
            "tokenEndpoint": keycloak.token_endpoint(),
            "clientAuthentication": authentication,
        },
        "grant": {"clientCredentials": {}},
        "renewal": {"jitter": "0s", "minInterval": "1s"},
    })
}
