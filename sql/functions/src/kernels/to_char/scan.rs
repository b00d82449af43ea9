//! A text read by a template of dates and times.
//!
//! Matching is loose unless the template says FX: blanks before and after fields do not count, a separator of the template matches any
//! separator or nothing, other text matches any characters.

use super::date::Found;
use super::moment::{DAY_NAMES, MONTH_NAMES};
use super::picture::{Convention, Field, Piece, What, is_separator, is_space, parse};
use super::roman;
use curia_types::{Result, SqlError, SqlState};

pub(super) fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

fn set(field: &Field<'_>, target: &mut i32, value: i32) -> Result<()> {
    if *target != 0 && *target != value {
        return Err(
            invalid(format!("conflicting values for \"{}\" field in formatting string", field.name))
                .detail("This value contradicts a previous setting for the same field type."),
        );
    }
    *target = value;
    Ok(())
}

/// C's `strtol`: blanks, a sign, digits. (value, bytes taken); `None` for a value beyond 64 bits, 0 taken without digits.
fn leading_integer(text: &str) -> (Option<i64>, usize) {
    let blanks = text.len() - text.trim_start_matches(is_space).len();
    let bytes = text.as_bytes();
    let sign = usize::from(matches!(bytes.get(blanks), Some(b'+' | b'-')));
    let start = blanks + sign;
    let digits = bytes[start..].iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return (Some(0), 0);
    }
    let magnitude: Option<i64> = text[start..start + digits].parse().ok();
    let negative = sign == 1 && bytes[blanks] == b'-';
    (magnitude.map(|m| if negative { -m } else { m }), start + digits)
}

/// The input at the cursor.
struct Input<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Input<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    /// Skips blanks and counts them.
    fn skip_blanks(&mut self) -> i32 {
        let rest = self.rest();
        let n = rest.len() - rest.trim_start_matches(is_space).len();
        self.at += n;
        n as i32
    }

    /// A number of `width` characters, or as many as there are when the template lets its end be seen. Gives the number of characters.
    fn integer(&mut self, field: &Field<'_>, width: usize, open: bool, target: Option<&mut i32>) -> Result<usize> {
        let start = self.at;
        self.skip_blanks();
        let rest = self.rest();
        let mut end = width.min(rest.len());
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let copy = &rest[..end];
        let hint = "If your source string is not fixed-width, try using the \"FM\" modifier.";
        let value = if field.fill || open {
            let (value, used) = leading_integer(&self.text[start..]);
            self.at = start + used;
            value
        } else {
            if rest.len() < width {
                return Err(invalid(format!("source string too short for \"{}\" formatting field", field.name))
                    .detail(format!("Field requires {width} characters, but only {} remain.", rest.len()))
                    .hint(hint));
            }
            let (value, used) = leading_integer(copy);
            if used > 0 && used < width {
                return Err(invalid(format!("invalid value \"{copy}\" for \"{}\"", field.name))
                    .detail(format!("Field requires {width} characters, but only {used} could be parsed."))
                    .hint(hint));
            }
            self.at += used;
            value
        };
        if self.at == start {
            return Err(invalid(format!("invalid value \"{copy}\" for \"{}\"", field.name)).detail("Value must be an integer."));
        }
        let value = value.and_then(|v| i32::try_from(v).ok()).ok_or_else(|| {
            SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("value for \"{}\" in source string is out of range", field.name),
            )
            .detail(format!("Value must be in the range {} to {}.", i32::MIN, i32::MAX))
        })?;
        if let Some(target) = target {
            set(field, target, value)?;
        }
        Ok(self.at - start)
    }

    /// The first of some words that the input starts with, in any case: its index.
    fn word(&mut self, field: &Field<'_>, words: &[&str]) -> Result<i32> {
        let rest = self.rest();
        let found = words
            .iter()
            .position(|w| rest.len() >= w.len() && rest.as_bytes()[..w.len()].eq_ignore_ascii_case(w.as_bytes()));
        match found {
            Some(i) => {
                self.at += words[i].len();
                Ok(i as i32)
            }
            None => {
                let shown = rest.split([' ', '\t', '\n', '\r', '\x0c']).next().unwrap_or("");
                Err(invalid(format!("invalid value \"{shown}\" for \"{}\"", field.name))
                    .detail("The given value did not match any of the allowed values for this field."))
            }
        }
    }

    /// `1,234`
    fn year_with_comma(&mut self) -> Result<i32> {
        let bad = || invalid("invalid input string for \"Y,YYY\"");
        let rest = self.rest();
        let (millennia, used) = leading_integer(rest);
        let after = rest[used..].strip_prefix(',').filter(|_| used > 0).ok_or_else(bad)?;
        let blanks = after.len() - after.trim_start_matches(is_space).len();
        let mut end = (blanks + 3).min(after.len());
        while !after.is_char_boundary(end) {
            end -= 1;
        }
        let (years, years_used) = leading_integer(&after[..end]);
        if years_used == 0 {
            return Err(bad());
        }
        self.at += used + 1 + years_used;
        let year = i64::from(millennia.unwrap_or(-1) as i32) * 1000 + years.unwrap_or(0);
        i32::try_from(year).map_err(|_| {
            SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                "value for \"Y,YYY\" in source string is out of range",
            )
        })
    }
}

