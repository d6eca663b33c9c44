//! A protected resource says whether it takes the token.

use std::sync::Arc;

use oauth_keeper_test_support::http_server::{Answer, RecordedRequest, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::gate::rotated;
use crate::stage::{HOUR, SOON, Stage, eager, spec, with};
use crate::story::SEED;

/// Gives each token out once, and takes those at `/me` that `takes` says.
async fn server(takes: impl Fn(&str) -> bool + Send + Sync + 'static) -> ScriptedServer {
    let server = ScriptedServer::start().await;
    let issued = std::sync::atomic::AtomicUsize::new(0);
    server.answer_when(move |request: &RecordedRequest| {
        let answer = if request.target == "/token" {
            let number = issued.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            rotated(&format!("access-{number}"), &format!("refresh-{number}"), HOUR)
        } else {
            let token = request.header("authorization").unwrap_or_default();
            Answer::status(if takes(token.trim_start_matches("Bearer ")) { 200 } else { 401 })
        };
        async move { answer }
    });
    server
}

fn probed(server: &ScriptedServer, probe: Value) -> Value {
    let probe = with(json!({"url": server.url("/me")}), probe);
    with(eager(spec("c", &server.url("/token"))), json!({"probe": probe}))
}

fn requests_to(server: &ScriptedServer, target: &str) -> usize {
    server.requests().iter().filter(|request| request.target == target).count()
}

pub async fn a_token_that_is_refused_is_renewed_at_once(env: Arc<Env>) {
    let stage = Stage::new(env, "probe").await;
    let server = server(|token| token != "access-1").await;
    let _operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    stage.credential("c", probed(&server, json!({"interval": "5s"}))).await;
    stage.revision("c", 2).await;
    let message = stage.condition("c", "TokenAccepted", "True", "ProbeAccepted").await;
    assert!(message.contains("took the token"), "{message}");
    assert_eq!(requests_to(&server, "/token"), 2);
    let events = stage.events("c").await;
    assert!(events.iter().any(|event| event.reason.as_deref() == Some("ProbeRejected")));
}

pub async fn tokens_that_are_all_refused_are_not_renewed_in_a_loop(env: Arc<Env>) {
    let stage = Stage::new(env, "loop").await;
    let server = server(|_| false).await;
    let _operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    stage.credential("c", probed(&server, json!({"interval": "5s"}))).await;
    stage.condition("c", "TokenAccepted", "False", "ProbeRejected").await;
    wait::until("it was asked about often", SOON, || async {
        (requests_to(&server, "/me") >= 4).then_some(())
    })
    .await;
    assert_eq!(requests_to(&server, "/token"), 2);
    stage.condition("c", "Ready", "True", "Fresh").await;
}

pub async fn what_is_said_of_an_older_token_is_no_news(env: Arc<Env>) {
    let stage = Stage::new(env, "older").await;
    let tokens = server(|_| true).await;
    let resource = ScriptedServer::start().await;
    let answered = Arc::new(tokio::sync::Notify::new());
    let gate = Arc::clone(&answered);
    resource.answer_when(move |request| {
        let is = |token: &str| request.header("authorization") == Some(token);
        let (first, taken) = (is("Bearer access-1"), is("Bearer access-3"));
        let gate = Arc::clone(&gate);
        async move {
            if first {
                gate.notified().await;
            }
            Answer::status(if taken { 200 } else { 401 })
        }
    });
    let _operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    let probe = json!({"probe": {"url": resource.url("/me"), "interval": "5s"}});
    let wanted = with(eager(spec("c", &tokens.url("/token"))), probe);
    stage.credential("c", wanted.clone()).await;
    resource.wait_for_requests(1, SOON).await;
    stage.credential("c", with(wanted, json!({"scopes": ["more"]}))).await;
    stage.revision("c", 2).await;

    // That of the first token is refused is no reason to spare the second one.
    answered.notify_one();
    stage.revision("c", 3).await;
    stage.condition("c", "TokenAccepted", "True", "ProbeAccepted").await;
    assert_eq!(requests_to(&tokens, "/token"), 3);
}

pub async fn without_an_interval_a_token_is_looked_at_once_after_a_restart(env: Arc<Env>) {
    let stage = Stage::new(env, "restart").await;
    let server = server(|token| token != "access-1").await;
    let operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    stage.credential("c", probed(&server, json!({}))).await;
    stage.ready("c").await;
    assert!(operator.stop().await.success());
    assert_eq!((requests_to(&server, "/me"), requests_to(&server, "/token")), (0, 1));

    let _next = stage.operator().await;
    stage.revision("c", 2).await;
    assert_eq!((requests_to(&server, "/me"), requests_to(&server, "/token")), (1, 2));
}

pub async fn other_answers_say_nothing_about_the_token(env: Arc<Env>) {
    let stage = Stage::new(env, "nothing").await;
    let (tokens, resource) = (server(|_| true).await, ScriptedServer::start().await);
    resource.always(Answer::status(503));
    let _operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    let probe = json!({"probe": {"url": resource.url("/me"), "interval": "5s"}});
    stage.credential("c", with(eager(spec("c", &tokens.url("/token"))), probe)).await;
    let message = stage.condition("c", "TokenAccepted", "Unknown", "ProbeInconclusive").await;
    assert!(message.contains("503"), "{message}");
    assert_eq!(requests_to(&tokens, "/token"), 1);
}

pub async fn what_was_said_of_a_token_stays_over_a_restart(env: Arc<Env>) {
    let stage = Stage::new(env, "stays").await;
    let (tokens, resource) = (server(|_| true).await, ScriptedServer::start().await);
    resource.always(Answer::status(200));
    let operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    let probe = json!({"probe": {"url": resource.url("/me"), "interval": "5s"}});
    stage.credential("c", with(eager(spec("c", &tokens.url("/token"))), probe)).await;
    stage.condition("c", "TokenAccepted", "True", "ProbeAccepted").await;
    assert!(operator.stop().await.success());
    let (before, asked) = (stage.versions().await, resource.requests().len());

    resource.always(Answer::hang());
    let operator = stage.operator().await;
    resource.wait_for_requests(asked + 1, SOON).await;
    let counted = r#"oauth_keeper_credentials{reason="Fresh"} 1"#;
    wait::until_ok("it is reported", SOON, || async {
        let metrics = operator.metrics().await;
        if metrics.lines().any(|line| line == counted) { Ok(()) } else { Err(metrics) }
    })
    .await;
    // What it wrote was written when it has stopped.
    assert!(operator.stop().await.success());
    assert_eq!(stage.versions().await, before);
}
