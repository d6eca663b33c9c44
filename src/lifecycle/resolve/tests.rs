use std::collections::BTreeMap;

use super::*;
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::discovery::Metadata;
use crate::oauth::jwt::tests::stamp;
use k8s_openapi::ByteString;
use serde_json::json;

pub(super) fn parsed(value: serde_json::Value) -> OAuthCredentialSpec {
    serde_json::from_value(value).unwrap()
}

fn minimal() -> OAuthCredentialSpec {
    parsed(
        json!({"provider": {"tokenEndpoint": "https://as.example/t"}, "source": {"name": "s"}, "target": {"name": "t"}}),
    )
}

/// With the provider that stands in it.
pub(super) fn spec(
    spec_: &OAuthCredentialSpec,
    policy: AddressPolicy,
) -> Result<Resolved<'_>, Problem> {
    super::spec(spec_, &Provider::inline(&spec_.provider.inline), policy)
}

pub(super) fn data(pairs: &[(&str, &[u8])]) -> BTreeMap<String, ByteString> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect()
}

#[test]
fn the_client_secret_decides_between_post_and_none() {
    let spec_ = minimal();
    let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
    let with = resolved.read_source(&data(&[
        ("client_id", b"i"),
        ("client_secret", b"s\n"),
        ("refresh_token", b"r"),
    ]));
    assert!(
        matches!(with.unwrap().client, Client::Fixed(ClientAuth::Post { client_secret, .. }) if client_secret.expose() == "s")
    );
    let without = resolved.read_source(&data(&[("refresh_token", b"r")])).unwrap();
    assert!(matches!(without.client, Client::Fixed(ClientAuth::None { client_id: None })));
}

#[test]
fn a_second_secret_that_is_empty_is_none_yet() {
    let spec_ = minimal();
    let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
    for empty in [b"".as_slice(), b"\n", b"\r\n"] {
        let keys = [
            ("client_id", b"i".as_slice()),
            ("client_secret", b"s"),
            ("next_client_secret", empty),
            ("refresh_token", b"r"),
        ];
        let content = resolved.read_source(&data(&keys)).unwrap();
        assert!(content.client.has_secret() && content.next_client.is_none());
        let public = resolved.read_source(&data(&[keys[0], keys[2], keys[3]])).unwrap();
        assert!(!public.client.has_secret() && public.next_client.is_none());
    }
}

#[test]
fn a_second_secret_alone_has_taken_the_place_of_the_first() {
    let spec_ = minimal();
    let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
    let keys: [(&str, &[u8]); 3] =
        [("client_id", b"i"), ("next_client_secret", b"s"), ("refresh_token", b"r")];
    let content = resolved.read_source(&data(&keys)).unwrap();
    assert!(
        matches!(content.client, Client::Fixed(ClientAuth::Post { client_secret, .. }) if client_secret.expose() == "s")
    );
    assert!(content.next_client.is_none());
}

#[test]
fn a_second_secret_makes_the_same_client_in_the_same_style() {
    let next = |method: &str, pairs: &[(&str, &[u8])]| {
        let spec_ = parsed(json!({
            "provider": {"tokenEndpoint": "https://as.example/t", "clientAuthentication": {"method": method}},
            "grant": {"clientCredentials": {}}, "source": {"name": "s"}, "target": {"name": "t"},
        }));
        let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
        let mut all: Vec<(&str, &[u8])> = vec![("client_id", b"i"), ("client_secret", b"a")];
        all.extend(pairs);
        resolved.read_source(&data(&all)).map(|content| content.next_client)
    };
    let second: &[(&str, &[u8])] = &[("next_client_secret", b"b\n")];
    for method in ["ClientSecretBasic", "ClientSecretPost", "ClientSecretJwt"] {
        assert!(next(method, second).unwrap().is_some(), "{method}");
        assert!(next(method, &[]).unwrap().is_none(), "{method}");
        assert!(next(method, &[("next_client_secret", b"a")]).unwrap().is_none(), "{method}");
    }
    let post = next("ClientSecretPost", second).unwrap().unwrap();
    assert!(
        matches!(post, Client::Fixed(ClientAuth::Post { client_id, client_secret }) if client_id == "i" && client_secret.expose() == "b")
    );
    let problem = next("ClientSecretPost", &[("next_client_secret", b"a\x00b")]).unwrap_err();
    assert!(problem.message.contains("key next_client_secret"), "{}", problem.message);
}

