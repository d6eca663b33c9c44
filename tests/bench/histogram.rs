//! Quantiles of what the operator measures itself.

use std::time::Duration;

/// The buckets of a histogram on a metrics page: upper bound in seconds, and how many were at most that.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram(Vec<(f64, f64)>);

impl Histogram {
    /// Reads one.
    pub(crate) fn read(page: &str, name: &str) -> Self {
        let prefix = format!("{name}_bucket{{le=\"");
        let buckets = page.lines().filter_map(|line| {
            let (bound, count) = line.strip_prefix(prefix.as_str())?.split_once("\"} ")?;
            Some((bound.parse().unwrap_or(f64::INFINITY), count.parse().ok()?))
        });
        Self(buckets.collect())
    }

    /// What came after `before` was read.
    pub(crate) fn since(&self, before: &Self) -> Self {
        // The same buckets, or none yet.
        let counted = before.0.iter().map(|(_, count)| *count).chain(std::iter::repeat(0.0));
        let buckets = self.0.iter().zip(counted);
        Self(buckets.map(|((bound, count), before)| (*bound, count - before)).collect())
    }

    /// The upper bound of the bucket that this share falls into; buckets are half as wide again as the one before.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let total = self.0.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
        let (bound, _) = self.0.iter().find(|(_, count)| *count >= total * share)?;
        Duration::try_from_secs_f64(*bound).ok()
    }
}
