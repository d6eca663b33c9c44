//! The exchange: from the decision to ask for a token to the target that holds it. Runs beside the passes and is never
//! cancelled, since between the request and the commit the only copy of a rotated refresh token is in this process.

mod ask;
mod attempt;
mod chosen;
mod left;
mod look;
mod mint;
mod queue;
mod release;
mod spend;
mod write_back;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use kube::Resource;

use crate::api::{OAuthCredential, Reason};
use crate::lifecycle::failure::{Attempt, Failure, unknown_lifetime};
use crate::lifecycle::plan::Why;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::render::lacks_the_cookie;
use crate::lifecycle::resolve;
use crate::lifecycle::rotation::invariants::Invariant;
use crate::lifecycle::schedule::{plus, to_second};
use crate::oauth::cookie_session::COOKIE_KEY;
use crate::oauth::response::{ResponseStyle, TokenSet};

pub use self::left::{hold as hold_what_was_left, note_left};
pub use self::queue::{give_up_outdated, note_limit};

use self::attempt::{End, Exchange, Trace, Unsaved};
use super::context::Context;
use super::notes::Basis;
use super::provider;
use super::replay;
use super::scope::Guarded;
use super::slots::Slot;
use super::under_way::UnderWay;

/// After an exchange that did not bring a token, so that an observation that lags behind makes no hot loop.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// After so long a claim is looked at again, whose holder may be at it.
const LOOK_AT_HOLDER: Duration = Duration::from_secs(10);

/// Starts an exchange in the background. The credential is looked at again when it ends, however it ends. False when
/// one of a credential of the same name is still under way.
pub fn start(context: &Arc<Context>, object: &Guarded, why: Why) -> bool {
    let Ok(credential) = &object.0 else { return false };
    let Some(guard) = UnderWay::begin(context, object) else { return false };
    let begun_for = queue::basis(context, credential);
    let uid = object.meta().uid.as_deref().unwrap_or_default();
    context.notes.update(uid, |note| note.begun_for = begun_for.clone());
    context.exchanges.spawn(async move {
        let Some(slot) = queue::turn(&guard, why).await else { return };
        // Boxed, so that one that waits for its slot does not hold room for it yet.
        Box::pin(begin(guard, why, &begun_for, slot)).await;
    });
    true
}

/// Makes the exchange once its turn is there.
async fn begin(guard: UnderWay, why: Why, begun_for: &Basis, mut slot: Slot) {
    let context = Arc::clone(&guard.context);
    // Not kept while it waited: the watch may have shown a later version, of which one is enough to hold.
    let Some(object) = guard.credential() else { return };
    let Ok(credential) = &object.0 else { return };
    // The look that follows decides anew, and has it wait for the right host.
    if queue::basis(&context, credential) != *begun_for {
        return;
    }
    let unsaved = Unsaved::default();
    let running = AssertUnwindSafe(run(&context, credential, why, &unsaved, &mut slot));
    let panicked = running.catch_unwind().await.is_err();
    slot.answered();
    if panicked {
        guard.pause();
    }
    if panicked || unsaved.has_answer() {
        rescue(&context, &unsaved, panicked).await;
    }
    // Before the look that follows the guard's end.
    drop(slot);
    drop(guard);
}

/// Commits what an exchange had in its hands when it panicked, or forgot it.
async fn rescue(context: &Context, unsaved: &Unsaved, panicked: bool) {
    let taken = unsaved.take();
    if panicked {
        tracing::error!("an exchange panicked; what it received is committed");
    } else if let Some((left, _)) = &taken {
        context.violated(Invariant::AnswerInSink, &left.entry.place());
    }
    let Some((left, slot)) = taken else { return };
    replay::settle(&context.secrets, &left, || {}).await;
    if left.answer.is_some() {
        context.metrics.answer_is_settled();
    }
    if let Some(slot) = slot {
        slot.free().await;
    }
}

