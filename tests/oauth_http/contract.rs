//! Each grant with each client authentication and each way of writing, from the words of a credential to the bytes on the
//! wire. The texts of `requests` were not made by the program that they are held against.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use oauth_keeper::api::OAuthCredentialSpec;
use oauth_keeper::lifecycle::provider::Provider;
use oauth_keeper::lifecycle::resolve::{self, Resolved};
use oauth_keeper::oauth::jwt::Stamp;
use oauth_keeper::oauth::request::TokenRequest;
use oauth_keeper::oauth::transport::SPEND_TIMEOUT;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::FOR_TESTS;
use crate::crd;
use crate::server::Server;

/// A file of `requests`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    /// Of the credential, beside provider, source and target.
    spec: Value,
    /// Keys of the source that no client authentication reads.
    source: BTreeMap<String, String>,
    requests: BTreeMap<String, Row>,
}

/// One client authentication: by way of writing.
#[derive(Deserialize)]
#[serde(untagged)]
enum Row {
    Refused(Refused),
    Sent(BTreeMap<String, Cell>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Cell {
    Refused(Refused),
    Sent(String),
}

/// In the words of a rule of the CRD.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    refused: String,
}

/// Published in RFC 8037, appendix A.1. What Ed25519 signs is always the same.
const KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// The one that shows itself in TLS.
const TLS: &str = "TlsClientAuth";

fn grants() -> BTreeMap<String, Grant> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oauth_http/requests");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let grant = serde_yaml_ng::from_str(&text);
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, grant.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect()
}

#[test]
fn no_cell_is_missing() {
    let (grants, refusals) = (grants(), crd::refused_cases());
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(grants.keys().collect()), crd::grants());
    for (name, grant) in &grants {
        assert_eq!(names(grant.requests.keys().collect()), crd::authentications(), "{name}");
        for (authentication, row) in &grant.requests {
            let method = json!({"clientAuthentication": crd::authentication(authentication)});
            let cells = match row {
                Row::Refused(refused) => {
                    crd::assert_refused(&refusals, name, &method, &refused.refused);
                    continue;
                }
                Row::Sent(cells) => cells,
            };
            assert_eq!(names(cells.keys().collect()), crd::ways(), "{name}, {authentication}");
            for (way, cell) in cells {
                if let Cell::Refused(refused) = cell {
                    let request = json!({"request": crd::way(way)});
                    crd::assert_refused(&refusals, name, &request, &refused.refused);
                }
            }
        }
    }
}

#[tokio::test]
async fn every_request_is_this_one() {
    let (server, transport) = (Server::start().await, crate::transport(FOR_TESTS));
    for (name, grant) in grants() {
        for (authentication, row) in &grant.requests {
            let Row::Sent(cells) = row else { continue };
            for (way, cell) in cells {
                let Cell::Sent(text) = cell else { continue };
                let (request, spends, host) = request(&server, &grant, authentication, way);
                let sent = if spends {
                    transport.spend(&request, SPEND_TIMEOUT, Arc::new(|| true)).await
                } else {
                    transport.send(&request).await
                };
                let sent = sent.map(|_| server.newest(authentication == TLS));
                let expected = on_the_wire(text, &host);
                assert_eq!(sent, Ok(expected), "{name}, {authentication}, {way}");
            }
        }
    }
}

/// The request, whether it spends a refresh token, and the host that it is for.
fn request(
    server: &Server,
    grant: &Grant,
    authentication: &str,
    way: &str,
) -> (TokenRequest, bool, String) {
    let with_tls = authentication == TLS;
    let host = server.host(with_tls);
    let endpoint = format!("{}://{host}", if with_tls { "https" } else { "http" });
    let mut provider = json!({
        "tokenEndpoint": format!("{endpoint}/token?tenant=1"),
        "clientAuthentication": crd::authentication(authentication),
    });
    if way != "Form" {
        provider["request"] = crd::way(way);
    }
    if with_tls {
        provider["tls"] = json!({"caBundle": server.authority()});
    }
    let spec = grant.spec.to_string().replace("ENDPOINT", &endpoint);
    let mut spec: Value = serde_json::from_str(&spec).unwrap();
    spec["provider"] = provider;
    spec["source"] = json!({"name": "source"});
    spec["target"] = json!({"name": "target"});
    let spec: OAuthCredentialSpec = serde_json::from_value(spec).unwrap();
    let provider = Provider::inline(&spec.provider.inline);
    let spec = resolve::spec(&spec, &provider, FOR_TESTS);
    let spec = spec.unwrap_or_else(|problem| panic!("{authentication}: {}", problem.message));
    let source = source(server, grant, authentication);
    (written(&spec, source), spec.grant.spends(), host)
}

fn source(server: &Server, grant: &Grant, authentication: &str) -> BTreeMap<String, String> {
    let mut source = grant.source.clone();
    let (certificate, key) = server.client();
    let pairs = [
        ("client_id", "i d"),
        ("client_secret", "s:e"),
        ("private_key", KEY),
        ("tls.crt", &certificate),
        ("tls.key", &key),
    ];
    source.extend(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
    if authentication == "None, unnamed" {
        source.remove("client_id");
    }
    source
}

fn written(spec: &Resolved<'_>, source: BTreeMap<String, String>) -> TokenRequest {
    let data = source.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes())));
    let content = spec.read_source(&data.collect()).unwrap();
    let now = Timestamp::from_second(1_300_819_380).unwrap();
    let stamp = || Stamp { now, id: "unlike-any-other".to_owned() };
    spec.request(&content.client, &content.input, stamp).unwrap()
}

fn on_the_wire(text: &str, host: &str) -> String {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let head = head
        .replace("oauth-keeper/VERSION", concat!("oauth-keeper/", env!("CARGO_PKG_VERSION")))
        .replace("host: HOST", &format!("host: {host}"));
    format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n"))
}
