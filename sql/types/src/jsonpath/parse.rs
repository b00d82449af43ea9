//! The grammar of paths (`jsonpath_gram.y`). Values and predicates are told apart: `$.a == 1` is a path, `1 + ($.a == 1)` is none.

use super::token::{Kind, Token, error, tokens};
use super::{Binary, Item, JsonPath, Method, RegexFlags, Steps};
use crate::{Numeric, Result, SqlError, SqlState};

/// Deepest nesting of a path.
const MAX_DEPTH: usize = 500;

/// A piece of a path, and whether it is true, false or unknown.
struct Piece {
    steps: Steps,
    predicate: bool,
    /// A predicate that may stand after `!`: in parentheses, or `exists`.
    delimited: bool,
}

impl Piece {
    fn value(steps: Steps) -> Piece {
        Piece {
            steps,
            predicate: false,
            delimited: false,
        }
    }
    fn predicate(item: Item) -> Piece {
        Piece {
            steps: vec![item],
            predicate: true,
            delimited: false,
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Inside of how many filters, where `@` has a meaning.
    filters: usize,
    /// Inside of how many array subscripts, where `last` has one.
    subscripts: usize,
}

pub(super) fn parse(text: &str) -> Result<JsonPath> {
    let mut p = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
        filters: 0,
        subscripts: 0,
    };
    let strict = p.take_word("strict");
    if !strict {
        p.take_word("lax");
    }
    if p.tokens.len() == 1 {
        return Err(SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type jsonpath: \"{text}\""),
        ));
    }
    let piece = p.any()?;
    if p.peek().kind != Kind::End {
        return Err(p.syntax());
    }
    Ok(JsonPath {
        lax: !strict,
        steps: piece.steps,
    })
}

