//! Servers that don't speak as RFC 6749 says.

use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::json;

use crate::gate::rotated;
use crate::stage::{HOUR, SOON, Stage, eager, spec, target_of, with};
use crate::story::SEED;

pub async fn a_server_is_spoken_to_in_its_own_words(env: Arc<Env>) {
    let stage = Stage::new(env, "words").await;
    let server = ScriptedServer::start().await;
    let answer = json!({"data": {
        "token": "access-1", "renewal": "refresh-1", "ttl": 3_600_000, "url": "https://tenant.example",
    }});
    server.always(Answer::json(200, &answer));
    let _operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    let provider = |fields| {
        json!({
            "refreshEndpoint": server.url("/renew"),
            "request": {
                "encoding": "Json", "headers": {"X-Version": "7"}, "parameters": {"mode": "offline"},
                "parameterNames": {"client_id": "client_key"}, "omitParameters": ["grant_type"],
            },
            "response": {
                "accessToken": "/data/token", "refreshToken": "/data/renewal", "lifetime": "/data/ttl",
                "lifetimeUnit": "Milliseconds", "fields": fields,
            },
        })
    };
    let wanted = |fields| {
        let more = json!({"provider": provider(fields), "audience": "api"});
        with(eager(spec("c", &server.url("/token"))), more)
    };
    let fields = json!({"instance_url": "/data/url", "absent": "/data/nothing"});
    stage.credential("c", wanted(fields)).await;
    stage.ready("c").await;

    let request = server.requests().remove(0);
    assert_eq!(request.target, "/renew");
    assert_eq!(request.header("x-version"), Some("7"));
    assert_eq!(
        String::from_utf8_lossy(&request.body),
        r#"{"client_key":"client","client_secret":"secret","refresh_token":"refresh-0","audience":"api","mode":"offline"}"#
    );
    stage.target_holds("c", "access_token", "access-1").await;
    stage.target_holds("c", "instance_url", "https://tenant.example").await;
    let status = stage.status("c").await;
    assert_eq!(status["refreshToken"]["rotations"], 1);
    assert!(status["expiresAt"].is_string(), "{status}");

    // What is not asked for any more goes.
    stage.credential("c", wanted(json!({"absent": "/data/nothing"}))).await;
    stage.revision("c", 2).await;
    let data = stage.secret(&target_of("c")).await.data.unwrap_or_default();
    assert!(!data.contains_key("instance_url") && data.contains_key("access_token"));
}

pub async fn the_end_of_a_refresh_token_is_told_ahead_of_time(env: Arc<Env>) {
    let stage = Stage::new(env, "end").await;
    let server = ScriptedServer::start().await;
    server.always(rotated("access-1", "refresh-1", HOUR));
    let operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    let provider = json!({"refreshTokenLifetime": "1m"});
    stage
        .credential(
            "c",
            with(eager(spec("c", &server.url("/token"))), json!({"provider": provider})),
        )
        .await;
    stage.ready("c").await;
    let status = stage.status("c").await;
    assert!(status["refreshToken"]["expiresAt"].is_string(), "{status}");
    let is_told = async || {
        let events = stage.events("c").await;
        events.iter().any(|event| event.reason.as_deref() == Some("RefreshTokenEnds"))
    };
    assert!(!is_told().await);
    // The last tenth of a minute.
    wait::until("its end is told of", Duration::from_secs(60) + SOON, || async {
        is_told().await.then_some(())
    })
    .await;
    assert!(operator.metrics().await.contains("oauth_keeper_refresh_tokens_ending 1"));
    assert_eq!(server.requests().len(), 1);
}

/// Waits for an event that tells what is not in the target.
async fn left_out(stage: &Stage, what: &str) {
    wait::until_ok("it is told", SOON, || async {
        let events = stage.events("c").await.into_iter();
        let told = events.filter(|event| event.reason.as_deref() == Some("FieldsLeftOut"));
        let notes: Vec<_> = told.filter_map(|event| event.note).collect();
        if notes.iter().any(|note| note.starts_with(what)) { Ok(()) } else { Err(notes.join("; ")) }
    })
    .await;
}

