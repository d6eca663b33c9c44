//! Who is held back, and what to tell them.

use crate::lifecycle::breaker::Held;

use super::super::host::Host;
use super::super::lane::Lane;
use super::super::place::Place;
use super::Queue;

impl<T> Queue<T> {
    /// What to tell those who wait at a place; nothing while requests go out.
    pub(in super::super) fn held(&self, place: &Place) -> Option<Held> {
        held(self.lanes.get(place), self.hosts.get(&place.host))
    }

    /// All who wait where requests are held back, but for those in a hurry, who are not.
    pub(in super::super) fn held_back(&mut self) -> impl Iterator<Item = (Held, &mut T)> {
        let hosts = &self.hosts;
        let lanes = self.lanes.iter_mut().filter(|(_, lane)| !lane.waiting.is_empty());
        let lanes = lanes.filter_map(|(place, lane)| {
            let held = held(Some(&*lane), hosts.get(&place.host))?;
            Some((held, lane))
        });
        lanes.flat_map(|(held, lane)| lane.waiting.iter_mut().map(move |waiter| (held, waiter)))
    }
}

/// Of both the one that waits longer.
fn held<T>(lane: Option<&Lane<T>>, host: Option<&Host>) -> Option<Held> {
    let of_lane = lane.and_then(|lane| lane.breaker.held());
    let of_host = host.and_then(|host| host.breaker.held());
    of_lane.into_iter().chain(of_host).max_by_key(|held| held.next_trial)
}