impl Parser {
    fn peek(&self) -> &Token {
        // The last token is the end, which nothing takes.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }
    fn syntax(&self) -> SqlError {
        error("syntax error", &self.peek().text)
    }
    fn take(&mut self, sign: &str) -> bool {
        let found = self.peek().kind == Kind::Sign && self.peek().text == sign;
        self.at += usize::from(found);
        found
    }
    fn expect(&mut self, sign: &str) -> Result<()> {
        if self.take(sign) { Ok(()) } else { Err(self.syntax()) }
    }
    /// A keyword, which true, false and null are in lower case only.
    fn is_word(&self, word: &str) -> bool {
        match &self.peek().kind {
            Kind::Word(w) if matches!(word, "true" | "false" | "null") => w == word,
            Kind::Word(w) => w.eq_ignore_ascii_case(word),
            _ => false,
        }
    }
    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// A value or a predicate.
    fn any(&mut self) -> Result<Piece> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(crate::json::too_deep());
        }
        let mut left = self.and()?;
        while left.predicate && self.take("||") {
            let right = self.and()?;
            left = self.joined(Binary::Or, left, right)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn joined(&self, op: Binary, left: Piece, right: Piece) -> Result<Piece> {
        if !right.predicate {
            return Err(self.syntax());
        }
        Ok(Piece::predicate(Item::Binary(op, Box::new((left.steps, right.steps)))))
    }

    fn and(&mut self) -> Result<Piece> {
        let mut left = self.comparison()?;
        while left.predicate && self.take("&&") {
            let right = self.comparison()?;
            left = self.joined(Binary::And, left, right)?;
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Piece> {
        if self.take("!") {
            let arg = self.primary()?;
            if !arg.delimited {
                return Err(self.syntax());
            }
            return Ok(Piece::predicate(Item::Not(arg.steps)));
        }
        let left = self.sum()?;
        if left.predicate {
            return Ok(left);
        }
        let op = match (&self.peek().kind, self.peek().text.as_str()) {
            (Kind::Sign, "==") => Binary::Equal,
            (Kind::Sign, "!=" | "<>") => Binary::NotEqual,
            (Kind::Sign, "<") => Binary::Less,
            (Kind::Sign, ">") => Binary::Greater,
            (Kind::Sign, "<=") => Binary::LessOrEqual,
            (Kind::Sign, ">=") => Binary::GreaterOrEqual,
            _ if self.is_word("starts") => return self.starts_with(left),
            _ if self.is_word("like_regex") => return self.like_regex(left),
            _ => return Ok(left),
        };
        self.at += 1;
        let right = self.sum()?;
        if right.predicate {
            return Err(self.syntax());
        }
        Ok(Piece::predicate(Item::Binary(op, Box::new((left.steps, right.steps)))))
    }

    fn starts_with(&mut self, left: Piece) -> Result<Piece> {
        self.at += 1;
        if !self.take_word("with") {
            return Err(self.syntax());
        }
        let initial = match &self.peek().kind {
            Kind::String(s) => Item::String(s.clone()),
            Kind::Variable(v) => Item::Variable(v.clone()),
            _ => return Err(self.syntax()),
        };
        self.at += 1;
        Ok(Piece::predicate(Item::Binary(
            Binary::StartsWith,
            Box::new((left.steps, vec![initial])),
        )))
    }

    fn string(&mut self) -> Result<String> {
        let Kind::String(s) = &self.peek().kind else {
            return Err(self.syntax());
        };
        let s = s.clone();
        self.at += 1;
        Ok(s)
    }

    fn like_regex(&mut self, left: Piece) -> Result<Piece> {
        self.at += 1;
        let pattern = self.string()?;
        let mut flags = RegexFlags::default();
        if self.take_word("flag") {
            for letter in self.string()?.chars() {
                match letter {
                    'i' => flags.ignore_case = true,
                    's' => flags.dot_all = true,
                    'm' => flags.multi_line = true,
                    'q' => flags.quote = true,
                    'x' => {
                        return Err(SqlError::new(
                            SqlState::FEATURE_NOT_SUPPORTED,
                            "XQuery \"x\" flag (expanded regular expressions) is not implemented",
                        ));
                    }
                    other => {
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid input syntax for type jsonpath")
                            .detail(format!("Unrecognized flag character \"{other}\" in LIKE_REGEX predicate.")));
                    }
                }
            }
        }
        Ok(Piece::predicate(Item::LikeRegex {
            arg: left.steps,
            pattern,
            flags,
        }))
    }

    fn sum(&mut self) -> Result<Piece> {
        self.chain(&[("+", Binary::Add), ("-", Binary::Subtract)], Self::product)
    }

    fn product(&mut self) -> Result<Piece> {
        let signs = [("*", Binary::Multiply), ("/", Binary::Divide), ("%", Binary::Modulo)];
        self.chain(&signs, Self::signed)
    }

    fn chain(&mut self, signs: &[(&str, Binary)], operand: fn(&mut Self) -> Result<Piece>) -> Result<Piece> {
        let mut left = operand(self)?;
        while !left.predicate
            && let Some((_, op)) = signs.iter().find(|(sign, _)| self.take(sign))
        {
            let right = operand(self)?;
            if right.predicate {
                return Err(self.syntax());
            }
            left = Piece::value(vec![Item::Binary(*op, Box::new((left.steps, right.steps)))]);
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Piece> {
        let negative = self.take("-");
        if !negative && !self.take("+") {
            return self.primary();
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(crate::json::too_deep());
        }
        let arg = self.signed()?;
        self.depth -= 1;
        if arg.predicate {
            return Err(self.syntax());
        }
        Ok(Piece::value(vec![match arg.steps.as_slice() {
            [Item::Number(n)] if negative => Item::Number(n.neg()),
            [Item::Number(n)] => Item::Number(n.clone()),
            _ => Item::Sign { negative, arg: arg.steps },
        }]))
    }

    /// A primary with its accessors; a predicate in parentheses or `exists`.
    fn primary(&mut self) -> Result<Piece> {
        let token = self.peek().clone();
        let first = match (&token.kind, token.text.as_str()) {
            (Kind::Sign, "(") => {
                self.at += 1;
                let inner = self.any()?;
                self.expect(")")?;
                if inner.predicate && self.take_word("is") {
                    if !self.take_word("unknown") {
                        return Err(self.syntax());
                    }
                    return Ok(Piece::predicate(Item::IsUnknown(inner.steps)));
                }
                let steps = self.accessors(inner.steps.clone())?;
                let own = steps.len() == inner.steps.len();
                return Ok(Piece {
                    predicate: inner.predicate && own,
                    delimited: inner.predicate && own,
                    steps,
                });
            }
            (Kind::Sign, "$") => Item::Root,
            (Kind::Sign, "@") => {
                if self.filters == 0 {
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, "@ is not allowed in root expressions"));
                }
                Item::Current
            }
            (Kind::String(s), _) => Item::String(s.clone()),
            (Kind::Variable(v), _) => Item::Variable(v.clone()),
            (Kind::Integer | Kind::Number, number) => Item::Number(Numeric::parse(number)?),
            (Kind::Word(_), _) if self.is_word("exists") => {
                self.at += 1;
                self.expect("(")?;
                let arg = self.any()?;
                if arg.predicate {
                    return Err(self.syntax());
                }
                self.expect(")")?;
                return Ok(Piece {
                    steps: vec![Item::Exists(arg.steps)],
                    predicate: true,
                    delimited: true,
                });
            }
            (Kind::Word(_), _) if self.is_word("true") => Item::Bool(true),
            (Kind::Word(_), _) if self.is_word("false") => Item::Bool(false),
            (Kind::Word(_), _) if self.is_word("null") => Item::Null,
            (Kind::Word(_), _) if self.is_word("last") => {
                if self.subscripts == 0 {
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, "LAST is allowed only in array subscripts"));
                }
                Item::Last
            }
            _ => return Err(self.syntax()),
        };
        self.at += 1;
        Ok(Piece::value(self.accessors(vec![first])?))
    }

