//! COPY FROM.

use super::binary::Tuples;
use super::dialect::{Dialect, Way};
use super::record::{Record, Records};
use super::{Column, excerpt};
use crate::output::{CopyInput, Format, Output, Stop};
use crate::portal::{Ran, Tag};
use crate::session::Session;
use crate::wait::until;
use curia_bind::check_access;
use curia_bind::index::RowColumns;
use curia_bind::ir::{Bound, Expr};
use curia_execute::CopyInsert;
use curia_parse::ast::{self, Copy, CopyFormat, CopyHeader, CopySource};
use curia_txn::{TableLock, Transaction};
use curia_types::{Datum, IoContext, Result, SqlError, SqlState, binary_io, text_io};
use std::sync::Arc;

/// Rows between two looks at cancel and time-out, and chances for other sessions of the core.
const ROWS_BEFORE_CHECK: u32 = 256;

/// Where in the input an error arose.
struct Place<'a> {
    table: &'a str,
    line: u64,
}

impl Place<'_> {
    fn line(&self, e: SqlError) -> SqlError {
        e.context(format!("COPY {}, line {}", self.table, self.line))
    }
    fn raw(&self, e: SqlError, text: &str) -> SqlError {
        e.context(format!("COPY {}, line {}: \"{}\"", self.table, self.line, excerpt(text)))
    }
    fn null(&self, e: SqlError, column: &str) -> SqlError {
        e.context(format!("COPY {}, line {}, column {column}: null input", self.table, self.line))
    }
    fn column(&self, e: SqlError, column: &str, text: &str) -> SqlError {
        e.context(format!(
            "COPY {}, line {}, column {column}: \"{}\"",
            self.table,
            self.line,
            excerpt(text)
        ))
    }
}

/// The input cut into rows of values.
enum Reader {
    Lines {
        records: Records,
        record: Record,
        header: CopyHeader,
    },
    Binary(Tuples),
}

impl Reader {
    fn new(d: &Dialect) -> Reader {
        if d.format == CopyFormat::Binary {
            Reader::Binary(Tuples::default())
        } else {
            Reader::Lines {
                records: Records::new(d),
                record: Record::default(),
                header: d.header,
            }
        }
    }

    fn input(&mut self) -> &mut Vec<u8> {
        match self {
            Reader::Lines { records, .. } => records.input(),
            Reader::Binary(t) => t.input(),
        }
    }

    fn complete(&mut self) {
        match self {
            Reader::Lines { records, .. } => records.complete(),
            Reader::Binary(t) => t.complete(),
        }
    }

    fn line(&self) -> u64 {
        match self {
            Reader::Lines { records, .. } => records.line(),
            Reader::Binary(t) => t.line,
        }
    }

