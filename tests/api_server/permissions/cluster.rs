//! The permissions that only an operator of the whole cluster has, each taken away in turn.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::PostParams;
use oauth_keeper_test_support::authorization_server::AuthorizationServer;
use oauth_keeper_test_support::operator::OperatorOptions;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::json;

use super::{Permission, is_renewed_twice, of_list};
use crate::access::Right;
use crate::providers;
use crate::stage::{SOON, Stage, quick, server, spec, started};

/// All of them, as the chart is held to.
const PERMISSIONS: &str = include_str!("../../chart/permissions/cluster");
/// On what an operator that is limited to namespaces does not see.
const OF_THE_CLUSTER: [&str; 3] =
    ["clusteroauthproviders", "clusteroauthproviders/status", "namespaces"];
const KIND: &str = "ClusterOAuthProvider";

/// In a cluster of its own, for such an operator would serve the credentials of all other tests.
pub async fn are_named_when_missing(_: Arc<Env>) {
    let env = Arc::new(Env::start().await);
    let mut permissions = of_list(PERMISSIONS);
    permissions.retain(|permission| OF_THE_CLUSTER.contains(&permission.resource.as_str()));
    assert_eq!(permissions.len(), 6, "{permissions:?}");
    for permission in permissions {
        check(&env, &permission).await;
    }
    env.stop().await;
}

async fn check(env: &Arc<Env>, permission: &Permission) {
    let stage = Stage::new(Arc::clone(env), "cluster-permission").await;
    let role = Rights::without(&stage, permission).await;
    let server = server(Duration::from_secs(4)).await;
    provider_by_label(&stage, &server).await;
    stage.refreshing("c", &server, quick(providers::by_name("c", KIND, &stage.namespace))).await;
    stage.asking("n", &server, quick(spec("n", &server.token_endpoint()))).await;
    let options =
        OperatorOptions::new(env!("CARGO_BIN_EXE_oauth-keeper"), &env.operator.kubeconfig);
    let operator = started(options.arg("--leader-election=false")).await;
    permission.is_named(&stage, &operator).await;
    is_renewed_twice(&stage).await;

    role.give_back(&stage, permission).await;
    stage.ready("c").await;
    is_valid(&stage).await;
    is_renewed_twice(&stage).await;
    assert_eq!(server.counts().refusals, 0, "{permission:?}");
    // The next operator has nothing to do with them.
    let delete = ["delete", "oauthcredentials", "--all", "--namespace", &stage.namespace];
    env.control_plane.kubectl(&delete).await;
    env.control_plane.kubectl(&["delete", KIND, &stage.namespace]).await;
    assert!(operator.stop().await.success());
}

/// For this namespace, which it knows by a label: that takes all of the rights.
async fn provider_by_label(stage: &Stage, server: &AuthorizationServer) {
    let label = json!({"kubernetes.io/metadata.name": stage.namespace});
    let provider = json!({
        "tokenEndpoint": server.token_endpoint(),
        "namespaces": {"selector": {"matchLabels": label}},
    });
    providers::apply(stage, KIND, &stage.namespace, &provider).await.expect("it is valid");
}

/// Waits until the provider's status says so.
async fn is_valid(stage: &Stage) {
    let path = "{.status.conditions[0].reason}";
    let output = format!("--output=jsonpath={path}");
    let get = ["get", KIND, &stage.namespace, &output];
    wait::until_ok("the provider says that it can be used", SOON * 2, || async {
        let reason = stage.env.control_plane.try_kubectl(&get).await?;
        if reason == "Valid" { Ok(()) } else { Err(reason) }
    })
    .await;
}

/// The operator's rights in the cluster, whole.
struct Rights(ClusterRole);

impl Rights {
    async fn without(stage: &Stage, permission: &Permission) -> Self {
        let whole = roles(stage).get(&stage.env.operator.namespace).await;
        let whole = whole.expect("it is named after the release");
        let mut less = whole.clone();
        permission.take_from(less.rules.as_mut().expect("it has rules"));
        write(stage, less, permission, false).await;
        Self(whole)
    }

    async fn give_back(self, stage: &Stage, permission: &Permission) {
        write(stage, self.0, permission, true).await;
    }
}

fn roles(stage: &Stage) -> Api<ClusterRole> {
    Api::all(stage.client.clone())
}

/// Waits until the API server goes by it.
async fn write(stage: &Stage, mut role: ClusterRole, permission: &Permission, allowed: bool) {
    role.metadata.resource_version = None;
    let name = role.metadata.name.clone().unwrap_or_default();
    roles(stage).replace(&name, &PostParams::default(), &role).await.expect("it can be written");
    let operator = &stage.env.operator;
    let account =
        format!("system:serviceaccount:{}:{}", operator.namespace, operator.service_account);
    Right::new(&permission.verb, &permission.group, &permission.resource, "")
        .wait_until_allowed(stage, &account, allowed)
        .await;
}
