//! Templates of dates and times: the fields with their modifiers, and the text between them.

/// What a field shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// AM, PM; with dots or not
    Meridiem {
        dots: bool,
    },
    /// AD, BC; with dots or not
    Era {
        dots: bool,
    },
    Century,
    DayName,
    DayAbbreviation,
    YearDay,
    MonthDay,
    WeekDay,
    /// FF1 to FF6, by the number of digits
    Fraction(u8),
    /// FX
    Exact,
    Hour24,
    Hour12,
    IsoYearDay,
    IsoWeekDay,
    IsoWeek,
    /// IYYY to I, by the number of digits
    IsoYear(u8),
    Julian,
    Minute,
    Month,
    MonthName,
    MonthAbbreviation,
    Millisecond,
    Offset,
    Quarter,
    RomanMonth,
    SecondOfDay,
    Second,
    ZoneHour,
    ZoneMinute,
    Zone,
    Microsecond,
    Week,
    WeekOfMonth,
    /// Y,YYY
    YearWithComma,
    /// YYYY to Y, by the number of digits
    Year(u8),
}

/// Which calendar a field belongs to; a template that reads must not mix them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Convention {
    Either,
    Gregorian,
    IsoWeek,
}

use Convention::{Either, Gregorian, IsoWeek};

/// Letters of a name, as the template wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    Upper,
    Capital,
    Lower,
}

/// The ordinal suffix asked for with TH or th.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ordinal {
    Upper,
    Lower,
}

/// A field of a template.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Field<'a> {
    pub what: What,
    /// As written in the template, without modifiers.
    pub name: &'a str,
    /// FM: no padding.
    pub fill: bool,
    /// TM: names of the locale, which are not padded.
    pub translated: bool,
    pub ordinal: Option<Ordinal>,
    /// Whether its value is digits only, so that a field before it must be of fixed width.
    pub digits: bool,
    pub convention: Convention,
}

impl Field<'_> {
    pub fn letters(&self) -> Letters {
        let mut bytes = self.name.bytes();
        match (bytes.next(), bytes.find(u8::is_ascii_alphabetic)) {
            (Some(b'a'..=b'z'), _) => Letters::Lower,
            (_, Some(b'a'..=b'z')) => Letters::Capital,
            _ => Letters::Upper,
        }
    }
}

/// An element of a template.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Piece<'a> {
    Field(Field<'a>),
    Space(char),
    /// A printable ASCII character that is neither letter nor digit.
    Separator(char),
    /// Any other character, and all that was quoted.
    Literal(char),
}

/// (name, what, digits, convention); of two names that match, the first counts. All may be written in lower case too.
const FIELDS: &[(&str, What, bool, Convention)] = &[
    ("A.D.", What::Era { dots: true }, false, Either),
    ("A.M.", What::Meridiem { dots: true }, false, Either),
    ("AD", What::Era { dots: false }, false, Either),
    ("AM", What::Meridiem { dots: false }, false, Either),
    ("B.C.", What::Era { dots: true }, false, Either),
    ("BC", What::Era { dots: false }, false, Either),
    ("CC", What::Century, true, Either),
    ("DAY", What::DayName, false, Either),
    ("DDD", What::YearDay, true, Gregorian),
    ("DD", What::MonthDay, true, Gregorian),
    ("DY", What::DayAbbreviation, false, Either),
    ("Day", What::DayName, false, Either),
    ("Dy", What::DayAbbreviation, false, Either),
    ("D", What::WeekDay, true, Gregorian),
    ("FF1", What::Fraction(1), true, Either),
    ("FF2", What::Fraction(2), true, Either),
    ("FF3", What::Fraction(3), true, Either),
    ("FF4", What::Fraction(4), true, Either),
    ("FF5", What::Fraction(5), true, Either),
    ("FF6", What::Fraction(6), true, Either),
    ("FX", What::Exact, false, Either),
    ("HH24", What::Hour24, true, Either),
    ("HH12", What::Hour12, true, Either),
    ("HH", What::Hour12, true, Either),
    ("IDDD", What::IsoYearDay, true, IsoWeek),
    ("ID", What::IsoWeekDay, true, IsoWeek),
    ("IW", What::IsoWeek, true, IsoWeek),
    ("IYYY", What::IsoYear(4), true, IsoWeek),
    ("IYY", What::IsoYear(3), true, IsoWeek),
    ("IY", What::IsoYear(2), true, IsoWeek),
    ("I", What::IsoYear(1), true, IsoWeek),
    ("J", What::Julian, true, Either),
    ("MI", What::Minute, true, Either),
    ("MM", What::Month, true, Gregorian),
    ("MONTH", What::MonthName, false, Gregorian),
    ("MON", What::MonthAbbreviation, false, Gregorian),
    ("MS", What::Millisecond, true, Either),
    ("Month", What::MonthName, false, Gregorian),
    ("Mon", What::MonthAbbreviation, false, Gregorian),
    ("OF", What::Offset, false, Either),
    ("P.M.", What::Meridiem { dots: true }, false, Either),
    ("PM", What::Meridiem { dots: false }, false, Either),
    ("Q", What::Quarter, true, Either),
    ("RM", What::RomanMonth, false, Gregorian),
    ("SSSSS", What::SecondOfDay, true, Either),
    ("SSSS", What::SecondOfDay, true, Either),
    ("SS", What::Second, true, Either),
    ("TZH", What::ZoneHour, false, Either),
    ("TZM", What::ZoneMinute, true, Either),
    ("TZ", What::Zone, false, Either),
    ("US", What::Microsecond, true, Either),
    ("WW", What::Week, true, Gregorian),
    ("W", What::WeekOfMonth, true, Gregorian),
    ("Y,YYY", What::YearWithComma, true, Gregorian),
    ("YYYY", What::Year(4), true, Gregorian),
    ("YYY", What::Year(3), true, Gregorian),
    ("YY", What::Year(2), true, Gregorian),
    ("Y", What::Year(1), true, Gregorian),
];

