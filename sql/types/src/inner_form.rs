//! Rows as bytes: of what spills to disk, and of records in Arrow. Read only by the process that wrote them, so the form has no version.
//!
//! A value is a tag and its bytes, integers little-endian, strings and lists counted by a `u32`.

use crate::datetime::TimeTz;
use crate::geometry::Geometry;
use crate::net::Inet;
use crate::numeric::{arrow_bytes, from_arrow_bytes};
use crate::{ArrayValue, Bits, Datum, Interval, Json, PgType, RecordValue, Result, SqlError};
use std::sync::Arc;

fn counted(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Appends the values of a row, counted.
pub fn write_row(row: &[Datum], out: &mut Vec<u8>) {
    out.extend_from_slice(&(row.len() as u32).to_le_bytes());
    row.iter().for_each(|d| write(d, out));
}

/// Appends a value.
pub fn write(d: &Datum, out: &mut Vec<u8>) {
    fn tagged(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(tag);
        out.extend_from_slice(bytes);
    }
    match d {
        Datum::Null => out.push(0),
        Datum::Bool(v) => tagged(1, &[u8::from(*v)], out),
        Datum::Int2(v) => tagged(2, &v.to_le_bytes(), out),
        Datum::Int4(v) => tagged(3, &v.to_le_bytes(), out),
        Datum::Int8(v) => tagged(4, &v.to_le_bytes(), out),
        Datum::Oid(v) => tagged(5, &v.to_le_bytes(), out),
        Datum::Float4(v) => tagged(6, &v.to_le_bytes(), out),
        Datum::Float8(v) => tagged(7, &v.to_le_bytes(), out),
        Datum::Numeric(n) => {
            let mut bytes = Vec::with_capacity(24);
            arrow_bytes(n, &mut bytes);
            out.push(8);
            counted(&bytes, out);
        }
        Datum::Text(s) => {
            out.push(9);
            counted(s.as_bytes(), out);
        }
        Datum::Bytea(b) => {
            out.push(10);
            counted(b, out);
        }
        Datum::Date(v) => tagged(11, &v.to_le_bytes(), out),
        Datum::Time(v) => tagged(12, &v.to_le_bytes(), out),
        Datum::Timestamp(v) => tagged(13, &v.to_le_bytes(), out),
        Datum::Timestamptz(v) => tagged(14, &v.to_le_bytes(), out),
        Datum::Interval(i) => {
            tagged(15, &i.months.to_le_bytes(), out);
            out.extend_from_slice(&i.days.to_le_bytes());
            out.extend_from_slice(&i.micros.to_le_bytes());
        }
        Datum::Uuid(u) => tagged(16, u, out),
        Datum::Timetz(t) => {
            tagged(19, &t.micros.to_le_bytes(), out);
            out.extend_from_slice(&t.west.to_le_bytes());
        }
        Datum::Bits(b) => {
            tagged(20, &(b.len() as u32).to_le_bytes(), out);
            counted(b.bytes(), out);
        }
        Datum::Word(v) => tagged(21, &v.to_le_bytes(), out),
        Datum::Inet(a) => {
            out.push(22);
            let mut bytes = Vec::with_capacity(20);
            a.encode(false, &mut bytes);
            counted(&bytes, out);
        }
        Datum::Mac(m) => tagged(23, m, out),
        Datum::Geometry(g) => {
            let ty = g.type_oid();
            tagged(25, &ty.to_le_bytes(), out);
            let mut bytes = Vec::with_capacity(32);
            g.encode(&mut bytes);
            counted(&bytes, out);
        }
        Datum::Jsonb(j) => {
            let mut bytes = Vec::with_capacity(64);
            j.encode(&mut bytes);
            out.push(24);
            counted(&bytes, out);
        }
        Datum::Array(a) => {
            tagged(17, &a.element.to_le_bytes(), out);
            out.extend_from_slice(&(a.dimensions.len() as u32).to_le_bytes());
            for (length, lower) in &a.dimensions {
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(&lower.to_le_bytes());
            }
            write_row(&a.elements, out);
        }
        Datum::Record(fields) => {
            tagged(18, &[u8::from(fields.names.is_some())], out);
            out.extend_from_slice(&(fields.len() as u32).to_le_bytes());
            for name in fields.names.iter().flat_map(|n| n.iter()) {
                counted(name.as_bytes(), out);
            }
            for (ty, value) in fields.iter() {
                out.extend_from_slice(&ty.oid.to_le_bytes());
                out.extend_from_slice(&ty.typmod.to_le_bytes());
                write(value, out);
            }
        }
    }
}

/// Bytes not yet read.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(*head)
    }
    fn count(&mut self) -> Result<usize> {
        Ok(u32::from_le_bytes(self.fixed()?) as usize)
    }
    fn counted(&mut self) -> Result<&[u8]> {
        let n = self.count()?;
        let (head, rest) = self.0.split_at_checked(n).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(head)
    }

    fn text(&mut self) -> Result<&str> {
        std::str::from_utf8(self.counted()?).map_err(|_| damaged())
    }

    /// The next row.
    pub fn row(&mut self) -> Result<Vec<Datum>> {
        let n = self.count()?;
        // A value takes a byte at least: a damaged count allocates no more than there are bytes.
        let mut row = Vec::with_capacity(n.min(self.0.len()));
        for _ in 0..n {
            row.push(self.value()?);
        }
        Ok(row)
    }

    /// The next value.
    pub fn value(&mut self) -> Result<Datum> {
        Ok(match self.fixed::<1>()?[0] {
            0 => Datum::Null,
            1 => Datum::Bool(self.fixed::<1>()?[0] != 0),
            2 => Datum::Int2(i16::from_le_bytes(self.fixed()?)),
            3 => Datum::Int4(i32::from_le_bytes(self.fixed()?)),
            4 => Datum::Int8(i64::from_le_bytes(self.fixed()?)),
            5 => Datum::Oid(u32::from_le_bytes(self.fixed()?)),
            6 => Datum::Float4(f32::from_le_bytes(self.fixed()?)),
            7 => Datum::Float8(f64::from_le_bytes(self.fixed()?)),
            8 => Datum::Numeric(from_arrow_bytes(self.counted()?)?),
            9 => Datum::text(self.text()?),
            10 => Datum::Bytea(Arc::from(self.counted()?)),
            11 => Datum::Date(i32::from_le_bytes(self.fixed()?)),
            12 => Datum::Time(i64::from_le_bytes(self.fixed()?)),
            13 => Datum::Timestamp(i64::from_le_bytes(self.fixed()?)),
            14 => Datum::Timestamptz(i64::from_le_bytes(self.fixed()?)),
            15 => Datum::Interval(Interval {
                months: i32::from_le_bytes(self.fixed()?),
                days: i32::from_le_bytes(self.fixed()?),
                micros: i64::from_le_bytes(self.fixed()?),
            }),
            16 => Datum::Uuid(self.fixed()?),
            17 => {
                let element = u32::from_le_bytes(self.fixed()?);
                let mut dimensions = Vec::new();
                for _ in 0..self.count()? {
                    dimensions.push((i32::from_le_bytes(self.fixed()?), i32::from_le_bytes(self.fixed()?)));
                }
                let elements = self.row()?;
                Datum::Array(Arc::new(ArrayValue {
                    element,
                    dimensions,
                    elements,
                }))
            }
            18 => {
                let named = self.fixed::<1>()?[0] != 0;
                let n = self.count()?;
                let mut names = Vec::new();
                for _ in 0..if named { n } else { 0 } {
                    names.push(Box::from(self.text()?));
                }
                let mut fields = Vec::new();
                for _ in 0..n {
                    let oid = u32::from_le_bytes(self.fixed()?);
                    let typmod = i32::from_le_bytes(self.fixed()?);
                    fields.push((PgType { oid, typmod }, self.value()?));
                }
                let names = named.then(|| Arc::from(names));
                Datum::Record(Arc::new(RecordValue { names, fields }))
            }
            19 => Datum::Timetz(TimeTz {
                micros: i64::from_le_bytes(self.fixed()?),
                west: i32::from_le_bytes(self.fixed()?),
            }),
            20 => {
                let len = u32::from_le_bytes(self.fixed()?) as usize;
                Datum::Bits(Arc::new(Bits::from_bytes(len, self.counted()?)))
            }
            21 => Datum::Word(u64::from_le_bytes(self.fixed()?)),
            22 => Datum::Inet(Inet::decode(self.counted()?).ok_or_else(damaged)?),
            23 => Datum::Mac(self.fixed()?),
            24 => Datum::Jsonb(Json::decode(self.counted()?)?),
            25 => {
                let ty = PgType::with_typmod(u32::from_le_bytes(self.fixed()?), -1);
                let value = Geometry::decode(ty, self.counted()?)?.ok_or_else(damaged)?;
                Datum::Geometry(Arc::new(value))
            }
            _ => return Err(damaged()),
        })
    }
}

