//! Places where a test build can be made to fail. In any other build they are nothing.
//!
//! `OAUTH_KEEPER_FAIL_POINT=NAME:ACTION[:SKIP]` has the process `kill` or `stop` itself (SIGKILL, SIGSTOP) or `panic`
//! when it comes to that place for the first time, or after passing it SKIP times.
//! `OAUTH_KEEPER_CLOCK_FILE` names a file with the seconds by which the wall clock is off.

use jiff::Timestamp;

/// Comes to a place.
#[cfg(not(feature = "fail-points"))]
#[inline]
pub fn reach(_name: &str) {}

/// Reads the wall clock.
#[cfg(not(feature = "fail-points"))]
#[inline]
pub fn set_clock(now: Timestamp) -> Timestamp {
    now
}

#[cfg(feature = "fail-points")]
pub use in_test_builds::{reach, set_clock};

#[cfg(feature = "fail-points")]
#[allow(
    clippy::panic,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "it is there to fail"
)]
mod in_test_builds {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    use super::Timestamp;

    struct FailPoint {
        name: String,
        action: String,
        left: AtomicU32,
    }

    fn configured() -> Option<&'static FailPoint> {
        static POINT: OnceLock<Option<FailPoint>> = OnceLock::new();
        let read = || {
            let text = std::env::var("OAUTH_KEEPER_FAIL_POINT").ok()?;
            let mut parts = text.split(':').map(ToOwned::to_owned);
            let (name, action) = (parts.next()?, parts.next()?);
            let skip = parts.next().map_or(0, |skip| skip.parse().expect("SKIP is a number"));
            Some(FailPoint { name, action, left: AtomicU32::new(skip) })
        };
        POINT.get_or_init(read).as_ref()
    }

    /// Comes to a place.
    pub fn reach(name: &str) {
        let Some(point) = configured().filter(|point| point.name == name) else { return };
        let passed = point.left.fetch_sub(1, Ordering::SeqCst);
        if passed != 0 {
            return;
        }
        tracing::info!(name, action = point.action, "fail point reached");
        match point.action.as_str() {
            "kill" => kill_process(getpid(), Signal::KILL).expect("it can be killed"),
            "stop" => kill_process(getpid(), Signal::STOP).expect("it can be stopped"),
            "panic" => panic!("fail point {name}"),
            other => panic!("no such action: {other}"),
        }
    }

    /// Reads the wall clock as the test set it.
    pub fn set_clock(now: Timestamp) -> Timestamp {
        let Some(file) = std::env::var_os("OAUTH_KEEPER_CLOCK_FILE") else { return now };
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let off: i64 = text.trim().parse().unwrap_or_default();
        now.checked_add(jiff::SignedDuration::from_secs(off)).unwrap_or(now)
    }
}
