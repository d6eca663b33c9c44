//! Upgrades that leave the CRDs out. Helm deletes them then, unless they say otherwise in the cluster, whatever the chart says.

use std::sync::Arc;

use oauth_keeper_test_support::chart;
use oauth_keeper_test_support::control_plane::ControlPlane;
use oauth_keeper_test_support::helm::Helm;
use oauth_keeper_test_support::suite::Env;
use serde_json::json;

use super::{NAME, upgrade_with};
use crate::stage::Stage;

const GONE_WITH_THE_RELEASE: &str = "crds.keep=false";
const NO_OPERATOR: &str = "operator.enabled=false";
const ALL: [&str; 3] = ["clusteroauthproviders", "oauthcredentials", "oauthproviders"];

/// By what it is known whether the release had them: its Deployment; without it, or one that says nothing, the CRDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Deployment,
    OldDeployment,
    Crds,
}

pub async fn with_helm_4_does_not_delete_them(_: Arc<Env>) {
    does_not_delete_them(Helm::Four).await;
}

pub async fn with_helm_3_does_not_delete_them(_: Arc<Env>) {
    does_not_delete_them(Helm::Three).await;
}

async fn does_not_delete_them(helm: Helm) {
    let cluster = Cluster::start(helm).await;
    for (known, value) in [
        (Known::Deployment, "crds.upgrade"),
        (Known::Deployment, "crds.enabled"),
        (Known::OldDeployment, "crds.enabled"),
        (Known::Crds, "crds.upgrade"),
    ] {
        let basis: &[&str] = if known == Known::Crds { &[NO_OPERATOR] } else { &[] };
        let upgrade = async |values: &[&str]| cluster.upgrade([basis, values].concat()).await;
        upgrade(&[GONE_WITH_THE_RELEASE]).await.expect("it installs");
        // Helm 3 leaves the mark on CRDs that it takes up again.
        let unmark = ["annotate", "crd", "--all", "helm.sh/resource-policy-"];
        cluster.control_plane.kubectl(&unmark).await;
        if known == Known::OldDeployment {
            cluster.forget_what_it_brings().await;
        }
        // As if what the chart says were enough.
        let change = ["crds.keep=true", &format!("{value}=false")];
        let refusal = upgrade(&change).await.expect_err("the CRDs would go");
        let said = format!("{value} must not be false yet: Helm would delete {}", all());
        assert!(refusal.contains(&said), "{known:?}: {refusal}");
        let remedy =
            "Upgrade the release oauth-keeper in the namespace oauth-keeper with crds.keep=true";
        assert!(refusal.contains(remedy), "{refusal}");

        upgrade(&["crds.keep=true"]).await.expect("the first step");
        upgrade(&change).await.expect("the second");
        upgrade(&change).await.expect("they are left out already");
        assert_eq!(cluster.crds().await, all(), "{known:?}: they stay");
        cluster.helm(&["uninstall", NAME]).await.expect("it goes");
    }
    cluster.stop().await;
}

/// Whoever has taken them over decides, but Helm goes by what this release had.
pub async fn does_not_delete_those_of_another_release(_: Arc<Env>) {
    let cluster = Cluster::start(Helm::Four).await;
    cluster.upgrade(vec![GONE_WITH_THE_RELEASE]).await.expect("it installs");
    let folder = chart::folder();
    let folder = folder.to_str().expect("the path is text");
    let other = ["upgrade", "--install", "heir", folder, "--take-ownership", "--force-conflicts"];
    let other = [&other[..], &["--set", NO_OPERATOR, "--set"]].concat();
    let heir = async |value| cluster.helm(&[&other[..], &[value]].concat()).await;
    heir(GONE_WITH_THE_RELEASE).await.expect("it takes them over");
    let refusal = cluster.upgrade(vec!["crds.enabled=false"]).await;
    let refusal = refusal.expect_err("the CRDs would go");
    assert!(
        refusal.contains("Upgrade the release heir in the namespace oauth-keeper"),
        "{refusal}"
    );
    heir("crds.keep=true").await.expect("the first step");
    cluster.upgrade(vec!["crds.enabled=false"]).await.expect("the second");
    assert_eq!(cluster.crds().await, all());

    // A release that never had them has nothing to do with how they are kept.
    heir(GONE_WITH_THE_RELEASE).await.expect("it may");
    cluster.upgrade(vec!["crds.enabled=false", "replicas=1"]).await.expect("they are not its own");
    assert_eq!(cluster.crds().await, all());
    cluster.stop().await;
}

/// The account tells what the release brought where its Deployment is gone, or was never made.
pub async fn does_not_delete_those_of_which_no_deployment_tells(_: Arc<Env>) {
    let cluster = Cluster::start(Helm::Four).await;
    let watched = "watchNamespaces={oauth-keeper}";
    cluster.upgrade(vec![watched, GONE_WITH_THE_RELEASE]).await.expect("it installs");
    let delete = ["delete", "deployment", "--all", "--namespace", NAME];
    cluster.control_plane.kubectl(&delete).await;
    let refusal = cluster.upgrade(vec![watched, "crds.enabled=false"]).await;
    let refusal = refusal.expect_err("the CRDs would go");
    assert!(refusal.contains("set crds.upgrade=false in its place"), "{refusal}");
    assert_eq!(cluster.crds().await, all());
    cluster.stop().await;
}

