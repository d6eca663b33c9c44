//! What one pair of watches covers: a namespace, or all.

use std::sync::Arc;

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};

use crate::api::{OAuthCredential, OAuthProvider};

use super::provider::cluster::{Cluster, ClusterSupply};
use super::provider::kinds::GuardedProvider;
use super::shelf::{Shelf, Supply};

/// A credential, or what is left of one that can't be read.
pub type Guarded = DeserializeGuard<OAuthCredential>;

/// A scope, as those see it that ask for passes.
pub struct Scope {
    /// None for all.
    namespace: Option<String>,
    passes: UnboundedSender<ObjectRef<Guarded>>,
    credentials: Store<Guarded>,
    /// The providers in it.
    pub providers: Shelf<GuardedProvider<OAuthProvider>>,
    /// What is of the cluster, when it is all.
    pub cluster: Option<Cluster>,
}

/// A scope, as its watches see it.
pub struct Feed {
    /// The namespace; none for all.
    pub namespace: Option<String>,
    /// The passes that are asked for.
    pub passes: UnboundedReceiver<ObjectRef<Guarded>>,
    /// Where the watch puts the credentials.
    pub credentials: Writer<Guarded>,
    /// Where it puts the providers.
    pub providers: Supply<GuardedProvider<OAuthProvider>>,
    /// Where it puts what is of the cluster.
    pub cluster: Option<ClusterSupply>,
}

impl Scope {
    /// Of a namespace, or of all.
    pub fn new(namespace: Option<String>) -> (Self, Feed) {
        let (sender, receiver) = mpsc::unbounded();
        let (store, writer) = reflector::store();
        let (providers, provider_supply) = Shelf::new();
        let (cluster, cluster_supply) = namespace.is_none().then(Cluster::new).unzip();
        let feed = Feed {
            namespace: namespace.clone(),
            passes: receiver,
            credentials: writer,
            providers: provider_supply,
            cluster: cluster_supply,
        };
        (Self { namespace, passes: sender, credentials: store, providers, cluster }, feed)
    }

    /// Every credential as the watch has shown it last.
    pub fn credentials(&self) -> Vec<Arc<Guarded>> {
        self.credentials.state()
    }

    /// Whether it covers a namespace.
    pub fn covers(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|only| only == namespace)
    }

    /// Asks for a pass over a credential.
    pub fn wake(&self, namespace: &str, name: &str) {
        // Refused only when the reader has stopped, and then nobody waits for a pass.
        let _ = self.passes.unbounded_send(ObjectRef::new(name).within(namespace));
    }

    /// A credential as the watch has shown it last.
    pub fn credential(&self, namespace: &str, name: &str) -> Option<Arc<Guarded>> {
        self.credentials.get(&ObjectRef::new(name).within(namespace))
    }
}
