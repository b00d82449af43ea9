//! Backend messages, straight into an output buffer.
//! <https://www.postgresql.org/docs/15/protocol-message-formats.html>

use crate::decode::Frame;
use curia_session::{Field, Format, Notice, Notification, TransactionStatus};
use curia_types::panic::caught;
use curia_types::{ErrorField, Result, SqlError, SqlState, type_info};

/// How bad an error is for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorSeverity {
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
}

/// Appends one message; `body` appends what follows the length word.
pub fn message(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let at = open(out, kind);
    body(out);
    close(out, at);
}

/// Starts a message whose body the caller appends; returns what [`close`] wants.
pub fn open(out: &mut Vec<u8>, kind: u8) -> usize {
    out.push(kind);
    out.extend_from_slice(&[0; 4]);
    out.len() - 4
}

/// Writes the length of the message that [`open`] started.
pub fn close(out: &mut [u8], at: usize) {
    let length = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// The outline of the backend message that `input` starts with, once five bytes are there. Backend messages come from servers: only a length
/// that is none is taken for the end of all, a message without end.
pub fn outline(input: &[u8]) -> Option<Frame> {
    let (kind, word) = (*input.first()?, input.get(1..5)?);
    let length = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
    let body = length.checked_sub(4).map_or(usize::MAX - Frame::HEADER, |body| body as usize);
    Some(Frame { kind, body })
}

/// A message without a body.
pub fn empty(out: &mut Vec<u8>, kind: u8) {
    out.extend_from_slice(&[kind, 0, 0, 0, 4]);
}

fn string(out: &mut Vec<u8>, s: &str) {
    // A NUL would end the string early and break the framing of what follows.
    out.extend(s.bytes().take_while(|b| *b != 0));
    out.push(0);
}

/// AuthenticationOk.
pub fn authentication_ok(out: &mut Vec<u8>) {
    message(out, b'R', |o| o.extend_from_slice(&0u32.to_be_bytes()));
}

/// AuthenticationSASL with the mechanisms on offer.
pub fn authentication_sasl(out: &mut Vec<u8>, mechanisms: &[&str]) {
    message(out, b'R', |o| {
        o.extend_from_slice(&10u32.to_be_bytes());
        for m in mechanisms {
            string(o, m);
        }
        o.push(0);
    });
}

/// AuthenticationSASLContinue.
pub fn authentication_sasl_continue(out: &mut Vec<u8>, data: &[u8]) {
    message(out, b'R', |o| {
        o.extend_from_slice(&11u32.to_be_bytes());
        o.extend_from_slice(data);
    });
}

/// AuthenticationSASLFinal.
pub fn authentication_sasl_final(out: &mut Vec<u8>, data: &[u8]) {
    message(out, b'R', |o| {
        o.extend_from_slice(&12u32.to_be_bytes());
        o.extend_from_slice(data);
    });
}

/// BackendKeyData.
pub fn backend_key(out: &mut Vec<u8>, process: i32, secret: i32) {
    message(out, b'K', |o| {
        o.extend_from_slice(&process.to_be_bytes());
        o.extend_from_slice(&secret.to_be_bytes());
    });
}

/// NegotiateProtocolVersion: the newest minor version we speak and the protocol options we don't know.
pub fn negotiate_version(out: &mut Vec<u8>, unknown: &[&str]) {
    message(out, b'v', |o| {
        o.extend_from_slice(&0u32.to_be_bytes());
        o.extend_from_slice(&(unknown.len() as u32).to_be_bytes());
        for name in unknown {
            string(o, name);
        }
    });
}

/// ParameterStatus.
pub fn parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    message(out, b'S', |o| {
        string(o, name);
        string(o, value);
    });
}

/// NotificationResponse.
pub fn notification(out: &mut Vec<u8>, told: &Notification) {
    message(out, b'A', |o| {
        o.extend_from_slice(&told.process.to_be_bytes());
        string(o, &told.channel);
        string(o, &told.payload);
    });
}

/// ReadyForQuery.
pub fn ready(out: &mut Vec<u8>, status: TransactionStatus) {
    let letter = match status {
        TransactionStatus::Idle => b'I',
        TransactionStatus::InTransaction => b'T',
        TransactionStatus::Failed => b'E',
    };
    out.extend_from_slice(&[b'Z', 0, 0, 0, 5, letter]);
}

/// ParameterDescription.
pub fn parameter_description(out: &mut Vec<u8>, types: &[u32]) {
    message(out, b't', |o| {
        o.extend_from_slice(&(types.len() as u16).to_be_bytes());
        for t in types {
            o.extend_from_slice(&t.to_be_bytes());
        }
    });
}

/// RowDescription. `formats`: none (text), one for all, or one a column.
pub fn row_description(out: &mut Vec<u8>, fields: &[Field], formats: &[Format]) {
    message(out, b'T', |o| {
        o.extend_from_slice(&(fields.len() as u16).to_be_bytes());
        for (i, f) in fields.iter().enumerate() {
            string(o, &f.name);
            o.extend_from_slice(&f.table.to_be_bytes());
            o.extend_from_slice(&f.attnum.to_be_bytes());
            // A client sees what is under a domain.
            let ty = type_info::base_of(f.ty);
            o.extend_from_slice(&ty.oid.to_be_bytes());
            o.extend_from_slice(&type_info::length(ty.oid).to_be_bytes());
            o.extend_from_slice(&ty.typmod.to_be_bytes());
            let format = if formats.len() == 1 {
                formats[0]
            } else {
                formats.get(i).copied().unwrap_or_default()
            };
            o.extend_from_slice(&(format as u16).to_be_bytes());
        }
    });
}

