//! Each preset makes the request that its vendor documents, and reads the answer that is documented.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use oauth_keeper::api::OAuthCredentialSpec;
use oauth_keeper::lifecycle::provider::Provider;
use oauth_keeper::lifecycle::resolve::{self, Resolved};
use oauth_keeper::oauth::address::AddressPolicy;
use oauth_keeper::oauth::error::TokenError;
use oauth_keeper::oauth::jwt::Stamp;
use oauth_keeper::oauth::request::{Method, TokenRequest};
use oauth_keeper::oauth::response::{Ending, Lifetime, RawResponse, TokenSet, parse};
use oauth_keeper::oauth::secret::RefreshToken;
use oauth_keeper_test_support::signing_key::rsa_key;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// What a vendor documents.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    grant: String,
    /// Of the grant.
    #[serde(default)]
    settings: BTreeMap<String, Value>,
    #[serde(default)]
    scopes: Vec<String>,
    /// What the user has to add.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    request: Request,
    /// What is signed in it, where a signature is never the same twice.
    assertion: Option<Assertion>,
    answer: Answer,
    token: Expected,
    /// Another answer, where the vendor has more than one.
    further: Option<Further>,
    /// Of what was given.
    refusal: Option<Refusal>,
    /// Of the client.
    client_refusal: Option<Refusal>,
    /// Others, where the vendor has more than one.
    #[serde(default)]
    further_refusals: Vec<Refusal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Further {
    answer: Answer,
    token: Expected,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Assertion {
    header: Value,
    claims: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Answer {
    status: u16,
    /// Where the answer has a time of expiry.
    #[serde(default)]
    received_at: Timestamp,
    #[serde(default, rename = "headers")]
    _headers: BTreeMap<String, String>,
    body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    access_token: String,
    refresh_token: Option<String>,
    lifetime_seconds: Option<i64>,
    refresh_token_lifetime_seconds: Option<i64>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    status: u16,
    body: String,
    class: String,
}

fn files(folder: &str) -> BTreeMap<String, PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let yaml = entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    yaml.map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path)).collect()
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap();
    serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A credential of that provider.
fn credential(provider: &Value, case: &Case) -> OAuthCredentialSpec {
    let mut provider = provider["spec"].clone();
    provider.as_object_mut().unwrap().remove("namespaces");
    let spec = json!({
        "provider": provider, "grant": {&case.grant: case.settings}, "scopes": case.scopes, "parameters": case.parameters,
        "source": {"name": "source"}, "target": {"name": "target"},
    });
    serde_json::from_value(spec).unwrap()
}

fn request(spec: &Resolved<'_>) -> TokenRequest {
    static PRIVATE_KEY: LazyLock<String> = LazyLock::new(rsa_key);
    let keys = [
        ("client_id", "client"),
        ("client_secret", "secret"),
        ("refresh_token", "refresh"),
        ("private_key", &PRIVATE_KEY),
    ];
    let data = keys.map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())));
    let content = spec.read_source(&data.into()).unwrap();
    let stamp = || Stamp { now: Timestamp::UNIX_EPOCH, id: "a".to_owned() };
    spec.request(&content.client, &content.input, stamp).unwrap()
}

fn answered(status: u16, body: &str, spec: &Resolved<'_>) -> Result<TokenSet, TokenError> {
    let raw = RawResponse {
        status,
        retry_after: None,
        received_at: Timestamp::UNIX_EPOCH,
        ending: Ending::Whole,
        body: Zeroizing::new(body.as_bytes().to_vec()),
        set_cookies: Vec::new(),
    };
    parse(&raw, &spec.response, spec.grant.spends())
}

