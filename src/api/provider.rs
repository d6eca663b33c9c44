//! The authorization server and how to speak to it.

use kube::KubeSchema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DURATION_PATTERN;

/// An authorization server, given inline.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderSpec {
    /// URL of the token endpoint (RFC 6749 §3.2). `https`, unless the operator runs with `--allow-http`.
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(
        validation = Rule::new("isURL(self) && (self.startsWith('https://') || self.startsWith('http://')) && url(self).getHost() != ''")
            .message("tokenEndpoint must be an absolute URL such as https://auth.example.com/oauth2/token"),
        validation = Rule::new("!self.contains('#')")
            .message("tokenEndpoint must not have a fragment (RFC 6749 section 3.2)"),
        validation = Rule::new("!self.contains('@')")
            .message("tokenEndpoint must not hold a user name or password; put credentials into the source Secret")
    )]
    pub token_endpoint: String,
    /// How the client proves who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authentication: Option<ClientAuthentication>,
    /// How the token request is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestSpec>,
    /// Lifetime of access tokens whose response has no usable `expires_in`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('87600h')")
            .message("defaultLifetime must lie between 1s and 87600h (ten years)")
    )]
    pub default_lifetime: Option<Duration>,
    /// For how long the authorization server accepts a refresh token again after it has replaced it (reuse window,
    /// leeway, grace period): `0s` for a server that takes the second use for theft. Leave it out when you don't know. It
    /// decides what happens after an answer that was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('720h')")
            .message("reuseGrace must lie between 0s and 720h (thirty days)")
    )]
    pub reuse_grace: Option<Duration>,
    /// URL of the revocation endpoint (RFC 7009), on the host of the token endpoint. With it the refresh token is revoked
    /// when the credential is deleted together with its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(
        validation = Rule::new("isURL(self) && (self.startsWith('https://') || self.startsWith('http://')) && url(self).getHost() != ''")
            .message("revocationEndpoint must be an absolute URL such as https://auth.example.com/oauth2/revoke"),
        validation = Rule::new("!self.contains('#') && !self.contains('@')")
            .message("revocationEndpoint must have neither a fragment nor a user name")
    )]
    pub revocation_endpoint: Option<String>,
}

/// How the client proves who it is at the token endpoint (RFC 6749 §2.3).
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientAuthentication {
    /// By default `ClientSecretPost`, or `None` when the source has no client secret. It is never guessed by trying.
    pub method: ClientAuthenticationMethod,
}

/// The methods, named as in the IANA registry of token endpoint authentication methods.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientAuthenticationMethod {
    /// No secret is sent; the client id is, when the source has one.
    None,
    /// `Authorization: Basic`, id and secret form-encoded first (RFC 6749 §2.3.1).
    ClientSecretBasic,
    /// `client_id` and `client_secret` in the body (RFC 6749 §2.3.1).
    ClientSecretPost,
}

/// How the token request is written.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestSpec {
    /// How the body is encoded.
    #[serde(default)]
    pub encoding: Encoding,
}

/// Encodings of the token request's body.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// `application/x-www-form-urlencoded`, as RFC 6749 says.
    #[default]
    Form,
    /// `application/json` with the same members, as some servers want.
    Json,
}
