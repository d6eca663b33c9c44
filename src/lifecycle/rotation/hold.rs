//! When a refresh token is sent again whose last outcome nobody knows. A server that rotates strictly takes the second
//! sending of a token it has replaced for theft, and may revoke the access token too; so the less is known, the longer
//! it is waited.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::lifecycle::record::{Life, Record};
use crate::lifecycle::schedule::{earliest_renewal, minus, plus};
use crate::oauth::transport::{ANSWER_TIMEOUT, SPEND_TIMEOUT};

/// The first tries where the server is known to accept a replaced token for a while, or nothing is known of it.
const SOON: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];
/// A try that is later than this is left out.
const MISSED_AFTER: Duration = Duration::from_secs(30);
/// Where nothing is spent, as far as is known.
const FIRST_BACK_OFF: Duration = Duration::from_secs(5);
const LAST_BACK_OFF: Duration = Duration::from_secs(600);
/// After the hold pauses grow from this one, twice as long each, to an hour: by then the access token is lost or about to be,
/// and a server that was down for minutes is not waited for much longer.
const FIRST_AFTER_HOLD: Duration = Duration::from_secs(60);
const HOURLY: Duration = Duration::from_secs(3600);
/// So often after the hold: six times until the pauses are an hour, and then for a day.
const TRIES_AFTER_HOLD: u32 = 6 + 24;
const A_DAY: Duration = HOURLY.saturating_mul(24);
/// Pauses are no longer than this part of what is left of the refresh token, where that is known, nor shorter than this.
const PART_OF_WHAT_IS_LEFT: u32 = 10;
const SHORTEST_PAUSE: Duration = Duration::from_secs(10);
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
    /// The life of the refresh token, as far as anybody tells.
    pub refresh_life: Option<Life>,
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
            refresh_life: record.and_then(|record| record.refresh_life),
            asked_at,
        }
    }

    /// How long after the first sending another one is harmless: a good part of the server's window.
    fn window(&self) -> Duration {
        self.reuse_grace.map_or(Duration::ZERO, window)
    }

    /// After which time sending again does no harm but soon will, in the last hour of a window; nothing when it does.
    pub fn presses_after(&self, first_at: Timestamp, now: Timestamp) -> Option<Duration> {
        let end = plus(first_at, self.window());
        let wait = minus(end, HOURLY).duration_since(now);
        (now < end).then(|| Duration::try_from(wait).unwrap_or_default())
    }

    /// Whether sending again does no harm.
    pub fn repeats_harmlessly(&self, first_at: Timestamp, now: Timestamp) -> bool {
        now < plus(first_at, self.window())
    }

    /// The end of a window that is longer than the hourly tries take.
    fn long_window_ends_at(&self, first_at: Timestamp) -> Option<Timestamp> {
        let window = self.window();
        (window > A_DAY).then(|| plus(first_at, window))
    }

    /// Before this the server refuses to renew. The first sending kept to it, and so did those that followed it soon.
    fn earliest_after_hold(&self) -> Timestamp {
        let times = self.access_expires_at.zip(self.earliest);
        times.map_or(Timestamp::MIN, |(expires_at, ahead)| earliest_renewal(expires_at, ahead))
    }

    /// When the hold ends: shortly before the access token does, and while the refresh token still lives.
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
        // A life that is over was told wrong: the token is of use, or nothing is lost with it.
        let alive = self.refresh_life.filter(|life| life.until > unresolved.last_at);
        let before_the_last_day = alive.map(|life| life.last_part(A_DAY));
        minus(expires_at, ahead).min(before_the_last_day.unwrap_or(Timestamp::MAX)).max(least)
    }

    /// The next try after one after the hold. As long as the access token works it is not earlier than after an hour, which
    /// happens where a human asked for the try that ended the hold.
    fn after_pause(&self, unresolved: Unresolved) -> Timestamp {
        let last_at = unresolved.last_at;
        let doublings = unresolved.tries_after_hold.saturating_sub(1).min(10);
        let pause = FIRST_AFTER_HOLD.saturating_mul(2_u32.saturating_pow(doublings)).min(HOURLY);
        let time = plus(last_at, pause);
        let works_until = self.access_expires_at.unwrap_or(Timestamp::MIN);
        time.max(works_until.min(plus(last_at, HOURLY)))
    }

    /// A time for the next try, or an earlier one where little is left of the refresh token.
    fn while_it_lives(&self, time: Timestamp, last_at: Timestamp) -> Timestamp {
        let left = self.refresh_life.map(|life| life.until.duration_since(last_at));
        match left.and_then(|left| Duration::try_from(left).ok()) {
            None | Some(Duration::ZERO) => time,
            Some(left) => {
                let part = (left / PART_OF_WHAT_IS_LEFT).max(SHORTEST_PAUSE);
                time.min(plus(last_at, Duration::from_secs(part.as_secs())))
            }
        }
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

/// A try after the one that ended the hold, if one is left: for a day, and as long as the server takes the token again where
/// that is longer.
fn after_hold(unresolved: Unresolved, terms: &Terms, now: Timestamp) -> Option<Timestamp> {
    let not_before = terms.earliest_after_hold();
    let time = terms.after_pause(unresolved);
    let Some(end) = terms.long_window_ends_at(unresolved.first_at) else {
        let time = terms.while_it_lives(time, unresolved.last_at);
        return (unresolved.tries_after_hold <= TRIES_AFTER_HOLD).then_some(time.max(not_before));
    };
    let since = unresolved.last_at.duration_since(unresolved.first_at);
    let part = Duration::try_from(since).unwrap_or_default() / PART_OF_THE_TIME;
    let grown = plus(unresolved.last_at, Duration::from_secs(part.as_secs()));
    // The last one comes when the window is about to end; one that was missed is not made up for.
    let is_over = now > end || plus(unresolved.last_at, HOURLY) > end;
    let time = if part > HOURLY { grown } else { time };
    let time = terms.while_it_lives(time, unresolved.last_at).min(end).max(not_before);
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
mod tests;
