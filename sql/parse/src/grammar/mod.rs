//! The grammar: recursive descent over the tokens, following `gram.y`.
//!
//! - [`expr`]: expressions, by precedence climbing. [`call`]: functions and SQL's special syntaxes. [`types`]: type names.
//! - [`query`]: SELECT and FROM. [`dml`]: INSERT, UPDATE, DELETE.
//! - [`table`]: CREATE and ALTER TABLE. [`function`]: functions and procedures. [`object`]: other CREATE, ALTER, DROP. [`utility`]: everything else.
//!
//! Each file extends [`Parser`]. A rule that cannot go on answers [`Parser::unexpected`], which names the current token as PostgreSQL does.

mod absent;
mod as_of;
mod authority;
mod call;
mod dml;
mod expr;
mod function;
mod object;
mod partition;
mod query;
mod table;
mod types;
mod user_type;
mod utility;

use crate::ast::*;
use crate::depth::{self, INLINE_HEIGHT, INLINE_LEVELS, MAX_HEIGHT, MAX_QUERIES, MAX_STORED_HEIGHT};
use crate::keyword::{Category, Kw};
use crate::token::{self, Tok, Token, error_near};
use crate::{Parsed, Truncated};
use curia_types::{Result, SqlError, SqlState};
use std::cell::OnceCell;

/// Highest number of a parameter, what PostgreSQL has memory for. No client can give values to more than 65,535.
pub const MAX_PARAM: u32 = (i32::MAX / 4) as u32;

/// A cursor over the tokens of a text.
struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    /// Recursion now.
    level: usize,
    /// Queries around the cursor.
    queries: usize,
    /// Depth of the deepest tree that was made in the rule under way, and what the rule itself adds to it.
    height: usize,
    steps: usize,
    /// What this stack is enough for: levels of recursion, and the height of a tree; and whether it was not.
    levels: usize,
    room: usize,
    cramped: bool,
    /// Names cut in the current statement.
    truncated: Vec<Truncated>,
    /// AS OF SYSTEM TIME of the current statement.
    as_of: Option<AsOf>,
    /// The closing parenthesis of each opening one; made when first asked for.
    closing: OnceCell<Vec<usize>>,
    /// The run of opening parentheses looked at last, and whether all of it opens queries.
    run: (std::ops::Range<usize>, bool),
}

