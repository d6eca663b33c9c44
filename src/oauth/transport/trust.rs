//! How connections are secured: who vouches for servers, and what is shown to them. The platform's roots are read once and
//! shared: read from disk they take more time and room than all else of a client.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, Error};
use rustls_platform_verifier::Verifier;

use crate::oauth::tls::{Tls, crypto};

/// What all connections have in common.
pub(super) struct Trust {
    crypto: Arc<CryptoProvider>,
    platform: Arc<Verifier>,
}

impl Trust {
    /// Reads the platform's roots.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn of_the_platform() -> Result<Self, Error> {
        let crypto = crypto();
        let platform = Arc::new(Verifier::new(Arc::clone(&crypto))?);
        Ok(Self { crypto, platform })
    }

    /// TLS 1.2 or newer, with certificates always checked.
    ///
    /// # Errors
    /// When the roots or the certificate can't be used.
    pub(super) fn config(&self, tls: &Tls) -> Result<ClientConfig, Error> {
        let verifier: Arc<dyn ServerCertVerifier> = match &tls.roots {
            None => Arc::clone(&self.platform) as _,
            Some(roots) => {
                let crypto = Arc::clone(&self.crypto);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots.store()?), crypto);
                verifier.build().map_err(|error| Error::General(error.to_string()))?
            }
        };
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.crypto))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &tls.identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = identity.parts()?;
                config.with_client_auth_cert(chain, key)?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}
