//! A look whether a protected resource still takes the token.

use kube::KubeSchema;
use kube::core::Duration;
use serde::{Deserialize, Serialize};

use super::DURATION_PATTERN;

/// A GET of a protected resource with the access token in the target. A token that is refused there is renewed at once;
/// every other answer, and none, says nothing about it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeSpec {
    /// URL of the resource. `https`, unless the operator runs with `--allow-http`. It gets the access token.
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(
        validation = Rule::new("isURL(self) && (self.startsWith('https://') || self.startsWith('http://')) && url(self).getHost() != ''")
            .message("probe.url must be an absolute URL such as https://api.example.com/me"),
        validation = Rule::new("!self.contains('#') && !self.contains('@')")
            .message("probe.url must have neither a fragment nor a user name")
    )]
    pub url: String,
    /// How often the token is looked at. Without it that is done once for each start of the operator, for a token that it
    /// found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('5s') && duration(self) <= duration('24h')")
            .message("probe.interval must lie between 5s and 24h")
    )]
    pub interval: Option<Duration>,
    /// HTTP statuses that mean that the token is refused; `401` by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(range(min = 400, max = 499)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub rejected_statuses: Vec<u16>,
}
