//! What is left of releases that are gone, in a cluster of their own. No pod runs there; the operator is a process with the
//! rights of the release.

#[path = "../cluster/inventory.rs"]
mod inventory;

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::api::DeleteParams;
use oauth_keeper_test_support::authorization_server::AuthorizationServer;
use oauth_keeper_test_support::control_plane::ControlPlane;
use oauth_keeper_test_support::operator::OperatorOptions;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::{chart, helm, wait};
use serde_json::json;

use crate::stage::{HOUR, SOON, Stage, Watched, eager, server, spec, started};

/// The release, its namespace, and, after it, its account and Lease.
const NAME: &str = "oauth-keeper";
/// What the release with Roles alone watches.
const WATCHED: &str = "oauth-keeper-tenant";
const CREDENTIAL: &str = "c";

/// The whole of a release that is limited to namespaces goes, but for what users made and the Lease.
pub async fn a_release_with_roles_alone_leaves_what_it_must(_: Arc<Env>) {
    let stage = Cluster::start().await;
    stage.helm(&["install", "oauth-keeper-cluster", "--set", "operator.enabled=false"]).await;
    stage.crds_are_served().await;
    let before = stage.inventory().await;

    let watched = format!("watchNamespaces={{{WATCHED}}}");
    stage.helm(&["install", NAME, "--set", &watched, "--set", "crds.enabled=false"]).await;
    let more = &stage.inventory().await - &before;
    assert!(more.iter().any(|object| *object == format!("Role {WATCHED}/{NAME}")), "{more:?}");
    assert!(more.iter().all(|object| object.contains('/')), "in no namespace: {more:?}");
    let server = server(HOUR).await;
    let operator = stage.operator_with_credential(&server).await;
    assert!(operator.stop().await.success());
    stage.helm_uninstall(NAME).await;

    let left = &stage.inventory().await - &before;
    let mut wanted = stage.of_credential();
    wanted.insert(format!("Lease {NAME}/{NAME}"));
    assert_eq!(left, wanted);
    let gone = &before - &stage.inventory().await;
    assert_eq!(gone, BTreeSet::new());
    stage.env.stop().await;
}

