//! How the client proves who it is.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::signing::SigningAlgorithm;

/// How the client proves who it is at the token endpoint (RFC 6749 §2.3).
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.basicEncoding) || self.method == 'ClientSecretBasic'")
        .message("basicEncoding is used by method ClientSecretBasic alone; remove it"),
    validation = Rule::new("!has(self.algorithm) || (self.method == 'ClientSecretJwt' ? self.algorithm.startsWith('HS') : self.method == 'PrivateKeyJwt' && !self.algorithm.startsWith('HS'))")
        .message("clientAuthentication.algorithm is HS256, HS384 or HS512 with method ClientSecretJwt, one of RS, PS, ES or EdDSA with PrivateKeyJwt, and not used by others"),
    validation = Rule::new("!(has(self.keyId) || has(self.audience) || (has(self.scopesInClaim) && self.scopesInClaim)) || self.method in ['ClientSecretJwt', 'PrivateKeyJwt']")
        .message("clientAuthentication.keyId, audience and scopesInClaim are used by methods ClientSecretJwt and PrivateKeyJwt alone; remove them"),
    validation = Rule::new("!has(self.certificateThumbprint) || !self.certificateThumbprint || self.method == 'PrivateKeyJwt'")
        .message("clientAuthentication.certificateThumbprint is used by method PrivateKeyJwt alone; remove it")
)]
pub struct ClientAuthentication {
    /// By default `ClientSecretPost`, or `None` when the source has no client secret. It is never guessed by trying.
    pub method: ClientAuthenticationMethod,
    /// How `ClientSecretBasic` writes id and secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_encoding: Option<BasicEncoding>,
    /// How the assertion is signed: by default `HS256` with `ClientSecretJwt`, `RS256` with `PrivateKeyJwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<SigningAlgorithm>,
    /// `kid` of the assertion's header, by which the server finds the public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[ -~]+$"))]
    pub key_id: Option<String>,
    /// Name the certificate of the private key in the assertion's header, by `x5t#S256` (RFC 7515 §4.1.8), as Entra ID wants
    /// it. The certificate is the source's `tls.crt`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub certificate_thumbprint: bool,
    /// `aud` of the assertion; by default the URL that token requests go to. Some servers want their issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[ -~]+$"))]
    pub audience: Option<String>,
    /// Put the scopes into the claim `scope` of the assertion, as some servers want, and not into the parameter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scopes_in_claim: bool,
}

/// The methods, named as in the IANA registry of token endpoint authentication methods.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientAuthenticationMethod {
    /// No secret is sent; the client id is, when the source has one.
    None,
    /// `Authorization: Basic`, id and secret form-encoded first (RFC 6749 §2.3.1), unless `basicEncoding` says otherwise.
    ClientSecretBasic,
    /// `client_id` and `client_secret` in the body (RFC 6749 §2.3.1).
    ClientSecretPost,
    /// The certificate `tls.crt` of the source with its key `tls.key`, shown in TLS, and `client_id` in the body (RFC 8705).
    TlsClientAuth,
    /// An assertion in the body that the client secret signs (OpenID Connect Core §9, RFC 7523 §2.2).
    ClientSecretJwt,
    /// An assertion in the body that the source's private key signs (the same).
    PrivateKeyJwt,
}

/// What is done to id and secret before `Authorization: Basic` is made of them.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BasicEncoding {
    /// Both are form-encoded, as RFC 6749 §2.3.1 says.
    #[default]
    Form,
    /// Neither is, as many servers expect. It makes a difference only where they hold other characters than letters,
    /// digits and `-._*`.
    Plain,
    /// The secret is the user name, as it is, and there is no password: the secret says who the client is.
    SecretAlone,
}
