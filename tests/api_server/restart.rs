//! The operator comes and goes; tokens don't notice.

use std::fs::DirEntry;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod as CorePod, ServiceAccount};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use oauth_keeper_test_support::http_server::Answer;
use oauth_keeper_test_support::operator::{Operator, OperatorOptions};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::gate::{Gate, field, rotated};
use crate::policy::Freeze;
use crate::stage::{
    HOUR, Neighbour, SOON, Stage, Watched, eager, quick, server, source_of, spec, started,
    state_of, with,
};
use crate::story::{NOT_COMMITTED, first_exchange, logged, second_exchange};

/// The same pod's containers, one after the other, share its UID.
const POD: &str = "pod-1";

/// Waits until the operator has looked at that many credentials and found nothing wrong.
async fn finds_fresh(operator: &Operator, count: usize) {
    let line = format!("oauth_keeper_credentials{{reason=\"Fresh\"}} {count}");
    wait::until_ok("all credentials were looked at", SOON, || async {
        let metrics = operator.metrics().await;
        if metrics.lines().any(|seen| seen == line) { Ok(()) } else { Err(metrics) }
    })
    .await;
}

pub async fn a_restart_renews_and_writes_nothing_that_is_in_order(env: Arc<Env>) {
    let stage = Stage::new(env, "restart").await;
    let server = server(HOUR).await;
    let operator = stage.operator().await;
    stage.refreshing("r", &server, eager(spec("r", &server.token_endpoint()))).await;
    stage.asking("a", &server, eager(spec("a", &server.token_endpoint()))).await;
    stage.ready("r").await;
    stage.ready("a").await;
    assert!(operator.stop().await.success());
    let before = stage.versions().await;

    for _ in 0..2 {
        let operator = stage.operator().await;
        finds_fresh(&operator, 2).await;
        // What a pass sets in motion, the end waits for.
        assert!(operator.stop().await.success());
    }

    assert_eq!(stage.versions().await, before);
    assert_eq!(server.counts().requests, 2);
}

pub async fn an_unrelated_edit_of_the_source_costs_nothing_after_a_restart(env: Arc<Env>) {
    let stage = Stage::new(env, "restart").await;
    let server = server(HOUR).await;
    let operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    for name in ["r", "a"] {
        let spec = eager(spec(name, &server.token_endpoint()));
        match name {
            "r" => drop(stage.refreshing(name, &server, spec).await),
            _ => stage.asking(name, &server, spec).await,
        }
        stage.ready(name).await;
        let label = json!({"metadata": {"labels": {"unrelated": "x"}}});
        stage.edit_secret(&source_of(name), &label).await;
    }
    neighbour.renewed_twice(&stage).await;
    operator.stop().await;

    let _operator = stage.operator().await;
    neighbour.renewed_twice(&stage).await;
    let requests = server.counts().requests;
    assert_eq!(requests, 2, "the client and the seed are the same");
}

