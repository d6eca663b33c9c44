//! Two operators side by side: one leads, and no refresh token is ever used twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oauth_keeper_test_support::authorization_server::AuthorizationServer;
use oauth_keeper_test_support::chart::{self, OperatorRights};
use oauth_keeper_test_support::operator::{Operator, OperatorOptions};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::json;

use crate::gate::{Gate, rotated};
use crate::stage::{HOUR, SOON, Stage, Watched, eager, quick, server, spec, started, with};
use crate::story::{committed, first_exchange, logged, mended, second_exchange};

/// How long a lease lasts after the last renewal, as others see it.
const LEASE: Duration = Duration::from_secs(15);

/// A namespace with a release of the chart of its own, for it has a Lease of its own.
struct Pair {
    stage: Stage,
    rights: OperatorRights,
    server: AuthorizationServer,
}

impl Pair {
    async fn new(env: Arc<Env>, lifetime: Duration) -> Self {
        let stage = Stage::new(env, "leader").await;
        let control_plane = &stage.env.control_plane;
        let rights = chart::install_operator_rights(control_plane, &stage.namespace).await;
        let server = server(lifetime).await;
        Self { stage, rights, server }
    }

    /// A process as in a pod of that name. Standing by is as ready as leading.
    async fn operator(&self, pod: &str) -> Watched {
        let binary = env!("CARGO_BIN_EXE_oauth-keeper");
        let options = OperatorOptions::new(binary, &self.rights.kubeconfig)
            .namespace(&self.stage.namespace)
            .arg("--lease-name")
            .arg(&self.rights.lease_name)
            .env("POD_NAME", pod)
            .env("POD_UID", pod);
        started(options).await
    }

    async fn refreshing(&self, name: &str) {
        let spec = quick(spec(name, &self.server.token_endpoint()));
        self.stage.refreshing(name, &self.server, spec).await;
        self.stage.ready(name).await;
    }

    /// Waits until it was renewed that often since.
    async fn renewed(&self, name: &str, times: i64) {
        let status = self.stage.status(name).await;
        let revision = status["target"]["revision"].as_i64().expect("it was ready");
        self.stage.revision(name, revision + times).await;
    }
}

async fn metric(operator: &Operator, line: &str) -> bool {
    operator.metrics().await.lines().any(|seen| seen == line)
}

async fn leads(operator: &Operator) -> bool {
    metric(operator, "oauth_keeper_leading 1").await
}

async fn comes_to_lead(operator: &Operator, limit: Duration) {
    wait::until("it leads", limit, || async { leads(operator).await.then_some(()) }).await;
    operator.ready().await;
}

async fn has_sent_nothing(operator: &Operator) -> bool {
    let metrics = operator.metrics().await;
    !metrics.lines().any(|line| line.starts_with("oauth_keeper_exchanges_total{"))
}

pub async fn one_of_two_works_and_hands_over_at_its_end(env: Arc<Env>) {
    let pair = Pair::new(env, Duration::from_secs(4)).await;
    let first = pair.operator("one").await;
    comes_to_lead(&first, SOON).await;
    let second = pair.operator("two").await;
    for name in ["a", "b", "c"] {
        pair.refreshing(name).await;
    }
    pair.renewed("a", 2).await;
    assert!(!leads(&second).await && has_sent_nothing(&second).await);

    let ended = Instant::now();
    assert!(first.stop().await.success());
    comes_to_lead(&second, SOON).await;
    // The lease was given up, and need not run out.
    assert!(ended.elapsed() + Duration::from_secs(3) < LEASE, "{:?}", ended.elapsed());

    for name in ["a", "b", "c"] {
        pair.renewed(name, 2).await;
    }
    let counts = pair.server.counts();
    assert_eq!((counts.reuses, counts.refusals), (0, 0));
    assert!(second.stop().await.success());
}

