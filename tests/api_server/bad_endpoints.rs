//! Endpoints that the operator may not call, or that nobody listens at.

use std::sync::Arc;

use oauth_keeper_test_support::http_server::ScriptedServer;
use oauth_keeper_test_support::suite::Env;
use serde_json::json;

use crate::stage::{Neighbour, Stage, client_credentials, eager, source_of, spec, started, with};

/// Each credential has a refresh token of its own.
fn keys(name: &str) -> [(&str, &str); 3] {
    [("client_id", "i"), ("client_secret", "s"), ("refresh_token", name)]
}

async fn offer(stage: &Stage, name: &str, endpoint: &str) {
    stage.source(&source_of(name), &keys(name)).await;
    stage.credential(name, eager(spec(name, endpoint))).await;
}

async fn denied(stage: &Stage, name: &str, words: &str) {
    // What is known only when it is looked up names the host alone.
    let url = if name == "resolved" { "the host localhost" } else { "spec.provider.tokenEndpoint" };
    for (type_, status) in [("Ready", "False"), ("Stalled", "True")] {
        let message = stage.condition(name, type_, status, "EndpointDenied").await;
        assert!(message.contains(url), "{name}: {message}");
        assert!(message.contains(words), "{name}: {message}");
    }
}

pub async fn without_flags_neither_http_nor_loopback_is_called(env: Arc<Env>) {
    let stage = Stage::new(env, "endpoints").await;
    let server = ScriptedServer::start().await;
    let mut options = stage.options();
    (options.allow_http, options.allow_loopback) = (false, false);
    let operator = started(options).await;
    let port = server.address().port();
    let rows = [
        ("http", "http://as.example/token".to_owned(), "--allow-http"),
        ("address", format!("https://127.0.0.1:{port}/token"), "a loopback address"),
        ("six", format!("https://[::1]:{port}/token"), "a loopback address"),
        ("mapped", format!("https://[::ffff:127.0.0.1]:{port}/token"), "a loopback address"),
        ("decimal", format!("https://2130706433:{port}/token"), "a loopback address"),
        ("resolved", format!("https://localhost:{port}/token"), "resolves to a loopback address"),
    ];
    for (name, endpoint, _) in &rows {
        offer(&stage, name, endpoint).await;
    }
    for (name, _, words) in &rows {
        denied(&stage, name, words).await;
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(operator.try_exit(), None);

    // An edit is acted on at once.
    let spec = with(eager(spec("http", "https://127.0.0.1/token")), json!({"scopes": ["more"]}));
    stage.credential("http", spec).await;
    denied(&stage, "http", "a loopback address").await;
}

pub async fn metadata_services_are_never_called(env: Arc<Env>) {
    let stage = Stage::new(env, "endpoints").await;
    // With both flags.
    let operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    let rows = [
        ("link-local", "http://169.254.169.254/latest/meta-data", "a link-local address"),
        ("mapped", "http://[::ffff:169.254.169.254]/token", "a link-local address"),
        ("hexadecimal", "http://0xa9fea9fe/token", "a link-local address"),
        ("aws", "http://[fd00:ec2::254]/token", "a metadata service"),
        ("alibaba", "http://100.100.100.200/token", "a metadata service"),
        ("azure", "http://168.63.129.16/token", "a metadata service"),
        ("unspecified", "http://0.0.0.0/token", "an unspecified address"),
        ("multicast", "http://224.0.0.1/token", "a multicast address"),
    ];
    for (name, endpoint, _) in rows {
        offer(&stage, name, endpoint).await;
    }
    for (name, _, words) in rows {
        denied(&stage, name, words).await;
    }
    neighbour.renewed_twice(&stage).await;
    assert_eq!(operator.try_exit(), None);
}

pub async fn an_endpoint_that_is_down_is_tried_again_later(env: Arc<Env>) {
    let stage = Stage::new(env, "endpoints").await;
    let operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    // Nobody listens at port 1; and no query goes out for a name with so long a label.
    let unknown = format!("https://{}.example/token", "x".repeat(64));
    let plain = ScriptedServer::start().await;
    let no_tls = format!("https://{}/token", plain.address());
    let rows = [
        ("down", "http://127.0.0.1:1/token"),
        ("unknown", unknown.as_str()),
        ("no-tls", no_tls.as_str()),
    ];
    for (name, endpoint) in rows {
        offer(&stage, name, endpoint).await;
        let asking = format!("{name}-asking");
        stage.source(&source_of(&asking), &keys(&asking)).await;
        stage.credential(&asking, client_credentials(eager(spec(&asking, endpoint)))).await;
    }
    for name in ["down", "down-asking", "unknown", "unknown-asking", "no-tls", "no-tls-asking"] {
        for type_ in ["Ready", "Reconciling"] {
            let status = if type_ == "Ready" { "False" } else { "True" };
            let message = stage.condition(name, type_, status, "EndpointUnreachable").await;
            assert!(message.contains("no connection to the token endpoint"), "{name}: {message}");
        }
    }
    neighbour.renewed_twice(&stage).await;
    for name in ["down", "unknown-asking"] {
        let status = stage
            .status_that(name, "was tried again", |status| {
                status["failure"]["attempts"].as_i64() >= Some(2)
            })
            .await;
        // The second wait is longer than the first, which was of five seconds.
        let time = |field: &str| {
            let text = status["failure"][field].as_str().unwrap_or_default();
            text.parse::<jiff::Timestamp>().unwrap_or_else(|_| panic!("{field} in {status}"))
        };
        let wait = time("nextAttemptTime").duration_since(time("lastAttemptTime"));
        assert!(wait.as_secs() >= 10, "{name}: {wait:?}");
        assert!(time("since") < time("lastAttemptTime"), "{status}");
    }
    assert_eq!(operator.try_exit(), None);
}