async fn run(
    context: &Arc<Context>,
    credential: &OAuthCredential,
    why: Why,
    unsaved: &Unsaved,
    slot: &mut Slot,
) {
    let begun = Instant::now();
    let spec = provider::of(context, credential)
        .and_then(|provider| resolve::spec(&credential.spec, &provider, context.policy));
    let (ended, style, trace) = match spec {
        Ok(spec) => {
            let mut exchange = Exchange {
                context,
                credential,
                spec: &spec,
                why,
                trace: Trace::with(spec.provider_version.clone()),
                unsaved,
                slot,
            };
            let ended = if spec.grant.spends() {
                spend::spend(&mut exchange).await
            } else {
                ask::ask(&mut exchange).await
            };
            let trace = exchange.trace;
            (ended, spec.response, trace)
        }
        // It was known when the exchange was begun, and will be again.
        Err(problem) if provider::is_awaited(&problem) => {
            (Ok(End::Stale), ResponseStyle::default(), Trace::default())
        }
        Err(problem) => (Err(problem), ResponseStyle::default(), Trace::default()),
    };
    let outcome = match &ended {
        Ok(End::Stored { set, lifespan, .. }) if lifespan.expires_at.is_none() => {
            Some(unknown_lifetime(set, &style))
        }
        Err(problem) => Some(problem.clone()),
        Ok(_) => None,
    };
    if matches!(ended, Ok(End::Stored { .. })) {
        context.metrics.exchange_took(begun.elapsed());
    }
    let other_secret = matches!(ended, Ok(End::OtherSecret));
    if trace.sent_at.is_some() {
        let reason = outcome.as_ref().map_or(Reason::Fresh, |problem| problem.reason);
        context.metrics.exchanged((!other_secret).then_some(reason));
    }
    tell(credential, outcome.as_ref(), other_secret);
    note(context, credential, ended, outcome, trace);
}

/// Says in the log what went wrong, or was not as it should be.
fn tell(credential: &OAuthCredential, outcome: Option<&Problem>, other_secret: bool) {
    let (namespace, name) = (&credential.metadata.namespace, &credential.metadata.name);
    if other_secret {
        tracing::info!(
            namespace,
            credential = name,
            "one of two client secrets was refused; the other one follows"
        );
    }
    if let Some(problem) = outcome {
        tracing::warn!(
            namespace,
            credential = name,
            reason = problem.reason.as_str(),
            problem = problem.message,
            "exchange failed"
        );
    }
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
    let at = context.clock.now();
    // A source that could not be read failed as it was last seen.
    let source_version = trace.source_version.or_else(|| context.source_version(credential));
    if let Ok(End::Stored { set, .. }) = &ended {
        tell_left_out(context, credential, left_out(credential, set));
    }
    context.notes.update(uid, |note| {
        let attempt = Attempt {
            uid,
            generation,
            source_version: source_version.as_deref(),
            provider_version: trace.provider_version.as_deref(),
            at,
        };
        note.not_before = Some(plus(at, LOOK_AGAIN_AFTER));
        if matches!(ended, Ok(End::OtherSecret)) {
            // Not an attempt of its own: the other one follows without a pause.
            note.not_before = None;
            return;
        }
        note.last_attempt = trace.sent_at.map(to_second).or(note.last_attempt);
        match ended {
            Ok(End::Stored { client, .. }) => {
                note.failure = outcome.map(|problem| Failure::after(None, &problem, &attempt));
                note.client = Some(client);
                note.known_source = source_version;
                note.not_before = None;
            }
            Ok(End::SourceIsKnown) => note.known_source = source_version,
            Ok(End::Stale | End::OtherSecret) => {}
            Ok(End::Claimed { until }) => note.not_before = Some(until),
            // A new seed, or a user who asks, need not wait for what the state says.
            Ok(End::Held) => {
                note.known_source = source_version;
                note.not_before = Some(plus(at, LOOK_AT_HOLDER));
            }
            // The mark in the state says so, and until when.
            Err(problem) if problem.reason == Reason::ExchangeOutcomeUnknown => {
                note.failure = None;
            }
            Err(problem) => {
                note.failure = Some(Failure::after(note.failure.as_ref(), &problem, &attempt));
            }
        }
    });
}

/// Keys that the user wants in the target, and that its answer has nothing for that could stand there.
fn left_out(credential: &OAuthCredential, set: &TokenSet) -> Vec<String> {
    let cookie = lacks_the_cookie(&credential.spec.target, &set.access_token);
    let cookie = cookie.then(|| COOKIE_KEY.to_owned());
    set.left_out.iter().cloned().chain(cookie).collect()
}

/// Says what of an answer is not in the target; once, and again when it is something else.
fn tell_left_out(context: &Context, credential: &OAuthCredential, keys: Vec<String>) {
    let uid = credential.metadata.uid.as_deref().unwrap_or_default();
    let is_news = context.notes.of(credential).left_out != keys;
    if is_news && !keys.is_empty() {
        context.events.left_out(credential, &keys);
    }
    context.notes.update(uid, |note| note.left_out = keys);
}
