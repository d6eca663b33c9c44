use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _, EcPrivateKeyBin};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING,
    ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaKeyPair,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::oauth::secret::{ClientSecret, PrivateKey};

/// The key of RFC 7515 appendix A.2, in PKCS#1.
const RFC_RSA: &str = include_str!("tests/rfc7515-a2.pem");
/// The key of RFC 8037 appendix A.1, in PKCS#8.
const RFC_ED: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

/// A private key, and what verifies its signatures.
pub(crate) struct Pair {
    pub(crate) pem: String,
    pub(crate) public: Vec<u8>,
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn curve(curve: &'static EcdsaSigningAlgorithm) -> [Pair; 2] {
    let pair = EcdsaKeyPair::generate(curve).unwrap();
    let public = pair.public_key().as_ref().to_vec();
    let sec1 = pair.private_key().as_der().unwrap();
    [
        Pair {
            pem: pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref()),
            public: public.clone(),
        },
        Pair { pem: pem("EC PRIVATE KEY", sec1.as_ref()), public },
    ]
}

/// A new key for ES256, in PKCS#8.
pub(crate) fn es256() -> Pair {
    let [pair, _] = curve(&ECDSA_P256_SHA256_FIXED_SIGNING);
    pair
}

fn rsa() -> [Pair; 2] {
    let der =
        STANDARD.decode(RFC_RSA.lines().filter(|line| !line.starts_with('-')).collect::<String>());
    let pair = RsaKeyPair::from_der(&der.unwrap()).unwrap();
    let public = pair.public_key().as_ref().to_vec();
    let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
    [
        Pair { pem: RFC_RSA.to_owned(), public: public.clone() },
        Pair { pem: pem("PRIVATE KEY", pkcs8.as_ref()), public },
    ]
}

fn ed() -> [Pair; 2] {
    let of = |pair: &Ed25519KeyPair, der: &[u8]| Pair {
        pem: pem("PRIVATE KEY", der),
        public: pair.public_key().as_ref().to_vec(),
    };
    let pair = Ed25519KeyPair::generate().unwrap();
    let one: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let two: aws_lc_rs::encoding::Pkcs8V2Der<'_> = pair.as_der().unwrap();
    [of(&pair, one.as_ref()), of(&pair, two.as_ref())]
}

/// Header and claims of a token whose signature verifies.
pub(crate) fn verified(
    token: &str,
    algorithm: &'static dyn VerificationAlgorithm,
    public: &[u8],
) -> [Value; 2] {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(algorithm, public).verify(input.as_bytes(), &signature).unwrap();
    parts(token)
}

fn parts(token: &str) -> [Value; 2] {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    [(); 2].map(|()| serde_json::from_slice(&parts.next().unwrap()).unwrap())
}

pub(crate) fn stamp() -> Stamp {
    Stamp { now: "2011-03-22T18:43:00.9Z".parse().unwrap(), id: "unlike-any-other".to_owned() }
}

fn claims(more: &BTreeMap<String, Value>) -> Claims<'_> {
    Claims {
        iss: "me",
        sub: None,
        aud: Some("you"),
        iat: 1_300_819_380,
        exp: 1_300_819_440,
        jti: "j",
        scope: None,
        more,
    }
}

