//! The exchange: from the decision to ask for a token to the target that holds it. Runs beside the passes and is never
//! cancelled, since between the request and the commit the only copy of a rotated refresh token is in this process.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{OAuthCredential, Reason};
use crate::lifecycle::failure::{Attempt, Failure, Problem};
use crate::lifecycle::plan::{SecretFacts, Why};
use crate::lifecycle::record::Record;
use crate::lifecycle::render::Tokens;
use crate::lifecycle::resolve::{self, GrantKind, Resolved, SourceContent};
use crate::lifecycle::rotation::Lifespan;
use crate::lifecycle::schedule::{plus, renew_at, to_second};
use crate::oauth::error::TokenError;
use crate::oauth::request::GrantInput;
use crate::oauth::response::{TokenSet, parse};

use super::context::Context;
use super::secrets::WriteError;
use super::{redeem, spend, target};

/// How often a target write is tried within the exchange before the next pass takes over.
const TARGET_TRIES: u32 = 4;

/// After an exchange that did not bring a token, so that an observation that lags behind makes no hot loop.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

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

/// Starts an exchange in the background. The credential is looked at again when it ends, however it ends.
pub fn start(context: &Arc<Context>, credential: Arc<OAuthCredential>, why: Why) {
    let uid = credential.metadata.uid.clone().unwrap_or_default();
    context.notes.update(&uid, |note| note.in_flight = true);
    let guard = Ending { context: Arc::clone(context), credential: Arc::clone(&credential) };
    context.exchanges.spawn(async move {
        let context = Arc::clone(&guard.context);
        let host = host(&credential);
        let slot = tokio::select! {
            slot = context.slots.take(&host) => slot,
            () = context.stopping.cancelled() => return,
        };
        run(&context, &credential, why).await;
        drop(slot);
        drop(guard);
    });
}

/// Whom the credential's requests go to.
fn host(credential: &OAuthCredential) -> String {
    let endpoint = url::Url::parse(&credential.spec.provider.token_endpoint).ok();
    endpoint.and_then(|endpoint| endpoint.host_str().map(ToOwned::to_owned)).unwrap_or_default()
}

/// Clears the mark of an exchange, also when it panicked.
struct Ending {
    context: Arc<Context>,
    credential: Arc<OAuthCredential>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let meta = &self.credential.metadata;
        let uid = meta.uid.as_deref().unwrap_or_default();
        self.context.notes.update(uid, |note| note.in_flight = false);
        self.context.wake(
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default(),
        );
    }
}

async fn run(context: &Context, credential: &OAuthCredential, why: Why) {
    let (ended, trace) = match resolve::spec(&credential.spec, context.policy) {
        Ok(spec) => {
            let mut exchange =
                Exchange { context, credential, spec: &spec, why, trace: Trace::default() };
            let ended = match spec.grant {
                GrantKind::RefreshToken => spend::spend(&mut exchange).await,
                GrantKind::ClientCredentials => exchange.ask().await,
            };
            (ended, exchange.trace)
        }
        Err(problem) => (Err(problem), Trace::default()),
    };
    let outcome = match &ended {
        Ok(End::Stored { set, lifespan, .. }) if lifespan.expires_at.is_none() => {
            Some(redeem::unknown_lifetime(set))
        }
        Ok(_) => None,
        Err(problem) => Some(problem.clone()),
    };
    if trace.sent_at.is_some() {
        let reason = outcome.as_ref().map_or(Reason::Fresh, |problem| problem.reason);
        context.metrics.exchanged(reason);
    }
    if let Some(problem) = &outcome {
        let (namespace, name) = (&credential.metadata.namespace, &credential.metadata.name);
        let reason = problem.reason.as_str();
        tracing::warn!(
            namespace,
            credential = name,
            reason,
            problem = problem.message,
            "exchange failed"
        );
    }
    note(context, credential, ended, outcome, trace);
}

/// Remembers how an exchange ended.
fn note(
    context: &Context,
    credential: &OAuthCredential,
    ended: Result<End, Problem>,
    outcome: Option<Problem>,
    trace: Trace,
) {
    let uid = credential.metadata.uid.as_deref().unwrap_or_default();
    let generation = credential.metadata.generation.unwrap_or_default();
    let at = Timestamp::now();
    let source_version = trace.source_version;
    context.notes.update(uid, |note| {
        let attempt = Attempt { uid, generation, source_version: source_version.as_deref(), at };
        note.last_attempt = trace.sent_at.map(to_second).or(note.last_attempt);
        note.not_before = Some(plus(at, LOOK_AGAIN_AFTER));
        match ended {
            Ok(End::Stored { client, .. }) => {
                note.failure = outcome.map(|problem| Failure::after(None, &problem, &attempt));
                note.client = Some(client);
                note.known_source = source_version;
                note.not_before = None;
            }
            Ok(End::SourceIsKnown) => note.known_source = source_version,
            Ok(End::Stale) => {}
            Ok(End::Claimed { until }) => note.not_before = Some(until),
            Err(problem) => {
                note.failure = Some(Failure::after(note.failure.as_ref(), &problem, &attempt));
            }
        }
    });
}

impl Exchange<'_> {
    /// The grant that spends nothing: ask, write the target.
    async fn ask(&mut self) -> Result<End, Problem> {
        let (context, spec) = (self.context, self.spec);
        let (content, source_version) = self.read_source().await?;
        let uid = self.credential.metadata.uid.as_deref().unwrap_or_default();
        let client = content.client.fingerprint(uid.as_bytes());
        let known = context.notes.of(self.credential).client;
        if self.why == Why::SourceChanged && known.as_ref() == Some(&client) {
            return Ok(End::SourceIsKnown);
        }
        if !context.may_send() {
            return Ok(End::Stale);
        }
        let request = redeem::request(spec, &content.client, &GrantInput::ClientCredentials);
        let sent_at = Timestamp::now();
        self.trace.sent_at = Some(sent_at);
        let answer = redeem::send(context, &request, spec.grant).await;
        let set =
            answer.and_then(|raw| parse(&raw, false)).map_err(|error| self.problem(&error))?;
        let lifespan = redeem::lifespan(&set, sent_at, spec.default_lifetime);
        let previous = self.target().and_then(|target| target.record.clone());
        let record = Record {
            revision: previous.as_ref().map_or(0, |record| record.revision).saturating_add(1),
            issued_at: lifespan.issued_at,
            expires_at: lifespan.expires_at,
            request: spec.request_digest.clone(),
            source_version,
            scopes: set.scopes.clone(),
            rotations: 0,
            rotated_at: None,
        };
        let tokens = Tokens::from_set(&set, lifespan.expires_at);
        self.hand_over(&tokens, &record, previous.as_ref()).await?;
        Ok(End::Stored { set, lifespan, client })
    }

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
                Err(WriteError::Refused(why)) => return Err(unwritable(self.credential, &why)),
                Err(error) if left == 0 => {
                    return Err(unwritable(self.credential, &error.to_string()));
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

    /// What a token error means here.
    pub fn problem(&self, error: &TokenError) -> Problem {
        Problem::from_token_error(error, self.spec.grant)
    }

    fn target(&self) -> Option<Arc<SecretFacts>> {
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

/// A target that can't be written.
pub fn unwritable(credential: &OAuthCredential, why: &str) -> Problem {
    let name = &credential.spec.target.name;
    let message = format!("the target Secret {name} (spec.target.name) can't be written: {why}");
    Problem::new(Reason::TargetNotWritable, message)
}
