//! Who goes next: namespaces take turns, and so do the hosts that one of them calls. Pure but for its own state; times are
//! given, in time since boot.
//!
//! Who waits stands in a lane: that of a namespace at a host. A lane with room on its host is ready, and ready lanes get
//! their turn; one whose host is full waits at the host, and one that may not for another reason until that changes. Who is
//! in a hurry goes first, and beside all that (`beyond.rs`) where it would have to wait.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::breaker::{Admission, Breaker, Held, Outcome, Pass};
use crate::lifecycle::rate::{Rate, RateLimit};

use super::Press;
use super::beyond::Beyond;
use super::place::Place;
use super::shares::Shares;

/// What is given back at the end.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) place: Place,
    pass: Pass,
    begun: Duration,
    /// Whether it takes room beyond the shares, and none of them.
    is_beyond: bool,
}

/// Lanes are forgotten beyond this, as far as nothing is lost with them.
const MAX_IDLE: usize = 1024;

/// All that wait, and what is under way.
pub(super) struct Queue<T> {
    shares: Shares,
    under_way: usize,
    beyond: Beyond,
    namespaces: HashMap<Arc<str>, Namespace>,
    hosts: HashMap<Arc<str>, Host>,
    lanes: HashMap<Place, Lane<T>>,
    /// Namespaces with ready lanes, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    /// When lanes may go on that wait for a time.
    timers: BTreeSet<(Duration, Place)>,
    /// Who gave which limit.
    limits: HashMap<String, (Place, RateLimit)>,
    /// Lanes at which idle ones are looked for.
    clean_at: usize,
}

#[derive(Default)]
struct Namespace {
    under_way: usize,
    /// Its hosts with ready lanes, in the order of their turns.
    ready: VecDeque<Arc<str>>,
    /// Whether it stands in `turns`.
    in_turn: bool,
}

#[derive(Default)]
struct Host {
    under_way: usize,
    /// Namespaces whose lanes wait until there is room.
    full_for: VecDeque<Arc<str>>,
}

struct Lane<T> {
    /// They go first.
    in_a_hurry: VecDeque<T>,
    waiting: VecDeque<T>,
    under_way: usize,
    exchanges: usize,
    stands: Stands,
    breaker: Breaker,
    rate: Rate,
}

/// Where a lane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// Nobody waits in it.
    Nowhere,
    /// Among the ready ones of its namespace.
    Ready,
    /// At its host, which is full.
    AtHost,
    /// Until one of its own ends, or a time comes.
    Still,
}

/// Why a lane may not go on.
enum Not {
    HostFull,
    Still,
    Before(Duration),
}

impl<T> Queue<T> {
    pub(super) fn new(shares: Shares) -> Self {
        Self {
            shares,
            under_way: 0,
            beyond: Beyond::new(shares.all),
            namespaces: HashMap::new(),
            hosts: HashMap::new(),
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            timers: BTreeSet::new(),
            limits: HashMap::new(),
            clean_at: MAX_IDLE,
        }
    }

    /// What to tell those who wait at a place; nothing while requests go out.
    pub(super) fn held(&self, place: &Place) -> Option<Held> {
        self.lanes.get(place)?.breaker.held()
    }

    /// Somebody waits.
    pub(super) fn enter(&mut self, place: &Place, press: Press, waiter: T, now: Duration) {
        self.clean();
        let lane = self.lane(place, now);
        match press {
            Press::Usual => lane.waiting.push_back(waiter),
            Press::First => lane.waiting.push_front(waiter),
            Press::Now => lane.in_a_hurry.push_back(waiter),
        }
        if lane.stands == Stands::Nowhere {
            self.ready(place);
        }
        if press == Press::Now {
            // What keeps the lane still may not keep this one.
            self.go_on(place);
            self.beyond.enter(place);
        }
    }

    /// The next that may begin.
    pub(super) fn next(&mut self, now: Duration) -> Option<(T, Ticket)> {
        self.look_at_timers(now);
        self.next_in_turn(now).or_else(|| self.next_in_a_hurry(now))
    }

    fn next_in_turn(&mut self, now: Duration) -> Option<(T, Ticket)> {
        if self.under_way >= self.shares.all {
            return None;
        }
        for _ in 0..self.turns.len() {
            let name = self.turns.pop_front()?;
            if let Some(begun) = self.next_of(&name, now) {
                self.keep_turn(&name);
                return Some(begun);
            }
            self.keep_turn(&name);
        }
        None
    }

