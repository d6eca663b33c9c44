//! The answer in a cookie session: its cookies. What it holds besides is of no interest.

use std::collections::BTreeMap;

use crate::oauth::cookie_session::{COOKIE_KEY, CookieNames, is_cookie_value};
use crate::oauth::cookies::{self, Life};
use crate::oauth::error::TokenError;
use crate::oauth::secret::{AccessToken, KeptText, RefreshToken, is_token};

use super::{Lifetime, MAX_LIFETIME_SECONDS, RawResponse, TokenSet, jwt_expiry};

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
        refresh_token_lifetime: refresh
            .map_or(Lifetime::Missing, |(_, life)| of_cookie(life).unwrap_or(Lifetime::Missing)),
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
    let of_token = || jwt_expiry(token).map_or(Lifetime::Missing, Lifetime::Until);
    of_cookie(life).unwrap_or_else(of_token)
}

/// None for a cookie that lives as long as the session, whatever that is.
fn of_cookie(life: Life) -> Option<Lifetime> {
    match life {
        Life::Seconds(seconds) => Some(Lifetime::Seconds(seconds.min(MAX_LIFETIME_SECONDS))),
        Life::Until(end) => Some(Lifetime::Until(end)),
        Life::Session => None,
    }
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
        _ => TokenError::Refused { unauthorized: false, why: without() },
    }
}

#[cfg(test)]
mod tests;
