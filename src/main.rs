//! The program: reads the command line and hands over.

use std::process::ExitCode;

use clap::Parser;
use oauth_keeper::cli::{Cli, Command, RunArgs};
use oauth_keeper::{docs, operator, telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run(*args),
        Command::Crd => print(docs::crds()),
        Command::Docs => print(Ok(docs::conditions())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oauth-keeper: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: Result<String, String>) -> Result<(), String> {
    use std::io::Write;
    std::io::stdout().write_all(text?.as_bytes()).map_err(|error| error.to_string())
}

// One thread: it waits for answers nearly all the time, and a second one costs a fifth more CPU for waking it.
#[tokio::main(flavor = "current_thread")]
async fn run(args: RunArgs) -> Result<(), String> {
    telemetry::init(args.log_format, &args.log_level)?;
    // One crypto provider for the API server and for token endpoints.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider is installed already".to_owned())?;
    let stopping = CancellationToken::new();
    let stop = stopping.clone();
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        stop.cancel();
    });
    operator::run(args, stopping).await.map_err(|error| error.to_string())
}
