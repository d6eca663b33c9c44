//! No secret shows anywhere but in the Secrets: not in the log at its finest, nor in events,
//! statuses, annotations and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use oauth_keeper_test_support::credentials;
use oauth_keeper_test_support::http_server::{Answer, RecordedRequest, ScriptedServer};
use oauth_keeper_test_support::signing_key::SigningKey;
use oauth_keeper_test_support::suite::Env;
use serde_json::json;

use crate::folder::Folder;
use crate::policy::Freeze;
use crate::stage::{Stage, eager, quick, source_of, spec, started, target_of, with};

/// Is in every secret value of this test, and in no name.
const CANARY: &str = "Canary+Value";

/// How it would look in each of the ways in which bytes get into a log.
fn disguises() -> Vec<(String, &'static str)> {
    let bytes: Vec<String> = CANARY.bytes().map(|byte| byte.to_string()).collect();
    let mut disguises = vec![
        (CANARY.to_owned(), "plain"),
        (CANARY.replace('+', "%2B"), "form encoded"),
        (bytes.join(", "), "as a list of bytes"),
        (hex::encode(CANARY), "hexadecimal"),
    ];
    for shift in 0..3 {
        let encoded = BASE64.encode([&vec![b'x'; shift][..], CANARY.as_bytes()].concat());
        // The outermost digits depend on what is around it.
        let inner = encoded[if shift == 0 { 0 } else { 4 }..encoded.len() - 4].to_owned();
        disguises.push((inner, "base64"));
    }
    disguises
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

/// What was signed, and the key that signed it, are secrets too.
struct Signed {
    key: SigningKey,
}

impl Signed {
    /// A client that signs with a key, a grant that is signed, and a client that signs with its secret.
    async fn offer(stage: &Stage, server: &ScriptedServer) -> Self {
        let key = SigningKey::generate();
        for name in ["key", "bearer"] {
            let id = [("client_id", name), ("private_key", key.pem.as_str())];
            stage.source(&source_of(name), &id).await;
        }
        let secret = format!("{CANARY}-of-a-client");
        let pairs = [("client_id", "hmac"), ("client_secret", secret.as_str())];
        stage.source(&source_of("hmac"), &pairs).await;
        let asking = json!({"clientCredentials": {}});
        let bearer = json!({"jwtBearer": {"algorithm": "ES256", "subject": "s"}});
        for (name, how, grant) in [
            ("key", json!({"method": "PrivateKeyJwt", "algorithm": "ES256"}), &asking),
            ("bearer", json!({"method": "None"}), &bearer),
            ("hmac", json!({"method": "ClientSecretJwt"}), &asking),
        ] {
            let change = json!({"provider": {"clientAuthentication": how}, "grant": grant});
            stage.credential(name, with(spec(name, &server.url("/3600")), change)).await;
            stage.ready(name).await;
        }
        let garbled = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
        stage.source(&source_of("key"), &[("client_id", "key"), ("private_key", &garbled)]).await;
        stage.condition("key", "Stalled", "True", "SourceInvalid").await;
        Self { key }
    }

    fn assert_clean(&self, server: &ScriptedServer, what: &str, text: &str) {
        let lines = self.key.pem.lines().filter(|line| !line.starts_with("-----"));
        let mut secrets: Vec<String> = lines.map(ToOwned::to_owned).collect();
        for request in server.requests() {
            let form = request.form().into_iter();
            secrets
                .extend(form.filter(|(name, _)| name.ends_with("assertion")).map(|(_, jwt)| jwt));
        }
        assert!(secrets.len() > 5, "there is a key and there are assertions");
        for secret in secrets {
            assert!(!text.contains(&secret), "{what} holds {secret}");
        }
    }
}

/// Renewals with rotation, both ways to authenticate with a secret, both encodings, both grants.
async fn successes(stage: &Stage, server: &ScriptedServer) {
    offer(stage, "renewed", &server.url("/3")).await;
    let basic = json!({"provider": {"clientAuthentication": {"method": "ClientSecretBasic"}}});
    for (name, change) in [
        ("basic", basic),
        ("json", json!({"provider": {"request": {"encoding": "Json"}}})),
        ("asking", json!({"grant": {"clientCredentials": {}}})),
    ] {
        offer(stage, name, &server.url("/3600")).await;
        stage.credential(name, with(eager(spec(name, &server.url("/3600"))), change)).await;
    }
    for name in ["renewed", "basic", "json", "asking"] {
        stage.ready(name).await;
    }
}

async fn failures_of_the_server(stage: &Stage, server: &ScriptedServer) {
    for (name, reason) in [
        ("html", "ExchangeOutcomeUnknown"),
        ("500", "ExchangeOutcomeUnknown"),
        ("strange", "RequestRejected"),
        ("grant", "RefreshTokenRejected"),
        ("client", "ClientRejected"),
        ("redirect", "ExchangeOutcomeUnknown"),
        ("cut", "ExchangeOutcomeUnknown"),
        ("lifetime", "LifetimeUnknown"),
    ] {
        offer(stage, name, &server.url(&format!("/{name}"))).await;
        stage.condition(name, "Ready", "False", reason).await;
    }
}

async fn failures_of_secrets(stage: &Stage, server: &ScriptedServer) {
    let more = |name: &str| {
        let spec = eager(spec(name, &server.url("/3600")));
        with(spec, json!({"scopes": ["more"]}))
    };
    let garbled = [("refresh_token", format!("{CANARY}\0"))];
    stage.source("garbled-source", &garbled).await;
    stage.credential("garbled", spec("garbled", &server.url("/3600"))).await;
    stage.condition("garbled", "Stalled", "True", "SourceInvalid").await;

    let record = format!("{{\"version\": \"{CANARY}\"}}");
    stage.edit_secret("basic-oauth-state", &json!({"stringData": {"record": record}})).await;
    stage.credential("basic", more("basic")).await;
    stage.condition("basic", "Stalled", "True", "StateInvalid").await;

    let freeze = Freeze::of(stage, &target_of("json")).await;
    stage.credential("json", more("json")).await;
    stage
        .status_that("json", "can't write its target", |status| {
            status["failure"]["reason"] == "TargetNotWritable"
        })
        .await;
    freeze.lift(stage).await;
}

pub async fn no_secret_shows_anywhere(env: Arc<Env>) {
    let stage = Stage::new(env, "secrecy").await;
    let server = ScriptedServer::start().await;
    let count = AtomicU64::new(0);
    server.answer_with(move |request| answer(request, count.fetch_add(1, Ordering::Relaxed)));
    let journal = Folder::new(&stage.namespace);
    let options = stage.options().arg("--log-level=trace");
    let operator = started(options.arg("--journal-dir").arg(&journal.text())).await;

    successes(&stage, &server).await;
    failures_of_the_server(&stage, &server).await;
    failures_of_secrets(&stage, &server).await;
    let signed = Signed::offer(&stage, &server).await;
    stage.revision("renewed", 3).await;
    let metrics = operator.metrics().await;
    assert!(operator.stop().await.success());

    // It is where it shall be.
    assert!(stage.target("renewed").await["access_token"].starts_with(CANARY));
    let log = operator.log();
    // Whatever would say more is capped.
    assert!(log.contains("\"DEBUG\""), "the log is not at its finest");
    assert_clean("the log", &log);
    assert_clean("the metrics", &metrics);
    let visible = credentials::visible(&stage.client, &stage.namespace).await;
    assert_clean("what the API server shows without Secrets", &visible);
    for (what, text) in [("the log", &log), ("the metrics", &metrics), ("the API server", &visible)]
    {
        signed.assert_clean(&server, what, text);
    }
}
