//! A pod that mounts targets and uses the tokens in them, over and over, where the authorization server sees it.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use oauth_keeper_test_support::authorization_server::AuthorizationServer;
use oauth_keeper_test_support::cluster::POD_IMAGE;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::env::Env;
use crate::pods::is_ready;
use crate::stage::{SOON, Stage, target_of};

const NAME: &str = "workload";

/// Starts it and waits until it runs. The file of each token is named after its credential.
pub async fn start(stage: &Stage<Env>, server: &AuthorizationServer, credentials: &[String]) {
    let applied = pod(&stage.namespace, &server.resource_url(), credentials);
    let applied = stage.env.cluster.control_plane.apply_objects(&[applied]).await;
    applied.expect("a pod can be made");
    let pods: Api<Pod> = Api::namespaced(stage.client.clone(), &stage.namespace);
    wait::until("the workload runs", SOON * 2, || async {
        let pod = pods.get(NAME).await.ok()?;
        is_ready(&pod).then_some(())
    })
    .await;
}

fn pod(namespace: &str, resource: &str, credentials: &[String]) -> Value {
    let sources: Vec<Value> = credentials
        .iter()
        .map(|name| {
            let items = json!([{"key": "access_token", "path": name}]);
            json!({"secret": {"name": target_of(name), "items": items}})
        })
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "workload",
                "image": POD_IMAGE,
                "args": ["use", "/tokens", resource],
                "volumeMounts": [{"name": "tokens", "mountPath": "/tokens", "readOnly": true}],
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
            "volumes": [{"name": "tokens", "projected": {"sources": sources}}],
        },
    })
}