#[test]
fn with_either_secret_the_request_is_the_same_to_the_byte() {
    let sent = |method: &str| {
        let spec_ = parsed(json!({
            "provider": {"tokenEndpoint": "https://as.example/t", "clientAuthentication": {"method": method}},
            "source": {"name": "s"}, "target": {"name": "t"},
        }));
        let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
        let source = data(&[
            ("client_id", b"i"),
            ("client_secret", b"a b"),
            ("next_client_secret", b"c&d"),
            ("refresh_token", b"r"),
        ]);
        let content = resolved.read_source(&source).unwrap();
        let clients = [content.client.clone(), content.next_client.clone().unwrap()];
        clients.map(|client| {
            let request = resolved.request(&client, &content.input, stamp).unwrap();
            let authorization = request.headers.get("authorization");
            let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
            (request.body.to_string(), authorization)
        })
    };
    let post = |secret: &str| {
        let body =
            format!("grant_type=refresh_token&client_id=i&client_secret={secret}&refresh_token=r");
        (body, None)
    };
    assert_eq!(sent("ClientSecretPost"), [post("a+b"), post("c%26d")]);
    let basic = |pair: &str| {
        ("grant_type=refresh_token&refresh_token=r".to_owned(), Some(format!("Basic {pair}")))
    };
    // "i:a+b" and "i:c%26d"
    assert_eq!(sent("ClientSecretBasic"), [basic("aTphK2I="), basic("aTpjJTI2ZA==")]);
}

#[test]
fn a_secret_alone_needs_no_client_id() {
    let spec_ = parsed(json!({
        "provider": {"tokenEndpoint": "https://as.example/t", "clientAuthentication": {
            "method": "ClientSecretBasic", "basicEncoding": "SecretAlone",
        }},
        "source": {"name": "s"}, "target": {"name": "t"},
    }));
    let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
    let content = resolved.read_source(&data(&[("client_secret", b"s"), ("refresh_token", b"r")]));
    let Client::Fixed(client) = content.unwrap().client else { panic!("it signs nothing") };
    assert_eq!(client.authorization().as_deref(), Some("Basic czo="));
}

/// Keys of a source, and what is wrong with them.
pub(super) type Case = (&'static [(&'static str, &'static [u8])], &'static str);

#[test]
fn bad_keys_are_named() {
    let spec_ = minimal();
    let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
    let cases: [Case; 5] = [
        (&[("client_id", b"i")], "key refresh_token of the source Secret s is missing"),
        (
            &[("client_secret", b"s"), ("refresh_token", b"r")],
            "key client_id of the source Secret s is missing",
        ),
        (
            &[("refresh_token", b"\xff\xfe")],
            "key refresh_token of the source Secret s is no text (not UTF-8)",
        ),
        (&[("refresh_token", b"\n")], "key refresh_token of the source Secret s is empty"),
        (
            &[("refresh_token", b"a\x00b")],
            "key refresh_token of the source Secret s holds control characters",
        ),
    ];
    for (pairs, message) in cases {
        let problem = resolved.read_source(&data(pairs)).unwrap_err();
        assert_eq!((problem.reason, problem.message.as_str()), (Reason::SourceInvalid, message));
    }
}

