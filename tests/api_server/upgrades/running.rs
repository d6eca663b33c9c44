//! Upgrades of a release whose pods run, as its Deployment says; there are none in such a cluster.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use oauth_keeper_test_support::helm::Helm;
use oauth_keeper_test_support::suite::Env;
use serde_json::json;

use super::{NAME, upgrade, upgrade_with};
use crate::stage::Stage;

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

/// No status counts them, and they work until they are gone.
pub async fn pods_that_are_ending_are_waited_for(env: Arc<Env>) {
    const OTHER: &str = "leaderElection.leaseName=other";
    for helm in [Helm::Four, Helm::Three] {
        let stage = Stage::new(Arc::clone(&env), "ending").await;
        upgrade(&stage, helm, &[]).await.expect("it installs");
        upgrade(&stage, helm, &["replicas=0"]).await.expect("the first step");
        let pods: Api<Pod> = Api::namespaced(stage.client.clone(), &stage.namespace);
        let arguments = ["run", "--leader-election=true", "--lease-name=oauth-keeper"];
        let lease_namespace = format!("--lease-namespace={}", stage.namespace);
        let arguments = [&arguments[..], &[lease_namespace.as_str()]].concat();
        make_ending(&pods, &arguments).await;

        let refusal = upgrade(&stage, helm, &[OTHER]).await.expect_err("a pod is ending");
        assert!(refusal.contains("are still there (ending;"), "{refusal}");
        // Whatever the Deployment says meanwhile.
        upgrade(&stage, helm, &["replicas=0", OTHER]).await.expect("no new pod comes of it");
        upgrade(&stage, helm, &[OTHER]).await.expect_err("the pod is ending all the same");
        upgrade(&stage, helm, &[]).await.expect("its Lease is that of the new ones");
        upgrade(&stage, helm, &["replicas=0"]).await.expect("the first step, again");

        ends(&pods).await;
        upgrade(&stage, helm, &[OTHER]).await.expect("the second step");
    }
}

/// Rights go before the pods do that use them: whichever value takes them.
pub async fn a_change_that_takes_rights_is_refused_while_pods_run(env: Arc<Env>) {
    for helm in [Helm::Four, Helm::Three] {
        let stage = Stage::new(Arc::clone(&env), "rights").await;
        let other = Stage::new(Arc::clone(&env), "rights-too").await.namespace;
        let both = format!("watchNamespaces={{{},{other}}}", stage.namespace);
        let of_other = format!("watchNamespaces={{{other}}}");
        let losses: [(&str, &[&str]); 6] = [
            ("serviceAccount.name", &["serviceAccount.name=other"]),
            ("serviceAccount.create", &["serviceAccount.create=false", OWN_ACCOUNT]),
            ("rbac.create", &["rbac.create=false"]),
            ("watchNamespaces", &[]),
            ("watchNamespaces", &[&of_other]),
            ("operator.enabled", &["operator.enabled=false", "admissionPolicy.enabled=true"]),
        ];
        upgrade(&stage, helm, &[&both]).await.expect("it installs");
        upgrade(&stage, helm, &[&both, "log.level=debug"]).await.expect("nothing is taken");
        for (value, change) in losses {
            let refusal = upgrade(&stage, helm, &with_both(&both, value, change)).await;
            is_refused(refusal, value, "run");
            // Not while they are only about to end, either.
            let at_once = [&with_both(&both, value, change)[..], &["replicas=0"]].concat();
            is_refused(upgrade(&stage, helm, &at_once).await, value, "run");
        }

        upgrade(&stage, helm, &[&both, "replicas=0"]).await.expect("the first step");
        let pods: Api<Pod> = Api::namespaced(stage.client.clone(), &stage.namespace);
        upgrade(&stage, helm, &[&both, "replicas=0"]).await.expect("nothing is taken");
        make_ending(&pods, &["run"]).await;
        for (value, change) in losses {
            let refusal = upgrade(&stage, helm, &with_both(&both, value, change)).await;
            is_refused(refusal, value, "are still there (ending)");
        }
        ends(&pods).await;
        let all = ["serviceAccount.name=other", "rbac.create=false"];
        upgrade(&stage, helm, &all).await.expect("the second step");
        upgrade(&stage, helm, &all).await.expect("there is no change any more");
        upgrade(&stage, helm, &["serviceAccount.name=other"]).await.expect("rights are given");
    }
}

