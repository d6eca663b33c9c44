//! What servers and authors write, changed at random: nothing makes a reader panic, keep more than it may, or repeat a
//! secret. Each target gets a fixed number of inputs; `FUZZ_MINUTES=n` goes on for so long, with others each time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr,
    reason = "a test ends at the first surprise"
)]

mod corpus;
mod drive;
mod mutate;
mod targets;

use targets::{addresses, cookies, discovery, pointers, response};

#[test]
fn answers_are_read_in_every_style() {
    drive::run("response", &corpus::answers(), response::run);
}

#[test]
fn pointers_and_salvage_find_what_the_whole_answer_has() {
    drive::run("pointers", &corpus::pointed(), pointers::run);
}

#[test]
fn cookies_are_read_whatever_they_say() {
    drive::run("cookies", &corpus::folder("cookies"), cookies::run);
}

#[test]
fn documents_of_issuers_are_read_or_told() {
    drive::run("discovery", &corpus::folder("discovery"), discovery::run);
}

#[test]
fn no_form_of_an_address_passes_that_is_denied() {
    drive::run("addresses", &corpus::addresses(), addresses::run);
}
