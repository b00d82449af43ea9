//! A row with some of its columns replaced, without decoding the others.

use curia_types::Datum;

use super::{Form, HAS_NULLS, HEADER_BYTES, RowLayout, WIDE_ENDS, encode_fixed, encode_variable, malformed};
use crate::error::Result;

impl RowLayout {
    /// Appends a row with new values in some columns, each named once. False, with nothing appended, for a row whose form changes with
    /// them, or is not that of today's columns: decode and encode it.
    ///
    /// # Errors
    /// As [`RowLayout::encode`] and [`RowLayout::decode`].
    pub fn replace(&self, row: &[u8], values: &[(usize, Datum)], out: &mut Vec<u8>) -> Result<bool> {
        let head = self.head(row)?;
        let n = self.columns.len();
        let has_nulls = head.flags & HAS_NULLS != 0;
        if head.columns != n || head.flags & WIDE_ENDS != 0 || !has_nulls && values.iter().any(|(_, v)| v.is_null()) {
            return Ok(false);
        }
        let start = out.len();
        let base = HEADER_BYTES + head.nulls;
        let ends = base + self.fixed_before[n] as usize;
        let data = ends + 2 * usize::from(self.variable_before[n]);
        let (Some(fixed), Some(old_ends), Some(old_data)) = (row.get(..ends), row.get(ends..data), row.get(data..)) else {
            return Err(malformed("ends too early"));
        };
        out.extend_from_slice(fixed);
        let (mut bytes, mut varies) = (Vec::with_capacity(16), false);
        for (at, value) in values {
            let Some(column) = self.columns.get(*at) else {
                return Err(malformed("no such column"));
            };
            if has_nulls {
                let (byte, bit) = (&mut out[start + HEADER_BYTES + at / 8], 1 << (at % 8));
                *byte = if value.is_null() { *byte | bit } else { *byte & !bit };
            }
            match column.form.and_then(Form::width) {
                Some(width) => {
                    bytes.clear();
                    encode_fixed(value, column, width, &mut bytes)?;
                    let place = start + base + self.fixed_before[*at] as usize;
                    out[place..place + width].copy_from_slice(&bytes);
                }
                None => varies = true,
            }
        }
        if has_nulls && out[start + HEADER_BYTES..start + base].iter().all(|bits| *bits == 0) {
            out.truncate(start);
            return Ok(false);
        }
        if !varies {
            out.extend_from_slice(&row[ends..]);
            return Ok(true);
        }
        out.resize(start + data, 0);
        let (mut from, mut which) = (0, 0);
        for (at, column) in self.columns.iter().enumerate() {
            let Some(form) = column.form.filter(|form| form.width().is_none()) else {
                continue;
            };
            let to = usize::from(u16::from_le_bytes([old_ends[2 * which], old_ends[2 * which + 1]]));
            match values.iter().find(|(changed, _)| *changed == at) {
                Some((_, value)) => encode_variable(value, column, form, out)?,
                None => out.extend_from_slice(old_data.get(from..to).ok_or_else(|| malformed("ends too early"))?),
            }
            let Ok(end) = u16::try_from(out.len() - start - data) else {
                out.truncate(start);
                return Ok(false);
            };
            let place = start + ends + 2 * which;
            out[place..place + 2].copy_from_slice(&end.to_le_bytes());
            (from, which) = (to, which + 1);
        }
        Ok(true)
    }
}
