//! Who writes credentials, with rights given one by one.

use kube::api::{Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use oauth_keeper_test_support::control_plane::ControlPlane;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::{credentials, wait};
use serde_json::{Value, json};

use super::ENDPOINT;
use crate::access::Right;
use crate::stage::{SOON, Stage, spec};

/// Somebody who may write credentials in a namespace, and whatever else is allowed there one by one.
pub struct Author<'a, E = Env> {
    stage: &'a Stage<E>,
    control_plane: &'a ControlPlane,
    name: &'static str,
    client: Client,
}

impl<'a> Author<'a> {
    /// Comes back when the policy is in force, which takes the API server a moment.
    pub async fn new(stage: &'a Stage, name: &'static str) -> Self {
        let author = Self::of(stage, &stage.env.control_plane, name).await;
        author.meets_policy("may not get the Secret").await;
        author
    }
}

impl<'a, E> Author<'a, E> {
    /// Whether or not there is a policy.
    pub async fn of(
        stage: &'a Stage<E>,
        control_plane: &'a ControlPlane,
        name: &'static str,
    ) -> Self {
        let client = client_of(control_plane, name).await;
        let author = Self { stage, control_plane, name, client };
        for verb in ["get", "create", "patch"] {
            author.may(verb, "oauth-keeper.dev", "oauthcredentials", "").await;
        }
        author
    }

    /// Waits until a credential with a source that is nobody's is refused in these words.
    pub async fn meets_policy(&self, words: &str) {
        wait::until_ok("the policy is in force", SOON, || async {
            match self.apply("unheard-of", spec("unheard-of", ENDPOINT), true).await {
                Err(message) if message.contains(words) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Allows a verb on Secrets; an empty name stands for all.
    pub async fn may_on_secrets(&self, verb: &str, name: &str) {
        self.may(verb, "", "secrets", name).await;
    }

    /// Comes back when the API server goes by it.
    pub async fn may(&self, verb: &str, group: &str, resource: &str, name: &str) {
        let role = format!("{}-{verb}-{resource}-{name}", self.name).replace('/', "-");
        let role = role.trim_matches('-').to_owned();
        let meta = json!({"name": role, "namespace": self.stage.namespace});
        let names: Vec<_> = [name].into_iter().filter(|name| !name.is_empty()).collect();
        let api = "rbac.authorization.k8s.io";
        let objects = [
            json!({"apiVersion": format!("{api}/v1"), "kind": "Role", "metadata": meta, "rules": [{
                "apiGroups": [group], "resources": [resource], "verbs": [verb], "resourceNames": names,
            }]}),
            json!({"apiVersion": format!("{api}/v1"), "kind": "RoleBinding", "metadata": meta,
                "roleRef": {"apiGroup": api, "kind": "Role", "name": role},
                "subjects": [{"apiGroup": api, "kind": "User", "name": self.name}]}),
        ];
        self.control_plane.apply_objects(&objects).await.expect("the role is valid");
        let right = Right::new(verb, group, resource, name);
        right.wait_until_allowed(self.stage, self.name, true).await;
    }

    /// Applies a credential as this author; gives the words of a refusal.
    pub async fn apply(&self, name: &str, spec: Value, dry_run: bool) -> Result<(), String> {
        let object = json!({"apiVersion": "oauth-keeper.dev/v1alpha1", "kind": "OAuthCredential",
            "metadata": {"name": name}, "spec": spec});
        let params = PatchParams { dry_run, ..PatchParams::apply("test").force() };
        self.patch(name, &params, &Patch::Apply(object)).await
    }

    pub async fn merge(&self, name: &str, patch: &Value) -> Result<(), String> {
        self.patch(name, &PatchParams::default(), &Patch::Merge(patch.clone())).await
    }

    async fn patch(
        &self,
        name: &str,
        params: &PatchParams,
        patch: &Patch<Value>,
    ) -> Result<(), String> {
        let credentials = credentials::credentials(&self.client, &self.stage.namespace);
        match credentials.patch(name, params, patch).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) => Err(status.message),
            Err(other) => panic!("the API server does not answer: {other}"),
        }
    }
}

/// A client that acts as this user.
async fn client_of(control_plane: &ControlPlane, user: &str) -> Client {
    let file = Kubeconfig::read_from(control_plane.admin_kubeconfig());
    let file = file.expect("it was written at the start");
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let mut config = config.expect("it is valid");
    config.auth_info.impersonate = Some(user.to_owned());
    Client::try_from(config).expect("it makes a client")
}

pub fn assert_refused(answer: Result<(), String>, words: &str) {
    let message = answer.expect_err(words);
    assert!(message.contains(words), "not: {words}\nbut: {message}");
}
