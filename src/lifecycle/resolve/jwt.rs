//! What is signed, and with which key, in words of OAuth.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::api::grant::{AssertionPlace, Grant, OmittedClaim};
use crate::api::provider::ClientAuthentication;
use crate::api::signing::SigningAlgorithm;
use crate::lifecycle::problem::Problem;
use crate::oauth::client_auth::{Client, JwtClient};
use crate::oauth::error::TokenError;
use crate::oauth::jwt::{Algorithm, KeyNames, SigningKey, Stamp, Unfit};
use crate::oauth::jwt_bearer::{Audience, JwtBearer, Place};
use crate::oauth::request::{GrantInput, Wanted};
use crate::oauth::secret::{ClientSecret, PrivateKey};
use crate::oauth::tls;

use super::connection::{self, TlsKeys};
use super::{Content, Resolved, Source};

/// How long the assertion of a grant is good, unless the user says otherwise.
const LIFETIME: Duration = Duration::from_secs(300);

/// How a client signs.
#[derive(Clone, Debug, Default)]
pub struct Signing {
    pub(super) algorithm: Option<SigningAlgorithm>,
    pub(super) key_id: Option<String>,
    pub(super) audience: Option<String>,
    /// Whether the certificate is named.
    pub(super) thumbprint: bool,
    /// Whether the scopes are claimed, and not asked for beside it.
    pub(super) scopes_in_claim: bool,
}

/// What the assertion of a grant says.
#[derive(Clone, Debug)]
pub struct Bearer<'a> {
    pub(super) issuer: Option<&'a str>,
    pub(super) subject: Option<&'a str>,
    pub(super) signing: Signing,
    pub(super) lifetime: Duration,
    pub(super) claims: &'a BTreeMap<String, Value>,
    pub(super) without_audience: bool,
    pub(super) place: Place,
}

impl Signing {
    /// Reads how a client signs.
    pub fn of(spec: Option<&ClientAuthentication>) -> Self {
        spec.map_or_else(Self::default, |spec| Self {
            algorithm: spec.algorithm,
            key_id: spec.key_id.clone(),
            audience: spec.audience.clone(),
            thumbprint: spec.certificate_thumbprint,
            scopes_in_claim: spec.scopes_in_claim,
        })
    }

    /// A client whose secret signs.
    pub(super) fn secret_client(
        &self,
        source: &Source<'_>,
        content: &Content<'_>,
    ) -> Result<Client, Problem> {
        let key = secret(self.algorithm, source, content)?;
        self.client(source, content, key, None)
    }

    /// A client whose private key signs.
    pub(super) fn key_client(
        &self,
        source: &Source<'_>,
        content: &Content<'_>,
    ) -> Result<Client, Problem> {
        let key = private_key(self.algorithm, source, content)?;
        let thumbprint = self.thumbprint.then(|| thumbprint(&key, source, content)).transpose()?;
        self.client(source, content, key, thumbprint)
    }

    fn client(
        &self,
        source: &Source<'_>,
        content: &Content<'_>,
        key: SigningKey,
        thumbprint: Option<String>,
    ) -> Result<Client, Problem> {
        Ok(Client::Signing(JwtClient {
            client_id: content.required(source.client_id)?.to_owned(),
            key,
            names: KeyNames { id: self.key_id.clone(), thumbprint },
            audience: self.audience.clone(),
        }))
    }
}

impl<'a> Bearer<'a> {
    /// Reads what the assertion of a grant says.
    pub fn of(grant: &'a Grant) -> Option<Self> {
        let Grant::JwtBearer(spec) = grant else { return None };
        Some(Self {
            issuer: spec.issuer.as_deref(),
            subject: spec.subject.as_deref(),
            signing: Signing {
                algorithm: spec.algorithm,
                key_id: spec.key_id.clone(),
                audience: spec.audience.clone(),
                thumbprint: false,
                scopes_in_claim: spec.scopes_in_claim,
            },
            lifetime: spec.lifetime.map_or(LIFETIME, Duration::from),
            claims: &spec.claims,
            without_audience: spec.omit_claims.contains(&OmittedClaim::Aud),
            place: match spec.assertion_in {
                AssertionPlace::Member => Place::Member,
                AssertionPlace::AuthorizationHeader => Place::Header,
            },
        })
    }

    /// Whether the key is the client secret.
    pub(super) fn is_signed_by_the_secret(&self) -> bool {
        self.signing.algorithm.is_some_and(SigningAlgorithm::takes_the_secret)
    }

