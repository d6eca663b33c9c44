//! Keys that tokens are signed with.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RsaKeyPair,
};
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{AlgorithmFamily, EncodingKey};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::oauth::secret::{ClientSecret, PrivateKey};

use super::jwk;

pub use jsonwebtoken::Algorithm;

/// A key together with the one algorithm that it signs by. It is wiped when dropped.
#[derive(Clone, Debug)]
pub struct SigningKey {
    algorithm: Algorithm,
    key: EncodingKey,
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
    #[error("does not fit the algorithm {0:?}, which takes {takes}", takes = takes(*.0))]
    Algorithm(Algorithm),
}

fn takes(algorithm: Algorithm) -> &'static str {
    match (algorithm.family(), algorithm) {
        (AlgorithmFamily::Rsa, _) => "an RSA key of 2048 to 8192 bits",
        (AlgorithmFamily::Ec, Algorithm::ES384) => "a key on the curve P-384",
        (AlgorithmFamily::Ec, _) => "a key on the curve P-256",
        (AlgorithmFamily::Ed, _) => "an Ed25519 key",
        (AlgorithmFamily::Hmac, _) => "a client secret",
    }
}

impl SigningKey {
    /// A secret that the server knows too.
    ///
    /// # Errors
    /// When the algorithm takes a private key.
    pub fn of_secret(algorithm: Algorithm, secret: &ClientSecret) -> Result<Self, Unfit> {
        if algorithm.family() != AlgorithmFamily::Hmac {
            return Err(Unfit::Algorithm(algorithm));
        }
        Ok(Self { algorithm, key: EncodingKey::from_secret(secret.expose().as_bytes()) })
    }

    /// A private key, in PEM or as a JSON Web Key.
    ///
    /// # Errors
    /// When it is none, or none for this algorithm.
    pub fn of_private_key(algorithm: Algorithm, pem: &PrivateKey) -> Result<Self, Unfit> {
        let text = pem.expose();
        let der = if jwk::is_meant(text) {
            jwk::der(text)?
        } else {
            PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
                if text.contains("ENCRYPTED") { Unfit::Encrypted } else { Unfit::NoPem }
            })?
        };
        let der = Zeroizing::new(der);
        let key = match algorithm.family() {
            AlgorithmFamily::Rsa => rsa(&der),
            AlgorithmFamily::Ec => ec(algorithm, &der),
            AlgorithmFamily::Ed => ed(&der),
            AlgorithmFamily::Hmac => None,
        };
        Ok(Self { algorithm, key: key.ok_or(Unfit::Algorithm(algorithm))? })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The signature as it stands in a token.
    pub(super) fn signature(&self, input: &[u8]) -> Option<String> {
        sign(input, &self.key, self.algorithm).ok()
    }

    /// The secret that it is, where it is one that the server knows too.
    pub(in crate::oauth) fn secret(&self) -> Option<&str> {
        let is_shared = self.algorithm.family() == AlgorithmFamily::Hmac;
        is_shared.then(|| std::str::from_utf8(self.key.as_bytes()).ok()).flatten()
    }

    /// The key as text, to tell it from others.
    pub(in crate::oauth) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.key.as_bytes()))
    }

    #[cfg(test)]
    pub(super) fn of_bytes(algorithm: Algorithm, secret: &[u8]) -> Self {
        Self { algorithm, key: EncodingKey::from_secret(secret) }
    }
}

/// What PKCS#8 puts before an RSA key of 2048 bits or more: a sequence, a version, the name of the algorithm, the length.
const BEFORE_RSA: usize = 26;

/// Signing takes PKCS#1.
fn rsa(der: &PrivateKeyDer<'_>) -> Option<EncodingKey> {
    let key = match der {
        PrivateKeyDer::Pkcs1(key) => EncodingKey::from_rsa_der(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => {
            let pair = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok()?;
            let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
            EncodingKey::from_rsa_der(der.as_ref().get(BEFORE_RSA..)?)
        }
        _ => return None,
    };
    RsaKeyPair::from_der(key.as_bytes()).ok()?;
    Some(key)
}

/// Signing takes PKCS#8.
fn ec(algorithm: Algorithm, der: &PrivateKeyDer<'_>) -> Option<EncodingKey> {
    let curve = match algorithm {
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        _ => &ECDSA_P384_SHA384_FIXED_SIGNING,
    };
    let pair = EcdsaKeyPair::from_private_key_der(curve, der.secret_der()).ok()?;
    Some(EncodingKey::from_ec_der(pair.to_pkcs8v1().ok()?.as_ref()))
}

/// Signing takes PKCS#8.
fn ed(der: &PrivateKeyDer<'_>) -> Option<EncodingKey> {
    Ed25519KeyPair::from_pkcs8(der.secret_der()).ok()?;
    Some(EncodingKey::from_ed_der(der.secret_der()))
}
