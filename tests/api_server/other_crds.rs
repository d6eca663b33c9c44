//! A cluster whose CRD is missing or of an older release.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use oauth_keeper_test_support::chart;
use oauth_keeper_test_support::control_plane::ControlPlane;
use oauth_keeper_test_support::credentials;
use oauth_keeper_test_support::operator::{Operator, OperatorOptions};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::Value;

use crate::stage::{HOUR, Watched, client_credentials, server, spec};

const NAMESPACE: &str = "oauth-keeper";
const CRD: &str = include_str!("../../crds/oauthcredentials.yaml");
/// Watches are begun again each half minute at the latest.
const PATIENCE: Duration = Duration::from_secs(90);

/// A cluster of its own, with the chart but for the CRD.
async fn without_crd() -> (ControlPlane, OperatorOptions) {
    let control_plane = ControlPlane::start().await;
    control_plane.create_namespace(NAMESPACE).await;
    let values = ["crds.enabled=false"];
    let rights = chart::install_operator_rights_with(&control_plane, NAMESPACE, &values).await;
    let binary = env!("CARGO_BIN_EXE_oauth-keeper");
    let options = OperatorOptions::new(binary, &rights.kubeconfig).arg("--leader-election=false");
    (control_plane, options)
}

async fn logged(operator: &Operator, words: &str) {
    wait::until_ok("it is logged", PATIENCE, || async {
        let log = operator.log();
        if log.contains(words) { Ok(()) } else { Err(log) }
    })
    .await;
}

async fn install(control_plane: &ControlPlane, crd: &str) {
    control_plane.apply(crd).await.expect("the CRD is valid");
    let name = "customresourcedefinition/oauthcredentials.oauth-keeper.dev";
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", name];
    control_plane.kubectl(&wait).await;
}

async fn becomes_ready(client: &Client) {
    let server = server(HOUR).await;
    let secret = server.client_secret("c");
    let keys = [("client_id", "c"), ("client_secret", &secret)];
    credentials::apply_source(client, NAMESPACE, "c-source", &keys).await;
    let spec = client_credentials(spec("c", &server.token_endpoint()));
    credentials::apply_credential(client, NAMESPACE, "c", spec).await;
    credentials::wait_ready(client, NAMESPACE, "c").await;
}

pub async fn a_missing_one_is_named_and_waited_for(_: Arc<Env>) {
    let (control_plane, options) = without_crd().await;
    let operator = Watched::new(Operator::start(options).await);
    logged(&operator, "the CustomResourceDefinition of OAuthCredential is not installed").await;
    logged(&operator, "connected to the API server").await;
    let status = async |path| operator.admin_get(path).await.map(|(status, _)| status.as_u16());
    assert_eq!((status("/livez").await, status("/readyz").await), (Ok(200), Ok(503)));

    install(&control_plane, CRD).await;
    wait::until_ok("it goes on", PATIENCE, || async {
        operator
            .admin_get("/readyz")
            .await
            .and_then(|(status, text)| if status.is_success() { Ok(()) } else { Err(text) })
    })
    .await;
    becomes_ready(&control_plane.client()).await;
    control_plane.stop().await;
}

/// As after an upgrade of the operator alone.
pub async fn without_those_of_providers_the_rest_works(_: Arc<Env>) {
    let (control_plane, options) = without_crd().await;
    install(&control_plane, CRD).await;
    let operator = Watched::new(Operator::start(options).await);
    operator.ready().await;
    becomes_ready(&control_plane.client()).await;
    for kind in ["OAuthProvider", "ClusterOAuthProvider"] {
        let told = || {
            operator.log_events().into_iter().any(|event| {
                event["message"].as_str().unwrap_or_default().starts_with("watch failed")
                    && event["hint"].as_str().unwrap_or_default().contains("is not installed")
                    && event["kind"] == kind
            })
        };
        wait::until("it says which is missing", PATIENCE, || async { told().then_some(()) }).await;
    }

    let client = control_plane.client();
    let spec = crate::providers::by_name("d", "OAuthProvider", "p");
    let (server, keys) = (server(HOUR).await, [("client_id", "d"), ("client_secret", "x")]);
    credentials::apply_source(&client, NAMESPACE, "d-source", &keys).await;
    credentials::apply_credential(&client, NAMESPACE, "d", client_credentials(spec)).await;
    let status =
        credentials::wait_condition(&client, NAMESPACE, "d", "Stalled", "True", "ProviderNotFound");
    let status = status.await.to_string();
    assert!(status.contains("CustomResourceDefinition is not installed"), "{status}");

    control_plane.apply(include_str!("../../crds/oauthproviders.yaml")).await.expect("it is valid");
    let endpoint = serde_json::json!({"tokenEndpoint": server.token_endpoint()});
    let provider = crate::providers::provider("OAuthProvider", NAMESPACE, "p", &endpoint);
    wait::until_ok("the provider is taken", PATIENCE, || async {
        control_plane.apply_objects(std::slice::from_ref(&provider)).await
    })
    .await;
    let secret = server.client_secret("d");
    let keys = [("client_id", "d"), ("client_secret", secret.as_str())];
    credentials::apply_source(&client, NAMESPACE, "d-source", &keys).await;
    credentials::wait_ready(&client, NAMESPACE, "d").await;
    control_plane.stop().await;
}

pub async fn fields_that_an_older_one_lacks_are_named(_: Arc<Env>) {
    let (control_plane, options) = without_crd().await;
    let mut crd: Value = serde_yaml_ng::from_str(CRD).expect("the CRD is YAML");
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let properties = |value: &mut Value, field: &str| {
        let fields = value["properties"].as_object_mut().expect("it has fields");
        fields.remove(field).expect("it is one of them");
    };
    properties(&mut schema["status"], "lastRenewalTime");
    properties(&mut schema["spec"], "suspend");
    install(&control_plane, &crd.to_string()).await;
    // What the API server shows of a new CRD comes a moment after it is established.
    let shown = ["get", "--raw", "/openapi/v3/apis/oauth-keeper.dev/v1alpha1"];
    wait::until("its schema is shown", PATIENCE, || async {
        control_plane.try_kubectl(&shown).await.ok().filter(|text| text.contains("OAuthCredential"))
    })
    .await;

    let operator = Watched::new(Operator::start(options).await);
    logged(&operator, ".spec.suspend .status.lastRenewalTime").await;
    operator.ready().await;
    becomes_ready(&control_plane.client()).await;
    control_plane.stop().await;
}
