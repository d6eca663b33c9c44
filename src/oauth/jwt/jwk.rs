//! Private keys written as JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer};
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
        ("EC", Some(curve @ ("P-256" | "P-384"))) => jwk.ec(curve),
        ("OKP", Some("Ed25519")) => jwk.ed(),
        _ => None,
    };
    key.ok_or(Unfit::NoPem)
}

impl Jwk<'_> {
    fn lacks_primes(&self) -> bool {
        [self.p, self.q, self.dp, self.dq, self.qi].contains(&None)
    }

    /// PKCS#1 (RFC 8017 appendix A.1.2): a version and eight numbers.
    fn rsa(&self) -> Option<PrivateKeyDer<'static>> {
        let numbers =
            [self.n, self.e, self.d, self.p, self.q, self.dp, self.dq, self.qi].map(bytes);
        let mut content = Zeroizing::new(integer(&[0]));
        for number in numbers {
            content.extend_from_slice(&Zeroizing::new(integer(&number?)));
        }
        Some(PrivatePkcs1KeyDer::from(tagged(0x30, &content)).into())
    }

    fn ec(&self, curve: &str) -> Option<PrivateKeyDer<'static>> {
        let algorithm = match curve {
            "P-256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
            _ => &ECDSA_P384_SHA384_FIXED_SIGNING,
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

/// An unsigned number in DER.
fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let digits = number.get(zeros..).unwrap_or_default();
    let sign = digits.first().is_none_or(|byte| *byte >= 0x80).then_some(0);
    tagged(
        0x02,
        &Zeroizing::new(sign.into_iter().chain(digits.iter().copied()).collect::<Vec<_>>()),
    )
}

/// A value in DER, with its tag and its length.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let length = length.get(zeros..).unwrap_or_default();
    let mut der = vec![tag];
    if content.len() >= 0x80 {
        // At most eight bytes.
        der.push(u8::try_from(length.len()).unwrap_or_default() | 0x80);
        der.extend_from_slice(length);
    } else {
        der.push(length.first().copied().unwrap_or_default());
    }
    der.extend_from_slice(content);
    der
}
