//! The provider of a credential, from what the watches have shown and what its issuer publishes.

pub mod report;
pub mod watches;

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt as _};

use crate::api::provider::{
    ClusterOAuthProvider, Namespaces, OAuthProvider, ProviderKind, ProviderRef, ProviderSpec,
    ProviderStatus,
};
use crate::api::{OAuthCredential, Reason};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::provider::{Provider, admits};
use crate::lifecycle::resolve::check;

use super::context::Context;
use super::discovery::Publisher;
use super::scope::Scope;
use super::secrets::brief;
use super::shelf::{Shelf, Sighting};

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
    let Some(reference) = &chosen.reference else {
        return complete(context, Provider::inline(&chosen.inline));
    };
    if chosen.inline != ProviderSpec::default() {
        let message = "spec.provider.ref takes no other field of spec.provider beside it";
        return Err(Problem::new(Reason::SpecInvalid, message.to_owned()));
    }
    let namespace = credential.metadata.namespace.as_deref().unwrap_or_default();
    let spec = named(context, namespace, reference)?;
    let provider = complete(context, Provider::of_object(spec).named(reference))?;
    check(&provider, context.policy).map_err(|problem| invalid(reference, &problem.message))?;
    Ok(provider)
}

/// With what its issuer publishes, where it has one.
fn complete<'a>(context: &Context, provider: Provider<'a>) -> Result<Provider<'a>, Problem> {
    let Some(publisher) = Publisher::of(&provider.spec) else { return Ok(provider) };
    match context.discoveries.look(&publisher) {
        None => {
            let issuer = publisher.issuer();
            Err(awaited(&format!("the document of the issuer {issuer}")))
        }
        Some(Err(problem)) => Err(provider.located(problem)),
        Some(Ok(metadata)) => provider.completed(&metadata),
    }
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
    let provider = complete(context, Provider::of_object(object.provider().clone()))?;
    check(&provider, context.policy)
}

fn invalid(reference: &ProviderRef, why: &str) -> Problem {
    let ProviderRef { kind, name } = reference;
    Problem::new(Reason::ProviderInvalid, format!("the {kind} {name} can't be used: {why}"))
}

/// The spec of the provider that a credential in this namespace names.
fn named(
    context: &Context,
    namespace: &str,
    reference: &ProviderRef,
) -> Result<ProviderSpec, Problem> {
    let scope = context.scopes.iter().find(|scope| scope.covers(namespace));
    let scope = scope.ok_or_else(|| awaited("the namespace"))?;
    match reference.kind {
        ProviderKind::OAuthProvider => {
            let key = ObjectRef::new(&reference.name).within(namespace);
            let object = found(&scope.providers, &key, reference)?;
            Ok(readable(&object, reference)?.provider().clone())
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
            Ok(object.provider().clone())
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
