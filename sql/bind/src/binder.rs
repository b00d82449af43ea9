//! The state of binding one statement.

use crate::access::Ledger;
use crate::context::BindContext;
use crate::ir::*;
use crate::lock_stages;
use crate::scope::Scope;
use crate::view::{Depth, Meanings};
use crate::viewdef::Record;
use crate::walk;
use curia_catalog::{Oid, View};
use curia_parse::{Statement, ast};
use curia_types::{PgType, Result, SqlError, SqlState, oid, type_info};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Parameters that a Bind message can give.
const MAX_PARAMS: usize = 65_535;

/// Names and types of a record's fields.
type RecordFields = Arc<[(String, PgType)]>;

pub(crate) struct Binder<'a> {
    pub cx: &'a BindContext<'a>,
    next_column: Cell<u32>,
    next_cte: Cell<u32>,
    /// Types of parameters; 0 is not known yet.
    params: RefCell<Vec<u32>>,
    tables: RefCell<BTreeSet<Oid>>,
    /// The next query is the statement itself and should give row keys.
    pub wants_row_keys: Cell<bool>,
    /// The next WITH is the statement's own.
    pub outermost: Cell<bool>,
    /// Its common table expressions, when some change rows.
    pub stages: RefCell<Vec<Stage>>,
    /// Functions in SQL whose bodies are being bound, one in the other.
    pub calls: Cell<u32>,
    /// Tables whose row keys the statement gives.
    pub row_keys: RefCell<Vec<Oid>>,
    /// Replace immutable calls on constants by their results (off for expressions that will be shown as text).
    pub fold: bool,
    pub depth: Depth<'a>,
    pub meanings: Meanings,
    /// Fields of the columns that are records of set-returning functions.
    pub records: RefCell<HashMap<ColId, RecordFields>>,
    pub ledger: Ledger,
    /// What a view's query is found to say, where it is to be shown.
    pub record: Option<RefCell<Record>>,
}

/// 1-based position of an AST node.
pub(crate) fn at(pos: u32) -> Option<u32> {
    (pos != 0).then_some(pos)
}

pub(crate) fn bind<'a>(statement: &Statement, depth: Depth<'a>, cx: &'a BindContext<'a>) -> Result<BoundStatement> {
    let binder = Binder::new(cx, depth, true);
    binder.outermost.set(true);
    let bound = match statement {
        Statement::Query(q) => Bound::Query(binder.top_query(q)?),
        Statement::Insert(i) => binder.insert(i, Scope::root())?,
        Statement::Update(u) => binder.update(u, Scope::root())?,
        Statement::Delete(d) => binder.delete(d, Scope::root())?,
        Statement::Merge(m) => binder.merge(m, Scope::root())?,
        Statement::Unsupported { feature } => return Err(SqlError::unsupported(feature)),
        other => return Err(SqlError::internal(format!("{} cannot be bound", other.tag()))),
    };
    binder.finish(bound)
}

pub(crate) fn bind_view<'a>(view: &Arc<View>, depth: Depth<'a>, cx: &'a BindContext<'a>) -> Result<BoundStatement> {
    let binder = Binder::new(cx, depth, true);
    let name = ast::Ident {
        name: view.name.clone(),
        pos: 0,
    };
    let part = binder.view(view, None, &ast::ObjectName { parts: vec![name] })?;
    let columns = part.items.iter().flat_map(|item| &item.columns);
    let output = columns
        .map(|c| OutputColumn {
            name: c.name.clone(),
            id: c.column.id,
            ty: c.column.ty,
            origin: None,
        })
        .collect();
    binder.finish(Bound::Query(Query { rel: part.rel, output }))
}

