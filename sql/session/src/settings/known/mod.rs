//! The session parameters that exist, with PostgreSQL 15's kinds, limits and defaults.
//!
//! Parameters of PostgreSQL's planner and maintenance that steer nothing here are accepted and kept: applications set them, and every
//! value of them is within what they promise (`synchronous_commit = off` permits losing commits; it doesn't demand it).

mod list;

pub use list::KNOWN;

/// One parameter.
pub struct Known {
    /// Name in PostgreSQL's spelling; look-ups ignore case.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Built-in value, in the form that `pg_settings.setting` shows (base units).
    pub default: &'static str,
    /// Who may change it.
    pub change: Change,
    /// `pg_settings.short_desc`
    pub description: &'static str,
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// on/off, in any of PostgreSQL's spellings.
    Bool,
    /// A number in base units.
    Int {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
        /// Base unit.
        unit: Option<Unit>,
    },
    /// A floating-point number.
    Real {
        /// Least value.
        min: f64,
        /// Greatest value.
        max: f64,
    },
    /// One of a list of words.
    Enum(&'static [&'static str]),
    /// Any text; some names have a check of their own.
    Text,
}

/// Base unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // named after what they are
pub enum Unit {
    Milliseconds,
    Seconds,
    Minutes,
    Bytes,
    Kilobytes,
    Megabytes,
    /// 8 kB pages.
    Pages,
}

impl Unit {
    /// Its name, as range errors and `pg_settings.unit` show it.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Milliseconds => "ms",
            Unit::Seconds => "s",
            Unit::Minutes => "min",
            Unit::Bytes => "B",
            Unit::Kilobytes => "kB",
            Unit::Megabytes => "MB",
            Unit::Pages => "8kB",
        }
    }
}

/// Who may change a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// SET.
    User,
    /// Nobody: "cannot be changed".
    Internal,
    /// Only the server's configuration, at its start.
    Server,
}

/// Finds a parameter, ignoring case as PostgreSQL does.
pub fn find(name: &str) -> Option<usize> {
    KNOWN.binary_search_by(|k| compare(k.name, name)).ok()
}

fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    a.bytes()
        .map(|c| c.to_ascii_lowercase())
        .cmp(b.bytes().map(|c| c.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_found_by_its_name_in_any_case() {
        for (i, k) in KNOWN.iter().enumerate() {
            assert_eq!(find(k.name), Some(i), "{}", k.name);
            assert_eq!(find(&k.name.to_uppercase()), Some(i), "{}", k.name);
        }
        assert_eq!(find("no_such_parameter"), None);
    }
}
