//! Bounds as values: which partition a row belongs to, and which bounds overlap. Pure: keys are values that somebody else computed.
//!
//! Values compare by their type's default order (text by bytes), as everywhere; NULLs go to the partition that lists NULL, or to the
//! default one.

use super::{PartitionBound, PartitionStrategy, RangeEdge, hash};
use crate::object::Oid;
use curia_functions::compare::compare_datums;
use curia_types::{Datum, IoContext, PgType, Result, SqlError, text_io, type_info};
use std::cmp::Ordering;

/// A partition's bound with its values.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// DEFAULT
    Default,
    /// IN (..); NULL among them where it was written.
    List(Vec<Datum>),
    /// FROM (inclusive) TO (exclusive)
    Range {
        /// FROM
        from: Vec<Edge>,
        /// TO
        to: Vec<Edge>,
    },
    /// WITH (MODULUS, REMAINDER)
    Hash {
        /// At least 1.
        modulus: u32,
        /// Less than the modulus.
        remainder: u32,
    },
}

/// One column's part of a range's end.
#[derive(Clone, Debug, PartialEq)]
pub enum Edge {
    /// MINVALUE: below every value.
    Min,
    /// A value, never NULL.
    Value(Datum),
    /// MAXVALUE: above every value.
    Max,
}

/// A stored bound's values depend on nothing of a session: enums are their numbers, dates ISO.
fn stored_form() -> IoContext {
    IoContext::default()
}

impl Bound {
    /// A stored bound; `types` are those of the parent's key.
    ///
    /// # Errors
    /// XX001 for what no writer of bounds stores.
    pub fn decode(stored: &PartitionBound, types: &[PgType]) -> Result<Bound> {
        let io = stored_form();
        let damaged = || SqlError::internal("a partition bound that does not fit its key");
        let parse = |ty: &PgType, text: &str| text_io::parse(PgType::with_typmod(ty.oid, -1), text, &io);
        Ok(match stored {
            PartitionBound::Default => Bound::Default,
            PartitionBound::Hash { modulus, remainder } => {
                let (modulus, remainder) = (u32::try_from(*modulus), u32::try_from(*remainder));
                match (modulus, remainder) {
                    (Ok(modulus), Ok(remainder)) if modulus > remainder => Bound::Hash { modulus, remainder },
                    _ => return Err(damaged()),
                }
            }
            PartitionBound::List(values) => {
                let [ty] = types else { return Err(damaged()) };
                let value = |v: &Option<String>| v.as_deref().map_or(Ok(Datum::Null), |text| parse(ty, text));
                Bound::List(values.iter().map(value).collect::<Result<_>>()?)
            }
            PartitionBound::Range { from, to } => {
                let edges = |stored: &[RangeEdge]| {
                    if stored.len() != types.len() {
                        return Err(damaged());
                    }
                    let edge = |(edge, ty): (&RangeEdge, &PgType)| {
                        Ok(match edge {
                            RangeEdge::MinValue => Edge::Min,
                            RangeEdge::MaxValue => Edge::Max,
                            RangeEdge::Value(text) => Edge::Value(parse(ty, text)?),
                        })
                    };
                    stored.iter().zip(types).map(edge).collect::<Result<Vec<_>>>()
                };
                Bound::Range {
                    from: edges(from)?,
                    to: edges(to)?,
                }
            }
        })
    }

    /// The form that is stored.
    pub fn encode(&self, types: &[PgType]) -> PartitionBound {
        let io = stored_form();
        let text = |ty: &PgType, value: &Datum| text_io::to_string(PgType::with_typmod(ty.oid, -1), value, &io);
        match self {
            Bound::Default => PartitionBound::Default,
            Bound::Hash { modulus, remainder } => PartitionBound::Hash {
                modulus: *modulus as i32,
                remainder: *remainder as i32,
            },
            Bound::List(values) => {
                let value = |v: &Datum| (!v.is_null()).then(|| text(&types[0], v));
                PartitionBound::List(values.iter().map(value).collect())
            }
            Bound::Range { from, to } => {
                let edge = |(edge, ty): (&Edge, &PgType)| match edge {
                    Edge::Min => RangeEdge::MinValue,
                    Edge::Max => RangeEdge::MaxValue,
                    Edge::Value(v) => RangeEdge::Value(text(ty, v)),
                };
                let edges = |e: &[Edge]| e.iter().zip(types).map(edge).collect();
                PartitionBound::Range {
                    from: edges(from),
                    to: edges(to),
                }
            }
        }
    }
}

