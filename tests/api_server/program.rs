//! The program around the work: flags and environment, probes, metrics, and what it says when it can't start.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Output;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use oauth_keeper_test_support::authorization_server::AuthorizationServer;
use oauth_keeper_test_support::operator::{Operator, OperatorOptions};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use tokio::process::Command;

use crate::folder::Folder;
use crate::stage::{HOUR, Neighbour, SOON, Stage, eager, quick, server, spec, started};

const PROGRAM: &str = env!("CARGO_BIN_EXE_oauth-keeper");

async fn asking(stage: &Stage, server: &AuthorizationServer) {
    stage.asking("c", server, eager(spec("c", &server.token_endpoint()))).await;
}

pub async fn the_namespaces_given_are_watched_and_no_other(env: Arc<Env>) {
    let (first, second) =
        (Stage::new(Arc::clone(&env), "one").await, Stage::new(Arc::clone(&env), "two").await);
    let other = Stage::new(env, "other").await;
    let server = server(HOUR).await;
    let namespaces = format!("{},{}", first.namespace, second.namespace);
    let mut options = first.options().env("OAUTH_KEEPER_NAMESPACE", &namespaces);
    options.namespaces.clear();
    let _operator = started(options).await;
    for stage in [&other, &first, &second] {
        asking(stage, &server).await;
    }

    first.ready("c").await;
    second.ready("c").await;
    Neighbour::on(&second).await.renewed_twice(&second).await;
    assert!(other.status("c").await.is_null());
    assert_eq!(server.counts().requests, 2);
}

/// Alone, for it looks at what other tests left.
pub async fn without_a_namespace_all_are_watched(env: Arc<Env>) {
    let (first, second) = (Stage::new(Arc::clone(&env), "one").await, Stage::new(env, "two").await);
    let server = server(HOUR).await;
    asking(&first, &server).await;
    let mut options = first.options();
    options.namespaces.clear();
    let operator = started(options).await;
    asking(&second, &server).await;

    first.ready("c").await;
    second.ready("c").await;
    assert!(operator.stop().await.success());
}

pub async fn without_rights_it_is_alive_and_not_ready(env: Arc<Env>) {
    let stage = Stage::new(env, "rights").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let name = Some("nobody".to_owned());
    let account = ServiceAccount {
        metadata: ObjectMeta { name, ..ObjectMeta::default() },
        ..ServiceAccount::default()
    };
    accounts.create(&PostParams::default(), &account).await.expect("it can be made");
    let mut options = stage.options();
    options.kubeconfig =
        stage.env.control_plane.service_account_kubeconfig(&stage.namespace, "nobody").await;

    let operator = Operator::start(options).await;

    wait::until("it says what is missing", SOON, || async {
        operator.log().contains("cannot list resource").then_some(())
    })
    .await;
    let status = async |path| operator.admin_get(path).await.map(|(status, _)| status.as_u16());
    assert_eq!((status("/livez").await, status("/readyz").await), (Ok(200), Ok(503)));
    assert!(operator.stop().await.success());
}

