//! The tokens one documented server has issued.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

/// One lineage of refresh tokens, and the access tokens that came from it.
#[derive(Debug)]
pub(super) struct Tokens {
    prefix: String,
    issued: Vec<String>,
    refresh_token: String,
    replaced: Vec<String>,
    access_tokens: HashMap<String, Instant>,
    newest_access_token: Option<String>,
    reuses: usize,
}

impl Tokens {
    /// Every token begins with `vendor`, so that it is recognised wherever it turns up.
    pub(super) fn new(vendor: &str) -> Self {
        let instance = RandomState::new().hash_one(vendor);
        let mut tokens = Self {
            prefix: format!("{vendor}-{instance:016x}"),
            issued: Vec::new(),
            refresh_token: String::new(),
            replaced: Vec::new(),
            access_tokens: HashMap::new(),
            newest_access_token: None,
            reuses: 0,
        };
        tokens.refresh_token = tokens.mint("refresh");
        tokens
    }

    pub(super) fn refresh_token(&self) -> &str {
        &self.refresh_token
    }

    pub(super) fn newest_access_token(&self) -> Option<&str> {
        self.newest_access_token.as_deref()
    }

    pub(super) fn rotations(&self) -> usize {
        self.replaced.len()
    }

    pub(super) fn reuses(&self) -> usize {
        self.reuses
    }

    /// Every token ever issued.
    pub(super) fn issued(&self) -> &[String] {
        &self.issued
    }

    /// Whether this is the refresh token that works now; one that did before counts as reused.
    pub(super) fn redeems(&mut self, refresh_token: &str) -> bool {
        if self.replaced.iter().any(|old| old == refresh_token) {
            self.reuses += 1;
        }
        refresh_token == self.refresh_token
    }

    /// Replaces the refresh token; the old one never works again.
    pub(super) fn rotate(&mut self) -> String {
        let new = self.mint("refresh");
        let old = std::mem::replace(&mut self.refresh_token, new.clone());
        self.replaced.push(old);
        new
    }

    pub(super) fn issue_access_token(&mut self, lifetime: Duration) -> String {
        let token = self.mint("access");
        self.access_tokens.insert(token.clone(), Instant::now() + lifetime);
        self.newest_access_token = Some(token.clone());
        token
    }

    pub(super) fn accepts(&self, access_token: &str) -> bool {
        let expiry = self.access_tokens.get(access_token);
        expiry.is_some_and(|expiry| Instant::now() < *expiry)
    }

    /// Ends the life of all access tokens at once, as a vendor may.
    pub(super) fn revoke_access_tokens(&mut self) {
        self.access_tokens.clear();
    }

    fn mint(&mut self, kind: &str) -> String {
        let token = format!("{}-{kind}-{}", self.prefix, self.issued.len());
        self.issued.push(token.clone());
        token
    }
}
