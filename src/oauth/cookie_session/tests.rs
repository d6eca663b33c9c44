use super::*;

fn names() -> CookieNames {
    CookieNames { refresh: "refresh-token".into(), access: "access-token".into() }
}

#[test]
fn the_request_has_one_cookie_and_nothing_to_tell_who_asks() {
    let url = Url::parse("https://app.example/api/v1/me?x=1").unwrap();
    let mut more = HeaderMap::new();
    more.insert("x-tenant", HeaderValue::from_static("t"));
    let request = request(&url, &names(), &RefreshToken::new("r t=="), &more);
    assert_eq!(request.method, Method::Get);
    assert_eq!(request.endpoint, url);
    assert_eq!(request.body.as_str(), "");
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value)).collect();
    assert_eq!(headers.len(), 3);
    assert_eq!(request.headers[COOKIE], "refresh-token=r t==");
    assert!(request.headers[COOKIE].is_sensitive());
    assert_eq!(request.headers[ACCEPT], "application/json");
    assert_eq!(request.headers["x-tenant"], "t");
}

#[test]
fn a_value_must_not_end_its_cookie() {
    for good in ["a", "a=b==", "a b", "\"a\"", "ü"] {
        assert!(is_cookie_value(good), "{good}");
    }
    for wrong in ["", "a;b", " a", "a ", "a\r\nb", "a\tb"] {
        assert!(!is_cookie_value(wrong), "{wrong:?}");
    }
}
