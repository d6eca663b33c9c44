//! Key pairs as clients have them that sign (RFC 7518 §3, RFC 8037 §3.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256,
    PublicKeyData as _, RsaKeySize,
};
use serde_json::{Value, json};

/// The name of the key, `kid`.
pub const KEY_ID: &str = "key-of-the-tests";

/// A new key pair for ES256.
#[derive(Debug, Clone)]
pub struct SigningKey {
    /// The private key, PEM (PKCS#8).
    pub pem: String,
    /// The public key: a point, uncompressed.
    pub public: Vec<u8>,
}

impl SigningKey {
    /// Makes one.
    pub fn generate() -> Self {
        let pair = KeyPair::generate().expect("a key can be made");
        Self { pem: pair.serialize_pem(), public: pair.der_bytes().to_vec() }
    }

    /// The public key as servers take it (RFC 7517).
    pub fn key_set(&self) -> Value {
        let part = |from: usize| URL_SAFE_NO_PAD.encode(&self.public[from..from + 32]);
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID,
            "x": part(1), "y": part(33),
        }]})
    }
}

/// A new key pair for ES512, with a certificate.
#[derive(Debug, Clone)]
pub struct CertifiedKey {
    /// The private key, PEM (PKCS#8).
    pub pem: String,
    /// The certificate, PEM; self-signed.
    pub certificate: String,
    public: Vec<u8>,
}

impl CertifiedKey {
    /// Makes one.
    pub fn generate() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).expect("a key can be made");
        let certificate = CertificateParams::default().self_signed(&pair);
        Self {
            pem: pair.serialize_pem(),
            certificate: certificate.expect("a certificate can be made").pem(),
            public: pair.der_bytes().to_vec(),
        }
    }

    /// The public key as servers take it (RFC 7518 §6.2).
    pub fn key_set(&self) -> Value {
        let part = |from: usize| URL_SAFE_NO_PAD.encode(&self.public[from..from + 66]);
        json!({"keys": [{
            "kty": "EC", "crv": "P-521", "use": "sig", "alg": "ES512", "kid": KEY_ID,
            "x": part(1), "y": part(67),
        }]})
    }
}

/// A new key pair for `EdDSA`.
#[derive(Debug, Clone)]
pub struct Ed25519Key {
    /// The private key, PEM (PKCS#8).
    pub pem: String,
    public: Vec<u8>,
}

impl Ed25519Key {
    /// Makes one.
    pub fn generate() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key can be made");
        Self { pem: pair.serialize_pem(), public: pair.der_bytes().to_vec() }
    }

    /// The public key as servers take it (RFC 8037 §2).
    pub fn key_set(&self) -> Value {
        json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": KEY_ID,
            "x": URL_SAFE_NO_PAD.encode(&self.public),
        }]})
    }
}

/// A new private key for RSA, PEM (PKCS#8).
pub fn rsa_key() -> String {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
    pair.expect("a key can be made").serialize_pem()
}

impl Default for SigningKey {
    fn default() -> Self {
        Self::generate()
    }
}