    /// With what the source holds.
    pub(super) fn with(
        &self,
        source: &Source<'_>,
        content: &Content<'_>,
    ) -> Result<JwtBearer, Problem> {
        let issuer = match self.issuer {
            Some(issuer) => issuer,
            None => content.required(source.client_id)?,
        };
        Ok(JwtBearer {
            issuer: issuer.to_owned(),
            subject: self.subject.map(ToOwned::to_owned),
            audience: match &self.signing.audience {
                _ if self.without_audience => Audience::Unnamed,
                Some(name) => Audience::Named(name.clone()),
                None => Audience::TokenEndpoint,
            },
            lifetime_seconds: i64::try_from(self.lifetime.as_secs()).unwrap_or_default(),
            claims: self.claims.clone(),
            key: if self.is_signed_by_the_secret() {
                secret(self.signing.algorithm, source, content)?
            } else {
                private_key(self.signing.algorithm, source, content)?
            },
            names: KeyNames { id: self.signing.key_id.clone(), thumbprint: None },
            place: self.place,
            assertion: None,
        })
    }
}

impl Resolved<'_> {
    /// What is sent for the grant, signed where it is to be.
    pub(super) fn signed<'g>(
        &self,
        grant: &'g GrantInput,
        stamp: &Stamp,
    ) -> Result<Cow<'g, GrantInput>, TokenError> {
        let (GrantInput::JwtBearer(input), Some(bearer)) = (grant, &self.bearer) else {
            return Ok(Cow::Borrowed(grant));
        };
        let signed = input.signed(&self.endpoint, self.scope_claim(&bearer.signing), stamp)?;
        Ok(Cow::Owned(GrantInput::JwtBearer(Box::new(signed))))
    }

    /// The scopes as a claim of what is signed so.
    pub(super) fn scope_claim(&self, signing: &Signing) -> Option<String> {
        let scopes = self.wanted.scopes;
        let is_claimed = signing.scopes_in_claim && !scopes.is_empty();
        is_claimed.then(|| scopes.join(&self.request.scope_separator))
    }

    /// What is asked for beside what is signed.
    pub(super) fn asked_beside(&self) -> Wanted<'_> {
        let signed = [Some(&self.signing), self.bearer.as_ref().map(|bearer| &bearer.signing)];
        let in_claim = signed.into_iter().flatten().any(|signing| signing.scopes_in_claim);
        let scopes = if in_claim { &[] } else { self.wanted.scopes };
        Wanted { scopes, ..self.wanted }
    }
}

fn secret(
    given: Option<SigningAlgorithm>,
    source: &Source<'_>,
    content: &Content<'_>,
) -> Result<SigningKey, Problem> {
    let algorithm = algorithm(given.unwrap_or(SigningAlgorithm::HS256));
    let secret = ClientSecret::new(content.required(source.client_secret)?);
    SigningKey::of_secret(algorithm, &secret)
        .map_err(|why| unfit(content, source.client_secret, why))
}

fn thumbprint(
    key: &SigningKey,
    source: &Source<'_>,
    content: &Content<'_>,
) -> Result<String, Problem> {
    let keys = TlsKeys { key: source.private_key, ..source.tls };
    let certificate = content.lines(keys.certificate)?;
    tls::thumbprint(certificate, key).map_err(|wrong| connection::unusable(content, keys, wrong))
}

fn private_key(
    given: Option<SigningAlgorithm>,
    source: &Source<'_>,
    content: &Content<'_>,
) -> Result<SigningKey, Problem> {
    let algorithm = algorithm(given.unwrap_or(SigningAlgorithm::RS256));
    let pem = content.text(source.private_key)?;
    let pem = pem.ok_or_else(|| content.problem(source.private_key, "is missing"))?;
    let pem = PrivateKey::new(pem);
    SigningKey::of_private_key(algorithm, &pem)
        .map_err(|why| unfit(content, source.private_key, why))
}

fn unfit(content: &Content<'_>, key: &str, why: Unfit) -> Problem {
    content.problem(key, &why.to_string())
}

pub(super) fn algorithm(spec: SigningAlgorithm) -> Algorithm {
    match spec {
        SigningAlgorithm::HS256 => Algorithm::HS256,
        SigningAlgorithm::HS384 => Algorithm::HS384,
        SigningAlgorithm::HS512 => Algorithm::HS512,
        SigningAlgorithm::RS256 => Algorithm::RS256,
        SigningAlgorithm::RS384 => Algorithm::RS384,
        SigningAlgorithm::RS512 => Algorithm::RS512,
        SigningAlgorithm::PS256 => Algorithm::PS256,
        SigningAlgorithm::PS384 => Algorithm::PS384,
        SigningAlgorithm::PS512 => Algorithm::PS512,
        SigningAlgorithm::ES256 => Algorithm::ES256,
        SigningAlgorithm::ES384 => Algorithm::ES384,
        SigningAlgorithm::ES512 => Algorithm::ES512,
        SigningAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests;
