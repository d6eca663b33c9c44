//! The release of the chart, as Helm makes it and as its pods show it.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, PostParams};
use oauth_keeper_test_support::helm::Helm;
use oauth_keeper_test_support::{chart, wait};
use serde_json::json;

use crate::env::Env;
use crate::pods::{container_id, is_ready, restarts};
use crate::stage::SOON;

/// The release, its namespace, and, after it, most of its objects.
pub const NAME: &str = "oauth-keeper";
/// What Helm leaves, as users' objects depend on it.
pub const CRDS: [&str; 3] = [
    "oauthcredentials.oauth-keeper.dev",
    "oauthproviders.oauth-keeper.dev",
    "clusteroauthproviders.oauth-keeper.dev",
];
/// How many pods the chart makes.
const REPLICAS: usize = 2;
const INSTALL_OR_UPGRADE: [&str; 2] = ["upgrade", "--install"];
/// Until the pods are ready.
const WAITING: [&str; 3] = ["--wait", "--timeout", "3m"];
/// For what the servers of these tests are.
pub const PLAIN_HTTP: &str = "allowHttp=true";

/// The release.
pub struct Release {
    env: Arc<Env>,
    helm: Helm,
}

impl Release {
    /// Installs the chart with these values in place of its defaults, or makes the release have them, and waits until
    /// its pods are ready.
    pub async fn with(env: &Arc<Env>, values: &[&str]) -> Self {
        let release = Self::of(env, Helm::Four).await;
        release.upgrade(values).await;
        release
    }

    /// Installs the chart with that Helm where no release is, and waits until its pods are ready.
    pub async fn installed_by(helm: Helm, env: &Arc<Env>, values: &[&str]) -> Self {
        let release = Self::of(env, helm).await;
        release.set(&["install"], values, &WAITING).await;
        release.is_whole().await;
        release
    }

    /// With its defaults, but for tests' servers, which speak plain http.
    pub async fn plain(env: &Arc<Env>) -> Self {
        Self::with(env, &[PLAIN_HTTP]).await
    }

    /// Installs the chart and waits for nothing.
    pub async fn begin(env: &Arc<Env>, values: &[&str]) -> Self {
        let release = Self::of(env, Helm::Four).await;
        release.set(&INSTALL_OR_UPGRADE, values, &[]).await;
        release
    }

    /// Nothing of it is there but its namespace.
    async fn of(env: &Arc<Env>, helm: Helm) -> Self {
        env.restricted_namespace(NAME).await;
        Self { env: Arc::clone(env), helm }
    }

    /// Has the pods of one that is there end, so that it can be upgraded to one with fewer rights.
    pub async fn makes_room(env: &Arc<Env>) {
        let release = Self::of(env, Helm::Four).await;
        if !release.pods().await.is_empty() {
            release.stops().await;
        }
    }

    /// With other values.
    pub async fn upgrade(&self, values: &[&str]) {
        self.set(&INSTALL_OR_UPGRADE, values, &WAITING).await;
        self.is_whole().await;
    }

    async fn set(&self, how: &[&str], values: &[&str], more: &[&str]) {
        let folder = chart::folder();
        let folder = folder.to_str().expect("the path is text");
        let mut arguments = [how, &[NAME, folder]].concat();
        for value in values {
            arguments.extend(["--set", value]);
        }
        arguments.extend(more);
        self.helm(&arguments).await;
    }

    /// As it was before the last upgrade.
    pub async fn roll_back(&self) {
        self.helm(&[&["rollback", NAME], &WAITING[..]].concat()).await;
        self.is_whole().await;
    }

    /// Has its pods end, with what they have under way, and waits until they are gone.
    pub async fn stops(&self) {
        let folder = chart::folder();
        let folder = folder.to_str().expect("the path is text");
        let stopped = ["--reset-then-reuse-values", "--set", "replicas=0"];
        self.helm(&[&["upgrade", NAME, folder], &stopped[..]].concat()).await;
        self.has_no_pods().await;
    }

