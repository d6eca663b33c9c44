//! The release limited to namespaces.

use std::sync::Arc;

use crate::env::Env;
use crate::inventory;
use crate::release::{NAME, Release};
use crate::stage::{HOUR, eager, spec};

pub async fn with_roles_alone_it_works_and_reads_nothing_elsewhere(env: Arc<Env>) {
    let ours = env.stage("ours").await;
    let theirs = env.stage("theirs").await;
    let release = Release::with(&env, &["allowHttp=true", "watchNamespaces={ours}"]).await;
    let all = inventory::of(&env.cluster.control_plane).await;
    let cluster_wide: Vec<_> = all
        .iter()
        .filter(|object| object.starts_with("ClusterRoleBinding ") && object.contains(NAME))
        .collect();
    assert!(cluster_wide.is_empty(), "{cluster_wide:?}");

    let server = env.server(HOUR).await;
    for stage in [&theirs, &ours] {
        let spec = eager(spec("one", &server.token_endpoint()));
        stage.refreshing("one", &server, spec).await;
    }
    ours.ready("one").await;
    ours.refreshing("one", &server, eager(spec("one", &server.token_endpoint()))).await;
    ours.revision("one", 2).await;

    assert!(theirs.status("one").await.is_null(), "nobody looked at it");
    assert!(theirs.target("one").await.is_empty());
    let operator = format!("--as=system:serviceaccount:{NAME}:{NAME}");
    for (namespace, may) in [("ours", "yes"), ("theirs", "no")] {
        for verb in ["get", "list", "create"] {
            let said = can(&env, verb, namespace, &operator).await;
            assert_eq!(said, may, "{verb} secrets in {namespace}");
        }
    }
    release.uninstall().await;
}

async fn can(env: &Env, verb: &str, namespace: &str, who: &str) -> String {
    // It fails when the answer is no, so it is asked for the whole list of what is allowed.
    let list = ["auth", "can-i", "--list", "--no-headers", "--namespace", namespace, who];
    let rights = env.cluster.control_plane.kubectl(&list).await;
    let secrets = rights.lines().find(|line| line.starts_with("secrets "));
    let may = secrets.is_some_and(|line| line.contains(verb));
    if may { "yes" } else { "no" }.to_owned()
}
