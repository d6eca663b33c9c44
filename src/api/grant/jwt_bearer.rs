//! The grant that is a signed token.

use std::collections::BTreeMap;

use kube::KubeSchema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::DURATION_PATTERN;
use crate::api::signing::SigningAlgorithm;

/// What the token says that is sent for an access token (RFC 7523 §2.1). The source's private key signs it, or
/// its client secret.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.audience) || !has(self.omitClaims) || !('aud' in self.omitClaims)")
        .message("grant.jwtBearer.audience is not sent where grant.jwtBearer.omitClaims leaves aud out; remove one of them")
)]
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
    /// How it is signed; `RS256` by default. `HS256`, `HS384` and `HS512` take the source's client secret as the key, the
    /// others its private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// Claims that are left out, for servers that refuse them. RFC 7523 §3 wants `aud`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub omit_claims: Vec<OmittedClaim>,
    /// Where the token stands in the request.
    #[serde(default, skip_serializing_if = "AssertionPlace::is_default")]
    pub assertion_in: AssertionPlace,
    /// Put the scopes into the claim `scope`, as Google wants, and not into the parameter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scopes_in_claim: bool,
}

/// Claims that can be left out.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OmittedClaim {
    /// `aud`.
    Aud,
}

/// Where the token stands in the request.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AssertionPlace {
    /// In its member `assertion`, as RFC 7523 §2.1 says.
    #[default]
    Member,
    /// In the header `Authorization`, as a bearer token, as Sentry wants it.
    AuthorizationHeader,
}

impl AssertionPlace {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
