#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "small numbers")]

use proptest::prelude::*;

use super::super::super::Press;
use super::super::super::shares::Shares;
use super::super::Ticket;
use super::*;
use crate::lifecycle::breaker::{Outcome, Trouble};

const SHARES: Shares =
    Shares { all: 9, of_a_namespace: 2, of_a_host: 3, of_a_lane: 2, exchanges: 4 };
const NAMESPACES: usize = 6;
const HOSTS: usize = 4;
/// Past the beginning of every lane and host, where they take as many as they ever do.
const LATER: Duration = Duration::from_secs(1000);

#[derive(Clone, Debug)]
enum Step {
    Enter {
        namespace: usize,
        host: usize,
        press: Press,
    },
    /// The request that began so many before the last.
    End {
        which: usize,
        outcome: Outcome,
    },
    Pass {
        seconds: u64,
    },
}

fn press() -> impl Strategy<Value = Press> {
    prop_oneof![6 => Just(Press::Usual), 1 => Just(Press::First), 1 => Just(Press::Now)]
}

fn steps(outcome: impl Strategy<Value = Outcome>) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..NAMESPACES, 0..HOSTS, press())
            .prop_map(|(namespace, host, press)| Step::Enter { namespace, host, press }),
        4 => (0..9_usize, outcome).prop_map(|(which, outcome)| Step::End { which, outcome }),
        1 => (0..40_u64).prop_map(|seconds| Step::Pass { seconds }),
    ];
    prop::collection::vec(step, 1..300)
}

struct World {
    queue: Queue<()>,
    under_way: Vec<Ticket>,
    now: Duration,
    waiting: usize,
}

fn place(namespace: usize, host: usize) -> Place {
    Place::new(&format!("n{namespace}"), &format!("h{host}"))
}

impl World {
    /// Known lanes, beyond their beginning.
    fn new() -> Self {
        let mut queue = Queue::new(SHARES);
        for namespace in 0..NAMESPACES {
            for host in 0..HOSTS {
                queue.enter(&place(namespace, host), Press::Usual, (), Duration::ZERO);
            }
        }
        let mut world =
            Self { queue, under_way: Vec::new(), now: Duration::ZERO, waiting: NAMESPACES * HOSTS };
        world.drains(|_| Outcome::Answered);
        world.now = LATER;
        world
    }

    fn hand_out(&mut self) {
        while let Some(((), ticket)) = self.queue.next(self.now) {
            self.under_way.push(ticket);
            self.waiting -= 1;
        }
    }

    fn end(&mut self, which: usize, outcome: Outcome) {
        let ticket = self.under_way.remove(which % self.under_way.len());
        let took = self.now.saturating_sub(ticket.begun);
        self.queue.answered(&ticket, outcome, took, self.now);
        self.queue.left(&ticket);
    }

    fn takes(&mut self, step: &Step) {
        match *step {
            Step::Enter { namespace, host, press } => {
                self.waiting += 1;
                self.queue.enter(&place(namespace, host), press, (), self.now);
            }
            Step::End { .. } if self.under_way.is_empty() => {}
            Step::End { which, outcome } => self.end(which, outcome),
            Step::Pass { seconds } => self.now += Duration::from_secs(seconds),
        }
        self.hand_out();
    }

    /// Ends all that is under way, again and again, until nobody waits.
    fn drains(&mut self, outcome: impl Fn(Duration) -> Outcome) {
        self.hand_out();
        while self.waiting > 0 {
            if self.under_way.is_empty() {
                let time = self.queue.wake_at().expect("nothing would wake those who wait");
                self.now = self.now.max(time);
            }
            while !self.under_way.is_empty() {
                self.end(0, outcome(self.now));
            }
            self.hand_out();
        }
    }

    /// Who waits although they might begin.
    fn forgotten(&self) -> Option<&Place> {
        let queue = &self.queue;
        let free = |place: &&Place| {
            let namespace = queue.namespaces.get(&place.namespace);
            let room = queue.hosts[&place.host].room(SHARES.of_a_host, self.now);
            queue.under_way < SHARES.all
                && namespace.is_none_or(|known| known.under_way < SHARES.of_a_namespace)
                && !(queue.slow.is_full() && queue.slow.has(&place.namespace))
                && queue.lanes[*place].may_begin(SHARES, room, self.now).is_ok()
        };
        let waiting = queue.lanes.iter().filter(|(_, lane)| !lane.is_empty());
        waiting.map(|(place, _)| place).find(free)
    }
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        2 => Just(Outcome::Answered),
        1 => Just(Outcome::NotTried),
        4 => Just(Outcome::Failed(Trouble::Failing(Duration::ZERO))),
        1 => Just(Outcome::FailedForCaller(Trouble::Unreachable)),
    ]
}

proptest! {
    /// Whatever happens in whatever order: nobody waits where there is room.
    #[test]
    fn nobody_waits_who_may_begin(
        steps in steps(prop_oneof![Just(Outcome::Answered), Just(Outcome::NotTried)]),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.takes(step);
            prop_assert_eq!(world.forgotten(), None);
        }
    }

    /// And where requests fail and hosts are held back, everybody has a turn in the end.
    #[test]
    fn everybody_has_a_turn(steps in steps(any_outcome())) {
        let mut world = World::new();
        for step in &steps {
            world.takes(step);
        }
        let back = world.now + LATER;
        world.drains(|now| {
            if now < back { Outcome::Failed(Trouble::Failing(Duration::ZERO)) } else { Outcome::Answered }
        });
    }
}

/// To call all that wait for each answer would be a million calls here.
#[test]
fn an_answer_calls_few_of_those_that_wait() {
    let mut queue = Queue::new(SHARES);
    for namespace in 0..1000 {
        queue.enter(&place(namespace, 0), Press::Usual, (), Duration::ZERO);
    }
    let mut calls = 0;
    let mut begun = 0;
    let mut now = Duration::ZERO;
    while begun < 1000 {
        now += Duration::from_secs(1);
        let mut under_way = Vec::new();
        while let Some(((), ticket)) = queue.next(now) {
            under_way.push(ticket);
        }
        begun += under_way.len();
        for ticket in under_way {
            queue.answered(&ticket, Outcome::Answered, Duration::ZERO, now);
            queue.left(&ticket);
            calls += queue.turns.len();
        }
    }
    assert!(calls < 10 * 1000, "{calls}");
}
