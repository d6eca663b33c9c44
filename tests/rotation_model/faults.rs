//! What can go wrong, and which of it no client can help.

use oauth_keeper::lifecycle::rotation::exchange::Effect;

use crate::server::Answer;
use crate::setup::Setup;
use crate::world::World;

/// Causes of a loss that no client can help, as bits.
pub type Causes = u8;
/// The server rotated, and its answer never came.
pub const RESPONSE_LOST: Causes = 1;
/// The container died between the sending and the journal.
pub const CRASH_BEFORE_JOURNAL: Causes = 2;
/// The pod was lost between the sending and the journal.
pub const POD_BEFORE_JOURNAL: Causes = 4;
/// The pod was lost between the journal and the commit.
pub const POD_BEFORE_COMMIT: Causes = 8;
/// A living holder could not commit for longer than the others wait.
pub const OUTWAITED: Causes = 16;
/// The state was set back, and nobody was left who knew the newest record: the user's own doing.
pub const SET_BACK: Causes = 32;

/// A thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A write is not made, and its reply is lost.
    WriteLost(usize),
    /// A write is made, and its reply is lost.
    ReplyLost(usize),
    /// A write is made later, and its reply is lost.
    WriteLate(usize),
    /// The answer can't be written into the journal.
    JournalFails(usize),
    /// The server gets the token, and its answer is lost.
    ResponseLost(usize),
    /// The server never gets the token.
    RequestLost(usize),
    /// The server gets the token when nobody waits any more.
    GivenUp(usize),
    /// The server answers so without looking.
    Answers(usize, Answer),
    /// The process is paused, or everything is slow: its claim is not young any more.
    Paused(usize),
    /// Patience with the other process runs out.
    Outwaits(usize),
    /// The container dies; what is on the wire arrives or not.
    Crash(usize, Wire),
    /// The exchange panics; the process lives and settles what came back.
    Panic(usize),
    /// The pod is lost.
    PodLost(usize, Wire),
    /// The lease moves while its holder is at work.
    LeaseMoves,
    /// A human signs in again.
    NewSeed,
    /// The state is set back to what a backup has.
    SetBack,
}

/// What becomes of a request whose sender is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// It is lost too.
    Cut,
    /// It arrives.
    Delivers,
}

/// What can go wrong now.
pub fn possible(setup: &Setup, world: &World, found: &mut Vec<Fault>) {
    found.extend((world.source == 0).then_some(Fault::NewSeed));
    let can_be_set_back = world.secret.record.is_some()
        && world.backup.map_or(0, |record| record.generation) < world.secret.generation();
    found.extend((can_be_set_back && !setup.given_up).then_some(Fault::SetBack));
    for who in 0..world.processes.len() {
        of_process(setup, world, who, found);
    }
    let leader = world.processes.get(world.leader);
    let is_at_work = leader.is_some_and(|leader| leader.running.is_some());
    found.extend((setup.elects && is_at_work).then_some(Fault::LeaseMoves));
}

fn of_process(setup: &Setup, world: &World, who: usize, found: &mut Vec<Fault>) {
    let process = &world.processes[who];
    let other_holds = world.secret.claim.is_some_and(|claim| {
        claim.holder != who && !claim.over && !claim.pod_is_gone && !claim.outwaited[who]
    });
    if other_holds && process.running.is_none() {
        found.push(Fault::Outwaits(who));
    }
    let Some(running) = &process.running else {
        if process.newest.is_some() {
            found.push(Fault::Crash(who, Wire::Cut));
        }
        if process.journal.is_some() {
            found.push(Fault::PodLost(who, Wire::Cut));
        }
        return;
    };
    found.extend([Fault::Crash(who, Wire::Cut), Fault::PodLost(who, Wire::Cut)]);
    if running.on_the_wire {
        found.extend([Fault::ResponseLost(who), Fault::RequestLost(who)]);
        found.extend([Answer::Rejected, Answer::Kept].map(|answer| Fault::Answers(who, answer)));
        if world.stray.is_none() {
            found.push(Fault::GivenUp(who));
            found.extend([Fault::Crash(who, Wire::Delivers), Fault::PodLost(who, Wire::Delivers)]);
        }
        return;
    }
    found.extend(running.answer.map(|_| Fault::Panic(who)));
    match running.next {
        Effect::Claim(_) | Effect::Commit if running.fresh && setup.may_step(world, running) => {
            found.push(Fault::WriteLost(who));
            // After a commit the state is read whatever the reply said.
            found.extend((running.next != Effect::Commit).then_some(Fault::ReplyLost(who)));
            found.extend(world.late.is_none().then_some(Fault::WriteLate(who)));
        }
        Effect::Release(_) => found.push(Fault::WriteLost(who)),
        Effect::Journal => found.push(Fault::JournalFails(who)),
        _ => {}
    }
    if matches!(running.next, Effect::Claim(_) | Effect::ReadClaim | Effect::Send(_))
        && running.young
    {
        found.push(Fault::Paused(who));
    }
}
