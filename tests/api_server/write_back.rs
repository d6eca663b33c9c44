//! `source.writeBack`: users who want one Secret find each rotated refresh token in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::gate::{Gate, field, rotated};
use crate::stage::{HOUR, Neighbour, SOON, Stage, eager, server, source_of, spec, with};
use crate::story::{SEED, committed};

fn write_back() -> Value {
    json!({"source": {"writeBack": true}})
}

async fn source(stage: &Stage) -> BTreeMap<String, String> {
    let data = stage.secret(&source_of("c")).await.data.unwrap_or_default();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is text");
    data.into_iter().map(|(key, value)| (key, text(value.0))).collect()
}

async fn source_holds(stage: &Stage, token: &str) {
    wait::until_ok("the source holds the token", SOON, || async {
        let seen = source(stage).await.remove("refresh_token").unwrap_or_default();
        if seen == token { Ok(()) } else { Err(seen) }
    })
    .await;
}

pub async fn each_rotated_token_is_written_into_the_source(env: Arc<Env>) {
    let stage = Stage::new(env, "back").await;
    let server = server(HOUR).await;
    let operator = stage.operator().await;
    let wanted = |scope: &str| {
        let change = with(write_back(), json!({"scopes": [scope]}));
        with(eager(spec("c", &server.token_endpoint())), change)
    };
    stage.refreshing("c", &server, wanted("a")).await;
    let mut before = source(&stage).await;
    for (revision, scope) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
        stage.credential("c", wanted(scope)).await;
        stage.revision("c", revision).await;
        let newest = stage.state_record("c").await["refreshToken"].clone();
        source_holds(&stage, newest.as_str().expect("it is a text")).await;
    }
    // Nothing else in it changed, and its own change led to no exchange, nor does it after a restart.
    let mut after = source(&stage).await;
    assert_ne!(before.remove("refresh_token"), after.remove("refresh_token"));
    assert_eq!(before, after);
    let neighbour = Neighbour::on(&stage).await;
    neighbour.renewed_twice(&stage).await;
    operator.stop().await;
    let _operator = stage.operator().await;
    neighbour.renewed_twice(&stage).await;
    let counts = server.counts();
    assert_eq!((counts.requests, counts.reuses), (4, 0));
}

pub async fn a_backup_of_the_source_is_no_new_seed(env: Arc<Env>) {
    let stage = Stage::new(env, "back").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let wanted = |number: i64| {
        let change = with(write_back(), json!({"scopes": [format!("s{number}")]}));
        with(eager(spec("c", &server.token_endpoint())), change)
    };
    stage.refreshing("c", &server, wanted(1)).await;
    let renewed = async |number| {
        stage.credential("c", wanted(number)).await;
        stage.revision("c", number).await;
        let newest = stage.state_record("c").await["refreshToken"].clone();
        source_holds(&stage, newest.as_str().expect("it is a text")).await;
    };
    renewed(1).await;
    let backup = stage.secret(&source_of("c")).await;
    for number in 2..=10 {
        renewed(number).await;
    }

    let marks = backup.metadata.annotations.expect("it has a mark");
    stage
        .edit_secret("c-source", &json!({"metadata": {"annotations": marks}, "data": backup.data}))
        .await;
    wait::until("an event says so", SOON, || async {
        let events = stage.events("c").await;
        events.iter().any(|event| event.reason.as_deref() == Some("SeedReverted")).then_some(())
    })
    .await;
    renewed(11).await;
    let counts = server.counts();
    assert_eq!((counts.requests, counts.reuses), (11, 0));
}

pub async fn a_newer_seed_is_not_overwritten(env: Arc<Env>) {
    let stage = Stage::new(env, "back").await;
    let mut gate = Gate::start().await;
    let _operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    stage.credential("c", with(eager(spec("c", &gate.endpoint())), write_back())).await;
    gate.arrival().await;
    // Somebody signs in while the server thinks.
    stage.edit_secret("c-source", &json!({"stringData": {"refresh_token": "signed-in"}})).await;
    gate.answer(rotated("access-1", "refresh-1", HOUR));

    // The human's newer token wins: it is neither overwritten nor forgotten.
    let request = gate.arrival().await;
    assert_eq!(field(&request, "refresh_token").as_deref(), Some("signed-in"));
    assert_eq!(source(&stage).await["refresh_token"], "signed-in");
    gate.answer(rotated("access-2", "refresh-2", HOUR));
    committed(&stage, "refresh-2").await;
    source_holds(&stage, "refresh-2").await;
    stage.ready("c").await;
    assert_eq!(gate.more_arrivals(), 0);
}

pub async fn without_it_the_source_is_not_touched(env: Arc<Env>) {
    let stage = Stage::new(env, "back").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    stage.refreshing("c", &server, eager(spec("c", &server.token_endpoint()))).await;
    let before = stage.secret(&source_of("c")).await.metadata.resource_version;
    stage.ready("c").await;
    Neighbour::on(&stage).await.renewed_twice(&stage).await;
    assert_eq!(stage.secret(&source_of("c")).await.metadata.resource_version, before);
}
