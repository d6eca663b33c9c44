//! Logs to standard error.

use clap::ValueEnum;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Libraries that would log bodies of API answers, which hold Secrets, below the level of errors.
const CAPPED: [&str; 7] =
    ["kube_client", "kube_runtime", "kube_core", "hyper", "hyper_util", "reqwest", "tower"];

/// Begins to log at a level (`info`) or by directives (`info,oauth_keeper::leader=debug`).
///
/// # Errors
/// When the directives can't be read.
pub fn init(format: LogFormat, level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|error| format!("--log-level: {error}"))?;
    // Not by directives: a more specific one of the user would win over them.
    let filter = filter.and(filter_fn(is_harmless));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => {
            layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    Ok(())
}

fn is_harmless(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::ERROR || !CAPPED.contains(&library)
}