    /// Reads the next row's values into `row`. `None`: more input is needed, or it is over. With the raw text, for context.
    fn next(&mut self, table: &str, columns: &[Column], io: &IoContext, row: &mut Vec<Datum>) -> Result<Option<std::ops::Range<usize>>> {
        row.clear();
        match self {
            Reader::Lines { records, record, header } => loop {
                let found = records.next_line().map_err(|e| {
                    Place {
                        table,
                        line: records.line(),
                    }
                    .line(e)
                })?;
                let Some(range) = found else { return Ok(None) };
                let place = Place {
                    table,
                    line: records.line(),
                };
                if *header != CopyHeader::Off {
                    if *header == CopyHeader::Match {
                        records.split(&range, record).map_err(|e| place.line(e))?;
                        match_header(record, columns).map_err(|e| place.raw(e, records.raw(&range)))?;
                    }
                    *header = CopyHeader::Off;
                    continue;
                }
                records.split(&range, record).map_err(|e| match records.raw(&range) {
                    "" => place.line(e),
                    text => place.raw(e, text),
                })?;
                let raw = || records.raw(&range);
                if columns.is_empty() {
                    return match raw() {
                        "" => Ok(Some(range)),
                        text => Err(place.raw(extra(), text)),
                    };
                }
                if record.count() > columns.len() {
                    return Err(place.raw(extra(), raw()));
                }
                for (i, c) in columns.iter().enumerate() {
                    if i >= record.count() {
                        let e = SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, format!("missing data for column \"{}\"", c.name));
                        return Err(place.raw(e, raw()));
                    }
                    row.push(match record.field(i) {
                        None => {
                            io.check_domain(c.ty.oid, &Datum::Null).map_err(|e| place.null(e, &c.name))?;
                            Datum::Null
                        }
                        Some(bytes) => {
                            // Checked by `split`; escapes may have made it invalid since.
                            let text = binary_io::check_text(bytes).map_err(|e| place.raw(e, raw()))?;
                            text_io::parse(c.ty, text, io).map_err(|e| place.column(e, &c.name, text))?
                        }
                    });
                }
                return Ok(Some(range));
            },
            Reader::Binary(tuples) => {
                let found = tuples.next(columns.len()).map_err(|e| match tuples.line {
                    0 => e, // in the header: no row is to blame
                    line => Place { table, line }.line(e),
                })?;
                let Some(fields) = found else { return Ok(None) };
                for (c, field) in columns.iter().zip(fields) {
                    row.push(match field {
                        None => {
                            io.check_domain(c.ty.oid, &Datum::Null)
                                .map_err(|e| e.context(format!("COPY {table}, line {}, column {}: null input", tuples.line, c.name)))?;
                            Datum::Null
                        }
                        Some(range) => binary_io::receive(c.ty, tuples.bytes(&range), io)
                            .and_then(|v| {
                                if c.ty.typmod >= 0 {
                                    curia_types::length::coerce(c.ty, v, false)
                                } else {
                                    Ok(v)
                                }
                            })
                            .map_err(|e| e.context(format!("COPY {table}, line {}, column {}", tuples.line, c.name)))?,
                    });
                }
                Ok(Some(0..0))
            }
        }
    }

    /// Adds the line to an error of the insertion.
    fn place(&self, e: SqlError, table: &str, range: &std::ops::Range<usize>) -> SqlError {
        let place = Place { table, line: self.line() };
        match self {
            // PostgreSQL meets duplicates when it inserts a batch of rows: it knows the line then, its text no more.
            _ if e.code() == SqlState::UNIQUE_VIOLATION => place.line(e),
            Reader::Lines { records, .. } => place.raw(e, records.raw(range)),
            Reader::Binary(_) => place.line(e),
        }
    }
}

fn extra() -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "extra data after last expected column")
}

