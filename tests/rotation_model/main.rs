//! Every way in which an exchange can go, explored: the operator's own state machine with a model of an authorization
//! server, of an API server, of a lease and of two processes that crash, lose their pods, are paused and lose messages.
//!
//! One test explores one setting until nothing new is found. A token may be lost by what no client can help and by
//! nothing else; and each rule of the protocol is shown to be needed, by leaving it out.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::struct_excessive_bools,
    clippy::unwrap_used,
    reason = "a test ends at the first surprise, with small numbers, and much of a state is yes or no"
)]

mod answers;
mod faults;
mod look;
mod model;
mod mutants;
mod process;
mod properties;
mod real;
mod restart;
mod server;
mod settings;
mod setup;
mod steps;
mod world;
