//! How a refresh token is spent so that its successor is never lost: claim, redeem, commit. Decisions only;
//! `controller::exchange` carries them out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::oauth::response::{Lifetime, TokenSet};
use crate::oauth::secret::RefreshToken;

use super::record::{StateRecord, VERSION, seed_hash};
use super::schedule::{plus, to_second};

/// An exchange is over after this, whatever happened to it: time to send, to answer and to persist.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(120);

/// The mark made in the state Secret before a refresh token is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Random, so that a lost reply can be recognised.
    pub exchange: String,
    /// Hash of the token that is spent.
    pub token: String,
    /// Who spends it.
    pub holder: Holder,
    /// When it was made.
    pub started_at: Timestamp,
}

/// A process that spends tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// UID of the pod.
    pub pod: String,
    /// Random for each process start.
    pub incarnation: String,
}

/// Until when somebody else's claim must be respected; `None` when it need not be. A process whose pod runs a new
/// incarnation is dead, and has replayed its journal before it asks.
pub fn respected_until(claim: &Claim, me: &Holder, now: Timestamp) -> Option<Timestamp> {
    let until = plus(claim.started_at, EXCHANGE_LIMIT);
    (claim.holder.pod != me.pod && now < until).then_some(until)
}

/// Which refresh token to send.
#[derive(Clone, Debug)]
pub enum Choice {
    /// The newest one of the lineage.
    Newest(RefreshToken),
    /// A seed that was never seen: a human signed in again, and the lineage begins anew.
    Seed(RefreshToken),
    /// The newest one is dead and the seed is an old one: nothing can be sent.
    Dead,
}

/// A seed whose lineage the authorization server called dead, as the state Secret keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedSeed {
    salt: String,
    hash: String,
}

impl RefusedSeed {
    /// Of a seed.
    pub fn of(seed: &RefreshToken, salt: &str) -> Self {
        Self { salt: salt.to_owned(), hash: seed_hash(salt, seed) }
    }

    fn is(&self, seed: &RefreshToken) -> bool {
        seed_hash(&self.salt, seed) == self.hash
    }
}

/// Chooses the token: the human's newer seed wins over the state, and an old seed loses against it.
pub fn choose(
    record: Option<&StateRecord>,
    refused: Option<&RefusedSeed>,
    seed: &RefreshToken,
) -> Choice {
    if refused.is_some_and(|refused| refused.is(seed)) {
        return Choice::Dead;
    }
    match record {
        Some(record) if record.knows(seed) => Choice::Newest(record.refresh_token.clone()),
        _ => Choice::Seed(seed.clone()),
    }
}

/// What was sent and with what.
#[derive(Clone, Debug)]
pub struct Spent {
    /// The seed in the source.
    pub seed: RefreshToken,
    /// The token that was sent.
    pub token: RefreshToken,
    /// Whether it began a new lineage.
    pub new_lineage: bool,
    /// Salt for a state that has none yet.
    pub salt: String,
    /// Generation of the state it was chosen from.
    pub base_generation: i64,
    /// Digest of the request.
    pub request: String,
    /// Fingerprint of the client.
    pub client: String,
    /// `resourceVersion` of the source.
    pub source_version: String,
}

/// When the token set was requested and expires.
#[derive(Clone, Copy, Debug)]
pub struct Lifespan {
    /// When the request was sent, to the second.
    pub issued_at: Timestamp,
    /// When the access token expires, if anybody knows.
    pub expires_at: Option<Timestamp>,
}

/// When the token set was issued and expires.
pub fn lifespan(
    set: &TokenSet,
    sent_at: Timestamp,
    default_lifetime: Option<Duration>,
) -> Lifespan {
    let issued_at = to_second(sent_at);
    let lifetime = match set.lifetime {
        Lifetime::Seconds(seconds) => Duration::try_from(SignedDuration::from_secs(seconds)).ok(),
        Lifetime::Missing | Lifetime::Unusable(_) => default_lifetime,
    };
    Lifespan { issued_at, expires_at: lifetime.map(|lifetime| plus(issued_at, lifetime)) }
}

/// The record after an exchange: the new refresh token, or the old one when none came back (RFC 6749 §6).
pub fn commit(
    base: Option<&StateRecord>,
    spent: &Spent,
    set: &TokenSet,
    lifespan: Lifespan,
) -> StateRecord {
    let rotated =
        set.refresh_token.as_ref().is_some_and(|new| new.expose() != spent.token.expose());
    let lineage = base.filter(|_| !spent.new_lineage);
    let rotations = lineage.map_or(0, |base| base.rotations).saturating_add(i64::from(rotated));
    let mut record = StateRecord {
        version: VERSION,
        generation: base.map_or(0, |base| base.generation).saturating_add(1),
        refresh_token: set.refresh_token.clone().unwrap_or_else(|| spent.token.clone()),
        access_token: set.access_token.clone(),
        token_type: set.token_type.clone(),
        scopes: set.scopes.clone(),
        issued_at: lifespan.issued_at,
        expires_at: lifespan.expires_at,
        salt: base.map_or_else(|| spent.salt.clone(), |base| base.salt.clone()),
        seeds: base.map(|base| base.seeds.clone()).unwrap_or_default(),
        rotations,
        rotated_at: if rotated {
            Some(lifespan.issued_at)
        } else {
            lineage.and_then(|base| base.rotated_at)
        },
        request: spent.request.clone(),
        client: spent.client.clone(),
        source_version: spent.source_version.clone(),
    };
    record.remember(&spent.seed);
    record
}

