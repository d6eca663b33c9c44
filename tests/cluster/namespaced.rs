//! The release limited to namespaces.

use std::sync::Arc;

use oauth_keeper_test_support::{chart, helm, wait};
use serde_json::json;

use crate::env::Env;
use crate::inventory;
use crate::release::{NAME, Release};
use crate::stage::{HOUR, SOON, eager, spec};

pub async fn with_roles_alone_it_works_and_reads_nothing_elsewhere(env: Arc<Env>) {
    let ours = env.stage("ours").await;
    let theirs = env.stage("theirs").await;
    Release::makes_room(&env).await;
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
    // And not by what is said alone.
    let get = |namespace| ["get", "secrets", "--namespace", namespace, operator.as_str()];
    env.cluster.control_plane.kubectl(&get("ours")).await;
    let refused = env.cluster.control_plane.try_kubectl(&get("theirs")).await;
    let refused = refused.expect_err("its Secrets are not the operator's");
    assert!(refused.contains("forbidden"), "{refused}");
    release.uninstall().await;
}

/// The admin of one namespace, who has nothing else.
const TENANT: &str = "tenant-admin";
/// What the tenant calls the release and its objects.
const TENANT_RELEASE: &str = "keeper";

/// As the document has it: the cluster's part by its admin, then the operator by one of a namespace.
pub async fn the_admin_of_a_namespace_can_install_it_there(env: Arc<Env>) {
    Release::makes_room(&env).await;
    let cluster_part = Release::begin(&env, &["operator.enabled=false"]).await;
    let tenant = env.stage("tenant").await;
    make_admin_of(&env, "tenant").await;
    as_tenant(&env, &install_arguments()).await.unwrap_or_else(|error| panic!("{error}"));

    let server = env.server(HOUR).await;
    tenant.refreshing("one", &server, eager(spec("one", &server.token_endpoint()))).await;
    tenant.ready("one").await;

    // While its operator runs, which takes the finalizer off.
    let delete = ["delete", "oauthcredential", "one", "--namespace", "tenant", "--wait"];
    env.cluster.control_plane.kubectl(&delete).await;
    let uninstall = ["uninstall", TENANT_RELEASE, "--namespace", "tenant"];
    as_tenant(&env, &uninstall).await.unwrap_or_else(|error| panic!("{error}"));
    cluster_part.uninstall().await;
}

fn install_arguments() -> Vec<String> {
    let folder = chart::folder();
    let folder = folder.to_str().expect("the path is text");
    let name = format!("fullnameOverride={TENANT_RELEASE}");
    let values = ["watchNamespaces={tenant}", "crds.enabled=false", "allowHttp=true", &name];
    let mut arguments = vec!["install", TENANT_RELEASE, folder, "--namespace", "tenant"];
    arguments.extend(["--wait", "--timeout", "3m"]);
    for value in values {
        arguments.extend(["--set", value]);
    }
    arguments.into_iter().map(str::to_owned).collect()
}

async fn as_tenant(env: &Env, arguments: &[impl AsRef<str>]) -> Result<String, String> {
    let mut all: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    all.extend(["--kube-as-user", TENANT]);
    helm::run(env.cluster.control_plane.admin_kubeconfig(), &all).await
}

/// With all that the cluster's part adds to that role.
async fn make_admin_of(env: &Env, namespace: &str) {
    let control_plane = &env.cluster.control_plane;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": TENANT, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": TENANT}],
    });
    control_plane.apply_objects(&[binding]).await.expect("a role can be bound");
    let who = format!("--as={TENANT}");
    for resource in ["oauthcredentials", "oauthproviders"] {
        let status = ["auth", "can-i", "patch", resource, "--subresource=status"];
        let question = [&status[..], &["--namespace", namespace, &who]].concat();
        // The controller manager makes one role of many, a moment later.
        wait::until_ok("the role has what the release adds", SOON, || {
            control_plane.try_kubectl(&question)
        })
        .await;
    }
}

async fn can(env: &Env, verb: &str, namespace: &str, who: &str) -> String {
    // It fails when the answer is no, so it is asked for the whole list of what is allowed.
    let list = ["auth", "can-i", "--list", "--no-headers", "--namespace", namespace, who];
    let rights = env.cluster.control_plane.kubectl(&list).await;
    let secrets = rights.lines().find(|line| line.starts_with("secrets "));
    let may = secrets.is_some_and(|line| line.contains(verb));
    if may { "yes" } else { "no" }.to_owned()
}
