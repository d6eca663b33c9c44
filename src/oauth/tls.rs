//! What connections to one provider need beside what the platform has: roots of its own, a certificate of the client.

use std::sync::Arc;

use ::aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};

use super::fingerprint::fingerprint;
use super::jwt::SigningKey;
use super::secret::ClientKey;

/// Roots and certificate; none of both as a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Trusted in place of the platform's roots.
    pub roots: Option<Roots>,
    /// Shown to servers that ask for one.
    pub identity: Option<Identity>,
}

impl Tls {
    /// A digest of both; nothing when there is neither.
    pub fn digest(&self) -> Option<String> {
        let Self { roots, identity } = self;
        if roots.is_none() && identity.is_none() {
            return None;
        }
        let roots = roots.as_ref().map_or("", Roots::pem);
        let (certificate, key) = identity
            .as_ref()
            .map_or(("", ""), |identity| (&*identity.certificate, identity.key.expose()));
        Some(fingerprint(b"tls", &[roots, certificate, key]))
    }
}

/// Certificates of authorities, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots(Arc<str>);

impl Roots {
    /// Reads them.
    ///
    /// # Errors
    /// What is wrong, to follow the field's name.
    pub fn parse(pem: &str) -> Result<Self, &'static str> {
        read(pem).map(|_| Self(pem.into()))
    }

    /// As TLS wants them.
    pub(super) fn store(&self) -> Result<RootCertStore, rustls::Error> {
        read(&self.0).map_err(|why| rustls::Error::General(why.to_owned()))
    }

    /// As they were given.
    pub fn pem(&self) -> &str {
        &self.0
    }
}

fn read(pem: &str) -> Result<RootCertStore, &'static str> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store.add(certificate).map_err(|_| "holds a certificate that can't be a root")?;
    }
    Ok(store)
}

/// What is used for TLS.
pub(super) fn crypto() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .map_or_else(|| Arc::new(aws_lc_rs::default_provider()), Arc::clone)
}

/// The client's certificate with its chain, and the key to it (RFC 8705).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    certificate: Arc<str>,
    key: ClientKey,
}

/// Which part of an identity can't be used, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The certificate.
    Certificate(&'static str),
    /// The key.
    Key(&'static str),
}

impl Identity {
    /// Reads both and holds them against each other.
    ///
    /// # Errors
    /// What is wrong with which.
    pub fn parse(certificate: &str, key: &str) -> Result<Self, Wrong> {
        let chain = certificates(certificate).map_err(Wrong::Certificate)?;
        let der = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| {
            Wrong::Key("holds no private key in PEM (an encrypted one can't be used)")
        })?;
        compare(chain, der)?;
        Ok(Self { certificate: certificate.into(), key: ClientKey::new(key) })
    }

    /// The certificate with its chain, as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Both, as TLS wants them.
    pub(super) fn parts(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), rustls::Error> {
        let unreadable = |why: &str| rustls::Error::General(why.to_owned());
        let chain = certificates(&self.certificate).map_err(unreadable)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes());
        Ok((chain, key.map_err(|_| unreadable("holds no private key in PEM"))?))
    }
}

/// By what a server finds the certificate of a key that signs: `x5t#S256` (RFC 7515 §4.1.8).
///
/// # Errors
/// What is wrong with which.
pub fn thumbprint(certificate: &str, key: &SigningKey) -> Result<String, Wrong> {
    let chain = certificates(certificate).map_err(Wrong::Certificate)?;
    let first =
        chain.first().map(|first| digest(&SHA256, first)).ok_or(Wrong::Certificate(NONE))?;
    let der = key.private_key().ok_or(Wrong::Key("is no private key"))?;
    compare(chain, der.clone_key())?;
    Ok(URL_SAFE_NO_PAD.encode(first))
}

/// Whether the key belongs to the first certificate.
fn compare(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), Wrong> {
    match CertifiedKey::from_der(chain, key, &crypto()) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(Wrong::Key("does not belong to the certificate"))
        }
        Err(rustls::Error::InvalidCertificate(_)) => {
            Err(Wrong::Certificate("holds a certificate that can't be read"))
        }
        Err(_) => Err(Wrong::Key("holds a key of a kind that can't be used")),
    }
}

const NONE: &str = "holds no certificate in PEM";

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let read = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    match read {
        Err(_) => Err("is no PEM"),
        Ok(none) if none.is_empty() => Err(NONE),
        Ok(certificates) => Ok(certificates),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};

    use super::*;
    use crate::oauth::jwt::Algorithm;
    use crate::oauth::secret::PrivateKey;

    fn made() -> (String, String) {
        let Made { cert, signing_key } = generate_simple_self_signed(["c".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn wrong_parts_are_told_apart() {
        let ((certificate, key), (_, other)) = (made(), made());
        assert!(Identity::parse(&certificate, &key).is_ok());
        for (certificate, key, why) in [
            ("", key.as_str(), Wrong::Certificate("holds no certificate in PEM")),
            (&key, &key, Wrong::Certificate("holds no certificate in PEM")),
            ("-----BEGIN CERTIFICATE-----\n!\n", &key, Wrong::Certificate("is no PEM")),
            (&certificate, &other, Wrong::Key("does not belong to the certificate")),
        ] {
            assert_eq!(Identity::parse(certificate, key), Err(why));
        }
        assert!(matches!(Identity::parse(&certificate, &certificate), Err(Wrong::Key(_))));
        assert!(Roots::parse(&certificate).is_ok());
        assert!(Roots::parse(&key).is_err());
        let cut = certificate
            .replace("-----BEGIN CERTIFICATE-----\nMII", "-----BEGIN CERTIFICATE-----\nAII");
        assert!(Roots::parse(&cut).is_err());
    }

    #[test]
    fn a_thumbprint_is_the_digest_of_the_certificate_of_that_key() {
        let Made { cert, signing_key } = generate_simple_self_signed(["c".to_owned()]).unwrap();
        let key = |pem: &str| {
            SigningKey::of_private_key(Algorithm::ES256, &PrivateKey::new(pem)).unwrap()
        };
        let own = key(&signing_key.serialize_pem());
        let (other, other_key) = made();
        let seen = thumbprint(&format!("{}{other}", cert.pem()), &own).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(seen).unwrap(), digest(&SHA256, cert.der()).as_ref());
        for (certificate, key, why) in [
            ("", own.clone(), Wrong::Certificate(NONE)),
            (&cert.pem(), key(&other_key), Wrong::Key("does not belong to the certificate")),
            (&other, own, Wrong::Key("does not belong to the certificate")),
        ] {
            assert_eq!(thumbprint(certificate, &key), Err(why));
        }
    }

    #[test]
    fn the_digest_tells_all_parts_apart_and_debug_shows_no_key() {
        let (certificate, key) = made();
        let roots = Some(Roots::parse(&certificate).unwrap());
        let identity = Some(Identity::parse(&certificate, &key).unwrap());
        let digests = [
            Tls::default(),
            Tls { roots: roots.clone(), identity: None },
            Tls { roots: None, identity: identity.clone() },
            Tls { roots, identity: identity.clone() },
        ]
        .map(|tls| tls.digest());
        assert_eq!(digests[0], None);
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest));
        }
        let line = key.lines().nth(1).unwrap();
        assert!(!format!("{identity:?}").contains(line));
    }
}
