//! `make bench-cluster`: how the operator behaves as a pod of a real node: how soon it works, what it takes when idle,
//! and how soon another one works when the leader goes.
//!
//! It measures and prints; no figure makes it fail.

#![expect(
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program that counts, prints, and must stop when it can't measure"
)]

// Shared with the tests on a cluster and with the other benchmark; each uses more of it.
#[allow(dead_code, reason = "shared")]
#[path = "../cluster/env.rs"]
mod env;
#[allow(dead_code, reason = "shared")]
#[path = "../cluster/pods.rs"]
mod pods;
#[allow(dead_code, reason = "shared")]
#[path = "../bench/process_cost.rs"]
mod process_cost;
#[allow(dead_code, reason = "shared")]
#[path = "../cluster/release.rs"]
mod release;
#[allow(dead_code, reason = "shared")]
#[path = "../api_server/stage.rs"]
mod stage;

mod failover;
mod first_target;
mod idle;
mod sample;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use oauth_keeper_test_support::cluster::namespaces;
use oauth_keeper_test_support::suite::Environment as _;
use oauth_keeper_test_support::{interrupt, tools};
use tokio::runtime::Runtime;

use crate::env::Env;

/// The exit code of a program ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Measures oauth-keeper in a cluster.
#[derive(Debug, Parser)]
#[command(name = "bench-cluster")]
struct Arguments {
    /// How often each time is taken.
    #[arg(long, default_value_t = 20, value_name = "N")]
    runs: usize,
    /// Cargo says so to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    namespaces::inside(|| {
        let runtime = Runtime::new().expect("a runtime can be made");
        runtime.block_on(async {
            tokio::select! {
                () = measure(&arguments) => ExitCode::SUCCESS,
                // What was begun ends with the namespaces.
                () = interrupt::requested() => ExitCode::from(INTERRUPTED),
            }
        })
    })
}

async fn measure(arguments: &Arguments) {
    let env = Arc::new(Env::start().await);
    say("image, unpacked, with its base", &image_size());
    let first = first_target::measure(&env, arguments.runs).await;
    say("helm install to first target", &first.to_string());
    let idle = idle::measure(&env).await;
    say("idle leader", &idle);
    let deleted = failover::by_deletion(&env, arguments.runs).await;
    say("leader deleted to next renewal", &deleted.to_string());
    let killed = failover::by_kill(&env, arguments.runs).await;
    say("leader killed to next renewal", &killed.to_string());
    env.stop().await;
}

fn say(what: &str, value: &str) {
    println!("| {what} | {value} |");
}

/// The archive holds its layers as they are.
fn image_size() -> String {
    let archive = tools::repository_root().join("target/image.tar");
    let bytes = std::fs::metadata(archive).map_or(0, |metadata| metadata.len());
    mebibytes(bytes)
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
