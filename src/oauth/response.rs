//! The token response (RFC 6749 §5), read as servers really write it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::error::{TokenError, from_code};
use super::secret::{AccessToken, RefreshToken, is_token};

/// The most bytes of a body that are read.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// The longest lifetime that is believed: ten years, in seconds.
pub const MAX_LIFETIME_SECONDS: i64 = 315_360_000;

/// An answer as it came in.
#[derive(Clone)]
pub struct RawResponse {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header (RFC 9110 §10.2.3).
    pub retry_after: Option<String>,
    /// When the answer was complete; a date in `Retry-After` counts from here.
    pub received_at: Timestamp,
    /// Whether it is all of it.
    pub ending: Ending,
    /// The body, wiped when dropped.
    pub body: Zeroizing<Vec<u8>>,
}

/// Whether an answer is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is.
    Whole,
    /// The connection was lost, or time ran out, before its end.
    BrokenOff,
    /// It is larger than what is read of an answer; the rest was not read.
    TooLarge,
}

/// A token response that can be used.
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// `access_token`.
    pub access_token: AccessToken,
    /// `token_type`; `Bearer` when the server names none.
    pub token_type: String,
    /// `expires_in`.
    pub lifetime: Lifetime,
    /// `refresh_token`, when there is one.
    pub refresh_token: Option<RefreshToken>,
    /// `scope`, split at spaces; empty when the server names none.
    pub scopes: Vec<String>,
}

/// What the response says of the access token's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Seconds from the request on, 1 to [`MAX_LIFETIME_SECONDS`].
    Seconds(i64),
    /// No `expires_in`.
    Missing,
    /// An `expires_in` that can't be true; the text says what it was.
    Unusable(String),
}

/// Reads an answer. `spends_token` says whether the request held a refresh token, since a bare 401 then means that token.
///
/// # Errors
/// Whatever is no token set, by class.
pub fn parse(raw: &RawResponse, spends_token: bool) -> Result<TokenSet, TokenError> {
    match raw.ending {
        Ending::Whole => {}
        Ending::BrokenOff => {
            let status = raw.status;
            return Err(TokenError::OutcomeUnknown(format!(
                "the answer ({status}) broke off before its end"
            )));
        }
        Ending::TooLarge => {
            return Err(TokenError::Invalid(format!(
                "the answer is larger than {} KiB",
                MAX_BODY_BYTES / 1024
            )));
        }
    }
    let object = serde_json::from_slice::<Value>(&raw.body).ok().and_then(|value| match value {
        Value::Object(object) => Some(object),
        _ => None,
    });
    match raw.status {
        200..=299 => success(object, raw.status, spends_token),
        429 => Err(TokenError::RateLimited { retry_after: retry_after(raw) }),
        408 | 425 | 500..=599 => {
            Err(TokenError::Server { status: raw.status, retry_after: retry_after(raw) })
        }
        300..=399 => Err(TokenError::Invalid(format!(
            "the token endpoint answered with a redirect ({}), which is not followed",
            raw.status
        ))),
        status => Err(refusal(object.as_ref(), status, spends_token)),
    }
}

/// The refresh token in an answer that is of no other use: broken off behind it, or with nothing else in it that can be
/// used. A token is taken only when it is there to its last character.
pub fn salvage_refresh_token(raw: &RawResponse) -> Option<RefreshToken> {
    const NAME: &[u8] = b"\"refresh_token\"";
    if !(200..300).contains(&raw.status) {
        return None;
    }
    let at = raw.body.windows(NAME.len()).position(|window| window == NAME)?;
    let rest = raw.body.get(at..)?.get(NAME.len()..)?.trim_ascii_start();
    let rest = rest.strip_prefix(b":")?;
    let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<String>();
    let token = Zeroizing::new(values.next()?.ok()?);
    refresh_token(Some(&Value::String(token.to_string()))).ok().flatten()
}

fn success(
    object: Option<Map<String, Value>>,
    status: u16,
    spends_token: bool,
) -> Result<TokenSet, TokenError> {
    let Some(mut object) = object else {
        return Err(TokenError::Invalid(format!(
            "the token endpoint answered {status}, but with no JSON object"
        )));
    };
    let token = object.get("access_token").and_then(Value::as_str).filter(|text| is_token(text));
    let Some(access_token) = token.map(AccessToken::new) else {
        return Err(match error_code(&object) {
            Some(code) => from_code(code, status),
            None => TokenError::Invalid(format!(
                "the token endpoint answered {status} without a usable access_token"
            )),
        });
    };
    let refresh_token = match refresh_token(object.get("refresh_token")) {
        Err(Unusable) if spends_token => {
            return Err(TokenError::Invalid(format!(
                "the token endpoint answered {status} with a refresh_token that can't be used"
            )));
        }
        found => found.unwrap_or_default(),
    };
    let scopes = object.get("scope").and_then(Value::as_str).map(split_scopes).unwrap_or_default();
    let token_type = object
        .get("token_type")
        .and_then(Value::as_str)
        .map_or_else(|| "Bearer".to_owned(), scheme);
    let lifetime = lifetime(object.remove("expires_in").as_ref());
    Ok(TokenSet { access_token, token_type, lifetime, refresh_token, scopes })
}

