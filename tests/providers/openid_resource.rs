//! The certified OpenID provider with a token for one API (RFC 8707).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_keeper_test_support::oidc_provider::{API, OidcProvider, POST_CLIENT};
use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use crate::openid;
use crate::world::World;

pub(crate) async fn a_token_is_for_the_api_that_is_asked_for(env: Arc<Env>) {
    // Not renewed while the test lasts.
    let provider = OidcProvider::start_with(Duration::from_secs(3600)).await;
    let world = World::new(&env, "openid-resource").await;
    let operator = world.operator().await;
    let seed = provider.seed(POST_CLIENT).await;
    world.source(&openid::source(POST_CLIENT, &seed)).await;
    let plain = openid::spec(&provider, "ClientSecretPost");
    let mut bound = plain.clone();
    bound["resources"] = json!([API]);

    world.credential(bound).await;
    world.revision(1).await;
    let claims = claims(&world.target_key("access_token").await);
    assert_eq!(claims["aud"], API);
    assert_eq!(claims["scope"], "read");
    assert_eq!(claims["client_id"], POST_CLIENT.id);

    // Another request is another token, and this one says nothing of an API.
    world.credential(plain).await;
    world.revision(2).await;
    assert!(!world.target_key("access_token").await.contains('.'));
    assert!(operator.stop().await.success(), "{}", operator.log());
    openid::assert_in_order(&world, &provider).await;
    provider.stop().await;
}

/// What the token says; its signature is for the API to verify.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a JWT has three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("a part is base64url");
    serde_json::from_slice(&payload).expect("the claims are JSON")
}
