//! One exchange as a state machine without I/O: events in, effects out. `controller::exchange` carries the effects out;
//! a model checker explores the same machine together with a model of the servers (`tests/rotation_model`).
//!
//! `T` is a refresh token: a secret in the operator, a number in the model.

use jiff::Timestamp;

use super::choice::Seed;
use super::claim::Verdict;
use super::hold::Unresolved;

/// What of a state record the protocol turns on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stored<T> {
    /// Counts the commits.
    pub generation: i64,
    /// The newest refresh token.
    pub token: T,
}

/// All that was read live, before anything is spent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View<T> {
    /// The token in the source.
    pub seed: T,
    /// What it is to the state.
    pub standing: Seed,
    /// The record in the state Secret.
    pub stored: Option<Stored<T>>,
    /// The newest record that this process wrote or read.
    pub memory: Option<Stored<T>>,
    /// What the claim in the state Secret allows, if there is one about the token that would be spent: the seed if it is
    /// new, else the newest token of the state. A human's new token does not wait for what becomes of the old one.
    pub claim: Option<Verdict>,
    /// Whether a token is wanted, and not only a look whether the source brings a new one.
    pub wanted: bool,
}

/// What is about to be spent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Intent<T> {
    /// The token.
    pub token: T,
    /// Whether it is a seed that was never seen.
    pub new_lineage: bool,
    /// Generation of the state it was chosen from.
    pub base_generation: i64,
    /// Tries of this token whose outcome nobody knows.
    pub unresolved: Option<Unresolved>,
    /// Whether this try ends a hold or comes after one.
    pub after_hold: bool,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<T> {
    /// Read the credential, the source and the state, live.
    Observe,
    /// Write the newest record of this process into a state that was set back.
    Restore(Stored<T>),
    /// Have the API server judge the write of the target, without writing.
    Rehearse,
    /// Make a place in the journal.
    Reserve,
    /// Write the claim into the state, if that is still as it was read.
    Claim(Intent<T>),
    /// Read whether the claim was written.
    ReadClaim,
    /// Send the token, if the lease term is that of the claim and the claim is young enough.
    Send(T),
    /// Write the answer as it came into the journal.
    Journal,
    /// Read the answer.
    Parse,
    /// Write the record on top of what the state holds, if that is still as it was read.
    Commit,
    /// Read the state, until the API server answers.
    Reread,
    /// Take the claim away, or leave a mark in its place.
    Release(Release),
    /// Give the place in the journal up.
    Free,
    /// Nothing; the exchange is over.
    Finish(End),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<T> {
    /// The live reads are done.
    Observed(View<T>),
    /// The world is not the one the exchange was begun for.
    Outdated,
    /// The effect was carried out.
    Done,
    /// The API server or the journal refuses it; nothing was done.
    Refused,
    /// The state is not as it was read; nothing was done.
    Conflict,
    /// Nobody knows whether it was done.
    Unclear,
    /// Whether the claim in the state is ours.
    ClaimIs {
        /// Whether.
        ours: bool,
    },
    /// Bytes came back, in full or not.
    Received {
        /// When the token was sent.
        sent_at: Timestamp,
        /// When the answer was there, or was given up.
        over_at: Timestamp,
    },
    /// The token was not sent.
    NotSent,
    /// What the answer says.
    Parsed(Reply<T>),
    /// What the state holds now.
    Found(Found),
}

/// What an answer says of the refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply<T> {
    /// A token set; the refresh token is a new one, or the one that was sent stays good.
    Granted {
        /// The new one.
        successor: Option<T>,
    },
    /// Refused; the refresh token is as good as before.
    Kept,
    /// The refresh token was called invalid.
    Rejected {
        /// Whether that is to be believed.
        confirmed: bool,
    },
    /// Nobody knows whether the token was spent.
    Unknown,
}

/// What the state holds after a write that may not have been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// Generation of the record; 0 without one.
    pub generation: i64,
    /// Whether the record is the one to be written.
    pub is_ours: bool,
    /// Whether the seed of this exchange is no news to the record: known, or older than the source it was made with.
    pub knows_seed: bool,
}