#[test]
fn the_examples_of_the_rfcs_come_out() {
    // RFC 7515 appendices A.1 and A.2, RFC 8037 appendix A.4.
    let joe = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let secret = URL_SAFE_NO_PAD.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow").unwrap();
    let private =
        |algorithm, pem| SigningKey::of_private_key(algorithm, &PrivateKey::new(pem)).unwrap();
    let cases = [
        (
            SigningKey::of_bytes(Algorithm::HS256, &secret),
            format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{joe}"),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        (
            private(Algorithm::RS256, RFC_RSA),
            format!("eyJhbGciOiJSUzI1NiJ9.{joe}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            private(Algorithm::EdDSA, RFC_ED),
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];
    for (key, input, signature) in cases {
        assert_eq!(key.signature(input.as_bytes()).as_deref(), Some(signature));
    }
}

/// The numbers of a key in PKCS#1, behind its version.
fn numbers(der: &[u8]) -> Vec<&[u8]> {
    let mut rest = &der[4..];
    let mut numbers = Vec::new();
    while let [2, length, more @ ..] = rest {
        let (length, more) = match length {
            0x81 => (usize::from(more[0]), &more[1..]),
            0x82 => (usize::from(u16::from_be_bytes([more[0], more[1]])), &more[2..]),
            short => (usize::from(*short), more),
        };
        numbers.push(&more[..length]);
        rest = &more[length..];
    }
    numbers
}

fn assert_no_key_without_its_primes(rsa: &Value) {
    for prime in ["p", "q", "dp", "dq", "qi"] {
        let mut short = rsa.clone();
        short.as_object_mut().unwrap().remove(prime);
        let short = PrivateKey::new(short.to_string());
        let unfit = SigningKey::of_private_key(Algorithm::RS256, &short).unwrap_err();
        assert_eq!(unfit, Unfit::NoPrimes, "{prime}");
    }
}

#[test]
fn keys_may_be_json_web_keys() {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    // RFC 8037 appendix A.1.
    let ed = json!({
        "kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    // RFC 7517 appendix A.2 writes RSA keys like this one of RFC 7515.
    let der = RFC_RSA.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let der = STANDARD.decode(der).unwrap();
    let mut rsa = json!({"kty": "RSA", "alg": "RS256", "kid": "k"});
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    for (name, number) in names.iter().zip(&numbers(&der)[1..]) {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        rsa[name] = json!(text(&number[zeros..]));
    }
    let same = |algorithm, pem: &str, jwk: &Value| {
        let signed = |text: &str| {
            let key = SigningKey::of_private_key(algorithm, &PrivateKey::new(text)).unwrap();
            key.signature(b"input").unwrap()
        };
        assert_eq!(signed(pem), signed(&jwk.to_string()));
    };
    same(Algorithm::EdDSA, RFC_ED, &ed);
    same(Algorithm::RS256, RFC_RSA, &rsa);
    assert_no_key_without_its_primes(&rsa);
    for (algorithm, verifier, curve, name) in [
        (Algorithm::ES256, &ECDSA_P256_SHA256_FIXED, &ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        (Algorithm::ES384, &ECDSA_P384_SHA384_FIXED, &ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        (Algorithm::ES512, &ECDSA_P521_SHA512_FIXED, &ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
    ] {
        let pair = EcdsaKeyPair::generate(curve).unwrap();
        let public = pair.public_key().as_ref();
        let (x, y) = public[1..].split_at(public.len() / 2);
        let private: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().unwrap();
        let jwk = json!({
            "kty": "EC", "crv": name, "x": text(x), "y": text(y), "d": text(private.as_ref()),
        });
        let key = PrivateKey::new(jwk.to_string());
        let key = SigningKey::of_private_key(algorithm, &key).unwrap();
        verified(
            sign(&key, &KeyNames::default(), &claims(&BTreeMap::new())).unwrap().expose(),
            verifier,
            public,
        );
        let mut without = jwk.clone();
        without.as_object_mut().unwrap().remove("d");
        for (wrong, why) in [
            (without, Unfit::Public),
            (json!({"kty": "EC", "crv": "P-192"}), Unfit::NoPem),
            (json!({"kty": "oct", "k": "a"}), Unfit::NoPem),
        ] {
            let wrong = PrivateKey::new(wrong.to_string());
            assert_eq!(SigningKey::of_private_key(algorithm, &wrong).unwrap_err(), why);
        }
        let unfit = SigningKey::of_private_key(algorithm, &PrivateKey::new(rsa.to_string()));
        assert_eq!(unfit.unwrap_err(), Unfit::Algorithm(algorithm));
    }
}

#[test]
fn the_public_key_verifies_each_algorithm_from_each_form_of_key() {
    let cases: [(Algorithm, &'static dyn VerificationAlgorithm, [Pair; 2]); 10] = [
        (Algorithm::RS256, &RSA_PKCS1_2048_8192_SHA256, rsa()),
        (Algorithm::RS384, &RSA_PKCS1_2048_8192_SHA384, rsa()),
        (Algorithm::RS512, &RSA_PKCS1_2048_8192_SHA512, rsa()),
        (Algorithm::PS256, &RSA_PSS_2048_8192_SHA256, rsa()),
        (Algorithm::PS384, &RSA_PSS_2048_8192_SHA384, rsa()),
        (Algorithm::PS512, &RSA_PSS_2048_8192_SHA512, rsa()),
        (Algorithm::ES256, &ECDSA_P256_SHA256_FIXED, curve(&ECDSA_P256_SHA256_FIXED_SIGNING)),
        (Algorithm::ES384, &ECDSA_P384_SHA384_FIXED, curve(&ECDSA_P384_SHA384_FIXED_SIGNING)),
        (Algorithm::ES512, &ECDSA_P521_SHA512_FIXED, curve(&ECDSA_P521_SHA512_FIXED_SIGNING)),
        (Algorithm::EdDSA, &ED25519, ed()),
    ];
    let none = BTreeMap::new();
    let names = KeyNames { id: Some("k".to_owned()), thumbprint: None };
    for (algorithm, verifier, pairs) in cases {
        for Pair { pem, public } in pairs {
            let key = SigningKey::of_private_key(algorithm, &PrivateKey::new(pem)).unwrap();
            let token = sign(&key, &names, &claims(&none)).unwrap();
            let [header, said] = verified(token.expose(), verifier, &public);
            let name = format!("{algorithm:?}");
            assert_eq!(header, json!({"alg": name, "typ": "JWT", "kid": "k"}));
            assert_eq!(
                said,
                json!({"iss": "me", "aud": "you", "iat": 1_300_819_380, "exp": 1_300_819_440, "jti": "j"})
            );
        }
    }
}

#[test]
fn the_secret_verifies_each_algorithm_with_one() {
    let more = BTreeMap::from([("tenant".to_owned(), json!("t\"1"))]);
    for (algorithm, digest) in [
        (Algorithm::HS256, hmac::HMAC_SHA256),
        (Algorithm::HS384, hmac::HMAC_SHA384),
        (Algorithm::HS512, hmac::HMAC_SHA512),
    ] {
        let key = SigningKey::of_secret(algorithm, &ClientSecret::new("s3cret")).unwrap();
        let token = sign(&key, &KeyNames::default(), &claims(&more)).unwrap();
        let (input, signature) = token.expose().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        hmac::verify(&hmac::Key::new(digest, b"s3cret"), input.as_bytes(), &signature).unwrap();
        let [header, said] = parts(token.expose());
        assert_eq!(header, json!({"alg": format!("{algorithm:?}"), "typ": "JWT"}));
        assert_eq!(said["tenant"], "t\"1");
    }
}

#[test]
fn a_key_that_does_not_fit_is_refused() {
    let [es256, es384] =
        [&ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P384_SHA384_FIXED_SIGNING].map(curve);
    let [rs, es, ed] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
    let damaged = pem("PRIVATE KEY", b"no key at all");
    let unfit = |algorithm, pem: &str| {
        SigningKey::of_private_key(algorithm, &PrivateKey::new(pem)).unwrap_err()
    };
    for (algorithm, pem) in [
        (rs, es256[0].pem.as_str()),
        (rs, es256[1].pem.as_str()),
        (rs, RFC_ED),
        (rs, damaged.as_str()),
        (es, es384[0].pem.as_str()),
        (es, es384[1].pem.as_str()),
        (es, RFC_RSA),
        (es, damaged.as_str()),
        (ed, es256[0].pem.as_str()),
        (ed, RFC_RSA),
        (ed, damaged.as_str()),
        (Algorithm::ES384, es256[0].pem.as_str()),
        (Algorithm::ES512, es384[0].pem.as_str()),
        (Algorithm::HS256, RFC_RSA),
    ] {
        assert_eq!(unfit(algorithm, pem), Unfit::Algorithm(algorithm), "{algorithm:?} {pem}");
    }
    let public = pem("PUBLIC KEY", &es256[0].public);
    let cut = RFC_RSA.split_at(RFC_RSA.len() / 2).0;
    for pem in ["", "text", public.as_str(), cut, &RFC_RSA.replace('\n', "\\n")] {
        assert_eq!(unfit(rs, pem), Unfit::NoPem, "{pem}");
    }
    for pem in [
        pem("ENCRYPTED PRIVATE KEY", b"x"),
        RFC_RSA.replacen(
            "-----\n",
            "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n",
            1,
        ),
    ] {
        assert_eq!(unfit(rs, &pem), Unfit::Encrypted, "{pem}");
    }
    let secret = SigningKey::of_secret(es, &ClientSecret::new("s"));
    assert_eq!(
        secret.unwrap_err().to_string(),
        "does not fit the algorithm ES256, which takes a key on the curve P-256"
    );
}

#[test]
fn debug_shows_nothing_of_a_key() {
    let key = SigningKey::of_secret(Algorithm::HS256, &ClientSecret::new("canary")).unwrap();
    let shown = format!("{key:?}");
    for disguise in ["canary", "99, 97, 110", "63616e"] {
        assert!(!shown.contains(disguise), "{shown}");
    }
}
