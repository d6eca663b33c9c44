//! What the process remembers of each credential between passes. All of it can be lost: it is read again from the
//! status and the Secrets, at the price of a look more.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::api::credential::OAuthCredentialStatus;
use crate::api::{OAuthCredential, Reason};
use crate::lifecycle::client_secret::Known;
use crate::lifecycle::failure::Failure;
use crate::lifecycle::probe::Probed;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::StateRecord;
use crate::lifecycle::rotation::claim::Claim;

use super::index::Name;
use super::state::{Marks, State};

/// What an exchange is begun for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// Of the credential.
    pub generation: Option<i64>,
    /// [`crate::lifecycle::provider::Provider::version`].
    pub provider_version: Option<String>,
}

/// Notes of one credential.
#[derive(Clone, Debug, Default)]
pub struct Note {
    /// What failed last.
    pub failure: Option<Failure>,
    /// Whether an exchange is under way.
    pub in_flight: bool,
    /// What the last exchange was begun for.
    pub begun_for: Basis,
    /// When the last token request was made.
    pub last_attempt: Option<Timestamp>,
    /// No exchange begins before this: another process is at it, or the last look was out of date.
    pub not_before: Option<Timestamp>,
    /// A version of the source that was read and holds nothing new.
    pub known_source: Option<String>,
    /// A version of the state that was read and is in order.
    pub known_state: Option<String>,
    /// A version of the target that holds what it shall.
    pub known_target: Option<String>,
    /// Fingerprint of the client the last token was asked for with.
    pub client: Option<String>,
    /// The status as last written, with the version it got.
    pub written: Option<Box<(u64, OAuthCredentialStatus)>>,
    /// Revision of the last token set that this process brought.
    pub brought: Option<i64>,
    /// The last probe.
    pub probed: Option<Box<Probed>>,
    /// Whether one is under way.
    pub probing: bool,
    /// Which of two client secrets is sent.
    pub client_secret: Option<Known>,
    /// Keys of the target that the last answer brought nothing fit for, as they were told.
    pub left_out: Vec<String>,
    /// The reason last reported, for the gauge.
    pub reason: Option<Reason>,
    /// The end of the refresh token that was told of.
    pub told_of_end: Option<Timestamp>,
    /// What was said of an object that can't be read.
    pub unreadable: Option<String>,
    /// Since when the refresh token of a deleted credential is being revoked, in time since boot.
    pub revoking_since: Option<Duration>,
    /// The newest record of the state that this process wrote or read.
    pub newest: Option<Arc<StateRecord>>,
    /// An exchange of this process whose claim means nothing, though it may still stand in the state.
    pub dismissed: Option<String>,
    /// The last claim of another process, and when it was first seen, in time since boot.
    pub claim_seen: Option<(String, Duration)>,
    /// What stood beside the newest record when this process last wrote or read the state.
    pub marks: Option<Box<Marks>>,
}

impl Note {
    /// Keeps a state as it was read or written, unless a newer one is known.
    pub fn keep(&mut self, state: &State) {
        let known = self.newest.as_ref().map_or(0, |newest| newest.generation);
        if let Some(record) = &state.record {
            self.keep_newest(record);
        }
        // One that is gone says nothing of what is known of its token.
        if state.exists() && state.generation() >= known {
            self.keep_marks(state.marks());
        }
    }

    /// Keeps a record if it is newer than what is known.
    pub fn keep_newest(&mut self, record: &StateRecord) {
        if self.newest.as_ref().is_none_or(|newest| newest.generation < record.generation) {
            self.newest = Some(Arc::new(record.clone()));
        }
    }

    /// Whether it is known that a claim means nothing.
    pub fn dismisses(&self, claim: &Claim) -> bool {
        self.dismissed.as_ref() == Some(&claim.exchange) && claim.unresolved.is_none()
    }

    /// What a claim says, or what the one says whose place it took, if it is known to mean nothing itself.
    pub fn standing<'c>(&self, claim: &'c Claim) -> Option<&'c Claim> {
        if self.dismisses(claim) { claim.displaced.as_deref() } else { Some(claim) }
    }

    /// How long ago a claim was first seen, by the time since boot, which no setting of a clock moves.
    pub fn seen_for(&mut self, exchange: &str, since_boot: Duration) -> Duration {
        match &self.claim_seen {
            Some((seen, at)) if seen == exchange => since_boot.saturating_sub(*at),
            _ => {
                self.claim_seen = Some((exchange.to_owned(), since_boot));
                Duration::ZERO
            }
        }
    }

    /// Remembers what stands beside the newest record.
    pub fn keep_marks(&mut self, marks: Marks) {
        self.marks = (marks != Marks::default()).then(|| Box::new(marks));
    }
}

