//! The HTTP client of this crate, for admin ports and test servers on loopback.

use std::time::Duration;

/// A client that ignores proxy settings and never waits for long.
pub(crate) fn new() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .expect("an HTTP client can be made")
}