pub async fn what_a_server_says_beside_the_token_is_told_or_hidden(env: Arc<Env>) {
    let stage = Stage::new(env, "beside").await;
    let server = ScriptedServer::start().await;
    server.always(Answer::json(
        200,
        &json!({
            "access_token": "access-1", "expires_in": 3600, "long": "x".repeat(5000), "url": "https://a.example",
            "scope": "read refresh-0 access-1 se cret-of-the-client one:follows-it",
        }),
    ));
    let operator = stage.operator().await;
    let secret = ("client_secret", "secret-of-the-client");
    let keys = [SEED[0], secret, ("next_client_secret", "the-one-that-follows-it"), SEED[2]];
    stage.source("c-source", &keys).await;
    let fields = json!({"provider": {"response": {"fields": {"long": "/long", "url": "/url"}}}});
    stage.credential("c", with(eager(spec("c", &server.url("/token"))), fields)).await;
    stage.ready("c").await;
    let status = stage.status("c").await;
    assert_eq!(status["scopes"], json!(["read"]));
    let target = stage.target("c").await;
    assert!(!target.contains_key("long") && target["url"] == "https://a.example");
    left_out(&stage, "long of the token response").await;

    let other = Answer::json(200, &json!({"access_token": "one;two=b", "expires_in": 3600}));
    server.always(other);
    let cookie = json!({"scopes": ["other"], "target": {"cookieName": "session"}});
    stage.credential("c", with(eager(spec("c", &server.url("/token"))), cookie)).await;
    stage.target_holds("c", "authorization", "Bearer one;two=b").await;
    assert_eq!(stage.target("c").await["cookie"], "");
    left_out(&stage, "cookie of the token response").await;
    assert!(operator.stop().await.success());
}

pub async fn error_codes_may_be_numbers_in_a_success(env: Arc<Env>) {
    let stage = Stage::new(env, "numbers").await;
    let server = ScriptedServer::start().await;
    let _operator = stage.operator().await;
    let response = json!({"provider": {"response": {
        "accessToken": "/data/access_token", "refreshToken": "/data/refresh_token", "error": "/code",
        "errorCodes": {"40105": "InvalidGrant", "40001": "InvalidClient"},
    }}});
    for (name, code, type_, reason) in [
        ("grant", 40105, "Ready", "RefreshTokenRejected"),
        ("client", 40001, "Stalled", "ClientRejected"),
        ("other", 7, "Stalled", "RequestRejected"),
    ] {
        server.always(Answer::json(200, &json!({"code": code, "message": "canary", "data": {}})));
        let keys = [SEED[0], SEED[1], ("refresh_token", name)];
        stage.source(&format!("{name}-source"), &keys).await;
        let spec = with(eager(spec(name, &server.url("/token"))), response.clone());
        stage.credential(name, spec).await;
        let status = if type_ == "Ready" { "False" } else { "True" };
        let message = stage.condition(name, type_, status, reason).await;
        assert!(!message.contains("canary"), "{name}: {message}");
        assert_eq!(message.contains(&format!("error {code}")), code > 7, "{name}: {message}");
    }
}

pub async fn tokens_are_taken_from_a_list_and_from_what_calls_itself_a_failure(env: Arc<Env>) {
    let stage = Stage::new(env, "odd").await;
    let server = ScriptedServer::start().await;
    let tokens = |at: u32| {
        let refresh_token = format!("refresh-{at}");
        json!({"access_token": format!("access-{at}"), "refresh_token": refresh_token, "expires_in": 3600})
    };
    server.queue(Answer::json(409, &tokens(1)));
    server.queue(Answer::json(200, &json!([tokens(2)])));
    let _operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    stage.credential("c", eager(spec("c", &server.url("/token")))).await;
    stage.ready("c").await;
    stage.target_holds("c", "access_token", "access-2").await;
    let bodies = server.requests().into_iter().map(|request| request.body);
    let spent: Vec<String> = bodies.map(|body| String::from_utf8_lossy(&body).into()).collect();
    assert_eq!(spent.len(), 2, "{spent:?}");
    assert!(spent[0].contains("refresh-0") && spent[1].contains("refresh-1"), "{spent:?}");
}
