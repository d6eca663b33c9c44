//! How connections to a provider are made, and how many requests it bears.

use std::time::Duration;

use crate::api::Reason;
use crate::api::provider::{
    ClientAuthentication, ClientAuthenticationMethod, ProviderSpec, RateLimitSpec,
};
use crate::api::source::SourceKeys;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::rate::RateLimit;
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::tls::{Identity, Roots, Wrong};

use super::Content;

/// Keys of the client's certificate, named as in Secrets of type kubernetes.io/tls.
#[derive(Clone, Copy, Debug)]
pub(super) struct TlsKeys<'a> {
    pub(super) certificate: &'a str,
    pub(super) key: &'a str,
}

/// The roots, where the provider has its own.
///
/// # Errors
/// `SpecInvalid`, with what is wrong.
pub(super) fn roots(provider: &ProviderSpec) -> Result<Option<Roots>, Problem> {
    let bundle = provider.tls.as_ref().and_then(|tls| tls.ca_bundle.as_deref());
    bundle.map(Roots::parse).transpose().map_err(|why| invalid("provider.tls.caBundle", why))
}

/// Where the client's certificate is.
///
/// # Errors
/// `SpecInvalid` where there is no use for it, or no TLS to show it in.
pub(super) fn tls_keys<'a>(
    keys: Option<&'a SourceKeys>,
    authentication: Option<&ClientAuthentication>,
    scheme: &str,
) -> Result<TlsKeys<'a>, Problem> {
    let certificate = keys.and_then(|keys| keys.tls_certificate.as_deref());
    let key = keys.and_then(|keys| keys.tls_key.as_deref());
    let method = authentication.map(|authentication| authentication.method);
    if method != Some(ClientAuthenticationMethod::TlsClientAuth) {
        let is_named = authentication.is_some_and(|one| one.certificate_thumbprint);
        if certificate.is_some() && !is_named {
            return Err(invalid(
                "source.keys.tlsCertificate",
                "is used by client authentication TlsClientAuth and by certificateThumbprint alone",
            ));
        }
        if key.is_some() {
            return Err(invalid(
                "source.keys.tlsKey",
                "is used by client authentication TlsClientAuth alone",
            ));
        }
    } else if scheme != "https" {
        let field = "provider.clientAuthentication.method";
        return Err(invalid(field, "TlsClientAuth needs an endpoint with https"));
    }
    Ok(TlsKeys { certificate: certificate.unwrap_or("tls.crt"), key: key.unwrap_or("tls.key") })
}

/// The client that shows a certificate.
///
/// # Errors
/// `SourceInvalid` with the key at fault.
pub(super) fn tls_client(
    content: &Content<'_>,
    client_id: &str,
    keys: TlsKeys<'_>,
) -> Result<ClientAuth, Problem> {
    let certificate = content.lines(keys.certificate)?;
    let identity = Identity::parse(certificate, content.lines(keys.key)?);
    let identity = identity.map_err(|wrong| unusable(content, keys, wrong))?;
    Ok(ClientAuth::Tls { client_id: client_id.to_owned(), identity })
}

/// What is wrong with a certificate or its key, by the key of the source that it stands in.
pub(super) fn unusable(content: &Content<'_>, keys: TlsKeys<'_>, wrong: Wrong) -> Problem {
    match wrong {
        Wrong::Certificate(why) => content.problem(keys.certificate, why),
        Wrong::Key(why) => content.problem(keys.key, why),
    }
}

/// The limit that is kept.
pub(super) fn rate_limit(spec: &RateLimitSpec) -> RateLimit {
    RateLimit {
        requests: usize::try_from(spec.requests).unwrap_or(1).max(1),
        per: Duration::from(spec.per),
    }
}

fn invalid(field: &str, why: &str) -> Problem {
    Problem::new(Reason::SpecInvalid, format!("spec.{field} {why}"))
}
