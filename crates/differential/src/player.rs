//! Plays a script to both servers, statement by statement.
//!
//! PostgreSQL goes first: its answer decides what of the file is data of a COPY, and which side of an `\if` is taken. Curia then
//! gets the same statement with its own values of the variables.

use crate::Result;
use crate::place::Place;
use crate::script::{Item, Script, Text, Then, Variables, resolved};
use crate::wire::{Answer, Connection};
use std::collections::VecDeque;

/// Lines of the log of a server that ended which are shown.
const LOG_LINES: usize = 20;

/// A statement and what came of it.
pub struct Played {
    /// The line in the file where it begins.
    pub line: usize,
    /// Its text, as PostgreSQL got it.
    pub sql: String,
    /// PostgreSQL's answer.
    pub expected: Answer,
    /// Curia's.
    pub actual: Answer,
    /// Whether Curia's process ended, and its last words.
    pub crash: Option<String>,
}

/// One side.
pub struct Side<'a> {
    place: &'a mut Place,
    connection: Option<Connection>,
    user: Option<String>,
    variables: Variables,
}

impl<'a> Side<'a> {
    /// Without a connection yet.
    pub fn new(place: &'a mut Place, variables: Variables) -> Side<'a> {
        Side {
            place,
            connection: None,
            user: None,
            variables,
        }
    }

    /// Connects if there is no connection, and runs a statement.
    pub fn query(&mut self, sql: &str, copy: &mut dyn FnMut() -> Vec<u8>) -> Answer {
        if self.connection.is_none() {
            let mut address = self.place.address();
            if let Some(user) = &self.user {
                address.user.clone_from(user);
            }
            match Connection::open(&address) {
                Ok(connection) => self.connection = Some(connection),
                Err(error) => {
                    self.user = None;
                    return Answer {
                        lost: Some(error.to_string()),
                        ..Answer::default()
                    };
                }
            }
        }
        let Some(connection) = &mut self.connection else {
            return Answer::default();
        };
        let answer = connection.query(sql, copy);
        if answer.lost.is_some() {
            self.connection = None;
        }
        answer
    }

    /// Starts its server again if it ended; its last words then.
    pub fn crash(&mut self, answer: &Answer) -> Result<Option<String>> {
        let has_ended = answer.lost.is_some() && self.place.revive()?;
        Ok(has_ended.then(|| self.place.log_tail(LOG_LINES)))
    }

    fn statement(&mut self, text: &Text, then: &Then, files_by_client: bool, copy: &mut dyn FnMut() -> Vec<u8>) -> (String, Answer) {
        let sql = resolved(text, &self.variables);
        let (sql, data) = match files_by_client.then(|| from_file(&sql)).flatten() {
            Some((rewritten, data)) => (rewritten, Some(data)),
            None => (sql, None),
        };
        let mut answer = match data {
            Some(data) => self.query(&sql, &mut || data.clone()),
            None => self.query(&sql, copy),
        };
        match then {
            Then::Show => {}
            Then::Set(prefix) => self.set_all(&resolved(prefix, &self.variables), &answer),
            Then::Execute => {
                let cells = answer.outcomes.iter().flat_map(|outcome| outcome.rows.iter().flatten().flatten());
                let statements: Vec<String> = cells.cloned().collect();
                for statement in statements {
                    let more = self.query(&statement, copy);
                    answer.outcomes.extend(more.outcomes);
                    answer.notices.extend(more.notices);
                    answer.lost = answer.lost.or(more.lost);
                }
            }
        }
        (sql, answer)
    }

    fn set_all(&mut self, prefix: &str, answer: &Answer) {
        let Some(outcome) = answer.outcomes.last() else { return };
        if let (Some(columns), [row]) = (&outcome.columns, &outcome.rows[..]) {
            for (column, value) in columns.iter().zip(row) {
                let name = format!("{prefix}{}", column.name);
                match value {
                    Some(value) => self.variables.insert(name, value.clone()),
                    None => self.variables.remove(&name),
                };
            }
        }
    }

    fn command(&mut self, name: &str, arguments: &[Text]) {
        let mut arguments = arguments.iter().map(|argument| resolved(argument, &self.variables));
        match name {
            "set" => {
                if let Some(name) = arguments.next() {
                    let value = arguments.collect();
                    self.variables.insert(name, value);
                }
            }
            "unset" => {
                if let Some(name) = arguments.next() {
                    self.variables.remove(&name);
                }
            }
            "getenv" => {
                if let (Some(name), Some(variable)) = (arguments.next(), arguments.next())
                    && let Some(value) = self.variables.get(&environment(&variable)).cloned()
                {
                    self.variables.insert(name, value);
                }
            }
            "c" | "connect" => {
                self.user = arguments.nth(1).filter(|user| user != "-").or(self.user.take());
                self.connection = None;
            }
            _ => {}
        }
    }
}

/// The variable that stands for one of the environment.
pub fn environment(name: &str) -> String {
    format!("environment {name}")
}

/// COPY of a file that is here, as COPY of data from the client: only servers with the file at the same place can read it.
fn from_file(sql: &str) -> Option<(String, Vec<u8>)> {
    let is_copy = sql.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("copy "));
    let (head, rest) = sql.split_once('\'').filter(|_| is_copy)?;
    let (name, tail) = rest.split_once('\'')?;
    let is_from = head
        .trim_end()
        .get(head.trim_end().len().checked_sub(4)?..)?
        .eq_ignore_ascii_case("from");
    let data = std::fs::read(name).ok().filter(|_| is_from)?;
    Some((format!("{head}STDIN{tail}"), data))
}

