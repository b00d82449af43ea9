//! Session parameters: SET, SET LOCAL, RESET, SHOW, `set_config`.
//!
//! A parameter's value is text in canonical form. Layers, first match wins: what the session set, what the connection asked for at
//! start-up (RESET goes back to that), the built-in default. Changes are transactional: each is written to a log, which ROLLBACK and
//! ROLLBACK TO play backwards. COMMIT keeps plain SETs and takes SET LOCALs back:
//!
//! ```text
//! SET work_mem = A          A
//! BEGIN
//!   SET work_mem = B        B
//!   SET LOCAL work_mem = C  C
//! COMMIT                    B     (ROLLBACK: A)
//! ```

pub mod known;
pub mod search_path;
mod text;
pub mod value;

use curia_types::{Result, SqlError, SqlState};
use known::{Change, KNOWN};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether a change outlives its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// SET: kept when the transaction commits.
    Session,
    /// SET LOCAL: taken back when the transaction ends.
    Local,
}

/// A position in the change log, taken at a savepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize);

#[derive(Clone, Debug)]
struct Logged {
    name: String,
    before: Option<Arc<str>>,
    after: Option<Arc<str>>,
    scope: Scope,
}

/// Most custom parameters (`a.b`) in one session.
const CUSTOM_LIMIT: usize = 1000;
/// Longest value of a parameter.
const VALUE_LIMIT: usize = 1 << 20;

/// The parameters that the server reports to the client by ParameterStatus.
pub const REPORTED: &[&str] = &[
    "application_name",
    "client_encoding",
    "curia.last_csn",
    "curia.min_csn",
    "curia.read",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

/// All parameters of one session.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Set in this session, by lower-case name.
    values: BTreeMap<String, Arc<str>>,
    /// Asked for at start-up.
    reset: BTreeMap<String, Arc<str>>,
    /// Changes of the running transaction.
    log: Vec<Logged>,
    /// Grows by one at every change; derived state compares it.
    generation: u64,
}

impl Settings {
    /// The built-in defaults.
    pub fn new() -> Settings {
        Settings::default()
    }

    /// What the session has set, by lower-case name.
    pub fn carried(&self) -> BTreeMap<String, String> {
        let set = self
            .values
            .iter()
            .filter(|(name, _)| known::find(name).is_none_or(|i| KNOWN[i].change == Change::User));
        set.map(|(name, value)| (name.clone(), value.to_string())).collect()
    }

