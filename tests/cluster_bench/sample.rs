//! Times taken again and again.

use std::fmt::{Display, Formatter};
use std::time::Duration;

/// The times of one thing.
#[derive(Debug, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort();
    }

    /// The time that this share of them did not exceed.
    fn quantile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

impl Display for Sample {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let [p50, p99] = [50, 99].map(|percent| self.quantile(percent).as_secs_f64());
        write!(formatter, "p50 {p50:.1} s, p99 {p99:.1} s ({} runs)", self.0.len())
    }
}
