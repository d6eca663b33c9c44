//! Several processes that could spend the same refresh token.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use oauth_keeper_test_support::chart::{self, OperatorRights};
use oauth_keeper_test_support::operator::Operator;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::json;
use tokio::sync::Mutex;

use crate::fleet::Fleet;
use crate::pod::Pod;
use crate::policy::Freeze;
use crate::process::stopped;
use crate::scene::Scene;
use crate::sizes::sizes;
use crate::stage::{HOUR, SOON, Stage, Watched, begun, server, state_of};
use crate::story::{NOT_COMMITTED, logged};
use crate::table;

/// How long a lease lasts after the last renewal, as others see it.
const LEASE: Duration = Duration::from_secs(15);

/// Credentials of a strict server, renewed each two seconds.
async fn fleet(env: Arc<Env>, name: &str, size: usize) -> Fleet {
    Fleet::new(Stage::new(env, name).await, server(Duration::from_secs(6)).await, size)
}

async fn begins(fleet: &Fleet) {
    let often = json!({"renewal": {"renewBefore": "4s"}, "provider": {"reuseGrace": "0s"}});
    fleet.begins(&often).await;
}

pub async fn two_replicas_without_a_lease_never_use_a_token_twice(env: Arc<Env>) {
    let sizes = sizes();
    let fleet = fleet(env, "replicas", sizes.credentials).await;
    let pods = [Pod::new(&fleet.stage, "one"), Pod::new(&fleet.stage, "two")];
    let (one, two) = futures::join!(pods[0].container(), pods[1].container());
    begins(&fleet).await;
    fleet.rotations_within(sizes.exchanges, sizes.limit).await;
    let ended = futures::join!(one.stop(), two.stop());
    assert!(ended.0.success() && ended.1.success());
    for operator in [&one, &two] {
        assert!(operator.log().contains("leading"), "both work");
    }
    fleet.is_whole().await;
}

pub async fn rolling_restarts_under_load_never_use_a_token_twice(env: Arc<Env>) {
    let fleet = fleet(env, "rolling", 20).await;
    let rights = release(&fleet.stage).await;
    let mut pod = Pod::candidate(&fleet.stage, "pod-0", &rights);
    let mut operator = pod.container().await;
    begins(&fleet).await;
    for number in 1..=sizes().restarts {
        // As a Deployment does it: the new one is ready before the old one is told to end.
        let next = Pod::candidate(&fleet.stage, &format!("pod-{number}"), &rights);
        let successor = next.container().await;
        assert!(operator.stop().await.success(), "{}", operator.log());
        assert_eq!(pod.journal(), [""; 0]);
        let before = fleet.server.counts().rotations;
        (pod, operator) = (next, successor);
        fleet.rotations(before + 10).await;
    }
    assert!(operator.stop().await.success());
    fleet.is_whole().await;
}

async fn release(stage: &Stage) -> OperatorRights {
    chart::install_operator_rights(&stage.env.control_plane, &stage.namespace).await
}

async fn leads(operator: &Operator) {
    wait::until("it leads", LEASE * 3, || async {
        let metrics = operator.metrics().await;
        metrics.lines().any(|line| line == "oauth_keeper_leading 1").then_some(())
    })
    .await;
}

async fn ends_without_the_lease(operator: &Operator) {
    let status = operator.exit(SOON).await;
    assert!(!status.success(), "{status}");
    assert!(operator.log().contains("the lease was lost"), "{}", operator.log());
}

pub async fn a_leader_frozen_amid_an_exchange_that_comes_back_late_sends_nothing(env: Arc<Env>) {
    /// Longer than a lease, so that its successor leads before the hold ends.
    const LIFETIME: Duration = Duration::from_secs(40);
    let case = |point: &'static str| {
        let env = Arc::clone(&env);
        let case = async move {
            let scene = Scene::strict(env, &format!("frozen-{point}"), LIFETIME).await;
            let rights = release(&scene.stage).await;
            let first = Pod::candidate(&scene.stage, "one", &rights);
            let second = Pod::candidate(&scene.stage, "two", &rights);
            let frozen = first.failing(&format!("{point}:stop:1")).await;
            leads(&frozen).await;
            scene.begins().await;
            let successor = second.container().await;
            scene.renew().await;
            stopped(&frozen).await;
            leads(&successor).await;
            frozen.resume();
            ends_without_the_lease(&frozen).await;
            scene.goes_on(&successor, 3).await;
            let log = frozen.log();
            assert_eq!(log.matches("fail point reached").count(), 1, "{log}");
        };
        table::case(point, case)
    };
    // With the answer in its hands it commits that, for losing the lease stops sending and never persisting.
    table::all(["claimed", "sending", "received", "journaled", "committing"].map(case)).await;
}

pub async fn a_standby_does_not_end_before_what_its_predecessor_received_is_committed(
    env: Arc<Env>,
) {
    let scene = Scene::strict(env, "standby", HOUR).await;
    let rights = release(&scene.stage).await;
    let first = Pod::candidate(&scene.stage, "one", &rights);
    let operator = first.container().await;
    leads(&operator).await;
    scene.begins().await;
    scene.answered().await;
    let freeze = Freeze::of(&scene.stage, &state_of("c")).await;
    scene.proxy.release();
    logged(&operator, NOT_COMMITTED).await;
    operator.kill();
    let successor = Pod::candidate(&scene.stage, "two", &rights).container().await;
    leads(&successor).await;

    let standby = first.container().await;
    logged(&standby, "waiting for the lease").await;
    let metrics = standby.metrics().await;
    assert!(metrics.contains("oauth_keeper_uncommitted_answers 1"), "{metrics}");
    standby.terminate();
    logged(&standby, "answers are committed first").await;
    freeze.lift(&scene.stage).await;
    assert!(standby.exit(SOON).await.success());
    assert_eq!(first.journal(), [""; 0]);
    scene.goes_on(&successor, 2).await;
    assert_eq!(scene.requests(), 2);
}

pub async fn a_lease_that_is_stolen_or_deleted_costs_nothing(env: Arc<Env>) {
    let fleet = fleet(env, "stolen", 10).await;
    let rights = release(&fleet.stage).await;
    let pods = ["one", "two"].map(|name| Pod::candidate(&fleet.stage, name, &rights));
    let leader = pods[0].container().await;
    leads(&leader).await;
    let operators = Mutex::new([leader, pods[1].container().await]);
    begins(&fleet).await;
    let leases: Api<Lease> = Api::namespaced(fleet.stage.client.clone(), &rights.namespace);
    for round in 0..4 {
        if round % 2 == 0 {
            let thief = json!({"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 2}});
            let stolen = leases
                .patch(&rights.lease_name, &PatchParams::default(), &Patch::Merge(&thief))
                .await;
            stolen.expect("it can be written");
        } else {
            let deleted = leases.delete(&rights.lease_name, &DeleteParams::default()).await;
            deleted.expect("it can be deleted");
        }
        let before = fleet.server.counts().rotations;
        wait::until("a leader works", LEASE * 4, || async {
            start_again(operators.lock().await.as_mut_slice(), &pods).await;
            (fleet.server.counts().rotations >= before + 20).then_some(())
        })
        .await;
    }
    for operator in operators.lock().await.iter() {
        operator.stop().await;
    }
    fleet.is_whole().await;
}

/// Whoever loses the lease ends, perhaps only in the next round, and its container is started again.
async fn start_again(operators: &mut [Watched], pods: &[Pod]) {
    for (operator, pod) in operators.iter_mut().zip(pods) {
        if operator.try_exit().is_some() {
            *operator = begun(pod.options()).await;
        }
    }
}