    /// Sets what the session had set at another server.
    pub fn take_up<'a>(&mut self, carried: impl Iterator<Item = (&'a String, &'a String)>) {
        for (name, value) in carried {
            // A server of another version may not know it.
            if known::find(name).is_some() || is_custom(name) {
                self.put(name.clone(), Some(Arc::from(value.as_str())));
            }
        }
    }

    /// Grows whenever any value changes.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Sets a value that came with the connection (start-up packet) or the server's configuration; RESET returns to it.
    pub fn set_default(&mut self, name: &str, text: &str) -> Result<()> {
        let (key, value) = self.checked(name, text)?;
        self.reset.insert(key, value);
        self.generation += 1;
        Ok(())
    }

    /// Sets a value that only the server itself may set (`is_superuser`, `session_authorization`), past the check.
    pub fn set_internal(&mut self, name: &str, value: &str) {
        self.reset.insert(name.to_ascii_lowercase(), Arc::from(value));
        self.generation += 1;
    }

    /// Keeps a number that the server shows and nothing is derived from.
    pub fn note(&mut self, name: &str, number: u64) {
        let value = number.to_string();
        if self.reset.get(name).is_none_or(|known| **known != *value) {
            self.reset.insert(name.to_owned(), Arc::from(value));
        }
    }

    /// SET and SET LOCAL.
    pub fn set(&mut self, name: &str, text: &str, scope: Scope) -> Result<()> {
        let (key, value) = self.checked(name, text)?;
        self.change(key, Some(value), scope);
        Ok(())
    }

    /// Sets a value that has been checked already, or takes it back.
    pub fn put_checked(&mut self, name: &str, value: Option<&str>, scope: Scope) {
        self.change(name.to_owned(), value.map(Arc::from), scope);
    }

    /// RESET name, SET name TO DEFAULT.
    pub fn reset(&mut self, name: &str, scope: Scope) -> Result<()> {
        let key = name.to_ascii_lowercase();
        match known::find(name) {
            Some(i) => changeable(i)?,
            None if is_custom(name) => {
                // A custom parameter that was ever set stays known, empty.
                if self.values.contains_key(&key) {
                    let value = self.reset.get(&key).cloned().unwrap_or_else(|| Arc::from(""));
                    self.change(key, Some(value), scope);
                    return Ok(());
                }
            }
            None => return Err(unrecognized(name)),
        }
        self.change(key, None, scope);
        Ok(())
    }

    /// RESET ALL.
    pub fn reset_all(&mut self) {
        let names: Vec<String> = self.values.keys().cloned().collect();
        for key in names {
            if !matches!(
                key.as_str(),
                "transaction_isolation"
                    | "transaction_read_only"
                    | "transaction_deferrable"
                    | "role"
                    | "session_authorization"
                    | "is_superuser"
            ) {
                // Cannot fail: the name was accepted when it was set.
                let _ = self.reset(&key, Scope::Session);
            }
        }
    }

    /// The canonical value (base units); `None` when no such parameter exists.
    pub fn get(&self, name: &str) -> Option<&str> {
        // Our own look-ups come in lower case; others pay for the copy.
        let lowered;
        let key = if name.bytes().any(|c| c.is_ascii_uppercase()) {
            lowered = name.to_ascii_lowercase();
            lowered.as_str()
        } else {
            name
        };
        if let Some(v) = self.values.get(key).or_else(|| self.reset.get(key)) {
            return Some(v);
        }
        known::find(key).map(|i| KNOWN[i].default)
    }

    /// What RESET would set.
    pub fn reset_value(&self, name: &str) -> &str {
        match self.reset.get(&name.to_ascii_lowercase()) {
            Some(v) => v,
            None => known::find(name).map_or("", |i| KNOWN[i].default),
        }
    }

    /// What SHOW prints.
    pub fn show(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        Some(match known::find(name) {
            Some(i) => value::show(&KNOWN[i], value),
            None => value.to_owned(),
        })
    }

    /// The name as SHOW heads its column, or 42704.
    pub fn spelled(&self, name: &str) -> Result<String> {
        match known::find(name) {
            Some(i) => Ok(KNOWN[i].name.to_owned()),
            None if self.get(name).is_some() => Ok(name.to_owned()),
            None => Err(unrecognized(name)),
        }
    }

    /// SHOW ALL: name, value, description.
    pub fn show_all(&self) -> Vec<(String, String, String)> {
        let mut all: Vec<_> = KNOWN
            .iter()
            .map(|k| (k.name.to_owned(), self.show(k.name).unwrap_or_default(), k.description.to_owned()))
            .collect();
        for name in self.values.keys().filter(|n| known::find(n).is_none()) {
            all.push((name.clone(), self.show(name).unwrap_or_default(), String::new()));
        }
        all.sort_by_key(|(n, _, _)| n.to_ascii_lowercase());
        all
    }

    /// A number in base units; parameters of that kind always hold one.
    pub fn integer(&self, name: &str) -> i64 {
        self.get(name).and_then(|v| v.parse().ok()).unwrap_or(0)
    }

    /// A switch.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name) == Some("on")
    }

    /// Where the log stands, for ROLLBACK TO.
    pub fn mark(&self) -> Mark {
        Mark(self.log.len())
    }

    /// Takes back every change after `mark`.
    pub fn undo_to(&mut self, mark: Mark) {
        while self.log.len() > mark.0 {
            if let Some(entry) = self.log.pop() {
                self.put(entry.name, entry.before);
            }
        }
    }

    /// COMMIT: plain changes stay, local ones are taken back.
    pub fn commit(&mut self) {
        if self.log.is_empty() {
            return;
        }
        let mut kept: BTreeMap<String, Option<Arc<str>>> = BTreeMap::new();
        let mut had_local: Vec<String> = Vec::new();
        for entry in std::mem::take(&mut self.log) {
            let value = kept.entry(entry.name.clone()).or_insert(entry.before);
            match entry.scope {
                Scope::Session => *value = entry.after,
                Scope::Local => had_local.push(entry.name),
            }
        }
        for name in had_local {
            if let Some(value) = kept.remove(&name) {
                self.put(name, value);
            }
        }
    }

    /// ROLLBACK: every change of the transaction is taken back.
    pub fn rollback(&mut self) {
        self.undo_to(Mark(0));
    }

    fn checked(&self, name: &str, text: &str) -> Result<(String, Arc<str>)> {
        if text.len() > VALUE_LIMIT {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("value for parameter \"{name}\" is too long"),
            ));
        }
        let key = name.to_ascii_lowercase();
        match known::find(name) {
            Some(i) => {
                changeable(i)?;
                let value = value::check(&KNOWN[i], text)?;
                let value = text::check(KNOWN[i].name, value, self.get(KNOWN[i].name).unwrap_or(""))?;
                Ok((key, Arc::from(value)))
            }
            None if is_custom(name) => {
                if !self.values.contains_key(&key) && self.values.len() >= CUSTOM_LIMIT {
                    return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many custom parameters"));
                }
                Ok((key, Arc::from(text)))
            }
            None if name.contains('.') => Err(SqlError::new(
                SqlState::INVALID_NAME,
                format!("invalid configuration parameter name \"{name}\""),
            )
            .detail("Custom parameter names must be two or more simple identifiers separated by dots.")),
            None => Err(unrecognized(name)),
        }
    }

    fn change(&mut self, name: String, value: Option<Arc<str>>, scope: Scope) {
        let before = self.values.get(&name).cloned();
        self.log.push(Logged {
            name: name.clone(),
            before,
            after: value.clone(),
            scope,
        });
        self.put(name, value);
    }

    fn put(&mut self, name: String, value: Option<Arc<str>>) {
        match value {
            Some(v) => self.values.insert(name, v),
            None => self.values.remove(&name),
        };
        self.generation += 1;
    }
}

