//! Servers known by a name of the cluster, which the pod asks a name server for.

use std::sync::Arc;

use oauth_keeper_test_support::certificates::Authority;
use oauth_keeper_test_support::cluster::{NODE_ADDRESS, NameServer};
use oauth_keeper_test_support::tls_front::TlsFront;
use serde_json::json;

use crate::env::Env;
use crate::https;
use crate::release::Release;
use crate::stage::{HOUR, eager, spec, with};

/// A Service as credentials name it; the name server knows it by its whole name alone.
const HOST: &str = "keycloak.auth.svc";
const DOMAIN: &str = "cluster.local";

/// The program is linked statically, and the C library's own way to names comes with it.
pub async fn a_service_is_found_by_its_name(env: Arc<Env>) {
    let _names = NameServer::start(&format!("{HOST}.{DOMAIN}")).await;
    let asked = format!("dnsConfig.nameservers[0]={NODE_ADDRESS}");
    let search = format!("dnsConfig.searches[0]={DOMAIN}");
    Release::with(&env, &["dnsPolicy=None", &asked, &search]).await;
    let stage = env.stage("dns").await;
    let server = env.server(HOUR).await;
    let authority = Authority::new();
    let config = https::config(&authority, HOST);
    let front = TlsFront::start_at(NODE_ADDRESS, server.address(), config).await;
    let bundle = json!({"provider": {"tls": {"caBundle": authority.certificate()}}});

    let endpoint = format!("https://{HOST}:{}/token", front.port());
    let named = with(eager(spec("named", &endpoint)), bundle);
    stage.refreshing("named", &server, named).await;
    stage.ready("named").await;

    let unknown = spec("unknown", "https://nobody.auth.svc/token");
    stage.refreshing("unknown", &server, eager(unknown)).await;
    let message = stage.condition("unknown", "Ready", "False", "EndpointUnreachable").await;
    assert!(message.contains("Name or service not known"), "{message}");
    assert_eq!(server.counts().requests, 1);
}
