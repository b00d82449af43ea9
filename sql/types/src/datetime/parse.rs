//! Text input of dates, times and timestamps: PostgreSQL's tokenizer and field decoder (`ParseDateTime`, `DecodeDateTime`).

use super::abbreviations::{self, Abbreviation};
use super::calendar::{
    DAY, EPOCH_JULIAN, HOUR, MAX_DATE, MIN_DATE, MINUTE, SECOND, civil_of, date_out_of_range, days_from_civil, days_in_month,
    timestamp_from_parts,
};
use super::format::{DAYS, MONTHS};
use super::zone::Zone;
use crate::{DateOrder, IoContext, Result, SqlError, SqlState};

/// What a token looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Date,
    Time,
    Text,
    Zone,
    Special,
}

pub(crate) struct Token {
    pub kind: Kind,
    pub text: String,
}

/// Why a text is no date.
pub(crate) enum Bad {
    Syntax,
    Field,
    MonthDay,
    Displacement,
    Interval,
    UnknownZone(String),
}

impl Bad {
    pub(crate) fn error(self, type_name: &str, s: &str) -> SqlError {
        let overflow = || {
            SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{s}\""),
            )
        };
        match self {
            Bad::Syntax => SqlError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("invalid input syntax for type {type_name}: \"{s}\""),
            ),
            Bad::Field => overflow(),
            Bad::MonthDay => overflow().hint("Perhaps you need a different \"datestyle\" setting."),
            Bad::Displacement => SqlError::new(
                SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                format!("time zone displacement out of range: \"{s}\""),
            ),
            Bad::Interval => SqlError::new(
                SqlState::INTERVAL_FIELD_OVERFLOW,
                format!("interval field value out of range: \"{s}\""),
            ),
            Bad::UnknownZone(z) => SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{z}\" not recognized")),
        }
    }
}

const MAX_TOKENS: usize = 25;
/// Longest text that is looked at (MAXDATELEN + workspace of PostgreSQL).
const MAX_TEXT: usize = 256;

/// Splits a text into tokens.
pub(crate) fn tokens(s: &str) -> Result<Vec<Token>, Bad> {
    let b = s.as_bytes();
    if b.len() > MAX_TEXT {
        return Err(Bad::Syntax);
    }
    let at = |i: usize| b.get(i).copied().unwrap_or(0);
    let mut out = Vec::new();
    let mut i = 0;
    let space = |c: u8| c.is_ascii_whitespace() || c == 0x0b;
    while i < b.len() {
        let start = i;
        let c = b[i];
        let take = |i: &mut usize, f: &dyn Fn(u8) -> bool| {
            while *i < b.len() && f(b[*i]) {
                *i += 1;
            }
        };
        let kind;
        if space(c) {
            i += 1;
            continue;
        } else if c.is_ascii_digit() {
            take(&mut i, &|c| c.is_ascii_digit());
            match at(i) {
                b':' => {
                    kind = Kind::Time;
                    take(&mut i, &|c| c.is_ascii_digit() || c == b':' || c == b'.');
                }
                d @ (b'-' | b'/' | b'.') => {
                    i += 1;
                    if at(i).is_ascii_digit() {
                        let mut k = if d == b'.' { Kind::Number } else { Kind::Date };
                        take(&mut i, &|c| c.is_ascii_digit());
                        if at(i) == d {
                            k = Kind::Date;
                            take(&mut i, &|c| c.is_ascii_digit() || c == d);
                        }
                        kind = k;
                    } else {
                        kind = Kind::Date;
                        take(&mut i, &|c| c.is_ascii_alphanumeric() || c == d);
                    }
                }
                _ => kind = Kind::Number,
            }
        } else if c == b'.' {
            i += 1;
            take(&mut i, &|c| c.is_ascii_digit());
            kind = Kind::Number;
        } else if c.is_ascii_alphabetic() {
            take(&mut i, &|c| c.is_ascii_alphabetic());
            let next = at(i);
            let dated = matches!(next, b'-' | b'/' | b'.')
                || ((next == b'+' || next.is_ascii_digit()) && word(&s[start..i].to_ascii_lowercase()).is_none());
            if dated {
                kind = Kind::Date;
                take(&mut i, &|c| {
                    c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
                });
            } else {
                kind = Kind::Text;
            }
        } else if c == b'+' || c == b'-' {
            let mut j = i + 1;
            take(&mut j, &space);
            let mut text = String::from(c as char);
            let from = j;
            if at(j).is_ascii_digit() {
                take(&mut j, &|c| c.is_ascii_digit() || matches!(c, b':' | b'.' | b'-'));
                kind = Kind::Zone;
            } else if at(j).is_ascii_alphabetic() {
                take(&mut j, &|c| c.is_ascii_alphabetic());
                kind = Kind::Special;
            } else {
                return Err(Bad::Syntax);
            }
            text.push_str(&s[from..j].to_ascii_lowercase());
            i = j;
            push(&mut out, kind, text)?;
            continue;
        } else if c.is_ascii_punctuation() {
            i += 1;
            continue;
        } else {
            return Err(Bad::Syntax);
        }
        push(&mut out, kind, s[start..i].to_ascii_lowercase())?;
    }
    Ok(out)
}

