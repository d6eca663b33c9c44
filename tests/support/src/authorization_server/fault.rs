//! What the server does wrong when it is told to.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::{Refusal, error_response};

/// An answer given in place of the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 503, and no token is spent.
    Unavailable,
    /// 500, and no token is spent.
    ErrorUnspent,
    /// 500, although the token is spent and its successor works.
    ErrorSpent,
    /// `invalid_grant`, although the token is good, and it stays so.
    InvalidGrant,
}

impl Fault {
    /// Whether the request is carried out all the same.
    pub(super) fn spends(self) -> bool {
        self == Self::ErrorSpent
    }

    pub(super) fn response(self) -> Response {
        match self {
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Self::ErrorUnspent | Self::ErrorSpent => {
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            Self::InvalidGrant => error_response(Refusal::Grant),
        }
    }
}
