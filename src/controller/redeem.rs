//! One token request: built, sent, read.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::Reason;
use crate::lifecycle::failure::Problem;
use crate::lifecycle::resolve::{GrantKind, Resolved};
use crate::lifecycle::rotation::Lifespan;
use crate::lifecycle::schedule::{plus, to_second};
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::error::TokenError;
use crate::oauth::request::{GrantInput, TokenCall, TokenRequest, build};
use crate::oauth::response::{Lifetime, MAX_LIFETIME_SECONDS, RawResponse, TokenSet};

use super::context::Context;

/// Writes the request of a credential.
pub fn request(spec: &Resolved<'_>, client: &ClientAuth, grant: &GrantInput) -> TokenRequest {
    build(&TokenCall {
        endpoint: &spec.endpoint,
        client,
        grant,
        scopes: spec.scopes,
        encoding: spec.encoding,
    })
}

/// Sends a request and counts it.
///
/// # Errors
/// As [`crate::oauth::transport::Transport::send`].
pub async fn send(
    context: &Context,
    request: &TokenRequest,
    grant: GrantKind,
) -> Result<RawResponse, TokenError> {
    let begun = std::time::Instant::now();
    let answer = context.transport.send(request, grant == GrantKind::RefreshToken).await;
    context.metrics.token_request_took(begun.elapsed());
    answer
}

/// When the token set was issued and expires.
pub fn lifespan(
    set: &TokenSet,
    sent_at: Timestamp,
    default_lifetime: Option<Duration>,
) -> Lifespan {
    let issued_at = to_second(sent_at);
    let lifetime = match set.lifetime {
        Lifetime::Seconds(seconds) => Duration::try_from(SignedDuration::from_secs(seconds)).ok(),
        Lifetime::Missing | Lifetime::Unusable(_) => default_lifetime,
    };
    Lifespan { issued_at, expires_at: lifetime.map(|lifetime| plus(issued_at, lifetime)) }
}

/// The problem with a token set whose life nobody knows.
pub fn unknown_lifetime(set: &TokenSet) -> Problem {
    let message = match &set.lifetime {
        Lifetime::Unusable(value) => format!(
            "expires_in of the token response is {value}; it must be a whole number of seconds from 1 to {MAX_LIFETIME_SECONDS}"
        ),
        Lifetime::Missing | Lifetime::Seconds(_) => {
            "the token response has no expires_in".to_owned()
        }
    };
    Problem::new(Reason::LifetimeUnknown, message)
}
