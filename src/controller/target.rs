//! Writes the target Secret.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use serde_json::{Map, Value, json};

use crate::api::{DeletionPolicy, OAuthCredential, Reason};
use crate::lifecycle::ownership::{self, Fields};
use crate::lifecycle::plan::SecretFacts;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::{Record, SOURCE_VERSION};
use crate::lifecycle::render::{self, Rendered, Tokens};

use super::context::Context;
use super::secrets::WriteError;

/// Writes a token set into the target, where `known` is the target as last seen: creates it when there is none, and
/// never touches a Secret that is not this credential's.
///
/// # Errors
/// [`WriteError::Conflict`] when the target is not as last seen.
pub async fn write(
    context: &Context,
    credential: &OAuthCredential,
    known: Option<&SecretFacts>,
    tokens: &Tokens,
    record: &Record,
) -> Result<(), WriteError> {
    let meta = send(context, credential, known, tokens, record, false).await?;
    let version = meta.resource_version.clone();
    context.wake_others(context.index.saw_secret(&meta), credential);
    let uid = credential.metadata.uid.as_deref().unwrap_or_default();
    context.notes.update(uid, |note| note.known_target = version);
    Ok(())
}

/// Has the API server judge such a write before a token is spent for it.
///
/// # Errors
/// As [`write`].
pub async fn rehearse(
    context: &Context,
    credential: &OAuthCredential,
    known: Option<&SecretFacts>,
    tokens: &Tokens,
    record: &Record,
) -> Result<(), WriteError> {
    send(context, credential, known, tokens, record, true).await.map(drop)
}

async fn send(
    context: &Context,
    credential: &OAuthCredential,
    known: Option<&SecretFacts>,
    tokens: &Tokens,
    record: &Record,
    dry_run: bool,
) -> Result<ObjectMeta, WriteError> {
    let namespace = credential.metadata.namespace.as_deref().unwrap_or_default();
    let name = credential.metadata.name.as_deref().unwrap_or_default();
    let spec = &credential.spec.target;
    let rendered = render::target(name, spec, tokens, record);
    match known {
        None => create(context, namespace, &new_secret(credential, &rendered), dry_run).await,
        Some(known) if known.credential.as_deref() != Some(name) => Err(WriteError::Conflict),
        Some(known) => {
            let stale = stale_fields(context, namespace, credential, known, record).await?;
            let patch = patch(credential, known, &rendered, &stale);
            let secrets = &context.secrets;
            let patched = secrets.patch_or_try(namespace, &spec.name, &patch, dry_run).await;
            if matches!(patched, Err(WriteError::NotFound)) {
                context.index.missed_secret(namespace, &spec.name, &known.uid);
            }
            patched
        }
    }
}

/// Notes in a target, which is the only record of a grant without a state, that another version of the source says the
/// same, so that the next process need not ask for a token to be sure. Nothing is lost when it can't be written.
pub async fn note_source(context: &Context, credential: &OAuthCredential, source_version: &str) {
    let namespace = credential.metadata.namespace.as_deref().unwrap_or_default();
    let name = credential.metadata.name.as_deref().unwrap_or_default();
    let Some(known) = context.index.sight(namespace, name).target else { return };
    let annotations = json!({SOURCE_VERSION: source_version});
    let patch = json!({"metadata": {"uid": known.uid, "annotations": annotations}});
    let target = &credential.spec.target.name;
    match context.secrets.patch(namespace, target, &patch).await {
        Ok(meta) => {
            context.index.saw_secret(&meta);
            let uid = credential.metadata.uid.as_deref().unwrap_or_default();
            context.notes.update(uid, |note| {
                if note.known_target.as_deref() == Some(&known.version) {
                    note.known_target = meta.resource_version;
                }
            });
        }
        Err(error) => tracing::debug!(namespace, target, %error, "source version not noted"),
    }
}

async fn create(
    context: &Context,
    namespace: &str,
    secret: &Secret,
    dry_run: bool,
) -> Result<ObjectMeta, WriteError> {
    let created = context.secrets.create_or_try(namespace, secret, dry_run).await;
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    if matches!(created, Err(WriteError::Conflict)) {
        // Somebody was quicker, or our own create was answered into the void: see what is there.
        if let Some(meta) = context.secrets.get_metadata(namespace, name).await? {
            context.wake_all(context.index.saw_secret(&meta));
        }
    }
    created
}

/// Fields that an earlier template wrote and this one does not. Looked for only when the target is not as this template
/// writes it, since it takes a read.
async fn stale_fields(
    context: &Context,
    namespace: &str,
    credential: &OAuthCredential,
    known: &SecretFacts,
    record: &Record,
) -> Result<Fields, WriteError> {
    let spec = &credential.spec.target;
    if known.template.as_deref() == Some(&render::template_digest(spec)) {
        return Ok(Fields::new());
    }
    let name = credential.metadata.name.as_deref().unwrap_or_default();
    let expected = render::target_fields(name, spec, record);
    let Some(meta) = context.secrets.get_metadata(namespace, &spec.name).await? else {
        return Ok(Fields::new());
    };
    let written = ownership::written_by_us(meta.managed_fields.as_deref().unwrap_or_default());
    Ok(written.difference(&expected).cloned().collect())
}

fn new_secret(credential: &OAuthCredential, rendered: &Rendered) -> Secret {
    let annotations =
        rendered.annotations.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
    let data = rendered
        .data
        .iter()
        .map(|(key, value)| (key.clone(), ByteString(value.as_bytes().to_vec())));
    Secret {
        metadata: ObjectMeta {
            name: Some(credential.spec.target.name.clone()),
            labels: Some(rendered.labels.clone()),
            annotations: Some(annotations.collect()),
            owner_references: owner(credential).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(data.collect()),
        ..Secret::default()
    }
}

/// The merge patch; the UID in it keeps it off a Secret that somebody else made in the meantime.
fn patch(
    credential: &OAuthCredential,
    known: &SecretFacts,
    rendered: &Rendered,
    stale: &Fields,
) -> Value {
    let mut data: Map<String, Value> = rendered
        .data
        .iter()
        .map(|(key, value)| (key.clone(), json!(ByteString(value.as_bytes().to_vec()))))
        .collect();
    for key in known.record.iter().flat_map(|record| &record.fields) {
        data.entry(key.clone()).or_insert(Value::Null);
    }
    let mut labels: Map<String, Value> =
        rendered.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let mut annotations: Map<String, Value> =
        rendered.annotations.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    for field in stale {
        match field.split_once('/') {
            Some(("data", key)) => data.insert(key.to_owned(), Value::Null),
            Some(("label", key)) => labels.insert(key.to_owned(), Value::Null),
            Some(("annotation", key)) => annotations.insert(key.to_owned(), Value::Null),
            _ => None,
        };
    }
    json!({
        "metadata": {
            "uid": known.uid,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": owner(credential).map(|owner| vec![owner]),
        },
        "data": data,
    })
}

/// The credential as owner, so that the garbage collector removes the Secret with it, unless it shall be retained.
fn owner(credential: &OAuthCredential) -> Option<OwnerReference> {
    if credential.spec.target.deletion_policy == DeletionPolicy::Retain {
        return None;
    }
    credential
        .controller_owner_ref(&())
        .map(|owner| OwnerReference { block_owner_deletion: None, ..owner })
}

/// A target that can't be written.
pub fn unwritable(credential: &OAuthCredential, why: &str) -> Problem {
    let name = &credential.spec.target.name;
    let message = format!("the target Secret {name} (spec.target.name) can't be written: {why}");
    Problem::new(Reason::TargetNotWritable, message)
}
