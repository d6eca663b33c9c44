//! The record after an exchange, and whether it may still be written.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::lifecycle::record::{Life, Owners, StateRecord, VERSION};
use crate::lifecycle::schedule::{plus, to_second};
use crate::oauth::response::{Lifetime, TokenSet};
use crate::oauth::secret::{AccessToken, RefreshToken};

use super::claim::Claim;

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
    /// No generation up to this one is given again: the target has seen it.
    pub floor: i64,
    /// Digest of the request.
    pub request: String,
    /// Origin of the token endpoint.
    pub endpoint: String,
    /// Fingerprint of the client.
    pub client: String,
    /// `resourceVersion` of the source.
    pub source_version: String,
    /// Where this state belongs.
    pub owners: Owners,
    /// Whether the new token goes into the source.
    pub write_back: bool,
    /// How long refresh tokens live, where the server does not say.
    pub refresh_terms: RefreshTerms,
}

/// How long refresh tokens live, where the server does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefreshTerms {
    /// Each from its issue.
    pub lifetime: Option<Duration>,
    /// Each from its last use.
    pub idle_lifetime: Option<Duration>,
    /// All of one lineage, from the first use of its seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absolute_lifetime: Option<Duration>,
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
    let expires_at = match set.lifetime {
        Lifetime::Seconds(seconds) => Some(after(issued_at, seconds)),
        Lifetime::Until(time) if time > issued_at => Some(time),
        Lifetime::Until(_) | Lifetime::Missing | Lifetime::Unusable(_) => {
            default_lifetime.map(|lifetime| plus(issued_at, lifetime))
        }
    };
    Lifespan { issued_at, expires_at }
}

fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// When the newest refresh token ends however often it is used, as far as the server says.
fn refresh_ends_at(
    base: Option<&StateRecord>,
    set: &TokenSet,
    since: Timestamp,
    issued_at: Timestamp,
) -> Option<Timestamp> {
    let said = match set.refresh_token_lifetime {
        Lifetime::Seconds(seconds) => Some(after(issued_at, seconds)),
        Lifetime::Until(time) => Some(time).filter(|time| *time > issued_at),
        Lifetime::Missing | Lifetime::Unusable(_) => None,
    };
    // What was said of a token before holds as long as it is the same.
    let known = base.filter(|base| base.refresh_token_since == Some(since));
    said.or_else(|| known?.refresh_ends_at)
}

/// When the seed of a lineage was first used. A state that does not say so tells it as long as nothing replaced the seed.
fn seed_since(lineage: Option<&StateRecord>, issued_at: Timestamp) -> Option<Timestamp> {
    let Some(base) = lineage else { return Some(issued_at) };
    base.seed_since.or_else(|| base.refresh_token_since.filter(|_| base.rotations == 0))
}

/// How long it lives, where nobody uses it.
fn refresh_life(
    ends_at: Option<Timestamp>,
    terms: RefreshTerms,
    seed_since: Option<Timestamp>,
    since: Timestamp,
    issued_at: Timestamp,
) -> Option<Life> {
    let set_down = || terms.lifetime.map(|lifetime| plus(since, lifetime));
    let fixed = ends_at.or_else(set_down).map(|until| Life { since, until });
    let idle = terms.idle_lifetime;
    let idle = idle.map(|idle| Life { since: issued_at, until: plus(issued_at, idle) });
    let absolute = seed_since.zip(terms.absolute_lifetime);
    let absolute = absolute.map(|(since, life)| Life { since, until: plus(since, life) });
    [fixed, idle, absolute].into_iter().flatten().min_by_key(|life| life.until)
}

