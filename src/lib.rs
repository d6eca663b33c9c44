//! oauth-keeper keeps OAuth tokens fresh in Secrets.
//!
//! `api` holds the custom resources, `oauth` the protocol, `lifecycle` the decisions, `controller` the Kubernetes side,
//! and `operator` puts them together. Dependencies point in that order and never back.

pub mod admin;
pub mod api;
pub mod api_server;
pub mod cli;
pub mod clock;
pub mod controller;
pub mod docs;
pub mod fail_point;
pub mod leader;
pub mod lifecycle;
pub mod metrics;
pub mod oauth;
pub mod operator;
pub mod served_schema;
pub mod server_version;
pub mod telemetry;
