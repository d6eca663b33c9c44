//! The table: redrawn in place on a terminal, else a line for each change.

use std::io::{IsTerminal as _, Write as _};

use jiff::Timestamp;

use crate::snapshot::Row;

const HEADER: [&str; 7] = [
    "CREDENTIAL",
    "READY",
    "REASON",
    "EXPIRES IN",
    "RENEWALS",
    "ROTATIONS",
    "ACCESS TOKEN IN THE TARGET",
];
/// Where rows are shown.
pub(crate) struct Table {
    in_place: bool,
    /// Lines on the terminal that the next drawing goes over.
    drawn: usize,
    shown: Vec<Row>,
}

impl Table {
    /// On standard output.
    pub(crate) fn new() -> Self {
        Self { in_place: std::io::stdout().is_terminal(), drawn: 0, shown: Vec::new() }
    }

    /// Shows the rows as they are now.
    pub(crate) fn show(&mut self, rows: &[Row], now: Timestamp) {
        if self.in_place {
            self.redraw(rows, now);
        } else {
            self.print_changes(rows, now);
        }
    }

    fn redraw(&mut self, rows: &[Row], now: Timestamp) {
        let header = HEADER.map(str::to_owned);
        let lines: Vec<String> = std::iter::once(header)
            .chain(rows.iter().map(|row| cells(row, now)))
            .map(|cells| format!("{}\x1b[K\n", line(&cells)))
            .collect();
        let up = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
        // Long lines are cut, not wrapped (?7l), since a wrapped one would spoil the count.
        write(&format!("\x1b[?7l{up}{}\x1b[J\x1b[?7h", lines.concat()));
        self.drawn = lines.len();
    }

    fn print_changes(&mut self, rows: &[Row], now: Timestamp) {
        if self.shown.is_empty() && !rows.is_empty() {
            write(&format!("TIME      {}\n", line(&HEADER.map(str::to_owned))));
        }
        for row in rows {
            let before = self.shown.iter().find(|shown| shown.credential == row.credential);
            if before.is_none_or(|before| differs(before, row)) {
                write(&format!("{}  {}\n", now.strftime("%H:%M:%S"), line(&cells(row, now))));
            }
        }
        self.shown = rows.to_vec();
    }
}

/// Time alone is no change, and a new token shows with its status, which is written right after it.
fn differs(before: &Row, after: &Row) -> bool {
    let seen = |row: &Row| (row.ready.clone(), row.reason.clone(), row.renewals, row.rotations);
    seen(before) != seen(after)
}

fn cells(row: &Row, now: Timestamp) -> [String; 7] {
    let or_dash = |text: &str| {
        if text.is_empty() { "-".to_owned() } else { text.to_owned() }
    };
    let refusal = if row.accepted || row.access_token.is_empty() { "" } else { " (not accepted)" };
    [
        row.credential.clone(),
        or_dash(&row.ready),
        or_dash(&row.reason),
        row.expires_at.map_or_else(
            || "-".to_owned(),
            |at| format!("{} s", at.duration_since(now).as_secs().max(0)),
        ),
        row.renewals.to_string(),
        row.rotations.map_or_else(|| "-".to_owned(), |rotations| rotations.to_string()),
        format!("{}{refusal}", or_dash(&row.access_token)),
    ]
}

fn line([credential, ready, reason, expiry, renewals, rotations, token]: &[String; 7]) -> String {
    format!(
        "{credential:<12} {ready:<6} {reason:<10} {expiry:<11} {renewals:<9} {rotations:<10} {token}"
    )
}

/// Nobody watches when standard output is closed, and the demo goes on.
fn write(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
