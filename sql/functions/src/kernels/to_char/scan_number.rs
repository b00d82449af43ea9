//! to_number: the digits of a text, picked out by a template.

use super::figure::{Figure, Mark, SignPlace};
use curia_types::{Datum, Numeric, Result, SqlError, SqlState};

/// Reads a number. 22P02 for text without digits, 22003 for more digits than the template has.
pub(super) fn scan(text: &str, template: &str) -> Result<Datum> {
    if template.is_empty() {
        return Ok(Datum::Null);
    }
    let figure = Figure::parse(template)?;
    for (used, name) in [(figure.exponent, "EEEE"), (figure.roman, "RN")] {
        if used {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("\"{name}\" not supported for input"),
            ));
        }
    }
    let mut scanner = Scanner {
        figure: &figure,
        input: text.as_bytes(),
        sign: ' ',
        digits: String::new(),
        before: 0,
        after: 0,
        point: false,
    };
    scanner.run();
    let number = format!("{}{}", scanner.sign, scanner.digits.strip_suffix('.').unwrap_or(&scanner.digits));
    let scale = scanner.after as i32;
    let precision = (figure.before + figure.shift) as i32 + scale;
    let value = Numeric::parse(&number)?.apply_typmod(((precision << 16) | scale).wrapping_add(4))?;
    if !figure.shifted {
        return Ok(Datum::Numeric(value));
    }
    let power = Numeric::new(10, 0).power(&Numeric::new(-(figure.shift as i64), 0))?;
    value.mul(&power).map(Datum::Numeric)
}

struct Scanner<'a> {
    figure: &'a Figure,
    input: &'a [u8],
    /// A blank until a sign was read.
    sign: char,
    digits: String,
    /// Digits read before the point, and after.
    before: usize,
    after: usize,
    point: bool,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.input.first().copied()
    }

    /// Digits and signs are taken by bytes, and so is what stands in their place.
    fn bump(&mut self) {
        self.input = self.input.get(1..).unwrap_or_default();
    }

    fn bump_character(&mut self) {
        let n = match self.peek() {
            Some(0xc0..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf7) => 4,
            _ => 1,
        };
        self.input = self.input.get(n..).unwrap_or_default();
    }

    /// Skips up to `n` characters, but nothing that may belong to a number.
    fn skip_text(&mut self, n: usize) {
        for _ in 0..n {
            if self.peek().is_some_and(|c| !b"0123456789.,+-".contains(&c)) {
                self.bump_character();
            }
        }
    }

    fn take_sign(&mut self, signs: &[u8]) -> bool {
        match self.peek() {
            Some(c) if signs.contains(&c) => {
                self.sign = c.into();
                self.bump();
                true
            }
            _ => false,
        }
    }

    fn run(&mut self) {
        for mark in &self.figure.marks {
            if self.input.is_empty() {
                return;
            }
            match mark {
                Mark::Nine | Mark::Zero | Mark::Point => self.digit(*mark),
                Mark::Comma | Mark::Group => {
                    if !self.figure.fill && self.peek() == Some(b',') {
                        self.bump();
                    }
                }
                Mark::Currency => self.skip_text(1),
                Mark::Ordinal(_) if self.figure.point => {}
                Mark::Ordinal(_) => self.skip_text(2),
                Mark::Minus | Mark::Plus | Mark::PlusMinus => {
                    let signs: &[u8] = match mark {
                        Mark::Minus => b"-",
                        Mark::Plus => b"+",
                        _ => b"-+",
                    };
                    if !self.take_sign(signs) {
                        self.skip_text(1);
                    }
                }
                Mark::Text(_) => self.bump_character(),
                Mark::Blank
                | Mark::Exponent
                | Mark::Fill
                | Mark::Bracket
                | Mark::Roman { .. }
                | Mark::Sign
                | Mark::Shift
                | Mark::Nothing => {}
            }
        }
    }

    /// A digit or point, a sign before the first one or after the last.
    fn digit(&mut self, mark: Mark) {
        if self.peek() == Some(b' ') {
            self.bump();
        }
        let none_read = self.before + self.after == 0;
        if self.sign == ' ' && mark != Mark::Point && none_read {
            if self.figure.sign == Some(SignPlace::Before) || self.peek() != Some(b'<') {
                self.take_sign(b"-+");
            } else if self.figure.bracket {
                self.sign = '-';
                self.bump();
            }
        }
        let mut read = false;
        match self.peek() {
            None => return,
            Some(c) if c.is_ascii_digit() => {
                if self.point && self.after == self.figure.after {
                    self.bump();
                    return;
                }
                self.digits.push(c.into());
                if self.point {
                    self.after += 1;
                } else {
                    self.before += 1;
                }
                read = true;
            }
            Some(b'.') if self.figure.point && !self.point => {
                self.digits.push('.');
                self.point = true;
                read = true;
            }
            Some(_) => {}
        }
        if self.sign == ' ' && self.before + self.after > 0 {
            let next = self.input.get(1).copied();
            if self.figure.sign.is_some()
                && read
                && let Some(c @ (b'+' | b'-')) = next
            {
                self.bump();
                self.sign = c.into();
            } else if !read
                && self.figure.sign.is_none()
                && (self.figure.plus || self.figure.minus)
                && let Some(c @ (b'+' | b'-')) = self.peek()
            {
                self.sign = c.into();
            }
        }
        // Whatever stood here is used up.
        self.bump();
    }
}
