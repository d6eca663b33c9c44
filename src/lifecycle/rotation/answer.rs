//! What an answer to a refresh token says of the token.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jiff::Timestamp;

use crate::lifecycle::record::StateRecord;
use crate::oauth::error::{Side, TokenError};
use crate::oauth::response::{
    RawResponse, ResponseStyle, TokenSet, parse_hiding, salvage_refresh_token,
};
use crate::oauth::secret::RefreshToken;
use crate::oauth::sent::Sent;

use super::commit::{Spent, commit, lifespan, salvage};
use super::exchange::Reply;

/// An answer, read.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A token set.
    Granted(Box<TokenSet>),
    /// Of no use but for its new refresh token.
    Salvaged(RefreshToken, TokenError),
    /// Refused; the refresh token is as good as before.
    Kept(TokenError),
    /// The refresh token was called invalid.
    Rejected(TokenError),
    /// Nobody knows whether the token was spent.
    Unknown(TokenError),
}

/// Reads what came back; `None` when nothing did. What tells of `sent` is not shown. A panic while it is read is an answer that makes no sense.
pub fn read(
    raw: Option<&RawResponse>,
    style: &ResponseStyle,
    why_none: Option<TokenError>,
    sent: &Sent,
) -> Answer {
    let Some(raw) = raw else {
        let unknown = || TokenError::OutcomeUnknown("no answer came".to_owned(), Side::Server);
        return Answer::Unknown(why_none.unwrap_or_else(unknown));
    };
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        crate::fail_point::reach("parsing");
        parse_hiding(raw, style, true, sent)
    }));
    let parsed = parsed.unwrap_or_else(|_| {
        Err(TokenError::OutcomeUnknown("the answer could not be read".to_owned(), Side::Server))
    });
    match parsed {
        Ok(set) => Answer::Granted(Box::new(set)),
        Err(error @ TokenError::InvalidGrant(_)) => Answer::Rejected(error),
        Err(error) if is_unknown(&error) => {
            let salvaged =
                catch_unwind(AssertUnwindSafe(|| salvage_refresh_token(raw, style, sent)));
            match salvaged.ok().flatten() {
                Some(token) => Answer::Salvaged(token, error),
                None => Answer::Unknown(error),
            }
        }
        Err(error) => Answer::Kept(error),
    }
}

/// Whether the server may have replaced the token all the same.
fn is_unknown(error: &TokenError) -> bool {
    match error {
        TokenError::OutcomeUnknown(..) | TokenError::Invalid(_) => true,
        // An error code below 500 is an answer of the authorization server; above it may be any part on the way.
        TokenError::Server { status, .. } => *status >= 500 || *status == 408,
        _ => false,
    }
}

impl Answer {
    /// As the protocol sees it. `believed` says whether a rejection is the second one.
    pub fn reply(&self, believed: bool) -> Reply<RefreshToken> {
        match self {
            Self::Granted(set) => Reply::Granted { successor: set.refresh_token.clone() },
            Self::Salvaged(token, _) => Reply::Granted { successor: Some(token.clone()) },
            Self::Kept(_) => Reply::Kept,
            Self::Rejected(_) => Reply::Rejected { confirmed: believed },
            Self::Unknown(_) => Reply::Unknown,
        }
    }

    /// The error, if it is not a whole token set.
    pub fn error(&self) -> Option<&TokenError> {
        match self {
            Self::Granted(_) => None,
            Self::Salvaged(_, error)
            | Self::Kept(error)
            | Self::Rejected(error)
            | Self::Unknown(error) => Some(error),
        }
    }

    /// The record to commit on top of `base`, if there is anything to commit.
    pub fn record(
        &self,
        base: Option<&StateRecord>,
        spent: &Spent,
        sent_at: Timestamp,
        default_lifetime: Option<Duration>,
    ) -> Option<StateRecord> {
        match self {
            Self::Granted(set) => {
                Some(commit(base, spent, set, lifespan(set, sent_at, default_lifetime)))
            }
            Self::Salvaged(token, _) => Some(salvage(base, spent, token, sent_at)),
            Self::Kept(_) | Self::Rejected(_) | Self::Unknown(_) => None,
        }
    }

    /// Whether a record holds what this answer brought.
    pub fn is_in(&self, record: &StateRecord) -> bool {
        match self {
            Self::Granted(set) => {
                record.access_token == set.access_token
                    && set.refresh_token.as_ref().is_none_or(|new| record.refresh_token == *new)
            }
            Self::Salvaged(token, _) => record.refresh_token == *token,
            Self::Kept(_) | Self::Rejected(_) | Self::Unknown(_) => false,
        }
    }
}
