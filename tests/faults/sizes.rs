//! How much of each fault: what every run can afford, or all of it with `make faults FULL=1`.

use std::time::Duration;

/// How much.
pub struct Sizes {
    /// Exchanges of two replicas without a lease.
    pub exchanges: u64,
    /// Credentials of a fleet.
    pub credentials: usize,
    /// Rolling restarts, one after the other.
    pub restarts: usize,
    /// How long the API server is away with an answer on its way.
    pub outage: Duration,
    /// The longest that one test may take.
    pub limit: Duration,
}

const USUAL: Sizes = Sizes {
    exchanges: 500,
    credentials: 30,
    restarts: 20,
    outage: Duration::ZERO,
    limit: Duration::from_secs(300),
};
const FULL: Sizes = Sizes {
    exchanges: 10_000,
    credentials: 60,
    restarts: 100,
    outage: Duration::from_secs(600),
    limit: Duration::from_secs(3600),
};

/// Of this run.
pub fn sizes() -> Sizes {
    if std::env::var_os("OAUTH_KEEPER_FULL").is_some() { FULL } else { USUAL }
}
