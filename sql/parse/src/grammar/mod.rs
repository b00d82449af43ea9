//! The grammar: recursive descent over the tokens, following `gram.y`.
//!
//! - [`expr`]: expressions, by precedence climbing. [`call`]: functions and SQL's special syntaxes. [`types`]: type names.
//! - [`query`]: SELECT and FROM. [`dml`]: INSERT, UPDATE, DELETE.
//! - [`table`]: CREATE and ALTER TABLE. [`object`]: other CREATE, ALTER, DROP. [`utility`]: everything else.
//!
//! Each file extends [`Parser`]. A rule that cannot go on answers [`Parser::unexpected`], which names the current token as PostgreSQL does.

mod call;
mod dml;
mod expr;
mod object;
mod query;
mod table;
mod types;
mod utility;

use crate::Parsed;
use crate::ast::*;
use crate::depth::{self, MAX_DEPTH};
use crate::keyword::{Category, Kw};
use crate::token::{self, Tok, Token, error_near};
use curia_types::{Result, SqlError, SqlState};

/// A cursor over the tokens of a text.
struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    /// Recursion now, and the deepest tree of the current statement.
    level: u32,
    deepest: u32,
    max_param: u32,
}

fn with_parser<T: Send>(sql: &str, work: impl FnOnce(&mut Parser<'_>) -> Result<T> + Send) -> Result<T> {
    let tokens = token::tokenize(sql)?;
    let nesting = depth::nesting(&tokens)?;
    depth::on_stack(nesting, || {
        let mut parser = Parser {
            text: sql,
            tokens: &tokens,
            at: 0,
            level: 0,
            deepest: 1,
            max_param: 0,
        };
        work(&mut parser)
    })
}

pub fn parse_statements(sql: &str) -> Result<Vec<Parsed>> {
    with_parser(sql, |p| {
        let mut out = Vec::new();
        loop {
            while p.accept(Tok::Semicolon) {}
            if p.peek() == Tok::Eof {
                return Ok(out);
            }
            (p.deepest, p.max_param) = (1, 0);
            let start = p.token().start as usize;
            let statement = p.statement()?;
            if !matches!(p.peek(), Tok::Semicolon | Tok::Eof) {
                return Err(p.unexpected());
            }
            let end = p.previous_end();
            out.push(Parsed {
                statement,
                span: start..end,
                depth: p.deepest,
                max_param: p.max_param,
            });
        }
    })
}

pub fn parse_expression(sql: &str) -> Result<Expr> {
    with_parser(sql, |p| {
        let expr = p.expr()?;
        p.end()?;
        Ok(expr)
    })
}

pub fn parse_type(sql: &str) -> Result<TypeName> {
    with_parser(sql, |p| {
        let ty = p.type_name()?;
        p.end()?;
        Ok(ty)
    })
}

impl<'a> Parser<'a> {
    fn token(&self) -> Token {
        self.tokens[self.at]
    }

    fn peek(&self) -> Tok {
        self.tokens[self.at].kind
    }

    /// The kind of a later token; past the end it is [`Tok::Eof`].
    fn peek_at(&self, ahead: usize) -> Tok {
        self.tokens.get(self.at + ahead).map_or(Tok::Eof, |t| t.kind)
    }

    fn pos(&self) -> u32 {
        self.token().pos
    }

    fn text_of(&self, token: Token) -> &'a str {
        &self.text[token.start as usize..token.end as usize]
    }

    fn previous_end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |i| self.tokens[i].end as usize)
    }

    /// Takes the current token; the end stays current.
    fn bump(&mut self) -> Token {
        let token = self.token();
        if token.kind != Tok::Eof {
            self.at += 1;
        }
        token
    }

    fn accept(&mut self, tok: Tok) -> bool {
        let found = self.peek() == tok;
        if found {
            self.bump();
        }
        found
    }

    fn expect(&mut self, tok: Tok) -> Result<Token> {
        if self.peek() == tok {
            Ok(self.bump())
        } else {
            Err(self.unexpected())
        }
    }

    fn at_kw(&self, kw: Kw) -> bool {
        self.peek() == Tok::Word(Some(kw))
    }

    fn kw_at(&self, ahead: usize, kw: Kw) -> bool {
        self.peek_at(ahead) == Tok::Word(Some(kw))
    }

    fn accept_kw(&mut self, kw: Kw) -> bool {
        self.accept(Tok::Word(Some(kw)))
    }

    /// Takes all of a sequence of keywords, or none.
    fn accept_kws(&mut self, kws: &[Kw]) -> bool {
        let found = kws.iter().enumerate().all(|(i, kw)| self.kw_at(i, *kw));
        if found {
            self.at += kws.len();
        }
        found
    }

    fn expect_kw(&mut self, kw: Kw) -> Result<Token> {
        self.expect(Tok::Word(Some(kw)))
    }

    /// The current keyword.
    fn kw(&self) -> Option<Kw> {
        match self.peek() {
            Tok::Word(kw) => kw,
            _ => None,
        }
    }

    /// The text of the current token if it is an operator.
    fn op(&self) -> Option<&'a str> {
        (self.peek() == Tok::Op).then(|| self.text_of(self.token()))
    }

    fn at_op(&self, op: &str) -> bool {
        self.op() == Some(op)
    }

    fn accept_op(&mut self, op: &str) -> bool {
        let found = self.at_op(op);
        if found {
            self.bump();
        }
        found
    }

    fn end(&mut self) -> Result<()> {
        if self.peek() == Tok::Eof { Ok(()) } else { Err(self.unexpected()) }
    }

    /// `syntax error at or near` the current token.
    fn unexpected(&self) -> SqlError {
        let token = self.token();
        error_near("syntax error", self.text_of(token), token.pos)
    }

    fn syntax(&self, message: &str, pos: u32) -> SqlError {
        SqlError::new(SqlState::SYNTAX_ERROR, message).at(Some(pos))
    }

    /// Runs a rule one level deeper.
    fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.level += 1;
        self.deepest = self.deepest.max(self.level);
        if self.level > 4 * MAX_DEPTH {
            return Err(depth::too_deep());
        }
        let result = rule(self);
        self.level -= 1;
        result
    }

    /// Notes that a tree of `extra` more levels hangs here.
    fn reaches(&mut self, extra: usize, limit: usize) -> Result<()> {
        if extra > limit {
            return Err(depth::too_deep());
        }
        self.deepest = self.deepest.max(self.level.saturating_add(extra as u32));
        Ok(())
    }

    fn comma_list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut out = vec![item(self)?];
        while self.accept(Tok::Comma) {
            out.push(item(self)?);
        }
        Ok(out)
    }

    fn parenthesized<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.expect(Tok::LParen)?;
        let out = rule(self)?;
        self.expect(Tok::RParen)?;
        Ok(out)
    }

    fn paren_list<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.parenthesized(|p| p.comma_list(item))
    }

    /// Whether the token at `ahead` may be a name whose keywords satisfy `allowed`.
    fn names(&self, ahead: usize, allowed: impl Fn(Kw) -> bool) -> bool {
        match self.peek_at(ahead) {
            Tok::Word(None) | Tok::QuotedIdent | Tok::UnicodeIdent => true,
            Tok::Word(Some(kw)) => allowed(kw),
            _ => false,
        }
    }

    fn at_column_id(&self) -> bool {
        self.names(0, |k| matches!(k.category(), Category::Unreserved | Category::ColumnName))
    }

    fn take_ident(&mut self) -> Result<Ident> {
        let token = self.bump();
        let raw = self.text_of(token);
        let name = match token.kind {
            Tok::Word(_) => token::fold_ident(raw),
            Tok::QuotedIdent => {
                let mut name = raw[1..raw.len() - 1].replace("\"\"", "\"");
                token::truncate_ident(&mut name);
                name
            }
            _ => {
                let escape = self.uescape()?;
                let mut name = token::unicode_escapes(&raw[3..raw.len() - 1].replace("\"\"", "\""), escape, token.pos)?;
                token::truncate_ident(&mut name);
                name
            }
        };
        Ok(Ident { name, pos: token.pos })
    }

    /// `ColId`: a name of a column, table, or anything else that is no function or type.
    fn column_id(&mut self) -> Result<Ident> {
        if self.at_column_id() {
            self.take_ident()
        } else {
            Err(self.unexpected())
        }
    }

    /// `type_function_name`.
    fn function_id(&mut self) -> Result<Ident> {
        if self.names(0, |k| matches!(k.category(), Category::Unreserved | Category::FunctionName)) {
            self.take_ident()
        } else {
            Err(self.unexpected())
        }
    }

    /// `ColLabel`: any word.
    fn label(&mut self) -> Result<Ident> {
        if self.names(0, |_| true) {
            self.take_ident()
        } else {
            Err(self.unexpected())
        }
    }

    /// `any_name`, `qualified_name`: a name with dots.
    fn object_name(&mut self) -> Result<ObjectName> {
        let first = self.column_id()?;
        self.object_name_from(first)
    }

    fn object_name_from(&mut self, first: Ident) -> Result<ObjectName> {
        let mut parts = vec![first];
        while self.accept(Tok::Dot) {
            parts.push(self.label()?);
        }
        Ok(ObjectName { parts })
    }

    /// A relation's name: at most three parts.
    fn relation_name(&mut self) -> Result<ObjectName> {
        let name = self.object_name()?;
        if name.parts.len() > 3 {
            let message = format!("improper qualified name (too many dotted names): {name}");
            return Err(self.syntax(&message, name.pos()));
        }
        Ok(name)
    }

    fn at_string(&self) -> bool {
        matches!(
            self.peek(),
            Tok::String | Tok::EscapeString | Tok::UnicodeString | Tok::DollarString
        )
    }

    fn string(&mut self) -> Result<String> {
        if !self.at_string() {
            return Err(self.unexpected());
        }
        let token = self.bump();
        let raw = self.text_of(token);
        Ok(match token.kind {
            Tok::String => token::plain_string(raw),
            Tok::EscapeString => token::escape_string(raw, token.pos)?,
            Tok::DollarString => token::dollar_string(raw),
            _ => {
                let escape = self.uescape()?;
                token::unicode_escapes(&token::plain_string(raw), escape, token.pos)?
            }
        })
    }

    /// UESCAPE 'c'
    fn uescape(&mut self) -> Result<char> {
        if !self.accept_kw(Kw::Uescape) {
            return Ok('\\');
        }
        let token = self.token();
        if token.kind != Tok::String {
            return Err(error_near(
                "UESCAPE must be followed by a simple string literal",
                self.text_of(token),
                token.pos,
            ));
        }
        let text = self.string()?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_ascii_hexdigit() && !matches!(c, '+' | '\'' | '"') && !c.is_whitespace() => Ok(c),
            _ => Err(error_near("invalid Unicode escape character", self.text_of(token), token.pos)),
        }
    }

    /// A number token as written.
    fn number(&mut self) -> Result<&'a str> {
        if self.peek() != Tok::Number {
            return Err(self.unexpected());
        }
        let token = self.bump();
        Ok(self.text_of(token))
    }

    /// An integer literal with an optional sign (`SignedIconst`, `NumericOnly` of sequences).
    fn signed_integer(&mut self) -> Result<i64> {
        let negative = self.accept_op("-");
        if !negative {
            self.accept_op("+");
        }
        let (pos, at) = (self.pos(), self.at);
        let text = self.number()?;
        let value = text.parse::<i128>().ok().map(|v| if negative { -v } else { v });
        value.and_then(|v| i64::try_from(v).ok()).ok_or_else(|| {
            if text.bytes().all(|b| b.is_ascii_digit()) {
                SqlError::new(
                    SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                    format!("value \"{text}\" is out of range for type bigint"),
                )
                .at(Some(pos))
            } else {
                error_near("syntax error", self.text_of(self.tokens[at]), pos)
            }
        })
    }

    /// Skips the rest of a statement whose form is not built yet.
    fn skip_statement(&mut self) {
        while !matches!(self.peek(), Tok::Semicolon | Tok::Eof) {
            self.bump();
        }
    }

    fn unsupported(&mut self, feature: impl Into<String>) -> Statement {
        self.skip_statement();
        Statement::Unsupported { feature: feature.into() }
    }

    /// Whether the parenthesis at the cursor opens a query: `(SELECT ..)`, `((SELECT ..) UNION ..)`, but not `((SELECT ..) + 1)`.
    fn opens_query(&self) -> bool {
        let mut first = self.at;
        while self.tokens[first].kind == Tok::LParen {
            first += 1;
        }
        let starts = matches!(
            self.tokens[first].kind,
            Tok::Word(Some(Kw::Select | Kw::Values | Kw::With | Kw::Table))
        );
        if !starts {
            return false;
        }
        // From the innermost parenthesis outwards: each must end its query before the next one closes.
        let mut next = first;
        for _ in self.at..first {
            let mut open = 0usize;
            loop {
                match self.tokens[next].kind {
                    Tok::LParen => open += 1,
                    Tok::RParen if open == 0 => break,
                    Tok::RParen => open -= 1,
                    Tok::Eof => return true,
                    _ => {}
                }
                next += 1;
            }
            next += 1;
            let goes_on = matches!(
                self.tokens[next].kind,
                Tok::RParen
                    | Tok::Word(Some(
                        Kw::Union | Kw::Intersect | Kw::Except | Kw::Order | Kw::Limit | Kw::Offset | Kw::Fetch | Kw::For
                    ))
            );
            if !goes_on {
                // Something else follows: enclosing levels are expressions or joins. This level is ours only if it is the outermost.
                return self.encloses_exactly(next - 1);
            }
        }
        true
    }

    /// Whether the parenthesis at the cursor closes at token `close`.
    fn encloses_exactly(&self, close: usize) -> bool {
        let mut open = 0usize;
        for (i, token) in self.tokens.iter().enumerate().skip(self.at) {
            match token.kind {
                Tok::LParen => open += 1,
                Tok::RParen => {
                    open -= 1;
                    if open == 0 {
                        return i == close;
                    }
                }
                _ => {}
            }
        }
        false
    }
}
