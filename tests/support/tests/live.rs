//! The control plane and the suite themselves, on real servers.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, Config};
use oauth_keeper_test_support::oidc_provider::POST_CLIENT;
use oauth_keeper_test_support::suite::{self, Env};
use oauth_keeper_test_support::tests;
use serde_json::Value;

fn main() -> ExitCode {
    suite::run(tests![
        namespaces_are_unique,
        manifests_are_applied_and_refusals_told,
        the_operator_has_the_rights_of_the_chart_and_no_more,
        metrics_count_requests,
        oidc_provider_rotates,
        keycloak_issues_client_credentials;
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
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &seed),
        ("client_id", POST_CLIENT.id),
        ("client_secret", POST_CLIENT.secret),
    ];
    assert!(provider.inspect(&seed).await.live);

    let body = redeem(&provider.token_endpoint(), &form).await;

    assert_ne!(body["refresh_token"], Value::Null);
    assert_ne!(body["refresh_token"], seed);
    assert_eq!(provider.inspect(&seed).await.consumed, Some(true));
    assert_eq!(provider.stats().await.refresh_exchanges, before.refresh_exchanges + 1);
}

async fn keycloak_issues_client_credentials(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    keycloak.set_access_token_lifetime(Duration::from_secs(77)).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", keycloak.client_id()),
        ("client_secret", keycloak.client_secret()),
    ];

    let body = redeem(&keycloak.token_endpoint(), &form).await;

    assert_eq!(body["expires_in"], 77);
    let token = body["access_token"].as_str().expect("it has an access token");
    assert!(keycloak.accepts(token).await);
    assert!(!keycloak.accepts("another").await);
}

async fn redeem(endpoint: &str, form: &[(&str, &str)]) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().expect("it can be made");
    let answer = client.post(endpoint).form(form).send().await.expect("it answers");
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("it answers JSON")
}

async fn operator_client(env: &Env) -> Client {
    let file = kube::config::Kubeconfig::read_from(&env.operator.kubeconfig).expect("it is there");
    let config =
        Config::from_custom_kubeconfig(file, &Default::default()).await.expect("it is valid");
    Client::try_from(config).expect("it makes a client")
}
