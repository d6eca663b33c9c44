//! When to renew and when to try again. Reads no clock and rolls no dice: jitter comes from the object's UID.

use std::time::Duration;

use jiff::Timestamp;

/// A mounted Secret reaches a pod up to a minute and a half late, so that much and as much again must remain.
const MARGIN: Duration = Duration::from_secs(180);
/// Lifetimes from which on the margin is kept, at the price of renewing after less than two thirds.
const LONG_ENOUGH: Duration = Duration::from_secs(360);
/// What lies between a request and its answer, as a rule.
const ANSWERED_LATER: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LAST_RETRY: Duration = Duration::from_secs(600);
/// Server-given waits beyond this are cut, so that a mistaken header does not stop a credential for good.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// `renewal` of the spec.
#[derive(Clone, Copy, Debug)]
pub struct RenewalPolicy {
    /// How long before expiry, if the user said.
    pub renew_before: Option<RenewBefore>,
    /// The most by which the renewal is moved ahead, if the user said.
    pub jitter: Option<Duration>,
    /// The least time between two token requests.
    pub min_interval: Duration,
    /// How long before expiry the server lets a token be renewed, where it refuses to do so earlier.
    pub earliest: Option<Duration>,
}

impl Default for RenewalPolicy {
    fn default() -> Self {
        Self {
            renew_before: None,
            jitter: None,
            min_interval: Duration::from_secs(10),
            earliest: None,
        }
    }
}

/// How long before expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewBefore {
    /// A length of time.
    Time(Duration),
    /// A share of the lifetime, 1 to 99.
    Percent(u32),
}

impl RenewBefore {
    /// Reads `10m` or `20%`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(percent) = text.strip_suffix('%') {
            return percent
                .parse()
                .ok()
                .filter(|percent| (1..=99).contains(percent))
                .map(Self::Percent);
        }
        let duration: kube::core::Duration = text.parse().ok()?;
        (!duration.is_negative()).then(|| Self::Time(duration.into()))
    }
}

/// When to renew a token, to the second. Never after its expiry, never before its issue.
pub fn renew_at(
    issued_at: Timestamp,
    expires_at: Timestamp,
    policy: &RenewalPolicy,
    uid: &str,
) -> Timestamp {
    let lifetime = Duration::try_from(expires_at.duration_since(issued_at)).unwrap_or_default();
    let before = match policy.renew_before {
        Some(RenewBefore::Time(time)) => time,
        Some(RenewBefore::Percent(percent)) => lifetime.saturating_mul(percent) / 100,
        None if lifetime >= LONG_ENOUGH => (lifetime / 3).max(MARGIN),
        None => lifetime / 3,
    };
    let latest = lifetime.saturating_sub(before);
    // A longer one would have tokens renewed that were just issued, for ever.
    let jitter = policy.jitter.unwrap_or(lifetime / 20).min(latest / 2);
    let after_issue = latest.saturating_sub(jitter.mul_f64(fraction(uid)));
    let wanted = plus(issued_at, Duration::from_secs(after_issue.as_secs()));
    let allowed = policy.earliest.map(|ahead| earliest_renewal(expires_at, ahead));
    wanted.max(allowed.unwrap_or(Timestamp::MIN))
}

/// When a server lets a token be renewed that it takes back no earlier than so long before its expiry. The server counts from
/// its answer, and expiries here from the request before it, so that this is a little later.
pub fn earliest_renewal(expires_at: Timestamp, ahead: Duration) -> Timestamp {
    let ahead = ahead.saturating_sub(ANSWERED_LATER.min(ahead / 2));
    minus(expires_at, Duration::from_secs(ahead.as_secs()))
}

/// Whether a workload that mounts the target may see a token expire before the next one arrives.
pub fn is_short_lived(issued_at: Timestamp, expires_at: Timestamp) -> bool {
    expires_at.duration_since(issued_at)
        < jiff::SignedDuration::try_from(LONG_ENOUGH).unwrap_or_default()
}

