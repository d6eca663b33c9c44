//! The grant that is a signed token.

use std::collections::BTreeMap;

use kube::KubeSchema;
use kube::core::Duration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::DURATION_PATTERN;
use crate::api::signing::SigningAlgorithm;

/// What the token says that is sent for an access token (RFC 7523 §2.1). The source's private key signs it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtBearerGrant {
    /// `iss`: who says it; by default the client id in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[ -~]+$"))]
    pub issuer: Option<String>,
    /// `sub`: in whose name access is asked for. None by default, though RFC 7523 §3 wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[ -~]+$"))]
    pub subject: Option<String>,
    /// `aud`: to whom it is said; by default the token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[ -~]+$"))]
    pub audience: Option<String>,
    /// How long it is good; `5m` by default. It is made anew for each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('10s') && duration(self) <= duration('1h')")
            .message("grant.jwtBearer.lifetime must lie between 10s and 1h")
    )]
    pub lifetime: Option<Duration>,
    /// How it is signed; `RS256` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("!self.startsWith('HS')")
            .message("grant.jwtBearer.algorithm must be one of a private key: RS, PS, ES or EdDSA")
    )]
    pub algorithm: Option<SigningAlgorithm>,
    /// `kid` of its header, by which the server finds the public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[ -~]+$"))]
    pub key_id: Option<String>,
    /// More claims: texts, numbers, truths, lists or objects. `iss`, `sub`, `aud`, `exp`, `nbf`, `iat`, `jti` and `scope` are
    /// made by the operator. At most 4096 bytes as JSON, and 8 levels. They are no place for secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 16,
        "additionalProperties" = {"x-kubernetes-preserve-unknown-fields": true},
    ))]
    pub claims: BTreeMap<String, Value>,
    /// Put the scopes into the claim `scope`, as Google wants, and not into the parameter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scopes_in_claim: bool,
}
