//! Targets that belong to somebody else.

use std::sync::Arc;

use kube::api::DeleteParams;
use oauth_keeper_test_support::suite::Env;
use serde_json::json;

use crate::stage::{HOUR, Neighbour, Stage, eager, server, spec, target_of, with};

pub async fn a_secret_of_somebody_else_is_never_touched(env: Arc<Env>) {
    let stage = Stage::new(env, "conflicts").await;
    let server = server(HOUR).await;
    let operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    stage.source("plain-target", &[("access_token", "theirs"), ("password", "theirs")]).await;
    stage.source("claimed-target", &[("access_token", "theirs")]).await;
    let mark = json!({"metadata": {"annotations": {"oauth-keeper.dev/credential": "other"}}});
    stage.edit_secret("claimed-target", &mark).await;
    let rows = [
        (
            "plain",
            "the Secret plain-target (spec.target.name) exists and was not made by oauth-keeper",
        ),
        (
            "claimed",
            "the Secret claimed-target (spec.target.name) belongs to the OAuthCredential other",
        ),
    ];
    let mut before = Vec::new();
    for (name, _) in rows {
        before.push(stage.secret(&target_of(name)).await);
        let asking = format!("{name}-asking");
        stage.refreshing(name, &server, eager(spec(name, &server.token_endpoint()))).await;
        let same = json!({"target": {"name": target_of(name)}});
        stage
            .asking(&asking, &server, with(eager(spec(&asking, &server.token_endpoint())), same))
            .await;
    }

    for (name, words) in rows {
        for name in [name, &format!("{name}-asking")] {
            let message = stage.condition(name, "Stalled", "True", "TargetConflict").await;
            assert!(message.starts_with(words), "{name}: {message}");
            stage.condition(name, "Ready", "False", "TargetConflict").await;
        }
    }
    neighbour.renewed_twice(&stage).await;
    for ((name, _), before) in rows.iter().zip(before) {
        assert_eq!(stage.secret(&target_of(name)).await, before);
    }
    assert_eq!(server.counts().requests, 0);
    assert_eq!(operator.try_exit(), None);

    // Out of the way, it makes room.
    stage.delete_secret("plain-target").await;
    stage.ready("plain").await;
}

pub async fn the_older_of_two_credentials_has_the_target(env: Arc<Env>) {
    let stage = Stage::new(env, "conflicts").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    // The names agree with the ages, which are told to the second only.
    let shared = json!({"target": {"name": "shared-target"}});
    let spec = |name: &str| with(eager(spec(name, &server.token_endpoint())), shared.clone());
    stage.refreshing("a-older", &server, spec("a-older")).await;
    stage.refreshing("b-younger", &server, spec("b-younger")).await;

    stage.ready("a-older").await;
    let message = stage.condition("b-younger", "Stalled", "True", "TargetConflict").await;
    assert!(message.contains("a-older") && message.contains("shared-target"), "{message}");
    let status = stage.status("b-younger").await;
    assert!(status["expiresAt"].is_null() && status["target"].is_null(), "{status}");
    let written = stage.secret("shared-target").await;
    neighbour.renewed_twice(&stage).await;
    assert_eq!(stage.secret("shared-target").await, written);
    assert_eq!(server.counts().requests, 1);

    // No garbage collector runs here, so its part is played.
    let gone = stage.credentials().delete("a-older", &DeleteParams::default()).await;
    gone.expect("it can be deleted");
    stage.delete_secret("shared-target").await;
    stage.ready("b-younger").await;
    let annotations = stage.secret("shared-target").await.metadata.annotations;
    assert_eq!(annotations.unwrap_or_default()["oauth-keeper.dev/credential"], "b-younger");
    assert_eq!(server.counts().requests, 2);
}

pub async fn a_state_of_somebody_else_is_never_touched(env: Arc<Env>) {
    let stage = Stage::new(env, "conflicts").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    stage.source("c-oauth-state", &[("record", "theirs")]).await;
    let before = stage.secret("c-oauth-state").await;

    stage.refreshing("c", &server, eager(spec("c", &server.token_endpoint()))).await;

    let message = stage.condition("c", "Stalled", "True", "StateInvalid").await;
    assert!(message.contains("c-oauth-state"), "{message}");
    neighbour.renewed_twice(&stage).await;
    assert_eq!(stage.secret("c-oauth-state").await, before);
    assert_eq!(server.counts().requests, 0);
}
