//! The grants (RFC 6749 §1.3) that a credential can use.

mod cookie_session;
mod jwt_bearer;
mod token_exchange;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::cookie_session::CookieSessionGrant;
pub use self::jwt_bearer::{AssertionPlace, JwtBearerGrant, OmittedClaim};
pub use self::token_exchange::{
    SecretKeyToken, ServiceAccountToken, TokenExchangeGrant, TokenFrom,
};

/// Exactly one grant.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Grant {
    /// Redeem the refresh token (RFC 6749 §6). A returned new refresh token replaces the old one.
    RefreshToken(RefreshTokenGrant),
    /// Ask with the client's own credentials (RFC 6749 §4.4).
    ClientCredentials(ClientCredentialsGrant),
    /// Ask with a token that the source's private key signs, or its client secret (RFC 7523 §2.1).
    JwtBearer(JwtBearerGrant),
    /// Ask with a person's user name and password (RFC 6749 §4.3), again for each renewal. Deprecated: RFC 9700 §2.4 says
    /// that it must not be used. It is for servers that offer nothing else.
    Password(PasswordGrant),
    /// Give another token for the access token (RFC 8693 §2.1).
    TokenExchange(TokenExchangeGrant),
    /// Call an API with the refresh token in a cookie. The access token is a cookie of the answer.
    CookieSession(CookieSessionGrant),
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

/// The password grant has no settings of its own.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PasswordGrant {}
