//! The target is what the spec and the token say, whatever happens to it and to them.

use std::sync::Arc;

use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::stage::{HOUR, Neighbour, SOON, Stage, eager, server, source_of, spec, target_of, with};
use crate::story::SEED;

/// Annotations and labels of a target, as they matter here.
async fn marks(stage: &Stage, name: &str) -> Value {
    let secret = stage.secrets().get_opt(name).await.expect("the API server answers");
    let meta = secret.map(|secret| secret.metadata).unwrap_or_default();
    json!({"labels": meta.labels, "annotations": meta.annotations})
}

async fn wait_for_marks(stage: &Stage, name: &str, what: &str, holds: impl Fn(&Value) -> bool) {
    let holds = &holds;
    wait::until_ok(what, SOON, || async move {
        let marks = marks(stage, name).await;
        if holds(&marks) { Ok(()) } else { Err(marks.to_string()) }
    })
    .await;
}

pub async fn a_spoiled_target_is_rendered_from_the_state(env: Arc<Env>) {
    let stage = Stage::new(env, "drift").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let labelled = json!({"target": {"labels": {"team": "a"}}});
    let spec = with(eager(spec("c", &server.token_endpoint())), labelled);
    stage.refreshing("c", &server, spec).await;
    stage.ready("c").await;
    let rendered = stage.target("c").await;
    let token = &rendered["access_token"];
    let target = target_of("c");
    let ownership = stage.secret(&target).await.metadata.owner_references;

    stage.delete_secret(&target).await;
    stage.target_holds("c", "access_token", token).await;
    assert_eq!(stage.secret(&target).await.metadata.owner_references, ownership);

    for spoil in [
        json!({"stringData": {"access_token": "spoiled"}}),
        json!({"stringData": {"authorization": "Basic spoiled"}}),
        json!({"data": {"access_token": null}}),
    ] {
        stage.edit_secret(&target, &spoil).await;
        wait::until_ok("the target is as it was", SOON, || async {
            let target = stage.target("c").await;
            if target == rendered { Ok(()) } else { Err(format!("{target:?}")) }
        })
        .await;
    }
    for spoil in [
        json!({"metadata": {"labels": {"team": "b"}}}),
        json!({"metadata": {"labels": {"team": null}}}),
    ] {
        stage.edit_secret(&target, &spoil).await;
        wait_for_marks(&stage, &target, "the label is back", |marks| {
            marks["labels"]["team"] == "a"
        })
        .await;
    }
    // A key and a label of somebody else stay.
    let foreign = json!({"metadata": {"labels": {"theirs": "x"}}, "stringData": {"theirs": "y"}});
    stage.edit_secret(&target, &foreign).await;
    stage.edit_secret(&target, &json!({"stringData": {"access_token": "spoiled"}})).await;
    stage.target_holds("c", "access_token", token).await;
    assert_eq!(stage.target("c").await["theirs"], "y");
    assert_eq!(marks(&stage, &target).await["labels"]["theirs"], "x");

    stage.ready("c").await;
    assert_eq!(server.counts().requests, 1, "no token request for any of this");
}

pub async fn without_a_state_a_spoiled_target_costs_one_request(env: Arc<Env>) {
    let stage = Stage::new(env, "drift").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    stage.asking("c", &server, eager(spec("c", &server.token_endpoint()))).await;
    stage.ready("c").await;

    stage.delete_secret(&target_of("c")).await;
    wait::until("the target is there again", SOON, || async {
        (!stage.target("c").await.is_empty()).then_some(())
    })
    .await;
    neighbour.renewed_twice(&stage).await;
    assert_eq!(server.counts().requests, 2);

    let spoil = json!({"stringData": {"access_token": "spoiled"}});
    stage.edit_secret(&target_of("c"), &spoil).await;
    wait::until("the target holds a good token", SOON, || async {
        let target = stage.target("c").await;
        server.accepts(target.get("access_token")?).then_some(())
    })
    .await;
    neighbour.renewed_twice(&stage).await;
    stage.ready("c").await;
    assert_eq!(server.counts().requests, 3);
}

pub async fn an_edited_template_is_rendered_and_its_remains_removed(env: Arc<Env>) {
    let stage = Stage::new(env, "drift").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let base = eager(spec("c", &server.token_endpoint()));
    let templates = [
        json!({"target": {"labels": {"one": "a", "two": "b"}, "annotations": {"old/note": "x"}}}),
        json!({"target": {"labels": {"two": "c"}, "annotations": {"new/note": "y"}, "cookieName": "a"}}),
        json!({"target": {"cookieName": "b"}}),
        json!({}),
    ];
    stage.refreshing("c", &server, with(base.clone(), templates[0].clone())).await;
    for template in templates {
        let spec = with(base.clone(), template);
        stage.credential("c", spec.clone()).await;
        stage.ready("c").await;
        let wanted = &spec["target"];
        wait_for_marks(&stage, &target_of("c"), "the target is as the spec says", |marks| {
            ["one", "two"].iter().all(|key| marks["labels"][key] == wanted["labels"][key])
                && ["old/note", "new/note"]
                    .iter()
                    .all(|key| marks["annotations"][key] == wanted["annotations"][key])
        })
        .await;
        let target = stage.target("c").await;
        let cookie = wanted["cookieName"].as_str();
        let cookie = cookie.map(|name| format!("{name}={}", target["access_token"]));
        assert_eq!(target.get("cookie"), cookie.as_ref());
    }
    assert_eq!(server.counts().requests, 1);
}

