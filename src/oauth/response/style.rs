//! Where a server puts the members of its token responses, where that is not as RFC 6749 says. Pointers are those of
//! RFC 6901.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::oauth::cookie_session::CookieNames;
use crate::oauth::error::Meaning;

/// How token responses are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResponseStyle {
    /// Of `access_token`.
    pub access_token: String,
    /// Of `refresh_token`.
    pub refresh_token: String,
    /// Of `token_type`.
    pub token_type: String,
    /// Of `scope`.
    pub scope: String,
    /// Of `expires_in`.
    pub lifetime: String,
    /// What that counts.
    pub lifetime_unit: Unit,
    /// Of a time at which the access token expires.
    pub expiry: Option<String>,
    /// Of what the refresh token lives.
    pub refresh_token_lifetime: Option<String>,
    /// What that counts.
    #[serde(skip_serializing_if = "Unit::is_usual")]
    pub refresh_token_lifetime_unit: Unit,
    /// Of a time at which the refresh token expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token_expiry: Option<String>,
    /// Of the error code.
    pub error: String,
    /// What codes mean that are the server's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub error_codes: BTreeMap<String, Meaning>,
    /// Of texts that workloads need, by the key they get in the target.
    pub fields: BTreeMap<String, String>,
    /// The cookies that are read in place of all that, in a cookie session.
    pub cookies: Option<CookieNames>,
}

/// What a lifetime counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// As RFC 6749 §5.1 says.
    #[default]
    Seconds,
    /// As some servers count.
    Milliseconds,
}

impl Unit {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl ResponseStyle {
    /// What a person calls the place of the lifetime.
    pub fn lifetime_name(&self) -> String {
        match &self.cookies {
            Some(cookies) => format!("Max-Age of the cookie {}", cookies.access),
            None => super::name_of(&self.lifetime).to_owned(),
        }
    }
}

impl Default for ResponseStyle {
    fn default() -> Self {
        Self {
            access_token: "/access_token".to_owned(),
            refresh_token: "/refresh_token".to_owned(),
            token_type: "/token_type".to_owned(),
            scope: "/scope".to_owned(),
            lifetime: "/expires_in".to_owned(),
            lifetime_unit: Unit::Seconds,
            expiry: None,
            refresh_token_lifetime: None,
            refresh_token_lifetime_unit: Unit::Seconds,
            refresh_token_expiry: None,
            error: "/error".to_owned(),
            error_codes: BTreeMap::new(),
            fields: BTreeMap::new(),
            cookies: None,
        }
    }
}
