//! How the token response is read.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// JSON pointers (RFC 6901) of at least one segment.
const POINTER_PATTERN: &str = "^(/([^~/]|~[01])*)+$";

/// How the token response is read, where that is not as RFC 6749 §5 says. All places are JSON pointers (RFC 6901) such as
/// `/data/access_token`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.accessToken) || has(self.refreshToken) || self.accessToken.matches('^/[^/]+$')")
        .message("response.refreshToken must say where a new refresh token is when response.accessToken is not at the top: one that is overlooked is lost"),
    validation = Rule::new("[has(self.scope) ? self.scope : '/scope', has(self.tokenType) ? self.tokenType : '/token_type'].all(place, place != (has(self.accessToken) ? self.accessToken : '/access_token') && place != (has(self.refreshToken) ? self.refreshToken : '/refresh_token'))")
        .message("response.scope and tokenType must not point to a token: they are shown"),
    validation = Rule::new("!has(self.refreshTokenLifetimeUnit) || has(self.refreshTokenLifetime)")
        .message("response.refreshTokenLifetimeUnit is that of response.refreshTokenLifetime, which is missing; add it"),
    validation = Rule::new("!has(self.fields) || !has(self.refreshToken) || !self.fields.exists(key, self.fields[key] == self.refreshToken)")
        .message("response.fields must not copy a refresh token into the target")
)]
pub struct ResponseSpec {
    /// Where the access token is; `/access_token` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = POINTER_PATTERN))]
    pub access_token: Option<String>,
    /// Where a new refresh token is; `/refresh_token` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = POINTER_PATTERN))]
    pub refresh_token: Option<String>,
    /// Where the token type is; `/token_type` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = POINTER_PATTERN))]
    pub token_type: Option<String>,
    /// Where the granted scopes are, as one text or a list; `/scope` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = POINTER_PATTERN))]
    pub scope: Option<String>,
    /// Where the access token's lifetime is; `/expires_in` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = POINTER_PATTERN))]
    pub lifetime: Option<String>,
    /// What the lifetime counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_unit: Option<LifetimeUnit>,
    /// Where a time is at which the access token expires: Unix seconds or milliseconds, or RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = POINTER_PATTERN))]
    pub expiry: Option<String>,
    /// Where the refresh token's lifetime is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = POINTER_PATTERN))]
    pub refresh_token_lifetime: Option<String>,
    /// What the refresh token's lifetime counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_lifetime_unit: Option<LifetimeUnit>,
    /// Where a time is at which the refresh token expires: Unix seconds or milliseconds, or RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = POINTER_PATTERN))]
    pub refresh_token_expiry: Option<String>,
    /// Where the error code is, also in an answer with status 200; `/error` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = POINTER_PATTERN))]
    pub error: Option<String>,
    /// What error codes mean that are the server's own: numbers, or words that are in no standard. A number is written as a
    /// text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(
        validation = Rule::new("self.all(code, code.size() >= 1 && code.size() <= 128 && code.matches('^[ -~]+$'))")
            .message("response.errorCodes has a code that is empty, longer than 128 characters, or no printable ASCII")
    )]
    pub error_codes: BTreeMap<String, ErrorMeaning>,
    /// More of the response that workloads need: each key is written into the target with the text at its place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 16,
        "additionalProperties" = {"type": "string", "maxLength": 256, "pattern": POINTER_PATTERN},
    ))]
    #[x_kube(
        validation = Rule::new("self.all(key, key.size() <= 128 && key.matches('^[-._a-zA-Z0-9]+$'))")
            .message("response.fields has a key that a Secret can't have: at most 128 letters, digits, - . _"),
        validation = Rule::new("self.all(key, !(key in ['access_token', 'token_type', 'expires_at', 'authorization']))")
            .message("response.fields must not use access_token, token_type, expires_at or authorization: the target has them already"),
        validation = Rule::new("self.all(key, !self[key].matches('(?i)refresh_?token'))")
            .message("response.fields must not copy a refresh token into the target")
    )]
    pub fields: BTreeMap<String, String>,
}

/// What an error code means.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorMeaning {
    /// The refresh token or assertion is invalid, expired or revoked (`invalid_grant` of RFC 6749 §5.2).
    InvalidGrant,
    /// The client is unknown, or its secret is wrong (`invalid_client`).
    InvalidClient,
    /// The request is refused for what it says (`invalid_request`).
    InvalidRequest,
    /// It passes: the same request is made again later.
    Temporary,
}

/// What a lifetime counts.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LifetimeUnit {
    /// As RFC 6749 §5.1 says.
    #[default]
    Seconds,
    /// As some servers count.
    Milliseconds,
}
