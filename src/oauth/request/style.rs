//! How a server wants token requests written, where that is not as RFC 6749 says.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderMap;

/// The HTTP method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// As RFC 6749 §3.2 says.
    #[default]
    Post,
    /// As some servers want.
    Get,
}

/// Where the members of the request go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Into the body, as `application/x-www-form-urlencoded` (RFC 6749 appendix B).
    #[default]
    Form,
    /// Into the body, as one flat JSON object of strings.
    Json,
    /// Into the query of the URL.
    Query,
}

/// How token requests are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestStyle {
    /// The HTTP method.
    pub method: Method,
    /// Where the members go.
    pub encoding: Encoding,
    /// More headers.
    pub headers: HeaderMap,
    /// More members.
    pub parameters: BTreeMap<String, String>,
    /// Other names of standard members.
    pub names: BTreeMap<String, String>,
    /// Standard members that are left out.
    pub omitted: BTreeSet<String>,
    /// Another value of `grant_type`.
    pub grant_type: Option<String>,
    /// What stands between two scopes.
    pub scope_separator: String,
}

impl Default for RequestStyle {
    fn default() -> Self {
        Self {
            method: Method::default(),
            encoding: Encoding::default(),
            headers: HeaderMap::new(),
            parameters: BTreeMap::new(),
            names: BTreeMap::new(),
            omitted: BTreeSet::new(),
            grant_type: None,
            scope_separator: " ".to_owned(),
        }
    }
}

impl RequestStyle {
    /// Whether a standard member is left out.
    pub fn omits(&self, standard: &str) -> bool {
        self.omitted.contains(standard)
    }

    /// The server's name of a standard member.
    pub fn name<'a>(&'a self, standard: &'a str) -> &'a str {
        self.names.get(standard).map_or(standard, String::as_str)
    }
}
