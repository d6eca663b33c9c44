//! The chart on a real API server, and what its account may do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::process::Process;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::{chart, tools};

use crate::stage::Stage;

/// Packing and rendering some hundred times.
const LIMIT: Duration = Duration::from_secs(240);

pub async fn its_renderings_are_taken(env: Arc<Env>) {
    let stage = Stage::new(env, "chart").await;
    let mut command =
        std::process::Command::new(tools::repository_root().join("tests/chart/render"));
    command.env("KUBECONFIG", stage.env.control_plane.admin_kubeconfig());
    let log = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("chart-render.log");
    let render = Process::start("tests/chart/render", &command, &log);
    let status = render.exit(LIMIT).await;
    assert!(status.success(), "{status}\n{}", render.log());
}

/// What everybody may do: ask who they are and what they may.
const EVERYBODY: [&str; 4] = [
    "selfsubjectaccessreviews.authorization.k8s.io [] [create]",
    "selfsubjectreviews.authentication.k8s.io [] [create]",
    "selfsubjectrulesreviews.authorization.k8s.io [] [create]",
    // Signing keys and versions are public.
    "clustertrustbundles.certificates.k8s.io [] [get list watch]",
];

/// The rights on resources of an account in a namespace: resource, names, verbs.
async fn rights(stage: &Stage, account: &str, namespace: &str) -> BTreeSet<String> {
    let account = format!("--as=system:serviceaccount:{account}");
    let arguments = ["auth", "can-i", "--list", "--no-headers", &account, "-n", namespace];
    let table = stage.env.control_plane.kubectl(&arguments).await;
    let rows = table.lines().filter_map(|line| {
        // Resource, URLs, names, verbs; without a resource the row is about URLs.
        let (resource, rest) = line.split_once(char::is_whitespace)?;
        let (_, rest) = rest.split_once(']')?;
        (!resource.is_empty()).then(|| {
            format!("{resource} {}", rest.split_whitespace().collect::<Vec<_>>().join(" "))
        })
    });
    rows.filter(|row| !EVERYBODY.contains(&row.as_str())).collect()
}

fn golden(rows: &[&str]) -> BTreeSet<String> {
    rows.iter().map(|row| (*row).to_owned()).collect()
}

const EVERYWHERE: [&str; 5] = [
    "events.events.k8s.io [] [create]",
    "namespaces [] [get]",
    "oauthcredentials.oauth-keeper.dev [] [get list watch patch]",
    "oauthcredentials.oauth-keeper.dev/status [] [patch]",
    "secrets [] [get list watch create patch delete]",
];

pub async fn the_operator_may_do_this_and_no_more(env: Arc<Env>) {
    let stage = Stage::new(env, "chart").await;
    let operator = &stage.env.operator;
    let account = format!("{}:{}", operator.namespace, operator.service_account);
    assert_eq!(rights(&stage, &account, &stage.namespace).await, golden(&EVERYWHERE));

    let lease = format!("leases.coordination.k8s.io [{}] [get update]", operator.lease_name);
    let at_home: BTreeSet<_> = golden(&EVERYWHERE)
        .into_iter()
        .chain(golden(&["leases.coordination.k8s.io [] [create]", "pods [] [get]", &lease]))
        .collect();
    assert_eq!(rights(&stage, &account, &operator.namespace).await, at_home);
}

pub async fn limited_to_namespaces_it_may_do_nothing_elsewhere(env: Arc<Env>) {
    let stage = Stage::new(Arc::clone(&env), "chart").await;
    let (watched, other) =
        (env.control_plane.namespace("watched").await, Stage::new(env, "other").await);
    let values = format!("watchNamespaces={{{watched}}}");
    let control_plane = &stage.env.control_plane;
    let operator =
        chart::install_operator_rights_with(control_plane, &stage.namespace, &[&values]).await;
    let account = format!("{}:{}", operator.namespace, operator.service_account);
    assert_eq!(rights(&stage, &account, &watched).await, golden(&EVERYWHERE));
    assert_eq!(rights(&stage, &account, &other.namespace).await, BTreeSet::new());
}
