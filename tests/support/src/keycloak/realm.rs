//! The realm of the tests: its clients, one for each way to authenticate, and its people.

use std::time::Duration;

use serde_json::{Value, json};

use crate::signing_key::SigningKey;

pub(super) const REALM: &str = "users-auth";
pub(super) const CLIENT_ID: &str = "thingpark-client";
pub(super) const CLIENT_SECRET: &str = "thingpark-client-secret";
pub(super) const OFFLINE_CLIENT_ID: &str = "offline-client";
pub(super) const OFFLINE_CLIENT_SECRET: &str = "offline-client-secret";
/// Signs with its key.
pub(super) const KEY_CLIENT_ID: &str = "key-client";
/// Signs with its secret.
pub(super) const SIGNING_CLIENT_ID: &str = "signing-client";
pub(super) const SIGNING_CLIENT_SECRET: &str = "signing-client-secret-of-at-least-32-bytes";
/// Shows a certificate.
pub(super) const TLS_CLIENT_ID: &str = "tls-client";
/// People sign in here; its tokens are for the client that exchanges them.
pub(super) const PORTAL_CLIENT_ID: &str = "portal-client";
pub(super) const PORTAL_CLIENT_SECRET: &str = "portal-client-secret";
/// Gives tokens of the portal for tokens of the two services below.
pub(super) const EXCHANGE_CLIENT_ID: &str = "exchange-client";
pub(super) const EXCHANGE_CLIENT_SECRET: &str = "exchange-client-secret";
const SERVICES: [&str; 2] = ["orders-service", "billing-service"];
pub(super) const PASSWORD: &str = "password-of-a-person";
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(300);

/// What Keycloak makes it of.
pub(super) fn realm(key: &SigningKey) -> Value {
    let confidential = |id: &str, more: Value| {
        let mut client =
            json!({"clientId": id, "publicClient": false, "standardFlowEnabled": false});
        let members = client.as_object_mut().expect("it is one");
        members.extend(more.as_object().expect("it is one").clone());
        client
    };
    json!({
        "realm": REALM,
        "enabled": true,
        "accessTokenLifespan": ACCESS_TOKEN_LIFETIME.as_secs(),
        "revokeRefreshToken": true,
        "refreshTokenMaxReuse": 1,
        "clients": [
            confidential(CLIENT_ID, json!({"secret": CLIENT_SECRET, "serviceAccountsEnabled": true})),
            confidential(
                OFFLINE_CLIENT_ID,
                json!({"secret": OFFLINE_CLIENT_SECRET, "directAccessGrantsEnabled": true}),
            ),
            confidential(KEY_CLIENT_ID, signs_with(key)),
            confidential(SIGNING_CLIENT_ID, json!({
                "clientAuthenticatorType": "client-secret-jwt",
                "secret": SIGNING_CLIENT_SECRET,
                "serviceAccountsEnabled": true,
                "attributes": {"token.endpoint.auth.signing.alg": "HS512"},
            })),
            confidential(TLS_CLIENT_ID, json!({
                "clientAuthenticatorType": "client-x509",
                "serviceAccountsEnabled": true,
                "attributes": {"x509.subjectdn": format!("CN={TLS_CLIENT_ID}")},
            })),
            confidential(PORTAL_CLIENT_ID, json!({
                "secret": PORTAL_CLIENT_SECRET,
                "directAccessGrantsEnabled": true,
                "protocolMappers": [audience(EXCHANGE_CLIENT_ID)],
            })),
            confidential(EXCHANGE_CLIENT_ID, json!({
                "secret": EXCHANGE_CLIENT_SECRET,
                "attributes": {"standard.token.exchange.enabled": "true"},
                "protocolMappers": SERVICES.map(audience),
            })),
            confidential(SERVICES[0], json!({})),
            confidential(SERVICES[1], json!({})),
        ],
    })
}

fn signs_with(key: &SigningKey) -> Value {
    json!({
        "clientAuthenticatorType": "client-jwt",
        "serviceAccountsEnabled": true,
        "attributes": {
            "token.endpoint.auth.signing.alg": "ES256",
            "use.jwks.string": "true",
            "jwks.string": key.key_set().to_string(),
        },
    })
}

/// Tokens of the client that has this are for that other one too.
fn audience(client_id: &str) -> Value {
    json!({
        "name": client_id,
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {
            "included.client.audience": client_id,
            "access.token.claim": "true",
            "introspection.token.claim": "true",
        },
    })
}

/// With all that a profile must have, else the person is asked for it at sign-in.
pub(super) fn person(name: &str) -> Value {
    json!({
        "username": name,
        "enabled": true,
        "email": format!("{name}@example.org"),
        "emailVerified": true,
        "firstName": "A",
        "lastName": "Person",
        "credentials": [{"type": "password", "value": PASSWORD, "temporary": false}],
    })
}