#[test]
fn a_digest_changes_with_each_setting_of_the_request_only() {
    let digest = |change: serde_json::Value| {
        let mut base = json!({"provider": {"tokenEndpoint": "https://as.example/t"}, "source": {"name": "s"}, "target": {"name": "t"}});
        for (key, value) in change.as_object().unwrap() {
            base[key] = value.clone();
        }
        spec(&parsed(base), AddressPolicy::default()).unwrap().request_digest
    };
    let base = digest(json!({}));
    for change in [
        json!({"provider": {"tokenEndpoint": "https://as.example/u"}}),
        json!({"provider": {"tokenEndpoint": "https://as.example/t", "clientAuthentication": {"method": "ClientSecretBasic"}}}),
        json!({"provider": {"tokenEndpoint": "https://as.example/t", "request": {"encoding": "Json"}}}),
        json!({"provider": {"tokenEndpoint": "https://as.example/t", "request": {"headers": {"x": "y"}}}}),
        json!({"provider": {"tokenEndpoint": "https://as.example/t", "response": {"fields": {"x": "/y"}}}}),
        json!({"provider": {"tokenEndpoint": "https://as.example/t", "refreshEndpoint": "https://as.example/r"}}),
        json!({"provider": {"tokenEndpoint": "https://as.example/t", "clientAuthentication": {"method": "PrivateKeyJwt", "keyId": "k"}}}),
        json!({"grant": {"jwtBearer": {"subject": "s"}}}),
        json!({"parameters": {"a": "b"}}),
        json!({"audience": "a"}),
        json!({"resources": ["https://a.example"]}),
        json!({"grant": {"clientCredentials": {}}}),
        json!({"provider": {"tokenEndpoint": "https://as.example/t", "response": {"refreshTokenExpiry": "/x"}}}),
        json!({"scopes": ["a"]}),
        json!({"source": {"name": "s", "keys": {"clientId": "x"}}}),
    ] {
        assert_ne!(digest(change.clone()), base, "{change}");
    }
    let keys = json!({"name": "s", "keys": {"privateKey": "x"}});
    let bearer = |claims: serde_json::Value| json!({"jwtBearer": {"claims": claims}});
    let bearers = [
        json!({"grant": bearer(json!({}))}),
        json!({"grant": bearer(json!({})), "source": keys}),
        json!({"grant": bearer(json!({"a": "1"}))}),
        json!({"grant": bearer(json!({"a": 1}))}),
        json!({"grant": bearer(json!({"a": [1]}))}),
    ];
    let digests: std::collections::BTreeSet<String> = bearers.map(digest).into();
    assert_eq!(digests.len(), 5);
    let counted = |unit: &str| {
        digest(json!({"provider": {"tokenEndpoint": "https://as.example/t", "response": {
            "refreshTokenLifetime": "/x", "refreshTokenLifetimeUnit": unit,
        }}}))
    };
    assert_ne!(counted("Seconds"), counted("Milliseconds"));
    for change in [
        json!({"target": {"name": "u", "labels": {"a": "b"}}}),
        json!({"renewal": {"renewBefore": "5m"}}),
        json!({"suspend": true}),
        json!({"source": {"name": "s", "keys": {"nextClientSecret": "x"}}}),
        json!({"provider": {"tokenEndpoint": "https://as.example/t", "response": {"lifetime": "/expires_in"}}}),
        // Of a token that is there they say nothing.
        json!({"provider": {"tokenEndpoint": "https://as.example/t", "response": {"error": "/c", "errorCodes": {"1": "InvalidGrant"}}}}),
    ] {
        assert_eq!(digest(change.clone()), base, "{change}");
    }
}

#[test]
fn denied_endpoints_are_a_configuration_problem() {
    let mut spec_ = minimal();
    spec_.provider.inline.token_endpoint = Some("http://as.example/t".into());
    assert_eq!(spec(&spec_, AddressPolicy::default()).unwrap_err().reason, Reason::EndpointDenied);
}

#[test]
fn client_credentials_need_a_provider_that_lets_them_authenticate() {
    let mut spec_ = minimal();
    spec_.grant = Some(Box::new(crate::api::grant::Grant::ClientCredentials(
        crate::api::grant::ClientCredentialsGrant {},
    )));
    spec_.provider.inline.client_authentication =
        serde_json::from_value(json!({"method": "None"})).unwrap();
    let problem = spec(&spec_, AddressPolicy::default()).unwrap_err();
    assert_eq!(problem.reason, Reason::SpecInvalid);
    assert!(problem.message.contains("clientAuthentication.method"), "{}", problem.message);
}

fn with_provider(provider: serde_json::Value, source: serde_json::Value) -> OAuthCredentialSpec {
    let mut value = json!({"provider": {"tokenEndpoint": "https://as.example/t"}, "source": {"name": "s"}, "target": {"name": "t"}});
    for (part, change) in [("provider", provider), ("source", source)] {
        for (key, given) in change.as_object().unwrap() {
            value[part][key] = given.clone();
        }
    }
    parsed(value)
}

fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn a_certificate_is_read_from_the_keys_of_a_tls_secret_or_from_others() {
    let (certificate, key) = certificate();
    let method = json!({"clientAuthentication": {"method": "TlsClientAuth"}});
    let others = json!({"keys": {"tlsCertificate": "c", "tlsKey": "k"}});
    for (source, names) in [(json!({}), ("tls.crt", "tls.key")), (others, ("c", "k"))] {
        let spec_ = with_provider(method.clone(), source);
        let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
        let read = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
            let client = resolved.clients_of(&data(&pairs)).map(|(client, _)| client);
            client.map_err(|problem| (problem.reason, problem.message))
        };
        let id = ("client_id", "i");
        let both = [id, (names.0, certificate.as_str()), (names.1, key.as_str())];
        let Client::Fixed(client) = read(&both).unwrap() else { panic!("nothing is signed") };
        assert_eq!(client.body_members(), [("client_id", "i")]);
        assert!(client.identity().is_some());
        let (other, other_key) = self::certificate();
        for (pairs, name, words) in [
            (vec![id, both[2]], names.0, "is missing"),
            (vec![id, both[1]], names.1, "is missing"),
            (vec![id, (names.0, "x"), both[2]], names.0, "holds no certificate"),
            (vec![id, both[1], (names.1, "x")], names.1, "holds no private key"),
            (vec![id, both[1], (names.1, &other_key)], names.1, "does not belong"),
            (vec![id, (names.0, &other), both[2]], names.1, "does not belong"),
            (vec![both[1], both[2]], "client_id", "is missing"),
        ] {
            let (reason, message) = read(&pairs).unwrap_err();
            assert_eq!(reason, Reason::SourceInvalid);
            assert!(message.contains(&format!("key {name} ")), "{message}");
            assert!(message.contains(words), "{message}");
        }
    }
}

