//! The control plane and the suite themselves, on real servers.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, Config};
use oauth_keeper_test_support::keycloak::Keycloak;
use oauth_keeper_test_support::oidc_provider::{OidcProvider, POST_CLIENT};
use oauth_keeper_test_support::suite::{self, Env};
use oauth_keeper_test_support::{tests, wait};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    suite::run(tests![
        namespaces_are_unique,
        manifests_are_applied_and_refusals_told,
        the_operator_has_the_rights_of_the_chart_and_no_more,
        metrics_count_requests,
        oidc_provider_rotates,
        oidc_provider_counts_a_reuse_also_of_requests_at_once,
        oidc_provider_revokes,
        keycloak_issues_client_credentials,
        keycloak_lets_a_refresh_token_be_used_twice,
        keycloak_ends_the_grant_of_a_stale_refresh_token,
        keycloak_revokes;
        alone: data_outlives_a_restart_of_the_api_server,
    ])
}

async fn namespaces_are_unique(env: Arc<Env>) {
    let first = env.control_plane.namespace("same").await;
    let second = env.control_plane.namespace("same").await;
    assert_ne!(first, second);
}

async fn manifests_are_applied_and_refusals_told(env: Arc<Env>) {
    let namespace = env.control_plane.namespace("apply").await;
    let manifest = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a, namespace: {namespace}}}}}"
    );
    env.control_plane.apply(&manifest).await.expect("it is valid");
    let maps: Api<ConfigMap> = Api::namespaced(env.control_plane.client(), &namespace);
    maps.get("a").await.expect("it was applied");

    let refusal = env.control_plane.apply("{apiVersion: v1, kind: Nonsense}").await;
    assert!(refusal.expect_err("there is no such kind").contains("Nonsense"));
}

async fn the_operator_has_the_rights_of_the_chart_and_no_more(env: Arc<Env>) {
    let client = operator_client(&env).await;
    let secrets: Api<Secret> = Api::all(client.clone());
    secrets.list(&ListParams::default()).await.expect("the chart lets it list Secrets");
    let maps: Api<ConfigMap> = Api::all(client);
    let refusal = maps.list(&ListParams::default()).await.expect_err("no rule allows it");
    assert!(refusal.to_string().contains(&env.operator.service_account), "{refusal}");
}

async fn metrics_count_requests(env: Arc<Env>) {
    let metrics = env.control_plane.metrics().await;
    assert!(metrics.contains("apiserver_request_total{"));
}

async fn data_outlives_a_restart_of_the_api_server(env: Arc<Env>) {
    let namespace = env.control_plane.namespace("restart").await;
    let before = env.control_plane.api_server_pid().await;
    let maps: Api<ConfigMap> = Api::namespaced(env.control_plane.client(), &namespace);
    let mut map = ConfigMap::default();
    map.metadata.name = Some("a".to_owned());
    maps.create(&PostParams::default(), &map).await.expect("it can be made");

    env.control_plane.restart_api_server().await;

    assert_ne!(env.control_plane.api_server_pid().await, before);
    maps.get("a").await.expect("it is still there");
    // The token was signed by a key that outlives the restart too.
    let secrets: Api<Secret> = Api::all(operator_client(&env).await);
    secrets.list(&ListParams::default()).await.expect("the token is still accepted");
}

async fn oidc_provider_rotates(env: Arc<Env>) {
    let provider = env.oidc_provider().await;
    let before = provider.stats().await;
    let seed = provider.seed(POST_CLIENT).await;
    assert!(provider.inspect(&seed).await.live);
    assert_eq!(provider.newest(&seed).await.as_ref(), Some(&seed));

    let next = rotated(&post_client(provider).refresh(&seed).await);

    assert_ne!(next, seed);
    assert_eq!(provider.newest(&seed).await.as_ref(), Some(&next));
    assert_eq!(provider.inspect(&seed).await.consumed, Some(true));
    assert!(provider.stats().await.refresh_exchanges > before.refresh_exchanges);
}

async fn oidc_provider_counts_a_reuse_also_of_requests_at_once(_env: Arc<Env>) {
    // One of its own, for the count.
    let provider = OidcProvider::start().await;
    let client = post_client(&provider);
    for round in 1..=20 {
        let seed = provider.seed(POST_CLIENT).await;
        tokio::join!(client.refresh(&seed), client.refresh(&seed));
        assert_eq!(provider.stats().await.reuses, round);
        assert_eq!(provider.newest(&seed).await, None);
    }
    provider.stop().await;
}

async fn oidc_provider_revokes(env: Arc<Env>) {
    let provider = env.oidc_provider().await;
    let client = post_client(provider);
    let seed = provider.seed(POST_CLIENT).await;
    let next = rotated(&client.refresh(&seed).await);

    assert_eq!(client.revoke(&next).await.0, 200);

    assert!(!provider.inspect(&next).await.live);
    assert_eq!(provider.newest(&next).await, None);
    assert_eq!(client.refresh(&next).await.1["error"], "invalid_grant");
    assert_eq!(client.revoke(&next).await.0, 200);
    let wrong = ClientOf { secret: "wrong", ..client };
    assert_eq!(wrong.revoke(&next).await.0, 401);
}

