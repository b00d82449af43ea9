//! CREATE and ALTER of types and domains.

use super::ddl::{ColumnConstraint, RoleSpec};
use super::expr::{Expr, Ident, ObjectName, TypeName};

/// CREATE TYPE
#[derive(Clone, Debug, PartialEq)]
pub struct CreateType {
    /// Name.
    pub name: ObjectName,
    /// What it is to be.
    pub kind: CreateTypeKind,
}

/// What CREATE TYPE makes.
#[derive(Clone, Debug, PartialEq)]
pub enum CreateTypeKind {
    /// AS ENUM: labels in order.
    Enum(Vec<String>),
    /// AS (..): attributes in order.
    Composite(Vec<AttributeDef>),
    /// What was written, for 0A000.
    Unsupported(&'static str),
}

/// An attribute of a composite type.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeDef {
    /// Name.
    pub name: Ident,
    /// Type.
    pub ty: TypeName,
    /// COLLATE
    pub collation: Option<ObjectName>,
}

/// CREATE DOMAIN
#[derive(Clone, Debug, PartialEq)]
pub struct CreateDomain {
    /// Name.
    pub name: ObjectName,
    /// What it is over.
    pub ty: TypeName,
    /// COLLATE
    pub collation: Option<ObjectName>,
    /// Constraints in order, DEFAULT among them.
    pub constraints: Vec<ColumnConstraint>,
}

/// ALTER TYPE, and ALTER DOMAIN for what they share.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterType {
    /// Name.
    pub name: ObjectName,
    /// ALTER DOMAIN was written.
    pub domain: bool,
    /// What to do.
    pub action: AlterTypeAction,
}

/// What ALTER TYPE or ALTER DOMAIN does.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterTypeAction {
    /// RENAME TO
    RenameTo(Ident),
    /// OWNER TO
    OwnerTo(RoleSpec),
    /// SET SCHEMA
    SetSchema(Ident),
    /// ADD VALUE
    AddValue {
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// The new label.
        label: String,
        /// Where: BEFORE (true) or AFTER another label; at the end when not said.
        neighbour: Option<(bool, String)>,
    },
    /// RENAME VALUE .. TO ..
    RenameValue(String, String),
    /// RENAME ATTRIBUTE .. TO .. [CASCADE]
    RenameAttribute(Ident, Ident),
    /// ADD, DROP and ALTER ATTRIBUTE in order.
    Attributes(Vec<AttributeAction>),
    /// SET DEFAULT; `None` is DROP DEFAULT.
    Default(Option<Expr>),
    /// SET NOT NULL or DROP NOT NULL.
    NotNull(bool),
    /// ADD [CONSTRAINT ..] CHECK
    AddConstraint {
        /// The constraint.
        constraint: ColumnConstraint,
        /// NOT VALID
        not_valid: bool,
    },
    /// DROP CONSTRAINT
    DropConstraint {
        /// Name.
        name: Ident,
        /// IF EXISTS
        if_exists: bool,
    },
    /// RENAME CONSTRAINT .. TO ..
    RenameConstraint(Ident, Ident),
    /// VALIDATE CONSTRAINT
    ValidateConstraint(Ident),
    /// SET (..) of a base type.
    Options,
}

/// What ALTER TYPE does to an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeAction {
    /// ADD ATTRIBUTE
    Add(AttributeDef),
    /// DROP ATTRIBUTE
    Drop {
        /// Name.
        name: Ident,
        /// IF EXISTS
        if_exists: bool,
    },
    /// ALTER ATTRIBUTE .. TYPE
    SetType(AttributeDef),
}
