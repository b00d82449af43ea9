//! Prints how many statements of SQL files parse, and those that do not:
//! `cargo run -p curia-parse --example parse_share -- FILE.sql ...`
//!
//! Files may be psql scripts: backslash commands and COPY data are left out.

use std::process::ExitCode;

/// Splits a psql script into statements: at semicolons outside quotes and parentheses.
fn split(script: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut current = String::new();
    let (mut quote, mut dollar, mut comment, mut open): (Option<char>, Option<String>, u32, i32) = (None, None, 0, 0);
    let mut lines = script.lines();
    while let Some(line) = lines.next() {
        let fresh = quote.is_none() && dollar.is_none() && comment == 0;
        if fresh && line.starts_with('\\') {
            continue;
        }
        let chars: Vec<char> = line.chars().collect();
        let mut i = 0;
        while i < chars.len() {
            let rest: String = chars[i..].iter().take(40).collect();
            let c = chars[i];
            if comment > 0 {
                if rest.starts_with("*/") {
                    comment -= 1;
                    i += 1;
                } else if rest.starts_with("/*") {
                    comment += 1;
                    i += 1;
                }
            } else if let Some(tag) = &dollar {
                if rest.starts_with(tag.as_str()) {
                    let n = tag.chars().count();
                    current.extend(&chars[i..i + n]);
                    i += n;
                    dollar = None;
                    continue;
                }
                current.push(c);
            } else if let Some(q) = quote {
                let escape = q == 'e' && c == '\\';
                current.push(c);
                if escape && i + 1 < chars.len() {
                    current.push(chars[i + 1]);
                    i += 1;
                } else if c == if q == '"' { '"' } else { '\'' } {
                    quote = None;
                }
            } else if rest.starts_with("--") {
                break;
            } else if rest.starts_with("/*") {
                comment += 1;
                i += 1;
            } else if c == '\\' {
                // A psql command at the end of a line sends what stands before it.
                out.push(std::mem::take(&mut current));
                break;
            } else {
                match c {
                    '\'' => quote = Some(if i > 0 && matches!(chars[i - 1], 'e' | 'E') { 'e' } else { '\'' }),
                    '"' => quote = Some('"'),
                    '$' => {
                        let tail: String = chars[i + 1..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
                        let closes = chars.get(i + 1 + tail.chars().count()) == Some(&'$');
                        if closes && !tail.starts_with(|c: char| c.is_ascii_digit()) {
                            let tag = format!("${tail}$");
                            i += tag.chars().count();
                            current.push_str(&tag);
                            dollar = Some(tag);
                            continue;
                        }
                    }
                    '(' => open += 1,
                    ')' => open -= 1,
                    _ => {}
                }
                if c == ';' && open <= 0 {
                    open = 0;
                    let lower = current.to_lowercase();
                    if lower.trim_start().starts_with("copy") && lower.contains("from stdin") {
                        for data in lines.by_ref() {
                            if data == "\\." {
                                break;
                            }
                        }
                    }
                    out.push(std::mem::take(&mut current));
                } else {
                    current.push(c);
                }
            }
            i += 1;
        }
        current.push('\n');
    }
    out.push(current);
    out.retain(|s| !s.trim().is_empty());
    out
}

fn main() -> ExitCode {
    let (mut total, mut parsed) = (0, 0);
    for file in std::env::args().skip(1) {
        let Ok(bytes) = std::fs::read(&file) else {
            eprintln!("cannot read {file}");
            return ExitCode::FAILURE;
        };
        for statement in split(&String::from_utf8_lossy(&bytes)) {
            total += 1;
            match curia_parse::parse(&statement) {
                Ok(_) => parsed += 1,
                Err(e) => println!("{file}\t{}\t{e}", statement.trim().replace('\n', " ")),
            }
        }
    }
    eprintln!("{parsed} of {total} statements parse");
    ExitCode::SUCCESS
}
