//! The claim: the mark made in the state Secret before a refresh token is sent. It stays until the outcome is known, so
//! that nobody sends the same token again by mistake.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::lifecycle::record::seed_hash;
use crate::lifecycle::schedule::plus;
use crate::oauth::secret::RefreshToken;
use crate::oauth::transport::SPEND_TIMEOUT;

use super::hold::{self, NextTry, Terms, Unresolved};

/// A request that was not sent this long after its claim is not sent any more.
pub const SEND_WITHIN: Duration = Duration::from_secs(5);
/// A living holder gets at least this long: time to send, the limit of the request, and a few tries to commit.
const LEAST_PATIENCE: Duration =
    SEND_WITHIN.saturating_add(SPEND_TIMEOUT).saturating_add(Duration::from_secs(5));
/// And at most this long.
const MOST_PATIENCE: Duration = Duration::from_secs(300);
/// Unless the access token needs a successor sooner: this long before its expiry.
const BEFORE_EXPIRY: Duration = Duration::from_secs(120);

/// The mark made in the state Secret before a refresh token is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Random, so that a lost reply can be recognised.
    pub exchange: String,
    /// Hash of the token that is spent.
    pub token: String,
    /// Its salt.
    pub salt: String,
    /// Who spends it.
    pub holder: Holder,
    /// `resourceVersion` of the source at that time.
    #[serde(default)]
    pub source_version: String,
    /// The lease term in which it was made.
    pub term: i64,
    /// When it was made.
    pub started_at: Timestamp,
    /// The tries to send this token before this one whose outcome nobody knows; with `over`, this one is among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unresolved: Option<Unresolved>,
    /// The holder ended the exchange and does not know its outcome either.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
    /// With `over`: what came instead of an answer, in words of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// With `over`: not again before this, as the server's `Retry-After` said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// A claim about another token, which this one took the place of: what it says holds still if this comes to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaced: Option<Box<Self>>,
}

/// What is known of an exchange that ended without an answer that says what became of the token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// What came instead, in words of ours.
    pub why: Option<String>,
    /// Not again before this.
    pub not_before: Option<Timestamp>,
}

/// A process that spends tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// UID of the pod.
    pub pod: String,
    /// Name of the pod, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace of the pod, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Random for each process start.
    pub incarnation: String,
}

/// What is known of the process that holds a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It will never finish: it is this process, which is not at it; or its container was started anew and has replayed
    /// its journal; or its pod is gone.
    Dead,
    /// It may be at it. The claim was first seen then, by this process's own clock.
    Alive {
        /// When.
        first_seen: Timestamp,
    },
}

/// What a claim that stands in the state allows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Somebody may be at it: nothing is sent before.
    Respect {
        /// When patience ends.
        until: Timestamp,
    },
    /// The token was sent and nobody knows what came of it: it is not sent again before.
    Hold {
        /// When.
        until: Timestamp,
        /// The tries so far.
        unresolved: Unresolved,
    },
    /// The token may be sent again now.
    Try {
        /// The tries so far.
        unresolved: Unresolved,
        /// Whether this one ends the hold.
        after_hold: bool,
    },
    /// It was sent often enough.
    GiveUp {
        /// The tries so far.
        unresolved: Unresolved,
    },
}

impl Claim {
    /// Whether this or one that it displaced is that of an exchange.
    pub fn speaks_of(&self, exchange: &str) -> bool {
        self.exchange == exchange
            || self.displaced.as_ref().is_some_and(|claim| claim.speaks_of(exchange))
    }

    /// Whether it is about this token.
    pub fn is_about(&self, token: &RefreshToken) -> bool {
        self.token == seed_hash(&self.salt, token)
    }

    /// This claim, or the one it took the place of, that is about this token.
    pub fn about(&self, token: &RefreshToken) -> Option<&Self> {
        if self.is_about(token) { Some(self) } else { self.displaced.as_deref()?.about(token) }
    }

