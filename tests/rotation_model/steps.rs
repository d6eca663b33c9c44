//! Carries out what the machine wants, as `controller::exchange::spend` does: up to the sending.

use oauth_keeper::lifecycle::rotation::exchange::{Effect, Event, Exchange, Intent, Stored};

use crate::answers::{arrive, commit, finish, free, journal, left, parse, release, reread};
use crate::faults::{OUTWAITED, SET_BACK};
use crate::look::{knows_newer, look};
use crate::process::{Process, Running};
use crate::restart::may_be_wanted;
use crate::server::Rotation;
use crate::setup::{Rule, Setup};
use crate::world::{Claim, Flaw, Late, PROCESSES, Token, World, family};

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It is made, if the state is as it was read.
    Made,
    /// It is made, and nobody says so.
    MadeUnsaid,
    /// It is not made, and nobody says so.
    Lost,
    /// It is made when the writer has given up.
    Late,
}

/// Begins an exchange with a look at everything.
pub fn begin(setup: &Setup, world: &mut World, who: usize, hold_is_over: bool) {
    let (machine, next) = Exchange::begin();
    world.processes[who].running = Some(Running {
        machine,
        next,
        id: 0,
        seed: world.source,
        floor: 0,
        fresh: false,
        claimed: false,
        young: false,
        same_term: true,
        on_the_wire: false,
        answer: None,
        journaled: false,
        took_over: false,
        tried: None,
        settled: false,
    });
    observe(setup, world, who, hold_is_over);
}

/// One step, without a fault.
pub fn step(setup: &Setup, world: &mut World, who: usize) {
    let running = running(world, who);
    match running.next.clone() {
        Effect::Observe => observe(setup, world, who, false),
        Effect::Restore(newest) => restore(world, who, &newest),
        Effect::Claim(intent) => claim(setup, world, who, &intent, Write::Made),
        Effect::ReadClaim => read_claim(setup, world, who),
        Effect::Send(_) if running.on_the_wire => arrive(setup, world, who),
        Effect::Send(token) => send(setup, world, who, token),
        Effect::Journal => journal(world, who, true),
        Effect::Parse => parse(world, who),
        Effect::Commit => commit(world, who, Write::Made),
        Effect::Reread => reread(setup, world, who),
        Effect::Release(what) => release(setup, world, who, &what),
        Effect::Free => free(world, who),
        Effect::Finish(end) => finish(setup, world, who, &end),
        Effect::Rehearse | Effect::Reserve => unreachable!("done at once"),
    }
}

/// The exchange of a process.
pub fn running(world: &mut World, who: usize) -> &mut Running {
    world.processes[who].running.as_mut().unwrap()
}

/// Tells the machine, and does what nobody else sees.
pub fn tell(world: &mut World, who: usize, event: Event<Token>) {
    let running = running(world, who);
    running.next = running.machine.on(event);
}

fn observe(setup: &Setup, world: &mut World, who: usize, hold_is_over: bool) {
    let event = look(setup, world, who, hold_is_over);
    let knows_newer = knows_newer(world, &world.processes[who]).is_some();
    let (seed, floor, stored) = (world.source, world.target.0, world.secret.record);
    let process = &mut world.processes[who];
    if let Some(stored) = stored
        .filter(|stored| process.newest.is_none_or(|newest| newest.generation < stored.generation))
    {
        process.newest = Some(stored);
    }
    let running = running(world, who);
    (running.seed, running.floor, running.fresh) = (seed, floor, true);
    tell(world, who, event);
    let running = self::running(world, who);
    let restores = matches!(running.next, Effect::Restore(_));
    if running.next == Effect::Rehearse {
        let running = self::running(world, who);
        running.next = running.machine.on(Event::Done);
        assert_eq!(running.next, Effect::Reserve);
        let entry = running.entry();
        running.next = running.machine.on(Event::Done);
        if !setup.is_without(Rule::Journal) {
            world.processes[who].journal = Some(entry);
        }
    }
    world.flaw(knows_newer && !restores, Flaw::NotRestored);
    outlast(world, who);
}

/// Whoever is still at a token whose hold was waited for is cut off for longer than anybody waits.
fn outlast(world: &mut World, who: usize) {
    let intent = self::running(world, who).machine.intent();
    let Some(token) = intent.filter(|intent| intent.after_hold).map(|intent| intent.token) else {
        return;
    };
    let mut others = world.processes.iter().enumerate().filter(|(other, _)| *other != who);
    // The holder of the claim is waited for by itself.
    let holder = world.secret.claim.map_or(0, |claim| claim.exchange);
    let is_at_it = |process: &Process| match &process.running {
        Some(other) => {
            other.id != holder
                && other.machine.intent().is_some_and(|intent| intent.token == token)
                && (other.on_the_wire || other.entry().brings().is_some())
        }
        None => process.journal.is_some_and(|entry| {
            entry.exchange != holder && entry.token == token && entry.brings().is_some()
        }),
    };
    if others.any(|(_, process)| is_at_it(process)) {
        world.causes[family(token)] |= OUTWAITED;
    }
    world.age(token);
}

fn restore(world: &mut World, who: usize, newest: &Stored<Token>) {
    let process = &world.processes[who];
    let record = process.newest.unwrap();
    assert_eq!((i64::from(record.generation), record.token), (newest.generation, newest.token));
    let is_fresh = process.running.as_ref().is_some_and(|running| running.fresh);
    if is_fresh {
        let mut secret = world.secret;
        (secret.record, secret.refused) = (Some(record), None);
        world.write(secret);
    }
    tell(world, who, if is_fresh { Event::Done } else { Event::Conflict });
}

