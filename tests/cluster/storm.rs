//! Fifty credentials renewed every few seconds, and a workload that uses all of them, while something goes wrong.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::api::{Patch, PatchParams};
use oauth_keeper_test_support::authorization_server::{AuthorizationServer, LineageState};
use oauth_keeper_test_support::credentials::condition;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::env::Env;
use crate::fleet::Fleet;
use crate::kept::Kept;
use crate::oracle;
use crate::release::Release;
use crate::stage::Stage;
use crate::workload;

const SIZE: usize = 50;
/// The kubelet of these tests brings a renewed token into a pod after two seconds or so; by default it takes up to 90.
/// What is left of a token's life bridges the longest pause there is in renewing: a lease that has to run out (15 s),
/// and on a busy machine much more.
const LIFETIME: Duration = Duration::from_secs(120);
/// So that it is renewed each six seconds.
const RENEW_BEFORE: &str = "114s";
/// So many requests are under way at once at one host: a quarter of the chart's `concurrency`.
const UNDER_WAY: u64 = 8;
/// For the whole fleet to go on after something went wrong.
const LIMIT: Duration = Duration::from_secs(120);

/// The end of a process that was killed.
pub struct Death {
    /// What it had in safe places.
    pub kept: Kept,
    /// How many requests of it had no answer yet.
    pub asked: u64,
    /// When another began to lead. Whatever the server was asked before, the dead one asked.
    pub successor: SystemTime,
}

impl Death {
    /// Whether the newest token was in no hands but those of the dead: the server had sent it or was sending it, and it was
    /// neither in the journal nor in the state.
    fn took(&self, lineage: &LineageState) -> bool {
        let before = lineage.rotated_at.is_some_and(|rotated_at| rotated_at < self.successor);
        before && !self.kept.has(&lineage.newest)
    }
}

/// A fleet with a workload.
pub struct Storm {
    fleet: Fleet<Env>,
}

impl Storm {
    /// The server lets a spent token be used again for `window`; none is the strict server.
    pub async fn begin(env: &Arc<Env>, name: &str, window: Option<Duration>) -> Self {
        let stage = env.stage(name).await;
        let server = env.server(LIFETIME).await;
        server.set_reuse_window(window);
        let fleet = Fleet::new(stage, server, SIZE);
        let grace = format!("{}s", window.unwrap_or_default().as_secs());
        let often = json!({
            "renewal": {"renewBefore": RENEW_BEFORE},
            "provider": {"reuseGrace": grace},
        });
        fleet.begins(&often).await;
        workload::start(&fleet.stage, &fleet.server, &fleet.names).await;
        let storm = Self { fleet };
        storm.goes_on().await;
        storm
    }

    pub fn stage(&self) -> &Stage<Env> {
        &self.fleet.stage
    }

    /// It serves this fleet alone.
    pub fn server(&self) -> &AuthorizationServer {
        &self.fleet.server
    }

    /// How many requests it has not answered yet.
    pub fn at_the_server(&self) -> u64 {
        let counts = self.server().counts();
        counts.requests - counts.rotations - counts.refusals
    }

    /// Waits until every credential was renewed twice more, and the workload has used the outcome.
    pub async fn goes_on(&self) {
        self.goes_on_but_for(&(|_: &LineageState| false)).await;
    }

    async fn goes_on_but_for(&self, excused: &(impl Fn(&LineageState) -> bool + Sync)) {
        let begun = self.progress();
        wait::until_ok("the fleet goes on", LIMIT, || async {
            let lagging: Vec<&str> = begun
                .iter()
                .zip(self.progress())
                .zip(self.lineages())
                .filter(|((begun, now), _)| now.0 < begun.0 + 2 || now.1 < begun.1 + 1)
                .filter(|(_, (_, lineage))| !excused(lineage))
                .map(|(_, (name, _))| name.as_str())
                .collect();
            if lagging.is_empty() { Ok(()) } else { Err(lagging.join(" ")) }
        })
        .await;
    }

    /// For each credential: rotations, and different tokens that the workload has used.
    fn progress(&self) -> Vec<(u64, usize)> {
        let uses = self.fleet.server.uses();
        let used = |name: &String| uses.get(name).map_or(0, |used| used.tokens.len());
        self.lineages().map(|(name, lineage)| (lineage.rotations, used(name))).collect()
    }

    /// What the server knows of each credential. It serves this fleet alone, so they are in one order.
    fn lineages(&self) -> impl Iterator<Item = (&String, LineageState)> {
        let names = self.fleet.names.iter().enumerate();
        names.map(|(place, name)| (name, self.fleet.server.lineage(place)))
    }

    /// Ends it: nothing was lost or used twice, and at no time was a token in the workload's hands no good.
    pub async fn ends_well(self, release: &Release) {
        release.is_whole().await;
        self.rests().await;
        self.fleet.is_whole().await;
        for name in &self.fleet.names {
            self.had_no_gap(name);
        }
        let uses = self.fleet.server.uses();
        let oldest = uses.values().map(|used| used.oldest.as_secs()).max();
        eprintln!(
            "{}: {} rotations, and no token that a workload used was older than {} s",
            self.fleet.stage.namespace,
            self.fleet.server.counts().rotations,
            oldest.unwrap_or_default() + 1
        );
        self.ends().await;
    }

    /// Ends it where a process was killed: nothing was lost but what it took with it.
    pub async fn ends_well_but_for(self, release: &Release, death: &Death) {
        self.goes_on_but_for(&|lineage| death.took(lineage)).await;
        release.is_whole().await;
        self.rests().await;
        let mut lost = 0;
        for (name, lineage) in self.lineages() {
            let newest = oracle::newest(&self.fleet.stage, name).await;
            if newest != lineage.newest && death.took(&lineage) {
                assert!(death.kept.has_claim_of(name), "{name}: nothing was under way");
                lost += 1;
            } else {
                oracle::nothing_is_lost(&self.fleet.stage, name, &self.fleet.server).await;
                self.had_no_gap(name);
            }
        }
        eprintln!("{}: {lost} tokens that were under way were lost", self.fleet.stage.namespace);
        assert!(lost <= UNDER_WAY, "more are lost than were under way");
        assert!(lost >= death.asked, "{} answers found nobody", death.asked);
        // What was lost is tried once more before its access token expires, and a refusal is confirmed once.
        let reuses = self.fleet.server.counts().reuses;
        assert!(reuses <= 2 * lost, "{reuses} replaced tokens were sent");
        self.ends().await;
    }

    fn had_no_gap(&self, name: &str) {
        let uses = self.fleet.server.uses();
        let used = uses.get(name).unwrap_or_else(|| panic!("{name}: nobody used its tokens"));
        assert_eq!(used.refused, 0, "{name}: a token that was no good any more was mounted");
        assert!(used.oldest < LIFETIME, "{name}: {:?} is more than its life", used.oldest);
    }

    /// Has nothing renewed any more.
    async fn rests(&self) {
        let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
        let credentials = self.fleet.stage.credentials();
        for name in &self.fleet.names {
            let patched = credentials.patch(name, &PatchParams::default(), &suspend).await;
            patched.expect("it can be suspended");
        }
        for name in &self.fleet.names {
            let said = |status: &Value| condition(status, "Ready")["reason"] == "Suspended";
            self.fleet.stage.status_that(name, "is suspended", said).await;
        }
    }

    /// The namespace goes, with all that is in it.
    async fn ends(&self) {
        let control_plane = &self.fleet.stage.env.cluster.control_plane;
        control_plane
            .kubectl(&["delete", "namespace", &self.fleet.stage.namespace, "--timeout=120s"])
            .await;
    }
}
