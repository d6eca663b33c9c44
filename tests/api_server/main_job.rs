//! From `kubectl apply` to a target that stays fresh.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::stage::{
    HOUR, Neighbour, SOON, Stage, eager, quick, server, spec, state_of, target_of, with,
};

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no text"));
    let time = text.parse().unwrap_or_else(|_| panic!("{text} is no time"));
    assert!(!text.contains('.'), "{text} is finer than a second");
    time
}

fn seconds_between(from: &Value, to: &Value) -> i64 {
    time(to).duration_since(time(from)).as_secs()
}

fn conditions(status: &Value) -> Vec<&str> {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.filter_map(|condition| condition["type"].as_str()).collect()
}

fn texts(of: Option<&BTreeMap<String, String>>) -> BTreeMap<&str, &str> {
    let pairs = of.into_iter().flatten();
    pairs.map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// It belongs to the credential, so that the garbage collector takes it along.
fn assert_owned(secret: &Secret, credential: &str, uid: &str) {
    let owners = secret.metadata.owner_references.as_deref().unwrap_or_default();
    let [owner] = owners else { panic!("{owners:?}") };
    assert_eq!(owner.api_version, "oauth-keeper.dev/v1alpha1");
    assert_eq!(owner.kind, "OAuthCredential");
    assert_eq!((owner.name.as_str(), owner.uid.as_str()), (credential, uid));
    assert_eq!(owner.controller, Some(true));
}

pub async fn a_refresh_token_becomes_a_target(env: Arc<Env>) {
    let stage = Stage::new(env, "main").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    // No grant: refreshToken is the default.
    let spec = with(
        spec("c", &server.token_endpoint()),
        json!({"target": {"labels": {"team": "a"}, "annotations": {"note": "b"}}}),
    );
    let seed = stage.refreshing("c", &server, spec).await;

    let status = stage.ready("c").await;

    let target = stage.target("c").await;
    assert_eq!(
        target.keys().map(String::as_str).collect::<Vec<_>>(),
        ["access_token", "authorization", "expires_at", "token_type"],
    );
    assert!(server.accepts(&target["access_token"]));
    assert_eq!(target["token_type"], "Bearer");
    assert_eq!(target["authorization"], format!("Bearer {}", target["access_token"]));
    assert_eq!(status["expiresAt"], target["expires_at"].as_str());

    let credential = stage.credentials().get("c").await.expect("it exists");
    let uid = credential.metadata.uid.expect("it has one");
    let secret = stage.secret(&target_of("c")).await;
    assert_owned(&secret, "c", &uid);
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
    let labels = [("app.kubernetes.io/managed-by", "oauth-keeper"), ("team", "a")];
    assert_eq!(texts(secret.metadata.labels.as_ref()), BTreeMap::from(labels));
    let annotations = texts(secret.metadata.annotations.as_ref());
    assert_eq!(annotations["note"], "b");
    assert_eq!(annotations["oauth-keeper.dev/credential"], "c");
    assert_eq!(annotations["oauth-keeper.dev/revision"], "1");
    assert_eq!(status["issuedAt"], annotations["oauth-keeper.dev/issued-at"]);
    assert_eq!(status["expiresAt"], annotations["oauth-keeper.dev/expires-at"]);

    assert_eq!(conditions(&status), ["Ready"]);
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(seconds_between(&status["issuedAt"], &status["expiresAt"]), 3600);
    let renewal = seconds_between(&status["issuedAt"], &status["nextRenewalTime"]);
    assert!((2400 - 180..=2400).contains(&renewal), "{renewal} s after its issue");
    assert_eq!(status["refreshToken"]["rotations"], 1);
    assert_eq!(status["refreshToken"]["rotatedAt"], status["issuedAt"]);
    assert_eq!(status["target"], json!({"name": target_of("c"), "revision": 1}));
    for absent in ["lastRenewalTime", "failure"] {
        assert_eq!(status[absent], Value::Null, "{absent}");
    }

    let state = stage.secret(&state_of("c")).await;
    // It may outlive the credential, which a finalizer holds until that is decided.
    assert_eq!(state.metadata.owner_references, None);
    let finalizers = stage.credentials().get("c").await.expect("it exists").metadata.finalizers;
    assert_eq!(finalizers.unwrap_or_default(), ["oauth-keeper.dev/state"]);
    assert_eq!(state.type_.as_deref(), Some("oauth-keeper.dev/state"));
    let keys: Vec<String> = state.data.unwrap_or_default().into_keys().collect();
    assert_eq!(keys, ["record"], "the claim goes with the commit");
    let record = stage.state_record("c").await;
    let newest = record["refreshToken"].as_str().expect("the state holds it");
    assert!(server.is_live(newest) && !server.is_live(&seed));
    assert_eq!(server.counts().requests, 1);
}

pub async fn client_credentials_keep_no_state(env: Arc<Env>) {
    let stage = Stage::new(env, "main").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    stage.asking("c", &server, spec("c", &server.token_endpoint())).await;

    let status = stage.ready("c").await;

    assert!(server.accepts(&stage.target("c").await["access_token"]));
    assert_eq!(status["refreshToken"], Value::Null);
    let state = stage.secrets().get_opt(&state_of("c")).await;
    assert!(state.expect("the API server answers").is_none());
    assert_eq!(server.counts().requests, 1);
}

pub async fn tokens_are_renewed_before_they_expire(env: Arc<Env>) {
    let stage = Stage::new(env, "main").await;
    let server = server(Duration::from_secs(4)).await;
    let _operator = stage.operator().await;
    stage.refreshing("r", &server, quick(spec("r", &server.token_endpoint()))).await;
    stage.asking("a", &server, quick(spec("a", &server.token_endpoint()))).await;

    let refreshed = stage.revision("r", 3).await;
    let asked = stage.revision("a", 3).await;

    for status in [&refreshed, &asked] {
        assert_eq!(status["lastRenewalTime"], status["issuedAt"]);
    }
    assert!(refreshed["refreshToken"]["rotations"].as_i64() >= Some(3));
    let issues = server.take_issues();
    for name in ["r", "a"] {
        let times: Vec<_> = issues.iter().filter(|issue| issue.client_id == name).collect();
        assert!(times.len() >= 3, "{name}: {times:?}");
        for pair in times.windows(2) {
            let apart = pair[1].at.duration_since(pair[0].at).expect("they are in order");
            assert!(apart < pair[0].lifetime, "{name}: {apart:?}");
            assert!(apart >= Duration::from_secs(1), "{name}: {apart:?} is below minInterval");
        }
    }
    assert_eq!(server.counts().reuses, 0);
}

pub async fn the_next_renewal_follows_from_expires_in(env: Arc<Env>) {
    let stage = Stage::new(env, "main").await;
    let _operator = stage.operator().await;
    let still = json!({"renewal": {"jitter": "0s"}});
    let table = [
        ("two-thirds", 3600, json!({}), 2400),
        ("margin", 480, json!({}), 300),
        ("short", 90, json!({}), 60),
        ("duration", 3600, json!({"renewal": {"renewBefore": "10m"}}), 3000),
        ("percentage", 3600, json!({"renewal": {"renewBefore": "20%"}}), 2880),
    ];
    for (name, lifetime, change, expected) in table {
        let server = server(Duration::from_secs(lifetime)).await;
        let spec = with(with(spec(name, &server.token_endpoint()), still.clone()), change);
        stage.asking(name, &server, spec).await;
        let status = stage.ready(name).await;
        let after_issue = |field: &str| seconds_between(&status["issuedAt"], &status[field]);
        assert_eq!(u64::try_from(after_issue("expiresAt")), Ok(lifetime), "{name}");
        assert_eq!(after_issue("nextRenewalTime"), expected, "{name}");
    }
}

pub async fn a_suspended_credential_is_left_alone(env: Arc<Env>) {
    let stage = Stage::new(env, "main").await;
    let server = server(Duration::from_secs(4)).await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    let spec = quick(spec("c", &server.token_endpoint()));
    stage.refreshing("c", &server, spec.clone()).await;
    stage.revision("c", 2).await;

    stage.credential("c", with(spec.clone(), json!({"suspend": true}))).await;
    stage
        .status_that("c", "is suspended", |status| {
            status["conditions"][0]["reason"] == "Suspended" && conditions(status) == ["Ready"]
        })
        .await;
    let target = stage.target("c").await;
    let requests = server.counts().requests;
    // Until after its token has expired, which it says.
    stage.condition("c", "Ready", "False", "Suspended").await;
    neighbour.renewed_twice(&stage).await;
    assert_eq!(server.counts().requests, requests);
    assert_eq!(stage.target("c").await, target);

    stage.credential("c", spec).await;
    stage.ready("c").await;
    assert!(server.counts().requests > requests);
    assert_eq!(server.counts().reuses, 0);
}

pub async fn events_tell_transitions_only(env: Arc<Env>) {
    let stage = Stage::new(env, "main").await;
    let server = ScriptedServer::start().await;
    server.always(Answer::json(200, &json!({"access_token": "a", "expires_in": 8})));
    let _operator = stage.operator().await;
    let keys = [("client_id", "i"), ("client_secret", "s"), ("refresh_token", "r")];
    stage.source("c-source", &keys).await;
    stage.credential("c", quick(spec("c", &server.url("/token")))).await;
    stage.revision("c", 3).await;

    server.queue(Answer::status(429));
    stage
        .status_that("c", "has failed", |status| status["failure"]["reason"] == "RateLimited")
        .await;
    let failed_at = stage.status("c").await["target"]["revision"].as_i64();
    stage.revision("c", failed_at.expect("it was ready before") + 1).await;

    let told = |events: &[k8s_openapi::api::events::v1::Event]| {
        let pairs = events.iter().map(|event| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            (text(&event.type_), text(&event.reason))
        });
        pairs.collect::<Vec<_>>()
    };
    let expected = [
        ("Normal", "Fresh"),
        ("Warning", "TokenShortLived"),
        ("Warning", "RateLimited"),
        // The token has expired meanwhile, so that Ready is no longer True.
        ("Warning", "RateLimited"),
        ("Normal", "Fresh"),
    ];
    wait::until_ok("the events are written", SOON, || async {
        let events = told(&stage.events("c").await);
        let seen: Vec<_> = events.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        if seen == expected { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    let events = stage.events("c").await;
    let event = events.last().expect("there are some");
    assert_eq!(event.reporting_controller.as_deref(), Some("oauth-keeper"));
    let regarding = event.regarding.as_ref().expect("it regards the credential");
    assert_eq!(regarding.kind.as_deref(), Some("OAuthCredential"));
}

pub async fn nothing_is_written_without_a_change(env: Arc<Env>) {
    let stage = Stage::new(env, "main").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    stage.refreshing("r", &server, eager(spec("r", &server.token_endpoint()))).await;
    stage.asking("a", &server, eager(spec("a", &server.token_endpoint()))).await;
    stage.ready("r").await;
    stage.ready("a").await;
    // What their own beginnings set in motion is over when the neighbour was renewed once more.
    neighbour.renewed_twice(&stage).await;
    let idle = |versions: BTreeMap<String, String>| {
        let mut versions = versions;
        versions.retain(|name, _| !name.starts_with("neighbour"));
        versions
    };

    let before = idle(stage.versions().await);
    neighbour.renewed_twice(&stage).await;

    assert_eq!(idle(stage.versions().await), before);
    assert_eq!(server.counts().requests, 2);
}
