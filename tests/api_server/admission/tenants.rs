//! Policies that tenants bring for their own namespaces, beside the cluster's part and each other.

use std::sync::Arc;

use oauth_keeper_test_support::control_plane::ControlPlane;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::{chart, helm};
use serde_json::{Value, json};

use super::ENDPOINT;
use super::author::{Author, assert_refused};
use crate::providers::provider;
use crate::stage::{Stage, spec, with};

/// The release of the cluster's part, and its namespace.
const CLUSTER_PART: &str = "oauth-keeper-cluster";
const ANN: &str = "ann";
/// The releases of tenants, each with its namespace, what it watches, and one value more.
const TENANTS: [(&str, &str, &str, &str); 2] = [
    ("oauth-keeper-a", "home-a", "watchNamespaces={team-a,shared}", "replicas=1"),
    ("oauth-keeper-b", "home-b", "watchNamespaces={team-b,shared}", MAKES_TOKENS),
];
/// Of the second, whose operator may make tokens for accounts.
const MAKES_TOKENS: &str = "rbac.serviceAccountTokens=true";
const ELSEWHERE: &str = "https://evil.example/token";

/// In a cluster of its own: that of the other tests has a policy for all namespaces.
pub async fn their_policies_refuse_at_home_and_nowhere_else(_: Arc<Env>) {
    let control_plane = Arc::new(ControlPlane::start().await);
    for namespace in [CLUSTER_PART, "home-a", "home-b", "team-a", "team-b", "shared", "other"] {
        control_plane.create_namespace(namespace).await;
    }
    let without = ["operator.enabled=false", "admissionPolicy.enabled=false"];
    install(&control_plane, CLUSTER_PART, CLUSTER_PART, &without).await;
    let established = ["wait", "crd", "--all", "--for=condition=Established", "--timeout=60s"];
    control_plane.kubectl(&established).await;
    for (release, home, watched, more) in TENANTS {
        let values = ["crds.enabled=false", "admissionPolicy.enabled=true", watched, more];
        install(&control_plane, release, home, &values).await;
    }

    for (namespace, policy) in
        [("team-a", "oauth-keeper-a.home-a"), ("team-b", "oauth-keeper-b.home-b")]
    {
        refuses_what_the_author_may_not(&stage(&control_plane, namespace), policy).await;
    }
    lets_others_alone(&stage(&control_plane, "other")).await;
    let shared = stage(&control_plane, "shared");
    allow_together_what_each_allows(&shared).await;

    // And now that of the cluster too.
    install(&control_plane, CLUSTER_PART, CLUSTER_PART, &["operator.enabled=false"]).await;
    let other = stage(&control_plane, "other");
    let ann = author(&other).await;
    ann.meets_policy(&format!("'{CLUSTER_PART}'")).await;
    ann.apply("c", with(owned(), json!({"target": {"name": "d"}})), true).await.expect_err("new");
    let ann = author(&shared).await;
    ann.apply("c", owned(), false).await.expect("what each allows");
    ann.apply("c", spec("c", ENDPOINT), false).await.expect("also when it changes");
    apply_provider(&shared, ENDPOINT).await.expect("what each allows");
    control_plane.stop().await;
}

/// The first row of the threats: what an author may not do with Secrets, no credential does for them.
async fn refuses_what_the_author_may_not(stage: &Stage<ControlPlane>, policy: &str) {
    let ann = author(stage).await;
    // In the words of that very policy.
    ann.meets_policy(&format!("'{policy}'")).await;
    let apply = || ann.apply("c", spec("c", ENDPOINT), false);
    assert_refused(apply().await, "ann may not get the Secret c-source");
    ann.may_on_secrets("get", "c-source").await;
    assert_refused(apply().await, "ann may not create the Secret c-target");
    ann.may_on_secrets("create", "").await;
    assert_refused(apply().await, "ann may not update the Secret c-target");
    ann.may_on_secrets("update", "c-target").await;
    apply().await.expect("the author may do all of it");

    let of_another = |name: &str| json!({"source": {"name": name}});
    let changed = with(spec("c", ENDPOINT), of_another("another"));
    assert_refused(ann.apply("c", changed, false).await, "ann may not get the Secret another");
    let written_back = json!({"source": {"writeBack": true}});
    let changed = with(spec("c", ENDPOINT), written_back);
    assert_refused(ann.apply("c", changed, false).await, "ann may not update the Secret c-source");
    let account = json!({"serviceAccount": {"name": "ci", "audience": "x"}});
    let exchange = json!({"grant": {"tokenExchange": {"subjectToken": account}}});
    let answer = ann.apply("d", with(spec("c", ENDPOINT), exchange), true).await;
    assert_refused(answer, "ann may not create tokens of the ServiceAccount ci");
    let answer = apply_provider(stage, ELSEWHERE).await;
    assert_refused(answer.map(drop), "ann may not get the Secrets in the namespace team-");
}

/// Policies that are in force in their own namespaces, as was just seen.
async fn lets_others_alone(stage: &Stage<ControlPlane>) {
    let ann = author(stage).await;
    ann.apply("c", owned(), false).await.expect("nobody asks here");
    ann.apply("c", spec("c", ELSEWHERE), false).await.expect("nor when it changes");
    apply_provider(stage, ENDPOINT).await.expect("nor about providers");
}

/// Two policies, one of which asks for less.
async fn allow_together_what_each_allows(stage: &Stage<ControlPlane>) {
    let ann = author(stage).await;
    ann.meets_policy("may not get the Secret").await;
    ann.may_on_secrets("get", "").await;
    ann.may_on_secrets("create", "").await;
    ann.may_on_secrets("update", "").await;
    ann.apply("c", spec("c", ENDPOINT), false).await.expect("both allow it");
    ann.apply("c", owned(), false).await.expect("both allow the change");
    let answer = apply_provider(stage, ENDPOINT).await;
    assert_refused(answer.map(drop), "ann may not create tokens of the ServiceAccounts");
    ann.may("create", "", "serviceaccounts/token", "").await;
    apply_provider(stage, ENDPOINT).await.expect("both allow it");
}

fn stage(control_plane: &Arc<ControlPlane>, namespace: &str) -> Stage<ControlPlane> {
    let client = control_plane.client();
    Stage { env: Arc::clone(control_plane), client, namespace: namespace.to_owned() }
}

/// Ann, who may write credentials and providers of a namespace, and nothing else there until more is said.
async fn author(stage: &Stage<ControlPlane>) -> Author<'_, ControlPlane> {
    let author = Author::of(stage, &stage.env, ANN).await;
    for verb in ["get", "create", "patch"] {
        author.may(verb, "oauth-keeper.dev", "oauthproviders", "").await;
    }
    author
}

/// Another credential than the smallest.
fn owned() -> Value {
    with(spec("c", ENDPOINT), json!({"scopes": ["read"]}))
}

async fn apply_provider(stage: &Stage<ControlPlane>, endpoint: &str) -> Result<String, String> {
    let object =
        provider("OAuthProvider", &stage.namespace, "p", &json!({"tokenEndpoint": endpoint}));
    stage.env.apply_as(&object.to_string(), ANN).await
}

async fn install(control_plane: &ControlPlane, release: &str, namespace: &str, values: &[&str]) {
    let chart = chart::folder();
    let chart = chart.to_str().expect("the path is text");
    let mut arguments = vec!["upgrade", "--install", release, chart, "--namespace", namespace];
    for value in values {
        arguments.extend(["--set", value]);
    }
    let done = helm::run(control_plane.admin_kubeconfig(), &arguments).await;
    done.unwrap_or_else(|error| panic!("{error}"));
}
