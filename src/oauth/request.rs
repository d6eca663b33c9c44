//! The token request (RFC 6749 §4.4.2 and §6), byte for byte, in the words of the server.

mod members;
mod style;

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::ser::{Serialize, SerializeMap, Serializer};
use url::Url;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::client_auth::ClientAuth;
use super::jwt_bearer::JwtBearer;
use super::secret::{Password, RefreshToken};
use super::sent::Sent;
use super::tls::Tls;
use super::token_exchange::TokenExchange;

pub use self::style::{Encoding, Method, RequestStyle};

/// What is redeemed.
#[derive(Clone, Debug)]
pub enum GrantInput {
    /// A refresh token (RFC 6749 §6).
    RefreshToken(RefreshToken),
    /// The client's own standing (RFC 6749 §4.4).
    ClientCredentials,
    /// A signed token (RFC 7523 §2.1).
    JwtBearer(Box<JwtBearer>),
    /// What a person knows (RFC 6749 §4.3).
    Password {
        /// `username`.
        username: String,
        /// `password`.
        password: Password,
    },
    /// Another token (RFC 8693 §2.1).
    TokenExchange(Box<TokenExchange>),
}

/// What is asked for beside the grant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Scopes (RFC 6749 §3.3).
    pub scopes: &'a [String],
    /// `audience` (RFC 8693 §2.1, and many servers for any grant).
    pub audience: Option<&'a str>,
    /// `resource` (RFC 8707 §2).
    pub resources: &'a [String],
}

/// Everything a token request depends on.
#[derive(Clone, Debug)]
pub struct TokenCall<'a> {
    /// The token endpoint.
    pub endpoint: &'a Url,
    /// How the client authenticates.
    pub client: &'a ClientAuth,
    /// What is redeemed.
    pub grant: &'a GrantInput,
    /// What is asked for.
    pub wanted: Wanted<'a>,
    /// How the server wants it written.
    pub style: &'a RequestStyle,
}

/// A request ready to be sent.
pub struct TokenRequest {
    /// POST, or GET where the server wants that.
    pub method: Method,
    /// Where it goes. The query holds what is secret when the server wants it there.
    pub endpoint: Url,
    /// `Accept`, `Content-Type`, perhaps `Authorization`, and what the server wants besides.
    pub headers: HeaderMap,
    /// The body, wiped when dropped.
    pub body: Zeroizing<String>,
    /// What the connection needs.
    pub tls: Tls,
    /// What of it no answer may show.
    pub sent: Sent,
}

type Member<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Writes the request. Members come in the order `grant_type`, client, grant, `scope`, `audience`, `resource`, and then what
/// the server wants besides, by name.
pub fn build(call: &TokenCall<'_>) -> TokenRequest {
    let style = call.style;
    let standard = standard_members(call);
    let mut sent = Sent::default();
    for (name, value) in &standard {
        sent.add_member(name, value);
    }
    if let GrantInput::JwtBearer(bearer) = call.grant
        && let Some(secret) = bearer.key.secret()
    {
        sent.add(secret);
    }
    let standard = standard.into_iter().filter(|(name, _)| !style.omits(name));
    let mut members: Vec<Member<'_>> =
        standard.map(|(name, value)| (Cow::Borrowed(style.name(name)), value)).collect();
    let literals = style.parameters.iter();
    members.extend(literals.map(|(name, value)| (name.as_str().into(), value.as_str().into())));
    let mut endpoint = call.endpoint.clone();
    let (content_type, body) = match style.encoding {
        Encoding::Form => (Some(FORM), form(&members)),
        Encoding::Json => (Some("application/json"), json(&members)),
        Encoding::Query => {
            endpoint.query_pairs_mut().extend_pairs(members);
            (None, Zeroizing::default())
        }
    };
    let authorization = call.client.authorization().or_else(|| call.grant.authorization());
    let mut headers = headers(authorization, content_type);
    headers.extend(style.headers.clone());
    if let Some(authorization) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        sent.add(authorization);
    }
    TokenRequest { method: style.method, endpoint, headers, body, tls: tls(call.client), sent }
}

fn standard_members<'a>(call: &'a TokenCall<'_>) -> Vec<(&'static str, Cow<'a, str>)> {
    let grant_type = call.style.grant_type.as_deref().unwrap_or_else(|| grant_type(call.grant));
    let mut members = vec![("grant_type", grant_type.into())];
    members
        .extend(call.client.body_members().into_iter().map(|(name, value)| (name, value.into())));
    members.extend(call.grant.members().into_iter().map(|(name, value)| (name, value.into())));
    if !call.wanted.scopes.is_empty() {
        members.push(("scope", call.wanted.scopes.join(&call.style.scope_separator).into()));
    }
    members.extend(call.wanted.audience.map(|audience| ("audience", audience.into())));
    members.extend(call.wanted.resources.iter().map(|one| ("resource", one.as_str().into())));
    members
}

/// A form, for endpoints that take nothing else.
pub(super) fn form_request(
    endpoint: &Url,
    client: &ClientAuth,
    members: &[(&str, &str)],
) -> TokenRequest {
    let members: Vec<Member<'_>> =
        members.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let (headers, body) = (headers(client.authorization(), Some(FORM)), form(&members));
    let (endpoint, tls) = (endpoint.clone(), tls(client));
    let sent = Sent::default();
    TokenRequest { method: Method::Post, endpoint, headers, body, tls, sent }
}

fn tls(client: &ClientAuth) -> Tls {
    Tls { roots: None, identity: client.identity().cloned() }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn headers(authorization: Option<String>, content_type: Option<&'static str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if let Some(mut value) = authorization.and_then(|text| HeaderValue::try_from(text).ok()) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    headers
}

fn grant_type(grant: &GrantInput) -> &'static str {
    match grant {
        GrantInput::RefreshToken(_) => "refresh_token",
        GrantInput::ClientCredentials => "client_credentials",
        GrantInput::JwtBearer(_) => "urn:ietf:params:oauth:grant-type:jwt-bearer",
        GrantInput::Password { .. } => "password",
        GrantInput::TokenExchange(_) => "urn:ietf:params:oauth:grant-type:token-exchange",
    }
}

fn form(members: &[Member<'_>]) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish())
}

fn json(members: &[Member<'_>]) -> Zeroizing<String> {
    // Writing strings into a String can't fail.
    Zeroizing::new(serde_json::to_string(&Object(members)).unwrap_or_default())
}

/// Members as an object, where those of one name become a list.
struct Object<'a>(&'a [Member<'a>]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (at, (name, value)) in self.0.iter().enumerate() {
            let same = || self.0.iter().filter(|(other, _)| other == name);
            if self.0.iter().position(|(other, _)| other == name) != Some(at) {
                continue;
            }
            if same().count() > 1 {
                object
                    .serialize_entry(name, &same().map(|(_, value)| value).collect::<Vec<_>>())?;
            } else {
                object.serialize_entry(name, value)?;
            }
        }
        object.end()
    }
}

#[cfg(test)]
mod tests;
