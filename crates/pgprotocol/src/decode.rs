//! Frontend messages, from bytes. Pure: a bounded slice in, a message or an error out; no input panics or allocates more than its own size.
//!
//! <https://www.postgresql.org/docs/15/protocol-message-formats.html>. Strings must be UTF-8 (22021); a body that ends early or late is a
//! protocol violation (08P01). Both are ordinary errors: the framing is intact and the connection goes on. A bad frame (unknown type,
//! impossible length) is [`FrameError`] and ends the connection, because nothing after it can be trusted.

use curia_types::{Result, SqlError, SqlState, ValueFormat as Format};

/// Most bytes in a start-up packet (PostgreSQL's MAX_STARTUP_PACKET_LENGTH).
pub const STARTUP_LIMIT: usize = 10_000;
/// Most bytes in a message that carries no statement and no data (PostgreSQL's PQ_SMALL_MESSAGE_LIMIT).
pub const SMALL_LIMIT: usize = 10_000;

/// One message of a running connection.
#[derive(Debug, PartialEq)]
pub enum Message<'a> {
    /// Q: a string of statements.
    Query(&'a str),
    /// P: makes a prepared statement.
    Parse {
        /// Its name; empty for the unnamed one.
        statement: &'a str,
        /// Text.
        sql: &'a str,
        /// Declared parameter types, 0 where it is left to the server.
        types: Vec<u32>,
    },
    /// B: makes a portal.
    Bind {
        /// Portal name.
        portal: &'a str,
        /// Statement name.
        statement: &'a str,
        /// None, one for all, or one a parameter.
        parameter_formats: Vec<Format>,
        /// Values, `None` for NULL.
        parameters: Vec<Option<&'a [u8]>>,
        /// None, one for all, or one a column.
        result_formats: Vec<Format>,
    },
    /// D: describes a statement or portal.
    Describe(Target, &'a str),
    /// E: runs a portal.
    Execute {
        /// Portal name.
        portal: &'a str,
        /// Most rows, 0 for all.
        max_rows: u32,
    },
    /// C: closes a statement or portal.
    Close(Target, &'a str),
    /// S
    Sync,
    /// H
    Flush,
    /// X
    Terminate,
    /// d
    CopyData(&'a [u8]),
    /// c
    CopyDone,
    /// f, with the client's reason.
    CopyFail(&'a str),
    /// F: the obsolete function call.
    FunctionCall,
    /// p: password or SASL data.
    Authentication(&'a [u8]),
}

/// What Describe and Close name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the protocol's own words
pub enum Target {
    Statement,
    Portal,
}

/// A frame after which the connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// No such message type.
    UnknownType(u8),
    /// Length below four.
    InvalidLength(i32),
    /// Longer than the limit for its type.
    TooLong {
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
}

impl FrameError {
    /// As the client sees it (FATAL).
    pub fn to_sql_error(self) -> SqlError {
        match self {
            FrameError::UnknownType(t) => violation(format!("invalid frontend message type {t}")),
            FrameError::InvalidLength(_) => violation("invalid message length"),
            FrameError::TooLong { length, limit } => SqlError::new(SqlState::PROTOCOL_VIOLATION, "invalid message length")
                .detail(format!("The message has {length} bytes; the limit for its type is {limit}.")),
        }
    }
}

/// The outline of the next message in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Message type.
    pub kind: u8,
    /// Bytes of the body, the length word excluded.
    pub body: usize,
}

impl Frame {
    /// Bytes before the body.
    pub const HEADER: usize = 5;
    /// Bytes in all.
    pub fn size(&self) -> usize {
        Frame::HEADER + self.body
    }
}

/// Reads the outline of the message that `input` starts with; `None` while fewer than five bytes are there. The type and length are
/// checked before anything is waited for or allocated. `limit` bounds the messages that carry statements or data.
pub fn frame(input: &[u8], limit: usize) -> Result<Option<Frame>, FrameError> {
    let Some(&kind) = input.first() else { return Ok(None) };
    let limit = match kind {
        b'Q' | b'P' | b'B' | b'd' | b'F' => limit,
        b'D' | b'E' | b'C' | b'S' | b'H' | b'X' | b'c' | b'f' | b'p' => SMALL_LIMIT,
        _ => return Err(FrameError::UnknownType(kind)),
    };
    let Some(word) = input.get(1..5) else { return Ok(None) };
    let length = i32::from_be_bytes([word[0], word[1], word[2], word[3]]);
    if length < 4 {
        return Err(FrameError::InvalidLength(length));
    }
    let body = length as usize - 4;
    if body > limit {
        return Err(FrameError::TooLong { length: body, limit });
    }
    Ok(Some(Frame { kind, body }))
}

/// Decodes a body whose frame has been checked.
pub fn message(kind: u8, body: &[u8]) -> Result<Message<'_>> {
    let mut r = Reader { rest: body };
    let m = match kind {
        b'Q' => Message::Query(r.string()?),
        b'P' => {
            let statement = r.string()?;
            let sql = r.string()?;
            let n = r.count()?;
            let mut types = Vec::with_capacity(n.min(r.rest.len() / 4));
            for _ in 0..n {
                types.push(r.u32()?);
            }
            Message::Parse { statement, sql, types }
        }
        b'B' => bind(&mut r)?,
        b'D' => {
            let target = r.target("DESCRIBE")?;
            Message::Describe(target, r.string()?)
        }
        b'E' => {
            let portal = r.string()?;
            // PostgreSQL takes a negative count for "all".
            let max_rows = r.i32()?.max(0) as u32;
            Message::Execute { portal, max_rows }
        }
        b'C' => {
            let target = r.target("CLOSE")?;
            Message::Close(target, r.string()?)
        }
        b'S' => Message::Sync,
        b'H' => Message::Flush,
        b'X' => Message::Terminate,
        b'c' => Message::CopyDone,
        b'd' => return Ok(Message::CopyData(body)),
        b'f' => Message::CopyFail(r.string()?),
        b'F' => return Ok(Message::FunctionCall),
        b'p' => return Ok(Message::Authentication(body)),
        other => return Err(violation(format!("invalid frontend message type {other}"))),
    };
    r.end()?;
    Ok(m)
}

fn bind<'a>(r: &mut Reader<'a>) -> Result<Message<'a>> {
    let portal = r.string()?;
    let statement = r.string()?;
    let parameter_formats = r.formats()?;
    let n = r.count()?;
    // Two formats or more must be one a parameter.
    if parameter_formats.len() > 1 && parameter_formats.len() != n {
        return Err(violation(format!(
            "bind message has {} parameter formats but {n} parameters",
            parameter_formats.len()
        )));
    }
    let mut parameters = Vec::with_capacity(n.min(r.rest.len() / 4 + 1));
    for _ in 0..n {
        let length = r.i32()?;
        parameters.push(if length == -1 { None } else { Some(r.bytes(length)?) });
    }
    let result_formats = r.formats()?;
    Ok(Message::Bind {
        portal,
        statement,
        parameter_formats,
        parameters,
        result_formats,
    })
}

/// First packet of a connection.
#[derive(Debug, PartialEq)]
pub enum Startup<'a> {
    /// SSLRequest
    Tls,
    /// GSSENCRequest
    Gss,
    /// CancelRequest
    Cancel {
        /// Backend's process id.
        process: i32,
        /// Backend's key.
        secret: i32,
    },
    /// StartupMessage of protocol 3.
    Session {
        /// Minor version asked for.
        minor: u16,
        /// (name, value) in order.
        parameters: Vec<(&'a str, &'a str)>,
    },
}

