//! From the first command of a user to the first token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::DeleteParams;
use oauth_keeper_test_support::wait;

use crate::env::Env;
use crate::release::{CRDS, NAME, Release};
use crate::sample::Sample;
use crate::stage::{spec, target_of};

const LIMIT: Duration = Duration::from_secs(120);
const LIFETIME: Duration = Duration::from_secs(3600);

/// The image is on the node; nothing else is there when a run begins.
pub(crate) async fn measure(env: &Arc<Env>, runs: usize) -> Sample {
    let stage = env.stage("first").await;
    let server = env.server(LIFETIME).await;
    let control_plane = &env.cluster.control_plane;
    let mut sample = Sample::default();
    for run in 0..runs {
        let name = format!("run-{run}");
        let begun = Instant::now();
        let release = Release::begin(env, &["allowHttp=true"]).await;
        let established = ["wait", "--for=condition=Established", "--timeout=60s", "crd"];
        control_plane.kubectl(&[&established[..], &CRDS].concat()).await;
        stage.refreshing(&name, &server, spec(&name, &server.token_endpoint())).await;
        wait::until("the target is there", LIMIT, || async {
            let target = stage.secrets().get_metadata_opt(&target_of(&name)).await;
            target.ok().flatten().map(drop)
        })
        .await;
        sample.add(begun.elapsed());
        stage.credentials().delete(&name, &DeleteParams::default()).await.expect("it can go");
        stage.gone(&name).await;
        release.uninstall().await;
        // The last leader could not give it up, as its rights went before it did.
        control_plane.kubectl(&["delete", "lease", "--namespace", NAME, NAME]).await;
        control_plane.kubectl(&[&["delete", "crd"], &CRDS[..]].concat()).await;
    }
    sample
}