fn push(out: &mut Vec<Token>, kind: Kind, text: String) -> Result<(), Bad> {
    if out.len() >= MAX_TOKENS {
        return Err(Bad::Syntax);
    }
    out.push(Token { kind, text });
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Word {
    Month(i64),
    Weekday,
    Am,
    Pm,
    Ad,
    Bc,
    Ignore,
    Dst,
    IsoTime,
    Julian,
    Now,
    Today,
    Tomorrow,
    Yesterday,
    AllBalls,
    Epoch,
    Infinity,
    MinusInfinity,
    Unit,
}

/// Words of dates; full names match on their first ten characters.
fn word(w: &str) -> Option<Word> {
    let month = |w: &str| {
        MONTHS
            .iter()
            .position(|m| m.eq_ignore_ascii_case(w))
            .map(|p| Word::Month(p as i64 + 1))
    };
    let full_months = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    Some(match w {
        "am" => Word::Am,
        "pm" => Word::Pm,
        "ad" => Word::Ad,
        "bc" => Word::Bc,
        "at" | "on" => Word::Ignore,
        "dst" => Word::Dst,
        "t" => Word::IsoTime,
        "j" | "jd" | "julian" => Word::Julian,
        "now" => Word::Now,
        "today" => Word::Today,
        "tomorrow" => Word::Tomorrow,
        "yesterday" => Word::Yesterday,
        "allballs" => Word::AllBalls,
        "epoch" => Word::Epoch,
        "infinity" | "+infinity" => Word::Infinity,
        "-infinity" => Word::MinusInfinity,
        "sept" => Word::Month(9),
        "d" | "dow" | "doy" | "h" | "isodow" | "isoyear" | "m" | "s" | "y" => Word::Unit,
        "tues" | "weds" | "thur" | "thurs" | "sunday" | "monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" => {
            Word::Weekday
        }
        _ => {
            if DAYS.iter().any(|d| d.eq_ignore_ascii_case(w)) {
                return Some(Word::Weekday);
            }
            if let Some(p) = full_months.iter().position(|m| *m == w) {
                return Some(Word::Month(p as i64 + 1));
            }
            return month(w);
        }
    })
}

const YEAR: u8 = 1;
const MONTH: u8 = 2;
const DAYBIT: u8 = 4;
const DATE: u8 = 7;
const TIME: u8 = 8;
const ZONE: u8 = 16;

#[derive(PartialEq, Clone, Copy)]
enum Result0 {
    Fields,
    Epoch,
    Infinity,
    MinusInfinity,
}

/// Fields found so far.
struct Decoder<'a> {
    cx: &'a IoContext,
    have: u8,
    year: i64,
    month: i64,
    day: i64,
    day_of_year: Option<i64>,
    micros: i64,
    two_digit_year: bool,
    text_month: bool,
    julian: bool,
    bc: bool,
    meridian: Option<bool>,
    /// Seconds east of UTC.
    offset: Option<i32>,
    zone: Option<Zone>,
    dst: bool,
    special: Result0,
    time_only: bool,
}

pub(crate) fn digits(s: &str) -> Option<i64> {
    if s.is_empty() || s.len() > 18 || !s.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    s.parse().ok()
}

/// A fraction `.123` in microseconds, rounded.
pub(crate) fn fraction_micros(s: &str) -> Option<i64> {
    let d = s.strip_prefix('.')?;
    if !d.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if d.is_empty() {
        return Some(0);
    }
    format!("0.{d}").parse::<f64>().ok().map(|f| (f * 1e6).round_ties_even() as i64)
}