pub async fn a_token_that_came_due_meanwhile_is_renewed(env: Arc<Env>) {
    let stage = Stage::new(env, "restart").await;
    let (short, long) = (server(Duration::from_secs(6)).await, server(HOUR).await);
    let operator = stage.operator().await;
    stage.refreshing("due", &short, quick(spec("due", &short.token_endpoint()))).await;
    stage.refreshing("idle", &long, quick(spec("idle", &long.token_endpoint()))).await;
    stage.ready("due").await;
    stage.ready("idle").await;
    operator.stop().await;
    let status = stage.status("due").await;
    let revision = status["target"]["revision"].as_i64().expect("it was ready");
    let due = status["nextRenewalTime"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    let due = due.expect("it is planned");
    wait::until("the renewal is due", SOON, || async { (Timestamp::now() > due).then_some(()) })
        .await;

    let _operator = stage.operator().await;

    stage.revision("due", revision + 1).await;
    stage.ready("due").await;
    assert_eq!(stage.status("idle").await["target"]["revision"], 1);
    assert_eq!((short.counts().reuses, long.counts().requests), (0, 1));
}

pub async fn an_edit_made_meanwhile_is_acted_on(env: Arc<Env>) {
    let stage = Stage::new(env, "restart").await;
    let server = server(HOUR).await;
    let operator = stage.operator().await;
    let spec = eager(spec("c", &server.token_endpoint()));
    stage.refreshing("c", &server, spec.clone()).await;
    stage.ready("c").await;
    operator.stop().await;
    stage.credential("c", with(spec, json!({"target": {"labels": {"team": "a"}}}))).await;
    let spoil = json!({"stringData": {"access_token": "spoiled"}});
    stage.edit_secret("c-target", &spoil).await;

    let _operator = stage.operator().await;

    stage.ready("c").await;
    let token = stage.state_record("c").await["accessToken"].clone();
    stage.target_holds("c", "access_token", token.as_str().expect("it is a text")).await;
    let labels = stage.secret("c-target").await.metadata.labels.unwrap_or_default();
    assert_eq!(labels["team"], "a");
    assert_eq!(server.counts().requests, 1);
}

/// Has the credential `c` redeem `refresh-1`; comes back while the server thinks.
async fn amid_an_exchange(stage: &Stage, gate: &mut Gate, options: OperatorOptions) -> Watched {
    let operator = started(options).await;
    first_exchange(stage, gate).await;
    second_exchange(stage, gate).await;
    operator
}

fn refresh_token(record: &Value) -> &str {
    record["refreshToken"].as_str().unwrap_or_default()
}

pub async fn sigterm_waits_for_the_commit(env: Arc<Env>) {
    let stage = Stage::new(env, "restart").await;
    let mut gate = Gate::start().await;
    let operator = amid_an_exchange(&stage, &mut gate, stage.options()).await;

    operator.terminate();
    logged(&operator, "stopping").await;
    // Still alive, and its probes are answered.
    let (status, _) = operator.admin_get("/livez").await.expect("it still answers");
    assert_eq!(status, 200);
    assert_eq!(operator.try_exit(), None);
    gate.answer(rotated("access-2", "refresh-2", HOUR));

    assert!(operator.exit(SOON).await.success());
    assert_eq!(refresh_token(&stage.state_record("c").await), "refresh-2");
    let state = stage.secret(&state_of("c")).await.data.unwrap_or_default();
    assert!(!state.contains_key("claim"));
    assert_eq!(gate.more_arrivals(), 0);

    let _operator = stage.operator().await;
    stage.revision("c", 2).await;
    stage.ready("c").await;
    stage.target_holds("c", "access_token", "access-2").await;
    assert_eq!(gate.more_arrivals(), 0);
}

pub async fn a_journaled_answer_is_committed_by_the_next_process(env: Arc<Env>) {
    let stage = Stage::new(env, "restart").await;
    let mut gate = Gate::start().await;
    let folder = Folder::new(&stage.namespace);
    let options = with_journal(&stage, &folder);
    let operator = amid_an_exchange(&stage, &mut gate, options.clone()).await;
    let freeze = Freeze::of(&stage, &state_of("c")).await;
    gate.answer(rotated("access-2", "refresh-2", HOUR));
    logged(&operator, NOT_COMMITTED).await;
    for file in files_of(&folder) {
        let meta = file.metadata().expect("it can be looked at");
        assert_eq!(meta.permissions().mode() & 0o077, 0, "others may not read {file:?}");
    }
    operator.kill();
    assert_eq!(refresh_token(&stage.state_record("c").await), "refresh-1");
    freeze.lift(&stage).await;

    let _operator = started(options).await;

    stage.revision("c", 2).await;
    stage.ready("c").await;
    assert_eq!(refresh_token(&stage.state_record("c").await), "refresh-2");
    stage.target_holds("c", "access_token", "access-2").await;
    assert_eq!(gate.more_arrivals(), 0, "nothing was asked again");
    wait::until("the journal is empty", SOON, || async {
        files_of(&folder).is_empty().then_some(())
    })
    .await;
}

fn files_of(folder: &Folder) -> Vec<DirEntry> {
    let entries = std::fs::read_dir(folder.text()).expect("the folder can be read");
    entries.map(|entry| entry.expect("the folder can be read")).collect()
}

fn with_journal(stage: &Stage, folder: &Folder) -> OperatorOptions {
    stage.options().env("POD_UID", POD).arg("--journal-dir").arg(&folder.text())
}

pub async fn an_exchange_cut_by_a_kill_is_made_again(env: Arc<Env>) {
    let stage = Stage::new(env, "restart").await;
    let mut gate = Gate::start().await;
    let folder = Folder::new(&stage.namespace);
    let options = with_journal(&stage, &folder);
    let operator = amid_an_exchange(&stage, &mut gate, options.clone()).await;
    operator.kill();
    gate.answer(Answer::close());

    let _operator = started(options).await;

    // The claim was made by this pod, whose earlier process is dead: nobody need wait for it.
    let request = gate.arrival().await;
    assert_eq!(field(&request, "refresh_token").as_deref(), Some("refresh-1"));
    gate.answer(rotated("access-2", "refresh-2", HOUR));
    stage.revision("c", 2).await;
    stage.ready("c").await;
    assert_eq!(refresh_token(&stage.state_record("c").await), "refresh-2");
}

pub async fn a_claim_is_respected_as_long_as_its_pod_is_there(env: Arc<Env>) {
    let stage = Stage::new(env, "restart").await;
    let mut gate = Gate::start().await;
    // The operator may look at pods where it runs itself.
    let home = stage.env.operator.namespace.clone();
    let pod = Pod::start(&stage.client, &home, &stage.namespace).await;
    let options = stage.options().env("POD_UID", &pod.uid).env("POD_NAME", &pod.name);
    let options = options.env("POD_NAMESPACE", &home);
    let operator = amid_an_exchange(&stage, &mut gate, options).await;
    operator.kill();
    gate.answer(Answer::close());

    let _operator = started(stage.options().env("POD_UID", "pod-2")).await;
    let neighbour = Neighbour::on(&stage).await;
    neighbour.renewed_twice(&stage).await;
    assert_eq!(gate.more_arrivals(), 0, "its pod is there, so that it may be at it");

    pod.delete().await;
    let request = gate.arrival().await;
    assert_eq!(field(&request, "refresh_token").as_deref(), Some("refresh-1"));
    gate.answer(rotated("access-2", "refresh-2", HOUR));
    stage.revision("c", 2).await;
    stage.ready("c").await;
}

/// A pod that no node runs.
struct Pod {
    pods: Api<CorePod>,
    name: String,
    uid: String,
}

impl Pod {
    async fn start(client: &Client, namespace: &str, name: &str) -> Self {
        let account: ServiceAccount =
            serde_json::from_value(json!({"metadata": {"name": "default"}})).expect("it is one");
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
        // Another test may have made it, or the control plane.
        let _ = accounts.create(&PostParams::default(), &account).await;
        let pod = json!({
            "metadata": {"name": name},
            "spec": {
                "automountServiceAccountToken": false,
                "containers": [{"name": "operator", "image": "none"}],
            },
        });
        let pods: Api<CorePod> = Api::namespaced(client.clone(), namespace);
        let pod = serde_json::from_value(pod).expect("it is a pod");
        let pod = pods.create(&PostParams::default(), &pod).await.expect("it can be made");
        let uid = pod.metadata.uid.expect("it has one");
        Self { pods, name: name.to_owned(), uid }
    }

    async fn delete(&self) {
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        self.pods.delete(&self.name, &at_once).await.expect("it can be deleted");
    }
}
