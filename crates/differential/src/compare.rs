//! What makes two answers the same.

use crate::script::outer_words;
use crate::wire::{Answer, Outcome, Report};
use clap::ValueEnum;

/// How much has to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// The same rows, or the same SQLSTATE.
    Rows,
    /// Besides, names and types of columns, command tags, messages with DETAIL, HINT and position, notices.
    Exact,
}

/// How two answers differ, the first way that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Curia's connection was lost.
    Lost,
    /// Both failed, with different SQLSTATEs, or only one did.
    Error,
    /// Only a plan that is shown.
    Plan,
    /// Rows.
    Rows,
    /// The same rows in another order, where there is an ORDER BY.
    Order,
    /// Something of what only [`Level::Exact`] looks at: its name.
    Detail(&'static str),
}

/// The first difference.
pub fn difference(sql: &str, expected: &Answer, actual: &Answer, level: Level) -> Option<Difference> {
    if actual.lost.is_some() {
        return expected.lost.is_none().then_some(Difference::Lost);
    }
    if expected.outcomes.len() != actual.outcomes.len() {
        return Some(Difference::Error);
    }
    let words = outer_words(sql);
    let shows_plan = words.first().is_some_and(|word| word == "explain");
    let is_ordered = words.windows(2).any(|pair| pair[0] == "order" && pair[1] == "by");
    let pairs = || expected.outcomes.iter().zip(&actual.outcomes);
    for (expected, actual) in pairs() {
        match (&expected.error, &actual.error) {
            (Some(expected), Some(actual)) if expected.code() == actual.code() => continue,
            (None, None) => {}
            _ => return Some(Difference::Error),
        }
        if let Some(found) = rows(expected, actual, is_ordered) {
            return Some(if shows_plan { Difference::Plan } else { found });
        }
    }
    if level == Level::Rows {
        return None;
    }
    for (expected, actual) in pairs() {
        // Whether columns were described before an error depends on what was computed when the statement was planned.
        if let (Some(expected), Some(actual)) = (&expected.error, &actual.error) {
            match report(expected, actual) {
                Some(part) => return Some(Difference::Detail(part)),
                None => continue,
            }
        }
        if expected.columns != actual.columns {
            let types = |outcome: &Outcome| -> Option<Vec<(u32, i32)>> {
                let columns = outcome.columns.as_ref()?;
                Some(columns.iter().map(|column| (column.type_oid, column.modifier)).collect())
            };
            let part = if types(expected) == types(actual) {
                "column names"
            } else {
                "column types"
            };
            return Some(Difference::Detail(part));
        }
        if expected.tag != actual.tag {
            return Some(Difference::Detail("command tag"));
        }
    }
    let same_notices = expected.notices.len() == actual.notices.len()
        && expected
            .notices
            .iter()
            .zip(&actual.notices)
            .all(|(expected, actual)| report(expected, actual).is_none());
    (!same_notices).then_some(Difference::Detail("notices"))
}

fn rows(expected: &Outcome, actual: &Outcome, is_ordered: bool) -> Option<Difference> {
    let width = |outcome: &Outcome| outcome.columns.as_ref().map(Vec::len);
    let count = |outcome: &Outcome| outcome.tag.as_deref().and_then(|tag| tag.rsplit(' ').next()?.parse::<u64>().ok());
    if width(expected) != width(actual) || expected.rows.len() != actual.rows.len() {
        return Some(Difference::Rows);
    }
    // The tag tells how many rows a change met.
    if let (Some(expected), Some(actual)) = (count(expected), count(actual))
        && expected != actual
    {
        return Some(Difference::Rows);
    }
    if expected.rows == actual.rows {
        return None;
    }
    let sorted = |outcome: &Outcome| {
        let mut rows = outcome.rows.clone();
        rows.sort_unstable();
        rows
    };
    match (sorted(expected) == sorted(actual), is_ordered) {
        (true, true) => Some(Difference::Order),
        (true, false) => None,
        (false, _) => Some(Difference::Rows),
    }
}

fn report(expected: &Report, actual: &Report) -> Option<&'static str> {
    // Some of PostgreSQL's functions are written in SQL, and say so.
    let is_of_function = expected.field(b'W').starts_with("SQL function");
    if !is_of_function && expected.field(b'W') != actual.field(b'W') {
        return Some("CONTEXT");
    }
    let parts = [
        (b'V', "severity"),
        (b'C', "SQLSTATE"),
        (b'M', "message"),
        (b'D', "DETAIL"),
        (b'H', "HINT"),
        (b'P', "position"),
        (b'q', "internal query"),
        (b'p', "internal position"),
        (b's', "schema name"),
        (b't', "table name"),
        (b'c', "column name"),
        (b'd', "type name"),
        (b'n', "constraint name"),
    ];
    parts
        .into_iter()
        .find_map(|(letter, name)| (expected.field(letter) != actual.field(letter)).then_some(name))
}
