//! What a grant asks for, in words of OAuth.

use std::time::Duration;

use url::Url;

use crate::api::Reason;
use crate::api::credential::OAuthCredentialSpec;
use crate::api::grant::{CookieSessionGrant, Grant, TokenExchangeGrant, TokenFrom};
use crate::lifecycle::problem::Problem;
use crate::oauth::address::{AddressPolicy, check_url};
use crate::oauth::cookie_session::{CookieNames, is_cookie_value};
use crate::oauth::request::GrantInput;
use crate::oauth::secret::{GivenToken, Password, RefreshToken, is_token};
use crate::oauth::token_exchange::{
    ACCESS_TOKEN_TYPE, ISSUED_TYPE, JWT_TYPE, TokenExchange, TypedToken,
};

use super::wire::Endpoints;
use super::{Content, GrantKind, Resolved, ResponseStyle, Source};

/// The API server gives no token for less.
const SHORTEST_EXPIRATION: Duration = Duration::from_secs(600);

/// What is given for a token.
#[derive(Clone, Debug)]
pub struct ExchangeTerms<'a> {
    /// The token for whom the new one shall be.
    pub subject: GivenTerms<'a>,
    /// The token of who acts.
    pub actor: Option<GivenTerms<'a>>,
    pub(super) requested_type: Option<&'a str>,
}

/// Where a token comes from that is given, and what it is.
#[derive(Clone, Debug)]
pub struct GivenTerms<'a> {
    /// Where from.
    pub from: GivenFrom<'a>,
    pub(super) token_type: &'a str,
}

/// Where a token comes from.
#[derive(Clone, Debug)]
pub enum GivenFrom<'a> {
    /// A key of the source.
    Key(&'a str),
    /// The API server.
    ServiceAccount(Account<'a>),
}

/// A service account and the token that is wanted of it.
#[derive(Clone, Debug)]
pub struct Account<'a> {
    /// Its name.
    pub name: &'a str,
    /// For whom its token shall be.
    pub audience: &'a str,
    /// How long its token shall live.
    pub expiration: Duration,
}

impl GrantKind {
    /// Which grant it is.
    pub(super) fn of(spec: &OAuthCredentialSpec) -> Self {
        match spec.grant.as_deref() {
            None | Some(Grant::RefreshToken(_)) => Self::RefreshToken,
            Some(Grant::ClientCredentials(_)) => Self::ClientCredentials,
            Some(Grant::JwtBearer(_)) => Self::JwtBearer,
            Some(Grant::Password(_)) => Self::Password,
            Some(Grant::TokenExchange(_)) => Self::TokenExchange,
            Some(Grant::CookieSession(_)) => Self::CookieSession,
        }
    }

    /// Whether it spends a refresh token, so that a state is kept.
    pub fn spends(self) -> bool {
        matches!(self, Self::RefreshToken | Self::CookieSession)
    }
}

/// Where requests of the grant go.
///
/// # Errors
/// `SpecInvalid` or `EndpointDenied`, with the field at fault.
pub fn endpoint(
    grant: Option<&Grant>,
    endpoints: Endpoints,
    policy: AddressPolicy,
) -> Result<Url, Problem> {
    match grant {
        None | Some(Grant::RefreshToken(_)) => Ok(endpoints.refresh),
        Some(Grant::CookieSession(session)) => session_url(session, &endpoints.token, policy),
        Some(_) => Ok(endpoints.token),
    }
}

fn session_url(
    session: &CookieSessionGrant,
    token_endpoint: &Url,
    policy: AddressPolicy,
) -> Result<Url, Problem> {
    let problem =
        |reason, what: String| Problem::new(reason, format!("spec.grant.cookieSession.url {what}"));
    let url = Url::parse(&session.url)
        .map_err(|error| problem(Reason::SpecInvalid, format!("is no URL: {error}")))?;
    check_url(&url, policy).map_err(|why| problem(Reason::EndpointDenied, why))?;
    // Whatever is said of the provider, and of whom its refresh tokens are sent to, holds for this too.
    if url.origin() != token_endpoint.origin() {
        let what = "must have the scheme, host and port of spec.provider.tokenEndpoint".to_owned();
        return Err(problem(Reason::SpecInvalid, what));
    }
    Ok(url)
}

