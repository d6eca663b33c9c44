//! Grant `jwtBearer`, as Google and Salesforce document it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_keeper_test_support::http_server::{Answer, RecordedRequest, ScriptedServer};
use oauth_keeper_test_support::signing_key::SigningKey;
use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use crate::keycloak_jwt::assert_no_line;
use crate::wire::{expected, sent};
use crate::world::{World, assert_calm};

const LIMIT: Duration = Duration::from_secs(60);
const FORM: &str = "application/x-www-form-urlencoded";

/// <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>: the scopes are in the assertion, and
/// the body has two members. Google takes RS256; a curve is quicker here.
pub(crate) async fn the_request_of_a_google_service_account_is_exact(env: Arc<Env>) {
    let server = ScriptedServer::start().await;
    let answer = json!({"access_token": "ya29.a", "expires_in": 3599, "token_type": "Bearer"});
    server.always(Answer::json(200, &answer));
    let world = World::new(&env, "google").await;
    let operator = world.operator().await;
    let key = SigningKey::generate();
    world.source(&[("private_key", &key.pem)]).await;
    let issuer = "robot@project.iam.gserviceaccount.example";
    let scope = "https://www.googleapis.com/auth/devstorage.read_only";

    world
        .credential(json!({
            "provider": {"tokenEndpoint": server.url("/token")},
            "grant": {"jwtBearer": {
                "issuer": issuer, "algorithm": "ES256", "keyId": "k1", "lifetime": "1h",
                "scopesInClaim": true,
            }},
            "scopes": [scope],
        }))
        .await;

    world.ready().await;
    assert_eq!(world.target_key("authorization").await, "Bearer ya29.a");
    assert_eq!(world.state_record().await, Value::Null, "nothing is kept");
    let requests = server.wait_for_requests(1, LIMIT).await;
    let assertion = form(&requests[0])["assertion"].clone();
    let body = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}"
    );
    assert_eq!(sent(&requests[0]), expected("/token", server.address(), FORM, &body));
    let [header, mut claims] = verified(&assertion, &key);
    assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}));
    let claims = claims.as_object_mut().expect("claims are an object");
    let number = |value: Option<Value>| value.and_then(|value| value.as_i64()).unwrap_or_default();
    let (iat, exp) = (number(claims.remove("iat")), number(claims.remove("exp")));
    assert_eq!(exp - iat, 3600);
    assert!(claims.remove("jti").is_some());
    let claims = Value::Object(claims.clone());
    assert_eq!(claims, json!({"iss": issuer, "aud": server.url("/token"), "scope": scope}));
    assert_calm(&operator);
    assert_no_line(&operator.log(), &key.pem);
    assert!(!operator.log().contains(&assertion));
}

/// The consumer key asks for a user; the answer has no `expires_in`, and workloads need its `instance_url`. Each renewal
/// has an assertion of its own.
pub(crate) async fn salesforce_is_asked_as_it_documents(env: Arc<Env>) {
    let server = ScriptedServer::start().await;
    let answer = json!({
        "access_token": "00D!AQ", "scope": "api", "instance_url": "https://x.my.salesforce.example",
        "id": "https://login.salesforce.example/id/00D/005", "token_type": "Bearer",
    });
    server.always(Answer::json(200, &answer));
    let world = World::new(&env, "salesforce").await;
    let operator = world.operator().await;
    let key = SigningKey::generate();
    world.source(&[("private_key", &key.pem)]).await;

    world
        .credential(json!({
            "provider": {
                "tokenEndpoint": server.url("/services/oauth2/token"),
                "response": {"fields": {"instance_url": "/instance_url"}},
                "defaultLifetime": "3s",
            },
            "grant": {"jwtBearer": {
                "issuer": "3MVG9", "subject": "me@example.com", "algorithm": "ES256",
                "audience": "https://login.salesforce.com", "lifetime": "3m",
            }},
            "renewal": {"jitter": "0s", "minInterval": "1s"},
        }))
        .await;

    world.revision(2).await;
    assert_eq!(world.target_key("instance_url").await, "https://x.my.salesforce.example");
    let requests = server.wait_for_requests(2, LIMIT).await;
    let claims = [&requests[0], &requests[1]].map(|request| {
        let [_, claims] = verified(&form(request)["assertion"], &key);
        assert_eq!(claims["iss"], "3MVG9");
        assert_eq!(claims["sub"], "me@example.com");
        assert_eq!(claims["aud"], "https://login.salesforce.com");
        claims
    });
    assert_ne!(claims[0]["jti"], claims[1]["jti"]);
    assert_calm(&operator);
}

fn form(request: &RecordedRequest) -> BTreeMap<String, String> {
    request.form().into_iter().collect()
}

/// Header and claims of a token that this key signed.
fn verified(token: &str, key: &SigningKey) -> [Value; 2] {
    let (input, signature) = token.rsplit_once('.').expect("a token has three parts");
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("they are base64url");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.public)
        .verify(input.as_bytes(), &decode(signature))
        .expect("the key signed it");
    let (header, claims) = input.split_once('.').expect("a token has three parts");
    [header, claims].map(|part| serde_json::from_slice(&decode(part)).expect("they are JSON"))
}
