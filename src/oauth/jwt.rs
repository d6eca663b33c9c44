//! Signed JSON Web Tokens (RFC 7519, as compact JWS of RFC 7515) that prove who asks.

mod algorithm;
mod jwk;
mod key;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::error::TokenError;
use super::secret::Assertion;

pub use self::algorithm::Algorithm;
pub use self::key::{SigningKey, Unfit};

/// What makes a token unlike any other.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// When it is made.
    pub now: Timestamp,
    /// A name that no other token has.
    pub id: String,
}

/// What a token says (RFC 7519 §4.1).
#[derive(Clone, Debug, Serialize)]
pub(super) struct Claims<'a> {
    pub(super) iss: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) aud: Option<&'a str>,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) jti: &'a str,
    /// Scopes, where the server wants them here (RFC 8693 §4.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<String>,
    #[serde(flatten)]
    pub(super) more: &'a BTreeMap<String, Value>,
}

/// By what the server finds its half of the key.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KeyNames {
    /// An id (RFC 7515 §4.1.4).
    #[serde(rename = "kid", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The SHA-256 digest of the certificate's DER, in base64url (RFC 7515 §4.1.8).
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<String>,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: Algorithm,
    typ: &'static str,
    #[serde(flatten)]
    names: &'a KeyNames,
}

/// Signs what is claimed.
///
/// # Errors
/// [`TokenError::NotSent`]. That passes, for the key was tried when it was read.
pub(super) fn sign(
    key: &SigningKey,
    names: &KeyNames,
    claims: &Claims<'_>,
) -> Result<Assertion, TokenError> {
    let header = Header { alg: key.algorithm(), typ: "JWT", names };
    let signed = encoded(&header).zip(encoded(claims)).and_then(|(header, claims)| {
        let input = format!("{header}.{claims}");
        let signature = key.signature(input.as_bytes())?;
        Some(Assertion::new(format!("{input}.{signature}")))
    });
    signed.ok_or_else(|| TokenError::NotSent("the assertion could not be signed".to_owned()))
}

fn encoded(part: &impl Serialize) -> Option<String> {
    Some(URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).ok()?))
}

#[cfg(test)]
pub(crate) mod tests;