/// `hh:mm[:ss[.fff]]` or `mm:ss.fff` in microseconds, fields checked but hours.
pub(crate) fn clock(s: &str) -> Result<i64, Bad> {
    let (hour, rest) = s.split_once(':').ok_or(Bad::Syntax)?;
    let hour = digits(hour).ok_or(Bad::Syntax)?;
    let (h, m, sec, frac) = match rest.split_once(':') {
        Some((m, sec)) => {
            let (sec, frac) = match sec.find('.') {
                Some(p) => (&sec[..p], fraction_micros(&sec[p..]).ok_or(Bad::Syntax)?),
                None => (sec, 0),
            };
            (hour, digits(m).ok_or(Bad::Syntax)?, digits(sec).ok_or(Bad::Syntax)?, frac)
        }
        None => match rest.find('.') {
            Some(p) => (
                0,
                hour,
                digits(&rest[..p]).ok_or(Bad::Syntax)?,
                fraction_micros(&rest[p..]).ok_or(Bad::Syntax)?,
            ),
            None => (hour, digits(rest).ok_or(Bad::Syntax)?, 0, 0),
        },
    };
    if m > 59 || sec > 60 || h > i64::from(i32::MAX) {
        return Err(Bad::Field);
    }
    Ok(h * HOUR + m * MINUTE + sec * SECOND + frac)
}

/// `+hh[:mm[:ss]]` or `+hhmm` in seconds east of UTC.
fn displacement(s: &str) -> Result<i32, Bad> {
    let negative = s.starts_with('-');
    let body = s.get(1..).ok_or(Bad::Syntax)?;
    let mut parts = body.split(':');
    let first = parts.next().and_then(digits).ok_or(Bad::Syntax)?;
    let (h, m, sec) = if body.contains(':') {
        let m = parts.next().and_then(digits).ok_or(Bad::Syntax)?;
        let sec = match parts.next() {
            Some(p) => digits(p).ok_or(Bad::Syntax)?,
            None => 0,
        };
        if parts.next().is_some() {
            return Err(Bad::Syntax);
        }
        (first, m, sec)
    } else if s.len() > 3 {
        (first / 100, first % 100, 0)
    } else {
        (first, 0, 0)
    };
    if h > 15 || m > 59 || sec > 59 {
        return Err(Bad::Displacement);
    }
    let v = (h * 3600 + m * 60 + sec) as i32;
    Ok(if negative { -v } else { v })
}

