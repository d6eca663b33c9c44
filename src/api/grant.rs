//! The grants (RFC 6749 §1.3) that a credential can use.

mod jwt_bearer;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::jwt_bearer::JwtBearerGrant;

/// Exactly one grant.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Grant {
    /// Redeem the refresh token (RFC 6749 §6). A returned new refresh token replaces the old one.
    RefreshToken(RefreshTokenGrant),
    /// Ask with the client's own credentials (RFC 6749 §4.4).
    ClientCredentials(ClientCredentialsGrant),
    /// Ask with a token that the source's private key signs (RFC 7523 §2.1).
    JwtBearer(JwtBearerGrant),
}

impl Default for Grant {
    fn default() -> Self {
        Self::RefreshToken(RefreshTokenGrant {})
    }
}

/// The refresh token grant has no settings of its own.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RefreshTokenGrant {}

/// The client credentials grant has no settings of its own.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientCredentialsGrant {}
