//! DROP of kinds of objects that nobody can make here: what they name is looked for and not found.

use super::expr::{Ident, ObjectName, TypeName};

/// DROP of such objects.
#[derive(Clone, Debug, PartialEq)]
pub struct DropAbsent {
    /// What.
    pub what: Absent,
    /// IF EXISTS
    pub if_exists: bool,
    /// The command tag.
    pub tag: &'static str,
}

/// What is dropped; `kind` is the kind as messages name it.
#[derive(Clone, Debug, PartialEq)]
pub enum Absent {
    /// By name alone.
    Named {
        /// Kind.
        kind: &'static str,
        /// Names.
        names: Vec<ObjectName>,
    },
    /// Something of a table: a trigger, a rule, a policy.
    OfTable {
        /// Kind.
        kind: &'static str,
        /// Name.
        name: Ident,
        /// Table.
        table: ObjectName,
    },
    /// Something of an access method: an operator class or family.
    OfMethod {
        /// Kind.
        kind: &'static str,
        /// Name.
        name: ObjectName,
        /// Access method.
        method: Ident,
    },
    /// AGGREGATE; `None` for `(*)`.
    Aggregate {
        /// Name.
        name: ObjectName,
        /// Argument types.
        args: Option<Vec<TypeName>>,
    },
    /// OPERATOR; `None` for NONE.
    Operator {
        /// Schema, if written.
        schema: Option<Ident>,
        /// Operator.
        name: String,
        /// Left operand's type.
        left: Option<TypeName>,
        /// Right operand's type.
        right: Option<TypeName>,
    },
    /// CAST (from AS to)
    Cast {
        /// Source.
        from: TypeName,
        /// Target.
        to: TypeName,
    },
}