/// Takes one of two spellings from the front.
fn take(rest: &mut &str, upper: &str, lower: &str) -> bool {
    match rest.strip_prefix(upper).or_else(|| rest.strip_prefix(lower)) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

/// Whether `text` starts with `name`, as it is or all in lower case.
fn starts_with(text: &str, name: &str) -> bool {
    text.starts_with(name) || text.len() >= name.len() && text.bytes().zip(name.bytes()).all(|(t, n)| t == n.to_ascii_lowercase())
}

fn field<'a>(rest: &mut &'a str) -> Option<Field<'a>> {
    let (name, what, digits, convention) = FIELDS.iter().find(|(name, ..)| starts_with(rest, name))?;
    let (name, after) = rest.split_at(name.len());
    *rest = after;
    Some(Field {
        what: *what,
        name,
        fill: false,
        translated: false,
        ordinal: None,
        digits: *digits,
        convention: *convention,
    })
}

/// Takes text that is no field from the front of a template (not empty): a character, or all that is between double quotes.
pub(super) fn take_text(rest: &mut &str, mut each: impl FnMut(char, Quoted)) {
    let mut chars = rest.chars();
    let quoted = match chars.next() {
        Some('"') => true,
        // Outside quotes a backslash counts only before a quote.
        Some('\\') if chars.as_str().starts_with('"') => {
            chars.next();
            each('"', Quoted::No);
            false
        }
        Some(c) => {
            each(c, Quoted::No);
            false
        }
        None => false,
    };
    if quoted {
        loop {
            match chars.next() {
                None | Some('"') => break,
                Some('\\') => each(chars.next().unwrap_or('\\'), Quoted::Yes),
                Some(c) => each(c, Quoted::Yes),
            }
        }
    }
    *rest = chars.as_str();
}

/// Whether text stood between double quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoted {
    Yes,
    No,
}

/// A printable ASCII character that is neither letter nor digit.
pub(super) fn is_separator(c: char) -> bool {
    c.is_ascii_punctuation()
}

/// C's `isspace`.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

/// Takes a template apart.
pub(super) fn parse(template: &str) -> Vec<Piece<'_>> {
    let mut rest = template;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let fill = take(&mut rest, "FM", "fm");
        let translated = !fill && take(&mut rest, "TM", "tm");
        if let Some(found) = field(&mut rest) {
            let ordinal = if rest.starts_with("TH") {
                Some(Ordinal::Upper)
            } else if rest.starts_with("th") {
                Some(Ordinal::Lower)
            } else {
                None
            };
            let suffix = ordinal.is_some() || rest.starts_with("SP");
            rest = &rest[if suffix { 2 } else { 0 }..];
            pieces.push(Piece::Field(Field {
                fill,
                translated,
                ordinal,
                ..found
            }));
        } else if !rest.is_empty() {
            take_text(&mut rest, |c, quoted| {
                pieces.push(match c {
                    _ if quoted == Quoted::Yes => Piece::Literal(c),
                    _ if is_separator(c) => Piece::Separator(c),
                    _ if is_space(c) => Piece::Space(c),
                    _ => Piece::Literal(c),
                });
            });
        }
    }
    pieces
}

/// The ordinal suffix of a number in digits; 22P02 when it does not end in one.
pub(super) fn ordinal_suffix(number: &str, ordinal: Ordinal) -> curia_types::Result<&'static str> {
    let digits = number.as_bytes();
    let last = digits.last().copied().unwrap_or(b' ');
    if !last.is_ascii_digit() {
        return Err(curia_types::SqlError::new(
            curia_types::SqlState::INVALID_TEXT_REPRESENTATION,
            format!("\"{number}\" is not a number"),
        ));
    }
    let teen = digits.len() > 1 && digits[digits.len() - 2] == b'1';
    let (upper, lower) = match last {
        b'1' if !teen => ("ST", "st"),
        b'2' if !teen => ("ND", "nd"),
        b'3' if !teen => ("RD", "rd"),
        _ => ("TH", "th"),
    };
    Ok(if ordinal == Ordinal::Upper { upper } else { lower })
}
