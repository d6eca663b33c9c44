//! Turns the words of the custom resource and the bytes of the source into types that can't be wrong.
//! The only place where CRD words become OAuth words.

mod alone;
mod claims;
mod combinations;
mod connection;
mod digest;
mod grant;
mod jwt;
mod source;
mod wire;

use std::time::Duration;

use url::Url;

use crate::api::Reason;
use crate::api::credential::OAuthCredentialSpec;
use crate::api::provider::{BasicEncoding, ClientAuthenticationMethod};
use crate::api::renewal::RenewalSpec;
use crate::api::target::TargetSpec;
use crate::oauth::address::AddressPolicy;
use crate::oauth::client_auth::Client;
use crate::oauth::cookie_session;
use crate::oauth::error::TokenError;
use crate::oauth::jwt::Stamp;
use crate::oauth::request::{GrantInput, RequestStyle, TokenCall, TokenRequest, Wanted, build};
use crate::oauth::response::ResponseStyle;
use crate::oauth::revocation::revocation;
use crate::oauth::secret::RefreshToken;
use crate::oauth::tls::Roots;

use self::source::{Content, source};
use super::probe::Probe;
use super::problem::Problem;
use super::provider::Provider;
use super::rate::RateLimit;
use super::rotation::commit::RefreshTerms;
use super::schedule::{RenewBefore, RenewalPolicy};

use self::jwt::{Bearer, Signing};

pub use self::alone::check;
pub use self::grant::{Account, ExchangeTerms, GivenFrom};
pub use self::source::{Source, SourceContent};

/// Which grant; its input comes from the source or the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantKind {
    /// Spends a refresh token and keeps a state Secret.
    RefreshToken,
    /// Spends nothing and keeps no state.
    ClientCredentials,
    /// Sends a token that it signs; keeps no state.
    JwtBearer,
    /// Sends a password; keeps no state.
    Password,
    /// Gives another token; keeps no state.
    TokenExchange,
    /// Spends a refresh token in a cookie and keeps a state Secret.
    CookieSession,
}

/// A spec that can be acted on.
#[derive(Clone, Debug)]
pub struct Resolved<'a> {
    /// Where the request goes, allowed by the policy as far as its URL tells.
    pub endpoint: Url,
    /// What that is an alias of, if it is one.
    own_endpoint: Option<Url>,
    /// As given; the default depends on the source.
    pub method: Option<ClientAuthenticationMethod>,
    basic_encoding: BasicEncoding,
    signing: Signing,
    request: RequestStyle,
    /// How responses are read.
    pub response: ResponseStyle,
    /// Which grant.
    pub grant: GrantKind,
    bearer: Option<Bearer<'a>>,
    /// What is given for a token, where the grant is such.
    pub exchange: Option<ExchangeTerms<'a>>,
    /// What is asked for.
    pub wanted: Wanted<'a>,
    /// Name and keys of the source.
    pub source: Source<'a>,
    /// The target as the user wants it.
    pub target: &'a TargetSpec,
    /// When to renew.
    pub renewal: RenewalPolicy,
    /// Whether a protected resource takes the token.
    pub probe: Option<Probe>,
    /// For responses without a usable lifetime.
    pub default_lifetime: Option<Duration>,
    /// For how long the server accepts a refresh token that it has replaced; nothing when nobody knows.
    pub reuse_grace: Option<Duration>,
    /// How long refresh tokens live, where the server does not say.
    pub refresh_terms: RefreshTerms,
    /// Where refresh tokens are revoked.
    pub revocation_endpoint: Option<Url>,
    /// Trusted in place of the platform's roots.
    pub roots: Option<Roots>,
    /// How many requests the server bears.
    pub rate_limit: Option<RateLimit>,
    /// A digest of all that makes a token request but the source's content: another one asks for a new token.
    pub request_digest: String,
    /// [`Provider::version`].
    pub provider_version: Option<String>,
}

/// How an answer is read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Where its members are.
    pub style: &'a ResponseStyle,
    /// Where it has no usable lifetime.
    pub default_lifetime: Option<Duration>,
}

/// Reads the spec, with the provider that it names or holds.
///
/// # Errors
/// The reason and the field at fault.
pub fn spec<'a>(
    spec: &'a OAuthCredentialSpec,
    provider: &Provider<'_>,
    policy: AddressPolicy,
) -> Result<Resolved<'a>, Problem> {
    resolve(spec, provider, policy).map_err(|problem| provider.located(problem))
}

