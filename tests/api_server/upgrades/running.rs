//! Upgrades of a release whose pods run, as its Deployment says; there are none in such a cluster.

use std::sync::Arc;

use oauth_keeper_test_support::chart;
use oauth_keeper_test_support::helm::Helm;
use oauth_keeper_test_support::suite::Env;

use crate::stage::Stage;

const NAME: &str = "oauth-keeper";

/// Old pods and new ones would hold different Leases, and both work.
pub async fn a_change_that_takes_two_steps_is_refused_in_one(env: Arc<Env>) {
    const OTHER: &str = "leaderElection.leaseName=other";
    for helm in [Helm::Four, Helm::Three] {
        let stage = Stage::new(Arc::clone(&env), "lease").await;
        upgrade(&stage, helm, &["replicas=2"]).await.expect("it installs");
        upgrade(&stage, helm, &["replicas=3"]).await.expect("what is no such change is taken");
        let refusal = upgrade(&stage, helm, &[OTHER]).await.expect_err("pods run");
        assert!(refusal.contains("end the operator first, with replicas=0"), "{refusal}");
        upgrade(&stage, helm, &["replicas=0"]).await.expect("the first step");
        upgrade(&stage, helm, &[OTHER]).await.expect("the second");
        upgrade(&stage, helm, &[OTHER]).await.expect("there is no change any more");

        // Old pods end before new ones begin.
        let alone = ["leaderElection.enabled=false", "replicas=1"];
        upgrade(&stage, helm, &alone).await.expect("it comes with Recreate");
        let refusal = upgrade(&stage, helm, &[]).await.expect_err("the old pod takes no Lease");
        assert!(refusal.contains("end the operator first, with replicas=0"), "{refusal}");
        upgrade(&stage, helm, &["strategy.type=Recreate"]).await.expect("the old pod ends first");
    }
}

/// kubectl and the chart both say how many pods there are, and Helm 4 asks which of them is right.
pub async fn what_kubectl_scaled_is_the_chart_s_again(env: Arc<Env>) {
    for helm in [Helm::Four, Helm::Three] {
        let stage = Stage::new(Arc::clone(&env), "scaled").await;
        upgrade(&stage, helm, &[]).await.expect("it installs");
        scale(&stage, "1").await;
        let upgraded = upgrade(&stage, helm, &["replicas=3"]).await;
        if helm == Helm::Four {
            let refusal = upgraded.expect_err("it does not know which is meant");
            assert!(refusal.contains("conflict with \"kubectl\""), "{refusal}");
            assert!(refusal.contains(".spec.replicas"), "{refusal}");
            // Either way of the document: what kubectl said, or the chart by force.
            upgrade(&stage, helm, &["replicas=1"]).await.expect("they agree");
            scale(&stage, "2").await;
            let forced = run(&stage, helm, &["replicas=3"], &["--force-conflicts"]).await;
            forced.expect("the chart is right");
        } else {
            upgraded.expect("it writes what has changed in the chart");
        }
        assert_eq!(replicas(&stage).await, "3");
        upgrade(&stage, helm, &["replicas=2"]).await.expect("there is one that says it");
        assert_eq!(replicas(&stage).await, "2");
    }
}

async fn scale(stage: &Stage, replicas: &str) {
    let replicas = format!("--replicas={replicas}");
    let scale = ["scale", "deployment", NAME, &replicas, "--namespace", &stage.namespace];
    stage.env.control_plane.kubectl(&scale).await;
}

async fn replicas(stage: &Stage) -> String {
    let path = "--output=jsonpath={.spec.replicas}";
    let get = ["get", "deployment", NAME, path, "--namespace", &stage.namespace];
    stage.env.control_plane.kubectl(&get).await
}

/// Makes the release, or has it have these values and the defaults.
async fn upgrade(stage: &Stage, helm: Helm, values: &[&str]) -> Result<String, String> {
    run(stage, helm, values, &[]).await
}

async fn run(stage: &Stage, helm: Helm, values: &[&str], more: &[&str]) -> Result<String, String> {
    let (chart, namespace) = (chart::folder(), &stage.namespace);
    let chart = chart.to_str().expect("the path is text");
    let watched = format!("watchNamespaces={{{namespace}}}");
    let mut arguments = vec!["upgrade", "--install", NAME, chart, "--namespace", namespace];
    for value in ["crds.enabled=false", &watched].iter().chain(values) {
        arguments.extend(["--set", value]);
    }
    arguments.extend(more);
    helm.run(stage.env.control_plane.admin_kubeconfig(), &arguments).await
}
