//! Keycloak, which takes a replaced refresh token once more: what is lost on the way is had by asking again.

use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::cutting_proxy::{CuttingProxy, Fate};
use oauth_keeper_test_support::keycloak::Keycloak;
use oauth_keeper_test_support::suite::Env;
use serde_json::json;

use crate::oracle;
use crate::pod::Pod;
use crate::process::killed;
use crate::stage::{Stage, quick, source_of, spec, with};
use crate::table;

/// Renewed after a third of it.
const LIFETIME: Duration = Duration::from_secs(20);

async fn begins(stage: &Stage, keycloak: &Keycloak, origin: &str) {
    let keys = [
        ("client_id", keycloak.offline_client_id().to_owned()),
        ("client_secret", keycloak.offline_client_secret().to_owned()),
        ("refresh_token", keycloak.seed().await),
    ];
    stage.source(&source_of("c"), &keys).await;
    let own = format!("http://{}", keycloak.address());
    let spec = quick(spec("c", &keycloak.token_endpoint().replace(&own, origin)));
    let more = json!({"provider": {"reuseGrace": "60s"}, "renewal": {"renewBefore": "70%"}});
    stage.credential("c", with(spec, more)).await;
    stage.ready("c").await;
}

pub async fn what_died_with_its_process_is_asked_for_again(env: Arc<Env>) {
    env.keycloak().await.set_access_token_lifetime(LIFETIME).await;
    let case = |(point, same_pod): (&'static str, bool)| {
        let env = Arc::clone(&env);
        let name = format!("keycloak-{point}-{}", if same_pod { "kept" } else { "lost" });
        let case = async move {
            let keycloak = env.keycloak().await;
            let stage = Stage::new(Arc::clone(&env), "keycloak").await;
            let first = Pod::mortal(&stage, "first");
            let second = Pod::mortal(&stage, "second");
            let operator = first.failing(&format!("{point}:kill:1")).await;
            begins(&stage, keycloak, &format!("http://{}", keycloak.address())).await;
            killed(&operator).await;
            let operator = if same_pod { &first } else { &second }.container().await;
            goes_on(&stage, keycloak, &operator).await;
        };
        table::case(&name, case)
    };
    let cases = [("received", true), ("received", false), ("journaled", false), ("sending", true)];
    table::all(cases.map(case)).await;
}

pub async fn what_was_cut_is_asked_for_again(env: Arc<Env>) {
    let keycloak = env.keycloak().await;
    keycloak.set_access_token_lifetime(LIFETIME).await;
    let stage = Stage::new(Arc::clone(&env), "keycloak").await;
    let proxy = CuttingProxy::start(keycloak.address()).await;
    proxy.set_policy(|connection| if connection == 2 { Fate::CutAfter(0) } else { Fate::Pass });
    let pod = Pod::mortal(&stage, "first");
    let operator = pod.container().await;
    begins(&stage, keycloak, proxy.url("").trim_end_matches('/')).await;
    goes_on(&stage, keycloak, &operator).await;
}

async fn goes_on(
    stage: &Stage,
    keycloak: &Keycloak,
    operator: &oauth_keeper_test_support::operator::Operator,
) {
    stage.revision("c", 3).await;
    stage.ready("c").await;
    assert!(operator.stop().await.success(), "{}", operator.log());
    let newest = oracle::newest(stage, "c").await;
    assert!(keycloak.is_live(&newest).await, "it is dead");
}
