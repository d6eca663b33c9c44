//! What must be true whatever happens, looked at once more at the last moment. The rest of the program makes it true; where
//! it is not, that is a defect: it is counted and said in the log, and where nothing was sent yet, nothing is.

use jiff::Timestamp;
use strum::{EnumIter, IntoStaticStr};

use crate::lifecycle::record::StateRecord;
use crate::oauth::secret::RefreshToken;

use super::choice::RefusedSeed;
use super::claim::Claim;
use super::exchange::Intent;

/// One of them, by the name it has in metrics and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, IntoStaticStr)]
pub enum Invariant {
    /// A token is claimed before it is sent, and a claim takes over the tries whose outcome nobody knows.
    OneUnresolvedClaim,
    /// No token older than the newest known one is sent.
    NewestToken,
    /// Nothing of a lineage that was called dead is sent, unless the user asked for it.
    DeadIsSilent,
    /// Bytes go out only where term, claim and deadline allow it at that moment.
    GuardedSend,
    /// An answer is kept where the end of its exchange does not reach it, until it is in the state or of no use.
    AnswerInSink,
    /// A journal entry with a token set goes only after the state was read again.
    ReadBack,
}

impl Invariant {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What is known when a claim is about to be written.
pub struct Claiming<'a> {
    /// What will be spent.
    pub intent: &'a Intent<RefreshToken>,
    /// The claim in the state, unless this process knows that it means nothing.
    pub standing: Option<&'a Claim>,
}

impl Claiming<'_> {
    /// The invariant that does not hold, if one does not.
    pub fn broken(&self) -> Option<Invariant> {
        let claim = self.standing.and_then(|claim| claim.about(&self.intent.token));
        let forgets = claim.is_some() && self.intent.unresolved.is_none();
        forgets.then_some(Invariant::OneUnresolvedClaim)
    }
}

/// What is known when a token is about to be sent.
pub struct Sending<'a> {
    /// What will be spent.
    pub intent: &'a Intent<RefreshToken>,
    /// The id of the exchange.
    pub exchange: &'a str,
    /// The record in the state, as written or read last.
    pub record: Option<&'a StateRecord>,
    /// The claim in the state, as written or read last.
    pub claim: Option<&'a Claim>,
    /// The generation of the newest record that this process knows; 0 without one.
    pub newest_generation: i64,
    /// The seed in the source.
    pub seed: &'a RefreshToken,
    /// The seed whose lineage is dead, if one is.
    pub refused: Option<&'a RefusedSeed>,
    /// When the user asked for one more try.
    pub asked_at: Option<Timestamp>,
}

impl Sending<'_> {
    /// The first invariant that does not hold, if one does not.
    pub fn broken(&self) -> Option<Invariant> {
        let rules = [
            (self.is_claimed(), Invariant::OneUnresolvedClaim),
            (self.is_newest(), Invariant::NewestToken),
            (self.is_alive(), Invariant::DeadIsSilent),
        ];
        rules.into_iter().find_map(|(holds, invariant)| (!holds).then_some(invariant))
    }

    fn is_claimed(&self) -> bool {
        self.claim.is_some_and(|claim| {
            claim.exchange == self.exchange && !claim.over && claim.is_about(&self.intent.token)
        })
    }

    fn is_newest(&self) -> bool {
        let stored = self.record.map_or(0, |record| record.generation);
        let chosen = self.intent.new_lineage
            || self.record.is_some_and(|record| record.refresh_token == self.intent.token);
        chosen && stored == self.intent.base_generation && self.newest_generation <= stored
    }

    fn is_alive(&self) -> bool {
        self.refused.is_none_or(|refused| {
            ![self.seed, &self.intent.token]
                .iter()
                .any(|token| refused.silences(token, self.asked_at))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::record::seed_hash;
    use crate::lifecycle::rotation::claim::tests::claim as any_claim;
    use crate::lifecycle::rotation::commit::tests::first_record;
    use crate::lifecycle::rotation::hold::Unresolved;

    fn claim(token: &RefreshToken) -> Claim {
        Claim { token: seed_hash("salt", token), ..any_claim(100) }
    }

    fn intent(token: &RefreshToken, base_generation: i64) -> Intent<RefreshToken> {
        Intent {
            token: token.clone(),
            new_lineage: false,
            base_generation,
            unresolved: None,
            after_hold: false,
        }
    }

    #[test]
    fn a_claim_does_not_forget_what_is_unresolved() {
        let (token, other) = (RefreshToken::new("t"), RefreshToken::new("u"));
        let (standing, of_another) = (claim(&token), claim(&other));
        let broken =
            |intent: &Intent<RefreshToken>, standing| Claiming { intent, standing }.broken();
        let mut intent = intent(&token, 1);
        assert_eq!(broken(&intent, None), None);
        assert_eq!(broken(&intent, Some(&standing)), Some(Invariant::OneUnresolvedClaim));
        assert_eq!(broken(&intent, Some(&of_another)), None, "a new seed does not wait");
        intent.unresolved = Some(Unresolved::after(None, Timestamp::UNIX_EPOCH, false));
        assert_eq!(broken(&intent, Some(&standing)), None);
    }

    #[test]
    fn only_the_newest_living_claimed_token_is_sent() {
        let record = first_record();
        let token = record.refresh_token.clone();
        let seed = RefreshToken::new("s");
        let (good, claimed) = (intent(&token, record.generation), claim(&token));
        let sending = || Sending {
            intent: &good,
            exchange: "x",
            record: Some(&record),
            claim: Some(&claimed),
            newest_generation: record.generation,
            seed: &seed,
            refused: None,
            asked_at: None,
        };
        assert_eq!(sending().broken(), None);

        let unclaimed = [
            Sending { claim: None, ..sending() },
            Sending { exchange: "y", ..sending() },
            Sending { claim: Some(&Claim { over: true, ..claimed.clone() }), ..sending() },
            Sending { claim: Some(&claim(&seed)), ..sending() },
        ];
        for case in unclaimed {
            assert_eq!(case.broken(), Some(Invariant::OneUnresolvedClaim));
        }

        let newer = StateRecord { refresh_token: RefreshToken::new("newer"), ..record.clone() };
        let base = intent(&token, 0);
        let old = [
            Sending { record: Some(&newer), ..sending() },
            Sending { record: None, ..sending() },
            Sending { newest_generation: record.generation + 1, ..sending() },
            Sending { intent: &base, ..sending() },
        ];
        for case in old {
            assert_eq!(case.broken(), Some(Invariant::NewestToken));
        }

        let at = Timestamp::from_second(100).unwrap();
        let refused = RefusedSeed::of(&seed, &seed, "salt", at);
        let dead = Sending { refused: Some(&refused), ..sending() };
        assert_eq!(dead.broken(), Some(Invariant::DeadIsSilent));
        let asked_at = Some(Timestamp::from_second(101).unwrap());
        assert_eq!(Sending { asked_at, ..dead }.broken(), None);
    }
}
