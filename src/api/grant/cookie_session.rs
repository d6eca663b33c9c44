//! The grant of servers whose sessions live in cookies.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::COOKIE_NAME_PATTERN;

/// The refresh token is a cookie: a call of the server's API that brings it, and no access token, is answered with a cookie
/// that is the access token. What else the answer holds is of no interest.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.refreshCookie) ? self.refreshCookie : 'refresh-token') != (has(self.accessCookie) ? self.accessCookie : 'access-token')")
        .message("cookieSession.refreshCookie and accessCookie must be two names")
)]
pub struct CookieSessionGrant {
    /// URL of any route that needs a session and changes nothing, with scheme, host and port of the token endpoint.
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(
        validation = Rule::new("isURL(self) && (self.startsWith('https://') || self.startsWith('http://')) && url(self).getHost() != ''")
            .message("cookieSession.url must be an absolute URL such as https://app.example.com/api/v1/me"),
        validation = Rule::new("!self.contains('#') && !self.contains('@')")
            .message("cookieSession.url must have neither a fragment nor a user name")
    )]
    pub url: String,
    /// Name of the cookie that holds the refresh token; `refresh-token` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = COOKIE_NAME_PATTERN))]
    pub refresh_cookie: Option<String>,
    /// Name of the cookie that holds the access token; `access-token` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = COOKIE_NAME_PATTERN))]
    pub access_cookie: Option<String>,
}
