use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::api::Reason;
use crate::api::credential::OAuthCredentialSpec;
use crate::lifecycle::resolve::tests::{Case, data, parsed, spec};
use crate::oauth::address::AddressPolicy;
use crate::oauth::jwt::Stamp;
use crate::oauth::jwt::tests::{es256, verified};

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
fn a_signed_token_may_be_of_the_client_secret_and_stand_in_the_header() {
    let sentry = json!({"jwtBearer": {
        "algorithm": "HS256", "subject": "me", "omitClaims": ["aud"], "assertionIn": "AuthorizationHeader",
    }});
    let spec_ = signing(&json!({"grant": sentry}));
    let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
    let read = |pairs: &[(&str, &[u8])]| resolved.read_source(&data(pairs));
    let content = read(&[("client_id", b"me"), ("client_secret", b"s3cret")]).unwrap();
    let stamp = || Stamp { now: jiff::Timestamp::UNIX_EPOCH, id: "1".to_owned() };
    let request = resolved.request(&content.client, &content.input, stamp).unwrap();
    let header = request.headers[http::header::AUTHORIZATION].to_str().unwrap();
    let (input, signature) = header.strip_prefix("Bearer ").unwrap().rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
    hmac::verify(&key, input.as_bytes(), &signature).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(input.rsplit_once('.').unwrap().1).unwrap();
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&claims).unwrap(),
        json!({"iss": "me", "sub": "me", "iat": 0, "exp": 300, "jti": "1"})
    );
    let grant_type = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
    assert_eq!(*request.body, format!("grant_type={grant_type}&client_id=me"));
    let missing = read(&[("client_id", b"me")]).unwrap_err();
    assert_eq!(missing.message, "key client_secret of the source Secret s is missing");
}

#[test]
fn scopes_are_signed_where_the_server_wants_them_there() {
    let of = |scopes: serde_json::Value, in_claim: bool| {
        let pair = es256();
        let spec_ = signing(&json!({
            "provider": {
                "tokenEndpoint": "https://as.example/t",
                "clientAuthentication": {
                    "method": "PrivateKeyJwt", "algorithm": "ES256", "scopesInClaim": in_claim,
                },
                "request": {"scopeSeparator": ","},
            },
            "grant": {"clientCredentials": {}}, "scopes": scopes,
        }));
        let pairs = [("client_id", b"me".as_slice()), ("private_key", pair.pem.as_bytes())];
        let seen = written(&spec_, &pairs);
        let claims = seen["client_assertion"].split('.').nth(1).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        (seen.get("scope").cloned(), claims.get("scope").cloned())
    };
    assert_eq!(of(json!(["a", "b"]), true), (None, Some(json!("a,b"))));
    assert_eq!(of(json!([]), true), (None, None));
    assert_eq!(of(json!(["a", "b"]), false), (Some("a,b".to_owned()), None));
}

#[test]
fn a_certificate_is_named_where_the_server_finds_keys_by_it() {
    let made = rcgen::generate_simple_self_signed(["c".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let spec_ = signing(&json!({
        "provider": {"tokenEndpoint": "https://as.example/t", "clientAuthentication": {
            "method": "PrivateKeyJwt", "algorithm": "ES256", "certificateThumbprint": true,
        }},
        "grant": {"clientCredentials": {}},
        "source": {"name": "s", "keys": {"privateKey": "tls.key"}},
    }));
    let pairs = [("client_id", b"me".as_slice()), ("tls.key", key.as_bytes())];
    let with = |certificate: &str| {
        let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
        let all = [pairs.as_slice(), &[("tls.crt", certificate.as_bytes())]].concat();
        resolved.read_source(&data(&all)).map(|_| ()).map_err(|problem| problem.message)
    };
    assert_eq!(with(&certificate), Ok(()));
    let other = rcgen::generate_simple_self_signed(["c".to_owned()]).unwrap();
    assert_eq!(
        with(&other.cert.pem()).unwrap_err(),
        "key tls.key of the source Secret s does not belong to the certificate"
    );
    let wrong = "key tls.crt of the source Secret s holds no certificate in PEM";
    assert_eq!(with("none").unwrap_err(), wrong);
    let seen = written(&spec_, &[pairs[0], pairs[1], ("tls.crt", certificate.as_bytes())]);
    let header = seen["client_assertion"].split_once('.').unwrap().0;
    let header: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, made.cert.der());
    assert_eq!(
        header,
        json!({"alg": "ES256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(digest)})
    );
}

#[test]
fn a_key_that_can_not_sign_is_named() {
    let pair = es256();
    let pem = pair.pem.as_bytes();
    let mut other = key_client();
    let authentication = other.provider.inline.client_authentication.as_mut().unwrap();
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
                "private_key of the source Secret s is no private key, neither in PEM (PKCS#8, PKCS#1 or SEC1) nor as JSON Web Key",
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