/// The record after an exchange: the new refresh token, or the old one when none came back (RFC 6749 §6).
pub fn commit(
    base: Option<&StateRecord>,
    spent: &Spent,
    set: &TokenSet,
    lifespan: Lifespan,
) -> StateRecord {
    let rotated = set.refresh_token.as_ref().is_some_and(|new| *new != spent.token);
    let lineage = base.filter(|_| !spent.new_lineage);
    let rotations = lineage.map_or(0, |base| base.rotations).saturating_add(i64::from(rotated));
    let is_another = rotated || lineage.is_none();
    let refresh_token_since = lineage
        .filter(|_| !is_another)
        .and_then(|base| base.refresh_token_since)
        .unwrap_or(lifespan.issued_at);
    let (since, issued_at) = (refresh_token_since, lifespan.issued_at);
    let refresh_ends_at = refresh_ends_at(lineage, set, since, issued_at);
    let seed_since = seed_since(lineage, issued_at);
    let terms = spent.refresh_terms;
    let mut record = StateRecord {
        version: VERSION,
        generation: next_generation(base, spent),
        refresh_token: set.refresh_token.clone().unwrap_or_else(|| spent.token.clone()),
        access_token: set.access_token.clone(),
        token_type: set.token_type.clone(),
        scopes: set.scopes.clone(),
        fields: set.fields.clone(),
        refresh_token_since: Some(refresh_token_since),
        seed_since,
        refresh_life: refresh_life(refresh_ends_at, terms, seed_since, since, issued_at),
        refresh_ends_at,
        issued_at,
        expires_at: lifespan.expires_at,
        salt: base.map_or_else(|| spent.salt.clone(), |base| base.salt.clone()),
        seeds: base.map(|base| base.seeds.clone()).unwrap_or_default(),
        lineage: base.map(|base| base.lineage.clone()).unwrap_or_default(),
        written_back: lineage.map(|base| base.written_back.clone()).unwrap_or_default(),
        rotations,
        rotated_at: if rotated {
            Some(lifespan.issued_at)
        } else {
            lineage.and_then(|base| base.rotated_at)
        },
        request: spent.request.clone(),
        endpoint: spent.endpoint.clone(),
        client: spent.client.clone(),
        source_version: spent.source_version.clone(),
        owners: spent.owners.clone(),
    };
    // A state that was set back may not know the seed of its own successor.
    let is_known = base.is_some_and(|base| base.knows(&spent.seed) || base.is_current(&spent.seed));
    if spent.new_lineage || !is_known {
        record.remember(&spent.seed);
    }
    if spent.write_back {
        record.remember_written_back(&spent.seed);
    }
    record
}

/// A record that outdates the tokens whose claims this exchange's own took the place of: a new seed wins over an older one
/// of which nobody knows what became of it, should that be put back.
pub fn outdating(record: StateRecord, claim: Option<&Claim>, exchange: &str) -> StateRecord {
    let mut record = record;
    let mut older = claim.filter(|claim| claim.exchange == exchange);
    while let Some(displaced) = older.and_then(|claim| claim.displaced.as_deref()) {
        if displaced.salt == record.salt {
            record.outdate(&displaced.token);
        }
        older = Some(displaced);
    }
    record
}

/// The record after an answer that held a new refresh token and nothing else of use: the token is kept, and the access
/// token that was there stays.
pub fn salvage(
    base: Option<&StateRecord>,
    spent: &Spent,
    token: &RefreshToken,
    sent_at: Timestamp,
) -> StateRecord {
    let lineage = base.filter(|_| !spent.new_lineage);
    let set = TokenSet {
        access_token: base
            .map_or_else(|| AccessToken::new(String::new()), |base| base.access_token.clone()),
        token_type: base.map_or_else(|| "Bearer".to_owned(), |base| base.token_type.clone()),
        lifetime: Lifetime::Missing,
        refresh_token: Some(token.clone()),
        scopes: base.map(|base| base.scopes.clone()).unwrap_or_default(),
        refresh_token_lifetime: Lifetime::Missing,
        fields: base.map(|base| base.fields.clone()).unwrap_or_default(),
        left_out: Vec::new(),
    };
    let now = to_second(sent_at);
    let lifespan = Lifespan {
        issued_at: base.map_or(now, |base| base.issued_at),
        // Without one before, there is none: it expired the moment it came.
        expires_at: base.map_or(Some(now), |base| base.expires_at),
    };
    let mut record = commit(base, spent, &set, lifespan);
    // It came now, whenever the access token did that stays.
    if lineage.is_none() || *token != spent.token {
        record.seed_since = if lineage.is_none() { Some(now) } else { record.seed_since };
        record.refresh_token_since = Some(now);
        record.refresh_life = refresh_life(None, spent.refresh_terms, record.seed_since, now, now);
    }
    let rotated_at =
        record.rotated_at.map(|_| now).or_else(|| lineage.and_then(|base| base.rotated_at));
    // The access token is still the answer to what was asked for before.
    let request = base.map_or(record.request, |base| base.request.clone());
    StateRecord { rotated_at, request, ..record }
}

