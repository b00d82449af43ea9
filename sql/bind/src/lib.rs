//! The binder: syntax tree and catalog in, typed statement out, with PostgreSQL's rules.
//!
//! - [`ir`]: the typed statement.
//!
//! Links neither DataFusion nor storage.

pub mod ir;
