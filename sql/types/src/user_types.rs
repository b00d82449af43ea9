//! What a catalog version says of the types that users made: the part that changes ([`crate::type_info::user`] has the rest).

use crate::{Datum, IoContext, PgType, Result, SqlError, SqlState};
use std::sync::Arc;

/// An attribute of a composite type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// `attname`
    pub name: Arc<str>,
    /// Type with modifier.
    pub ty: PgType,
}

/// Labels, attributes and checks at one catalog version. A session implements it over the catalog of its statement.
pub trait UserTypes: Send + Sync {
    /// The label of an enum's value; `None` when there is no such value.
    fn enum_label(&self, ty: u32, value: i64) -> Option<Arc<str>>;
    /// An enum's value by its label.
    fn enum_value(&self, ty: u32, label: &str) -> Option<i64>;
    /// Whether a value may be used: one that this transaction adds to an older enum may not, as its commit may fail when it is stored.
    fn is_usable(&self, ty: u32, value: i64) -> bool;
    /// An enum's values in order.
    fn enum_values(&self, ty: u32) -> Vec<i64>;
    /// The attributes of a composite type, a relation's row type among them, in order; `None` for other types.
    fn attributes(&self, ty: u32) -> Option<Arc<[Attribute]>>;
    /// Checks a value, NULL among them, against a domain and the domains under it.
    ///
    /// # Errors
    /// 23502 and 23514 in PostgreSQL's words; what the checks themselves raise.
    fn check_domain(&self, domain: u32, value: &Datum, io: &IoContext) -> Result<()>;
}

impl IoContext {
    /// An enum's value from its label: 22P02 when it has none of that name. Without a catalog, from its number, as it is printed then.
    pub fn enum_value(&self, ty: u32, label: &str) -> Result<Datum> {
        let value = match &self.types {
            Some(types) => types.enum_value(ty, label),
            None => label.parse().ok(),
        };
        let value = value.ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!(
                    "invalid input value for enum {}: \"{label}\"",
                    crate::type_info::format_type(ty, -1)
                ),
            )
        })?;
        self.check_usable(ty, value)?;
        Ok(Datum::Int8(value))
    }

    /// Refuses a value that this transaction adds to an older enum (55P04).
    pub fn check_usable(&self, ty: u32, value: i64) -> Result<()> {
        match &self.types {
            Some(types) if !types.is_usable(ty, value) => {
                let label = types.enum_label(ty, value).unwrap_or_default();
                let shown = crate::type_info::format_type(ty, -1);
                let message = format!("unsafe use of new value \"{label}\" of enum type {shown}");
                Err(SqlError::new(SqlState::UNSAFE_NEW_ENUM_VALUE_USAGE, message)
                    .hint("New enum values must be committed before they can be used."))
            }
            _ => Ok(()),
        }
    }

    /// The label of an enum's value.
    pub fn enum_label(&self, ty: u32, value: i64) -> Option<Arc<str>> {
        self.types.as_ref().and_then(|t| t.enum_label(ty, value))
    }

    /// The attributes of a composite type.
    pub fn attributes(&self, ty: u32) -> Result<Arc<[Attribute]>> {
        let found = self.types.as_ref().and_then(|t| t.attributes(ty));
        found.ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type with OID {ty} is not composite")))
    }

    /// Checks a value against a domain; any other type takes every value.
    ///
    /// # Errors
    /// Those of [`UserTypes::check_domain`].
    pub fn check_domain(&self, ty: u32, value: &Datum) -> Result<()> {
        match &self.types {
            Some(types) if crate::type_info::is_domain(ty) => types.check_domain(ty, value, self),
            _ => Ok(()),
        }
    }
}
