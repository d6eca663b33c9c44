//! `OAuthProvider` and `ClusterOAuthProvider`: an authorization server that several credentials use.

#![expect(clippy::duplicated_attributes, reason = "each column says its type")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::ProviderSpec;

/// An authorization server and how to speak to it.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "oauth-keeper.dev",
    version = "v1alpha1",
    kind = "OAuthProvider",
    namespaced,
    status = "ProviderStatus",
    derive = "PartialEq",
    shortname = "oap",
    category = "oauth-keeper",
    doc = "An authorization server that the OAuthCredentials of its namespace can name.",
    printcolumn(
        name = "READY",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "REASON",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "ENDPOINT", type_ = "string", json_path = ".spec.tokenEndpoint"),
    printcolumn(name = "ISSUER", type_ = "string", json_path = ".spec.issuer"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("has(self.tokenEndpoint) != has(self.issuer)")
        .message("spec takes exactly one of tokenEndpoint and issuer")
)]
pub struct OAuthProviderSpec {
    /// The authorization server.
    #[serde(flatten)]
    pub provider: ProviderSpec,
}

/// An authorization server, how to speak to it, and who may.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "oauth-keeper.dev",
    version = "v1alpha1",
    kind = "ClusterOAuthProvider",
    status = "ProviderStatus",
    derive = "PartialEq",
    shortname = "coap",
    category = "oauth-keeper",
    doc = "An authorization server that OAuthCredentials of any namespace, or of some, can name.",
    printcolumn(
        name = "READY",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "REASON",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "ENDPOINT", type_ = "string", json_path = ".spec.tokenEndpoint"),
    printcolumn(name = "ISSUER", type_ = "string", json_path = ".spec.issuer"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("has(self.tokenEndpoint) != has(self.issuer)")
        .message("spec takes exactly one of tokenEndpoint and issuer")
)]
pub struct ClusterOAuthProviderSpec {
    /// The namespaces whose credentials may use it; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("has(self.names) || has(self.selector)")
            .message("namespaces needs names or selector; leave it out to allow all namespaces")
    )]
    pub namespaces: Option<Namespaces>,
    /// The authorization server.
    #[serde(flatten)]
    pub provider: ProviderSpec,
}

/// Namespaces, by name or by label: one that either of them names.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Namespaces {
    /// Their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 256),
        inner(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
    /// Labels that they have. Whoever may label namespaces decides then who may use the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<NamespaceSelector>,
}

/// Labels of namespaces.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// All of these.
    #[schemars(extend(
        "minProperties" = 1,
        "maxProperties" = 16,
        "additionalProperties" = {"type": "string", "maxLength": 63},
    ))]
    pub match_labels: BTreeMap<String, String>,
}

/// What the operator saw. It is never read back.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` alone: True while credentials can use the provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
