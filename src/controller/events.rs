//! Events, on transitions only. Written beside the pass: an event that can't be written holds up nothing.
//! kube's recorder is not used: it merges events that differ only in their message, and keeps every one for minutes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Resource};
use tokio::sync::Semaphore;

use crate::api::condition::Class;
use crate::api::{FIELD_MANAGER, OAuthCredential, Reason};
use crate::oauth::response::MAX_KEPT;

/// The most bytes the API server takes as a note.
const MAX_NOTE: usize = 1000;

/// Writes events.
#[derive(Clone)]
pub struct Events {
    client: Client,
    instance: String,
    /// Requests under way at once: thousands of credentials may turn in one moment, and each request takes room.
    slots: Arc<Semaphore>,
    /// Whether the last one could not be written, so that this is said once and not for each.
    failing: Arc<AtomicBool>,
}

const AT_ONCE: usize = 4;

impl Events {
    /// As this process.
    pub fn new(client: Client, instance: String) -> Self {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        Self { client, instance, slots, failing: Arc::default() }
    }

    /// Says that the reason of a credential's `Ready` changed.
    pub fn transition(&self, credential: &OAuthCredential, reason: Reason, message: &str) {
        let type_ = if reason.class() == Class::Well { "Normal" } else { "Warning" };
        self.write(type_, credential, reason.as_str(), message);
    }

    /// Says that the token lives too short for workloads that mount the target.
    pub fn short_lived(&self, credential: &OAuthCredential) {
        let message = "the access token lives less than six minutes: a mounted Secret may reach a pod up to 90 seconds late, \
                       so that the pod may see an expired token";
        self.write("Warning", credential, "TokenShortLived", message);
    }

    /// Says that an old seed was put back into the source, and is ignored.
    pub fn seed_reverted(&self, credential: &OAuthCredential) {
        let message = "the source holds an older refresh token again, perhaps by GitOps or a restore; it is ignored, and the newest one \
                       in the state Secret is used";
        self.write("Warning", credential, "SeedReverted", message);
    }

    /// Says that a state was written anew from memory.
    pub fn state_restored(&self, credential: &OAuthCredential) {
        let message = "the state Secret was deleted or set back to an older refresh token; the newest one was written again";
        self.write("Warning", credential, "StateRestored", message);
    }

    /// Says that a protected resource refused the token.
    pub fn token_refused(&self, credential: &OAuthCredential, message: &str) {
        self.write("Warning", credential, Reason::ProbeRejected.as_str(), message);
    }

    /// Says that the refresh token ends before long.
    pub fn refresh_token_ends(&self, credential: &OAuthCredential, until: Timestamp) {
        let message = format!(
            "the refresh token expires at {until}: unless a renewal brings a new one before, sign in again and put a new one into \
             the source Secret"
        );
        self.write("Warning", credential, "RefreshTokenEnds", &message);
    }

    /// Says what became of the refresh token of a deleted credential.
    pub fn revoked(&self, credential: &OAuthCredential, failure: Option<&str>) {
        match failure {
            None => {
                self.write("Normal", credential, "TokenRevoked", "the refresh token was revoked");
            }
            Some(why) => self.write("Warning", credential, "RevocationFailed", why),
        }
    }

    /// Says that the present client secret is refused, and the next one is not.
    pub fn next_secret_used(&self, credential: &OAuthCredential, present: &str, next: &str) {
        let message = format!(
            "the authorization server refuses the client secret in key {present} of the source and takes the one in key {next}: move \
             it to {present}"
        );
        self.write("Warning", credential, "NextClientSecretUsed", &message);
    }

    /// Says that some of the answer is not in the target.
    pub fn left_out(&self, credential: &OAuthCredential, keys: &[String]) {
        let message = format!(
            "{} of the token response can't be kept and is not in the target: a text of response.fields may have up to {MAX_KEPT} bytes and \
             no control characters, and a list, an object or a secret that was sent is no text; a token with a semicolon can't stand in the cookie of target.cookieName",
            keys.join(", ")
        );
        self.write("Warning", credential, "FieldsLeftOut", &message);
    }

    /// Says that a rotated token could not be written into the source.
    pub fn not_written_back(&self, credential: &OAuthCredential, why: &str) {
        self.write("Warning", credential, "WriteBackFailed", why);
    }

    fn write(&self, type_: &str, credential: &OAuthCredential, reason: &str, message: &str) {
        let now = Timestamp::now();
        let regarding = credential.object_ref(&());
        let name = credential.metadata.name.as_deref().unwrap_or_default();
        let event = Event {
            metadata: ObjectMeta {
                // Ends like the events of client-go: in the time, in hex.
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            action: Some("Reconcile".to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(message.chars().take(MAX_NOTE).collect()),
            reason: Some(reason.to_owned()),
            regarding: Some(regarding),
            reporting_controller: Some(FIELD_MANAGER.to_owned()),
            reporting_instance: Some(self.instance.chars().take(128).collect()),
            type_: Some(type_.to_owned()),
            ..Event::default()
        };
        let events: Api<Event> = Api::namespaced(
            self.client.clone(),
            credential.metadata.namespace.as_deref().unwrap_or_default(),
        );
        let (slots, failing) = (Arc::clone(&self.slots), Arc::clone(&self.failing));
        tokio::spawn(async move {
            let _slot = slots.acquire_owned().await;
            // Boxed, so that one that waits holds no room for the request yet.
            let params = PostParams::default();
            let written = Box::pin(events.create(&params, &event));
            match written.await {
                Ok(_) => failing.store(false, Ordering::Relaxed),
                Err(error) if failing.swap(true, Ordering::Relaxed) => {
                    tracing::debug!(%error, "event not written");
                }
                Err(error) => tracing::warn!(%error, "event not written"),
            }
        });
    }
}
