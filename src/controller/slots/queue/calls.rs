//! Who waits at a host is called when it takes more. One at a time, since to call all of them for each answer would take long
//! where they are many. Whoever is called and does not come, or comes and leaves room, calls the next.

use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::breaker::Admission;

use super::super::lane::Stands;
use super::super::place::Place;
use super::{Queue, Still};

impl<T> Queue<T> {
    /// A host may take more: the next that waits there is called.
    pub(super) fn go_on_at(&mut self, name: &Arc<str>, now: Duration) {
        let share = self.shares.of_a_host;
        let Some(host) = self.hosts.get(name).filter(|host| !host.waiting.is_empty()) else {
            return;
        };
        let room = host.room(share, now);
        match room.admits {
            _ if room.is_full => return,
            Admission::Now => {}
            Admission::AfterAnother => return,
            Admission::NotBefore(time) => {
                self.timers.insert((time, Still::Host(Arc::clone(name))));
                return;
            }
        }
        while let Some(namespace) = self.next_at(name) {
            let place = Place { namespace, host: Arc::clone(name) };
            self.ready(&place);
            let is_ready = self.lanes.get(&place).is_some_and(|lane| lane.stands == Stands::Ready);
            if is_ready && self.comes_when_called(&place.namespace) {
                let namespace = self.namespaces.entry(place.namespace).or_default();
                namespace.called.push(place.host);
                self.look_again = true;
                return;
            }
        }
    }

    /// Who waits longest at a host. While it is held back, those for whom it did not fail go first: those for whom it is
    /// broken shall not hold up the others with their trials.
    fn next_at(&mut self, name: &Arc<str>) -> Option<Arc<str>> {
        let host = self.hosts.get_mut(name)?;
        if host.breaker.held().is_none() {
            return host.waiting.pop_front();
        }
        let has_not_failed = |namespace: &Arc<str>| {
            let place = Place { namespace: Arc::clone(namespace), host: Arc::clone(name) };
            self.lanes.get(&place).is_some_and(|lane| !lane.breaker.has_failed())
        };
        let first = host.waiting.iter().position(has_not_failed).unwrap_or_default();
        host.waiting.remove(first)
    }

    /// A namespace that has its share leaves the room at hosts that called it to others.
    pub(super) fn pass_on(&mut self, name: &Arc<str>, now: Duration) {
        let called = self.namespaces.get_mut(name).map(|namespace| take(&mut namespace.called));
        for host in called.into_iter().flatten() {
            self.go_on_at(&host, now);
        }
    }
}

#[cfg(test)]
mod tests;
