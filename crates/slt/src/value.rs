//! How a result value is written in a test file.
//!
//! The corpus of SQLite was recorded from a program that asks for each value in the type which the *record* declares, not in
//! the type that the query has: `query I` over a numeric column shows whole numbers. So the declared letter decides:
//!
//! | letter | form |
//! | --- | --- |
//! | `I` | a whole number, what is behind the point cut off; booleans are 1 and 0, text that is no number is 0 |
//! | `R` | three digits behind the point |
//! | `T` and others | the server's text; the empty text is `(empty)` |
//!
//! NULL is `NULL` in each of them.

use sqllogictest::DefaultColumnType;

/// One value of a result as the file has it.
pub fn written(declared: &DefaultColumnType, value: Option<&str>) -> String {
    let Some(text) = value else {
        return "NULL".to_owned();
    };
    match declared {
        DefaultColumnType::Integer => whole(text),
        DefaultColumnType::FloatingPoint => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => format!("{number:.3}"),
            _ => text.to_owned(),
        },
        _ if text.is_empty() => "(empty)".to_owned(),
        _ => text.to_owned(),
    }
}

fn whole(text: &str) -> String {
    match text {
        "t" => "1".to_owned(),
        _ if text.parse::<i64>().is_ok() => text.to_owned(),
        _ => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => format!("{}", number.trunc() as i64),
            _ => "0".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DefaultColumnType::{Any, FloatingPoint, Integer, Text};

    #[test]
    fn the_declared_letter_decides_the_form() {
        for (declared, value, form) in [
            (Integer, "42", "42"),
            (Integer, "-42.9900", "-42"),
            (Integer, "t", "1"),
            (Integer, "f", "0"),
            (Integer, "abc", "0"),
            (FloatingPoint, "42", "42.000"),
            (FloatingPoint, "0.0625", "0.062"),
            (FloatingPoint, "-1e3", "-1000.000"),
            (FloatingPoint, "NaN", "NaN"),
            (Text, "42.10", "42.10"),
            (Text, "", "(empty)"),
            (Any, "", "(empty)"),
        ] {
            assert_eq!(written(&declared, Some(value)), form, "{declared:?} {value}");
        }
    }

    #[test]
    fn null_is_null_in_each_form() {
        for declared in [Integer, FloatingPoint, Text, Any] {
            assert_eq!(written(&declared, None), "NULL");
        }
    }
}
