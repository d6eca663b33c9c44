//! Others write, restore and delete while a refresh token is spent.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::DeleteParams;
use oauth_keeper_test_support::cutting_proxy::Fate;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::oracle;
use crate::scene::{SHORT, Scene};
use crate::stage::{HOUR, Neighbour, SOON, Stage, source_of, state_of};

pub async fn a_storm_of_edits_does_not_cost_the_token(env: Arc<Env>) {
    const EDITS: usize = 100;
    let scene = Scene::strict(env, "storm", HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    scene.answered().await;

    let storm = async {
        for number in 0..EDITS {
            let label = json!({"metadata": {"labels": {"number": number.to_string()}}});
            scene.stage.edit_secret(&state_of("c"), &label).await;
        }
    };
    let answer = async {
        scene.proxy.release();
        scene.stage.revision("c", 2).await;
    };
    futures::join!(storm, answer);

    let labels = scene.stage.secret(&state_of("c")).await.metadata.labels.unwrap_or_default();
    assert_eq!(labels["number"], (EDITS - 1).to_string());
    scene.goes_on(&operator, 2).await;
    assert_eq!(scene.requests(), 2);
}

pub async fn a_new_seed_during_the_exchange_wins(env: Arc<Env>) {
    let scene = Scene::strict(env, "seed", HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    scene.answered().await;

    let seed = scene.server.seed();
    scene.sign_in(&seed).await;
    scene.proxy.release();

    oracle::goes_back_to(&scene.stage, "c", &scene.server, &seed).await;
    scene.goes_on(&operator, 2).await;
}

pub async fn an_old_seed_put_back_twenty_times_costs_no_exchange(env: Arc<Env>) {
    let scene = Scene::strict(env, "gitops", HOUR).await;
    let operator = scene.pod.container().await;
    let neighbour = Neighbour::on(&scene.stage).await;
    let old = scene.begins().await;
    let new = scene.server.seed();
    scene.sign_in(&new).await;
    oracle::goes_back_to(&scene.stage, "c", &scene.server, &new).await;
    scene.stage.revision("c", 2).await;

    for round in 1..=20 {
        let label = json!({
            "metadata": {"labels": {"round": round.to_string()}},
            "stringData": {"refresh_token": old},
        });
        scene.stage.edit_secret(&source_of("c"), &label).await;
        says(&scene.stage, "SeedReverted", round).await;
    }
    neighbour.renewed_twice(&scene.stage).await;

    assert_eq!(scene.requests(), 2);
    oracle::goes_back_to(&scene.stage, "c", &scene.server, &new).await;
    // And the newest token is the one that is sent.
    scene.renew().await;
    scene.goes_on(&operator, 3).await;
}

pub async fn a_state_deleted_during_the_exchange_is_made_anew(env: Arc<Env>) {
    let scene = Scene::strict(env, "deleted", HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    scene.answered().await;
    scene.stage.delete_secret(&state_of("c")).await;
    scene.proxy.release();
    scene.goes_on(&operator, 2).await;
    assert_eq!(scene.requests(), 2);
}

async fn end_namespace(stage: &Stage) {
    let namespaces: Api<Namespace> = Api::all(stage.client.clone());
    let ended = namespaces.delete(&stage.namespace, &DeleteParams::default()).await;
    ended.expect("it can be deleted");
    // Nothing finishes it here, so that it stays as it is while its content is being deleted elsewhere.
    wait::until("the namespace is terminating", SOON, || async {
        let namespace = namespaces.get(&stage.namespace).await.ok()?;
        namespace.metadata.deletion_timestamp.map(drop)
    })
    .await;
}

pub async fn a_namespace_that_ends_during_the_exchange_keeps_the_token(env: Arc<Env>) {
    let scene = Scene::strict(env, "ending", HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    scene.answered().await;
    end_namespace(&scene.stage).await;
    scene.proxy.release();
    scene.goes_on(&operator, 2).await;
    assert_eq!(scene.requests(), 2);
}

pub async fn a_namespace_whose_content_goes_during_the_exchange_does_not_wait_for_it(
    env: Arc<Env>,
) {
    let scene = Scene::strict(env, "content", HOUR).await;
    let operator = scene.pod.container().await;
    // The first exchange, of which nothing is stored yet.
    scene.proxy.queue(Fate::Stall);
    scene.stage.refreshing("c", &scene.server, scene.spec()).await;
    scene.proxy.wait_until_held(1, SOON).await;
    end_namespace(&scene.stage).await;
    scene.stage.delete_secret(&state_of("c")).await;
    let deleted = scene.stage.credentials().delete("c", &DeleteParams::default()).await;
    deleted.expect("it can be deleted");
    scene.proxy.release();
    scene.stage.gone("c").await;
    assert!(operator.stop().await.success(), "{}", operator.log());
    assert_eq!(scene.pod.journal(), [""; 0]);
}

pub async fn in_a_namespace_that_ends_nothing_is_sent(env: Arc<Env>) {
    let scene = Scene::strict(env, "ending", HOUR).await;
    let seed = scene.stage.refreshing("c", &scene.server, scene.spec()).await;
    end_namespace(&scene.stage).await;
    let operator = scene.pod.container().await;
    let message = scene.stage.condition("c", "Ready", "False", "TargetNotWritable").await;
    assert!(message.contains("terminated"), "{message}");
    assert!(operator.stop().await.success());
    assert_eq!(scene.requests(), 0);
    assert!(scene.server.is_live(&seed));
}

/// Data and annotations of a state, to be put back later.
async fn saved(stage: &Stage) -> Value {
    let secret: Secret = stage.secret(&state_of("c")).await;
    let absent = json!({"claim": null, "pad": null, "refused": null});
    let mut saved = json!({
        "metadata": {"annotations": secret.metadata.annotations},
        "data": absent,
    });
    for (key, value) in secret.data.unwrap_or_default() {
        saved["data"][key] = json!(value);
    }
    saved
}

/// Waits until so many events say so.
async fn says(stage: &Stage, reason: &str, times: usize) {
    wait::until_ok(&format!("{times} events say {reason}"), SOON, || async {
        let events = stage.events("c").await;
        let reasons: Vec<_> = events.into_iter().filter_map(|event| event.reason).collect();
        let said = reasons.iter().filter(|seen| *seen == reason).count();
        if said >= times { Ok(()) } else { Err(reasons.join(", ")) }
    })
    .await;
}

pub async fn a_state_set_back_under_a_running_operator_is_restored(env: Arc<Env>) {
    let scene = Scene::strict(env, "restored", HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    let old = saved(&scene.stage).await;
    scene.renew().await;
    scene.stage.revision("c", 2).await;
    let newest = oracle::newest(&scene.stage, "c").await;

    scene.stage.edit_secret(&state_of("c"), &old).await;

    says(&scene.stage, "StateRestored", 1).await;
    assert_eq!(oracle::newest(&scene.stage, "c").await, newest);
    scene.renew().await;
    scene.goes_on(&operator, 3).await;
    assert_eq!(scene.requests(), 3);
}

pub async fn a_state_set_back_while_no_operator_ran_is_not_used(env: Arc<Env>) {
    let scene = Scene::strict(env, "backup", SHORT).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    let old = saved(&scene.stage).await;
    scene.stage.revision("c", 2).await;
    assert!(operator.stop().await.success());
    let newest = saved(&scene.stage).await;
    scene.stage.edit_secret(&state_of("c"), &old).await;
    let requests = scene.requests();

    let operator = scene.pod.container().await;
    let neighbour = Neighbour::on(&scene.stage).await;
    scene.stage.condition("c", "Stalled", "True", "StateOutdated").await;
    neighbour.renewed_twice(&scene.stage).await;
    assert_eq!(scene.requests(), requests, "the old token was replaced");

    // The way out: the newer one.
    scene.stage.edit_secret(&state_of("c"), &newest).await;
    scene.goes_on(&operator, 3).await;
}
