//! The way of a token from the authorization server into a pod.

use std::sync::Arc;

use oauth_keeper_test_support::wait;

use crate::env::Env;
use crate::release::Release;
use crate::stage::{HOUR, SOON, eager, spec};
use crate::workload;

/// A renewal comes when the test asks for it, by a new sign-in, so that the kubelet's pace decides nothing.
pub async fn a_pod_sees_each_renewal(env: Arc<Env>) {
    const RENEWALS: usize = 5;
    Release::plain(&env).await;
    let stage = env.stage("mounted").await;
    let server = env.server(HOUR).await;
    let name = "mounted";
    let spec = eager(spec(name, &server.token_endpoint()));
    stage.refreshing(name, &server, spec.clone()).await;
    stage.ready(name).await;
    workload::start(&stage, &server, &[name.to_owned()]).await;
    for renewal in 1..=RENEWALS {
        wait::until_ok("the workload uses the token", SOON, || async {
            let token = stage.target(name).await["access_token"].clone();
            let uses = server.uses();
            let used = uses.get(name).map(|used| used.tokens.clone()).unwrap_or_default();
            let seen = used.len() == renewal && used.last() == Some(&token);
            if seen { Ok(()) } else { Err(format!("{used:?}, not {token}")) }
        })
        .await;
        if renewal < RENEWALS {
            stage.refreshing(name, &server, spec.clone()).await;
        }
    }
    assert_eq!(server.uses()[name].refused, 0);
}
