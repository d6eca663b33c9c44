//! The error code of an answer (RFC 6749 §5.2), as servers really write it: a word, a number, or something else where a
//! word should be.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::Value;

use crate::oauth::error::{TokenError, from_code, of_meaning, unlisted};
use crate::oauth::sent::Sent;

use super::ResponseStyle;

/// What is found at the place of the error code.
enum Found<'a> {
    /// A word.
    Word(&'a str),
    /// A number, as it is written.
    Number(Cow<'a, str>),
    /// A list, or an object with what the server has to say.
    Other,
}

/// What an answer refuses that has a status of success, and no access token. One that brings a refresh token refuses
/// nothing, whatever it says: that token must not be lost.
pub(super) fn in_a_success(
    answer: &Value,
    status: u16,
    style: &ResponseStyle,
    sent: &Sent,
) -> Option<TokenError> {
    let refresh_token = answer.pointer(&style.refresh_token).and_then(Value::as_str);
    // The one that was sent is no new one.
    if refresh_token.is_some_and(|token| !token.is_empty() && !sent.has(token)) {
        return None;
    }
    let found = found(answer, style)?;
    Some(known(&found, status, style).unwrap_or_else(|| unlisted(status)))
}

/// What an answer with a status of failure says; nothing when it says nothing more than the status.
pub(super) fn in_a_refusal(
    answer: &Value,
    status: u16,
    style: &ResponseStyle,
) -> Option<TokenError> {
    let found = found(answer, style)?;
    known(&found, status, style).or_else(|| match found {
        Found::Word(word) if !is_of_the_status(word, status) => Some(unlisted(status)),
        // The status tells more.
        _ => None,
    })
}

/// Whether an answer names an error.
pub(super) fn is_named(answer: &Value, style: &ResponseStyle) -> bool {
    found(answer, style).is_some()
}

/// Whether a word says no more than the status: what HTTP calls that.
fn is_of_the_status(word: &str, status: u16) -> bool {
    let phrase = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    phrase.is_some_and(|phrase| phrase.eq_ignore_ascii_case(word))
}

fn found<'a>(answer: &'a Value, style: &ResponseStyle) -> Option<Found<'a>> {
    match answer.pointer(&style.error)? {
        Value::String(word) if !word.is_empty() => Some(Found::Word(word)),
        // Zero says that all is well.
        Value::Number(number) if number.as_f64() != Some(0.0) => {
            Some(Found::Number(number.to_string().into()))
        }
        Value::Object(object) if !object.is_empty() => Some(Found::Other),
        Value::Array(list) if !list.is_empty() => Some(Found::Other),
        _ => None,
    }
}

/// What a code means that the user or a standard knows.
fn known(found: &Found<'_>, status: u16, style: &ResponseStyle) -> Option<TokenError> {
    let code = match found {
        Found::Word(word) => *word,
        Found::Number(number) => &**number,
        Found::Other => return None,
    };
    match style.error_codes.get_key_value(code) {
        // The user's own text, not the server's.
        Some((code, meaning)) => Some(of_meaning(*meaning, code, status)),
        None => from_code(code, status),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn style(error: &str) -> ResponseStyle {
        let style = json!({"error": error, "errorCodes": {
            "190": "InvalidGrant", "RefreshToken": "InvalidGrant", "Application": "InvalidClient",
            "40100": "Temporary", "busy": "Temporary", "7": "InvalidRequest",
        }});
        serde_json::from_value(style).unwrap()
    }

    #[test]
    fn codes_of_the_server_s_own_may_be_words_or_numbers_anywhere_in_the_answer() {
        let read = |answer: Value, error| in_a_refusal(&answer, 400, &style(error));
        let is = |found: Option<TokenError>, class: &str| {
            let class_found = format!("{found:?}");
            assert!(class_found.starts_with(&format!("Some({class}")), "{class_found}");
        };
        is(read(json!({"error": {"code": 190, "type": "E"}}), "/error/code"), "InvalidGrant");
        is(read(json!({"error": {"code": "190"}}), "/error/code"), "InvalidGrant");
        is(
            read(json!({"errors": [{"resource": "Application"}]}), "/errors/0/resource"),
            "InvalidClient",
        );
        is(read(json!({"code": 40100}), "/code"), "Server");
        is(read(json!({"code": 7}), "/code"), "InvalidRequest");
        // A word of a standard means what the standard says, unless the user says something else.
        is(read(json!({"code": "invalid_grant"}), "/code"), "InvalidGrant");
        for wrong_secret in ["invalid_client", "bad_client_secret", "invalid_client_secret"] {
            is(read(json!({"code": wrong_secret}), "/code"), "InvalidClient");
        }
        is(read(json!({"code": "something_else"}), "/code"), "Refused");
        assert_eq!(read(json!({"code": 8}), "/code"), None, "the status tells more");
        assert_eq!(read(json!({"error": {"code": 190}}), "/error"), None);
    }

    #[test]
    fn a_word_that_says_no_more_than_the_status_is_none() {
        let read = |status, word| in_a_refusal(&json!({"error": word}), status, &style("/error"));
        for (status, word) in [(401, "Unauthorized"), (401, "unauthorized"), (403, "Forbidden")] {
            assert_eq!(read(status, word), None, "{status} {word}");
        }
        for (status, word) in [(400, "Unauthorized"), (403, "blocked"), (401, "wrong_client")] {
            let seen = read(status, word);
            let Some(TokenError::Refused { unauthorized, .. }) = seen else {
                panic!("{status} {word}: {seen:?}")
            };
            assert_eq!(unauthorized, status == 401, "{status} {word}");
        }
        assert!(matches!(read(401, "invalid_grant"), Some(TokenError::InvalidGrant(_))));
        assert!(matches!(read(401, "busy"), Some(TokenError::Server { .. })));
    }

    #[test]
    fn a_success_without_a_token_is_a_refusal_where_it_says_anything_of_an_error() {
        let sent = Sent::of(["rt1"]);
        let read = |answer: Value| in_a_success(&answer, 200, &style("/code"), &sent);
        for refused in [
            json!({"code": 8}),
            json!({"code": {"why": "x"}}),
            json!({"code": ["x"]}),
            json!({"code": "x"}),
        ] {
            assert!(matches!(read(refused), Some(TokenError::Refused { unauthorized: false, .. })));
        }
        for silent in [
            json!({"code": 0}),
            json!({"code": ""}),
            json!({"code": null}),
            json!({"code": {}}),
            json!({}),
        ] {
            assert_eq!(read(silent), None);
        }
        assert!(matches!(read(json!({"code": 190})), Some(TokenError::InvalidGrant(_))));
        // Somebody has to keep that token.
        assert_eq!(read(json!({"code": 190, "refresh_token": "rt2"})), None);
        let echo = json!({"code": 190, "refresh_token": "rt1"});
        assert!(matches!(read(echo), Some(TokenError::InvalidGrant(_))));
    }
}
