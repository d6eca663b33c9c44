//! Reads and writes of Secrets: live, bounded in time, under one field manager.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Status;
use kube::{Api, Client};
use serde_json::Value;

use crate::api::FIELD_MANAGER;

/// A request to the API server that has no answer after this is given up.
pub const API_TIMEOUT: Duration = Duration::from_secs(15);

/// How a write failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The object is not what the write was meant for: changed, gone or there already.
    #[error("the Secret changed meanwhile")]
    Conflict,
    /// There is no such object.
    #[error("the Secret does not exist")]
    NotFound,
    /// There is no such namespace, or it is being terminated, so that nothing can be made in it.
    #[error("the namespace is gone or is being terminated")]
    NamespaceGone,
    /// The API server understood and refused; it will again.
    #[error("{0}")]
    Refused(String),
    /// It may work later, or have worked.
    #[error("{0}")]
    Passing(String),
}

impl WriteError {
    fn from_kube(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::Passing(brief(&error.to_string()));
        };
        match status.code {
            404 if status.message.starts_with("namespaces ") => Self::NamespaceGone,
            403 if is_ending(status) => Self::NamespaceGone,
            404 => Self::NotFound,
            409 => Self::Conflict,
            429 | 500.. => Self::Passing(brief(&status.message)),
            _ => Self::Refused(brief(&status.message)),
        }
    }
}

/// Whether it is refused because the namespace is being terminated.
fn is_ending(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// A message of the API server, short enough for a condition.
pub fn brief(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Access to the Secrets of all namespaces in scope.
#[derive(Clone)]
pub struct Secrets {
    client: Client,
}

impl Secrets {
    /// Over a client that does not retry.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// A live read.
    ///
    /// # Errors
    /// Whatever kept it from being read; absence is no error.
    pub async fn get(&self, namespace: &str, name: &str) -> Result<Option<Secret>, WriteError> {
        bounded(self.api(namespace).get_opt(name)).await
    }

    /// A live read of the metadata.
    ///
    /// # Errors
    /// Whatever kept it from being read; absence is no error.
    pub async fn get_metadata(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<ObjectMeta>, WriteError> {
        let found = bounded(self.api(namespace).get_metadata_opt(name)).await?;
        Ok(found.map(|found| found.metadata))
    }

    /// Creates a Secret and returns its metadata.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when it exists.
    pub async fn create(&self, namespace: &str, secret: &Secret) -> Result<ObjectMeta, WriteError> {
        self.create_or_try(namespace, secret, false).await
    }

    /// As [`Secrets::create`]; with `dry_run` the API server judges it and writes nothing.
    ///
    /// # Errors
    /// As [`Secrets::create`].
    pub async fn create_or_try(
        &self,
        namespace: &str,
        secret: &Secret,
        dry_run: bool,
    ) -> Result<ObjectMeta, WriteError> {
        let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let created = bounded(self.api(namespace).create(&params, secret)).await?;
        Ok(created.metadata)
    }

    /// Applies a JSON merge patch (RFC 7386) and returns the metadata. A `resourceVersion` or `uid` in the patch is a precondition.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when a precondition does not hold.
    pub async fn patch(
        &self,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<ObjectMeta, WriteError> {
        self.patch_or_try(namespace, name, patch, false).await
    }

    /// As [`Secrets::patch`]; with `dry_run` the API server judges it and writes nothing.
    ///
    /// # Errors
    /// As [`Secrets::patch`].
    pub async fn patch_or_try(
        &self,
        namespace: &str,
        name: &str,
        patch: &Value,
        dry_run: bool,
    ) -> Result<ObjectMeta, WriteError> {
        let params = PatchParams {
            dry_run,
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patched =
            bounded(self.api(namespace).patch_metadata(name, &params, &Patch::Merge(patch)))
                .await?;
        Ok(patched.metadata)
    }

    /// The UID of a namespace.
    ///
    /// # Errors
    /// [`WriteError::NamespaceGone`]; [`WriteError::Refused`] where it may not be read.
    pub async fn namespace_uid(&self, namespace: &str) -> Result<String, WriteError> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        match bounded(api.get_metadata(namespace)).await {
            Ok(found) => Ok(found.metadata.uid.unwrap_or_default()),
            Err(WriteError::NotFound) => Err(WriteError::NamespaceGone),
            Err(error) => Err(error),
        }
    }

    /// Deletes a Secret, if it is still that one. One that is gone is as good.
    ///
    /// # Errors
    /// Whatever kept it from being deleted.
    pub async fn delete(&self, namespace: &str, name: &str, uid: &str) -> Result<(), WriteError> {
        let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match bounded(self.api(namespace).delete(name, &params)).await {
            Ok(_) | Err(WriteError::NotFound | WriteError::NamespaceGone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn api(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

async fn bounded<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, WriteError> {
    match tokio::time::timeout(API_TIMEOUT, call).await {
        Ok(result) => result.map_err(|error| WriteError::from_kube(&error)),
        Err(_) => Err(WriteError::Passing(format!(
            "no answer from the API server within {} seconds",
            API_TIMEOUT.as_secs()
        ))),
    }
}
