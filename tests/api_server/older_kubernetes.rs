//! A cluster that is older than supported: the API server is of a supported version, and says otherwise.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::helm::Helm;
use oauth_keeper_test_support::lossy_api::LossyApi;
use oauth_keeper_test_support::operator::OperatorOptions;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::{chart, wait};
use serde_json::{Value, json};

use crate::stage::{SOON, Stage, quick, server, spec, started};

const OLDER: &str = "v1.29.15";
/// As the log and the chart name the oldest that is supported.
const OLDEST: &str = "1.33";

/// The way to it for a client with that kubeconfig.
async fn older(env: &Env, kubeconfig: &Path) -> LossyApi {
    let api = LossyApi::start(&env.control_plane, kubeconfig, &env.operator.namespace).await;
    let version = json!({
        "major": "1",
        "minor": "29",
        "gitVersion": OLDER,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2025-03-11T00:00:00Z",
        "goVersion": "go1.22.12",
        "compiler": "gc",
        "platform": "linux/amd64",
    });
    api.reply("/version", &version);
    api
}

/// The operator may do what it can there.
pub async fn is_told_of_once_and_worked_with(env: Arc<Env>) {
    let stage = Stage::new(env, "older").await;
    let api = older(&stage.env, &stage.env.operator.kubeconfig).await;
    let options = OperatorOptions::new(env!("CARGO_BIN_EXE_oauth-keeper"), api.kubeconfig());
    let operator =
        started(options.namespace(&stage.namespace).arg("--leader-election=false")).await;
    let told = || {
        let mut events = operator.log_events();
        events.retain(|event| event["kubernetes"].is_string());
        events
    };
    wait::until("the version is told of", SOON, || async { (!told().is_empty()).then_some(()) })
        .await;

    let server = server(Duration::from_secs(3)).await;
    stage.refreshing("one", &server, quick(spec("one", &server.token_endpoint()))).await;
    stage.revision("one", 3).await;
    assert_eq!((server.counts().reuses, server.counts().refusals), (0, 0));

    let told = told();
    let [warning] = &told[..] else { panic!("it is told of once: {told:?}") };
    assert_eq!(warning["level"], "WARN");
    assert_eq!(warning["kubernetes"], OLDER);
    assert!(message(warning).ends_with(&format!("supported one, {OLDEST}")), "{warning}");
}

fn message(event: &Value) -> &str {
    event["message"].as_str().unwrap_or_default()
}

pub async fn gets_no_release(env: Arc<Env>) {
    let api = older(&env, env.control_plane.admin_kubeconfig()).await;
    let namespace = env.control_plane.namespace("older-release").await;
    let folder = chart::folder();
    let folder = folder.to_str().expect("the path is text");
    for helm in [Helm::Three, Helm::Four] {
        for how in [&["install"][..], &["upgrade", "--install"]] {
            let arguments = [how, &["any", folder, "--namespace", &namespace]].concat();
            let refusal = helm.run(api.kubeconfig(), &arguments).await.expect_err("it is too old");
            for word in [OLDEST, OLDER] {
                assert!(refusal.contains(word), "{helm:?}: {refusal}");
            }
        }
    }
    // Not even the record of one that failed.
    let made = ["get", "secrets,deployments", "--namespace", &namespace, "--output=name"];
    assert_eq!(env.control_plane.kubectl(&made).await, "");
}
