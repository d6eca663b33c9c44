//! A server of a private authority that knows its clients by their certificates.

use std::sync::Arc;

use oauth_keeper_test_support::certificates::{Authority, Identity};
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::tls_front::TlsFront;
use oauth_keeper_test_support::tls_front::rustls::pki_types::pem::PemObject;
use oauth_keeper_test_support::tls_front::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use oauth_keeper_test_support::tls_front::rustls::server::WebPkiClientVerifier;
use oauth_keeper_test_support::tls_front::rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};

use crate::stage::{Stage, eager, source_of, spec, with};

/// A server of that authority that lets in those alone who show one of its certificates.
fn server_config(authority: &Authority) -> ServerConfig {
    let own = authority.host("localhost");
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("it is PEM");
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("it is PEM");
    let mut roots = RootCertStore::empty();
    roots.add(der(&authority.certificate())).expect("it is a root");
    let provider = Arc::new(
        oauth_keeper_test_support::tls_front::rustls::crypto::aws_lc_rs::default_provider(),
    );
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .expect("there is a root");
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the versions are known")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![der(&own.certificate)], key)
        .expect("they belong together")
}

/// A server that answers each request with the same tokens.
async fn granting() -> ScriptedServer {
    let server = ScriptedServer::start().await;
    let answer = json!({"access_token": "a", "refresh_token": "r2", "expires_in": 3600});
    server.always(Answer::json(200, &answer));
    server
}

/// The source of a client that has that certificate and key.
async fn source(stage: &Stage, name: &str, token: &str, (certificate, key): (&str, &str)) {
    let keys =
        [("client_id", "i"), ("refresh_token", token), ("tls.crt", certificate), ("tls.key", key)];
    stage.source(&source_of(name), &keys).await;
}

fn bound(name: &str, front: &TlsFront, bundle: &str) -> Value {
    let endpoint = format!("https://localhost:{}/t", front.port());
    let provider = json!({"provider": {
        "clientAuthentication": {"method": "TlsClientAuth"}, "tls": {"caBundle": bundle},
    }});
    with(eager(spec(name, &endpoint)), provider)
}

pub async fn a_client_is_known_by_its_certificate(env: Arc<Env>) {
    let stage = Stage::new(env, "mutual-tls").await;
    let (authority, other) = (Authority::new(), Authority::new());
    let server = granting().await;
    let front = TlsFront::start(server.address(), server_config(&authority)).await;
    let _operator = stage.operator().await;
    let Identity { certificate, key } = authority.host("client");
    let other_key = authority.host("client").key;
    let bundle = authority.certificate();
    let offer = async |name: &str, certificate: &str, key: &str, bundle: &str| {
        source(&stage, name, name, (certificate, key)).await;
        stage.credential(name, bound(name, &front, bundle)).await;
    };

    offer("good", &certificate, &key, &bundle).await;
    stage.ready("good").await;
    let sent = server.requests().remove(0);
    assert_eq!(sent.text(), "grant_type=refresh_token&client_id=i&refresh_token=good");
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("it is PEM");
    assert_eq!(front.shown(), [[der.to_vec()]]);

    offer("mismatch", &certificate, &other_key, &bundle).await;
    let message = stage.condition("mismatch", "Stalled", "True", "SourceInvalid").await;
    assert!(message.contains("key tls.key of the source Secret mismatch-source"), "{message}");
    offer("no-pem", "text", &key, &bundle).await;
    let message = stage.condition("no-pem", "Stalled", "True", "SourceInvalid").await;
    assert!(message.contains("key tls.crt of the source Secret no-pem-source"), "{message}");
    offer("untrusted", &certificate, &key, &other.certificate()).await;
    let message = stage.condition("untrusted", "Ready", "False", "EndpointUnreachable").await;
    assert!(message.contains("certificate"), "{message}");
    let broken = bundle.replacen("MII", "AII", 1).replacen("MIB", "AIB", 1);
    offer("bundle", &certificate, &key, &broken).await;
    let message = stage.condition("bundle", "Stalled", "True", "SpecInvalid").await;
    assert!(message.contains("spec.provider.tls.caBundle"), "{message}");
    assert_eq!(server.requests().len(), 1);

    // Mended, it acts at once.
    offer("mismatch", &certificate, &key, &bundle).await;
    stage.ready("mismatch").await;
}

