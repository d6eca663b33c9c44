//! What the tests share: a cluster with the image in it.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use oauth_keeper_test_support::authorization_server::{AuthorizationServer, ServerOptions};
use oauth_keeper_test_support::cluster::{Cluster, NODE_ADDRESS};
use oauth_keeper_test_support::suite::Environment;
use oauth_keeper_test_support::{chart, tools};
use serde_json::json;

use crate::stage::Stage;

/// The tag under which the image is there a second time, for upgrades.
pub const NEXT_TAG: &str = "next";

pub struct Env {
    pub cluster: Cluster,
}

impl Environment for Env {
    async fn start() -> Self {
        let archive = tools::repository_root().join("target/image.tar");
        assert!(archive.exists(), "{} is missing: `make image` makes it", archive.display());
        let cluster = Cluster::start().await;
        let image = chart::image().await;
        cluster.import_image(&archive, &image).await;
        let (repository, _) = image.rsplit_once(':').expect("the image has a tag");
        cluster.tag_image(&image, &format!("{repository}:{NEXT_TAG}")).await;
        Self { cluster }
    }

    async fn stop(&self) {
        self.cluster.stop().await;
    }
}

impl Env {
    pub fn client(&self) -> Client {
        self.cluster.control_plane.client()
    }

    /// A namespace of its own for a test, in which only restricted pods run.
    pub async fn stage(self: &Arc<Self>, name: &str) -> Stage<Self> {
        self.restricted_namespace(name).await;
        Stage { client: self.client(), env: Arc::clone(self), namespace: name.to_owned() }
    }

    /// A server that pods reach, whose tokens live that long.
    pub async fn server(&self, lifetime: Duration) -> AuthorizationServer {
        let options = ServerOptions { access_token_lifetime: lifetime, ..ServerOptions::default() };
        AuthorizationServer::start_at(NODE_ADDRESS, options).await
    }

    pub async fn restricted_namespace(&self, name: &str) {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        });
        let applied = self.cluster.control_plane.apply_objects(&[namespace]).await;
        applied.expect("a namespace can be made");
    }
}
