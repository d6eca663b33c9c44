//! `OAuthProvider` and `ClusterOAuthProvider`: what credentials get from them, and when.

use std::sync::Arc;

use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::gate::{Gate, rotated};
use crate::stage::{HOUR, SOON, Stage, eager, server, spec, started, with};

/// An object of either kind.
pub fn provider(kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "oauth-keeper.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name}, "spec": spec,
    });
    if kind == "OAuthProvider" {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

/// Applies one; gives the words of a refusal.
pub async fn apply(stage: &Stage, kind: &str, name: &str, spec: &Value) -> Result<(), String> {
    let object = provider(kind, &stage.namespace, name, spec);
    stage.env.control_plane.apply_objects(&[object]).await.map(|_| ())
}

async fn applied(stage: &Stage, kind: &str, name: &str, spec: Value) {
    let refusal = apply(stage, kind, name, &spec).await;
    refusal.unwrap_or_else(|message| panic!("{kind} {name}: {message}"));
}

async fn delete(stage: &Stage, kind: &str, name: &str) {
    stage.env.control_plane.kubectl(&["delete", kind, name, "-n", &stage.namespace]).await;
}

/// Waits until the condition Ready of a provider as it is now says that; gives its message.
async fn says(stage: &Stage, kind: &str, name: &str, status: &str, reason: &str) -> String {
    let arguments = ["get", kind, name, "-n", &stage.namespace, "-o", "json"];
    wait::until_ok("the provider says so", SOON, || async {
        let text = stage.env.control_plane.try_kubectl(&arguments).await?;
        let object: Value = serde_json::from_str(&text).expect("kubectl prints JSON");
        let condition = &object["status"]["conditions"][0];
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        if current && condition["status"] == status && condition["reason"] == reason {
            Ok(condition["message"].as_str().unwrap_or_default().to_owned())
        } else {
            Err(object["status"].to_string())
        }
    })
    .await
}

/// The smallest spec, with a provider by name.
pub fn by_name(name: &str, kind: &str, provider: &str) -> Value {
    let reference = json!({"kind": kind, "name": provider});
    eager(with(spec(name, ""), json!({"provider": {"tokenEndpoint": null, "ref": reference}})))
}

fn named(name: &str) -> Value {
    by_name(name, "OAuthProvider", "p")
}

pub async fn a_named_provider_is_used_and_its_changes_act(env: Arc<Env>) {
    let stage = Stage::new(env, "providers").await;
    let server = server(HOUR).await;
    let operator = stage.operator().await;
    stage.asking("c", &server, named("c")).await;
    let message = stage.condition("c", "Stalled", "True", "ProviderNotFound").await;
    assert!(
        message.contains("the OAuthProvider p (spec.provider.ref) does not exist"),
        "{message}"
    );

    let endpoint = json!({"tokenEndpoint": server.token_endpoint()});
    applied(&stage, "OAuthProvider", "p", endpoint.clone()).await;
    stage.ready("c").await;
    says(&stage, "OAuthProvider", "p", "True", "Valid").await;
    assert_eq!(server.counts().requests, 1);

    // As an edit of an inline one: another request, another token.
    let json_body = with(endpoint.clone(), json!({"request": {"encoding": "Json"}}));
    applied(&stage, "OAuthProvider", "p", json_body).await;
    stage.revision("c", 2).await;
    assert_eq!(server.counts().requests, 2);
    // What makes no other request asks for no token, nor does a restart.
    let shown = with(endpoint, json!({"request": {"encoding": "Json"}, "earliestRenewal": "1h"}));
    applied(&stage, "OAuthProvider", "p", shown).await;
    says(&stage, "OAuthProvider", "p", "True", "Valid").await;
    assert!(operator.stop().await.success());
    let before = stage.versions().await;
    let operator = stage.operator().await;
    stage.asking("other", &server, named("other")).await;
    stage.ready("other").await;
    assert!(operator.stop().await.success());
    let mut after = stage.versions().await;
    after.retain(|name, _| before.contains_key(name));
    assert_eq!(after, before, "nothing of the first one is written");
    assert_eq!(server.counts().requests, 3);

    let _operator = stage.operator().await;
    delete(&stage, "oauthprovider", "p").await;
    let message = stage.condition("c", "Ready", "True", "ProviderNotFound").await;
    assert!(message.contains("does not exist"), "the token stays good: {message}");
}

pub async fn a_provider_that_can_t_be_used_is_told_and_mended(env: Arc<Env>) {
    let stage = Stage::new(env, "providers").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    stage.asking("c", &server, named("c")).await;
    let denied = json!({"tokenEndpoint": "http://169.254.169.254/token"});
    applied(&stage, "OAuthProvider", "p", denied).await;
    let message = says(&stage, "OAuthProvider", "p", "False", "EndpointDenied").await;
    assert!(message.starts_with("spec.tokenEndpoint is a link-local address"), "{message}");
    let message = stage.condition("c", "Stalled", "True", "ProviderInvalid").await;
    assert!(message.contains("the OAuthProvider p can't be used: spec.tokenEndpoint"), "{message}");

    // A refusal by the server is over with a change of the provider too.
    let endpoint = json!({"tokenEndpoint": server.token_endpoint()});
    let wrong = json!({"tokenEndpoint": format!("{}/nowhere", server.token_endpoint())});
    applied(&stage, "OAuthProvider", "p", wrong).await;
    stage.condition("c", "Stalled", "True", "RequestRejected").await;
    applied(&stage, "OAuthProvider", "p", endpoint.clone()).await;
    stage.ready("c").await;

    let none = with(endpoint, json!({"clientAuthentication": {"method": "None"}}));
    applied(&stage, "OAuthProvider", "p", none).await;
    let message = stage.condition("c", "Stalled", "True", "SpecInvalid").await;
    assert!(message.contains("grant clientCredentials needs a client secret"), "{message}");
    says(&stage, "OAuthProvider", "p", "True", "Valid").await;
}

/// Whoever may change a provider can't lead a refresh token away that was sent elsewhere first.
pub async fn a_provider_that_moves_gets_no_refresh_token(env: Arc<Env>) {
    let stage = Stage::new(env, "providers").await;
    let (honest, evil) = (server(HOUR).await, server(HOUR).await);
    let _operator = stage.operator().await;
    let at = |endpoint: String| json!({"tokenEndpoint": endpoint});
    applied(&stage, "OAuthProvider", "p", at(honest.token_endpoint())).await;
    stage.refreshing("c", &honest, named("c")).await;
    stage.ready("c").await;

    applied(&stage, "OAuthProvider", "p", at(evil.token_endpoint())).await;
    let message = stage.condition("c", "Stalled", "True", "EndpointChanged").await;
    assert!(message.contains("the refresh token was first sent to"), "{message}");
    // By another URL for refreshes alone, too.
    let split =
        with(at(honest.token_endpoint()), json!({"refreshEndpoint": evil.token_endpoint()}));
    applied(&stage, "OAuthProvider", "p", split).await;
    stage.condition("c", "Stalled", "True", "EndpointChanged").await;
    assert_eq!(evil.counts().requests, 0);

    applied(&stage, "OAuthProvider", "p", at(honest.token_endpoint())).await;
    stage.ready("c").await;
    assert_eq!(evil.counts().requests, 0);
}

/// It is looked again when the turn comes, and who waits for one at a host that it need not go to waits no longer.
pub async fn an_edit_reaches_those_that_wait_for_their_turn(env: Arc<Env>) {
    let stage = Stage::new(env, "turns").await;
    let (mut full, other) = (Gate::start().await, server(HOUR).await);
    // One at once at each host.
    let _operator = started(stage.options().arg("--concurrency").arg("4")).await;
    let at = |endpoint: String| json!({"tokenEndpoint": endpoint});
    applied(&stage, "OAuthProvider", "p", at(full.endpoint())).await;
    stage.refreshing("first", &other, named("first")).await;
    full.arrival().await;
    let waiting = ["a", "b", "c"];
    for name in waiting {
        stage.refreshing(name, &other, named(name)).await;
        stage.condition(name, "Ready", "False", "Pending").await;
    }
    applied(&stage, "OAuthProvider", "p", at(other.token_endpoint())).await;
    for name in waiting {
        stage.ready(name).await;
    }
    assert_eq!((full.more_arrivals(), other.counts().requests), (0, 3));
    // The first one stood there all the while, and its answer counts.
    full.answer(rotated("access", "refresh", HOUR));
    stage.condition("first", "Stalled", "True", "EndpointChanged").await;
    assert_eq!(stage.state_record("first").await["refreshToken"], "refresh");
}

pub async fn a_namespaced_operator_takes_none_of_the_cluster(env: Arc<Env>) {
    let stage = Stage::new(env, "providers").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    stage.asking("c", &server, by_name("c", "ClusterOAuthProvider", "any")).await;
    let message = stage.condition("c", "Stalled", "True", "ProviderNotAllowed").await;
    assert!(message.contains("limited to some namespaces"), "{message}");
    assert_eq!(server.counts().requests, 0);
}

/// Alone, for it looks at all namespaces.
pub async fn one_of_the_cluster_is_for_the_namespaces_it_names(env: Arc<Env>) {
    let stages = [Stage::new(Arc::clone(&env), "one").await, Stage::new(env, "two").await];
    let [one, two] = &stages;
    let server = server(HOUR).await;
    let mut options = one.options();
    options.namespaces.clear();
    let _operator = started(options).await;
    let kind = "ClusterOAuthProvider";
    let name = one.namespace.as_str();
    let only = |namespaces: Value| json!({"tokenEndpoint": server.token_endpoint(), "namespaces": namespaces});
    applied(one, kind, name, only(json!({"names": [one.namespace]}))).await;
    for stage in &stages {
        stage.asking("c", &server, by_name("c", kind, name)).await;
    }
    one.ready("c").await;
    says(one, "coap", name, "True", "Valid").await;
    let message = two.condition("c", "Stalled", "True", "ProviderNotAllowed").await;
    let words = format!("is not for the namespace {}", two.namespace);
    assert!(message.contains(&words), "{message}");
    assert_eq!(server.counts().requests, 1);

    let labelled =
        json!({"names": [one.namespace], "selector": {"matchLabels": {"providers": name}}});
    applied(one, kind, name, only(labelled)).await;
    two.condition("c", "Stalled", "True", "ProviderNotAllowed").await;
    let label = format!("providers={name}");
    one.env.control_plane.kubectl(&["label", "namespace", &two.namespace, &label]).await;
    two.ready("c").await;
    one.env.control_plane.kubectl(&["label", "namespace", &two.namespace, "providers-"]).await;
    two.condition("c", "Ready", "True", "ProviderNotAllowed").await;

    applied(one, kind, name, json!({"tokenEndpoint": server.token_endpoint(), "namespaces": null}))
        .await;
    two.ready("c").await;
    one.ready("c").await;
    assert_eq!(server.counts().requests, 2, "nobody asked for a token anew");
    delete(one, "clusteroauthprovider", name).await;
}
