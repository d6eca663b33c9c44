//! The settings that are explored: kinds of servers, with and without an elected leader.

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::model::Protocol;
use crate::properties::{losses, rules, work};
use crate::server::Rotation;
use crate::setup::Setup;
use crate::world::World;

/// Explores a setting until a rule is broken or nothing new is found.
pub fn explore(
    name: &str,
    setup: Setup,
    properties: fn() -> Vec<Property<Protocol>>,
) -> impl Checker<Protocol> + use<> {
    let begun = Instant::now();
    let (claims, faults) = (setup.claims, setup.faults);
    let model = Protocol { setup, properties };
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{name}: {claims} claims, {faults} faults, {} states, {} transitions, {} steps deep, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64()
    );
    checker
}

fn holds(name: &str, setup: Setup, properties: fn() -> Vec<Property<Protocol>>) {
    explore(name, setup, properties).assert_properties();
}

fn rules_and_work() -> Vec<Property<Protocol>> {
    [rules(), work()].into_iter().flatten().collect()
}

fn all() -> Vec<Property<Protocol>> {
    [rules_and_work(), losses()].into_iter().flatten().collect()
}

#[test]
fn a_strict_server_costs_a_token_only_by_what_no_client_can_help() {
    let strict = Setup::of(Rotation::Strict);
    holds("strict", strict.clone(), all);
    holds("strict", Setup { claims: 2, faults: 3, ..strict }, all);
}

#[test]
fn a_strict_server_of_which_nobody_knows_that_it_is() {
    let setup = Setup { reuse_grace: None, claims: 2, ..Setup::of(Rotation::Strict) };
    holds("strict, not told", setup, all);
}

#[test]
fn a_strict_server_and_no_leader() {
    let setup = Setup { elects: false, claims: 2, ..Setup::of(Rotation::Strict) };
    holds("strict, no leader", setup, all);
}

#[test]
fn a_strict_server_whose_old_seed_is_put_back() {
    let setup = Setup { puts_back: true, claims: 3, faults: 2, ..Setup::of(Rotation::Strict) };
    holds("strict, put back", setup, rules);
}

#[test]
fn a_window_that_ends() {
    holds("window", Setup { claims: 2, ..Setup::of(Rotation::Window) }, rules_and_work);
}

#[test]
fn a_window_that_ends_and_no_leader() {
    let setup = Setup { claims: 2, faults: 1, elects: false, ..Setup::of(Rotation::Window) };
    holds("window, no leader", setup, rules);
}

#[test]
fn a_window_that_stays_open_costs_nothing() {
    let ample = Setup::of(Rotation::Ample);
    holds("ample", Setup { claims: 2, ..ample }, rules_and_work);
    holds("ample", Setup { faults: 1, ..ample }, rules);
}

#[test]
fn a_server_that_does_not_rotate_costs_nothing() {
    holds("never", Setup { claims: 2, ..Setup::of(Rotation::Never) }, rules_and_work);
}

#[test]
fn a_token_that_was_sent_often_enough_is_never_sent_again() {
    let setup = Setup { given_up: true, ..Setup::of(Rotation::Strict) };
    holds("given up", setup, || {
        let silence = Property::always("nothing is sent but a new seed", |_, world: &World| {
            world.source != 0 || world.claims == 0
        });
        [rules(), vec![silence]].into_iter().flatten().collect()
    });
}

#[test]
#[ignore = "several minutes: the same with one more claim or fault"]
fn deeper() {
    holds("strict", Setup { faults: 3, ..Setup::of(Rotation::Strict) }, all);
    for rotation in [Rotation::Window, Rotation::Ample, Rotation::Never] {
        holds(&format!("{rotation:?}"), Setup::of(rotation), rules_and_work);
    }
    let strict = Setup { elects: false, ..Setup::of(Rotation::Strict) };
    holds("strict, no leader", strict, all);
    let window = Setup { claims: 2, elects: false, ..Setup::of(Rotation::Window) };
    holds("window, no leader", window, rules_and_work);
}
