//! The model: what can happen next, and what then is.

use oauth_keeper::lifecycle::rotation::exchange::Effect;
use oauth_keeper::lifecycle::rotation::hold::Unresolved;
use stateright::{Model, Property};

use crate::faults::{self, Fault, OUTWAITED, RESPONSE_LOST};
use crate::process::{Process, Replay};
use crate::real::SENT_AT;
use crate::server::{Answer, Rotation, Server};
use crate::setup::Setup;
use crate::steps::{self, Write};
use crate::world::{Claim, FAMILIES, PROCESSES, Record, Secret, Token, World, family};
use crate::{answers, restart};

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A process begins an exchange, perhaps after the hold.
    Begin(usize, bool),
    /// A process does what its exchange wants.
    Step(usize),
    /// A process settles its journal.
    Replay(usize),
    /// The leader writes the target.
    Render(usize),
    /// The lease moves while its holder is idle.
    HandOver,
    /// A request arrives whose sender is gone.
    StrayArrives,
    /// A write is made that was given up.
    LateWrite,
    /// The first seed is put back into the source.
    PutBack,
    /// A window can no longer be relied on.
    WindowPasses,
    /// The server ends a window.
    WindowCloses(Token),
    /// Something goes wrong.
    Fault(Fault),
}

/// The model of a setting.
pub struct Protocol {
    /// The setting.
    pub setup: Setup,
    /// What is to be shown.
    pub properties: fn() -> Vec<Property<Self>>,
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let seed = World {
            server: Server::new(1),
            stray: None,
            source: 0,
            secret: Secret::default(),
            late: None,
            target: (0, 0),
            backup: None,
            rejected: None,
            leader: 0,
            processes: <[Process; PROCESSES]>::default(),
            claims: 0,
            faults: 0,
            causes: [0; FAMILIES],
            flaw: None,
        };
        let token = u8::from(self.setup.rotates());
        let record = Record { generation: 1, token, exchange: 0, seeds: 1, lineage: 0 };
        let renewed = World {
            server: Server::new(token + 1),
            secret: Secret { record: Some(record), ..Secret::default() },
            target: (1, 0),
            ..seed.clone()
        };
        if self.setup.given_up {
            let secret = Secret { claim: Some(given_up(token)), ..renewed.secret };
            return vec![World { secret, ..renewed }];
        }
        vec![seed, renewed]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for who in 0..PROCESSES {
            self.of_process(world, who, actions);
        }
        if self.setup.elects && world.processes[world.leader].running.is_none() {
            actions.push(Action::HandOver);
        }
        actions.extend(world.stray.map(|_| Action::StrayArrives));
        actions.extend(world.late.filter(|late| late.fresh).map(|_| Action::LateWrite));
        actions.extend((self.setup.puts_back && world.source != 0).then_some(Action::PutBack));
        let relied_on = world.relies_on_window();
        actions.extend(relied_on.map(|_| Action::WindowPasses));
        if self.setup.rotation == Rotation::Window {
            let relies =
                |token| relied_on == Some(token) || world.on_the_wire().any(|sent| sent == token);
            let free = world.server.windows().filter(|token| !relies(*token));
            actions.extend(free.map(Action::WindowCloses));
        }
        if world.faults < self.setup.faults {
            let mut found = Vec::new();
            faults::possible(&self.setup, world, &mut found);
            actions.extend(found.into_iter().map(Action::Fault));
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let (setup, mut world) = (&self.setup, last.clone());
        match action {
            Action::Begin(who, hold_is_over) => {
                steps::begin(setup, &mut world, who, hold_is_over);
                // Nothing came of it.
                if let Some(Effect::Finish(_)) = next(&world, who) {
                    let newest = world.processes[who].newest;
                    let flaw = world.flaw;
                    world = last.clone();
                    world.processes[who].newest = newest;
                    world.flaw = flaw;
                }
            }
            Action::Step(who) => steps::step(setup, &mut world, who),
            Action::Replay(who) => restart::replay(&mut world, who),
            Action::Render(_) => {
                let record = world.secret.record?;
                world.target = (record.generation, record.lineage);
            }
            Action::HandOver => {
                let leader = world.leader;
                restart::forget(&mut world, leader);
                move_lease(&mut world);
            }
            Action::StrayArrives => {
                let token = world.stray.take()?;
                let before = world.server.clone();
                world.server.redeem(token, setup.rotation);
                if world.server != before {
                    world.causes[family(token)] |= RESPONSE_LOST;
                }
            }
            Action::LateWrite => {
                let late = world.late.take()?;
                let committed = late.secret.record != world.secret.record;
                world.write(late.secret);
                if let Some(record) = late.secret.record.filter(|_| committed) {
                    world.committed(record.token, record.exchange);
                }
            }
            Action::PutBack => world.source = 0,
            Action::WindowPasses => {
                let token = world.relies_on_window()?;
                for claim in world.claims_mut() {
                    claim.change(|claim| claim.window_is_open &= claim.token != token);
                }
                world.age(token);
            }
            Action::WindowCloses(token) => {
                world.server.close_window(token);
                world.age(token);
            }
            Action::Fault(fault) => {
                world.faults += 1;
                self.fail(&mut world, fault)?;
            }
        }
        Some(world).filter(|world| world != last)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        (self.properties)()
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.claims <= self.setup.claims
    }
}

