//! How a provider speaks, in words of OAuth.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::api::Reason;
use crate::api::probe::ProbeSpec;
use crate::api::provider::{
    Encoding as EncodingSpec, ErrorMeaning, LifetimeUnit, Method as MethodSpec, ProviderSpec,
    RequestSpec, ResponseSpec,
};
use crate::lifecycle::probe::Probe;
use crate::lifecycle::problem::Problem;
use crate::oauth::address::{AddressPolicy, check_url};
use crate::oauth::error::Meaning;
use crate::oauth::request::{Encoding, Method, RequestStyle};
use crate::oauth::response::{ResponseStyle, Unit};

/// Where requests go.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Where tokens are asked for.
    pub token: Url,
    /// Where refresh tokens are spent.
    pub refresh: Url,
    /// Where they are revoked.
    pub revocation: Option<Url>,
}

/// Reads the URLs.
///
/// # Errors
/// `SpecInvalid` or `EndpointDenied`, with the field at fault.
pub fn endpoints(
    provider: &ProviderSpec,
    own: Option<&Url>,
    policy: AddressPolicy,
) -> Result<Endpoints, Problem> {
    let token = provider.token_endpoint.as_deref().ok_or_else(|| {
        let message = "spec.provider takes exactly one of tokenEndpoint, issuer and ref";
        Problem::new(Reason::SpecInvalid, message.to_owned())
    })?;
    let token = callable("spec.provider.tokenEndpoint", token, policy)?;
    let refresh = match &provider.refresh_endpoint {
        Some(text) => callable("spec.provider.refreshEndpoint", text, policy)?,
        None => token.clone(),
    };
    let revocation = provider.revocation_endpoint.as_deref();
    let revocation =
        revocation.map(|text| url("spec.provider.revocationEndpoint", text)).transpose()?;
    // A refresh token is sent there: a rule of the CRD for this would cost more than the API server allows. What an issuer
    // publishes must not make it wrong.
    let own = own.filter(|_| provider.refresh_endpoint.is_none());
    let is_at_home = |revocation: &Url| {
        [Some(&refresh), own].into_iter().flatten().any(|url| url.origin() == revocation.origin())
    };
    if revocation.as_ref().is_some_and(|revocation| !is_at_home(revocation)) {
        let message = "spec.provider.revocationEndpoint must have the scheme, host and port that refresh tokens are sent to";
        return Err(Problem::new(Reason::SpecInvalid, message.to_owned()));
    }
    Ok(Endpoints { token, refresh, revocation })
}

fn url(field: &str, text: &str) -> Result<Url, Problem> {
    Url::parse(text).map_err(|error| {
        let message = format!("{field} is no URL: {error}");
        Problem::new(Reason::SpecInvalid, message)
    })
}

fn callable(field: &str, text: &str, policy: AddressPolicy) -> Result<Url, Problem> {
    let url = url(field, text)?;
    check_url(&url, policy)
        .map_err(|why| Problem::new(Reason::EndpointDenied, format!("{field} {why}")))?;
    Ok(url)
}

/// Reads what is probed.
///
/// # Errors
/// `SpecInvalid` or `EndpointDenied`.
pub fn probe(spec: &ProbeSpec, policy: AddressPolicy) -> Result<Probe, Problem> {
    let url = callable("spec.probe.url", &spec.url, policy)?;
    let rejected = match spec.rejected_statuses.as_slice() {
        [] => vec![401],
        given => given.to_vec(),
    };
    Ok(Probe { url, interval: spec.interval.map(Duration::from), rejected })
}

/// Reads how requests are written.
///
/// # Errors
/// `SpecInvalid` for a header that can't be sent.
pub fn request_style(spec: Option<&RequestSpec>) -> Result<RequestStyle, Problem> {
    let Some(spec) = spec else { return Ok(RequestStyle::default()) };
    Ok(RequestStyle {
        method: match spec.method {
            MethodSpec::Post => Method::Post,
            MethodSpec::Get => Method::Get,
        },
        encoding: match spec.encoding {
            EncodingSpec::Form => Encoding::Form,
            EncodingSpec::Json => Encoding::Json,
            EncodingSpec::Query => Encoding::Query,
        },
        headers: headers(spec)?,
        parameters: spec.parameters.clone(),
        names: spec.parameter_names.clone(),
        omitted: spec.omit_parameters.iter().map(|one| <&str>::from(one).to_owned()).collect(),
        grant_type: spec.grant_type.clone(),
        scope_separator: spec.scope_separator.clone().unwrap_or_else(|| " ".to_owned()),
    })
}

fn headers(spec: &RequestSpec) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    for (name, value) in &spec.headers {
        let header = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        let (name, value) = header.ok_or_else(|| {
            let message = format!("spec.provider.request.headers: {name} can't be sent");
            Problem::new(Reason::SpecInvalid, message)
        })?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Reads how responses are read.
pub fn response_style(spec: Option<&ResponseSpec>) -> ResponseStyle {
    let usual = ResponseStyle::default();
    let Some(spec) = spec else { return usual };
    let or = |given: &Option<String>, usual: String| given.clone().unwrap_or(usual);
    ResponseStyle {
        access_token: or(&spec.access_token, usual.access_token),
        refresh_token: or(&spec.refresh_token, usual.refresh_token),
        token_type: or(&spec.token_type, usual.token_type),
        scope: or(&spec.scope, usual.scope),
        lifetime: or(&spec.lifetime, usual.lifetime),
        lifetime_unit: unit(spec.lifetime_unit),
        expiry: spec.expiry.clone(),
        refresh_token_lifetime: spec.refresh_token_lifetime.clone(),
        refresh_token_lifetime_unit: unit(spec.refresh_token_lifetime_unit),
        refresh_token_expiry: spec.refresh_token_expiry.clone(),
        error: or(&spec.error, usual.error),
        error_codes: spec
            .error_codes
            .iter()
            .map(|(code, is)| (code.clone(), meaning(*is)))
            .collect(),
        fields: spec.fields.clone(),
        cookies: None,
    }
}

fn unit(spec: Option<LifetimeUnit>) -> Unit {
    match spec.unwrap_or_default() {
        LifetimeUnit::Seconds => Unit::Seconds,
        LifetimeUnit::Milliseconds => Unit::Milliseconds,
    }
}

fn meaning(spec: ErrorMeaning) -> Meaning {
    match spec {
        ErrorMeaning::InvalidGrant => Meaning::InvalidGrant,
        ErrorMeaning::InvalidClient => Meaning::InvalidClient,
        ErrorMeaning::InvalidRequest => Meaning::InvalidRequest,
        ErrorMeaning::Temporary => Meaning::Temporary,
    }
}