/// The wait after the `attempts`-th failure in a row: 5 s doubling to 10 min, up to a fifth longer by the UID.
pub fn back_off(attempts: i64, uid: &str) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(10);
    let wait = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(doublings)).min(LAST_RETRY);
    wait.saturating_add((wait / 5).mul_f64(fraction(uid)))
}

/// A server-given wait, bounded.
pub fn bounded_retry_after(wait: Duration) -> Duration {
    wait.min(MAX_RETRY_AFTER)
}

/// A time some seconds later; the end of time when there is no such time.
pub fn plus(time: Timestamp, wait: Duration) -> Timestamp {
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// A time some seconds earlier; the beginning of time when there is no such time.
pub fn minus(time: Timestamp, wait: Duration) -> Timestamp {
    time.checked_sub(wait).unwrap_or(Timestamp::MIN)
}

/// To the second, as times are stored: a finer one would be compared with its own truncation and never be reached.
pub fn to_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// A number from 0 to 1 that is always the same for one object (FNV-1a over its UID).
pub fn fraction(uid: &str) -> f64 {
    let hash = uid
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    f64::from(hash) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUED: Timestamp = Timestamp::UNIX_EPOCH;

    fn seconds(lifetime: u64, policy: &RenewalPolicy) -> i64 {
        seconds_of("uid", lifetime, policy)
    }

    fn seconds_of(uid: &str, lifetime: u64, policy: &RenewalPolicy) -> i64 {
        renew_at(ISSUED, plus(ISSUED, Duration::from_secs(lifetime)), policy, uid).as_second()
    }

    fn still(renew_before: Option<RenewBefore>) -> RenewalPolicy {
        RenewalPolicy { renew_before, jitter: Some(Duration::ZERO), ..RenewalPolicy::default() }
    }

    #[test]
    fn renews_after_two_thirds_with_three_minutes_left_where_the_lifetime_allows() {
        assert_eq!(seconds(3600, &still(None)), 2400);
        assert_eq!(seconds(480, &still(None)), 300);
        assert_eq!(seconds(360, &still(None)), 180);
        assert_eq!(seconds(300, &still(None)), 200);
        assert_eq!(seconds(15, &still(None)), 10);
    }

    #[test]
    fn renew_before_is_a_time_or_a_share() {
        assert_eq!(seconds(3600, &still(RenewBefore::parse("10s"))), 3590);
        assert_eq!(seconds(3600, &still(RenewBefore::parse("25%"))), 2700);
        assert_eq!(seconds(5, &still(RenewBefore::parse("10s"))), 0);
        for wrong in ["0%", "100%", "x", "-5s", "10"] {
            assert_eq!(RenewBefore::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_renewal_comes_before_the_server_allows_it() {
        let with = |ahead| RenewalPolicy {
            earliest: Some(Duration::from_secs(ahead)),
            ..still(RenewBefore::parse("99%"))
        };
        assert_eq!(seconds(600, &with(30)), 575);
        assert_eq!(seconds(600, &with(4)), 598);
        assert_eq!(seconds(600, &with(1)), 600);
        assert_eq!(seconds(600, &with(1000)), 6);
    }

    #[test]
    fn jitter_only_moves_ahead_and_is_always_the_same() {
        let policy = RenewalPolicy::default();
        let first = seconds(3600, &policy);
        assert_eq!(first, seconds(3600, &policy));
        assert!((2400 - 180..=2400).contains(&first), "{first}");
    }

    #[test]
    fn a_jitter_longer_than_the_life_leaves_half_of_it() {
        let day = Some(Duration::from_secs(86_400));
        let policy = RenewalPolicy { jitter: day, ..RenewalPolicy::default() };
        for uid in ["a", "b", "c", "d", "e", "f"] {
            let second = seconds_of(uid, 1800, &policy);
            assert!((600..=1200).contains(&second), "{uid}: {second}");
        }
    }

    #[test]
    fn back_off_doubles_from_five_seconds_to_ten_minutes() {
        for (attempts, seconds) in [(1, 5), (2, 10), (3, 20), (7, 320), (8, 600), (1000, 600)] {
            let wait = back_off(attempts, "uid").as_secs();
            assert!((seconds..=seconds + seconds / 5).contains(&wait), "{attempts}: {wait}");
        }
    }
}