fn next_generation(base: Option<&StateRecord>, spent: &Spent) -> i64 {
    base.map_or(0, |base| base.generation)
        .max(spent.base_generation)
        .max(spent.floor)
        .saturating_add(1)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::lifecycle::record::seed_hash;
    use crate::lifecycle::rotation::claim::tests::claim;

    pub(crate) fn set(refresh_token: Option<&str>) -> TokenSet {
        TokenSet {
            access_token: AccessToken::new("at"),
            token_type: "Bearer".into(),
            lifetime: Lifetime::Seconds(60),
            refresh_token: refresh_token.map(RefreshToken::new),
            scopes: vec![],
            refresh_token_lifetime: Lifetime::Missing,
            fields: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }

    pub(crate) fn spent(seed: &str, token: &str, new_lineage: bool) -> Spent {
        Spent {
            seed: RefreshToken::new(seed),
            token: RefreshToken::new(token),
            new_lineage,
            salt: "salt".into(),
            base_generation: 0,
            floor: 0,
            request: "q".into(),
            endpoint: "https://as.example".into(),
            client: "c".into(),
            source_version: "1".into(),
            owners: Owners::default(),
            write_back: false,
            refresh_terms: RefreshTerms::default(),
        }
    }

    pub(crate) const LIFESPAN: Lifespan =
        Lifespan { issued_at: Timestamp::UNIX_EPOCH, expires_at: None };

    /// `r1` of the seed `s`.
    pub(crate) fn first_record() -> StateRecord {
        commit(None, &spent("s", "s", true), &set(Some("r1")), LIFESPAN)
    }

    #[test]
    fn a_rotation_replaces_the_token_and_no_rotation_keeps_it() {
        let first = first_record();
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
    fn a_refresh_token_lives_as_long_as_its_server_or_the_user_says() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let exchange = |base: Option<&StateRecord>,
                        new: Option<&str>,
                        second,
                        said: Option<Lifetime>,
                        terms| {
            let spent = Spent { refresh_terms: terms, ..spent("s", "x", base.is_none()) };
            let refresh_token_lifetime = said.unwrap_or(Lifetime::Missing);
            let set = TokenSet { refresh_token_lifetime, ..set(new) };
            commit(base, &spent, &set, Lifespan { issued_at: at(second), expires_at: None })
        };
        let until = |record: &StateRecord| record.refresh_life.map(|life| life.until);
        let days =
            RefreshTerms { lifetime: Some(Duration::from_secs(1000)), ..RefreshTerms::default() };
        let first = exchange(None, Some("r1"), 0, None, days);
        assert_eq!(until(&first), Some(at(1000)));
        let kept = exchange(Some(&first), None, 400, None, days);
        assert_eq!(until(&kept), Some(at(1000)), "the same token lives no longer");
        let rotated = exchange(Some(&kept), Some("r2"), 800, None, days);
        assert_eq!(until(&rotated), Some(at(1800)));
        let said = exchange(Some(&kept), None, 400, Some(Lifetime::Seconds(50)), days);
        assert_eq!(until(&said), Some(at(450)), "the server knows better");
        let said = exchange(Some(&kept), None, 400, Some(Lifetime::Until(at(500))), days);
        assert_eq!(until(&said), Some(at(500)));
        let past = exchange(Some(&kept), None, 400, Some(Lifetime::Until(at(300))), days);
        assert_eq!(until(&past), Some(at(1000)), "it is used, so that was no time of expiry");
        let idle = RefreshTerms { idle_lifetime: Some(Duration::from_secs(100)), ..days };
        assert_eq!(until(&exchange(Some(&first), None, 400, None, idle)), Some(at(500)));
        assert_eq!(until(&exchange(Some(&first), None, 950, None, idle)), Some(at(1000)));
        let untold = exchange(None, Some("r1"), 0, None, RefreshTerms::default());
        assert_eq!(until(&untold), None);
        // Each use begins the idle time anew, however often; what the server said once is not forgotten over it.
        let idle = RefreshTerms {
            idle_lifetime: Some(Duration::from_secs(100)),
            ..RefreshTerms::default()
        };
        let mut used = exchange(None, Some("r1"), 0, Some(Lifetime::Seconds(250)), idle);
        for (second, end) in [(40, 140), (120, 220), (200, 250), (240, 250)] {
            used = exchange(Some(&used), None, second, None, idle);
            assert_eq!(until(&used), Some(at(end)), "{second}");
        }
        let mut used = exchange(None, Some("r1"), 0, None, idle);
        for second in [40, 120, 200, 1000] {
            used = exchange(Some(&used), Some("r1"), second, None, idle);
            assert_eq!(until(&used), Some(at(second + 100)), "{second}");
        }
    }

    #[test]
    fn the_tokens_of_one_sign_in_end_together() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let terms = RefreshTerms {
            idle_lifetime: Some(Duration::from_secs(100)),
            absolute_lifetime: Some(Duration::from_secs(250)),
            ..RefreshTerms::default()
        };
        let exchange = |base: Option<&StateRecord>, seed: &str, token: &str, second| {
            let is_new = base.is_none_or(|base| !base.knows(&RefreshToken::new(seed)));
            let spent = Spent { refresh_terms: terms, ..spent(seed, "x", is_new) };
            let lifespan = Lifespan { issued_at: at(second), expires_at: None };
            commit(base, &spent, &set(Some(token)), lifespan)
        };
        let until = |record: &StateRecord| record.refresh_life.map(|life| life.until);
        let first = exchange(None, "s", "r1", 0);
        assert_eq!(until(&first), Some(at(100)));
        let second = exchange(Some(&first), "s", "r2", 90);
        assert_eq!(until(&second), Some(at(190)));
        let third = exchange(Some(&second), "s", "r3", 180);
        assert_eq!(third.refresh_life, Some(Life { since: at(0), until: at(250) }));
        let again = exchange(Some(&third), "t", "r4", 200);
        assert_eq!(until(&again), Some(at(300)));
        let again = exchange(Some(&again), "t", "r5", 290);
        assert_eq!(until(&again), Some(at(390)));
        // What an earlier release wrote tells it only as long as there was no rotation.
        let of_old = |rotations| StateRecord { seed_since: None, rotations, ..second.clone() };
        assert_eq!(until(&exchange(Some(&of_old(2)), "s", "r3", 180)), Some(at(280)));
        assert_eq!(until(&exchange(Some(&of_old(0)), "s", "r3", 330)), Some(at(340)));
    }

    #[test]
    fn a_new_lineage_counts_its_own_rotations_and_goes_on_with_the_generations() {
        let second =
            commit(Some(&first_record()), &spent("t", "t", true), &set(Some("r2")), LIFESPAN);
        assert_eq!((second.generation, second.rotations), (2, 1));
        assert!(
            second.knows(&RefreshToken::new("s")) && second.is_current(&RefreshToken::new("t"))
        );
        assert!(!second.is_current(&RefreshToken::new("s")));
    }

    #[test]
    fn a_new_seed_outdates_those_whose_outcome_nobody_knows() {
        let of = |token: &str, exchange: &str| Claim {
            exchange: exchange.into(),
            token: seed_hash("salt", &RefreshToken::new(token)),
            ..claim(0)
        };
        let first = of("s", "1");
        let second = Claim { displaced: first.beside(&RefreshToken::new("t")), ..of("t", "2") };
        let record = || commit(None, &spent("t", "t", true), &set(Some("r1")), LIFESPAN);
        let outdated = outdating(record(), Some(&second), "2");
        assert!(outdated.knows(&RefreshToken::new("s")));
        assert!(outdated.is_current(&RefreshToken::new("t")));
        let of_another = outdating(record(), Some(&second), "3");
        assert!(!of_another.knows(&RefreshToken::new("s")));
    }

    #[test]
    fn generations_go_on_above_what_the_target_has_seen() {
        let after_loss = Spent { floor: 7, ..spent("t", "t", true) };
        assert_eq!(commit(None, &after_loss, &set(None), LIFESPAN).generation, 8);
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
    fn renewals_with_an_old_seed_in_the_source_do_not_make_it_current() {
        let moved =
            commit(Some(&first_record()), &spent("t", "t", true), &set(Some("r2")), LIFESPAN);
        let renewed = commit(Some(&moved), &spent("s", "r2", false), &set(Some("r3")), LIFESPAN);
        assert!(!renewed.is_current(&RefreshToken::new("s")));
        assert!(renewed.is_current(&RefreshToken::new("t")));
    }

    #[test]
    fn a_token_written_back_into_the_source_is_no_new_seed() {
        let write_back =
            |seed: &str, token: &str| Spent { write_back: true, ..spent(seed, token, false) };
        let mut record = commit(
            None,
            &Spent { write_back: true, ..spent("s", "s", true) },
            &set(Some("r1")),
            LIFESPAN,
        );
        for number in 1..20 {
            let (before, token) = (format!("r{number}"), format!("r{}", number + 1));
            // The source holds the one before, or still the one before that: its write was lost.
            assert!(record.is_current(&RefreshToken::new(before.as_str())));
            record =
                commit(Some(&record), &write_back(&before, &before), &set(Some(&token)), LIFESPAN);
            assert!(record.is_current(&RefreshToken::new(before.as_str())));
        }
        assert!(record.is_current(&RefreshToken::new("s")), "the human's seed is not forgotten");
        assert!(record.written_back.len() <= 8);
    }

    #[test]
    fn the_life_of_a_salvaged_token_begins_when_it_came() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let terms = RefreshTerms {
            absolute_lifetime: Some(Duration::from_secs(1000)),
            ..RefreshTerms::default()
        };
        let life = |seed: &str, is_new| {
            let spent = Spent { refresh_terms: terms, ..spent(seed, "r1", is_new) };
            let token = RefreshToken::new("r2");
            let record = salvage(Some(&first_record()), &spent, &token, at(500));
            assert_eq!(record.refresh_token_since, Some(at(500)));
            record.refresh_life.map(|life| life.until)
        };
        assert_eq!(life("s", false), Some(at(1000)));
        assert_eq!(life("t", true), Some(at(1500)));
    }

    #[test]
    fn a_salvaged_token_keeps_the_access_token_there_is() {
        let first = first_record();
        let salvaged = salvage(
            Some(&first),
            &spent("s", "r1", false),
            &RefreshToken::new("r2"),
            LIFESPAN.issued_at,
        );
        assert_eq!((salvaged.refresh_token.expose(), salvaged.access_token.expose()), ("r2", "at"));
        assert_eq!((salvaged.generation, salvaged.expires_at), (2, first.expires_at));
        let alone =
            salvage(None, &spent("s", "s", true), &RefreshToken::new("r1"), LIFESPAN.issued_at);
        assert_eq!(alone.expires_at, Some(LIFESPAN.issued_at), "there is no access token to use");
    }
}