/// Of an older chart, or after a rollback to it. Then the CRDs are looked at.
pub async fn does_not_delete_those_of_a_tenant_to_be_of_which_nothing_tells(_: Arc<Env>) {
    for helm in [Helm::Four, Helm::Three] {
        let cluster = Cluster::start(helm).await;
        let watched = "watchNamespaces={oauth-keeper}";
        cluster.upgrade(vec![watched, GONE_WITH_THE_RELEASE]).await.expect("it installs");
        cluster.forget_what_it_brings().await;
        let refusal = cluster.upgrade(vec![watched, "crds.enabled=false"]).await;
        let refusal = refusal.expect_err("the CRDs would go");
        assert!(refusal.contains("set crds.upgrade=false in its place"), "{refusal}");
        let refusal = cluster.upgrade(vec![watched, "crds.upgrade=false"]).await;
        let refusal = refusal.expect_err("the CRDs would go");
        assert!(refusal.contains("with crds.keep=true and no other change first"), "{refusal}");
        assert_eq!(cluster.crds().await, all());
        // They are those of another release.
        for crd in ALL {
            let crd = format!("{crd}.oauth-keeper.dev");
            let other = ["annotate", "crd", &crd, "meta.helm.sh/release-name=x", "--overwrite"];
            cluster.control_plane.kubectl(&other).await;
        }
        cluster.control_plane.kubectl(&["annotate", "crd", "--all", KEPT]).await;
        cluster.upgrade(vec![watched, "crds.enabled=false"]).await.expect("it is a tenant");
        assert_eq!(cluster.crds().await, all());
        cluster.stop().await;
    }
}

const KEPT: &str = "helm.sh/resource-policy=keep";

/// When a release goes, Helm goes by what its chart says. So the notes are right, whatever mark there is.
pub async fn with_helm_3_deletes_marked_ones_with_a_release_that_does_not_keep_them(_: Arc<Env>) {
    let cluster = Cluster::start(Helm::Three).await;
    cluster.upgrade(vec![]).await.expect("it installs");
    cluster.helm(&["uninstall", NAME]).await.expect("it goes");
    assert_eq!(cluster.crds().await, all(), "they stay");
    let said = cluster.upgrade(vec![GONE_WITH_THE_RELEASE]).await.expect("it takes them up");
    assert!(said.contains("WARNING: the CRDs go with this release"), "{said}");
    let path = r"--output=jsonpath={.items[*].metadata.annotations.helm\.sh/resource-policy}";
    let marks = cluster.control_plane.kubectl(&["get", "crd", path]).await;
    assert_eq!(marks, "keep keep keep", "Helm 3 leaves the mark");
    cluster.helm(&["uninstall", NAME]).await.expect("it goes");
    assert_eq!(cluster.crds().await, "");
    cluster.stop().await;
}

/// A release without an operator has no Deployment that could tell of it.
pub async fn takes_no_policy_away_from_the_cluster(_: Arc<Env>) {
    for helm in [Helm::Four, Helm::Three] {
        let cluster = Cluster::start(helm).await;
        cluster.upgrade(vec![NO_OPERATOR]).await.expect("it installs");
        let watched = "watchNamespaces={oauth-keeper}";
        let refusal = cluster.upgrade(vec![watched, "crds.enabled=false"]).await;
        let refusal = refusal.expect_err("policy and roles would go");
        assert!(refusal.contains("set crds.upgrade=false in its place"), "{refusal}");
        cluster.upgrade(vec![watched, "crds.upgrade=false"]).await.expect("the first step");
        cluster.upgrade(vec![watched, "crds.enabled=false"]).await.expect("the second");
        assert_eq!(cluster.crds().await, all());
        cluster.stop().await;
    }
}

pub async fn says_at_the_first_installation_that_there_are_none(_: Arc<Env>) {
    const WARNING: &str = "WARNING: the CRDs are not in the cluster";
    for helm in [Helm::Four, Helm::Three] {
        let cluster = Cluster::start(helm).await;
        for value in ["crds.enabled", "crds.upgrade"] {
            let without = format!("{value}=false");
            let said = cluster.upgrade(vec![&without]).await.expect("it installs");
            assert!(said.contains(WARNING) && said.contains(&without), "{said}");
            cluster.helm(&["uninstall", NAME]).await.expect("it goes");
        }
        let said = cluster.upgrade(vec![]).await.expect("it installs");
        assert!(!said.contains(WARNING), "{said}");
        cluster.helm(&["uninstall", NAME]).await.expect("it goes");
        cluster.are_served().await;
        let said = cluster.upgrade(vec!["crds.enabled=false"]).await.expect("it installs");
        assert!(!said.contains(WARNING), "{said}");
        cluster.stop().await;
    }
}

