use super::*;
use crate::oauth::jwt::tests::{es256, verified};
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
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
        matches!(with.unwrap().client, Client::Fixed(ClientAuth::Post { client_secret, .. }) if client_secret.expose() == "s")
    );
    let without = resolved.read_source(&data(&[("refresh_token", b"r")])).unwrap();
    assert!(matches!(without.client, Client::Fixed(ClientAuth::None { client_id: None })));
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
        json!({"provider": {"tokenEndpoint": "https://as.example/t", "clientAuthentication": {"method": "PrivateKeyJwt", "keyId": "k"}}}),
        json!({"grant": {"jwtBearer": {"subject": "s"}}}),
        json!({"source": {"name": "s", "keys": {"privateKey": "x"}}}),
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

fn signing(change: &serde_json::Value) -> OAuthCredentialSpec {
    let mut base = json!({"source": {"name": "s"}, "target": {"name": "t"}, "provider": {"tokenEndpoint": "https://as.example/t"}});
    for (key, value) in change.as_object().unwrap() {
        base[key] = value.clone();
    }
    parsed(base)
}

fn key_client() -> OAuthCredentialSpec {
    signing(&json!({
        "grant": {"clientCredentials": {}},
        "provider": {
            "tokenEndpoint": "https://as.example/t",
            "clientAuthentication": {"method": "PrivateKeyJwt", "algorithm": "ES256", "audience": "https://as.example"},
        },
    }))
}

fn written(spec_: &OAuthCredentialSpec, pairs: &[(&str, &[u8])]) -> BTreeMap<String, String> {
    let resolved = spec(spec_, AddressPolicy::default()).unwrap();
    let content = resolved.read_source(&data(pairs)).unwrap();
    let names = std::cell::RefCell::new(["2", "1"].to_vec());
    let stamp = || Stamp {
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        id: names.borrow_mut().pop().unwrap().to_owned(),
    };
    let request = resolved.request(&content.client, &content.input, stamp).unwrap();
    let members = url::form_urlencoded::parse(request.body.as_bytes());
    members.into_owned().collect()
}

#[test]
fn a_client_signs_with_its_private_key() {
    let pair = es256();
    let seen =
        written(&key_client(), &[("client_id", b"me"), ("private_key", pair.pem.as_bytes())]);
    let names: Vec<_> = seen.keys().map(String::as_str).collect();
    assert_eq!(names, ["client_assertion", "client_assertion_type", "client_id", "grant_type"]);
    let [_, claims] = verified(&seen["client_assertion"], &ECDSA_P256_SHA256_FIXED, &pair.public);
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("me"), &json!("https://as.example")));
}

#[test]
fn a_signed_token_is_the_grant() {
    let pair = es256();
    let of = |grant: serde_json::Value, keys: &[(&str, &[u8])]| {
        let grant = json!({"scopes": ["a", "b"], "grant": {"jwtBearer": grant}});
        let mut keys = keys.to_vec();
        keys.push(("private_key", pair.pem.as_bytes()));
        let mut seen = written(&signing(&grant), &keys);
        let assertion = seen.remove("assertion").unwrap();
        let [_, claims] = verified(&assertion, &ECDSA_P256_SHA256_FIXED, &pair.public);
        (seen, claims)
    };
    let (seen, claims) = of(json!({"algorithm": "ES256", "subject": "u"}), &[("client_id", b"me")]);
    let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned();
    let of_them = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(
        seen,
        of_them(&[("client_id", "me"), ("grant_type", &grant_type), ("scope", "a b")])
    );
    assert_eq!(
        claims,
        json!({"iss": "me", "sub": "u", "aud": "https://as.example/t", "iat": 1_767_225_600, "exp": 1_767_225_900, "jti": "1"})
    );
    // As Google wants it.
    let google = json!({"algorithm": "ES256", "issuer": "a@b.example", "scopesInClaim": true, "lifetime": "1h"});
    let (seen, claims) = of(google, &[]);
    assert_eq!(seen, of_them(&[("grant_type", &grant_type)]));
    assert_eq!(
        claims,
        json!({"iss": "a@b.example", "aud": "https://as.example/t", "scope": "a b", "iat": 1_767_225_600, "exp": 1_767_229_200, "jti": "1"})
    );
}

#[test]
fn a_key_that_can_not_sign_is_named() {
    let pair = es256();
    let pem = pair.pem.as_bytes();
    let mut other = key_client();
    let authentication = other.provider.client_authentication.as_mut().unwrap();
    authentication.algorithm = None;
    let bearer = signing(&json!({"grant": {"jwtBearer": {"algorithm": "EdDSA"}}}));
    let right = key_client();
    let cases: [(&OAuthCredentialSpec, Case); 6] = [
        (&right, (&[("client_id", b"me")], "private_key of the source Secret s is missing")),
        (
            &right,
            (
                &[("client_id", b"me"), ("private_key", b"\n")],
                "private_key of the source Secret s is empty",
            ),
        ),
        (
            &right,
            (
                &[("client_id", b"me"), ("private_key", b"secret")],
                "private_key of the source Secret s is no private key in PEM (PKCS#8, PKCS#1 or SEC1)",
            ),
        ),
        (&right, (&[], "client_id of the source Secret s is missing")),
        (
            &other,
            (
                &[("client_id", b"me")],
                "private_key of the source Secret s does not fit the algorithm RS256, which takes an RSA key of 2048 to 8192 bits",
            ),
        ),
        (
            &bearer,
            (
                &[("client_id", b"me")],
                "private_key of the source Secret s does not fit the algorithm EdDSA, which takes an Ed25519 key",
            ),
        ),
    ];
    for (spec_, (pairs, message)) in cases {
        let mut pairs = pairs.to_vec();
        if pairs.is_empty() || message.contains("fit") {
            pairs.push(("private_key", pem));
        }
        let resolved = spec(spec_, AddressPolicy::default()).unwrap();
        let problem = resolved.read_source(&data(&pairs)).unwrap_err();
        assert_eq!(problem.reason, Reason::SourceInvalid);
        assert_eq!(problem.message, format!("key {message}"));
    }
}

#[test]
fn another_private_key_is_another_source() {
    let spec_ = signing(&json!({"grant": {"jwtBearer": {"algorithm": "ES256", "issuer": "i"}}}));
    let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
    let of = |pem: &str| {
        let content = resolved.read_source(&data(&[("private_key", pem.as_bytes())])).unwrap();
        content.input.fingerprint(&content.client, b"salt")
    };
    let [one, two] = [es256().pem, es256().pem];
    assert_eq!(of(&one), of(&format!("{one}\n")));
    assert_ne!(of(&one), of(&two));
}
