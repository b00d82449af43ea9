//! Which of DataFusion's planning passes run, and its settings.
//!
//! DataFusion plans a statement each time it runs, while a client waits. Passes that look for what our plans never have (subqueries,
//! nested fields, files with filters of their own, inputs without end) would walk and copy the whole plan to find nothing.

use crate::cost::Width;
use crate::engine::{Engine, EngineConfig};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionState;
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use std::sync::Arc;

/// Passes over the logical plan that are left out. Subqueries are joins or expressions before it (`flatten`), outer joins are
/// strengthened and unions flat, and DISTINCT aggregates are not its own.
const LOGICAL: &[&str] = &[
    "rewrite_set_comparison",
    "optimize_unions",
    "unions_to_filter",
    "decorrelate_predicate_subquery",
    "scalar_subquery_to_join",
    "decorrelate_lateral_join",
    "propagate_empty_relation",
    "filter_null_join_keys",
    "eliminate_outer_join",
    "single_distinct_aggregation_to_group_by",
    "eliminate_group_by_constant",
    "extract_leaf_expressions",
    "push_down_leaf_projections",
];

/// Passes over the physical plan that are left out. Our sources take no filters and no order, and every input ends.
const PHYSICAL: &[&str] = &[
    "aggregate_statistics",
    "LimitedDistinctAggregation",
    "FilterPushdown",
    "FilterPushdown(Post)",
    "WindowTopN",
    "LimitPushPastWindows",
    "HashJoinBuffering",
    "TopKRepartition",
    "PushdownSort",
    "SanityCheckPlan",
];

/// Memory that one sort sets aside for merging what it spilled.
const MERGE_BYTES: usize = 10 << 20;

/// Bytes of the memory limit for each row in a batch: operators that merge hold some dozens of batches each.
const BATCH_PART: usize = 64 << 10;
/// Rows in a batch however little memory there is.
const LEAST_ROWS: usize = 32;

/// What every query's state begins as that is cut into so many parts.
pub(crate) fn prototype(config: &EngineConfig, parts: usize, environment: Arc<RuntimeEnv>) -> SessionState {
    let threads = config.threads.max(1);
    let rows = (config.memory_bytes / BATCH_PART).max(LEAST_ROWS);
    let mut settings = SessionConfig::new()
        .with_target_partitions(parts)
        .with_sort_spill_reservation_bytes(MERGE_BYTES.min(config.memory_bytes / (32 * threads)))
        .with_batch_size(config.batch_rows.min(rows))
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false);
    settings.options_mut().optimizer.enable_dynamic_filter_pushdown = false;
    // Later rounds of the same passes cost as much as the first and find next to nothing.
    settings.options_mut().optimizer.max_passes = 1;
    let mut logical = Optimizer::new().rules;
    logical.retain(|r| !LOGICAL.contains(&r.name()));
    let mut physical = PhysicalOptimizer::new().rules;
    physical.retain(|r| !PHYSICAL.contains(&r.name()));
    SessionStateBuilder::new()
        .with_config(settings)
        .with_runtime_env(environment)
        .with_analyzer_rules(Vec::new()) // they would coerce types, which are what they have to be
        .with_optimizer_rules(logical)
        .with_physical_optimizer_rules(physical)
        .build()
}

/// DataFusion's state for one query.
pub(super) fn session(engine: &Engine, width: Width) -> SessionState {
    let [one, threads] = &engine.planners;
    match width {
        Width::One => one.clone(),
        Width::Threads => threads.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_that_is_left_out_is_one_of_datafusions() {
        let logical = Optimizer::new().rules;
        let physical = PhysicalOptimizer::new().rules;
        for name in LOGICAL {
            assert!(logical.iter().any(|r| r.name() == *name), "{name}");
        }
        for name in PHYSICAL {
            assert!(physical.iter().any(|r| r.name() == *name), "{name}");
        }
    }
}
