//! The binder: syntax tree and catalog in, typed statement out, with PostgreSQL's rules.
//!
//! ```text
//!   curia_parse::Statement ──bind()──▶ ir::BoundStatement ──▶ curia-execute
//!            names, search_path          ColIds, OIDs
//!            unknown literals            typed constants
//!            implicit conversions        explicit calls
//! ```
//!
//! - [`bind`] is the door for SELECT, INSERT, UPDATE, DELETE; [`BindContext`] is what it may look at.
//! - [`ir`]: the typed statement. [`ddl`], [`domain`], [`index`]: types and expressions of definitions. [`deparse`]: a typed expression as
//!   SQL text. [`viewdef`]: a view's query likewise. [`imply`]: conditions that follow from others. [`inherit`]: tables with descendants.
//! - [`check_access`]: what a statement needs the right to.
//! - Inside: `scope` (names), `from`, `view`, `function`, `select`, `group`, `order`, `setop`, `with`, `lock_stages` (queries), `insert`, `update`, `updatable`,
//!   `generated` (row changes), `expr`, `call`, `ordered_set`, `operator`, `indirection`, `composite` (expressions), `resolve` and `coerce`
//!   (chapter 10 of PostgreSQL's manual), `walk` (traversals of the IR).
//!
//! Constants are folded while binding when a function is immutable and succeeds on them; one that fails stays and fails when it runs.
//! Deep statements are bound on a thread with a large stack ([`curia_parse::on_stack`]); [`bind`] takes care of that itself, its callers
//! must do so for whatever walks or drops the result ([`ir::BoundStatement::depth`]).
//!
//! Links neither DataFusion nor storage.

mod access;
pub mod backward;
mod binder;
mod call;
mod coerce;
mod composite;
mod context;
pub mod ddl;
pub mod deparse;
pub mod domain;
mod expr;
mod from;
mod function;
mod generated;
mod group;
pub mod imply;
pub mod index;
mod indirection;
pub mod inherit;
mod insert;
pub mod ir;
mod lock_stages;
mod merge;
mod name;
mod operator;
mod order;
mod ordered_set;
pub mod partition;
mod recursion;
mod regclass;
mod resolve;
mod sample;
mod scope;
mod select;
mod setop;
mod subquery;
mod traversal;
mod type_name;
mod updatable;
mod update;
mod view;
pub mod viewdef;
pub mod walk;
mod with;

pub use access::{Access, check_access};
pub use context::{BindContext, CursorRow};
pub use function::{check_function, is_built_in_function};
pub use generated::{generated_columns_used, generated_text, generated_text_renamed};
pub use insert::copy_condition;
pub use updatable::{check_option_possible, updatable_columns};
pub use view::recursive;

use curia_catalog::View;
use curia_parse::Parsed;
use curia_types::Result;
use std::sync::Arc;

/// Binds a SELECT, INSERT, UPDATE or DELETE.
///
/// # Errors
/// What PostgreSQL's parse analysis answers, with character positions in the query string; 0A000 for what is not built; XX000 for other
/// statements.
pub fn bind(parsed: &Parsed, cx: &BindContext<'_>) -> Result<ir::BoundStatement> {
    bind_statement(&parsed.statement, parsed.depth, cx)
}

/// Binds a view's query, whether or not the view is in the catalog.
///
/// # Errors
/// As [`bind`].
pub fn bind_view(view: &Arc<View>, cx: &BindContext<'_>) -> Result<ir::BoundStatement> {
    view::with_depth(1, |depth| binder::bind_view(view, depth, cx))
}

/// Binds a statement that stands inside another one (EXPLAIN, PREPARE, DECLARE, COPY); `depth` is that of the [`Parsed`] around it.
///
/// # Errors
/// As [`bind`].
pub fn bind_statement(statement: &curia_parse::Statement, depth: u32, cx: &BindContext<'_>) -> Result<ir::BoundStatement> {
    view::with_depth(depth, |depth| binder::bind(statement, depth, cx))
}
