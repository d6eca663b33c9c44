//! The state Secret is gone: what it held decides whether a human is needed.

use std::sync::Arc;

use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::json;

use crate::stage::{HOUR, Neighbour, SOON, Stage, eager, server, source_of, spec, state_of};
use crate::story::SEED;

pub async fn with_a_rotated_token_a_human_must_sign_in(env: Arc<Env>) {
    let stage = Stage::new(env, "lost").await;
    let server = server(HOUR).await;
    let operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    stage.refreshing("c", &server, eager(spec("c", &server.token_endpoint()))).await;
    stage.ready("c").await;
    let target = stage.target("c").await;

    // While it runs, it knows what was in it.
    let record = stage.state_record("c").await;
    stage.delete_secret(&state_of("c")).await;
    wait::until("the state is written again", SOON, || async {
        stage.secrets().get_opt(&state_of("c")).await.ok().flatten().map(drop)
    })
    .await;
    assert_eq!(stage.state_record("c").await, record);
    operator.stop().await;
    stage.delete_secret(&state_of("c")).await;
    let operator = stage.operator().await;

    let message = stage.condition("c", "Stalled", "True", "ReauthorizationRequired").await;
    assert!(message.contains("state Secret"), "{message}");
    // What it has is good until it expires.
    stage.condition("c", "Ready", "True", "ReauthorizationRequired").await;
    neighbour.renewed_twice(&stage).await;
    assert_eq!(stage.target("c").await, target);
    // A restart asks nobody either.
    operator.stop().await;
    let _operator = stage.operator().await;
    neighbour.renewed_twice(&stage).await;
    stage.condition("c", "Stalled", "True", "ReauthorizationRequired").await;
    assert_eq!(server.counts().requests, 1, "the seed was spent");

    // Somebody signs in.
    let seed = server.seed();
    stage.edit_secret(&source_of("c"), &json!({"stringData": {"refresh_token": seed}})).await;
    // Counted on from the one that was lost.
    stage.revision("c", 2).await;
    stage.ready("c").await;
    let newest = stage.state_record("c").await["refreshToken"].clone();
    assert!(server.is_live(newest.as_str().unwrap_or_default()) && !server.is_live(&seed));
    let counts = server.counts();
    assert_eq!((counts.requests, counts.reuses), (2, 0));
}

pub async fn with_a_token_that_is_not_rotated_it_is_made_anew(env: Arc<Env>) {
    let stage = Stage::new(env, "lost").await;
    let server = ScriptedServer::start().await;
    server.always(Answer::json(200, &json!({"access_token": "a", "expires_in": 3600})));
    let operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    stage.source("c-source", &SEED).await;
    stage.credential("c", eager(spec("c", &server.url("/token")))).await;
    let status = stage.ready("c").await;
    assert_eq!(status["refreshToken"]["rotations"], 0);

    operator.stop().await;
    stage.delete_secret(&state_of("c")).await;
    let _operator = stage.operator().await;

    server.wait_for_requests(2, SOON).await;
    stage.ready("c").await;
    neighbour.renewed_twice(&stage).await;
    assert_eq!(server.requests().len(), 2);
    assert_eq!(stage.state_record("c").await["refreshToken"], "refresh-0");
}
