//! Which cluster and which namespace this is, told by UIDs: names are the same everywhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};

use crate::api::Reason;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::Owners;

use super::secrets::{API_TIMEOUT, brief};

/// Its UID tells one cluster from another.
const CLUSTER: &str = "kube-system";
/// A namespace that was deleted and made anew is noticed after this.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// The UID of a namespace, or why it can't be read.
type Uid = Result<String, String>;

/// UIDs as they were last read.
#[derive(Debug, Default)]
pub struct Homes(Mutex<HashMap<String, (Uid, Duration)>>);

impl Homes {
    /// Where a namespace is. The cluster stays unknown where the operator may not read it.
    ///
    /// # Errors
    /// When the namespace can't be read.
    pub async fn of(&self, client: &Client, namespace: &str) -> Result<Owners, Problem> {
        let cluster = self.uid(client, CLUSTER).await.ok();
        let unreadable = |why: String| {
            let message = format!("the namespace {namespace} can't be read: {why}");
            Problem::new(Reason::StateNotWritable, message)
        };
        let namespace = self.uid(client, namespace).await.map_err(unreadable)?;
        Ok(Owners { cluster, namespace })
    }

    async fn uid(&self, client: &Client, namespace: &str) -> Uid {
        let now = crate::clock::since_boot();
        let known = self.lock().get(namespace).cloned();
        if let Some((uid, read_at)) = known
            && now.saturating_sub(read_at) < REMEMBERED_FOR
        {
            return uid;
        }
        let api: Api<Namespace> = Api::all(client.clone());
        let uid = match tokio::time::timeout(API_TIMEOUT, api.get_metadata(namespace)).await {
            Ok(Ok(found)) => found.metadata.uid.ok_or_else(|| "it has no UID".to_owned()),
            Ok(Err(kube::Error::Api(status))) if status.code == 403 && namespace == CLUSTER => {
                // An operator that is limited to some namespaces never may; it need not ask each time.
                Err(brief(&status.message))
            }
            Ok(Err(error)) => return Err(brief(&error.to_string())),
            Err(_) => return Err("no answer from the API server".to_owned()),
        };
        self.lock().insert(namespace.to_owned(), (uid.clone(), now));
        uid
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Uid, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
