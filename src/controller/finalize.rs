//! The end of a credential with a state: the refresh token is revoked if the provider takes that, the state goes or stays
//! as the policy says, and only then the finalizer goes.

mod revoke;

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::Resource as _;
use kube::api::{ObjectMeta, Patch, PatchParams};
use serde_json::json;

use crate::api::{DeletionPolicy, FIELD_MANAGER, FINALIZER, OAuthCredential};

use super::context::Context;
use super::scope::Guarded;
use super::secrets::{API_TIMEOUT, brief};
use super::state::{self, Place, State};
use super::under_way::UnderWay;

use self::revoke::revoke;

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