    /// The next of those whom full shares may not hold either: what they repeat is lost otherwise.
    fn next_in_a_hurry(&mut self, now: Duration) -> Option<(T, Ticket)> {
        let (lanes, most) = (&self.lanes, self.shares.exchanges.saturating_mul(2));
        let place = self.beyond.next(|place| {
            let lane = lanes.get(place).filter(|lane| !lane.in_a_hurry.is_empty());
            lane.map(|lane| lane.exchanges < most)
        })?;
        self.beyond.begin(&place);
        let lane = self.lane(&place, now);
        let waiter = lane.in_a_hurry.pop_front()?;
        lane.exchanges = lane.exchanges.saturating_add(1);
        lane.rate.begin(now);
        Some((waiter, Ticket { place, pass: Pass::Usual, begun: now, is_beyond: true }))
    }

    /// A request ended, however it did. Gives those who wait in its lane, when they must be told that they will.
    pub(super) fn answered(
        &mut self,
        ticket: &Ticket,
        outcome: Outcome,
        now: Duration,
    ) -> Option<(Held, impl Iterator<Item = &mut T>)> {
        let place = &ticket.place;
        self.free(ticket);
        let lane = self.lane(place, now);
        lane.rate.end(ticket.begun, outcome != Outcome::NotTried, now);
        let opened = lane.breaker.end(ticket.pass, outcome, now);
        self.go_on(place);
        let lane = self.lanes.get_mut(place).filter(|_| opened)?;
        Some((lane.breaker.held()?, lane.waiting.iter_mut()))
    }

    /// Gives back the room that a request took.
    fn free(&mut self, ticket: &Ticket) {
        let place = &ticket.place;
        if ticket.is_beyond {
            return self.beyond.end(place);
        }
        self.under_way = self.under_way.saturating_sub(1);
        if let Some(namespace) = self.namespaces.get_mut(&place.namespace) {
            namespace.under_way = namespace.under_way.saturating_sub(1);
        }
        if let Some(host) = self.hosts.get_mut(&place.host) {
            host.under_way = host.under_way.saturating_sub(1);
            for namespace in std::mem::take(&mut host.full_for) {
                self.ready(&Place { namespace, host: Arc::clone(&place.host) });
            }
        }
        if let Some(lane) = self.lanes.get_mut(place) {
            lane.under_way = lane.under_way.saturating_sub(1);
        }
    }

    /// An exchange is over.
    pub(super) fn left(&mut self, ticket: &Ticket) {
        if let Some(lane) = self.lanes.get_mut(&ticket.place) {
            lane.exchanges = lane.exchanges.saturating_sub(1);
        }
        self.go_on(&ticket.place);
    }

    /// Notes the limit that somebody gives for a place, or that there is none any more. Whether that is news.
    pub(super) fn limit(
        &mut self,
        giver: &str,
        given: Option<(&Place, RateLimit)>,
        now: Duration,
    ) -> bool {
        let known = self.limits.get(giver);
        if known.map(|(place, limit)| (place, *limit)) == given {
            return false;
        }
        if let Some((place, limit)) = self.limits.remove(giver) {
            self.lane(&place, now).rate.remove(limit);
            self.go_on(&place);
        }
        if let Some((place, limit)) = given {
            self.lane(place, now).rate.add(limit);
            self.limits.insert(giver.to_owned(), (place.clone(), limit));
        }
        true
    }