fn resolve<'a>(
    spec: &'a OAuthCredentialSpec,
    provider: &Provider<'_>,
    policy: AddressPolicy,
) -> Result<Resolved<'a>, Problem> {
    let (provider_version, known_roots) = (provider.version.clone(), provider.roots.clone());
    let own = provider.own_endpoint.as_ref();
    let provider = &*provider.spec;
    let endpoints = wire::endpoints(provider, own, policy)?;
    let authentication = provider.client_authentication.as_ref();
    let method = authentication.map(|authentication| authentication.method);
    let basic_encoding = authentication.and_then(|authentication| authentication.basic_encoding);
    let grant = spec.grant.as_deref();
    // A cookie session shows no client, whatever a provider that others use too says of it.
    let shown = authentication.filter(|_| GrantKind::of(spec) != GrantKind::CookieSession);
    combinations::check(spec, shown, provider)?;
    let mut request = wire::request_style(provider.request.as_deref())?;
    request.parameters.extend(spec.parameters.clone());
    combinations::check_names(spec, &request)?;
    let (token, revocation) = (endpoints.token.clone(), endpoints.revocation.clone());
    let endpoint = grant::endpoint(grant, endpoints, policy)?;
    let own_endpoint = own.filter(|_| endpoint == token).cloned();
    let renewal = RenewalPolicy {
        earliest: provider.earliest_renewal.map(Duration::from),
        ..renewal(spec.renewal.as_deref())?
    };
    let tls = connection::tls_keys(spec.source.keys.as_deref(), shown, endpoint.scheme())?;
    let mut resolved = Resolved {
        endpoint,
        own_endpoint,
        method,
        basic_encoding: basic_encoding.unwrap_or_default(),
        signing: Signing::of(authentication),
        request,
        response: grant::reading(grant, wire::response_style(provider.response.as_deref())),
        grant: GrantKind::of(spec),
        exchange: grant::exchange(grant),
        bearer: grant.and_then(Bearer::of),
        wanted: Wanted {
            scopes: &spec.scopes,
            audience: spec.audience.as_deref(),
            resources: &spec.resources,
        },
        source: source(spec, tls),
        target: &spec.target,
        renewal,
        probe: spec.probe.as_deref().map(|probe| wire::probe(probe, policy)).transpose()?,
        default_lifetime: provider.default_lifetime.map(Duration::from),
        reuse_grace: provider.reuse_grace.map(Duration::from),
        refresh_terms: RefreshTerms {
            lifetime: provider.refresh_token_lifetime.map(Duration::from),
            idle_lifetime: provider.refresh_token_idle_lifetime.map(Duration::from),
            absolute_lifetime: provider.refresh_token_absolute_lifetime.map(Duration::from),
        },
        revocation_endpoint: revocation,
        roots: known_roots.map_or_else(|| connection::roots(provider), |roots| Ok(Some(roots)))?,
        rate_limit: provider.rate_limit.as_ref().map(connection::rate_limit),
        request_digest: String::new(),
        provider_version,
    };
    resolved.request_digest = digest::digest(&resolved);
    Ok(resolved)
}

fn renewal(spec: Option<&RenewalSpec>) -> Result<RenewalPolicy, Problem> {
    let Some(spec) = spec else {
        return Ok(RenewalPolicy::default());
    };
    let renew_before = spec.renew_before.as_deref().map(|text| {
        RenewBefore::parse(text).ok_or_else(|| {
            Problem::new(
                Reason::SpecInvalid,
                "spec.renewal.renewBefore is neither a duration nor a percentage".to_owned(),
            )
        })
    });
    Ok(RenewalPolicy {
        renew_before: renew_before.transpose()?,
        jitter: spec.jitter.map(Duration::from),
        min_interval: spec
            .min_interval
            .map_or_else(|| RenewalPolicy::default().min_interval, Duration::from),
        earliest: None,
    })
}

impl Resolved<'_> {
    /// Scheme, host and port of the endpoint: whom refresh tokens are sent to. An alias is the same place as what it is an
    /// alias of, so that they may come and go.
    pub fn origin(&self) -> String {
        self.own_endpoint.as_ref().unwrap_or(&self.endpoint).origin().ascii_serialization()
    }

    /// The same, as a record may have it that was made at the alias when it was no alias.
    pub fn origin_as(&self, known: &str) -> String {
        let origin = self.endpoint.origin().ascii_serialization();
        if origin == known { origin } else { self.origin() }
    }

    /// How answers are read.
    pub fn reading(&self) -> Reading<'_> {
        Reading { style: &self.response, default_lifetime: self.default_lifetime }
    }

    /// Writes the token request; what is signed in it is signed now.
    ///
    /// # Errors
    /// [`TokenError::NotSent`] when something could not be signed.
    pub fn request(
        &self,
        client: &Client,
        grant: &GrantInput,
        stamp: impl Fn() -> Stamp,
    ) -> Result<TokenRequest, TokenError> {
        if let (Some(names), GrantInput::RefreshToken(token)) = (&self.response.cookies, grant) {
            let headers = &self.request.headers;
            let request = cookie_session::request(&self.endpoint, names, token, headers);
            return Ok(self.trusting(request));
        }
        let grant = self.signed(grant, &stamp())?;
        let scope = self.scope_claim(&self.signing);
        Ok(self.trusting(build(&TokenCall {
            endpoint: &self.endpoint,
            client: &*client.authenticate(&self.endpoint, scope, &stamp())?,
            grant: &grant,
            wanted: self.asked_beside(),
            style: &self.request,
        })))
    }

    /// Writes the revocation request, where the provider takes one.
    ///
    /// # Errors
    /// [`TokenError::NotSent`] when something could not be signed.
    pub fn revocation(
        &self,
        client: &Client,
        token: &RefreshToken,
        stamp: &Stamp,
    ) -> Result<Option<TokenRequest>, TokenError> {
        let Some(endpoint) = &self.revocation_endpoint else { return Ok(None) };
        let client = client.authenticate(&self.endpoint, None, stamp)?;
        let request = revocation(endpoint, &client, token, &self.request);
        Ok(Some(self.trusting(request)))
    }

    /// A request to this provider, over connections that trust its roots.
    pub fn trusting(&self, mut request: TokenRequest) -> TokenRequest {
        request.tls.roots.clone_from(&self.roots);
        request
    }
}

#[cfg(test)]
mod tests;
