//! The provider of a credential, from what the watches have shown and what its issuer publishes.

pub mod checked;
pub mod cluster;
pub mod kinds;
pub mod report;
pub mod subjects;
pub mod watches;

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt as _;
use kube::api::ObjectMeta;
use kube::runtime::reflector::ObjectRef;

use crate::api::provider::{ClusterOAuthProvider, ProviderKind, ProviderRef, ProviderSpec};
use crate::api::{OAuthCredential, Reason};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::provider::{Provider, admits};
use crate::lifecycle::resolve::check;
use crate::oauth::discovery::Metadata;

use super::context::Context;
use super::discovery::Publisher;
use super::scope::Scope;
use super::secrets::brief;
use super::shelf::{Shelf, Sighting};

use self::kinds::{AnyProvider, GuardedProvider};

/// A provider that is an object of its own.
struct Object<'o> {
    kind: ProviderKind,
    meta: &'o ObjectMeta,
    spec: &'o ProviderSpec,
}

impl<'o> Object<'o> {
    fn of<K: AnyProvider>(object: &'o K) -> Self {
        Self { kind: K::KIND, meta: object.meta(), spec: object.provider() }
    }

    fn reference(&self) -> ProviderRef {
        ProviderRef { kind: self.kind, name: self.meta.name.clone().unwrap_or_default() }
    }
}

/// Nothing can be said before a list or a document has come.
fn awaited(what: &str) -> Problem {
    Problem::new(Reason::Pending, format!("waiting for {what}"))
}

/// Whether it is only a matter of a moment.
pub fn is_awaited(problem: &Problem) -> bool {
    problem.reason == Reason::Pending
}

/// The provider of a credential.
///
/// # Errors
/// What keeps it from being known or used; `Pending` while a list or a document has not come yet.
pub fn of<'a>(context: &Context, credential: &'a OAuthCredential) -> Result<Provider<'a>, Problem> {
    let chosen = &credential.spec.provider;
    let meta = &credential.metadata;
    let Some(reference) = &chosen.reference else {
        let provider = Provider::inline(&chosen.inline);
        let document = document(context, &provider, meta).map_err(|why| provider.located(why))?;
        return with(provider, document.as_deref());
    };
    if chosen.inline != ProviderSpec::default() {
        let message = "spec.provider.ref takes no other field of spec.provider beside it";
        return Err(Problem::new(Reason::SpecInvalid, message.to_owned()));
    }
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    named(context, namespace, reference, |object| {
        let provider = Provider::inline(object.spec);
        // Its name is put together only where it is said.
        let document = document(context, &provider, meta)
            .map_err(|why| provider.named(reference).located(why))?;
        checked(context, object, document).map_err(|problem| match problem.reason {
            Reason::DiscoveryFailed => problem,
            _ => invalid(reference, &problem.message),
        })
    })
}

/// Whether a credential goes by the document of an issuer.
pub fn goes_by(context: &Context, credential: &OAuthCredential, publisher: &Publisher) -> bool {
    let chosen = &credential.spec.provider;
    let namespace = credential.metadata.namespace.as_deref().unwrap_or_default();
    match &chosen.reference {
        None => publisher.is_of(&chosen.inline),
        Some(reference) => {
            let named =
                named(context, namespace, reference, |object| Ok(publisher.is_of(object.spec)));
            named.unwrap_or_default()
        }
    }
}

/// What the issuer of a provider publishes, where it has one. Who asks is told of it when it comes.
fn document(
    context: &Context,
    provider: &Provider<'_>,
    asker: &ObjectMeta,
) -> Result<Option<Arc<Metadata>>, Problem> {
    let Some(publisher) = Publisher::of(&provider.spec) else { return Ok(None) };
    match context.discoveries.look(&publisher, asker) {
        None => {
            let issuer = publisher.issuer();
            Err(awaited(&format!("the document of the issuer {issuer}")))
        }
        Some(found) => found.map(Some),
    }
}

/// With what its issuer publishes, where it has one.
fn with<'a>(provider: Provider<'a>, document: Option<&Metadata>) -> Result<Provider<'a>, Problem> {
    match document {
        Some(document) => provider.completed(document),
        None => Ok(provider),
    }
}

/// The same, as it was checked last.
fn checked(
    context: &Context,
    object: &Object<'_>,
    document: Option<Arc<Metadata>>,
) -> Result<Provider<'static>, Problem> {
    let Object { kind, meta, spec } = *object;
    context.checked.look(kind, meta, document, |document| {
        let provider = Provider::of_object(spec.clone()).named(&object.reference());
        let provider = with(provider, document)?;
        check(&provider, context.policy)?;
        Ok(provider)
    })
}

