//! Puts together what a plan depends on, from the watches and the notes. Reads nothing from the API server.

use crate::api::OAuthCredential;
use crate::lifecycle::plan::World;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::resolve::Resolved;

use super::context::Context;
use super::index::Sight;
use super::notes::Note;

/// What was seen of a credential at one moment.
pub struct Observation {
    sight: Sight,
    /// What the process remembers of it.
    pub note: Note,
}

/// Looks.
pub fn observe(context: &Context, credential: &OAuthCredential) -> Observation {
    let meta = &credential.metadata;
    let (namespace, name) =
        (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    Observation { sight: context.index.sight(namespace, name), note: context.notes.of(credential) }
}

impl Observation {
    /// The world as `plan` wants it.
    pub fn world<'a>(
        &'a self,
        credential: &'a OAuthCredential,
        spec: Result<&'a Resolved<'a>, &'a Problem>,
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
            known_target: self.note.known_target.as_deref(),
        }
    }
}
