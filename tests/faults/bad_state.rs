//! States that somebody edited by hand: nothing is sent on doubt, the condition says what was found, and there is a way out.

use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use crate::oracle;
use crate::scene::Scene;
use crate::stage::{HOUR, Neighbour, Stage, state_of};
use crate::table;

/// What somebody does to a state, and words of the condition.
struct Spoil {
    name: &'static str,
    /// A merge patch, given the record.
    patch: fn(&Value) -> Value,
    says: &'static str,
}

const SPOILS: [Spoil; 6] = [
    Spoil {
        name: "garbage",
        patch: |_| json!({"stringData": {"record": "garbage"}}),
        says: "can't be read",
    },
    Spoil {
        name: "claim",
        patch: |_| json!({"stringData": {"claim": "garbage"}}),
        says: "claim in the state Secret c-oauth-state can't be read",
    },
    Spoil { name: "emptied", patch: |_| json!({"data": null}), says: "has no record any more" },
    Spoil {
        name: "strange",
        patch: |_| json!({"data": null, "metadata": {"annotations": null}}),
        says: "is not a state that oauth-keeper made for this credential",
    },
    Spoil {
        name: "later",
        patch: |record| {
            let mut record = record.clone();
            record["version"] = json!(99);
            json!({"stringData": {"record": record.to_string()}})
        },
        says: "has version 99, which a later oauth-keeper wrote",
    },
    Spoil { name: "immutable", patch: |_| json!({"immutable": true}), says: "is immutable" },
];

/// As it would be created anew.
fn copy(secret: &Secret) -> Secret {
    let metadata = ObjectMeta {
        name: secret.metadata.name.clone(),
        labels: secret.metadata.labels.clone(),
        annotations: secret.metadata.annotations.clone(),
        ..ObjectMeta::default()
    };
    Secret { metadata, ..secret.clone() }
}

async fn put(stage: &Stage, secret: &Secret) {
    stage.delete_secret(&state_of("c")).await;
    stage.secrets().create(&PostParams::default(), secret).await.expect("it can be created");
}

/// A state that somebody spoiled while no operator ran, and what it was before.
async fn spoiled_unseen(env: Arc<Env>, spoil: &Spoil) -> (Scene, Secret) {
    let scene = Scene::strict(env, spoil.name, HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    let whole = copy(&scene.stage.secret(&state_of("c")).await);
    let record = scene.stage.state_record("c").await;
    assert!(operator.stop().await.success());
    scene.stage.edit_secret(&state_of("c"), &(spoil.patch)(&record)).await;
    scene.renew().await;
    (scene, whole)
}

pub async fn a_spoiled_state_sends_nothing_until_it_is_restored(env: Arc<Env>) {
    table::all(SPOILS.map(|spoil| {
        let env = Arc::clone(&env);
        let name = spoil.name;
        let case = async move {
            let (scene, whole) = spoiled_unseen(env, &spoil).await;
            let operator = scene.pod.container().await;
            let neighbour = Neighbour::on(&scene.stage).await;
            let message = scene.stage.condition("c", "Stalled", "True", "StateInvalid").await;
            assert!(message.contains(spoil.says), "{message}");
            neighbour.renewed_twice(&scene.stage).await;
            assert_eq!(scene.requests(), 1);

            // With no gap, in which the state would be lost. An immutable one can't be replaced so.
            let name = state_of("c");
            let put_back =
                scene.stage.secrets().replace(&name, &PostParams::default(), &whole).await;
            let operator = if put_back.is_ok() {
                operator
            } else {
                assert!(operator.stop().await.success());
                put(&scene.stage, &whole).await;
                scene.pod.container().await
            };
            scene.goes_on(&operator, 2).await;
            assert_eq!(scene.requests(), 2);
        };
        table::case(name, case)
    }))
    .await;
}

pub async fn a_state_spoiled_under_a_running_operator_sends_nothing(env: Arc<Env>) {
    table::all(SPOILS.map(|spoil| {
        let env = Arc::clone(&env);
        let case = async move {
            let scene = Scene::strict(env, spoil.name, HOUR).await;
            let operator = scene.pod.container().await;
            let neighbour = Neighbour::on(&scene.stage).await;
            scene.begins().await;
            let record = scene.stage.state_record("c").await;
            scene.stage.edit_secret(&state_of("c"), &(spoil.patch)(&record)).await;
            scene.renew().await;

            let message = scene.stage.condition("c", "Stalled", "True", "StateInvalid").await;
            assert!(message.contains(spoil.says), "{message}");
            neighbour.renewed_twice(&scene.stage).await;
            assert_eq!(scene.requests(), 1);

            // It remembers what was there: deleting the state is a way out.
            scene.stage.delete_secret(&state_of("c")).await;
            scene.goes_on(&operator, 2).await;
            assert_eq!(scene.requests(), 2);
        };
        table::case(spoil.name, case)
    }))
    .await;
}

pub async fn a_state_deleted_and_put_back_in_two_steps_goes_on(env: Arc<Env>) {
    table::all(SPOILS.map(|spoil| {
        let env = Arc::clone(&env);
        let name = spoil.name;
        let case = async move {
            let (scene, whole) = spoiled_unseen(env, &spoil).await;
            // One that never read the state while it was whole.
            let operator = scene.pod.container().await;
            scene.stage.condition("c", "Stalled", "True", "StateInvalid").await;
            scene.stage.delete_secret(&state_of("c")).await;
            scene.stage.condition("c", "Stalled", "True", "ReauthorizationRequired").await;
            let secrets = scene.stage.secrets();
            secrets.create(&PostParams::default(), &whole).await.expect("it can be created");
            scene.goes_on(&operator, 2).await;
            assert_eq!(scene.requests(), 2);
        };
        table::case(name, case)
    }))
    .await;
}

pub async fn a_state_of_another_type_sends_nothing(env: Arc<Env>) {
    let scene = Scene::strict(env, "type", HOUR).await;
    let operator = scene.pod.container().await;
    let neighbour = Neighbour::on(&scene.stage).await;
    scene.begins().await;
    assert!(operator.stop().await.success());
    let whole = copy(&scene.stage.secret(&state_of("c")).await);
    put(&scene.stage, &Secret { type_: Some("Opaque".to_owned()), ..whole }).await;
    scene.renew().await;

    let operator = scene.pod.container().await;
    let message = scene.stage.condition("c", "Stalled", "True", "StateInvalid").await;
    assert!(message.contains("is not a state"), "{message}");
    neighbour.renewed_twice(&scene.stage).await;
    assert_eq!(scene.requests(), 1);

    // The way out where nobody has a copy: delete it and sign in again.
    scene.stage.delete_secret(&state_of("c")).await;
    scene.stage.condition("c", "Stalled", "True", "ReauthorizationRequired").await;
    let seed = scene.server.seed();
    scene.sign_in(&seed).await;
    oracle::goes_back_to(&scene.stage, "c", &scene.server, &seed).await;
    scene.goes_on(&operator, 2).await;
    assert_eq!(scene.requests(), 2);
}

pub async fn a_state_with_keys_of_others_keeps_them(env: Arc<Env>) {
    let scene = Scene::strict(env, "keys", HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    scene.stage.edit_secret(&state_of("c"), &json!({"stringData": {"notes": "mine"}})).await;
    scene.renew().await;
    scene.goes_on(&operator, 2).await;
    let data = scene.stage.secret(&state_of("c")).await.data.unwrap_or_default();
    assert_eq!(data.get("notes"), Some(&ByteString(b"mine".to_vec())));
    assert!(!data.contains_key("pad"));
}
