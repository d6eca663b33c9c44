//! A rotated refresh token is never lost: claim, redeem, commit, and only then the rest.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::api::DeleteParams;
use oauth_keeper_test_support::authorization_server::{AuthorizationServer, ServerOptions};
use oauth_keeper_test_support::credentials;
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use crate::gate::{Gate, field, rotated};
use crate::policy::{self, Freeze};
use crate::stage::{HOUR, Neighbour, Stage, eager, spec, state_of, target_of, with};
use crate::story::{
    NOT_COMMITTED, SEED, committed, first_exchange, logged, mended, second_exchange,
};

pub async fn the_claim_is_written_before_the_request_goes_out(env: Arc<Env>) {
    let stage = Stage::new(env, "rotation").await;
    let server = ScriptedServer::start().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    server.answer_when({
        let (client, namespace) = (stage.client.clone(), stage.namespace.clone());
        let seen = Arc::clone(&seen);
        move |_| {
            let (client, namespace, seen) = (client.clone(), namespace.clone(), Arc::clone(&seen));
            // Read before anything is answered.
            async move {
                let state = credentials::target(&client, &namespace, "c-oauth-state").await;
                let mut seen = seen.lock().expect("nothing panics here");
                seen.push(state);
                rotated("access", &format!("refresh-{}", seen.len()), HOUR)
            }
        }
    });
    let _operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    let first = eager(spec("c", &server.url("/token")));
    stage.credential("c", first.clone()).await;
    stage.ready("c").await;
    stage.credential("c", with(first, json!({"scopes": ["more"]}))).await;
    stage.revision("c", 2).await;

    let seen = seen.lock().expect("nothing panics here").clone();
    assert_eq!(seen.len(), 2);
    for (state, newest) in seen.iter().zip([None, Some("refresh-1")]) {
        let claim: Value = serde_json::from_str(&state["claim"]).expect("the claim is JSON");
        for field in ["exchange", "token", "startedAt"] {
            assert!(claim[field].is_string(), "{field} in {claim}");
        }
        assert!(claim["holder"]["incarnation"].is_string(), "{claim}");
        assert!(!state["claim"].contains("refresh-"), "{claim} holds a token");
        let record: Option<Value> =
            state.get("record").map(|record| serde_json::from_str(record).expect("JSON"));
        assert_eq!(record.as_ref().and_then(|record| record["refreshToken"].as_str()), newest);
    }
    committed(&stage, "refresh-2").await;
}

pub async fn a_server_that_refuses_early_renewals_is_not_asked_early(env: Arc<Env>) {
    let stage = Stage::new(env, "early").await;
    let server = AuthorizationServer::start(ServerOptions {
        access_token_lifetime: Duration::from_secs(6),
        earliest_renewal: Some(Duration::from_secs(3)),
        ..ServerOptions::default()
    })
    .await;
    let _operator = stage.operator().await;
    let renewal = json!({"renewBefore": "3s", "jitter": "0s", "minInterval": "1s"});
    let terms = json!({"provider": {"earliestRenewal": "3s"}, "renewal": renewal});
    stage.refreshing("c", &server, with(spec("c", &server.token_endpoint()), terms)).await;
    stage.revision("c", 4).await;
    assert_eq!(server.counts().refusals, 0);
}

pub async fn the_commit_comes_before_the_target(env: Arc<Env>) {
    let stage = Stage::new(env, "rotation").await;
    let mut gate = Gate::start().await;
    let _operator = stage.operator().await;
    first_exchange(&stage, &mut gate).await;
    second_exchange(&stage, &mut gate).await;
    gate.answer(rotated("access-2", "refresh-2", HOUR));
    stage.revision("c", 2).await;

    let version = async |name: String| {
        let version = stage.secret(&name).await.metadata.resource_version;
        version.and_then(|version| version.parse::<u64>().ok()).expect("it is a number here")
    };
    assert!(version(state_of("c")).await < version(target_of("c")).await);
}

pub async fn an_edit_of_the_state_meanwhile_does_not_cost_the_token(env: Arc<Env>) {
    let stage = Stage::new(env, "rotation").await;
    let mut gate = Gate::start().await;
    let _operator = stage.operator().await;
    first_exchange(&stage, &mut gate).await;
    second_exchange(&stage, &mut gate).await;

    let label = json!({"metadata": {"labels": {"backup": "yes"}}});
    stage.edit_secret(&state_of("c"), &label).await;
    gate.answer(rotated("access-2", "refresh-2", HOUR));

    committed(&stage, "refresh-2").await;
    let labels = stage.secret(&state_of("c")).await.metadata.labels;
    assert_eq!(labels.unwrap_or_default()["backup"], "yes");
    stage.revision("c", 2).await;
    stage.target_holds("c", "access_token", "access-2").await;
    assert_eq!(gate.more_arrivals(), 0);
}

pub async fn a_state_deleted_meanwhile_is_made_anew(env: Arc<Env>) {
    let stage = Stage::new(env, "rotation").await;
    let mut gate = Gate::start().await;
    let _operator = stage.operator().await;
    first_exchange(&stage, &mut gate).await;
    let before = stage.secret(&state_of("c")).await;
    second_exchange(&stage, &mut gate).await;

    stage.delete_secret(&state_of("c")).await;
    gate.answer(rotated("access-2", "refresh-2", HOUR));

    committed(&stage, "refresh-2").await;
    let after = stage.secret(&state_of("c")).await;
    assert_eq!(after.type_, before.type_);
    assert_eq!(after.metadata.labels, before.metadata.labels);
    stage.revision("c", 2).await;
    stage.ready("c").await;
    stage.target_holds("c", "access_token", "access-2").await;
    assert_eq!(gate.more_arrivals(), 0);
}

