//! TABLESAMPLE: each row by itself comes with the wanted probability, under BERNOULLI and SYSTEM alike, as rows lie in no blocks.
//!
//! With REPEATABLE a row comes when the digest of its key and the seed is below the threshold, so that one seed gives the same rows as long
//! as they have the same keys.

use crate::binder::{Binder, at};
use crate::from::Part;
use crate::ir::*;
use crate::operator::operator;
use crate::scope::{Clause, Scope};
use curia_parse::ast;
use curia_types::{Datum, PgType, Result, SqlError, SqlState, oid};
use std::sync::Arc;

/// 2202H
const INVALID_ARGUMENT: SqlState = SqlState::new("2202H");
/// 2202G
const INVALID_REPEAT: SqlState = SqlState::new("2202G");

impl Binder<'_> {
    /// A sample of a table's rows.
    pub fn sampled(&self, part: Part, sample: &ast::Sample, name: &ast::ObjectName, scope: &Scope<'_>) -> Result<Part> {
        let refuse = |state, message: String, pos| Err(SqlError::new(state, message).at(at(pos)));
        if !matches!(part.rel, Rel::Scan(_) | Rel::System { .. }) {
            let message = "TABLESAMPLE clause can only be applied to tables and materialized views".to_owned();
            return refuse(SqlState::FEATURE_NOT_SUPPORTED, message, name.pos());
        }
        let method = sample.method.name();
        if sample.method.schema().is_some_and(|s| s != "pg_catalog") || !matches!(method, "bernoulli" | "system") {
            let message = format!("tablesample method {} does not exist", sample.method);
            return refuse(SqlState::UNDEFINED_OBJECT, message, sample.pos);
        }
        let [percent] = sample.args.as_slice() else {
            let message = format!("tablesample method {method} requires 1 argument, not {}", sample.args.len());
            return refuse(INVALID_ARGUMENT, message, sample.pos);
        };
        let constant = |e: &ast::Expr, ty: PgType, what: &str, state| -> Result<f64> {
            let bound = self.expr_in(e, scope, Clause::From)?;
            let bound = self.implicit(bound, ty.oid)?;
            match bound.kind {
                ExprKind::Const(Datum::Float4(v)) => Ok(f64::from(v)),
                ExprKind::Const(Datum::Float8(v)) => Ok(v),
                ExprKind::Const(Datum::Null) => Err(SqlError::new(state, format!("TABLESAMPLE {what} cannot be null"))),
                _ => Err(SqlError::unsupported("TABLESAMPLE with a parameter that is no constant").at(at(e.pos))),
            }
        };
        let float4 = PgType {
            oid: oid::FLOAT4,
            typmod: -1,
        };
        let percent = constant(percent, float4, "parameter", INVALID_ARGUMENT)?;
        let seed = match &sample.repeatable {
            None => None,
            Some(seed) => Some(constant(seed, PgType::FLOAT8, "REPEATABLE parameter", INVALID_REPEAT)?),
        };
        if !(0.0..=100.0).contains(&percent) {
            return refuse(INVALID_ARGUMENT, "sample percentage must be between 0 and 100".to_owned(), 0);
        }
        let mut rel = part.rel;
        let predicate = match (seed, &mut rel) {
            (Some(seed), Rel::Scan(scan)) if percent < 100.0 => {
                let id = *scan.row_key.get_or_insert_with(|| self.column_id());
                let key = Expr {
                    kind: ExprKind::Column(id),
                    ty: PgType::BYTEA,
                    position: None,
                };
                let seed = self.constant(Datum::Bytea(seed.to_be_bytes().to_vec().into()), PgType::BYTEA, None);
                let salted = self.binary(&operator("||"), key, seed, 0)?;
                // The digest's first 64 bits in hexadecimal, below the same share of all that there are.
                let threshold = format!("{:016x}", (percent / 100.0 * 2f64.powi(64)) as u64);
                let threshold = self.constant(Datum::Text(Arc::from(threshold.as_str())), PgType::TEXT, None);
                self.binary(&operator("<"), self.named_call("md5", vec![salted], 0)?, threshold, 0)?
            }
            _ => {
                let share = self.constant(Datum::Float8(percent / 100.0), PgType::FLOAT8, None);
                self.binary(&operator("<"), self.named_call("random", Vec::new(), 0)?, share, 0)?
            }
        };
        Ok(Part {
            rel: Rel::Filter {
                input: Box::new(rel),
                predicate,
            },
            ..part
        })
    }
}
