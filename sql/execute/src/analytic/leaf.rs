//! Where DataFusion's rows come from: partitions of a stored table, or row operators.

use super::{error, external};
use crate::eval::Env;
use crate::exec::Exec;
use crate::rows::{Cursor, Op};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use curia_bind::ir::RelColumn;
use curia_txn::{Direction, KeyRange, TableLayout, ViewScan};
use curia_types::arrow_map::{ColumnBuilder, data_type};
use curia_types::{Datum, PgType};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::stats::{Precision, Statistics};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::fmt;
use std::sync::Arc;

/// A source of rows with its columns.
#[derive(Clone)]
pub(super) struct Leaf {
    exec: Arc<Exec>,
    columns: Vec<RelColumn>,
    from: From,
    schema: SchemaRef,
    /// About how many rows it has: joins build on their smaller side.
    about: usize,
}

#[derive(Clone)]
enum From {
    /// Ranges of a stored table's row keys, one a partition; the table's column of each of `columns` (`None`: the row key).
    Table {
        layout: Arc<TableLayout>,
        outputs: Vec<Option<usize>>,
        ranges: Vec<KeyRange>,
    },
    Rows(Arc<Op>),
}

fn schema(columns: &[RelColumn]) -> SchemaRef {
    Arc::new(Schema::new(
        columns
            .iter()
            .map(|c| Field::new(super::expression::name(c.id), data_type(c.ty), true))
            .collect::<Vec<_>>(),
    ))
}

impl Leaf {
    /// All rows of a stored table, in up to `partitions` ranges side by side.
    pub fn table(
        exec: Arc<Exec>,
        layout: Arc<TableLayout>,
        outputs: Vec<Option<usize>>,
        columns: Vec<RelColumn>,
        partitions: usize,
        about: usize,
    ) -> curia_types::Result<Leaf> {
        let ranges = exec.view()?.split(layout.storage(), &KeyRange::all(), partitions)?;
        let ranges = if ranges.is_empty() { vec![KeyRange::all()] } else { ranges };
        let schema = schema(&columns);
        Ok(Leaf {
            exec,
            columns,
            from: From::Table { layout, outputs, ranges },
            schema,
            about,
        })
    }

    /// Rows of row operators.
    pub fn rows(exec: Arc<Exec>, op: Arc<Op>, about: usize) -> Leaf {
        let columns = op.columns().to_vec();
        Leaf {
            exec,
            schema: schema(&columns),
            columns,
            from: From::Rows(op),
            about,
        }
    }

    fn describe(&self) -> String {
        match &self.from {
            From::Table { layout, ranges, .. } => format!("table={}, ranges={}", layout.table().name, ranges.len()),
            From::Rows(op) => format!("rows={}", op.describe()),
        }
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

#[async_trait]
impl TableProvider for Leaf {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
    fn table_type(&self) -> TableType {
        TableType::Base
    }
    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.columns.len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        let partitions = match &self.from {
            From::Table { ranges, .. } => ranges.len(),
            From::Rows(_) => 1,
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(LeafScan {
            leaf: self.clone(),
            projection,
            schema,
            limit,
            properties: Arc::new(properties),
        }))
    }
}

/// Bytes that a column takes in a batch, about.
const COLUMN_BYTES: usize = 16;

/// The name of a leaf's scan.
pub const SCAN: &str = "LeafScan";

/// A scan of some columns of a leaf.
struct LeafScan {
    leaf: Leaf,
    projection: Vec<usize>,
    schema: SchemaRef,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl fmt::Debug for LeafScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.leaf.describe())
    }
}

impl DisplayAs for LeafScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeafScan: {}", self.leaf.describe())
    }
}

impl ExecutionPlan for LeafScan {
    fn name(&self) -> &str {
        SCAN
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }
    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }
    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let parts = args
            .partition()
            .map_or(1, |_| self.properties.partitioning.partition_count().max(1));
        let rows = self.leaf.about.min(self.limit.unwrap_or(usize::MAX)) / parts;
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Inexact(rows);
        statistics.total_byte_size = Precision::Inexact(rows.saturating_mul(COLUMN_BYTES * self.projection.len().max(1)));
        Ok(Arc::new(statistics))
    }
    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let exec = self.leaf.exec.clone();
        let source = match &self.leaf.from {
            From::Table { layout, outputs, ranges } => Reading::Table {
                scan: Box::new(
                    exec.view()
                        .map_err(external)?
                        .scan(layout.storage(), &ranges[partition], Direction::Forward),
                ),
                layout: layout.clone(),
                outputs: self.projection.iter().map(|i| outputs[*i]).collect(),
                plain: self.projection.iter().map(|i| outputs[*i]).collect(),
            },
            From::Rows(op) => {
                let cursor = op.clone().open(Env { exec: &exec, frame: &[] }).map_err(external)?;
                Reading::Rows {
                    cursor,
                    projection: self.projection.clone(),
                }
            }
        };
        let reader = Reader {
            exec,
            source,
            types: self.projection.iter().map(|i| self.leaf.columns[*i].ty).collect(),
            schema: self.schema.clone(),
            size: context.session_config().batch_size(),
            left: self.limit.unwrap_or(usize::MAX),
        };
        let stream = futures::stream::unfold(Some(reader), |reader| async move {
            let mut reader = reader?;
            match reader.batch() {
                Ok(Some(batch)) => Some((Ok(batch), Some(reader))),
                Ok(None) => None,
                Err(e) => Some((Err(external(e)), None)),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream)))
    }
}

enum Reading {
    /// `plain`: the outputs, when none of them is the row key.
    Table {
        scan: Box<ViewScan>,
        layout: Arc<TableLayout>,
        outputs: Vec<Option<usize>>,
        plain: Option<Vec<usize>>,
    },
    Rows {
        cursor: Box<dyn Cursor>,
        projection: Vec<usize>,
    },
}

/// A partition being read.
struct Reader {
    exec: Arc<Exec>,
    source: Reading,
    types: Vec<PgType>,
    schema: SchemaRef,
    size: usize,
    left: usize,
}

impl Reader {
    fn batch(&mut self) -> curia_types::Result<Option<RecordBatch>> {
        self.exec.check_cancel()?;
        let want = self.size.min(self.left);
        let mut builders: Vec<ColumnBuilder> = self.types.iter().map(|t| ColumnBuilder::new(*t, want)).collect();
        let mut rows = 0;
        while rows < want {
            match &mut self.source {
                Reading::Table {
                    scan,
                    layout,
                    outputs,
                    plain,
                } => {
                    let Some((key, bytes)) = scan.next()? else { break };
                    if let Some(columns) = plain {
                        layout.row().append_columns(bytes, columns, &mut builders)?;
                        rows += 1;
                        continue;
                    }
                    for (builder, output) in builders.iter_mut().zip(outputs.iter()) {
                        match output {
                            Some(i) => builder.append(&layout.row().decode(bytes, *i)?)?,
                            None => builder.append(&Datum::Bytea(Arc::from(key)))?,
                        }
                    }
                }
                Reading::Rows { cursor, projection } => {
                    let Some(row) = cursor.next(Env {
                        exec: &self.exec,
                        frame: &[],
                    })?
                    else {
                        break;
                    };
                    for (builder, i) in builders.iter_mut().zip(projection.iter()) {
                        builder.append(&row[*i])?;
                    }
                }
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        self.left -= rows;
        let arrays = builders.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map(Some)
            .map_err(|e| error(e.into()))
    }
}
