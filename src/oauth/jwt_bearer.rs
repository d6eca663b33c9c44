//! The grant that is a signed token (RFC 7523 §2.1).

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::error::TokenError;
use super::jwt::{Claims, KeyNames, SigningKey, Stamp, sign};
use super::secret::Assertion;

/// Whom a token is for (RFC 7523 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Where it is sent.
    TokenEndpoint,
    /// What the server calls itself.
    Named(String),
    /// It does not say so, as a few servers want.
    Unnamed,
}

/// Where a token stands in the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In the member `assertion` (RFC 7523 §2.1).
    #[default]
    Member,
    /// In the header `Authorization`, as a bearer token (RFC 6750 §2.1).
    Header,
}

/// What is asserted, and the key that it is signed with.
#[derive(Clone, Debug)]
pub struct JwtBearer {
    /// `iss`: who says it.
    pub issuer: String,
    /// `sub`: of whom.
    pub subject: Option<String>,
    /// `aud`: to whom.
    pub audience: Audience,
    /// How many seconds it is good.
    pub lifetime_seconds: i64,
    /// More claims.
    pub claims: BTreeMap<String, Value>,
    /// The key.
    pub key: SigningKey,
    /// By what the server finds its half of the key.
    pub names: KeyNames,
    /// Where it goes.
    pub place: Place,
    /// The token, once it is made for one request.
    pub assertion: Option<Assertion>,
}

impl JwtBearer {
    /// The same with the token for one request; with the scopes in it where the server wants them there.
    ///
    /// # Errors
    /// [`TokenError::NotSent`] when it could not be signed.
    pub fn signed(
        &self,
        token_endpoint: &Url,
        scope: Option<String>,
        stamp: &Stamp,
    ) -> Result<Self, TokenError> {
        let now = stamp.now.as_second();
        let claims = Claims {
            iss: &self.issuer,
            sub: self.subject.as_deref(),
            aud: match &self.audience {
                Audience::TokenEndpoint => Some(token_endpoint.as_str()),
                Audience::Named(name) => Some(name),
                Audience::Unnamed => None,
            },
            iat: now,
            exp: now.saturating_add(self.lifetime_seconds),
            jti: &stamp.id,
            scope,
            more: &self.claims,
        };
        let assertion = sign(&self.key, &self.names, &claims)?;
        Ok(Self { assertion: Some(assertion), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
    use serde_json::json;

    use super::*;
    use crate::oauth::jwt::Algorithm;
    use crate::oauth::jwt::tests::{es256, stamp, verified};
    use crate::oauth::secret::PrivateKey;

    #[test]
    fn what_is_asserted_is_what_was_given() {
        let pair = es256();
        let key = SigningKey::of_private_key(Algorithm::ES256, &PrivateKey::new(pair.pem)).unwrap();
        // The example of RFC 7523 §4, less `nbf`, which is not sent.
        let small = JwtBearer {
            issuer: "https://jwt-idp.example.com".to_owned(),
            subject: Some("mailto:mike@example.com".to_owned()),
            audience: Audience::Named("https://jwt-rp.example.net".to_owned()),
            lifetime_seconds: 300,
            claims: BTreeMap::from([
                ("http://claims.example.com/member".into(), json!(true)),
                ("groups".into(), json!(["a", 7, {"b": null}])),
            ]),
            key,
            names: KeyNames { id: Some("16".to_owned()), thumbprint: None },
            place: Place::Member,
            assertion: None,
        };
        let endpoint = Url::parse("https://as.example/token").unwrap();
        let said = |bearer: &JwtBearer, scope: Option<&str>| {
            let scope = scope.map(ToOwned::to_owned);
            let signed = bearer.signed(&endpoint, scope, &stamp()).unwrap().assertion.unwrap();
            verified(signed.expose(), &ECDSA_P256_SHA256_FIXED, &pair.public)
        };
        let [header, claims] = said(&small, None);
        assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "kid": "16"}));
        assert_eq!(
            claims,
            json!({
                "iss": "https://jwt-idp.example.com", "sub": "mailto:mike@example.com",
                "aud": "https://jwt-rp.example.net", "iat": 1_300_819_380, "exp": 1_300_819_680,
                "jti": "unlike-any-other", "http://claims.example.com/member": true,
                "groups": ["a", 7, {"b": null}],
            })
        );
        let bare = JwtBearer {
            subject: None,
            audience: Audience::TokenEndpoint,
            claims: BTreeMap::new(),
            ..small
        };
        let [_, claims] = said(&bare, Some("a b"));
        assert_eq!(
            claims,
            json!({
                "iss": "https://jwt-idp.example.com", "aud": "https://as.example/token",
                "iat": 1_300_819_380, "exp": 1_300_819_680, "jti": "unlike-any-other",
                "scope": "a b",
            })
        );
        let [_, claims] = said(&JwtBearer { audience: Audience::Unnamed, ..bare }, None);
        assert_eq!(claims.get("aud"), None);
    }
}
