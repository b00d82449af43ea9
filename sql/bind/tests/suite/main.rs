//! The binder through its public doors.
//!
//! - `against_postgres`: what PostgreSQL says of the same statements.
//! - `shape`: the relations that come out. `depth`: long and deep statements. `definitions`: defaults, checks and their texts.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails by panicking

mod against_postgres;
mod definitions;
mod depth;
mod fixture;
mod shape;
