//! What is left when the release is gone.

use std::sync::Arc;

use oauth_keeper_test_support::wait;

use crate::env::Env;
use crate::inventory;
use crate::oracle;
use crate::release::Release;
use crate::stage::{HOUR, SOON, eager, spec};

pub async fn what_users_made_stays_and_nothing_else(env: Arc<Env>) {
    let control_plane = &env.cluster.control_plane;
    // The CRDs are there already, if another test came before.
    Release::plain(&env).await.uninstall().await;
    let stage = env.stage("uninstalled").await;
    wait::until("the namespace has all that it comes with", SOON, || async {
        let there = inventory::of(control_plane).await;
        there.contains("ConfigMap uninstalled/kube-root-ca.crt").then_some(())
    })
    .await;
    let before = inventory::of(control_plane).await;

    let release = Release::plain(&env).await;
    let server = env.server(HOUR).await;
    let name = "left";
    stage.refreshing(name, &server, eager(spec(name, &server.token_endpoint()))).await;
    stage.ready(name).await;
    let target = stage.target(name).await;
    release.uninstall().await;

    let left = [
        "OAuthCredential uninstalled/left",
        "Secret uninstalled/left-source",
        "Secret uninstalled/left-target",
        "Secret uninstalled/left-oauth-state",
    ];
    // Some of it goes a moment later, with what owned it.
    wait::until_ok("only that is left which must be", SOON, || async {
        let now = inventory::of(control_plane).await;
        let more: Vec<&str> = now.difference(&before).map(String::as_str).collect();
        let less: Vec<&str> = before.difference(&now).map(String::as_str).collect();
        let mut wanted = left.to_vec();
        wanted.sort_unstable();
        if more == wanted && less.is_empty() { Ok(()) } else { Err(format!("{more:?}, {less:?}")) }
    })
    .await;
    assert_eq!(stage.target(name).await, target);
    oracle::nothing_is_lost(&stage, name, &server).await;

    // And who installs it again goes on where it ended, without another sign-in.
    Release::plain(&env).await;
    let shorter = serde_json::json!({"renewal": {"renewBefore": "3590s"}});
    let spec = crate::stage::with(eager(spec(name, &server.token_endpoint())), shorter);
    stage.credential(name, spec).await;
    stage.revision(name, 2).await;
    assert_eq!((server.counts().reuses, server.counts().refusals), (0, 0));
}
