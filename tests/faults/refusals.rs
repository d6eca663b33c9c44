//! The API server refuses writes: before the claim nothing is sent, after it nothing is lost.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ResourceQuota, Secret};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use oauth_keeper_test_support::chart;
use oauth_keeper_test_support::cutting_proxy::Fate;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::json;

use crate::oracle;
use crate::pod::Pod;
use crate::policy::{self, Freeze};
use crate::scene::Scene;
use crate::stage::{HOUR, Neighbour, SOON, Stage, state_of, target_of, with};
use crate::story::{NOT_COMMITTED, logged};

/// What a Secret holds at most, in bytes.
const MOST: usize = 1024 * 1024;

pub async fn a_policy_before_the_claim_costs_no_request(env: Arc<Env>) {
    let scene = Scene::strict(env, "policy", HOUR).await;
    let operator = scene.pod.container().await;
    let freeze = Freeze::of(&scene.stage, &state_of("c")).await;
    scene.stage.refreshing("c", &scene.server, scene.spec()).await;
    let message = scene.stage.condition("c", "Ready", "False", "StateNotWritable").await;
    assert!(message.contains(policy::MESSAGE), "{message}");
    assert_eq!(scene.requests(), 0);
    freeze.lift(&scene.stage).await;
    scene.goes_on(&operator, 1).await;
    assert_eq!(scene.requests(), 1);
}

pub async fn a_policy_after_the_claim_delays_the_commit(env: Arc<Env>) {
    let scene = Scene::strict(env, "policy", HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    scene.answered().await;
    let freeze = Freeze::of(&scene.stage, &state_of("c")).await;
    scene.proxy.release();
    logged(&operator, NOT_COMMITTED).await;
    freeze.lift(&scene.stage).await;
    scene.goes_on(&operator, 2).await;
    assert_eq!(scene.requests(), 2);
}

pub async fn a_target_that_may_not_be_written_costs_no_request(env: Arc<Env>) {
    let scene = Scene::strict(env, "target", HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    let freeze = Freeze::of(&scene.stage, &target_of("c")).await;
    scene.renew().await;
    let message = scene.stage.condition("c", "Ready", "False", "TargetNotWritable").await;
    assert!(message.contains(policy::MESSAGE), "{message}");
    assert_eq!(scene.requests(), 1);
    freeze.lift(&scene.stage).await;
    scene.goes_on(&operator, 2).await;
    assert_eq!(scene.requests(), 2);
}

/// A quota of no Secrets. Nothing but the API server runs here, so that its status is written by hand.
async fn no_secrets(stage: &Stage) -> Api<ResourceQuota> {
    let quotas: Api<ResourceQuota> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let hard = json!({"secrets": "0"});
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"},
        "spec": {"hard": hard},
    });
    let params = PatchParams::apply("somebody").force();
    quotas.patch("none", &params, &Patch::Apply(&quota)).await.expect("it is valid");
    let status = json!({"status": {"hard": hard, "used": {"secrets": "0"}}});
    let merged = quotas.patch_status("none", &PatchParams::default(), &Patch::Merge(&status)).await;
    merged.expect("it is valid");
    quota_has_its_effect(stage, true).await;
    quotas
}

async fn lift(stage: &Stage, quotas: Api<ResourceQuota>) {
    quotas.delete("none", &DeleteParams::default()).await.expect("it can be deleted");
    quota_has_its_effect(stage, false).await;
}

async fn quota_has_its_effect(stage: &Stage, refused: bool) {
    wait::until("the quota has its effect", SOON, || async {
        let mut secret = Secret::default();
        secret.metadata.name = Some("one-more".to_owned());
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        let answer = stage.secrets().create(&dry, &secret).await;
        (answer.is_err() == refused).then_some(())
    })
    .await;
}

pub async fn without_room_in_the_quota_nothing_is_sent(env: Arc<Env>) {
    let scene = Scene::strict(env, "quota", HOUR).await;
    let operator = scene.pod.container().await;
    let suspended = with(scene.spec(), json!({"suspend": true}));
    scene.stage.refreshing("c", &scene.server, suspended).await;
    let quotas = no_secrets(&scene.stage).await;
    scene.stage.credential("c", scene.spec()).await;
    let message = scene.stage.condition("c", "Ready", "False", "TargetNotWritable").await;
    assert!(message.contains("exceeded quota"), "{message}");
    assert_eq!(scene.requests(), 0);
    lift(&scene.stage, quotas).await;
    scene.goes_on(&operator, 1).await;
}

