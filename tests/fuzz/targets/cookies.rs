//! `Set-Cookie` headers of a cookie session.

use http::header::{HeaderValue, SET_COOKIE};
use http::{HeaderMap, header};
use jiff::Timestamp;
use oauth_keeper::oauth::cookie_session::{CookieNames, is_cookie_value};
use oauth_keeper::oauth::cookies::{self, Life, MAX_SET_COOKIE_BYTES};
use oauth_keeper::oauth::response::{RawResponse, ResponseStyle, parse, salvage_refresh_token};
use oauth_keeper::oauth::secret::is_token;
use oauth_keeper::oauth::sent::Sent;

use super::{answer, is_ours, lines};
use crate::corpus::CANARY;

pub(crate) fn run(input: &[u8]) {
    let ([status], rest) = lines::<1>(input);
    let mut headers = HeaderMap::new();
    for line in rest.split(|byte| *byte == b'\n').take(200) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(SET_COOKIE, value);
        }
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    let set_cookies = cookies::set_cookies(&headers);
    assert!(set_cookies.iter().map(|text| text.len()).sum::<usize>() <= MAX_SET_COOKIE_BYTES);

    let names =
        CookieNames { refresh: "refresh-token".to_owned(), access: "access-token".to_owned() };
    for name in [&names.refresh, &names.access] {
        if let Some((value, life)) = cookies::find(&set_cookies, name, Timestamp::UNIX_EPOCH) {
            assert!(!value.is_empty() && !value.contains(';'), "{value:?}");
            assert!(!matches!(life, Life::Seconds(..=0)), "{life:?}");
        }
    }
    let style = ResponseStyle { cookies: Some(names), ..ResponseStyle::default() };
    let raw =
        RawResponse { set_cookies, ..answer(status.parse().unwrap_or(200), CANARY.as_bytes()) };
    match parse(&raw, &style, true) {
        Ok(set) => {
            super::is_bounded(&set, 1, MAX_SET_COOKIE_BYTES);
            assert!(set.refresh_token.is_none_or(|token| is_cookie_value(token.expose())));
            assert!(is_token(set.access_token.expose()));
        }
        Err(error) => is_ours(&error),
    }
    let salvaged = salvage_refresh_token(&raw, &style, &Sent::default());
    assert!(salvaged.as_ref().is_none_or(|token| is_cookie_value(token.expose())));
    assert!(!format!("{salvaged:?}").contains(CANARY));
}
