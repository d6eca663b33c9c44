//! The certified OpenID provider, which ends a grant when a used refresh token is presented again.

use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::oidc_provider::{
    BASIC_CLIENT, OidcClient, OidcProvider, POST_CLIENT,
};
use oauth_keeper_test_support::operator::Operator;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::world::World;

/// Renewed two seconds after its issue.
const SHORT: Duration = Duration::from_secs(3);
/// Not renewed while a test lasts.
const LONG: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn every_refresh_token_is_used_once_by_a_post_client(env: Arc<Env>) {
    every_refresh_token_is_used_once(&env, "openid-post", POST_CLIENT, "ClientSecretPost").await;
}

pub(crate) async fn every_refresh_token_is_used_once_by_a_basic_client(env: Arc<Env>) {
    every_refresh_token_is_used_once(&env, "openid-basic", BASIC_CLIENT, "ClientSecretBasic").await;
}

async fn every_refresh_token_is_used_once(env: &Env, name: &str, client: OidcClient, method: &str) {
    let provider = OidcProvider::start_with(SHORT).await;
    let world = World::new(env, name).await;
    let operator = world.operator().await;
    let seed = provider.seed(client).await;
    world.source(&source(client, &seed)).await;

    world.credential(spec(&provider, method)).await;

    world.revision(3).await;
    assert!(operator.stop().await.success(), "{}", operator.log());
    let between = assert_in_order(&world, &provider).await;

    let operator = world.operator().await;
    world.revision(between + 3).await;
    assert!(operator.stop().await.success(), "{}", operator.log());
    assert_in_order(&world, &provider).await;
    assert_eq!(provider.inspect(&seed).await.consumed, Some(true));
    provider.stop().await;
}

/// Each request brought a token set, the newest refresh token works, and none was used twice; gives
/// the number of token sets. Nothing runs that could change it.
pub(crate) async fn assert_in_order(world: &World, provider: &OidcProvider) -> i64 {
    let stats = provider.stats().await;
    let record = world.state_record().await;
    let generation = record["generation"].as_i64().expect("a record has one");
    assert_eq!(stats.reuses, 0);
    assert_eq!(stats.token_requests, stats.refresh_exchanges);
    assert_eq!(i64::try_from(stats.refresh_exchanges), Ok(generation));
    assert_eq!(record["rotations"], generation);
    let newest = record["refreshToken"].as_str().expect("a record has one");
    let newest = provider.inspect(newest).await;
    assert!(newest.live && newest.consumed == Some(false), "{newest:?}");
    generation
}

pub(crate) async fn a_restart_sends_and_writes_nothing(env: Arc<Env>) {
    let provider = OidcProvider::start_with(LONG).await;
    let world = World::new(&env, "openid-restart").await;
    let operator = world.operator().await;
    let seed = provider.seed(POST_CLIENT).await;
    world.source(&source(POST_CLIENT, &seed)).await;
    world.credential(spec(&provider, "ClientSecretPost")).await;
    world.ready().await;
    assert!(operator.stop().await.success(), "{}", operator.log());
    let (seen, target) = (world.visible().await, world.target().await);

    let operator = world.operator().await;
    until_looked_at(&operator).await;
    assert!(operator.stop().await.success(), "{}", operator.log());

    assert_eq!(world.visible().await, seen, "nothing was written");
    assert_eq!(world.target().await, target);
    assert_eq!(provider.stats().await.token_requests, 1);
    provider.stop().await;
}

pub(crate) async fn its_endpoints_are_discovered(env: Arc<Env>) {
    let provider = OidcProvider::start_with(SHORT).await;
    let world = World::new(&env, "openid-discovery").await;
    let operator = world.operator().await;
    let seed = provider.seed(POST_CLIENT).await;
    world.source(&source(POST_CLIENT, &seed)).await;
    let mut spec = spec(&provider, "ClientSecretPost");
    spec["provider"].as_object_mut().expect("it is one").remove("tokenEndpoint");
    spec["provider"]["issuer"] = provider.issuer().into();
    world.credential(spec).await;
    world.revision(3).await;
    assert!(operator.stop().await.success(), "{}", operator.log());
    assert_in_order(&world, &provider).await;
    provider.stop().await;
}

/// Waits until the operator has made its pass over the one credential.
async fn until_looked_at(operator: &Operator) {
    let line = r#"oauth_keeper_credentials{reason="Fresh"} 1"#;
    wait::until_ok("the metrics count the credential", LIMIT, || async {
        let metrics = operator.metrics().await;
        if metrics.lines().any(|metric| metric == line) { Ok(()) } else { Err(metrics) }
    })
    .await;
}

pub(crate) fn spec(provider: &OidcProvider, method: &str) -> Value {
    json!({
        "provider": {
            "tokenEndpoint": provider.token_endpoint(),
            "clientAuthentication": {"method": method},
        },
        "renewal": {"jitter": "0s", "minInterval": "1s"},
    })
}

pub(crate) fn source(client: OidcClient, refresh_token: &str) -> [(&'static str, &str); 3] {
    [("client_id", client.id), ("client_secret", client.secret), ("refresh_token", refresh_token)]
}
