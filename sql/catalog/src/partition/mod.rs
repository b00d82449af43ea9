//! How partitioned tables are divided.
//!
//! A partitioned table has a [`PartitionKey`] and no rows; each partition has a [`PartitionBound`] and may be partitioned again.
//! These are what is stored: values of bounds are text, as `attmissingval` is. [`routing`] has them as values, finds the partition of a row
//! and tells whether bounds overlap; [`hash`] has PostgreSQL's hash functions.
//!
//! ```text
//!   m  PARTITION BY RANGE (d)
//!   ├── m_1  FROM ('2024-01-01') TO ('2024-02-01')     PARTITION BY LIST (lower(k))
//!   │    ├── m_1_a  IN ('a', NULL)
//!   │    └── m_1_x  DEFAULT
//!   └── m_2  FROM ('2024-02-01') TO (MAXVALUE)
//! ```

pub mod hash;
pub mod referenced;
pub mod routing;
pub mod shown;

use crate::object::{KeyOf, Table};
use curia_types::PgType;
use serde::{Deserialize, Serialize};

pub use routing::{Bound, Edge, Partitions};

/// Most columns of a partition key, as in PostgreSQL.
pub const MAX_KEY_COLUMNS: usize = 32;

/// PARTITION BY
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionKey {
    /// LIST, RANGE or HASH.
    pub strategy: PartitionStrategy,
    /// Columns and expressions in order; one for LIST.
    pub columns: Vec<PartitionColumn>,
}

/// `pg_partitioned_table.partstrat`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // SQL's own words
pub enum PartitionStrategy {
    List,
    Range,
    Hash,
}

impl PartitionStrategy {
    /// As `pg_get_partkeydef` and messages write it, in capitals.
    pub fn name(self) -> &'static str {
        match self {
            PartitionStrategy::List => "LIST",
            PartitionStrategy::Range => "RANGE",
            PartitionStrategy::Hash => "HASH",
        }
    }
}

/// One column of a partition key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionColumn {
    /// A column of the table, or an expression over its columns.
    #[serde(rename = "column")]
    pub of: KeyOf,
    /// COLLATE, when it was written and is not the column's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// Operator class, when it is not the type's default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opclass: Option<String>,
}

impl PartitionColumn {
    /// The column, if it is one: index into `Table::columns`.
    pub fn as_column(&self) -> Option<usize> {
        self.of.as_column()
    }
    /// The type of its values.
    pub fn ty(&self, table: &Table) -> PgType {
        self.of.ty(table)
    }
}

impl PartitionKey {
    /// Types of the key's values in order.
    pub fn types(&self, table: &Table) -> Vec<PgType> {
        self.columns.iter().map(|c| c.ty(table)).collect()
    }
}

/// FOR VALUES .. or DEFAULT of a partition. Values are in the types of the parent's key, in the text form of the type's output function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartitionBound {
    /// DEFAULT: what belongs to no other partition.
    Default,
    /// IN (..); `None` is NULL. Each value once.
    List(Vec<Option<String>>),
    /// FROM (..) TO (..): from inclusive, to exclusive, as many as the key has columns.
    Range {
        /// FROM
        from: Vec<RangeEdge>,
        /// TO
        to: Vec<RangeEdge>,
    },
    /// WITH (MODULUS m, REMAINDER r)
    Hash {
        /// MODULUS, from 1.
        modulus: i32,
        /// REMAINDER, from 0 and less than `modulus`.
        remainder: i32,
    },
}

/// One column's part of a range's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // SQL's own words
pub enum RangeEdge {
    MinValue,
    Value(String),
    MaxValue,
}

impl Table {
    /// The partitions of a partitioned table with their bounds, or what is wrong with what is stored.
    pub fn partitions(&self, catalog: &crate::Catalog) -> curia_types::Result<Option<Partitions>> {
        let Some(key) = &self.partition_key else { return Ok(None) };
        let mut out = Partitions::new(key.strategy, key.types(self));
        for child in catalog.children(self.oid) {
            if let Some(bound) = &child.partition_bound {
                out.enter(child.oid, bound)?;
            }
        }
        out.settle();
        Ok(Some(out))
    }
}