/// Plays `text` to both; `see` gets each statement with its answers.
pub fn play(
    text: &str,
    [expected, actual]: [&mut Place; 2],
    variables: &Variables,
    files_by_client: bool,
    see: &mut dyn FnMut(Played),
) -> Result<()> {
    let mut script = Script::new(text);
    let mut expected = Side::new(expected, variables.clone());
    let mut actual = Side::new(actual, variables.clone());
    // For each \if whether its side is taken, and whether one has been.
    let mut conditions: Vec<(bool, bool)> = Vec::new();
    loop {
        let reported = expected
            .connection
            .as_ref()
            .and_then(|connection| connection.parameters.get("standard_conforming_strings"));
        script.standard_strings = reported.is_none_or(|value| value == "on");
        let Some(item) = script.next() else { return Ok(()) };
        let is_taken = conditions.iter().all(|(is_taken, _)| *is_taken);
        match item {
            Item::Command { name, arguments } => {
                let holds = || {
                    let value = arguments.first().map(|argument| resolved(argument, &expected.variables));
                    matches!(value.as_deref(), Some("t" | "true" | "TRUE" | "on" | "1" | "yes"))
                };
                match name.as_str() {
                    "if" => {
                        let holds = holds();
                        conditions.push((holds, holds));
                    }
                    "elif" | "else" => {
                        let holds = name == "else" || holds();
                        if let Some((is_taken, was_taken)) = conditions.last_mut() {
                            *is_taken = holds && !*was_taken;
                            *was_taken |= holds;
                        }
                    }
                    "endif" => {
                        conditions.pop();
                    }
                    _ if is_taken => {
                        expected.command(&name, &arguments);
                        actual.command(&name, &arguments);
                    }
                    _ => {}
                }
            }
            Item::Statement { line, text, then } if is_taken => {
                let mut data = VecDeque::new();
                let mut read = || {
                    let read = script.copy_data();
                    data.push_back(read.clone());
                    read
                };
                let (sql, expected) = expected.statement(&text, &then, files_by_client, &mut read);
                let mut replay = || data.pop_front().unwrap_or_default();
                let (_, answer) = actual.statement(&text, &then, files_by_client, &mut replay);
                let crash = actual.crash(&answer)?;
                see(Played {
                    line,
                    sql,
                    expected,
                    actual: answer,
                    crash,
                });
            }
            Item::Statement { .. } => {}
        }
    }
}
