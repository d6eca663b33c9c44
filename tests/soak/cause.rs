//! Why a refresh token was lost, by what the proxy passed on and what the injector found in journals.

use std::time::SystemTime;

use crate::diary::{Diary, Kind};

/// The causes that no client can close, and the one that must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The answer was cut before the refresh token in it ended.
    ResponseLost,
    /// The process was killed before the answer was in the journal.
    DeathBeforeTheJournalWrite,
    /// The pod was lost before the answer was in the journal.
    PodLossBeforeTheJournalWrite,
    /// The pod was lost with the answer in its journal, before it was committed.
    PodLossBeforeTheCommit,
    /// None of these.
    Unexplained,
}

/// An answer that brought a new refresh token.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    /// When it was asked for.
    pub asked_at: SystemTime,
    /// Whether the new refresh token came through whole.
    pub came_through: bool,
}

/// The cause of the loss of what replaced the token `spent`; no rotation when the proxy passed none on.
pub fn of(spent: &str, rotation: Option<Rotation>, diary: &Diary) -> Cause {
    let Some(rotation) = rotation else { return Cause::Unexplained };
    if !rotation.came_through {
        return Cause::ResponseLost;
    }
    // A process that was killed twice at it died the first time; only a lost pod takes a journaled answer along.
    let answered = |kind| diary.journaled(kind, spent);
    if let Some(answered) = answered(Kind::PodLoss) {
        return if answered {
            Cause::PodLossBeforeTheCommit
        } else {
            Cause::PodLossBeforeTheJournalWrite
        };
    }
    match answered(Kind::Kill) {
        Some(false) => Cause::DeathBeforeTheJournalWrite,
        // Nobody is frozen, nor the API server away, for longer than others wait.
        _ => Cause::Unexplained,
    }
}
