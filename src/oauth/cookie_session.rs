//! Cookie sessions: the refresh token is a cookie that is sent with a call of an API, and the access token is a cookie that
//! the answer sets. No standard says so.

use http::HeaderMap;
use http::header::{ACCEPT, COOKIE, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::request::{Method, TokenRequest};
use super::secret::RefreshToken;
use super::sent::Sent;
use super::tls::Tls;

/// The key of the target that holds the access token as a `Cookie` header wants it.
pub const COOKIE_KEY: &str = "cookie";

/// Names of the two cookies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CookieNames {
    /// Of the one that holds the refresh token.
    pub refresh: String,
    /// Of the one that holds the access token.
    pub access: String,
}

/// Whether a text can be the value of a cookie: it must not end it.
pub fn is_cookie_value(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains(|c: char| c == ';' || c.is_control())
}

/// Writes the request: a GET with one cookie, and with the headers that the server wants besides.
pub fn request(
    url: &Url,
    names: &CookieNames,
    token: &RefreshToken,
    headers: &HeaderMap,
) -> TokenRequest {
    let mut all = HeaderMap::new();
    all.insert(ACCEPT, HeaderValue::from_static("application/json"));
    all.extend(headers.clone());
    let pair = Zeroizing::new(format!("{}={}", names.refresh, token.expose()));
    // Nothing else is taken for a refresh token of this grant.
    if let Ok(mut value) = HeaderValue::from_bytes(pair.as_bytes()) {
        value.set_sensitive(true);
        all.insert(COOKIE, value);
    }
    TokenRequest {
        method: Method::Get,
        endpoint: url.clone(),
        headers: all,
        body: Zeroizing::default(),
        tls: Tls::default(),
        sent: Sent::of([token.expose()]),
    }
}

#[cfg(test)]
mod tests;
