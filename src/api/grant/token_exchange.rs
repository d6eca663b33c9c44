//! The grant that gives one token for another.

use kube::KubeSchema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::source::KEY_PATTERN;
use crate::api::{DURATION_PATTERN, NAME_PATTERN};

/// Types of tokens are URIs.
const TYPE_PATTERN: &str = r"^[A-Za-z][-+.A-Za-z0-9]*:[!-~]+$";

/// Another token is given for the access token (RFC 8693 §2.1). It is given again for each renewal.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.actorToken) || !has(self.actorTokenType)")
        .message("tokenExchange.actorTokenType goes with actorToken; remove it or add that")
)]
pub struct TokenExchangeGrant {
    /// The token that is given: it says for whom the new one shall be.
    #[x_kube(
        validation = Rule::new("[has(self.secretKey), has(self.serviceAccount)].filter(set, set).size() == 1")
            .message("tokenExchange.subjectToken takes exactly one of secretKey and serviceAccount")
    )]
    pub subject_token: TokenFrom,
    /// Its type. By default `urn:ietf:params:oauth:token-type:access_token`, and `…:jwt` for that of a service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = TYPE_PATTERN))]
    pub subject_token_type: Option<String>,
    /// The type of token that is wanted; by default the authorization server decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = TYPE_PATTERN))]
    pub requested_token_type: Option<String>,
    /// The token of the party that acts for the other, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("[has(self.secretKey), has(self.serviceAccount)].filter(set, set).size() == 1")
            .message("tokenExchange.actorToken takes exactly one of secretKey and serviceAccount")
    )]
    pub actor_token: Option<TokenFrom>,
    /// Its type, with the same defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = TYPE_PATTERN))]
    pub actor_token_type: Option<String>,
}

/// Where a token comes from. Exactly one member.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TokenFrom {
    /// From a key of the source.
    SecretKey(SecretKeyToken),
    /// Of a service account in the credential's own namespace, made anew for each exchange (`TokenRequest`). The operator
    /// needs the right to make it, which the chart gives only on request (`rbac.serviceAccountTokens`).
    ServiceAccount(ServiceAccountToken),
}

/// A key of the source.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyToken {
    /// Its name; `subject_token` by default, and `actor_token` for the token of the party that acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = KEY_PATTERN))]
    pub key: Option<String>,
}

/// A service account and the token that is wanted of it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountToken {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// For whom its token shall be: what the authorization server calls itself.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[!-~]+$"))]
    pub audience: String,
    /// How long its token lives, which is used once and at once; `10m` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('10m') && duration(self) <= duration('24h')")
            .message("serviceAccount.expiration must lie between 10m, which is the least the API server gives, and 24h")
    )]
    pub expiration: Option<Duration>,
}
