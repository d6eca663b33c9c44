//! The watches, one pair for each scope (a namespace, or all): credentials whole, Secrets as metadata only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, TryStreamExt, future};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::core::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use tokio::sync::watch;

use crate::api::OAuthCredential;
use crate::clock::since_boot;

use super::context::Context;
use super::index::{Name, References, named};
use super::scope::Feed;
use super::scope::Guarded;
use super::watch_error::refusal;
use super::{provider, reconcile, state};

/// Passes in flight at once; they wait for the API server only, exchanges have slots of their own.
const PASSES: u16 = 32;
/// After a pass that could not be recorded.
const RETRY: Duration = Duration::from_secs(5);

/// How often the wall clock is compared with the time that passed.
const CLOCK_CHECK: Duration = Duration::from_secs(5);
/// A smaller step is no more than a correction.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// What of a scope was listed at least once.
#[derive(Clone, Debug)]
pub struct Synced {
    secrets: watch::Sender<bool>,
    credentials: watch::Sender<bool>,
}

impl Synced {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { secrets: watch::Sender::new(false), credentials: watch::Sender::new(false) }
    }

    /// Waits for both lists.
    pub async fn wait(&self) {
        for list in [&self.secrets, &self.credentials] {
            // The sender is ours and lives as long as we do.
            let _ = list.subscribe().wait_for(|done| *done).await;
        }
    }
}

impl Default for Synced {
    fn default() -> Self {
        Self::new()
    }
}

/// Watches one scope and makes its passes until `context.stopping`.
pub async fn run(context: Arc<Context>, feed: Feed, synced: Synced) {
    let Feed { namespace: scope, passes, credentials: writer, providers, cluster } = feed;
    let _watching_providers =
        provider::watches::start(&context, scope.as_deref(), providers, cluster);
    let store = writer.as_reader();
    let credentials = reflector::reflector(
        writer,
        watch_of::<Guarded>(&context.client, scope.as_deref())
            .modify(|object| trim(object.meta_mut())),
    );
    let secrets = watch_of::<PartialObjectMeta<Secret>>(&context.client, scope.as_deref());
    let watching_credentials = {
        let (context, scope, synced) = (Arc::clone(&context), scope.clone(), synced.clone());
        let mut listed = Vec::new();
        tokio::spawn(follow(credentials, move |event| {
            credential_event(&context, scope.as_deref(), event, &synced, &mut listed);
        }))
    };
    let watching_secrets = {
        let (context, synced) = (Arc::clone(&context), synced.clone());
        tokio::spawn(follow(secrets, move |event| {
            secret_event(&context, scope.as_deref(), event, &synced);
        }))
    };
    synced.wait().await;
    let stopping = context.stopping.clone();
    let asked =
        passes.map(Ok::<_, std::convert::Infallible>).take_until(stopping.cancelled_owned());
    let passes = applier(
        |object, context| Box::pin(reconcile::reconcile(object, context)),
        |_, error, _| {
            tracing::warn!(%error, "pass not recorded; trying again");
            Action::requeue(RETRY)
        },
        Arc::clone(&context),
        store,
        asked,
        Config::default().concurrency(PASSES),
    );
    passes
        .for_each(|pass| {
            if let Err(error) = pass {
                tracing::debug!(%error, "pass failed");
            }
            future::ready(())
        })
        .await;
    watching_credentials.abort();
    watching_secrets.abort();
}

/// Looks at every credential anew when the wall clock was set, or the machine slept: timers notice neither.
pub async fn clock(context: &Context) {
    let mut seen = Clocks::read(context);
    loop {
        tokio::time::sleep(CLOCK_CHECK).await;
        let now = Clocks::read(context);
        if now.differ_from(&seen) {
            tracing::warn!("the clock was set, or the machine slept; looking at every credential");
            context.wake_all(context.index.credentials());
        }
        seen = now;
    }
}

/// What the clocks show beside each other.
struct Clocks {
    set_by: SignedDuration,
    since_boot: Duration,
    awake: Instant,
}

impl Clocks {
    fn read(context: &Context) -> Self {
        let set_by = context.clock.set_by();
        Self { set_by, since_boot: since_boot(), awake: Instant::now() }
    }

    fn differ_from(&self, before: &Self) -> bool {
        let set = self.set_by.saturating_sub(before.set_by).abs();
        let passed = self.since_boot.saturating_sub(before.since_boot);
        let slept = passed.saturating_sub(self.awake.saturating_duration_since(before.awake));
        set.unsigned_abs() > CLOCK_STEP || slept > CLOCK_STEP
    }
}