fn damaged() -> SqlError {
    SqlError::internal("a row cannot be read back")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Numeric, oid};

    #[test]
    fn a_row_of_every_kind_of_value_comes_back_and_no_shortened_one_does() {
        let text = |s: &str| Datum::Text(Arc::from(s));
        let row: Vec<Datum> = vec![
            Datum::Null,
            Datum::Bool(true),
            Datum::Int2(-2),
            Datum::Int4(i32::MIN),
            Datum::Int8(i64::MAX),
            Datum::Oid(7),
            Datum::Float4(-0.5),
            Datum::Float8(f64::INFINITY),
            Datum::Numeric(Numeric::from_i128(12_300, 4)),
            text("naïve"),
            Datum::Bytea(Arc::from([0u8, 255])),
            Datum::Date(i32::MAX),
            Datum::Time(1),
            Datum::Timestamp(-1),
            Datum::Timestamptz(2),
            Datum::Interval(Interval {
                months: 1,
                days: -2,
                micros: 3,
            }),
            Datum::Uuid([9; 16]),
            Datum::Timetz(TimeTz { micros: 5, west: -3600 }),
            Datum::Bits(Arc::new(Bits::from_bytes(9, &[0xff, 0x80]))),
            Datum::Word(u64::MAX),
            Datum::Inet(Inet::parse("10.0.0.1/8", false).expect("inet")),
            Datum::Mac([1, 2, 3, 4, 5, 6]),
            Datum::Geometry(Arc::new(Geometry::parse(oid::CIRCLE, "<(1,2),3>").expect("circle"))),
            Datum::Array(Arc::new(ArrayValue {
                element: oid::TEXT,
                dimensions: vec![(2, 1)],
                elements: vec![text("a"), Datum::Null],
            })),
            Datum::Jsonb(Json::parse("{\"a\": [1.50, null]}").unwrap()),
            Datum::record(vec![(PgType::BOOL, Datum::Bool(false))]),
            Datum::Record(Arc::new(RecordValue {
                names: Some(Arc::from([Box::from("a")])),
                fields: vec![(PgType::INT4, Datum::Int4(1))],
            })),
        ];
        let mut bytes = Vec::new();
        write_row(&row, &mut bytes);
        assert_eq!(Bytes(&bytes).row().unwrap(), row);
        for n in 0..bytes.len() {
            assert!(Bytes(&bytes[..n]).row().is_err(), "{n} bytes gave a row");
        }
    }
}