/// Reads the length word of a start-up packet: bytes in all, once four are there.
pub fn startup_length(input: &[u8]) -> Result<Option<usize>> {
    let Some(word) = input.get(..4) else { return Ok(None) };
    let length = i32::from_be_bytes([word[0], word[1], word[2], word[3]]);
    if !(8..=STARTUP_LIMIT as i32).contains(&length) {
        return Err(violation("invalid length of startup packet"));
    }
    Ok(Some(length as usize))
}

/// Decodes a start-up packet without its length word.
pub fn startup(body: &[u8]) -> Result<Startup<'_>> {
    let mut r = Reader { rest: body };
    let code = r.u32()?;
    match code {
        80_877_103 => return r.end().map(|()| Startup::Tls),
        80_877_104 => return r.end().map(|()| Startup::Gss),
        80_877_102 => {
            let (process, secret) = (r.i32()?, r.i32()?);
            return r.end().map(|()| Startup::Cancel { process, secret });
        }
        _ => {}
    }
    let (major, minor) = (code >> 16, (code & 0xffff) as u16);
    if major != 3 {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0"),
        ));
    }
    let mut parameters = Vec::new();
    loop {
        let name = r.string()?;
        if name.is_empty() {
            break;
        }
        parameters.push((name, r.string()?));
    }
    if !r.rest.is_empty() {
        return Err(violation("invalid startup packet layout: expected terminator as last byte"));
    }
    Ok(Startup::Session { minor, parameters })
}

/// SASLInitialResponse: (mechanism, data).
pub fn sasl_initial(body: &[u8]) -> Result<(&str, Option<&[u8]>)> {
    let mut r = Reader { rest: body };
    let mechanism = r.string()?;
    let length = r.i32()?;
    let data = if length == -1 { None } else { Some(r.bytes(length)?) };
    r.end()?;
    Ok((mechanism, data))
}

