//! Cookie sessions: the refresh token is a cookie that is sent with a call of an API, and the access token is a cookie that
//! the answer sets. No standard says so; what the answer holds besides is of no interest.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::{ACCEPT, COOKIE, HeaderValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::cookies::{self, Life};
use super::error::TokenError;
use super::request::{Method, TokenRequest};
use super::response::{Lifetime, MAX_LIFETIME_SECONDS, RawResponse, TokenSet, jwt_expiry};
use super::secret::{AccessToken, KeptText, RefreshToken, is_token};
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
    }
}

/// Reads an answer. It need not be whole: cookies come before the page.
///
/// # Errors
/// Whatever brings no access token, by class.
pub fn parse(raw: &RawResponse, names: &CookieNames) -> Result<TokenSet, TokenError> {
    let found = cookies::find(&raw.set_cookies, &names.access, raw.received_at);
    let found = found.filter(|(value, _)| is_token(value) && is_of_the_session(raw.status));
    let Some((access, life)) = found else {
        return Err(refusal(raw, names));
    };
    let refresh = refresh(raw, names);
    let as_header = format!("{}={access}", names.access);
    Ok(TokenSet {
        access_token: AccessToken::new(access),
        token_type: "Bearer".to_owned(),
        lifetime: lifetime(access, life),
        refresh_token: refresh.map(|(value, _)| RefreshToken::new(value)),
        scopes: Vec::new(),
        refresh_token_lifetime: refresh.and_then(|(_, life)| seconds(life, raw.received_at)),
        fields: BTreeMap::from([(COOKIE_KEY.to_owned(), KeptText::new(as_header))]),
        left_out: Vec::new(),
    })
}

/// Whether the cookies of an answer are those of the session that was shown. With a 401, or an error page, servers begin
/// another one for somebody they don't know.
fn is_of_the_session(status: u16) -> bool {
    status < 500 && !matches!(status, 401 | 408 | 425 | 429)
}

/// The new refresh token in an answer that brings no access token, and is no refusal.
pub fn salvage(raw: &RawResponse, names: &CookieNames) -> Option<RefreshToken> {
    if raw.status >= 400 {
        return None;
    }
    refresh(raw, names).map(|(value, _)| RefreshToken::new(value))
}

fn refresh<'a>(raw: &'a RawResponse, names: &CookieNames) -> Option<(&'a str, Life)> {
    let found = cookies::find(&raw.set_cookies, &names.refresh, raw.received_at);
    found.filter(|(value, _)| is_cookie_value(value))
}

fn lifetime(token: &str, life: Life) -> Lifetime {
    match life {
        Life::Seconds(seconds) => Lifetime::Seconds(seconds.min(MAX_LIFETIME_SECONDS)),
        Life::Until(end) => Lifetime::Until(end),
        Life::Session => jwt_expiry(token).map_or(Lifetime::Missing, Lifetime::Until),
    }
}

fn seconds(life: Life, now: Timestamp) -> Option<i64> {
    let seconds = match life {
        Life::Seconds(seconds) => seconds,
        Life::Until(end) => end.duration_since(now).as_secs(),
        Life::Session => return None,
    };
    (1..=MAX_LIFETIME_SECONDS).contains(&seconds).then_some(seconds)
}

/// An answer without the access token. A refresh token that was replaced would have come with it, so that the old one is
/// as good as before, unless somebody on the way answered in the server's place.
fn refusal(raw: &RawResponse, names: &CookieNames) -> TokenError {
    let status = raw.status;
    let without =
        || format!("the server answered {status} without a usable cookie {}", names.access);
    match status {
        // Its new refresh token must not be lost.
        ..=399 if refresh(raw, names).is_some() => TokenError::Invalid(without()),
        401 => TokenError::InvalidGrant(without()),
        429 => TokenError::RateLimited { retry_after: raw.asks_to_wait() },
        408 | 425 | 500..=599 => TokenError::Server { status, retry_after: raw.asks_to_wait() },
        300..=399 => TokenError::Invalid(format!(
            "the server answered with a redirect ({status}), which is not followed"
        )),
        _ => TokenError::InvalidRequest(without()),
    }
}

#[cfg(test)]
mod tests;
