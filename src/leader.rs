//! Leader election by a Lease, with client-go's semantics: a holder that can't renew for `RENEW_DEADLINE` stops before
//! anybody else may take over, which is `LEASE_DURATION` after its last renewal as others saw it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::FIELD_MANAGER;
use crate::clock::since_boot;
use crate::controller::context::Term;

const LEASE_DURATION: Duration = Duration::from_secs(15);
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// A candidate for one Lease.
pub struct Candidate {
    leases: Api<Lease>,
    name: String,
    identity: String,
    /// The Lease as last seen, and when it was first seen so: clocks of different machines are not compared.
    seen: Option<(String, Duration)>,
    /// Until when nobody else can have become the leader, by this machine's clock.
    term: watch::Sender<Term>,
}

impl Candidate {
    /// For the Lease of this name. The client must not retry by itself.
    pub fn new(client: Client, namespace: &str, name: &str, identity: String) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity,
            seen: None,
            term: watch::Sender::new(Term::default()),
        }
    }

    /// Follows the term: it ends `RENEW_DEADLINE` after the last renewal was asked for, also in a process that was stopped.
    pub fn term(&self) -> watch::Receiver<Term> {
        self.term.subscribe()
    }

    /// Waits until the Lease is ours; false when `stopping` came first.
    pub async fn acquire(&mut self, stopping: &CancellationToken) -> bool {
        loop {
            match bounded(self.try_hold()).await {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, lease = self.name, "lease not read or written; trying again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY_PERIOD) => {}
                () = stopping.cancelled() => return false,
            }
        }
    }

    /// Renews until the Lease is lost, or `done`. Returns whether it was lost.
    pub async fn hold(&mut self, done: &CancellationToken) -> bool {
        loop {
            tokio::select! {
                () = tokio::time::sleep(RETRY_PERIOD) => {}
                () = done.cancelled() => return false,
            }
            match bounded(self.try_hold()).await {
                Ok(true) => {}
                Ok(false) => return true,
                Err(error) => {
                    tracing::warn!(%error, lease = self.name, "lease not renewed; trying again");
                }
            }
            if since_boot() >= self.term.borrow().until {
                return true;
            }
        }
    }

    /// Gives the Lease up, so that the next one need not wait for it to run out.
    pub async fn release(&self) {
        let given_up = async {
            let Some(mut lease) = self.leases.get_opt(&self.name).await? else {
                return Ok(());
            };
            let Some(spec) = lease
                .spec
                .as_mut()
                .filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity))
            else {
                return Ok(());
            };
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.replace(&lease).await
        };
        if let Err(error) = bounded(given_up).await {
            tracing::warn!(%error, lease = self.name, "lease not released");
        }
    }

    /// Takes or renews the Lease if it is free, expired or ours.
    async fn try_hold(&mut self) -> Result<bool, kube::Error> {
        let begun = since_boot();
        let number = self.take_or_renew().await?;
        if let Some(number) = number {
            let until = begun.saturating_add(RENEW_DEADLINE);
            self.term.send_replace(Term { number, until });
        }
        Ok(number.is_some())
    }

    /// Gives the number of the term when the Lease is ours.
    async fn take_or_renew(&mut self) -> Result<Option<i64>, kube::Error> {
        let Some(mut lease) = self.leases.get_opt(&self.name).await? else {
            return self.create().await;
        };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let spec = lease.spec.get_or_insert_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if holder != self.identity && !holder.is_empty() && !self.has_run_out(version, spec) {
            return Ok(None);
        }
        let now = MicroTime(Timestamp::now());
        if holder != self.identity {
            spec.holder_identity = Some(self.identity.clone());
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions =
                Some(spec.lease_transitions.unwrap_or_default().saturating_add(1));
        }
        spec.lease_duration_seconds = seconds(LEASE_DURATION);
        spec.renew_time = Some(now);
        let number = i64::from(spec.lease_transitions.unwrap_or_default());
        // A conflict is no loss: the next look tells who wrote.
        self.replace(&lease).await.map(|()| Some(number))
    }

    /// Whether a Lease of somebody else has not changed for as long as it says it lasts.
    fn has_run_out(&mut self, version: String, spec: &LeaseSpec) -> bool {
        let lasts = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(LEASE_DURATION, Duration::from_secs);
        match &self.seen {
            Some((seen, since)) if *seen == version => since_boot().saturating_sub(*since) >= lasts,
            _ => {
                self.seen = Some((version, since_boot()));
                false
            }
        }
    }

    async fn create(&self) -> Result<Option<i64>, kube::Error> {
        let now = MicroTime(Timestamp::now());
        let lease = Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_duration_seconds: seconds(LEASE_DURATION),
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            }),
        };
        match self.leases.create(&Self::params(), &lease).await {
            Ok(_) => Ok(Some(0)),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the Lease as a whole; its `resourceVersion` keeps two writers apart.
    async fn replace(&self, lease: &Lease) -> Result<(), kube::Error> {
        self.leases.replace(&self.name, &Self::params(), lease).await.map(drop)
    }

    fn params() -> PostParams {
        PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
    }
}

fn seconds(duration: Duration) -> Option<i32> {
    i32::try_from(duration.as_secs()).ok()
}

/// Why the Lease could not be read or written.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("no answer from the API server")]
    Timeout,
}

/// A renewal that hangs must not outlast the deadline.
async fn bounded<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, LeaseError> {
    tokio::time::timeout(RENEW_DEADLINE / 2, call)
        .await
        .map_err(|_| LeaseError::Timeout)?
        .map_err(LeaseError::Api)
}
