//! How connections to the authorization server are made, and how many requests it bears.

use kube::KubeSchema;
use kube::core::Duration;
use serde::{Deserialize, Serialize};

use crate::api::DURATION_PATTERN;

/// TLS with the authorization server. Certificates are always checked.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// Certificates of authorities in PEM, trusted in place of those of the operator's platform: for a server whose
    /// certificate is of a private authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 131_072))]
    #[x_kube(
        validation = Rule::new("self.contains('-----BEGIN CERTIFICATE-----')")
            .message("tls.caBundle must hold certificates in PEM"),
        validation = Rule::new("!self.contains('PRIVATE KEY-----')")
            .message("tls.caBundle must hold certificates alone; a private key has no place in it")
    )]
    pub ca_bundle: Option<String>,
}

/// So many token requests in so much time.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitSpec {
    /// How many token requests at most.
    #[schemars(range(min = 1, max = 1000))]
    pub requests: i32,
    /// In any stretch of time that long.
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')")
            .message("rateLimit.per must lie between 1s and 24h")
    )]
    pub per: Duration,
}