#[test]
fn what_makes_no_sense_of_tls_is_named() {
    let policy = AddressPolicy { allow_http: true, ..AddressPolicy::default() };
    let tls_auth = json!({"method": "TlsClientAuth"});
    for (provider, source, words) in [
        (
            json!({"tls": {"caBundle": "-----BEGIN CERTIFICATE-----\n!"}}),
            json!({}),
            "spec.provider.tls.caBundle is no PEM",
        ),
        (
            json!({"tls": {"caBundle": "text"}}),
            json!({}),
            "spec.provider.tls.caBundle holds no certificate",
        ),
        (
            json!({"tokenEndpoint": "http://as.example/t", "clientAuthentication": tls_auth}),
            json!({}),
            "needs an endpoint with https",
        ),
        (
            json!({"clientAuthentication": tls_auth}),
            json!({"keys": {"clientSecret": "s"}}),
            "spec.source.keys.clientSecret is not used",
        ),
        (
            json!({}),
            json!({"keys": {"tlsCertificate": "c"}}),
            "spec.source.keys.tlsCertificate is used by",
        ),
        (json!({}), json!({"keys": {"tlsKey": "k"}}), "spec.source.keys.tlsKey is used by"),
    ] {
        let problem = spec(&with_provider(provider, source), policy).unwrap_err();
        assert_eq!(problem.reason, Reason::SpecInvalid);
        assert!(problem.message.contains(words), "{}", problem.message);
    }
    let (pem, _) = certificate();
    let spec_ = with_provider(
        json!({"tls": {"caBundle": pem}, "rateLimit": {"requests": 3, "per": "1m"}}),
        json!({}),
    );
    let resolved = spec(&spec_, policy).unwrap();
    let limit = RateLimit { requests: 3, per: Duration::from_secs(60) };
    assert_eq!(resolved.rate_limit, Some(limit));
    let client = Client::Fixed(ClientAuth::None { client_id: None });
    let stamp = || Stamp { now: jiff::Timestamp::UNIX_EPOCH, id: String::new() };
    let request = resolved.request(&client, &GrantInput::ClientCredentials, stamp).unwrap();
    assert_eq!(request.tls.roots.unwrap().pem(), pem);
}

#[test]
fn an_alias_of_the_endpoint_is_the_same_place_as_the_endpoint() {
    let issued = |alias: &str| {
        let alias = Some(Ok(Url::parse(alias).unwrap()));
        Metadata {
            token_endpoint: Url::parse("https://as.example/t").unwrap(),
            mtls_token_endpoint: alias,
        }
    };
    let spec_ = parsed(json!({
        "provider": {
            "issuer": "https://as.example", "revocationEndpoint": "https://as.example/revoke",
            "clientAuthentication": {"method": "TlsClientAuth"},
        },
        "source": {"name": "s"}, "target": {"name": "t"},
    }));
    let resolved = |alias| {
        let provider = Provider::inline(&spec_.provider.inline).completed(&issued(alias)).unwrap();
        super::spec(&spec_, &provider, AddressPolicy::default())
    };
    let at_alias = resolved("https://mtls.as.example:8443/t").unwrap();
    assert_eq!(at_alias.endpoint.as_str(), "https://mtls.as.example:8443/t");
    assert_eq!(at_alias.origin(), "https://as.example");
    assert_eq!(at_alias.origin_as("https://as.example"), "https://as.example");
    let at_first = "https://mtls.as.example:8443";
    assert_eq!(at_alias.origin_as(at_first), at_first);
    assert_eq!(at_alias.revocation_endpoint.unwrap().as_str(), "https://as.example/revoke");
    let elsewhere = resolved("https://mtls.example/t").unwrap_err();
    assert!(elsewhere.message.contains("revocationEndpoint must have"), "{}", elsewhere.message);
}
