//! The status of providers: whether credentials can use them. One task writes it, one provider after another.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource as _};
use serde_json::json;

use crate::api::provider::{
    ClusterOAuthProvider, OAuthProvider, ProviderKind, ProviderSpec, ProviderStatus,
};
use crate::controller::context::Context;
use crate::controller::index::named;
use crate::controller::shelf::Sighting;
use crate::controller::status_patch;
use crate::lifecycle::provider::status;

use super::kinds::{AnyProvider, GuardedProvider};
use super::subjects::Subject;
use super::{is_awaited, usable};

/// After a status that could not be written.
const RETRY: Duration = Duration::from_secs(10);

/// Writes what is asked for, until the end of all work.
pub async fn run(context: Arc<Context>) {
    let Some(mut asked) = context.reports.asked() else { return };
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
pub fn providers_that(context: &Context, holds: impl Fn(&ProviderSpec) -> bool) -> Vec<Subject> {
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
    holds: impl Fn(&ProviderSpec) -> bool,
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
