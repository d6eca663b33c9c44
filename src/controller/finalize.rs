//! The end of a credential with a state: the refresh token is revoked if the provider takes that, the state goes or stays
//! as the policy says, and only then the finalizer goes.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::Resource as _;
use kube::api::{ObjectMeta, Patch, PatchParams};
use serde_json::json;

use crate::api::{DeletionPolicy, FIELD_MANAGER, FINALIZER, OAuthCredential};
use crate::clock::since_boot;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::resolve;
use crate::oauth::revocation::revocation;

use super::context::Context;
use super::provider;
use super::scope::Guarded;
use super::secrets::{API_TIMEOUT, brief};
use super::state::{self, Place, State};
use super::under_way::UnderWay;

/// Revocation is tried for this long; it never holds the deletion up for ever.
const REVOKE_FOR: Duration = Duration::from_secs(60);
/// Between two tries of whatever failed.
const RETRY: Duration = Duration::from_secs(5);

/// Whether the finalizer is still there.
pub fn is_due(meta: &ObjectMeta) -> bool {
    let mut finalizers = meta.finalizers.iter().flatten();
    finalizers.any(|finalizer| finalizer == FINALIZER)
}

/// Starts it in the background, as soon as no exchange is under way. False when one is.
pub fn start(context: &Arc<Context>, object: Arc<Guarded>) -> bool {
    let Some(guard) = UnderWay::begin(context, &object) else { return false };
    let context = Arc::clone(context);
    context.exchanges.clone().spawn(async move {
        let ended = match &object.0 {
            Ok(credential) => end(&context, credential).await,
            // Its policy can't be read, so that nothing is deleted.
            Err(_) => let_go(&context, object.meta()).await,
        };
        if let Err(why) = ended {
            let (namespace, credential) = (&object.meta().namespace, &object.meta().name);
            tracing::warn!(namespace, credential, why, "deletion not finished; trying again");
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = context.stopping.cancelled() => {}
            }
        }
        drop(guard);
    });
    true
}

async fn end(context: &Context, credential: &OAuthCredential) -> Result<(), String> {
    let policy = credential.spec.state.as_ref().map(|state| state.deletion_policy);
    if policy.unwrap_or_default() == DeletionPolicy::Delete {
        let place = Place::of(credential);
        match state::read(&context.secrets, &place).await {
            Ok(state) => {
                revoke(context, credential, &state).await?;
                delete(context, &place, &state).await?;
            }
            // Not ours, or spoiled: what nobody understands stays.
            Err(problem) if problem.reason == crate::api::Reason::StateInvalid => {
                tracing::warn!(problem = problem.message, "state not deleted");
            }
            Err(problem) => return Err(problem.message),
        }
    }
    let_go(context, &credential.metadata).await
}

async fn delete(context: &Context, place: &Place, state: &State) -> Result<(), String> {
    if !state.exists() {
        return Ok(());
    }
    let deleted = context.secrets.delete(&place.namespace, &place.name, state.uid()).await;
    deleted.map_err(|error| format!("the state Secret {} can't be deleted: {error}", place.name))
}

