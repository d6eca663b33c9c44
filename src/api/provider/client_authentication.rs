//! How the client proves who it is.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the client proves who it is at the token endpoint (RFC 6749 §2.3).
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.basicEncoding) || self.method == 'ClientSecretBasic'")
        .message("basicEncoding is used by method ClientSecretBasic alone; remove it")
)]
pub struct ClientAuthentication {
    /// By default `ClientSecretPost`, or `None` when the source has no client secret. It is never guessed by trying.
    pub method: ClientAuthenticationMethod,
    /// How `ClientSecretBasic` writes id and secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_encoding: Option<BasicEncoding>,
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
}
