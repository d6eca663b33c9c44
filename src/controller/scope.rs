//! What one pair of watches covers: a namespace, or all.

use std::sync::Arc;

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};

use crate::api::OAuthCredential;

/// A credential, or what is left of one that can't be read.
pub type Guarded = DeserializeGuard<OAuthCredential>;

/// A scope, as those see it that ask for passes.
pub struct Scope {
    /// None for all.
    namespace: Option<String>,
    passes: UnboundedSender<ObjectRef<Guarded>>,
    credentials: Store<Guarded>,
}

/// A scope, as its watches see it.
pub struct Feed {
    /// The namespace; none for all.
    pub namespace: Option<String>,
    /// The passes that are asked for.
    pub passes: UnboundedReceiver<ObjectRef<Guarded>>,
    /// Where the watch puts the credentials.
    pub credentials: Writer<Guarded>,
}

impl Scope {
    /// Of a namespace, or of all.
    pub fn new(namespace: Option<String>) -> (Self, Feed) {
        let (sender, receiver) = mpsc::unbounded();
        let (store, writer) = reflector::store();
        let scope = Self { namespace: namespace.clone(), passes: sender, credentials: store };
        (scope, Feed { namespace, passes: receiver, credentials: writer })
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
