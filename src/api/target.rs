//! The Secret workloads mount.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{COOKIE_NAME_PATTERN, DeletionPolicy, NAME_PATTERN};

/// A Secret in the credential's own namespace, written by the operator with the keys `access_token`,
/// `token_type`, `expires_at` and `authorization`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetSpec {
    /// Name of the Secret. One that exists and was not made for this credential is refused.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Labels to set on the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 63},
    ))]
    #[x_kube(
        validation = Rule::new("self.all(key, !key.startsWith('oauth-keeper.dev/') && key != 'app.kubernetes.io/managed-by')")
            .message("target.labels must not set oauth-keeper.dev/… or app.kubernetes.io/managed-by: the operator does"),
        validation = Rule::new("self.all(key, key.matches('^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))")
            .message("target.labels has a key that is no label key: [prefix/]name, the name at most 63 characters of A-Z a-z 0-9 - _ ."),
        validation = Rule::new("self.all(key, self[key].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))")
            .message("target.labels has a value that is no label value: at most 63 characters of A-Z a-z 0-9 - _ .")
    )]
    pub labels: BTreeMap<String, String>,
    /// Annotations to set on the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 4096},
    ))]
    #[x_kube(
        validation = Rule::new("self.all(key, !key.startsWith('oauth-keeper.dev/'))")
            .message("target.annotations must not set oauth-keeper.dev/…: the operator does"),
        validation = Rule::new("self.all(key, key.matches('^([a-zA-Z0-9]([-a-zA-Z0-9.]{0,251}[a-zA-Z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))")
            .message("target.annotations has a key that is no annotation key: [prefix/]name, the name at most 63 characters of A-Z a-z 0-9 - _ .")
    )]
    pub annotations: BTreeMap<String, String>,
    /// Name of a cookie. With it the target has one key more, `cookie`: the access token in a cookie of this name, as the value
    /// of a `Cookie` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = COOKIE_NAME_PATTERN))]
    pub cookie_name: Option<String>,
    /// What becomes of the Secret when the credential is deleted.
    #[serde(default, skip_serializing_if = "DeletionPolicy::is_default")]
    pub deletion_policy: DeletionPolicy,
}