/// Runs a rule over the tokens of a text; once more on a larger stack when its tree got too high for the first.
fn with_parser<T: Send>(sql: &str, work: impl Fn(&mut Parser<'_>) -> Result<T> + Sync) -> Result<T> {
    let tokens = token::tokenize(sql)?;
    let nesting = depth::nesting(&tokens)?;
    let run = |levels: usize, room: usize| {
        depth::on_stack(levels as u32, || {
            let mut parser = Parser {
                text: sql,
                tokens: &tokens,
                at: 0,
                level: 0,
                queries: 0,
                height: 0,
                steps: 0,
                levels: levels + INLINE_LEVELS,
                room,
                cramped: false,
                truncated: Vec::new(),
                as_of: None,
                closing: OnceCell::new(),
                run: (0..0, false),
            };
            let result = work(&mut parser);
            (result, parser.cramped)
        })
    };
    let room = INLINE_HEIGHT.max(nesting as usize);
    match run(nesting as usize, room) {
        (_, true) => run(MAX_HEIGHT, MAX_HEIGHT).0,
        (result, _) => result,
    }
}

pub fn parse_statements(sql: &str) -> Result<Vec<Parsed>> {
    with_parser(sql, |p| {
        let mut out = Vec::new();
        loop {
            while p.accept(Tok::Semicolon) {}
            if p.peek() == Tok::Eof {
                return Ok(out);
            }
            (p.height, p.steps) = (0, 0);
            let start = p.token().start as usize;
            let statement = p.statement()?;
            if !matches!(p.peek(), Tok::Semicolon | Tok::Eof) {
                return Err(p.unexpected());
            }
            let end = p.previous_end();
            out.push(Parsed {
                statement,
                span: start..end,
                depth: (p.height + p.steps + 1) as u32,
                truncated: std::mem::take(&mut p.truncated),
                as_of: p.as_of.take(),
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

    /// Runs a rule whose tree is one level above the deepest that it makes, or as many as it says with [`Self::deepen`].
    fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outside = (std::mem::take(&mut self.height), std::mem::take(&mut self.steps));
        self.level += 1;
        self.fits(self.level, self.levels)?;
        let result = rule(self)?;
        self.level -= 1;
        let height = self.height + self.steps.max(1);
        (self.height, self.steps) = (outside.0.max(height), outside.1);
        self.fits(height, self.room)?;
        Ok(result)
    }

    /// Notes that the rule under way puts its tree `levels` more levels down, by nesting to the left.
    fn deepen(&mut self, levels: usize) -> Result<()> {
        self.steps += levels;
        self.fits(self.steps, self.room)
    }

    fn fits(&mut self, depth: usize, limit: usize) -> Result<()> {
        self.cramped |= depth > limit;
        if self.cramped { Err(depth::too_deep()) } else { Ok(()) }
    }

    /// An expression that the catalog will keep: every statement on its table gets it, so that it may not be as deep as a statement's own.
    fn stored<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outside = (std::mem::take(&mut self.height), std::mem::take(&mut self.steps));
        let result = rule(self)?;
        let height = self.height + self.steps;
        if height > MAX_STORED_HEIGHT {
            return Err(depth::too_deep());
        }
        (self.height, self.steps) = (outside.0.max(height), outside.1);
        Ok(result)
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
        let mut name = match token.kind {
            Tok::Word(_) => raw.to_ascii_lowercase(),
            Tok::QuotedIdent => raw[1..raw.len() - 1].replace("\"\"", "\""),
            _ => {
                let escape = self.uescape()?;
                token::unicode_escapes(&raw[3..raw.len() - 1].replace("\"\"", "\""), escape, token.pos)?
            }
        };
        if let Some(from) = token::truncate_ident(&mut name) {
            self.truncated.push(Truncated { from, to: name.clone() });
        }
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
    fn opens_query(&mut self) -> bool {
        if self.run.0.contains(&self.at) {
            return self.run.1;
        }
        let mut first = self.at;
        while self.tokens[first].kind == Tok::LParen {
            first += 1;
        }
        let starts = matches!(
            self.tokens[first].kind,
            Tok::Word(Some(Kw::Select | Kw::Values | Kw::With | Kw::Table))
        );
        // From the innermost parenthesis outwards: each must end its query before the next one closes.
        for open in (self.at..first).rev().take_while(|_| starts) {
            let close = self.closing(open);
            let goes_on = matches!(
                self.tokens.get(close + 1).map(|t| t.kind),
                None | Some(
                    Tok::RParen
                        | Tok::Word(Some(
                            Kw::Union | Kw::Intersect | Kw::Except | Kw::Order | Kw::Limit | Kw::Offset | Kw::Fetch | Kw::For
                        ))
                )
            );
            if !goes_on {
                // Something else follows: enclosing levels are expressions or joins. This level is ours only if it is the outermost.
                return open == self.at;
            }
        }
        self.run = (self.at..first, starts);
        starts
    }

    /// The token that closes the parenthesis at `open`; the end when nothing does.
    fn closing(&self, open: usize) -> usize {
        self.closing.get_or_init(|| {
            let mut closing = vec![self.tokens.len() - 1; self.tokens.len()];
            let mut opened = Vec::new();
            for (i, token) in self.tokens.iter().enumerate() {
                match token.kind {
                    Tok::LParen => opened.push(i),
                    Tok::RParen => {
                        if let Some(open) = opened.pop() {
                            closing[open] = i;
                        }
                    }
                    _ => {}
                }
            }
            closing
        })[open]
    }
}