    /// What remains of it beside a new claim about this token.
    pub fn beside(self, token: &RefreshToken) -> Option<Box<Self>> {
        let rest = self.displaced.clone().and_then(|displaced| displaced.beside(token));
        if self.is_about(token) { rest } else { Some(Box::new(Self { displaced: rest, ..self })) }
    }

    /// When the token was first sent, or is about to be.
    pub fn first_sent_at(&self) -> Timestamp {
        self.unresolved.map_or(self.started_at, |unresolved| unresolved.first_at)
    }

    /// The mark that stays when its holder does not know the outcome either.
    #[must_use]
    pub fn marked(&self, unresolved: Unresolved, trouble: Trouble) -> Self {
        let Trouble { why, not_before } = trouble;
        Self { over: true, unresolved: Some(unresolved), why, not_before, ..self.clone() }
    }

    /// The trouble it tells of.
    pub fn trouble(&self) -> Trouble {
        Trouble { why: self.why.clone(), not_before: self.not_before }
    }

    /// The tries of this token whose outcome nobody knows, if this claim's holder never says more.
    pub fn unresolved_now(&self) -> Unresolved {
        match self.unresolved {
            Some(unresolved) if self.over => unresolved,
            before => Unresolved::after(before, self.started_at, false),
        }
    }
}

/// Judges a claim.
pub fn judge(claim: &Claim, standing: Standing, terms: &Terms, now: Timestamp) -> Verdict {
    if let Standing::Alive { first_seen } = standing
        && !claim.over
        && !terms.repeats_harmlessly(claim.first_sent_at().min(first_seen), now)
    {
        let until = plus(first_seen, patience(terms, first_seen));
        if now < until {
            return Verdict::Respect { until };
        }
    }
    let unresolved = claim.unresolved_now();
    // Also while the answer was waited for.
    if terms.asked_at.is_some_and(|asked_at| asked_at > claim.started_at) {
        return Verdict::Try { unresolved, after_hold: true };
    }
    let not_before = claim.not_before.unwrap_or(Timestamp::MIN);
    match hold::next_try(unresolved, terms, now) {
        NextTry::At { time, .. } if now < time.max(not_before) => {
            Verdict::Hold { until: time.max(not_before), unresolved }
        }
        NextTry::At { after_hold, .. } => Verdict::Try { unresolved, after_hold },
        NextTry::Never => Verdict::GiveUp { unresolved },
    }
}

