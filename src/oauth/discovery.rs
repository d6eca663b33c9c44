//! What an issuer publishes of itself: where that is (RFC 8414 §3, OpenID Connect Discovery §4), and what is taken from it.

use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

use super::address::{AddressPolicy, check_url};
use super::request::{Method, TokenRequest};
use super::response::{Ending, RawResponse, readable};
use super::sent::Sent;
use super::tls::Tls;

/// The longest URL that is taken from a document.
const MAX_URL: usize = 2048;

/// What is taken from a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// `token_endpoint`.
    pub token_endpoint: Url,
    /// `token_endpoint` of `mtls_endpoint_aliases` (RFC 8705 §5), for clients that show a certificate; or what is wrong with
    /// it, which is nothing to others.
    pub mtls_token_endpoint: Option<Result<Url, String>>,
}

/// Reads an issuer.
///
/// # Errors
/// What is wrong with it, to follow its name in a text.
pub fn issuer(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    if url.query().is_some() || url.fragment().is_some() || has_user(&url) || !url.has_host() {
        return Err("must have a host, no query, no fragment and no user name".to_owned());
    }
    Ok(url)
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Where its document may be, in the order in which it is looked for.
pub fn places(issuer: &Url) -> [Url; 2] {
    let path = issuer.path().strip_suffix('/').unwrap_or_else(|| issuer.path());
    [
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("{path}/.well-known/openid-configuration"),
    ]
    .map(|path| {
        let mut place = issuer.clone();
        place.set_path(&path);
        place
    })
}

/// Asks for a document.
pub fn request(place: Url, tls: Tls) -> TokenRequest {
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
    let (body, sent) = (Zeroizing::default(), Sent::default());
    TokenRequest { method: Method::Get, endpoint: place, headers, body, tls, sent }
}

/// Reads a document, which must be that of this very issuer (RFC 8414 §3.3).
///
/// # Errors
/// What is wrong with it, to follow the place it was found at. Nothing that the server wrote is repeated.
pub fn read(raw: &RawResponse, issuer: &str, policy: AddressPolicy) -> Result<Metadata, String> {
    if raw.status != 200 {
        return Err(format!("answered {}", raw.status));
    }
    match raw.ending {
        Ending::Whole => {}
        Ending::BrokenOff => return Err("broke off before its end".to_owned()),
        Ending::TooLarge => return Err("is too large".to_owned()),
    }
    let document: Map<String, Value> =
        serde_json::from_slice(&readable(&raw.body)).map_err(|_| "is no JSON object".to_owned())?;
    let said = document.get("issuer").and_then(Value::as_str);
    let said = said.ok_or_else(|| "has no issuer".to_owned())?;
    if said != issuer {
        return Err(other_issuer(said, issuer).to_owned());
    }
    let token_endpoint = endpoint(&document, "token_endpoint", issuer, policy)?;
    let token_endpoint = token_endpoint.ok_or_else(|| "has no token_endpoint".to_owned())?;
    Ok(Metadata { token_endpoint, mtls_token_endpoint: alias(&document, issuer, policy) })
}

fn alias(
    document: &Map<String, Value>,
    issuer: &str,
    policy: AddressPolicy,
) -> Option<Result<Url, String>> {
    let found = match document.get("mtls_endpoint_aliases") {
        None | Some(Value::Null) => return None,
        Some(Value::Object(aliases)) => endpoint(aliases, "token_endpoint", issuer, policy),
        Some(_) => Err("that is no JSON object".to_owned()),
    };
    let found = found.map_err(|why| format!("in its mtls_endpoint_aliases {why}"));
    found.transpose()
}

fn other_issuer(said: &str, issuer: &str) -> &'static str {
    let bare = |text: &'_ str| text.strip_suffix('/').unwrap_or(text).to_owned();
    if bare(said) == bare(issuer) {
        "is that of an issuer with or without a slash at its end, other than configured"
    } else {
        "is that of another issuer than configured"
    }
}