impl<'a> Decoder<'a> {
    fn new(cx: &'a IoContext) -> Decoder<'a> {
        Decoder {
            cx,
            have: 0,
            year: 0,
            month: 0,
            day: 0,
            day_of_year: None,
            micros: 0,
            two_digit_year: false,
            text_month: false,
            julian: false,
            bc: false,
            meridian: None,
            offset: None,
            zone: None,
            dst: false,
            special: Result0::Fields,
            time_only: false,
        }
    }

    fn run(&mut self, tokens: &[Token], time_only: bool) -> Result<(), Bad> {
        let mut after: Option<Word> = None;
        for (i, t) in tokens.iter().enumerate() {
            let text = t.text.as_str();
            let got = match t.kind {
                Kind::Date if after == Some(Word::Julian) => {
                    // J2451187-08: a Julian day with a zone.
                    after = None;
                    let (d, z) = text.split_at(text.find('-').ok_or(Bad::Syntax)?);
                    self.julian_day(d)?;
                    self.offset = Some(displacement(z)?);
                    DATE | TIME | ZONE
                }
                Kind::Date if after.is_some() || self.have & (MONTH | DAYBIT) == MONTH | DAYBIT => {
                    if text.as_bytes()[0].is_ascii_digit() || after.is_some() {
                        after = None;
                        if self.have & TIME != 0 {
                            return Err(Bad::Syntax);
                        }
                        let cut = text.find('-').ok_or(Bad::Syntax)?;
                        self.offset = Some(displacement(&text[cut..])?);
                        self.run_together(&text[..cut])? | ZONE
                    } else {
                        self.named_zone(text)?;
                        ZONE
                    }
                }
                Kind::Date if time_only && !text.as_bytes()[0].is_ascii_digit() => {
                    self.named_zone(text)?;
                    ZONE
                }
                Kind::Date => self.date(text)?,
                Kind::Time => {
                    if after == Some(Word::Julian) {
                        return Err(Bad::Syntax);
                    }
                    after = None;
                    self.micros = clock(text)?;
                    if self.micros > DAY {
                        return Err(Bad::Field);
                    }
                    TIME
                }
                Kind::Zone => {
                    self.offset = Some(displacement(text)?);
                    ZONE
                }
                Kind::Number if after == Some(Word::Julian) => {
                    after = None;
                    self.julian_day(text)?
                }
                Kind::Number if after == Some(Word::IsoTime) => {
                    after = None;
                    let before = self.have;
                    self.have |= DATE;
                    let got = self.run_together(text)?;
                    self.have = before;
                    if got != TIME {
                        return Err(Bad::Syntax);
                    }
                    TIME
                }
                Kind::Number if time_only && self.have & DATE == 0 => {
                    self.have |= DATE;
                    let got = self.run_together(text);
                    self.have &= !DATE;
                    got?
                }
                Kind::Number => {
                    let point = text.find('.');
                    if point.is_some() && self.have & DATE == 0 {
                        self.date(text)?
                    } else if point.is_some_and(|p| p > 2)
                        || (point.is_none()
                            && text.len() >= 6
                            && (self.have & DATE != DATE || self.have & TIME == 0)
                            && self.have & DATE == 0)
                        || (text.len() >= 6 && (self.have & DATE == 0 || self.have & TIME == 0))
                    {
                        self.run_together(text)?
                    } else {
                        self.number(text)?
                    }
                }
                Kind::Text | Kind::Special => match self.word(text, i, tokens, &mut after)? {
                    Some(got) => got,
                    None => continue,
                },
            };
            if got & self.have != 0 {
                return Err(Bad::Syntax);
            }
            self.have |= got;
        }
        if after.is_some() {
            return Err(Bad::Syntax);
        }
        Ok(())
    }

    fn named_zone(&mut self, name: &str) -> Result<(), Bad> {
        self.zone = Some(Zone::named(name).ok_or_else(|| Bad::UnknownZone(name.to_owned()))?);
        Ok(())
    }

    fn julian_day(&mut self, text: &str) -> Result<u8, Bad> {
        let (whole, frac) = text.split_at(text.find('.').unwrap_or(text.len()));
        let n = digits(whole).ok_or(Bad::Syntax)?;
        if n > i64::from(i32::MAX) {
            return Err(Bad::Field);
        }
        (self.year, self.month, self.day) = civil_of(n - EPOCH_JULIAN);
        self.julian = true;
        if frac.is_empty() {
            return Ok(DATE);
        }
        let f: f64 = format!("0{frac}").parse().map_err(|_| Bad::Syntax)?;
        self.micros = (f * DAY as f64) as i64;
        Ok(DATE | TIME)
    }

    fn word(&mut self, text: &str, i: usize, tokens: &[Token], after: &mut Option<Word>) -> Result<Option<u8>, Bad> {
        let known = word(text);
        if known.is_none() || text == "z" {
            match abbreviations::find(text) {
                Some(Abbreviation::Fixed { seconds }) => {
                    self.offset = Some(seconds);
                    return Ok(Some(ZONE));
                }
                Some(Abbreviation::Zone(zone)) => {
                    self.zone = Zone::named(zone);
                    return Ok(Some(ZONE));
                }
                None => {}
            }
        }
        let Some(w) = known else {
            // The last resort is an all-letter zone name.
            self.zone = Some(Zone::named(text).ok_or(Bad::Syntax)?);
            return Ok(Some(ZONE));
        };
        let now = || self.cx.zone.to_local(self.cx.now);
        let day = |n: i64| civil_of(n);
        Ok(Some(match w {
            Word::Month(m) => {
                let mut got = MONTH;
                if self.have & MONTH != 0 && !self.text_month && self.have & DAYBIT == 0 && (1..=31).contains(&self.month) {
                    self.day = self.month;
                    got = DAYBIT;
                }
                self.text_month = true;
                self.month = m;
                got
            }
            Word::Weekday | Word::Ignore => return Ok(None),
            Word::Am => {
                self.meridian = Some(false);
                0
            }
            Word::Pm => {
                self.meridian = Some(true);
                0
            }
            Word::Ad => 0,
            Word::Bc => {
                self.bc = true;
                0
            }
            Word::Dst if self.have & ZONE == 0 => return Err(Bad::Syntax),
            Word::Dst => {
                self.dst = true;
                0
            }
            Word::IsoTime => {
                if self.have & DATE != DATE && !self.time_only {
                    return Err(Bad::Syntax);
                }
                match tokens.get(i + 1).map(|t| t.kind) {
                    Some(Kind::Number | Kind::Time | Kind::Date) => *after = Some(w),
                    _ => return Err(Bad::Syntax),
                }
                0
            }
            Word::Julian => {
                *after = Some(w);
                0
            }
            Word::Now => {
                let local = now();
                (self.year, self.month, self.day) = day(local.div_euclid(DAY));
                self.micros = local.rem_euclid(DAY);
                self.offset = Some(self.cx.zone.seconds_at(self.cx.now));
                DATE | TIME | ZONE
            }
            Word::Today | Word::Tomorrow | Word::Yesterday => {
                let shift = match w {
                    Word::Today => 0,
                    Word::Tomorrow => 1,
                    _ => -1,
                };
                (self.year, self.month, self.day) = day(now().div_euclid(DAY) + shift);
                DATE
            }
            Word::AllBalls => {
                self.micros = 0;
                self.offset = Some(0);
                TIME | ZONE
            }
            Word::Epoch => {
                self.special = Result0::Epoch;
                DATE | TIME | ZONE
            }
            Word::Infinity => {
                self.special = Result0::Infinity;
                DATE | TIME | ZONE
            }
            Word::MinusInfinity => {
                self.special = Result0::MinusInfinity;
                DATE | TIME | ZONE
            }
            Word::Unit => return Err(Bad::Syntax),
        }))
    }

    /// A date with separators: a textual month first, then numbers by order.
    fn date(&mut self, text: &str) -> Result<u8, Bad> {
        let mut parts = Vec::new();
        let b = text.as_bytes();
        let mut i = 0;
        while i < b.len() {
            if !b[i].is_ascii_alphanumeric() {
                i += 1;
                continue;
            }
            let start = i;
            let number = b[i].is_ascii_digit();
            while i < b.len() && b[i].is_ascii_alphanumeric() && b[i].is_ascii_digit() == number {
                i += 1;
            }
            parts.push((number, &text[start..i]));
        }
        let mut got = 0;
        for (_, p) in parts.iter().filter(|(number, _)| !number) {
            match word(p) {
                Some(Word::Month(m)) if got & MONTH == 0 && self.have & MONTH == 0 => {
                    self.month = m;
                    self.text_month = true;
                    got |= MONTH;
                }
                Some(Word::Ignore) => {}
                _ => return Err(Bad::Syntax),
            }
        }
        let outer = self.have;
        for (_, p) in parts.iter().filter(|(number, _)| *number) {
            self.have = outer | got;
            let one = self.number(p);
            self.have = outer;
            let one = one?;
            if one & got != 0 {
                return Err(Bad::Syntax);
            }
            got |= one;
        }
        if (outer | got) & DATE != DATE {
            return Err(Bad::Syntax);
        }
        Ok(got)
    }

    /// One number, by what is still missing.
    fn number(&mut self, text: &str) -> Result<u8, Bad> {
        let whole = match text.find('.') {
            Some(p) if p > 2 => return self.run_together(text),
            Some(p) => &text[..p],
            None => text,
        };
        let v = digits(whole).ok_or(Bad::Field)?;
        if v > i64::from(i32::MAX) {
            return Err(Bad::Field);
        }
        let order = self.cx.date_order;
        let len = text.len();
        if len == 3 && self.have & DATE == YEAR && (1..=366).contains(&v) {
            self.day_of_year = Some(v);
            return Ok(MONTH | DAYBIT);
        }
        let got = match self.have & DATE {
            0 if len >= 3 || order == DateOrder::Ymd => YEAR,
            0 if order == DateOrder::Dmy => DAYBIT,
            0 | YEAR | DAYBIT => MONTH,
            MONTH if self.text_month => {
                if len >= 3 || order == DateOrder::Ymd {
                    YEAR
                } else {
                    DAYBIT
                }
            }
            MONTH => DAYBIT,
            3 if self.text_month && len >= 3 && self.two_digit_year => {
                self.day = self.year;
                self.year = v;
                self.two_digit_year = false;
                return Ok(DAYBIT);
            }
            3 => DAYBIT,
            6 => YEAR,
            DATE => return self.run_together(text),
            _ => return Err(Bad::Syntax),
        };
        match got {
            YEAR => {
                self.year = v;
                self.two_digit_year = len <= 2;
            }
            MONTH => self.month = v,
            _ => self.day = v,
        }
        Ok(got)
    }

    /// yyyymmdd, yymmdd, hhmmss or hhmm.
    fn run_together(&mut self, text: &str) -> Result<u8, Bad> {
        let (body, frac) = match text.find('.') {
            Some(p) => (&text[..p], Some(fraction_micros(&text[p..]).ok_or(Bad::Syntax)?)),
            None => (text, None),
        };
        let len = body.len();
        if frac.is_none() && self.have & DATE != DATE && len >= 6 {
            let part = |r: std::ops::Range<usize>| digits(&body[r]).ok_or(Bad::Syntax);
            self.day = part(len - 2..len)?;
            self.month = part(len - 4..len - 2)?;
            self.year = part(0..len - 4)?;
            self.two_digit_year = len == 6;
            return Ok(DATE);
        }
        if self.have & TIME == 0 && (len == 6 || len == 4) {
            let part = |r: std::ops::Range<usize>| digits(&body[r]).ok_or(Bad::Syntax);
            let (h, m) = (part(0..2)?, part(2..4)?);
            let s = if len == 6 { part(4..6)? } else { 0 };
            self.micros = h * HOUR + m * MINUTE + s * SECOND + frac.unwrap_or(0);
            if m > 59 || s > 60 || self.micros > DAY {
                return Err(Bad::Field);
            }
            return Ok(TIME);
        }
        Err(Bad::Syntax)
    }

    /// Checks fields against the calendar and applies AM/PM, BC and two-digit years.
    fn validate(&mut self) -> Result<(), Bad> {
        if self.have & YEAR != 0 && !self.julian && self.special == Result0::Fields {
            if self.bc {
                if self.year <= 0 {
                    return Err(Bad::Field);
                }
                self.year = -(self.year - 1);
            } else if self.two_digit_year {
                self.year += if self.year < 70 { 2000 } else { 1900 };
            } else if self.year <= 0 && !self.filled_by_now() {
                return Err(Bad::Field);
            }
        }
        if let Some(doy) = self.day_of_year {
            (self.year, self.month, self.day) = civil_of(days_from_civil(self.year, 1, 1) + doy - 1);
        }
        if self.special == Result0::Fields && self.have & DATE != 0 {
            if self.have & MONTH != 0 && !(1..=12).contains(&self.month) {
                return Err(Bad::MonthDay);
            }
            if self.have & DAYBIT != 0 && !(1..=31).contains(&self.day) {
                return Err(Bad::MonthDay);
            }
            if self.have & DATE == DATE && self.day > days_in_month(self.year, self.month) {
                return Err(Bad::Field);
            }
        }
        if let Some(pm) = self.meridian {
            let hour = self.micros / HOUR;
            if hour > 12 {
                return Err(Bad::Field);
            }
            if pm && hour != 12 {
                self.micros += 12 * HOUR;
            } else if !pm && hour == 12 {
                self.micros -= 12 * HOUR;
            }
        }
        Ok(())
    }

    /// 'now' and kin fill the year from the clock, which may be any year.
    fn filled_by_now(&self) -> bool {
        self.offset.is_some() && self.have == DATE | TIME | ZONE && self.year <= 0 && self.cx.now < days_from_civil(1, 1, 1) * DAY
    }
}

fn decode<'a>(s: &str, cx: &'a IoContext, time_only: bool) -> Result<Decoder<'a>, Bad> {
    let tokens = tokens(s)?;
    let mut d = Decoder::new(cx);
    d.time_only = time_only;
    d.run(&tokens, time_only)?;
    d.validate()?;
    let needed = if time_only { TIME } else { DATE };
    if d.have & needed != needed {
        return Err(Bad::Syntax);
    }
    Ok(d)
}

