//! Keys that tokens are signed with.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::oauth::secret::{ClientSecret, PrivateKey};

use super::algorithm::{Algorithm, Family};
use super::jwk;

/// A key together with the one algorithm that it signs by. It is wiped when dropped.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    /// A secret as it is, a private key in PKCS#8.
    bytes: Zeroizing<Vec<u8>>,
}

/// Why a key can't be used; goes on where the name of the key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Neither PEM nor a JSON Web Key, or something else in it.
    #[error("is no private key, neither in PEM (PKCS#8, PKCS#1 or SEC1) nor as JSON Web Key")]
    NoPem,
    /// The other half of a pair.
    #[error("is a public key; the private one is needed")]
    Public,
    /// A key of RSA may be written without them, and can't be used so.
    #[error("is a JSON Web Key of RSA without its primes: p, q, dp, dq and qi are needed beside d")]
    NoPrimes,
    /// It asks for a password.
    #[error("is an encrypted private key; decrypt it first, as by openssl pkey")]
    Encrypted,
    /// Another kind of key, a damaged one, or one of a size that nobody should use.
    #[error("does not fit the algorithm {0:?}, which takes {takes}", takes = .0.takes())]
    Algorithm(Algorithm),
}

impl SigningKey {
    /// A secret that the server knows too.
    ///
    /// # Errors
    /// When the algorithm takes a private key.
    pub fn of_secret(algorithm: Algorithm, secret: &ClientSecret) -> Result<Self, Unfit> {
        match algorithm.family() {
            Family::Hmac(_) => Ok(Self::of_bytes(algorithm, secret.expose().as_bytes())),
            _ => Err(Unfit::Algorithm(algorithm)),
        }
    }

    /// A private key, in PEM or as a JSON Web Key.
    ///
    /// # Errors
    /// When it is none, or none for this algorithm.
    pub fn of_private_key(algorithm: Algorithm, key: &PrivateKey) -> Result<Self, Unfit> {
        let text = key.expose();
        let der = if jwk::is_meant(text) {
            jwk::der(text)?
        } else {
            PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
                if text.contains("ENCRYPTED") { Unfit::Encrypted } else { Unfit::NoPem }
            })?
        };
        let der = Zeroizing::new(der);
        let pkcs8 = match algorithm.family() {
            Family::Rsa(_) => rsa(&der),
            Family::Ec(curve) => ec(curve, &der),
            Family::Ed => ed(&der),
            Family::Hmac(_) => None,
        };
        Ok(Self { algorithm, bytes: pkcs8.ok_or(Unfit::Algorithm(algorithm))? })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The signature as it stands in a token.
    pub(super) fn signature(&self, input: &[u8]) -> Option<String> {
        let signature = match self.algorithm.family() {
            Family::Hmac(digest) => {
                hmac::sign(&hmac::Key::new(digest, &self.bytes), input).as_ref().to_vec()
            }
            Family::Rsa(padding) => {
                let pair = RsaKeyPair::from_pkcs8(&self.bytes).ok()?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), input, &mut signature).ok()?;
                signature
            }
            Family::Ec(curve) => {
                let pair = EcdsaKeyPair::from_pkcs8(curve, &self.bytes).ok()?;
                pair.sign(&SystemRandom::new(), input).ok()?.as_ref().to_vec()
            }
            Family::Ed => {
                Ed25519KeyPair::from_pkcs8(&self.bytes).ok()?.sign(input).as_ref().to_vec()
            }
        };
        Some(URL_SAFE_NO_PAD.encode(signature))
    }

    /// The secret that it is, where it is one that the server knows too.
    pub(in crate::oauth) fn secret(&self) -> Option<&str> {
        let is_shared = matches!(self.algorithm.family(), Family::Hmac(_));
        is_shared.then(|| std::str::from_utf8(&self.bytes).ok()).flatten()
    }

    /// The private key that it is, where it is one.
    pub(in crate::oauth) fn private_key(&self) -> Option<PrivateKeyDer<'_>> {
        let is_private = !matches!(self.algorithm.family(), Family::Hmac(_));
        is_private.then(|| PrivatePkcs8KeyDer::from(self.bytes.as_slice()).into())
    }

    /// The key as text, to tell it from others.
    pub(in crate::oauth) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(&*self.bytes))
    }

    pub(super) fn of_bytes(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self { algorithm, bytes: Zeroizing::new(bytes.to_vec()) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

type Pkcs8 = Zeroizing<Vec<u8>>;

fn rsa(der: &PrivateKeyDer<'_>) -> Option<Pkcs8> {
    let pair = match der {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        _ => return None,
    };
    let der: Pkcs8V1Der<'_> = pair.ok()?.as_der().ok()?;
    Some(Zeroizing::new(der.as_ref().to_vec()))
}

fn ec(curve: &'static EcdsaSigningAlgorithm, der: &PrivateKeyDer<'_>) -> Option<Pkcs8> {
    let pair = EcdsaKeyPair::from_private_key_der(curve, der.secret_der()).ok()?;
    Some(Zeroizing::new(pair.to_pkcs8v1().ok()?.as_ref().to_vec()))
}

fn ed(der: &PrivateKeyDer<'_>) -> Option<Pkcs8> {
    let pair = Ed25519KeyPair::from_pkcs8(der.secret_der()).ok()?;
    Some(Zeroizing::new(pair.to_pkcs8v1().ok()?.as_ref().to_vec()))
}
