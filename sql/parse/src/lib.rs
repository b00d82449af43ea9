//! SQL text in, syntax tree out, exactly as PostgreSQL 15 reads it.
//!
//! - [`parse`] takes a whole query string, possibly of several statements, and gives one [`Parsed`] for each.
//! - [`ast`] is the tree: [`Statement`] with clean structs for every statement, [`ast::Query`] and [`ast::Expr`] for queries.
//! - `token` splits text into tokens with PostgreSQL's lexical rules; `keyword` is its keyword table; `grammar` is a
//!   recursive-descent parser of its grammar.
//!
//! The parser is our own and follows `gram.y`, because what a client sees of a parser is its errors: PostgreSQL reports the very token
//! that cannot continue a statement and places later errors at operators, function names and types, which a general-purpose SQL syntax
//! tree does not record. Positions are 1-based *character* positions in the text that was given, as the protocol wants them.
//!
//! **Depth.** Chains of AND, OR, of binary operators and of set operations are flat lists in the tree, so ten thousand terms nest no
//! deeper than one. What does nest is counted over the tokens before any recursive descent: beyond [`MAX_DEPTH`] the answer is 54001, and
//! beyond [`inline_depth`] the descent runs on a thread with a large stack. Dropping a tree needs under 1 kB of stack for each level.

pub mod ast;
mod depth;
mod grammar;
mod keyword;
mod token;

pub use ast::{ObjectName, Statement};
pub use depth::{INLINE_DEPTH, MAX_DEPTH, STACK_BYTES_PER_LEVEL, holds_depth, inline_depth, on_stack, too_deep};
pub use grammar::MAX_PARAM;
pub use keyword::{quote_identifier, quote_literal};
pub use token::MAX_NAME_BYTES;

use curia_types::Result;

/// One statement of a query string.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The statement.
    pub statement: Statement,
    /// Byte range of its text in the query string, without the semicolon and surrounding blanks.
    pub span: std::ops::Range<usize>,
    /// How deep it nests at most (1 for a flat statement); see [`on_stack`].
    pub depth: u32,
    /// Names that were too long, in order; the client is told.
    pub truncated: Vec<Truncated>,
    /// AS OF SYSTEM TIME, of the statement as a whole.
    pub as_of: Option<ast::AsOf>,
}

/// A name that was cut to [`MAX_NAME_BYTES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// As written, folded.
    pub from: String,
    /// As it is used.
    pub to: String,
}

/// Parses a query string into its statements; an empty string or one of comments only gives none.
///
/// # Errors
/// 42601 as PostgreSQL words it, 54001 when it nests deeper than [`MAX_DEPTH`], 22025 and others of bad literals; with position.
pub fn parse(sql: &str) -> Result<Vec<Parsed>> {
    grammar::parse_statements(sql)
}

/// Parses one expression, such as a stored default or CHECK expression.
///
/// # Errors
/// As [`parse`].
pub fn parse_expression(sql: &str) -> Result<ast::Expr> {
    grammar::parse_expression(sql)
}

/// Parses one type name, such as the argument of `::regtype`.
///
/// # Errors
/// As [`parse`].
pub fn parse_type(sql: &str) -> Result<ast::TypeName> {
    grammar::parse_type(sql)
}
