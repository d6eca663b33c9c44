//! Namespaces take turns. Those whose servers take long have turns of their own, and none while they have their part.

use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use super::{Queue, Ticket};

impl<T> Queue<T> {
    /// The next that may begin within the shares.
    pub(super) fn next_in_turn(&mut self, now: Duration) -> Option<(T, Ticket)> {
        if self.under_way >= self.shares.all {
            return None;
        }
        loop {
            self.look_again = false;
            let slow_first = !self.slow.began_last;
            for is_slow in [slow_first, !slow_first] {
                let begun = if is_slow { self.next_of_slow(now) } else { self.next_of_usual(now) };
                if begun.is_some() {
                    self.slow.began_last = is_slow;
                    return begun;
                }
            }
            // Who was called meanwhile, or found to be slow, may have been passed over before that.
            if !self.look_again {
                return None;
            }
        }
    }

    fn next_of_usual(&mut self, now: Duration) -> Option<(T, Ticket)> {
        for _ in 0..self.turns.len() {
            let name = self.turns.pop_front()?;
            if self.slow.has(&name) {
                self.move_to_slow(&name, now);
                continue;
            }
            let begun = self.next_of(&name, now);
            self.keep_turn(&name);
            if begun.is_some() {
                return begun;
            }
        }
        None
    }

    fn next_of_slow(&mut self, now: Duration) -> Option<(T, Ticket)> {
        for _ in 0..self.slow.turns.len() {
            let is_over = self.slow.turns.front().is_some_and(|name| self.slow.is_over(name, now));
            if self.slow.is_full() && !is_over {
                return None;
            }
            let name = self.slow.turns.pop_front()?;
            if is_over {
                self.forgive(&name);
            }
            let begun = self.next_of(&name, now);
            self.keep_turn(&name);
            if begun.is_some() {
                self.pass_on_when_full(now);
                return begun;
            }
        }
        None
    }

    /// Puts a namespace at the end of those it belongs to.
    pub(super) fn stand_in_turn(&mut self, name: &Arc<str>) {
        let turns = if self.slow.has(name) { &mut self.slow.turns } else { &mut self.turns };
        turns.push_back(Arc::clone(name));
    }

    /// Puts a namespace back into the turns that was taken out, if it has ready lanes.
    fn keep_turn(&mut self, name: &Arc<str>) {
        if let Some(namespace) = self.namespaces.get_mut(name) {
            namespace.in_turn = !namespace.ready.is_empty();
            if namespace.in_turn {
                self.stand_in_turn(name);
            }
        }
    }

    /// Notes how long a server took.
    pub(super) fn note_time(&mut self, name: &Arc<str>, took: Duration, now: Duration) {
        let under_way = self.under_way_in(name);
        if self.slow.took(name, took, under_way, now) {
            self.pass_on_when_full(now);
        }
    }

    /// Whether a namespace has its turn soon. Of slow ones that have their part none has.
    pub(super) fn comes_when_called(&mut self, name: &Arc<str>) -> bool {
        if !self.slow.has(name) {
            return true;
        }
        let comes = !self.slow.is_full();
        if comes {
            self.slow.called.insert(Arc::clone(name));
        }
        comes
    }

    /// A namespace became a slow one while it stood among the others.
    fn move_to_slow(&mut self, name: &Arc<str>, now: Duration) {
        self.stand_in_turn(name);
        self.slow.called.insert(Arc::clone(name));
        self.pass_on_when_full(now);
        self.look_again |= !self.slow.is_full();
    }

    /// Slow ones that wait longer now leave the room at hosts that called them to others.
    fn pass_on_when_full(&mut self, now: Duration) {
        while self.slow.is_full() && !self.slow.called.is_empty() {
            for name in take(&mut self.slow.called) {
                self.pass_on(&name, now);
            }
        }
    }

    /// Forgets that namespaces were slow in which nobody waits.
    pub(super) fn forgive_all(&mut self, now: Duration) {
        for name in self.slow.over(now) {
            if !self.namespaces.get(&name).is_some_and(|known| known.in_turn) {
                self.forgive(&name);
            }
        }
    }

    fn forgive(&mut self, name: &Arc<str>) {
        self.slow.remove(name, self.under_way_in(name));
    }

    fn under_way_in(&self, name: &Arc<str>) -> usize {
        self.namespaces.get(name).map(|known| known.under_way).unwrap_or_default()
    }
}
