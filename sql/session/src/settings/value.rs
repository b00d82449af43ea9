//! From the text of a SET to a checked value, and from a value to the text of SHOW: PostgreSQL's `parse_and_validate_value` and
//! `ShowGUCOption`.

use super::known::{Kind, Known, Unit};
use curia_types::{Result, SqlError, SqlState};

/// Units of a base unit, largest first: (suffix, how many base units; negative when the base unit holds that many of it).
fn units(unit: Unit) -> &'static [(&'static str, f64)] {
    match unit {
        Unit::Milliseconds => &[
            ("d", 86_400_000.0),
            ("h", 3_600_000.0),
            ("min", 60_000.0),
            ("s", 1000.0),
            ("ms", 1.0),
            ("us", 0.001),
        ],
        Unit::Seconds => &[
            ("d", 86_400.0),
            ("h", 3600.0),
            ("min", 60.0),
            ("s", 1.0),
            ("ms", 0.001),
            ("us", 0.000_001),
        ],
        Unit::Minutes => &[
            ("d", 1440.0),
            ("h", 60.0),
            ("min", 1.0),
            ("s", 1.0 / 60.0),
            ("ms", 1.0 / 60_000.0),
            ("us", 1.0 / 60_000_000.0),
        ],
        Unit::Bytes => &[
            ("TB", 1_099_511_627_776.0),
            ("GB", 1_073_741_824.0),
            ("MB", 1_048_576.0),
            ("kB", 1024.0),
            ("B", 1.0),
        ],
        Unit::Kilobytes => &[
            ("TB", 1_073_741_824.0),
            ("GB", 1_048_576.0),
            ("MB", 1024.0),
            ("kB", 1.0),
            ("B", 1.0 / 1024.0),
        ],
        Unit::Megabytes => &[
            ("TB", 1_048_576.0),
            ("GB", 1024.0),
            ("MB", 1.0),
            ("kB", 1.0 / 1024.0),
            ("B", 1.0 / 1_048_576.0),
        ],
        Unit::Pages => &[
            ("TB", 134_217_728.0),
            ("GB", 131_072.0),
            ("MB", 128.0),
            ("kB", 0.125),
            ("B", 1.0 / 8192.0),
        ],
    }
}

fn is_time(unit: Unit) -> bool {
    matches!(unit, Unit::Milliseconds | Unit::Seconds | Unit::Minutes)
}

/// 22023 with PostgreSQL's wording.
pub fn invalid(name: &str, value: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{name}\": \"{value}\""),
    )
}

/// PostgreSQL's `parse_bool`: unambiguous prefixes of true, false, yes, no, on, off, and 1 or 0.
pub fn parse_bool(text: &str) -> Option<bool> {
    let t = text.to_ascii_lowercase();
    let prefix = |word: &str, least: usize| t.len() >= least && word.starts_with(&t);
    if t == "1" || prefix("true", 1) || prefix("yes", 1) || prefix("on", 2) {
        Some(true)
    } else if t == "0" || prefix("false", 1) || prefix("no", 1) || prefix("off", 2) {
        Some(false)
    } else {
        None
    }
}

/// Checks `text` against the parameter's kind and returns the canonical value (base units, lower-case words).
pub fn check(known: &Known, text: &str) -> Result<String> {
    match known.kind {
        Kind::Bool => match parse_bool(text) {
            Some(b) => Ok(if b { "on" } else { "off" }.to_owned()),
            None => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("parameter \"{}\" requires a Boolean value", known.name),
            )),
        },
        Kind::Int { min, max, unit } => {
            let (number, suffix) = split_number(text).ok_or_else(|| invalid(known.name, text))?;
            let value = scale(known.name, text, number, suffix, unit)?.round();
            if value < min as f64 || value > max as f64 {
                return Err(out_of_range(
                    known.name,
                    &format!("{value}"),
                    unit,
                    &min.to_string(),
                    &max.to_string(),
                ));
            }
            Ok(format!("{}", value as i64))
        }
        Kind::Real { min, max } => {
            let (number, suffix) = split_number(text).ok_or_else(|| invalid(known.name, text))?;
            let value = scale(known.name, text, number, suffix, None)?;
            if !(min..=max).contains(&value) {
                return Err(out_of_range(
                    known.name,
                    &format!("{value}"),
                    None,
                    &short_float(min),
                    &short_float(max),
                ));
            }
            Ok(format!("{value}"))
        }
        Kind::Enum(words) => {
            let lower = text.to_ascii_lowercase();
            if let Some(w) = words.iter().find(|w| **w == lower) {
                return Ok((*w).to_owned());
            }
            // Spellings that PostgreSQL takes but doesn't list.
            let hidden = match lower.as_str() {
                "debug" if words.contains(&"debug2") => Some("debug2"),
                "info" if words.contains(&"debug2") => Some("info"),
                "true" | "yes" | "1" if words.contains(&"on") => Some("on"),
                "false" | "no" | "0" if words.contains(&"off") => Some("off"),
                _ => None,
            };
            match hidden {
                Some(w) => Ok(w.to_owned()),
                None => Err(invalid(known.name, text).hint(format!("Available values: {}.", words.join(", ")))),
            }
        }
        Kind::Text => Ok(text.to_owned()),
    }
}

