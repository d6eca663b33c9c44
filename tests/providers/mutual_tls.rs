//! The certified OpenID provider with a client that it knows by its certificate (RFC 8705).

use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::oidc_provider::{OidcProvider, OidcTls, TLS_CLIENT};
use oauth_keeper_test_support::suite::Env;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;

use crate::world::World;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(params, key).expect("it signs itself"))
    }

    /// A certificate and its key, as PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).expect("the name is one");
        // With the authority's own name it would pass for self-signed.
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.0).expect("it signs");
        (certificate.pem(), key.serialize_pem())
    }
}

pub(crate) async fn a_client_is_known_by_its_certificate(env: Arc<Env>) {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("localhost");
    let tls = OidcTls { certificate, key, authority: authority.0.pem() };
    // Renewed two seconds after its issue.
    let provider = OidcProvider::start_with_tls(Duration::from_secs(3), &tls).await;
    let world = World::new(&env, "mutual-tls").await;
    let operator = world.operator().await;
    let seed = provider.seed(TLS_CLIENT).await;
    let source = async |name: &str| {
        let (certificate, key) = authority.sign(name);
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
