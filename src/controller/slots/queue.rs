//! Who goes next: namespaces take turns, and so do the hosts that one of them calls. Pure but for its own state; times are
//! given, in time since boot.
//!
//! Who waits stands in a lane: that of a namespace at a host. A lane with room on its host is ready, and ready lanes get
//! their turn; one whose host takes no more now waits at the host, and one that may not for another reason until that
//! changes. Who is in a hurry goes first, and beside all that (`beyond.rs`) where it would have to wait.

mod calls;
mod held;
mod turns;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::breaker::{Outcome, Pass};
use crate::lifecycle::rate::RateLimit;

use super::Press;
use super::beyond::Beyond;
use super::host::Host;
use super::lane::{How, Lane, Not, Stands};
use super::place::Place;
use super::shares::Shares;
use super::slow::Slow;

/// What is given back at the end.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) place: Place,
    of_lane: Pass,
    of_host: Pass,
    begun: Duration,
    /// Whether it takes room beyond the shares, and none of them.
    is_beyond: bool,
}

/// Whose requests are held back from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// Those of a namespace at a host.
    Lane,
    /// Those of all at the host.
    Host,
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
    /// Those whose servers take long, with an order of their own.
    slow: Slow,
    /// Whether one may begin now who was passed over a moment ago.
    look_again: bool,
    /// When those may go on that wait for a time.
    timers: BTreeSet<(Duration, Still)>,
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
    /// Hosts that called it and at which its lane was not looked at since.
    called: Vec<Arc<str>>,
}