/// Who has rights in one namespace can't see CRDs, and Helm takes a look that is forbidden for an error.
pub async fn needs_no_right_on_them_in_a_release_of_one_namespace(env: Arc<Env>) {
    for helm in [Helm::Four, Helm::Three] {
        let stage = Stage::new(Arc::clone(&env), "tenant").await;
        make_tenant(&stage).await;
        let upgrade = || upgrade_with(&stage, helm, &[], &["--kube-as-user", TENANT]);
        let said = upgrade().await.expect("it installs");
        assert!(!said.contains("the CRDs are not in the cluster"), "{said}");
        upgrade().await.expect("its Deployment says that it never had them");
        kubectl(&stage, &["annotate", "deployment", NAME, "oauth-keeper.dev/brings-"]).await;
        upgrade().await.expect("its account tells that it is a release of a namespace");
        kubectl(&stage, &["delete", "deployment", NAME]).await;
        upgrade().await.expect("so it does without a Deployment");
        kubectl(&stage, &["delete", "deployment,serviceaccount", NAME]).await;
        upgrade().await.expect("and its role does");

        // Of an older chart: nothing tells of it.
        for object in TELLERS {
            kubectl(&stage, &["annotate", object, "oauth-keeper.dev/brings-"]).await;
        }
        let refusal = upgrade().await.expect_err("it looks for CRDs");
        assert!(
            refusal.contains(r#"cannot get resource "customresourcedefinitions""#),
            "{refusal}"
        );
        let (_, remedy) = refusal.split_once("annotate its Deployment with ").expect(&refusal);
        let annotation = remedy.split_once('"').expect("it is a name in quotes").0;
        kubectl(&stage, &["annotate", TELLERS[0], annotation]).await;
        upgrade().await.expect("it is told");
        upgrade().await.expect("it tells itself");
    }
}

/// What says of a release what it brings, first its Deployment.
const TELLERS: [&str; 3] =
    ["deployment/oauth-keeper", "serviceaccount/oauth-keeper", "role/oauth-keeper-pods"];

const TENANT: &str = "tenant-of-helm";

/// Who may do anything in the namespace, and nothing outside of it.
async fn make_tenant(stage: &Stage) {
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": format!("{group}/v1"),
        "kind": "RoleBinding",
        "metadata": {"name": TENANT, "namespace": stage.namespace},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": TENANT}],
    });
    stage.env.control_plane.apply_objects(&[binding]).await.expect("a role can be bound");
}

async fn kubectl(stage: &Stage, arguments: &[&str]) {
    let arguments = [arguments, &["--namespace", &stage.namespace]].concat();
    stage.env.control_plane.kubectl(&arguments).await;
}

/// The names of all CRDs.
fn all() -> String {
    ALL.map(|kind| format!("{kind}.oauth-keeper.dev")).join(", ")
}

/// One of its own, for a release that has CRDs.
struct Cluster {
    control_plane: ControlPlane,
    helm: Helm,
}

impl Cluster {
    async fn start(helm: Helm) -> Self {
        let control_plane = ControlPlane::start().await;
        control_plane.create_namespace(NAME).await;
        Self { control_plane, helm }
    }

    /// The release has these values and the defaults.
    async fn upgrade(&self, values: Vec<&str>) -> Result<String, String> {
        let chart = chart::folder();
        let mut arguments = vec!["upgrade", "--install", NAME];
        arguments.push(chart.to_str().expect("the path is text"));
        arguments.extend(values.iter().flat_map(|value| ["--set", value]));
        self.helm(&arguments).await
    }

    async fn helm(&self, arguments: &[&str]) -> Result<String, String> {
        let arguments = [arguments, &["--namespace", NAME]].concat();
        self.helm.run(self.control_plane.admin_kubeconfig(), &arguments).await
    }

    /// As an older chart leaves it.
    async fn forget_what_it_brings(&self) {
        for object in TELLERS {
            let annotate = ["annotate", object, "oauth-keeper.dev/brings-"];
            self.control_plane.kubectl(&[&annotate[..], &["--namespace", NAME]].concat()).await;
        }
    }

    /// The names of the CRDs that are there and stay.
    async fn crds(&self) -> String {
        let path = "{range .items[*]}{.metadata.name}={.metadata.deletionTimestamp} {end}";
        let get = ["get", "crd", &format!("--output=jsonpath={path}")];
        let crds = self.control_plane.kubectl(&get).await;
        let stay = crds.split_whitespace().filter_map(|crd| crd.strip_suffix('='));
        stay.collect::<Vec<_>>().join(", ")
    }

    async fn are_served(&self) {
        let wait = ["wait", "crd", "--all", "--for=condition=Established", "--timeout=60s"];
        self.control_plane.kubectl(&wait).await;
    }

    async fn stop(self) {
        self.control_plane.stop().await;
    }
}