/// What becomes of the claim when no token set came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Release {
    /// It goes: the refresh token is as good as before.
    Free,
    /// It stays as a mark of tries whose outcome nobody knows.
    Unresolved(Unresolved),
    /// It goes, and the lineage is marked dead.
    Dead,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The state or the credential changed meanwhile: look again.
    Outdated,
    /// The source brings nothing new, and no token was wanted.
    NothingNew,
    /// Another process may be at it, or a hold lasts.
    Waiting(Verdict),
    /// The lineage is dead, and the source has no new seed.
    Dead,
    /// Something kept it from being begun; nothing was sent.
    Blocked,
    /// Nothing was sent; the refresh token is as good as before.
    NotSent,
    /// Refused; the refresh token is as good as before.
    Kept,
    /// The refresh token was called invalid.
    Rejected,
    /// Nobody knows whether the token was spent.
    Unknown,
    /// The token set is in the state.
    Committed,
    /// A newer record was there already.
    Superseded,
}

/// One exchange.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exchange<T> {
    step: Step,
    intent: Option<Intent<T>>,
    /// When, and when that was over.
    sent: Option<(Timestamp, Timestamp)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Observing,
    Restoring,
    Rehearsing,
    Reserving,
    Claiming,
    ReadingClaim,
    Sending,
    Journaling,
    Parsing,
    Committing,
    Rereading,
    Releasing(End),
    Freeing(End),
    Over,
}

impl<T: Clone + PartialEq> Exchange<T> {
    /// Begins, with the first effect.
    pub fn begin() -> (Self, Effect<T>) {
        (Self { step: Step::Observing, intent: None, sent: None }, Effect::Observe)
    }

    /// What is being spent, once that is decided.
    pub fn intent(&self) -> Option<&Intent<T>> {
        self.intent.as_ref()
    }

    /// Takes in what happened and says what to do next. An event that does not fit the step ends the exchange, as far as
    /// nothing is lost by it.
    pub fn on(&mut self, event: Event<T>) -> Effect<T> {
        let (step, effect) = self.next(event);
        self.step = step;
        effect
    }

    fn next(&mut self, event: Event<T>) -> (Step, Effect<T>) {
        match (self.step.clone(), event) {
            (Step::Observing, Event::Observed(view)) => self.decide(view),
            // Whatever came of it, the next look tells.
            (Step::Restoring, Event::Done | Event::Conflict | Event::Unclear) => {
                (Step::Observing, Effect::Observe)
            }
            (Step::Rehearsing, Event::Done) => (Step::Reserving, Effect::Reserve),
            (Step::Reserving, Event::Done) => self.claim(),
            (Step::Claiming, Event::Done) | (Step::ReadingClaim, Event::ClaimIs { ours: true }) => {
                self.send()
            }
            (Step::Claiming, Event::Unclear) => (Step::ReadingClaim, Effect::ReadClaim),
            (Step::Claiming, Event::Conflict)
            | (Step::ReadingClaim, Event::ClaimIs { ours: false }) => {
                (Step::Freeing(End::Outdated), Effect::Free)
            }
            (Step::Claiming, _) => (Step::Freeing(End::Blocked), Effect::Free),
            (Step::Sending, Event::NotSent) => self.release_as_before(End::NotSent),
            (Step::Sending, Event::Received { sent_at, over_at }) => {
                self.sent = Some((sent_at, over_at));
                (Step::Journaling, Effect::Journal)
            }
            // Journaled or not: the answer is in memory, and the commit is what counts.
            (Step::Journaling, _) => (Step::Parsing, Effect::Parse),
            (Step::Parsing, Event::Parsed(reply)) => self.take(&reply),
            // Whatever the write came to, the slot is freed only after the state was read.
            (Step::Committing, _) => (Step::Rereading, Effect::Reread),
            (Step::Rereading, Event::Found(found)) => self.compare(found),
            (Step::Releasing(end), _) => (Step::Freeing(end), Effect::Free),
            (Step::Freeing(end), _) => (Step::Over, Effect::Finish(end)),
            (Step::Observing, Event::Outdated)
            | (Step::Rehearsing, Event::Outdated | Event::Conflict) => finish(End::Outdated),
            (step, _) if matches!(step, Step::ReadingClaim | Step::Sending | Step::Rereading) => {
                // The same effect again: no other event belongs here.
                let effect = match step {
                    Step::ReadingClaim => Effect::ReadClaim,
                    Step::Rereading => Effect::Reread,
                    _ => return self.release_as_before(End::NotSent),
                };
                (step, effect)
            }
            _ => finish(End::Blocked),
        }
    }

