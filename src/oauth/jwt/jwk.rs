//! Private keys written as JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Unfit;

/// Its members; those of a kind that it is not are absent. Borrowed, so that no copy of a secret stays behind.
#[derive(Deserialize)]
struct Jwk<'a> {
    kty: &'a str,
    crv: Option<&'a str>,
    x: Option<&'a str>,
    y: Option<&'a str>,
    n: Option<&'a str>,
    e: Option<&'a str>,
    d: Option<&'a str>,
    p: Option<&'a str>,
    q: Option<&'a str>,
    dp: Option<&'a str>,
    dq: Option<&'a str>,
    qi: Option<&'a str>,
}

/// Whether a text means to be one.
pub(super) fn is_meant(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// The key, as a PEM would hold it.
///
/// # Errors
/// What it is instead.
pub(super) fn der(text: &str) -> Result<PrivateKeyDer<'static>, Unfit> {
    let jwk: Jwk<'_> = serde_json::from_str(text).map_err(|_| Unfit::NoPem)?;
    if jwk.d.is_none() && (jwk.n.is_some() || jwk.x.is_some()) {
        return Err(Unfit::Public);
    }
    let key = match (jwk.kty, jwk.crv) {
        ("RSA", _) if jwk.lacks_primes() => return Err(Unfit::NoPrimes),
        ("RSA", _) => jwk.rsa(),
        ("EC", Some(curve @ ("P-256" | "P-384" | "P-521"))) => jwk.ec(curve),
        ("OKP", Some("Ed25519")) => jwk.ed(),
        _ => None,
    };
    key.ok_or(Unfit::NoPem)
}

impl Jwk<'_> {
    fn lacks_primes(&self) -> bool {
        [self.p, self.q, self.dp, self.dq, self.qi].contains(&None)
    }

    fn rsa(&self) -> Option<PrivateKeyDer<'static>> {
        let pair = RsaKeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents { n: number(self.n)?, e: number(self.e)? },
            d: bytes(self.d)?,
            p: bytes(self.p)?,
            q: bytes(self.q)?,
            dP: bytes(self.dp)?,
            dQ: bytes(self.dq)?,
            qInv: bytes(self.qi)?,
        });
        let der: Pkcs8V1Der<'_> = pair.ok()?.as_der().ok()?;
        pkcs8(der.as_ref())
    }

    fn ec(&self, curve: &str) -> Option<PrivateKeyDer<'static>> {
        let algorithm = match curve {
            "P-256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
            "P-384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
            _ => &ECDSA_P521_SHA512_FIXED_SIGNING,
        };
        let mut public = vec![4];
        public.extend_from_slice(&bytes(self.x)?);
        public.extend_from_slice(&bytes(self.y)?);
        let private = bytes(self.d)?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &private, &public);
        pkcs8(pair.ok()?.to_pkcs8v1().ok()?.as_ref())
    }

    fn ed(&self) -> Option<PrivateKeyDer<'static>> {
        let pair = Ed25519KeyPair::from_seed_and_public_key(&bytes(self.d)?, &bytes(self.x)?);
        pkcs8(pair.ok()?.to_pkcs8v1().ok()?.as_ref())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it ends functions that may find nothing")]
fn pkcs8(der: &[u8]) -> Option<PrivateKeyDer<'static>> {
    Some(PrivatePkcs8KeyDer::from(der.to_vec()).into())
}

fn bytes(member: Option<&str>) -> Option<Zeroizing<Vec<u8>>> {
    URL_SAFE_NO_PAD.decode(member?).ok().map(Zeroizing::new)
}

/// The same without the zeros that some write before a number (RFC 7518 §6.3.1.1).
fn number(member: Option<&str>) -> Option<Vec<u8>> {
    let bytes = bytes(member)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).map(<[u8]>::to_vec)
}
