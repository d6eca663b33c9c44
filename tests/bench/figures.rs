//! Figures, and the table they end in.

use std::fmt::{Display, Formatter};
use std::time::Duration;

/// One measured value beside what was expected of it.
pub(crate) struct Figure {
    name: String,
    value: String,
    expected: String,
}

/// The figures of one run, in the order they were taken.
#[derive(Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// Adds one nothing in particular is expected of.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.expect(name, value, "");
    }

    /// Adds one and what it should be.
    pub(crate) fn expect(
        &mut self,
        name: impl Into<String>,
        value: impl Into<String>,
        expected: &str,
    ) {
        self.0.push(Figure {
            name: name.into(),
            value: value.into(),
            expected: expected.to_owned(),
        });
    }
}

/// All runs, one a column. Displays as Markdown.
pub(crate) struct Report {
    heading: String,
    columns: Vec<(String, Figures)>,
}

impl Report {
    /// Without runs.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("?").to_owned();
        let version = env!("CARGO_PKG_VERSION");
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        let heading = format!(
            "oauth-keeper {version}, {build} build, {cores} cores shared with the API server, etcd and the token server; load average {load} at the start."
        );
        Self { heading, columns: Vec::new() }
    }

    /// Adds a run.
    pub(crate) fn add(&mut self, title: &str, figures: Figures) {
        self.columns.push((title.to_owned(), figures));
    }

    /// The names of all figures, each run's own beside those it follows.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (_, figures) in &self.columns {
            let mut place = 0;
            for figure in &figures.0 {
                if let Some(known) = names.iter().position(|name| *name == figure.name) {
                    place = known + 1;
                } else {
                    names.insert(place, &figure.name);
                    place += 1;
                }
            }
        }
        names
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let titles = self.columns.iter().map(|(title, _)| title.clone());
        let header = std::iter::once("figure".to_owned())
            .chain(titles)
            .chain(["expected".to_owned()])
            .collect();
        let row = |name: &str| {
            let found: Vec<Option<&Figure>> = self
                .columns
                .iter()
                .map(|(_, figures)| figures.0.iter().find(|figure| figure.name == name))
                .collect();
            let values = found
                .iter()
                .map(|figure| figure.map_or("-".to_owned(), |figure| figure.value.clone()));
            let mut expected: Vec<&str> =
                found.iter().flatten().map(|figure| figure.expected.as_str()).collect();
            expected.dedup();
            std::iter::once(name.to_owned()).chain(values).chain([expected.join("; ")]).collect()
        };
        std::iter::once(header).chain(self.names().into_iter().map(row)).collect()
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let rows = self.rows();
        let columns = rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        writeln!(formatter, "\n{}\n", self.heading)?;
        for (number, row) in rows.iter().enumerate() {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} |")).collect();
            writeln!(formatter, "|{}", cells.concat())?;
            if number == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                writeln!(formatter, "| {} |", rules.join(" | "))?;
            }
        }
        Ok(())
    }
}

/// `1.23 s`, or `12.3 ms`.
pub(crate) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.0} ms", time.as_secs_f64() * 1000.0)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

/// `12.3 MiB`.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// The value that so many percent are not above; the values must be sorted.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied()
}
