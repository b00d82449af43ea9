//! A difference as people read it.

use crate::compare::Difference;
use crate::player::Played;
use crate::wire::{Answer, Report};
use std::io::{self, Write};

/// Rows of an answer that are shown.
const ROWS: usize = 40;

/// Writes a statement with both answers.
pub fn write(out: &mut dyn Write, file: &str, played: &Played, difference: &Difference) -> io::Result<()> {
    writeln!(out, "======== {file}:{}  {difference:?}", played.line)?;
    writeln!(out, "{}", played.sql)?;
    writeln!(out, "-------- PostgreSQL")?;
    answer(out, &played.expected)?;
    writeln!(out, "-------- Curia")?;
    answer(out, &played.actual)?;
    if let Some(log) = &played.crash {
        writeln!(out, "-------- Curia ended; its log\n{log}")?;
    }
    Ok(())
}

fn answer(out: &mut dyn Write, answer: &Answer) -> io::Result<()> {
    for notice in &answer.notices {
        report(out, notice)?;
    }
    for outcome in &answer.outcomes {
        if let Some(columns) = &outcome.columns {
            let columns: Vec<_> = columns
                .iter()
                .map(|column| format!("{}:{}", column.name, column.type_oid))
                .collect();
            writeln!(out, "  [{}]", columns.join(" | "))?;
        }
        for row in outcome.rows.iter().take(ROWS) {
            let row: Vec<_> = row.iter().map(|value| value.as_deref().unwrap_or("∅")).collect();
            writeln!(out, "  {}", row.join(" | "))?;
        }
        if outcome.rows.len() > ROWS {
            writeln!(out, "  and {} more", outcome.rows.len() - ROWS)?;
        }
        if let Some(tag) = &outcome.tag {
            writeln!(out, "  {tag}")?;
        }
        if let Some(error) = &outcome.error {
            report(out, error)?;
        }
    }
    match &answer.lost {
        Some(lost) => writeln!(out, "  connection lost: {lost}"),
        None => Ok(()),
    }
}

fn report(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    writeln!(out, "  {} {}: {}", report.field(b'V'), report.code(), report.message())?;
    for (letter, name) in [
        (b'D', "DETAIL"),
        (b'H', "HINT"),
        (b'P', "position"),
        (b'W', "CONTEXT"),
        (b'n', "constraint"),
    ] {
        if !report.field(letter).is_empty() {
            writeln!(out, "    {name}: {}", report.field(letter))?;
        }
    }
    Ok(())
}
