//! A release in the hands of Helm 3 and Helm 4: upgraded from a chart whose CRDs know less, rolled back, uninstalled and
//! installed again, while an operator renews tokens of a server that rotates.

mod charts;
pub mod crds;
mod release;
pub mod running;
pub mod strategy;

use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::authorization_server::AuthorizationServer;
use oauth_keeper_test_support::control_plane::ControlPlane;
use oauth_keeper_test_support::helm::Helm;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::{chart, credentials, wait};
use serde_json::{Value, json};

use self::release::Release;
use crate::providers;
use crate::stage::{Stage, quick, server, spec, target_of, with};

/// The release of those who have one beside others.
const NAME: &str = "oauth-keeper";
/// Renewed all the time.
const LIFETIME: Duration = Duration::from_secs(4);
/// The API server goes by a changed CRD a moment later, and watches are begun again each half minute at the latest.
const PATIENCE: Duration = Duration::from_secs(90);
/// A refresh token that rotates.
const ROTATING: &str = "rotating";
/// A credential of a kind of provider that the older chart does not have.
const OF_THE_CLUSTER: &str = "of-the-cluster";

pub async fn with_helm_4_lose_nothing(_: Arc<Env>) {
    lose_nothing(Helm::Four, Helm::Four).await;
}

pub async fn with_helm_3_lose_nothing(_: Arc<Env>) {
    lose_nothing(Helm::Three, Helm::Three).await;
}

pub async fn from_helm_3_to_helm_4_lose_nothing(_: Arc<Env>) {
    lose_nothing(Helm::Three, Helm::Four).await;
}

/// Installed with one Helm, and whatever comes then with the other.
async fn lose_nothing(first: Helm, then: Helm) {
    let release = Release::install_older(first).await.goes_on_with(then);
    let stage = &release.stage;
    let server = server(LIFETIME).await;
    let mut operator = release.operator().await;
    let seed = stage.refreshing(ROTATING, &server, plain(ROTATING, &server)).await;
    go_on(stage, &[ROTATING]).await;

    release.upgrade().await;
    label(stage, &server).await;
    provider_of_the_cluster(stage, &server).await;
    // The one that has seen the CRD change, and then the next, as its pods would be.
    for _ in 0..2 {
        go_on(stage, &[ROTATING, OF_THE_CLUSTER]).await;
        assert!(operator.stop().await.success());
        operator = release.operator().await;
    }

    // Back without the CRDs, as the document advises: they stay as new as they are.
    release.return_to_older_without_crds().await;
    go_on(stage, &[ROTATING, OF_THE_CLUSTER]).await;
    assert!(release.crd_has_labels().await && is_labelled(stage).await);

    release.upgrade().await;
    release.roll_back_to_the_first().await;
    unlabelled(&release).await;
    // What the older chart does not have is not taken away: the kind stays, and so do its objects.
    go_on(stage, &[ROTATING, OF_THE_CLUSTER]).await;

    release.upgrade().await;
    assert!(!is_labelled(stage).await, "a field that was dropped does not come back by itself");
    label(stage, &server).await;
    go_on(stage, &[ROTATING, OF_THE_CLUSTER]).await;

    // As the document says: the operator ends before its rights do.
    assert!(operator.stop().await.success());
    release.uninstall().await;
    assert!(is_labelled(stage).await, "credentials stay");
    release.install().await;
    let operator = release.operator().await;
    go_on(stage, &[ROTATING, OF_THE_CLUSTER]).await;
    assert!(operator.stop().await.success());
    nothing_is_lost(stage, &server, &seed).await;
    release.ends().await;
}

/// A release for some namespaces that has the CRDs, and with them the admission policy and the roles for users.
pub async fn back_without_the_crds_the_rest_of_the_cluster_s_stays(_: Arc<Env>) {
    for helm in [Helm::Four, Helm::Three] {
        let watched = [format!("watchNamespaces={{{NAME}}}")];
        let watched = watched.each_ref().map(String::as_str);
        let release = Release::install_older_with(helm, &watched).await;
        let before = release.of_the_cluster().await;
        assert_eq!(before.lines().count(), 7, "{before}");
        release.upgrade().await;

        let refusal = release.return_to_older_as_a_guest().await.expect_err("all of it would go");
        assert!(refusal.contains("set crds.upgrade=false in its place"), "{refusal}");
        release.return_to_older_without_crds().await;
        assert_eq!(release.of_the_cluster().await, before);
        assert!(release.crd_has_labels().await, "the CRD is as new as it was");

        // A release that is to be a guest from now on says so once more.
        release.return_to_older_as_a_guest().await.expect("the second step");
        assert_eq!(release.of_the_cluster().await, "");
        assert!(release.crd_has_labels().await, "the CRDs are kept");
        release.ends().await;
    }
}

/// As the document has it for a chart that refuses `crds.upgrade`.
pub async fn back_to_a_chart_that_has_no_word_for_it_the_crds_stay(_: Arc<Env>) {
    for helm in [Helm::Four, Helm::Three] {
        let release = Release::install_older(helm).await;
        let before = release.of_the_cluster().await;
        // Where the release's own values do not name it, null is refused too.
        for unknown in ["crds.upgrade=false", "crds.upgrade=null,crds.enabled=false"] {
            let refusal = release.return_to_oldest(unknown).await.expect_err("it is unknown");
            assert!(refusal.contains("'upgrade' not allowed"), "{refusal}");
        }
        release.return_to_oldest("crds.enabled=false").await.expect("it is the way");
        release.come_back("crds.enabled=true").await;
        // And where they do, it must go.
        release.upgrade().await;
        let refusal = release.return_to_oldest("crds.enabled=false").await.expect_err("unknown");
        assert!(refusal.contains("'upgrade' not allowed"), "{refusal}");
        let values = "crds.upgrade=null,crds.enabled=false";
        release.return_to_oldest(values).await.expect("it is the way");
        assert_eq!(release.of_the_cluster().await, before);
        assert!(release.crd_has_labels().await, "the CRD is as new as it was");
        release.come_back("crds.enabled=true").await;
        assert_eq!(release.of_the_cluster().await, before);
        release.ends().await;
    }
}

