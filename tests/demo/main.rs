//! `make demo`: the operator at work on a real API server, with the files of `examples/`.
//!
//! Everything it starts ends with it: processes by the support crate's care, data with their
//! temporary folder.

#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program to watch, which indexes JSON and arrays of its own"
)]

mod examples;
mod scene;
mod show;
mod snapshot;
mod table;

use std::process::ExitCode;

use clap::Parser;
use oauth_keeper_test_support::interrupt;

use crate::scene::Scene;
use crate::show::Ending;

/// The exit code of a program ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Shows oauth-keeper at work: starts an API server, an authorization server with short-lived,
/// rotating tokens and the operator, applies examples/, and shows the tokens change.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Arguments {
    /// End after three renewals of each example; fail when they take longer than three minutes.
    #[arg(long)]
    once: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // What was begun ends by being dropped when Ctrl-C comes this early.
    let started = tokio::select! {
        started = Scene::start() => started,
        () = interrupt::requested() => return interruption(&arguments),
    };
    let scene = match started {
        Ok(scene) => scene,
        Err(error) => return failure(&error),
    };
    let ending = tokio::select! {
        ending = show::run(&scene, arguments.once) => Some(ending),
        () = interrupt::requested() => None,
    };
    let stopped = scene.stop().await;
    match (ending, stopped) {
        (Some(Ending::Failed(error)), _) | (_, Err(error)) => failure(&error),
        (Some(Ending::Done), Ok(())) => ExitCode::SUCCESS,
        (None, Ok(())) => interruption(&arguments),
    }
}

/// Ctrl-C is how the demo is meant to end, unless somebody waits for a result.
fn interruption(arguments: &Arguments) -> ExitCode {
    if arguments.once { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS }
}

fn failure(error: &str) -> ExitCode {
    eprintln!("\ndemo failed: {error}");
    ExitCode::FAILURE
}
