//! Type names: SQL's own spellings and generic names with modifiers.

use super::*;

/// Bits of interval field masks, as `INTERVAL_MASK` of PostgreSQL's `timestamp.h`.
const fn mask(bit: u32) -> i32 {
    1 << bit
}
const MONTH: i32 = mask(1);
const YEAR: i32 = mask(2);
const DAY: i32 = mask(3);
const HOUR: i32 = mask(10);
const MINUTE: i32 = mask(11);
const SECOND: i32 = mask(12);
/// `INTERVAL_FULL_RANGE`
const FULL_RANGE: i32 = 0x7fff;

impl<'a> Parser<'a> {
    /// Keywords that start one of SQL's own type names.
    pub(super) fn is_builtin_type(kw: Kw) -> bool {
        matches!(
            kw,
            Kw::Int
                | Kw::Integer
                | Kw::Smallint
                | Kw::Bigint
                | Kw::Real
                | Kw::Float
                | Kw::Double
                | Kw::Decimal
                | Kw::Dec
                | Kw::Numeric
                | Kw::Boolean
                | Kw::Bit
                | Kw::Character
                | Kw::Char
                | Kw::Varchar
                | Kw::National
                | Kw::Nchar
                | Kw::Timestamp
                | Kw::Time
                | Kw::Interval
        )
    }

    /// Whether the type keyword at the cursor starts a literal such as `timestamp(3) with time zone '..'`.
    pub(super) fn starts_typed_literal(&self) -> bool {
        let mut ahead = 1;
        loop {
            match self.peek_at(ahead) {
                Tok::String | Tok::EscapeString | Tok::UnicodeString | Tok::DollarString => return true,
                Tok::Word(Some(Kw::Precision | Kw::Varying | Kw::With | Kw::Without | Kw::Time | Kw::Zone | Kw::Character | Kw::Char)) => {
                    ahead += 1
                }
                Tok::LParen => {
                    while !matches!(self.peek_at(ahead), Tok::RParen | Tok::Eof | Tok::Semicolon) {
                        ahead += 1;
                    }
                    ahead += 1;
                }
                _ => return false,
            }
        }
    }

    /// `Typename`
    pub(super) fn type_name(&mut self) -> Result<TypeName> {
        let pos = self.pos();
        let setof = self.accept_kw(Kw::Setof);
        let mut ty = match self.kw() {
            Some(kw) if Self::is_builtin_type(kw) => self.builtin_type()?,
            _ => {
                let first = self.function_id()?;
                let name = self.object_name_from(first)?;
                if self.at_op("%") && self.kw_at(1, Kw::Type) {
                    return Err(SqlError::unsupported("%TYPE").at(Some(pos)));
                }
                let modifiers = if self.peek() == Tok::LParen {
                    self.paren_list(|p| p.expr())?
                } else {
                    Vec::new()
                };
                TypeName {
                    name,
                    modifiers,
                    array_dimensions: 0,
                    setof: false,
                    pos,
                }
            }
        };
        ty.setof = setof;
        if self.accept_kw(Kw::Array) {
            ty.array_dimensions = 1;
            if self.accept(Tok::LBracket) {
                self.number()?;
                self.expect(Tok::RBracket)?;
            }
        } else {
            while self.accept(Tok::LBracket) {
                if self.peek() == Tok::Number {
                    self.bump();
                }
                self.expect(Tok::RBracket)?;
                ty.array_dimensions += 1;
            }
        }
        Ok(ty)
    }

    /// `ConstTypename`: the type of a typed literal.
    pub(super) fn const_type(&mut self) -> Result<TypeName> {
        if self.at_kw(Kw::Interval) {
            let pos = self.bump().pos;
            let mut ty = TypeName {
                name: ObjectName::system("interval", pos),
                modifiers: Vec::new(),
                array_dimensions: 0,
                setof: false,
                pos,
            };
            if self.peek() == Tok::LParen {
                let precision = self.parenthesized(|p| p.expr())?;
                ty.modifiers = vec![integer(FULL_RANGE, pos), precision];
            }
            return Ok(ty);
        }
        self.builtin_type()
    }

    /// Fields after an interval literal: `interval '1' day to second(3)`.
    pub(super) fn interval_fields_after_literal(&mut self, expr: &mut Expr) -> Result<()> {
        if let ExprKind::Cast { ty, .. } = &mut expr.kind
            && ty.name.name() == "interval"
            && ty.modifiers.is_empty()
        {
            ty.modifiers = self.interval_fields(ty.pos)?;
        }
        Ok(())
    }

