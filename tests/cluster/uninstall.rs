//! What is left when the release is gone, and what is not.

use std::sync::Arc;

use oauth_keeper_test_support::authorization_server::AuthorizationServer;
use oauth_keeper_test_support::helm::Helm;
use oauth_keeper_test_support::wait;

use crate::env::Env;
use crate::inventory;
use crate::oracle;
use crate::pods;
use crate::release::{CRDS, NAME, PLAIN_HTTP, Release};
use crate::stage::{HOUR, SOON, Stage, eager, spec};
use crate::storm::Storm;

pub async fn what_users_made_stays_and_nothing_else(env: Arc<Env>) {
    // The CRDs are there already, if another test came before.
    Release::plain(&env).await.uninstall().await;
    let stage = env.stage("uninstalled").await;
    let server = env.server(HOUR).await;
    for (helm, name) in [(Helm::Three, "by-helm-3"), (Helm::Four, "by-helm-4")] {
        leaves_what_users_made(&stage, helm, name, &server).await;
    }

    // And who installs it again goes on where it ended, without another sign-in.
    Release::plain(&env).await;
    let name = "by-helm-4";
    let shorter = serde_json::json!({"renewal": {"renewBefore": "3590s"}});
    let spec = crate::stage::with(eager(spec(name, &server.token_endpoint())), shorter);
    stage.credential(name, spec).await;
    stage.revision(name, 3).await;
    assert_eq!((server.counts().reuses, server.counts().refusals), (0, 0));
}

/// The life of a release: it is installed, upgraded and uninstalled.
async fn leaves_what_users_made(
    stage: &Stage<Env>,
    helm: Helm,
    name: &str,
    server: &AuthorizationServer,
) {
    let control_plane = &stage.env.cluster.control_plane;
    delete_lease(&stage.env).await;
    wait::until("the namespace has all that it comes with", SOON, || async {
        let there = inventory::of(control_plane).await;
        there.contains("ConfigMap uninstalled/kube-root-ca.crt").then_some(())
    })
    .await;
    let before = inventory::of(control_plane).await;

    let release = Release::installed_by(helm, &stage.env, &[PLAIN_HTTP]).await;
    let spec = || eager(spec(name, &server.token_endpoint()));
    stage.refreshing(name, server, spec()).await;
    stage.ready(name).await;
    let first = release.pods().await;
    release.upgrade(&[PLAIN_HTTP, "log.level=debug"]).await;
    let second = release.pods().await;
    assert!(
        second.iter().all(|pod| first.iter().all(|other| pods::name(other) != pods::name(pod)))
    );
    stage.refreshing(name, server, spec()).await;
    stage.revision(name, 2).await;
    let target = stage.target(name).await;
    release.uninstall().await;

    let wanted = [
        "Lease oauth-keeper/oauth-keeper".to_owned(),
        format!("OAuthCredential uninstalled/{name}"),
        format!("Secret uninstalled/{name}-oauth-state"),
        format!("Secret uninstalled/{name}-source"),
        format!("Secret uninstalled/{name}-target"),
    ];
    // Some of it goes a moment later, with what owned it.
    wait::until_ok("only that is left which must be", SOON, || async {
        let now = inventory::of(control_plane).await;
        let more: Vec<&String> = now.difference(&before).collect();
        let less: Vec<&String> = before.difference(&now).collect();
        let right = more.iter().copied().eq(&wanted) && less.is_empty();
        if right { Ok(()) } else { Err(format!("{helm:?}: {more:?}, {less:?}")) }
    })
    .await;
    assert_eq!(stage.target(name).await, target);
    oracle::nothing_is_lost(stage, name, server).await;
}

async fn delete_lease(env: &Env) {
    env.cluster.control_plane.kubectl(&["delete", "lease", NAME, "--namespace", NAME]).await;
}

/// As the document says: the operator ends before its rights do.
pub async fn amid_renewals_it_loses_nothing(env: Arc<Env>) {
    let release = Release::plain(&env).await;
    let storm = Storm::begin(&env, "reinstalled", None).await;
    release.stops().await;
    release.uninstall().await;
    let release = Release::plain(&env).await;
    storm.goes_on().await;
    storm.ends_well(&release).await;
}

/// In the order of the document.
pub async fn all_of_it_can_be_removed(env: Arc<Env>) {
    let control_plane = &env.cluster.control_plane;
    let release = Release::plain(&env).await;
    let stage = env.stage("removed").await;
    let server = env.server(HOUR).await;
    stage.refreshing("c", &server, eager(spec("c", &server.token_endpoint()))).await;
    stage.ready("c").await;

    let everywhere = ["--all", "--all-namespaces", "--wait", "--timeout=120s"];
    control_plane.kubectl(&[&["delete", "oauthcredentials"], &everywhere[..]].concat()).await;
    release.uninstall().await;
    control_plane.kubectl(&[&["delete", "crd"], &CRDS[..]].concat()).await;
    delete_lease(&env).await;

    // These come with every namespace.
    let namespace = [
        "ConfigMap oauth-keeper/kube-root-ca.crt",
        "Namespace oauth-keeper",
        "ServiceAccount oauth-keeper/default",
    ];
    wait::until_ok("nothing is left but the namespace", SOON, || async {
        let mut left = inventory::of(control_plane).await;
        left.retain(|object| object.contains("oauth"));
        if left.iter().eq(&namespace) { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}