pub async fn a_quota_used_up_after_the_claim_costs_no_token(env: Arc<Env>) {
    let scene = Scene::strict(env, "quota", HOUR).await;
    let operator = scene.pod.container().await;
    scene.proxy.queue(Fate::Stall);
    scene.stage.refreshing("c", &scene.server, scene.spec()).await;
    scene.proxy.wait_until_held(1, SOON).await;
    let quotas = no_secrets(&scene.stage).await;
    scene.proxy.release();
    scene.stage.condition("c", "Ready", "False", "TargetNotWritable").await;
    oracle::nothing_is_lost(&scene.stage, "c", &scene.server).await;
    lift(&scene.stage, quotas).await;
    scene.goes_on(&operator, 1).await;
    assert_eq!(scene.requests(), 1);
}

/// Fills the state, so that so many bytes are left of what a Secret may hold.
async fn fill(stage: &Stage, left: usize) {
    let state = stage.secret(&state_of("c")).await.data.unwrap_or_default();
    let others = state.iter().filter(|(key, _)| *key != "notes");
    let held: usize = others.map(|(_, value)| value.0.len()).sum();
    let notes = "x".repeat(MOST - left - held);
    stage.edit_secret(&state_of("c"), &json!({"stringData": {"notes": notes}})).await;
}

pub async fn a_nearly_full_state_has_room_for_the_answer_or_no_request_is_made(env: Arc<Env>) {
    const ENOUGH: usize = 8 * 1024;
    const TOO_LITTLE: usize = 4 * 1024;
    let scene = Scene::strict(env, "full", HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    fill(&scene.stage, ENOUGH).await;
    scene.renew().await;
    scene.stage.revision("c", 2).await;

    fill(&scene.stage, TOO_LITTLE).await;
    scene.renew().await;
    let message = scene.stage.condition("c", "Ready", "False", "StateNotWritable").await;
    assert!(message.contains("1048576"), "{message}");
    assert_eq!(scene.requests(), 2);
    scene.stage.edit_secret(&state_of("c"), &json!({"data": {"notes": null}})).await;
    scene.goes_on(&operator, 3).await;
    assert_eq!(scene.requests(), 3);
}

/// All that changes a Secret.
const WRITES: [&str; 3] = ["create", "patch", "delete"];

/// The right to write Secrets, which an operator with a release of its own has and can lose.
struct Rights {
    roles: Api<ClusterRole>,
    whole: ClusterRole,
    pod: Pod,
    namespace: String,
}

impl Rights {
    async fn new(stage: &Stage) -> Self {
        let rights =
            chart::install_operator_rights(&stage.env.control_plane, &stage.namespace).await;
        let roles: Api<ClusterRole> = Api::all(stage.client.clone());
        let all = roles.list(&ListParams::default()).await.expect("roles can be listed");
        let ours = |role: &ClusterRole| {
            let name = role.metadata.name.as_deref().unwrap_or_default();
            name == format!("{}-oauth-keeper", stage.namespace)
        };
        let whole = all.items.into_iter().find(ours).expect("the chart makes it");
        let pod = Pod::of_release(stage, "first", &rights);
        Self { roles, whole, pod, namespace: stage.namespace.clone() }
    }

    async fn take(&self, stage: &Stage, verbs: &[&str]) {
        let mut less = self.whole.clone();
        for rule in less.rules.iter_mut().flatten() {
            if rule.resources.iter().flatten().any(|resource| resource == "secrets") {
                rule.verbs.retain(|verb| !verbs.contains(&verb.as_str()));
            }
        }
        self.set(stage, less, false).await;
    }

    async fn give_back(&self, stage: &Stage) {
        self.set(stage, self.whole.clone(), true).await;
    }

    async fn set(&self, stage: &Stage, mut role: ClusterRole, may_write: bool) {
        role.metadata.resource_version = None;
        let name = role.metadata.name.clone().unwrap_or_default();
        let replaced = self.roles.replace(&name, &PostParams::default(), &role).await;
        replaced.expect("the role can be replaced");
        let user = format!("system:serviceaccount:{}:{name}", self.namespace);
        let verdict = if may_write { "yes" } else { "no" };
        wait::until("the rights have changed", SOON, || async {
            let review = json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
                "metadata": {},
                "spec": {"user": user, "resourceAttributes": {
                    "namespace": self.namespace, "verb": "patch", "resource": "secrets",
                }},
            });
            let review = serde_json::from_value(review).expect("it is one");
            let reviews: Api<k8s_openapi::api::authorization::v1::SubjectAccessReview> =
                Api::all(stage.client.clone());
            let review = reviews.create(&PostParams::default(), &review).await.ok()?;
            let allowed = review.status.is_some_and(|status| status.allowed);
            (verdict == if allowed { "yes" } else { "no" }).then_some(())
        })
        .await;
    }
}

