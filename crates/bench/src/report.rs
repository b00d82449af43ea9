//! Tables of medians and ratios, in Markdown.

use crate::Setting;
use crate::peer::Kind;
use std::fmt::Write;

/// A row: what was measured and each server's results over the rounds.
pub struct Row {
    /// What.
    pub what: String,
    /// Curia's result of each round.
    pub curia: Vec<f64>,
    /// PostgreSQL's; empty where it has no counterpart.
    pub postgres: Vec<f64>,
    /// A word about the row.
    pub note: String,
}

impl Row {
    /// A row without results yet.
    pub fn new(what: impl Into<String>) -> Row {
        Row {
            what: what.into(),
            curia: Vec::new(),
            postgres: Vec::new(),
            note: String::new(),
        }
    }

    /// Adds a server's result.
    pub fn add(&mut self, server: Kind, result: f64) {
        match server {
            Kind::Curia => self.curia.push(result),
            Kind::Postgres => self.postgres.push(result),
        }
    }
}

/// A table of one unit.
pub struct Table {
    /// Heading.
    pub title: String,
    /// What the numbers are, such as `transactions a second`.
    pub unit: &'static str,
    /// Rows.
    pub rows: Vec<Row>,
}

/// The middle value; the mean of the two middle ones for an even count; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

impl Table {
    /// The table as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("\n### {}\n\n", self.title);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | Curia | PostgreSQL | ratio | |\n| --- | ---: | ---: | ---: | --- |",
            self.unit
        );
        for row in &self.rows {
            let (ours, theirs) = (median(&row.curia), median(&row.postgres));
            let ratio = ours
                .zip(theirs)
                .map_or_else(String::new, |(ours, theirs)| format!("{:.2}", ours / theirs));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {ratio} | {} |",
                row.what,
                number(ours),
                number(theirs),
                row.note
            );
        }
        text
    }

    /// Prints it.
    pub fn print(&self) {
        print!("{}", self.markdown());
    }
}

/// Three significant digits or all of the integer part.
fn number(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// What was run, so that the page can be repeated.
pub fn heading(setting: &Setting) -> String {
    let cores = std::thread::available_parallelism().map_or(0, |count| count.get());
    format!(
        "Medians of {} rounds; pgbench runs of {} s at scale {}; {cores} cores; Curia with --cache-memory 2GiB, PostgreSQL with \
         shared_buffers = 2GB, everything else at its default (fsync on).",
        setting.rounds, setting.seconds, setting.scale
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_an_outlier() {
        assert_eq!(median(&[3.0, 1.0, 1000.0]), Some(3.0));
        assert_eq!(median(&[1.0, 2.0]), Some(1.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_row_shows_the_ratio_of_medians() {
        let row = Row {
            what: "x".into(),
            curia: vec![5.0, 50.0, 60.0],
            postgres: vec![100.0],
            note: String::new(),
        };
        let text = Table {
            title: "t".into(),
            unit: "u",
            rows: vec![row],
        }
        .markdown();
        assert!(text.contains("| x | 50.0 | 100 | 0.50 |"), "{text}");
    }
}
