//! How long to look at what.

use std::time::Duration;

/// The times of a run.
pub(crate) struct Plan {
    /// How long nothing is due.
    pub(crate) idle: Duration,
    /// How long renewals are counted, from the first.
    pub(crate) renewing: Duration,
    /// The longest a token is used before it is renewed, when renewals are counted.
    pub(crate) longest_cycle: Duration,
}

impl Plan {
    /// For figures. Cycles grow with the fleet, so that even a small machine is not saturated: that
    /// would measure the API server's queue.
    pub(crate) fn full(size: usize) -> Self {
        let per_twenty = u64::try_from(size / 20).unwrap_or(u64::MAX);
        Self {
            idle: Duration::from_secs(60),
            renewing: Duration::from_secs(150),
            longest_cycle: Duration::from_secs(per_twenty.max(150)),
        }
    }

    /// For trying.
    pub(crate) fn quick() -> Self {
        Self {
            idle: Duration::from_secs(10),
            renewing: Duration::from_secs(30),
            longest_cycle: Duration::from_secs(30),
        }
    }

    /// The share of its life that a token has left when it is renewed.
    pub(crate) fn renew_before() -> &'static str {
        "75%"
    }

    /// The lifetime that makes it so.
    pub(crate) fn short_lifetime(&self) -> Duration {
        self.longest_cycle * 4
    }

    /// The most by which a renewal comes early.
    pub(crate) fn jitter(&self) -> Duration {
        self.longest_cycle * 2 / 3
    }

    /// The shortest a token is used.
    pub(crate) fn shortest_cycle(&self) -> Duration {
        self.longest_cycle / 3
    }
}