fn watch_of<K>(
    client: &Client,
    scope: Option<&str>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
where
    K: Resource<DynamicType = ()>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
{
    let api: Api<K> = match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    // Small pages: each is held whole while it is read.
    watcher(api, watcher::Config::default().page_size(100)).default_backoff()
}

async fn follow<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    mut take: impl FnMut(Event<K>),
) {
    let events = events.inspect_err(|error| {
        tracing::warn!(%error, hint = hint(error), "watch failed; it is begun again");
    });
    events
        .filter_map(|event| future::ready(event.ok()))
        .for_each(|event| {
            take(event);
            future::ready(())
        })
        .await;
}

/// What somebody who runs the operator can do about it.
fn hint(error: &watcher::Error) -> Option<&'static str> {
    match refusal(error)? {
        403 => Some("the operator lacks this right; the chart's roles have it"),
        404 => Some(
            "the CustomResourceDefinition of OAuthCredential is not installed; install it with the chart or from `oauth-keeper crd`",
        ),
        _ => None,
    }
}

/// Drops what is not looked at, before it is kept in memory: of annotations alone one object may have 256 KiB.
fn trim(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    meta.labels = None;
    let ours = meta.annotations.take().into_iter().flatten();
    let ours: BTreeMap<_, _> =
        ours.filter(|(name, _)| name.starts_with("oauth-keeper.dev/")).collect();
    // An empty map that once held something keeps its memory.
    meta.annotations = (!ours.is_empty()).then_some(ours);
}

/// `listed` gathers what a list shows: the store has it only when the list is complete.
fn credential_event(
    context: &Context,
    scope: Option<&str>,
    event: Event<Guarded>,
    synced: &Synced,
    listed: &mut Vec<Name>,
) {
    match event {
        Event::Init => {
            listed.clear();
            context.index.credentials_listing(scope);
        }
        Event::InitApply(object) => listed.extend(saw(context, &object)),
        Event::Apply(object) => context.wake_all(saw(context, &object)),
        Event::Delete(object) => {
            let name = named(object.meta());
            context.notes.need_not_begin(&name);
            context.wake_all(context.index.lost_credential(&name.0, &name.1));
            forget(context, object.meta().uid.as_deref().unwrap_or_default());
        }
        Event::InitDone => {
            let (concerned, gone) = context.index.credentials_listed(scope);
            for uid in gone {
                forget(context, &uid);
            }
            listed.extend(concerned);
            context.wake_all(std::mem::take(listed));
            synced.credentials.send_replace(true);
        }
    }
}

/// Drops what was remembered of a credential that is gone.
fn forget(context: &Context, uid: &str) {
    context.slots.forget(uid);
    if let Some(note) = context.notes.forget(uid) {
        context.metrics.reported(note.reason, None);
        context.metrics.ending(note.told_of_end.is_some(), false);
    }
}

/// Takes a credential into the index and returns all that must be looked at, itself among them.
fn saw(context: &Context, object: &Guarded) -> Vec<Name> {
    let (namespace, name) = named(object.meta());
    let mut concerned = match &object.0 {
        Ok(credential) => context.index.saw_credential(&namespace, &name, references(credential)),
        Err(_) => Vec::new(),
    };
    concerned.push((namespace, name));
    concerned
}

fn secret_event(
    context: &Context,
    scope: Option<&str>,
    event: Event<PartialObjectMeta<Secret>>,
    synced: &Synced,
) {
    match event {
        Event::Init => context.index.secrets_listing(scope),
        Event::InitApply(secret) | Event::Apply(secret) => {
            context.wake_all(context.index.saw_secret(&secret.metadata));
        }
        Event::Delete(secret) => context.wake_all(context.index.lost_secret(&secret.metadata)),
        Event::InitDone => {
            context.wake_all(context.index.secrets_listed(scope));
            synced.secrets.send_replace(true);
        }
    }
}

fn references(credential: &OAuthCredential) -> References {
    let meta = &credential.metadata;
    References {
        source: credential.spec.source.name.clone(),
        target: credential.spec.target.name.clone(),
        state: state::name(meta.name.as_deref().unwrap_or_default()),
        created: meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        uid: meta.uid.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_looks_at_is_not_kept() {
        let of =
            |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        let mut meta = ObjectMeta {
            annotations: Some(of(&["oauth-keeper.dev/retry", "kubectl.kubernetes.io/a", "big"])),
            labels: Some(of(&["l"])),
            name: Some("n".to_owned()),
            ..ObjectMeta::default()
        };
        trim(&mut meta);
        let kept = ObjectMeta {
            annotations: Some(of(&["oauth-keeper.dev/retry"])),
            name: Some("n".to_owned()),
            ..ObjectMeta::default()
        };
        assert_eq!(meta, kept);
    }
}