/// Whether a result may still be written: a committed rotation is never abandoned while nobody else committed.
pub fn may_commit(stored: Option<&StateRecord>, base_generation: i64) -> bool {
    stored.map_or(0, |stored| stored.generation) <= base_generation
}

/// A claim for a token.
pub fn claim(
    exchange: String,
    token: &RefreshToken,
    salt: &str,
    holder: Holder,
    started_at: Timestamp,
) -> Claim {
    Claim { exchange, token: seed_hash(salt, token), holder, started_at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::secret::AccessToken;

    fn set(refresh_token: Option<&str>) -> TokenSet {
        TokenSet {
            access_token: AccessToken::new("at"),
            token_type: "Bearer".into(),
            lifetime: Lifetime::Seconds(60),
            refresh_token: refresh_token.map(RefreshToken::new),
            scopes: vec![],
        }
    }

    fn spent(seed: &str, token: &str, new_lineage: bool) -> Spent {
        Spent {
            seed: RefreshToken::new(seed),
            token: RefreshToken::new(token),
            new_lineage,
            salt: "salt".into(),
            base_generation: 0,
            request: "q".into(),
            client: "c".into(),
            source_version: "1".into(),
        }
    }

    const LIFESPAN: Lifespan = Lifespan { issued_at: Timestamp::UNIX_EPOCH, expires_at: None };

    #[test]
    fn a_rotation_replaces_the_token_and_no_rotation_keeps_it() {
        let first = commit(None, &spent("s", "s", true), &set(Some("r1")), LIFESPAN);
        assert_eq!((first.refresh_token.expose(), first.generation, first.rotations), ("r1", 1, 1));
        let second = commit(Some(&first), &spent("s", "r1", false), &set(None), LIFESPAN);
        assert_eq!(
            (second.refresh_token.expose(), second.generation, second.rotations),
            ("r1", 2, 1)
        );
        let same = commit(Some(&second), &spent("s", "r1", false), &set(Some("r1")), LIFESPAN);
        assert_eq!(same.rotations, 1);
    }

    #[test]
    fn the_newest_token_is_sent_and_never_the_seed_again() {
        let first = commit(None, &spent("s", "s", true), &set(Some("r1")), LIFESPAN);
        assert!(
            matches!(choose(Some(&first), None, &RefreshToken::new("s")), Choice::Newest(token) if token.expose() == "r1")
        );
    }

    #[test]
    fn a_new_seed_begins_a_new_lineage_and_an_old_one_does_not() {
        let first = commit(None, &spent("s", "s", true), &set(Some("r1")), LIFESPAN);
        assert!(
            matches!(choose(Some(&first), None, &RefreshToken::new("t")), Choice::Seed(token) if token.expose() == "t")
        );
        let second = commit(Some(&first), &spent("t", "t", true), &set(Some("r2")), LIFESPAN);
        assert_eq!((second.generation, second.rotations), (2, 1));
        assert!(
            matches!(choose(Some(&second), None, &RefreshToken::new("s")), Choice::Newest(token) if token.expose() == "r2")
        );
    }

    #[test]
    fn a_dead_lineage_sends_nothing_until_a_new_seed() {
        let record = commit(None, &spent("s", "s", true), &set(None), LIFESPAN);
        let refused = RefusedSeed::of(&RefreshToken::new("s"), "other salt");
        for record in [None, Some(&record)] {
            let choice = |seed: &str| choose(record, Some(&refused), &RefreshToken::new(seed));
            assert!(matches!(choice("s"), Choice::Dead));
            assert!(matches!(choice("t"), Choice::Seed(_)));
        }
    }

    #[test]
    fn only_eight_seeds_are_remembered() {
        let mut record = commit(None, &spent("0", "0", true), &set(None), LIFESPAN);
        for seed in 1..20 {
            record =
                commit(Some(&record), &spent(&seed.to_string(), "x", true), &set(None), LIFESPAN);
        }
        assert_eq!(record.seeds.len(), 8);
        assert!(record.knows(&RefreshToken::new("19")) && !record.knows(&RefreshToken::new("0")));
    }

    #[test]
    fn a_claim_is_respected_until_its_exchange_must_be_over() {
        let holder = |pod: &str, incarnation: &str| Holder {
            pod: pod.into(),
            incarnation: incarnation.into(),
        };
        let theirs = claim(
            "x".into(),
            &RefreshToken::new("r"),
            "salt",
            holder("a", "1"),
            Timestamp::UNIX_EPOCH,
        );
        let soon = plus(Timestamp::UNIX_EPOCH, Duration::from_secs(1));
        assert!(respected_until(&theirs, &holder("b", "2"), soon).is_some());
        assert_eq!(respected_until(&theirs, &holder("b", "2"), plus(soon, EXCHANGE_LIMIT)), None);
        assert_eq!(respected_until(&theirs, &holder("a", "2"), soon), None);
    }

    #[test]
    fn a_result_is_dropped_only_when_somebody_else_committed() {
        let first = commit(None, &spent("s", "s", true), &set(None), LIFESPAN);
        assert!(may_commit(None, 0));
        assert!(may_commit(Some(&first), 1));
        assert!(!may_commit(Some(&first), 0));
    }
}
