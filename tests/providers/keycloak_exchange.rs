//! Keycloak's standard token exchange (RFC 8693): a token of one client for a token of another, for some services.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_keeper_test_support::keycloak::Keycloak;
use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use crate::world::{World, assert_calm};

pub(crate) async fn a_token_is_given_for_one_of_a_service(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let world = World::new(&env, "keycloak-exchange").await;
    let operator = world.operator().await;
    let given = keycloak.portal_token().await;
    gives(&world, keycloak, &given).await;

    world.credential(spec(keycloak, "orders-service")).await;

    world.ready().await;
    let target = world.target().await;
    assert_eq!(target["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    let (before, after) = (claims(&given), claims(&target["access_token"]));
    assert_eq!(after["sub"], before["sub"], "it is for the same person");
    assert_eq!(after["azp"], keycloak.exchange_client_id());
    assert_eq!(after["aud"], "orders-service", "and for no other service");
    assert!(keycloak.accepts(&target["access_token"]).await);

    // Another service is another request.
    world.credential(spec(keycloak, "billing-service")).await;
    world.revision(2).await;
    assert_eq!(claims(&world.target_key("access_token").await)["aud"], "billing-service");
    assert_calm(&operator);
    assert!(!operator.log().contains(&given));
}

pub(crate) async fn a_token_that_is_not_taken_is_told_and_a_good_one_heals(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let world = World::new(&env, "keycloak-no-exchange").await;
    let operator = world.operator().await;
    gives(&world, keycloak, "no-token-of-this-server").await;

    world.credential(spec(keycloak, "orders-service")).await;

    world.condition("Ready", "False", "RequestRejected").await;
    assert!(!operator.log().contains("no-token-of-this-server"));
    gives(&world, keycloak, &keycloak.portal_token().await).await;
    let status = world.ready().await;
    assert_eq!(status["failure"], Value::Null);
}

async fn gives(world: &World, keycloak: &Keycloak, token: &str) {
    let keys = [
        ("client_id", keycloak.exchange_client_id()),
        ("client_secret", keycloak.exchange_client_secret()),
        ("subject_token", token),
    ];
    world.source(&keys).await;
}

fn spec(keycloak: &Keycloak, service: &str) -> Value {
    json!({
        "provider": {
            "tokenEndpoint": keycloak.token_endpoint(),
            "clientAuthentication": {"method": "ClientSecretPost"},
        },
        "grant": {"tokenExchange": {"subjectToken": {"secretKey": {}}}},
        "audience": service,
        "renewal": {"jitter": "0s", "minInterval": "1s"},
    })
}

/// What a token of Keycloak says.
fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("it is a JWT");
    let part = URL_SAFE_NO_PAD.decode(part).expect("a JWT is base64url");
    serde_json::from_slice(&part).expect("the claims of a JWT are JSON")
}
