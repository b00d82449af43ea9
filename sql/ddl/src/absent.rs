//! DROP of kinds of objects that nobody can make here: they are not found, with PostgreSQL's errors. What the system itself has of these
//! kinds cannot be dropped.

use crate::Ddl;
use crate::names::{no_relation, no_schema};
use curia_catalog::Relation;
use curia_parse::ObjectName;
use curia_parse::ast::{Absent, DropAbsent, Ident, TypeName};
use curia_types::{Result, SqlError, SqlState, type_info};

/// Collations, languages, access methods and so on that every database has.
const OWN: [(&str, &[&str]); 4] = [
    ("collation", &["default", "C", "POSIX", "C.UTF-8", "ucs_basic", "unicode"]),
    ("language", &["sql", "internal", "c", "plpgsql"]),
    ("access method", &["btree", "heap", "hash", "gin", "gist", "brin", "spgist"]),
    ("tablespace", &["pg_default", "pg_global"]),
];

impl Ddl<'_> {
    pub(crate) fn drop_absent(&mut self, s: &DropAbsent) -> Result<&'static str> {
        match &s.what {
            Absent::Named { kind, names } => {
                for name in names {
                    let missing = self.missing(kind, name);
                    self.settle(missing, s.if_exists)?;
                }
            }
            Absent::OfTable { kind, name, table } => {
                let missing = self.missing_of_table(kind, name, table, s.if_exists);
                self.settle(missing, s.if_exists)?;
            }
            Absent::OfMethod { kind, name, method } => {
                if !is_own("access method", &method.name) {
                    return Err(undefined(format!("access method \"{}\" does not exist", method.name)));
                }
                let missing = self
                    .known_schema(name)
                    .err()
                    .unwrap_or_else(|| undefined(format!("{kind} \"{name}\" does not exist for access method \"{}\"", method.name)));
                self.settle(missing, s.if_exists)?;
            }
            Absent::Aggregate { name, args } => {
                let missing = self.missing_aggregate(name, args.as_deref());
                self.settle(missing, s.if_exists)?;
            }
            Absent::Operator { schema, name, left, right } => {
                let schema = schema.iter().find_map(|s| self.schema_named(&s.name).err());
                let missing = match schema {
                    Some(error) => error,
                    None => self.missing_operator(name, left.as_ref(), right.as_ref()),
                };
                self.settle(missing, s.if_exists)?;
            }
            Absent::Cast { from, to } => {
                let missing = self.missing_cast(from, to);
                self.settle(missing, s.if_exists)?;
            }
        }
        Ok(s.tag)
    }

    /// With IF EXISTS what is missing is a notice.
    fn settle(&mut self, missing: SqlError, if_exists: bool) -> Result<()> {
        let absent = [
            SqlState::UNDEFINED_OBJECT,
            SqlState::UNDEFINED_FUNCTION,
            SqlState::UNDEFINED_TABLE,
            SqlState::INVALID_SCHEMA_NAME,
            SqlState::INVALID_CATALOG_NAME,
        ];
        if !if_exists || !absent.contains(&missing.code()) {
            return Err(missing);
        }
        self.notice(format!("{}, skipping", missing.message()));
        Ok(())
    }

    fn missing(&self, kind: &str, name: &ObjectName) -> SqlError {
        if let Err(e) = self.known_schema(name) {
            return e;
        }
        if is_own(kind, name.name()) {
            return required(&format!("{kind} {}", curia_parse::quote_identifier(name.name())));
        }
        let message = format!("{kind} \"{name}\" does not exist");
        match kind {
            "database" if self.catalog().database(name.name()).is_some() => SqlError::unsupported("DROP DATABASE"),
            "database" => SqlError::new(SqlState::INVALID_CATALOG_NAME, message),
            "foreign table" => match self.lookup(name) {
                Ok(Some(_)) => SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a foreign table", name.name())),
                _ => SqlError::new(SqlState::UNDEFINED_TABLE, message),
            },
            _ => undefined(message),
        }
    }

    fn missing_of_table(&self, kind: &str, name: &Ident, table: &ObjectName, if_exists: bool) -> SqlError {
        match self.lookup(table) {
            Err(e) => e,
            Ok(None) => no_relation(table),
            Ok(Some(Relation::View(_))) if kind == "rule" && name.name == "_RETURN" => SqlError::new(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                format!("cannot drop rule _RETURN on view {table} because view {table} requires it"),
            )
            .hint(format!("You can drop view {table} instead.")),
            Ok(Some(_)) => {
                let word = if if_exists || kind == "rule" { "relation" } else { "table" };
                undefined(format!("{kind} \"{}\" for {word} \"{}\" does not exist", name.name, table.name()))
            }
        }
    }

    fn missing_aggregate(&self, name: &ObjectName, args: Option<&[TypeName]>) -> SqlError {
        if let Err(e) = self.known_schema(name) {
            return e;
        }
        let mut types = Vec::new();
        for arg in args.unwrap_or_default() {
            match self.resolve_type(arg) {
                Ok(ty) => types.push(ty.oid),
                Err(e) => return e,
            }
        }
        let shown = match args {
            None => "*".to_owned(),
            Some(_) => types.iter().map(|t| type_info::format_type(*t, -1)).collect::<Vec<_>>().join(", "),
        };
        if curia_functions::candidates(name.name()).iter().any(|f| f.args == types) {
            return required(&format!("function {name}({shown})"));
        }
        SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("aggregate {name}({shown}) does not exist"))
    }

    fn missing_operator(&self, name: &str, left: Option<&TypeName>, right: Option<&TypeName>) -> SqlError {
        let mut shown = Vec::new();
        for side in [left, right] {
            shown.push(match side.map(|t| self.resolve_type(t)) {
                None => None,
                Some(Ok(ty)) => Some(ty.oid),
                Some(Err(e)) => return e,
            });
        }
        let [left, right] = [shown[0], shown[1]];
        let known = curia_functions::operators(name).iter();
        if known.clone().any(|o| (left.unwrap_or(0), right.unwrap_or(0)) == (o.left, o.right)) {
            return required(&format!("operator {name}"));
        }
        let text = |ty: Option<u32>| ty.map(|t| type_info::format_type(t, -1));
        let parts = [text(left), Some(name.to_owned()), text(right)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("operator does not exist: {}", parts.join(" ")),
        )
    }

    fn missing_cast(&self, from: &TypeName, to: &TypeName) -> SqlError {
        let (from, to) = match (self.resolve_type(from), self.resolve_type(to)) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(e), _) | (_, Err(e)) => return e,
        };
        let [a, b] = [from, to].map(|t| type_info::format_type(t.oid, -1));
        if curia_functions::cast(from.oid, to.oid).is_some() {
            return required(&format!("cast from {a} to {b}"));
        }
        undefined(format!("cast from type {a} to type {b} does not exist"))
    }

    fn known_schema(&self, name: &ObjectName) -> Result<()> {
        match name.schema() {
            Some(schema) if self.schema_named(schema).is_err() => Err(no_schema(schema)),
            _ => Ok(()),
        }
    }
}

fn is_own(kind: &str, name: &str) -> bool {
    OWN.iter().any(|(k, names)| *k == kind && names.contains(&name))
}

fn required(what: &str) -> SqlError {
    SqlError::new(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot drop {what} because it is required by the database system"),
    )
}

fn undefined(message: String) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
}
