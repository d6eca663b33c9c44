//! What a process reads before it spends anything, and what that forbids.

use oauth_keeper::lifecycle::rotation::choice::Seed;
use oauth_keeper::lifecycle::rotation::claim::Verdict;
use oauth_keeper::lifecycle::rotation::exchange::{Event, Stored, View};

use crate::process::Process;
use crate::real::{self, Facts};
use crate::setup::{Rule, Setup};
use crate::world::{Record, Token, World, family};

/// Reads everything; `Outdated` when the state may not be used.
pub fn look(setup: &Setup, world: &World, who: usize, hold_is_over: bool) -> Event<Token> {
    let process = &world.processes[who];
    let standing = standing(setup, world);
    let knows_newer = knows_newer(world, process).is_some();
    if (!knows_newer || setup.is_without(Rule::MemoryFirst)) && is_refused(setup, world, standing) {
        return Event::Outdated;
    }
    Event::Observed(View {
        seed: world.source,
        standing,
        stored: world.secret.record.map(stored),
        memory: process.newest.filter(|_| !setup.is_without(Rule::Memory)).map(stored),
        claim: claim(setup, world, who, standing, hold_is_over),
        wanted: true,
    })
}

/// The newest record of a process, if the state has an older one.
pub fn knows_newer(world: &World, process: &Process) -> Option<Record> {
    process.newest.filter(|newest| newest.generation > world.secret.generation())
}

fn stored(record: Record) -> Stored<Token> {
    Stored { generation: i64::from(record.generation), token: record.token }
}

fn standing(setup: &Setup, world: &World) -> Seed {
    match real::look_up(&world.secret, world.source) {
        Seed::Refused if setup.is_without(Rule::Terminal) => Seed::Current,
        standing => standing,
    }
}

/// Whether the state, or the want of one, is older than what the target tells of.
fn is_refused(setup: &Setup, world: &World, standing: Seed) -> bool {
    if setup.is_without(Rule::Outdated) || !setup.rotates() {
        return false;
    }
    let (revision, lineage) = world.target;
    match world.secret.record {
        Some(record) => standing != Seed::New && real::is_outdated(record.generation, world.target),
        None => revision > 0 && usize::from(lineage) == family(world.source),
    }
}

/// What the claim allows, if it is about the token that would be sent and means anything.
fn claim(
    setup: &Setup,
    world: &World,
    who: usize,
    standing: Seed,
    hold_is_over: bool,
) -> Option<Verdict> {
    let new = standing == Seed::New && !setup.is_without(Rule::SeedIsClaimed);
    let token = world.secret.record.filter(|_| !new).map_or(world.source, |record| record.token);
    let claim = world.secret.claim?.about(token)?;
    // A claim of ours that was never used means nothing, but what it says of earlier tries does.
    let is_dismissed = world.processes[who].dismissed == Some(claim.exchange)
        && (claim.unresolved.is_none() || setup.is_without(Rule::MarkOutlivesClaim));
    if is_dismissed {
        return None;
    }
    let is_ours = claim.holder == who || claim.pod_is_gone || setup.is_without(Rule::Patience);
    Some(real::judge(Facts {
        reuse_grace: setup.reuse_grace,
        rotates: setup.rotates() || world.secret.record.is_none(),
        claim,
        holder_is_dead: is_ours || claim.over,
        outwaited: claim.outwaited[who],
        hold_is_over,
    }))
}
