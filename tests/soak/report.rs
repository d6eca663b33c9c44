//! The table at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cause::Cause;
use crate::diary::Diary;
use crate::fleet::{Fleet, Loss};
use crate::replica::Replicas;

/// Prints it; whether all went as it must.
pub fn print(
    time: Duration,
    fleet: &Fleet,
    diary: &Diary,
    losses: &[Loss],
    replicas: &Replicas,
) -> bool {
    let counts = fleet.counts();
    let panics = replicas.logged(|line| line.contains("panicked at"));
    println!("\ntime                              {:>8} s", time.as_secs());
    println!("exchanges                         {:>8}", counts.issued);
    println!("refusals, reuses included         {:>8}", counts.refusals);
    println!("reuses                            {:>8}", counts.reuses);
    println!("panics                            {:>8}", panics.len());
    for (kind, count) in diary.counts() {
        println!("fault: {:<26} {count:>8}", format!("{kind:?}"));
    }
    let mut causes: BTreeMap<Cause, Vec<&str>> = BTreeMap::new();
    for loss in losses {
        causes.entry(loss.cause).or_default().push(&loss.name);
    }
    for (cause, names) in &causes {
        println!("lost: {:<27} {:>8}", format!("{cause:?}"), names.len());
    }
    println!("lost in all                       {:>8}", losses.len());
    for panic in &panics {
        println!("PANIC: {panic}");
    }
    let unexplained = losses.iter().filter(|loss| loss.cause == Cause::Unexplained);
    for loss in unexplained {
        println!("UNEXPLAINED: {}: {}", loss.name, loss.evidence);
        // What was logged of it, or of no credential at all, and what was done.
        let concerns = |line: &str| line.contains(&loss.name) || !line.contains("\"c-");
        let mut lines = replicas.logged(concerns);
        lines.extend(diary.lines());
        lines.sort();
        for line in lines {
            println!("  {line}");
        }
    }
    panics.is_empty() && !causes.contains_key(&Cause::Unexplained)
}
