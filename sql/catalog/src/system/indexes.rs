//! The indexes that system tables have in PostgreSQL, by which clients learn their keys. Nothing is stored in them: the rows are computed.

use crate::Oid;
use std::sync::LazyLock;

/// An index of a system table.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemIndex {
    /// `pg_class.oid`
    pub oid: Oid,
    /// Of this system table.
    pub table: Oid,
    /// `relname`
    pub name: &'static str,
    /// Whether no two rows have the same key.
    pub unique: bool,
    /// PRIMARY KEY (`p`) or UNIQUE (`u`), with the constraint's OID.
    pub constraint: Option<(char, Oid)>,
    /// Key columns (attnum).
    pub keys: Vec<i16>,
    /// Collations of the key columns.
    pub collations: Vec<Oid>,
    /// Operator classes of the key columns.
    pub classes: Vec<Oid>,
}

static INDEXES: LazyLock<Vec<SystemIndex>> = LazyLock::new(|| {
    let lines = include_str!("indexes.tsv").lines();
    lines.filter_map(read).collect()
});

/// A line of the committed data file; a test reads every one, so a malformed one cannot reach a server.
fn read(line: &'static str) -> Option<SystemIndex> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let numbers = |list: &str| list.split(' ').map(|n| n.parse().ok()).collect::<Option<Vec<Oid>>>();
    let (table, oid, name, unique) = (next()?.parse().ok()?, next()?.parse().ok()?, next()?, next()? == "t");
    let (kind, constraint) = (next()?.chars().next()?, next()?.parse().ok()?);
    Some(SystemIndex {
        oid,
        table,
        name,
        unique,
        constraint: (kind != '-').then_some((kind, constraint)),
        keys: next()?.split(' ').map(|n| n.parse().ok()).collect::<Option<_>>()?,
        collations: numbers(next()?)?,
        classes: numbers(next()?)?,
    })
}

/// All of them.
pub fn system_indexes() -> &'static [SystemIndex] {
    &INDEXES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_data_is_an_index_of_a_system_table() {
        assert_eq!(system_indexes().len(), include_str!("indexes.tsv").lines().count());
        for i in system_indexes() {
            let table = crate::system::system_table(i.table).unwrap();
            let known = |n: &i16| usize::try_from(*n).is_ok_and(|n| n >= 1 && n <= table.columns.len());
            assert!(i.keys.iter().all(known), "{i:?}");
            assert!(i.keys.len() == i.classes.len() && i.keys.len() == i.collations.len(), "{i:?}");
        }
    }
}
