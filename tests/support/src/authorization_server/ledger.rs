//! Which tokens were issued, which still work, and how many of each.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use super::lineage::{Ending, Grant, Lineage, LineageState, Standing};
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
    /// Requests with a refresh token that had been replaced, within the reuse window.
    pub repeats: u64,
    /// Requests with a refresh token that had been replaced, otherwise.
    pub reuses: u64,
    /// Requests refused, reuses included.
    pub refusals: u64,
    /// Requests answered by a fault.
    pub faults: u64,
    /// Lineages ended by the revocation endpoint.
    pub revocations: u64,
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

/// A token set as issued.
#[derive(Debug)]
pub(super) struct TokenSet {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// In every token, so that no two servers issue the same one.
    mark: String,
    counts: Counts,
    minted: u64,
    lineages: Vec<Lineage>,
    /// Every refresh token, and the place of its lineage.
    refresh_tokens: HashMap<String, usize>,
    access_tokens: HashMap<String, AccessToken>,
    /// At this many access tokens the expired ones are forgotten.
    prune_at: usize,
    issues: Vec<Issue>,
}

#[derive(Debug, Clone, Copy)]
struct AccessToken {
    issued: Instant,
    expiry: Instant,
    /// The place of its lineage, with which it ends.
    lineage: Option<usize>,
}

impl Ledger {
    /// Of the server on this port.
    pub(super) fn new(port: u16) -> Self {
        Self { mark: format!("{port}-"), ..Self::default() }
    }

    pub(super) fn count_request(&mut self) {
        self.counts.requests += 1;
    }

    pub(super) fn count_refusal(&mut self) {
        self.counts.refusals += 1;
    }

    pub(super) fn count_fault(&mut self) {
        self.counts.faults += 1;
    }

    pub(super) fn counts(&self) -> Counts {
        let live: usize = self.lineages.iter().map(Lineage::live_tokens).sum();
        Counts { live_refresh_tokens: live.try_into().expect("a count fits"), ..self.counts }
    }

    pub(super) fn take_issues(&mut self) -> Vec<Issue> {
        std::mem::take(&mut self.issues)
    }

    pub(super) fn seed(&mut self, grant: Grant) -> String {
        let seed = self.mint(REFRESH_TOKEN_PREFIX);
        self.refresh_tokens.insert(seed.clone(), self.lineages.len());
        self.lineages.push(Lineage::new(grant, seed.clone()));
        seed
    }

    pub(super) fn lineage_of(&self, refresh_token: &str) -> Option<usize> {
        self.refresh_tokens.get(refresh_token).copied()
    }

    pub(super) fn lineage(&self, place: usize) -> &LineageState {
        self.lineages[place].state()
    }

    pub(super) fn is_live(&self, refresh_token: &str) -> bool {
        self.lineage_of(refresh_token).is_some_and(|place| {
            self.lineages[place].standing(refresh_token, None) == Standing::Live
        })
    }

    pub(super) fn accepts(&self, access_token: &str) -> bool {
        self.access_tokens.get(access_token).is_some_and(|token| {
            let ended = token.lineage.is_some_and(|place| self.lineage(place).ended.is_some());
            !ended && Instant::now() < token.expiry
        })
    }

    /// How long ago this access token was issued; none when that was not here, or long ago.
    pub(super) fn age_of(&self, access_token: &str) -> Option<Duration> {
        self.access_tokens.get(access_token).map(|token| token.issued.elapsed())
    }

    /// A token set without a refresh token.
    pub(super) fn issue(&mut self, client_id: &str, lifetime: Duration) -> TokenSet {
        TokenSet { access_token: self.issue_for(client_id, None, lifetime), refresh_token: None }
    }

    /// Spends a refresh token for a token set with its successor.
    pub(super) fn rotate(
        &mut self,
        refresh_token: &str,
        client: &Client,
        lifetime: Duration,
        reuse_window: Option<Duration>,
    ) -> Result<TokenSet, Refusal> {
        let place = self.lineage_of(refresh_token).ok_or(Refusal::Grant)?;
        let lineage = &mut self.lineages[place];
        let standing = lineage.standing(refresh_token, reuse_window);
        match standing {
            Standing::Live | Standing::Repeatable if !lineage.grant().admits(client) => {
                return Err(Refusal::Client);
            }
            Standing::Live | Standing::Repeatable => {}
            Standing::Ended => return Err(Refusal::Grant),
            Standing::Spent => {
                lineage.reuse(refresh_token);
                self.counts.reuses += 1;
                return Err(Refusal::Grant);
            }
        }
        let successor = self.mint(REFRESH_TOKEN_PREFIX);
        self.refresh_tokens.insert(successor.clone(), place);
        let lineage = &mut self.lineages[place];
        if standing == Standing::Repeatable {
            lineage.repeat(successor.clone());
            self.counts.repeats += 1;
        } else {
            lineage.spend(refresh_token, successor.clone());
        }
        self.counts.rotations += 1;
        let access_token = self.issue_for(client.id(), Some(place), lifetime);
        Ok(TokenSet { access_token, refresh_token: Some(successor) })
    }

    /// Whether this token's lineage got its newest one less than so long ago.
    pub(super) fn was_rotated_within(&self, refresh_token: &str, time: Duration) -> bool {
        let place = self.lineage_of(refresh_token);
        place.is_some_and(|place| self.lineages[place].was_rotated_within(time))
    }

    /// Notes that nobody was told of this token set.
    pub(super) fn withhold(&mut self, token_set: &TokenSet) {
        let refresh_token = token_set.refresh_token.as_deref();
        if let Some(place) = refresh_token.and_then(|token| self.lineage_of(token)) {
            self.lineages[place].withhold();
        }
    }

    /// Ends an access token, or a refresh token with its lineage. An unknown token has ended already.
    pub(super) fn revoke(&mut self, token: &str, client: &Client) -> Result<(), Refusal> {
        self.access_tokens.remove(token);
        let Some(place) = self.lineage_of(token) else { return Ok(()) };
        let lineage = &mut self.lineages[place];
        if !lineage.grant().admits(client) {
            return Err(Refusal::Client);
        }
        self.counts.revocations += u64::from(lineage.end(Ending::Revocation));
        Ok(())
    }

    fn issue_for(&mut self, client_id: &str, lineage: Option<usize>, lifetime: Duration) -> String {
        self.counts.issued += 1;
        self.issues.push(Issue {
            client_id: client_id.to_owned(),
            at: SystemTime::now(),
            lifetime,
        });
        let access_token = self.mint(ACCESS_TOKEN_PREFIX);
        self.forget_expired();
        let issued = Instant::now();
        let token = AccessToken { issued, expiry: issued + lifetime, lineage };
        self.access_tokens.insert(access_token.clone(), token);
        access_token
    }

    fn mint(&mut self, prefix: &str) -> String {
        self.minted += 1;
        format!("{prefix}{}{:08}", self.mark, self.minted)
    }

    /// Keeps the memory in bounds without a look at every token on every request.
    fn forget_expired(&mut self) {
        if self.access_tokens.len() >= self.prune_at {
            let now = Instant::now();
            self.access_tokens.retain(|_, token| now < token.expiry);
            self.prune_at = (self.access_tokens.len() * 2).max(1024);
        }
    }
}
