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

/// Libraries that would log bodies of API answers, which hold Secrets, or what an authorization server wrote, below the level
/// of errors.
const CAPPED: [&str; 12] = [
    "kube_client",
    "kube_runtime",
    "kube_core",
    "h2",
    "hyper",
    "hyper_rustls",
    "hyper_util",
    "reqwest",
    "rustls",
    "tokio_rustls",
    "tower",
    "webpki",
];
/// It logs as an error what a server's certificate says, which the status of the credential tells in words of ours.
const SILENCED: &str = "rustls_platform_verifier";

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
    may_log(metadata.target(), *metadata.level())
}

fn may_log(target: &str, level: Level) -> bool {
    let library = target.split("::").next().unwrap_or_default();
    library != SILENCED && (level <= Level::ERROR || !CAPPED.contains(&library))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_would_log_what_others_wrote_may_not() {
        for (target, level) in [
            ("h2::codec::framed_read", Level::DEBUG),
            ("hyper_util::client", Level::WARN),
            ("kube_client::client", Level::TRACE),
            ("rustls_platform_verifier::verification::others", Level::ERROR),
        ] {
            assert!(!may_log(target, level), "{target}");
        }
        assert!(may_log("kube_client::client", Level::ERROR));
        assert!(may_log("oauth_keeper::controller", Level::TRACE));
    }
}
