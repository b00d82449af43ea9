//! Lists of identifiers as `search_path` and `DateStyle` spell them: `"$user", public`.

use curia_catalog::system::is_system_schema;

/// Splits a list into identifiers: unquoted ones fold to lower case, quoted ones keep their spelling. `None` when it is malformed.
pub fn split(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = list.trim();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut chars = quoted.char_indices().peekable();
            let end = loop {
                let (i, c) = chars.next()?;
                if c != '"' {
                    name.push(c);
                } else if chars.next_if(|(_, c)| *c == '"').is_some() {
                    name.push('"');
                } else {
                    break i + 1;
                }
            };
            names.push(name);
            rest = quoted[end..].trim_start();
        } else {
            let end = rest.find([',', ' ', '\t', '\n']).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            names.push(rest[..end].to_lowercase());
            rest = rest[end..].trim_start();
        }
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

/// One identifier, quoted where PostgreSQL's `quote_identifier` quotes it (reserved words aside).
pub fn quote(name: &str) -> String {
    let plain = name.chars().next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// The schemas of a search path, `$user` replaced. The schema `curia` is the system's, and not that of the user of this name.
pub fn schemas(list: &str, user: &str) -> Vec<String> {
    split(list)
        .unwrap_or_default()
        .into_iter()
        .filter(|s| s != "$user" || !is_system_schema(user))
        .map(|s| if s == "$user" { user.to_owned() } else { s })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_as_postgresql_splits_them() {
        assert_eq!(split("\"$user\", public").unwrap(), ["$user", "public"]);
        assert_eq!(split("a, \"B c\" ,D").unwrap(), ["a", "B c", "d"]);
        assert_eq!(split("\"a\"\"b\"").unwrap(), ["a\"b"]);
        assert_eq!(split("").unwrap(), Vec::<String>::new());
        assert_eq!(split("\"\"").unwrap(), [""]);
        assert_eq!(split("a,,b"), None);
        assert_eq!(split("\"a"), None);
    }
}
