//! A cluster's admission policy that refuses to have one Secret written.

use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use oauth_keeper_test_support::wait;
use serde_json::json;

use crate::stage::{SOON, Stage};

/// What the policy says.
pub const MESSAGE: &str = "this Secret is frozen by policy";

/// The policy, as long as it is not lifted.
pub struct Freeze {
    name: String,
    secret: String,
}

impl Freeze {
    /// Comes back when the API server refuses to have the Secret created or changed.
    pub async fn of(stage: &Stage, secret: &str) -> Self {
        let name = format!("{}-{secret}", stage.namespace);
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"],
                    "operations": ["CREATE", "UPDATE"],
                }]},
                "validations": [{
                    "expression": format!("object.metadata.name != '{secret}'"),
                    "message": MESSAGE,
                }],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchLabels": {
                    "kubernetes.io/metadata.name": stage.namespace,
                }}},
            },
        });
        let applied = stage.env.control_plane.apply_objects(&[policy, binding]).await;
        applied.expect("the policy is valid");
        let freeze = Self { name, secret: secret.to_owned() };
        freeze.wait_until(stage, true).await;
        freeze
    }

    /// Comes back when the Secret can be written again.
    pub async fn lift(self, stage: &Stage) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            stage.env.control_plane.kubectl(&["delete", kind, &self.name]).await;
        }
        self.wait_until(stage, false).await;
    }

    async fn wait_until(&self, stage: &Stage, frozen: bool) {
        wait::until("the policy has its effect", SOON, || async {
            let mut secret = Secret::default();
            secret.metadata.name = Some(self.secret.clone());
            let dry = PostParams { dry_run: true, ..PostParams::default() };
            // A Secret that exists is as good: policies are asked first.
            let answer = stage.secrets().create(&dry, &secret).await;
            let refused = answer.is_err_and(|error| error.to_string().contains(MESSAGE));
            (refused == frozen).then_some(())
        })
        .await;
    }
}
