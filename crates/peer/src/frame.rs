//! Frames: what travels over a connection after the handshake. Integers are little-endian.
//!
//! ```text
//! frame    0  u32  bytes of the body, at most 64 KiB
//!          4  u8   kind
//!          5  u8   lane of a message (0 control, 1 entries, 2 snapshots), else 0
//!          6  u8   1: the last frame of what it is part of; else 0
//!          7  u8   zero
//!          8  u32  CRC-32C of bytes 0..8 and the body
//!         12  body
//!
//! 1 message     a part of an encoded message of consensus; parts of a lane follow each other
//! 2 ping        eight bytes that the answer repeats
//! 3 pong        the answer
//! 4 book        a part of the sender's address book
//! 5 request     a part of a request
//! 6 response    a part of the answer
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes of a frame before its body.
pub const HEADER_BYTES: usize = 12;
/// Longest body.
pub const BODY_BYTES_MAX: usize = 64 << 10;

/// What a frame is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message of consensus.
    Message,
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
    /// An address book.
    Book,
    /// A request.
    Request,
    /// The answer to a request.
    Response,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is part of.
    pub kind: Kind,
    /// The lane, of a message.
    pub lane: u8,
    /// Whether nothing of the same follows.
    pub last: bool,
    /// The part.
    pub body: Bytes,
}

/// Why bytes are no frames. The connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than any.
    #[error("a frame of {0} bytes, where {BODY_BYTES_MAX} is the limit")]
    Long(u32),
    /// Damaged on the way, or never a frame.
    #[error("a frame whose checksum is wrong")]
    Checksum,
    /// An unknown kind, lane or flag.
    #[error("a frame of unknown kind")]
    Kind,
}

/// Appends one frame; the body is at most [`BODY_BYTES_MAX`] long.
pub fn encode(kind: Kind, lane: u8, last: bool, body: &[u8], out: &mut BytesMut) {
    debug_assert!(body.len() <= BODY_BYTES_MAX);
    let at = out.len();
    out.put_u32_le(body.len() as u32);
    out.put_slice(&[number(kind), lane, last.into(), 0]);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&out[at..]), body);
    out.put_u32_le(checksum);
    out.put_slice(body);
}

/// Appends as many frames as the body needs, at least one.
pub fn encode_whole(kind: Kind, body: &[u8], out: &mut BytesMut) {
    let mut rest = body;
    loop {
        let (part, after) = rest.split_at(rest.len().min(BODY_BYTES_MAX));
        encode(kind, 0, after.is_empty(), part, out);
        if after.is_empty() {
            return;
        }
        rest = after;
    }
}

/// Takes one frame from the front; `None` when it isn't whole yet.
///
/// # Errors
/// When what is at the front will never be a frame.
pub fn decode(input: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some(header) = input.first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    if len as usize > BODY_BYTES_MAX {
        return Err(FrameError::Long(len));
    }
    let size = HEADER_BYTES + len as usize;
    if input.len() < size {
        return Ok(None);
    }
    let expected = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let (kind, lane, flags, zero) = (header[4], header[5], header[6], header[7]);
    if crc32c::crc32c_append(crc32c::crc32c(&header[..8]), &input[HEADER_BYTES..size]) != expected {
        return Err(FrameError::Checksum);
    }
    let kind = match kind {
        1 => Kind::Message,
        2 => Kind::Ping,
        3 => Kind::Pong,
        4 => Kind::Book,
        5 => Kind::Request,
        6 => Kind::Response,
        _ => return Err(FrameError::Kind),
    };
    let lanes = if kind == Kind::Message { 3 } else { 1 };
    if lane >= lanes || flags > 1 || zero != 0 {
        return Err(FrameError::Kind);
    }
    let mut frame = input.split_to(size);
    frame.advance(HEADER_BYTES);
    Ok(Some(Frame {
        kind,
        lane,
        last: flags == 1,
        body: frame.freeze(),
    }))
}

fn number(kind: Kind) -> u8 {
    match kind {
        Kind::Message => 1,
        Kind::Ping => 2,
        Kind::Pong => 3,
        Kind::Book => 4,
        Kind::Request => 5,
        Kind::Response => 6,
    }
}

/// Puts together what came in parts, up to a limit.
#[derive(Debug, Default)]
pub struct Whole(BytesMut);

/// What came in parts is longer than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {0} bytes in one piece")]
pub struct TooLong(pub usize);

impl Whole {
    /// Takes the next part; the whole, if it was the last.
    ///
    /// # Errors
    /// When it would be longer than `limit` bytes.
    pub fn take(&mut self, part: Bytes, last: bool, limit: usize) -> Result<Option<Bytes>, TooLong> {
        if self.0.len() + part.len() > limit {
            return Err(TooLong(limit));
        }
        if last && self.0.is_empty() {
            return Ok(Some(part));
        }
        self.0.extend_from_slice(&part);
        Ok(last.then(|| std::mem::take(&mut self.0).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_bytes_that_the_format_says() {
        let mut out = BytesMut::new();
        encode(Kind::Message, 2, true, b"hi", &mut out);
        let mut expected = vec![2, 0, 0, 0, 1, 2, 1, 0];
        expected.extend_from_slice(&crc32c::crc32c(b"\x02\0\0\0\x01\x02\x01\0hi").to_le_bytes());
        expected.extend_from_slice(b"hi");
        assert_eq!(out, expected);
    }

    #[test]
    fn frames_read_back_however_they_arrive() {
        let long = vec![7; BODY_BYTES_MAX * 2 + 1];
        let mut sent = BytesMut::new();
        encode(Kind::Message, 1, false, b"part", &mut sent);
        encode_whole(Kind::Book, b"", &mut sent);
        encode_whole(Kind::Request, &long, &mut sent);
        let mut input = BytesMut::new();
        let mut frames = Vec::new();
        for piece in sent.chunks(1_000) {
            input.extend_from_slice(piece);
            while let Some(frame) = decode(&mut input).unwrap() {
                frames.push(frame);
            }
        }
        assert!(input.is_empty());
        assert_eq!(frames.len(), 5);
        assert_eq!((frames[0].kind, frames[0].lane, frames[0].last), (Kind::Message, 1, false));
        assert_eq!((frames[1].kind, frames[1].last, frames[1].body.len()), (Kind::Book, true, 0));
        let mut whole = Whole::default();
        let put_together = frames
            .drain(2..)
            .filter_map(|frame| whole.take(frame.body, frame.last, long.len()).unwrap())
            .next();
        assert_eq!(put_together.unwrap(), long);
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let mut sent = BytesMut::new();
        encode(Kind::Ping, 0, true, b"12345678", &mut sent);
        for at in 0..sent.len() {
            let mut damaged = sent.clone();
            damaged[at] ^= 1;
            // A changed length may only make the frame seem unfinished.
            assert!(!matches!(decode(&mut damaged), Ok(Some(_))), "byte {at}");
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_is_read() {
        let mut input = BytesMut::from(&[0xff; HEADER_BYTES][..]);
        assert_eq!(decode(&mut input), Err(FrameError::Long(u32::MAX)));
    }

    #[test]
    fn parts_beyond_the_limit_are_refused() {
        let mut whole = Whole::default();
        assert_eq!(whole.take(Bytes::from_static(b"12"), false, 3), Ok(None));
        assert_eq!(whole.take(Bytes::from_static(b"34"), true, 3), Err(TooLong(3)));
    }
}