/// Neither goes with the release, so its pods end in peace.
pub async fn an_account_and_rights_of_the_user_s_own_are_not_taken(env: Arc<Env>) {
    const OWN: [&str; 3] = ["serviceAccount.create=false", OWN_ACCOUNT, "rbac.create=false"];
    const OTHER: &str = "serviceAccount.name=other";
    for helm in [Helm::Four, Helm::Three] {
        let stage = Stage::new(Arc::clone(&env), "own").await;
        upgrade(&stage, helm, &OWN).await.expect("it installs");
        upgrade(&stage, helm, &[&OWN[..], &[OTHER]].concat()).await.expect("both accounts stay");
        let ends = [&OWN[..], &["operator.enabled=false", "admissionPolicy.enabled=true"]].concat();
        upgrade(&stage, helm, &ends).await.expect("the account stays");

        // One of the two is enough to miss.
        for mine in ["serviceAccount.create=true", "rbac.create=true"] {
            let before = [&OWN[..], &[mine]].concat();
            upgrade(&stage, helm, &before).await.expect("it gives what was the user's");
            let after = [&before[..], &[OTHER]].concat();
            is_refused(upgrade(&stage, helm, &after).await, "serviceAccount.name", "run");
            upgrade(&stage, helm, &[&before[..], &["replicas=0"]].concat()).await.expect("it ends");
            upgrade(&stage, helm, &OWN).await.expect("the second step");
        }
    }
}

/// One of an older chart, or after a rollback to it.
pub async fn a_release_that_does_not_say_what_it_brought_is_taken_to_have_brought_all(
    env: Arc<Env>,
) {
    for helm in [Helm::Four, Helm::Three] {
        let stage = Stage::new(Arc::clone(&env), "unsaid").await;
        upgrade(&stage, helm, &[]).await.expect("it installs");
        let annotate = ["annotate", "deployment", NAME, "oauth-keeper.dev/brings-"];
        let annotate = [&annotate[..], &["--namespace", &stage.namespace]].concat();
        stage.env.control_plane.kubectl(&annotate).await;
        let losses: [(&str, &[&str]); 4] = [
            ("serviceAccount.name", &["serviceAccount.name=other"]),
            ("serviceAccount.create", &["serviceAccount.create=false", OWN_ACCOUNT]),
            ("rbac.create", &["rbac.create=false"]),
            ("operator.enabled", &["operator.enabled=false", "admissionPolicy.enabled=true"]),
        ];
        for (value, change) in losses {
            let refusal = upgrade(&stage, helm, change).await;
            let why = "(and the old chart: the release does not say what it brought)";
            assert!(refusal.as_ref().is_err_and(|refusal| refusal.contains(why)), "{refusal:?}");
            is_refused(refusal, value, "run");
        }
        upgrade(&stage, helm, &[]).await.expect("nothing is taken, and now it says so");
        is_refused(upgrade(&stage, helm, &["rbac.create=false"]).await, "rbac.create", "run");
    }
}

/// The account of the release, though not made by it.
const OWN_ACCOUNT: &str = "serviceAccount.name=oauth-keeper";

