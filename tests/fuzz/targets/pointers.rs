//! JSON pointers (RFC 6901), and what is salvaged by them from answers that were cut.

use oauth_keeper::oauth::response::{Ending, RawResponse, ResponseStyle, salvage_refresh_token};
use oauth_keeper::oauth::sent::Sent;
use serde_json::Value;

use super::{answer, lines};

/// Answers longer than that are cut no more: it takes too long.
const LONGEST: usize = 2048;
/// No more cuts than that are tried of one answer.
const CUTS: usize = 64;

pub(crate) fn run(input: &[u8]) {
    let ([pointer], body) = lines::<1>(input);
    let style = ResponseStyle { refresh_token: pointer.to_owned(), ..ResponseStyle::default() };
    let broken = |body: &[u8]| RawResponse { ending: Ending::BrokenOff, ..answer(200, body) };
    let salvaged = |body: &[u8]| {
        let token = salvage_refresh_token(&broken(body), &style, &Sent::default());
        token.map(|token| token.expose().to_owned())
    };
    let _ = salvaged(body);
    // Written anew, so that each name is there once.
    let Ok(value @ Value::Object(_)) = serde_json::from_slice::<Value>(body) else { return };
    let whole = value.to_string();
    let usable = |text: &&str| !text.is_empty() && !text.chars().any(char::is_control);
    // Else beside the access token.
    let places = [pointer, "/refresh_token", "/refreshToken"];
    let texts = places.into_iter().filter_map(|place| value.pointer(place)?.as_str());
    let texts: Vec<String> = texts.filter(usable).map(ToOwned::to_owned).collect();
    assert_eq!(salvaged(whole.as_bytes()).as_ref(), texts.first(), "{pointer} in {whole}");
    if whole.len() > LONGEST {
        return;
    }
    let mut found = false;
    for cut in (0..whole.len()).step_by(whole.len() / CUTS + 1) {
        let salvaged = salvaged(&whole.as_bytes()[..cut]);
        let is_there = salvaged.as_ref().is_none_or(|token| texts.contains(token));
        assert!(is_there, "{pointer} in {whole} cut at {cut}");
        assert!(!found || salvaged.is_some(), "it is lost again at {cut}: {pointer} in {whole}");
        found = salvaged.is_some();
    }
}
