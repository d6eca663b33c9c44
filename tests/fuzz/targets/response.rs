//! Token responses.

use std::sync::OnceLock;

use oauth_keeper::oauth::response::{
    Ending, MAX_KEPT, RawResponse, ResponseStyle, parse, salvage_refresh_token,
};
use oauth_keeper::oauth::sent::Sent;

use super::{answer, is_bounded, is_ours, lines};
use crate::corpus;

fn styles() -> &'static [ResponseStyle] {
    static STYLES: OnceLock<Vec<ResponseStyle>> = OnceLock::new();
    STYLES.get_or_init(|| {
        let styles = corpus::styles().into_iter();
        styles.map(|(_, style)| serde_json::from_value(style).unwrap()).collect()
    })
}

pub(crate) fn run(input: &[u8]) {
    let ([status, style, retry_after], body) = lines::<3>(input);
    let style: usize = style.parse().unwrap_or_default();
    let style = &styles()[style % styles().len()];
    let retry_after = Some(retry_after.to_owned());
    let raw = RawResponse { retry_after, ..answer(status.parse().unwrap_or(200), body) };
    for spends in [true, false] {
        reads(&raw, style, spends);
    }
    for ending in [Ending::BrokenOff, Ending::TooLarge] {
        let raw = RawResponse { ending, ..raw.clone() };
        is_ours(&parse(&raw, style, true).unwrap_err());
        salvaged(&raw, style);
    }
}

fn reads(raw: &RawResponse, style: &ResponseStyle, spends: bool) {
    let set = match parse(raw, style, spends) {
        Ok(set) => set,
        Err(error) => {
            is_ours(&error);
            return salvaged(raw, style);
        }
    };
    is_bounded(&set, style.fields.len(), MAX_KEPT);
    assert!((200..300).contains(&raw.status));
    // Written otherwise it says the same.
    let Ok(value @ serde_json::Value::Object(_)) = serde_json::from_slice(&raw.body) else {
        return;
    };
    for body in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
        let again = parse(&answer(raw.status, body.as_bytes()), style, spends).unwrap();
        assert_eq!(again.access_token, set.access_token);
        assert_eq!(again.refresh_token, set.refresh_token);
        assert_eq!((again.lifetime, again.scopes), (set.lifetime.clone(), set.scopes.clone()));
        assert_eq!((again.token_type, again.fields), (set.token_type.clone(), set.fields.clone()));
    }
}

/// What is salvaged is a refresh token as any other.
fn salvaged(raw: &RawResponse, style: &ResponseStyle) {
    if let Some(token) = salvage_refresh_token(raw, style, &Sent::default()) {
        let token = token.expose();
        assert!(!token.is_empty() && token.len() <= raw.body.len());
        assert!(!token.chars().any(char::is_control));
    }
}
