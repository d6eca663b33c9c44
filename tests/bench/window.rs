//! What happens between two moments: requests, CPU time, tokens issued.

use std::time::{Duration, Instant};

use oauth_keeper_test_support::authorization_server::{AuthorizationServer, Counts};
use oauth_keeper_test_support::control_plane::ControlPlane;

use crate::api_requests::{Background, Requests};
use crate::process_cost;

/// Where to read.
pub(crate) struct Sources<'a> {
    pub(crate) control_plane: &'a ControlPlane,
    pub(crate) server: &'a AuthorizationServer,
    /// The operator's process id; none while it does not run.
    pub(crate) operator: Option<u32>,
}

/// CPU time by program.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) operator: Duration,
    pub(crate) api_server: Duration,
    pub(crate) etcd: Duration,
}

/// All counters at the first moment.
pub(crate) struct Window<'a> {
    sources: Sources<'a>,
    begun: Instant,
    requests: Requests,
    counts: Counts,
    cpu: Cpu,
}

/// What happened.
pub(crate) struct Spent {
    pub(crate) time: Duration,
    /// Without those the API server makes of itself.
    pub(crate) requests: Requests,
    pub(crate) token_requests: u64,
    pub(crate) token_sets: u64,
    pub(crate) cpu: Cpu,
}

impl<'a> Window<'a> {
    /// The first moment.
    pub(crate) async fn open(sources: Sources<'a>) -> Self {
        Self {
            begun: Instant::now(),
            requests: Requests::read(sources.control_plane).await,
            counts: sources.server.counts(),
            cpu: sources.cpu().await,
            sources,
        }
    }

    /// The second moment.
    pub(crate) async fn close(self, background: &Background) -> Spent {
        let time = self.begun.elapsed();
        let (cpu, counts) = (self.sources.cpu().await, self.sources.server.counts());
        let requests = Requests::read(self.sources.control_plane).await;
        Spent {
            time,
            requests: requests.since(&self.requests).without(background, time),
            token_requests: counts.requests - self.counts.requests,
            token_sets: counts.issued - self.counts.issued,
            cpu: Cpu {
                operator: cpu.operator.saturating_sub(self.cpu.operator),
                api_server: cpu.api_server.saturating_sub(self.cpu.api_server),
                etcd: cpu.etcd.saturating_sub(self.cpu.etcd),
            },
        }
    }
}

impl Sources<'_> {
    async fn cpu(&self) -> Cpu {
        let of = |pid: Option<u32>| pid.map(process_cost::cpu).unwrap_or_default();
        Cpu {
            operator: of(self.operator),
            api_server: of(self.control_plane.api_server_pid().await),
            etcd: of(Some(self.control_plane.etcd_pid())),
        }
    }
}
