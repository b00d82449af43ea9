//! CREATE, ALTER and DROP FUNCTION and PROCEDURE.

use super::ddl::RoleSpec;
use super::expr::{Expr, Ident, ObjectName, TypeName};

/// What a routine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum RoutineKind {
    Function,
    Procedure,
    /// DROP ROUTINE: either.
    Routine,
}

impl RoutineKind {
    /// As messages say it.
    pub fn word(self) -> &'static str {
        match self {
            RoutineKind::Function => "function",
            RoutineKind::Procedure => "procedure",
            RoutineKind::Routine => "routine",
        }
    }
}

/// CREATE FUNCTION or PROCEDURE.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateFunction {
    /// Name.
    pub name: ObjectName,
    /// Function or procedure.
    pub kind: RoutineKind,
    /// OR REPLACE
    pub or_replace: bool,
    /// Parameters; those of RETURNS TABLE come last.
    pub parameters: Vec<Parameter>,
    /// RETURNS; none for a procedure, for OUT parameters alone, and for RETURNS TABLE.
    pub returns: Option<TypeName>,
    /// Everything else.
    pub options: FunctionOptions,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name.
    pub name: Option<Ident>,
    /// Mode.
    pub mode: ParameterMode,
    /// Type.
    pub ty: TypeName,
    /// DEFAULT, with its text.
    pub default: Option<(Expr, String)>,
}

/// How a parameter is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // SQL's own words
pub enum ParameterMode {
    In,
    Out,
    InOut,
    Variadic,
    Table,
}

/// The options of CREATE and ALTER FUNCTION; `None` where not written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunctionOptions {
    /// LANGUAGE
    pub language: Option<String>,
    /// AS
    pub body: Option<FunctionBody>,
    /// IMMUTABLE, STABLE, VOLATILE: `i`, `s`, `v`.
    pub volatility: Option<char>,
    /// STRICT
    pub strict: Option<bool>,
    /// SECURITY DEFINER
    pub security_definer: Option<bool>,
    /// LEAKPROOF
    pub leakproof: Option<bool>,
    /// PARALLEL
    pub parallel: Option<String>,
    /// COST
    pub cost: Option<f64>,
    /// ROWS
    pub rows: Option<f64>,
    /// WINDOW, TRANSFORM, SUPPORT, SET: a feature that is not built.
    pub unsupported: Option<&'static str>,
}

/// The body of a function.
#[derive(Clone, Debug, PartialEq)]
pub enum FunctionBody {
    /// A string.
    Text(String),
    /// An object file and a symbol.
    Symbol(String),
    /// RETURN, as the query that it means.
    Return(String),
    /// The statements of BEGIN ATOMIC .. END, as text.
    Atomic(String),
}

/// A routine by name and, unless it is left out, its argument types.
#[derive(Clone, Debug, PartialEq)]
pub struct RoutineName {
    /// Name.
    pub name: ObjectName,
    /// Types of the parameters with their modes.
    pub parameters: Option<Vec<Parameter>>,
    /// As written.
    pub text: String,
}

/// DROP FUNCTION, PROCEDURE or ROUTINE.
#[derive(Clone, Debug, PartialEq)]
pub struct DropFunction {
    /// What.
    pub kind: RoutineKind,
    /// IF EXISTS
    pub if_exists: bool,
    /// Which.
    pub names: Vec<RoutineName>,
    /// CASCADE
    pub cascade: bool,
}

/// ALTER FUNCTION, PROCEDURE or ROUTINE.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterFunction {
    /// What.
    pub kind: RoutineKind,
    /// Which.
    pub name: RoutineName,
    /// How.
    pub action: AlterFunctionAction,
}

/// What ALTER FUNCTION does.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // SQL's own words
pub enum AlterFunctionAction {
    RenameTo(Ident),
    OwnerTo(RoleSpec),
    SetSchema(Ident),
    Options(Box<FunctionOptions>),
}
