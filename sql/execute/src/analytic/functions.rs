//! The evaluator as a scalar function, and order-preserving keys of values.

use super::external;
use crate::eval::{Env, Program};
use crate::exec::Exec;
use arrow::array::BinaryBuilder;
use arrow::datatypes::DataType;
use curia_types::arrow_map::{ColumnBuilder, ColumnReader, data_type};
use curia_types::{Datum, Interval, PgType, oid, type_info};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A compiled expression over its arguments, run row by row.
pub(super) struct Evaluate {
    id: u64,
    name: String,
    program: Program,
    exec: Arc<Exec>,
    /// Types of the arguments: the columns that the program sees.
    types: Vec<PgType>,
    ret: PgType,
    signature: Signature,
}

impl Evaluate {
    pub fn new(program: Program, exec: Arc<Exec>, types: Vec<PgType>, ret: PgType, volatile: bool) -> Evaluate {
        let volatility = if volatile { Volatility::Volatile } else { Volatility::Immutable };
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Evaluate {
            id,
            name: format!("evaluate{id}"),
            program,
            exec,
            signature: signature(types.len(), volatility),
            types,
            ret,
        }
    }
}

fn signature(arguments: usize, volatility: Volatility) -> Signature {
    if arguments == 0 {
        Signature::nullary(volatility)
    } else {
        Signature::any(arguments, volatility)
    }
}

impl fmt::Debug for Evaluate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
impl PartialEq for Evaluate {
    fn eq(&self, other: &Evaluate) -> bool {
        self.id == other.id
    }
}
impl Eq for Evaluate {}
impl Hash for Evaluate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl ScalarUDFImpl for Evaluate {
    fn name(&self) -> &str {
        &self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(data_type(self.ret))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = args.args.iter().map(|a| a.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        let readers = self
            .types
            .iter()
            .zip(&arrays)
            .map(|(t, a)| ColumnReader::new(*t, &**a).map_err(external))
            .collect::<Result<Vec<_>>>()?;
        let env = Env {
            exec: &self.exec,
            frame: &[],
        };
        let mut builder = ColumnBuilder::new(self.ret, args.number_rows);
        let mut row: Vec<Datum> = Vec::with_capacity(readers.len());
        self.exec.check_cancel().map_err(external)?;
        for i in 0..args.number_rows {
            row.clear();
            for r in &readers {
                row.push(r.get(i).map_err(external)?);
            }
            builder.append(&self.program.eval(env, &row).map_err(external)?).map_err(external)?;
        }
        Ok(ColumnarValue::Array(builder.finish()))
    }
}

/// Whether Arrow's own order and equality of a type are PostgreSQL's.
pub(super) fn plainly_ordered(ty: PgType) -> bool {
    use oid::*;
    matches!(
        type_info::physical(ty.oid),
        BOOL | ANYENUM
            | INT2
            | INT4
            | INT8
            | OID
            | REGCLASS
            | REGTYPE
            | REGPROC
            | TEXT
            | VARCHAR
            | NAME
            | CHAR
            | BYTEA
            | DATE
            | TIME
            | TIMESTAMP
            | TIMESTAMPTZ
            | UUID
    )
}

/// Whether [`OrderKey`] knows the type.
pub(super) fn has_key(ty: PgType) -> bool {
    matches!(
        type_info::base_type(ty.oid),
        oid::NUMERIC | oid::INTERVAL | oid::FLOAT4 | oid::FLOAT8 | oid::BPCHAR | oid::JSONB
    )
}

/// Bytes whose order and equality are those of the value's type.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OrderKey {
    ty: PgType,
    signature: Signature,
}

impl OrderKey {
    pub fn new(ty: PgType) -> OrderKey {
        OrderKey {
            ty: PgType {
                oid: type_info::base_type(ty.oid),
                typmod: -1,
            },
            signature: signature(1, Volatility::Immutable),
        }
    }
}

fn write(d: &Datum, out: &mut Vec<u8>) {
    let float = |v: f64, out: &mut Vec<u8>| {
        let v = if v == 0.0 {
            0.0
        } else if v.is_nan() {
            f64::NAN
        } else {
            v
        };
        let bits = v.to_bits();
        // Positive floats order as their bits with the sign set, negative ones as the complement.
        let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
        out.extend_from_slice(&ordered.to_be_bytes());
    };
    match d {
        Datum::Numeric(n) => n.write_key(out),
        Datum::Float4(v) => float(f64::from(*v), out),
        Datum::Float8(v) => float(*v, out),
        Datum::Interval(Interval { months, days, micros }) => {
            let span = (i128::from(*months) * 30 + i128::from(*days)) * 86_400_000_000 + i128::from(*micros);
            out.extend_from_slice(&((span as u128) ^ (1 << 127)).to_be_bytes());
        }
        Datum::Jsonb(j) => j.write_key(out),
        Datum::Text(s) => out.extend_from_slice(s.trim_end_matches(' ').as_bytes()),
        _ => {}
    }
}

impl ScalarUDFImpl for OrderKey {
    fn name(&self) -> &str {
        "order_key"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        let reader = ColumnReader::new(self.ty, &*array).map_err(external)?;
        let mut builder = BinaryBuilder::with_capacity(args.number_rows, args.number_rows * 12);
        let mut key = Vec::new();
        for i in 0..args.number_rows {
            match reader.get(i).map_err(external)? {
                Datum::Null => builder.append_null(),
                d => {
                    key.clear();
                    write(&d, &mut key);
                    builder.append_value(&key);
                }
            }
        }
        Ok(ColumnarValue::Array(Arc::new(builder.finish())))
    }
}
