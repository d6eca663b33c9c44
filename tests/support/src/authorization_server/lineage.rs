//! A seed and the refresh tokens that came of it.

use std::time::{Duration, Instant, SystemTime};

use super::request::Client;

/// Who may redeem a lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// Clients with a secret.
    Confidential,
    /// Clients without one.
    Public,
}

impl Grant {
    pub(super) fn admits(self, client: &Client) -> bool {
        matches!(
            (self, client),
            (Self::Confidential, Client::Confidential(_)) | (Self::Public, Client::Public)
        )
    }
}

/// What the server knows of a lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageState {
    /// The first refresh token.
    pub seed: String,
    /// The refresh token issued last, also when the lineage has ended.
    pub newest: String,
    /// Why none of its tokens works any more; none while they do.
    pub ended: Option<Ending>,
    /// Refresh tokens replaced by a new one, repeats included.
    pub rotations: u64,
    /// Spent tokens presented again within the reuse window.
    pub repeats: u64,
    /// Spent tokens presented again otherwise.
    pub reuses: u64,
    /// Rotations that were answered by [`Fault::ErrorSpent`](super::Fault::ErrorSpent).
    pub withheld: u64,
    /// When the newest token was issued; none for the seed.
    pub rotated_at: Option<SystemTime>,
    /// When a spent token was presented for the first time outside the reuse window.
    pub reused_at: Option<SystemTime>,
    /// Which one that was.
    pub reused: Option<String>,
}

/// Why a lineage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A spent token was presented again.
    Reuse,
    /// It was revoked by a client (RFC 7009).
    Revocation,
}

/// What a refresh token is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Live,
    /// Spent last, and the window is open.
    Repeatable,
    Spent,
    /// It was live when the lineage ended.
    Ended,
}

#[derive(Debug)]
pub(super) struct Lineage {
    grant: Grant,
    /// The successors of the token spent last; one, unless that was presented repeatedly.
    live: Vec<String>,
    /// The token spent last, and when that was the first time.
    spent: Option<(String, Instant)>,
    state: LineageState,
}

impl Lineage {
    pub(super) fn new(grant: Grant, seed: String) -> Self {
        let state = LineageState {
            seed: seed.clone(),
            newest: seed.clone(),
            ended: None,
            rotations: 0,
            repeats: 0,
            reuses: 0,
            withheld: 0,
            rotated_at: None,
            reused_at: None,
            reused: None,
        };
        Self { grant, live: vec![seed], spent: None, state }
    }

    pub(super) fn grant(&self) -> Grant {
        self.grant
    }

    pub(super) fn state(&self) -> &LineageState {
        &self.state
    }

    /// How many of its refresh tokens work.
    pub(super) fn live_tokens(&self) -> usize {
        if self.state.ended.is_none() { self.live.len() } else { 0 }
    }

    /// What one of its tokens is, given how long a spent one may be repeated.
    pub(super) fn standing(&self, token: &str, window: Option<Duration>) -> Standing {
        let repeatable = || {
            let (spent, since) = self.spent.as_ref()?;
            Some(spent == token && self.state.ended.is_none() && since.elapsed() < window?)
        };
        match (self.live.iter().any(|live| live == token), self.state.ended) {
            (true, None) => Standing::Live,
            (true, Some(_)) => Standing::Ended,
            (false, _) if repeatable() == Some(true) => Standing::Repeatable,
            (false, _) => Standing::Spent,
        }
    }

    /// Whether a token was spent less than so long ago.
    pub(super) fn was_rotated_within(&self, time: Duration) -> bool {
        self.spent.as_ref().is_some_and(|(_, since)| since.elapsed() < time)
    }

    /// A token that is live gets a successor, and all others go.
    pub(super) fn spend(&mut self, token: &str, successor: String) {
        self.spent = Some((token.to_owned(), Instant::now()));
        self.live.clear();
        self.add(successor);
    }

    /// The token spent last gets one more successor, beside those it has.
    pub(super) fn repeat(&mut self, successor: String) {
        self.state.repeats += 1;
        self.add(successor);
    }

    pub(super) fn reuse(&mut self, token: &str) {
        self.state.reuses += 1;
        self.state.reused_at.get_or_insert_with(SystemTime::now);
        self.state.reused.get_or_insert_with(|| token.to_owned());
        self.end(Ending::Reuse);
    }

    /// Ends it; false if it had ended before, which stays so.
    pub(super) fn end(&mut self, ending: Ending) -> bool {
        let living = self.state.ended.is_none();
        self.state.ended.get_or_insert(ending);
        living
    }

    pub(super) fn withhold(&mut self) {
        self.state.withheld += 1;
    }

    fn add(&mut self, successor: String) {
        self.state.rotations += 1;
        self.state.rotated_at = Some(SystemTime::now());
        self.state.newest.clone_from(&successor);
        self.live.push(successor);
    }
}
