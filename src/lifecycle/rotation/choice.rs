//! Which refresh token is sent: the newest of the lineage, or a seed that was never seen.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::lifecycle::record::{StateRecord, seed_hash};
use crate::oauth::secret::RefreshToken;

/// What the token in the source is to the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seed {
    /// Never seen: a human signed in, and a new lineage begins.
    New,
    /// The lineage in the state began with it, or it is the newest token itself, written back.
    Current,
    /// It began an earlier lineage: somebody put an old one back. It is ignored.
    Reverted,
    /// The authorization server called its lineage dead.
    Refused,
}

/// A seed whose lineage the authorization server called dead, as the state Secret keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedSeed {
    salt: String,
    hash: String,
    /// Hash of the token that was sent, which is another one once the lineage was renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// When it was called so.
    pub at: Timestamp,
}

impl RefusedSeed {
    /// Of a seed, and the token that was sent.
    pub fn of(seed: &RefreshToken, token: &RefreshToken, salt: &str, at: Timestamp) -> Self {
        let (hash, token) = (seed_hash(salt, seed), Some(seed_hash(salt, token)));
        Self { salt: salt.to_owned(), hash, token, at }
    }

    /// Whether it is about this seed, or this token.
    fn is(&self, seed: &RefreshToken) -> bool {
        let hash = seed_hash(&self.salt, seed);
        hash == self.hash || self.token.as_ref() == Some(&hash)
    }

    /// Whether it is believed: the user did not ask for one more try since.
    fn is_believed(&self, asked_at: Option<Timestamp>) -> bool {
        asked_at.is_none_or(|asked_at| asked_at <= self.at)
    }

    /// Whether this token, or anything of the lineage of this seed, may not be sent.
    pub fn silences(&self, seed: &RefreshToken, asked_at: Option<Timestamp>) -> bool {
        self.is_believed(asked_at) && self.is(seed)
    }
}

/// Looks a seed up. `mark` is what [`WRITTEN_BACK`] says of it, `asked_at` when the user asked for one more try of a dead
/// lineage.
///
/// [`WRITTEN_BACK`]: crate::lifecycle::record::WRITTEN_BACK
pub fn look_up(
    record: Option<&StateRecord>,
    refused: Option<&RefusedSeed>,
    seed: &RefreshToken,
    mark: Option<&str>,
    asked_at: Option<Timestamp>,
) -> Seed {
    if refused.is_some_and(|refused| refused.silences(seed, asked_at)) {
        return Seed::Refused;
    }
    let Some(record) = record else { return Seed::New };
    let newest_is_dead =
        refused.is_some_and(|refused| refused.silences(&record.refresh_token, asked_at));
    if record.is_current(seed) {
        if newest_is_dead { Seed::Refused } else { Seed::Current }
    } else if record.knows(seed) || record.wrote_before(seed, mark) {
        // Where the newest lineage is dead an old seed is no way out either.
        let believed = refused.is_some_and(|refused| refused.is_believed(asked_at));
        if believed { Seed::Refused } else { Seed::Reverted }
    } else {
        Seed::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::rotation::commit::commit;
    use crate::lifecycle::rotation::commit::tests::{LIFESPAN, first_record, set, spent};

    fn token(text: &str) -> RefreshToken {
        RefreshToken::new(text)
    }

    #[test]
    fn a_seed_is_new_current_or_an_old_one() {
        assert_eq!(look_up(None, None, &token("s"), None, None), Seed::New);
        let record = first_record();
        assert_eq!(look_up(Some(&record), None, &token("s"), None, None), Seed::Current);
        assert_eq!(look_up(Some(&record), None, &token("r1"), None, None), Seed::Current);
        let moved = commit(Some(&record), &spent("t", "t", true), &set(Some("r2")), LIFESPAN);
        assert_eq!(look_up(Some(&moved), None, &token("s"), None, None), Seed::Reverted);
        assert_eq!(look_up(Some(&moved), None, &token("u"), None, None), Seed::New);
    }

    #[test]
    fn a_token_that_was_written_back_is_an_old_one_by_its_mark() {
        let first = first_record();
        let mark = first.written_back_mark();
        let mut record = first.clone();
        for number in 2..20 {
            let (sent, new) = (format!("r{}", number - 1), format!("r{number}"));
            record = commit(Some(&record), &spent("s", &sent, false), &set(Some(&new)), LIFESPAN);
        }
        let seen = |record: &StateRecord, seed: &str, mark: Option<&str>| {
            look_up(Some(record), None, &token(seed), mark, None)
        };
        assert_eq!(seen(&record, "r1", None), Seed::New);
        assert_eq!(seen(&record, "r1", Some(&mark)), Seed::Reverted);
        // Somebody signed in, and left the mark as it was.
        assert_eq!(seen(&record, "t", Some(&mark)), Seed::New);
        // A state that was set back before the token came does not know better.
        let newer = record.written_back_mark();
        assert_eq!(seen(&first, "r19", Some(&newer)), Seed::New);
        for spoiled in ["", "1", "x/y", "/", "99999999999999999999/a"] {
            assert_eq!(seen(&record, "r1", Some(spoiled)), Seed::New, "{spoiled}");
        }
        let of_another = StateRecord { salt: "another".into(), ..record };
        assert_eq!(seen(&of_another, "r1", Some(&mark)), Seed::New);
    }

    #[test]
    fn a_token_that_is_dead_stays_so_whatever_seed_the_source_brings() {
        let at = Timestamp::from_second(100).unwrap();
        let first = first_record();
        let moved = commit(Some(&first), &spent("t", "t", true), &set(Some("r2")), LIFESPAN);
        // It was called dead while the old seed stood in the source.
        let refused = RefusedSeed::of(&token("s"), &token("r2"), "other salt", at);
        for seed in ["s", "t", "r2"] {
            let standing = look_up(Some(&moved), Some(&refused), &token(seed), None, None);
            assert_eq!(standing, Seed::Refused, "{seed}");
        }
        assert_eq!(look_up(Some(&moved), Some(&refused), &token("u"), None, None), Seed::New);
    }

    #[test]
    fn a_dead_lineage_sends_nothing_until_a_new_seed_or_an_asking_user() {
        let at = Timestamp::from_second(100).unwrap();
        let record = first_record();
        let refused = RefusedSeed::of(&token("s"), &token("s"), "other salt", at);
        for record in [None, Some(&record)] {
            let seen = |seed: &str, asked_at| {
                look_up(record, Some(&refused), &token(seed), None, asked_at)
            };
            assert_eq!(seen("s", None), Seed::Refused);
            assert_eq!(seen("s", Some(at)), Seed::Refused, "asked before it was tried");
            assert_eq!(seen("t", None), Seed::New);
            let later = Timestamp::from_second(101).unwrap();
            assert_ne!(seen("s", Some(later)), Seed::Refused);
        }
    }
}
