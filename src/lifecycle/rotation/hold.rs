//! When a refresh token is sent again whose last outcome nobody knows. A server that rotates strictly takes the second
//! sending of a token it has replaced for theft, and may revoke the access token too; so the less is known, the longer
//! it is waited.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::lifecycle::record::Record;
use crate::lifecycle::schedule::{minus, plus};
use crate::oauth::transport::{ANSWER_TIMEOUT, SPEND_TIMEOUT};

/// The first tries where the server is known to accept a replaced token for a while, or nothing is known of it.
const SOON: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];
/// A try that is later than this is left out.
const MISSED_AFTER: Duration = Duration::from_secs(30);
/// Where nothing is spent, as far as is known.
const FIRST_BACK_OFF: Duration = Duration::from_secs(5);
const LAST_BACK_OFF: Duration = Duration::from_secs(600);
/// After the hold.
const HOURLY: Duration = Duration::from_secs(3600);
/// So often after the hold.
const HOURLY_TRIES: u32 = 24;
/// Where the server's window is longer than that takes, each pause is this part of the time since the first sending, so
/// that few tries span it.
const PART_OF_THE_TIME: u32 = 8;
/// The hold ends at most this long before the access token expires.
const BEFORE_EXPIRY: Duration = Duration::from_secs(60);
/// A hold lasts at least this long after the last try.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// And where tries followed each other soon, so long that each of them must be over.
const AFTER_A_WINDOW: Duration = SPEND_TIMEOUT.saturating_add(Duration::from_secs(10));
/// Where there is no access token to protect, the hold lasts this long.
const WITHOUT_ACCESS_TOKEN: Duration = Duration::from_secs(60);

/// Tries to send one refresh token whose outcome nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unresolved {
    /// How many.
    pub tries: u32,
    /// How many of them since the hold ended.
    pub tries_after_hold: u32,
    /// When the first was sent.
    pub first_at: Timestamp,
    /// When the last was over, as far as is known; else when it was sent.
    pub last_at: Timestamp,
}

impl Unresolved {
    /// The first one, of which no more is known than when it was sent.
    pub fn first(at: Timestamp) -> Self {
        Self { tries: 1, tries_after_hold: 0, first_at: at, last_at: at }
    }

    /// The same, with a last try that was over then.
    #[must_use]
    pub fn over_at(self, at: Timestamp) -> Self {
        Self { last_at: self.last_at.max(at), ..self }
    }

    /// One more, sent then.
    pub fn after(before: Option<Self>, at: Timestamp, after_hold: bool) -> Self {
        before.map_or_else(
            || Self { tries_after_hold: u32::from(after_hold), ..Self::first(at) },
            |before| Self {
                tries: before.tries.saturating_add(1),
                // Once the hold is over it stays over.
                tries_after_hold: before
                    .tries_after_hold
                    .saturating_add(u32::from(after_hold || before.tries_after_hold > 0)),
                last_at: at,
                ..before
            },
        )
    }
}

/// What the next try depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// For how long the server accepts a token it has replaced (`provider.reuseGrace`): zero for a strict one, nothing
    /// when nobody knows.
    pub reuse_grace: Option<Duration>,
    /// Whether the server may rotate, by what it did so far: false when it answered without a new refresh token.
    pub rotates: bool,
    /// When the access token that is in use was issued.
    pub access_issued_at: Option<Timestamp>,
    /// When it expires.
    pub access_expires_at: Option<Timestamp>,
    /// How long before its expiry the server lets an access token be renewed (`provider.earliestRenewal`).
    pub earliest: Option<Duration>,
    /// When the user asked for one more try.
    pub asked_at: Option<Timestamp>,
}

impl Terms {
    /// By the record of the newest token set.
    pub fn of(
        reuse_grace: Option<Duration>,
        earliest: Option<Duration>,
        record: Option<&Record>,
        asked_at: Option<Timestamp>,
    ) -> Self {
        Self {
            reuse_grace,
            earliest,
            rotates: record.is_none_or(|record| record.rotations > 0),
            access_issued_at: record.map(|record| record.issued_at),
            access_expires_at: record.and_then(|record| record.expires_at),
            asked_at,
        }
    }

    /// How long after the first sending another one is harmless: a good part of the server's window.
    fn window(&self) -> Duration {
        self.reuse_grace.map_or(Duration::ZERO, window)
    }

    /// Whether sending again does no harm.
    pub fn repeats_harmlessly(&self, first_at: Timestamp, now: Timestamp) -> bool {
        now < plus(first_at, self.window())
    }

    /// The end of a window that is longer than the hourly tries take.
    fn long_window_ends_at(&self, first_at: Timestamp) -> Option<Timestamp> {
        let window = self.window();
        (window > HOURLY.saturating_mul(HOURLY_TRIES)).then(|| plus(first_at, window))
    }

