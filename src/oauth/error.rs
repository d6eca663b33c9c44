//! What a token request can come to other than a token set. No server text is kept: it may echo what was sent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What an error code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meaning {
    /// The refresh token, code or assertion is invalid, expired or revoked.
    InvalidGrant,
    /// The client is unknown or wrongly authenticated.
    InvalidClient,
    /// The request is refused for what it says.
    InvalidRequest,
    /// It passes.
    Temporary,
}

/// What a lost connection tells of, as far as that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The server, or the way to it: it fails for whoever calls.
    Server,
    /// The certificates that the caller is configured with: others may well be answered.
    Caller,
}

/// Why there is no token set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Policy forbids the endpoint; nothing was sent.
    Denied(String),
    /// No connection; nothing was sent.
    Unreachable(String, Side),
    /// Nothing was sent, for a reason that is not the server's.
    NotSent(String),
    /// Sent, but no complete answer came back: the grant may be spent.
    OutcomeUnknown(String, Side),
    /// A complete answer that is no token response.
    Invalid(String),
    /// The refresh token, code or assertion is invalid, expired or revoked.
    InvalidGrant(String),
    /// The client is unknown or wrongly authenticated.
    InvalidClient(String),
    /// The request is refused for what it says.
    InvalidRequest(String),
    /// A refusal that says no more than its status, or only in a word of the server's own.
    Refused {
        /// Whether the status speaks of who asks: 401, or 403 without any code.
        unauthorized: bool,
        /// In words of ours.
        why: String,
    },
    /// 429.
    RateLimited {
        /// From `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// 5xx, or `temporarily_unavailable`.
    Server {
        /// The HTTP status.
        status: u16,
        /// From `Retry-After`.
        retry_after: Option<Duration>,
    },
}

impl TokenError {
    /// The same, where it is known whether a byte went out: without one nothing is unknown.
    #[must_use]
    pub fn sent(self, went_out: bool) -> Self {
        match self {
            Self::OutcomeUnknown(why, _) if !went_out => Self::NotSent(why),
            error => error,
        }
    }

    /// Whether a byte of the request may have reached anybody.
    pub fn may_have_gone_out(&self) -> bool {
        !matches!(self, Self::Denied(_) | Self::Unreachable(..) | Self::NotSent(_))
    }

    /// What the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The same, with what the server asked to wait.
    #[must_use]
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        if let Self::RateLimited { retry_after } | Self::Server { retry_after, .. } = &mut self {
            *retry_after = wait;
        }
        self
    }

    /// What went wrong with a request to something else than the token endpoint, of which the transport mostly speaks.
    pub fn why_of(&self, what: &str) -> String {
        self.why().replace("the token endpoint", what)
    }

    /// What went wrong, in words of ours.
    pub fn why(&self) -> String {
        match self {
            Self::Denied(why)
            | Self::Unreachable(why, _)
            | Self::NotSent(why)
            | Self::OutcomeUnknown(why, _)
            | Self::Invalid(why)
            | Self::InvalidGrant(why)
            | Self::InvalidClient(why)
            | Self::InvalidRequest(why)
            | Self::Refused { why, .. } => why.clone(),
            Self::RateLimited { .. } => {
                "the authorization server answered 429 (too many requests)".to_owned()
            }
            Self::Server { status, .. } if *status < 500 => {
                format!("the authorization server answered {status} with an error that passes")
            }
            Self::Server { status, .. } => format!("the authorization server answered {status}"),
        }
    }
}

/// Error codes that mean the refresh token is dead: RFC 6749 §5.2 and the dialects of well-known servers.
const DEAD_GRANT: [&str; 8] = [
    "invalid_grant",
    "bad_refresh_token",
    "invalid_refresh_token",
    "token_revoked",
    "token_inactive",
    "invalid_code",
    // Nobody but a human can go on from there.
    "interaction_required",
    "consent_required",
];
/// Error codes about the client.
const BAD_CLIENT: [&str; 7] = [
    "invalid_client",
    "invalid_client_secret",
    "bad_client_secret",
    "unauthorized_client",
    "incorrect_client_credentials",
    "invalid_client_id",
    "bad_client_id",
];
/// Error codes about the request.
const BAD_REQUEST: [&str; 6] = [
    "invalid_request",
    "invalid_scope",
    "unsupported_grant_type",
    "access_denied",
    "invalid_target",
    "invalid_grant_type",
];
/// Error codes that pass.
const PASSING: [&str; 3] = ["temporarily_unavailable", "server_error", "slow_down"];

/// Reads an error code together with its HTTP status; nothing when it is not listed. Some servers write it in upper case.
pub fn from_code(code: &str, status: u16) -> Option<TokenError> {
    let is = |known: &&str| known.eq_ignore_ascii_case(code);
    let listed = |codes: &[&'static str]| codes.iter().copied().find(is);
    let said =
        |known: &str| format!("the authorization server answered {status} with error {known}");
    if let Some(known) = listed(&DEAD_GRANT) {
        Some(TokenError::InvalidGrant(said(known)))
    } else if let Some(known) = listed(&BAD_CLIENT) {
        Some(TokenError::InvalidClient(said(known)))
    } else if let Some(known) = listed(&BAD_REQUEST) {
        Some(TokenError::InvalidRequest(said(known)))
    } else {
        listed(&PASSING).map(|_| TokenError::Server { status, retry_after: None })
    }
}

/// A code that is not listed. It is not repeated.
pub fn unlisted(status: u16) -> TokenError {
    let why =
        format!("the authorization server answered {status} with error that is not in RFC 6749");
    TokenError::Refused { unauthorized: status == 401, why }
}

/// An error code of the server's own, which the user knows.
pub fn of_meaning(meaning: Meaning, code: &str, status: u16) -> TokenError {
    let said = format!("the authorization server answered {status} with error {code}");
    match meaning {
        Meaning::InvalidGrant => TokenError::InvalidGrant(said),
        Meaning::InvalidClient => TokenError::InvalidClient(said),
        Meaning::InvalidRequest => TokenError::InvalidRequest(said),
        Meaning::Temporary => TokenError::Server { status, retry_after: None },
    }
}
