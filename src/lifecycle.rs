//! The decisions: pure functions of what was observed and of the time, which is always an argument.

pub mod breaker;
pub mod client_secret;
pub mod failure;
pub mod ownership;
pub mod plan;
pub mod probe;
pub mod problem;
pub mod provider;
pub mod rate;
pub mod record;
pub mod render;
pub mod resolve;
pub mod rotation;
pub mod schedule;
pub mod status;