    /// Before this the server refuses to renew. The first sending kept to it, and so did those that followed it soon.
    fn earliest_after_hold(&self) -> Timestamp {
        let times = self.access_expires_at.zip(self.earliest);
        times.map_or(Timestamp::MIN, |(expires_at, ahead)| minus(expires_at, ahead))
    }

    /// When the hold ends: shortly before the access token does.
    fn hold_ends_at(&self, unresolved: Unresolved) -> Timestamp {
        // Within a window tries follow each other while an earlier one may still be on its way.
        let least = if self.window().is_zero() { BETWEEN_TRIES } else { AFTER_A_WINDOW };
        let least = plus(unresolved.last_at, least);
        let Some(expires_at) = self.access_expires_at.filter(|expiry| *expiry > least) else {
            return plus(unresolved.last_at, WITHOUT_ACCESS_TOKEN);
        };
        let issued_at = self.access_issued_at.unwrap_or(unresolved.first_at);
        let lifetime = Duration::try_from(expires_at.duration_since(issued_at)).unwrap_or_default();
        let ahead = (lifetime / 10).min(BEFORE_EXPIRY);
        minus(expires_at, ahead).max(least)
    }
}

/// The part of a server's window that is used: what remains is for the way of the request.
pub fn window(grace: Duration) -> Duration {
    grace.saturating_mul(4) / 5
}

/// How long an answer is waited for: as long as it takes, since to hang up on a slow server would lose what it brings; but
/// where the server accepts the token again, so that there is time left to ask again.
pub fn answer_limit(reuse_grace: Option<Duration>) -> Duration {
    match reuse_grace.map(window) {
        Some(window) if !window.is_zero() => (window / 2).clamp(ANSWER_TIMEOUT, SPEND_TIMEOUT),
        _ => SPEND_TIMEOUT,
    }
}

/// The next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextTry {
    /// Not before.
    At {
        /// When.
        time: Timestamp,
        /// Whether it ends the hold or comes after it.
        after_hold: bool,
    },
    /// It was tried often enough: a human must sign in.
    Never,
}

/// When to try next.
pub fn next_try(unresolved: Unresolved, terms: &Terms, now: Timestamp) -> NextTry {
    if terms.reuse_grace.is_none() && !terms.rotates {
        // Nothing was spent, as far as this server was ever seen to do.
        let doublings = unresolved.tries.saturating_sub(1).min(10);
        let wait =
            FIRST_BACK_OFF.saturating_mul(2_u32.saturating_pow(doublings)).min(LAST_BACK_OFF);
        return NextTry::At { time: plus(unresolved.last_at, wait), after_hold: false };
    }
    if unresolved.tries_after_hold > 0 {
        return after_hold(unresolved, terms, now)
            .map_or(NextTry::Never, |time| NextTry::At { time, after_hold: true });
    }
    let hold_ends_at = terms.hold_ends_at(unresolved).max(terms.earliest_after_hold());
    let early = early_try(unresolved, terms, now).filter(|early| *early <= hold_ends_at);
    early.map_or(NextTry::At { time: hold_ends_at, after_hold: true }, |time| NextTry::At {
        time,
        after_hold: false,
    })
}

/// A try after the one that ended the hold, if one is left: hourly for a day, and as long as the server takes the token
/// again where that is longer.
fn after_hold(unresolved: Unresolved, terms: &Terms, now: Timestamp) -> Option<Timestamp> {
    let not_before = terms.earliest_after_hold();
    let Some(end) = terms.long_window_ends_at(unresolved.first_at) else {
        let time = plus(unresolved.last_at, HOURLY).max(not_before);
        return (unresolved.tries_after_hold <= HOURLY_TRIES).then_some(time);
    };
    let since = unresolved.last_at.duration_since(unresolved.first_at);
    let part = Duration::try_from(since).unwrap_or_default() / PART_OF_THE_TIME;
    let pause = Duration::from_secs(part.as_secs()).max(HOURLY);
    // The last one comes when the window is about to end; one that was missed is not made up for.
    let is_over = now > end || plus(unresolved.last_at, HOURLY) > end;
    let time = plus(unresolved.last_at, pause).min(end).max(not_before);
    (!is_over && time <= end).then_some(time)
}