/// An exchange under way.
#[derive(Debug)]
struct Mark {
    /// Has one that still waits for its turn give it up.
    need_not_begin: CancellationToken,
    /// What is wrong, if it is what an earlier process left.
    left: Option<Problem>,
}

/// Notes by UID.
#[derive(Debug, Default)]
pub struct Notes {
    // Boxed: a map has room for up to twice as many as it holds.
    by_uid: Mutex<HashMap<String, Box<Note>>>,
    /// Credentials with an exchange under way, by name: one that was made anew must not spend the token of its
    /// predecessor while that is being spent.
    under_way: Mutex<HashMap<Name, Mark>>,
    /// The refresh tokens that are being spent, by name, and by which credential.
    spending: Mutex<HashMap<String, Name>>,
}

impl Notes {
    /// The note of a credential; at first sight with the failure that an earlier process left in the status.
    pub fn of(&self, credential: &OAuthCredential) -> Note {
        let uid = credential.metadata.uid.clone().unwrap_or_default();
        let first = || {
            let failure = credential.status.as_ref().and_then(Failure::from_status);
            Box::new(Note { failure, ..Note::default() })
        };
        let mut notes = self.lock();
        let note = notes.entry(uid).or_insert_with(first);
        // It can be read now.
        note.unreadable = None;
        Note::clone(note)
    }

    /// Whether an exchange is under way that was begun for something else than what is wanted now.
    pub fn waits_for_another(&self, uid: &str, now: impl FnOnce() -> Basis) -> bool {
        let notes = self.lock();
        notes.get(uid).is_some_and(|note| note.in_flight && note.begun_for != now())
    }

    /// Whether just this was said of an object that can't be read.
    pub fn said_unreadable(&self, uid: &str, message: &str) -> bool {
        let notes = self.lock();
        notes.get(uid).and_then(|note| note.unreadable.as_deref()) == Some(message)
    }

    /// Remembers what was said of an object that can't be read.
    pub fn unreadable(&self, uid: &str, message: &str) {
        self.lock().entry(uid.to_owned()).or_default().unreadable = Some(message.to_owned());
    }

    /// Keeps others from spending tokens of these names; else gives the credential that spends one of them.
    pub fn spend(&self, tokens: &[String], name: &Name) -> Option<Name> {
        let mut spending = self.spending.lock().unwrap_or_else(PoisonError::into_inner);
        let other = tokens.iter().filter_map(|token| spending.get(token)).find(|by| *by != name);
        if let Some(other) = other {
            return Some(other.clone());
        }
        spending.extend(tokens.iter().map(|token| (token.clone(), name.clone())));
        None
    }

    /// Marks an exchange as under way, or what an earlier process left; nothing when there is one under this name already.
    /// The token is cancelled when it need not begin any more.
    pub fn begin(&self, name: Name, uid: &str, left: Option<Problem>) -> Option<CancellationToken> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let Entry::Vacant(place) = under_way.entry(name) else { return None };
        let need_not_begin = CancellationToken::new();
        place.insert(Mark { need_not_begin: need_not_begin.clone(), left });
        self.update(uid, |note| note.in_flight = true);
        Some(need_not_begin)
    }

    /// What is wrong while what an earlier process left of a credential is not settled.
    pub fn left_of(&self, name: &Name) -> Option<Problem> {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.get(name)?.left.clone()
    }

    /// Has an exchange that still waits for its turn give it up.
    pub fn need_not_begin(&self, name: &Name) {
        let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mark) = under_way.get(name) {
            mark.need_not_begin.cancel();
        }
    }

    /// Takes the mark away.
    pub fn end(&self, name: &Name, uid: &str) {
        self.spending.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, by| by != name);
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.update(uid, |note| note.in_flight = false);
    }

    /// The status as last written, where the watch has not shown it yet: then it shows an older version. What it has
    /// shown is kept no longer.
    pub fn written_after(&self, uid: &str, version: u64) -> Option<OAuthCredentialStatus> {
        let mut notes = self.lock();
        let note = notes.get_mut(uid)?;
        note.written.take_if(|written| written.0 <= version);
        note.written.as_ref().map(|written| written.1.clone())
    }

    /// Remembers the reason that is reported now; gives the one before.
    pub fn reported(&self, uid: &str, reason: Reason) -> Option<Reason> {
        self.lock().get_mut(uid)?.reason.replace(reason)
    }

    /// Changes a note.
    pub fn update(&self, uid: &str, change: impl FnOnce(&mut Note)) {
        if let Some(note) = self.lock().get_mut(uid) {
            change(note);
        }
    }

    /// Forgets a credential that is gone; returns its note.
    pub fn forget(&self, uid: &str) -> Option<Box<Note>> {
        self.lock().remove(uid)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Box<Note>>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
