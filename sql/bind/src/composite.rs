//! Composite values: fields by name, rows as values of their table's type, and expansion with `.*`.

use crate::binder::{Binder, at};
use crate::coerce::type_text;
use crate::ir::*;
use crate::scope::{NsItem, Scope};
use curia_parse::ast::{Ident, Indirection};
use curia_types::{PgType, Result, SqlError, SqlState, oid, type_info};

/// Stored expressions name a field by its number, as its name may change: `(value)."#0"`.
pub(crate) fn name_by_number(index: usize) -> String {
    format!("#{index}")
}

impl Binder<'_> {
    /// `(value).name`
    pub(crate) fn field_of(&self, value: Expr, name: &str, pos: u32) -> Result<Expr> {
        let ty = type_info::base_type(value.ty.oid);
        let error = |code, message| SqlError::new(code, message).at(at(pos));
        if let (oid::RECORD, ExprKind::Row(fields, _)) = (ty, &value.kind)
            && let Some(field) = name
                .strip_prefix('f')
                .and_then(|n| n.parse::<usize>().ok())
                .and_then(|n| fields.get(n.checked_sub(1)?))
        {
            return Ok(field.clone());
        }
        // What a set-returning function of a select list returned.
        if let (oid::RECORD, ExprKind::Column(id)) = (ty, &value.kind)
            && let Some(fields) = self.records.borrow().get(id).cloned()
            && let Some(index) = fields.iter().position(|(n, _)| n == name)
        {
            return Ok(take(value, index, fields[index].1, pos));
        }
        if ty == oid::RECORD {
            let message = format!("could not identify column \"{name}\" in record data type");
            return Err(error(SqlState::UNDEFINED_COLUMN, message));
        }
        if !type_info::is_composite(ty) {
            let message = format!(
                "column notation .{name} applied to type {}, which is not a composite type",
                type_text(value.ty.oid)
            );
            return Err(error(SqlState::WRONG_OBJECT_TYPE, message));
        }
        let attributes = self.cx.io.attributes(ty)?;
        let numbered = || name.strip_prefix('#')?.parse().ok().filter(|i| *i < attributes.len());
        let found = attributes.iter().position(|a| &*a.name == name).or_else(numbered);
        match found {
            Some(index) => Ok(take(value, index, attributes[index].ty, pos)),
            None => Err(error(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" not found in data type {}", type_text(ty)),
            )),
        }
    }

    /// `(value).*`: each field with its name.
    pub(crate) fn fields_of(&self, value: &Expr, pos: u32) -> Result<Vec<(String, Expr)>> {
        let ty = type_info::base_type(value.ty.oid);
        if type_info::is_composite(ty) {
            let attributes = self.cx.io.attributes(ty)?;
            return Ok(attributes
                .iter()
                .enumerate()
                .map(|(i, a)| (a.name.to_string(), take(value.clone(), i, a.ty, pos)))
                .collect());
        }
        match &value.kind {
            ExprKind::Row(fields, names) => Ok(fields
                .iter()
                .enumerate()
                .map(|(i, f)| {
                    (
                        names.as_ref().map_or_else(|| format!("f{}", i + 1), |n| n[i].to_string()),
                        f.clone(),
                    )
                })
                .collect()),
            ExprKind::Column(id) if self.records.borrow().contains_key(id) => {
                let fields = self.records.borrow()[id].clone();
                let all = fields.iter().enumerate();
                Ok(all
                    .map(|(i, (name, ty))| (name.clone(), take(value.clone(), i, *ty, pos)))
                    .collect())
            }
            _ if ty == oid::RECORD => Err(SqlError::unsupported("expanding a record of unknown columns with .*").at(at(pos))),
            _ => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("type {} is not composite", type_text(value.ty.oid)),
            )
            .at(at(pos))),
        }
    }

    /// An attribute that is assigned to: its place and type.
    pub(crate) fn attribute(&self, ty: PgType, field: &Ident, column: &str) -> Result<(usize, PgType)> {
        let base = type_info::base_type(ty.oid);
        let error = |code, why: String| {
            let message = format!("cannot assign to field \"{}\" of column \"{column}\" because {why}", field.name);
            SqlError::new(code, message).at(at(field.pos))
        };
        if !type_info::is_composite(base) {
            let why = format!("its type {} is not a composite type", type_text(ty.oid));
            return Err(error(SqlState::DATATYPE_MISMATCH, why));
        }
        let attributes = self.cx.io.attributes(base)?;
        let found = attributes.iter().position(|a| *a.name == *field.name);
        found.map(|i| (i, attributes[i].ty)).ok_or_else(|| {
            let why = format!("there is no such column in data type {}", type_text(base));
            error(SqlState::UNDEFINED_COLUMN, why)
        })
    }

    /// The value of `base` after assigning to one of its fields, or to a part of that.
    pub(crate) fn assign_field(
        &self,
        base: Expr,
        field: &Ident,
        rest: &[Indirection],
        value: Expr,
        column: &str,
        scope: &Scope<'_>,
    ) -> Result<Expr> {
        let ty = base.ty;
        let (index, _) = self.attribute(ty, field, column)?;
        let composite = PgType {
            oid: type_info::base_type(ty.oid),
            typmod: -1,
        };
        let attributes = self.cx.io.attributes(composite.oid)?;
        let mut fields: Vec<Expr> = (0..attributes.len())
            .map(|i| take(base.clone(), i, attributes[i].ty, field.pos))
            .collect();
        let old = fields[index].clone();
        fields[index] = self.assign_part(old, rest, value, &field.name, scope)?;
        let row = Expr {
            kind: ExprKind::Row(fields, None),
            ty: composite,
            position: base.position,
        };
        self.assign(row, ty, column)
    }

    /// The row type of a FROM item whose columns are those of a table or view, or of a subquery's composite result; `record` otherwise.
    pub(crate) fn row_type(&self, item: &NsItem) -> PgType {
        let found = item.table.and_then(|oid| {
            let catalog = self.cx.catalog;
            let table = catalog.tables.get(&oid).map(|t| (t.row_type, t.live_columns().count()));
            table.or_else(|| catalog.views.get(&oid).map(|v| (v.row_type, v.columns.len())))
        });
        match found {
            Some((row_type, columns)) if columns == item.columns.len() && type_info::is_composite(row_type) => {
                PgType { oid: row_type, typmod: -1 }
            }
            _ => PgType::RECORD,
        }
    }

    /// An attribute of a composite argument that is called as a function: `name(value)`.
    pub(crate) fn attribute_called(&self, name: &str, args: &[Expr], pos: u32) -> Option<Expr> {
        match args {
            [value] if type_info::is_composite(type_info::base_type(value.ty.oid)) => self.field_of(value.clone(), name, pos).ok(),
            _ => None,
        }
    }
}

/// A field of a value by number; of a row that is written out, the field itself.
fn take(value: Expr, index: usize, ty: PgType, pos: u32) -> Expr {
    let kind = match value.kind {
        ExprKind::Row(mut fields, _) if index < fields.len() => return fields.swap_remove(index),
        _ => ExprKind::Field {
            record: Box::new(value),
            index,
        },
    };
    Expr {
        kind,
        ty,
        position: at(pos),
    }
}
