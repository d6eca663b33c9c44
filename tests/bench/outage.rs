//! The worst that a server of many sees: all of them due at once, of a process that was just started, while it fails, and
//! then when it is back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use oauth_keeper_test_support::authorization_server::{Fault, Issue};

use crate::figures::{mebibytes, seconds};
use crate::fleet;
use crate::measured_operator::MeasuredOperator;
use crate::observer::Observer;
use crate::phases::Run;
use crate::process_cost;

/// More than are made in any outage.
const ALL: usize = 1_000_000;

impl Run<'_> {
    /// Gives the process that was started in the outage.
    pub(crate) async fn outage(
        &mut self,
        operator: MeasuredOperator,
        observer: &Observer,
    ) -> MeasuredOperator {
        operator.stop().await;
        self.server.fail_next(ALL, Fault::Unavailable);
        fleet::touch(&self.control_plane.client(), self.size, "outage").await;
        let before = self.server.counts().requests;
        let operator = MeasuredOperator::start(&self.rights).await;
        operator.reported("ServerError", self.size).await;
        let (told, tried) = (operator.started.elapsed(), self.server.counts().requests - before);
        let figures = &mut self.figures;
        figures.add("restart in an outage, all due: each credential says so after", seconds(told));
        figures.add("- token requests in that time", tried.to_string());
        figures.add("- resident memory then", mebibytes(process_cost::resident(operator.pid())));
        self.recovery(&operator, observer).await;
        operator
    }

    async fn recovery(&mut self, operator: &MeasuredOperator, observer: &Observer) {
        self.server.take_issues();
        let (back, at) = (Instant::now(), SystemTime::now());
        self.server.fail_no_more();
        observer.all_ready(self.size, 2).await;
        let all = back.elapsed();
        let issues = self.server.take_issues();
        let first = issues.iter().map(|issue| issue.at).min();
        let first = first.and_then(|first| first.duration_since(at).ok()).unwrap_or_default();
        let figures = &mut self.figures;
        figures.add("the server is back: first token after", seconds(first));
        figures.add("- all are ready after", seconds(all));
        let most = by_second(&issues, at).into_values().max().unwrap_or_default();
        figures.add("- most token requests in a second", most.to_string());
        figures.add("- in the first seconds of answers", beginning(&issues, at + first));
        figures.add("- token requests beyond one each", (issues.len() - self.size).to_string());
        figures.add("- most memory since the start", mebibytes(process_cost::peak(operator.pid())));
    }
}

fn by_second(issues: &[Issue], from: SystemTime) -> BTreeMap<u64, usize> {
    let mut seconds = BTreeMap::new();
    for issue in issues {
        let second = issue.at.duration_since(from).unwrap_or(Duration::ZERO).as_secs();
        *seconds.entry(second).or_default() += 1;
    }
    seconds
}

/// How the pace grows.
fn beginning(issues: &[Issue], from: SystemTime) -> String {
    let seconds = by_second(issues, from);
    let counts = (0..5).map(|second| seconds.get(&second).copied().unwrap_or_default());
    counts.map(|count| count.to_string()).collect::<Vec<_>>().join(", ")
}
