//! `make soak MINUTES=n SEED=m`: many credentials under random faults. Every lost refresh token must have one of the causes
//! that no client can close, and the table at the end says how many of each.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program that counts, prints, and must stop when it can't go on"
)]

// Shared with the tests on a real API server, which use more of it.
#[allow(dead_code, reason = "shared")]
#[path = "../api_server/folder.rs"]
mod folder;
#[allow(dead_code, reason = "shared")]
#[path = "../api_server/stage.rs"]
mod stage;

mod cause;
mod diary;
mod faults;
mod fleet;
mod replica;
mod report;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::{interrupt, wait};

use crate::diary::Diary;
use crate::faults::Faults;
use crate::fleet::Fleet;
use crate::replica::Replicas;
use crate::stage::Stage;

/// The exit code of a program ended by Ctrl-C.
const INTERRUPTED: u8 = 130;
/// For a fleet to come to work, and to go on when all faults are over.
const LIMIT: Duration = Duration::from_secs(120);

/// Has many credentials renewed while things go wrong at random.
#[derive(Debug, Parser)]
#[command(name = "soak")]
struct Arguments {
    /// How long things go wrong.
    #[arg(long, default_value_t = 3.0, value_name = "N")]
    minutes: f64,
    /// Decides what goes wrong, and when.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How many credentials.
    #[arg(long, default_value_t = 200, value_name = "N")]
    credentials: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.block_on(async {
        tokio::select! {
            well = soak(&arguments) => ExitCode::from(u8::from(!well)),
            // What was begun ends by being dropped.
            () = interrupt::requested() => ExitCode::from(INTERRUPTED),
        }
    })
}

/// Whether all went as it must.
async fn soak(arguments: &Arguments) -> bool {
    println!(
        "soak: {} credentials, {} minutes, SEED={}",
        arguments.credentials, arguments.minutes, arguments.seed
    );
    let env = Arc::new(Env::start().await);
    let stage = Stage::new(Arc::clone(&env), "soak").await;
    let diary = Diary::default();
    let replicas = Replicas::start(&stage, diary.clone()).await;
    let fleet = Fleet::start(&stage, arguments.credentials).await;
    let begun = Instant::now();
    let end = begun + Duration::from_secs_f64(arguments.minutes * 60.0);
    let mut faults = Faults::new(arguments.seed, &stage, &replicas, &fleet, diary.clone());
    tokio::select! {
        () = faults.until(end) => {}
        () = fleet.sign_in_again(&stage, &diary) => {}
        () = replicas.keep_running() => {}
    }
    // Nothing goes wrong any more: what is left of the fleet goes on.
    fleet.calm();
    let rotations = fleet.counts().rotations;
    let more = u64::try_from(arguments.credentials).expect("it fits");
    let goes_on = wait::until("the fleet goes on", LIMIT, || async {
        (fleet.counts().rotations >= rotations + more).then_some(())
    });
    tokio::select! {
        () = goes_on => {}
        () = fleet.sign_in_again(&stage, &diary) => {}
        () = replicas.keep_running() => {}
    }
    replicas.stop().await;
    let losses = fleet.losses(&stage, &diary).await;
    let well = report::print(begun.elapsed(), &fleet, &diary, &losses, &replicas);
    env.stop().await;
    well
}