pub async fn a_renamed_target_is_made_from_the_state(env: Arc<Env>) {
    let stage = Stage::new(env, "drift").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let spec = eager(spec("c", &server.token_endpoint()));
    stage.refreshing("c", &server, spec.clone()).await;
    stage.ready("c").await;
    let before = stage.target("c").await;

    stage.credential("c", with(spec, json!({"target": {"name": "other-target"}}))).await;

    let status = stage
        .status_that("c", "has the other target", |status| {
            status["target"]["name"] == "other-target"
        })
        .await;
    assert_eq!(status["target"]["revision"], 1);
    stage.ready("c").await;
    assert_eq!(stage.target("other").await, before);
    assert_eq!(server.counts().requests, 1);
}

pub async fn an_edit_of_the_request_acts_at_once(env: Arc<Env>) {
    let stage = Stage::new(env, "drift").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    let spec = eager(spec("c", &server.token_endpoint()));
    stage.refreshing("c", &server, spec.clone()).await;
    stage.ready("c").await;

    stage.credential("c", with(spec, json!({"scopes": ["read"]}))).await;

    stage.revision("c", 2).await;
    stage.ready("c").await;
    neighbour.renewed_twice(&stage).await;
    let counts = server.counts();
    assert_eq!((counts.requests, counts.reuses), (2, 0));
}

pub async fn a_new_seed_in_the_source_acts_at_once(env: Arc<Env>) {
    let stage = Stage::new(env, "drift").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    let spec = eager(spec("c", &server.token_endpoint()));
    let first = stage.refreshing("c", &server, spec).await;
    stage.ready("c").await;
    let lineage = stage.state_record("c").await["refreshToken"].clone();

    let second = server.seed();
    let seed = |seed: &str| json!({"stringData": {"refresh_token": seed}});
    stage.edit_secret(&source_of("c"), &seed(&second)).await;
    stage.revision("c", 2).await;
    assert!(!server.is_live(&second), "the new seed was spent");
    assert!(server.is_live(lineage.as_str().expect("it is a text")), "the old lineage was not");

    // GitOps applies the first seed again: it is known, and nothing comes of it.
    stage.edit_secret(&source_of("c"), &seed(&first)).await;
    neighbour.renewed_twice(&stage).await;
    stage.ready("c").await;
    let counts = server.counts();
    assert_eq!((counts.requests, counts.reuses), (2, 0));
}

pub async fn an_edit_of_the_source_that_changes_nothing_makes_no_request(env: Arc<Env>) {
    let stage = Stage::new(env, "drift").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    stage.refreshing("r", &server, eager(spec("r", &server.token_endpoint()))).await;
    stage.asking("a", &server, eager(spec("a", &server.token_endpoint()))).await;
    for name in ["r", "a"] {
        stage.ready(name).await;
        let label = json!({"metadata": {"labels": {"unrelated": "x"}}});
        stage.edit_secret(&source_of(name), &label).await;
    }
    neighbour.renewed_twice(&stage).await;
    assert_eq!(server.counts().requests, 2);

    // Another client secret is another client, though; this server refuses it.
    let wrong = json!({"stringData": {"client_secret": "wrong"}});
    stage.edit_secret(&source_of("a"), &wrong).await;
    let message = stage.condition("a", "Stalled", "True", "ClientRejected").await;
    assert!(message.contains("invalid_client"), "{message}");
    // The token it has is good until it expires.
    stage.condition("a", "Ready", "True", "ClientRejected").await;
    let secret = json!({"stringData": {"client_secret": server.client_secret("a")}});
    stage.edit_secret(&source_of("a"), &secret).await;
    stage.ready("a").await;
}

/// Edits that come quickly are taken together: a token request is a strain on the provider.
pub async fn edits_in_a_row_keep_the_least_interval(env: Arc<Env>) {
    let stage = Stage::new(env, "interval").await;
    let server = ScriptedServer::start().await;
    server.always(Answer::json(200, &json!({"access_token": "a", "expires_in": 3600})));
    let _operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    let spec = with(spec("c", &server.url("/token")), json!({"renewal": {"minInterval": "4s"}}));
    stage.credential("c", spec.clone()).await;
    stage.ready("c").await;
    for scope in ["a", "b", "c", "d"] {
        stage.credential("c", with(spec.clone(), json!({"scopes": [scope]}))).await;
    }

    stage.revision("c", 2).await;
    stage.ready("c").await;

    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].text().ends_with("scope=d"), "{}", requests[1].text());
    // Times are kept to the second.
    let apart = requests[1].at.duration_since(requests[0].at);
    assert!(apart.as_secs() >= 3, "{apart:?}");
}
