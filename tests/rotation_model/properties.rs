//! What must hold in every state, and what must be seen in some.

use oauth_keeper::lifecycle::rotation::exchange::{Effect, End};
use stateright::Property;

use crate::faults::{
    CRASH_BEFORE_JOURNAL, Causes, OUTWAITED, POD_BEFORE_COMMIT, POD_BEFORE_JOURNAL, RESPONSE_LOST,
    SET_BACK,
};
use crate::look::knows_newer;
use crate::model::Protocol;
use crate::process::{Replay, Running};
use crate::restart::{may_be_wanted, will_settle};
use crate::server::Rotation;
use crate::world::{Flaw, Token, World, family};

/// No token is lost but by what no client can help.
pub const NO_LOSS: &str = "no token is lost";
/// Each token is claimed before it is sent, and by one process.
pub const CLAIMED: &str =
    "nothing is sent without its claim, or by two who do not know of each other";
/// Whoever sends a token that may have been spent knows it.
pub const AWARE: &str = "no replaced token is sent as if it were fresh";
/// The newest token is sent.
pub const NEWEST: &str = "no token older than the newest stored is sent";
/// Answers are kept.
pub const KEPT: &str = "an answer is given up only once the state holds it or a newer one";
/// What is dead stays dead.
pub const TERMINAL: &str = "nothing of a dead lineage is sent";
/// A state that was set back is mended.
pub const MENDED: &str = "who knows a newer record than the state writes it back";

/// What must hold in every state.
pub fn rules() -> Vec<Property<Protocol>> {
    fn keeps(world: &World, flaws: &[Flaw]) -> bool {
        world.flaw.is_none_or(|flaw| !flaws.contains(&flaw))
    }
    vec![
        Property::always(NO_LOSS, |model: &Protocol, world| {
            !is_lost(world) || is_excused(model, world)
        }),
        Property::always(CLAIMED, |_, world: &World| keeps(world, &[Flaw::Unclaimed, Flaw::Twice])),
        Property::always(AWARE, |_, world: &World| keeps(world, &[Flaw::Unaware])),
        Property::always(NEWEST, |_, world: &World| keeps(world, &[Flaw::Old])),
        Property::always(KEPT, |_, world: &World| keeps(world, &[Flaw::Dropped])),
        Property::always(TERMINAL, |_, world: &World| keeps(world, &[Flaw::Dead])),
        Property::always(MENDED, |_, world: &World| keeps(world, &[Flaw::NotRestored])),
    ]
}

/// What every setting must be able to do.
pub fn work() -> Vec<Property<Protocol>> {
    vec![
        Property::sometimes("an exchange commits", |_, world: &World| {
            commits(world, |running| running.intent().unresolved.is_none())
        }),
        Property::sometimes("a takeover commits", |_, world: &World| {
            commits(world, |running| running.took_over)
        }),
        Property::sometimes("a new seed is committed", |_, world: &World| {
            world.secret.record.is_some_and(|record| record.lineage == 1)
        }),
        Property::sometimes("a journal is committed", |_, world: &World| {
            world.processes.iter().any(|process| process.replay == Replay::Written)
        }),
        Property::sometimes("a state that was set back is mended", |_, world: &World| {
            let mends = |running: &Running| matches!(running.next, Effect::Restore(_));
            any_running(world, |running| mends(running) && running.fresh)
        }),
        Property::sometimes("a lineage is called dead", |_, world: &World| {
            world.secret.refused.is_some()
        }),
    ]
}

/// What no client can help: each alone costs a token of a strict server.
pub fn losses() -> Vec<Property<Protocol>> {
    fn loses(world: &World, cause: Causes) -> bool {
        is_lost(world) && world.causes[newest(world)] == cause
    }
    vec![
        Property::sometimes("a lost response costs a token", |_, world: &World| {
            loses(world, RESPONSE_LOST)
        }),
        Property::sometimes(
            "a crash before the journal write costs a token",
            |_, world: &World| loses(world, CRASH_BEFORE_JOURNAL),
        ),
        Property::sometimes(
            "a pod lost before the journal write costs a token",
            |_, world: &World| loses(world, POD_BEFORE_JOURNAL),
        ),
        Property::sometimes("a pod lost before the commit costs a token", |_, world: &World| {
            loses(world, POD_BEFORE_COMMIT)
        }),
        Property::sometimes("a holder cut off for too long costs a token", |_, world: &World| {
            loses(world, OUTWAITED)
        }),
    ]
}

fn any_running(world: &World, is: impl Fn(&Running) -> bool) -> bool {
    world.processes.iter().filter_map(|process| process.running.as_ref()).any(is)
}

fn commits(world: &World, is: impl Fn(&Running) -> bool) -> bool {
    any_running(world, |running| running.next == Effect::Finish(End::Committed) && is(running))
}

/// Whether something happened to the newest lineage that no client can help. Where the window stays open that is nothing
/// but a state set back by the user.
fn is_excused(model: &Protocol, world: &World) -> bool {
    let causes = world.causes[newest(world)];
    match model.setup.rotation {
        Rotation::Never | Rotation::Ample => causes & SET_BACK != 0,
        Rotation::Strict | Rotation::Window => causes != 0,
    }
}

/// The newest lineage: that of the source, unless an old seed was put back.
fn newest(world: &World) -> usize {
    let record = world.secret.record.filter(|record| record.outdates(world.source));
    record.map_or_else(|| family(world.source), |record| family(record.token))
}

/// Whether the newest lineage has no token any more that is good and will be used.
fn is_lost(world: &World) -> bool {
    let is_newest = |token| family(token) == newest(world);
    !known(world).any(|token| is_newest(token) && world.server.accepts(token))
}

/// The token of the state, and every one that the rules will bring into it.
fn known(world: &World) -> impl Iterator<Item = Token> {
    let record = world.secret.record;
    let is_new = record.is_none_or(|record| !record.outdates(world.source));
    let of_processes = world.processes.iter().flat_map(move |process| {
        let running = process.running.as_ref().filter(|running| running.answer.is_some());
        let held = running.map(Running::entry).filter(|entry| may_be_wanted(world, entry));
        let due = process.journal.filter(|_| process.running.is_none());
        let answers = held.into_iter().chain(due.filter(|entry| will_settle(world, entry)));
        let memory = knows_newer(world, process).map(|newest| newest.token);
        answers.filter_map(|entry| entry.brings()).chain(memory)
    });
    let seed = is_new.then_some(world.source);
    record.map(|record| record.token).into_iter().chain(seed).chain(of_processes)
}