fn endpoint(
    document: &Map<String, Value>,
    member: &str,
    issuer: &str,
    policy: AddressPolicy,
) -> Result<Option<Url>, String> {
    let text = match document.get(member) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.len() <= MAX_URL => text,
        Some(_) => return Err(format!("has a {member} that is no URL")),
    };
    let url = Url::parse(text).map_err(|_| format!("has a {member} that is no URL"))?;
    if url.fragment().is_some() || has_user(&url) {
        return Err(format!("has a {member} with a fragment or a user name"));
    }
    // Nobody is led from https to http, whatever the operator allows.
    if issuer.starts_with("https:") && url.scheme() != "https" {
        return Err(format!("has a {member} that is not https"));
    }
    check_url(&url, policy).map_err(|why| format!("has a {member} that {why}"))?;
    Ok(Some(url))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const ISSUER: &str = "https://as.example/tenant";

    fn answer(status: u16, body: &str) -> RawResponse {
        RawResponse {
            status,
            retry_after: None,
            received_at: Timestamp::UNIX_EPOCH,
            set_cookies: Vec::new(),
            ending: Ending::Whole,
            body: Zeroizing::new(body.as_bytes().to_vec()),
        }
    }

    fn found(body: &Value) -> Result<Metadata, String> {
        read(&answer(200, &body.to_string()), ISSUER, AddressPolicy::default())
    }

    fn places_of(text: &str) -> [String; 2] {
        places(&issuer(text).unwrap()).map(String::from)
    }

    #[test]
    fn the_well_known_part_goes_before_the_path_or_behind_it() {
        assert_eq!(
            places_of("https://example.com"),
            [
                "https://example.com/.well-known/oauth-authorization-server",
                "https://example.com/.well-known/openid-configuration",
            ]
        );
        // The example of RFC 8414 §3.1, with and without a slash at the end.
        for issuer in ["https://example.com/issuer1", "https://example.com/issuer1/"] {
            assert_eq!(
                places_of(issuer),
                [
                    "https://example.com/.well-known/oauth-authorization-server/issuer1",
                    "https://example.com/issuer1/.well-known/openid-configuration",
                ]
            );
        }
        assert_eq!(
            places_of("https://as.example:8443/realms/a%20b")[1],
            "https://as.example:8443/realms/a%20b/.well-known/openid-configuration"
        );
    }

    #[test]
    fn issuers_have_neither_query_nor_fragment_nor_user() {
        for wrong in ["https://a.example?x", "https://a.example#x", "https://u@a.example", "a", ""]
        {
            assert!(issuer(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn endpoints_are_taken_from_the_document_of_this_very_issuer() {
        let whole = serde_json::json!({
            "issuer": ISSUER,
            "token_endpoint": "https://token.example/t",
            "more": [1, {"a": null}],
        });
        let metadata = found(&whole).unwrap();
        assert_eq!(metadata.token_endpoint.as_str(), "https://token.example/t");
        for (issuer, words) in [
            ("https://as.example/tenant/", "slash at its end"),
            ("https://as.example/Tenant", "another issuer"),
            ("https://evil.example", "another issuer"),
        ] {
            let mut other = whole.clone();
            other["issuer"] = issuer.into();
            let why = found(&other).unwrap_err();
            assert!(why.contains(words) && !why.contains("evil"), "{why}");
        }
    }

    #[test]
    fn clients_with_a_certificate_have_an_endpoint_of_their_own() {
        let read = |aliases: Value| {
            let document = serde_json::json!({
                "issuer": ISSUER, "token_endpoint": "https://as.example/t", "mtls_endpoint_aliases": aliases,
            });
            found(&document).unwrap().mtls_token_endpoint
        };
        // The example of RFC 8705 §5.
        let example = serde_json::json!({
            "token_endpoint": "https://mtls.as.example/token.oauth2",
            "revocation_endpoint": "https://mtls.as.example/revo.oauth2",
        });
        let alias = read(example).unwrap().unwrap();
        assert_eq!(alias.as_str(), "https://mtls.as.example/token.oauth2");
        for none in
            [Value::Null, serde_json::json!({}), serde_json::json!({"token_endpoint": null})]
        {
            assert_eq!(read(none), None);
        }
        for (wrong, words) in [
            (serde_json::json!({"token_endpoint": "http://as.example/t"}), "not https"),
            (
                serde_json::json!({"token_endpoint": "https://169.254.169.254/t"}),
                "a link-local address",
            ),
            (serde_json::json!({"token_endpoint": 7}), "no URL"),
            (serde_json::json!([]), "no JSON object"),
        ] {
            let why = read(wrong).unwrap().unwrap_err();
            assert!(
                why.starts_with("in its mtls_endpoint_aliases") && why.contains(words),
                "{why}"
            );
        }
    }

    #[test]
    fn what_can_t_be_called_is_not_taken() {
        for (endpoint, words) in [
            (serde_json::json!("http://as.example/t"), "not https"),
            (serde_json::json!("https://127.0.0.1/t"), "a loopback address"),
            (serde_json::json!("https://169.254.169.254/t"), "a link-local address"),
            (serde_json::json!("https://as.example/t#f"), "a fragment"),
            (serde_json::json!("https://u:p@as.example/t"), "a user name"),
            (serde_json::json!("/t"), "no URL"),
            (serde_json::json!(7), "no URL"),
            (serde_json::json!(format!("https://as.example/{}", "x".repeat(MAX_URL))), "no URL"),
            (Value::Null, "no token_endpoint"),
        ] {
            let body = serde_json::json!({"issuer": ISSUER, "token_endpoint": endpoint});
            let why = found(&body).unwrap_err();
            assert!(why.contains(words), "{endpoint}: {why}");
        }
    }

    #[test]
    fn with_http_allowed_nobody_is_led_to_it_from_https() {
        let policy =
            AddressPolicy { allow_http: true, allow_loopback: true, ..AddressPolicy::default() };
        let body = |issuer: &str| {
            let body =
                serde_json::json!({"issuer": issuer, "token_endpoint": "http://127.0.0.1/t"});
            read(&answer(200, &body.to_string()), issuer, policy)
        };
        assert!(body("http://as.example").is_ok());
        assert!(body("https://as.example").unwrap_err().contains("not https"));
    }

    #[test]
    fn anything_else_is_told_in_words_of_ours() {
        let read = |raw: RawResponse| read(&raw, ISSUER, AddressPolicy::default()).unwrap_err();
        assert_eq!(read(answer(404, "{}")), "answered 404");
        assert_eq!(read(answer(302, "")), "answered 302");
        for body in ["", "<html>secret</html>", "[]", "7", "{\"issuer\":", &"[".repeat(10_000)] {
            assert_eq!(read(answer(200, body)), "is no JSON object");
        }
        assert_eq!(read(answer(200, "{}")), "has no issuer");
        assert_eq!(
            read(RawResponse { ending: Ending::TooLarge, ..answer(200, "{}") }),
            "is too large"
        );
        let broken = RawResponse { ending: Ending::BrokenOff, ..answer(200, "{}") };
        assert_eq!(read(broken), "broke off before its end");
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(status in 100_u16..600, body in any::<Vec<u8>>()) {
            let raw = RawResponse { body: Zeroizing::new(body), ..answer(status, "") };
            prop_assert!(read(&raw, ISSUER, AddressPolicy::default()).is_err());
        }

        #[test]
        fn no_endpoint_makes_it_panic(token in ".*") {
            let body = serde_json::json!({"issuer": ISSUER, "token_endpoint": token});
            if let Ok(metadata) = found(&body) {
                prop_assert_eq!(metadata.token_endpoint.scheme(), "https");
            }
        }

        #[test]
        fn no_issuer_makes_it_panic(text in "(https://)?[ -~]{0,40}") {
            if let Ok(url) = issuer(&text) {
                for place in places(&url) {
                    prop_assert_eq!(place.origin(), url.origin());
                }
            }
        }
    }
}
