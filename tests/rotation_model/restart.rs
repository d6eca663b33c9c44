//! The end of a process, and what its successor does with the journal.

use crate::answers::left;
use crate::faults::{
    CRASH_BEFORE_JOURNAL, Causes, POD_BEFORE_COMMIT, POD_BEFORE_JOURNAL, SET_BACK, Wire,
};
use crate::process::{Entry, Process, Replay};
use crate::real::{self, Settlement};
use crate::server::Answer;
use crate::world::{Claim, Flaw, World, family};

/// The memory of a process goes.
pub fn forget(world: &mut World, who: usize) {
    let process = &mut world.processes[who];
    let knew_more = process.newest.filter(|newest| newest.generation > world.secret.generation());
    if let Some(newest) = knew_more {
        world.causes[family(newest.token)] |= SET_BACK;
    }
    let process = &mut world.processes[who];
    *process = Process { journal: process.journal, replay: process.replay, ..Process::default() };
    for claim in world.claims_mut() {
        claim.change(|claim| claim.outwaited[who] = false);
    }
}

/// The container dies and starts anew.
pub fn crash(world: &mut World, who: usize, wire: Wire) {
    blame(world, who, CRASH_BEFORE_JOURNAL, 0);
    end(world, who, wire);
    let process = &mut world.processes[who];
    process.replay = if process.journal.is_some() { Replay::Due } else { Replay::Done };
}

/// The exchange panics; what came back is settled as an entry of the journal is, whether it got there or not.
pub fn panic(world: &mut World, who: usize) {
    let process = &mut world.processes[who];
    if let Some(running) = process.running.take() {
        let entry = running.entry();
        let answer = entry.answer.filter(|answer| *answer != Answer::Unknown);
        process.journal = Some(Entry { answer, ..entry });
        process.replay = Replay::Due;
    }
}

/// The pod is lost; another takes its place.
pub fn lose_pod(world: &mut World, who: usize, wire: Wire) {
    blame(world, who, POD_BEFORE_JOURNAL, POD_BEFORE_COMMIT);
    end(world, who, wire);
    let process = &mut world.processes[who];
    (process.journal, process.replay) = (None, Replay::Done);
    for claim in world.claims_mut() {
        claim.change(|claim| claim.pod_is_gone |= claim.holder == who);
    }
}

fn end(world: &mut World, who: usize, wire: Wire) {
    if let Some(running) = world.processes[who].running.take()
        && running.on_the_wire
        && wire == Wire::Delivers
    {
        world.stray = Some(running.token());
    }
    forget(world, who);
}

/// Notes what can't be helped: an answer that is nowhere, and one that is in the journal alone.
fn blame(world: &mut World, who: usize, nowhere: Causes, in_journal: Causes) {
    let process = &world.processes[who];
    // A request that is on the wire is blamed when it arrives.
    let cause = match process.running.as_ref().filter(|running| running.answer.is_some()) {
        Some(running) => {
            let cause = if running.journaled { in_journal } else { nowhere };
            may_be_wanted(world, &running.entry()).then(|| (running.token(), cause))
        }
        None => process
            .journal
            .filter(|entry| may_be_wanted(world, entry))
            .map(|entry| (entry.token, in_journal)),
    };
    if let Some((token, cause)) = cause {
        world.causes[family(token)] |= cause;
    }
}

/// Whether an entry of the journal will be committed.
pub fn will_settle(world: &World, entry: &Entry) -> bool {
    matches!(real::settle(*entry, &world.secret), Settlement::Commit(_))
}

/// One round of settling the journal.
pub fn replay(world: &mut World, who: usize) {
    let entry = world.processes[who].journal.unwrap();
    let mut secret = world.secret;
    match real::settle(entry, &world.secret) {
        Settlement::Nothing => {
            let process = &mut world.processes[who];
            (process.journal, process.replay) = (None, Replay::Done);
            let is_dropped = may_be_wanted(world, &entry);
            return world.flaw(is_dropped, Flaw::Dropped);
        }
        Settlement::Commit(record) => {
            secret.claim = secret.claim.filter(|claim| claim.exchange != entry.exchange);
            (secret.record, secret.refused) = (Some(record), None);
            world.write(secret);
            world.committed(record.token, entry.exchange);
            world.processes[who].replay = Replay::Written;
            return;
        }
        Settlement::Free => secret.claim = left(secret.claim),
        Settlement::Mark(unresolved) => {
            let mark = |claim| Claim { over: true, unresolved: Some(unresolved), ..claim };
            secret.claim = secret.claim.map(mark);
        }
    }
    world.write(secret);
}

/// Whether there is a token set that the state holds neither itself nor anything newer of.
pub fn may_be_wanted(world: &World, entry: &Entry) -> bool {
    if entry.brings().is_none() {
        return false;
    }
    let Some(record) = world.secret.record else { return true };
    let knows_seed = record.outdates(entry.seed);
    record.exchange != entry.exchange
        && (record.generation <= entry.base_generation || (entry.new_lineage && !knows_seed))
}
