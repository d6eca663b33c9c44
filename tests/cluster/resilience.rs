//! What happens to a cluster on any day, while tokens are renewed.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use oauth_keeper_test_support::wait;

use crate::env::{Env, NEXT_TAG};
use crate::kept::Kept;
use crate::metrics;
use crate::pods::{container_id, name, restarts};
use crate::release::Release;
use crate::stage::SOON;
use crate::storm::{Death, Storm};

pub async fn the_leader_is_deleted(env: Arc<Env>) {
    let release = Release::plain(&env).await;
    let storm = Storm::begin(&env, "deleted", None).await;
    let leader = release.leader().await.expect("one leads");
    let deleted = release.pod_api().delete(name(&leader), &DeleteParams::default()).await;
    deleted.expect("it can be deleted");
    storm.goes_on().await;
    let successor = release.leader().await.expect("one leads");
    assert_ne!(name(&successor), name(&leader));
    storm.ends_well(&release).await;
}

/// An answer that was on its way dies with the process. This server hands it out again.
pub async fn the_leader_is_killed(env: Arc<Env>) {
    let release = Release::plain(&env).await;
    let storm = Storm::begin(&env, "killed", Some(Duration::from_secs(60))).await;
    kill_leader(&env, &release).await;
    storm.goes_on().await;
    storm.ends_well(&release).await;
}

/// And this one does not. What the process had in no safe place when it died is lost, and nothing else.
pub async fn the_leader_is_killed_before_a_strict_server(env: Arc<Env>) {
    /// Of the server, for each answer.
    const SLOW: Duration = Duration::from_secs(2);
    let release = Release::plain(&env).await;
    let storm = Storm::begin(&env, "killed-strict", None).await;
    let leader = release.leader().await.expect("one leads");
    let holder = release.lease().await.holder_identity;
    some_are_at_the_server(&storm, SLOW).await;
    // It dies as it was then.
    let kept = Kept::by(&leader, storm.stage()).await;
    let asked = storm.at_the_server();
    storm.server().set_delay(Duration::ZERO);
    kill(&env, &release, &leader).await;
    let successor = wait::until("another process leads", SOON * 2, || async {
        let lease = release.lease().await;
        let led = lease.holder_identity.is_some() && lease.holder_identity != holder;
        lease.acquire_time.filter(|_| led)
    })
    .await;
    storm.ends_well_but_for(&release, &Death { kept, asked, successor: successor.0.into() }).await;
}

/// What it has received and could not store yet outlives its container, in the journal.
pub async fn the_leader_is_killed_before_it_can_store_answers(env: Arc<Env>) {
    let release = Release::plain(&env).await;
    let leader = release.leader().await.expect("one leads");
    let journaled =
        async || metrics::of(&leader, "oauth_keeper_answer_journaled_seconds_count").await;
    let before = journaled().await;
    let storm = Storm::begin(&env, "journal", None).await;
    some_are_at_the_server(&storm, Duration::from_secs(1)).await;

    // From here on nothing can be stored, and nothing new begins.
    env.cluster.control_plane.pause_api_server().await;
    wait::until("every answer is in the journal", SOON, || async {
        let answered = storm.server().counts().rotations;
        (storm.at_the_server() == 0 && journaled().await == before + answered).then_some(())
    })
    .await;
    assert!(metrics::of(&leader, "oauth_keeper_uncommitted_answers").await > 0);
    env.cluster.kill_container(&container_id(&leader).expect("it runs")).await;
    env.cluster.control_plane.resume_api_server().await;
    storm.server().set_delay(Duration::ZERO);
    is_started_again(&release, &leader).await;
    storm.goes_on().await;
    storm.ends_well(&release).await;
}

/// Comes back when the server, which takes that long from now on, has several requests to answer.
async fn some_are_at_the_server(storm: &Storm, delay: Duration) {
    const SOME: u64 = 3;
    storm.server().set_delay(delay);
    wait::until("some are at the server", SOON, || async {
        (storm.at_the_server() >= SOME).then_some(())
    })
    .await;
}

async fn kill_leader(env: &Env, release: &Release) {
    let leader = release.leader().await.expect("one leads");
    kill(env, release, &leader).await;
}

async fn kill(env: &Env, release: &Release, leader: &Pod) {
    let container = container_id(leader).expect("it runs");
    env.cluster.kill_container(&container).await;
    is_started_again(release, leader).await;
}

async fn is_started_again(release: &Release, leader: &Pod) {
    wait::until("the kubelet has started it again", SOON, || async {
        let pod = release.pod_api().get(name(leader)).await.ok()?;
        (restarts(&pod) > restarts(leader)).then_some(())
    })
    .await;
}

pub async fn the_kubelet_is_restarted(env: Arc<Env>) {
    /// About as many as there are credentials.
    const SOME: u64 = 50;
    let release = Release::plain(&env).await;
    let storm = Storm::begin(&env, "kubelet", None).await;
    let before: Vec<_> = release.pods().await.iter().map(container_id).collect();
    env.cluster.stop_kubelet().await;
    let renewed = || storm.server().counts().rotations;
    let at_first = renewed();
    wait::until("renewals go on without a kubelet", SOON, || async {
        (renewed() > at_first + SOME).then_some(())
    })
    .await;
    env.cluster.start_kubelet().await;
    storm.goes_on().await;
    let after: Vec<_> = release.pods().await.iter().map(container_id).collect();
    assert_eq!(before, after, "the same containers run");
    storm.ends_well(&release).await;
}

pub async fn the_api_server_is_restarted(env: Arc<Env>) {
    let release = Release::plain(&env).await;
    let storm = Storm::begin(&env, "api-server", None).await;
    env.cluster.control_plane.restart_api_server().await;
    storm.goes_on().await;
    storm.ends_well(&release).await;
}

pub async fn the_release_is_upgraded_and_rolled_back(env: Arc<Env>) {
    let release = Release::plain(&env).await;
    let storm = Storm::begin(&env, "upgraded", None).await;
    let tag = format!("image.tag={NEXT_TAG}");
    release.upgrade(&["allowHttp=true", &tag]).await;
    storm.goes_on().await;
    for pod in release.pods().await {
        let spec = pod.spec.expect("a pod has a spec");
        let image = spec.containers[0].image.clone().unwrap_or_default();
        assert!(image.ends_with(NEXT_TAG), "{image}");
    }
    release.roll_back().await;
    storm.goes_on().await;
    storm.ends_well(&release).await;
}
