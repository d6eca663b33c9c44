//! Which tokens were issued, which still work, and how many of each.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

use super::request::Client;
use super::{ACCESS_TOKEN_PREFIX, REFRESH_TOKEN_PREFIX, Refusal};

/// What the server has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests to the token endpoint.
    pub requests: u64,
    /// Token sets issued.
    pub issued: u64,
    /// Refresh tokens replaced by a new one.
    pub rotations: u64,
    /// Requests with a refresh token that had been replaced.
    pub reuses: u64,
    /// Requests refused, reuses included.
    pub refusals: u64,
    /// Refresh tokens that work now.
    pub live_refresh_tokens: u64,
}

/// One token set that was issued.
#[derive(Debug, Clone)]
pub struct Issue {
    /// The client that asked; empty for one without a secret.
    pub client_id: String,
    /// When.
    pub at: SystemTime,
    /// How long its access token lives.
    pub lifetime: Duration,
}

/// Who may redeem a lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// Clients with a secret.
    Confidential,
    /// Clients without one.
    Public,
}

/// A token set as issued.
#[derive(Debug)]
pub(super) struct TokenSet {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    counts: Counts,
    minted: u64,
    lineages: u64,
    live: HashMap<String, Lineage>,
    /// Used refresh tokens, and the lineage of each.
    used: HashMap<String, u64>,
    revoked: HashSet<u64>,
    access_tokens: HashMap<String, Instant>,
    /// At this many access tokens the expired ones are forgotten.
    prune_at: usize,
    issues: Vec<Issue>,
}

#[derive(Debug, Clone, Copy)]
struct Lineage {
    id: u64,
    grant: Grant,
}

impl Ledger {
    pub(super) fn count_request(&mut self) {
        self.counts.requests += 1;
    }

    pub(super) fn count_refusal(&mut self) {
        self.counts.refusals += 1;
    }

    pub(super) fn counts(&self) -> Counts {
        let live = self.live.values().filter(|lineage| !self.revoked.contains(&lineage.id));
        Counts {
            live_refresh_tokens: live.count().try_into().expect("a count fits"),
            ..self.counts
        }
    }

    pub(super) fn take_issues(&mut self) -> Vec<Issue> {
        std::mem::take(&mut self.issues)
    }

    pub(super) fn seed(&mut self, grant: Grant) -> String {
        self.lineages += 1;
        let lineage = Lineage { id: self.lineages, grant };
        self.mint_refresh_token(lineage)
    }

    pub(super) fn is_live(&self, refresh_token: &str) -> bool {
        let lineage = self.live.get(refresh_token);
        lineage.is_some_and(|lineage| !self.revoked.contains(&lineage.id))
    }

    pub(super) fn accepts(&self, access_token: &str) -> bool {
        let expiry = self.access_tokens.get(access_token);
        expiry.is_some_and(|expiry| Instant::now() < *expiry)
    }

    /// A token set without a refresh token.
    pub(super) fn issue(&mut self, client_id: &str, lifetime: Duration) -> TokenSet {
        self.counts.issued += 1;
        self.issues.push(Issue {
            client_id: client_id.to_owned(),
            at: SystemTime::now(),
            lifetime,
        });
        let access_token = self.mint(ACCESS_TOKEN_PREFIX);
        self.forget_expired();
        self.access_tokens.insert(access_token.clone(), Instant::now() + lifetime);
        TokenSet { access_token, refresh_token: None }
    }

    /// Spends a refresh token for a token set with its successor.
    pub(super) fn rotate(
        &mut self,
        refresh_token: &str,
        client: &Client,
        lifetime: Duration,
    ) -> Result<TokenSet, Refusal> {
        if let Some(lineage) = self.used.get(refresh_token) {
            self.counts.reuses += 1;
            self.revoked.insert(*lineage);
            return Err(Refusal::Grant);
        }
        if !self.is_live(refresh_token) {
            return Err(Refusal::Grant);
        }
        let lineage = self.live[refresh_token];
        let client_id = match (lineage.grant, client) {
            (Grant::Confidential, Client::Confidential(id)) => id.as_str(),
            (Grant::Public, Client::Public) => "",
            _ => return Err(Refusal::Client),
        };
        self.live.remove(refresh_token);
        self.used.insert(refresh_token.to_owned(), lineage.id);
        self.counts.rotations += 1;
        let issued = self.issue(client_id, lifetime);
        let successor = self.mint_refresh_token(lineage);
        Ok(TokenSet { refresh_token: Some(successor), ..issued })
    }

    fn mint_refresh_token(&mut self, lineage: Lineage) -> String {
        let token = self.mint(REFRESH_TOKEN_PREFIX);
        self.live.insert(token.clone(), lineage);
        token
    }

    fn mint(&mut self, prefix: &str) -> String {
        self.minted += 1;
        format!("{prefix}{:08}", self.minted)
    }

    /// Keeps the memory in bounds without a look at every token on every request.
    fn forget_expired(&mut self) {
        if self.access_tokens.len() >= self.prune_at {
            let now = Instant::now();
            self.access_tokens.retain(|_, expiry| now < *expiry);
            self.prune_at = (self.access_tokens.len() * 2).max(1024);
        }
    }
}
