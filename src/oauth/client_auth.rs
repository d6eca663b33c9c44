//! Client authentication at the token endpoint (RFC 6749 §2.3).

mod jwt;

use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::fingerprint::fingerprint;
use super::secret::{Assertion, ClientSecret};
use super::tls::Identity;

pub use self::jwt::{Client, JwtClient};

/// `client_assertion_type` (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Who the client is and how it proves that. The wrong combinations can't be written.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// Nothing is proved; a public client names itself (RFC 6749 §3.2.1), or does not even do that.
    None {
        /// The client id, when it has one.
        client_id: Option<String>,
    },
    /// `Authorization: Basic`.
    Basic {
        /// The client id.
        client_id: String,
        /// The client secret.
        client_secret: ClientSecret,
        /// How both are written.
        form: BasicForm,
    },
    /// Id and secret in the body.
    Post {
        /// The client id.
        client_id: String,
        /// The client secret.
        client_secret: ClientSecret,
    },
    /// A certificate that is shown in TLS, and the id in the body (RFC 8705 §2).
    Tls {
        /// The client id.
        client_id: String,
        /// The certificate and its key.
        identity: Identity,
    },
    /// Id and an assertion in the body (RFC 7521 §4.2).
    Assertion {
        /// The client id.
        client_id: String,
        /// The assertion, made for one request.
        assertion: Assertion,
    },
}

/// How id and secret become user name and password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BasicForm {
    /// Both form-encoded (RFC 6749 §2.3.1).
    #[default]
    Encoded,
    /// Both as they are, as many servers expect.
    Plain,
    /// The secret as user name, and no password.
    SecretAlone,
}

impl ClientAuth {
    /// What is shown in TLS, if anything is.
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Tls { identity, .. } => Some(identity),
            _ => None,
        }
    }

    /// The value of the `Authorization` header, if the method uses one: id and secret, as a rule form-encoded, joined by a
    /// colon, in base64 (RFC 6749 §2.3.1, RFC 7617 §2).
    pub fn authorization(&self) -> Option<String> {
        let Self::Basic { client_id, client_secret, form } = self else {
            return None;
        };
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let secret = client_secret.expose();
        let pair = Zeroizing::new(match form {
            BasicForm::Encoded => format!("{}:{}", encoded(client_id), encoded(secret)),
            BasicForm::Plain => format!("{client_id}:{secret}"),
            BasicForm::SecretAlone => format!("{secret}:"),
        });
        Some(format!("Basic {}", base64(pair.as_bytes())))
    }

    /// The members that go into the body, in order.
    pub fn body_members(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::None { client_id } => {
                client_id.iter().map(|id| ("client_id", id.as_str())).collect()
            }
            Self::Basic { .. } => Vec::new(),
            Self::Tls { client_id, .. } => vec![("client_id", client_id)],
            Self::Post { client_id, client_secret } => {
                vec![("client_id", client_id), ("client_secret", client_secret.expose())]
            }
            Self::Assertion { client_id, assertion } => vec![
                ("client_id", client_id),
                ("client_assertion_type", JWT_BEARER),
                ("client_assertion", assertion.expose()),
            ],
        }
    }

    /// A digest of id, secret and method: two clients with the same one authenticate alike.
    pub fn fingerprint(&self, salt: &[u8]) -> String {
        let (method, id, secret) = match self {
            Self::None { client_id } => ("none", client_id.as_deref().unwrap_or_default(), ""),
            Self::Basic { client_id, client_secret, form } => {
                let method = match form {
                    BasicForm::Encoded => "basic",
                    BasicForm::Plain => "basic, plain",
                    BasicForm::SecretAlone => "basic, secret alone",
                };
                (method, client_id.as_str(), client_secret.expose())
            }
            Self::Post { client_id, client_secret } => {
                ("post", client_id.as_str(), client_secret.expose())
            }
            // Tokens may be bound to the certificate (RFC 8705 §3): with another one they are asked for anew.
            Self::Tls { client_id, identity } => {
                ("tls", client_id.as_str(), identity.certificate())
            }
            // Made for one request, it says nothing of the key; see `Client::fingerprint`.
            Self::Assertion { client_id, .. } => ("assertion", client_id.as_str(), ""),
        };
        fingerprint(salt, &[method, id, secret])
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_encodes_id_and_secret_before_joining() {
        let auth = |form| ClientAuth::Basic {
            client_id: "a:b".into(),
            client_secret: ClientSecret::new("p+q r"),
            form,
        };
        let forms = [BasicForm::Encoded, BasicForm::Plain, BasicForm::SecretAlone];
        let sent = forms.map(|form| auth(form).authorization());
        // "a%3Ab:p%2Bq+r"
        assert_eq!(sent[0].as_deref(), Some("Basic YSUzQWI6cCUyQnErcg=="));
        // "a:b:p+q r"
        assert_eq!(sent[1].as_deref(), Some("Basic YTpiOnArcSBy"));
        // "p+q r:"
        assert_eq!(sent[2].as_deref(), Some("Basic cCtxIHI6"));
        assert!(auth(BasicForm::Encoded).body_members().is_empty());
        let digests = forms.map(|form| auth(form).fingerprint(b"s"));
        assert!(digests[0] != digests[1] && digests[1] != digests[2]);
    }
}
