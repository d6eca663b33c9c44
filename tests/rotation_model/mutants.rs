//! Each rule is needed: without it something is broken. This also shows that these tests can fail.

use stateright::Checker;

use crate::properties::{AWARE, CLAIMED, KEPT, MENDED, NEWEST, NO_LOSS, TERMINAL, rules};
use crate::server::Rotation;
use crate::settings::explore;
use crate::setup::{Rule, Setup};

fn breaks(rotation: Rotation, without: Rule, faults: u8, property: &'static str) {
    breaks_in(Setup { without: Some(without), faults, ..Setup::of(rotation) }, property);
}

fn breaks_in(setup: Setup, property: &'static str) {
    let Setup { rotation, without, .. } = setup;
    let checker = explore(&format!("{rotation:?} without {without:?}"), setup, rules);
    let Some(path) = checker.discovery(property) else {
        let others: Vec<_> = checker.discoveries().into_keys().collect();
        panic!("without {without:?} it holds that {property}; broken: {others:?}")
    };
    println!("  {property}: broken by {:?}", path.into_actions());
}

#[test]
fn without_the_send_guard() {
    breaks(Rotation::Strict, Rule::SendGuard, 2, CLAIMED);
}

#[test]
fn without_the_guard_of_the_window() {
    breaks(Rotation::Window, Rule::WindowGuard, 2, NO_LOSS);
}

#[test]
fn without_patience() {
    breaks(Rotation::Strict, Rule::Patience, 2, NO_LOSS);
}

#[test]
fn without_a_journal() {
    breaks(Rotation::Strict, Rule::Journal, 1, NO_LOSS);
}

#[test]
fn without_the_rule_of_generations() {
    breaks(Rotation::Strict, Rule::Generation, 2, NO_LOSS);
    breaks(Rotation::Ample, Rule::Generation, 2, NO_LOSS);
}

#[test]
fn without_compare_and_swap_for_the_claim() {
    breaks(Rotation::Strict, Rule::CompareAndSwap, 1, NEWEST);
}

#[test]
fn without_a_look_at_what_stands_beside_the_claim() {
    breaks(Rotation::Strict, Rule::FreshClaim, 3, NEWEST);
}

#[test]
fn without_the_new_seed_winning() {
    breaks(Rotation::Strict, Rule::NewSeedWins, 2, KEPT);
}

#[test]
fn without_a_claim_for_the_new_seed() {
    breaks(Rotation::Strict, Rule::SeedIsClaimed, 2, CLAIMED);
}

#[test]
fn without_a_mark_of_unknown_outcomes() {
    breaks(Rotation::Strict, Rule::Mark, 1, AWARE);
}

#[test]
fn without_the_mark_that_outlives_its_claim() {
    breaks(Rotation::Strict, Rule::MarkOutlivesClaim, 3, AWARE);
}

#[test]
fn without_what_a_claim_took_the_place_of() {
    let without = Some(Rule::Displaced);
    let strict = Setup { without, puts_back: true, faults: 3, ..Setup::of(Rotation::Strict) };
    breaks_in(strict, CLAIMED);
}

#[test]
fn without_reading_back() {
    breaks(Rotation::Strict, Rule::ReadBack, 1, KEPT);
}

#[test]
fn without_memory() {
    breaks(Rotation::Strict, Rule::Memory, 1, MENDED);
}

#[test]
fn without_looking_at_memory_first() {
    breaks(Rotation::Strict, Rule::MemoryFirst, 1, MENDED);
}

#[test]
fn without_a_look_at_the_target() {
    breaks(Rotation::Strict, Rule::Outdated, 2, NEWEST);
}

#[test]
fn without_an_end_to_a_dead_lineage() {
    breaks(Rotation::Strict, Rule::Terminal, 2, TERMINAL);
}
