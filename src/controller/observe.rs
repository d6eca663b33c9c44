//! Puts together what a plan depends on, from the watches and the notes. Reads nothing from the API server.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::ObjectMeta;

use crate::api::{ADOPT_STATE, OAuthCredential, RETRY};
use crate::clock::since_boot;
use crate::lifecycle::plan::{Probing, World};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::resolve::Resolved;
use crate::lifecycle::rotation::claim::{Claim, Standing};
use crate::lifecycle::schedule::minus;

use super::context::Context;
use super::holder;
use super::index::Sight;
use super::notes::Note;

/// What was seen of a credential at one moment.
pub struct Observation {
    sight: Sight,
    /// What the process remembers of it.
    pub note: Note,
    claim_standing: Option<Standing>,
}

/// When the user asked for one more try, if the annotation holds a time that has come.
pub fn asked_at(meta: &ObjectMeta, now: Timestamp) -> Option<Timestamp> {
    asked(meta).filter(|asked_at| *asked_at <= now)
}

fn asked(meta: &ObjectMeta) -> Option<Timestamp> {
    meta.annotations.as_ref()?.get(RETRY)?.parse().ok()
}

/// Looks.
pub fn observe(context: &Context, credential: &OAuthCredential) -> Observation {
    let meta = &credential.metadata;
    let (namespace, name) =
        (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    let sight = context.index.sight(namespace, name);
    let note = context.notes.of(credential);
    let claim = sight.state.as_ref().and_then(|state| state.claim.as_deref());
    let claim_standing = claim.and_then(|claim| known_standing(context, meta, &note, claim));
    Observation { sight, note, claim_standing }
}

/// What is known of the holder of a claim without asking anybody; none when the claim means nothing: no request followed
/// it, and none went before it.
pub fn known_standing(
    context: &Context,
    meta: &ObjectMeta,
    note: &Note,
    claim: &Claim,
) -> Option<Standing> {
    if note.dismisses(claim) {
        return None;
    }
    let mut seen_for = Duration::ZERO;
    let uid = meta.uid.as_deref().unwrap_or_default();
    context.notes.update(uid, |note| seen_for = note.seen_for(&claim.exchange, since_boot()));
    if claim.over {
        return Some(Standing::Dead);
    }
    let first_seen = minus(context.clock.now(), seen_for);
    Some(holder::standing(claim, &context.holder, first_seen))
}

impl Observation {
    /// The world as `plan` wants it.
    pub fn world<'a>(
        &'a self,
        credential: &'a OAuthCredential,
        spec: Result<&'a Resolved<'a>, &'a Problem>,
        now: Timestamp,
    ) -> World<'a> {
        let meta = &credential.metadata;
        World {
            name: meta.name.as_deref().unwrap_or_default(),
            uid: meta.uid.as_deref().unwrap_or_default(),
            generation: meta.generation.unwrap_or_default(),
            suspended: credential.spec.suspend,
            spec,
            source: self.sight.source.as_deref(),
            state: self.sight.state.as_deref(),
            target: self.sight.target.as_deref(),
            rival: self.sight.rival.as_deref(),
            failure: self.note.failure.as_ref(),
            in_flight: self.note.in_flight,
            last_attempt: self.note.last_attempt,
            not_before: self.note.not_before,
            known_source: self.note.known_source.as_deref(),
            known_state: self.note.known_state.as_deref(),
            known_target: self.note.known_target.as_deref(),
            claim_standing: self.claim_standing,
            newest_generation: self.note.newest.as_ref().map(|newest| newest.generation),
            probing: Probing {
                last: self.note.probed.as_deref(),
                under_way: self.note.probing,
                brought: self.note.brought,
            },
            asked_at: asked_at(meta, now),
            asks_at: asked(meta).filter(|asked_at| *asked_at > now),
            adopted: self.sight.state.as_ref().is_some_and(|state| {
                let adopted = meta.annotations.as_ref().and_then(|asked| asked.get(ADOPT_STATE));
                adopted == Some(&state.uid)
            }),
        }
    }
}
