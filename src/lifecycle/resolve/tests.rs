use super::*;
use serde_json::json;

fn parsed(value: serde_json::Value) -> OAuthCredentialSpec {
    serde_json::from_value(value).unwrap()
}

fn minimal() -> OAuthCredentialSpec {
    parsed(
        json!({"provider": {"tokenEndpoint": "https://as.example/t"}, "source": {"name": "s"}, "target": {"name": "t"}}),
    )
}

fn data(pairs: &[(&str, &[u8])]) -> BTreeMap<String, ByteString> {
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
        matches!(with.unwrap().client, ClientAuth::Post { client_secret, .. } if client_secret.expose() == "s")
    );
    let without = resolved.read_source(&data(&[("refresh_token", b"r")])).unwrap();
    assert!(matches!(without.client, ClientAuth::None { client_id: None }));
}

type Case = (&'static [(&'static str, &'static [u8])], &'static str);

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
        json!({"parameters": {"a": "b"}}),
        json!({"audience": "a"}),
        json!({"resources": ["https://a.example"]}),
        json!({"grant": {"clientCredentials": {}}}),
        json!({"scopes": ["a"]}),
        json!({"source": {"name": "s", "keys": {"clientId": "x"}}}),
    ] {
        assert_ne!(digest(change.clone()), base, "{change}");
    }
    for change in [
        json!({"target": {"name": "u", "labels": {"a": "b"}}}),
        json!({"renewal": {"renewBefore": "5m"}}),
        json!({"suspend": true}),
    ] {
        assert_eq!(digest(change.clone()), base, "{change}");
    }
}

#[test]
fn denied_endpoints_are_a_configuration_problem() {
    let mut spec_ = minimal();
    spec_.provider.token_endpoint = "http://as.example/t".into();
    assert_eq!(spec(&spec_, AddressPolicy::default()).unwrap_err().reason, Reason::EndpointDenied);
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
            let client = resolved.client_of(&data(&pairs));
            client.map_err(|problem| (problem.reason, problem.message))
        };
        let id = ("client_id", "i");
        let both = [id, (names.0, certificate.as_str()), (names.1, key.as_str())];
        let client = read(&both).unwrap();
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
    let request =
        resolved.request(&ClientAuth::None { client_id: None }, &GrantInput::ClientCredentials);
    assert_eq!(request.tls.roots.unwrap().pem(), pem);
}