    fn interval_fields(&mut self, pos: u32) -> Result<Vec<Expr>> {
        let Some((mut fields, last)) = self.interval_field(&[]) else {
            return Ok(Vec::new());
        };
        let mut last = last;
        if self.at_kw(Kw::To) {
            let allowed: &[Kw] = match last {
                Kw::Year => &[Kw::Month],
                Kw::Day => &[Kw::Hour, Kw::Minute, Kw::Second],
                Kw::Hour => &[Kw::Minute, Kw::Second],
                Kw::Minute => &[Kw::Second],
                _ => return Err(self.unexpected()),
            };
            self.bump();
            let Some((_, end)) = self.interval_field(allowed) else {
                return Err(self.unexpected());
            };
            let order = [
                (Kw::Year, YEAR),
                (Kw::Month, MONTH),
                (Kw::Day, DAY),
                (Kw::Hour, HOUR),
                (Kw::Minute, MINUTE),
                (Kw::Second, SECOND),
            ];
            let index = |k: Kw| order.iter().position(|(o, _)| *o == k).unwrap_or(0);
            fields = order[index(last)..=index(end)].iter().map(|(_, m)| m).sum();
            last = end;
        }
        let mut out = vec![integer(fields, pos)];
        if last == Kw::Second && self.peek() == Tok::LParen {
            out.push(self.parenthesized(|p| p.expr())?);
        }
        Ok(out)
    }

    fn interval_field(&mut self, allowed: &[Kw]) -> Option<(i32, Kw)> {
        let kw = self.kw()?;
        let bits = match kw {
            Kw::Year => YEAR,
            Kw::Month => MONTH,
            Kw::Day => DAY,
            Kw::Hour => HOUR,
            Kw::Minute => MINUTE,
            Kw::Second => SECOND,
            _ => return None,
        };
        if !allowed.is_empty() && !allowed.contains(&kw) {
            return None;
        }
        self.bump();
        Some((bits, kw))
    }

    /// One of SQL's own type names, at the cursor.
    fn builtin_type(&mut self) -> Result<TypeName> {
        let pos = self.pos();
        let kw = self.kw().ok_or_else(|| self.unexpected())?;
        self.bump();
        let mut modifiers = Vec::new();
        let name = match kw {
            Kw::Int | Kw::Integer => "int4",
            Kw::Smallint => "int2",
            Kw::Bigint => "int8",
            Kw::Real => "float4",
            Kw::Boolean => "bool",
            Kw::Double => {
                self.expect_kw(Kw::Precision)?;
                "float8"
            }
            Kw::Float => {
                if self.peek() == Tok::LParen {
                    let at = self.tokens[self.at + 1].pos;
                    let bits = self.parenthesized(|p| p.signed_integer())?;
                    let bad = |m: &str| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, m).at(Some(at));
                    match bits {
                        i64::MIN..=0 => return Err(bad("precision for type float must be at least 1 bit")),
                        1..=24 => "float4",
                        25..=53 => "float8",
                        _ => return Err(bad("precision for type float must be less than 54 bits")),
                    }
                } else {
                    "float8"
                }
            }
            Kw::Decimal | Kw::Dec | Kw::Numeric => {
                if self.peek() == Tok::LParen {
                    modifiers = self.paren_list(|p| p.expr())?;
                }
                "numeric"
            }
            Kw::Bit => {
                let varying = self.accept_kw(Kw::Varying);
                if self.peek() == Tok::LParen {
                    modifiers = self.paren_list(|p| p.expr())?;
                } else if !varying {
                    modifiers = vec![integer(1, pos)];
                }
                if varying { "varbit" } else { "bit" }
            }
            Kw::Character | Kw::Char | Kw::Varchar | Kw::National | Kw::Nchar => {
                if kw == Kw::National && !self.accept_kw(Kw::Character) {
                    self.expect_kw(Kw::Char)?;
                }
                let varying = kw == Kw::Varchar || self.accept_kw(Kw::Varying);
                if self.peek() == Tok::LParen {
                    modifiers = vec![self.parenthesized(|p| p.expr())?];
                } else if !varying {
                    modifiers = vec![integer(1, pos)];
                }
                if varying { "varchar" } else { "bpchar" }
            }
            Kw::Timestamp | Kw::Time => {
                if self.peek() == Tok::LParen {
                    modifiers = vec![self.parenthesized(|p| p.expr())?];
                }
                let zoned = if self.at_kw(Kw::With) && self.kw_at(1, Kw::Time) {
                    self.at += 2;
                    self.expect_kw(Kw::Zone)?;
                    true
                } else {
                    if self.at_kw(Kw::Without) && self.kw_at(1, Kw::Time) {
                        self.at += 2;
                        self.expect_kw(Kw::Zone)?;
                    }
                    false
                };
                match (kw == Kw::Timestamp, zoned) {
                    (true, true) => "timestamptz",
                    (true, false) => "timestamp",
                    (false, true) => "timetz",
                    (false, false) => "time",
                }
            }
            Kw::Interval => {
                if self.peek() == Tok::LParen {
                    let precision = self.parenthesized(|p| p.expr())?;
                    modifiers = vec![integer(FULL_RANGE, pos), precision];
                } else {
                    modifiers = self.interval_fields(pos)?;
                }
                "interval"
            }
            _ => return Err(self.unexpected()),
        };
        Ok(TypeName {
            name: ObjectName::system(name, pos),
            modifiers,
            array_dimensions: 0,
            setof: false,
            pos,
        })
    }
}

fn integer(value: i32, pos: u32) -> Expr {
    Expr::new(ExprKind::Literal(Literal::Integer(value)), pos)
}