/// How answers to the grant are read.
pub fn reading(grant: Option<&Grant>, mut style: ResponseStyle) -> ResponseStyle {
    match grant {
        Some(Grant::CookieSession(session)) => {
            let or = |given: &Option<String>, usual: &str| {
                given.clone().unwrap_or_else(|| usual.to_owned())
            };
            style.cookies = Some(CookieNames {
                refresh: or(&session.refresh_cookie, "refresh-token"),
                access: or(&session.access_cookie, "access-token"),
            });
        }
        Some(Grant::TokenExchange(_)) => {
            let pointer = || format!("/{ISSUED_TYPE}");
            style.fields.entry(ISSUED_TYPE.to_owned()).or_insert_with(pointer);
        }
        _ => {}
    }
    style
}

/// What is given for a token, where the grant is such.
pub fn exchange(grant: Option<&Grant>) -> Option<ExchangeTerms<'_>> {
    let Some(Grant::TokenExchange(exchange)) = grant else { return None };
    let TokenExchangeGrant { subject_token, subject_token_type, .. } = exchange;
    let actor_type = exchange.actor_token_type.as_deref();
    Some(ExchangeTerms {
        subject: given(subject_token, "subject_token", subject_token_type.as_deref()),
        actor: exchange.actor_token.as_ref().map(|actor| given(actor, "actor_token", actor_type)),
        requested_type: exchange.requested_token_type.as_deref(),
    })
}

fn given<'a>(token: &'a TokenFrom, usual_key: &'a str, of_type: Option<&'a str>) -> GivenTerms<'a> {
    let (from, usual_type) = match token {
        TokenFrom::SecretKey(key) => {
            (GivenFrom::Key(key.key.as_deref().unwrap_or(usual_key)), ACCESS_TOKEN_TYPE)
        }
        TokenFrom::ServiceAccount(account) => {
            let expiration = account.expiration.map(Duration::from);
            let account = Account {
                name: &account.name,
                audience: &account.audience,
                expiration: expiration.unwrap_or(SHORTEST_EXPIRATION),
            };
            (GivenFrom::ServiceAccount(account), JWT_TYPE)
        }
    };
    GivenTerms { from, token_type: of_type.unwrap_or(usual_type) }
}

impl Resolved<'_> {
    /// What the grant takes from the source.
    ///
    /// # Errors
    /// `SourceInvalid` with the key at fault.
    pub(super) fn input(&self, content: &Content<'_>) -> Result<GrantInput, Problem> {
        let Source { refresh_token, username, password, .. } = self.source;
        Ok(match self.grant {
            GrantKind::ClientCredentials => GrantInput::ClientCredentials,
            GrantKind::RefreshToken => {
                GrantInput::RefreshToken(RefreshToken::new(content.token(refresh_token)?))
            }
            GrantKind::CookieSession => {
                let text = content.token(refresh_token)?;
                if !is_cookie_value(text) {
                    let what = "is no cookie: it holds a semicolon, or spaces around it";
                    return Err(content.problem(refresh_token, what));
                }
                GrantInput::RefreshToken(RefreshToken::new(text))
            }
            GrantKind::Password => GrantInput::Password {
                username: content.required(username)?.to_owned(),
                password: Password::new(content.required(password)?),
            },
            GrantKind::JwtBearer => {
                let nothing =
                    || Problem::new(Reason::SpecInvalid, "spec.grant is empty".to_owned());
                let bearer = self.bearer.as_ref().ok_or_else(nothing)?;
                GrantInput::JwtBearer(Box::new(bearer.with(&self.source, content)?))
            }
            GrantKind::TokenExchange => {
                let nothing =
                    || Problem::new(Reason::SpecInvalid, "spec.grant is empty".to_owned());
                let terms = self.exchange.as_ref().ok_or_else(nothing)?;
                GrantInput::TokenExchange(Box::new(terms.read(content)?))
            }
        })
    }
}

impl ExchangeTerms<'_> {
    fn read(&self, content: &Content<'_>) -> Result<TokenExchange, Problem> {
        let actor = self.actor.as_ref().map(|actor| actor.read(content));
        Ok(TokenExchange {
            subject: self.subject.read(content)?,
            actor: actor.transpose()?,
            requested_type: self.requested_type.map(ToOwned::to_owned),
        })
    }
}

impl GivenTerms<'_> {
    fn read(&self, content: &Content<'_>) -> Result<TypedToken, Problem> {
        let token = match &self.from {
            GivenFrom::Key(key) => Some(GivenToken::new(content.token(key)?)),
            GivenFrom::ServiceAccount(_) => None,
        };
        Ok(TypedToken { token, token_type: self.token_type.to_owned() })
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

#[cfg(test)]
mod tests;
