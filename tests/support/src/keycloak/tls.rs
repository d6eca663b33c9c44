//! Keycloak's listener with TLS, which asks clients for a certificate.

use std::fs;
use std::path::Path;

use super::realm::TLS_CLIENT_ID;
use crate::certificates::{Authority, Identity};

/// The listener and the certificates of its authority.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) port: u16,
    pub(super) authority: String,
    /// Of the client that Keycloak knows by it.
    pub(super) client: Identity,
    /// Of somebody else.
    pub(super) stranger: Identity,
}

impl Tls {
    /// Makes the certificates, and puts into the folder what Keycloak reads.
    pub(super) fn new(port: u16, folder: &Path) -> Self {
        let authority = Authority::new();
        let own = authority.host("localhost");
        let files = [
            ("server.pem", own.certificate),
            ("server.key", own.key),
            ("authority.pem", authority.certificate()),
        ];
        for (name, content) in files {
            fs::write(folder.join(name), content).expect("the folder can be written");
        }
        Self {
            port,
            authority: authority.certificate(),
            client: authority.host(TLS_CLIENT_ID),
            stranger: authority.host("somebody-else"),
        }
    }

    /// What tells Keycloak of it.
    pub(super) fn arguments(&self, folder: &Path) -> [String; 4] {
        let file = |flag: &str, name: &str| format!("--{flag}={}", folder.join(name).display());
        [
            format!("--https-port={}", self.port),
            file("https-certificate-file", "server.pem"),
            file("https-certificate-key-file", "server.key"),
            file("truststore-paths", "authority.pem"),
        ]
    }
}
