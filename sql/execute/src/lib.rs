//! Plans and runs bound statements: the point path over rows, the analytic path through DataFusion, one meaning.
//!
//! A statement goes `BoundStatement` -> [`Engine::plan`] -> [`Plan`] -> [`Plan::execute`] -> [`Outcome`]. What callers use:
//!
//! ```text
//! let engine = Engine::start(database, EngineConfig::default())?;          // one per server; shared by Arc
//! let plan: Arc<Plan> = engine.plan(bound_statement).await?;               // cache it by text and catalog version
//! plan.output(): &[OutputColumn]; plan.params(): &[PgType]; plan.tables(): &[Oid]; plan.kind(): PlanKind
//! let outcome = plan.execute(&mut transaction, Execution { params, context, cancel, limits.. }).await?;
//! outcome.affected: u64                                                     // rows inserted, updated, deleted
//! outcome.rows: Option<RowSource>                                           // SELECT and RETURNING
//! while rows.next().await? {                                                // moves to the next row; a portal just stops calling
//!     rows.write(&formats, &io_context, &mut buffer)?;                      // i32 length (-1 NULL) and bytes of each value
//! }                                                                         // or rows.row(): &[Datum]
//! while let Some(batch) = rows.next_batch().await? { .. }                   // Arrow instead; rows.schema(): SchemaRef
//! let lines: Vec<String> = plan.explain(analyze: Option<(&mut Transaction, Execution)>).await?;
//! let mut copy = CopyInsert::new(engine, &transaction, table, columns, context)?;
//! copy.rows(&mut transaction, Vec<Vec<Datum>>).await?; copy.finish() -> u64  // COPY FROM STDIN
//! catalog_call(engine, &catalog, function oid, &args) -> Option<Result<Datum>>   // pg_get_indexdef and friends
//! ```