/// How long a living holder is waited for: until shortly before the access token expires, within bounds.
fn patience(terms: &Terms, first_seen: Timestamp) -> Duration {
    let left = terms.access_expires_at.map_or(Duration::ZERO, |expiry| {
        Duration::try_from(expiry.duration_since(first_seen)).unwrap_or_default()
    });
    left.saturating_sub(BEFORE_EXPIRY).clamp(LEAST_PATIENCE, MOST_PATIENCE)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers of seconds")]
pub(super) mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    pub(crate) fn claim(started_at: i64) -> Claim {
        Claim {
            exchange: "x".into(),
            token: "hash".into(),
            salt: "salt".into(),
            holder: Holder {
                pod: "p".into(),
                name: None,
                namespace: None,
                incarnation: "i".into(),
            },
            source_version: "7".into(),
            term: 1,
            started_at: at(started_at),
            unresolved: None,
            over: false,
            why: None,
            not_before: None,
            displaced: None,
        }
    }

    fn terms(grace: Option<u64>, expires_at: Option<i64>) -> Terms {
        Terms {
            reuse_grace: grace.map(Duration::from_secs),
            rotates: true,
            access_issued_at: Some(at(0)),
            access_expires_at: expires_at.map(at),
            refresh_life: None,
            earliest: None,
            asked_at: None,
        }
    }

    #[test]
    fn a_living_holder_is_respected_and_a_dead_one_is_not() {
        let alive = Standing::Alive { first_seen: at(100) };
        let terms = terms(None, Some(10_000));
        assert_eq!(judge(&claim(100), alive, &terms, at(101)), Verdict::Respect { until: at(400) });
        assert!(!matches!(judge(&claim(100), alive, &terms, at(400)), Verdict::Respect { .. }));
        let dead = judge(&claim(100), Standing::Dead, &terms, at(101));
        assert!(matches!(dead, Verdict::Try { unresolved, .. } if unresolved.tries == 1));
    }

    #[test]
    fn patience_ends_before_the_access_token_but_leaves_time_to_answer() {
        for (expires_at, until) in [(100 + 120 + 200, 300), (150, 230), (100_000, 400)] {
            let alive = Standing::Alive { first_seen: at(100) };
            let verdict = judge(&claim(100), alive, &terms(None, Some(expires_at)), at(101));
            assert_eq!(verdict, Verdict::Respect { until: at(until) });
        }
    }

    #[test]
    fn a_server_that_asks_for_time_gets_it() {
        let trouble = Trouble { why: None, not_before: Some(at(190)) };
        let asked_for_time = claim(100).marked(Unresolved::first(at(100)), trouble);
        let verdict =
            |second| judge(&asked_for_time, Standing::Dead, &terms(None, None), at(second));
        assert!(matches!(verdict(150), Verdict::Hold { until, .. } if until == at(190)));
        assert!(matches!(verdict(190), Verdict::Try { .. }));
    }

    #[test]
    fn a_user_who_asks_gets_one_try_at_once() {
        let asking = Terms { asked_at: Some(at(10)), ..terms(Some(0), Some(1000)) };
        // It was sent at 0, and the answer was waited for until 20.
        let unknown = Unresolved::first(at(0)).over_at(at(20));
        let asked_for_time = Trouble { why: None, not_before: Some(at(500)) };
        let first = claim(0).marked(unknown, asked_for_time);
        let verdict = judge(&first, Standing::Dead, &asking, at(21));
        assert_eq!(verdict, Verdict::Try { unresolved: unknown, after_hold: true });
        // Not again for the same asking.
        let twice = Unresolved::after(Some(unknown), at(21), true);
        let second = claim(21).marked(twice, Trouble::default());
        let verdict = judge(&second, Standing::Dead, &asking, at(22));
        assert_eq!(verdict, Verdict::Hold { until: at(1000), unresolved: twice });
    }

    #[test]
    fn what_a_claim_took_the_place_of_is_found_by_its_token() {
        let tokens = ["t", "u", "v"].map(RefreshToken::new);
        let of = |token: &RefreshToken| Claim { token: seed_hash("salt", token), ..claim(100) };
        let [t, u, v] = &tokens;
        let second = Claim { displaced: of(t).beside(u), ..of(u) };
        assert!(
            second.about(t).is_some() && second.about(u).is_some() && second.about(v).is_none()
        );
        // The first token is tried again: what is known of the second stays.
        let third = Claim { displaced: second.beside(t), ..of(t) };
        assert!(third.displaced.as_ref().is_some_and(|displaced| displaced.displaced.is_none()));
        assert!(third.about(u).is_some());
        let [other, gone] =
            ["other", "gone"].map(|exchange| Claim { exchange: exchange.into(), ..of(v) });
        let fourth = Claim { displaced: Some(Box::new(other)), ..of(t) };
        assert!(fourth.speaks_of(&fourth.exchange) && fourth.speaks_of("other"));
        assert!(!fourth.speaks_of(&gone.exchange));
    }

    #[test]
    fn within_the_window_of_the_server_nobody_is_waited_for() {
        let alive = Standing::Alive { first_seen: at(100) };
        let verdict = judge(&claim(100), alive, &terms(Some(60), None), at(110));
        assert!(matches!(verdict, Verdict::Try { .. }), "{verdict:?}");
    }

    #[test]
    fn who_says_that_the_outcome_is_unknown_is_not_waited_for() {
        let alive = Standing::Alive { first_seen: at(100) };
        let over = Claim { over: true, unresolved: Some(Unresolved::first(at(100))), ..claim(100) };
        let verdict = judge(&over, alive, &terms(Some(0), Some(1000)), at(101));
        assert!(
            matches!(verdict, Verdict::Hold { unresolved, .. } if unresolved.tries == 1),
            "{verdict:?}"
        );
    }
}
