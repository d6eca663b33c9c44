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

/// With the provider that stands in it.
fn spec(spec_: &OAuthCredentialSpec, policy: AddressPolicy) -> Result<Resolved<'_>, Problem> {
    super::spec(spec_, &Provider::inline(&spec_.provider.inline), policy)
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
    spec_.provider.inline.token_endpoint = Some("http://as.example/t".into());
    assert_eq!(spec(&spec_, AddressPolicy::default()).unwrap_err().reason, Reason::EndpointDenied);
}

#[test]
fn client_credentials_need_a_provider_that_lets_them_authenticate() {
    let mut spec_ = minimal();
    spec_.grant = Some(Grant::ClientCredentials(crate::api::grant::ClientCredentialsGrant {}));
    spec_.provider.inline.client_authentication =
        serde_json::from_value(json!({"method": "None"})).unwrap();
    let problem = spec(&spec_, AddressPolicy::default()).unwrap_err();
    assert_eq!(problem.reason, Reason::SpecInvalid);
    assert!(problem.message.contains("clientAuthentication.method"), "{}", problem.message);
}