/// The claim is written, if the state is as it was read.
pub fn claim(setup: &Setup, world: &mut World, who: usize, intent: &Intent<Token>, write: Write) {
    let running = running(world, who);
    running.young = true;
    if !running.fresh && !setup.is_without(Rule::CompareAndSwap) {
        return tell(world, who, Event::Conflict);
    }
    world.claims += 1;
    let exchange = world.claims;
    let took_over =
        world.secret.claim.is_some_and(|claim| claim.holder != who && claim.token == intent.token);
    let running = self::running(world, who);
    (running.id, running.took_over) = (exchange, took_over);
    if let Some(entry) = &mut world.processes[who].journal {
        entry.exchange = exchange;
    }
    // Renewals are further apart than a claim is young.
    let generation = i64::from(world.secret.generation());
    for other in world.processes.iter_mut().flat_map(|process| &mut process.running) {
        let is_older =
            other.machine.intent().is_some_and(|intent| intent.base_generation < generation);
        other.young &= !is_older;
    }
    let dismissed = world.processes[who].dismissed;
    let standing = world.secret.claim.and_then(|claim| {
        let means_nothing = dismissed == Some(claim.exchange) && claim.unresolved.is_none();
        if means_nothing { left(Some(claim)) } else { Some(claim) }
    });
    // A try of its own reopens no window.
    let before = standing.and_then(|claim| claim.about(intent.token));
    let claim = Claim {
        exchange,
        token: intent.token,
        holder: who,
        pod_is_gone: false,
        unresolved: intent.unresolved,
        over: false,
        window_is_open: setup.reuse_grace == Some(true)
            && (intent.unresolved.is_none() || before.is_some_and(|claim| claim.window_is_open)),
        outwaited: [false; PROCESSES],
        displaced: standing
            .filter(|_| !setup.is_without(Rule::Displaced))
            .and_then(|claim| claim.beside(intent.token)),
    };
    let is_outdated = setup.rotates() && world.target.0 > world.secret.generation();
    let is_replaced = world.secret.record.is_some_and(|record| record.token != intent.token);
    let is_old = !intent.new_lineage && (is_replaced || is_outdated);
    world.flaw(is_old, Flaw::Old);
    let mut secret = world.secret;
    secret.claim = Some(claim);
    match write {
        Write::Made | Write::MadeUnsaid => {
            world.write(secret);
            let running = self::running(world, who);
            running.claimed = true;
            running.fresh = write == Write::Made;
        }
        Write::Lost => {}
        Write::Late => world.late = Some(Late { secret, fresh: true }),
    }
    tell(world, who, if write == Write::Made { Event::Done } else { Event::Unclear });
}

fn read_claim(setup: &Setup, world: &mut World, who: usize) {
    let (id, young) = (running(world, who).id, running(world, who).young);
    if !young {
        world.processes[who].dismissed = Some(id);
    }
    // A claim beside another record than the one it was made for is of no use.
    let base = running(world, who).intent().base_generation;
    let is_stale = i64::from(world.secret.generation()) != base;
    let ours = young
        && world.secret.is_claimed_by(id)
        && (!is_stale || setup.is_without(Rule::FreshClaim));
    world.flaw(ours && is_stale, Flaw::Old);
    let running = running(world, who);
    (running.fresh, running.claimed) = (running.fresh || ours, running.claimed || ours);
    tell(world, who, Event::ClaimIs { ours });
}

/// The send guard is asked, and the first byte goes out.
fn send(setup: &Setup, world: &mut World, who: usize, token: Token) {
    let running = running(world, who);
    let may_send = running.young && (running.same_term || !setup.elects);
    let (claimed, seed) = (running.claimed, running.seed);
    let (id, is_aware) = (running.id, running.intent().unresolved.is_some());
    if let Some(entry) = &mut world.processes[who].journal {
        entry.sent = true;
    }
    let in_window =
        world.secret.claim.is_some_and(|claim| claim.exchange == id && claim.window_is_open);
    let running = self::running(world, who);
    let relies_on_window =
        setup.reuse_grace == Some(true) && is_aware && !running.intent().after_hold;
    let may_send =
        may_send && (!relies_on_window || in_window || setup.is_without(Rule::WindowGuard));
    (running.young, running.same_term) = (false, false);
    if !may_send && !setup.is_without(Rule::SendGuard) {
        return tell(world, who, Event::NotSent);
    }
    running.on_the_wire = true;
    let by_another = world.processes.iter().flat_map(|process| &process.running).any(|other| {
        other.id != id
            && other.machine.intent().is_some_and(|intent| intent.token == token)
            && (other.on_the_wire || may_be_wanted(world, &other.entry()))
    });
    let is_known = claimed || world.secret.is_claimed_by(id);
    let is_excused = world.causes[family(token)] & SET_BACK != 0;
    let is_dead = world.secret.refused == Some(seed);
    let is_replaced = !world.server.accepts(token) && world.server.replaced(token) && !is_excused;
    world.flaw(is_replaced && !is_aware, Flaw::Unaware);
    let is_excused = world.causes[family(token)] & crate::faults::SET_BACK != 0;
    world.flaw(!is_known, Flaw::Unclaimed);
    // Other servers bear that.
    let by_another = by_another && setup.rotation == Rotation::Strict;
    world.flaw(by_another && !is_aware && !is_excused, Flaw::Twice);
    world.flaw(is_dead, Flaw::Dead);
}
