//! Templates of numbers: digits, points, signs, and the text between them.

use super::picture::{Ordinal, take_text};
use curia_types::{Result, SqlError, SqlState};

/// An element of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Comma,
    /// `.`, or D
    Point,
    Zero,
    Nine,
    Blank,
    Exponent,
    Fill,
    Group,
    Currency,
    Minus,
    Plus,
    Bracket,
    /// RN, or rn
    Roman {
        lower: bool,
    },
    /// SG
    PlusMinus,
    /// S
    Sign,
    Ordinal(Ordinal),
    Shift,
    /// C and SP, which mean nothing.
    Nothing,
    Text(char),
}

use Mark::*;

/// (text, mark); of two that match, the first counts. All may be written in lower case too.
const MARKS: &[(&str, Mark)] = &[
    (",", Comma),
    (".", Point),
    ("0", Zero),
    ("9", Nine),
    ("B", Blank),
    ("C", Nothing),
    ("D", Point),
    ("EEEE", Exponent),
    ("FM", Fill),
    ("G", Group),
    ("L", Currency),
    ("MI", Minus),
    ("PL", Plus),
    ("PR", Bracket),
    ("RN", Roman { lower: false }),
    ("SG", PlusMinus),
    ("SP", Nothing),
    ("S", Sign),
    ("TH", Mark::Ordinal(Ordinal::Upper)),
    ("V", Shift),
    ("b", Blank),
    ("c", Nothing),
    ("d", Point),
    ("eeee", Exponent),
    ("fm", Fill),
    ("g", Group),
    ("l", Currency),
    ("mi", Minus),
    ("pl", Plus),
    ("pr", Bracket),
    ("rn", Roman { lower: true }),
    ("sg", PlusMinus),
    ("sp", Nothing),
    ("s", Sign),
    ("th", Mark::Ordinal(Ordinal::Lower)),
    ("v", Shift),
];

/// Where S stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignPlace {
    Before,
    After,
}

/// What a template says as a whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Figure {
    pub marks: Vec<Mark>,
    /// Digits before the point, and after.
    pub before: usize,
    pub after: usize,
    /// Digits after V.
    pub shift: usize,
    /// How many digits stand before the first zero of the integer part.
    pub zero_start: Option<usize>,
    /// Digits up to the last zero.
    pub zero_end: usize,
    pub point: bool,
    pub blank: bool,
    pub fill: bool,
    pub sign: Option<SignPlace>,
    /// Digits before S.
    pub before_sign: usize,
    pub minus: bool,
    pub plus: bool,
    pub bracket: bool,
    pub roman: bool,
    pub shifted: bool,
    pub exponent: bool,
}

fn refuse(message: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

impl Figure {
    /// Takes a template apart. 42601 for marks that do not go together.
    pub fn parse(template: &str) -> Result<Figure> {
        let mut rest = template;
        let mut figure = Figure::default();
        while !rest.is_empty() {
            match MARKS.iter().find(|(text, _)| rest.starts_with(text)) {
                Some((text, mark)) => {
                    rest = &rest[text.len()..];
                    figure.note(*mark)?;
                    figure.marks.push(*mark);
                }
                None => take_text(&mut rest, |c, _| figure.marks.push(Text(c))),
            }
        }
        Ok(figure)
    }

    fn note(&mut self, mark: Mark) -> Result<()> {
        if self.exponent && mark != Exponent {
            return Err(refuse("\"EEEE\" must be the last pattern used"));
        }
        match mark {
            Nine | Zero if self.bracket => {
                return Err(refuse(if mark == Nine {
                    "\"9\" must be ahead of \"PR\""
                } else {
                    "\"0\" must be ahead of \"PR\""
                }));
            }
            Nine if self.shifted => self.shift += 1,
            Nine | Zero => {
                if mark == Zero && !self.point {
                    self.zero_start.get_or_insert(self.before);
                }
                if self.point {
                    self.after += 1;
                } else {
                    self.before += 1;
                }
                if mark == Zero {
                    self.zero_end = self.before + self.after;
                }
            }
            Blank => self.blank |= self.before == 0 && self.after == 0 && self.zero_start.is_none(),
            Point if self.point => return Err(refuse("multiple decimal points")),
            Point if self.shifted => return Err(refuse("cannot use \"V\" and decimal point together")),
            Point => self.point = true,
            Fill => self.fill = true,
            Sign => {
                if self.sign.is_some() {
                    return Err(refuse("cannot use \"S\" twice"));
                }
                if self.plus || self.minus || self.bracket {
                    return Err(refuse("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
                }
                if self.point {
                    self.sign = Some(SignPlace::After);
                } else {
                    self.sign = Some(SignPlace::Before);
                    self.before_sign = self.before;
                }
            }
            Minus if self.sign.is_some() => return Err(refuse("cannot use \"S\" and \"MI\" together")),
            Minus => self.minus = true,
            Plus if self.sign.is_some() => return Err(refuse("cannot use \"S\" and \"PL\" together")),
            Plus => self.plus = true,
            PlusMinus if self.sign.is_some() => return Err(refuse("cannot use \"S\" and \"SG\" together")),
            PlusMinus => (self.plus, self.minus) = (true, true),
            Bracket if self.sign.is_some() || self.plus || self.minus => {
                return Err(refuse("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
            }
            Bracket => self.bracket = true,
            Roman { .. } => self.roman = true,
            Shift if self.point => return Err(refuse("cannot use \"V\" and decimal point together")),
            Shift => self.shifted = true,
            Exponent => {
                if self.exponent {
                    return Err(refuse("cannot use \"EEEE\" twice"));
                }
                let others = [self.blank, self.fill, self.sign.is_some(), self.bracket];
                if others.contains(&true) || self.minus || self.plus || self.roman || self.shifted {
                    return Err(refuse("\"EEEE\" is incompatible with other formats")
                        .detail("\"EEEE\" may only be used together with digit and decimal point patterns."));
                }
                self.exponent = true;
            }
            Comma | Group | Currency | Mark::Ordinal(_) | Nothing | Text(_) => {}
        }
        Ok(())
    }
}
