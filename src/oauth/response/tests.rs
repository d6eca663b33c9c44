use std::time::Duration;

use jiff::Timestamp;

use super::*;

fn read(raw: &RawResponse, spends_token: bool) -> Result<TokenSet, TokenError> {
    parse(raw, &ResponseStyle::default(), spends_token)
}

fn salvaged_from(raw: &RawResponse) -> Option<RefreshToken> {
    salvage_refresh_token(raw, &ResponseStyle::default(), &Sent::default())
}

fn answer(status: u16, body: &str) -> RawResponse {
    RawResponse {
        status,
        retry_after: None,
        received_at: Timestamp::UNIX_EPOCH,
        ending: Ending::Whole,
        body: Zeroizing::new(body.as_bytes().to_vec()),
        set_cookies: Vec::new(),
    }
}

fn lifetime_of(expires_in: &str) -> Lifetime {
    read(&answer(200, &format!(r#"{{"access_token":"a","expires_in":{expires_in}}}"#)), true)
        .unwrap()
        .lifetime
}

#[test]
fn reads_the_example_of_rfc_6749() {
    let set = read(
        &answer(
            200,
            r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"example","expires_in":3600,
            "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","example_parameter":"example_value"}"#,
        ),
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
    let with = |value: &str, spends| {
        let body = format!(r#"{{"access_token":"a","refresh_token":{value}}}"#);
        read(&answer(200, &body), spends).map(|set| set.refresh_token)
    };
    for absent in ["null", "false", "\"\""] {
        assert!(matches!(with(absent, true), Ok(None)), "{absent}");
    }
    let long = format!("\"{}\"", "x".repeat(100_000));
    for strange in [r#""tökén""#, long.as_str()] {
        assert!(matches!(with(strange, true), Ok(Some(_))), "{strange}");
    }
    for unusable in ["17", "[]", r#""a\nb""#] {
        assert!(matches!(with(unusable, true), Err(TokenError::Invalid(_))), "{unusable}");
        assert!(matches!(with(unusable, false), Ok(None)), "nothing is spent");
    }
}

#[test]
fn a_new_refresh_token_is_found_beside_the_access_token_under_its_other_name() {
    let of = |body: &str, style: &ResponseStyle, spends| {
        parse(&answer(200, body), style, spends)
            .unwrap()
            .refresh_token
            .map(|token| token.expose().to_owned())
    };
    let usual = ResponseStyle::default();
    let renamed: ResponseStyle =
        serde_json::from_str(r#"{"accessToken": "/data/accessToken"}"#).unwrap();
    for name in ["refreshToken", "RefreshToken", "refresh-token"] {
        let members = format!(r#""{name}":"new""#);
        let body = format!(r#"{{"access_token":"a",{members}}}"#);
        assert_eq!(of(&body, &usual, true).as_deref(), Some("new"), "{name}");
        assert_eq!(of(&body, &usual, false), None, "nothing is spent");
        let body = format!(r#"{{"data":{{"accessToken":"a",{members}}},"refreshToken":"other"}}"#);
        assert_eq!(of(&body, &renamed, true).as_deref(), Some("new"), "{name}");
    }
    let both = r#"{"access_token":"a","refreshToken":"other","refresh_token":"new"}"#;
    assert_eq!(of(both, &usual, true).as_deref(), Some("new"));
    // As Slack answers for a user and a bot at once.
    let user = r#"{"accessToken": "/authed_user/access_token", "refreshToken": "/authed_user/refresh_token"}"#;
    let body =
        r#"{"access_token":"bot","refresh_token":"of-bot","authed_user":{"access_token":"a"}}"#;
    assert_eq!(of(body, &serde_json::from_str(user).unwrap(), true), None);
}

#[test]
fn reads_lifetimes_as_servers_write_them() {
    assert_eq!(lifetime_of("3599"), Lifetime::Seconds(3599));
    assert_eq!(lifetime_of("\"3599\""), Lifetime::Seconds(3599));
    assert_eq!(lifetime_of("3600.0"), Lifetime::Seconds(3600));
    assert_eq!(lifetime_of("3599.97"), Lifetime::Seconds(3599));
    assert_eq!(lifetime_of("\"3599.97\""), Lifetime::Seconds(3599));
    assert_eq!(lifetime_of("null"), Lifetime::Missing);
    for wrong in ["0", "-1", "1000000000000", "\"soon\"", "[]", "0.5", "1e400"] {
        let body = format!(r#"{{"access_token":"a","expires_in":{wrong}}}"#);
        let set = read(&answer(200, &body), true);
        assert!(
            !matches!(set.map(|set| set.lifetime), Ok(Lifetime::Seconds(_) | Lifetime::Missing)),
            "{wrong}"
        );
    }
}

#[test]
fn a_200_with_an_error_is_an_error() {
    let error = read(&answer(200, r#"{"error":"bad_refresh_token"}"#), true).unwrap_err();
    assert!(matches!(error, TokenError::InvalidGrant(_)));
    let error =
        read(&answer(200, r#"{"ok":false,"error":"invalid_refresh_token"}"#), true).unwrap_err();
    assert!(matches!(error, TokenError::InvalidGrant(_)));
}

#[test]
fn a_bare_401_means_what_was_sent() {
    let body = r#"{"msg":"Valid authentication token required"}"#;
    assert!(matches!(read(&answer(401, body), true), Err(TokenError::InvalidGrant(_))));
    let refused = read(&answer(401, body), false);
    assert!(matches!(refused, Err(TokenError::Refused { unauthorized: true, .. })), "{refused:?}");
    let body = r#"{"error":"Unauthorized"}"#;
    assert!(matches!(read(&answer(401, body), true), Err(TokenError::InvalidGrant(_))));
    let body = r#"{"error":"wrong_client"}"#;
    let refused = read(&answer(401, body), true);
    assert!(matches!(refused, Err(TokenError::Refused { unauthorized: true, .. })), "{refused:?}");
    assert!(matches!(read(&answer(404, "gone"), false), Err(TokenError::InvalidRequest(_))));
}

#[test]
fn a_bare_refusal_that_asks_to_wait_is_a_limit() {
    let body = r#"{"message":"You have exceeded a secondary rate limit"}"#;
    let limited = RawResponse { retry_after: Some("60".to_owned()), ..answer(403, body) };
    let Err(TokenError::Server { status: 403, retry_after }) = read(&limited, true) else {
        panic!()
    };
    assert_eq!(retry_after, Some(Duration::from_secs(60)));
    let dead = RawResponse {
        retry_after: Some("60".to_owned()),
        ..answer(400, r#"{"error":"invalid_grant"}"#)
    };
    assert!(matches!(read(&dead, true), Err(TokenError::InvalidGrant(_))));
}

#[test]
fn codes_of_the_standard_may_be_in_upper_case() {
    let read = |code: &str| read(&answer(400, &format!(r#"{{"error":"{code}"}}"#)), true);
    assert!(matches!(read("INVALID_GRANT"), Err(TokenError::InvalidGrant(_))));
    assert!(matches!(read("BAD_CLIENT_ID"), Err(TokenError::InvalidClient(_))));
}

#[test]
fn what_a_refusal_echoes_is_no_new_token() {
    let sent = Sent::of(["sent-one"]);
    let read = |token: &str| {
        let body = format!(r#"{{"error":"invalid_grant","refresh_token":"{token}"}}"#);
        parse_hiding(&answer(200, &body), &ResponseStyle::default(), true, &sent).unwrap_err()
    };
    assert!(matches!(read("sent-one"), TokenError::InvalidGrant(_)));
    assert!(matches!(read("new"), TokenError::Invalid(_)));
}

#[test]
fn an_answer_may_be_a_list_of_one() {
    let set = read(&answer(200, r#"[{"access_token":"a","refresh_token":"new"}]"#), true).unwrap();
    assert_eq!(set.refresh_token.unwrap().expose(), "new");
    let refused = read(&answer(400, r#"[{"error":"invalid_grant"}]"#), true);
    assert!(matches!(refused, Err(TokenError::InvalidGrant(_))), "{refused:?}");
    let style = ResponseStyle { error: "/0/errorCode".to_owned(), ..ResponseStyle::default() };
    let refused = answer(400, r#"[{"errorCode":"invalid_grant"}, {}]"#);
    let refused = parse(&refused, &style, true);
    assert!(matches!(refused, Err(TokenError::InvalidGrant(_))), "{refused:?}");
    for no_object in ["[5]", "[]", r#"[[{"access_token":"a"}]]"#] {
        let why = read(&answer(200, no_object), true).unwrap_err().why();
        assert!(why.contains("with no JSON object"), "{no_object}: {why}");
    }
    for more in [r#"[{"refresh_token":"new"},{}]"#, r#"[{"refresh_token":"new"},{"#] {
        assert!(matches!(read(&answer(200, more), true), Err(TokenError::Invalid(_))));
        assert_eq!(salvaged_from(&answer(200, more)).unwrap().expose(), "new");
    }
    assert!(salvaged_from(&answer(200, r#"{"0":{"refresh_token":"other"}}"#)).is_none());
}

#[test]
fn tokens_beside_a_status_of_failure_are_salvaged_where_they_are_no_echo() {
    let sent = Sent::of(["old"]);
    let style = ResponseStyle::default();
    let salvaged = |status, body: &str| {
        let raw = answer(status, body);
        let error = parse_hiding(&raw, &style, true, &sent).unwrap_err();
        let token = salvage_refresh_token(&raw, &style, &sent);
        (error, token.map(|token| token.expose().to_owned()))
    };
    let both = r#"{"access_token":"a","refresh_token":"new"}"#;
    for status in [302, 400, 401, 429, 500] {
        let (error, token) = salvaged(status, both);
        assert!(matches!(error, TokenError::Invalid(_)), "{status}: {error:?}");
        assert_eq!(token.as_deref(), Some("new"), "{status}");
    }
    for no_grant in [
        r#"{"access_token":"a","refresh_token":"old"}"#,
        r#"{"refresh_token":"***"}"#,
        r#"{"error":"invalid_grant","access_token":"a","refresh_token":"new"}"#,
    ] {
        let (error, token) = salvaged(400, no_grant);
        assert!(!matches!(error, TokenError::Invalid(_)), "{no_grant}: {error:?}");
        assert_eq!(token, None, "{no_grant}");
    }
    // Where nothing is spent, a failure is one.
    assert!(matches!(read(&answer(500, both), false), Err(TokenError::Server { .. })));
}

#[test]
fn what_is_compressed_is_called_so() {
    let compressed = RawResponse { body: vec![0x1f, 0x8b, 8, 0].into(), ..answer(200, "") };
    let why = read(&compressed, true).unwrap_err().why();
    assert!(why.contains("compressed"), "{why}");
}

#[test]
fn a_form_may_have_spaces() {
    let set =
        read(&answer(200, "access_token=a&refresh_token=new&scope=read write"), true).unwrap();
    assert_eq!(set.refresh_token.unwrap().expose(), "new");
    assert_eq!(set.scopes, ["read", "write"]);
    let refused = answer(400, "error=invalid_grant&error_description=x y");
    assert!(matches!(read(&refused, true), Err(TokenError::InvalidGrant(_))));
    let whole = salvaged_from(&answer(200, "access_token=&refresh_token=new&scope=a b"));
    assert_eq!(whole.unwrap().expose(), "new");
}

#[test]
fn a_type_that_is_no_scheme_is_bearer() {
    for no_scheme in ["BearerToken", "access_token", "user", "bearer"] {
        let body = format!(r#"{{"access_token":"a","token_type":"{no_scheme}"}}"#);
        assert_eq!(read(&answer(200, &body), true).unwrap().token_type, "Bearer", "{no_scheme}");
    }
}

#[test]
fn no_text_of_the_server_is_repeated() {
    let body = r#"{"error":"canary-1","error_description":"canary-2"}"#;
    let TokenError::Refused { why, .. } = read(&answer(400, body), true).unwrap_err() else {
        panic!()
    };
    assert!(!why.contains("canary"), "{why}");
}

#[test]
fn an_answer_may_begin_with_a_mark_and_have_other_bytes_where_nobody_reads() {
    let bytes =
        |body: &[u8]| RawResponse { body: Zeroizing::new(body.to_vec()), ..answer(200, "") };
    for body in [
        b"\xef\xbb\xbf{\"access_token\":\"a\",\"refresh_token\":\"r\"}".as_slice(),
        b"\xef\xbb\xbfaccess_token=a&refresh_token=r",
        b"{\"city\":\"S\xe3o Paulo\",\"access_token\":\"a\",\"refresh_token\":\"r\"}",
    ] {
        let set = read(&bytes(body), true).unwrap();
        assert_eq!(set.access_token.expose(), "a");
        assert_eq!(set.refresh_token.unwrap().expose(), "r");
    }
    let style = ResponseStyle::default();
    for body in [
        b"{\"access_token\":\"\xe3\",\"refresh_token\":\"r\"}".as_slice(),
        b"\xef\xbb\xbf{\"city\":\"S\xe3o\",\"refresh_token\":\"r\",\"acc",
    ] {
        let raw = bytes(body);
        assert_eq!(salvage_refresh_token(&raw, &style, &Sent::default()).unwrap().expose(), "r");
    }
    let spoiled = bytes(b"{\"access_token\":\"a\",\"refresh_token\":\"r\xe3\"}");
    assert!(matches!(read(&spoiled, true), Err(TokenError::Invalid(_))));
    assert!(salvage_refresh_token(&spoiled, &style, &Sent::default()).is_none());
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let after = |text: &str| {
        let raw = RawResponse { retry_after: Some(text.to_owned()), ..answer(429, "") };
        match read(&raw, true) {
            Err(TokenError::RateLimited { retry_after }) => retry_after,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(after("120"), Some(Duration::from_secs(120)));
    assert_eq!(after("Thu, 01 Jan 1970 00:00:30 GMT"), Some(Duration::from_secs(30)));
    for (fraction, rounded_up) in
        [("120.0", 120), ("119.5", 120), ("99999999999999999999", 315_360_000)]
    {
        assert_eq!(after(fraction), Some(Duration::from_secs(rounded_up)), "{fraction}");
    }
    for date in ["Thursday, 01-Jan-70 00:00:30 GMT", "Thu Jan  1 00:00:30 1970"] {
        assert_eq!(after(date), Some(Duration::from_secs(30)), "{date}");
    }
    for wrong in ["soon", "", ".", "-1", "1.x"] {
        assert_eq!(after(wrong), None, "{wrong}");
    }
}

#[test]
fn pages_and_redirects_are_no_token_responses() {
    for raw in [
        answer(200, "<html>"),
        answer(200, "[]"),
        answer(302, ""),
        answer(200, r#"{"access_token":""}"#),
    ] {
        assert!(matches!(read(&raw, true), Err(TokenError::Invalid(_))), "{}", raw.status);
    }
}

#[test]
fn a_refresh_token_is_salvaged_only_when_it_is_whole() {
    let whole = r#"{"refresh_token" : "a\/b", "access_token": "x"}"#;
    let ends = whole.find(", \"access").unwrap();
    for cut in 0..whole.len() {
        let raw = RawResponse { ending: Ending::BrokenOff, ..answer(200, &whole[..cut]) };
        let salvaged = salvaged_from(&raw);
        assert_eq!(salvaged.is_some(), cut >= ends, "{cut}");
        assert!(salvaged.is_none_or(|token| token.expose() == "a/b"), "{cut}");
        assert!(matches!(read(&raw, true), Err(TokenError::OutcomeUnknown(..))));
    }
    for nothing in ["", "{}", r#"{"refresh_token": 7}"#, r#"{"refresh_token": "tab\t"}"#] {
        assert_eq!(salvaged_from(&answer(200, nothing)), None, "{nothing}");
    }
    let refusal = answer(400, r#"{"refresh_token":"echoed"}"#);
    assert_eq!(salvaged_from(&refusal), None);
}

#[test]
fn members_are_found_where_the_server_puts_them() {
    let style: ResponseStyle = serde_json::from_value(serde_json::json!({
        "accessToken": "/authed_user/access_token",
        "refreshToken": "/authed_user/refresh_token",
        "lifetime": "/authed_user/expires_in",
        "scope": "/authed_user/scope",
        "fields": {"team": "/team/id", "enterprise": "/is_enterprise_install", "missing": "/nothing"},
    }))
    .unwrap();
    let body = r#"{"ok":true,"access_token":"xoxb","refresh_token":"xoxe-bot","is_enterprise_install":false,
        "team":{"id":"T1"},"authed_user":{"access_token":"xoxp","refresh_token":"xoxe-1","expires_in":43200,"scope":"a,b"}}"#;
    let set = parse(&answer(200, body), &style, true).unwrap();
    assert_eq!(set.access_token.expose(), "xoxp");
    assert_eq!(set.refresh_token.unwrap().expose(), "xoxe-1");
    assert_eq!(
        (set.lifetime, set.scopes),
        (Lifetime::Seconds(43200), vec!["a".to_owned(), "b".to_owned()])
    );
    let fields = [("enterprise", "false"), ("team", "T1")];
    let fields = fields.map(|(key, value)| (key.to_owned(), KeptText::new(value)));
    assert_eq!(set.fields, fields.into());
    let cut_off = |body| RawResponse { ending: Ending::BrokenOff, ..answer(200, body) };
    let cut = cut_off(&body[..body.len() - 30]);
    assert_eq!(salvage_refresh_token(&cut, &style, &Sent::default()).unwrap().expose(), "xoxe-1");
    // Beside the access token under the other name that is read in a whole answer.
    let cut = cut_off(r#"{"authed_user":{"access_token":"xoxp","refreshToken":"xoxe-2","exp"#);
    assert_eq!(salvage_refresh_token(&cut, &style, &Sent::default()).unwrap().expose(), "xoxe-2");
}

#[test]
fn an_answer_written_as_a_form_is_read_as_well() {
    let set = read(
        &answer(
            200,
            "access_token=ghu_1&expires_in=28800&refresh_token=ghr_1&scope=&token_type=bearer\n",
        ),
        true,
    )
    .unwrap();
    assert_eq!(set.access_token.expose(), "ghu_1");
    assert_eq!(set.refresh_token.unwrap().expose(), "ghr_1");
    assert_eq!(set.lifetime, Lifetime::Seconds(28800));
    let refused = answer(200, "error=bad_refresh_token&error_description=The+refresh+token");
    assert!(matches!(read(&refused, true), Err(TokenError::InvalidGrant(_))));
}

#[test]
fn a_form_is_known_by_the_names_that_the_provider_has() {
    let style = ResponseStyle {
        access_token: "/token".to_owned(),
        refresh_token: "/renew".to_owned(),
        error: "/fault".to_owned(),
        ..ResponseStyle::default()
    };
    let set = parse(&answer(200, "token=t1&renew=r1&expires_in=60"), &style, true).unwrap();
    assert_eq!(set.access_token.expose(), "t1");
    assert_eq!(set.refresh_token.unwrap().expose(), "r1");
    let refused = parse(&answer(400, "fault=invalid_grant"), &style, true);
    assert!(matches!(refused, Err(TokenError::InvalidGrant(_))));
    let other = parse(&answer(200, "tokens=t1&a=b"), &style, true);
    assert!(matches!(other, Err(TokenError::Invalid(why)) if why.contains("no JSON object")));
}

#[test]
fn an_error_may_stand_in_another_place() {
    let style = ResponseStyle { error: "/data/code".to_owned(), ..ResponseStyle::default() };
    let refused = answer(200, r#"{"data":{"code":"invalid_grant"}}"#);
    assert!(matches!(parse(&refused, &style, true), Err(TokenError::InvalidGrant(_))));
}

/// The answer of RFC 8693 §2.3, and one with a token that is no access token (§2.2.1).
#[test]
fn reads_the_examples_of_token_exchange() {
    let fields = [("issued_token_type".to_owned(), "/issued_token_type".to_owned())].into();
    let style = ResponseStyle { fields, ..ResponseStyle::default() };
    let read = |body| parse(&answer(200, body), &style, false).unwrap();
    let set = read(
        r#"{"access_token":"eyJhbGciOiJFUzI1NiIsImtpZCI6IjllciJ9.e30.c2ln",
        "issued_token_type":"urn:ietf:params:oauth:token-type:access_token",
        "token_type":"Bearer","expires_in":60}"#,
    );
    assert_eq!((set.token_type.as_str(), set.lifetime), ("Bearer", Lifetime::Seconds(60)));
    let issued = set.fields.get("issued_token_type").map(KeptText::expose);
    assert_eq!(issued, Some("urn:ietf:params:oauth:token-type:access_token"));
    let set = read(r#"{"access_token":"PHNhbWw","token_type":"N_A"}"#);
    assert_eq!((set.token_type.as_str(), set.lifetime), ("N_A", Lifetime::Missing));
    assert!(set.fields.is_empty());
}

mod whatever_a_server_writes {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// JSON of any shape, with the names that matter among others.
    fn any_json() -> impl Strategy<Value = Value> {
        let names = "access_token|refresh_token|expires_in|scope|token_type|error|data|[a-z]{0,3}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(names, inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn styles() -> impl Strategy<Value = ResponseStyle> {
        let pointer = || "(/(data|access_token|refresh_token|[01]|~0|~1)){1,3}";
        (pointer(), pointer(), pointer(), pointer()).prop_map(|(access, refresh, expiry, field)| {
            serde_json::from_value(json!({
                "accessToken": access, "refreshToken": refresh, "expiry": expiry, "fields": {"f": field},
            }))
            .unwrap()
        })
    }

    /// Whether an answer, or the first of a list of them, has this text there.
    fn has(body: &Value, pointer: &str, text: &str) -> bool {
        let first = body.as_array().and_then(|list| list.first());
        let mut answers = std::iter::once(body).chain(first);
        answers.any(|answer| answer.pointer(pointer).and_then(Value::as_str) == Some(text))
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(status in 100_u16..600, body in any::<Vec<u8>>(), spends: bool) {
            let raw = RawResponse { body: Zeroizing::new(body), ..answer(status, "") };
            let _ = read(&raw, spends);
            let _ = salvaged_from(&raw);
        }

        #[test]
        fn no_json_makes_it_panic_or_brings_what_is_no_token(
            status in 200_u16..300, body in any_json(), style in styles(), cut in 0_usize..200,
        ) {
            let text = body.to_string();
            if let Ok(set) = parse(&answer(status, &text), &style, true) {
                prop_assert!(is_token(set.access_token.expose()));
                prop_assert!(has(&body, &style.access_token, set.access_token.expose()));
            }
            // A cut answer brings a token that the whole one has, where it is looked for, or none.
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(cut);
            let cut = answer(status, &text[..ends.unwrap_or(text.len())]);
            let cut = RawResponse { ending: Ending::BrokenOff, ..cut };
            if let Some(token) = salvage_refresh_token(&cut, &style, &Sent::default()) {
                let (parent, _) = style.access_token.rsplit_once('/').unwrap();
                let beside = [format!("{parent}/refresh_token"), format!("{parent}/refreshToken")];
                let mut places = beside.iter().chain([&style.refresh_token]);
                prop_assert!(places.any(|place| has(&body, place, token.expose())));
            }
        }
    }
}
