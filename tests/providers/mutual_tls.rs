//! The certified OpenID provider with a client that it knows by its certificate (RFC 8705).

use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::certificates::{Authority, Identity};
use oauth_keeper_test_support::oidc_provider::{OidcProvider, OidcTls, TLS_CLIENT};
use oauth_keeper_test_support::suite::Env;
use serde_json::json;

use crate::world::World;

pub(crate) async fn a_client_is_known_by_its_certificate(env: Arc<Env>) {
    let authority = Authority::new();
    let Identity { certificate, key } = authority.host("localhost");
    let tls = OidcTls { certificate, key, authority: authority.certificate() };
    // Renewed two seconds after its issue.
    let provider = OidcProvider::start_with_tls(Duration::from_secs(3), &tls).await;
    let world = World::new(&env, "mutual-tls").await;
    let operator = world.operator().await;
    let seed = provider.seed(TLS_CLIENT).await;
    let source = async |name: &str| {
        let Identity { certificate, key } = authority.host(name);
        let keys = [
            ("client_id", TLS_CLIENT.id),
            ("refresh_token", &seed),
            ("tls.crt", &certificate),
            ("tls.key", &key),
        ];
        world.source(&keys).await;
    };
    source("somebody.example").await;
    world
        .credential(json!({
            "provider": {
                "tokenEndpoint": provider.tls_token_endpoint(),
                "clientAuthentication": {"method": "TlsClientAuth"},
                "tls": {"caBundle": tls.authority},
                "reuseGrace": "0s",
            },
            "renewal": {"minInterval": "1s"},
        }))
        .await;
    world.condition("Ready", "False", "ClientRejected").await;
    assert_eq!(provider.inspect(&seed).await.consumed, Some(false));

    source("client.example").await;
    world.revision(3).await;
    assert!(operator.stop().await.success(), "{}", operator.log());
    let stats = provider.stats().await;
    assert_eq!(stats.reuses, 0);
    assert!(stats.refresh_exchanges >= 3, "{stats:?}");
    provider.stop().await;
}
