//! No secret shows anywhere but in the Secrets: not in the log at its finest, nor in events,
//! statuses, annotations and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use oauth_keeper_test_support::credentials;
use oauth_keeper_test_support::http_server::{Answer, RecordedRequest, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use serde_json::json;

use crate::policy::Freeze;
use crate::stage::{
    Stage, client_credentials, eager, quick, source_of, spec, started, target_of, with,
};

/// Is in every secret value of this test, and in no name.
const CANARY: &str = "Canary+Value";

/// How it would look in each of the ways in which bytes get into a log.
fn disguises() -> Vec<(String, &'static str)> {
    let bytes: Vec<String> = CANARY.bytes().map(|byte| byte.to_string()).collect();
    let hex = hex::encode(CANARY);
    let form: String = url_encoded(CANARY);
    let mut disguises = vec![
        (CANARY.to_owned(), "plain"),
        (form, "form encoded"),
        (bytes.join(", "), "as a list of bytes"),
        (hex, "hexadecimal"),
    ];
    for shift in 0..3 {
        let encoded = BASE64.encode([&vec![b'x'; shift][..], CANARY.as_bytes()].concat());
        // The outermost digits depend on what is around it.
        let inner = encoded[if shift == 0 { 0 } else { 4 }..encoded.len() - 4].to_owned();
        disguises.push((inner, "base64"));
    }
    disguises
}

fn url_encoded(text: &str) -> String {
    text.replace('+', "%2B")
}

fn assert_clean(what: &str, text: &str) {
    assert!(!text.is_empty(), "{what} is empty, so it proves nothing");
    for (disguise, how) in disguises() {
        if let Some(at) = text.find(&disguise) {
            let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
            let line: String =
                text[start..].lines().next().unwrap_or_default().chars().take(2000).collect();
            panic!("{what} holds a secret ({how}):\n{line}");
        }
    }
}

fn answer(request: &RecordedRequest, number: u64) -> Answer {
    let error = |status, code: &str| {
        let body = json!({"error": code, "error_description": CANARY, CANARY: CANARY});
        Answer::json(status, &body)
    };
    match request.path() {
        "/html" => Answer::body(200, "text/html", format!("<html>{CANARY}</html>")),
        "/500" => Answer::body(500, "text/plain", CANARY),
        "/strange" => error(400, CANARY),
        "/grant" => error(400, "invalid_grant"),
        "/client" => error(401, "invalid_client"),
        "/redirect" => {
            Answer::status(302).header("Location", &format!("http://127.0.0.1/{CANARY}"))
        }
        "/cut" => Answer::body(200, "application/json", CANARY.repeat(9)).cut_after(90),
        "/lifetime" => Answer::json(200, &json!({"access_token": CANARY, "expires_in": CANARY})),
        lifetime => Answer::json(
            200,
            &json!({
                "access_token": format!("{CANARY}-access-{number}"),
                "refresh_token": format!("{CANARY}-refresh-{number}"),
                "id_token": CANARY,
                "expires_in": lifetime.trim_start_matches('/'),
            }),
        )
        .header("Set-Cookie", CANARY),
    }
}

async fn offer(stage: &Stage, name: &str, endpoint: &str) {
    let keys = ["client_id", "client_secret", "refresh_token"];
    let values = keys.map(|key| {
        if key == "client_id" { name.to_owned() } else { format!("{CANARY}-{name}-{key}") }
    });
    let pairs: Vec<_> = keys.into_iter().zip(&values).collect();
    stage.source(&source_of(name), &pairs).await;
    stage.credential(name, quick(spec(name, endpoint))).await;
}

pub async fn no_secret_shows_anywhere(env: Arc<Env>) {
    let stage = Stage::new(env, "secrecy").await;
    let server = ScriptedServer::start().await;
    let count = AtomicU64::new(0);
    server.answer_with(move |request| answer(request, count.fetch_add(1, Ordering::Relaxed)));
    let journal = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "{}-{}",
        stage.namespace,
        std::process::id()
    ));
    let options = stage
        .options()
        .arg("--log-level=trace")
        .arg("--journal-dir")
        .arg(&journal.display().to_string());
    let operator = started(options).await;

    // Successes: renewals with rotation, both client authentications, both encodings.
    offer(&stage, "renewed", &server.url("/3")).await;
    let changes = [
        ("basic", json!({"provider": {"clientAuthentication": {"method": "ClientSecretBasic"}}})),
        ("json", json!({"provider": {"request": {"encoding": "Json"}}})),
    ];
    for (name, change) in changes {
        offer(&stage, name, &server.url("/3600")).await;
        stage.credential(name, with(eager(spec(name, &server.url("/3600"))), change)).await;
    }
    offer(&stage, "asking", &server.url("/3600")).await;
    stage
        .credential("asking", client_credentials(eager(spec("asking", &server.url("/3600")))))
        .await;
    for name in ["renewed", "basic", "json", "asking"] {
        stage.ready(name).await;
    }
    // Failures of the server.
    let failures = [
        ("html", "ResponseInvalid"),
        ("500", "ServerError"),
        ("strange", "RequestRejected"),
        ("grant", "RefreshTokenRejected"),
        ("client", "ClientRejected"),
        ("redirect", "ResponseInvalid"),
        ("cut", "ExchangeOutcomeUnknown"),
        ("lifetime", "LifetimeUnknown"),
    ];
    for (name, reason) in failures {
        offer(&stage, name, &server.url(&format!("/{name}"))).await;
        stage.condition(name, "Ready", "False", reason).await;
    }
    // Failures of the Secrets.
    stage.source("garbled-source", &[("refresh_token", format!("{CANARY}\0").as_bytes())]).await;
    stage.credential("garbled", spec("garbled", &server.url("/3600"))).await;
    stage.condition("garbled", "Stalled", "True", "SourceInvalid").await;
    let spoil = json!({"stringData": {"record": format!("{{\"version\": \"{CANARY}\"}}")}});
    stage.edit_secret("basic-oauth-state", &spoil).await;
    stage
        .credential(
            "basic",
            with(eager(spec("basic", &server.url("/3600"))), json!({"scopes": ["s"]})),
        )
        .await;
    stage.condition("basic", "Stalled", "True", "StateInvalid").await;
    let freeze = Freeze::of(&stage, &target_of("json")).await;
    let json_again = json!({"provider": {"request": {"encoding": "Json"}}, "scopes": ["s"]});
    stage.credential("json", with(eager(spec("json", &server.url("/3600"))), json_again)).await;
    stage
        .status_that("json", "can't write its target", |status| {
            status["failure"]["reason"] == "TargetNotWritable"
        })
        .await;
    freeze.lift(&stage).await;
    stage.revision("renewed", 3).await;
    let metrics = operator.metrics().await;
    assert!(operator.stop().await.success());

    // It is where it shall be.
    assert!(stage.target("renewed").await["access_token"].starts_with(CANARY));
    let log = operator.log();
    assert!(log.contains("\"TRACE\""), "the log is not at its finest");
    assert_clean("the log", &log);
    assert_clean("the metrics", &metrics);
    let visible = credentials::visible(&stage.client, &stage.namespace).await;
    assert_clean("what the API server shows without Secrets", &visible);
    let _ = std::fs::remove_dir_all(journal);
}
