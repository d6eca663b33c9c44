//! Waiting for a turn, and saying so where requests to the host are held back.

use std::time::Duration;

use crate::api::{OAuthCredential, Reason};
use crate::clock::since_boot;
use crate::lifecycle::breaker::{Held, Trouble};
use crate::lifecycle::failure::{Attempt, Failure};
use crate::lifecycle::plan::Why;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::resolve::{self, Resolved};
use crate::lifecycle::rotation::hold::Terms;
use crate::lifecycle::schedule::plus;

use crate::controller::context::Context;
use crate::controller::index::named;
use crate::controller::notes::Basis;
use crate::controller::provider;
use crate::controller::slots::{News, Press, Slot};
use crate::controller::under_way::UnderWay;

/// Waits for a slot; nothing when the exchange need not begin any more.
pub async fn turn(guard: &UnderWay, why: Why) -> Option<Slot> {
    let context = &guard.context;
    let lane = with_credential(guard, |credential| lane(context, credential, why)).flatten();
    let Lane { host, mut press, presses_after } = lane.unwrap_or_default();
    let (namespace, name) = &guard.name;
    let target = context.index.sight(namespace, name).target;
    let expires_at = target.and_then(|target| target.record.as_deref()?.expires_at);
    let mut turn = context.slots.wait(namespace, &host, press, expires_at);
    let pressing = tokio::time::sleep(presses_after.unwrap_or(Duration::MAX));
    tokio::pin!(pressing);
    let mut said: Option<Box<Said>> = None;
    loop {
        tokio::select! {
            biased;
            news = turn.news() => match news {
                News::Slot(slot) => {
                    if let Some(said) = said {
                        with_credential(guard, |credential| take_back(context, credential, *said));
                    }
                    return Some(slot);
                }
                News::Never => return None,
                News::Held(held) => {
                    said = with_credential(guard, |credential| note_held(context, credential, &host, held));
                    context.wake(&guard.name.0, &guard.name.1);
                }
            },
            () = &mut pressing, if press != Press::Now => {
                press = Press::Now;
                turn = context.slots.wait(namespace, &host, press, expires_at);
            }
            () = guard.need_not_begin.cancelled() => return None,
            () = context.stopping.cancelled() => return None,
        }
    }
}

/// What an exchange is begun for: it may not be wanted any more, or not there, when the credential or its provider says
/// something else.
pub fn basis(context: &Context, credential: &OAuthCredential) -> Basis {
    let provider = provider::of(context, credential).ok();
    Basis {
        generation: credential.metadata.generation,
        provider_version: provider.and_then(|provider| provider.version),
    }
}

/// Has an exchange that still waits give up its turn when it was begun for something else.
pub fn give_up_outdated(context: &Context, credential: &OAuthCredential) {
    let uid = credential.metadata.uid.as_deref().unwrap_or_default();
    if context.notes.waits_for_another(uid, || basis(context, credential)) {
        context.notes.need_not_begin(&named(&credential.metadata));
    }
}

fn with_credential<T>(guard: &UnderWay, then: impl FnOnce(&OAuthCredential) -> T) -> Option<T> {
    let object = guard.credential()?;
    object.0.as_ref().ok().map(then)
}

/// Whom a request goes to, how pressing it is, and after which time it will be the most pressing.
struct Lane {
    host: String,
    press: Press,
    presses_after: Option<Duration>,
}

impl Default for Lane {
    fn default() -> Self {
        Self { host: String::new(), press: Press::Usual, presses_after: None }
    }
}

fn lane(context: &Context, credential: &OAuthCredential, why: Why) -> Option<Lane> {
    let provider = provider::of(context, credential).ok()?;
    let spec = resolve::spec(&credential.spec, &provider, context.policy).ok()?;
    let host = authority(&spec);
    if why != Why::Unresolved {
        return Some(Lane { host, ..Lane::default() });
    }
    let presses_after = presses_after(context, credential, &spec);
    let press = if presses_after == Some(Duration::ZERO) { Press::Now } else { Press::First };
    Some(Lane { host, press, presses_after })
}

/// After which time the server takes the token that was sent last for little more; nothing when it takes none again.
fn presses_after(
    context: &Context,
    credential: &OAuthCredential,
    spec: &Resolved<'_>,
) -> Option<Duration> {
    let (namespace, name) = named(&credential.metadata);
    let state = context.index.sight(&namespace, &name).state?;
    let sent_at = state.claim.as_ref()?.first_sent_at();
    Terms::of(spec.reuse_grace, None, None, None).presses_after(sent_at, context.clock.now())
}

/// Host and port of the endpoint.
fn authority(spec: &Resolved<'_>) -> String {
    let host = spec.endpoint.host_str().unwrap_or_default();
    spec.endpoint.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Keeps the limit that a credential gives for its host.
pub fn note_limit(context: &Context, credential: &OAuthCredential, spec: Option<&Resolved<'_>>) {
    let meta = &credential.metadata;
    let (uid, namespace) = (meta.uid.as_deref(), meta.namespace.as_deref());
    let limit = spec.and_then(|spec| Some((authority(spec), spec.rate_limit?)));
    context.slots.limit(
        uid.unwrap_or_default(),
        namespace.unwrap_or_default(),
        limit.as_ref().map(|(host, limit)| (host.as_str(), *limit)),
    );
}

/// What was said of a credential that waits, and what had failed before.
struct Said {
    held: Failure,
    before: Option<Failure>,
}

/// Notes that the credential waits, for its status. Once, so that those that wait don't write theirs with each trial.
/// What was said is boxed: most that wait are not told.
fn note_held(context: &Context, credential: &OAuthCredential, host: &str, held: Held) -> Box<Said> {
    let uid = credential.metadata.uid.as_deref().unwrap_or_default();
    let generation = credential.metadata.generation.unwrap_or_default();
    let source_version = context.source_version(credential);
    let at = context.clock.now();
    let Basis { provider_version, .. } = basis(context, credential);
    let attempt = Attempt {
        uid,
        generation,
        source_version: source_version.as_deref(),
        provider_version: provider_version.as_deref(),
        at,
    };
    let next = plus(at, held.next_trial.saturating_sub(since_boot()));
    let before = context.notes.of(credential).failure;
    let held = Failure::held(before.as_ref(), &problem(host, held), &attempt, next);
    context.notes.update(uid, |note| note.failure = Some(held.clone()));
    Box::new(Said { held, before })
}

/// Its turn is there: what is to be said comes of that.
fn take_back(context: &Context, credential: &OAuthCredential, said: Said) {
    let uid = credential.metadata.uid.as_deref().unwrap_or_default();
    context.notes.update(uid, |note| {
        if note.failure.as_ref() == Some(&said.held) {
            note.failure = said.before;
        }
    });
}

fn problem(host: &str, held: Held) -> Problem {
    let (reason, what) = match held.trouble {
        Trouble::Unreachable => (Reason::EndpointUnreachable, "could not be connected to"),
        Trouble::Failing(_) => (Reason::ServerError, "failed or did not answer"),
        Trouble::Limited(_) => (Reason::RateLimited, "answered 429 (too many requests)"),
    };
    let message = format!(
        "token requests are held back: {host} {what} several times in a row, and is tried with one request at a time until it answers"
    );
    Problem::new(reason, message)
}
