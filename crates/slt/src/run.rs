//! One file on one server.

use crate::script::SltRecord;
use crate::target::{Connector, SltRunner, Target};
use crate::{Options, Result};
use sqllogictest::{DefaultColumnType, QueryExpect, Record, RecordOutput, Runner, TestErrorKind};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Connections in a row that could not be made before the rest of a file is given up.
const LOST_CONNECTIONS: usize = 3;
/// A threshold that the runner takes as none.
const NEVER_HASH: usize = 0;
/// Time between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// What came of a file.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Records that gave what the file expects.
    pub passed: usize,
    /// Records that are for other databases, or were left out by `--every`.
    pub skipped: usize,
    /// Records that were not reached, as time was up or the server gone.
    pub unreached: usize,
    /// What went wrong, by line.
    pub failed: BTreeMap<u32, String>,
    /// Time for all of it.
    pub time: Duration,
}

impl Outcome {
    /// Adds another file's counts; failures are counted by their files.
    pub fn add(&mut self, other: &Outcome) {
        self.passed += other.passed;
        self.skipped += other.skipped;
        self.unreached += other.unreached;
        self.time += other.time;
    }
}

/// Runs `records` on `target`.
pub async fn run(records: &[SltRecord], target: &Target, name: &str, options: &Options) -> Result<Outcome> {
    let common = target.prepare(options).await?;
    let mut runner: SltRunner = Runner::new(Connector(common.clone()));
    for label in options.labels(target.name) {
        runner.add_label(&label);
    }
    runner.with_validator(by_row_or_by_value);
    runner.with_column_validator(same_width);

    let mut outcome = Outcome::default();
    let from = Instant::now();
    let mut progress = Progress::new(target.name, name, records.len());
    let mut lost = 0;
    let mut queries = 0;
    for (at, record) in records.iter().enumerate() {
        let line = match record {
            Record::Query { loc, expected, .. } => {
                queries += 1;
                if queries % options.every != 0 {
                    outcome.skipped += 1;
                    continue;
                }
                let (types, results): (&[_], &[_]) = match expected {
                    QueryExpect::Results { types, results, .. } => (types, results),
                    QueryExpect::Error(_) => (&[], &[]),
                };
                common.declare(types);
                runner.with_hash_threshold(if is_hash(results) { 1 } else { NEVER_HASH });
                loc.line()
            }
            Record::Statement { loc, .. } | Record::System { loc, .. } | Record::Let { loc, .. } => {
                common.declare(&[]);
                loc.line()
            }
            Record::Include { loc, .. } => {
                let text = "include is not supported".to_owned();
                outcome.failed.insert(loc.line(), text);
                continue;
            }
            Record::HashThreshold { .. } => continue,
            _ => {
                runner.run_async(record.clone()).await?;
                continue;
            }
        };
        if lost >= LOST_CONNECTIONS || options.seconds.is_some_and(|limit| from.elapsed().as_secs() >= limit) {
            outcome.unreached += 1;
            continue;
        }
        match runner.run_async(record.clone()).await {
            Ok(RecordOutput::Nothing) => outcome.skipped += 1,
            Ok(_) => {
                outcome.passed += 1;
                lost = 0;
            }
            Err(error) => {
                let text = error.kind().to_string();
                let is_lost = matches!(error.kind(), TestErrorKind::Fail { err, .. } if err.to_string().starts_with("connection lost"));
                lost = if is_lost { lost + 1 } else { 0 };
                outcome.failed.insert(line, text);
            }
        }
        progress.show(at, &outcome, from.elapsed());
    }
    runner.shutdown_async().await;
    progress.clear();
    outcome.time = from.elapsed();
    Ok(outcome)
}

/// What a file expects says by itself whether it is a hash; its `hash-threshold` is for who records one.
fn is_hash(results: &[String]) -> bool {
    matches!(results, [line] if line.contains(" values hashing to "))
}

type Normalizer = fn(&String) -> String;

/// Files of SQLite have one value on a line, most others one row. The number of lines tells which, as a row has more than one
/// value where it matters.
fn by_row_or_by_value(normalizer: Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    let values = actual.iter().map(Vec::len).sum::<usize>();
    if values == expected.len() && values != actual.len() {
        return actual.iter().flatten().map(normalizer).eq(expected.iter().map(normalizer));
    }
    sqllogictest::default_validator(normalizer, actual, expected)
}

/// The letters say how values are written; the number of columns is what has to agree. A hash or a list of values has one.
#[allow(clippy::ptr_arg)] // the runner's type
fn same_width(actual: &Vec<DefaultColumnType>, expected: &Vec<DefaultColumnType>) -> bool {
    actual.len() == expected.len()
}

/// One line on a terminal, rewritten now and then.
struct Progress<'a> {
    target: &'a str,
    file: &'a str,
    records: usize,
    shown: Option<Instant>,
}

impl<'a> Progress<'a> {
    fn new(target: &'a str, file: &'a str, records: usize) -> Progress<'a> {
        let shown = std::io::stderr().is_terminal().then(Instant::now);
        Progress {
            target,
            file,
            records,
            shown,
        }
    }

    fn show(&mut self, at: usize, outcome: &Outcome, time: Duration) {
        if self.shown.is_some_and(|shown| shown.elapsed() >= PROGRESS_EVERY) {
            self.shown = Some(Instant::now());
            let percent = at * 100 / self.records;
            let failed = outcome.failed.len();
            eprint!(
                "\r\x1b[K{} on {}: {percent} %, {failed} failed, {} s",
                self.file,
                self.target,
                time.as_secs()
            );
            // Progress that cannot be shown is no failure.
            let _ = std::io::stderr().flush();
        }
    }

    fn clear(&self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
