//! When to renew.

use kube::KubeSchema;
use kube::core::Duration;
use serde::{Deserialize, Serialize};

use super::DURATION_PATTERN;

/// When to renew. By default after two thirds of the token's lifetime, with at least three minutes left
/// where the lifetime allows.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalSpec {
    /// How long before its expiry the token is renewed: a duration (`10m`) or a share of the lifetime (`20%`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 32),
        regex(pattern = r"^(([0-9]+(\.[0-9]+)?(ms|s|m|h))+|[1-9][0-9]?%)$")
    )]
    #[x_kube(
        validation = Rule::new("self.endsWith('%') || duration(self) >= duration('1s')")
            .message("renewBefore must be at least 1s, or a percentage from 1% to 99%")
    )]
    pub renew_before: Option<String>,
    /// The most by which a renewal is moved ahead of its time, so that credentials made together do not renew
    /// together. The amount is fixed for each credential. By default a twentieth of the lifetime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(
        validation = Rule::new("duration(self) <= duration('24h')").message("jitter must be at most 24h")
    )]
    pub jitter: Option<Duration>,
    /// The least time between two token requests; `10s` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('1h')")
            .message("minInterval must lie between 1s and 1h")
    )]
    pub min_interval: Option<Duration>,
}
