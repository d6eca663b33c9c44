//! One pass over one credential: observe, resolve, plan, execute, report.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action as Requeue;
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::api::condition::{READY, STALLED};
use crate::api::credential::OAuthCredentialStatus;
use crate::api::{OAuthCredential, Reason};
use crate::lifecycle::failure::{Attempt, Failure};
use crate::lifecycle::plan::{self, Action, Plan, World};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::render::Tokens;
use crate::lifecycle::resolve;
use crate::lifecycle::schedule::is_short_lived;
use crate::lifecycle::status::{finding, merge_patch, status};

use super::context::Context;
use super::index::named;
use super::observe::observe;
use super::scope::Guarded;
use super::secrets::{WriteError, brief};
use super::state::Place;
use super::{exchange, finalize, probe, provider, state, status_patch, target};

/// How often the target may be written in one pass before the pass is left to the next one.
const RENDERS: u32 = 2;
/// A pass that found an exchange under way and no token yet looks again after this, to say that it waits.
const SAY_PENDING_AFTER: Duration = Duration::from_secs(1);

/// A pass that could not record what it found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The status can't be written.
    #[error("status not written: {0}")]
    Status(String),
}

/// One pass.
///
/// # Errors
/// When the status can't be written; everything else is a finding.
pub async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Requeue, Error> {
    if object.meta().deletion_timestamp.is_some() {
        return Ok(end(&context, &object));
    }
    let credential = match &object.0 {
        Ok(credential) => credential,
        Err(invalid) => return report_unreadable(&context, invalid).await,
    };
    let provider = provider::of(&context, credential);
    if let Err(problem) = provider.as_ref()
        && provider::is_awaited(problem)
        && let Some(wait) = silent_wait(&context, credential, problem)
    {
        return Ok(wait);
    }
    let resolved =
        provider.and_then(|provider| resolve::spec(&credential.spec, &provider, context.policy));
    exchange::note_limit(&context, credential, resolved.as_ref().ok());
    exchange::give_up_outdated(&context, credential);
    for _ in 0..RENDERS {
        let now = context.clock.now();
        let observation = observe(&context, credential);
        let world = observation.world(credential, resolved.as_ref(), now);
        let plan = plan::plan(&world, now);
        if plan.action == Action::Render {
            render(&context, credential, &world).await;
            continue;
        }
        if let Action::Exchange(why) = plan.action {
            tracing::debug!(namespace = credential.namespace(), credential = credential.name_any(), %why, "exchange begins");
            if !exchange::start(&context, &object, why) {
                if let Some(problem) = context.notes.left_of(&named(object.meta())) {
                    exchange::note_left(&context, credential, problem);
                    continue;
                }
                return Ok(Requeue::requeue(SAY_PENDING_AFTER));
            }
            let nothing_said =
                credential.status.as_ref().is_none_or(|status| status.conditions.is_empty());
            return Ok(if nothing_said {
                Requeue::requeue(SAY_PENDING_AFTER)
            } else {
                Requeue::await_change()
            });
        }
        if plan.action == Action::Probe {
            probe::start(&context, credential, &world);
        }
        tell_of_end(&context, credential, &world, observation.note.told_of_end, now);
        report(&context, credential, &world, &plan, now).await?;
        return Ok(requeue(plan.wake_at, now));
    }
    Ok(Requeue::requeue(SAY_PENDING_AFTER))
}

/// Begins what is to be done at the end of a credential.
fn end(context: &Arc<Context>, object: &Arc<Guarded>) -> Requeue {
    if finalize::is_due(object.meta()) && !finalize::start(context, Arc::clone(object)) {
        context.notes.need_not_begin(&named(object.meta()));
        return Requeue::requeue(SAY_PENDING_AFTER);
    }
    Requeue::await_change()
}

