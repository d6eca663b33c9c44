//! So many requests in so much time. Reads no clock: times are given, in time since boot.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// So many requests in any stretch of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RateLimit {
    /// How many; at least one.
    pub requests: usize,
    /// In how much time.
    pub per: Duration,
}

/// Limits that hold together, and when requests were made.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    /// Each with the number of those who gave it.
    limits: BTreeMap<RateLimit, usize>,
    /// The last ones, oldest first; no more than the limits look back.
    made: VecDeque<Duration>,
}

impl Rate {
    /// Somebody gave a limit.
    pub fn add(&mut self, limit: RateLimit) {
        let givers = self.limits.entry(limit).or_default();
        *givers = givers.saturating_add(1);
    }

    /// One who gave it takes it back.
    pub fn remove(&mut self, limit: RateLimit) {
        if let Some(givers) = self.limits.get_mut(&limit) {
            *givers = givers.saturating_sub(1);
        }
        self.limits.retain(|_, givers| *givers > 0);
    }

    /// When all of them allow one more request; a time that is past when they do now.
    pub fn free_at(&self) -> Duration {
        let free = self.limits.keys().map(|limit| {
            let at = self.made.len().checked_sub(limit.requests.max(1));
            let blocking = at.and_then(|at| self.made.get(at));
            blocking.map_or(Duration::ZERO, |made| made.saturating_add(limit.per))
        });
        free.max().unwrap_or_default()
    }

    /// A request begins.
    pub fn begin(&mut self, now: Duration) {
        self.note(now);
    }

    /// One that began then is over; it may have reached the server at any time between.
    pub fn end(&mut self, begun: Duration, was_made: bool, now: Duration) {
        if let Some(at) = self.made.iter().rposition(|made| *made == begun) {
            self.made.remove(at);
            if was_made {
                self.note(now);
            }
        }
    }

    fn note(&mut self, now: Duration) {
        let most = self.limits.keys().map(|limit| limit.requests.max(1)).max().unwrap_or_default();
        self.made.push_back(now);
        while self.made.len() > most {
            self.made.pop_front();
        }
    }

    /// Whether nothing would be lost with it.
    pub fn is_idle(&self) -> bool {
        self.limits.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers of seconds")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(requests: usize, seconds: u64) -> RateLimit {
        RateLimit { requests, per: Duration::from_secs(seconds) }
    }

    /// Times of so many requests, each as early as it may be.
    fn times(rate: &mut Rate, begin: u64, count: usize) -> Vec<u64> {
        let mut now = Duration::from_secs(begin);
        let mut times = Vec::new();
        for _ in 0..count {
            now = now.max(rate.free_at());
            rate.begin(now);
            times.push(now.as_secs());
        }
        times
    }

    #[test]
    fn the_strictest_limit_holds_until_it_is_taken_back() {
        let mut rate = Rate::default();
        rate.add(limit(5, 10));
        rate.add(limit(2, 60));
        rate.add(limit(2, 60));
        assert_eq!(times(&mut rate, 0, 4), [0, 0, 60, 60]);
        rate.remove(limit(2, 60));
        assert_eq!(times(&mut rate.clone(), 60, 1), [120], "somebody else gave it too");
        rate.remove(limit(2, 60));
        assert_eq!(times(&mut rate, 60, 7), [60, 60, 60, 70, 70, 70, 70]);
        rate.remove(limit(5, 10));
        assert!(rate.is_idle());
        assert_eq!(times(&mut rate, 70, 2), [70, 70]);
    }

    #[test]
    fn a_request_counts_from_its_end_and_one_that_was_not_made_not_at_all() {
        let mut rate = Rate::default();
        rate.add(limit(1, 60));
        let at = Duration::from_secs;
        rate.begin(at(0));
        rate.end(at(0), true, at(5));
        assert_eq!(rate.free_at(), at(65));
        rate.begin(at(65));
        rate.end(at(65), false, at(70));
        assert_eq!(rate.free_at(), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_sees_more_than_the_limit(
            requests in 1_usize..20, seconds in 1_u64..100, pauses in prop::collection::vec(0_u64..20, 1..200),
        ) {
            let limit = limit(requests, seconds);
            let mut rate = Rate::default();
            rate.add(limit);
            let (mut now, mut made) = (Duration::ZERO, Vec::new());
            for pause in pauses {
                now += Duration::from_secs(pause);
                if rate.free_at() <= now {
                    rate.begin(now);
                    made.push(now);
                }
            }
            for window in made.windows(requests + 1) {
                prop_assert!(window[requests].saturating_sub(window[0]) >= limit.per);
            }
        }
    }
}
