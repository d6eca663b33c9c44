//! How the Deployment replaces its pods, changed in a release that exists.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use oauth_keeper_test_support::helm::Helm;
use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use super::{NAME, upgrade};
use crate::stage::Stage;

/// The API server fills in how a rolling update rolls, which must go with it: by an apply on either side.
pub async fn is_switched_to_recreate_and_back(env: Arc<Env>) {
    let recreate: [&[&str]; 2] =
        [&["strategy.type=Recreate"], &["leaderElection.enabled=false", "replicas=1"]];
    for (first, then) in
        [(Helm::Four, Helm::Four), (Helm::Three, Helm::Three), (Helm::Three, Helm::Four)]
    {
        let stage = Stage::new(Arc::clone(&env), "strategy").await;
        let rolling = release(&stage, first, &[]).await;
        assert_eq!(rolling["type"], "RollingUpdate");
        for values in recreate {
            assert_eq!(release(&stage, then, values).await, json!({"type": "Recreate"}));
            // Pods that take no Lease must be gone before others come that do.
            release(&stage, then, &[values, &["replicas=0"]].concat()).await;
            assert_eq!(release(&stage, then, &[]).await, rolling, "{then:?}");
        }
    }
}

/// Makes the release, or has it have these values; gives the strategy that came of it.
async fn release(stage: &Stage, helm: Helm, values: &[&str]) -> Value {
    let done = upgrade(stage, helm, values).await;
    done.unwrap_or_else(|error| panic!("{error}"));
    let deployments: Api<Deployment> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let deployment = deployments.get(NAME).await.expect("the Deployment is there");
    json!(deployment.spec.and_then(|spec| spec.strategy))
}
