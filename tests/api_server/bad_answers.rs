//! Answers that are no token response, or a strange one.

mod table;

use std::sync::Arc;

use jiff::Timestamp;
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use self::table::Row;
use crate::stage::{Neighbour, SOON, Stage, client_credentials, eager, source_of, spec, with};

/// Each credential has a path of its own on one server, by which its requests are counted.
async fn scripted(answers: Vec<(&'static str, Answer)>) -> ScriptedServer {
    let server = ScriptedServer::start().await;
    server.answer_with(move |request| {
        let name = request.path().trim_start_matches('/');
        let known = answers.iter().find(|(known, _)| *known == name);
        known.map_or_else(|| Answer::status(404), |(_, answer)| answer.clone())
    });
    server
}

fn requests(server: &ScriptedServer, name: &str) -> usize {
    let path = format!("/{name}");
    server.requests().iter().filter(|request| request.path() == path).count()
}

async fn offer(stage: &Stage, name: &str, server: &ScriptedServer, change: Value) {
    let keys = [("client_id", "i"), ("client_secret", "s"), ("refresh_token", name)];
    stage.source(&source_of(name), &keys).await;
    let endpoint = server.url(&format!("/{name}"));
    stage.credential(name, with(eager(spec(name, &endpoint)), change)).await;
}

/// When a token whose fate nobody knows is sent again, in seconds since the first sending, however late the others were.
const SENT_AGAIN_AFTER: [i64; 3] = [1, 5, 20];

/// Whether the next request is not too soon, by what the status says.
fn is_patient(row: &Row, status: &Value) -> bool {
    let failure = &status["failure"];
    let time = |field: &str| {
        let text = failure[field].as_str().unwrap_or_default();
        text.parse::<Timestamp>().unwrap_or_else(|_| panic!("{field} in {status}"))
    };
    let until_next = |from| time("nextAttemptTime").duration_since(time(from)).as_secs();
    if row.reason != "ExchangeOutcomeUnknown" {
        return until_next("lastAttemptTime") >= patience(row);
    }
    let attempts = failure["attempts"].as_u64().and_then(|number| usize::try_from(number).ok());
    let least = attempts.and_then(|number| SENT_AGAIN_AFTER.get(number.checked_sub(1)?));
    until_next("since") >= *least.unwrap_or(&60)
}

/// The least seconds until the next request.
fn patience(row: &Row) -> i64 {
    match (row.name, row.reason) {
        // As its Retry-After says.
        ("503", _) => 90,
        (_, "RateLimited") => 120,
        (_, "RefreshTokenRejected") => 60,
        (_, "ClientRejected" | "RequestRejected") => 3600,
        (_, "ExchangeOutcomeUnknown") => 1,
        _ => 5,
    }
}

pub async fn each_bad_answer_has_its_reason_and_its_patience(env: Arc<Env>) {
    let stage = Stage::new(env, "answers").await;
    let rows = table::all();
    let server = scripted(rows.iter().map(|row| (row.name, row.answer.clone())).collect()).await;
    let operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    for row in &rows {
        let grant =
            if row.spends { json!({}) } else { json!({"grant": {"clientCredentials": {}}}) };
        offer(&stage, row.name, &server, grant).await;
    }
    for row in &rows {
        let (name, reason) = (row.name, row.reason);
        let said = stage.condition(name, "Ready", "False", reason).await;
        assert!(said.contains(row.words), "{name}: {said}");
        assert!(!said.contains(table::SERVER_TEXT), "{name}: {said}");
        let other = if patience(row) == 3600 { "Stalled" } else { "Reconciling" };
        stage.condition(name, other, "True", reason).await;
        // While it is being sent again, there is no next time yet.
        let planned = |status: &Value| status["failure"]["nextAttemptTime"].is_string();
        let status = stage.status_that(name, "says when it is tried again", planned).await;
        assert!(is_patient(row, &status), "{name}: {status}");
    }
    neighbour.renewed_twice(&stage).await;
    for row in &rows {
        let seen = requests(&server, row.name);
        let most = match patience(row) {
            1 => 4,
            5 => 3,
            _ => 1,
        };
        assert!((1..=most).contains(&seen), "{}: {seen} requests", row.name);
        assert!(stage.target(row.name).await.is_empty(), "{} has a target", row.name);
    }
    assert_eq!(requests(&server, "other"), 0, "the redirect was not followed");
    assert_eq!(operator.try_exit(), None);
}

pub async fn a_server_that_never_answers_is_given_up_after_two_minutes(env: Arc<Env>) {
    let stage = Stage::new(env, "answers").await;
    let server = scripted(vec![("hang", Answer::hang())]).await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    offer(&stage, "hang", &server, json!({})).await;
    // It is said that a token is waited for, and others don't wait with it.
    stage.condition("hang", "Reconciling", "True", "Pending").await;
    neighbour.renewed_twice(&stage).await;
    let message = stage.condition("hang", "Ready", "False", "ExchangeOutcomeUnknown").await;
    assert!(message.starts_with("no answer within 120 seconds"), "{message}");
    neighbour.renewed_twice(&stage).await;
    assert!(requests(&server, "hang") <= 2);
}

pub async fn a_host_that_hangs_does_not_hold_up_others(env: Arc<Env>) {
    let stage = Stage::new(env, "answers").await;
    let names: Vec<String> = (0..40).map(|number| format!("hang-{number}")).collect();
    let server = ScriptedServer::start().await;
    server.always(Answer::hang());
    let _operator = stage.operator().await;
    // The same host under another name, so that it counts as another.
    let elsewhere = Neighbour::at(&stage, "localhost").await;
    for name in &names {
        offer(&stage, name, &server, json!({})).await;
    }
    server.wait_for_requests(1, SOON).await;
    elsewhere.renewed_twice(&stage).await;
    assert!(server.requests().len() < names.len(), "they are not all let go at once");
}

pub async fn strange_lifetimes_are_read_or_named(env: Arc<Env>) {
    let stage = Stage::new(env, "answers").await;
    let rows = [
        ("none", json!(null), "the token response does not say how long the token lives"),
        (
            "zero",
            json!(0),
            "expires_in of the token response is 0; it must be a whole number of seconds that makes 1 to 315360000 seconds",
        ),
        ("negative", json!(-5), "expires_in of the token response is -5"),
        ("huge", json!(1_000_000_000_000_i64), "expires_in of the token response is 1000000000000"),
        ("word", json!("soon"), "expires_in of the token response is not a number"),
        ("list", json!([60]), "expires_in of the token response is neither a number nor a string"),
        ("text", json!("3599"), ""),
        ("fraction", json!(3599.0), ""),
    ];
    let answer = |expires_in: &Value| {
        Answer::json(200, &json!({"access_token": "a", "expires_in": expires_in}))
    };
    let server = scripted(rows.iter().map(|row| (row.0, answer(&row.1))).collect()).await;
    let operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    for (name, _, _) in &rows {
        offer(&stage, name, &server, json!({})).await;
    }
    let wrong: Vec<_> = rows.iter().filter(|row| !row.2.is_empty()).collect();
    for (name, _, words) in &wrong {
        let message = stage.condition(name, "Stalled", "True", "LifetimeUnknown").await;
        assert!(message.starts_with(words), "{name}: {message}");
        assert!(message.contains("defaultLifetime"), "{name}: {message}");
        stage.condition(name, "Ready", "False", "LifetimeUnknown").await;
        // It may be good for years, so it is handed on.
        stage.target_holds(name, "access_token", "a").await;
        stage.target_holds(name, "expires_at", "").await;
    }
    for name in ["text", "fraction"] {
        let status = stage.ready(name).await;
        let time =
            |field: &str| status[field].as_str().and_then(|time| time.parse::<Timestamp>().ok());
        let lifetime =
            time("issuedAt").zip(time("expiresAt")).map(|(from, to)| to.duration_since(from));
        assert_eq!(lifetime.map(|lifetime| lifetime.as_secs()), Some(3599), "{name}");
    }
    neighbour.renewed_twice(&stage).await;
    for (name, _, _) in &rows {
        assert_eq!(requests(&server, name), 1, "{name}");
    }

    // What the message advises helps.
    let change = json!({"provider": {"defaultLifetime": "1h"}});
    for (name, _, _) in &wrong {
        offer(&stage, name, &server, change.clone()).await;
        stage.ready(name).await;
    }
    assert_eq!(operator.try_exit(), None);
}

pub async fn client_credentials_that_fail_lose_nothing(env: Arc<Env>) {
    let stage = Stage::new(env, "answers").await;
    let body = json!({"access_token": "a", "expires_in": 3600});
    let server =
        scripted(vec![("ok", Answer::json(200, &body)), ("401", Answer::status(401))]).await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    offer(&stage, "ok", &server, json!({"grant": {"clientCredentials": {}}})).await;
    stage.ready("ok").await;

    // Without a refresh token a bare 401 is about the client.
    let endpoint = server.url("/401");
    let spec = client_credentials(eager(spec("ok", &endpoint)));
    stage.credential("ok", spec).await;
    stage.condition("ok", "Stalled", "True", "ClientRejected").await;
    neighbour.renewed_twice(&stage).await;
    assert_eq!(requests(&server, "401"), 1);
    stage.target_holds("ok", "access_token", "a").await;
}