/// Its token may be bound to the certificate.
pub async fn a_probe_shows_the_certificate_too(env: Arc<Env>) {
    let stage = Stage::new(env, "mutual-tls").await;
    let authority = Authority::new();
    let server = granting().await;
    let front = TlsFront::start(server.address(), server_config(&authority)).await;
    let _operator = stage.operator().await;
    let Identity { certificate, key } = authority.host("client");
    source(&stage, "c", "r", (&certificate, &key)).await;
    let url = format!("https://localhost:{}/me", front.port());
    let probe = json!({"probe": {"url": url, "interval": "5s"}});
    stage.credential("c", with(bound("c", &front, &authority.certificate()), probe)).await;
    // Who shows none is not let in.
    stage.condition("c", "TokenAccepted", "True", "ProbeAccepted").await;
    let asked = server.requests().into_iter().find(|request| request.path() == "/me");
    let authorization = asked.expect("it was asked");
    assert_eq!(authorization.header("authorization"), Some("Bearer a"));
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("it is PEM");
    assert!(front.shown().iter().all(|shown| *shown == [der.to_vec()]));
}

pub async fn an_issuer_may_name_an_endpoint_for_such_clients(env: Arc<Env>) {
    let stage = Stage::new(env, "mutual-tls").await;
    let authority = Authority::new();
    let (server, publisher) = (granting().await, ScriptedServer::start().await);
    let front = TlsFront::start(server.address(), server_config(&authority)).await;
    let _operator = stage.operator().await;
    let Identity { certificate, key } = authority.host("client");
    let offer = async |name: &str, alias: String| {
        let issuer = publisher.url(&format!("/{name}"));
        let document = json!({
            "issuer": issuer, "token_endpoint": publisher.url("/not-this-one"),
            "mtls_endpoint_aliases": {"token_endpoint": alias},
        });
        publisher.answer_with(move |_| Answer::json(200, &document));
        source(&stage, name, name, (&certificate, &key)).await;
        let discovered = json!({"provider": {"tokenEndpoint": null, "issuer": issuer}});
        stage
            .credential(name, with(bound(name, &front, &authority.certificate()), discovered))
            .await;
    };

    offer("good", format!("https://localhost:{}/t", front.port())).await;
    stage.ready("good").await;
    assert_eq!(front.shown().len(), 1);

    offer("denied", "https://169.254.169.254/t".to_owned()).await;
    let message = stage.condition("denied", "Ready", "False", "DiscoveryFailed").await;
    assert!(message.contains("mtls_endpoint_aliases has a token_endpoint that"), "{message}");
    assert_eq!(server.requests().len(), 1);
    assert!(publisher.requests().iter().all(|request| request.path() != "/not-this-one"));
}

pub async fn an_alias_that_an_issuer_begins_to_name_stops_nothing(env: Arc<Env>) {
    let stage = Stage::new(env, "alias").await;
    let authority = Authority::new();
    let (server, publisher) = (granting().await, ScriptedServer::start().await);
    let own = TlsFront::start(server.address(), server_config(&authority)).await;
    let alias = TlsFront::start(server.address(), server_config(&authority)).await;
    let url = |front: &TlsFront, path: &str| format!("https://localhost:{}{path}", front.port());
    let mut document = json!({"issuer": publisher.url(""), "token_endpoint": url(&own, "/t")});
    publisher.always(Answer::json(200, &document));
    let operator = stage.operator().await;
    let Identity { certificate, key } = authority.host("client");
    source(&stage, "c", "r1", (&certificate, &key)).await;
    let discovered = json!({"provider": {
        "tokenEndpoint": null, "issuer": publisher.url(""), "revocationEndpoint": url(&own, "/revoke"),
    }});
    stage.credential("c", with(bound("c", &own, &authority.certificate()), discovered)).await;
    stage.ready("c").await;
    assert!(alias.shown().is_empty());
    assert!(operator.stop().await.success());

    document["mtls_endpoint_aliases"] = json!({"token_endpoint": url(&alias, "/t")});
    publisher.always(Answer::json(200, &document));
    let operator = stage.operator().await;
    stage.revision("c", 2).await;
    stage.ready("c").await;
    let sent = server.requests().pop().expect("it was asked for another token");
    assert!(sent.text().ends_with("&refresh_token=r2"), "{}", sent.text());
    assert_eq!((own.shown().len(), alias.shown().len()), (1, 1));

    // And when it is gone again.
    assert!(operator.stop().await.success());
    document["mtls_endpoint_aliases"] = json!(null);
    publisher.always(Answer::json(200, &document));
    let _operator = stage.operator().await;
    stage.revision("c", 3).await;
    stage.ready("c").await;
    assert_eq!((own.shown().len(), alias.shown().len()), (2, 1));
}
