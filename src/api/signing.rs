//! How assertions are signed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Algorithms of signatures (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(
    JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::EnumIter,
)]
pub enum SigningAlgorithm {
    /// HMAC with SHA-256; the key is the client secret.
    HS256,
    /// HMAC with SHA-384; the key is the client secret.
    HS384,
    /// HMAC with SHA-512; the key is the client secret.
    HS512,
    /// RSA (PKCS#1 v1.5) with SHA-256.
    RS256,
    /// RSA (PKCS#1 v1.5) with SHA-384.
    RS384,
    /// RSA (PKCS#1 v1.5) with SHA-512.
    RS512,
    /// RSA (PSS) with SHA-256.
    PS256,
    /// RSA (PSS) with SHA-384.
    PS384,
    /// RSA (PSS) with SHA-512.
    PS512,
    /// ECDSA on the curve P-256 with SHA-256.
    ES256,
    /// ECDSA on the curve P-384 with SHA-384.
    ES384,
    /// ECDSA on the curve P-521 with SHA-512.
    ES512,
    /// Ed25519.
    EdDSA,
}

impl SigningAlgorithm {
    /// Whether the key is a client secret, and not a private key.
    pub fn takes_the_secret(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }
}
