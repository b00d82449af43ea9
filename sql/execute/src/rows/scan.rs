//! Scans of stored tables: whole, by row key, or through an index.
//!
//! A row's bytes are decoded only in the columns that are used, straight from the store's block.

use super::compile::{Compiler, Frame};
use super::{Cursor, Operator, Row};
use crate::access::{Bound, End, Path, PathKeyOf};
use crate::eval::{Env, Program};
use crate::prune::Pruning;
use curia_bind::ir::{RelColumn, Scan};
use curia_storage::row::RowLayout;
use curia_txn::layout::{Cover, entry_row_key};
use curia_txn::{Direction, KeyRange, ReadView, TableLayout, ViewScan};
use curia_types::{Datum, PgType, Result, oid};
use std::collections::VecDeque;
use std::sync::Arc;

/// Where a scan finds its rows.
pub enum Access {
    /// Every row, in row key order.
    Full,
    /// What a key bounds.
    Keys(Box<KeyAccess>),
}

/// A bounded access path, compiled.
pub struct KeyAccess {
    /// Position in `TableLayout::indexes`; `None` is the row key.
    index: Option<usize>,
    name: String,
    /// Type and order of each key column.
    keys: Vec<(PgType, bool)>,
    equal: Vec<Values>,
    lower: Option<(Program, bool)>,
    upper: Option<(Program, bool)>,
    unique: bool,
    /// For EXPLAIN.
    condition: String,
}

/// Values of one key column.
enum Values {
    One(Program),
    List(Vec<Program>),
    Array(Program),
}

