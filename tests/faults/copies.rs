//! Refresh tokens that are in two places: the same one in two credentials, or in two clusters.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use oauth_keeper_test_support::suite::Env;
use serde_json::json;

use crate::oracle;
use crate::pod::Pod;
use crate::scene::Scene;
use crate::stage::{HOUR, Neighbour, Stage, quick, source_of, spec, state_of, target_of, with};

/// A second credential with that refresh token.
async fn twin(scene: &Scene, name: &str, refresh_token: &str) {
    let secret = scene.server.client_secret(name);
    let keys = [("client_id", name), ("client_secret", &secret), ("refresh_token", refresh_token)];
    scene.stage.source(&source_of(name), &keys).await;
    let own = json!({"source": {"name": source_of(name)}, "target": {"name": target_of(name)}});
    scene.stage.credential(name, with(scene.spec(), own)).await;
}

pub async fn the_second_of_two_credentials_with_one_refresh_token_sends_nothing(env: Arc<Env>) {
    let scene = Scene::strict(env, "twins", HOUR).await;
    let operator = scene.pod.container().await;
    let neighbour = Neighbour::on(&scene.stage).await;
    let seed = scene.begins().await;
    // The one it began with, and the one it has now.
    for (name, token) in [("d", seed), ("e", oracle::newest(&scene.stage, "c").await)] {
        twin(&scene, name, &token).await;
        let message = scene.stage.condition(name, "Stalled", "True", "DuplicateRefreshToken").await;
        assert!(message.contains("OAuthCredential c "), "{message}");
    }
    neighbour.renewed_twice(&scene.stage).await;
    assert_eq!(scene.requests(), 1);
    scene.renew().await;
    scene.stage.revision("c", 2).await;

    // The way out: one of its own.
    let keys = json!({"stringData": {"refresh_token": scene.server.seed()}});
    scene.stage.edit_secret(&source_of("d"), &keys).await;
    scene.stage.ready("d").await;
    scene.goes_on(&operator, 2).await;
}

pub async fn of_many_credentials_made_at_once_with_one_refresh_token_one_sends_it(env: Arc<Env>) {
    const TWINS: usize = 8;
    let scene = Scene::strict(env, "twins", HOUR).await;
    let seed = scene.server.seed();
    let names: Vec<String> = (0..TWINS).map(|number| format!("twin-{number}")).collect();
    for name in &names {
        twin(&scene, name, &seed).await;
    }
    let operator = scene.pod.container().await;
    let neighbour = Neighbour::on(&scene.stage).await;
    let mut reasons = Vec::new();
    for name in &names {
        let settled = |status: &serde_json::Value| {
            let reason = &status["conditions"][0]["reason"];
            reason == "Fresh" || reason == "DuplicateRefreshToken"
        };
        let status = scene.stage.status_that(name, "is settled", settled).await;
        reasons.push(status["conditions"][0]["reason"].as_str().unwrap_or_default().to_owned());
    }
    neighbour.renewed_twice(&scene.stage).await;
    assert_eq!(reasons.iter().filter(|reason| *reason == "Fresh").count(), 1, "{reasons:?}");
    assert_eq!(scene.requests(), 1);
    assert!(operator.stop().await.success());
    let counts = scene.server.counts();
    assert_eq!((counts.reuses, counts.live_refresh_tokens), (0, 1));
}

/// As a backup tool restores it.
fn copy(secret: Secret) -> Secret {
    let metadata = ObjectMeta {
        name: secret.metadata.name,
        labels: secret.metadata.labels,
        annotations: secret.metadata.annotations,
        ..ObjectMeta::default()
    };
    Secret { metadata, ..secret }
}

/// A second cluster with the same namespace.
async fn second_cluster(stage: &Stage) -> Stage {
    let env = Arc::new(Env::start().await);
    env.control_plane.create_namespace(&stage.namespace).await;
    let client = env.control_plane.client();
    Stage { env, client, namespace: stage.namespace.clone() }
}

pub async fn objects_copied_to_a_second_cluster_send_nothing_before_they_are_adopted(
    env: Arc<Env>,
) {
    let scene = Scene::strict(env, "copied", HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    let copies = second_cluster(&scene.stage).await;
    for name in [source_of("c"), state_of("c")] {
        let secret = copy(scene.stage.secret(&name).await);
        let created = copies.secrets().create(&PostParams::default(), &secret).await;
        created.expect("it can be copied");
    }
    let pod = Pod::mortal(&copies, "second");
    let second = pod.container().await;
    let neighbour = Neighbour::on(&copies).await;
    copies.credential("c", scene.spec()).await;
    let message = copies.condition("c", "Stalled", "True", "StateNotAdopted").await;
    let uid = copies.secret(&state_of("c")).await.metadata.uid.unwrap_or_default();
    assert!(message.contains(&uid), "{message}");
    // Also when there is more to ask for, and after a restart.
    assert!(second.stop().await.success());
    let second = pod.container().await;
    copies.credential("c", with(scene.spec(), json!({"scopes": ["more"]}))).await;
    neighbour.renewed_twice(&copies).await;
    copies.condition("c", "Stalled", "True", "StateNotAdopted").await;
    assert_eq!(scene.requests(), 1);
    scene.renew().await;
    scene.goes_on(&operator, 2).await;

    // The first cluster is given up; its newest state is copied, and taken over.
    copies.delete_secret(&state_of("c")).await;
    let newest = copy(scene.stage.secret(&state_of("c")).await);
    copies.secrets().create(&PostParams::default(), &newest).await.expect("it can be copied");
    let uid = copies.secret(&state_of("c")).await.metadata.uid;
    let adopt = json!({"metadata": {"annotations": {"oauth-keeper.dev/adopt-state": uid}}});
    let params = PatchParams::default();
    let adopted = copies.credentials().patch("c", &params, &Patch::Merge(&adopt)).await;
    adopted.expect("it can be annotated");
    copies.revision("c", 3).await;
    copies.ready("c").await;
    assert!(second.stop().await.success());
    oracle::nothing_is_lost(&copies, "c", &scene.server).await;
    assert_eq!(scene.server.counts().reuses, 0);
    copies.env.stop().await;
}

pub async fn a_token_in_two_namespaces_of_one_operator_is_sent_by_one(env: Arc<Env>) {
    let scene = Scene::strict(Arc::clone(&env), "two", HOUR).await;
    let other = Stage::new(env, "two").await;
    let operator = crate::stage::started(scene.pod.options().namespace(&other.namespace)).await;
    let seed = scene.begins().await;
    let secret = scene.server.client_secret("d");
    let keys = [("client_id", "d"), ("client_secret", &secret), ("refresh_token", &seed)];
    other.source(&source_of("d"), &keys).await;
    other.credential("d", quick(spec("d", &scene.proxy.url("/token")))).await;
    other.condition("d", "Stalled", "True", "DuplicateRefreshToken").await;
    scene.renew().await;
    scene.goes_on(&operator, 2).await;
    assert_eq!(scene.requests(), 2);
}
