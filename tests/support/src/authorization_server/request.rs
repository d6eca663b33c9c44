//! A token request, taken apart.

use std::collections::HashMap;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::{CLIENT_SECRET_PREFIX, Refusal};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Client {
    /// A client that has proved its id by its secret.
    Confidential(String),
    /// A client that has sent no secret.
    Public,
}

impl Client {
    /// Its id; empty for one without a secret.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Confidential(id) => id,
            Self::Public => "",
        }
    }
}

/// What is asked.
#[derive(Debug)]
pub(super) struct TokenRequest {
    pub(super) grant_type: String,
    pub(super) refresh_token: Option<String>,
    pub(super) assertion: Option<String>,
    pub(super) client: Client,
}

impl TokenRequest {
    pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = fields(headers, body)?;
        let client = authenticate(headers, &fields)?;
        Ok(Self {
            grant_type: fields.remove("grant_type").ok_or(Refusal::Request)?,
            refresh_token: fields.remove("refresh_token"),
            assertion: fields.remove("assertion"),
            client,
        })
    }
}

/// What is to be revoked (RFC 7009 §2.1).
#[derive(Debug)]
pub(super) struct RevocationRequest {
    pub(super) token: String,
    pub(super) client: Client,
}

impl RevocationRequest {
    pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = fields(headers, body)?;
        let client = authenticate(headers, &fields)?;
        Ok(Self { token: fields.remove("token").ok_or(Refusal::Request)?, client })
    }
}

/// The secret of the client of that id.
pub(super) fn secret_of(client_id: &str) -> String {
    format!("{CLIENT_SECRET_PREFIX}{client_id}")
}

fn fields(headers: &HeaderMap, body: &[u8]) -> Result<HashMap<String, String>, Refusal> {
    match text(headers, &header::CONTENT_TYPE) {
        Some("application/json") => serde_json::from_slice(body).map_err(|_| Refusal::Request),
        Some("application/x-www-form-urlencoded") => {
            Ok(form_urlencoded::parse(body).into_owned().collect())
        }
        _ => Err(Refusal::Request),
    }
}

fn authenticate(headers: &HeaderMap, fields: &HashMap<String, String>) -> Result<Client, Refusal> {
    let basic = text(headers, &header::AUTHORIZATION);
    let (id, secret) = match (basic, fields.get("client_id"), fields.get("client_secret")) {
        (None, _, None) => return Ok(Client::Public),
        (None, Some(id), Some(secret)) => (id.clone(), secret.clone()),
        // A client must not use two methods at once (RFC 6749 §2.3).
        (Some(basic), _, None) => decode_basic(basic).ok_or(Refusal::Client)?,
        _ => return Err(Refusal::Request),
    };
    if secret == secret_of(&id) { Ok(Client::Confidential(id)) } else { Err(Refusal::Client) }
}

/// Id and secret are form-encoded each before they are joined (RFC 6749 §2.3.1).
fn decode_basic(value: &str) -> Option<(String, String)> {
    let bytes = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let pair = String::from_utf8(bytes).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((form_decode(id), form_decode(secret)))
}

fn form_decode(text: &str) -> String {
    // A name without a value, in the words of the parser.
    form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name).collect()
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
