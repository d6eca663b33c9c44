//! Issuers whose endpoints are looked up in the document that they publish.

use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::stage::{HOUR, SOON, Stage, eager, server, spec, started, with};

const OAUTH: &str = "/.well-known/oauth-authorization-server/tenant";
const OPENID: &str = "/tenant/.well-known/openid-configuration";

fn issuer(server: &ScriptedServer) -> String {
    server.url("/tenant")
}

/// Publishes a document in this place, and nothing in the other.
fn publish(server: &ScriptedServer, place: &'static str, document: Value) {
    server.answer_with(move |request| {
        assert!(request.header("authorization").is_none() && request.text().is_empty());
        if request.path() == place {
            Answer::json(200, &document)
        } else {
            Answer::body(404, "text/html", "<html>")
        }
    });
}

fn document(issuer: &str, token_endpoint: &str) -> Value {
    json!({"issuer": issuer, "token_endpoint": token_endpoint, "jwks_uri": "https://x.example"})
}

fn discovered(name: &str, issuer: &str) -> Value {
    eager(with(spec(name, ""), json!({"provider": {"tokenEndpoint": null, "issuer": issuer}})))
}

pub async fn endpoints_are_found_in_either_document(env: Arc<Env>) {
    let stage = Stage::new(env, "discovery").await;
    let _operator = stage.operator().await;
    for (name, place) in [("oauth", OAUTH), ("openid", OPENID)] {
        let (publisher, server) = (ScriptedServer::start().await, server(HOUR).await);
        let issuer = issuer(&publisher);
        publish(&publisher, place, document(&issuer, &server.token_endpoint()));
        stage.asking(name, &server, discovered(name, &issuer)).await;
        // A second one makes no second request.
        let second = format!("{name}-second");
        stage.refreshing(&second, &server, discovered(&second, &issuer)).await;
        stage.ready(name).await;
        stage.ready(&second).await;
        let paths: Vec<_> =
            publisher.requests().iter().map(|request| request.path().to_owned()).collect();
        let expected = if place == OAUTH { vec![OAUTH] } else { vec![OAUTH, OPENID] };
        assert_eq!(paths, expected, "{name}");
    }
}

pub async fn a_document_of_another_issuer_is_not_gone_by(env: Arc<Env>) {
    let stage = Stage::new(env, "discovery").await;
    let _operator = stage.operator().await;
    let (publisher, server) = (ScriptedServer::start().await, server(HOUR).await);
    let issuer = issuer(&publisher);
    for (name, said, endpoint, words) in [
        ("other", "https://canary.example", server.token_endpoint(), "another issuer"),
        ("slash", &*format!("{issuer}/"), server.token_endpoint(), "a slash at its end"),
        ("denied", &*issuer, "http://169.254.169.254/t".to_owned(), "a link-local address"),
        ("none", &*issuer, String::new(), "a token_endpoint that is no URL"),
    ] {
        // Each under a name of its own, since the last fault of an issuer is waited out.
        let place = format!("{issuer}/{name}");
        let said = said.replace("/tenant", &format!("/tenant/{name}"));
        let answer = document(&said, &endpoint);
        publisher.answer_with(move |_| Answer::json(200, &answer));
        stage.asking(name, &server, discovered(name, &place)).await;
        let message = stage.condition(name, "Ready", "False", "DiscoveryFailed").await;
        assert!(message.contains(words) && !message.contains("canary"), "{name}: {message}");
    }
    assert_eq!(server.counts().requests, 0);

    let unreachable = discovered("unreachable", "http://127.0.0.1:1/tenant");
    stage.asking("unreachable", &server, unreachable).await;
    let message = stage.condition("unreachable", "Ready", "False", "EndpointUnreachable").await;
    assert!(message.contains("the issuer http://127.0.0.1:1/tenant was not read"), "{message}");

    // It is asked again by itself.
    let good = document(&format!("{issuer}/other"), &server.token_endpoint());
    publisher.answer_with(move |_| Answer::json(200, &good));
    stage.ready("other").await;
}

