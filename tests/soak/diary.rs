//! What the injector did, and when: what a loss is judged by.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// SIGKILL; the container is started again in its pod.
    Kill,
    /// SIGKILL, and the pod and its journal are gone.
    PodLoss,
    /// SIGSTOP, and SIGCONT later.
    Freeze,
    /// Answers of the authorization server are cut.
    Cut,
    /// The API server is killed and started again.
    ApiServer,
    /// The Lease is deleted.
    LeaseDeleted,
    /// The Lease is taken by somebody who does nothing.
    LeaseStolen,
}

/// A time in which something was wrong.
#[derive(Debug, Clone)]
pub struct Spell {
    pub kind: Kind,
    pub from: Instant,
    /// The same, for people.
    pub from_at: Timestamp,
    /// None while it lasts.
    pub to: Option<Instant>,
    /// The refresh tokens that the process was spending, by its journal, and whether the answer was there.
    pub journal: HashMap<String, bool>,
}

/// The diary.
#[derive(Debug, Clone, Default)]
pub struct Diary(Arc<Mutex<Vec<Spell>>>);

impl Diary {
    /// Notes something that took no time; gives its number.
    pub fn note(&self, kind: Kind) -> usize {
        let spell = self.begin(kind);
        self.end(spell);
        spell
    }

    /// Notes that something begins; gives its number.
    pub fn begin(&self, kind: Kind) -> usize {
        let mut spells = self.lock();
        spells.push(Spell {
            kind,
            from: Instant::now(),
            from_at: Timestamp::now(),
            to: None,
            journal: HashMap::new(),
        });
        spells.len() - 1
    }

    /// Notes what was in the journal of the process it befell.
    pub fn found(&self, number: usize, journal: HashMap<String, bool>) {
        self.lock()[number].journal = journal;
    }

    /// Whether the answer was there when something of that kind befell a process that was spending this token; the
    /// last time, if it did so several times.
    pub fn journaled(&self, kind: Kind, token: &str) -> Option<bool> {
        let spells = self.lock();
        let mut befell = spells.iter().rev().filter(|spell| spell.kind == kind);
        befell.find_map(|spell| spell.journal.get(token).copied())
    }

    /// Notes that it is over.
    pub fn end(&self, number: usize) {
        self.lock()[number].to = Some(Instant::now());
    }

    /// For people, to be sorted among the lines of logs.
    pub fn lines(&self) -> Vec<String> {
        let line = |spell: &Spell| {
            let lasted = spell.to.map(|to| to - spell.from);
            let Spell { kind, from_at, .. } = spell;
            format!("{{\"timestamp\":\"{from_at:.6}\", fault: {kind:?}, lasted: {lasted:?}}}")
        };
        self.lock().iter().map(line).collect()
    }

    /// How many of each kind.
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        for spell in self.lock().iter() {
            *counts.entry(spell.kind).or_default() += 1;
        }
        counts
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Spell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
