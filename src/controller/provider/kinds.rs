//! What the kinds of providers have in common.

use kube::Resource;
use kube::core::DeserializeGuard;

use crate::api::provider::{
    ClusterOAuthProvider, Namespaces, OAuthProvider, ProviderKind, ProviderSpec, ProviderStatus,
};

/// A provider, or what is left of one that can't be read.
pub type GuardedProvider<K> = DeserializeGuard<K>;

/// What the kinds of providers have in common.
pub trait AnyProvider: Resource<DynamicType = ()> + Clone {
    /// Which kind.
    const KIND: ProviderKind;
    /// How to speak to the authorization server.
    fn provider(&self) -> &ProviderSpec;
    /// Who may.
    fn namespaces(&self) -> Option<&Namespaces>;
    /// What was said of it last.
    fn status(&self) -> Option<&ProviderStatus>;
}

impl AnyProvider for OAuthProvider {
    const KIND: ProviderKind = ProviderKind::OAuthProvider;
    fn provider(&self) -> &ProviderSpec {
        &self.spec.provider
    }
    fn namespaces(&self) -> Option<&Namespaces> {
        None
    }
    fn status(&self) -> Option<&ProviderStatus> {
        self.status.as_ref()
    }
}

impl AnyProvider for ClusterOAuthProvider {
    const KIND: ProviderKind = ProviderKind::ClusterOAuthProvider;
    fn provider(&self) -> &ProviderSpec {
        &self.spec.provider
    }
    fn namespaces(&self) -> Option<&Namespaces> {
        self.spec.namespaces.as_ref()
    }
    fn status(&self) -> Option<&ProviderStatus> {
        self.status.as_ref()
    }
}
