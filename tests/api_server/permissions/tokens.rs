//! The permission that the chart gives on request, taken away.

use std::sync::Arc;

use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use serde_json::json;

use super::{Release, is_renewed_twice, of_list};
use crate::stage::{quick, server, source_of, spec, with};

const PERMISSIONS: &str = include_str!("../../chart/permissions/service-account-tokens");
/// The policy of such a release would ask the authors of other tests.
const VALUES: [&str; 3] =
    ["crds.enabled=false", "rbac.serviceAccountTokens=true", "admissionPolicy.enabled=false"];

pub async fn are_named_when_missing(env: Arc<Env>) {
    let permissions = of_list(PERMISSIONS);
    let [permission] = permissions.as_slice() else { panic!("one: {permissions:?}") };
    let release = Release::with_values_without(env, &VALUES, permission.clone()).await;
    let stage = &release.stage;
    let meta = json!({"name": "ci", "namespace": stage.namespace});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta});
    stage.env.control_plane.apply_objects(&[account]).await.expect("it is valid");
    let exchanges = ScriptedServer::start().await;
    exchanges.always(Answer::json(200, &json!({"access_token": "a", "expires_in": 3600})));
    let account = json!({"serviceAccount": {"name": "ci", "audience": "https://as.example"}});
    let grant = json!({"grant": {"tokenExchange": {"subjectToken": account}}});
    stage.source::<&str>(&source_of("c"), &[]).await;
    stage.credential("c", with(quick(spec("c", &exchanges.url("/token"))), grant)).await;
    let server = server(std::time::Duration::from_secs(4)).await;
    stage.asking("n", &server, quick(spec("n", &server.token_endpoint()))).await;

    let operator = release.operator().await;
    release.permission.is_named(stage, &operator).await;
    is_renewed_twice(stage).await;
    assert!(exchanges.requests().is_empty(), "nothing was there to be sent");
    release.give_back().await;
    stage.ready("c").await;
    is_renewed_twice(stage).await;
}
