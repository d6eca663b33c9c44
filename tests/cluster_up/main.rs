//! `make cluster` and `make cluster-down`: the cluster of the tests, for a person to use.
//!
//! `up` starts `serve` in the background and comes back when it is ready; `down` ends it. `serve`
//! starts itself once more in namespaces of its own, where the cluster is, and passes on connections
//! to its API server from outside.

#![expect(clippy::print_stdout, reason = "a program to be read")]

mod place;
mod serve;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A cluster of one node on this machine, with the operator's image in it.
#[derive(Debug, Parser)]
#[command(name = "cluster")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start it, unless it is up.
    Up,
    /// End it.
    Down,
    /// Be it.
    #[command(hide = true)]
    Serve {
        /// Where its API server is found from outside.
        port: Option<u16>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Up => up::up().await.map(|()| ExitCode::SUCCESS),
        Command::Down => up::down().await.map(|()| ExitCode::SUCCESS),
        Command::Serve { port: None } => serve::outside().await,
        Command::Serve { port: Some(port) } => {
            serve::inside(port).await.map(|()| ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("cluster: {error}");
        ExitCode::FAILURE
    })
}
