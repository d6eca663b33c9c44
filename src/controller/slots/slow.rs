//! Namespaces whose servers take long to answer. Together they may have a part of all slots only: else a few of them could
//! have all for minutes, and again as soon as these are free.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A request that took longer makes its namespace a slow one.
const LONG: Duration = Duration::from_secs(15);
/// For so long.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Slow ones leave this share of all slots to the others.
const LEFT: usize = 2;

/// The slow ones, and what is under way in them.
pub(super) struct Slow {
    most: usize,
    under_way: usize,
    /// Until when they are.
    until: HashMap<Arc<str>, Duration>,
    /// Those with ready lanes, in the order of their turns.
    pub(super) turns: VecDeque<Arc<str>>,
    /// Whether one of them began last. The others go first then.
    pub(super) began_last: bool,
    /// Those that a host may have called.
    pub(super) called: HashSet<Arc<str>>,
}

impl Slow {
    /// Of so many slots.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            most: slots.div_ceil(LEFT),
            under_way: 0,
            until: HashMap::new(),
            turns: VecDeque::new(),
            began_last: false,
            called: HashSet::new(),
        }
    }

    /// Whether a request that took so long makes its namespace a slow one.
    pub(super) fn is_long(time: Duration) -> bool {
        time > LONG
    }

    /// Whether a namespace is one.
    pub(super) fn has(&self, namespace: &str) -> bool {
        self.until.contains_key(namespace)
    }

    /// Whether they have their part.
    pub(super) fn is_full(&self) -> bool {
        self.under_way >= self.most
    }

    /// A namespace is one from now on, with so many under way.
    pub(super) fn add(&mut self, namespace: &Arc<str>, under_way: usize, now: Duration) {
        let until = now.saturating_add(REMEMBERED);
        if self.until.insert(Arc::clone(namespace), until).is_none() {
            self.under_way = self.under_way.saturating_add(under_way);
        }
    }

    /// Whether a namespace was one for long enough.
    pub(super) fn is_over(&self, namespace: &str, now: Duration) -> bool {
        self.until.get(namespace).is_some_and(|until| *until <= now)
    }

    /// Those that were for long enough.
    pub(super) fn over(&self, now: Duration) -> Vec<Arc<str>> {
        let over = self.until.iter().filter(|(_, until)| **until <= now);
        over.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// A namespace is none any more; it has so many under way.
    pub(super) fn remove(&mut self, namespace: &str, under_way: usize) {
        if self.until.remove(namespace).is_some() {
            self.under_way = self.under_way.saturating_sub(under_way);
            self.called.remove(namespace);
        }
    }

    /// A request begins in that namespace.
    pub(super) fn begin(&mut self, namespace: &str) {
        if self.has(namespace) {
            self.under_way = self.under_way.saturating_add(1);
        }
    }

    /// One ended there.
    pub(super) fn end(&mut self, namespace: &str) {
        if self.has(namespace) {
            self.under_way = self.under_way.saturating_sub(1);
        }
    }
}