impl<'a> Binder<'a> {
    pub fn new(cx: &'a BindContext<'a>, depth: Depth<'a>, fold: bool) -> Binder<'a> {
        Binder {
            cx,
            next_column: Cell::new(0),
            next_cte: Cell::new(0),
            params: RefCell::new(cx.params.map(<[u32]>::to_vec).unwrap_or_default()),
            tables: RefCell::default(),
            wants_row_keys: Cell::new(false),
            calls: Cell::new(0),
            row_keys: RefCell::default(),
            outermost: Cell::new(false),
            stages: RefCell::default(),
            fold,
            depth,
            meanings: Meanings::default(),
            records: RefCell::default(),
            ledger: Ledger::new(cx.role.unwrap_or(0)),
            record: None,
        }
    }

    /// A column that shows another one has the same fields, if that is a record whose fields are known.
    pub fn same_record(&self, from: ColId, to: ColId) {
        let mut records = self.records.borrow_mut();
        if let Some(fields) = records.get(&from).cloned() {
            records.insert(to, fields);
        }
    }

    fn finish(self, mut bound: Bound) -> Result<BoundStatement> {
        let depth = self.depth.deepest();
        let params = self.params.take();
        for (i, ty) in params.iter().enumerate() {
            if *ty == 0 || *ty == oid::UNKNOWN {
                return Err(SqlError::new(
                    SqlState::INDETERMINATE_DATATYPE,
                    format!("could not determine data type of parameter ${}", i + 1),
                ));
            }
        }
        let mut stages = self.stages.take();
        stages.iter_mut().for_each(walk::prune_stage);
        walk::prune(&mut bound);
        lock_stages::stage(&mut bound, &mut stages, &|| self.cte_id())?;
        Ok(BoundStatement {
            bound,
            stages,
            params: params.into_iter().map(|oid| PgType { oid, typmod: -1 }).collect(),
            tables: self.tables.into_inner().into_iter().collect(),
            row_keys: self.row_keys.into_inner(),
            accesses: self.ledger.into_entries(),
            catalog_version: self.cx.catalog.version,
            depth,
        })
    }

    pub fn column_id(&self) -> ColId {
        let id = self.next_column.get();
        self.next_column.set(id + 1);
        ColId(id)
    }

    pub fn column(&self, ty: PgType) -> RelColumn {
        RelColumn { id: self.column_id(), ty }
    }

    pub fn cte_id(&self) -> u32 {
        let n = self.next_cte.get();
        self.next_cte.set(n + 1);
        n
    }

    pub fn uses_table(&self, oid: Oid) {
        self.tables.borrow_mut().insert(oid);
    }

    /// A parameter reference.
    pub fn param(&self, number: u32, pos: u32) -> Result<Expr> {
        let missing = || SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter ${number}")).at(at(pos));
        if self.cx.params.is_none() || number == 0 {
            return Err(missing());
        }
        // All above what a Bind message can give share a place: it stays without a type, or without a value.
        let index = (number as usize - 1).min(MAX_PARAMS);
        let mut params = self.params.borrow_mut();
        if params.len() <= index {
            params.resize(index + 1, 0);
        }
        let ty = match params[index] {
            0 => PgType::UNKNOWN,
            oid => PgType { oid, typmod: -1 },
        };
        Ok(Expr {
            kind: ExprKind::Param(index),
            ty,
            position: at(pos),
        })
    }

    /// Gives an undetermined parameter its type.
    pub fn set_param(&self, index: usize, ty: u32, position: Option<u32>) -> Result<()> {
        let mut params = self.params.borrow_mut();
        let known = params[index];
        if known == 0 || known == oid::UNKNOWN {
            params[index] = ty;
        } else if known != ty {
            let name = |t| type_info::format_type(t, -1);
            return Err(SqlError::new(
                SqlState::AMBIGUOUS_PARAMETER,
                format!("inconsistent types deduced for parameter ${}", index + 1),
            )
            .detail(format!("{} versus {}", name(known), name(ty)))
            .at(position));
        }
        Ok(())
    }

    /// A query as a whole statement: columns that are still of unknown type become text.
    pub fn top_query(&self, query: &ast::Query) -> Result<Query> {
        let scope = Scope::root();
        self.wants_row_keys.set(self.cx.row_keys);
        self.query(query, &scope, crate::select::Unknown::ToText)
    }
}
