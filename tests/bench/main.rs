//! `make bench`: what a fleet of credentials costs, on a real API server, in a release build.
//!
//! It measures and prints; no figure makes it fail.

#![expect(
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program that counts, prints, and must stop when it can't measure"
)]

mod api_requests;
mod figures;
mod fleet;
mod histogram;
mod measured_operator;
mod observer;
mod outage;
mod phases;
mod plan;
mod process_cost;
mod window;

use std::process::ExitCode;

use clap::Parser;
use oauth_keeper_test_support::interrupt;

use crate::figures::Report;
use crate::fleet::Kind;
use crate::plan::Plan;

/// The exit code of a program ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Measures what oauth-keeper costs with many credentials.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    /// How many credentials with `client_credentials`; each number is a run of its own.
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 10_000], value_name = "N,N")]
    sizes: Vec<usize>,
    /// How many credentials with a rotating refresh token; 0 leaves this run out.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    rotating: usize,
    /// A short try: 100 credentials of each kind and short windows. Its figures mean little.
    #[arg(long)]
    quick: bool,
    /// Cargo says so to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn runs(&self) -> Vec<(Kind, usize)> {
        let sizes = if self.quick { vec![100] } else { self.sizes.clone() };
        let rotating = if self.quick { 100 } else { self.rotating };
        let stateless = sizes.into_iter().map(|size| (Kind::ClientCredentials, size));
        stateless.chain([(Kind::RefreshToken, rotating)]).filter(|(_, size)| *size > 0).collect()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tokio::select! {
        () = measure(&arguments) => ExitCode::SUCCESS,
        // What was begun ends by being dropped.
        () = interrupt::requested() => ExitCode::from(INTERRUPTED),
    }
}

async fn measure(arguments: &Arguments) {
    let mut report = Report::new();
    for (kind, size) in arguments.runs() {
        let plan = if arguments.quick { Plan::quick() } else { Plan::full(size) };
        let figures = phases::run(kind, size, &plan).await;
        report.add(&format!("{} {}", fleet::number(size), kind.title()), figures);
        // So that what was measured is not lost if a later run can't be.
        eprintln!("{report}");
    }
    println!("{report}");
}