fn compare(name: &str, case: &Case, spec: &Resolved<'_>) {
    let sent = request(spec);
    let method = match sent.method {
        Method::Post => "POST",
        Method::Get => "GET",
    };
    assert_eq!(
        (method, sent.endpoint.as_str()),
        (case.request.method.as_str(), case.request.url.as_str()),
        "{name}"
    );
    let body = match &case.assertion {
        None => sent.body.to_string(),
        Some(expected) => {
            let (before, assertion) = sent.body.rsplit_once("client_assertion=").unwrap();
            assert_eq!(&signed(assertion), expected, "{name}");
            format!("{before}client_assertion=ASSERTION")
        }
    };
    assert_eq!(body, case.request.body, "{name}");
    for (header, value) in &case.request.headers {
        let found = sent.headers.get(header).and_then(|value| value.to_str().ok());
        assert_eq!(found, Some(value.as_str()), "{name}: {header}");
    }

    compare_answer(name, &case.answer, &case.token, spec);
    if let Some(further) = &case.further {
        compare_answer(name, &further.answer, &further.token, spec);
    }
    let refusals = case.refusal.iter().chain(&case.client_refusal).chain(&case.further_refusals);
    for refusal in refusals {
        let error = answered(refusal.status, &refusal.body, spec).unwrap_err();
        let class = format!("{error:?}");
        assert!(class.starts_with(&refusal.class), "{name}: {class}");
    }
}

fn signed(assertion: &str) -> Assertion {
    let mut parts = assertion.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    Assertion { header: next(), claims: next() }
}

fn compare_answer(name: &str, answer: &Answer, expected: &Expected, spec: &Resolved<'_>) {
    let set = answered(answer.status, &answer.body, spec)
        .unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert_eq!(set.access_token.expose(), expected.access_token, "{name}");
    let refresh_token = set.refresh_token.as_ref().map(RefreshToken::expose);
    assert_eq!(refresh_token, expected.refresh_token.as_deref(), "{name}");
    let seconds = |lifetime: &Lifetime| match lifetime {
        Lifetime::Seconds(seconds) => Some(*seconds),
        Lifetime::Until(time) => Some(time.duration_since(answer.received_at).as_secs()),
        Lifetime::Missing | Lifetime::Unusable(_) => None,
    };
    let lifetime = seconds(&set.lifetime);
    assert_eq!(lifetime, expected.lifetime_seconds, "{name}");
    let of_refresh_token = seconds(&set.refresh_token_lifetime);
    assert_eq!(of_refresh_token, expected.refresh_token_lifetime_seconds, "{name}");
    assert!(
        lifetime.is_some() || spec.default_lifetime.is_some(),
        "{name}: nobody knows when to renew"
    );
    let fields = set.fields.iter().map(|(key, text)| (key.clone(), text.expose().to_owned()));
    assert_eq!(fields.collect::<BTreeMap<_, _>>(), expected.fields, "{name}");
}

#[test]
fn each_makes_the_documented_request_and_reads_the_documented_answer() {
    let (presets, cases) = (files("examples/providers"), files("tests/presets"));
    assert!(presets.len() >= 30, "{}", presets.len());
    let names = |files: &BTreeMap<String, PathBuf>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&presets), names(&cases), "each preset has a case");
    for (name, path) in &presets {
        let (preset, case): (Value, Case) = (read(path), read(&cases[name]));
        assert_eq!(preset["metadata"]["name"].as_str(), Some(name.as_str()));
        let page = preset["metadata"]["annotations"]["oauth-keeper.dev/documentation"].as_str();
        assert!(page.is_some_and(|page| page.starts_with("https://")), "{name} names its page");
        let credential = credential(&preset, &case);
        let spec = resolve::spec(
            &credential,
            &Provider::inline(&credential.provider.inline),
            AddressPolicy::default(),
        );
        compare(name, &case, &spec.unwrap_or_else(|problem| panic!("{name}: {}", problem.message)));
    }
}

#[test]
fn the_first_lines_of_each_say_what_its_annotations_say() {
    for (name, path) in files("examples/providers") {
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, rest) = text.split_once("# Not confirmed: ").unwrap();
        let (lines, _) = rest.split_once("\n#\n").unwrap();
        let line = lines.replace("\n#   ", " ");
        let preset: Value = read(&path);
        let annotations = &preset["metadata"]["annotations"];
        let said = annotations["oauth-keeper.dev/not-confirmed"].as_str().unwrap_or("nothing");
        assert_eq!(line, said, "{name}");
        let page = annotations["oauth-keeper.dev/documentation"].as_str().unwrap();
        assert!(text.starts_with(&format!("# Documentation: {page}\n")), "{name}");
    }
}
