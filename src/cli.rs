//! Flags and environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::oauth::proxy::ProxyUrl;
use crate::telemetry::LogFormat;

/// Keeps OAuth tokens fresh in Kubernetes Secrets.
#[derive(Debug, Parser)]
#[command(name = "oauth-keeper", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator, by the kubeconfig in KUBECONFIG or inside a cluster.
    Run(Box<RunArgs>),
    /// Print the `CustomResourceDefinitions` as YAML.
    Crd,
    /// Print the table of conditions as Markdown.
    Docs,
}

/// Settings of the operator.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct RunArgs {
    /// Namespace to watch; repeat for several, leave out for all.
    #[arg(
        long = "namespace",
        env = "OAUTH_KEEPER_NAMESPACE",
        value_name = "NAMESPACE",
        value_delimiter = ','
    )]
    pub namespaces: Vec<String>,
    /// Work only while holding a Lease, so that several replicas can run.
    #[arg(long, env = "OAUTH_KEEPER_LEADER_ELECTION", default_value_t = true, action = ArgAction::Set, value_name = "true|false")]
    pub leader_election: bool,
    /// Name of the Lease.
    #[arg(
        long,
        env = "OAUTH_KEEPER_LEASE_NAME",
        default_value = "oauth-keeper",
        value_name = "NAME"
    )]
    pub lease_name: String,
    /// Namespace of the Lease; by default the pod's own, or the kubeconfig's.
    #[arg(long, env = "OAUTH_KEEPER_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Address of /metrics, /livez and /readyz.
    #[arg(
        long,
        env = "OAUTH_KEEPER_ADMIN_ADDRESS",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS"
    )]
    pub admin_address: SocketAddr,
    /// How log lines are written.
    #[arg(long, env = "OAUTH_KEEPER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
    /// Level of the log, or directives such as `info,oauth_keeper::leader=debug`.
    #[arg(long, env = "OAUTH_KEEPER_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
    /// Allow token endpoints over plain http.
    #[arg(long, env = "OAUTH_KEEPER_ALLOW_HTTP", value_parser = clap::builder::FalseyValueParser::new())]
    pub allow_http: bool,
    /// Allow token endpoints at loopback addresses, for tests.
    #[arg(long, env = "OAUTH_KEEPER_ALLOW_LOOPBACK", value_parser = clap::builder::FalseyValueParser::new())]
    pub allow_loopback: bool,
    /// Deny token endpoints at addresses of private networks.
    #[arg(long, env = "OAUTH_KEEPER_DENY_PRIVATE_ADDRESSES", value_parser = clap::builder::FalseyValueParser::new())]
    pub deny_private_addresses: bool,
    /// Proxy for all requests to token endpoints; proxies of the environment (`HTTPS_PROXY`) are never used.
    #[arg(long, env = "OAUTH_KEEPER_PROXY", hide_env_values = true, value_name = "URL")]
    pub proxy: Option<ProxyUrl>,
    /// Folder where answers of authorization servers are kept until they are committed; best a memory volume of the pod.
    #[arg(long, env = "OAUTH_KEEPER_JOURNAL_DIR", value_name = "FOLDER")]
    pub journal_dir: Option<PathBuf>,
    /// How many token requests are under way at once.
    #[arg(long, env = "OAUTH_KEEPER_CONCURRENCY", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N")]
    pub concurrency: u16,
}
