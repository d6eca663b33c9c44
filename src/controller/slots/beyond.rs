//! Room beyond the shares, for repeats that lose a refresh token when they wait: a few in all, and of these a part for each
//! host and each namespace.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use super::place::Place;

/// This share of all slots is there besides.
const SHARE: usize = 4;
/// One host or one namespace may take this share of that.
const SHARE_OF_ONE: usize = 2;
/// And one namespace at one host this.
const SHARE_OF_A_LANE: usize = 4;

/// The room, who takes it, and which lanes wait for it.
pub(super) struct Beyond {
    all: usize,
    of_one: usize,
    of_a_lane: usize,
    under_way: usize,
    namespaces: HashMap<Arc<str>, usize>,
    hosts: HashMap<Arc<str>, usize>,
    lanes: HashMap<Place, usize>,
    /// Lanes in which somebody in a hurry may wait, in the order of their turns.
    turns: VecDeque<Place>,
}

impl Beyond {
    /// Beside so many slots.
    pub(super) fn new(slots: usize) -> Self {
        let all = (slots / SHARE).max(1);
        Self {
            all,
            of_one: (all / SHARE_OF_ONE).max(1),
            of_a_lane: (all / SHARE_OF_A_LANE).max(1),
            under_way: 0,
            namespaces: HashMap::new(),
            hosts: HashMap::new(),
            lanes: HashMap::new(),
            turns: VecDeque::new(),
        }
    }

    /// Somebody in a hurry waits there.
    pub(super) fn enter(&mut self, place: &Place) {
        if !self.turns.contains(place) {
            self.turns.push_back(place.clone());
        }
    }

    /// The next lane with room that `may` have it; that says nothing of lanes in which nobody in a hurry waits any more.
    pub(super) fn next(&mut self, may: impl Fn(&Place) -> Option<bool>) -> Option<Place> {
        if self.under_way >= self.all {
            return None;
        }
        for _ in 0..self.turns.len() {
            let place = self.turns.pop_front()?;
            let Some(may) = may(&place) else { continue };
            self.turns.push_back(place.clone());
            if may && self.has_room(&place) {
                return Some(place);
            }
        }
        None
    }

    fn has_room(&self, place: &Place) -> bool {
        let taken = |taken: Option<&usize>| taken.copied().unwrap_or_default();
        taken(self.namespaces.get(&place.namespace)) < self.of_one
            && taken(self.hosts.get(&place.host)) < self.of_one
            && taken(self.lanes.get(place)) < self.of_a_lane
    }

    /// One begins.
    pub(super) fn begin(&mut self, place: &Place) {
        self.under_way = self.under_way.saturating_add(1);
        add(&mut self.namespaces, &place.namespace);
        add(&mut self.hosts, &place.host);
        add(&mut self.lanes, place);
    }

    /// One ended.
    pub(super) fn end(&mut self, place: &Place) {
        self.under_way = self.under_way.saturating_sub(1);
        remove(&mut self.namespaces, &place.namespace);
        remove(&mut self.hosts, &place.host);
        remove(&mut self.lanes, place);
    }
}

fn add<K: Clone + Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    let count = counts.entry(key.clone()).or_default();
    *count = count.saturating_add(1);
}

/// Keeps nothing of what is at an end.
fn remove<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    let left = counts.get_mut(key).map(|count| {
        *count = count.saturating_sub(1);
        *count
    });
    if left == Some(0) {
        counts.remove(key);
    }
}
