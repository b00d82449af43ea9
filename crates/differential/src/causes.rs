//! Groups what differs by why, so that the cause which loses most statements stands first.
//!
//! The cause of a refusal is Curia's SQLSTATE and message with names and numbers left out. A statement that fails because an
//! earlier one did is counted for the earlier one's cause: where an object is missing that a failed CREATE should have made, and in
//! a transaction that an earlier difference aborted.

use crate::compare::Difference;
use crate::player::Played;
use crate::script::outer_words;
use crate::wire::Report;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Statements of a cause that are shown.
const EXAMPLES: usize = 4;
/// Characters of an example.
const EXAMPLE_CHARACTERS: usize = 160;
/// In a transaction that failed.
pub const IN_FAILED_TRANSACTION: &str = "25P02";

/// What came of one cause.
#[derive(Default)]
struct Group {
    direct: usize,
    following: usize,
    files: BTreeMap<String, usize>,
    examples: Vec<String>,
}

/// Collects causes over files.
#[derive(Default)]
pub struct Causes {
    groups: BTreeMap<String, Group>,
    /// Which cause a missing object has, in the current file.
    missing: BTreeMap<String, String>,
    /// And in what all files build on.
    missing_everywhere: BTreeMap<String, String>,
    /// In the current file: the last cause of a difference in errors.
    aborted_by: Option<String>,
}

impl Causes {
    /// A file begins.
    pub fn begin_file(&mut self) {
        self.missing.clone_from(&self.missing_everywhere);
        self.aborted_by = None;
    }

    /// All further files build on the current one.
    pub fn end_setup(&mut self) {
        self.missing_everywhere.clone_from(&self.missing);
    }

    /// A statement that differs; gives its cause.
    pub fn add(&mut self, file: &str, played: &Played, difference: &Difference) -> String {
        let own = own_cause(played, difference);
        let earlier = self.earlier_cause(played);
        let cause = earlier.clone().unwrap_or(own);
        let group = self.groups.entry(cause.clone()).or_default();
        if earlier.is_some() {
            group.following += 1;
        } else {
            group.direct += 1;
            if group.examples.len() < EXAMPLES {
                let sql = played.sql.split_whitespace().collect::<Vec<_>>().join(" ");
                let sql: String = sql.chars().take(EXAMPLE_CHARACTERS).collect();
                group.examples.push(format!("{file}:{}: {sql}", played.line));
            }
        }
        *group.files.entry(file.to_owned()).or_default() += 1;
        if played.actual.error().is_some() && played.expected.error().is_none() {
            for name in made_names(&played.sql) {
                self.missing.insert(name, cause.clone());
            }
        }
        if *difference == Difference::Error && earlier.is_none() {
            self.aborted_by = Some(cause.clone());
        }
        cause
    }

    fn earlier_cause(&self, played: &Played) -> Option<String> {
        let error = played.actual.error()?;
        if error.code() == IN_FAILED_TRANSACTION {
            return self.aborted_by.clone();
        }
        let is_missing = error.message().contains("does not exist");
        is_missing
            .then(|| words(error.message()).find_map(|word| self.missing.get(&word).cloned()))
            .flatten()
    }

    /// The causes, the most expensive first.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(cause, group)| (std::cmp::Reverse(group.direct + group.following), *cause));
        for (cause, group) in groups {
            writeln!(
                out,
                "{:>5} ({} and {} that follow)  {cause}",
                group.direct + group.following,
                group.direct,
                group.following
            )?;
            let mut files: Vec<_> = group.files.iter().collect();
            files.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let files: Vec<_> = files.iter().take(8).map(|(file, count)| format!("{file} {count}")).collect();
            writeln!(out, "      in {}", files.join(", "))?;
            for example in &group.examples {
                writeln!(out, "      {example}")?;
            }
        }
        Ok(())
    }
}

fn own_cause(played: &Played, difference: &Difference) -> String {
    match difference {
        Difference::Lost if played.crash.is_some() => "CRASH".to_owned(),
        Difference::Lost => format!("LOST {}", played.actual.lost.as_deref().unwrap_or_default()),
        Difference::Plan => "another plan is shown".to_owned(),
        Difference::Rows => format!("other rows: {}", outer_words(&played.sql).first().map_or("", String::as_str)),
        Difference::Order => "other order of rows".to_owned(),
        Difference::Detail(part) => format!("other {part}: {}", played.expected.error().map_or("", Report::code)),
        Difference::Error => match (played.expected.error(), played.actual.error()) {
            (_, Some(actual)) => format!("{} {}", actual.code(), pattern(actual.message())),
            (Some(expected), None) => format!("accepted, though {} {}", expected.code(), pattern(expected.message())),
            (None, None) => "another number of results".to_owned(),
        },
    }
}

/// A message without names and numbers, unless it says that something is not supported or known: then the names are the cause.
fn pattern(message: &str) -> String {
    let keeps_names = ["not supported", "function ", "operator ", "type ", "syntax error", "unrecognized"];
    let keeps_names = keeps_names.iter().any(|start| message.contains(start));
    let mut pattern = String::new();
    let mut is_quoted = false;
    for character in message.chars() {
        if character == '"' {
            is_quoted = !is_quoted;
            pattern.push(character);
            if is_quoted && !keeps_names {
                pattern.push('…');
            }
        } else if is_quoted && !keeps_names {
        } else if character.is_ascii_digit() && !keeps_names {
            if !pattern.ends_with('N') {
                pattern.push('N');
            }
        } else {
            pattern.push(character);
        }
    }
    pattern
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_lowercase)
}

/// Names that a CREATE, an ALTER or a SELECT INTO makes: the words that are no keywords of it.
fn made_names(sql: &str) -> Vec<String> {
    const KINDS: [&str; 20] = [
        "table",
        "view",
        "type",
        "domain",
        "function",
        "procedure",
        "index",
        "sequence",
        "schema",
        "role",
        "user",
        "rule",
        "trigger",
        "aggregate",
        "operator",
        "cast",
        "class",
        "collation",
        "into",
        "column",
    ];
    const BETWEEN: [&str; 6] = ["if", "not", "exists", "concurrently", "only", "temp"];
    let words = outer_words(sql);
    let first = words.first().map(String::as_str);
    let name_after = |at: usize| words[at + 1..].iter().find(|word| !BETWEEN.contains(&word.as_str())).cloned();
    match first {
        Some("create") => {
            let kind = words.iter().position(|word| KINDS.contains(&word.as_str()));
            let Some(at) = kind else { return Vec::new() };
            // With a schema before it, the second word is the name.
            let after = words[at + 1..].iter().filter(|word| !BETWEEN.contains(&word.as_str()));
            after.take(if sql.contains('.') { 2 } else { 1 }).cloned().collect()
        }
        Some("prepare" | "declare" | "savepoint") => words.get(1).cloned().into_iter().collect(),
        Some("alter") => {
            let at = words.iter().position(|word| ["column", "to", "add"].contains(&word.as_str()));
            at.and_then(name_after).into_iter().collect()
        }
        Some("select" | "with") => {
            let at = words.iter().position(|word| word == "into");
            at.and_then(name_after).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