pub async fn metrics_tell_what_happened(env: Arc<Env>) {
    let stage = Stage::new(env, "metrics").await;
    let server = server(std::time::Duration::from_secs(4)).await;
    let operator = stage.operator().await;
    stage.refreshing("c", &server, quick(spec("c", &server.token_endpoint()))).await;
    stage.revision("c", 3).await;
    stage.credential("lost", spec("lost", &server.token_endpoint())).await;
    stage.condition("lost", "Ready", "False", "SourceNotFound").await;

    let metrics = operator.metrics().await;
    let value = |name: &str| {
        let mut lines = metrics.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(known, _)| *known == format!("oauth_keeper_{name}"));
        found
            .and_then(|(_, value)| value.parse::<f64>().ok())
            .unwrap_or_else(|| panic!("{name} in\n{metrics}"))
    };
    assert!(value("exchanges_total{reason=\"Fresh\"}") >= 3.0);
    assert!(value("rotations_total") >= 3.0);
    assert!(value("token_request_seconds_count") >= 3.0);
    assert!(value("renewal_lateness_seconds_count") >= 2.0);
    assert!(value("renewal_lateness_seconds_sum") < 10.0);
    assert!(value("credentials{reason=\"Fresh\"}") >= 1.0);
    assert!(value("credentials{reason=\"SourceNotFound\"}") >= 1.0);
    assert!(value("leading") >= 1.0);
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");

    // What is gone is no longer counted.
    stage.credentials().delete("lost", &DeleteParams::default()).await.expect("it can be deleted");
    wait::until_ok("it is not counted", SOON, || async {
        let metrics = operator.metrics().await;
        let line = "oauth_keeper_credentials{reason=\"SourceNotFound\"} 0";
        if metrics.lines().any(|seen| seen == line) { Ok(()) } else { Err(metrics) }
    })
    .await;
}

/// Proxies are for browsers: a token request goes where its credential says.
pub async fn proxies_of_the_environment_are_not_used(env: Arc<Env>) {
    let stage = Stage::new(env, "proxy").await;
    let server = server(HOUR).await;
    let _operator = started(stage.options().env("ALL_PROXY", "http://127.0.0.1:1")).await;
    asking(&stage, &server).await;
    stage.ready("c").await;
}

async fn run(options: &OperatorOptions, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env("KUBECONFIG", &options.kubeconfig);
    let output = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(SOON, output).await.expect("it ends at once");
    output.expect("it starts")
}

pub async fn wrong_flags_are_told(env: Arc<Env>) {
    let stage = Stage::new(env, "flags").await;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let taken = taken.local_addr().map(|address| (taken, address.to_string())).expect("it has one");
    let folder = Folder::new(&stage.namespace);
    let file = format!("{}/file", folder.text());
    std::fs::write(&file, "").expect("it can be written");
    let rows: [(&[&str], &str); 7] = [
        (&["--log-level", ",,="], "--log-level: "),
        (&["--admin-address", &taken.1], "--admin-address "),
        (&["--admin-address", "localhost"], "invalid value 'localhost' for '--admin-address"),
        (&["--admin-address", "127.0.0.1:0", "--journal-dir", &file], "--journal-dir: "),
        (
            &["--admin-address", "127.0.0.1:0", "--proxy", "socks5://u:p@proxy"],
            "--proxy must be an http",
        ),
        (&["--concurrency", "0"], "invalid value '0' for '--concurrency"),
        (&["--leader-election", "perhaps"], "invalid value 'perhaps' for '--leader-election"),
    ];
    for (flags, words) in rows {
        let output = run(&stage.options(), &[&["run"], flags].concat()).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{flags:?}");
        assert!(said.contains(words), "{flags:?}: {said}");
    }
    let mut nowhere = stage.options();
    nowhere.kubeconfig = folder.text().into();
    let output = run(&nowhere, &["run", "--admin-address", "127.0.0.1:0"]).await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("no access to a cluster"));

    let version = run(&stage.options(), &["--version"]).await.stdout;
    let expected = format!("oauth-keeper {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&version), expected);
}

pub async fn logs_are_for_machines_or_for_people(env: Arc<Env>) {
    let stage = Stage::new(env, "logs").await;
    let server = server(HOUR).await;
    let operator = stage.operator().await;
    stage.credential("c", spec("c", &server.token_endpoint())).await;
    stage.condition("c", "Ready", "False", "SourceNotFound").await;
    operator.stop().await;
    for line in operator.log().lines() {
        let event: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(event["message"].is_string() && event["timestamp"].is_string(), "{event}");
    }
    let output =
        run(&stage.options(), &["run", "--log-format", "text", "--journal-dir", "/dev/null/x"])
            .await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(serde_json::from_str::<serde_json::Value>(&said).is_err(), "{said}");
}