    /// When to look again, if nothing happens before.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.timers.first().map(|(time, _)| *time)
    }

    fn lane(&mut self, place: &Place, now: Duration) -> &mut Lane<T> {
        self.lanes.entry(place.clone()).or_insert_with(|| Lane {
            in_a_hurry: VecDeque::new(),
            waiting: VecDeque::new(),
            under_way: 0,
            exchanges: 0,
            stands: Stands::Nowhere,
            breaker: Breaker::new(place.fraction(), now),
            rate: Rate::default(),
        })
    }

    /// Puts a lane in which somebody waits among the ready ones.
    fn ready(&mut self, place: &Place) {
        let Some(lane) = self.lanes.get_mut(place) else { return };
        if lane.in_a_hurry.is_empty() && lane.waiting.is_empty() {
            lane.stands = Stands::Nowhere;
            return;
        }
        lane.stands = Stands::Ready;
        let namespace = self.namespaces.entry(Arc::clone(&place.namespace)).or_default();
        namespace.ready.push_back(Arc::clone(&place.host));
        if !namespace.in_turn {
            namespace.in_turn = true;
            self.turns.push_back(Arc::clone(&place.namespace));
        }
    }

    /// What kept a lane still may be over.
    fn go_on(&mut self, place: &Place) {
        if self.lanes.get(place).is_some_and(|lane| lane.stands == Stands::Still) {
            self.ready(place);
        }
    }

    fn look_at_timers(&mut self, now: Duration) {
        while self.wake_at().is_some_and(|time| time <= now) {
            let Some((_, place)) = self.timers.pop_first() else { return };
            self.go_on(&place);
        }
    }

    /// Lets the first waiter of a namespace begin that may.
    fn next_of(&mut self, name: &Arc<str>, now: Duration) -> Option<(T, Ticket)> {
        loop {
            let namespace = self.namespaces.get_mut(name)?;
            if namespace.under_way >= self.shares.of_a_namespace {
                return None;
            }
            let host = namespace.ready.pop_front()?;
            let place = Place { namespace: Arc::clone(name), host };
            match self.may_begin(&place, now) {
                Ok(()) => {
                    let lane = self.lane(&place, now);
                    let in_a_hurry = lane.in_a_hurry.pop_front();
                    let is_in_a_hurry = in_a_hurry.is_some();
                    let waiter = in_a_hurry.or_else(|| lane.waiting.pop_front());
                    self.ready(&place);
                    if let Some(waiter) = waiter {
                        return Some((waiter, self.begin(place, is_in_a_hurry, now)));
                    }
                }
                Err(why) => self.stop(&place, &why),
            }
        }
    }

    fn may_begin(&mut self, place: &Place, now: Duration) -> Result<(), Not> {
        let shares = self.shares;
        let host = self.hosts.entry(Arc::clone(&place.host)).or_default();
        let host_is_full = host.under_way >= shares.of_a_host;
        let lane = self.lane(place, now);
        let lane_is_full = lane.under_way >= shares.of_a_lane || lane.exchanges >= shares.exchanges;
        let free_at = lane.rate.free_at();
        // Neither a limit nor a breaker may hold those in a hurry; their requests count for both all the same.
        let is_urgent = !lane.in_a_hurry.is_empty();
        match lane.breaker.admits(lane.under_way, now) {
            _ if lane_is_full => Err(Not::Still),
            _ if is_urgent && host_is_full => Err(Not::HostFull),
            _ if is_urgent => Ok(()),
            Admission::AfterAnother => Err(Not::Still),
            Admission::NotBefore(time) => Err(Not::Before(time.max(free_at))),
            Admission::Now if free_at > now => Err(Not::Before(free_at)),
            Admission::Now if host_is_full => Err(Not::HostFull),
            Admission::Now => Ok(()),
        }
    }

    fn stop(&mut self, place: &Place, why: &Not) {
        if let Some(lane) = self.lanes.get_mut(place) {
            lane.stands = if matches!(why, Not::HostFull) { Stands::AtHost } else { Stands::Still };
        }
        match why {
            Not::HostFull => {
                let host = self.hosts.entry(Arc::clone(&place.host)).or_default();
                host.full_for.push_back(Arc::clone(&place.namespace));
            }
            Not::Before(time) => drop(self.timers.insert((*time, place.clone()))),
            Not::Still => {}
        }
    }

    fn begin(&mut self, place: Place, is_in_a_hurry: bool, now: Duration) -> Ticket {
        self.under_way = self.under_way.saturating_add(1);
        if let Some(namespace) = self.namespaces.get_mut(&place.namespace) {
            namespace.under_way = namespace.under_way.saturating_add(1);
        }
        if let Some(host) = self.hosts.get_mut(&place.host) {
            host.under_way = host.under_way.saturating_add(1);
        }
        let lane = self.lane(&place, now);
        lane.under_way = lane.under_way.saturating_add(1);
        lane.exchanges = lane.exchanges.saturating_add(1);
        lane.rate.begin(now);
        let pass = if is_in_a_hurry { Pass::Usual } else { lane.breaker.begin() };
        Ticket { place, pass, begun: now, is_beyond: false }
    }

    /// Puts a namespace back into the turns that was taken out, if it has ready lanes.
    fn keep_turn(&mut self, name: &Arc<str>) {
        if let Some(namespace) = self.namespaces.get_mut(name) {
            namespace.in_turn = !namespace.ready.is_empty();
            if namespace.in_turn {
                self.turns.push_back(Arc::clone(name));
            }
        }
    }

    fn clean(&mut self) {
        if self.lanes.len() < self.clean_at {
            return;
        }
        self.lanes.retain(|_, lane| {
            lane.exchanges > 0
                || lane.under_way > 0
                || lane.stands != Stands::Nowhere
                || !lane.breaker.is_idle()
                || !lane.rate.is_idle()
        });
        self.namespaces.retain(|_, namespace| namespace.under_way > 0 || namespace.in_turn);
        self.hosts.retain(|_, host| host.under_way > 0 || !host.full_for.is_empty());
        self.clean_at = self.lanes.len().saturating_mul(2).max(MAX_IDLE);
    }
}