    /// Decides what is spent, if anything is.
    fn decide(&mut self, view: View<T>) -> (Step, Effect<T>) {
        // A state that was set back, or is gone: its token was replaced. What this process knows is newer.
        if let Some(newest) = newer_in_memory(&view) {
            return (Step::Restoring, Effect::Restore(newest));
        }
        let base_generation = view.stored.as_ref().map_or(0, |stored| stored.generation);
        let (token, new_lineage) = match (view.standing, view.stored) {
            (Seed::Refused, _) => return finish(End::Dead),
            (Seed::Current | Seed::Reverted, Some(stored)) => (stored.token, false),
            (Seed::New | Seed::Current | Seed::Reverted, _) => (view.seed, true),
        };
        if !view.wanted && !new_lineage {
            return finish(End::NothingNew);
        }
        let mut intent =
            Intent { token, new_lineage, base_generation, unresolved: None, after_hold: false };
        match view.claim {
            None => {}
            Some(Verdict::Try { unresolved, after_hold }) => {
                intent.unresolved = Some(unresolved);
                intent.after_hold = after_hold;
            }
            Some(waiting) => return finish(End::Waiting(waiting)),
        }
        self.intent = Some(intent);
        (Step::Rehearsing, Effect::Rehearse)
    }

    fn claim(&self) -> (Step, Effect<T>) {
        self.intent
            .clone()
            .map_or_else(|| finish(End::Blocked), |intent| (Step::Claiming, Effect::Claim(intent)))
    }

    fn send(&self) -> (Step, Effect<T>) {
        self.intent.as_ref().map_or_else(
            || finish(End::Blocked),
            |intent| (Step::Sending, Effect::Send(intent.token.clone())),
        )
    }

    fn take(&self, reply: &Reply<T>) -> (Step, Effect<T>) {
        match reply {
            Reply::Granted { .. } => (Step::Committing, Effect::Commit),
            Reply::Kept => self.release_as_before(End::Kept),
            Reply::Rejected { confirmed: true } => {
                (Step::Releasing(End::Rejected), Effect::Release(Release::Dead))
            }
            Reply::Rejected { confirmed: false } => self.release_as_before(End::Rejected),
            Reply::Unknown => (
                Step::Releasing(End::Unknown),
                Effect::Release(Release::Unresolved(self.unresolved())),
            ),
        }
    }

    /// The tries of this token, with the one just made.
    fn unresolved(&self) -> Unresolved {
        let (before, after_hold) = self
            .intent
            .as_ref()
            .map_or((None, false), |intent| (intent.unresolved, intent.after_hold));
        let (sent_at, over_at) = self.sent.unwrap_or_default();
        Unresolved::after(before, sent_at, after_hold).over_at(over_at)
    }

    /// The claim goes as it came: what was unknown before is unknown still.
    fn release_as_before(&self, end: End) -> (Step, Effect<T>) {
        let before = self.intent.as_ref().and_then(|intent| intent.unresolved);
        let release = before.map_or(Release::Free, Release::Unresolved);
        (Step::Releasing(end), Effect::Release(release))
    }

    fn compare(&self, found: Found) -> (Step, Effect<T>) {
        let Some(intent) = &self.intent else { return finish(End::Blocked) };
        if found.is_ours {
            (Step::Freeing(End::Committed), Effect::Free)
        } else if may_commit(found, intent.base_generation, intent.new_lineage) {
            (Step::Committing, Effect::Commit)
        } else {
            (Step::Freeing(End::Superseded), Effect::Free)
        }
    }
}

/// Whether a result may be written on what was found: while nobody else committed, or when a human's new token is newer
/// than all that was.
pub fn may_commit(found: Found, base_generation: i64, new_lineage: bool) -> bool {
    found.generation <= base_generation || (new_lineage && !found.knows_seed)
}

/// The newest record of this process, when the state holds an older one or none.
fn newer_in_memory<T: Clone + PartialEq>(view: &View<T>) -> Option<Stored<T>> {
    let newest = view.memory.as_ref()?;
    let stored = view.stored.as_ref().map_or(0, |stored| stored.generation);
    (newest.generation > stored).then(|| newest.clone())
}

fn finish<T>(end: End) -> (Step, Effect<T>) {
    (Step::Over, Effect::Finish(end))
}