/// Order of two ends of ranges, each before all rows at it: as `partition_rbound_cmp` of two lower bounds.
pub fn compare_edges(types: &[PgType], a: &[Edge], b: &[Edge]) -> Ordering {
    for ((a, b), ty) in a.iter().zip(b).zip(types) {
        let order = match (a, b) {
            // What follows an infinite end does not count.
            (Edge::Min, Edge::Min) | (Edge::Max, Edge::Max) => return Ordering::Equal,
            (Edge::Min, _) | (_, Edge::Max) => Ordering::Less,
            (Edge::Max, _) | (_, Edge::Min) => Ordering::Greater,
            (Edge::Value(a), Edge::Value(b)) => compare_datums(type_info::base_type(ty.oid), a, b),
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Order of the end of a range and a row's key without NULLs; an end equal to the key is `Equal`.
fn compare_edge_to_key(types: &[PgType], edge: &[Edge], key: &[Datum]) -> Ordering {
    for ((edge, value), ty) in edge.iter().zip(key).zip(types) {
        let order = match edge {
            Edge::Min => Ordering::Less,
            Edge::Max => Ordering::Greater,
            Edge::Value(e) => compare_datums(type_info::base_type(ty.oid), e, value),
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// The partitions of one partitioned table, not those of its partitions.
#[derive(Clone, Debug)]
pub struct Partitions {
    strategy: PartitionStrategy,
    types: Vec<PgType>,
    /// All but the default one; ranges by their lower ends, hash partitions by modulus and remainder, lists by their least value.
    parts: Vec<(Oid, Bound)>,
    default: Option<Oid>,
    /// Of LIST: each listed value that is not NULL and whose it is, in order.
    listed: Vec<(Datum, Oid)>,
    /// Of LIST: whose NULL is.
    null: Option<Oid>,
}

impl Partitions {
    pub(crate) fn new(strategy: PartitionStrategy, types: Vec<PgType>) -> Partitions {
        Partitions {
            strategy,
            types,
            parts: Vec::new(),
            default: None,
            listed: Vec::new(),
            null: None,
        }
    }

    pub(crate) fn enter(&mut self, oid: Oid, stored: &PartitionBound) -> Result<()> {
        match Bound::decode(stored, &self.types)? {
            Bound::Default => self.default = Some(oid),
            bound => {
                if let Bound::List(values) = &bound {
                    for value in values {
                        if value.is_null() {
                            self.null = Some(oid);
                        } else {
                            self.listed.push((value.clone(), oid));
                        }
                    }
                }
                self.parts.push((oid, bound));
            }
        }
        Ok(())
    }

    pub(crate) fn settle(&mut self) {
        let types = std::mem::take(&mut self.types);
        if let [ty] = types[..] {
            self.listed.sort_by(|a, b| compare_datums(type_info::base_type(ty.oid), &a.0, &b.0));
        }
        let place = |oid: Oid| self.listed.iter().position(|l| l.1 == oid).unwrap_or(usize::MAX);
        self.parts.sort_by(|a, b| match (&a.1, &b.1) {
            (Bound::Range { from: a, .. }, Bound::Range { from: b, .. }) => compare_edges(&types, a, b),
            (Bound::Hash { modulus, remainder }, Bound::Hash { modulus: m, remainder: r }) => (modulus, remainder).cmp(&(m, r)),
            _ => place(a.0).cmp(&place(b.0)),
        });
        self.types = types;
    }

    /// LIST, RANGE or HASH.
    pub fn strategy(&self) -> PartitionStrategy {
        self.strategy
    }
    /// Types of the key's values.
    pub fn types(&self) -> &[PgType] {
        &self.types
    }
    /// Partitions but the default one, in the order of their bounds.
    pub fn parts(&self) -> &[(Oid, Bound)] {
        &self.parts
    }
    /// The default partition.
    pub fn default_partition(&self) -> Option<Oid> {
        self.default
    }
    /// All partitions, the default one last.
    pub fn oids(&self) -> impl Iterator<Item = Oid> + '_ {
        self.parts.iter().map(|p| p.0).chain(self.default)
    }

    /// The partition whose bound a key satisfies, the default one otherwise; `None` when there is none for it.
    pub fn route(&self, key: &[Datum]) -> Option<Oid> {
        self.listing(key).or(self.default)
    }

    /// The partition, other than the default one, whose bound a key satisfies.
    pub fn listing(&self, key: &[Datum]) -> Option<Oid> {
        match self.strategy {
            PartitionStrategy::List => {
                let value = key.first()?;
                if value.is_null() {
                    return self.null;
                }
                let ty = type_info::base_type(self.types.first()?.oid);
                let found = self.listed.binary_search_by(|l| compare_datums(ty, &l.0, value)).ok()?;
                Some(self.listed[found].1)
            }
            PartitionStrategy::Range => {
                if key.iter().any(Datum::is_null) {
                    return None;
                }
                let starts = |p: &(Oid, Bound)| match &p.1 {
                    Bound::Range { from, .. } => compare_edge_to_key(&self.types, from, key).is_le(),
                    _ => false,
                };
                let (oid, bound) = &self.parts[self.parts.partition_point(starts).checked_sub(1)?];
                match bound {
                    Bound::Range { to, .. } if compare_edge_to_key(&self.types, to, key).is_gt() => Some(*oid),
                    _ => None,
                }
            }
            PartitionStrategy::Hash => {
                let hash = hash::row_hash(&self.types, key);
                let mine = |p: &&(Oid, Bound)| match p.1 {
                    Bound::Hash { modulus, remainder } => hash % u64::from(modulus) == u64::from(remainder),
                    _ => false,
                };
                self.parts.iter().find(mine).map(|p| p.0)
            }
        }
    }

    /// A partition that a new bound would overlap: with the index of its listed value, where that is what they share.
    pub fn overlapped(&self, new: &Bound) -> Option<(Oid, usize)> {
        match new {
            Bound::Default => self.default.map(|oid| (oid, 0)),
            Bound::List(values) => {
                let taken = |(i, v): (usize, &Datum)| self.listing(std::slice::from_ref(v)).map(|oid| (oid, i));
                values.iter().enumerate().find_map(taken)
            }
            Bound::Range { from, to } => {
                let overlaps = |p: &&(Oid, Bound)| match &p.1 {
                    Bound::Range { from: f, to: t } => {
                        compare_edges(&self.types, from, t).is_lt() && compare_edges(&self.types, f, to).is_lt()
                    }
                    _ => false,
                };
                self.parts.iter().find(overlaps).map(|p| (p.0, 0))
            }
            Bound::Hash { modulus, remainder } => {
                let overlaps = |p: &&(Oid, Bound)| match p.1 {
                    Bound::Hash { modulus: m, remainder: r } => {
                        let least = m.min(*modulus);
                        r % least == remainder % least
                    }
                    _ => false,
                };
                self.parts.iter().find(overlaps).map(|p| (p.0, 0))
            }
        }
    }
}
