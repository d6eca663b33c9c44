//! Which cluster and which namespace this is, told by UIDs: names are the same everywhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::api::Reason;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::Owners;

use super::secrets::{Secrets, WriteError};

/// Its UID tells one cluster from another.
const CLUSTER: &str = "kube-system";
/// A namespace that was deleted and made anew is noticed after this.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);

/// UIDs as they were last read.
#[derive(Debug, Default)]
pub struct Homes(Mutex<HashMap<String, (Option<String>, Duration)>>);

impl Homes {
    /// Where a namespace is. The cluster stays unknown where the operator may not read it.
    ///
    /// # Errors
    /// When the namespace can't be read.
    pub async fn of(&self, secrets: &Secrets, namespace: &str) -> Result<Owners, Problem> {
        let unreadable = |name: &str, why: &str| {
            let message = format!("the namespace {name} can't be read: {why}");
            Problem::new(Reason::StateNotWritable, message)
        };
        let read = async |name: &str| {
            let uid = self.uid(secrets, name).await;
            uid.map_err(|error| unreadable(name, &error.to_string()))
        };
        let cluster = read(CLUSTER).await?;
        let uid = read(namespace).await?;
        let uid = uid.ok_or_else(|| unreadable(namespace, "the operator may not"))?;
        Ok(Owners { cluster, namespace: uid })
    }

    /// The UID of a namespace; none where that of the cluster's may not be read.
    async fn uid(&self, secrets: &Secrets, namespace: &str) -> Result<Option<String>, WriteError> {
        let now = crate::clock::since_boot();
        let known = self.lock().get(namespace).cloned();
        if let Some((uid, read_at)) = known
            && now.saturating_sub(read_at) < REMEMBERED_FOR
        {
            return Ok(uid);
        }
        let uid = match secrets.namespace_uid(namespace).await {
            Ok(uid) => Some(uid),
            // An operator that is limited to some namespaces never may, and need not ask each time.
            Err(WriteError::Refused(_)) if namespace == CLUSTER => None,
            Err(error) => return Err(error),
        };
        self.lock().insert(namespace.to_owned(), (uid.clone(), now));
        Ok(uid)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Option<String>, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
