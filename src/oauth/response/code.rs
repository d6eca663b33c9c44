//! The error code of an answer (RFC 6749 §5.2), as servers really write it: a word, a number, or something else where a
//! word should be.

use std::borrow::Cow;

use serde_json::Value;

use crate::oauth::error::{TokenError, from_code, of_meaning};

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
) -> Option<TokenError> {
    let refresh_token = answer.pointer(&style.refresh_token).and_then(Value::as_str);
    if refresh_token.is_some_and(|token| !token.is_empty()) {
        return None;
    }
    let found = found(answer, style)?;
    // That of a code which nobody knows.
    Some(known(&found, status, style).unwrap_or_else(|| from_code("", status)))
}

/// What an answer with a status of failure says; nothing when it says nothing more than the status.
pub(super) fn in_a_refusal(
    answer: &Value,
    status: u16,
    style: &ResponseStyle,
) -> Option<TokenError> {
    known(&found(answer, style)?, status, style)
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
    let (code, is_word) = match found {
        Found::Word(word) => (*word, true),
        Found::Number(number) => (&**number, false),
        Found::Other => return None,
    };
    match style.error_codes.get_key_value(code) {
        // The user's own text, not the server's.
        Some((code, meaning)) => Some(of_meaning(*meaning, code, status)),
        None => is_word.then(|| from_code(code, status)),
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
        is(read(json!({"code": "something_else"}), "/code"), "InvalidRequest");
        assert_eq!(read(json!({"code": 8}), "/code"), None, "the status tells more");
        assert_eq!(read(json!({"error": {"code": 190}}), "/error"), None);
    }

    #[test]
    fn a_success_without_a_token_is_a_refusal_where_it_says_anything_of_an_error() {
        let read = |answer: Value| in_a_success(&answer, 200, &style("/code"));
        for refused in [
            json!({"code": 8}),
            json!({"code": {"why": "x"}}),
            json!({"code": ["x"]}),
            json!({"code": "x"}),
        ] {
            assert!(matches!(read(refused), Some(TokenError::InvalidRequest(_))));
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
    }
}
