//! Shorthand for kernel tables, and typed access to arguments.

use curia_types::{ArrayValue, Datum, Interval, Json, Numeric, Result, SqlError};
use std::sync::Arc;

/// A table of kernels by `prosrc`: `"int4and" = kernel;` for one that cannot raise an error, `"int4pl" => kernel;` for one that can.
macro_rules! kernels {
    ($($source:literal $mark:tt $kernel:expr;)*) => {
        pub(crate) static KERNELS: &[$crate::kernels::Binding] = &[
            $($crate::kernels::Binding { source: $source, kernel: $kernel, fallible: stringify!($mark).len() == 2 },)*
        ];
    };
}

/// A pure kernel from a typed closure: `pure!(|a: i32, b: i32| -> Int4 a & b)`, or `pure!(|a: i32| ? expr)` where the body is a
/// `Result<Datum>`.
macro_rules! pure {
    (|$($name:ident : $ty:ty),*| ? $body:expr) => {
        $crate::Kernel::Pure(|args| {
            #[allow(unused_mut)] // a kernel may take no arguments
            let mut at = args.iter();
            $(let $name: $ty = <$ty as $crate::kernels::macros::Argument>::of(at.next())?;)*
            let _ = at;
            $body
        })
    };
    (|$($name:ident : $ty:ty),*| -> $out:ident $body:expr) => {
        $crate::kernels::macros::pure!(|$($name: $ty),*| ? Ok(curia_types::Datum::$out($body)))
    };
}

/// A kernel that reads the context: `contextual!(|cx, a: i64| ? ..)`.
macro_rules! contextual {
    (|$cx:ident $(, $name:ident : $ty:ty)*| ? $body:expr) => {
        $crate::Kernel::Contextual(|$cx, args| {
            #[allow(unused_mut)] // a kernel may take no arguments
            let mut at = args.iter();
            $(let $name: $ty = <$ty as $crate::kernels::macros::Argument>::of(at.next())?;)*
            let _ = at;
            $body
        })
    };
}

pub(crate) use {contextual, kernels, pure};

/// A Rust view of an argument of one declared type.
pub(crate) trait Argument<'a>: Sized {
    fn of(d: Option<&'a Datum>) -> Result<Self>;
}

pub(crate) fn mismatch(d: Option<&Datum>, wanted: &str) -> SqlError {
    SqlError::internal(format!("kernel wanted {wanted} and got {d:?}"))
}

macro_rules! argument {
    ($($ty:ty, $name:literal, $pattern:pat => $value:expr;)*) => {
        $(impl<'a> Argument<'a> for $ty {
            fn of(d: Option<&'a Datum>) -> Result<Self> {
                match d {
                    Some($pattern) => Ok($value),
                    other => Err(mismatch(other, $name)),
                }
            }
        })*
    };
}

argument! {
    bool, "bool", Datum::Bool(v) => *v;
    i16, "int2", Datum::Int2(v) => *v;
    i32, "int4", Datum::Int4(v) => *v;
    i64, "int8", Datum::Int8(v) => *v;
    u32, "oid", Datum::Oid(v) => *v;
    f32, "float4", Datum::Float4(v) => *v;
    f64, "float8", Datum::Float8(v) => *v;
    &'a Numeric, "numeric", Datum::Numeric(v) => v;
    &'a str, "text", Datum::Text(v) => v;
    &'a Arc<str>, "text", Datum::Text(v) => v;
    &'a [u8], "bytea", Datum::Bytea(v) => v;
    Interval, "interval", Datum::Interval(v) => *v;
    &'a Json, "jsonb", Datum::Jsonb(v) => v;
    [u8; 16], "uuid", Datum::Uuid(v) => *v;
    &'a curia_types::Bits, "bits", Datum::Bits(v) => v;
    curia_types::datetime::TimeTz, "timetz", Datum::Timetz(v) => *v;
    &'a curia_types::net::Inet, "inet", Datum::Inet(v) => v;
    [u8; 6], "macaddr", Datum::Mac(v) => *v;
    u64, "an unsigned number", Datum::Word(v) => *v;
    &'a Arc<ArrayValue>, "array", Datum::Array(v) => v;
    Date, "date", Datum::Date(v) => Date(*v);
    Time, "time", Datum::Time(v) => Time(*v);
    Timestamp, "timestamp", Datum::Timestamp(v) | Datum::Timestamptz(v) => Timestamp(*v);
    Timestamptz, "timestamptz", Datum::Timestamptz(v) => Timestamptz(*v);
}

/// A date argument.
#[derive(Clone, Copy)]
pub(crate) struct Date(pub i32);
/// A time argument.
#[derive(Clone, Copy)]
pub(crate) struct Time(pub i64);
/// A timestamp argument, or a timestamptz one where PostgreSQL has one C function for both.
#[derive(Clone, Copy)]
pub(crate) struct Timestamp(pub i64);
/// A timestamptz argument.
#[derive(Clone, Copy)]
pub(crate) struct Timestamptz(pub i64);

impl<'a> Argument<'a> for &'a Datum {
    fn of(d: Option<&'a Datum>) -> Result<Self> {
        d.ok_or_else(|| mismatch(d, "an argument"))
    }
}

/// An argument of a non-strict function, which may be NULL.
impl<'a, T: Argument<'a>> Argument<'a> for Option<T> {
    fn of(d: Option<&'a Datum>) -> Result<Self> {
        match d {
            None | Some(Datum::Null) => Ok(None),
            some => T::of(some).map(Some),
        }
    }
}
