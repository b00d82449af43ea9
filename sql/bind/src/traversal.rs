//! SEARCH and CYCLE of a recursive WITH: columns that the recursion carries along (`rewriteSearchCycle.c`).
//!
//! ```text
//!   SEARCH DEPTH FIRST BY a SET s      s = ARRAY[ROW(a)], then s || ROW(a)
//!   SEARCH BREADTH FIRST BY a SET s    s = ROW(0, a), then ROW(depth, a)
//!   CYCLE a SET m USING p              m = false, p = ARRAY[ROW(a)]; then m = (ROW(a) = ANY (p)), p || ROW(a), from rows with m = false only
//! ```
//!
//! The recursive term's SELECT is given the columns of the row that it goes on from, behind its own; what they become stands above it.

use crate::binder::{Binder, at};
use crate::coerce::type_text;
use crate::ir::*;
use crate::operator::operator;
use crate::scope::Scope;
use curia_parse::ast::{self, SelectItem, SetExpr, TableRef};
use curia_types::{Datum, PgType, Result, SqlError, SqlState, oid};

/// The depth of a breadth-first search, which has no name.
const DEPTH: &str = "*DEPTH*";

const RECORDS: PgType = PgType {
    oid: oid::RECORD_ARRAY,
    typmod: -1,
};

/// What the recursion carries along.
pub(crate) struct Traversal {
    search: Option<Order>,
    cycle: Option<Mark>,
}

struct Order {
    breadth: bool,
    /// Positions of the columns.
    by: Vec<usize>,
    sequence: String,
}

struct Mark {
    columns: Vec<usize>,
    mark: String,
    /// In a cycle, and not.
    value: Expr,
    default: Expr,
    /// `<>` of the mark's type.
    differs: u32,
    path: String,
}

fn bad(state: SqlState, message: String, pos: u32) -> SqlError {
    SqlError::new(state, message).at(at(pos))
}

fn positions(what: &str, columns: &[ast::Ident], names: &[String], pos: u32) -> Result<Vec<usize>> {
    let mut found = Vec::with_capacity(columns.len());
    for column in columns {
        let i = names.iter().position(|n| *n == column.name).ok_or_else(|| {
            let message = format!("{what} column \"{}\" not in WITH query column list", column.name);
            bad(SqlState::SYNTAX_ERROR, message, pos)
        })?;
        if found.contains(&i) {
            let message = format!("{what} column \"{}\" specified more than once", column.name);
            return Err(bad(SqlState::DUPLICATE_COLUMN, message, pos));
        }
        found.push(i);
    }
    Ok(found)
}

impl Binder<'_> {
    /// Checks the SEARCH and CYCLE of a definition whose columns have these names.
    pub fn traversal(&self, cte: &ast::Cte, names: &[String]) -> Result<Option<Traversal>> {
        if cte.search.is_none() && cte.cycle.is_none() {
            return Ok(None);
        }
        let unused = |what: &str, name: &ast::Ident, pos: u32| match names.contains(&name.name) {
            false => Ok(()),
            true => {
                let message = format!("{what} column name \"{}\" already used in WITH query column list", name.name);
                Err(bad(SqlState::SYNTAX_ERROR, message, pos))
            }
        };
        let search = match &cte.search {
            None => None,
            Some(s) => {
                let by = positions("search", &s.by, names, s.pos)?;
                unused("search sequence", &s.sequence, s.pos)?;
                Some(Order {
                    breadth: s.breadth,
                    by,
                    sequence: s.sequence.name.clone(),
                })
            }
        };
        let cycle = match &cte.cycle {
            None => None,
            Some(c) => {
                let columns = positions("cycle", &c.columns, names, c.pos)?;
                unused("cycle mark", &c.mark, c.pos)?;
                unused("cycle path", &c.path, c.pos)?;
                let same = |a: &str, b: &str| bad(SqlState::SYNTAX_ERROR, format!("{a} and {b} are the same"), c.pos);
                if c.mark.name == c.path.name {
                    return Err(same("cycle mark column name", "cycle path column name"));
                }
                if let Some(s) = &search {
                    if s.sequence == c.mark.name {
                        return Err(same("search sequence column name", "cycle mark column name"));
                    }
                    if s.sequence == c.path.name {
                        return Err(same("search sequence column name", "cycle path column name"));
                    }
                }
                Some(self.mark(c, columns)?)
            }
        };
        Ok(Some(Traversal { search, cycle }))
    }

    fn mark(&self, c: &ast::Cycle, columns: Vec<usize>) -> Result<Mark> {
        let (value, default) = match &c.values {
            Some(values) => {
                let scope = Scope::root();
                let values = vec![self.expr(&values.0, &scope)?, self.expr(&values.1, &scope)?];
                let (values, _) = self.unify(values, "CYCLE")?;
                let mut values = values.into_iter();
                match (values.next(), values.next()) {
                    (Some(value), Some(default)) => (value, default),
                    _ => return Err(SqlError::internal("two values became fewer")),
                }
            }
            None => {
                let constant = |b| self.constant(Datum::Bool(b), PgType::BOOL, None);
                (constant(true), constant(false))
            }
        };
        let ty = value.ty.oid;
        let (differs, _) = self.find_operator(&operator("<>"), ty, ty, 0).map_err(|_| {
            let message = format!("could not identify an equality operator for type {}", type_text(ty));
            SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
        })?;
        Ok(Mark {
            columns,
            mark: c.mark.name.clone(),
            value,
            default,
            differs: differs.function,
            path: c.path.name.clone(),
        })
    }
}

