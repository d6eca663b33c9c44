//! From the first command of a user to the first token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oauth_keeper_test_support::wait;
use serde_json::json;

use crate::env::Env;
use crate::release::{NAME, Release};
use crate::sample::Sample;
use crate::stage::{spec, target_of};

const LIMIT: Duration = Duration::from_secs(120);
const LIFETIME: Duration = Duration::from_secs(3600);

/// The image is on the node, and the CRDs are there from the second run on.
pub(crate) async fn measure(env: &Arc<Env>, runs: usize) -> Sample {
    let stage = env.stage("first").await;
    let server = env.server(LIFETIME).await;
    let mut sample = Sample::default();
    for run in 0..runs {
        let name = format!("run-{run}");
        let begun = Instant::now();
        let release = Release::begin(env, &["allowHttp=true"]).await;
        stage.refreshing(&name, &server, spec(&name, &server.token_endpoint())).await;
        wait::until("the target is there", LIMIT, || async {
            let target = stage.secrets().get_metadata_opt(&target_of(&name)).await;
            target.ok().flatten().map(drop)
        })
        .await;
        sample.add(begun.elapsed());
        let suspended = json!({"suspend": true});
        let spec = crate::stage::with(spec(&name, &server.token_endpoint()), suspended);
        stage.credential(&name, spec).await;
        release.is_whole().await;
        release.uninstall().await;
        // The last leader could not give it up, as its rights went before it did.
        let control_plane = &env.cluster.control_plane;
        control_plane.kubectl(&["delete", "lease", "--namespace", NAME, NAME]).await;
    }
    sample
}
