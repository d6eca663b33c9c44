//! The release in a cluster of its own, for it brings the CRDs. No pod runs there; the operator is a process with the
//! rights of the release.

use std::sync::Arc;

use oauth_keeper_test_support::control_plane::ControlPlane;
use oauth_keeper_test_support::helm::Helm;
use oauth_keeper_test_support::operator::OperatorOptions;

use super::charts::Charts;
use crate::stage::{Stage, Watched, started};

/// The release, its namespace, and, after it, its account.
const NAME: &str = "oauth-keeper";

pub struct Release {
    pub stage: Stage<ControlPlane>,
    charts: Charts,
    helm: Helm,
}

impl Release {
    /// Of the older chart.
    pub async fn install_older(helm: Helm) -> Self {
        Self::install_older_with(helm, &[]).await
    }

    /// The same with values.
    pub async fn install_older_with(helm: Helm, values: &[&str]) -> Self {
        let control_plane = ControlPlane::start().await;
        control_plane.create_namespace(NAME).await;
        let namespace = control_plane.namespace("upgraded").await;
        let client = control_plane.client();
        let stage = Stage { env: Arc::new(control_plane), client, namespace };
        let release = Self { stage, charts: Charts::pack(helm).await, helm };
        let values = values.iter().flat_map(|value| ["--set", value]);
        let install = ["install", NAME, &release.charts.older];
        release.helm(&install.into_iter().chain(values).collect::<Vec<_>>()).await;
        release.is_served().await;
        release
    }

    /// In the hands of another Helm from now on.
    pub fn goes_on_with(self, helm: Helm) -> Self {
        Self { helm, ..self }
    }

    /// To the newer chart.
    pub async fn upgrade(&self) {
        self.change(&self.charts.newer, "crds.upgrade=true").await;
        self.is_served().await;
        assert!(self.crd_has_labels().await, "the CRD is the newer one");
    }

    /// To the older chart, as the document has it for those who want to keep the CRDs.
    pub async fn return_to_older_without_crds(&self) {
        self.change(&self.charts.older, "crds.upgrade=false").await;
    }

    /// To the chart that does not know that value.
    pub async fn return_to_oldest(&self, values: &str) -> Result<String, String> {
        self.try_change(&self.charts.oldest, values).await
    }

    /// To the newer chart again, with the CRDs.
    pub async fn come_back(&self, values: &str) {
        self.change(&self.charts.newer, values).await;
    }

    async fn change(&self, chart: &str, value: &str) {
        self.try_change(chart, value).await.unwrap_or_else(|error| panic!("{error}"));
    }

    async fn try_change(&self, chart: &str, value: &str) -> Result<String, String> {
        let values = ["--reset-then-reuse-values", "--set", value];
        self.try_helm(&[&["upgrade", NAME, chart], &values[..]].concat()).await
    }

    /// As a release that leaves the CRDs to another one, in the older chart.
    pub async fn return_to_older_as_a_guest(&self) -> Result<String, String> {
        self.try_change(&self.charts.older, "crds.enabled=false").await
    }

    /// What there is of the cluster's besides the CRDs, by name.
    pub async fn of_the_cluster(&self) -> String {
        let kinds = "validatingadmissionpolicies,validatingadmissionpolicybindings,clusterroles";
        let instance = format!("--selector=app.kubernetes.io/instance={NAME}");
        self.stage.env.kubectl(&["get", kinds, &instance, "--output=name"]).await
    }

    pub async fn roll_back_to_the_first(&self) {
        self.helm(&["rollback", NAME, "1"]).await;
    }

    pub async fn uninstall(&self) {
        self.helm(&["uninstall", NAME]).await;
    }

    /// Of the newer chart.
    pub async fn install(&self) {
        self.helm(&["install", NAME, &self.charts.newer]).await;
        self.is_served().await;
    }

    /// An operator with the release's rights, ready.
    pub async fn operator(&self) -> Watched {
        let kubeconfig = self.stage.env.service_account_kubeconfig(NAME, NAME).await;
        let options = OperatorOptions::new(env!("CARGO_BIN_EXE_oauth-keeper"), kubeconfig);
        started(options.arg("--leader-election=false")).await
    }

    /// Whether the CRD knows the field that the older one lacks.
    pub async fn crd_has_labels(&self) -> bool {
        let path = "{.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.target.properties.labels}";
        let output = format!("--output=jsonpath={path}");
        let crd = ["get", "crd", "oauthcredentials.oauth-keeper.dev", &output];
        !self.stage.env.kubectl(&crd).await.is_empty()
    }

    pub async fn ends(self) {
        self.stage.env.stop().await;
    }

    async fn is_served(&self) {
        let wait = ["wait", "crd", "--all", "--for=condition=Established", "--timeout=60s"];
        self.stage.env.kubectl(&wait).await;
    }

    async fn helm(&self, arguments: &[&str]) {
        self.try_helm(arguments).await.unwrap_or_else(|error| panic!("{error}"));
    }

    async fn try_helm(&self, arguments: &[&str]) -> Result<String, String> {
        let arguments = [arguments, &["--namespace", NAME]].concat();
        self.helm.run(self.stage.env.admin_kubeconfig(), &arguments).await
    }
}