/// 08P01.
pub fn violation(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(n) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(violation("insufficient data left in message")),
        }
    }
    fn i16(&mut self) -> Result<i16> {
        let b = self.take(2)?;
        Ok(i16::from_be_bytes([b[0], b[1]]))
    }
    fn i32(&mut self) -> Result<i32> {
        let b = self.take(4)?;
        Ok(i32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }
    fn u32(&mut self) -> Result<u32> {
        Ok(self.i32()? as u32)
    }
    /// A 16-bit count. PostgreSQL reads it unsigned: 65,535 parameters are legal.
    fn count(&mut self) -> Result<usize> {
        Ok(self.i16()? as u16 as usize)
    }
    fn bytes(&mut self, length: i32) -> Result<&'a [u8]> {
        usize::try_from(length)
            .map_err(|_| violation("insufficient data left in message"))
            .and_then(|n| self.take(n))
    }
    fn string(&mut self) -> Result<&'a str> {
        match self.rest.iter().position(|b| *b == 0) {
            Some(end) => {
                let s = &self.rest[..end];
                self.rest = &self.rest[end + 1..];
                curia_types::binary_io::check_text(s)
            }
            None => Err(violation("invalid string in message")),
        }
    }
    fn formats(&mut self) -> Result<Vec<Format>> {
        let n = self.count()?;
        let mut formats = Vec::with_capacity(n.min(self.rest.len() / 2));
        for _ in 0..n {
            formats.push(match self.i16()? {
                0 => Format::Text,
                1 => Format::Binary,
                other => {
                    return Err(SqlError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("unsupported format code: {other}"),
                    ));
                }
            });
        }
        Ok(formats)
    }
    fn target(&mut self, message: &str) -> Result<Target> {
        match self.take(1)?[0] {
            b'S' => Ok(Target::Statement),
            b'P' => Ok(Target::Portal),
            other => Err(violation(format!("invalid {message} message subtype {other}"))),
        }
    }
    fn end(&self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(violation("invalid message format"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt, SeedableRng};

    const KINDS: &[u8] = b"QPBDECSHXdcfFp";

    #[test]
    fn random_bodies_never_panic() {
        for seed in 0..20_000u64 {
            let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
            let mut body = vec![0u8; rng.random_range(0..64)];
            rng.fill_bytes(&mut body);
            // Small counts and zero bytes reach deeper than uniform noise.
            for b in &mut body {
                if rng.random_bool(0.5) {
                    *b = rng.random_range(0..3);
                }
            }
            for kind in KINDS {
                let _ = message(*kind, &body);
            }
            let _ = startup(&body);
            let _ = startup_length(&body);
            let _ = sasl_initial(&body);
            let _ = frame(&body, 1 << 20);
        }
    }

    #[test]
    fn every_truncation_of_a_bind_is_a_protocol_violation() {
        let mut body = b"p\0s\0".to_vec();
        body.extend([0, 1, 0, 1, 0, 2, 0, 0, 0, 4, 1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 1]);
        let whole = message(b'B', &body).unwrap();
        assert_eq!(
            whole,
            Message::Bind {
                portal: "p",
                statement: "s",
                parameter_formats: vec![Format::Binary],
                parameters: vec![Some(&[1, 2, 3, 4]), None],
                result_formats: vec![Format::Binary],
            }
        );
        for n in 0..body.len() {
            assert_eq!(
                message(b'B', &body[..n]).unwrap_err().code(),
                SqlState::PROTOCOL_VIOLATION,
                "{n} bytes"
            );
        }
        body.push(0);
        assert_eq!(message(b'B', &body).unwrap_err().message(), "invalid message format");
    }

    #[test]
    fn a_negative_length_other_than_null_is_refused() {
        let mut body = b"\0\0".to_vec();
        body.extend([0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe, 0, 0]);
        assert_eq!(message(b'B', &body).unwrap_err().code(), SqlState::PROTOCOL_VIOLATION);
    }

    #[test]
    fn invalid_utf8_names_the_bytes() {
        let e = message(b'Q', b"select '\xe9a'\0").unwrap_err();
        assert_eq!(e.code(), SqlState::CHARACTER_NOT_IN_REPERTOIRE);
        assert_eq!(e.message(), "invalid byte sequence for encoding \"UTF8\": 0xe9 0x61 0x27");
    }

    #[test]
    fn frames_are_checked_before_their_body_is_waited_for() {
        assert_eq!(frame(b"Q", 100), Ok(None));
        assert_eq!(frame(b"\x01", 100), Err(FrameError::UnknownType(1)));
        assert_eq!(frame(b"Q\0\0\0\x03", 100), Err(FrameError::InvalidLength(3)));
        assert_eq!(
            frame(b"Q\x7f\xff\xff\xff", 100),
            Err(FrameError::TooLong {
                length: 0x7fff_fffb,
                limit: 100
            })
        );
        assert_eq!(frame(b"S\0\0\0\x04", 100), Ok(Some(Frame { kind: b'S', body: 0 })));
    }

    #[test]
    fn the_startup_packet_gives_parameters_in_order() {
        let mut body = vec![0, 3, 0, 0];
        body.extend(b"user\0me\0database\0db\0\0");
        assert_eq!(
            startup(&body).unwrap(),
            Startup::Session {
                minor: 0,
                parameters: vec![("user", "me"), ("database", "db")]
            }
        );
        assert_eq!(startup(&[4, 210, 22, 47]).unwrap(), Startup::Tls);
        assert!(startup(&body[..body.len() - 1]).is_err());
        assert_eq!(startup(&[0, 2, 0, 0]).unwrap_err().code(), SqlState::FEATURE_NOT_SUPPORTED);
    }
}
