//! Writes of a status.

use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Resource};
use serde_json::{Value, json};

use crate::api::FIELD_MANAGER;

use super::secrets::{API_TIMEOUT, brief};

/// Patches a status and returns the new `resourceVersion`; nothing for an object that is gone. The object is read back as
/// metadata only: it may be one that can't be read whole.
///
/// # Errors
/// What the API server said.
pub async fn send<K: Resource<DynamicType = ()>>(
    api: &Api<PartialObjectMeta<K>>,
    name: &str,
    status: &Value,
) -> Result<Option<String>, String> {
    let params =
        PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"status": status}));
    match tokio::time::timeout(API_TIMEOUT, api.patch_status(name, &params, &patch)).await {
        Ok(Ok(patched)) => Ok(patched.metadata.resource_version),
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Ok(None),
        Ok(Err(error)) => Err(brief(&error.to_string())),
        Err(_) => Err("no answer from the API server".to_owned()),
    }
}
