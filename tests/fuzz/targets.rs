//! The readers, each with what must hold for every input.

pub(crate) mod addresses;
pub(crate) mod cookies;
pub(crate) mod discovery;
pub(crate) mod pointers;
pub(crate) mod response;

use jiff::Timestamp;
use oauth_keeper::oauth::error::TokenError;
use oauth_keeper::oauth::response::{
    Ending, Lifetime, MAX_LIFETIME_SECONDS, RawResponse, TokenSet,
};
use oauth_keeper::oauth::secret::{KeptText, RefreshToken, is_token};
use oauth_keeper::oauth::sent::Sent;
use zeroize::Zeroizing;

use crate::corpus::CANARY;

/// An answer that came in whole.
fn answer(status: u16, body: &[u8]) -> RawResponse {
    RawResponse {
        status,
        retry_after: None,
        received_at: Timestamp::UNIX_EPOCH,
        ending: Ending::Whole,
        body: Zeroizing::new(body.to_vec()),
        set_cookies: Vec::new(),
    }
}

/// The first lines of an input, as many as are asked for, and what follows them.
fn lines<const N: usize>(input: &[u8]) -> ([&str; N], &[u8]) {
    let mut rest = input;
    let lines = std::array::from_fn(|_| {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (line, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        std::str::from_utf8(line).unwrap_or_default()
    });
    (lines, rest)
}

/// A token set holds no more than it may, and shows no secret.
fn is_bounded(set: &TokenSet, fields: usize, longest: usize) {
    assert!(is_token(set.access_token.expose()));
    let refresh_token = set.refresh_token.as_ref().map(RefreshToken::expose);
    assert!(
        refresh_token.is_none_or(|token| !token.is_empty() && !token.chars().any(char::is_control))
    );
    assert!((1..=32).contains(&set.token_type.len()) && set.token_type.is_ascii());
    assert!(
        set.scopes.len() <= 100 && set.scopes.iter().all(|scope| (1..=256).contains(&scope.len()))
    );
    assert!(set.fields.len() <= fields);
    assert!(
        set.fields
            .values()
            .map(KeptText::expose)
            .all(|text| text.len() <= longest && !text.chars().any(char::is_control))
    );
    let lives = 1..=MAX_LIFETIME_SECONDS;
    assert!(!matches!(set.lifetime, Lifetime::Seconds(seconds) if !lives.contains(&seconds)));
    assert!(
        !matches!(set.refresh_token_lifetime, Lifetime::Seconds(seconds) if !lives.contains(&seconds))
    );
    let mut shown = set.clone();
    shown.hide_sent(&Sent::of([CANARY]));
    assert!(!format!("{shown:?}").contains(CANARY), "{shown:?}");
}

/// An error is told in words of ours.
fn is_ours(error: &TokenError) {
    for text in [error.why(), format!("{error:?}")] {
        assert!(!text.contains(CANARY) && text.len() <= 300, "{text}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}