impl Traversal {
    /// The columns behind the definition's own: names and types. That of the depth cannot be named.
    pub fn columns(&self) -> Vec<(String, PgType)> {
        let mut out = Vec::new();
        if let Some(s) = &self.search {
            out.push((s.sequence.clone(), if s.breadth { PgType::RECORD } else { RECORDS }));
        }
        if let Some(c) = &self.cycle {
            out.push((c.mark.clone(), c.value.ty));
            out.push((c.path.clone(), RECORDS));
        }
        if self.unnamed() > 0 {
            out.push((DEPTH.to_owned(), PgType::INT8));
        }
        out
    }

    /// How many of the last columns have no name.
    pub fn unnamed(&self) -> usize {
        usize::from(self.search.as_ref().is_some_and(|s| s.breadth))
    }

    /// The recursive term with the columns of the row that it goes on from behind its own.
    pub fn with_own_columns(&self, name: &str, term: &SetExpr) -> Result<SetExpr> {
        let unsupported = |message: String| Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        let SetExpr::Select(select) = term else {
            let message = "with a SEARCH or CYCLE clause, the right side of the UNION must be a SELECT";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        };
        let Some(alias) = select.from.iter().find_map(|item| reference(item, name)) else {
            return unsupported(format!(
                "with a SEARCH or CYCLE clause, the recursive reference to WITH query \"{name}\" must be at the top level of its right-hand SELECT"
            ));
        };
        let mut select = select.clone();
        let ident = |name: &str| ast::Ident {
            name: name.to_owned(),
            pos: 0,
        };
        select.items.extend(self.columns().iter().map(|(column, _)| SelectItem {
            expr: ast::Expr::new(ast::ExprKind::Column(vec![ident(&alias), ident(column)]), 0),
            alias: None,
        }));
        Ok(SetExpr::Select(select))
    }

    /// The non-recursive term with its columns added.
    pub fn start(&self, binder: &Binder<'_>, base: Query) -> Result<Query> {
        let own: Vec<Expr> = base.output.iter().map(|o| column(o.id, o.ty)).collect();
        let mut added = Vec::new();
        if let Some(s) = &self.search {
            let row = pick(&own, &s.by);
            added.push(if s.breadth {
                let depth = binder.constant(Datum::Int8(0), PgType::INT8, None);
                record(std::iter::once(depth).chain(row).collect())
            } else {
                records(record(row))
            });
        }
        if let Some(c) = &self.cycle {
            added.push(c.default.clone());
            added.push(records(record(pick(&own, &c.columns))));
        }
        if self.unnamed() > 0 {
            added.push(binder.constant(Datum::Int8(0), PgType::INT8, None));
        }
        Ok(self.project(binder, base.rel, base.output, own, added))
    }