/// How to wait for a provider, whose coming asks for a pass, without a word; nothing when it is time to say that it is
/// waited for, or what was said is not true any more.
fn silent_wait(
    context: &Context,
    credential: &OAuthCredential,
    awaited: &Problem,
) -> Option<Requeue> {
    let now = context.clock.now();
    if let Some(ready) = said_ready(credential) {
        let observation = observe(context, credential);
        let world = observation.world(credential, Err(awaited), now);
        let stays = !ready || plan::is_ready(&world, now);
        return stays.then(|| requeue(plan::plan(&world, now).wake_at, now));
    }
    let created = credential.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let age = created.map(|created| now.duration_since(created).unsigned_abs());
    age.is_some_and(|age| age < SAY_PENDING_AFTER).then(|| Requeue::requeue(SAY_PENDING_AFTER))
}

/// Whether the status says that the credential is ready; nothing when it says nothing yet.
fn said_ready(credential: &OAuthCredential) -> Option<bool> {
    let said = &credential.status.as_ref()?.conditions;
    let ready = said.iter().find(|condition| condition.type_ == READY)?;
    Some(ready.status == "True")
}

fn requeue(wake_at: Option<Timestamp>, now: Timestamp) -> Requeue {
    let Some(wake_at) = wake_at else {
        return Requeue::await_change();
    };
    // Planned times are whole seconds; a little more, so that the clock has reached them.
    let wait = Duration::try_from(wake_at.duration_since(now)).unwrap_or_default();
    Requeue::requeue(wait.saturating_add(Duration::from_millis(5)))
}

/// Writes the target from the state; a failure is noted and shows in the next look.
async fn render(context: &Context, credential: &OAuthCredential, world: &World<'_>) {
    let rendered = render_state(context, credential, world).await;
    context.notes.update(world.uid, |note| match rendered {
        Ok(()) => {
            note.failure.take_if(|failure| failure.reason == Reason::TargetNotWritable);
        }
        Err(problem) => {
            let attempt = Attempt {
                uid: world.uid,
                generation: world.generation,
                source_version: world.source.map(|source| source.version.as_str()),
                provider_version: world.spec.ok().and_then(|spec| spec.provider_version.as_deref()),
                at: context.clock.now(),
            };
            note.failure = Some(Failure::after(note.failure.as_ref(), &problem, &attempt));
        }
    });
}

async fn render_state(
    context: &Context,
    credential: &OAuthCredential,
    world: &World<'_>,
) -> Result<(), Problem> {
    let place = Place::of(credential);
    let stored = state::read(&context.secrets, &place).await?;
    let Some(record) = stored.record.clone() else { return Ok(()) };
    let header = record.header();
    if world.state.and_then(|state| state.record.as_deref()) != Some(&header) {
        match state::mend(&context.secrets, &place, &stored, &record).await {
            Ok(meta) => context.wake_others(context.index.saw_secret(&meta), credential),
            Err(error) => {
                tracing::warn!(namespace = place.namespace, state = place.name, %error, "annotations not mended");
            }
        }
    }
    let tokens = Tokens::from_state(&record);
    match target::write(context, credential, world.target, &tokens, &header).await {
        Err(WriteError::Refused(why) | WriteError::Passing(why)) => {
            Err(target::unwritable(credential, &why))
        }
        // Gone or changed meanwhile: the next look sees what is there.
        Ok(()) | Err(WriteError::Conflict | WriteError::NotFound | WriteError::NamespaceGone) => {
            Ok(())
        }
    }
}