/// A refresh token that is there, but can't be one.
struct Unusable;

/// The new refresh token, if there is one. Wider than RFC 6749 (appendix A, `VSCHAR`): to leave one out would lose it.
fn refresh_token(value: Option<&Value>) -> Result<Option<RefreshToken>, Unusable> {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if !text.chars().any(char::is_control) => {
            Ok(Some(RefreshToken::new(text.as_str())))
        }
        Some(_) => Err(Unusable),
    }
}

fn refusal(object: Option<&Map<String, Value>>, status: u16, spends_token: bool) -> TokenError {
    let bare = || format!("the authorization server answered {status} without an OAuth error code");
    match object.and_then(error_code) {
        Some(code) => from_code(code, status),
        None if matches!(status, 401 | 403) && spends_token => TokenError::InvalidGrant(bare()),
        None if matches!(status, 401 | 403) => TokenError::InvalidClient(bare()),
        None => TokenError::InvalidRequest(bare()),
    }
}

fn error_code(object: &Map<String, Value>) -> Option<&str> {
    object.get("error").and_then(Value::as_str)
}

/// `expires_in`: a whole number, also as a string or with a zero fraction.
fn lifetime(value: Option<&Value>) -> Lifetime {
    let number = match value {
        None | Some(Value::Null) => return Lifetime::Missing,
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(_) => return Lifetime::Unusable("neither a number nor a string".to_owned()),
    };
    let whole = number.split_once('.').map_or(number.as_str(), |(whole, fraction)| {
        if fraction.bytes().all(|digit| digit == b'0') { whole } else { number.as_str() }
    });
    match whole.parse::<i64>() {
        Ok(seconds @ 1..=MAX_LIFETIME_SECONDS) => Lifetime::Seconds(seconds),
        Ok(seconds) => Lifetime::Unusable(seconds.to_string()),
        Err(_) => Lifetime::Unusable("not a whole number".to_owned()),
    }
}

fn split_scopes(text: &str) -> Vec<String> {
    let plain =
        |scope: &&str| scope.len() <= 256 && scope.bytes().all(|byte| byte.is_ascii_graphic());
    text.split_ascii_whitespace().filter(plain).take(100).map(ToOwned::to_owned).collect()
}

/// The scheme for the `Authorization` header: `Bearer` in its usual spelling, another only if it is a plain word.
fn scheme(token_type: &str) -> String {
    let plain = (1..=32).contains(&token_type.len())
        && token_type
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if plain && !token_type.eq_ignore_ascii_case("bearer") {
        token_type.to_owned()
    } else {
        "Bearer".to_owned()
    }
}