/// As the document says: they are deleted, and wait for as long as a credential has its finalizer.
pub async fn crds_that_are_not_kept_go_with_their_credentials(_: Arc<Env>) {
    let stage = Cluster::start().await;
    let leaving = ["--set", "crds.keep=false"];
    for credential_goes_first in [true, false] {
        stage.helm(&[&["install", NAME], &leaving[..]].concat()).await;
        stage.crds_are_served().await;
        let server = server(HOUR).await;
        let operator = stage.operator_with_credential(&server).await;
        if credential_goes_first {
            let deleted = stage.credentials().delete(CREDENTIAL, &DeleteParams::default()).await;
            deleted.expect("it can be deleted");
            stage.gone(CREDENTIAL).await;
        }
        assert!(operator.stop().await.success());
        stage.helm_uninstall(NAME).await;
        if !credential_goes_first {
            is_waited_for(&stage).await;
            let patch = json!({"metadata": {"finalizers": null}}).to_string();
            let of_kind = ["patch", "oac", CREDENTIAL, "--namespace", WATCHED];
            let patch = ["--type=merge", "--patch", &patch];
            stage.env.kubectl(&[&of_kind[..], &patch].concat()).await;
        }
        wait::until_ok("nothing is left of it in the cluster", SOON, || async {
            let left = stage.of_the_whole_cluster().await;
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
        // The Secrets are no part of any of it.
        assert!(stage.target(CREDENTIAL).await.contains_key("access_token"));
        for secret in ["c-source", "c-target"] {
            stage.delete_secret(secret).await;
        }
        assert_eq!(stage.secrets_left().await, !credential_goes_first, "the state");
        stage.env.kubectl(&["delete", "secret", "--all", "--namespace", WATCHED]).await;
    }
    stage.env.stop().await;
}

/// Of all CRDs that one is still there whose credential is.
async fn is_waited_for(stage: &Cluster) {
    wait::until_ok("the credential is being deleted", SOON, || async {
        let path = "--output=jsonpath={.metadata.deletionTimestamp} {.metadata.finalizers}";
        let get = ["get", "oac", CREDENTIAL, "--namespace", WATCHED, path];
        let said = stage.env.try_kubectl(&get).await?;
        if said.starts_with("20") && said.contains("oauth-keeper.dev") { Ok(()) } else { Err(said) }
    })
    .await;
    let crds = stage.env.kubectl(&["get", "crd", "--output=name"]).await;
    assert!(crds.contains("/oauthcredentials.oauth-keeper.dev"), "{crds}");
}

/// The namespace that is watched, in a cluster of its own.
struct Cluster(Stage<ControlPlane>);

impl std::ops::Deref for Cluster {
    type Target = Stage<ControlPlane>;

    fn deref(&self) -> &Stage<ControlPlane> {
        &self.0
    }
}

impl Cluster {
    async fn start() -> Self {
        let control_plane = ControlPlane::start().await;
        for namespace in [NAME, WATCHED] {
            control_plane.create_namespace(namespace).await;
        }
        let client = control_plane.client();
        Self(Stage { env: Arc::new(control_plane), client, namespace: WATCHED.to_owned() })
    }

    /// `helm install RELEASE CHART …`
    async fn helm(&self, arguments: &[&str]) {
        let chart = chart::folder();
        let chart = chart.to_str().expect("the path is text");
        let [verb, release, values @ ..] = arguments else { panic!("a verb and a release") };
        self.run(&[&[*verb, *release, chart], values].concat()).await;
    }

    async fn helm_uninstall(&self, release: &str) {
        self.run(&["uninstall", release]).await;
    }

    async fn run(&self, arguments: &[&str]) {
        let arguments = [arguments, &["--namespace", NAME]].concat();
        let done = helm::run(self.env.admin_kubeconfig(), &arguments).await;
        done.unwrap_or_else(|error| panic!("{error}"));
    }

    async fn crds_are_served(&self) {
        let wait = ["wait", "crd", "--all", "--for=condition=Established", "--timeout=60s"];
        self.env.kubectl(&wait).await;
        wait::until("the API has its service", SOON, || async {
            let there = self.inventory().await;
            there.contains("APIService v1alpha1.oauth-keeper.dev").then_some(())
        })
        .await;
    }

    /// An operator with the rights of the release, which has made the target of a credential.
    async fn operator_with_credential(&self, server: &AuthorizationServer) -> Watched {
        let kubeconfig = self.env.service_account_kubeconfig(NAME, NAME).await;
        let options = OperatorOptions::new(env!("CARGO_BIN_EXE_oauth-keeper"), kubeconfig);
        let options = options.namespace(WATCHED);
        let operator = started(options.arg("--lease-name").arg(NAME)).await;
        let spec = eager(spec(CREDENTIAL, &server.token_endpoint()));
        self.refreshing(CREDENTIAL, server, spec).await;
        self.ready(CREDENTIAL).await;
        operator
    }

    /// What it and its user made.
    fn of_credential(&self) -> BTreeSet<String> {
        let kinds = ["OAuthCredential", "Secret", "Secret", "Secret"];
        let names = ["c", "c-source", "c-target", "c-oauth-state"];
        let objects = kinds.iter().zip(names);
        objects.map(|(kind, name)| format!("{kind} {}/{name}", self.namespace)).collect()
    }

    async fn secrets_left(&self) -> bool {
        let get = ["get", "secrets", "--output=name", "--namespace", WATCHED];
        !self.env.kubectl(&get).await.is_empty()
    }

    /// What is in no namespace. Not the inventory, for which kinds that are about to go can't be listed.
    async fn of_the_whole_cluster(&self) -> String {
        const KINDS: &str = "customresourcedefinitions,clusterroles,clusterrolebindings,\
                             validatingadmissionpolicies,validatingadmissionpolicybindings";
        let all = self.env.kubectl(&["get", KINDS, "--output=name"]).await;
        let ours: Vec<&str> = all.lines().filter(|name| name.contains("oauth")).collect();
        ours.join(" ")
    }

    /// What has to do with any of it.
    async fn inventory(&self) -> BTreeSet<String> {
        let mut all = inventory::of(&self.env).await;
        all.retain(|object| object.contains("oauth"));
        all
    }
}