/// What is left of the last try that is made of a token whose outcome nobody knows.
fn given_up(token: Token) -> Claim {
    let tries = Unresolved { tries: 30, tries_after_hold: 31, first_at: SENT_AT, last_at: SENT_AT };
    Claim {
        exchange: 0,
        token,
        holder: 0,
        pod_is_gone: true,
        unresolved: Some(tries),
        over: true,
        window_is_open: false,
        outwaited: [false; PROCESSES],
        displaced: None,
    }
}

fn next(world: &World, who: usize) -> Option<&Effect<Token>> {
    world.processes[who].running.as_ref().map(|running| &running.next)
}

impl Protocol {
    fn of_process(&self, world: &World, who: usize, actions: &mut Vec<Action>) {
        let (setup, process) = (&self.setup, &world.processes[who]);
        if process.replay != Replay::Done {
            return actions.push(Action::Replay(who));
        }
        if let Some(running) = &process.running {
            return actions.extend(setup.may_step(world, running).then_some(Action::Step(who)));
        }
        let leads = !self.setup.elects || world.leader == who;
        if !leads {
            return;
        }
        if world.secret.generation() > world.target.0 {
            actions.push(Action::Render(who));
        }
        if world.claims < self.setup.claims {
            actions.push(Action::Begin(who, false));
            actions.extend(world.secret.claim.map(|_| Action::Begin(who, true)));
        }
    }

    fn fail(&self, world: &mut World, fault: Fault) -> Option<()> {
        let setup = &self.setup;
        match fault {
            Fault::WriteLost(who) => self.write(world, who, Write::Lost),
            Fault::ReplyLost(who) => self.write(world, who, Write::MadeUnsaid),
            Fault::WriteLate(who) => self.write(world, who, Write::Late),
            Fault::JournalFails(who) => answers::journal(world, who, false),
            Fault::ResponseLost(who) => {
                let lineage = family(steps::running(world, who).token());
                if let Answer::Granted(Some(_)) = answers::redeem(setup, world, who) {
                    world.causes[lineage] |= RESPONSE_LOST;
                }
                answers::receive(world, who, Answer::Unknown);
            }
            Fault::RequestLost(who) => answers::receive(world, who, Answer::Unknown),
            Fault::GivenUp(who) => {
                world.stray = Some(steps::running(world, who).token());
                answers::receive(world, who, Answer::Unknown);
            }
            Fault::Answers(who, answer) => answers::receive(world, who, answer),
            Fault::Paused(who) => steps::running(world, who).young = false,
            Fault::Outwaits(who) => outwait(world, who)?,
            Fault::Crash(who, wire) => restart::crash(world, who, wire),
            Fault::Panic(who) => restart::panic(world, who),
            Fault::PodLost(who, wire) => restart::lose_pod(world, who, wire),
            Fault::LeaseMoves => move_lease(world),
            Fault::NewSeed => world.source = crate::world::SEEDS[1],
            Fault::SetBack => set_back(world),
        }
        Some(())
    }

    fn write(&self, world: &mut World, who: usize, write: Write) {
        match next(world, who).cloned() {
            Some(Effect::Claim(intent)) => steps::claim(&self.setup, world, who, &intent, write),
            Some(Effect::Commit) => answers::commit(world, who, write),
            _ => answers::release_fails(world, who),
        }
    }
}

/// The lease goes to the other process, which begins a new term.
fn move_lease(world: &mut World) {
    world.leader = (world.leader + 1) % PROCESSES;
    for running in world.processes.iter_mut().filter_map(|process| process.running.as_mut()) {
        running.same_term = false;
    }
}

/// Patience with a living holder runs out. Its claim is no longer young then: patience is far longer.
fn outwait(world: &mut World, who: usize) -> Option<()> {
    let claim = world.secret.claim.as_mut()?;
    claim.outwaited[who] = true;
    let (holder, exchange, lineage) = (claim.holder, claim.exchange, family(claim.token));
    let process = &mut world.processes[holder];
    let mut is_at_it = false;
    if let Some(running) = process.running.as_mut().filter(|running| running.id == exchange) {
        running.young = false;
        is_at_it = running.on_the_wire || running.entry().brings().is_some();
    }
    let due =
        process.journal.filter(|entry| entry.exchange == exchange && entry.brings().is_some());
    is_at_it |= due.is_some();
    if is_at_it {
        world.causes[lineage] |= OUTWAITED;
    }
    Some(())
}

/// The state becomes what it was before the last commit: the user's own doing, until somebody who knows better writes the
/// newest record back.
fn set_back(world: &mut World) {
    let newest = world.secret.record.map(|record| record.token);
    let spent = world.secret.claim.map(|claim| claim.token);
    let secret = Secret { record: world.backup, ..Secret::default() };
    world.write(secret);
    for token in newest.into_iter().chain(spent) {
        world.causes[family(token)] |= faults::SET_BACK;
    }
}