    /// The recursive term, converted to `targets`; `carried` are the columns of the row that each row goes on from.
    pub fn step(&self, binder: &Binder<'_>, step: Query, carried: Vec<OutputColumn>, targets: &[PgType]) -> Result<Query> {
        let mut own = Vec::with_capacity(step.output.len());
        for (o, ty) in step.output.iter().zip(targets) {
            own.push(binder.implicit(column(o.id, o.ty), ty.oid)?);
        }
        let mut carried = carried.into_iter().map(|c| column(c.id, c.ty));
        let mut next = || carried.next().ok_or_else(|| SqlError::internal("a carried column is missing"));
        let append = |list: Expr, row: Expr| binder.named_call("array_append", vec![list, row], 0);
        let mut rel = step.rel;
        let mut added = Vec::new();
        let mut sequence = match &self.search {
            Some(_) => Some(next()?),
            None => None,
        };
        let mut marked = Vec::new();
        if let Some(c) = &self.cycle {
            let (mark, path) = (next()?, next()?);
            let row = record(pick(&own, &c.columns));
            let (equal, _) = binder.find_operator(&operator("="), oid::RECORD, oid::RECORD, 0)?;
            let seen = boolean(ExprKind::ArrayCompare {
                arg: Box::new(row.clone()),
                array: Box::new(path.clone()),
                function: equal.function,
                all: false,
            });
            marked.push(Expr {
                kind: ExprKind::Case {
                    branches: vec![(seen, c.value.clone())],
                    otherwise: Some(Box::new(c.default.clone())),
                },
                ty: c.value.ty,
                position: None,
            });
            marked.push(append(path, row)?);
            rel = Rel::Filter {
                input: Box::new(rel),
                predicate: boolean(ExprKind::Call {
                    function: c.differs,
                    args: vec![mark, c.value.clone()],
                }),
            };
        }
        if let (Some(s), Some(sequence)) = (&self.search, sequence.take()) {
            let row = pick(&own, &s.by);
            if s.breadth {
                let one = binder.constant(Datum::Int8(1), PgType::INT8, None);
                let depth = binder.binary(&operator("+"), next()?, one, 0)?;
                added.push(record(std::iter::once(depth.clone()).chain(row).collect()));
                added.append(&mut marked);
                added.push(depth);
            } else {
                added.push(append(sequence, record(row))?);
            }
        }
        added.append(&mut marked);
        Ok(self.project(binder, rel, step.output, own, added))
    }

    fn project(&self, binder: &Binder<'_>, rel: Rel, output: Vec<OutputColumn>, own: Vec<Expr>, added: Vec<Expr>) -> Query {
        let names = output
            .into_iter()
            .map(|o| o.name)
            .chain(self.columns().into_iter().map(|(name, _)| name));
        let mut columns = Vec::new();
        let mut output = Vec::new();
        for (name, value) in names.zip(own.into_iter().chain(added)) {
            let column = binder.column(value.ty);
            output.push(OutputColumn {
                name,
                id: column.id,
                ty: column.ty,
                origin: None,
            });
            columns.push((column, value));
        }
        let rel = Rel::Project {
            input: Box::new(rel),
            columns,
        };
        Query { rel, output }
    }
}

/// The name by which a FROM item's columns of the definition are found.
fn reference(item: &TableRef, name: &str) -> Option<String> {
    match item {
        TableRef::Table { name: table, alias, .. } if table.parts.len() == 1 && table.name() == name => {
            Some(alias.as_ref().map_or_else(|| name.to_owned(), |a| a.name.name.clone()))
        }
        TableRef::Join(join) => reference(&join.left, name).or_else(|| reference(&join.right, name)),
        _ => None,
    }
}

fn column(id: ColId, ty: PgType) -> Expr {
    Expr {
        kind: ExprKind::Column(id),
        ty,
        position: None,
    }
}

fn boolean(kind: ExprKind) -> Expr {
    Expr {
        kind,
        ty: PgType::BOOL,
        position: None,
    }
}

fn pick(own: &[Expr], positions: &[usize]) -> Vec<Expr> {
    positions.iter().map(|i| own[*i].clone()).collect()
}

fn record(fields: Vec<Expr>) -> Expr {
    Expr {
        kind: ExprKind::Row(fields, None),
        ty: PgType::RECORD,
        position: None,
    }
}

fn records(row: Expr) -> Expr {
    Expr {
        kind: ExprKind::Array(vec![row]),
        ty: RECORDS,
        position: None,
    }
}
