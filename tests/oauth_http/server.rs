//! A server that keeps each request as it came, with a door of TLS beside the plain one.

use oauth_keeper_test_support::certificates::{Authority, Identity};
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::tls_front::TlsFront;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

pub(crate) struct Server {
    plain: ScriptedServer,
    front: TlsFront,
    authority: Authority,
    client: Identity,
}

impl Server {
    /// Starts it. Through the door of TLS come those alone who show a certificate of its authority.
    pub(crate) async fn start() -> Self {
        let plain = ScriptedServer::start().await;
        plain.always(Answer::json(200, &serde_json::json!({})));
        let authority = Authority::new();
        let front = TlsFront::start(plain.address(), config(&authority)).await;
        let client = authority.host("client.example");
        Self { plain, front, authority, client }
    }

    /// Host and port of a door.
    pub(crate) fn host(&self, with_tls: bool) -> String {
        if with_tls {
            format!("localhost:{}", self.front.port())
        } else {
            self.plain.address().to_string()
        }
    }

    /// The certificate of who signs its own, and its clients'.
    pub(crate) fn authority(&self) -> String {
        self.authority.certificate()
    }

    /// Certificate and key of a client.
    pub(crate) fn client(&self) -> (String, String) {
        (self.client.certificate.clone(), self.client.key.clone())
    }

    /// The request that came last, with the certificate that had to come with it.
    pub(crate) fn newest(&self, with_tls: bool) -> String {
        if with_tls {
            let certificate = CertificateDer::from_pem_slice(self.client.certificate.as_bytes());
            let shown = self.front.shown().pop().unwrap();
            assert_eq!(shown.first().map(Vec::as_slice), Some(certificate.unwrap().as_ref()));
        }
        let request = self.plain.requests().pop().unwrap();
        let (head, body) = (request.head_bytes, request.body);
        String::from_utf8(head).unwrap() + &String::from_utf8(body).unwrap()
    }
}

fn config(authority: &Authority) -> ServerConfig {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let Identity { certificate, key } = authority.host("localhost");
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(der(&authority.certificate())).unwrap();
    let verifier = WebPkiClientVerifier::builder(roots.into()).build().unwrap();
    ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![der(&certificate)],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap()
}
