use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde_json::json;

use super::*;
use crate::lifecycle::resolve::tests::spec;
use crate::oauth::jwt::Stamp;

fn parsed(change: &serde_json::Value) -> OAuthCredentialSpec {
    let mut base = json!({"provider": {"tokenEndpoint": "https://as.example/t"}, "source": {"name": "s"}, "target": {"name": "t"}});
    for (key, value) in change.as_object().unwrap() {
        base[key] = value.clone();
    }
    serde_json::from_value(base).unwrap()
}

fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, ByteString> {
    pairs
        .iter()
        .map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())))
        .collect()
}

/// The body or, for a cookie session, the cookie that is sent with that source; or what is wrong with the source.
fn sent(grant: &serde_json::Value, pairs: &[(&str, &str)]) -> Result<String, String> {
    let spec_ = parsed(&json!({"grant": grant}));
    let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
    let content = resolved.read_source(&data(pairs)).map_err(|problem| problem.message)?;
    let stamp = || Stamp { now: jiff::Timestamp::UNIX_EPOCH, id: String::new() };
    let request = resolved.request(&content.client, &content.input, stamp).unwrap();
    let cookie = request.headers.get(http::header::COOKIE);
    Ok(cookie
        .map_or_else(|| request.body.to_string(), |cookie| cookie.to_str().unwrap().to_owned()))
}

#[test]
fn a_password_comes_from_the_source() {
    let grant = json!({"password": {}});
    let pairs = [("username", "u"), ("password", "p ü")];
    assert_eq!(sent(&grant, &pairs).unwrap(), "grant_type=password&username=u&password=p+%C3%BC");
    let secret = [("client_id", "c"), ("client_secret", "cs"), pairs[0], pairs[1]];
    assert_eq!(
        sent(&grant, &secret).unwrap(),
        "grant_type=password&client_id=c&client_secret=cs&username=u&password=p+%C3%BC"
    );
    assert_eq!(
        sent(&grant, &pairs[..1]).unwrap_err(),
        "key password of the source Secret s is missing"
    );
}

#[test]
fn a_token_to_be_given_comes_from_the_source() {
    let grant = json!({"tokenExchange": {"subjectToken": {"secretKey": {}}}});
    assert_eq!(
        sent(&grant, &[("subject_token", "st\n")]).unwrap(),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=st\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
    );
    assert_eq!(
        sent(&grant, &[]).unwrap_err(),
        "key subject_token of the source Secret s is missing"
    );
    assert_eq!(
        sent(&grant, &[("subject_token", "ü")]).unwrap_err(),
        "key subject_token of the source Secret s is no token: it may hold printable ASCII only"
    );
    let grant = json!({"tokenExchange": {
        "subjectToken": {"secretKey": {"key": "x"}}, "subjectTokenType": "urn:x",
        "requestedTokenType": "urn:r", "actorToken": {"secretKey": {}},
    }});
    let body = sent(&grant, &[("x", "1"), ("actor_token", "2")]).unwrap();
    let members = "&subject_token=1&subject_token_type=urn%3Ax&requested_token_type=urn%3Ar&actor_token=2&actor_token_type=";
    assert!(body.contains(members), "{body}");
}

#[test]
fn a_token_of_a_service_account_needs_nothing_of_the_source() {
    let account = json!({"serviceAccount": {"name": "ci", "audience": "https://as.example"}});
    let spec_ = parsed(&json!({"grant": {"tokenExchange": {"subjectToken": account}}}));
    let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
    let content = resolved.read_source(&data(&[])).unwrap();
    let GrantInput::TokenExchange(exchange) = content.input else { panic!("another grant") };
    assert_eq!(exchange.subject.token, None);
    assert_eq!(exchange.subject.token_type, JWT_TYPE);
    let Some(ExchangeTerms {
        subject: GivenTerms { from: GivenFrom::ServiceAccount(account), .. },
        ..
    }) = &resolved.exchange
    else {
        panic!("not of a ServiceAccount")
    };
    assert_eq!((account.name, account.audience), ("ci", "https://as.example"));
    assert_eq!(account.expiration, Duration::from_secs(600));
    assert_eq!(resolved.response.fields["issued_token_type"], "/issued_token_type");
}

fn session(url: &str) -> serde_json::Value {
    json!({"cookieSession": {"url": url, "refreshCookie": "r"}})
}

#[test]
fn a_cookie_session_sends_the_refresh_token_as_a_cookie() {
    let grant = session("https://as.example/me");
    // A client would only tell who asks.
    let pairs = [("refresh_token", "rt"), ("client_id", "c"), ("client_secret", "cs")];
    assert_eq!(sent(&grant, &pairs).unwrap(), "r=rt");
    assert_eq!(
        sent(&grant, &[("refresh_token", "a;b")]).unwrap_err(),
        "key refresh_token of the source Secret s is no cookie: it holds a semicolon, or spaces around it"
    );
}

#[test]
fn a_cookie_session_is_on_the_host_of_its_token_endpoint() {
    let problem = |url| {
        let spec_ = parsed(&json!({"grant": session(url)}));
        spec(&spec_, AddressPolicy::default()).map(|_| ()).unwrap_err()
    };
    for url in ["https://other.example/me", "https://as.example:444/me"] {
        let problem = problem(url);
        assert_eq!(problem.reason, Reason::SpecInvalid);
        assert_eq!(
            problem.message,
            "spec.grant.cookieSession.url must have the scheme, host and port of spec.provider.tokenEndpoint"
        );
    }
    assert_eq!(problem("http://as.example/me").reason, Reason::EndpointDenied);
    assert_eq!(problem("https://127.0.0.1/me").reason, Reason::EndpointDenied);
    assert_eq!(problem("no URL").reason, Reason::SpecInvalid);
}

#[test]
fn another_setting_of_a_grant_asks_for_another_token() {
    let digest = |grant| {
        spec(&parsed(&json!({"grant": grant})), AddressPolicy::default()).unwrap().request_digest
    };
    let account = |name: &str, audience: &str| json!({"tokenExchange": {"subjectToken": {"serviceAccount": {"name": name, "audience": audience}}}});
    let digests: std::collections::BTreeSet<_> = [
        json!({"refreshToken": {}}),
        json!({"password": {}}),
        json!({"tokenExchange": {"subjectToken": {"secretKey": {}}}}),
        json!({"tokenExchange": {"subjectToken": {"secretKey": {"key": "x"}}}}),
        json!({"tokenExchange": {"subjectToken": {"secretKey": {}}, "requestedTokenType": "urn:x"}}),
        account("a", "b"),
        account("a", "c"),
        account("c", "b"),
        session("https://as.example/a"),
        session("https://as.example/b"),
        json!({"cookieSession": {"url": "https://as.example/a"}}),
    ]
    .into_iter()
    .map(digest)
    .collect();
    assert_eq!(digests.len(), 11);
}
