//! Subqueries in expressions.

use crate::binder::{Binder, at};
use crate::ir::*;
use crate::operator::operator;
use crate::resolve::concretize;
use crate::scope::Scope;
use crate::select::Unknown;
use curia_parse::ast;
use curia_types::{PgType, Result, SqlError, SqlState, oid, type_info};

impl Binder<'_> {
    /// Binds a query inside an expression, and the columns around it that it refers to.
    fn inner_query(&self, query: &ast::Query, scope: &Scope<'_>, unknown: Unknown) -> Result<(Query, Vec<ColId>)> {
        self.refuse_in_definition(scope.clause.get(), "subquery", query.pos)?;
        let mut inner = Scope::inside(scope);
        let bound = self.query_scoped(query, &mut inner, unknown)?;
        Ok((bound, inner.outer.into_inner()))
    }

    fn subquery(&self, kind: SubqueryKind, query: Query, outer: Vec<ColId>, ty: PgType, pos: u32) -> Expr {
        // The value is that of the relation's first column: columns that only order the rows stand behind it.
        Expr {
            kind: ExprKind::Subquery {
                kind,
                query: Box::new(query.rel),
                outer,
            },
            ty,
            position: at(pos),
        }
    }

    fn one_column(&self, query: &Query, pos: u32) -> Result<()> {
        match query.output.len() {
            1 => Ok(()),
            0 => Err(SqlError::new(SqlState::SYNTAX_ERROR, "subquery must return a column").at(at(pos))),
            _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, "subquery must return only one column").at(at(pos))),
        }
    }

    pub fn scalar_query(&self, query: &ast::Query, scope: &Scope<'_>, pos: u32) -> Result<Expr> {
        let (query, outer) = self.inner_query(query, scope, Unknown::ToText)?;
        self.one_column(&query, pos)?;
        let ty = query.output[0].ty;
        Ok(self.subquery(SubqueryKind::Scalar, query, outer, ty, pos))
    }

    pub fn exists_query(&self, query: &ast::Query, scope: &Scope<'_>, pos: u32) -> Result<Expr> {
        let (query, outer) = self.inner_query(query, scope, Unknown::ToText)?;
        Ok(self.subquery(SubqueryKind::Exists, query, outer, PgType::BOOL, pos))
    }

    pub fn array_query(&self, query: &ast::Query, scope: &Scope<'_>, pos: u32) -> Result<Expr> {
        let (query, outer) = self.inner_query(query, scope, Unknown::ToText)?;
        self.one_column(&query, pos)?;
        let element = query.output[0].ty.oid;
        let array = if type_info::element_of(element).is_some() {
            Some(element)
        } else {
            type_info::array_of(element)
        };
        let array = array.ok_or_else(|| {
            let shown = type_info::format_type(element, -1);
            SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("could not find array type for data type {shown}"),
            )
            .at(at(pos))
        })?;
        Ok(self.subquery(SubqueryKind::Array, query, outer, PgType { oid: array, typmod: -1 }, pos))
    }

    /// `x op ANY|ALL (SELECT ..)`; `x IN (SELECT ..)` is `= ANY`.
    pub fn quantified_query(
        &self,
        arg: &ast::Expr,
        op: &ast::Operator,
        all: bool,
        query: &ast::Query,
        scope: &Scope<'_>,
        pos: u32,
    ) -> Result<Expr> {
        let left = self.expr(arg, scope)?;
        let (query, outer) = self.inner_query(query, scope, Unknown::ToText)?;
        if let ExprKind::Row(fields, _) = &left.kind
            && (fields.len() != 1 || query.output.len() != 1)
        {
            return self.row_in_query(fields, op, all, query, outer, pos);
        }
        if query.output.len() > 1 {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "subquery has too many columns").at(at(pos)));
        }
        self.one_column(&query, pos)?;
        let output = query.output[0].clone();
        let given = [left.ty.oid, output.ty.oid];
        let (found, mut declared) = self.find_operator(op, given[0], given[1], pos)?;
        let ret = concretize(&mut declared, &given, found.result).map_err(|e| e.at(at(pos)))?;
        if ret != oid::BOOL {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                "operator returns a value that is not boolean in subquery comparison",
            )
            .at(at(pos)));
        }
        let left = self.implicit(left, declared[0])?;
        let query = self.convert_outputs(
            query,
            &[PgType {
                oid: declared[1],
                typmod: -1,
            }],
        )?;
        let kind = SubqueryKind::Compare {
            arg: Box::new(left),
            function: found.function,
            all,
        };
        Ok(self.subquery(kind, query, outer, PgType::BOOL, pos))
    }

    /// `(a, b) IN (SELECT x, y ..)`: a row of the subquery equals when all its columns do. The comparison moves into the subquery, which
    /// then answers whether any row's comparison is true, false or null.
    fn row_in_query(&self, fields: &[Expr], op: &ast::Operator, all: bool, query: Query, mut outer: Vec<ColId>, pos: u32) -> Result<Expr> {
        if fields.len() < query.output.len() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "subquery has too many columns").at(at(pos)));
        }
        if fields.len() > query.output.len() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "subquery has too few columns").at(at(pos)));
        }
        if !matches!(&*op.name, "=" | "<>") {
            return Err(SqlError::unsupported(format!("row {} ANY or ALL of a subquery", op.name)).at(at(pos)));
        }
        let columns = query
            .output
            .iter()
            .map(|c| Expr {
                kind: ExprKind::Column(c.id),
                ty: c.ty,
                position: None,
            })
            .collect();
        let row = |kind| Expr {
            kind,
            ty: PgType::RECORD,
            position: at(pos),
        };
        let compare = self.binary(
            op,
            row(ExprKind::Row(fields.to_vec(), None)),
            row(ExprKind::Row(columns, None)),
            pos,
        )?;
        for f in fields {
            crate::walk::columns_of(f, &mut |id| {
                if !outer.contains(&id) {
                    outer.push(id);
                }
            });
        }
        let result = self.column(PgType::BOOL);
        let id = result.id;
        let rel = Rel::Project {
            input: Box::new(query.rel),
            columns: vec![(result, compare)],
        };
        let output = vec![OutputColumn {
            name: "?column?".to_owned(),
            id,
            ty: PgType::BOOL,
            origin: None,
        }];
        let (found, _) = self.find_operator(&operator("="), oid::BOOL, oid::BOOL, pos)?;
        let yes = self.constant(curia_types::Datum::Bool(true), PgType::BOOL, None);
        let kind = SubqueryKind::Compare {
            arg: Box::new(yes),
            function: found.function,
            all,
        };
        Ok(self.subquery(kind, Query { rel, output }, outer, PgType::BOOL, pos))
    }
}
