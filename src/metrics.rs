//! Counters for `/metrics`, in the OpenMetrics text format. No series per credential: their number must not grow with use.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::SignedDuration;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use strum::IntoEnumIterator;

use crate::api::Reason;
use crate::lifecycle::rotation::invariants::Invariant;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByInvariant {
    invariant: &'static str,
}

/// All counters of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    exchanges: Family<ByReason, Counter>,
    rotations: Counter,
    lateness: Histogram,
    request_seconds: Histogram,
    uncommitted: Gauge,
    journal_not_read: Gauge,
    exchange_seconds: Histogram,
    journal_seconds: Histogram,
    commit_seconds: Histogram,
    credentials: Family<ByReason, Gauge>,
    ending: Gauge,
    unreadable: Counter,
    violations: Family<ByInvariant, Counter>,
    leading: Gauge,
    sync_seconds: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// From 20 microseconds to ten minutes: a commit is tried for ever.
fn persisting() -> impl Iterator<Item = f64> {
    exponential_buckets(0.000_02, 1.5, 43)
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("oauth_keeper");
        let metrics = Self {
            exchanges: Family::default(),
            rotations: Counter::default(),
            lateness: Histogram::new([0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0]),
            request_seconds: Histogram::new([
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            ]),
            uncommitted: Gauge::default(),
            journal_not_read: Gauge::default(),
            exchange_seconds: Histogram::new(persisting()),
            journal_seconds: Histogram::new(persisting()),
            commit_seconds: Histogram::new(persisting()),
            credentials: Family::default(),
            ending: Gauge::default(),
            unreadable: Counter::default(),
            violations: Family::default(),
            leading: Gauge::default(),
            sync_seconds: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register(
            "exchanges",
            "Token requests, by the reason they led to; Fresh is success, OtherClientSecret a refusal of one of two secrets",
            metrics.exchanges.clone(),
        );
        registry.register(
            "rotations",
            "New refresh tokens that were committed",
            metrics.rotations.clone(),
        );
        registry.register(
            "renewal_lateness_seconds",
            "Time from the planned renewal to the written target",
            metrics.lateness.clone(),
        );
        registry.register(
            "token_request_seconds",
            "Time of token requests",
            metrics.request_seconds.clone(),
        );
        metrics.register_persisting(&mut registry);
        metrics.register_credentials(&mut registry);
        metrics.register_violations(&mut registry);
        registry.register("leading", "1 while this process leads", metrics.leading.clone());
        registry.register(
            "sync_seconds",
            "Time from the start of leading until everything was listed",
            metrics.sync_seconds.clone(),
        );
        Self { registry, ..metrics }
    }

    fn register_credentials(&self, registry: &mut Registry) {
        registry.register(
            "credentials",
            "Credentials by the reason of their Ready condition",
            self.credentials.clone(),
        );
        registry.register(
            "refresh_tokens_ending",
            "Refresh tokens in the last tenth of their life, or its last week",
            self.ending.clone(),
        );
        registry.register(
            "unreadable_objects",
            "Objects that could not be read",
            self.unreadable.clone(),
        );
    }

    fn register_violations(&self, registry: &mut Registry) {
        registry.register(
            "invariant_violations",
            "Defects of this program that were caught at the last moment; anything but 0 is to be reported",
            self.violations.clone(),
        );
        for invariant in Invariant::iter() {
            // Shown as 0 from the start.
            drop(self.violations.get_or_create(&ByInvariant { invariant: invariant.as_str() }));
        }
    }

    fn register_persisting(&self, registry: &mut Registry) {
        registry.register(
            "uncommitted_answers",
            "Answers to a refresh token that are not in the state Secret yet",
            self.uncommitted.clone(),
        );
        registry.register(
            "journal_files_not_read",
            "Files of the journal that this process found at its start and can't read, without those that hold nobody back any more",
            self.journal_not_read.clone(),
        );
        registry.register(
            "exchange_seconds",
            "Time of exchanges that brought a token, from the first read to the written target",
            self.exchange_seconds.clone(),
        );
        registry.register(
            "answer_journaled_seconds",
            "Time from an answer to a refresh token to its place in the journal",
            self.journal_seconds.clone(),
        );
        registry.register(
            "answer_committed_seconds",
            "Time from an answer to a refresh token to its place in the state Secret",
            self.commit_seconds.clone(),
        );
    }

    /// A token request ended; without a reason when one of two client secrets was refused and the other one follows.
    pub fn exchanged(&self, reason: Option<Reason>) {
        let reason = reason.map_or("OtherClientSecret", Reason::as_str);
        self.exchanges.get_or_create(&ByReason { reason }).inc();
    }

    /// A new refresh token is about to be committed.
    pub fn rotated(&self) {
        self.rotations.inc();
    }

    /// A renewal was written this long after its time.
    pub fn renewed(&self, late: SignedDuration) {
        self.lateness.observe(late.as_secs_f64().max(0.0));
    }

    /// A token request took this long.
    pub fn token_request_took(&self, time: Duration) {
        self.request_seconds.observe(time.as_secs_f64());
    }

    /// An answer came that is in no other place than this process and its journal.
    pub fn answer_came(&self) {
        self.uncommitted.inc();
    }

    /// It is in the state, or of no use.
    pub fn answer_is_settled(&self) {
        self.uncommitted.dec();
    }

    /// So many files of the journal can't be read.
    pub fn journal_not_read(&self, files: usize) {
        self.journal_not_read.set(i64::try_from(files).unwrap_or(i64::MAX));
    }

    /// One of these holds nobody back any more.
    pub fn journal_file_let_go(&self) {
        self.journal_not_read.dec();
    }

    /// An exchange that brought a token took this long, from its slot to the written target.
    pub fn exchange_took(&self, time: Duration) {
        self.exchange_seconds.observe(time.as_secs_f64());
    }

    /// An answer was journaled this long after it came.
    pub fn journaled(&self, time: Duration) {
        self.journal_seconds.observe(time.as_secs_f64());
    }

    /// An answer was committed this long after it came.
    pub fn committed(&self, time: Duration) {
        self.commit_seconds.observe(time.as_secs_f64());
    }

    /// A credential's reason changed.
    pub fn reported(&self, before: Option<Reason>, after: Option<Reason>) {
        if before == after {
            return;
        }
        if let Some(reason) = before {
            self.credentials.get_or_create(&ByReason { reason: reason.as_str() }).dec();
        }
        if let Some(reason) = after {
            self.credentials.get_or_create(&ByReason { reason: reason.as_str() }).inc();
        }
    }

    /// Whether the end of a credential's refresh token is near changed.
    pub fn ending(&self, before: bool, after: bool) {
        match (before, after) {
            (false, true) => drop(self.ending.inc()),
            (true, false) => drop(self.ending.dec()),
            _ => {}
        }
    }

    /// An object could not be read.
    pub fn unreadable(&self) {
        self.unreadable.inc();
    }

    /// An invariant did not hold.
    pub fn violated(&self, invariant: Invariant) {
        self.violations.get_or_create(&ByInvariant { invariant: invariant.as_str() }).inc();
    }

    /// Whether this process leads.
    pub fn leading(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    /// Everything was listed.
    pub fn synced(&self, time: Duration) {
        self.sync_seconds.set(time.as_secs_f64());
    }

    /// The page.
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing into a String can't fail.
        let _ = text::encode(&mut page, &self.registry);
        page
    }
}
