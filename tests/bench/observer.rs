//! Sees what a user would see: the status of every credential and every target, by watches of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, future};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt as _};
use oauth_keeper::api::OAuthCredential;
use oauth_keeper::api::condition::READY;
use oauth_keeper_test_support::wait;
use tokio::task::JoinHandle;

use crate::fleet::NAMESPACE;

const CREDENTIAL: &str = "oauth-keeper.dev/credential";
const REVISION: &str = "oauth-keeper.dev/revision";
const STATE_SUFFIX: &str = "-oauth-state";
const LIMIT: Duration = Duration::from_secs(1800);

/// The watches. Dropping it ends them.
pub(crate) struct Observer {
    seen: Arc<Mutex<Seen>>,
    watching: [JoinHandle<()>; 2],
}

#[derive(Default)]
struct Seen {
    /// Revision of each target.
    targets: HashMap<String, i64>,
    newest_target: Option<Instant>,
    /// Revision in the status of each credential that is ready.
    ready: HashMap<String, i64>,
    /// When a revision is to be replaced, as its status says.
    planned: HashMap<(String, i64), Timestamp>,
    /// Seconds from planned to written, for each renewal since the last `take_lateness`.
    lateness: Vec<f64>,
}

impl Observer {
    /// Begins to watch.
    pub(crate) fn start(client: &Client) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let credentials: Api<OAuthCredential> = Api::namespaced(client.clone(), NAMESPACE);
        let secrets: Api<PartialObjectMeta<Secret>> = Api::namespaced(client.clone(), NAMESPACE);
        let ours = watcher::Config::default().labels("app.kubernetes.io/managed-by=oauth-keeper");
        let (of_credentials, of_targets) = (Arc::clone(&seen), Arc::clone(&seen));
        let statuses =
            watcher(credentials, watcher::Config::default()).default_backoff().applied_objects();
        let targets = watcher(secrets, ours).default_backoff().applied_objects();
        let watching = [
            tokio::spawn(statuses.for_each(move |credential| {
                if let Ok(credential) = &credential {
                    lock(&of_credentials).take_status(credential);
                }
                future::ready(())
            })),
            tokio::spawn(targets.for_each(move |secret| {
                if let Ok(secret) = &secret {
                    lock(&of_targets).take_target(secret, Timestamp::now());
                }
                future::ready(())
            })),
        ];
        Self { seen, watching }
    }

    /// Waits until there are so many targets; tells when the last of them came.
    pub(crate) async fn all_targets(&self, size: usize) -> Instant {
        wait::until(&format!("{size} targets exist"), LIMIT, || async {
            let seen = lock(&self.seen);
            seen.newest_target.filter(|_| seen.targets.len() >= size)
        })
        .await
    }

    /// Waits until so many credentials are ready and have had so many token sets.
    pub(crate) async fn all_ready(&self, size: usize, revision: i64) {
        wait::until(
            &format!("{size} credentials are ready with revision {revision}"),
            LIMIT,
            || async {
                let ready =
                    lock(&self.seen).ready.values().filter(|seen| **seen >= revision).count();
                (ready >= size).then_some(())
            },
        )
        .await;
    }

    /// Waits until a renewal is seen that was due by its time.
    pub(crate) async fn first_renewal(&self) {
        self.take_lateness();
        wait::until("a credential is renewed", LIMIT, || async {
            (!lock(&self.seen).lateness.is_empty()).then_some(())
        })
        .await;
    }

    /// How late the renewals since the last call were, in seconds.
    pub(crate) fn take_lateness(&self) -> Vec<f64> {
        std::mem::take(&mut lock(&self.seen).lateness)
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.watching.iter().for_each(JoinHandle::abort);
    }
}

impl Seen {
    fn take_status(&mut self, credential: &OAuthCredential) {
        let name = credential.name_any();
        let Some(status) = &credential.status else {
            return;
        };
        let Some(target) = &status.target else { return };
        if let Some(planned) = &status.next_renewal_time {
            self.planned.insert((name.clone(), target.revision), planned.0);
        }
        let ready = status
            .conditions
            .iter()
            .any(|condition| condition.type_ == READY && condition.status == "True");
        // Ready speaks of the spec as it is only if it has seen it.
        if ready && status.observed_generation == credential.metadata.generation {
            self.ready.insert(name, target.revision);
        } else {
            self.ready.remove(&name);
        }
    }

    fn take_target(&mut self, secret: &PartialObjectMeta<Secret>, now: Timestamp) {
        let annotation = |key: &str| secret.annotations().get(key);
        let (Some(name), Some(revision)) = (annotation(CREDENTIAL), annotation(REVISION)) else {
            return;
        };
        let Ok(revision) = revision.parse::<i64>() else {
            return;
        };
        if secret.name_any().ends_with(STATE_SUFFIX) {
            return;
        }
        if self.targets.insert(name.clone(), revision).is_none() {
            self.newest_target = Some(Instant::now());
        }
        if let Some(planned) = self.planned.remove(&(name.clone(), revision - 1)) {
            self.lateness.push(now.duration_since(planned).as_secs_f64());
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