pub async fn a_killed_leader_is_followed_when_its_lease_has_run_out(env: Arc<Env>) {
    let pair = Pair::new(env, HOUR).await;
    let first = pair.operator("one").await;
    comes_to_lead(&first, SOON).await;
    let second = pair.operator("two").await;
    pair.refreshing("c").await;
    first.kill();
    let killed = Instant::now();
    // Work for whoever leads next.
    let spec = eager(spec("c", &pair.server.token_endpoint()));
    pair.stage.credential("c", with(spec, json!({"scopes": ["more"]}))).await;

    comes_to_lead(&second, LEASE * 2).await;

    // The last renewal was up to two seconds old when the leader died.
    assert!(killed.elapsed() + Duration::from_secs(4) > LEASE, "{:?}", killed.elapsed());
    pair.stage.revision("c", 2).await;
    let counts = pair.server.counts();
    assert_eq!((counts.requests, counts.reuses), (2, 0));
}

pub async fn a_leader_that_was_frozen_past_its_lease_ends(env: Arc<Env>) {
    let pair = Pair::new(env, Duration::from_secs(8)).await;
    let first = pair.operator("one").await;
    comes_to_lead(&first, SOON).await;
    let second = pair.operator("two").await;
    for name in ["a", "b"] {
        pair.refreshing(name).await;
    }
    // Right after a renewal, so that none is under way.
    pair.renewed("b", 1).await;
    pair.renewed("a", 1).await;
    first.pause();

    comes_to_lead(&second, LEASE * 2).await;
    for name in ["a", "b"] {
        pair.renewed(name, 1).await;
    }
    let issued = pair.server.counts().issued;
    // By all it knows, its tokens have been due for long.
    first.resume();
    let status = first.exit(SOON).await;

    assert!(!status.success(), "{status}");
    assert!(first.log().contains("the lease was lost"), "{}", first.log());
    for name in ["a", "b"] {
        pair.renewed(name, 1).await;
    }
    let counts = pair.server.counts();
    assert_eq!((counts.reuses, counts.refusals), (0, 0));
    let revisions = async |name| pair.stage.state_record(name).await["generation"].as_u64();
    let revisions = revisions("a").await.zip(revisions("b").await);
    assert!(counts.issued > issued);
    // Whatever was issued was committed: nobody else asked.
    assert_eq!(revisions.map(|(a, b)| a + b), Some(counts.issued));
}

/// Alone, for the API server stands still.
pub async fn a_leader_that_cannot_renew_ends_when_all_is_committed(env: Arc<Env>) {
    let pair = Pair::new(env, HOUR).await;
    let mut gate = Gate::start().await;
    let operator = pair.operator("one").await;
    comes_to_lead(&operator, SOON).await;
    first_exchange(&pair.stage, &mut gate).await;
    second_exchange(&pair.stage, &mut gate).await;

    let control_plane = &pair.stage.env.control_plane;
    control_plane.pause_api_server().await;
    let cut_off = async {
        gate.answer(rotated("access-2", "refresh-2", HOUR));
        logged(&operator, "no more token requests").await;
        assert_eq!(operator.try_exit(), None, "it has something to keep");
    };
    mended(cut_off, control_plane.resume_api_server()).await;

    let status = operator.exit(SOON).await;
    assert!(!status.success(), "{status}");
    assert!(operator.log().contains("the lease was lost"), "{}", operator.log());
    committed(&pair.stage, "refresh-2").await;
    assert_eq!(gate.more_arrivals(), 0);
}

pub async fn an_operator_without_the_lease_is_refused_nothing_else(env: Arc<Env>) {
    let pair = Pair::new(env, HOUR).await;
    let stage = &pair.stage;
    // The rights of the chart name one Lease; another can't be taken.
    let options = OperatorOptions::new(env!("CARGO_BIN_EXE_oauth-keeper"), &pair.rights.kubeconfig)
        .namespace(&stage.namespace)
        .arg("--lease-name")
        .arg("another");
    let operator = started(options).await;
    wait::until("it says why it does not lead", SOON, || async {
        operator.log().contains("lease not read or written").then_some(())
    })
    .await;
    assert!(!leads(&operator).await);
    assert!(operator.stop().await.success());
}