/// Reads a date. 22007, 22008.
pub fn parse_date(s: &str, cx: &IoContext) -> Result<i32> {
    let d = decode(s, cx, false).map_err(|b| b.error("date", s))?;
    match d.special {
        Result0::Epoch => return Ok(-10_957),
        Result0::Infinity => return Ok(i32::MAX),
        Result0::MinusInfinity => return Ok(i32::MIN),
        Result0::Fields => {}
    }
    let days = days_from_civil(d.year, d.month, d.day);
    if (MIN_DATE..MAX_DATE).contains(&days) {
        Ok(days as i32)
    } else {
        Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: \"{s}\""),
        ))
    }
}

/// Reads a time of day; a zone is read and ignored. 22007, 22008.
pub fn parse_time(s: &str, cx: &IoContext) -> Result<i64> {
    let d = decode(s, cx, true).map_err(|b| b.error("time", s))?;
    if d.special != Result0::Fields {
        return Err(Bad::Syntax.error("time", s));
    }
    if d.zone.is_some() && d.have & DATE != DATE {
        // A zone with daylight saving means nothing without a date.
        return Err(Bad::Syntax.error("time", s));
    }
    Ok(d.micros)
}

/// Reads a time with time zone; without a zone it is in the session's, at today's distance from UTC. 22007, 22008.
pub fn parse_timetz(s: &str, cx: &IoContext) -> Result<super::TimeTz> {
    let bad = |b: Bad| b.error("time with time zone", s);
    let d = decode(s, cx, true).map_err(bad)?;
    if d.special != Result0::Fields {
        return Err(bad(Bad::Syntax));
    }
    let day = if d.have & DATE == DATE {
        days_from_civil(d.year, d.month, d.day)
    } else if d.zone.is_some() {
        // A zone with daylight saving means nothing without a date.
        return Err(bad(Bad::Syntax));
    } else {
        cx.zone.to_local(cx.now).div_euclid(DAY)
    };
    let local = day
        .checked_mul(DAY)
        .and_then(|t| t.checked_add(d.micros))
        .ok_or_else(date_out_of_range)?;
    let east = match (d.offset, &d.zone) {
        (Some(o), _) => o + if d.dst { 3600 } else { 0 },
        (None, Some(z)) => z.seconds_for_local(local),
        (None, None) => cx.zone.seconds_for_local(local),
    };
    Ok(super::TimeTz {
        micros: d.micros,
        west: -east,
    })
}

