//! Test files: finding them, and reading one into records.
//!
//! The parser of the `sqllogictest` crate is stricter than the files of SQLite in three points, which are settled here, line by
//! line, so that line numbers stay what they are in the file:
//!
//! - a condition may carry its reason: `skipif mysql # not compatible`
//! - a condition may stand before `halt`
//! - "PostgreSQL requires AS" is no reason any more, since PostgreSQL 14 doesn't

use sqllogictest::{DefaultColumnType, ParseError, Record};
use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

/// Endings of test files.
const ENDINGS: [&str; 2] = ["slt", "test"];
/// Reasons of conditions that don't hold any more.
const OUTDATED_REASONS: [&str; 1] = ["PostgreSQL requires AS when renaming output columns"];

/// A record with SQLite's letters for column types.
pub type SltRecord = Record<DefaultColumnType>;

/// The test files at `path`: itself, or what lies in a folder, at any depth, in the order of names.
///
/// # Errors
/// When a path cannot be read.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.metadata()?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = path
        .read_dir()?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        let is_test = entry.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
        if is_test || entry.is_dir() {
            found.extend(files(&entry)?);
        }
    }
    Ok(found)
}

/// The records of a file up to its end or to a `halt` that holds under `labels`.
///
/// # Errors
/// The first line that is not understood.
pub fn records(text: &str, name: &str, labels: &[String]) -> Result<Vec<SltRecord>, ParseError> {
    let plain = without_reasons(text, labels);
    let mut records = sqllogictest::parse_with_name(&plain, name)?;
    if let Some(end) = records.iter().position(|record| matches!(record, Record::Halt { .. })) {
        records.truncate(end);
    }
    Ok(records)
}

fn without_reasons(text: &str, labels: &[String]) -> String {
    let lines: Vec<Cow<'_, str>> = text.lines().map(condition).collect();
    let mut plain = String::with_capacity(text.len());
    for (number, line) in lines.iter().enumerate() {
        let halts = |line: &Cow<'_, str>| line.trim() == "halt";
        // The conditions right above a halt are about the halt, and are gone with it.
        let kept = if halts(line) {
            let above = lines[..number].iter().rev();
            above.take_while(|line| is_condition(line)).all(|line| holds(line, labels))
        } else if is_condition(line) {
            let below = lines[number..].iter();
            !below.skip_while(|line| is_condition(line)).take(1).any(halts)
        } else {
            true
        };
        if kept {
            plain.push_str(line);
        }
        plain.push('\n');
    }
    plain
}

/// The line without the reason behind a condition, and empty if that doesn't hold any more.
fn condition(line: &str) -> Cow<'_, str> {
    match line.split_once('#') {
        Some((condition, reason)) if is_condition(line) => {
            if OUTDATED_REASONS.contains(&reason.trim()) {
                Cow::Borrowed("")
            } else {
                Cow::Borrowed(condition.trim_end())
            }
        }
        _ => Cow::Borrowed(line),
    }
}

fn is_condition(line: &str) -> bool {
    line.starts_with("skipif ") || line.starts_with("onlyif ")
}

fn holds(condition: &str, labels: &[String]) -> bool {
    let mut words = condition.split_whitespace();
    let only = words.next() == Some("onlyif");
    let named = words.next().is_some_and(|label| labels.iter().any(|known| known == label));
    only == named
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqllogictest::Condition;

    fn parsed(text: &str) -> Vec<SltRecord> {
        records(text, "story", &["postgresql".to_owned()]).expect("text of this test")
    }

    fn conditions(text: &str) -> Vec<Condition> {
        let mut all = Vec::new();
        for record in parsed(text) {
            if let Record::Statement { conditions, .. } = record {
                all.extend(conditions);
            }
        }
        all
    }

    #[test]
    fn a_condition_may_carry_its_reason() {
        let text = "skipif mysql # not compatible\nstatement ok\nSELECT 1\n";
        let label = "mysql".to_owned();
        assert_eq!(conditions(text), [Condition::SkipIf { label }]);
    }

    #[test]
    fn the_outdated_reason_is_none() {
        let text = "skipif postgresql # PostgreSQL requires AS when renaming output columns\nstatement ok\nSELECT 1 x\n";
        assert_eq!(conditions(text), []);
    }

    #[test]
    fn a_halt_for_others_neither_ends_the_file_nor_leaves_its_condition_behind() {
        let text = "onlyif mssql\nhalt\n\nskipif postgresql\nhalt\n\nstatement ok\nSELECT 1\n";
        assert_eq!(conditions(text), []);
        assert!(parsed(text).iter().any(|record| matches!(record, Record::Statement { .. })));
    }

    #[test]
    fn a_halt_for_us_ends_the_file() {
        let text = "skipif sqlite\nhalt\n\nstatement ok\nSELECT 1\n";
        assert!(!parsed(text).iter().any(|record| matches!(record, Record::Statement { .. })));
    }

    #[test]
    fn lines_keep_their_numbers() {
        let text = "onlyif mssql\nhalt\n\n# words\nskipif mysql # because\nstatement ok\nSELECT 1\n";
        let lines: Vec<u32> = parsed(text)
            .into_iter()
            .filter_map(|record| match record {
                Record::Statement { loc, .. } => Some(loc.line()),
                _ => None,
            })
            .collect();
        assert_eq!(lines, [6]);
    }
}
