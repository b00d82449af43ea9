//! COPY TO.

use super::dialect::{Dialect, Way};
use super::{binary, write};
use crate::output::{Format, Output, Stop};
use crate::planning::Prepared;
use crate::portal::{Ran, Rows, Tag};
use crate::session::Session;
use curia_parse::Statement;
use curia_parse::ast::{self, Copy, CopyFormat, CopyHeader, CopySource, ObjectName};
use curia_types::{Datum, IoContext, PgType, Result, SqlError, SqlState, text_io};
use std::sync::Arc;

impl Session {
    pub(super) async fn copy_to<O: Output>(&mut self, copy: &Copy, prepared: &Prepared, out: &mut O) -> Result<Ran, Stop> {
        let depth = prepared.parsed.as_ref().map_or(1, |p| p.depth);
        let statement = match &copy.source {
            CopySource::Query(s) if s.is_bindable() => (**s).clone(),
            CopySource::Query(s) => return Err(SqlError::unsupported(format!("COPY ({}) TO", s.tag())).into()),
            CopySource::Table { name, columns } => {
                let (_, table, columns) = self.copied_columns(name, columns, Way::Out)?;
                if table.is_partitioned() {
                    let message = format!("cannot copy from partitioned table \"{}\"", table.name);
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                        .hint("Try the COPY (SELECT ...) TO variant.")
                        .into());
                }
                if columns.is_empty() {
                    return Err(SqlError::unsupported("COPY TO of a table without columns").into());
                }
                select(name, columns.iter().map(|c| c.name.as_str()))
            }
        };
        let parsed = curia_parse::Parsed {
            statement,
            span: usize::MAX..usize::MAX,
            depth,
            truncated: Vec::new(),
            as_of: None,
        };
        let inner = Prepared::transient(&prepared.sql, Arc::new(parsed));
        let ran = self.run_plan(&inner, Arc::from([]), out).await?;
        let (Some(Rows::Plan(mut rows)), Some(fields)) = (ran.rows, ran.fields) else {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "COPY query must have a RETURNING clause").into());
        };
        let names: Vec<String> = fields.iter().map(|f| f.name.clone()).collect();
        let types: Vec<PgType> = fields.iter().map(|f| f.ty).collect();
        let dialect = Dialect::new(&copy.options, Way::Out, &names)?;
        let is_binary = dialect.format == CopyFormat::Binary;
        let mut sink = self.copy_sink(&copy.direction)?;
        sink.announce(if is_binary { Format::Binary } else { Format::Text }, fields.len(), out);
        // As PostgreSQL does, the binary header travels in the first row's message (or the trailer's): some clients count on it.
        let mut header_due = is_binary;
        if !is_binary && dialect.header != CopyHeader::Off {
            sink.row(
                &mut |buffer| {
                    for (i, name) in names.iter().enumerate() {
                        write::header(&dialect, i, names.len(), name, buffer);
                    }
                    buffer.push(b'\n');
                    Ok(())
                },
                out,
            )?;
        }
        let io = self.io();
        let mut count = 0u64;
        let mut scratch = Vec::new();
        while self.waits.run(out, rows.next()).await? {
            sink.row(
                &mut |buffer| {
                    if std::mem::take(&mut header_due) {
                        binary::write_header(buffer);
                    }
                    if is_binary {
                        binary_row(rows.row(), &types, &io, buffer);
                    } else {
                        text_row(&dialect, rows.row(), &types, &io, &mut scratch, buffer);
                    }
                    Ok(())
                },
                out,
            )?;
            count += 1;
            sink.relieve(out).await?;
        }
        if is_binary {
            sink.row(
                &mut |buffer| {
                    if std::mem::take(&mut header_due) {
                        binary::write_header(buffer);
                    }
                    binary::write_trailer(buffer);
                    Ok(())
                },
                out,
            )?;
        }
        sink.finish(out)?;
        Ok(Ran {
            rows: None,
            fields: None,
            tag: Tag::Affected("COPY", count),
        })
    }
}

fn binary_row(row: &[Datum], types: &[PgType], io: &IoContext, out: &mut Vec<u8>) {
    out.extend_from_slice(&(row.len() as i16).to_be_bytes());
    for (value, ty) in row.iter().zip(types) {
        crate::portal::write_value(value, *ty, Format::Binary, io, out);
    }
}

fn text_row(d: &Dialect, row: &[Datum], types: &[PgType], io: &IoContext, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    for (i, (value, ty)) in row.iter().zip(types).enumerate() {
        let text = if value.is_null() {
            None
        } else {
            scratch.clear();
            text_io::format(*ty, value, io, scratch);
            Some(scratch.as_slice())
        };
        write::field(d, i, row.len(), text, out);
    }
    out.push(b'\n');
}

/// `SELECT columns FROM ONLY table`
fn select<'a>(table: &ObjectName, columns: impl Iterator<Item = &'a str>) -> Statement {
    let items = columns
        .map(|c| ast::SelectItem {
            expr: ast::Expr {
                kind: ast::ExprKind::Column(vec![ast::Ident {
                    name: c.to_owned(),
                    pos: 0,
                }]),
                pos: 0,
            },
            alias: None,
        })
        .collect();
    let select = ast::Select {
        distinct: None,
        items,
        into: None,
        from: vec![ast::TableRef::Table {
            name: table.clone(),
            only: true,
            alias: None,
            sample: None,
        }],
        filter: None,
        group_by: Vec::new(),
        group_distinct: false,
        having: None,
        windows: Vec::new(),
        pos: 0,
    };
    Statement::Query(Box::new(ast::Query {
        with: None,
        body: ast::SetExpr::Select(Box::new(select)),
        order_by: Vec::new(),
        limit: None,
        offset: None,
        locking: Vec::new(),
        pos: 0,
    }))
}