impl Access {
    pub(crate) fn compile(c: &mut Compiler, path: &Path, scan: &Scan, layout: &TableLayout, frame: &Frame) -> Result<Access> {
        let table = &scan.table;
        let index = match path.index {
            None => None,
            Some(i) => {
                let found = layout.index(table.indexes[i].oid);
                found.and_then(|f| layout.indexes().iter().position(|x| x.oid() == f.oid()))
            }
        };
        let name = match path.index {
            Some(i) => table.indexes[i].name.clone(),
            None => layout.key_index().map_or_else(|| "row key".to_owned(), |i| i.name.clone()),
        };
        let mut program = |e: &curia_bind::ir::Expr| c.expression(e, &[], frame);
        let equal = path
            .equal
            .iter()
            .map(|b| {
                Ok(match b {
                    Bound::Equal(e) => Values::One(program(e)?),
                    Bound::OneOf(list) => Values::List(list.iter().map(&mut program).collect::<Result<_>>()?),
                    Bound::Any(e) => Values::Array(program(e)?),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let mut end = |e: &Option<End>| {
            e.as_ref()
                .map(|e| Ok::<_, curia_types::SqlError>((program(&e.value)?, e.inclusive)))
                .transpose()
        };
        let (lower, upper) = (end(&path.lower)?, end(&path.upper)?);
        let keys = path.keys.iter().map(|k| (k.ty, k.descending)).collect();
        let column = |n: usize| match path.keys.get(n).map(|k| &k.of) {
            Some(PathKeyOf::Column(c)) => table.columns[*c].name.as_str(),
            Some(PathKeyOf::Expression(_)) => path.index.map_or("", |i| table.indexes[i].keys[n].name(table)),
            None => "",
        };
        let mut terms: Vec<String> = path
            .equal
            .iter()
            .enumerate()
            .map(|(n, b)| match b {
                Bound::Equal(_) => format!("{} = ..", column(n)),
                Bound::OneOf(l) => format!("{} = ANY ({} values)", column(n), l.len()),
                Bound::Any(_) => format!("{} = ANY (..)", column(n)),
            })
            .collect();
        let next = column(path.equal.len());
        if let Some(e) = &path.lower {
            terms.push(format!("{next} {} ..", if e.inclusive { ">=" } else { ">" }));
        }
        if let Some(e) = &path.upper {
            terms.push(format!("{next} {} ..", if e.inclusive { "<=" } else { "<" }));
        }
        Ok(Access::Keys(Box::new(KeyAccess {
            index,
            name,
            keys,
            equal,
            lower,
            upper,
            unique: path.unique,
            condition: terms.join(" AND "),
        })))
    }
}

/// What a value is among the values of a key column.
pub(crate) enum Fit {
    Value(Datum),
    Null,
    Below,
    Above,
}

/// Brings a value of the same order to the key column's type.
pub(crate) fn fit(ty: PgType, value: Datum) -> Fit {
    let Some(i) = crate::order::integer(&value).filter(|_| !matches!(value, Datum::Oid(_))) else {
        return if value.is_null() { Fit::Null } else { Fit::Value(value) };
    };
    let (converted, min) = match ty.oid {
        oid::INT2 => (i16::try_from(i).map(Datum::Int2).ok(), i64::from(i16::MIN)),
        oid::INT4 => (i32::try_from(i).map(Datum::Int4).ok(), i64::from(i32::MIN)),
        oid::INT8 => (Some(Datum::Int8(i)), i64::MIN),
        _ => (Some(value), i64::MIN),
    };
    match converted {
        Some(d) => Fit::Value(d),
        None if i < min => Fit::Below,
        None => Fit::Above,
    }
}

impl KeyAccess {
    fn prefix(&self, layout: &TableLayout, values: &[Datum]) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(16);
        match self.index {
            None => layout.encode_row_key_prefix(values, &mut out)?,
            Some(i) => layout.indexes()[i].encode_prefix(values, &mut out)?,
        }
        Ok(out)
    }

    /// The keys and ranges to read, in key order of the bounds as given, duplicates removed.
    fn probes(&self, layout: &TableLayout, env: Env<'_>) -> Result<VecDeque<Probe>> {
        let mut prefixes: Vec<Vec<Datum>> = vec![Vec::with_capacity(self.keys.len())];
        for (values, (ty, _)) in self.equal.iter().zip(&self.keys) {
            let candidates = match values {
                Values::One(p) => vec![p.eval(env, &[])?],
                Values::List(list) => list.iter().map(|p| p.eval(env, &[])).collect::<Result<_>>()?,
                Values::Array(p) => match p.eval(env, &[])? {
                    Datum::Array(a) => a.elements.clone(),
                    _ => Vec::new(),
                },
            };
            let fitting: Vec<Datum> = candidates
                .into_iter()
                .filter_map(|v| if let Fit::Value(v) = fit(*ty, v) { Some(v) } else { None })
                .collect();
            if let [one] = fitting.as_slice() {
                prefixes.iter_mut().for_each(|p| p.push(one.clone()));
                continue;
            }
            prefixes = prefixes
                .iter()
                .flat_map(|p| fitting.iter().map(move |v| p.iter().cloned().chain([v.clone()]).collect()))
                .collect();
        }
        let mut keys = prefixes.iter().map(|p| self.prefix(layout, p)).collect::<Result<Vec<_>>>()?;
        if keys.len() > 1 {
            keys.sort_unstable();
            keys.dedup();
        }
        if self.unique {
            return Ok(keys.into_iter().map(Probe::Key).collect());
        }
        let mut probes = VecDeque::with_capacity(keys.len());
        for key in keys {
            if let Some(range) = self.range(layout, env, &key, prefixes.first())? {
                probes.push_back(Probe::Range(range));
            }
        }
        Ok(probes)
    }

    /// The range under a prefix; `None` when it is empty.
    fn range(&self, layout: &TableLayout, env: Env<'_>, prefix: &[u8], values: Option<&Vec<Datum>>) -> Result<Option<KeyRange>> {
        let mut range = KeyRange::prefix(prefix);
        let Some((ty, descending)) = self.keys.get(self.equal.len()).copied() else {
            return Ok(Some(range));
        };
        for (end, is_lower) in [(&self.lower, true), (&self.upper, false)] {
            let Some((program, inclusive)) = end else { continue };
            let value = match fit(ty, program.eval(env, &[])?) {
                Fit::Null => return Ok(None),
                Fit::Below if is_lower => continue,
                Fit::Above if !is_lower => continue,
                Fit::Below | Fit::Above => return Ok(None),
                Fit::Value(v) => v,
            };
            // The bound's bytes: this prefix, then the value as the key column encodes it.
            let mut all: Vec<Datum> = values.cloned().unwrap_or_default();
            let own = self.prefix(layout, &all)?;
            all.push(value);
            let encoded = self.prefix(layout, &all)?;
            let bound = [prefix, &encoded[own.len()..]].concat();
            range = match (is_lower != descending, inclusive) {
                (true, true) => range.from(&bound),
                (true, false) => range.after_prefix(&bound),
                (false, true) => range.through_prefix(&bound),
                (false, false) => range.before(&bound),
            };
        }
        Ok((!range.is_empty()).then_some(range))
    }
}

/// What is read next.
enum Probe {
    /// The row (or unique index entry) at this key.
    Key(Vec<u8>),
    Range(KeyRange),
}

/// What a column of the scan's rows is.
#[derive(Clone, Copy)]
enum Output {
    /// Index into `Table::columns`.
    Column(usize),
    RowKey,
}

/// A scan of a stored table.
pub struct TableScan {
    pub(crate) layout: Arc<TableLayout>,
    outputs: Vec<Output>,
    columns: Vec<RelColumn>,
    pub(crate) access: Access,
    pub(crate) filter: Option<Program>,
    /// How the index gives all that is read: its entries have versions as rows do, so no row needs to be looked at.
    cover: Option<Cover>,
    pruning: Option<Pruning>,
    pub(crate) direction: Direction,
}

impl TableScan {
    pub(crate) fn new(
        scan: &Scan,
        layout: Arc<TableLayout>,
        columns: Vec<RelColumn>,
        access: Access,
        (pruning, filter): (Option<Pruning>, Option<Program>),
        direction: Direction,
    ) -> TableScan {
        let mut outputs: Vec<Output> = scan.columns.iter().map(|(i, _)| Output::Column(*i)).collect();
        let read: Vec<usize> = scan.columns.iter().map(|(i, _)| *i).collect();
        outputs.extend(scan.row_key.map(|_| Output::RowKey));
        let cover = match &access {
            Access::Keys(k) => k.index.and_then(|index| layout.cover(index, &read)),
            Access::Full => None,
        };
        TableScan {
            cover,
            layout,
            outputs,
            columns,
            access,
            filter,
            pruning,
            direction,
        }
    }

    /// Decodes the columns that the scan gives.
    pub(crate) fn decode(&self, key: &[u8], bytes: &[u8]) -> Result<Row> {
        decode(self.layout.row(), &self.outputs, key, bytes)
    }

    /// The same from an index entry that holds them.
    fn decode_entry(&self, cover: &Cover, key: &[u8], row_key: &[u8]) -> Result<Row> {
        let mut row = cover.decode(key, row_key)?;
        if self.outputs.len() > row.len() {
            row.push(Datum::Bytea(Arc::from(row_key)));
        }
        Ok(row)
    }

    /// The row keys of a unique row-key access: what a statement that addresses rows by key locks before it reads.
    pub(crate) fn row_keys(&self, env: Env<'_>) -> Result<Option<Vec<Vec<u8>>>> {
        let Access::Keys(keys) = &self.access else { return Ok(None) };
        if !keys.unique || keys.index.is_some() {
            return Ok(None);
        }
        let probes = keys.probes(&self.layout, env)?;
        Ok(Some(
            probes
                .into_iter()
                .filter_map(|p| if let Probe::Key(k) = p { Some(k) } else { None })
                .collect(),
        ))
    }
}

fn decode(row: &RowLayout, outputs: &[Output], key: &[u8], bytes: &[u8]) -> Result<Row> {
    let mut out = Vec::with_capacity(outputs.len());
    for o in outputs {
        out.push(match o {
            Output::Column(i) => row.decode(bytes, *i)?,
            Output::RowKey => Datum::Bytea(Arc::from(key)),
        });
    }
    Ok(out)
}

impl Operator for TableScan {
    fn columns(&self) -> &[RelColumn] {
        &self.columns
    }
    fn open(self: Arc<Self>, env: Env<'_>) -> Result<Box<dyn Cursor>> {
        let pruned = match &self.pruning {
            Some(pruning) => pruning.excludes(env)?,
            None => false,
        };
        let probes = match &self.access {
            _ if pruned => VecDeque::new(),
            Access::Full => VecDeque::from([Probe::Range(KeyRange::all())]),
            Access::Keys(k) => {
                let mut probes = k.probes(&self.layout, env)?;
                if self.direction == Direction::Backward {
                    probes.make_contiguous().reverse();
                }
                probes
            }
        };
        Ok(Box::new(ScanCursor {
            op: self,
            probes,
            under_way: None,
            key: Vec::new(),
        }))
    }
    fn describe(&self) -> String {
        let table = &self.layout.table().name;
        let back = if self.direction == Direction::Backward { " Backward" } else { "" };
        match &self.access {
            Access::Full => format!("Seq Scan{back} on {table}"),
            Access::Keys(k) if k.unique => format!("Point Select on {table} using {}", k.name),
            Access::Keys(k) => {
                let only = if self.cover.is_some() { " Only" } else { "" };
                format!("Index{only} Scan{back} using {} on {table}", k.name)
            }
        }
    }
    fn details(&self) -> Vec<String> {
        let mut out = Vec::new();
        if let Access::Keys(k) = &self.access
            && !k.condition.is_empty()
        {
            out.push(format!("Index Cond: ({})", k.condition));
        }
        if self.filter.is_some() {
            out.push("Filter: yes".to_owned());
        }
        out
    }
}

struct ScanCursor {
    op: Arc<TableScan>,
    probes: VecDeque<Probe>,
    under_way: Option<ViewScan>,
    /// Row key of an index entry, kept between steps for its memory.
    key: Vec<u8>,
}

impl ScanCursor {
    fn index(&self) -> Option<usize> {
        if let Access::Keys(k) = &self.op.access { k.index } else { None }
    }

    fn at_key(&mut self, view: &ReadView, key: Vec<u8>) -> Result<Option<Row>> {
        let op = &self.op;
        let row_key = match self.index().map(|i| op.layout.indexes()[i].storage()) {
            None => key,
            Some(storage) => {
                if let Some(cover) = &op.cover {
                    let row = view.read(storage, &key, |v| op.decode_entry(cover, &key, entry_row_key(v)?))?;
                    return row.transpose();
                }
                match view.read(storage, &key, |v| entry_row_key(v).map(<[u8]>::to_vec))?.transpose()? {
                    Some(k) => k,
                    None => return Ok(None),
                }
            }
        };
        view.read(op.layout.storage(), &row_key, |bytes| op.decode(&row_key, bytes))?
            .transpose()
    }

    fn step(&mut self, view: &ReadView) -> Result<Option<Option<Row>>> {
        let index = self.index();
        let op = self.op.clone();
        let Some(scan) = &mut self.under_way else { return Ok(None) };
        let Some((key, value)) = scan.next()? else {
            self.under_way = None;
            return Ok(None);
        };
        if index.is_none() {
            return op.decode(key, value).map(|r| Some(Some(r)));
        }
        let row_key = entry_row_key(value)?;
        if let Some(cover) = &op.cover {
            return op.decode_entry(cover, key, row_key).map(|r| Some(Some(r)));
        }
        self.key.clear();
        self.key.extend_from_slice(row_key);
        let row = view
            .read(op.layout.storage(), &self.key, |bytes| op.decode(&self.key, bytes))?
            .transpose()?;
        Ok(Some(row))
    }
}

impl Cursor for ScanCursor {
    fn next(&mut self, env: Env<'_>) -> Result<Option<Row>> {
        loop {
            env.exec.check_cancel()?;
            let view = env.exec.view()?;
            let row = match self.step(view)? {
                Some(row) => row,
                None => match self.probes.pop_front() {
                    None => return Ok(None),
                    Some(Probe::Key(key)) => self.at_key(view, key)?,
                    Some(Probe::Range(range)) => {
                        let storage = match self.index() {
                            None => self.op.layout.storage(),
                            Some(i) => self.op.layout.indexes()[i].storage(),
                        };
                        self.under_way = Some(view.scan(storage, &range, self.op.direction));
                        continue;
                    }
                },
            };
            let Some(row) = row else { continue };
            match &self.op.filter {
                Some(f) if !f.holds(env, &row)? => {}
                _ => return Ok(Some(row)),
            }
        }
    }
}
