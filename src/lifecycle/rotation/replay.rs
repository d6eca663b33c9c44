//! What an exchange that its process did not finish comes to.

use std::time::Duration;

use jiff::Timestamp;

use crate::lifecycle::record::StateRecord;
use crate::oauth::error::TokenError;

use super::answer::Answer;
use super::claim::{Claim, Trouble};
use super::commit::{Spent, outdating};
use super::exchange::{Found, may_commit};

/// An exchange that was not finished.
#[derive(Debug)]
pub struct Unfinished<'a> {
    /// Its id.
    pub exchange: &'a str,
    /// What it was about to spend, or spent.
    pub spent: &'a Spent,
    /// When the token was sent, if it was.
    pub sent_at: Option<Timestamp>,
    /// The answer, if any of it is there.
    pub answer: Option<&'a Answer>,
    /// Lifetime of an access token whose response has none.
    pub default_lifetime: Option<Duration>,
}

/// What to do about it.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// Nothing: it is in the state, or what is there is newer.
    Nothing,
    /// Write this record.
    Commit(Box<StateRecord>),
    /// Take the claim away.
    Free,
    /// Leave this mark: nobody knows whether the token was spent.
    Mark(Box<Claim>),
}

/// Decides by what the state holds now.
pub fn settle(
    unfinished: &Unfinished<'_>,
    record: Option<&StateRecord>,
    claim: Option<&Claim>,
    generation: i64,
) -> Settlement {
    let ours = claim.filter(|claim| claim.exchange == unfinished.exchange);
    if let (Some(answer), Some(sent_at)) = (unfinished.answer, unfinished.sent_at) {
        let new = answer.record(record, unfinished.spent, sent_at, unfinished.default_lifetime);
        if let Some(new) = new {
            let wanted = is_wanted(unfinished.spent, answer, record, ours.is_some(), generation);
            let new = outdating(new, claim, unfinished.exchange);
            let new = with_known_scopes(new, record);
            return if wanted { Settlement::Commit(Box::new(new)) } else { Settlement::Nothing };
        }
    }
    let Some(claim) = ours.filter(|claim| !claim.over) else { return Settlement::Nothing };
    let known = unfinished.sent_at.is_none()
        || matches!(unfinished.answer, Some(Answer::Kept(_) | Answer::Rejected(_)));
    match claim.unresolved {
        // As it was before.
        Some(before) if known => Settlement::Mark(Box::new(claim.marked(before, claim.trouble()))),
        None if known => Settlement::Free,
        _ => {
            let why = unfinished.answer.and_then(Answer::error).map(TokenError::why);
            let trouble = Trouble { why, not_before: None };
            Settlement::Mark(Box::new(claim.marked(claim.unresolved_now(), trouble)))
        }
    }
}

/// Only the process that sent the request knew all secrets in it, which its answer may say again: of the scopes, which are
/// shown, those are taken that were seen before. The next renewal brings the others.
fn with_known_scopes(new: StateRecord, before: Option<&StateRecord>) -> StateRecord {
    let mut new = new;
    let known = before.map(|before| before.scopes.as_slice()).unwrap_or_default();
    new.scopes.retain(|scope| known.contains(scope));
    new
}

/// Whether the state still lacks the answer. A journal of another lineage, or one that was overtaken, is of no use.
fn is_wanted(
    spent: &Spent,
    answer: &Answer,
    record: Option<&StateRecord>,
    is_claimed: bool,
    generation: i64,
) -> bool {
    let knows_seed =
        record.is_some_and(|record| record.outdates(&spent.seed, &spent.source_version));
    let is_ours = record.is_some_and(|record| answer.is_in(record));
    let found = Found { generation, is_ours, knows_seed };
    let succeeds = record.is_none_or(|record| {
        record.refresh_token == spent.token
            || record.knows(&spent.seed)
            || record.is_current(&spent.seed)
    });
    // Older than what the exchange began with: what it brought succeeds that all the same.
    let was_set_back = generation < spent.base_generation;
    !is_ours
        && may_commit(found, spent.base_generation, spent.new_lineage)
        && (is_claimed || succeeds || was_set_back || (spent.new_lineage && !knows_seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::rotation::commit::tests::{first_record, set, spent};
    use crate::oauth::response::TokenSet;

    #[test]
    fn scopes_that_were_not_seen_before_may_say_again_what_was_sent() {
        let scopes = ["read", "pass-of-a-client"].map(ToOwned::to_owned).to_vec();
        let answer = Answer::Granted(Box::new(TokenSet { scopes, ..set(Some("r2")) }));
        let replayed = |spent: &Spent, record: Option<&StateRecord>| {
            let unfinished = Unfinished {
                exchange: "e",
                spent,
                sent_at: Some(Timestamp::UNIX_EPOCH),
                answer: Some(&answer),
                default_lifetime: None,
            };
            let generation = record.map_or(0, |record| record.generation);
            match settle(&unfinished, record, None, generation) {
                Settlement::Commit(record) => record.scopes,
                other => panic!("{other:?}"),
            }
        };
        assert!(replayed(&spent("s", "s", true), None).is_empty());
        let before = StateRecord { scopes: vec!["read".into(), "other".into()], ..first_record() };
        let next = Spent { base_generation: 1, ..spent("s", "r1", false) };
        assert_eq!(replayed(&next, Some(&before)), ["read"]);
    }
}
