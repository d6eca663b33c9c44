//! Things that go wrong, at random but as the seed says.

use std::time::{Duration, Instant};

use fastrand::Rng;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::diary::{Diary, Kind};
use crate::fleet::Fleet;
use crate::replica::Replicas;
use crate::stage::Stage;

/// Kinds of faults and how often each comes, in relation to each other.
const WEIGHTS: [(Kind, u32); 7] = [
    (Kind::Kill, 8),
    (Kind::PodLoss, 2),
    (Kind::Freeze, 4),
    (Kind::Cut, 8),
    (Kind::ApiServer, 1),
    (Kind::LeaseDeleted, 2),
    (Kind::LeaseStolen, 2),
];
/// From one fault to the next, in milliseconds.
const PAUSE: std::ops::Range<u64> = 500..6000;
/// A freeze, in milliseconds: shorter or longer than a token may be sent after its claim.
const FREEZE: std::ops::Range<u64> = 500..9000;
/// Answers cut in a row.
const CUTS: std::ops::Range<usize> = 1..8;
/// An answer is this long, head included, or less.
const ANSWER: usize = 500;

pub struct Faults<'a> {
    rng: Rng,
    stage: &'a Stage,
    replicas: &'a Replicas,
    fleet: &'a Fleet,
    diary: Diary,
    leases: Api<Lease>,
}

impl<'a> Faults<'a> {
    pub fn new(
        seed: u64,
        stage: &'a Stage,
        replicas: &'a Replicas,
        fleet: &'a Fleet,
        diary: Diary,
    ) -> Self {
        let leases = Api::namespaced(stage.client.clone(), &stage.namespace);
        Self { rng: Rng::with_seed(seed), stage, replicas, fleet, diary, leases }
    }

    /// One after the other; none begins after that time.
    pub async fn until(&mut self, end: Instant) {
        while Instant::now() < end {
            let kind = self.kind();
            self.befall(kind).await;
            tokio::time::sleep(Duration::from_millis(self.rng.u64(PAUSE))).await;
        }
    }

    fn kind(&mut self) -> Kind {
        let all: u32 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut left = self.rng.u32(0..all);
        for (kind, weight) in WEIGHTS {
            if left < weight {
                return kind;
            }
            left -= weight;
        }
        Kind::Kill
    }

    async fn befall(&mut self, kind: Kind) {
        let replica = self.rng.usize(0..2);
        match kind {
            Kind::Kill => self.replicas.kill(replica).await,
            Kind::PodLoss => self.replicas.lose(replica).await,
            Kind::Freeze => {
                let time = Duration::from_millis(self.rng.u64(FREEZE));
                self.replicas.freeze(replica, time).await;
            }
            Kind::Cut => {
                let (answers, bytes) = (self.rng.usize(CUTS), self.rng.usize(0..ANSWER));
                self.diary.note(kind);
                self.fleet.cut(answers, bytes);
            }
            Kind::ApiServer => self.crash_api_server().await,
            Kind::LeaseDeleted => {
                self.diary.note(kind);
                // It may be gone already.
                let _ =
                    self.leases.delete(self.replicas.lease_name(), &DeleteParams::default()).await;
            }
            Kind::LeaseStolen => {
                self.diary.note(kind);
                let thief = json!({"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 2}});
                let (params, patch) = (PatchParams::default(), Patch::Merge(&thief));
                // It may be gone.
                let _ = self.leases.patch(self.replicas.lease_name(), &params, &patch).await;
            }
        }
    }

    async fn crash_api_server(&mut self) {
        let control_plane = &self.stage.env.control_plane;
        let spell = self.diary.begin(Kind::ApiServer);
        control_plane.kill_api_server().await;
        tokio::time::sleep(Duration::from_millis(self.rng.u64(PAUSE))).await;
        control_plane.start_api_server().await;
        self.diary.end(spell);
    }
}