    fn accessors(&mut self, mut steps: Steps) -> Result<Steps> {
        loop {
            if self.take(".") {
                steps.push(self.member()?);
            } else if self.take("[") {
                steps.push(self.elements()?);
            } else if self.take("?") {
                self.expect("(")?;
                self.filters += 1;
                let predicate = self.any()?;
                self.filters -= 1;
                if !predicate.predicate {
                    return Err(self.syntax());
                }
                self.expect(")")?;
                steps.push(Item::Filter(predicate.steps));
            } else {
                return Ok(steps);
            }
        }
    }

    fn member(&mut self) -> Result<Item> {
        if self.take("*") {
            return Ok(Item::AnyKey);
        }
        if self.take("**") {
            return self.levels();
        }
        let key = match &self.peek().kind {
            Kind::String(s) => {
                let key = s.clone();
                self.at += 1;
                return Ok(Item::Key(key));
            }
            Kind::Word(w) => w.clone(),
            _ => return Err(self.syntax()),
        };
        self.at += 1;
        if self.peek().text != "(" {
            return Ok(Item::Key(key));
        }
        let methods = [
            Method::Abs,
            Method::Size,
            Method::Type,
            Method::Floor,
            Method::Ceiling,
            Method::Double,
            Method::KeyValue,
        ];
        let method = methods.iter().find(|m| key.eq_ignore_ascii_case(m.name()));
        let item = match method {
            Some(m) => {
                self.at += 1;
                Item::Method(*m)
            }
            None if key.eq_ignore_ascii_case("datetime") => {
                self.at += 1;
                let template = matches!(self.peek().kind, Kind::String(_));
                Item::Datetime(if template { Some(self.string()?) } else { None })
            }
            None => return Err(self.syntax()),
        };
        self.expect(")")?;
        Ok(item)
    }

    fn level(&mut self) -> Result<u32> {
        if self.take_word("last") {
            return Ok(u32::MAX);
        }
        if self.peek().kind != Kind::Integer {
            return Err(self.syntax());
        }
        let level = self.peek().text.parse().map_err(|_| self.syntax())?;
        self.at += 1;
        Ok(level)
    }

    fn levels(&mut self) -> Result<Item> {
        if !self.take("{") {
            return Ok(Item::AnyLevel(0, u32::MAX));
        }
        let first = self.level()?;
        let last = if self.take_word("to") { self.level()? } else { first };
        self.expect("}")?;
        Ok(Item::AnyLevel(first, last))
    }

    fn elements(&mut self) -> Result<Item> {
        if self.take("*") {
            self.expect("]")?;
            return Ok(Item::AnyElement);
        }
        self.subscripts += 1;
        let mut list = Vec::new();
        loop {
            let from = self.index()?;
            let to = if self.take_word("to") { Some(self.index()?) } else { None };
            list.push((from, to));
            if !self.take(",") {
                break;
            }
        }
        self.subscripts -= 1;
        self.expect("]")?;
        Ok(Item::Elements(list))
    }

    fn index(&mut self) -> Result<Steps> {
        let piece = self.any()?;
        if piece.predicate {
            return Err(self.syntax());
        }
        Ok(piece.steps)
    }
}
