//! Carries out what the machine wants, as `controller::exchange::spend` does: from the answer on.

use oauth_keeper::lifecycle::rotation::exchange::{
    Effect, End, Event, Found, Release, Reply, may_commit,
};

use crate::look::knows_newer;
use crate::process::Replay;
use crate::real::{self, SENT_AT};
use crate::restart::forget;
use crate::server::Answer;
use crate::setup::{Rule, Setup};
use crate::steps::{self, Write, running, tell};
use crate::world::{Claim, Displaced, Flaw, Late, Secret, World};

/// The server gets the token, and its answer arrives.
pub fn arrive(setup: &Setup, world: &mut World, who: usize) {
    let answer = redeem(setup, world, who);
    receive(world, who, answer);
}

/// The server gets the token.
pub fn redeem(setup: &Setup, world: &mut World, who: usize) -> Answer {
    let token = running(world, who).token();
    world.server.redeem(token, setup.rotation)
}

/// What came back is in memory.
pub fn receive(world: &mut World, who: usize, answer: Answer) {
    let running = running(world, who);
    (running.on_the_wire, running.answer) = (false, Some(answer));
    tell(world, who, Event::Received { sent_at: SENT_AT, over_at: SENT_AT });
}

/// Writes the answer down and reads it, unless that takes another look at the state.
pub fn journal(world: &mut World, who: usize, works: bool) {
    let answer = running(world, who).answer.unwrap();
    running(world, who).journaled = works;
    // Of nothing there is nothing to write down.
    let written = (works && answer != Answer::Unknown).then_some(answer);
    if let Some(entry) = &mut world.processes[who].journal {
        entry.answer = written;
    }
    tell(world, who, if works { Event::Done } else { Event::Refused });
    if answer != Answer::Rejected {
        parse(world, who);
    }
}

/// The answer is read; whether a rejection is news takes a look at the state.
pub fn parse(world: &mut World, who: usize) {
    let running = running(world, who);
    let (answer, base, seed) =
        (running.answer.unwrap(), running.intent().base_generation, running.seed);
    let reply = match answer {
        Answer::Granted(successor) => Reply::Granted { successor },
        Answer::Kept => Reply::Kept,
        Answer::Rejected if i64::from(world.secret.generation()) > base => Reply::Kept,
        Answer::Rejected => Reply::Rejected { confirmed: world.rejected == Some(seed) },
        Answer::Unknown => Reply::Unknown,
    };
    tell(world, who, Event::Parsed(reply));
}

/// The record is written on top of what the state holds.
pub fn commit(world: &mut World, who: usize, write: Write) {
    let running = running(world, who);
    let (id, entry) = (running.id, running.entry());
    if running.fresh {
        let mut secret = world.secret;
        // One that was set back goes on from what was read before.
        let newest = knows_newer(world, &world.processes[who]);
        let base = Secret { record: newest.or(secret.record), ..secret };
        let record = real::commit(&base, entry).unwrap();
        secret.claim = secret.claim.filter(|claim| claim.exchange != id);
        (secret.record, secret.refused) = (Some(record), None);
        steps::running(world, who).tried = Some(record);
        match write {
            Write::Made | Write::MadeUnsaid => world.write(secret),
            Write::Lost => {}
            Write::Late => world.late = Some(Late { secret, fresh: true }),
        }
        if matches!(write, Write::Made | Write::MadeUnsaid) {
            world.committed(record.token, id);
        }
    }
    // Whatever it came to, the state is read.
    tell(world, who, Event::Unclear);
}

/// The state is read: it holds the record, or may still take it, or is past it.
pub fn reread(setup: &Setup, world: &mut World, who: usize) {
    let secret = world.secret;
    let running = running(world, who);
    let knows_seed = secret.record.is_some_and(|record| record.outdates(running.seed));
    let is_ours = secret.record.is_some() && secret.record == running.tried;
    let mut found = Found { generation: i64::from(secret.generation()), is_ours, knows_seed };
    let intent = running.intent();
    running.settled = is_ours || !may_commit(found, intent.base_generation, intent.new_lineage);
    running.fresh = true;
    match setup.without {
        Some(Rule::Generation) => found.generation = 0,
        Some(Rule::NewSeedWins) => found.knows_seed = true,
        Some(Rule::ReadBack) => found.is_ours = true,
        _ => {}
    }
    tell(world, who, Event::Found(found));
}

/// The claim goes, or stays as a mark; tried until it is seen to have worked or to be another's.
pub fn release(setup: &Setup, world: &mut World, who: usize, what: &Release) {
    let (id, seed) = (running(world, who).id, running(world, who).seed);
    if world.secret.is_claimed_by(id) {
        let mut secret = world.secret;
        match what {
            Release::Unresolved(unresolved) if !setup.is_without(Rule::Mark) => {
                let claim = secret.claim.unwrap();
                secret.claim = Some(Claim { over: true, unresolved: Some(*unresolved), ..claim });
            }
            Release::Dead => (secret.claim, secret.refused) = (left(secret.claim), Some(seed)),
            _ => secret.claim = left(secret.claim),
        }
        world.write(secret);
    }
    tell(world, who, Event::Done);
}

/// What a claim leaves that goes.
pub fn left(claim: Option<Claim>) -> Option<Claim> {
    claim?.displaced.map(Displaced::claim)
}

/// The API server can't be reached for so long that the claim stays.
pub fn release_fails(world: &mut World, who: usize) {
    let running = running(world, who);
    if running.next == Effect::Release(Release::Free) {
        let id = running.id;
        world.processes[who].dismissed = Some(id);
    }
    tell(world, who, Event::Done);
}

/// The place in the journal is given up.
pub fn free(world: &mut World, who: usize) {
    let running = running(world, who);
    let is_dropped = matches!(running.answer, Some(Answer::Granted(_))) && !running.settled;
    world.processes[who].journal = None;
    world.flaw(is_dropped, Flaw::Dropped);
    tell(world, who, Event::Done);
}

/// The exchange is over.
pub fn finish(setup: &Setup, world: &mut World, who: usize, end: &End) {
    let process = &mut world.processes[who];
    let running = process.running.take().unwrap();
    process.replay = Replay::Done;
    match end {
        End::Committed => {
            let tried = running.tried;
            if tried.map(|record| record.generation)
                > process.newest.map(|record| record.generation)
            {
                process.newest = tried;
            }
            world.rejected = None;
        }
        End::Rejected => world.rejected = Some(running.seed),
        End::NotSent | End::Kept | End::Unknown | End::Blocked => world.rejected = None,
        _ => {}
    }
    // Who lost the lease ends, and starts anew.
    if setup.elects && world.leader != who {
        forget(world, who);
    }
}
