//! The status of providers: whether credentials can use them. One task writes it, one provider after another.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource as _};
use serde_json::json;

use crate::api::provider::{ClusterOAuthProvider, OAuthProvider, ProviderKind, ProviderStatus};
use crate::controller::context::Context;
use crate::controller::index::{Name, named};
use crate::controller::shelf::Sighting;
use crate::controller::status_patch;
use crate::lifecycle::provider::status;

use super::{AnyProvider, GuardedProvider, is_awaited, usable};

/// After a status that could not be written.
const RETRY: Duration = Duration::from_secs(10);

/// A provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its kind.
    pub kind: ProviderKind,
    /// Namespace and name; the namespace is empty for one of the cluster.
    pub name: Name,
}

/// The providers whose status is to be looked at.
pub struct Reports {
    asks: UnboundedSender<Subject>,
    asked: Mutex<Option<UnboundedReceiver<Subject>>>,
}

impl Default for Reports {
    fn default() -> Self {
        let (asks, asked) = mpsc::unbounded();
        Self { asks, asked: Mutex::new(Some(asked)) }
    }
}

impl Reports {
    /// Has the status of a provider looked at.
    pub fn ask(&self, subject: Subject) {
        // Refused only when the reader has stopped, at the end of all work.
        let _ = self.asks.unbounded_send(subject);
    }
}

/// Writes what is asked for, until the end of all work.
pub async fn run(context: Arc<Context>) {
    let asked = context.reports.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut asked) = asked else { return };
    while let Some(subject) = asked.next().await {
        let Err(why) = report(&context, &subject).await else { continue };
        let Subject { kind, name: (namespace, name) } = &subject;
        tracing::warn!(%kind, namespace, name, why, "status of the provider not written; trying again");
        let context = Arc::clone(&context);
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(RETRY) => context.reports.ask(subject),
                () = context.stopping.cancelled() => {}
            }
        });
    }
}

/// Every provider that the watches have shown whose object satisfies this.
pub fn providers_that(
    context: &Context,
    holds: impl Fn(&crate::api::provider::ProviderSpec) -> bool,
) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for scope in &context.scopes {
        subjects.extend(of_shelf(scope.providers.all(), &holds));
        if let Some(cluster) = &scope.cluster {
            subjects.extend(of_shelf(cluster.providers.all(), &holds));
        }
    }
    subjects
}

fn of_shelf<K: AnyProvider>(
    objects: Vec<Arc<GuardedProvider<K>>>,
    holds: impl Fn(&crate::api::provider::ProviderSpec) -> bool,
) -> impl Iterator<Item = Subject> {
    objects.into_iter().filter_map(move |object| {
        let readable = object.0.as_ref().ok()?;
        let subject = Subject { kind: K::KIND, name: named(object.meta()) };
        holds(readable.provider()).then_some(subject)
    })
}

async fn report(context: &Context, subject: &Subject) -> Result<(), String> {
    let (namespace, name) = (&subject.name.0, &subject.name.1);
    match subject.kind {
        ProviderKind::OAuthProvider => {
            let scope = context.scopes.iter().find(|scope| scope.covers(namespace));
            let Some(scope) = scope else { return Ok(()) };
            let found = scope.providers.find(&ObjectRef::new(name).within(namespace));
            let Sighting::Found(object) = found else { return Ok(()) };
            let api = Api::namespaced(context.client.clone(), namespace);
            write::<OAuthProvider>(context, &object, api).await
        }
        ProviderKind::ClusterOAuthProvider => {
            let cluster = context.scopes.iter().find_map(|scope| scope.cluster.as_ref());
            let Some(cluster) = cluster else { return Ok(()) };
            let found = cluster.providers.find(&ObjectRef::new(name));
            let Sighting::Found(object) = found else { return Ok(()) };
            let api = Api::all(context.client.clone());
            write::<ClusterOAuthProvider>(context, &object, api).await
        }
    }
}

/// Writes the status, if it says something else than what stands there.
async fn write<K>(
    context: &Context,
    object: &GuardedProvider<K>,
    api: Api<PartialObjectMeta<K>>,
) -> Result<(), String>
where
    K: AnyProvider + std::fmt::Debug + Send + Sync + 'static,
{
    let known = usable(context, object);
    // The document's coming asks for this again.
    if known.as_ref().is_err_and(is_awaited) {
        return Ok(());
    }
    let meta = object.meta();
    let previous: ProviderStatus =
        object.0.as_ref().ok().and_then(K::status).cloned().unwrap_or_default();
    let new = status(known.as_ref().copied(), meta.generation, &previous, context.clock.now());
    if new == previous || meta.deletion_timestamp.is_some() {
        return Ok(());
    }
    let name = meta.name.as_deref().unwrap_or_default();
    status_patch::send(&api, name, &json!(new)).await.map(drop)
}