/// What waits for a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Still {
    Lane(Place),
    Host(Arc<str>),
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
            slow: Slow::new(shares.all),
            look_again: false,
            timers: BTreeSet::new(),
            limits: HashMap::new(),
            clean_at: MAX_IDLE,
        }
    }

    /// Somebody waits.
    pub(super) fn enter(&mut self, place: &Place, press: Press, waiter: T, now: Duration) {
        self.clean(now);
        let lane = self.lane(place, now);
        match press {
            Press::Usual => lane.waiting.push_back(waiter),
            Press::First => lane.enter_first(waiter),
            Press::Now => lane.in_a_hurry.push_back(waiter),
        }
        if lane.stands == Stands::Nowhere {
            self.ready(place);
        }
        if press == Press::Now {
            // What keeps the lane still, or the host, may not keep this one.
            self.leave_host(place);
            self.go_on(place);
            self.beyond.enter(place);
        }
    }

    /// The next that may begin.
    pub(super) fn next(&mut self, now: Duration) -> Option<(T, Ticket)> {
        self.look_at_timers(now);
        self.next_in_turn(now).or_else(|| self.next_in_a_hurry(now))
    }

    /// The next of those whom full shares may not hold either: what they repeat is lost otherwise.
    fn next_in_a_hurry(&mut self, now: Duration) -> Option<(T, Ticket)> {
        let (lanes, most) = (&self.lanes, self.shares.exchanges.saturating_mul(2));
        let place = self.beyond.next(|place| {
            let lane = lanes.get(place).filter(|lane| !lane.in_a_hurry.is_empty());
            lane.map(|lane| lane.exchanges < most)
        })?;
        let waiter = self.lane(&place, now).in_a_hurry.pop_front()?;
        Some((waiter, self.begin(place, How::Beyond, now)))
    }

    /// A request ended, however it did, after which time of the server's. Says when that has others held back.
    pub(super) fn answered(
        &mut self,
        ticket: &Ticket,
        outcome: Outcome,
        took: Duration,
        now: Duration,
    ) -> Option<Opened> {
        let place = &ticket.place;
        self.free(ticket);
        self.note_time(&place.namespace, took, now);
        let lane = self.lane(place, now);
        lane.rate.end(ticket.begun, outcome != Outcome::NotTried, now);
        let opened = lane.breaker.end(ticket.of_lane, outcome, now);
        let host = &mut self.host(&place.host, now).breaker;
        let for_all = host.end(&place.namespace, ticket.of_host, outcome, now);
        // Those of others first: its own lane had its turn.
        self.go_on_at(&place.host, now);
        self.go_on(place);
        if for_all { Some(Opened::Host) } else { opened.then_some(Opened::Lane) }
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
        self.slow.end(&place.namespace);
        if let Some(host) = self.hosts.get_mut(&place.host) {
            host.under_way = host.under_way.saturating_sub(1);
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
        self.lanes.entry(place.clone()).or_insert_with(|| Lane::new(place, now))
    }

    fn host(&mut self, name: &Arc<str>, now: Duration) -> &mut Host {
        self.hosts.entry(Arc::clone(name)).or_insert_with(|| Host::new(name, now))
    }

    /// Puts a lane in which somebody waits among the ready ones.
    fn ready(&mut self, place: &Place) {
        let Some(lane) = self.lanes.get_mut(place) else { return };
        if lane.is_empty() {
            lane.stands = Stands::Nowhere;
            return;
        }
        lane.stands = Stands::Ready;
        let namespace = self.namespaces.entry(Arc::clone(&place.namespace)).or_default();
        namespace.ready.push_back(Arc::clone(&place.host));
        if !namespace.in_turn {
            namespace.in_turn = true;
            self.stand_in_turn(&place.namespace);
        }
    }

    /// What kept a lane still may be over.
    fn go_on(&mut self, place: &Place) {
        if self.lanes.get(place).is_some_and(|lane| lane.stands == Stands::Still) {
            self.ready(place);
        }
    }

    /// What keeps a lane at its host may be over for it.
    fn leave_host(&mut self, place: &Place) {
        if self.lanes.get(place).is_some_and(|lane| lane.stands == Stands::AtHost) {
            if let Some(host) = self.hosts.get_mut(&place.host) {
                host.forget(&place.namespace);
            }
            self.ready(place);
        }
    }

    fn look_at_timers(&mut self, now: Duration) {
        while self.wake_at().is_some_and(|time| time <= now) {
            match self.timers.pop_first() {
                Some((_, Still::Lane(place))) => self.go_on(&place),
                Some((_, Still::Host(host))) => self.go_on_at(&host, now),
                None => return,
            }
        }
    }

    /// Lets the first waiter of a namespace begin that may.
    fn next_of(&mut self, name: &Arc<str>, now: Duration) -> Option<(T, Ticket)> {
        loop {
            let namespace = self.namespaces.get_mut(name)?;
            if namespace.under_way >= self.shares.of_a_namespace {
                self.pass_on(name, now);
                return None;
            }
            let host = namespace.ready.pop_front()?;
            namespace.called.retain(|called| *called != host);
            let place = Place { namespace: Arc::clone(name), host };
            match self.may_begin(&place, now) {
                Ok(()) => {
                    let next = self.lane(&place, now).next();
                    self.ready(&place);
                    let host = Arc::clone(&place.host);
                    let begun = next.map(|(waiter, how)| (waiter, self.begin(place, how, now)));
                    self.go_on_at(&host, now);
                    if begun.is_some() {
                        return begun;
                    }
                }
                Err(why) => self.stop(&place, &why, now),
            }
        }
    }

    fn may_begin(&mut self, place: &Place, now: Duration) -> Result<(), Not> {
        let shares = self.shares;
        let room = self.host(&place.host, now).room(shares.of_a_host, now);
        self.lane(place, now).may_begin(shares, room, now)
    }

    fn stop(&mut self, place: &Place, why: &Not, now: Duration) {
        if let Some(lane) = self.lanes.get_mut(place) {
            lane.stands =
                if matches!(why, Not::AtHost(_)) { Stands::AtHost } else { Stands::Still };
        }
        match why {
            Not::AtHost(time) => {
                self.host(&place.host, now).waiting.push_back(Arc::clone(&place.namespace));
                let timer = time.map(|time| (time, Still::Host(Arc::clone(&place.host))));
                self.timers.extend(timer);
            }
            Not::Before(time) => drop(self.timers.insert((*time, Still::Lane(place.clone())))),
            Not::Still => {}
        }
        if !matches!(why, Not::AtHost(_)) {
            self.go_on_at(&place.host, now);
        }
    }

    fn begin(&mut self, place: Place, how: How, now: Duration) -> Ticket {
        let is_beyond = how == How::Beyond;
        if is_beyond {
            self.beyond.begin(&place);
        } else {
            self.take_room(&place, now);
        }
        let lane = self.lane(&place, now);
        lane.exchanges = lane.exchanges.saturating_add(1);
        lane.rate.begin(now);
        // What a breaker does not hold is not its trial either.
        let (of_lane, of_host) = if how == How::InTurn {
            (lane.breaker.begin(), self.host(&place.host, now).breaker.begin())
        } else {
            (Pass::Usual, Pass::Usual)
        };
        Ticket { place, of_lane, of_host, begun: now, is_beyond }
    }

    /// Takes the room that [`Self::free`] gives back.
    fn take_room(&mut self, place: &Place, now: Duration) {
        self.under_way = self.under_way.saturating_add(1);
        if let Some(namespace) = self.namespaces.get_mut(&place.namespace) {
            namespace.under_way = namespace.under_way.saturating_add(1);
        }
        self.slow.begin(&place.namespace);
        let host = self.host(&place.host, now);
        host.under_way = host.under_way.saturating_add(1);
        let lane = self.lane(place, now);
        lane.under_way = lane.under_way.saturating_add(1);
    }

    /// How many lanes and hosts are known.
    #[cfg(test)]
    pub(super) fn known(&self) -> (usize, usize) {
        (self.lanes.len(), self.hosts.len())
    }

    fn clean(&mut self, now: Duration) {
        if self.lanes.len() < self.clean_at {
            return;
        }
        self.lanes.retain(|_, lane| !lane.is_idle(now));
        self.namespaces.retain(|_, namespace| namespace.under_way > 0 || namespace.in_turn);
        self.hosts.retain(|_, host| !host.is_idle(now));
        self.forgive_all(now);
        self.clean_at = self.lanes.len().saturating_mul(2).max(MAX_IDLE);
    }
}