fn changeable(i: usize) -> Result<()> {
    let name = KNOWN[i].name;
    match KNOWN[i].change {
        Change::User => Ok(()),
        Change::Internal => Err(SqlError::new(
            SqlState::CANT_CHANGE_RUNTIME_PARAM,
            format!("parameter \"{name}\" cannot be changed"),
        )),
        Change::Server => Err(SqlError::new(
            SqlState::CANT_CHANGE_RUNTIME_PARAM,
            format!("parameter \"{name}\" cannot be changed without restarting the server"),
        )),
    }
}

/// 42704 in PostgreSQL's words.
pub fn unrecognized(name: &str) -> SqlError {
    SqlError::new(
        SqlState::UNDEFINED_OBJECT,
        format!("unrecognized configuration parameter \"{name}\""),
    )
}

/// `prefix.name`: two or more simple identifiers. Our own prefix is closed: a mistyped `curia.` name is an error.
fn is_custom(name: &str) -> bool {
    let mut parts = 0;
    for part in name.split('.') {
        let mut chars = part.chars();
        let good =
            chars.next().is_some_and(|c| c.is_alphabetic() || c == '_') && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '$');
        if !good {
            return false;
        }
        parts += 1;
    }
    parts >= 2 && !name.to_ascii_lowercase().starts_with("curia.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_keeps_set_and_takes_set_local_back() {
        let mut s = Settings::new();
        s.set("work_mem", "1MB", Scope::Session).unwrap();
        s.commit();
        s.set("work_mem", "2MB", Scope::Session).unwrap();
        s.set("work_mem", "3MB", Scope::Local).unwrap();
        assert_eq!(s.show("work_mem").unwrap(), "3MB");
        s.commit();
        assert_eq!(s.show("work_mem").unwrap(), "2MB");
        s.set("work_mem", "5MB", Scope::Local).unwrap();
        s.commit();
        assert_eq!(s.show("work_mem").unwrap(), "2MB");
    }

    #[test]
    fn rollback_to_a_savepoint_takes_back_later_changes_only() {
        let mut s = Settings::new();
        s.set("work_mem", "1MB", Scope::Session).unwrap();
        let mark = s.mark();
        s.set("work_mem", "2MB", Scope::Session).unwrap();
        s.undo_to(mark);
        assert_eq!(s.show("work_mem").unwrap(), "1MB");
        s.rollback();
        assert_eq!(s.show("work_mem").unwrap(), "4MB");
    }

    #[test]
    fn unknown_and_fixed_parameters_are_refused() {
        let mut s = Settings::new();
        let code = |r: Result<()>| r.unwrap_err().code();
        assert_eq!(code(s.set("foo", "1", Scope::Session)), SqlState::UNDEFINED_OBJECT);
        assert_eq!(
            code(s.set("server_version", "1", Scope::Session)),
            SqlState::CANT_CHANGE_RUNTIME_PARAM
        );
        assert_eq!(code(s.reset("foo", Scope::Session)), SqlState::UNDEFINED_OBJECT);
        s.set("my.thing", "x", Scope::Session).unwrap();
        assert_eq!(s.show("my.thing").unwrap(), "x");
        s.reset("my.thing", Scope::Session).unwrap();
        assert_eq!(s.show("my.thing").unwrap(), "");
        assert_eq!(s.show("my.other"), None);
    }
}