async fn keycloak_issues_client_credentials(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    keycloak.set_access_token_lifetime(Duration::from_secs(77)).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", keycloak.client_id()),
        ("client_secret", keycloak.client_secret()),
    ];

    let (status, body) = post(&keycloak.token_endpoint(), &form).await;

    // A second less when the clock has moved while it answered.
    assert!(status == 200 && [76, 77].map(Value::from).contains(&body["expires_in"]), "{body}");
    let token = body["access_token"].as_str().expect("it has an access token");
    assert!(keycloak.accepts(token).await);
    assert!(!keycloak.accepts("another").await);
}

async fn keycloak_lets_a_refresh_token_be_used_twice(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let client = offline_client(keycloak);
    let (seed, other) = (keycloak.seed().await, keycloak.seed().await);
    let second = rotated(&client.refresh(&seed).await);
    assert_ne!(second, seed);
    assert!(keycloak.is_live(&seed).await && keycloak.is_live(&second).await);
    let answer = client.refresh(&seed).await;
    let (third, access_token) = (rotated(&answer), text(&answer.1["access_token"]));
    assert!(!keycloak.is_live(&seed).await && keycloak.is_live(&third).await);
    assert!(keycloak.accepts(&access_token).await);

    let exceeded = "Maximum allowed refresh token reuse exceeded";
    assert_eq!(client.refresh(&seed).await, invalid_grant(exceeded));

    let ended = invalid_grant("Session doesn't have required client");
    // The session ends, and its access tokens with it.
    assert!(!keycloak.is_live(&third).await && !keycloak.accepts(&access_token).await);
    assert_eq!(client.refresh(&third).await, ended);
    assert_eq!(client.refresh(&third).await, ended);
    assert!(keycloak.is_live(&other).await);
}

async fn keycloak_ends_the_grant_of_a_stale_refresh_token(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let client = offline_client(keycloak);
    let seed = keycloak.seed().await;
    let second = rotated(&client.refresh(&seed).await);
    // It tells tokens of one second not apart.
    next_second().await;
    let third = rotated(&client.refresh(&seed).await);
    assert!(!keycloak.is_live(&second).await && keycloak.is_live(&third).await);

    assert_eq!(client.refresh(&second).await, invalid_grant("Stale token"));
    assert!(!keycloak.is_live(&third).await);
    assert_eq!(client.refresh(&third).await.0, 400);
}

async fn keycloak_revokes(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    let client = offline_client(keycloak);
    let (seed, other) = (keycloak.seed().await, keycloak.seed().await);
    let answer = client.refresh(&seed).await;
    let (token, access_token) = (rotated(&answer), text(&answer.1["access_token"]));

    assert_eq!(client.revoke(&token).await, (200, Value::Null));

    assert!(!keycloak.is_live(&token).await && !keycloak.accepts(&access_token).await);
    assert_eq!(client.refresh(&token).await, invalid_grant("Offline user session not found"));
    assert!(keycloak.is_live(&other).await);
    let (status, body) = client.revoke(&token).await;
    assert_eq!((status, &body["error"]), (200, &json!("invalid_token")));
}

/// A client, with its secret in the body.
#[derive(Clone)]
struct ClientOf {
    token_endpoint: String,
    revocation_endpoint: String,
    id: &'static str,
    secret: &'static str,
}

fn post_client(provider: &OidcProvider) -> ClientOf {
    ClientOf {
        token_endpoint: provider.token_endpoint(),
        revocation_endpoint: provider.revocation_endpoint(),
        id: POST_CLIENT.id,
        secret: POST_CLIENT.secret,
    }
}

fn offline_client(keycloak: &Keycloak) -> ClientOf {
    ClientOf {
        token_endpoint: keycloak.token_endpoint(),
        revocation_endpoint: keycloak.revocation_endpoint(),
        id: keycloak.offline_client_id(),
        secret: keycloak.offline_client_secret(),
    }
}

impl ClientOf {
    async fn refresh(&self, token: &str) -> (u16, Value) {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post(&self.token_endpoint, &form).await
    }

    async fn revoke(&self, token: &str) -> (u16, Value) {
        self.post(&self.revocation_endpoint, &[("token", token)]).await
    }

    async fn post(&self, url: &str, form: &[(&str, &str)]) -> (u16, Value) {
        post(url, &[form, &[("client_id", self.id), ("client_secret", self.secret)]].concat()).await
    }
}

/// Status and body; null for a body that is not JSON.
async fn post(url: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().expect("it can be made");
    let answer = client.post(url).form(form).send().await.expect("it answers");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// The refresh token of a good answer.
fn rotated((status, body): &(u16, Value)) -> String {
    assert_eq!(*status, 200, "{body}");
    text(&body["refresh_token"])
}

fn text(value: &Value) -> String {
    value.as_str().expect("it is a string").to_owned()
}

fn invalid_grant(description: &str) -> (u16, Value) {
    (400, json!({"error": "invalid_grant", "error_description": description}))
}

async fn next_second() {
    let second = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.expect("it is after 1970").as_secs()
    };
    let first = second();
    wait::until("a second has begun", SOON, || async { (second() > first).then_some(()) }).await;
}

async fn operator_client(env: &Env) -> Client {
    let file = kube::config::Kubeconfig::read_from(&env.operator.kubeconfig).expect("it is there");
    let config =
        Config::from_custom_kubeconfig(file, &Default::default()).await.expect("it is valid");
    Client::try_from(config).expect("it makes a client")
}
