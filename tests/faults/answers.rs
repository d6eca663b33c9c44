//! Authorization servers that say one thing and do another.

use std::sync::Arc;

use oauth_keeper_test_support::authorization_server::Fault;
use oauth_keeper_test_support::cutting_proxy::CuttingProxy;
use oauth_keeper_test_support::suite::Env;
use serde_json::json;

use crate::oracle::{self, Loss};
use crate::scene::{SHORT, Scene};
use crate::stage::{HOUR, Neighbour, source_of, with};

pub async fn an_error_after_the_token_was_spent_is_as_a_lost_answer(env: Arc<Env>) {
    let scene = Scene::strict(env, "error", SHORT).await;
    let _operator = scene.pod.container().await;
    scene.begins().await;
    scene.server.fail_next(1, Fault::ErrorSpent);
    // What it has is good until it expires.
    scene.stage.condition("c", "Ready", "True", "ExchangeOutcomeUnknown").await;
    assert_eq!(scene.requests(), 2);
    oracle::is_lost(&scene.stage, "c", &scene.server, Loss::ResponseLost).await;
    assert_eq!(scene.requests(), 3);
}

pub async fn an_error_after_the_token_was_spent_costs_nothing_within_a_window(env: Arc<Env>) {
    let scene = Scene::with_window(env, "error", SHORT).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    scene.server.fail_next(1, Fault::ErrorSpent);
    scene.goes_on(&operator, 3).await;
    assert_eq!(scene.server.counts().repeats, 1);
}

pub async fn an_error_that_spent_nothing_costs_nothing(env: Arc<Env>) {
    let scene = Scene::strict(env, "error", SHORT).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    scene.server.fail_next(1, Fault::ErrorUnspent);
    scene.goes_on(&operator, 3).await;
}

pub async fn a_single_invalid_grant_is_not_believed(env: Arc<Env>) {
    let scene = Scene::strict(env, "invalid-grant", HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    scene.server.fail_next(1, Fault::InvalidGrant);
    scene.renew().await;
    oracle::is_rejected(&scene.stage, "c").await;
    assert_eq!(scene.requests(), 2);
    scene.goes_on(&operator, 2).await;
    assert_eq!(scene.requests(), 3);
}

pub async fn an_endpoint_at_another_origin_gets_no_token_before_the_source_allows_it(
    env: Arc<Env>,
) {
    let scene = Scene::strict(env, "origin", HOUR).await;
    let operator = scene.pod.container().await;
    let neighbour = Neighbour::on(&scene.stage).await;
    scene.begins().await;
    let moved = CuttingProxy::start(scene.server.address()).await;
    let provider = json!({"provider": {"tokenEndpoint": moved.url("/token")}});
    scene.stage.credential("c", with(scene.spec(), provider)).await;
    let message = scene.stage.condition("c", "Stalled", "True", "EndpointChanged").await;
    let origin = moved.url("");
    assert!(message.contains(&origin), "{message}");
    neighbour.renewed_twice(&scene.stage).await;
    assert_eq!((scene.requests(), moved.connections()), (1, 0));

    let annotations = json!({"oauth-keeper.dev/allowed-endpoints": origin});
    let allowed = json!({"metadata": {"annotations": annotations}});
    scene.stage.edit_secret(&source_of("c"), &allowed).await;
    scene.goes_on(&operator, 2).await;
    assert_eq!(moved.connections(), 1);
}
