//! How the token request is written.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the token request is written, where that is not as RFC 6749 says.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.method) || self.method != 'GET' || (has(self.encoding) && self.encoding == 'Query')")
        .message("request.method GET goes with encoding Query alone"),
    validation = Rule::new("!has(self.grantType) || !has(self.omitParameters) || !('grant_type' in self.omitParameters)")
        .message("request.grantType is not sent where request.omitParameters leaves grant_type out; remove one of them"),
    validation = Rule::new("!has(self.parameterNames) || !has(self.parameters) || self.parameterNames.all(name, !(self.parameterNames[name] in self.parameters))")
        .message("request.parameterNames must not give a member a name that request.parameters has too")
)]
pub struct RequestSpec {
    /// The HTTP method.
    #[serde(default, skip_serializing_if = "Method::is_default")]
    pub method: Method,
    /// Where the members of the request go, and how they are written there.
    #[serde(default, skip_serializing_if = "Encoding::is_default")]
    pub encoding: Encoding,
    /// Headers to send, each with a literal value. They are no place for secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 16,
        "additionalProperties" = {"type": "string", "maxLength": 1024, "pattern": "^[ -~]*$"},
    ))]
    #[x_kube(
        validation = Rule::new("self.all(name, name.size() <= 64 && name.matches('^[A-Za-z0-9][-A-Za-z0-9._]*$'))")
            .message("request.headers has a name that is no header name: at most 64 letters, digits, - . _"),
        validation = Rule::new("self.all(name, !(name.lowerAscii() in ['authorization', 'content-type', 'content-length', 'content-encoding', 'host', 'cookie', 'connection', 'transfer-encoding', 'te', 'trailer', 'upgrade', 'expect', 'accept-encoding', 'proxy-authorization', 'proxy-connection', 'keep-alive']))")
            .message("request.headers must not set Authorization, Content-Type, Cookie, Host or a header of the connection: the operator does")
    )]
    pub headers: BTreeMap<String, String>,
    /// Members to add, each with a literal value. They are no place for secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 1024},
    ))]
    #[x_kube(
        validation = Rule::new("self.all(name, name.size() >= 1 && name.size() <= 128)")
            .message("request.parameters has a name that is empty or longer than 128 characters"),
        validation = Rule::new("self.all(name, !(name in ['grant_type', 'client_id', 'client_secret', 'refresh_token', 'scope', 'client_assertion', 'client_assertion_type', 'assertion', 'username', 'password', 'subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type']))")
            .message("request.parameters must not set what the operator sends itself: use scopes, grantType, parameterNames or omitParameters")
    )]
    pub parameters: BTreeMap<String, String>,
    /// Other names for standard members, such as `client_id: client_key`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 16,
        "additionalProperties" = {"type": "string", "minLength": 1, "maxLength": 128},
    ))]
    #[x_kube(
        validation = Rule::new("self.all(name, name in ['grant_type', 'client_id', 'client_secret', 'refresh_token', 'scope', 'audience', 'resource', 'username', 'password', 'assertion', 'subject_token'])")
            .message("request.parameterNames renames one of grant_type, client_id, client_secret, refresh_token, scope, audience, resource, username, password, assertion, subject_token"),
        validation = Rule::new("self.map(name, self[name]).all(new, self.map(name, self[name]).filter(other, other == new).size() == 1)")
            .message("request.parameterNames must not give two members one name")
    )]
    pub parameter_names: BTreeMap<String, String>,
    /// Standard members that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub omit_parameters: Vec<OmittedParameter>,
    /// The value of `grant_type`, where the server has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[!-~]+$"))]
    pub grant_type: Option<String>,
    /// What stands between two scopes; a space by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3), regex(pattern = "^[ ,;+|]+$"))]
    pub scope_separator: Option<String>,
}

/// HTTP methods of the token request.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// As RFC 6749 §3.2 says.
    #[default]
    Post,
    /// As some servers want.
    Get,
}

/// Encodings of the token request.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// `application/x-www-form-urlencoded`, as RFC 6749 says.
    #[default]
    Form,
    /// `application/json` with the same members, as some servers want.
    Json,
    /// The query of the URL. Servers and proxies write URLs into their logs, secrets included: only where nothing else
    /// works.
    Query,
}

/// Standard members that can be left out.
#[derive(
    JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OmittedParameter {
    /// `grant_type`.
    GrantType,
    /// `client_id`.
    ClientId,
    /// `client_secret`.
    ClientSecret,
    /// `scope`.
    Scope,
}

impl Method {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Encoding {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