/// The change, and both namespaces, unless it is these that are changed.
fn with_both<'a>(both: &'a str, value: &str, change: &[&'a str]) -> Vec<&'a str> {
    let watched = if value == "watchNamespaces" { None } else { Some(both) };
    watched.into_iter().chain(change.iter().copied()).collect()
}

fn is_refused(done: Result<String, String>, value: &str, pods: &str) {
    let refusal = done.expect_err("pods would lose their rights");
    let said = format!("{value} can't be changed so while pods of the release {pods}: ");
    assert!(refusal.contains(&said), "{said}: {refusal}");
    assert!(refusal.contains("with --set replicas=0 and the old values"), "{refusal}");
}

/// What a kubelet that takes its time leaves there: a pod of the release that is being deleted.
async fn make_ending(pods: &Api<Pod>, arguments: &[&str]) {
    let labels = json!({"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": NAME});
    let pod = json!({
        "metadata": {"name": "ending", "labels": labels, "finalizers": ["example.com/ending"]},
        "spec": {
            "serviceAccountName": NAME,
            "automountServiceAccountToken": false,
            "containers": [{"name": NAME, "image": "none", "args": arguments}],
        },
    });
    let pod = serde_json::from_value(pod).expect("it is a Pod");
    pods.create(&PostParams::default(), &pod).await.expect("a pod can be made");
    pods.delete("ending", &DeleteParams::default()).await.expect("it is ending");
}

async fn ends(pods: &Api<Pod>) {
    let end = json!({"metadata": {"finalizers": null}});
    let end = pods.patch("ending", &PatchParams::default(), &Patch::Merge(end)).await;
    end.expect("the pod goes");
}

/// The Deployment of another name would have a Lease of its own, and be made before the old one goes.
pub async fn a_new_name_takes_two_steps(env: Arc<Env>) {
    for helm in [Helm::Four, Helm::Three] {
        let stage = Stage::new(Arc::clone(&env), "renamed").await;
        upgrade(&stage, helm, &[]).await.expect("it installs");
        let renamed = "fullnameOverride=other";
        let values = "fullnameOverride, nameOverride or serviceAccount";
        is_refused(upgrade(&stage, helm, &[renamed]).await, values, "run");
        upgrade(&stage, helm, &["replicas=0"]).await.expect("the first step");
        upgrade(&stage, helm, &[renamed]).await.expect("the second");
    }
}

/// Kubernetes would refuse the Deployment alone, and the Service would find no pods any more.
pub async fn a_new_name_of_the_pods_needs_a_new_deployment(env: Arc<Env>) {
    for helm in [Helm::Four, Helm::Three] {
        let stage = Stage::new(Arc::clone(&env), "selector").await;
        upgrade(&stage, helm, &[]).await.expect("it installs");
        let renamed = ["nameOverride=other", "fullnameOverride=oauth-keeper"];
        let remedy = format!(
            "nameOverride can't be changed while the Deployment {NAME} is there ({NAME}, then other)"
        );
        for replicas in ["replicas=2", "replicas=0"] {
            let refusal = upgrade(&stage, helm, &[&renamed[..], &[replicas]].concat()).await;
            let refusal = refusal.expect_err("its selector can't change");
            assert!(refusal.contains(&remedy), "{refusal}");
            upgrade(&stage, helm, &[replicas]).await.expect("the old name is taken");
        }
        let delete = ["delete", "deployment", NAME, "--namespace", &stage.namespace];
        stage.env.control_plane.kubectl(&delete).await;
        upgrade(&stage, helm, &renamed).await.expect("a new Deployment has a new selector");
        upgrade(&stage, helm, &renamed).await.expect("there is no change any more");
    }
}

/// kubectl and the chart both say how many pods there are. Helm 4 asks which of them is right; Helm 3 does not, nor
/// does Helm 4 in a release that Helm 3 has made.
pub async fn what_kubectl_scaled_is_the_chart_s_again(env: Arc<Env>) {
    for helm in [Helm::Four, Helm::Three] {
        let stage = Stage::new(Arc::clone(&env), "scaled").await;
        upgrade(&stage, helm, &[]).await.expect("it installs");
        scale(&stage, "1").await;
        if helm == Helm::Four {
            let refusal = upgrade(&stage, helm, &["replicas=3"]).await;
            let refusal = refusal.expect_err("it does not know which is meant");
            assert!(refusal.contains("conflict with \"kubectl\""), "{refusal}");
            assert!(refusal.contains(".spec.replicas"), "{refusal}");
            // Either way of the document: what kubectl said, or the chart by force.
            upgrade(&stage, helm, &["replicas=1"]).await.expect("they agree");
            scale(&stage, "2").await;
            let forced = upgrade_with(&stage, helm, &["replicas=3"], &["--force-conflicts"]).await;
            forced.expect("the chart is right");
        } else {
            for next in [Helm::Three, Helm::Four] {
                scale(&stage, "1").await;
                upgrade(&stage, next, &[]).await.expect("nothing has changed in the chart");
                assert_eq!(replicas(&stage).await, "2", "{next:?}: the chart's number again");
            }
            upgrade(&stage, helm, &["replicas=3"]).await.expect("the chart is right");
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
