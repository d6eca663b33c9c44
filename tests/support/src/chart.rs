//! The rights the chart gives the operator, so that no test runs it with more.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize as _;
use serde_json::Value;
use tokio::process::Command;

use crate::control_plane::ControlPlane;
use crate::{tools, wait};

/// After which time a new kind is served, on a busy machine.
const SERVED: Duration = Duration::from_secs(60);

/// Kinds of the chart that make no sense where no pod runs.
const LEFT_OUT: [&str; 3] = ["Deployment", "Service", "PodDisruptionBudget"];

/// What the chart made for one release.
#[derive(Debug, Clone)]
pub struct OperatorRights {
    /// The namespace of the release.
    pub namespace: String,
    /// The ServiceAccount that holds the rights.
    pub service_account: String,
    /// The only Lease it may use.
    pub lease_name: String,
    /// A kubeconfig of that ServiceAccount, whose context has the release's namespace.
    pub kubeconfig: PathBuf,
}

/// Installs the chart's CRDs, ServiceAccount, RBAC and admission policy as a release in `namespace`, which must exist.
///
/// The release is named after the namespace, so that releases in several don't share a ClusterRole.
pub async fn install_operator_rights(
    control_plane: &ControlPlane,
    namespace: &str,
) -> OperatorRights {
    install_operator_rights_with(control_plane, namespace, &[]).await
}

/// The same with values of the chart, each as `helm --set` takes it.
pub async fn install_operator_rights_with(
    control_plane: &ControlPlane,
    namespace: &str,
    values: &[&str],
) -> OperatorRights {
    install(control_plane, &folder(), namespace, values).await
}

/// The objects of a kind that the chart makes with its defaults.
pub async fn rendered(kind: &str) -> Vec<Value> {
    let mut documents = documents(&render(&folder(), "any", &[]).await);
    documents.retain(|document| document["kind"] == kind);
    documents
}

/// The image the chart names unless told otherwise.
pub async fn image() -> String {
    let deployments = rendered("Deployment").await;
    let deployment = deployments.first().expect("the chart makes a Deployment");
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().expect("a container has an image").to_owned()
}

/// Where the chart is.
pub fn folder() -> PathBuf {
    tools::repository_root().join("charts/oauth-keeper")
}

async fn install(
    control_plane: &ControlPlane,
    chart: &Path,
    namespace: &str,
    values: &[&str],
) -> OperatorRights {
    let mut documents = documents(&render(chart, namespace, values).await);
    documents.retain(|document| !LEFT_OUT.iter().any(|kind| document["kind"] == *kind));
    control_plane
        .apply_objects(&documents)
        .await
        .unwrap_or_else(|error| panic!("the chart's rights can't be installed: {error}"));
    let crds = names(&documents, "CustomResourceDefinition");
    are_served(control_plane, &crds).await;
    let service_account =
        names(&documents, "ServiceAccount").pop().expect("the chart makes a ServiceAccount");
    let kubeconfig = control_plane.service_account_kubeconfig(namespace, &service_account).await;
    OperatorRights {
        namespace: namespace.to_owned(),
        service_account,
        lease_name: lease_name(&documents),
        kubeconfig,
    }
}

/// Waits until kinds are established, and until a watch of them is no longer answered with 429 (storage is (re)initializing),
/// which an operator would log.
async fn are_served(control_plane: &ControlPlane, crds: &[String]) {
    if crds.is_empty() {
        return;
    }
    let all = crds.iter().map(|crd| format!("customresourcedefinition/{crd}"));
    let all: Vec<String> = all.collect();
    let wait = ["wait", "--for=condition=Established", "--timeout=60s"];
    let wait: Vec<&str> = wait.into_iter().chain(all.iter().map(String::as_str)).collect();
    control_plane.kubectl(&wait).await;
    for crd in crds {
        let (kind, group) = crd.split_once('.').expect("a CRD is named PLURAL.GROUP");
        let from_the_cache = format!("/apis/{group}/v1alpha1/{kind}?resourceVersion=0");
        let get = ["get", "--raw", &from_the_cache];
        wait::until_ok("a kind can be watched", SERVED, || control_plane.try_kubectl(&get)).await;
    }
}

async fn render(chart: &Path, namespace: &str, values: &[&str]) -> String {
    let helm = tools::installed("helm").await;
    let mut command = Command::new(&helm);
    command.arg("template").arg(namespace).arg(chart).args(["--namespace", namespace]);
    for value in values {
        command.args(["--set", value]);
    }
    let output = command
        .output()
        .await
        .unwrap_or_else(|error| panic!("{} does not start: {error}", helm.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "helm template: {errors}");
    String::from_utf8(output.stdout).expect("helm prints UTF-8")
}

fn documents(yaml: &str) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(yaml)
        .map(|document| Value::deserialize(document).expect("helm prints YAML"))
        .filter(|document| !document.is_null())
        .collect()
}

fn names(documents: &[Value], kind: &str) -> Vec<String> {
    let named = documents.iter().filter(|document| document["kind"] == kind);
    named.filter_map(|document| document["metadata"]["name"].as_str()).map(str::to_owned).collect()
}

/// The Lease named in the chart's own rules; none when leader election is off.
fn lease_name(documents: &[Value]) -> String {
    let rules = documents.iter().filter_map(|document| document["rules"].as_array()).flatten();
    let mut leases = rules.filter(|rule| rule["resources"][0] == "leases");
    let named = leases.find_map(|rule| rule["resourceNames"][0].as_str());
    named.unwrap_or_default().to_owned()
}
