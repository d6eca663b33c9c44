//! Keycloak's client authenticator "X509 Certificate" (RFC 8705).

use std::sync::Arc;

use oauth_keeper_test_support::certificates::Identity;
use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use crate::keycloak_jwt::assert_no_line;
use crate::world::World;

pub(crate) async fn a_client_is_known_by_its_certificate(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let world = World::new(&env, "keycloak-tls").await;
    let operator = world.operator().await;
    let shows = async |identity: &Identity| {
        let keys = [
            ("client_id", keycloak.tls_client_id()),
            ("tls.crt", identity.certificate.as_str()),
            ("tls.key", identity.key.as_str()),
        ];
        world.source(&keys).await;
    };
    shows(keycloak.tls_stranger()).await;

    world
        .credential(json!({
            "provider": {
                "tokenEndpoint": keycloak.tls_token_endpoint(),
                "clientAuthentication": {"method": "TlsClientAuth"},
                "tls": {"caBundle": keycloak.authority()},
            },
            "grant": {"clientCredentials": {}},
            "renewal": {"jitter": "0s", "minInterval": "1s"},
        }))
        .await;

    world.condition("Stalled", "True", "ClientRejected").await;

    shows(keycloak.tls_client()).await;
    let status = world.ready().await;
    assert_eq!(status["failure"], Value::Null);
    assert!(keycloak.accepts(&world.target_key("access_token").await).await);
    assert_no_line(&operator.log(), &keycloak.tls_client().key);
}
