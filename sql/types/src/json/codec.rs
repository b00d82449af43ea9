//! Byte forms of jsonb.
//!
//! **Stored** form (in rows and in Arrow), integers little-endian:
//! ```text
//! u8 1 (version), value
//!
//! value   0 null | 1 false | 2 true
//!         3 u32 length, number: its key, then its display scale (curia-types' Arrow form of numeric)
//!         4 u32 length, string
//!         5 u32 count, values
//!         6 u32 count, members in order: u32 length, key, value
//! ```
//! **Key** (order-preserving, prefix-free; numbers of one value have one key):
//! ```text
//! 01 an empty array that is the whole document
//! 02 null
//! 03 string, 00 as 00 FF, end 00 01
//! 04 number's key
//! 05 bool: 0 | 1
//! 06 u32 big-endian count, values
//! 07 u32 big-endian count, members: string as above, value
//! ```

use super::{Json, MAX_DEPTH};
use crate::numeric::{arrow_bytes, from_arrow_bytes};
use crate::{Numeric, Result, SqlError, SqlState};
use std::sync::Arc;

const VERSION: u8 = 1;

fn corrupt() -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, "invalid stored jsonb")
}

impl Json {
    /// Appends the stored form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        encode(self, out);
    }

    /// Reads the stored form. XX001 on damage.
    pub fn decode(bytes: &[u8]) -> Result<Json> {
        let rest = bytes.strip_prefix(&[VERSION]).ok_or_else(corrupt)?;
        let mut input = Input(rest);
        let value = input.value(0)?;
        if input.0.is_empty() { Ok(value) } else { Err(corrupt()) }
    }

    /// Appends the order-preserving key.
    pub fn write_key(&self, out: &mut Vec<u8>) {
        match self {
            Json::Array(a) if a.is_empty() => out.push(1),
            _ => write_key(self, out),
        }
    }

    /// Reads a key from the front of `bytes`: a value that is equal, and the key's length. XX001 on damage.
    pub fn from_key(bytes: &[u8]) -> Result<(Json, usize)> {
        let mut input = Input(bytes);
        let value = match bytes.first() {
            Some(1) => {
                input.bytes(1)?;
                Json::array(Vec::new())?
            }
            _ => input.keyed(0)?,
        };
        Ok((value, bytes.len() - input.0.len()))
    }
}

fn counted(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn encode(value: &Json, out: &mut Vec<u8>) {
    match value {
        Json::Null => out.push(0),
        Json::Bool(v) => out.push(1 + u8::from(*v)),
        Json::Number(n) => {
            out.push(3);
            let at = out.len();
            out.extend_from_slice(&[0; 4]);
            arrow_bytes(n, out);
            let length = (out.len() - at - 4) as u32;
            out[at..at + 4].copy_from_slice(&length.to_le_bytes());
        }
        Json::String(s) => {
            out.push(4);
            counted(s.as_bytes(), out);
        }
        Json::Array(a) => {
            out.push(5);
            out.extend_from_slice(&(a.len() as u32).to_le_bytes());
            a.iter().for_each(|v| encode(v, out));
        }
        Json::Object(o) => {
            out.push(6);
            out.extend_from_slice(&(o.len() as u32).to_le_bytes());
            for (k, v) in o.iter() {
                counted(k.as_bytes(), out);
                encode(v, out);
            }
        }
    }
}

fn escaped(s: &str, out: &mut Vec<u8>) {
    // A string holds no NUL, but the form would bear it.
    for b in s.bytes() {
        out.push(b);
        if b == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 1]);
}

fn write_key(value: &Json, out: &mut Vec<u8>) {
    match value {
        Json::Null => out.push(2),
        Json::String(s) => {
            out.push(3);
            escaped(s, out);
        }
        Json::Number(n) => {
            out.push(4);
            n.write_key(out);
        }
        Json::Bool(v) => out.extend_from_slice(&[5, u8::from(*v)]),
        Json::Array(a) => {
            out.push(6);
            out.extend_from_slice(&(a.len() as u32).to_be_bytes());
            a.iter().for_each(|v| write_key(v, out));
        }
        Json::Object(o) => {
            out.push(7);
            out.extend_from_slice(&(o.len() as u32).to_be_bytes());
            for (k, v) in o.iter() {
                escaped(k, out);
                write_key(v, out);
            }
        }
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n).ok_or_else(corrupt)?;
        self.0 = rest;
        Ok(head)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk().ok_or_else(corrupt)?;
        self.0 = rest;
        Ok(*head)
    }

    fn counted(&mut self) -> Result<&'a [u8]> {
        let n = u32::from_le_bytes(self.fixed()?);
        self.bytes(n as usize)
    }

    fn text(&mut self) -> Result<Arc<str>> {
        std::str::from_utf8(self.counted()?).map(Arc::from).map_err(|_| corrupt())
    }

    fn list<T>(&mut self, count: u32, depth: u16, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        if depth >= MAX_DEPTH {
            return Err(corrupt());
        }
        // Each takes a byte at least: a damaged count allocates no more than there are bytes.
        let mut out = Vec::with_capacity((count as usize).min(self.0.len()));
        for _ in 0..count {
            out.push(item(self)?);
        }
        Ok(out)
    }

    fn value(&mut self, depth: u16) -> Result<Json> {
        match self.fixed::<1>()?[0] {
            0 => Ok(Json::Null),
            1 => Ok(Json::Bool(false)),
            2 => Ok(Json::Bool(true)),
            3 => Ok(Json::Number(from_arrow_bytes(self.counted()?)?)),
            4 => Ok(Json::String(self.text()?)),
            5 => {
                let count = u32::from_le_bytes(self.fixed()?);
                Json::array(self.list(count, depth, |i| i.value(depth + 1))?)
            }
            6 => {
                let count = u32::from_le_bytes(self.fixed()?);
                let pairs = self.list(count, depth, |i| Ok((i.text()?, i.value(depth + 1)?)))?;
                // Stored in order; damaged bytes must not make an object that is not.
                Json::object(pairs)
            }
            _ => Err(corrupt()),
        }
    }

    fn unescape(&mut self) -> Result<Arc<str>> {
        let mut out = Vec::new();
        loop {
            match self.fixed::<1>()?[0] {
                0 => match self.fixed::<1>()?[0] {
                    0xff => out.push(0),
                    1 => break,
                    _ => return Err(corrupt()),
                },
                b => out.push(b),
            }
        }
        String::from_utf8(out).map(Arc::from).map_err(|_| corrupt())
    }

    fn keyed(&mut self, depth: u16) -> Result<Json> {
        match self.fixed::<1>()?[0] {
            2 => Ok(Json::Null),
            3 => Ok(Json::String(self.unescape()?)),
            4 => {
                let (n, used) = Numeric::from_key(self.0)?;
                self.bytes(used)?;
                Ok(Json::Number(n))
            }
            5 => Ok(Json::Bool(self.fixed::<1>()?[0] != 0)),
            6 => {
                let count = u32::from_be_bytes(self.fixed()?);
                Json::array(self.list(count, depth, |i| i.keyed(depth + 1))?)
            }
            7 => {
                let count = u32::from_be_bytes(self.fixed()?);
                Json::object(self.list(count, depth, |i| Ok((i.unescape()?, i.keyed(depth + 1)?)))?)
            }
            _ => Err(corrupt()),
        }
    }
}