/// Whether what follows a field cannot be taken for digits of it.
fn ends_visibly(pieces: &[Piece<'_>], at: usize) -> bool {
    if matches!(&pieces[at], Piece::Field(f) if f.ordinal.is_some()) {
        return true;
    }
    match pieces.get(at + 1) {
        None => true,
        Some(Piece::Field(f)) => !f.digits,
        Some(Piece::Space(c) | Piece::Separator(c) | Piece::Literal(c)) => !c.is_ascii_digit(),
    }
}

/// A year of fewer than four digits is the one nearest to 2020.
fn nearest_to_2020(year: i32) -> i32 {
    match year {
        ..70 => year.wrapping_add(2000),
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

/// The fields of a text. 22007 for text that does not match, 22008 for numbers out of range.
pub(super) fn read(text: &str, template: &str) -> Result<Found> {
    let pieces = parse(template);
    let mut found = Found::default();
    let mut input = Input { text, at: 0 };
    let mut exact = false;
    // Characters that were skipped beyond what the template named.
    let mut skipped = 0i32;
    for (i, piece) in pieces.iter().enumerate() {
        if input.rest().is_empty() {
            break;
        }
        let starts_exact = matches!(piece, Piece::Field(f) if f.what == What::Exact);
        if !exact && !starts_exact && (matches!(piece, Piece::Field(_)) || i == 0) {
            skipped += input.skip_blanks();
        }
        match piece {
            Piece::Space(_) | Piece::Separator(_) if exact => input.bump(),
            Piece::Space(_) | Piece::Separator(_) => {
                skipped -= 1;
                if input.peek().is_some_and(|c| is_space(c) || is_separator(c)) {
                    input.bump();
                    skipped += 1;
                }
            }
            Piece::Literal(_) if !exact && skipped > 0 => skipped -= 1,
            Piece::Literal(_) => input.bump(),
            Piece::Field(field) => {
                exact |= starts_exact;
                let open = ends_visibly(&pieces, i);
                read_field(field, open, &mut input, &mut found, skipped)?;
                if !exact {
                    skipped = input.skip_blanks();
                }
            }
        }
    }
    Ok(found)
}

fn read_field(field: &Field<'_>, open: bool, input: &mut Input<'_>, found: &mut Found, skipped: i32) -> Result<()> {
    if field.convention != Convention::Either {
        let before = *found.convention.get_or_insert(field.convention);
        if before != field.convention {
            return Err(invalid("invalid combination of date conventions")
                .hint("Do not mix Gregorian and ISO week date conventions in a formatting template."));
        }
    }
    let width = field.name.len();
    match field.what {
        What::Exact => return Ok(()),
        What::Meridiem { dots } => {
            let words = if dots { ["a.m.", "p.m."] } else { ["am", "pm"] };
            let value = input.word(field, &words)?;
            set(field, &mut found.afternoon, value)?;
            found.twelve_hours = true;
            return Ok(());
        }
        What::Era { dots } => {
            let words = if dots { ["a.d.", "b.c."] } else { ["ad", "bc"] };
            let value = input.word(field, &words)?;
            return set(field, &mut found.before_christ, value);
        }
        What::MonthName => {
            let value = input.word(field, &MONTH_NAMES)?;
            return set(field, &mut found.month, value + 1);
        }
        What::MonthAbbreviation => {
            let value = input.word(field, &MONTH_NAMES.map(|n| &n[..3]))?;
            return set(field, &mut found.month, value + 1);
        }
        What::DayName | What::DayAbbreviation => {
            let value = match field.what {
                What::DayName => input.word(field, &DAY_NAMES)?,
                _ => input.word(field, &DAY_NAMES.map(|n| &n[..3]))?,
            };
            set(field, &mut found.weekday, value)?;
            found.weekday += 1;
            return Ok(());
        }
        What::RomanMonth => {
            let value = input.word(field, &roman::MONTHS)?;
            return set(field, &mut found.month, 12 - value);
        }
        What::Zone | What::Offset => {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("formatting field \"{}\" is only supported in to_char", field.name),
            ));
        }
        What::ZoneHour => {
            // A minus may have been taken for a separator of the template already.
            found.zone_sign = match input.peek() {
                Some(c @ ('+' | '-' | ' ')) => {
                    input.bump();
                    if c == '-' { -1 } else { 1 }
                }
                _ if skipped > 0 && input.text[..input.at].ends_with('-') => -1,
                _ => 1,
            };
            return input.integer(field, 2, open, Some(&mut found.zone_hour)).map(drop);
        }
        What::ZoneMinute => {
            if found.zone_sign == 0 {
                found.zone_sign = 1;
            }
            return input.integer(field, 2, open, Some(&mut found.zone_minute)).map(drop);
        }
        What::Hour12 | What::Hour24 => {
            input.integer(field, 2, open, Some(&mut found.hour))?;
            found.twelve_hours |= field.what == What::Hour12;
        }
        What::Minute => drop(input.integer(field, width, open, Some(&mut found.minute))?),
        What::Second => drop(input.integer(field, width, open, Some(&mut found.second))?),
        What::SecondOfDay => drop(input.integer(field, width, open, Some(&mut found.second_of_day))?),
        What::Millisecond => {
            let digits = input.integer(field, 3, open, Some(&mut found.millis))?;
            found.millis = found.millis.wrapping_mul(10i32.pow(3u32.saturating_sub(digits as u32)));
        }
        What::Microsecond | What::Fraction(_) => {
            let width = match field.what {
                What::Fraction(digits) => {
                    found.fraction_digits = digits;
                    digits.into()
                }
                _ => 6,
            };
            let digits = input.integer(field, width, open, Some(&mut found.micros))?;
            found.micros = found.micros.wrapping_mul(10i32.pow(6u32.saturating_sub(digits as u32)));
        }
        What::Month => drop(input.integer(field, width, open, Some(&mut found.month))?),
        What::YearDay => drop(input.integer(field, width, open, Some(&mut found.yearday))?),
        What::IsoYearDay => drop(input.integer(field, 3, open, Some(&mut found.yearday))?),
        What::MonthDay => drop(input.integer(field, width, open, Some(&mut found.day))?),
        What::WeekDay => drop(input.integer(field, width, open, Some(&mut found.weekday))?),
        What::IsoWeekDay => {
            input.integer(field, 1, open, Some(&mut found.weekday))?;
            // Monday is 1 there, Sunday here.
            found.weekday = found.weekday.wrapping_add(1);
            if found.weekday > 7 {
                found.weekday = 1;
            }
        }
        What::Week | What::IsoWeek => drop(input.integer(field, width, open, Some(&mut found.week))?),
        What::WeekOfMonth => drop(input.integer(field, width, open, Some(&mut found.week_of_month))?),
        // Which day of the quarter is meant nobody can know: it is read and forgotten.
        What::Quarter => drop(input.integer(field, width, open, None)?),
        What::Century => drop(input.integer(field, width, open, Some(&mut found.century))?),
        What::Julian => drop(input.integer(field, width, open, Some(&mut found.julian))?),
        What::YearWithComma => {
            let year = input.year_with_comma()?;
            set(field, &mut found.year, year)?;
            found.year_digits = 4;
        }
        What::Year(digits) | What::IsoYear(digits) => {
            let used = input.integer(field, width, open, Some(&mut found.year))?;
            if digits < 4 && used < 4 {
                found.year = nearest_to_2020(found.year);
            }
            found.year_digits = digits;
        }
    }
    if field.ordinal.is_some() {
        input.bump();
        input.bump();
    }
    Ok(())
}
