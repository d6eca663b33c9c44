//! One attempt to get a token: what it is about, how it can end, and the steps that all grants share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::api::ObjectMeta;

use crate::api::{OAuthCredential, Reason};
use crate::lifecycle::failure::of_token_error;
use crate::lifecycle::plan::{SecretFacts, Why};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::{Record, lineage_of};
use crate::lifecycle::render::Tokens;
use crate::lifecycle::resolve::{Resolved, SourceContent};
use crate::lifecycle::rotation::commit::Lifespan;
use crate::lifecycle::schedule::renew_at;
use crate::oauth::error::TokenError;
use crate::oauth::response::TokenSet;
use crate::oauth::secret::RefreshToken;

use crate::controller::context::Context;
use crate::controller::journal::{self, Left};
use crate::controller::secrets::WriteError;
use crate::controller::slots::Slot;
use crate::controller::target;

/// How often a target write is tried within the exchange before the next pass takes over.
const TARGET_TRIES: u32 = 4;

/// How an exchange ended.
pub enum End {
    /// The token set is stored; the target may still have to be written.
    Stored {
        /// The token set.
        set: Box<TokenSet>,
        /// Its life.
        lifespan: Lifespan,
        /// Fingerprint of the client it was asked for with.
        client: String,
    },
    /// Nothing had to be done: the source was written, but says the same.
    SourceIsKnown,
    /// The world is not as it was when the exchange was decided on; look again.
    Stale,
    /// The client was refused with one of two secrets: the other one is to be tried at once.
    OtherSecret,
    /// Another process is spending the token.
    Claimed {
        /// When it is looked at again.
        until: Timestamp,
    },
    /// The token was sent, and it is not time to send it again. The state says so, and until when.
    Held,
}

/// What the attempt was made with, for the failure's record.
#[derive(Default)]
pub struct Trace {
    /// `resourceVersion` of the source, once it was read.
    pub source_version: Option<String>,
    /// When the request was sent, if it was.
    pub sent_at: Option<Timestamp>,
    /// [`crate::lifecycle::provider::Provider::version`].
    pub provider_version: Option<String>,
}

impl Trace {
    /// Of an attempt with this version of a provider.
    pub fn with(provider_version: Option<String>) -> Self {
        Self { provider_version, ..Self::default() }
    }
}

/// The answer of an exchange that is in no other place than this process, kept where a panic does not reach it.
#[derive(Default)]
pub struct Unsaved(Mutex<Option<(Left, Option<Arc<journal::Slot>>)>>);

impl Unsaved {
    /// Keeps it.
    pub fn keep(&self, left: Left, slot: Option<Arc<journal::Slot>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((left, slot));
    }

    /// Whether there is an answer in it.
    pub fn has_answer(&self) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().is_some_and(|(left, _)| left.answer.is_some())
    }

    /// Forgets it: it is in the state, or of no use.
    pub fn forget(&self) {
        self.take();
    }

    /// Takes it out.
    pub fn take(&self) -> Option<(Left, Option<Arc<journal::Slot>>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A source, read live.
pub struct Source {
    /// What it holds.
    pub content: SourceContent,
    /// Its `resourceVersion`.
    pub version: String,
    /// Its metadata.
    pub meta: ObjectMeta,
}

/// What an exchange is about.
pub struct Exchange<'a> {
    /// What every exchange needs.
    pub context: &'a Arc<Context>,
    /// The credential.
    pub credential: &'a OAuthCredential,
    /// Its spec.
    pub spec: &'a Resolved<'a>,
    /// Why it was begun.
    pub why: Why,
    /// What it left for the record.
    pub trace: Trace,
    /// What must not be lost if it panics.
    pub unsaved: &'a Unsaved,
    /// The right to make it.
    pub slot: &'a mut Slot,
}

impl Exchange<'_> {
    /// Writes the target, with a few tries: for a grant without state the token is in no other place.
    ///
    /// # Errors
    /// `TargetNotWritable`.
    pub async fn hand_over(
        &self,
        tokens: &Tokens,
        record: &Record,
        before: Option<&Record>,
    ) -> Result<(), Problem> {
        let uid = self.credential.metadata.uid.as_deref().unwrap_or_default();
        self.context.notes.update(uid, |note| note.brought = Some(record.revision));
        let mut wait = Duration::from_millis(100);
        for left in (0..TARGET_TRIES).rev() {
            let known = self.target();
            let written =
                target::write(self.context, self.credential, known.as_deref(), tokens, record);
            match written.await {
                Ok(()) => break,
                Err(WriteError::Refused(why)) => {
                    return Err(target::unwritable(self.credential, &why));
                }
                Err(error) if left == 0 => {
                    return Err(target::unwritable(self.credential, &error.to_string()));
                }
                Err(_) => tokio::time::sleep(wait).await,
            }
            wait = wait.saturating_mul(3);
        }
        self.note_lateness(before);
        Ok(())
    }

    /// Reads the source live, and what it holds.
    ///
    /// # Errors
    /// `SourceNotFound`, `SourceNotReadable`, `SourceInvalid`.
    pub async fn read_source(&mut self) -> Result<Source, Problem> {
        let name = self.spec.source.name;
        let namespace = self.credential.metadata.namespace.as_deref().unwrap_or_default();
        let secret = self.context.secrets.get(namespace, name).await.map_err(|error| {
            let message = format!("the source Secret {name} can't be read: {error}");
            Problem::new(Reason::SourceNotReadable, message)
        })?;
        let secret = secret.ok_or_else(|| {
            let message =
                format!("the Secret {name} (spec.source.name) does not exist in this namespace");
            Problem::new(Reason::SourceNotFound, message)
        })?;
        self.context.wake_all(self.context.index.saw_secret(&secret.metadata));
        let version = secret.metadata.resource_version.clone().unwrap_or_default();
        self.trace.source_version = Some(version.clone());
        let content = self.spec.read_source(&secret.data.unwrap_or_default())?;
        Ok(Source { content, version, meta: secret.metadata })
    }

    /// What a token error means here.
    pub fn problem(&self, error: &TokenError) -> Problem {
        of_token_error(error, self.spec.grant)
    }

    /// Whether the target tells that this seed was rotated away, and the user did not ask to try it all the same.
    pub fn is_spent(&self, seed: &RefreshToken, asked_at: Option<Timestamp>) -> bool {
        let target = self.target();
        let record = target.as_ref().and_then(|target| target.record.as_deref());
        record.is_some_and(|record| {
            record.rotations > 0
                && record.lineage.as_deref() == Some(&lineage_of(seed))
                && asked_at.is_none_or(|asked_at| asked_at <= record.issued_at)
        })
    }

    /// The target as last seen.
    pub fn target(&self) -> Option<Arc<SecretFacts>> {
        let meta = &self.credential.metadata;
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        self.context.index.sight(namespace, meta.name.as_deref().unwrap_or_default()).target
    }

    /// Notes how long after its time a renewal was written.
    fn note_lateness(&self, before: Option<&Record>) {
        let uid = self.credential.metadata.uid.as_deref().unwrap_or_default();
        let before = before.filter(|record| record.request == self.spec.request_digest);
        let Some((record, expires_at)) =
            before.and_then(|record| record.expires_at.map(|expires_at| (record, expires_at)))
        else {
            return;
        };
        let due = renew_at(record.issued_at, expires_at, &self.spec.renewal, uid);
        self.context.metrics.renewed(self.context.clock.now().duration_since(due));
    }
}
