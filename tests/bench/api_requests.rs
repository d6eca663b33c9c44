//! Requests as the API server counts them.

use std::collections::BTreeMap;
use std::time::Duration;

use oauth_keeper_test_support::control_plane::ControlPlane;

const COUNTER: &str = "apiserver_request_total{";
const WRITES: [&str; 5] = ["POST", "PUT", "PATCH", "APPLY", "DELETE"];
const LEASES: &str = "leases";

/// Numbers of requests by verb and resource, such as `PATCH oauthcredentials/status`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests(BTreeMap<(String, String), f64>);

impl Requests {
    /// All since the API server started.
    pub(crate) async fn read(control_plane: &ControlPlane) -> Self {
        Self::parse(&control_plane.metrics().await)
    }

    fn parse(page: &str) -> Self {
        let mut counts = BTreeMap::new();
        for line in page.lines().filter_map(|line| line.strip_prefix(COUNTER)) {
            let Some((labels, count)) = line.rsplit_once("} ") else {
                continue;
            };
            let (resource, subresource) = (label(labels, "resource"), label(labels, "subresource"));
            // Health checks and the metrics themselves are about no resource.
            if resource.is_empty() {
                continue;
            }
            let about = if subresource.is_empty() {
                resource.to_owned()
            } else {
                format!("{resource}/{subresource}")
            };
            let count: f64 = count.parse().unwrap_or_default();
            // What is only judged is no write: etcd sees nothing of it.
            let dry_run = if label(labels, "dry_run").is_empty() { "" } else { "dry-run " };
            let verb = format!("{dry_run}{}", label(labels, "verb"));
            *counts.entry((verb, about)).or_default() += count;
        }
        Self(counts)
    }

    /// Those after `before` was read.
    pub(crate) fn since(&self, before: &Self) -> Self {
        self.map(|key, count| count - before.0.get(key).copied().unwrap_or_default())
    }

    /// Without those that `alone` says the API server makes of itself in the same time.
    pub(crate) fn without(&self, alone: &Background, time: Duration) -> Self {
        let share = time.as_secs_f64() / alone.time.as_secs_f64();
        self.map(|key, count| {
            count - (alone.requests.0.get(key).copied().unwrap_or_default() * share).round()
        })
    }

    /// Writes of anything but Leases.
    pub(crate) fn writes(&self) -> f64 {
        let writes = self
            .0
            .iter()
            .filter(|((verb, about), _)| WRITES.contains(&verb.as_str()) && about != LEASES);
        total(writes)
    }

    /// Reads of anything but Leases. Watches are no requests here: they last.
    pub(crate) fn reads(&self) -> f64 {
        let reads = self.0.iter().filter(|((verb, about), _)| {
            matches!(verb.as_str(), "GET" | "LIST") && about != LEASES
        });
        total(reads)
    }

    /// All about Leases.
    pub(crate) fn leases(&self) -> f64 {
        let leases = self.0.iter().filter(|((_, about), _)| about == LEASES);
        total(leases)
    }

    /// `VERB resource` and how many, but for watches and Leases.
    pub(crate) fn by_verb_and_resource(&self) -> impl Iterator<Item = (String, f64)> {
        let listed = self.0.iter().filter(|((verb, about), _)| verb != "WATCH" && about != LEASES);
        listed.map(|((verb, about), count)| (format!("{verb} {about}"), *count))
    }

    fn map(&self, change: impl Fn(&(String, String), f64) -> f64) -> Self {
        let changed = self.0.iter().map(|(key, count)| (key.clone(), change(key, *count)));
        Self(changed.filter(|(_, count)| *count > 0.0).collect())
    }
}

/// What the API server asks of itself when nobody else does anything.
#[derive(Debug)]
pub(crate) struct Background {
    requests: Requests,
    time: Duration,
}

impl Background {
    /// Watches an idle API server for that long.
    pub(crate) async fn measure(control_plane: &ControlPlane, time: Duration) -> Self {
        let before = Requests::read(control_plane).await;
        tokio::time::sleep(time).await;
        let requests = Requests::read(control_plane).await.since(&before);
        Self { requests, time }
    }
}

/// An empty `sum` of floats is -0.
fn total<'a>(counts: impl Iterator<Item = (&'a (String, String), &'a f64)>) -> f64 {
    counts.fold(0.0, |total, (_, count)| total + count)
}

fn label<'a>(labels: &'a str, name: &str) -> &'a str {
    let pair = labels.split("\",").find_map(|pair| pair.strip_prefix(name)?.strip_prefix("=\""));
    pair.map_or("", |value| value.trim_end_matches('"'))
}
