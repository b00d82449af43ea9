//! Expands a `.cases` file into single calls, tab-separated: kind or signature, then arguments.

use std::collections::HashMap;

/// One line of the expansion.
pub enum Line {
    /// `set name = value`
    Set(String, String),
    /// Signature and arguments (`None` is NULL).
    Call(String, Vec<Option<String>>),
}

/// Splits at an unescaped separator surrounded by blanks.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        let last = parts.len() - 1;
        if escaped {
            if c != separator {
                parts[last].push('\\');
            }
            parts[last].push(c);
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            parts.push(String::new());
        } else {
            parts[last].push(c);
        }
    }
    if escaped {
        parts.last_mut().expect("at least one part").push('\\');
    }
    parts
}

fn value(text: &str) -> Option<String> {
    let t = text.trim();
    match t {
        "NULL" => None,
        "''" => Some(String::new()),
        _ => {
            // Quotes keep blanks.
            let t = t.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')).unwrap_or(t);
            Some(unescape(t))
        }
    }
}

/// `\n`, `\t`, `\\` and escaped separators.
pub fn unescape(t: &str) -> String {
    let mut out = String::new();
    let mut chars = t.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(c) => out.push(c),
            None => out.push('\\'),
        }
    }
    out
}

/// The reverse of [`unescape`] for golden files.
pub fn escape(t: &str) -> String {
    t.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\t', "\\t")
        .replace('\r', "\\r")
}

/// All calls of a file.
pub fn expand(text: &str) -> Vec<Line> {
    let mut lists: HashMap<String, Vec<String>> = HashMap::new();
    let mut out = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
        if let Some(set) = line.strip_prefix("set ") {
            let (name, v) = set.split_once('=').expect("set name = value");
            out.push(Line::Set(name.trim().to_owned(), v.trim().to_owned()));
            continue;
        }
        let resolve = |part: &str, lists: &HashMap<String, Vec<String>>| -> Vec<String> {
            split(part, '|')
                .iter()
                .flat_map(|v| match v.trim().strip_prefix('@').and_then(|n| lists.get(n)) {
                    Some(list) => list.clone(),
                    None => vec![v.clone()],
                })
                .collect()
        };
        if let Some(named) = line.strip_prefix('@')
            && let Some((name, values)) = named.split_once(" = ")
        {
            lists.insert(name.trim().to_owned(), resolve(values, &lists));
            continue;
        }
        let (signature, args) = line.split_once(" : ").unwrap_or((line.trim_end_matches(" :"), ""));
        let choices: Vec<Vec<String>> = if args.trim().is_empty() {
            Vec::new()
        } else {
            split(args, ';').iter().map(|p| resolve(p, &lists)).collect()
        };
        let mut combinations: Vec<Vec<Option<String>>> = vec![Vec::new()];
        for values in &choices {
            combinations = combinations
                .iter()
                .flat_map(|c| values.iter().map(move |v| c.iter().cloned().chain([value(v)]).collect()))
                .collect();
        }
        out.extend(combinations.into_iter().map(|args| Line::Call(signature.trim().to_owned(), args)));
    }
    out
}