fn out_of_range(s: &str) -> impl FnOnce(SqlError) -> SqlError {
    let message = format!("timestamp out of range: \"{s}\"");
    move |_| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

fn special(r: Result0) -> Option<i64> {
    match r {
        Result0::Epoch => Some(-946_684_800 * SECOND),
        Result0::Infinity => Some(i64::MAX),
        Result0::MinusInfinity => Some(i64::MIN),
        Result0::Fields => None,
    }
}

/// Reads a timestamp; a zone is read and ignored. 22007, 22008.
pub fn parse_timestamp(s: &str, cx: &IoContext) -> Result<i64> {
    let d = decode(s, cx, false).map_err(|b| b.error("timestamp", s))?;
    match special(d.special) {
        Some(t) => Ok(t),
        None => timestamp_from_parts(days_from_civil(d.year, d.month, d.day), d.micros).map_err(out_of_range(s)),
    }
}

/// Reads a timestamp with time zone; without a zone it is in the session's. 22007, 22008.
pub fn parse_timestamptz(s: &str, cx: &IoContext) -> Result<i64> {
    let d = decode(s, cx, false).map_err(|b| b.error("timestamp with time zone", s))?;
    if let Some(t) = special(d.special) {
        return Ok(t);
    }
    let days = days_from_civil(d.year, d.month, d.day);
    // The local time may lie just outside the range that the instant must be in.
    let local = days
        .checked_mul(DAY)
        .and_then(|t| t.checked_add(d.micros))
        .ok_or_else(date_out_of_range)
        .map_err(out_of_range(s))?;
    let seconds = match (d.offset, &d.zone) {
        (Some(o), _) => o + if d.dst { 3600 } else { 0 },
        (None, Some(z)) => z.seconds_for_local(local),
        (None, None) => cx.zone.seconds_for_local(local),
    };
    let t = local
        .checked_sub(i64::from(seconds) * SECOND)
        .ok_or_else(date_out_of_range)
        .map_err(out_of_range(s))?;
    if (super::MIN_TIMESTAMP..super::MAX_TIMESTAMP).contains(&t) {
        Ok(t)
    } else {
        Err(out_of_range(s)(date_out_of_range()))
    }
}