fn short_float(v: f64) -> String {
    if v == f64::MAX { "1.79769e+308".to_owned() } else { format!("{v}") }
}

fn out_of_range(name: &str, value: &str, unit: Option<Unit>, min: &str, max: &str) -> SqlError {
    let unit = unit.map(|u| format!(" {}", u.name())).unwrap_or_default();
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("{value}{unit} is outside the valid range for parameter \"{name}\" ({min} .. {max})"),
    )
}

/// Splits `12.5 MB` into number and unit. Accepts decimal, exponent and 0x forms.
fn split_number(text: &str) -> Option<(f64, &str)> {
    let t = text.trim_matches([' ', '\t', '\n', '\r']);
    let (sign, digits) = match t.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, t.strip_prefix('+').unwrap_or(t)),
    };
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        let n = i64::from_str_radix(&hex[..end], 16).ok()?;
        return Some((sign * n as f64, hex[end..].trim_start()));
    }
    let bytes = digits.as_bytes();
    let mut end = bytes.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    if end == 0 {
        return None;
    }
    if end < bytes.len() && matches!(bytes[end], b'e' | b'E') {
        let mut e = end + 1;
        if e < bytes.len() && matches!(bytes[e], b'+' | b'-') {
            e += 1;
        }
        let n = bytes[e..].iter().take_while(|b| b.is_ascii_digit()).count();
        if n > 0 {
            end = e + n;
        }
    }
    let n: f64 = digits[..end].parse().ok()?;
    Some((sign * n, digits[end..].trim_start()))
}

fn scale(name: &str, text: &str, number: f64, suffix: &str, unit: Option<Unit>) -> Result<f64> {
    if suffix.is_empty() {
        return Ok(number);
    }
    let Some(unit) = unit else { return Err(invalid(name, text)) };
    match units(unit).iter().find(|(s, _)| *s == suffix) {
        Some((_, factor)) => Ok(number * factor),
        None => Err(invalid(name, text).hint(if is_time(unit) {
            "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"."
        } else {
            "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\"."
        })),
    }
}

/// What SHOW prints for a canonical value: numbers in the largest unit that divides them.
pub fn show(known: &Known, value: &str) -> String {
    let Kind::Int { unit: Some(unit), .. } = known.kind else {
        return value.to_owned();
    };
    let Ok(n) = value.parse::<i64>() else { return value.to_owned() };
    if n <= 0 {
        return value.to_owned();
    }
    for (suffix, factor) in units(unit) {
        if *factor >= 1.0 {
            if n % (*factor as i64) == 0 {
                return format!("{}{suffix}", n / *factor as i64);
            }
        } else {
            return format!("{}{suffix}", (n as f64 * factor.recip()).round() as i64);
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::known::{KNOWN, find};
    use super::*;

    fn set(name: &str, text: &str) -> Result<String> {
        let k = &KNOWN[find(name).unwrap()];
        check(k, text).map(|v| show(k, &v))
    }

    #[test]
    fn numbers_take_units_and_show_the_largest_that_divides() {
        assert_eq!(set("work_mem", "1MB").unwrap(), "1MB");
        assert_eq!(set("work_mem", "1024").unwrap(), "1MB");
        assert_eq!(set("work_mem", "1.5 MB").unwrap(), "1536kB");
        assert_eq!(set("statement_timeout", "5s").unwrap(), "5s");
        assert_eq!(set("statement_timeout", "1500").unwrap(), "1500ms");
        assert_eq!(set("statement_timeout", "0").unwrap(), "0");
        assert_eq!(set("effective_cache_size", "1GB").unwrap(), "1GB");
        assert_eq!(set("effective_cache_size", "3").unwrap(), "24kB");
    }

    #[test]
    fn values_outside_their_kind_are_refused_in_postgresqls_words() {
        let message = |n, t| set(n, t).unwrap_err().message().to_owned();
        assert_eq!(
            message("work_mem", "10"),
            "10 kB is outside the valid range for parameter \"work_mem\" (64 .. 2147483647)"
        );
        assert_eq!(message("work_mem", "4 MBx"), "invalid value for parameter \"work_mem\": \"4 MBx\"");
        assert_eq!(
            message("extra_float_digits", "4"),
            "4 is outside the valid range for parameter \"extra_float_digits\" (-15 .. 3)"
        );
        assert_eq!(message("jit", "maybe"), "parameter \"jit\" requires a Boolean value");
        assert_eq!(
            message("random_page_cost", "-1"),
            "-1 is outside the valid range for parameter \"random_page_cost\" (0 .. 1.79769e+308)"
        );
        let e = set("bytea_output", "foo").unwrap_err();
        assert_eq!(e.fields().hint.as_deref(), Some("Available values: escape, hex."));
    }

    #[test]
    fn booleans_and_words_take_postgresqls_spellings() {
        for t in ["1", "t", "TRUE", "y", "on"] {
            assert_eq!(set("jit", t).unwrap(), "on");
        }
        for t in ["0", "f", "No", "of", "off"] {
            assert_eq!(set("jit", t).unwrap(), "off");
        }
        assert!(set("jit", "o").is_err());
        assert_eq!(set("client_min_messages", "debug").unwrap(), "debug2");
        assert_eq!(set("synchronous_commit", "true").unwrap(), "on");
    }
}