    /// Takes it away, and waits until its pods are gone.
    pub async fn uninstall(self) {
        self.helm(&["uninstall", NAME]).await;
        self.has_no_pods().await;
    }

    async fn has_no_pods(&self) {
        wait::until("its pods are gone", SOON * 2, || async {
            self.pods().await.is_empty().then_some(())
        })
        .await;
    }

    async fn helm(&self, arguments: &[&str]) {
        let kubeconfig = self.env.cluster.control_plane.admin_kubeconfig();
        let arguments = [arguments, &["--namespace", NAME]].concat();
        if let Err(error) = self.helm.run(kubeconfig, &arguments).await {
            panic!("{error}\n{}", self.describe().await);
        }
    }

    /// Waits until it has as many pods as it should, all of them ready and none on its way out, and one of them leads.
    pub async fn is_whole(&self) {
        wait::until_ok("the release is whole", SOON * 4, || async {
            let pods = self.pods().await;
            let ready = pods.iter().filter(|pod| is_ready(pod)).count();
            if (ready, pods.len()) != (REPLICAS, REPLICAS) {
                return Err(format!("{ready} of {} pods are ready", pods.len()));
            }
            self.leader().await.map(drop).ok_or_else(|| "nobody leads".to_owned())
        })
        .await;
    }

    /// What its Lease says; nothing where there is none.
    pub async fn lease(&self) -> LeaseSpec {
        let leases: Api<Lease> = Api::namespaced(self.env.client(), NAME);
        let lease = leases.get_opt(NAME).await.ok().flatten();
        lease.and_then(|lease| lease.spec).unwrap_or_default()
    }

    /// The pod that leads, if one does.
    pub async fn leader(&self) -> Option<Pod> {
        let holder = self.lease().await.holder_identity?;
        // What follows the name tells one process of a pod from the next.
        let (name, _) = holder.rsplit_once('_')?;
        let pods = self.pods().await;
        pods.into_iter().find(|pod| pod.metadata.name.as_deref() == Some(name))
    }

    /// Its pods.
    pub async fn pods(&self) -> Vec<Pod> {
        let selector = ListParams::default().labels(&format!("app.kubernetes.io/instance={NAME}"));
        let pods = self.pod_api().list(&selector).await;
        pods.map(|list| list.items).unwrap_or_default()
    }

    pub fn pod_api(&self) -> Api<Pod> {
        Api::namespaced(self.env.client(), NAME)
    }

    /// What there is to see when something is wrong.
    async fn describe(&self) -> String {
        let control_plane = &self.env.cluster.control_plane;
        control_plane.kubectl(&["--namespace", NAME, "describe", "pods"]).await
    }
}

pub async fn with_defaults_it_runs_where_pod_security_is_restricted(env: Arc<Env>) {
    let release = Release::with(&env, &[]).await;
    for pod in release.pods().await {
        assert_eq!(restarts(&pod), 0);
        assert!(container_id(&pod).is_some());
    }
    let deployments: Api<Deployment> = Api::namespaced(env.client(), NAME);
    let deployment = deployments.get(NAME).await.expect("the Deployment is there");
    assert_eq!(deployment.status.and_then(|status| status.ready_replicas), Some(2));
    a_pod_with_more_rights_is_refused(&env).await;
}

/// So Pod Security is at work.
async fn a_pod_with_more_rights_is_refused(env: &Env) {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "ordinary", "namespace": NAME},
        "spec": {"containers": [{"name": "any", "image": "any"}]},
    });
    let pods: Api<Pod> = Api::namespaced(env.client(), NAME);
    let pod: Pod = serde_json::from_value(pod).expect("it is a pod");
    let refused =
        pods.create(&PostParams::default(), &pod).await.expect_err("it is not restricted");
    assert!(refused.to_string().contains("PodSecurity"), "{refused}");
}
