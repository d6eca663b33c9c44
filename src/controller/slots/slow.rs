//! Namespaces whose servers take long to answer. Together they may have a part of all slots only: else a few of them could
//! have all for minutes, and again as soon as these are free.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A server that takes longer is slow.
const LONG: Duration = Duration::from_secs(15);
/// A namespace is slow after so many of these. With fewer it holds a small part of one slot, all in all.
const MANY: usize = 2;
/// Within this time, and for as long after the last of them.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Slow ones leave this share of all slots to the others.
const LEFT: usize = 2;

/// The slow ones, and what is under way in them.
pub(super) struct Slow {
    most: usize,
    under_way: usize,
    /// Until when they are.
    until: HashMap<Arc<str>, Duration>,
    /// How often a server took long for others, and since when that is counted.
    counted: HashMap<Arc<str>, (usize, Duration)>,
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
            counted: HashMap::new(),
            turns: VecDeque::new(),
            began_last: false,
            called: HashSet::new(),
        }
    }

    /// Whether a namespace is one.
    pub(super) fn has(&self, namespace: &str) -> bool {
        self.until.contains_key(namespace)
    }

    /// Whether they have their part.
    pub(super) fn is_full(&self) -> bool {
        self.under_way >= self.most
    }

    /// Takes in how long a server took for a namespace with so many under way. Whether it is a slow one by that.
    pub(super) fn took(
        &mut self,
        namespace: &Arc<str>,
        took: Duration,
        under_way: usize,
        now: Duration,
    ) -> bool {
        if took <= LONG || !(self.has(namespace) || self.is_many(namespace, now)) {
            return false;
        }
        let until = now.saturating_add(REMEMBERED);
        if self.until.insert(Arc::clone(namespace), until).is_none() {
            self.under_way = self.under_way.saturating_add(under_way);
        }
        true
    }

    /// Counts one more, and says whether these are many.
    fn is_many(&mut self, namespace: &Arc<str>, now: Duration) -> bool {
        self.counted.retain(|_, (_, since)| now.saturating_sub(*since) < REMEMBERED);
        let (count, _) = self.counted.entry(Arc::clone(namespace)).or_insert((0, now));
        *count = count.saturating_add(1);
        *count >= MANY && self.counted.remove(namespace).is_some()
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
