//! Plans and runs bound statements: the point path over rows, the analytic path through DataFusion, one meaning.
//!
//! A statement goes `BoundStatement` -> [`Engine::plan`] -> [`Plan`] -> [`Plan::execute`] -> [`Outcome`]. What callers use:
//!
//! ```text
//! let engine = Engine::start(database, EngineConfig::default())?;           // one per server, in an Arc
//! let plan = engine.plan(&Arc::new(bound), &catalog).await?;                // Arc<Plan>; cache it by text and catalog version
//! tx.lock_tables(plan.tables()).await?;  tx.start_statement();              // then, if the catalog moved: bind and plan again
//! let outcome = plan.execute(&mut tx, Execution { params, context, interrupt, catalog, session_views }).await?;
//! outcome.affected                                                          // rows inserted, updated, deleted
//! outcome.rows: Option<RowSource>                                           // SELECT and RETURNING; a portal keeps it
//! while rows.next().await? { rows.write(&formats, &io, &mut buffer)?; }     // i32 length (-1 NULL) and bytes of each value
//! while let Some(batch) = rows.next_batch().await? { .. }                   // or Arrow
//! plan.explain(); plan.explain_analyze(&mut tx, execution).await?           // lines
//! CopyInsert::new(&engine, &tx, &insert, &catalog, execution)?              // COPY FROM: .row(&mut tx, &values).await?
//! catalog_call(&CatalogScope { .. }, "pg_get_indexdef", &args)              // functions about catalog objects
//! ```
//!
//! - [`engine`], [`plan`], [`source`], [`exec`]: the doors above.
//! - [`eval`]: the evaluator of expressions; [`order`], [`comparison`], [`registry`]: what values and functions mean to plans.
//! - [`rewrite`], `flatten`, [`access`], [`walk`]: filters to their scans, subqueries to joins, and scans to their keys.
//! - [`rows`]: row operators; `spill`: where they keep rows beyond their memory; `analytic`: DataFusion; `write`: INSERT, UPDATE, DELETE,
//!   FOR UPDATE, COPY.
//! - [`system`]: the rows of `pg_catalog` and `information_schema`.

pub mod access;
mod analytic;
pub mod comparison;
mod cost;
mod domain;
pub mod engine;
pub mod eval;
pub mod exec;
mod flatten;
mod held;
pub mod order;
mod ordered;
pub mod plan;
mod prune;
pub mod registry;
pub mod rewrite;
pub mod rows;
mod simplify;
pub mod source;
mod spill;
pub mod system;
pub mod walk;
mod write;

pub use curia_types::ValueFormat;
pub use domain::CatalogTypes;
pub use engine::{Engine, EngineConfig};
pub use exec::{Execution, Interrupt, Uninterrupted};
pub use held::HeldRows;
pub use plan::{Outcome, Plan, PlanKind};
pub use source::RowSource;
pub use system::{CatalogScope, SessionViews, ViewRows, catalog_call, support_name, support_named};
pub use write::{CopyInsert, Due, ReferencePlans, settle, table_layout};
