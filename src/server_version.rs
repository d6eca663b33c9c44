//! Which Kubernetes this is: said by a process that comes to lead. An old one is not refused, for it may do, but it should be known of.

use std::time::Duration;

use kube::Client;

/// The oldest version that is tested; the chart refuses older ones.
const OLDEST: (u32, u32) = (1, 33);
const LIMIT: Duration = Duration::from_secs(15);

/// Asks the API server, and says it in the log.
pub async fn say(client: Client) {
    let version = match tokio::time::timeout(LIMIT, client.apiserver_version()).await {
        Ok(Ok(version)) => version,
        Ok(Err(error)) => return tracing::warn!(%error, "version of Kubernetes not read"),
        Err(_) => return tracing::warn!("version of Kubernetes not read: no answer"),
    };
    let kubernetes = version.git_version;
    if is_too_old(&version.major, &version.minor) {
        let (major, minor) = OLDEST;
        tracing::warn!(
            kubernetes,
            "this Kubernetes is older than the oldest supported one, {major}.{minor}"
        );
    } else {
        tracing::info!(kubernetes, "connected to the API server");
    }
}

/// Vendors put a `+` behind the minor version. What can't be read is not called old.
fn is_too_old(major: &str, minor: &str) -> bool {
    let number = |text: &str| text.trim_end_matches('+').parse::<u32>().ok();
    number(major).zip(number(minor)).is_some_and(|version| version < OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_than_the_oldest_is_too_old() {
        assert!(is_too_old("1", "32"));
        assert!(is_too_old("1", "9+"));
        assert!(!is_too_old("1", "33"));
        assert!(!is_too_old("1", "36+"));
        assert!(!is_too_old("2", "0"));
        assert!(!is_too_old("", "unknown"));
    }
}