/// A document that moves can't lead a refresh token away that was sent elsewhere first.
pub async fn a_document_that_moves_gets_no_refresh_token(env: Arc<Env>) {
    let stage = Stage::new(env, "discovery").await;
    let publisher = ScriptedServer::start().await;
    let (honest, evil) = (server(HOUR).await, server(HOUR).await);
    let issuer = issuer(&publisher);
    publish(&publisher, OAUTH, document(&issuer, &honest.token_endpoint()));
    let operator = stage.operator().await;
    stage.refreshing("c", &honest, discovered("c", &issuer)).await;
    stage.ready("c").await;
    assert!(operator.stop().await.success());

    // The next process reads it anew.
    publish(&publisher, OAUTH, document(&issuer, &evil.token_endpoint()));
    let operator = stage.operator().await;
    let message = stage.condition("c", "Stalled", "True", "EndpointChanged").await;
    assert!(message.contains("the refresh token was first sent to"), "{message}");
    assert!(operator.stop().await.success());
    assert_eq!(evil.counts().requests, 0);

    publish(&publisher, OAUTH, document(&issuer, &honest.token_endpoint()));
    let operator = stage.operator().await;
    stage.ready("c").await;
    assert!(operator.stop().await.success());
    assert_eq!((evil.counts().requests, honest.counts().refusals), (0, 0));
}

/// Before the document has come nothing is known, and nothing is said.
pub async fn a_restart_writes_nothing_while_an_issuer_is_slow(env: Arc<Env>) {
    let stage = Stage::new(env, "discovery").await;
    let (publisher, server) = (ScriptedServer::start().await, server(HOUR).await);
    let issuer = issuer(&publisher);
    publish(&publisher, OAUTH, document(&issuer, &server.token_endpoint()));
    let operator = stage.operator().await;
    stage.refreshing("c", &server, discovered("c", &issuer)).await;
    stage.ready("c").await;
    assert!(operator.stop().await.success());
    let (before, asked) = (stage.versions().await, publisher.requests().len());

    publisher.always(Answer::hang());
    let operator = stage.operator().await;
    publisher.wait_for_requests(asked + 1, SOON).await;
    // Another credential is served meanwhile.
    stage.asking("other", &server, eager(spec("other", &server.token_endpoint()))).await;
    stage.ready("other").await;
    let counted = r#"oauth_keeper_credentials{reason="Fresh"} 1"#;
    wait::until_ok("the other one is counted", SOON, || async {
        let metrics = operator.metrics().await;
        if metrics.lines().any(|line| line == counted) { Ok(()) } else { Err(metrics) }
    })
    .await;
    let mut after = stage.versions().await;
    after.retain(|name, _| before.contains_key(name));
    assert_eq!(after, before);
    assert!(operator.stop().await.success());
}

pub async fn an_expired_token_is_not_called_good_while_a_document_is_awaited(env: Arc<Env>) {
    let stage = Stage::new(env, "discovery").await;
    let (publisher, server) = (ScriptedServer::start().await, server(Duration::from_secs(8)).await);
    let issuer = issuer(&publisher);
    publish(&publisher, OAUTH, document(&issuer, &server.token_endpoint()));
    let operator = stage.operator().await;
    stage.asking("c", &server, discovered("c", &issuer)).await;
    stage.ready("c").await;
    assert!(operator.stop().await.success());

    publisher.always(Answer::hang());
    let _operator = stage.operator().await;
    let message = stage.condition("c", "Ready", "False", "Pending").await;
    assert!(message.contains("waiting for the document of the issuer"), "{message}");
}

pub async fn slow_issuers_of_one_namespace_hold_up_no_other(env: Arc<Env>) {
    const SLOW: usize = 60;
    let noisy = Stage::new(Arc::clone(&env), "noisy").await;
    let quiet = Stage::new(env, "quiet").await;
    let (slow, publisher, server) =
        (ScriptedServer::start().await, ScriptedServer::start().await, server(HOUR).await);
    slow.always(Answer::hang());
    let issuer = issuer(&publisher);
    publish(&publisher, OAUTH, document(&issuer, &server.token_endpoint()));
    let both = format!("{},{}", noisy.namespace, quiet.namespace);
    let mut options = noisy.options().env("OAUTH_KEEPER_NAMESPACE", &both);
    options.namespaces.clear();
    let _operator = started(options).await;
    for at in 0..SLOW {
        let name = format!("c{at}");
        let issuer = slow.url(&format!("/{name}"));
        noisy.asking(&name, &server, discovered(&name, &issuer)).await;
    }
    // They stand before it in line for the document that both want, too.
    noisy.asking("shared", &server, discovered("shared", &issuer)).await;
    slow.wait_for_requests(1, SOON).await;
    quiet.asking("c", &server, discovered("c", &issuer)).await;
    quiet.ready("c").await;
    let asked = slow.requests().len();
    assert!(asked < SLOW, "{asked} slow issuers were asked before");
}
