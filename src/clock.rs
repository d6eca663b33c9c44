//! What time it is. Neither a clock that is set nor a machine that slept may make a token older or younger than it is.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use crate::lifecycle::schedule::plus;

/// Time since the machine started, sleep included: it only ever grows, and nobody sets it.
pub fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanoseconds)
}

/// The time of a process: the wall clock, but never less than what has passed since its start. So a clock that is set
/// forward makes tokens due early, and one that is set back does not make them late.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started_at: Timestamp,
    started: Duration,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        Self { started_at: wall(), started: since_boot() }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        wall().max(self.steady())
    }

    /// How far the wall clock was set since the start: what it shows less what has passed.
    pub fn set_by(&self) -> jiff::SignedDuration {
        wall().duration_since(self.steady())
    }

    fn steady(&self) -> Timestamp {
        plus(self.started_at, since_boot().saturating_sub(self.started))
    }
}

fn wall() -> Timestamp {
    crate::fail_point::set_clock(Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_goes_on_from_where_it_was() {
        let clock = Clock {
            started_at: plus(Timestamp::now(), Duration::from_secs(3600)),
            started: since_boot(),
        };
        let first = clock.now();
        assert!(first > plus(Timestamp::now(), Duration::from_secs(3500)));
        assert!(clock.now() >= first);
        assert!(clock.set_by().as_secs() <= -3500);
    }

    #[test]
    fn a_clock_that_was_set_forward_is_followed() {
        let past = Timestamp::UNIX_EPOCH;
        let clock = Clock { started_at: past, started: since_boot() };
        assert!(clock.now() > plus(past, Duration::from_secs(1_000_000)));
    }
}
