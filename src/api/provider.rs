//! The authorization server and how to speak to it.

mod client_authentication;
mod connection;
mod kinds;
mod reference;
mod request;
mod response;

use kube::KubeSchema;
use kube::core::Duration;
use serde::{Deserialize, Serialize};

use super::DURATION_PATTERN;

pub use self::client_authentication::{
    BasicEncoding, ClientAuthentication, ClientAuthenticationMethod,
};
pub use self::connection::{RateLimitSpec, TlsSpec};
pub use self::kinds::{
    ClusterOAuthProvider, ClusterOAuthProviderSpec, NamespaceSelector, Namespaces, OAuthProvider,
    OAuthProviderSpec, ProviderStatus,
};
pub use self::reference::{CredentialProvider, ProviderKind, ProviderRef};
pub use self::request::{Encoding, Method, RequestSpec};
pub use self::response::{ErrorMeaning, LifetimeUnit, ResponseSpec};

/// An authorization server: inline in a credential, or the spec of an object of its own.
// What few use is boxed, here and in the other types: each credential is in memory.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderSpec {
    /// URL of the token endpoint (RFC 6749 §3.2). `https`, unless the operator runs with `--allow-http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(
        validation = Rule::new("isURL(self) && (self.startsWith('https://') || self.startsWith('http://')) && url(self).getHost() != ''")
            .message("tokenEndpoint must be an absolute URL such as https://auth.example.com/oauth2/token"),
        validation = Rule::new("!self.contains('#')")
            .message("tokenEndpoint must not have a fragment (RFC 6749 section 3.2)"),
        validation = Rule::new("!self.contains('@')")
            .message("tokenEndpoint must not hold a user name or password; put credentials into the source Secret")
    )]
    pub token_endpoint: Option<String>,
    /// The issuer, in place of `tokenEndpoint`: the token endpoint is looked up in the document that it
    /// publishes (RFC 8414, else OpenID Connect Discovery). Written exactly as the document has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(
        validation = Rule::new("isURL(self) && (self.startsWith('https://') || self.startsWith('http://')) && url(self).getHost() != ''")
            .message("issuer must be an absolute URL such as https://auth.example.com"),
        validation = Rule::new("!self.contains('?') && !self.contains('#') && !self.contains('@')")
            .message("issuer must have no query, no fragment and no user name (RFC 8414 section 2)")
    )]
    pub issuer: Option<String>,
    /// How the client proves who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authentication: Option<ClientAuthentication>,
    /// How the token request is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Box<RequestSpec>>,
    /// How the token response is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Box<ResponseSpec>>,
    /// Lifetime of access tokens whose response tells none.
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
    /// The life of each refresh token from its issue, where the response does not say. It is shown in the status, and an
    /// event tells ahead of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('87600h')")
            .message("refreshTokenLifetime must lie between 1m and 87600h (ten years)")
    )]
    pub refresh_token_lifetime: Option<Duration>,
    /// How long a refresh token lives that is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('87600h')")
            .message("refreshTokenIdleLifetime must lie between 1m and 87600h (ten years)")
    )]
    pub refresh_token_idle_lifetime: Option<Duration>,
    /// How long the refresh tokens of one sign-in live in all, however often they are replaced. Counted from the first use of
    /// the one in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('87600h')")
            .message("refreshTokenAbsoluteLifetime must lie between 1m and 87600h (ten years)")
    )]
    pub refresh_token_absolute_lifetime: Option<Duration>,
    /// How long before the access token's expiry the authorization server lets it be renewed; a request that comes earlier
    /// is refused there. No renewal is made before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('87600h')")
            .message("earliestRenewal must lie between 1s and 87600h (ten years)")
    )]
    pub earliest_renewal: Option<Duration>,
    /// URL that refresh tokens are sent to, where that is not the token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(
        validation = Rule::new("isURL(self) && (self.startsWith('https://') || self.startsWith('http://')) && url(self).getHost() != ''")
            .message("refreshEndpoint must be an absolute URL such as https://auth.example.com/oauth2/refresh"),
        validation = Rule::new("!self.contains('#') && !self.contains('@')")
            .message("refreshEndpoint must have neither a fragment nor a user name")
    )]
    pub refresh_endpoint: Option<String>,
    /// URL of the revocation endpoint (RFC 7009), on the host that refresh tokens are sent to. With it the refresh token is revoked
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
    /// TLS with the authorization server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// The most token requests that credentials of this namespace send to the endpoint's host and port. The strictest one
    /// given there by a credential holds for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimitSpec>,
}
