//! What is of the whole cluster: its providers, and the labels of its namespaces.

use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;

use crate::api::provider::ClusterOAuthProvider;
use crate::controller::shelf::{Shelf, Supply};

use super::kinds::GuardedProvider;

/// The namespaces, as far as it matters.
pub type Labelled = PartialObjectMeta<Namespace>;

/// What is of the whole cluster.
pub struct Cluster {
    /// Its providers.
    pub providers: Shelf<GuardedProvider<ClusterOAuthProvider>>,
    /// Its namespaces.
    pub namespaces: Shelf<Labelled>,
}

/// The same, as its watches see it.
pub struct ClusterSupply {
    pub(super) providers: Supply<GuardedProvider<ClusterOAuthProvider>>,
    pub(super) namespaces: Supply<Labelled>,
}

impl Cluster {
    /// Nothing seen yet.
    pub fn new() -> (Self, ClusterSupply) {
        let (providers, provider_supply) = Shelf::new();
        let (namespaces, namespace_supply) = Shelf::new();
        let supply = ClusterSupply { providers: provider_supply, namespaces: namespace_supply };
        (Self { providers, namespaces }, supply)
    }
}