/// The same for a release that watches some namespaces. The policy is limited to these then.
pub async fn back_there_with_some_namespaces_the_policy_is_asked_for(_: Arc<Env>) {
    for helm in [Helm::Four, Helm::Three] {
        let watched = format!("watchNamespaces={{{NAME}}}");
        let release = Release::install_older_with(helm, &[&watched]).await;
        let before = release.of_the_cluster().await;
        let values = "crds.enabled=false,admissionPolicy.enabled=true";
        release.return_to_oldest(values).await.expect("it is the way");
        let there = release.of_the_cluster().await;
        let (policies, rest): (Vec<_>, Vec<_>) = there.lines().partition(|name| {
            name.ends_with(".oauth-keeper") || name.ends_with(".oauth-keeper.providers")
        });
        assert_eq!((policies.len(), rest), (4, vec![]), "{there}");
        assert!(!release.crd_has_labels().await, "it is as old as it was, and there");
        release.come_back("crds.enabled=true,admissionPolicy.enabled=auto").await;
        assert_eq!(release.of_the_cluster().await, before);
        release.ends().await;
    }
}

fn plain(name: &str, server: &AuthorizationServer) -> Value {
    quick(spec(name, &server.token_endpoint()))
}

/// Uses the field that the older CRD lacks, and sees that it has its effect.
async fn label(stage: &Stage<ControlPlane>, server: &AuthorizationServer) {
    let labelled = with(plain(ROTATING, server), json!({"target": {"labels": {"team": "a"}}}));
    wait::until_ok("the field is taken", PATIENCE, || async {
        let (client, namespace) = (&stage.client, &stage.namespace);
        let applied =
            credentials::try_apply_credential(client, namespace, ROTATING, labelled.clone());
        applied.await.map_err(|error| error.to_string())
    })
    .await;
    has_label(stage, true).await;
}

async fn has_label(stage: &Stage<ControlPlane>, wanted: bool) {
    wait::until("the target is labelled as the credential says", PATIENCE, || async {
        let target = stage.secrets().get(&target_of(ROTATING)).await.ok()?;
        let labels = target.metadata.labels.unwrap_or_default();
        (labels.contains_key("team") == wanted).then_some(())
    })
    .await;
}

/// Whether the credential itself says so.
async fn is_labelled(stage: &Stage<ControlPlane>) -> bool {
    let credential = stage.credentials().get(ROTATING).await.expect("it is there");
    credential.data["spec"]["target"]["labels"]["team"] == "a"
}

/// Waits until the older CRD is served again: without the field, and so is the credential, and what came of it.
async fn unlabelled(release: &Release) {
    wait::until("the older CRD is served", PATIENCE, || async {
        let gone = !release.crd_has_labels().await && !is_labelled(&release.stage).await;
        gone.then_some(())
    })
    .await;
    has_label(&release.stage, false).await;
}

async fn provider_of_the_cluster(stage: &Stage<ControlPlane>, server: &AuthorizationServer) {
    let kind = "ClusterOAuthProvider";
    let provider = json!({"tokenEndpoint": server.token_endpoint()});
    let provider = [providers::provider(kind, "", "p", &provider)];
    wait::until_ok("the kind is served", PATIENCE, || stage.env.apply_objects(&provider)).await;
    stage
        .asking(OF_THE_CLUSTER, server, quick(providers::by_name(OF_THE_CLUSTER, kind, "p")))
        .await;
}

/// Waits until each was renewed twice more.
async fn go_on(stage: &Stage<ControlPlane>, names: &[&str]) {
    let revision = |status: &Value| status["target"]["revision"].as_i64().unwrap_or_default();
    for name in names {
        let before = revision(&stage.status(name).await);
        wait::until_ok("it is renewed", PATIENCE, || async {
            let status = stage.status(name).await;
            if revision(&status) >= before + 2 { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }
}

/// Nothing runs any more: the newest token is the one that is stored, and none was used twice.
async fn nothing_is_lost(stage: &Stage<ControlPlane>, server: &AuthorizationServer, seed: &str) {
    let record = stage.state_record(ROTATING).await;
    let newest = record["refreshToken"].as_str().unwrap_or_default();
    assert!(server.is_live(newest), "{newest} is dead");
    assert_eq!(server.lineage_of(newest), server.lineage_of(seed));
    assert_eq!((server.counts().reuses, server.counts().refusals), (0, 0));
}

/// Makes a release that watches this namespace alone, or has it have these values and the defaults.
async fn upgrade(stage: &Stage, helm: Helm, values: &[&str]) -> Result<String, String> {
    upgrade_with(stage, helm, values, &[]).await
}

/// The same with more arguments.
async fn upgrade_with(
    stage: &Stage,
    helm: Helm,
    values: &[&str],
    more: &[&str],
) -> Result<String, String> {
    let (chart, namespace) = (chart::folder(), &stage.namespace);
    let chart = chart.to_str().expect("the path is text");
    let watched = format!("watchNamespaces={{{namespace}}}");
    let mut arguments = vec!["upgrade", "--install", NAME, chart, "--namespace", namespace];
    for value in ["crds.enabled=false", &watched].iter().chain(values) {
        arguments.extend(["--set", value]);
    }
    arguments.extend(more);
    helm.run(stage.env.control_plane.admin_kubeconfig(), &arguments).await
}
