//! Clients that prove who they are with a signed token (RFC 7523 §2.2, OpenID Connect Core §9).

use std::borrow::Cow;
use std::collections::BTreeMap;

use url::Url;

use crate::oauth::error::TokenError;
use crate::oauth::fingerprint::fingerprint;
use crate::oauth::jwt::{Claims, KeyNames, SigningKey, Stamp, sign};

use super::ClientAuth;

/// How long an assertion is good: it goes out right after it is made.
const LIFETIME_SECONDS: i64 = 60;

/// A client as the source gives it.
#[derive(Clone, Debug)]
pub enum Client {
    /// One that sends the same with each request.
    Fixed(ClientAuth),
    /// One that signs an assertion for each request.
    Signing(JwtClient),
}

/// A client that signs an assertion for each request.
#[derive(Clone, Debug)]
pub struct JwtClient {
    /// The client id.
    pub client_id: String,
    /// The client secret or a private key.
    pub key: SigningKey,
    /// By what the server finds its half of the key.
    pub names: KeyNames,
    /// For whom the assertion is, where that is not the token endpoint.
    pub audience: Option<String>,
}

impl Client {
    /// What proves it in one request; with the scopes in what is signed, where the server wants them there.
    ///
    /// # Errors
    /// [`TokenError::NotSent`] when the assertion could not be signed.
    pub fn authenticate(
        &self,
        token_endpoint: &Url,
        scope: Option<String>,
        stamp: &Stamp,
    ) -> Result<Cow<'_, ClientAuth>, TokenError> {
        match self {
            Self::Fixed(client) => Ok(Cow::Borrowed(client)),
            Self::Signing(client) => client.signed(token_endpoint, scope, stamp).map(Cow::Owned),
        }
    }

    /// Whether it has a secret that the server knows too, and not a key of its own.
    pub fn has_secret(&self) -> bool {
        self.secret().is_some()
    }

    /// The secret that the server knows too, where there is one.
    pub(in crate::oauth) fn secret(&self) -> Option<&str> {
        match self {
            Self::Fixed(
                ClientAuth::Basic { client_secret, .. } | ClientAuth::Post { client_secret, .. },
            ) => Some(client_secret.expose()),
            Self::Fixed(_) => None,
            Self::Signing(client) => client.key.secret(),
        }
    }

    /// A digest of id, secret and method: two clients with the same one authenticate alike.
    pub fn fingerprint(&self, salt: &[u8]) -> String {
        match self {
            Self::Fixed(client) => client.fingerprint(salt),
            Self::Signing(JwtClient { client_id, key, .. }) => {
                let method = format!("{:?}", key.algorithm());
                fingerprint(salt, &[&method, client_id, &key.text()])
            }
        }
    }
}

impl JwtClient {
    fn signed(
        &self,
        token_endpoint: &Url,
        scope: Option<String>,
        stamp: &Stamp,
    ) -> Result<ClientAuth, TokenError> {
        let now = stamp.now.as_second();
        let claims = Claims {
            iss: &self.client_id,
            sub: Some(&self.client_id),
            aud: Some(self.audience.as_deref().unwrap_or(token_endpoint.as_str())),
            iat: now,
            exp: now.saturating_add(LIFETIME_SECONDS),
            jti: &stamp.id,
            scope,
            more: &BTreeMap::new(),
        };
        let assertion = sign(&self.key, &self.names, &claims)?;
        Ok(ClientAuth::Assertion { client_id: self.client_id.clone(), assertion })
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
    use serde_json::json;

    use super::*;
    use crate::oauth::jwt::Algorithm;
    use crate::oauth::jwt::tests::{es256, stamp, verified};
    use crate::oauth::secret::{ClientSecret, PrivateKey};

    fn client(key: SigningKey, audience: Option<&str>) -> Client {
        Client::Signing(JwtClient {
            client_id: "me".to_owned(),
            key,
            names: KeyNames { id: Some("k1".to_owned()), thumbprint: Some("t".to_owned()) },
            audience: audience.map(ToOwned::to_owned),
        })
    }

    fn endpoint() -> Url {
        Url::parse("https://as.example/token").unwrap()
    }

    #[test]
    fn an_assertion_says_who_asks_whom_for_a_minute() {
        let pair = es256();
        let key = SigningKey::of_private_key(Algorithm::ES256, &PrivateKey::new(pair.pem)).unwrap();
        for (audience, seen) in
            [(None, "https://as.example/token"), (Some("https://as.example"), "https://as.example")]
        {
            let client = client(key.clone(), audience);
            let proved = client.authenticate(&endpoint(), None, &stamp()).unwrap();
            assert_eq!(proved.authorization(), None);
            let members = proved.body_members();
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            assert_eq!(members[..2], [("client_id", "me"), ("client_assertion_type", kind)]);
            assert_eq!(members[2].0, "client_assertion");
            let [header, claims] = verified(members[2].1, &ECDSA_P256_SHA256_FIXED, &pair.public);
            assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "kid": "k1", "x5t#S256": "t"}));
            assert_eq!(
                claims,
                json!({
                    "iss": "me", "sub": "me", "aud": seen,
                    "iat": 1_300_819_380, "exp": 1_300_819_440, "jti": "unlike-any-other",
                })
            );
        }
    }

    #[test]
    fn the_fingerprint_is_of_key_id_and_method_not_of_the_assertion() {
        let secret = |algorithm, text: &str| {
            let key = SigningKey::of_secret(algorithm, &ClientSecret::new(text)).unwrap();
            client(key, None).fingerprint(b"salt")
        };
        let one = secret(Algorithm::HS256, "a");
        assert_eq!(one, secret(Algorithm::HS256, "a"));
        let post =
            ClientAuth::Post { client_id: "me".into(), client_secret: ClientSecret::new("a") };
        for other in [
            secret(Algorithm::HS256, "b"),
            secret(Algorithm::HS512, "a"),
            Client::Fixed(post).fingerprint(b"salt"),
        ] {
            assert_ne!(one, other);
        }
    }
}
