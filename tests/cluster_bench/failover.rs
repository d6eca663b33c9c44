//! How long nothing is renewed when the leader goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::DeleteParams;
use oauth_keeper_test_support::authorization_server::AuthorizationServer;
use oauth_keeper_test_support::wait;
use serde_json::json;

use crate::env::Env;
use crate::pods::{container_id, name};
use crate::release::Release;
use crate::sample::Sample;
use crate::stage::{Stage, quick, spec, with};

const LIMIT: Duration = Duration::from_secs(120);
/// With a renewal each second: a second of what is measured is the wait for the next.
const LIFETIME: Duration = Duration::from_secs(60);

/// The leader is deleted, as by a node that is drained: it hands over.
pub(crate) async fn by_deletion(env: &Arc<Env>, runs: usize) -> Sample {
    let release = Release::plain(env).await;
    let (stage, server) = renewing(env, "deleted").await;
    let mut sample = Sample::default();
    for _ in 0..runs {
        let leader = release.leader().await.expect("one leads");
        let begun = Instant::now();
        delete(&release, name(&leader)).await;
        let lead = || async { release.leader().await.filter(|next| name(next) != name(&leader)) };
        wait::until("another one leads", LIMIT, lead).await;
        renewed(&server).await;
        sample.add(begun.elapsed());
        release.is_whole().await;
    }
    ends(&stage).await;
    sample
}

/// The leader's process is killed: its Lease has to run out.
pub(crate) async fn by_kill(env: &Arc<Env>, runs: usize) -> Sample {
    let release = Release::plain(env).await;
    let (stage, server) = renewing(env, "killed").await;
    let mut sample = Sample::default();
    for _ in 0..runs {
        let leader = release.leader().await.expect("one leads");
        let container = container_id(&leader).expect("it runs");
        let begun = Instant::now();
        env.cluster.kill_container(&container).await;
        renewed(&server).await;
        sample.add(begun.elapsed());
        // A pod that fails often is started again ever later, so the next run has a new one.
        delete(&release, name(&leader)).await;
        release.is_whole().await;
    }
    ends(&stage).await;
    sample
}

async fn renewing(env: &Arc<Env>, name: &str) -> (Stage<Env>, AuthorizationServer) {
    let stage = env.stage(&format!("failover-{name}")).await;
    let server = env.server(LIFETIME).await;
    server.set_reuse_window(Some(LIFETIME));
    let often = json!({"renewal": {"renewBefore": "59s"}, "provider": {"reuseGrace": "60s"}});
    let spec = with(quick(spec(name, &server.token_endpoint())), often);
    stage.refreshing(name, &server, spec).await;
    stage.ready(name).await;
    (stage, server)
}

/// Waits for a token request, after those that may be under way.
async fn renewed(server: &AuthorizationServer) {
    let before = server.counts().rotations;
    wait::until("a token is renewed", LIMIT, || async {
        (server.counts().rotations > before + 1).then_some(())
    })
    .await;
}

async fn delete(release: &Release, pod: &str) {
    let deleted = release.pod_api().delete(pod, &DeleteParams::default()).await;
    deleted.expect("it can be deleted");
}

async fn ends(stage: &Stage<Env>) {
    let control_plane = &stage.env.cluster.control_plane;
    control_plane.kubectl(&["delete", "namespace", &stage.namespace, "--timeout=120s"]).await;
}