/// Writes the status if it changed, and an event if the reason did.
async fn report(
    context: &Context,
    credential: &OAuthCredential,
    world: &World<'_>,
    plan: &Plan,
    now: Timestamp,
) -> Result<(), Error> {
    let version = credential
        .resource_version()
        .and_then(|version| version.parse::<u64>().ok())
        .unwrap_or_default();
    // The watch may not have shown our own last write yet.
    let previous = context.notes.written_after(world.uid, version);
    let previous = previous.unwrap_or_else(|| credential.status.clone().unwrap_or_default());
    let new = status(world, plan, &previous, now);
    let finding = finding(&plan.verdict);
    let before = context.notes.reported(world.uid, finding.reason);
    context.metrics.reported(before, Some(finding.reason));
    let (before, after) = (to_json(&previous), to_json(&new));
    let Some(patch) = merge_patch(&before, &after) else {
        return Ok(());
    };
    // An exchange ends in a pass of its own, which writes all that it changes at once.
    if world.in_flight && previous.conditions == new.conditions {
        return Ok(());
    }
    let ready = |status: &OAuthCredentialStatus| {
        status
            .conditions
            .iter()
            .find(|condition| condition.type_ == READY)
            .map(|ready| (ready.status.clone(), ready.reason.clone()))
    };
    let turned = ready(&previous) != ready(&new);
    let written = patch_status(
        context,
        credential.metadata.namespace.as_deref(),
        &credential.name_any(),
        patch,
    )
    .await?;
    let written_as = written.and_then(|version| version.parse().ok()).unwrap_or_default();
    context.notes.update(world.uid, |note| {
        note.written = Some(Box::new((written_as, new.clone())));
    });
    // To wait is no news: thousands made at once would bring an event each, and the next one tells what came of it.
    if turned && finding.reason != Reason::Pending {
        context.events.transition(credential, finding.reason, &finding.message);
    }
    if previous.issued_at.is_none() && is_short(&new) {
        context.events.short_lived(credential);
    }
    Ok(())
}

/// Says once when the end of the refresh token is near, and counts those of which that is so.
fn tell_of_end(
    context: &Context,
    credential: &OAuthCredential,
    world: &World<'_>,
    told: Option<Timestamp>,
    now: Timestamp,
) {
    let record = world.state.and_then(|state| state.record.as_deref());
    let life = record.and_then(|record| record.refresh_life);
    let near = life.filter(|life| life.is_near_from() <= now).map(|life| life.until);
    if told == near {
        return;
    }
    context.metrics.ending(told.is_some(), near.is_some());
    context.notes.update(world.uid, |note| note.told_of_end = near);
    if let Some(until) = near {
        context.events.refresh_token_ends(credential, until);
    }
}

fn is_short(status: &OAuthCredentialStatus) -> bool {
    let times = status.issued_at.as_ref().zip(status.expires_at.as_ref());
    times.is_some_and(|(issued_at, expires_at)| is_short_lived(issued_at.0, expires_at.0))
}

fn to_json(status: &OAuthCredentialStatus) -> Value {
    // A status has string keys and no other surprises.
    serde_json::to_value(status).unwrap_or_default()
}

/// Says on an object that can't be read what is wrong with it. Whatever else its status holds is taken away, since that
/// may be the reason.
async fn report_unreadable(context: &Context, invalid: &InvalidObject) -> Result<Requeue, Error> {
    let meta = &invalid.metadata;
    let problem = Problem::new(
        Reason::SpecInvalid,
        format!("the object can't be read: {}", brief(&invalid.error)),
    );
    let finding = |type_: &str, status: &str| {
        json!({
            "type": type_, "status": status, "reason": problem.reason.as_str(), "message": problem.text(),
            "observedGeneration": meta.generation, "lastTransitionTime": crate::lifecycle::schedule::to_second(Timestamp::now()).to_string(),
        })
    };
    let uid = meta.uid.clone().unwrap_or_default();
    if context.notes.said_unreadable(&uid, &problem.message) {
        return Ok(Requeue::await_change());
    }
    let patch = json!({
        "observedGeneration": meta.generation,
        "conditions": [finding(READY, "False"), finding(STALLED, "True")],
        "issuedAt": null, "expiresAt": null, "nextRenewalTime": null, "lastRenewalTime": null, "scopes": null,
        "refreshToken": null, "failure": null, "target": null,
    });
    patch_status(
        context,
        meta.namespace.as_deref(),
        meta.name.as_deref().unwrap_or_default(),
        patch,
    )
    .await?;
    context.notes.unreadable(&uid, &problem.message);
    context.metrics.unreadable();
    Ok(Requeue::await_change())
}

/// Patches the status and returns the new `resourceVersion`. An object that is gone needs none.
async fn patch_status(
    context: &Context,
    namespace: Option<&str>,
    name: &str,
    status: Value,
) -> Result<Option<String>, Error> {
    let api = Api::namespaced(context.client.clone(), namespace.unwrap_or_default());
    status_patch::send::<OAuthCredential>(&api, name, &status).await.map_err(Error::Status)
}
