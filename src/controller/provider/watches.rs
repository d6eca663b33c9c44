//! Watches of the providers and, for those of the cluster, of the labels of namespaces: what changes wakes the credentials
//! that it concerns.

use std::sync::Arc;

use kube::api::ObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource};
use tokio::task::JoinHandle;

use crate::api::OAuthCredential;
use crate::api::provider::{OAuthProvider, ProviderKind};
use crate::controller::context::Context;
use crate::controller::index::Name;
use crate::controller::shelf::{News, Supply};

use super::cluster::{ClusterSupply, Labelled};
use super::kinds::{AnyProvider, GuardedProvider};
use super::subjects::Subject;

/// The watches, which end with this.
pub struct Watching(Vec<JoinHandle<()>>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Watches the providers of a scope, and those of the cluster where the scope is all of it.
pub fn start(
    context: &Arc<Context>,
    namespace: Option<&str>,
    providers: Supply<GuardedProvider<OAuthProvider>>,
    cluster: Option<ClusterSupply>,
) -> Watching {
    let client = &context.client;
    let api: Api<GuardedProvider<OAuthProvider>> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let mut tasks = vec![tokio::spawn(follow(Arc::clone(context), api, providers))];
    if let Some(cluster) = cluster {
        let api = Api::all(client.clone());
        tasks.push(tokio::spawn(follow(Arc::clone(context), api, cluster.providers)));
        tasks.push(tokio::spawn(labels(Arc::clone(context), client.clone(), cluster.namespaces)));
    }
    Watching(tasks)
}

async fn follow<K>(
    context: Arc<Context>,
    api: Api<GuardedProvider<K>>,
    supply: Supply<GuardedProvider<K>>,
) where
    K: AnyProvider + serde::de::DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let events = watcher(api, watcher::Config::default().page_size(100)).default_backoff();
    let events = events.modify(|object| trim(object.meta_mut()));
    // A change of the status, which is ours, changes nothing.
    let mark = |object: &GuardedProvider<K>| {
        let meta = object.meta();
        (meta.uid.clone(), meta.generation)
    };
    let tell = |news| match news {
        News::First | News::Unlisted => {
            context.wake_all(context.credentials_that(|credential| names(credential, K::KIND)));
        }
        News::Changed(name) => {
            context.checked.forget(K::KIND, &name);
            let concerned = context.credentials_that(|credential| uses(credential, K::KIND, &name));
            context.wake_spread(concerned);
            context.reports.ask(Subject { kind: K::KIND, name });
        }
        News::Shown(name) => context.reports.ask(Subject { kind: K::KIND, name }),
    };
    supply.fill(events, mark, tell).await;
}

async fn labels(context: Arc<Context>, client: Client, supply: Supply<Labelled>) {
    let api: Api<Labelled> = Api::all(client);
    let events = watcher(api, watcher::Config::default().page_size(100)).default_backoff();
    let events = events.modify(|object| trim(&mut object.metadata));
    let mark = |object: &Labelled| object.metadata.labels.clone();
    let tell = |news| {
        let of_the_cluster =
            |credential: &OAuthCredential| names(credential, ProviderKind::ClusterOAuthProvider);
        let concerned = match news {
            News::First | News::Unlisted => context.credentials_that(of_the_cluster),
            News::Shown(_) => Vec::new(),
            News::Changed((_, name)) => context.credentials_that(|credential| {
                credential.metadata.namespace.as_ref() == Some(&name) && of_the_cluster(credential)
            }),
        };
        context.wake_all(concerned);
    };
    supply.fill(events, mark, tell).await;
}

/// Drops what is not looked at, before it is kept in memory.
fn trim(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    meta.annotations = None;
}

/// Whether a credential names a provider of that kind.
fn names(credential: &OAuthCredential, kind: ProviderKind) -> bool {
    credential.spec.provider.reference.as_ref().is_some_and(|reference| reference.kind == kind)
}

/// Whether a credential names this provider.
fn uses(credential: &OAuthCredential, kind: ProviderKind, (namespace, name): &Name) -> bool {
    let reference = credential.spec.provider.reference.as_ref();
    let here = kind == ProviderKind::ClusterOAuthProvider
        || credential.metadata.namespace.as_ref() == Some(namespace);
    here && reference.is_some_and(|reference| reference.kind == kind && reference.name == *name)
}
