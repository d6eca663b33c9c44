//! What the tests of one binary share.

use tokio::sync::OnceCell;

use super::Environment;
use crate::chart::{self, OperatorRights};
use crate::control_plane::ControlPlane;
use crate::keycloak::Keycloak;
use crate::oidc_provider::OidcProvider;

/// The operator's namespace, as the documents name it.
const OPERATOR_NAMESPACE: &str = "oauth-keeper";

/// What the tests of one binary share.
#[derive(Debug)]
pub struct Env {
    /// The control plane, with the chart's CRDs installed.
    pub control_plane: ControlPlane,
    /// A release of the chart: the ServiceAccount and kubeconfig to run operators with.
    ///
    /// Its one Lease is for all; a test of leader election makes a release of its own.
    pub operator: OperatorRights,
    keycloak: OnceCell<Keycloak>,
    oidc_provider: OnceCell<OidcProvider>,
}

impl Env {
    /// Starts the control plane. A binary has one from [`run`](super::run); another one is a second cluster.
    pub async fn start() -> Self {
        let control_plane = ControlPlane::start().await;
        control_plane.create_namespace(OPERATOR_NAMESPACE).await;
        let operator = chart::install_operator_rights(&control_plane, OPERATOR_NAMESPACE).await;
        Self { control_plane, operator, keycloak: OnceCell::new(), oidc_provider: OnceCell::new() }
    }

    /// The Keycloak of this binary, started when first asked for, which takes about a minute.
    pub async fn keycloak(&self) -> &Keycloak {
        self.keycloak.get_or_init(Keycloak::start).await
    }

    /// The certified OpenID provider of this binary, started when first asked for.
    pub async fn oidc_provider(&self) -> &OidcProvider {
        self.oidc_provider.get_or_init(OidcProvider::start).await
    }

    /// Stops what was started.
    pub async fn stop(&self) {
        if let Some(keycloak) = self.keycloak.get() {
            keycloak.stop().await;
        }
        if let Some(provider) = self.oidc_provider.get() {
            provider.stop().await;
        }
        self.control_plane.stop().await;
    }
}

impl Environment for Env {
    async fn start() -> Self {
        Self::start().await
    }

    async fn stop(&self) {
        self.stop().await;
    }
}