/// Revokes the newest refresh token, which ends its lineage (RFC 7009 §2.1). An error means: try again.
async fn revoke(
    context: &Context,
    credential: &OAuthCredential,
    state: &State,
) -> Result<(), String> {
    let Some(record) = &state.record else { return Ok(()) };
    let in_time = is_in_time(context, credential);
    let provider = match provider::of(context, credential) {
        Ok(provider) => provider,
        // It may come yet. One that was deleted with the credential will not.
        Err(problem) if in_time && !problem.is_stalled() => return Err(problem.message),
        Err(problem) => {
            not_revoked(context, credential, &problem.message);
            return Ok(());
        }
    };
    let Ok(spec) = resolve::spec(&credential.spec, &provider, context.policy) else {
        return Ok(());
    };
    let Some(endpoint) = spec.revocation_endpoint.clone() else { return Ok(()) };
    let place = Place::of(credential);
    let here = match context.homes.of(&context.secrets, &place.namespace).await {
        Err(problem) if in_time => return Err(problem.message),
        here => here.unwrap_or_default(),
    };
    let allowed = record.endpoint == spec.origin() && record.owners.are_at_home(&here);
    let tried = if allowed {
        let source = context.secrets.get(&place.namespace, spec.source.name).await;
        let data = source.ok().flatten().and_then(|source| source.data).unwrap_or_default();
        match spec.client_of(&data) {
            Ok(client) => {
                let proved = client.authenticate(&spec.endpoint, &context.stamp());
                let sent = match proved {
                    Ok(client) => {
                        let request = revocation(&endpoint, &client, &record.refresh_token);
                        let request = spec.trusting(request);
                        context.transport.send(&request).await
                    }
                    Err(error) => Err(error),
                };
                sent.map_err(|error| error.why()).and_then(|raw| match raw.status {
                    200..=299 => Ok(()),
                    status => Err(format!("the revocation endpoint answered {status}")),
                })
            }
            Err(Problem { message, .. }) => Err(message),
        }
    } else {
        Err("the state belongs to another cluster or endpoint".to_owned())
    };
    let Err(why) = tried else {
        context.events.revoked(credential, None);
        return Ok(());
    };
    if allowed && in_time {
        return Err(why);
    }
    not_revoked(context, credential, &why);
    Ok(())
}

/// Whether revocation may still be tried.
fn is_in_time(context: &Context, credential: &OAuthCredential) -> bool {
    let uid = credential.metadata.uid.as_deref().unwrap_or_default();
    let now = since_boot();
    let mut since = now;
    // The note may not be there yet, in a process that never saw the credential before.
    context.notes.of(credential);
    context.notes.update(uid, |note| since = *note.revoking_since.get_or_insert(now));
    now.saturating_sub(since) < REVOKE_FOR
}

fn not_revoked(context: &Context, credential: &OAuthCredential, why: &str) {
    let why = format!("the refresh token was not revoked and may work until it expires: {why}");
    context.events.revoked(credential, Some(&why));
}

/// Takes the finalizer away.
async fn let_go(context: &Context, meta: &ObjectMeta) -> Result<(), String> {
    let others = meta.finalizers.iter().flatten().filter(|finalizer| *finalizer != FINALIZER);
    match write(context, meta, others.cloned().collect()).await? {
        Written::Done | Written::Gone => Ok(()),
        // The watch will tell, and until then there is a pause.
        Written::Stale => Err("the credential is not as it was seen".to_owned()),
    }
}

/// Sets the finalizer, if it is not there. False when the credential is not as it was read.
///
/// # Errors
/// Whatever kept it from being set.
pub async fn hold(context: &Context, meta: &ObjectMeta) -> Result<bool, String> {
    if is_due(meta) {
        return Ok(true);
    }
    let others = meta.finalizers.iter().flatten().cloned();
    let written = write(context, meta, others.chain([FINALIZER.to_owned()]).collect()).await?;
    Ok(matches!(written, Written::Done))
}

/// How a write ended.
enum Written {
    Done,
    /// The credential is not as it was read.
    Stale,
    /// There is no such credential.
    Gone,
}

/// Writes the finalizers of a credential.
async fn write(
    context: &Context,
    meta: &ObjectMeta,
    finalizers: Vec<String>,
) -> Result<Written, String> {
    let patch = json!({"metadata": {
        "resourceVersion": meta.resource_version, "uid": meta.uid, "finalizers": finalizers,
    }});
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let name = meta.name.as_deref().unwrap_or_default();
    let api: Api<OAuthCredential> = Api::namespaced(context.client.clone(), namespace);
    let params =
        PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(patch);
    match tokio::time::timeout(API_TIMEOUT, api.patch_metadata(name, &params, &patch)).await {
        Ok(Ok(_)) => Ok(Written::Done),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(Written::Gone),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Ok(Written::Stale),
        Ok(Err(error)) => Err(brief(&error.to_string())),
        Err(_) => Err("no answer from the API server".to_owned()),
    }
}
