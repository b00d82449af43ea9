//! The syntax tree.
//!
//! - [`expr`]: expressions and type names.
//! - [`query`]: SELECT, VALUES, set operations, FROM items; INSERT, UPDATE, DELETE.
//! - [`ddl`]: CREATE, ALTER, DROP and what they contain.
//! - [`absent`]: DROP of what cannot exist.
//! - [`authority`]: who may do what.
//! - [`user_type`]: CREATE and ALTER of types and domains.
//! - [`function`]: functions and procedures.
//! - [`walk`]: what is inside what.
//! - [`statement`]: [`Statement`] and the utility statements.
//!
//! Positions (`pos`) are 1-based character positions in the query string; 0 means none.

pub mod absent;
pub mod authority;
pub mod ddl;
pub mod expr;
pub mod function;
pub mod query;
pub mod statement;
pub mod user_type;
pub mod walk;

pub use absent::*;
pub use authority::*;
pub use ddl::*;
pub use expr::*;
pub use function::*;
pub use query::*;
pub use statement::*;
pub use user_type::*;
