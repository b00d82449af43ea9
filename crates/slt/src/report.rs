//! What is printed: a line for each file and server, the failures that count, a summary.
//!
//! With one server every failure counts. With two, the first says what can pass, and a failure of the second counts if the first
//! has none at that line; the ratio of times is over whole files.

use crate::run::Outcome;
use crate::{Options, Result};
use std::fs::File;
use std::io::{BufWriter, Write};

/// Characters of a failure that are shown.
const SHOWN_CHARACTERS: usize = 2_000;

/// Collects what came of the files.
pub struct Report<'a> {
    options: &'a Options,
    targets: Vec<&'static str>,
    totals: Vec<(Outcome, usize)>,
    counted: usize,
    failures: Option<BufWriter<File>>,
}

impl<'a> Report<'a> {
    /// Nothing yet.
    pub fn new(options: &'a Options, targets: Vec<&'static str>) -> Result<Report<'a>> {
        let failures = match &options.failures {
            Some(path) => Some(BufWriter::new(File::create(path)?)),
            None => None,
        };
        Ok(Report {
            options,
            totals: targets.iter().map(|_| (Outcome::default(), 0)).collect(),
            targets,
            counted: 0,
            failures,
        })
    }

    /// What came of one file, on each server.
    pub fn file(&mut self, name: &str, outcomes: Vec<Outcome>) -> Result<()> {
        println!("{name}");
        for (at, outcome) in outcomes.iter().enumerate() {
            println!("  {}", line(self.targets[at], outcome, outcome.failed.len(), &outcomes[0]));
            let (total, failed) = &mut self.totals[at];
            total.add(outcome);
            *failed += outcome.failed.len();
            if let Some(file) = &mut self.failures {
                for (line, text) in &outcome.failed {
                    writeln!(file, "{}\t{name}:{line}\t{}", self.targets[at], text.replace('\n', " "))?;
                }
            }
        }
        let (Some(judged), yardstick) = (outcomes.last(), &outcomes[0]) else {
            return Ok(());
        };
        let counts = |line: &u32| outcomes.len() == 1 || !yardstick.failed.contains_key(line);
        let counted: Vec<_> = judged.failed.iter().filter(|(line, _)| counts(line)).collect();
        self.counted += counted.len();
        for (line, text) in counted.iter().take(self.options.show) {
            let text: String = text.chars().take(SHOWN_CHARACTERS).collect();
            println!("  {name}:{line}: {}", text.replace('\n', "\n    "));
        }
        if counted.len() > self.options.show {
            println!("  and {} more", counted.len() - self.options.show);
        }
        Ok(())
    }

    /// Totals; whether all is well.
    pub fn summary(&mut self) -> bool {
        println!("all files");
        for (at, (total, failed)) in self.totals.iter().enumerate() {
            println!("  {}", line(self.targets[at], total, *failed, &self.totals[0].0));
        }
        if let [yardstick, judged] = self.targets[..] {
            println!("{yardstick} passes and {judged} fails: {} records", self.counted);
        }
        self.counted == 0
    }
}

fn line(target: &str, outcome: &Outcome, failed: usize, yardstick: &Outcome) -> String {
    let seconds = outcome.time.as_secs_f64();
    let mut line = format!(
        "{target:<10} {:>7} passed {failed:>6} failed {:>6} skipped {seconds:>8.2} s",
        outcome.passed, outcome.skipped
    );
    if outcome.unreached > 0 {
        line += &format!(", {} not reached", outcome.unreached);
    }
    if !std::ptr::eq(outcome, yardstick) {
        line += &format!(", {:.2} times", seconds / yardstick.time.as_secs_f64());
    }
    line
}
