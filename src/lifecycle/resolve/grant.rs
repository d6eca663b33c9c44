//! What a grant asks for, in words of OAuth.

use url::Url;

use crate::api::Reason;
use crate::api::credential::OAuthCredentialSpec;
use crate::api::grant::Grant;
use crate::lifecycle::problem::Problem;
use crate::oauth::request::GrantInput;
use crate::oauth::secret::{RefreshToken, is_token};

use super::wire::Endpoints;
use super::{Content, GrantKind, Resolved, Source};

impl GrantKind {
    /// Which grant it is.
    pub(super) fn of(spec: &OAuthCredentialSpec) -> Self {
        match spec.grant {
            None | Some(Grant::RefreshToken(_)) => Self::RefreshToken,
            Some(Grant::ClientCredentials(_)) => Self::ClientCredentials,
            Some(Grant::JwtBearer(_)) => Self::JwtBearer,
        }
    }

    /// Whether it spends a refresh token, so that a state is kept.
    pub fn spends(self) -> bool {
        matches!(self, Self::RefreshToken)
    }
}

/// Where requests of the grant go.
pub fn endpoint(grant: Option<&Grant>, endpoints: Endpoints) -> Url {
    match grant {
        None | Some(Grant::RefreshToken(_)) => endpoints.refresh,
        Some(_) => endpoints.token,
    }
}

impl Resolved<'_> {
    /// What the grant takes from the source.
    ///
    /// # Errors
    /// `SourceInvalid` with the key at fault.
    pub(super) fn input(&self, content: &Content<'_>) -> Result<GrantInput, Problem> {
        let Source { refresh_token, .. } = self.source;
        Ok(match self.grant {
            GrantKind::ClientCredentials => GrantInput::ClientCredentials,
            GrantKind::RefreshToken => {
                GrantInput::RefreshToken(RefreshToken::new(content.token(refresh_token)?))
            }
            GrantKind::JwtBearer => {
                let nothing =
                    || Problem::new(Reason::SpecInvalid, "spec.grant is empty".to_owned());
                let bearer = self.bearer.as_ref().ok_or_else(nothing)?;
                GrantInput::JwtBearer(Box::new(bearer.with(&self.source, content)?))
            }
        })
    }
}

impl<'a> Content<'a> {
    fn token(&self, key: &str) -> Result<&'a str, Problem> {
        let text = self.required(key)?;
        if is_token(text) {
            return Ok(text);
        }
        Err(self.problem(key, "is no token: it may hold printable ASCII only"))
    }
}
