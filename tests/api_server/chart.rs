//! The chart on a real API server, and what its account may do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::process::Process;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::{chart, tools};

use crate::stage::Stage;

/// Rendering a hundred times, on a machine that other tests keep busy.
const LIMIT: Duration = Duration::from_secs(600);

/// Those that have every kind and every field, for a server whose version alone may make a difference.
const FEW: [&str; 5] = ["defaults", "namespaces", "guarded-guest", "many-values", "openshift"];

pub async fn its_renderings_are_taken(env: Arc<Env>) {
    let stage = Stage::new(env, "chart").await;
    let mut command =
        std::process::Command::new(tools::repository_root().join("tests/chart/render-on-server"));
    command.env("KUBECONFIG", stage.env.control_plane.admin_kubeconfig());
    if std::env::var("TEST_KUBERNETES").is_ok_and(|version| !version.is_empty()) {
        command.args(FEW);
    }
    let log = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("chart-render.log");
    let render = Process::start("tests/chart/render-on-server", &command, &log);
    let status = render.exit(LIMIT).await;
    assert!(status.success(), "{status}\n{}", render.log());
}

/// Neither is seen in what the policies let through, nor in a cluster whose pods are well.
pub async fn what_guards_does_so_in_doubt(_: Arc<Env>) {
    let policies = chart::rendered("ValidatingAdmissionPolicy").await;
    assert!(!policies.is_empty());
    for policy in policies {
        // A credential that the API server can't judge is refused.
        assert_eq!(policy["spec"]["failurePolicy"], "Fail", "{}", policy["metadata"]["name"]);
    }
    let budgets = chart::rendered("PodDisruptionBudget").await;
    assert_eq!(budgets.len(), 1);
    // A pod that does not come up must not keep its node from being drained.
    assert_eq!(budgets[0]["spec"]["unhealthyPodEvictionPolicy"], "AlwaysAllow");
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

/// The committed list of permissions of one way to install, by where they hold.
fn golden(list: &str, place: &str, lease_name: &str) -> BTreeSet<String> {
    let rows = list.lines().filter_map(|row| row.strip_prefix(place)?.strip_prefix(' '));
    rows.map(|row| row.replace("[oauth-keeper]", &format!("[{lease_name}]"))).collect()
}

const CLUSTER: &str = include_str!("../chart/permissions/cluster");
const NAMESPACED: &str = include_str!("../chart/permissions/namespaced");
const AT_HOME: &str = "its-own-namespace";

pub async fn the_operator_may_do_this_and_no_more(env: Arc<Env>) {
    let stage = Stage::new(env, "chart").await;
    let operator = &stage.env.operator;
    let account = format!("{}:{}", operator.namespace, operator.service_account);
    let everywhere = golden(CLUSTER, "everywhere", "");
    assert_eq!(rights(&stage, &account, &stage.namespace).await, everywhere);
    let at_home = golden(CLUSTER, AT_HOME, &operator.lease_name);
    assert_eq!(
        rights(&stage, &account, &operator.namespace).await,
        everywhere.union(&at_home).cloned().collect()
    );
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
    let in_watched = golden(NAMESPACED, "watched-namespaces", "");
    assert_eq!(rights(&stage, &account, &watched).await, in_watched);
    let at_home = golden(NAMESPACED, AT_HOME, &operator.lease_name);
    assert_eq!(rights(&stage, &account, &operator.namespace).await, at_home);
    assert_eq!(rights(&stage, &account, &other.namespace).await, BTreeSet::new());
}
