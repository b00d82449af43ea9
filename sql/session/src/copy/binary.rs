//! The binary format: <https://www.postgresql.org/docs/15/sql-copy.html#id-1.9.3.55.9.4>.

use curia_types::{Result, SqlError, SqlState};

/// `PGCOPY\n\377\r\n\0`.
pub const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the header extension.
pub const HEADER_BYTES: usize = 19;

fn bad(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

/// Cuts binary input into tuples.
#[derive(Default)]
pub struct Tuples {
    buffer: Vec<u8>,
    start: usize,
    header_seen: bool,
    complete: bool,
    ended: bool,
    /// Tuples so far, the one in hand included.
    pub line: u64,
}

impl Tuples {
    /// The buffer to append input to.
    pub fn input(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.start);
        self.start = 0;
        &mut self.buffer
    }

    /// No more input will come.
    pub fn complete(&mut self) {
        self.complete = true;
    }

    /// The fields of the next tuple as ranges for [`Tuples::bytes`], `None` in a field for NULL. `Ok(None)`: give more input, or the end.
    pub fn next(&mut self, columns: usize) -> Result<Option<Vec<Option<std::ops::Range<usize>>>>> {
        if self.ended {
            if self.start < self.buffer.len() {
                return Err(bad("received copy data after EOF marker"));
            }
            return Ok(None);
        }
        if !self.header_seen && !self.header()? {
            return Ok(None);
        }
        let mut at = self.start;
        let Some(count) = self.take(&mut at, 2) else {
            // PostgreSQL takes a file that ends between tuples without the trailer.
            return if self.complete && self.start < self.buffer.len() {
                self.truncated()
            } else {
                Ok(None)
            };
        };
        let count = i16::from_be_bytes([self.buffer[count.start], self.buffer[count.start + 1]]);
        if count == -1 {
            self.ended = true;
            self.start = at;
            return Ok(None);
        }
        self.line += 1;
        if count != columns as i16 {
            return Err(bad(format!("row field count is {count}, expected {columns}")));
        }
        let mut fields = Vec::with_capacity(columns);
        for _ in 0..columns {
            let Some(word) = self.take(&mut at, 4) else { return self.partial() };
            let mut length = [0; 4];
            length.copy_from_slice(&self.buffer[word]);
            match i32::from_be_bytes(length) {
                -1 => fields.push(None),
                n if n < 0 => return Err(bad("invalid field size")),
                n if n as usize > super::record::RECORD_LIMIT => {
                    return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "COPY field is too long"));
                }
                n => match self.take(&mut at, n as usize) {
                    Some(range) => fields.push(Some(range)),
                    None => return self.partial(),
                },
            }
        }
        self.start = at;
        Ok(Some(fields))
    }

    /// A tuple is half here: wait for the rest, and don't count it twice.
    fn partial<T>(&mut self) -> Result<Option<T>> {
        if self.complete {
            return self.truncated();
        }
        self.line -= 1;
        Ok(None)
    }

    fn truncated<T>(&self) -> Result<Option<T>> {
        Err(bad("unexpected EOF in COPY data"))
    }

    /// A field's bytes.
    pub fn bytes(&self, range: &std::ops::Range<usize>) -> &[u8] {
        &self.buffer[range.clone()]
    }

    fn take(&self, at: &mut usize, n: usize) -> Option<std::ops::Range<usize>> {
        let range = *at..at.checked_add(n)?;
        self.buffer.get(range.clone())?;
        *at = range.end;
        Some(range)
    }

    fn header(&mut self) -> Result<bool> {
        let unread = &self.buffer[self.start..];
        let known = unread.len().min(SIGNATURE.len());
        if unread[..known] != SIGNATURE[..known] || (self.complete && unread.len() < SIGNATURE.len()) {
            return Err(bad("COPY file signature not recognized"));
        }
        if unread.len() < HEADER_BYTES {
            return if self.complete {
                Err(bad("invalid COPY file header (missing flags)"))
            } else {
                Ok(false)
            };
        }
        let word = |i: usize| u32::from_be_bytes([unread[i], unread[i + 1], unread[i + 2], unread[i + 3]]);
        let flags = word(11);
        if flags & (1 << 16) != 0 {
            return Err(bad("invalid COPY file header (WITH OIDS)"));
        }
        if flags >> 16 != 0 {
            return Err(bad("unrecognized critical flags in COPY file header"));
        }
        let extension = word(15) as usize;
        if extension > 1 << 20 {
            return Err(bad("invalid COPY file header (wrong length)"));
        }
        if unread.len() < HEADER_BYTES + extension {
            return if self.complete {
                Err(bad("invalid COPY file header (wrong length)"))
            } else {
                Ok(false)
            };
        }
        self.start += HEADER_BYTES + extension;
        self.header_seen = true;
        Ok(true)
    }
}

/// Appends the file header.
pub fn write_header(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]);
}

/// Appends the trailer.
pub fn write_trailer(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1i16).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let mut f = Vec::new();
        write_header(&mut f);
        f.extend([0, 2, 0, 0, 0, 1, b'a', 0xff, 0xff, 0xff, 0xff]);
        write_trailer(&mut f);
        f
    }

    #[test]
    fn tuples_are_the_same_however_the_input_is_cut() {
        let f = file();
        for piece in 1..=f.len() {
            let mut t = Tuples::default();
            let mut rows = Vec::new();
            for p in f.chunks(piece) {
                t.input().extend_from_slice(p);
                while let Some(fields) = t.next(2).unwrap() {
                    rows.push(fields.iter().map(|f| f.as_ref().map(|r| t.bytes(r).to_vec())).collect::<Vec<_>>());
                }
            }
            assert_eq!(rows, vec![vec![Some(b"a".to_vec()), None]], "pieces of {piece}");
        }
    }

    #[test]
    fn every_damage_is_an_error_and_not_a_panic() {
        let f = file();
        for cut in 0..f.len() {
            let mut t = Tuples::default();
            t.input().extend_from_slice(&f[..cut]);
            t.complete();
            while let Ok(Some(_)) = t.next(2) {}
        }
        let mut t = Tuples::default();
        t.input().extend_from_slice(b"PGCOPX");
        assert_eq!(t.next(2).unwrap_err().message(), "COPY file signature not recognized");
        let mut t = Tuples::default();
        t.input().extend_from_slice(&f);
        assert_eq!(t.next(3).unwrap_err().message(), "row field count is 2, expected 3");
    }
}
