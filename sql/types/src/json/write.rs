//! JSON as text: `jsonb_out`, `jsonb_pretty`, and strings as `escape_json` writes them.

use super::Json;

/// Appends a string in quotes, escaped.
pub fn escape(s: &str, out: &mut Vec<u8>) {
    out.reserve(s.len() + 2);
    out.push(b'"');
    for b in s.bytes() {
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..0x20 => out.extend_from_slice(format!("\\u{b:04x}").as_bytes()),
            _ => out.push(b),
        }
    }
    out.push(b'"');
}

/// A string in quotes, escaped.
pub fn json_string(s: &str) -> String {
    let mut out = Vec::new();
    escape(s, &mut out);
    text(out)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = Vec::new();
        self.write(&mut out);
        f.write_str(&text(out))
    }
}

impl Json {
    /// Appends the text form: a blank after each comma and colon.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_parts(None, out);
    }

    /// The text of `jsonb_pretty`: one line a part, four blanks a level.
    pub fn pretty(&self) -> String {
        let mut out = Vec::new();
        self.write_parts(Some(0), &mut out);
        text(out)
    }

    fn write_parts(&self, level: Option<usize>, out: &mut Vec<u8>) {
        let line = |level: Option<usize>, out: &mut Vec<u8>| {
            if let Some(level) = level {
                out.push(b'\n');
                out.resize(out.len() + level * 4, b' ');
            }
        };
        let comma = |i: usize, out: &mut Vec<u8>| match (i, level) {
            (0, _) => {}
            (_, None) => out.extend_from_slice(b", "),
            (_, Some(_)) => out.push(b','),
        };
        let inner = level.map(|l| l + 1);
        match self {
            Json::Null => out.extend_from_slice(b"null"),
            Json::Bool(v) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
            Json::Number(n) => n.write(out),
            Json::String(s) => escape(s, out),
            Json::Array(values) => {
                out.push(b'[');
                for (i, value) in values.iter().enumerate() {
                    comma(i, out);
                    line(inner, out);
                    value.write_parts(inner, out);
                }
                line(level, out);
                out.push(b']');
            }
            Json::Object(pairs) => {
                out.push(b'{');
                for (i, (key, value)) in pairs.iter().enumerate() {
                    comma(i, out);
                    line(inner, out);
                    escape(key, out);
                    out.extend_from_slice(b": ");
                    value.write_parts(inner, out);
                }
                line(level, out);
                out.push(b'}');
            }
        }
    }
}
