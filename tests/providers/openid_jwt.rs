//! The certified OpenID provider of npm, with clients that sign assertions, and with one that proves nothing.

use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::oidc_provider::OidcProvider;
use oauth_keeper_test_support::signing_key::{CertifiedKey, Ed25519Key, KEY_ID, SigningKey};
use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use crate::keycloak_jwt::assert_no_line;
use crate::openid::assert_in_order;
use crate::world::World;

/// Renewed two seconds after its issue.
const SHORT: Duration = Duration::from_secs(3);
const SECRET: &str = "secret-of-a-client-that-signs-with-it";

pub(crate) async fn every_refresh_token_is_used_once_by_a_client_that_signs_with_its_key(
    env: Arc<Env>,
) {
    let key = SigningKey::generate();
    let client = json!({
        "client_id": "key-client",
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": key.key_set(),
    });
    let how = json!({"method": "PrivateKeyJwt", "algorithm": "ES256", "keyId": KEY_ID});
    let keys = [("private_key", key.pem.as_str())];
    let log = every_refresh_token_is_used_once(&env, "openid-key", &client, &how, &keys).await;
    assert_no_line(&log, &key.pem);
}

pub(crate) async fn every_refresh_token_is_used_once_by_a_client_with_an_ed25519_key(
    env: Arc<Env>,
) {
    let key = Ed25519Key::generate();
    let client = json!({
        "client_id": "ed25519-client",
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "EdDSA",
        "jwks": key.key_set(),
    });
    let how = json!({"method": "PrivateKeyJwt", "algorithm": "EdDSA", "keyId": KEY_ID});
    let keys = [("private_key", key.pem.as_str())];
    let log = every_refresh_token_is_used_once(&env, "openid-ed25519", &client, &how, &keys).await;
    assert_no_line(&log, &key.pem);
}

pub(crate) async fn every_refresh_token_is_used_once_by_a_client_that_names_its_certificate(
    env: Arc<Env>,
) {
    let key = CertifiedKey::generate();
    let client = json!({
        "client_id": "certified-client",
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES512",
        "jwks": key.key_set(),
    });
    let how = json!({
        "method": "PrivateKeyJwt", "algorithm": "ES512", "keyId": KEY_ID, "certificateThumbprint": true,
    });
    let keys = [("private_key", key.pem.as_str()), ("tls.crt", key.certificate.as_str())];
    let log = every_refresh_token_is_used_once(&env, "openid-es512", &client, &how, &keys).await;
    assert_no_line(&log, &key.pem);
}

pub(crate) async fn every_refresh_token_is_used_once_by_a_public_client(env: Arc<Env>) {
    let client = json!({"client_id": "public-client", "token_endpoint_auth_method": "none"});
    let how = json!({"method": "None"});
    every_refresh_token_is_used_once(&env, "openid-public", &client, &how, &[]).await;
}

pub(crate) async fn every_refresh_token_is_used_once_by_a_client_that_signs_with_its_secret(
    env: Arc<Env>,
) {
    let client = json!({
        "client_id": "signing-client",
        "client_secret": SECRET,
        "token_endpoint_auth_method": "client_secret_jwt",
    });
    let how = json!({"method": "ClientSecretJwt"});
    let keys = [("client_secret", SECRET)];
    let log = every_refresh_token_is_used_once(&env, "openid-secret", &client, &how, &keys).await;
    assert!(!log.contains(SECRET));
}

/// Gives the operator's log.
async fn every_refresh_token_is_used_once(
    env: &Env,
    name: &str,
    client: &Value,
    how: &Value,
    keys: &[(&str, &str)],
) -> String {
    let provider = OidcProvider::start_for(SHORT, Some(&json!([client]))).await;
    let world = World::new(env, name).await;
    let operator = world.operator().await;
    let id = client["client_id"].as_str().expect("a client has an id");
    let seed = provider.seed_of(id).await;
    let keys = [&[("client_id", id), ("refresh_token", seed.as_str())], keys].concat();
    world.source(&keys).await;

    world
        .credential(json!({
            "provider": {
                "tokenEndpoint": provider.token_endpoint(),
                "revocationEndpoint": provider.revocation_endpoint(),
                "clientAuthentication": how,
            },
            "renewal": {"jitter": "0s", "minInterval": "1s"},
        }))
        .await;

    world.revision(3).await;
    assert!(operator.stop().await.success(), "{}", operator.log());
    assert_in_order(&world, &provider).await;
    let newest = world.state_record().await["refreshToken"].clone();
    let newest = newest.as_str().expect("a record has one").to_owned();

    // Revoked with the client's proof for the token endpoint.
    let second = world.operator().await;
    world.delete().await;
    assert_eq!(provider.newest(&newest).await, None, "its grant has ended");
    assert!(second.stop().await.success(), "{}", second.log());
    provider.stop().await;
    format!("{}{}", operator.log(), second.log())
}
