//! What workloads did with their access tokens.

use std::collections::BTreeMap;
use std::time::Duration;

/// How the tokens of one file were used.
#[derive(Debug, Clone, Default)]
pub struct Use {
    /// Requests with a token that was good.
    pub accepted: u64,
    /// Requests with a token that was not.
    pub refused: u64,
    /// The tokens, in the order in which they came.
    pub tokens: Vec<String>,
    /// The greatest age at which one was used.
    pub oldest: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Usage(BTreeMap<String, Use>);

impl Usage {
    pub(super) fn by_file(&self) -> &BTreeMap<String, Use> {
        &self.0
    }

    pub(super) fn note(&mut self, file: &str, token: &str, accepted: bool, age: Option<Duration>) {
        let used = self.0.entry(file.to_owned()).or_default();
        *if accepted { &mut used.accepted } else { &mut used.refused } += 1;
        if used.tokens.last().is_none_or(|last| last != token) {
            used.tokens.push(token.to_owned());
        }
        used.oldest = used.oldest.max(age.unwrap_or_default());
    }
}
