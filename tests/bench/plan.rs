//! How long to look at what.

use std::fmt::{Display, Formatter};
use std::time::Duration;

/// The times of a run.
pub(crate) struct Plan {
    /// How long nothing is due.
    pub(crate) idle: Duration,
    /// Lifetime of tokens when renewals are counted.
    pub(crate) short_lifetime: Duration,
    /// The most by which a renewal comes before a quarter of the lifetime.
    pub(crate) jitter: Duration,
    /// How long renewals are counted: long enough for one of each credential.
    pub(crate) renewing: Duration,
}

impl Plan {
    /// For figures.
    pub(crate) fn full() -> Self {
        Self {
            idle: Duration::from_secs(60),
            short_lifetime: Duration::from_secs(600),
            jitter: Duration::from_secs(100),
            renewing: Duration::from_secs(150),
        }
    }

    /// For trying.
    pub(crate) fn quick() -> Self {
        Self {
            idle: Duration::from_secs(10),
            short_lifetime: Duration::from_secs(120),
            jitter: Duration::from_secs(15),
            renewing: Duration::from_secs(30),
        }
    }
}

impl Display for Plan {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let (idle, renewing) = (self.idle.as_secs(), self.renewing.as_secs());
        let latest = (self.short_lifetime / 4).as_secs();
        let earliest = latest.saturating_sub(self.jitter.as_secs());
        write!(
            formatter,
            "Idle for {idle} s; renewals counted for {renewing} s, with one of each credential every {earliest} to {latest} s."
        )
    }
}