/// A try before the hold, if one is left.
fn early_try(unresolved: Unresolved, terms: &Terms, now: Timestamp) -> Option<Timestamp> {
    let done = usize::try_from(unresolved.tries.saturating_sub(1)).ok()?;
    let offset = match terms.reuse_grace {
        None => {
            let offset = *SOON.get(done)?;
            // One that was missed, by a long answer or while nobody was there, is not made up for.
            if now > plus(unresolved.first_at, offset.saturating_add(MISSED_AFTER)) {
                return None;
            }
            offset
        }
        Some(grace) => {
            let quarters = (1..=3).map(|quarter: u32| grace.saturating_mul(quarter) / 4);
            let mut offsets: Vec<_> = SOON
                .into_iter()
                .take(2)
                .chain(quarters)
                .filter(|at| *at <= terms.window())
                .collect();
            offsets.sort_unstable();
            offsets.dedup();
            let offset = *offsets.get(done)?;
            // Too late for it, after a pause: the window closes.
            if !terms.repeats_harmlessly(unresolved.first_at, now) {
                return None;
            }
            offset
        }
    };
    Some(plus(unresolved.first_at, offset))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers of seconds")]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The tries that follow one at 0, each made when it is due.
    fn tries(grace: Option<u64>, expires_at: Option<i64>) -> Vec<i64> {
        let terms = Terms {
            reuse_grace: grace.map(Duration::from_secs),
            rotates: true,
            access_issued_at: Some(at(-1000)),
            access_expires_at: expires_at.map(at),
            earliest: None,
            asked_at: None,
        };
        let mut unresolved = Unresolved::first(at(0));
        let mut times = vec![];
        while let NextTry::At { time, after_hold } =
            next_try(unresolved, &terms, unresolved.last_at)
        {
            times.push(time.as_second());
            unresolved = Unresolved::after(Some(unresolved), time, after_hold);
            assert!(times.len() < 100, "it ends");
        }
        times
    }

    #[test]
    fn a_strict_server_is_asked_once_before_the_access_token_expires_then_hourly_for_a_day() {
        let times = tries(Some(0), Some(2000));
        assert_eq!(times[..2], [1940, 1940 + 3600]);
        assert_eq!(times.len(), 1 + 24);
    }

    #[test]
    fn an_unknown_server_is_asked_three_times_soon_and_then_held() {
        let times = tries(None, Some(2000));
        assert_eq!(times[..5], [1, 5, 20, 1940, 5540]);
        assert_eq!(times.len(), 3 + 1 + 24);
    }

    #[test]
    fn a_try_soon_after_the_first_that_was_missed_is_not_made_up_for() {
        let terms = Terms {
            reuse_grace: None,
            rotates: true,
            access_issued_at: Some(at(-1000)),
            access_expires_at: Some(at(2000)),
            earliest: None,
            asked_at: None,
        };
        // The answer was waited for in vain, or its pod was lost.
        let unresolved = Unresolved::first(at(0)).over_at(at(120));
        let held = NextTry::At { time: at(1940), after_hold: true };
        assert_eq!(next_try(unresolved, &terms, at(120)), held);
        let soon = NextTry::At { time: at(1), after_hold: false };
        assert_eq!(next_try(unresolved, &terms, at(31)), soon);
    }

    #[test]
    fn without_an_access_token_a_hold_begins_when_the_try_is_over() {
        let terms = Terms {
            reuse_grace: Some(Duration::ZERO),
            rotates: true,
            access_issued_at: None,
            access_expires_at: None,
            earliest: None,
            asked_at: None,
        };
        let unresolved = Unresolved::first(at(0)).over_at(at(120));
        let next = next_try(unresolved, &terms, at(120));
        assert_eq!(next, NextTry::At { time: at(180), after_hold: true });
    }

    #[test]
    fn an_answer_is_not_waited_for_until_the_window_is_over() {
        let limit = |grace: Option<u64>| answer_limit(grace.map(Duration::from_secs)).as_secs();
        assert_eq!([None, Some(0)].map(limit), [120, 120]);
        assert_eq!([Some(10), Some(60), Some(200), Some(3600)].map(limit), [30, 30, 80, 120]);
    }

    #[test]
    fn a_window_is_used_up_to_four_fifths() {
        assert_eq!(tries(Some(60), Some(2000))[..6], [1, 5, 15, 30, 45, 1940]);
        // Of a short window what fits.
        assert_eq!(tries(Some(8), Some(2000))[..5], [1, 2, 4, 5, 6]);
        assert_eq!(tries(Some(1), Some(2000))[..1], [0]);
    }

    #[test]
    fn a_server_that_was_never_seen_to_rotate_is_asked_again_for_ever() {
        let terms = Terms {
            reuse_grace: None,
            rotates: false,
            access_issued_at: Some(at(0)),
            access_expires_at: Some(at(3600)),
            earliest: None,
            asked_at: None,
        };
        let mut unresolved = Unresolved::first(at(0));
        let mut waits = vec![];
        for _ in 0..200 {
            let NextTry::At { time, after_hold } = next_try(unresolved, &terms, unresolved.last_at)
            else {
                panic!("it never gives up")
            };
            waits.push(time.duration_since(unresolved.last_at).as_secs());
            unresolved = Unresolved::after(Some(unresolved), time, after_hold);
        }
        assert_eq!(waits[..4], [5, 10, 20, 40]);
        assert_eq!(waits.last(), Some(&600));
        // What the user said of it counts more.
        let strict = Terms { reuse_grace: Some(Duration::ZERO), ..terms };
        let next = next_try(Unresolved::first(at(0)), &strict, at(0));
        assert_eq!(next, NextTry::At { time: at(3540), after_hold: true });
    }

    #[test]
    fn a_long_window_does_not_outlast_the_access_token() {
        assert_eq!(tries(Some(720 * 3600), Some(2000))[..4], [1, 5, 1940, 5540]);
    }

    #[test]
    fn a_window_of_weeks_is_used_to_its_end_and_not_beyond() {
        const HOUR: i64 = 3600;
        for hours in [31, 100, 720] {
            let times = tries(Some(hours * 3600), Some(2000));
            assert_eq!(times[..4], [1, 5, 1940, 5540], "hourly at first");
            let window = 3600 * i64::try_from(hours).unwrap() * 4 / 5;
            let last = *times.last().unwrap();
            assert!((window - HOUR..=window).contains(&last), "{hours} hours: {times:?}");
            let pauses: Vec<_> = times[3..].windows(2).map(|two| two[1] - two[0]).collect();
            // But for the last one, which the window cuts short.
            let grown = &pauses[..pauses.len() - 1];
            assert!(grown.is_sorted() && grown[0] == HOUR, "{pauses:?}");
            assert!(pauses.iter().all(|pause| *pause <= window / 8));
            assert!(times.len() < 60, "{}", times.len());
        }
        // A day of hourly tries is as long as this one.
        assert_eq!(tries(Some(30 * 3600), Some(2000)).len(), 2 + 1 + 24);
    }

    #[test]
    fn a_long_window_that_ended_while_nobody_ran_is_not_tried_after() {
        let terms = Terms {
            reuse_grace: Some(Duration::from_secs(720 * 3600)),
            rotates: true,
            access_issued_at: Some(at(-1000)),
            access_expires_at: Some(at(2000)),
            earliest: None,
            asked_at: None,
        };
        let tried = Unresolved::after(Some(Unresolved::first(at(0))), at(1940), true);
        let soon = NextTry::At { time: at(5540), after_hold: true };
        let end = 576 * 3600;
        assert_eq!(next_try(tried, &terms, at(end)), soon);
        assert_eq!(next_try(tried, &terms, at(end + 1)), NextTry::Never);
    }

    #[test]
    fn no_hold_ends_earlier_than_the_server_lets_the_token_be_renewed() {
        let terms = Terms {
            reuse_grace: Some(Duration::ZERO),
            rotates: true,
            access_issued_at: Some(at(0)),
            access_expires_at: Some(at(7200)),
            earliest: Some(Duration::from_secs(5)),
            asked_at: None,
        };
        let first = Unresolved::first(at(4800));
        let next = NextTry::At { time: at(7195), after_hold: true };
        assert_eq!(next_try(first, &terms, at(4800)), next);
        // Nor is it earlier when a human had it tried in between.
        let asked = Unresolved::after(Some(Unresolved::first(at(1000))), at(1100), true);
        assert_eq!(next_try(asked, &terms, at(1100)), next);
        // What is allowed anyway is as it was.
        let soon = Terms { earliest: Some(Duration::from_secs(600)), ..terms };
        let usual = NextTry::At { time: at(7140), after_hold: true };
        assert_eq!(next_try(first, &soon, at(4800)), usual);
    }

    #[test]
    fn without_an_access_token_the_hold_is_short() {
        assert_eq!(tries(Some(0), None)[..2], [60, 3660]);
        assert_eq!(tries(Some(0), Some(-5))[..1], [60]);
    }

    #[test]
    fn the_hold_of_a_short_token_ends_in_its_last_tenth() {
        let terms = Terms {
            reuse_grace: Some(Duration::ZERO),
            rotates: true,
            access_issued_at: Some(at(0)),
            access_expires_at: Some(at(50)),
            earliest: None,
            asked_at: None,
        };
        let next = next_try(Unresolved::first(at(40)), &terms, at(40));
        assert_eq!(next, NextTry::At { time: at(45), after_hold: true });
    }

    #[test]
    fn a_window_missed_while_nobody_ran_is_not_used() {
        let terms = Terms {
            reuse_grace: Some(Duration::from_secs(60)),
            rotates: true,
            access_issued_at: Some(at(0)),
            access_expires_at: Some(at(3600)),
            earliest: None,
            asked_at: None,
        };
        let next = next_try(Unresolved::first(at(0)), &terms, at(500));
        assert_eq!(next, NextTry::At { time: at(3540), after_hold: true });
    }
}