pub async fn rights_revoked_before_the_claim_cost_no_request(env: Arc<Env>) {
    let mut scene = Scene::strict(env, "rights", HOUR).await;
    let rights = Rights::new(&scene.stage).await;
    let operator = rights.pod.container().await;
    scene.begins().await;
    rights.take(&scene.stage, &WRITES).await;
    scene.renew().await;
    let message = scene.stage.condition("c", "Ready", "False", "TargetNotWritable").await;
    assert!(message.contains("forbidden"), "{message}");
    assert_eq!(scene.requests(), 1);
    rights.give_back(&scene.stage).await;
    scene.goes_on(&operator, 2).await;
    scene.pod = rights.pod;
}

pub async fn without_the_right_to_change_secrets_no_first_token_is_asked_for(env: Arc<Env>) {
    let scene = Scene::strict(env, "create", HOUR).await;
    let rights = Rights::new(&scene.stage).await;
    let operator = rights.pod.container().await;
    rights.take(&scene.stage, &["patch"]).await;
    scene.stage.refreshing("c", &scene.server, scene.spec()).await;
    let message = scene.stage.condition("c", "Ready", "False", "StateNotWritable").await;
    assert!(message.contains("forbidden"), "{message}");
    assert_eq!(scene.requests(), 0);
    rights.give_back(&scene.stage).await;
    scene.goes_on(&operator, 1).await;
    assert_eq!(scene.requests(), 1);
}

pub async fn rights_revoked_after_the_claim_delay_the_commit(env: Arc<Env>) {
    let scene = Scene::strict(env, "rights", HOUR).await;
    let rights = Rights::new(&scene.stage).await;
    let operator = rights.pod.container().await;
    scene.begins().await;
    scene.answered().await;
    rights.take(&scene.stage, &WRITES).await;
    scene.proxy.release();
    logged(&operator, NOT_COMMITTED).await;
    rights.give_back(&scene.stage).await;
    scene.goes_on(&operator, 2).await;
    assert_eq!(scene.requests(), 2);
}

pub async fn a_neighbour_is_not_held_up_by_a_commit_that_is_refused(env: Arc<Env>) {
    let mut scene = Scene::strict(env, "policy", HOUR).await;
    // One request at a time: who held the turn until the commit would keep it from all others.
    scene.pod = scene.pod.env("OAUTH_KEEPER_CONCURRENCY", "1");
    let operator = scene.pod.container().await;
    let neighbour = Neighbour::on(&scene.stage).await;
    scene.begins().await;
    scene.answered().await;
    let freeze = Freeze::of(&scene.stage, &state_of("c")).await;
    scene.proxy.release();
    logged(&operator, NOT_COMMITTED).await;
    neighbour.renewed_twice(&scene.stage).await;

    // Nor does it when it comes from the journal of a container that is gone.
    operator.kill();
    let operator = scene.pod.container().await;
    logged(&operator, NOT_COMMITTED).await;
    neighbour.renewed_twice(&scene.stage).await;
    assert_eq!(scene.requests(), 2);
    freeze.lift(&scene.stage).await;
    scene.goes_on(&operator, 2).await;
    assert_eq!(scene.requests(), 2);
}
