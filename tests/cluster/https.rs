//! Tokens over https, from inside the pod.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use oauth_keeper_test_support::certificates::Authority;
use oauth_keeper_test_support::cluster::NODE_ADDRESS;
use oauth_keeper_test_support::tls_front::TlsFront;
use oauth_keeper_test_support::tls_front::rustls::pki_types::pem::PemObject;
use oauth_keeper_test_support::tls_front::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use oauth_keeper_test_support::tls_front::rustls::{ServerConfig, crypto};
use serde_json::json;

use crate::env::Env;
use crate::release::{NAME, Release};
use crate::stage::{HOUR, eager, spec, with};

/// Where the image has the roots of public authorities.
const ROOTS: (&str, &str) = ("/etc/ssl/certs", "ca-certificates.crt");

/// The authority is none of those in the image. Named by the credential it is trusted by that one alone, and in the
/// image's own place by all.
pub async fn servers_are_known_by_the_bundle_or_by_the_roots_of_the_image(env: Arc<Env>) {
    let release = Release::with(&env, &[]).await;
    let stage = env.stage("https").await;
    let server = env.server(HOUR).await;
    let authority = Authority::new();
    let front = TlsFront::start_at(
        NODE_ADDRESS,
        server.address(),
        config(&authority, &NODE_ADDRESS.to_string()),
    )
    .await;
    let endpoint = format!("https://{NODE_ADDRESS}:{}/token", front.port());
    let bundle = json!({"provider": {"tls": {"caBundle": authority.certificate()}}});

    let named = with(eager(spec("named", &endpoint)), bundle);
    stage.refreshing("named", &server, named).await;
    stage.ready("named").await;

    stage.refreshing("public", &server, eager(spec("public", &endpoint))).await;
    let message = stage.condition("public", "Ready", "False", "EndpointUnreachable").await;
    assert!(message.contains("certificate"), "{message}");
    assert_eq!(server.counts().requests, 1);

    in_a_config_map(&env, &authority).await;
    let (folder, _) = ROOTS;
    let folder = format!("extraVolumeMounts[0].mountPath={folder}");
    let volume = ["extraVolumes[0].name=roots", "extraVolumes[0].configMap.name=roots"];
    let mount = ["extraVolumeMounts[0].name=roots", &folder];
    release.upgrade(&[volume, mount].concat()).await;
    // A change is acted on at once, whatever failed before.
    let changed = json!({"scopes": ["any"]});
    stage.credential("public", with(eager(spec("public", &endpoint)), changed)).await;
    stage.ready("public").await;
    let counts = server.counts();
    // One for each, and another one where the new pod tried again before the change came.
    assert_eq!((counts.requests, counts.refusals), (counts.rotations, 0));
    assert!((2..=3).contains(&counts.requests), "{counts:?}");
    env.cluster.control_plane.kubectl(&["delete", "configmap", "roots", "-n", NAME]).await;
}

/// For a server of that name.
pub fn config(authority: &Authority, name: &str) -> ServerConfig {
    let own = authority.host(name);
    let chain = CertificateDer::from_pem_slice(own.certificate.as_bytes()).expect("it is PEM");
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("it is PEM");
    ServerConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the versions are known")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("they belong together")
}

async fn in_a_config_map(env: &Env, authority: &Authority) {
    let (_, file) = ROOTS;
    let roots = ConfigMap {
        metadata: ObjectMeta { name: Some("roots".to_owned()), ..ObjectMeta::default() },
        data: Some([(file.to_owned(), authority.certificate())].into()),
        ..ConfigMap::default()
    };
    let maps: Api<ConfigMap> = Api::namespaced(env.client(), NAME);
    maps.create(&PostParams::default(), &roots).await.expect("it can be made");
}