fn match_header(record: &Record, columns: &[Column]) -> Result<()> {
    let bad = |message: String| SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message);
    if record.count() != columns.len() {
        return Err(bad(format!(
            "wrong number of fields in header line: got {}, expected {}",
            record.count(),
            columns.len()
        )));
    }
    for (i, c) in columns.iter().enumerate() {
        match record.field(i).map(String::from_utf8_lossy) {
            None => {
                return Err(bad(format!(
                    "column name mismatch in header line field {}: got null value (\"\"), expected \"{}\"",
                    i + 1,
                    c.name
                )));
            }
            Some(name) if name != c.name => {
                return Err(bad(format!(
                    "column name mismatch in header line field {}: got \"{name}\", expected \"{}\"",
                    i + 1,
                    c.name
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

impl Session {
    pub(super) async fn copy_from<O: Output>(&mut self, copy: &Copy, depth: u32, out: &mut O) -> Result<Ran, Stop> {
        let CopySource::Table { name, columns } = &copy.source else {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "COPY query cannot be used with COPY FROM").into());
        };
        let (oid, table, _) = self.copied_columns(name, columns, Way::In)?;
        let waits = self.waits.clone();
        let tx = self.transaction()?;
        tx.require_writable_rows("COPY FROM", &table)?;
        let mut tables = vec![oid];
        if tx.catalog().tables.get(&oid).is_some_and(|t| t.is_partitioned()) {
            tables = tx.catalog().family(oid);
        }
        let locks: Vec<_> = tables.into_iter().map(|oid| (oid, TableLock::RowExclusive)).collect();
        waits.run(out, tx.lock_tables(&locks)).await?;
        // The definition may have changed while the lock was waited for.
        let (_, table, columns) = self.copied_columns(name, columns, Way::In)?;
        if copy.options.freeze && table.is_partitioned() {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot perform COPY FREEZE on a partitioned table").into());
        }
        let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
        let dialect = Dialect::new(&copy.options, Way::In, &names)?;
        let filter = match &copy.filter {
            None => None,
            Some(filter) => Some(self.bind_copy_condition(&table, filter, depth)?),
        };
        let mut insert = self.copy_insert(name, &columns, filter.as_ref())?;
        let format = if dialect.format == CopyFormat::Binary {
            Format::Binary
        } else {
            Format::Text
        };
        let mut source = self.copy_input(&copy.direction)?;
        source.announce(format, columns.len(), out);
        let io = self.io();
        let mut reader = Reader::new(&dialect);
        let mut row = Vec::with_capacity(columns.len());
        loop {
            let input = tokio::select! {
                biased;
                input = source.read(reader.input(), out) => input,
                stop = waits.interrupt.stopped() => Err(stop.into()),
                stop = until(waits.deadline) => Err(stop.into()),
            }?;
            match input {
                CopyInput::Data => {}
                CopyInput::Done => reader.complete(),
                CopyInput::Fail(reason) => {
                    let e = SqlError::new(SqlState::QUERY_CANCELED, format!("COPY from stdin failed: {reason}"));
                    return Err(Place {
                        table: &table.name,
                        line: reader.line() + 1,
                    }
                    .line(e)
                    .into());
                }
            }
            let tx = self.transaction()?;
            copy_rows(&mut reader, &table.name, &columns, &io, &mut insert, tx, &mut row, &waits, out).await?;
            if input == CopyInput::Done {
                waits.run(out, insert.finish(tx)).await?;
                return Ok(Ran {
                    rows: None,
                    fields: None,
                    tag: Tag::Affected("COPY", insert.inserted()),
                });
            }
        }
    }

    /// The insertion, from the binder's form of `INSERT INTO t (columns) VALUES ($1, ..)`: defaults, generated values and checks included.
    fn copy_insert(&mut self, name: &ast::ObjectName, columns: &[Column], filter: Option<&(RowColumns, Expr)>) -> Result<CopyInsert> {
        let catalog = self.transaction()?.catalog();
        let values = (1..=columns.len() as u32)
            .map(|n| ast::Expr {
                kind: ast::ExprKind::Param(n),
                pos: 0,
            })
            .collect();
        let source = ast::Query {
            with: None,
            body: ast::SetExpr::Values(ast::Values {
                rows: vec![values],
                pos: 0,
            }),
            order_by: Vec::new(),
            limit: None,
            offset: None,
            locking: Vec::new(),
            pos: 0,
        };
        let insert = ast::Insert {
            with: None,
            table: name.clone(),
            alias: None,
            columns: columns
                .iter()
                .map(|c| ast::TargetColumn {
                    name: ast::Ident {
                        name: c.name.clone(),
                        pos: 0,
                    },
                    indirection: Vec::new(),
                })
                .collect(),
            // COPY fills GENERATED ALWAYS columns from the data.
            overriding: Some(ast::Overriding::SystemValue),
            source: (!columns.is_empty()).then(|| Box::new(source)),
            on_conflict: None,
            returning: Vec::new(),
        };
        let types: Vec<u32> = columns.iter().map(|c| c.ty.oid).collect();
        let bound = self.bind_parsed(&curia_parse::Statement::Insert(Box::new(insert)), 1, Some(&types), &catalog)?;
        check_access(&catalog, &bound.accesses)?;
        let Bound::Insert(insert) = bound.bound else {
            return Err(SqlError::internal("an INSERT was bound to something else"));
        };
        let execution = self.execution(Arc::from([]), catalog.clone(), None);
        let engine = self.shared.engine.clone();
        let tx = self.transaction()?;
        tx.start_statement();
        CopyInsert::new(&engine, tx, &insert, filter, &catalog, execution)
    }
}

/// Inserts every row that the input so far holds.
#[allow(clippy::too_many_arguments)] // one loop's state; a struct for it would have one user
async fn copy_rows<O: Output>(
    reader: &mut Reader,
    table: &str,
    columns: &[Column],
    io: &IoContext,
    insert: &mut CopyInsert,
    tx: &mut Transaction,
    row: &mut Vec<Datum>,
    waits: &crate::wait::Waits,
    out: &mut O,
) -> Result<(), Stop> {
    let mut since_check = 0;
    while let Some(range) = reader.next(table, columns, io, row)? {
        waits.run(out, insert.row(tx, row)).await.map_err(|stop| match stop {
            Stop::Error(e) => Stop::Error(reader.place(e, table, &range)),
            gone => gone,
        })?;
        since_check += 1;
        if since_check == ROWS_BEFORE_CHECK {
            since_check = 0;
            waits.check()?;
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
