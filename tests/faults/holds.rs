//! A token whose outcome nobody knows is held, whatever is done to the objects around it meanwhile.

use std::sync::Arc;

use kube::api::DeleteParams;
use oauth_keeper_test_support::cutting_proxy::Fate;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::scene::Scene;
use crate::stage::{HOUR, Neighbour, SOON, Watched, quick, source_of, spec, state_of, with};

/// A credential of a strict server whose last answer was lost, and whose spec asks for another token than it has. Gives its
/// seed.
async fn held(scene: &Scene) -> String {
    let seed = scene.begins().await;
    scene.proxy.queue(Fate::CutAfter(0));
    scene.renew().await;
    is_held(scene).await;
    seed
}

async fn is_held(scene: &Scene) {
    scene.stage.condition("c", "Ready", "False", "ExchangeOutcomeUnknown").await;
    assert_eq!(scene.requests(), 2);
}

async fn begun(env: Arc<Env>, name: &str) -> (Scene, Watched, Neighbour) {
    let scene = Scene::strict(env, name, HOUR).await;
    let operator = scene.pod.container().await;
    let neighbour = Neighbour::on(&scene.stage).await;
    (scene, operator, neighbour)
}

pub async fn a_state_deleted_while_its_token_is_held_comes_back_with_the_hold(env: Arc<Env>) {
    let (scene, _operator, neighbour) = begun(env, "held").await;
    held(&scene).await;
    scene.stage.delete_secret(&state_of("c")).await;
    wait::until("the state is there again", SOON, || async {
        let state = scene.stage.secrets().get_opt(&state_of("c")).await.ok()??;
        state.data?.contains_key("claim").then_some(())
    })
    .await;
    neighbour.renewed_twice(&scene.stage).await;
    is_held(&scene).await;
}

pub async fn a_new_seed_that_comes_to_nothing_does_not_end_the_hold_of_the_old_one(env: Arc<Env>) {
    let (scene, _operator, neighbour) = begun(env, "displaced").await;
    let old = held(&scene).await;
    scene.proxy.refuse_connections().await;
    scene.sign_in(&scene.server.seed()).await;
    scene.stage.condition("c", "Ready", "False", "EndpointUnreachable").await;
    scene.sign_in(&old).await;
    scene.proxy.accept_connections().await;
    neighbour.renewed_twice(&scene.stage).await;
    is_held(&scene).await;
}

pub async fn a_new_seed_is_sent_at_once_though_another_client_waits_out_the_hold(env: Arc<Env>) {
    let (scene, _operator, neighbour) = begun(env, "looked").await;
    held(&scene).await;
    let edit = async |keys: Value| {
        scene.stage.edit_secret(&source_of("c"), &json!({"stringData": keys})).await;
    };
    // A client that is another one asks for a token, and finds the hold.
    edit(json!({"client_secret": "another"})).await;
    neighbour.renewed_twice(&scene.stage).await;
    is_held(&scene).await;
    let secret = scene.server.client_secret("c");
    edit(json!({"client_secret": secret, "refresh_token": scene.server.seed()})).await;
    scene.stage.ready("c").await;
    assert_eq!(scene.requests(), 3);
}

/// At the host of the scene, past its proxy.
fn queued_as(name: &str, scene: &Scene) -> Value {
    quick(spec(name, &scene.server.token_endpoint()))
}

pub async fn a_credential_that_waits_for_its_turn_can_be_deleted(env: Arc<Env>) {
    let mut scene = Scene::strict(env, "queue", HOUR).await;
    scene.pod = scene.pod.env("OAUTH_KEEPER_CONCURRENCY", "1");
    let _operator = scene.pod.container().await;
    scene.begins().await;
    let queued = queued_as("queued", &scene);
    scene.stage.refreshing("queued", &scene.server, queued.clone()).await;
    scene.stage.ready("queued").await;
    // The only turn is taken, and the other waits for it.
    scene.answered().await;
    scene.stage.credential("queued", with(queued, json!({"scopes": ["more"]}))).await;
    // What was made later was looked at, so the edit was too.
    let suspended = with(queued_as("later", &scene), json!({"suspend": true}));
    scene.stage.refreshing("later", &scene.server, suspended).await;
    scene
        .stage
        .status_that("later", "was looked at", |status| !status["conditions"].is_null())
        .await;
    let deleted = scene.stage.credentials().delete("queued", &DeleteParams::default()).await;
    deleted.expect("it can be deleted");
    scene.stage.gone("queued").await;
    scene.proxy.release();
    scene.stage.revision("c", 2).await;
}

pub async fn two_seeds_whose_outcome_nobody_knows_are_both_held(env: Arc<Env>) {
    let (scene, _operator, neighbour) = begun(env, "both").await;
    let old = held(&scene).await;
    scene.proxy.queue(Fate::CutAfter(0));
    scene.sign_in(&scene.server.seed()).await;
    wait::until("the new seed is sent", SOON, || async { (scene.requests() == 3).then_some(()) })
        .await;
    scene.sign_in(&old).await;
    neighbour.renewed_twice(&scene.stage).await;
    scene.stage.condition("c", "Ready", "False", "ExchangeOutcomeUnknown").await;
    assert_eq!(scene.requests(), 3);
}

pub async fn a_state_deleted_before_it_had_a_record_does_not_end_the_hold(env: Arc<Env>) {
    let (scene, _operator, neighbour) = begun(env, "first").await;
    scene.proxy.queue(Fate::CutAfter(0));
    scene.stage.refreshing("c", &scene.server, scene.spec()).await;
    scene.stage.condition("c", "Ready", "False", "ExchangeOutcomeUnknown").await;
    scene.stage.delete_secret(&state_of("c")).await;
    neighbour.renewed_twice(&scene.stage).await;
    assert_eq!(scene.requests(), 1);
}