/// One DataRow; what `write` appended is taken back when it fails or panics.
pub fn data_row(out: &mut Vec<u8>, columns: usize, write: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let before = out.len();
    let at = open(out, b'D');
    out.extend_from_slice(&(columns as u16).to_be_bytes());
    match caught(|| write(out)) {
        Ok(()) => {
            close(out, at);
            Ok(())
        }
        Err(e) => {
            out.truncate(before);
            Err(e)
        }
    }
}

/// One CopyData; what `write` appended is taken back when it fails or panics.
pub fn copy_data(out: &mut Vec<u8>, write: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let before = out.len();
    let at = open(out, b'd');
    match caught(|| write(out)) {
        Ok(()) => {
            close(out, at);
            Ok(())
        }
        Err(e) => {
            out.truncate(before);
            Err(e)
        }
    }
}

/// CopyInResponse (`G`) or CopyOutResponse (`H`).
pub fn copy_response(out: &mut Vec<u8>, kind: u8, format: Format, columns: usize) {
    message(out, kind, |o| {
        o.push(format as u8);
        o.extend_from_slice(&(columns as u16).to_be_bytes());
        for _ in 0..columns {
            o.extend_from_slice(&(format as u16).to_be_bytes());
        }
    });
}

/// CommandComplete.
pub fn command_complete(out: &mut Vec<u8>, tag: &str) {
    message(out, b'C', |o| string(o, tag));
}

/// ErrorResponse with every field that is set.
pub fn error(out: &mut Vec<u8>, severity: ErrorSeverity, e: &SqlError) {
    let severity = match severity {
        ErrorSeverity::Error => "ERROR",
        ErrorSeverity::Fatal => "FATAL",
    };
    message(out, b'E', |o| {
        field(o, b'S', severity);
        field(o, b'V', severity);
        field(o, b'C', e.code().as_str());
        field(o, b'M', e.message());
        more_fields(o, e.fields());
        o.push(0);
    });
}

/// Reads an ErrorResponse: its code, message, detail and hint.
pub fn read_error(body: &[u8]) -> SqlError {
    let (mut code, mut message) = (SqlState::INTERNAL_ERROR, String::new());
    let (mut detail, mut hint) = (None, None);
    for field in body.split(|byte| *byte == 0).filter(|field| !field.is_empty()) {
        let text = String::from_utf8_lossy(&field[1..]).into_owned();
        match field[0] {
            b'C' if text.len() == 5 && text.is_ascii() => code = SqlState::new(&text),
            b'M' => message = text,
            b'D' => detail = Some(text),
            b'H' => hint = Some(text),
            _ => {}
        }
    }
    let mut error = SqlError::new(code, message);
    if let Some(detail) = detail {
        error = error.detail(detail);
    }
    if let Some(hint) = hint {
        error = error.hint(hint);
    }
    error
}

/// NoticeResponse.
pub fn notice(out: &mut Vec<u8>, n: &Notice) {
    message(out, b'N', |o| {
        field(o, b'S', n.severity.as_str());
        field(o, b'V', n.severity.as_str());
        field(o, b'C', n.code.as_str());
        field(o, b'M', &n.message);
        if let Some(t) = &n.detail {
            field(o, b'D', t);
        }
        if let Some(t) = &n.hint {
            field(o, b'H', t);
        }
        o.push(0);
    });
}

fn field(out: &mut Vec<u8>, kind: u8, text: &str) {
    out.push(kind);
    string(out, text);
}

fn more_fields(o: &mut Vec<u8>, f: &ErrorField) {
    let texts = [
        (b'D', &f.detail),
        (b'H', &f.hint),
        (b'W', &f.context),
        (b's', &f.schema),
        (b't', &f.table),
        (b'c', &f.column),
        (b'd', &f.data_type),
        (b'n', &f.constraint),
    ];
    for (kind, text) in texts {
        if let Some(text) = text {
            field(o, kind, text);
        }
    }
    if let Some(p) = f.position {
        field(o, b'P', &p.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_every_field_in_the_protocols_letters() {
        let e = SqlError::new(SqlState::UNIQUE_VIOLATION, "m")
            .detail("d")
            .hint("h")
            .at(Some(7))
            .table("s", "t")
            .column("c")
            .constraint("n")
            .data_type("s", "y")
            .context("w");
        let mut out = Vec::new();
        error(&mut out, ErrorSeverity::Error, &e);
        let expected = b"SERROR\0VERROR\0C23505\0Mm\0Dd\0Hh\0Ww\0ss\0tt\0cc\0dy\0nn\0P7\0\0";
        assert_eq!(out[0], b'E');
        assert_eq!(out[1..5], (expected.len() as u32 + 4).to_be_bytes());
        assert_eq!(&out[5..], expected);
        let read = read_error(&out[5..]);
        assert_eq!((read.code(), read.message()), (e.code(), e.message()));
        assert_eq!((&read.fields().detail, &read.fields().hint), (&e.fields().detail, &e.fields().hint));
    }

    #[test]
    fn a_failed_row_leaves_nothing_behind() {
        let mut out = vec![1, 2, 3];
        let r = data_row(&mut out, 1, &mut |o| {
            o.extend_from_slice(b"half");
            Err(SqlError::internal("x"))
        });
        assert!(r.is_err());
        assert_eq!(out, [1, 2, 3]);
        data_row(&mut out, 1, &mut |o| {
            o.extend_from_slice(&(-1i32).to_be_bytes());
            Ok(())
        })
        .unwrap();
        assert_eq!(out[3..], [b'D', 0, 0, 0, 10, 0, 1, 0xff, 0xff, 0xff, 0xff]);
    }
}