/// Whether credentials can use a provider.
///
/// # Errors
/// Why not; `Pending` while the issuer's document has not come yet.
fn usable<K: AnyProvider>(context: &Context, object: &GuardedProvider<K>) -> Result<(), Problem> {
    let object = object.0.as_ref().map_err(|invalid| {
        let message = format!("the object can't be read: {}", brief(&invalid.error));
        Problem::new(Reason::SpecInvalid, message)
    })?;
    let provider = Provider::inline(object.provider());
    let document =
        document(context, &provider, object.meta()).map_err(|why| provider.located(why))?;
    checked(context, &Object::of(object), document).map(drop)
}

fn invalid(reference: &ProviderRef, why: &str) -> Problem {
    let ProviderRef { kind, name } = reference;
    Problem::new(Reason::ProviderInvalid, format!("the {kind} {name} can't be used: {why}"))
}

/// What is to be known of the provider that a credential in this namespace names.
fn named<T>(
    context: &Context,
    namespace: &str,
    reference: &ProviderRef,
    look: impl FnOnce(&Object<'_>) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let scope = context.scopes.iter().find(|scope| scope.covers(namespace));
    let scope = scope.ok_or_else(|| awaited("the namespace"))?;
    match reference.kind {
        ProviderKind::OAuthProvider => {
            let key = ObjectRef::new(&reference.name).within(namespace);
            let object = found(&scope.providers, &key, reference)?;
            look(&Object::of(readable(&object, reference)?))
        }
        ProviderKind::ClusterOAuthProvider => {
            let Some(cluster) = &scope.cluster else {
                let message = format!(
                    "the ClusterOAuthProvider {} can't be used: this operator is limited to some namespaces and sees nothing of the cluster; use an OAuthProvider of the namespace",
                    reference.name
                );
                return Err(Problem::new(Reason::ProviderNotAllowed, message));
            };
            let object = found(&cluster.providers, &ObjectRef::new(&reference.name), reference)?;
            let object = readable(&object, reference)?;
            is_allowed(scope, object, namespace, &reference.name)?;
            look(&Object::of(object))
        }
    }
}

fn found<K: AnyProvider + 'static>(
    shelf: &Shelf<GuardedProvider<K>>,
    key: &ObjectRef<GuardedProvider<K>>,
    reference: &ProviderRef,
) -> Result<Arc<GuardedProvider<K>>, Problem> {
    let ProviderRef { kind, name } = reference;
    let place = match kind {
        ProviderKind::OAuthProvider => " in this namespace",
        ProviderKind::ClusterOAuthProvider => "",
    };
    let message = match shelf.find(key) {
        Sighting::Found(object) => return Ok(object),
        Sighting::Awaited => return Err(awaited(&format!("the list of {kind}s"))),
        Sighting::Missing => {
            format!("the {kind} {name} (spec.provider.ref) does not exist{place}")
        }
        Sighting::Unlisted(why) => {
            format!("the {kind} {name} (spec.provider.ref) can't be looked for: {why}")
        }
    };
    Err(Problem::new(Reason::ProviderNotFound, message))
}

fn readable<'o, K: AnyProvider>(
    object: &'o GuardedProvider<K>,
    reference: &ProviderRef,
) -> Result<&'o K, Problem> {
    object.0.as_ref().map_err(|unreadable| invalid(reference, &brief(&unreadable.error)))
}

/// Whether credentials of a namespace may use a provider of the cluster.
fn is_allowed(
    scope: &Scope,
    provider: &ClusterOAuthProvider,
    namespace: &str,
    name: &str,
) -> Result<(), Problem> {
    let namespaces = provider.namespaces();
    if admits(namespaces, namespace, None) {
        return Ok(());
    }
    let by_label = namespaces.is_some_and(|namespaces| namespaces.selector.is_some());
    let mut hint = String::new();
    if let Some(cluster) = scope.cluster.as_ref().filter(|_| by_label) {
        match cluster.namespaces.find(&ObjectRef::new(namespace)) {
            Sighting::Awaited => return Err(awaited("the list of namespaces")),
            Sighting::Found(object) => {
                let labels: &BTreeMap<String, String> = object.labels();
                if admits(namespaces, namespace, Some(labels)) {
                    return Ok(());
                }
            }
            Sighting::Missing => {}
            Sighting::Unlisted(why) => hint = format!("; labels of namespaces: {why}"),
        }
    }
    let message = format!(
        "the ClusterOAuthProvider {name} (spec.provider.ref) is not for the namespace {namespace}{hint}"
    );
    Err(Problem::new(Reason::ProviderNotAllowed, message))
}
