use http::HeaderMap;
use http::header::COOKIE;
use url::Url;
use zeroize::Zeroizing;

use super::*;
use crate::oauth::cookie_session::request;
use crate::oauth::response::{
    Ending, ResponseStyle, parse as parse_response, salvage_refresh_token,
};
use crate::oauth::sent::Sent;

fn names() -> CookieNames {
    CookieNames { refresh: "refresh-token".into(), access: "access-token".into() }
}

fn answer(status: u16, cookies: &[&str]) -> RawResponse {
    RawResponse {
        status,
        retry_after: None,
        received_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        ending: Ending::Whole,
        body: Zeroizing::default(),
        set_cookies: cookies.iter().map(|text| Zeroizing::new((*text).to_owned())).collect(),
    }
}

const ACCESS: &str = "access-token=at; Max-Age=15; Path=/; HttpOnly; Secure";
const REFRESH: &str = "refresh-token=rt2; Max-Age=2592000; Path=/; HttpOnly; Secure";

#[test]
fn the_access_token_is_a_cookie_whatever_the_page_says() {
    for status in [200, 204, 400, 403, 404] {
        let set = parse(&answer(status, &[ACCESS]), &names()).unwrap();
        assert_eq!(set.access_token.expose(), "at");
        assert_eq!(set.token_type, "Bearer");
        assert_eq!(set.lifetime, Lifetime::Seconds(15));
        assert_eq!(set.refresh_token, None);
        assert_eq!(set.fields.get("cookie").map(KeptText::expose), Some("access-token=at"));
    }
}

#[test]
fn a_page_that_broke_off_or_is_too_large_does_not_matter() {
    for ending in [Ending::BrokenOff, Ending::TooLarge] {
        let raw = RawResponse { ending, ..answer(200, &[ACCESS]) };
        assert!(parse(&raw, &names()).is_ok());
    }
}

#[test]
fn a_refresh_cookie_is_a_new_refresh_token() {
    let set = parse(&answer(200, &[REFRESH, ACCESS]), &names()).unwrap();
    assert_eq!(set.refresh_token, Some(RefreshToken::new("rt2")));
    assert_eq!(set.refresh_token_lifetime, Lifetime::Seconds(2_592_000));
    let until = "refresh-token=rt2; Expires=Fri, 02 Jan 2026 00:00:00 GMT";
    let set = parse(&answer(200, &[until, ACCESS]), &names()).unwrap();
    let end = "2026-01-02T00:00:00Z".parse().unwrap();
    assert_eq!(set.refresh_token_lifetime, Lifetime::Until(end));
    let set = parse(&answer(200, &["refresh-token=rt2", ACCESS]), &names()).unwrap();
    assert_eq!(set.refresh_token_lifetime, Lifetime::Missing);
}

#[test]
fn the_life_is_that_of_the_cookie_or_of_the_token_itself() {
    let life = |cookie: &str| parse(&answer(200, &[cookie]), &names()).unwrap().lifetime;
    let end = "2026-01-02T03:04:05Z".parse().unwrap();
    assert_eq!(
        life("access-token=at; Expires=Fri, 02 Jan 2026 03:04:05 GMT"),
        Lifetime::Until(end)
    );
    assert_eq!(life("access-token=e30.eyJleHAiOjE3NjczMjMwNDV9.c2ln"), Lifetime::Until(end));
    assert_eq!(life("access-token=at"), Lifetime::Missing);
    let longest = Lifetime::Seconds(MAX_LIFETIME_SECONDS);
    assert_eq!(life("access-token=at; Max-Age=99999999999999999999"), longest);
}

#[test]
fn an_answer_without_the_cookie_is_told_by_its_status() {
    let error = |status| parse(&answer(status, &["other=1"]), &names()).unwrap_err();
    assert!(matches!(error(401), TokenError::InvalidGrant(_)));
    assert!(matches!(error(429), TokenError::RateLimited { .. }));
    for status in [408, 425, 500, 503] {
        assert!(matches!(error(status), TokenError::Server { .. }), "{status}");
    }
    assert!(matches!(error(302), TokenError::Invalid(_)));
    for status in [200, 204, 400, 403, 404] {
        assert!(
            matches!(error(status), TokenError::Refused { unauthorized: false, .. }),
            "{status}"
        );
    }
    let why = error(200).why();
    assert_eq!(why, "the server answered 200 without a usable cookie access-token");
}

#[test]
fn a_new_refresh_token_without_an_access_token_is_salvaged() {
    for status in [200, 302] {
        let raw = answer(status, &[REFRESH, "access-token=; Max-Age=0"]);
        assert!(matches!(parse(&raw, &names()), Err(TokenError::Invalid(_))), "{status}");
        assert_eq!(salvage(&raw, &names()), Some(RefreshToken::new("rt2")));
    }
    // What comes with a refusal or an error page is the session of somebody unknown.
    for status in [401, 403, 429, 500] {
        assert_eq!(salvage(&answer(status, &[REFRESH]), &names()), None, "{status}");
    }
    for status in [401, 429, 500] {
        let error = parse(&answer(status, &[REFRESH, ACCESS]), &names()).unwrap_err();
        assert!(!matches!(error, TokenError::Invalid(_)), "{status}");
    }
    assert_eq!(salvage(&answer(200, &[ACCESS]), &names()), None);
}

#[test]
fn the_style_of_answers_says_that_they_are_cookies() {
    let style = ResponseStyle { cookies: Some(names()), ..ResponseStyle::default() };
    let set = parse_response(&answer(200, &[ACCESS]), &style, true).unwrap();
    assert_eq!(set.access_token.expose(), "at");
    let token = salvage_refresh_token(&answer(200, &[REFRESH]), &style, &Sent::default());
    assert_eq!(token, Some(RefreshToken::new("rt2")));
    let read_back: ResponseStyle =
        serde_json::from_str(&serde_json::to_string(&style).unwrap()).unwrap();
    assert_eq!(read_back, style);
}

proptest::proptest! {
    #[test]
    fn no_answer_makes_it_panic(
        status in 100_u16..1000,
        cookies in proptest::collection::vec("(refresh-token|access-token|x)?=?.{0,60}", 0..6),
    ) {
        let cookies: Vec<&str> = cookies.iter().map(String::as_str).collect();
        let raw = answer(status, &cookies);
        let read = parse(&raw, &names());
        // What is taken can be sent back.
        if let Some(token) = salvage(&raw, &names()) {
            proptest::prop_assert!(is_cookie_value(token.expose()));
            proptest::prop_assert!(!matches!(read, Err(TokenError::InvalidGrant(_) | TokenError::InvalidRequest(_))));
            let url = Url::parse("https://app.example/").unwrap();
            let sent = request(&url, &names(), &token, &HeaderMap::new());
            proptest::prop_assert!(sent.headers.contains_key(COOKIE));
        }
    }
}
