//! The operator, started with a look at the clock.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use oauth_keeper_test_support::chart::OperatorRights;
use oauth_keeper_test_support::operator::{Operator, OperatorOptions};
use oauth_keeper_test_support::wait;
use tempfile::TempDir;

/// Ten thousand that are held back take 500 seconds to say so, at twenty a second.
const LIMIT: Duration = Duration::from_secs(1200);

/// A running operator and when it was started.
pub(crate) struct MeasuredOperator {
    pub(crate) operator: Operator,
    pub(crate) started: Instant,
    /// From the start of the process until it had listed everything and was ready.
    pub(crate) ready_after: Duration,
    // Last, so that it is removed when nobody writes into it.
    _journal: TempDir,
}

impl MeasuredOperator {
    /// Starts it under the chart's rights and waits until it leads and is ready.
    pub(crate) async fn start(rights: &OperatorRights) -> Self {
        // In memory, as the chart mounts it.
        let journal = tempfile::tempdir_in("/dev/shm").expect("there is a memory file system");
        let options = OperatorOptions::new(env!("CARGO_BIN_EXE_oauth-keeper"), &rights.kubeconfig)
            .arg("--lease-name")
            .arg(&rights.lease_name)
            .arg("--journal-dir")
            .arg(&journal.path().to_string_lossy());
        let (started, at) = (Instant::now(), Timestamp::now());
        let operator = Operator::start(options).await;
        let ready =
            wait::until("the operator leads and is ready", LIMIT, || async { ready_at(&operator) })
                .await;
        let ready_after = Duration::try_from(ready.duration_since(at)).unwrap_or_default();
        Self { operator, started, ready_after, _journal: journal }
    }

    /// Waits until so many credentials are reported with that reason, by its own gauge.
    pub(crate) async fn reported(&self, reason: &str, size: usize) {
        let line = format!("oauth_keeper_credentials{{reason=\"{reason}\"}} {size}");
        let what = format!("the operator has looked at {size} credentials");
        wait::until(&what, LIMIT, || async {
            self.operator.metrics().await.lines().any(|seen| seen == line).then_some(())
        })
        .await;
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.operator.pid()
    }

    /// Stops it and waits for its end.
    pub(crate) async fn stop(self) {
        let status = self.operator.stop().await;
        if !status.success() {
            eprintln!("the operator ended with {status}:\n{}", self.operator.log());
        }
    }
}

/// By its log: `/readyz` is also well while it stands by for the Lease.
fn ready_at(operator: &Operator) -> Option<Timestamp> {
    let events = operator.log_events();
    let ready = events.iter().find(|event| event["message"] == "ready")?;
    ready["timestamp"].as_str()?.parse().ok()
}
