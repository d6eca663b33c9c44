//! The show: look, draw, until somebody has seen enough.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::scene::Scene;
use crate::snapshot::{self, Row};
use crate::table::Table;

const PERIOD: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(180);
/// How many renewals of each example `--once` waits for.
const RENEWALS: i64 = 3;

/// How the show ended by itself.
pub(crate) enum Ending {
    /// All was seen.
    Done,
    /// Something went wrong.
    Failed(String),
}

/// Shows the table for ever, or, with `once`, until each example was renewed three times.
pub(crate) async fn run(scene: &Scene, once: bool) -> Ending {
    let begun = Instant::now();
    let mut table = Table::new();
    let mut period = tokio::time::interval(PERIOD);
    loop {
        period.tick().await;
        if let Some(status) = scene.operator.try_exit() {
            return Ending::Failed(format!(
                "the operator ended ({status}):\n{}",
                scene.operator.log()
            ));
        }
        let rows = match snapshot::take(scene).await {
            Ok(rows) => rows,
            Err(error) => return Ending::Failed(error),
        };
        table.show(&rows, Timestamp::now());
        if !once {
            continue;
        }
        let missing = missing(&rows);
        if missing.is_empty() {
            return conclude(scene, &rows, begun.elapsed());
        }
        if begun.elapsed() > LIMIT {
            let log = scene.operator.log();
            return Ending::Failed(format!(
                "after {} s:\n{}\n\nthe operator's log:\n{log}",
                LIMIT.as_secs(),
                missing.join("\n")
            ));
        }
    }
}

/// What is left to wait for.
fn missing(rows: &[Row]) -> Vec<String> {
    let unfinished =
        rows.iter().filter(|row| row.renewals < RENEWALS || row.ready != "True" || !row.accepted);
    let said = unfinished.map(|row| {
        let Row { credential, ready, reason, message, renewals, .. } = row;
        let token = if row.accepted { "accepted" } else { "not accepted" };
        format!("  {credential}: {renewals} of {RENEWALS} renewals, token {token}, Ready={ready} {reason}: {message}")
    });
    if rows.is_empty() { vec!["  no credential is there".to_owned()] } else { said.collect() }
}

/// The closing words; the server's own count decides whether a refresh token was ever spent twice.
fn conclude(scene: &Scene, rows: &[Row], time: Duration) -> Ending {
    let counts = scene.server.counts();
    let renewals: i64 = rows.iter().map(|row| row.renewals).sum();
    println!(
        "\n{} credentials, {renewals} renewals in {} s, every target with a token the server accepts.",
        rows.len(),
        time.as_secs()
    );
    println!(
        "The authorization server had {} token requests, refused {}, rotated {} refresh tokens, and saw a spent one {} times.",
        counts.requests, counts.refusals, counts.rotations, counts.reuses,
    );
    if counts.reuses == 0 && counts.refusals == 0 {
        Ending::Done
    } else {
        Ending::Failed("the authorization server refused a request".to_owned())
    }
}
