//! One attempt to get a token: what it is about, how it can end, and the steps that all grants share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::api::{OAuthCredential, Reason};
use crate::lifecycle::failure::of_token_error;
use crate::lifecycle::plan::{SecretFacts, Why};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::Record;
use crate::lifecycle::render::Tokens;
use crate::lifecycle::resolve::{GrantKind, Resolved, SourceContent};
use crate::lifecycle::rotation::Lifespan;
use crate::lifecycle::schedule::renew_at;
use crate::oauth::error::TokenError;
use crate::oauth::request::TokenRequest;
use crate::oauth::response::{RawResponse, TokenSet};

use crate::controller::context::Context;
use crate::controller::secrets::WriteError;
use crate::controller::target;

/// How often a target write is tried within the exchange before the next pass takes over.
const TARGET_TRIES: u32 = 4;

/// How an exchange ended.
pub enum End {
    /// The token set is stored; the target may still have to be written.
    Stored {
        /// The token set.
        set: TokenSet,
        /// Its life.
        lifespan: Lifespan,
        /// Fingerprint of the client it was asked for with.
        client: String,
    },
    /// Nothing had to be done: the source was written, but says the same.
    SourceIsKnown,
    /// The world is not as it was when the exchange was decided on; look again.
    Stale,
    /// Another process is spending the token.
    Claimed {
        /// When the claim need no longer be respected.
        until: Timestamp,
    },
}

/// What the attempt was made with, for the failure's record.
#[derive(Default)]
pub struct Trace {
    /// `resourceVersion` of the source, once it was read.
    pub source_version: Option<String>,
    /// When the request was sent, if it was.
    pub sent_at: Option<Timestamp>,
}

/// What an exchange is about.
pub struct Exchange<'a> {
    /// What every exchange needs.
    pub context: &'a Context,
    /// The credential.
    pub credential: &'a OAuthCredential,
    /// Its spec.
    pub spec: &'a Resolved<'a>,
    /// Why it was begun.
    pub why: Why,
    /// What it left for the record.
    pub trace: Trace,
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
    pub async fn read_source(&mut self) -> Result<(SourceContent, String), Problem> {
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
        Ok((content, version))
    }

    /// Sends a request and counts it.
    ///
    /// # Errors
    /// As [`crate::oauth::transport::Transport::send`].
    pub async fn send(&self, request: &TokenRequest) -> Result<RawResponse, TokenError> {
        let begun = Instant::now();
        let spends_token = self.spec.grant == GrantKind::RefreshToken;
        let answer = self.context.transport.send(request, spends_token).await;
        self.context.metrics.token_request_took(begun.elapsed());
        answer
    }

    /// What a token error means here.
    pub fn problem(&self, error: &TokenError) -> Problem {
        of_token_error(error, self.spec.grant)
    }

    /// Whether the target tells that the seed in this version of the source was rotated away.
    pub fn is_spent(&self, source_version: &str) -> bool {
        let target = self.target();
        let record = target.as_ref().and_then(|target| target.record.as_ref());
        record.is_some_and(|record| record.rotations > 0 && record.source_version == source_version)
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
        self.context.metrics.renewed(Timestamp::now().duration_since(due));
    }
}