/// `Retry-After`: seconds or an HTTP date.
fn retry_after(raw: &RawResponse) -> Option<Duration> {
    let text = raw.retry_after.as_deref()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Duration::try_from(at.duration_since(raw.received_at)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> RawResponse {
        RawResponse {
            status,
            retry_after: None,
            received_at: Timestamp::UNIX_EPOCH,
            ending: Ending::Whole,
            body: Zeroizing::new(body.as_bytes().to_vec()),
        }
    }

    fn lifetime_of(expires_in: &str) -> Lifetime {
        parse(&answer(200, &format!(r#"{{"access_token":"a","expires_in":{expires_in}}}"#)), true)
            .unwrap()
            .lifetime
    }

    #[test]
    fn reads_the_example_of_rfc_6749() {
        let set = parse(
            &answer(200, r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"example","expires_in":3600,
                "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","example_parameter":"example_value"}"#),
            true,
        )
        .unwrap();
        assert_eq!(set.access_token.expose(), "2YotnFZFEjr1zCsicMWpAA");
        assert_eq!(set.token_type, "example");
        assert_eq!(set.lifetime, Lifetime::Seconds(3600));
        assert_eq!(set.refresh_token.unwrap().expose(), "tGzv3JOkF0XG5Qx2TlKWIA");
    }

    #[test]
    fn a_new_refresh_token_is_never_taken_for_absent() {
        let read = |value: &str, spends| {
            let body = format!(r#"{{"access_token":"a","refresh_token":{value}}}"#);
            parse(&answer(200, &body), spends).map(|set| set.refresh_token)
        };
        for absent in ["null", "false", "\"\""] {
            assert!(matches!(read(absent, true), Ok(None)), "{absent}");
        }
        let long = format!("\"{}\"", "x".repeat(100_000));
        for strange in [r#""tökén""#, long.as_str()] {
            assert!(matches!(read(strange, true), Ok(Some(_))), "{strange}");
        }
        for unusable in ["17", "[]", r#""a\nb""#] {
            assert!(matches!(read(unusable, true), Err(TokenError::Invalid(_))), "{unusable}");
            assert!(matches!(read(unusable, false), Ok(None)), "nothing is spent");
        }
    }

    #[test]
    fn reads_lifetimes_as_servers_write_them() {
        assert_eq!(lifetime_of("3599"), Lifetime::Seconds(3599));
        assert_eq!(lifetime_of("\"3599\""), Lifetime::Seconds(3599));
        assert_eq!(lifetime_of("3600.0"), Lifetime::Seconds(3600));
        assert_eq!(lifetime_of("null"), Lifetime::Missing);
        for wrong in ["0", "-1", "1000000000000", "\"soon\"", "[]", "1.5", "1e400"] {
            let body = format!(r#"{{"access_token":"a","expires_in":{wrong}}}"#);
            let set = parse(&answer(200, &body), true);
            assert!(
                !matches!(
                    set.map(|set| set.lifetime),
                    Ok(Lifetime::Seconds(_) | Lifetime::Missing)
                ),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_200_with_an_error_is_an_error() {
        let error = parse(&answer(200, r#"{"error":"bad_refresh_token"}"#), true).unwrap_err();
        assert!(matches!(error, TokenError::InvalidGrant(_)));
        let error = parse(&answer(200, r#"{"ok":false,"error":"invalid_refresh_token"}"#), true)
            .unwrap_err();
        assert!(matches!(error, TokenError::InvalidGrant(_)));
    }

    #[test]
    fn a_bare_401_means_what_was_sent() {
        let body = r#"{"msg":"Valid authentication token required"}"#;
        assert!(matches!(parse(&answer(401, body), true), Err(TokenError::InvalidGrant(_))));
        assert!(matches!(parse(&answer(401, body), false), Err(TokenError::InvalidClient(_))));
    }

    #[test]
    fn no_text_of_the_server_is_repeated() {
        let body = r#"{"error":"canary-1","error_description":"canary-2"}"#;
        let TokenError::InvalidRequest(text) = parse(&answer(400, body), true).unwrap_err() else {
            panic!()
        };
        assert!(!text.contains("canary"), "{text}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after = |text: &str| {
            let raw = RawResponse { retry_after: Some(text.to_owned()), ..answer(429, "") };
            match parse(&raw, true) {
                Err(TokenError::RateLimited { retry_after }) => retry_after,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after("Thu, 01 Jan 1970 00:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn pages_and_redirects_are_no_token_responses() {
        for raw in [
            answer(200, "<html>"),
            answer(200, "[]"),
            answer(302, ""),
            answer(200, r#"{"access_token":""}"#),
        ] {
            assert!(matches!(parse(&raw, true), Err(TokenError::Invalid(_))), "{}", raw.status);
        }
    }

    #[test]
    fn a_refresh_token_is_salvaged_only_when_it_is_whole() {
        let whole = r#"{"refresh_token" : "a\/b", "access_token": "x"}"#;
        let ends = whole.find(", \"access").unwrap();
        for cut in 0..whole.len() {
            let raw = RawResponse { ending: Ending::BrokenOff, ..answer(200, &whole[..cut]) };
            let salvaged = salvage_refresh_token(&raw);
            assert_eq!(salvaged.is_some(), cut >= ends, "{cut}");
            assert!(salvaged.is_none_or(|token| token.expose() == "a/b"), "{cut}");
            assert!(matches!(parse(&raw, true), Err(TokenError::OutcomeUnknown(_))));
        }
        for nothing in ["", "{}", r#"{"refresh_token": 7}"#, r#"{"refresh_token": "tab\t"}"#] {
            assert_eq!(salvage_refresh_token(&answer(200, nothing)), None, "{nothing}");
        }
        let refusal = answer(400, r#"{"refresh_token":"echoed"}"#);
        assert_eq!(salvage_refresh_token(&refusal), None);
    }
}