pub async fn without_a_claim_nothing_is_sent(env: Arc<Env>) {
    let stage = Stage::new(env, "rotation").await;
    let mut gate = Gate::start().await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    let freeze = Freeze::of(&stage, &state_of("c")).await;
    stage.source("c-source", &SEED).await;
    stage.credential("c", eager(spec("c", &gate.endpoint()))).await;

    let message = stage.condition("c", "Ready", "False", "StateNotWritable").await;
    assert!(message.contains("c-oauth-state") && message.contains(policy::MESSAGE), "{message}");
    neighbour.renewed_twice(&stage).await;
    assert_eq!(gate.more_arrivals(), 0);

    freeze.lift(&stage).await;
    gate.arrival().await;
    gate.answer(rotated("access-1", "refresh-1", HOUR));
    stage.ready("c").await;
}

pub async fn a_refused_target_does_not_cost_the_token(env: Arc<Env>) {
    let stage = Stage::new(env, "rotation").await;
    let mut gate = Gate::start().await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    first_exchange(&stage, &mut gate).await;
    second_exchange(&stage, &mut gate).await;
    let freeze = Freeze::of(&stage, &target_of("c")).await;
    gate.answer(rotated("access-2", "refresh-2", HOUR));

    committed(&stage, "refresh-2").await;
    let status = stage
        .status_that("c", "says that its target can't be written", |status| {
            status["failure"]["reason"] == "TargetNotWritable"
        })
        .await;
    let message = credentials::condition(&status, "Ready")["message"].to_string();
    assert!(message.contains("c-target") && message.contains(policy::MESSAGE), "{message}");
    neighbour.renewed_twice(&stage).await;

    freeze.lift(&stage).await;
    stage.ready("c").await;
    stage.target_holds("c", "access_token", "access-2").await;
    assert_eq!(gate.more_arrivals(), 0, "it is rendered from the state");
}

pub async fn a_crash_of_the_api_server_does_not_cost_the_token(env: Arc<Env>) {
    let stage = Stage::new(env, "rotation").await;
    let mut gate = Gate::start().await;
    let operator = stage.operator().await;
    first_exchange(&stage, &mut gate).await;
    second_exchange(&stage, &mut gate).await;

    let control_plane = &stage.env.control_plane;
    control_plane.kill_api_server().await;
    let cut_off = async {
        gate.answer(rotated("access-2", "refresh-2", HOUR));
        logged(&operator, NOT_COMMITTED).await;
    };
    mended(cut_off, control_plane.start_api_server()).await;

    committed(&stage, "refresh-2").await;
    stage.revision("c", 2).await;
    stage.ready("c").await;
    assert_eq!(gate.more_arrivals(), 0);
}

pub async fn a_credential_deleted_amid_an_exchange_goes_after_its_commit(env: Arc<Env>) {
    let stage = Stage::new(env, "rotation").await;
    let mut gate = Gate::start().await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    first_exchange(&stage, &mut gate).await;
    let retain = json!({"state": {"deletionPolicy": "Retain"}, "scopes": ["more"]});
    stage.credential("c", with(eager(spec("c", &gate.endpoint())), retain)).await;
    gate.arrival().await;

    let gone = stage.credentials().delete("c", &DeleteParams::default()).await;
    gone.expect("it can be deleted");
    neighbour.renewed_twice(&stage).await;
    let waiting = stage.credentials().get("c").await.expect("its token is being spent");
    assert!(waiting.metadata.deletion_timestamp.is_some());
    gate.answer(rotated("access-2", "refresh-2", HOUR));
    stage.gone("c").await;
    assert_eq!(stage.state_record("c").await["refreshToken"], "refresh-2");

    // One of the same name takes the retained state up, and its newest token.
    let scopes = json!({"scopes": ["other"]});
    stage.credential("c", with(eager(spec("c", &gate.endpoint())), scopes)).await;
    let request = gate.arrival().await;
    assert_eq!(field(&request, "refresh_token").as_deref(), Some("refresh-2"));
    gate.answer(rotated("access-3", "refresh-3", HOUR));
    committed(&stage, "refresh-3").await;
    stage.ready("c").await;
}

pub async fn an_answer_with_a_refresh_token_alone_is_kept_and_not_repeated_without_a_pause(
    env: Arc<Env>,
) {
    let stage = Stage::new(env, "alone").await;
    let mut gate = Gate::start().await;
    let _operator = stage.operator().await;
    first_exchange(&stage, &mut gate).await;
    second_exchange(&stage, &mut gate).await;
    gate.answer(Answer::json(200, &json!({"refresh_token": "refresh-2"})));
    stage.condition("c", "Ready", "False", "ResponseInvalid").await;
    committed(&stage, "refresh-2").await;
    let request = gate.arrival().await;
    assert_eq!(field(&request, "refresh_token").as_deref(), Some("refresh-2"));
    gate.answer(rotated("access-3", "refresh-3", HOUR));
    stage.condition("c", "Ready", "True", "Fresh").await;
    committed(&stage, "refresh-3").await;
    assert_eq!(gate.more_arrivals(), 0);
}
