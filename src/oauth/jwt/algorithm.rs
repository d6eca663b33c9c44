//! Algorithms of signatures, and what each takes.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaSigningAlgorithm, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
};
use serde::Serialize;

/// Algorithms of signatures, named as in the header of a token (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
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

/// How one signs.
#[derive(Clone, Copy)]
pub(super) enum Family {
    Hmac(hmac::Algorithm),
    Rsa(&'static dyn RsaEncoding),
    Ec(&'static EcdsaSigningAlgorithm),
    Ed,
}

impl Algorithm {
    pub(super) fn family(self) -> Family {
        match self {
            Self::HS256 => Family::Hmac(hmac::HMAC_SHA256),
            Self::HS384 => Family::Hmac(hmac::HMAC_SHA384),
            Self::HS512 => Family::Hmac(hmac::HMAC_SHA512),
            Self::RS256 => Family::Rsa(&RSA_PKCS1_SHA256),
            Self::RS384 => Family::Rsa(&RSA_PKCS1_SHA384),
            Self::RS512 => Family::Rsa(&RSA_PKCS1_SHA512),
            Self::PS256 => Family::Rsa(&RSA_PSS_SHA256),
            Self::PS384 => Family::Rsa(&RSA_PSS_SHA384),
            Self::PS512 => Family::Rsa(&RSA_PSS_SHA512),
            Self::ES256 => Family::Ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Self::ES384 => Family::Ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Self::ES512 => Family::Ec(&ECDSA_P521_SHA512_FIXED_SIGNING),
            Self::EdDSA => Family::Ed,
        }
    }

    /// The kind of key that it takes, in words.
    pub(super) fn takes(self) -> &'static str {
        match (self.family(), self) {
            (Family::Rsa(_), _) => "an RSA key of 2048 to 8192 bits",
            (Family::Ec(_), Self::ES256) => "a key on the curve P-256",
            (Family::Ec(_), Self::ES384) => "a key on the curve P-384",
            (Family::Ec(_), _) => "a key on the curve P-521",
            (Family::Ed, _) => "an Ed25519 key",
            (Family::Hmac(_), _) => "a client secret",
        }
    }
}
