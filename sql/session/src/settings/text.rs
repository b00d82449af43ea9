//! Checks of the text parameters that have one: their `check_` hooks.

use super::search_path;
use super::value::invalid;
use crate::keyed::{KEY, check_key};
use crate::reading::{ReadLevel, check_csn};
use curia_types::datetime::Zone;
use curia_types::{Result, SqlError, SqlState};

/// Checks and canonicalises `value` for the parameter `name`; `current` is its present value.
pub fn check(name: &str, value: String, current: &str) -> Result<String> {
    match name {
        "client_encoding" => client_encoding(value),
        "DateStyle" => date_style(value, current),
        "search_path" => match search_path::split(&value) {
            Some(_) => Ok(value),
            None => Err(invalid(name, &value).detail("List syntax is invalid.")),
        },
        "TimeZone" => time_zone(value),
        "curia.read" => value.parse::<ReadLevel>().map(|level| level.to_string()),
        "curia.min_csn" => check_csn(&value),
        KEY => check_key(value),
        // PostgreSQL replaces what is not printable ASCII, byte by byte.
        "application_name" => Ok(value
            .bytes()
            .map(|b| if (32..127).contains(&b) { b as char } else { '?' })
            .take(63)
            .collect()),
        "standard_conforming_strings" | "array_nulls" if value == "off" => Err(SqlError::unsupported(format!("{name} = off"))),
        "exit_on_error" if value == "on" => Err(SqlError::unsupported("exit_on_error = on")),
        _ => Ok(value),
    }
}

fn client_encoding(value: String) -> Result<String> {
    let plain: String = value
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    match plain.as_str() {
        "utf8" | "unicode" => Ok("UTF8".to_owned()),
        _ if curia_types::encoding::is_known(&value) => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("client_encoding \"{value}\" is not supported"),
        )
        .hint("Curia speaks UTF8 only.")),
        _ => Err(invalid("client_encoding", &value)),
    }
}

/// `style, order` in any order; what is not named keeps its present value.
fn date_style(value: String, current: &str) -> Result<String> {
    let Some(words) = search_path::split(&value) else {
        return Err(invalid("DateStyle", &value).detail("List syntax is invalid."));
    };
    let (mut style, mut order) = match current.split_once(", ") {
        Some((s, o)) => (s.to_owned(), o.to_owned()),
        None => ("ISO".to_owned(), "MDY".to_owned()),
    };
    let mut order_named = false;
    for word in words {
        match word.to_ascii_lowercase().as_str() {
            "iso" => style = "ISO".into(),
            "sql" => style = "SQL".into(),
            s if s.starts_with("postgres") => style = "Postgres".into(),
            "german" => {
                style = "German".into();
                if !order_named {
                    order = "DMY".into();
                }
            }
            "ymd" => (order, order_named) = ("YMD".into(), true),
            "dmy" => (order, order_named) = ("DMY".into(), true),
            s if s.starts_with("euro") => (order, order_named) = ("DMY".into(), true),
            "mdy" | "us" => (order, order_named) = ("MDY".into(), true),
            s if s.starts_with("noneuro") => (order, order_named) = ("MDY".into(), true),
            "default" => {
                style = "ISO".into();
                if !order_named {
                    order = "MDY".into();
                }
            }
            _ => return Err(invalid("DateStyle", &value).detail(format!("Unrecognized key word: \"{word}\"."))),
        }
    }
    Ok(format!("{style}, {order}"))
}

/// Hours east of UTC become POSIX text, as PostgreSQL shows them; names get the tz database's spelling.
fn time_zone(value: String) -> Result<String> {
    let hours = match value.strip_prefix("interval ") {
        Some(text) => Some(interval_hours(text).ok_or_else(|| invalid("TimeZone", &value))?),
        None => value.trim().parse::<f64>().ok(),
    };
    if let Some(hours) = hours {
        if hours.is_nan() || hours.abs() >= 168.0 {
            return Err(invalid("TimeZone", &value));
        }
        let seconds = (hours * 3600.0).abs() as u64;
        let mut size = format!("{:02}", seconds / 3600);
        if !seconds.is_multiple_of(3600) {
            size.push_str(&format!(":{:02}", seconds % 3600 / 60));
        }
        let (east, posix) = if hours < 0.0 { ('-', '+') } else { ('+', '-') };
        return Ok(format!("<{east}{size}>{posix}{size}"));
    }
    let zone = Zone::from_setting(&value)?;
    Ok(zone.0.iana_name().map_or(value, str::to_owned))
}

/// `SET TIME ZONE INTERVAL '2 hours'`: hours east of UTC; months and days are no offset.
fn interval_hours(text: &str) -> Option<f64> {
    let i = curia_types::datetime::parse_interval(text, -1, &curia_types::IoContext::default()).ok()?;
    (i.months == 0 && i.days == 0).then_some(i.micros as f64 / 3.6e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_style_keeps_what_it_does_not_name() {
        assert_eq!(date_style("german".into(), "ISO, MDY").unwrap(), "German, DMY");
        assert_eq!(date_style("iso".into(), "German, DMY").unwrap(), "ISO, DMY");
        assert_eq!(date_style("iso, ymd".into(), "ISO, MDY").unwrap(), "ISO, YMD");
        assert!(date_style("foo".into(), "ISO, MDY").is_err());
    }

    #[test]
    fn time_zones_are_shown_as_postgresql_shows_them() {
        let shown = |t: &str| time_zone(t.into()).unwrap();
        assert_eq!(shown("europe/berlin"), "Europe/Berlin");
        assert_eq!(shown("3"), "<+03>-03");
        assert_eq!(shown("-3.5"), "<-03:30>+03:30");
        assert_eq!(shown("<+03>-03"), "<+03>-03");
        assert_eq!(shown("interval 2 hours"), "<+02>-02");
        assert_eq!(
            time_zone("Nowhere".into()).unwrap_err().message(),
            "invalid value for parameter \"TimeZone\": \"Nowhere\""
        );
    }

    #[test]
    fn only_utf8_is_spoken() {
        assert_eq!(client_encoding("utf-8".into()).unwrap(), "UTF8");
        assert_eq!(
            client_encoding("latin1".into()).unwrap_err().code(),
            SqlState::FEATURE_NOT_SUPPORTED
        );
        assert_eq!(client_encoding("foo".into()).unwrap_err().code(), SqlState::INVALID_PARAMETER_VALUE);
    }
}
