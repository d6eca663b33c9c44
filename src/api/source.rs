//! The Secret the user gives.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::NAME_PATTERN;

/// Keys of Secrets, as Kubernetes allows them.
pub(super) const KEY_PATTERN: &str = r"^[-._a-zA-Z0-9]+$";

/// A Secret in the credential's own namespace. The operator only reads it, unless `writeBack` is true.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceSpec {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Names of its keys where they differ from the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Box<SourceKeys>>,
    /// Write each rotated refresh token into the key it came from, after it is safe in the state Secret. A newer one that
    /// somebody put there is never overwritten.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub write_back: bool,
}

/// Names of the source's keys.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceKeys {
    /// Key of the client id; `client_id` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub client_id: Option<String>,
    /// Key of the client secret; `client_secret` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub client_secret: Option<String>,
    /// Key of a second client secret, which is sent when the authorization server refuses the first; `next_client_secret` by
    /// default. It need not be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub next_client_secret: Option<String>,
    /// Key of the seed refresh token; `refresh_token` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub refresh_token: Option<String>,
    /// Key of the client's certificate with its chain, in PEM; `tls.crt` by default. For `TlsClientAuth`, and for
    /// `PrivateKeyJwt` with `certificateThumbprint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub tls_certificate: Option<String>,
    /// Key of its private key, in PEM; `tls.key` by default. For `TlsClientAuth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub tls_key: Option<String>,
    /// Key of the private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted) or as a JSON Web Key; `private_key` by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub private_key: Option<String>,
    /// Key of the user name; `username` by default. For grant `password` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub username: Option<String>,
    /// Key of the password; `password` by default. For grant `password` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub password: Option<String>,
}
