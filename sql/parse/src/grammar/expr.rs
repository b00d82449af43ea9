//! Expressions: precedence climbing with the levels of `gram.y`. Chains of one level become flat lists.

use super::*;

/// Binding strength, weakest first (chapter 4.1.6 of the manual).
type Level = u8;
const OR: Level = 1;
const AND: Level = 2;
const NOT: Level = 3;
const IS: Level = 4;
const COMPARE: Level = 5;
const LIKE: Level = 6;
const OTHER: Level = 7;
const ADD: Level = 8;
const MULTIPLY: Level = 9;
const POWER: Level = 10;
const AT: Level = 11;
const COLLATE: Level = 12;
const SIGN: Level = 13;

fn operator_level(op: &str) -> Level {
    match op {
        "<" | ">" | "=" | "<=" | ">=" | "<>" | "!=" => COMPARE,
        "+" | "-" => ADD,
        "*" | "/" | "%" => MULTIPLY,
        "^" => POWER,
        _ => OTHER,
    }
}

impl<'a> Parser<'a> {
    /// `a_expr`
    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.expr_at(OR, false)
    }

    /// `b_expr`: no AND, OR, NOT, IS NULL, BETWEEN, IN, LIKE outside parentheses.
    pub(super) fn restricted_expr(&mut self) -> Result<Expr> {
        self.expr_at(OR, true)
    }

    fn expr_at(&mut self, min: Level, restricted: bool) -> Result<Expr> {
        self.nested(|p| {
            let left = p.prefix(restricted)?;
            p.infix(left, min, restricted)
        })
    }

    fn prefix(&mut self, restricted: bool) -> Result<Expr> {
        let pos = self.pos();
        if !restricted && self.accept_kw(Kw::Not) {
            let arg = self.expr_at(NOT + 1, false)?;
            return Ok(Expr::new(ExprKind::Not(Box::new(arg)), pos));
        }
        let Some(op) = self.op().filter(|op| *op != "*") else {
            if self.at_kw(Kw::Operator) && self.peek_at(1) == Tok::LParen {
                let op = self.qualified_operator()?;
                let arg = self.expr_at(ADD, restricted)?;
                return Ok(Expr::new(ExprKind::Unary(op, Box::new(arg)), pos));
            }
            return self.primary();
        };
        match operator_level(op) {
            ADD => {
                self.bump();
                let arg = self.expr_at(SIGN, restricted)?;
                Ok(signed(op, arg, pos))
            }
            OTHER => {
                self.bump();
                let arg = self.expr_at(ADD, restricted)?;
                Ok(Expr::new(
                    ExprKind::Unary(
                        Operator {
                            schema: None,
                            name: op.into(),
                        },
                        Box::new(arg),
                    ),
                    pos,
                ))
            }
            _ => Err(self.unexpected()),
        }
    }

    /// The operator at the cursor and its level, without taking it.
    fn infix_operator(&self) -> Option<Level> {
        match self.peek() {
            Tok::Op => self.op().map(operator_level),
            Tok::Word(Some(Kw::Operator)) if self.peek_at(1) == Tok::LParen => Some(OTHER),
            _ => None,
        }
    }

    fn take_operator(&mut self) -> Result<Operator> {
        if self.at_kw(Kw::Operator) {
            return self.qualified_operator();
        }
        let token = self.expect(Tok::Op)?;
        let name = self.text_of(token);
        Ok(Operator {
            schema: None,
            name: if name == "!=" { "<>" } else { name }.into(),
        })
    }

    /// `OPERATOR(schema.op)`
    fn qualified_operator(&mut self) -> Result<Operator> {
        self.expect_kw(Kw::Operator)?;
        self.parenthesized(|p| {
            let mut schema = None;
            while p.peek() != Tok::Op {
                schema = Some(p.column_id()?.name);
                p.expect(Tok::Dot)?;
            }
            let token = p.bump();
            let name = p.text_of(token);
            Ok(Operator {
                schema,
                name: if name == "!=" { "<>" } else { name }.into(),
            })
        })
    }

    fn infix(&mut self, mut left: Expr, min: Level, restricted: bool) -> Result<Expr> {
        // A non-associative level that was just used may not follow itself.
        let mut used: Level = 0;
        // Postfix forms nest to the left.
        let mut postfix = false;
        loop {
            if std::mem::replace(&mut postfix, true) {
                self.deepen(1)?;
            }
            let pos = self.pos();
            if let Some(level) = self.infix_operator() {
                if level < min {
                    return Ok(left);
                }
                if level == COMPARE && used == COMPARE {
                    return Err(self.unexpected());
                }
                if self.quantifier_follows() {
                    left = self.quantified(left)?;
                } else if level == COMPARE {
                    let op = self.take_operator()?;
                    let right = self.expr_at(COMPARE + 1, restricted)?;
                    left = Expr::new(ExprKind::Binary(Box::new(left), vec![BinaryTail { op, pos, right }]), pos);
                } else {
                    left = self.binary_chain(left, level, restricted)?;
                }
                used = level;
                continue;
            }
            let Some(kw) = self.kw() else { return Ok(left) };
            match kw {
                Kw::And if min <= AND && !restricted => left = self.logical(left, Kw::And, AND)?,
                Kw::Or if min <= OR && !restricted => left = self.logical(left, Kw::Or, OR)?,
                Kw::Is if min <= IS && self.is_test_follows() => {
                    if used == IS {
                        return Err(self.unexpected());
                    }
                    left = self.is_test(left, restricted)?;
                    // Only the form with a right operand refuses another IS.
                    used = if matches!(left.kind, ExprKind::IsDistinct { .. }) { IS } else { 0 };
                }
                Kw::Isnull | Kw::Notnull if min <= IS && !restricted => {
                    self.bump();
                    left = Expr::new(
                        ExprKind::IsNull {
                            arg: Box::new(left),
                            negated: kw == Kw::Notnull,
                        },
                        pos,
                    );
                    used = IS;
                }
                Kw::Between | Kw::In | Kw::Like | Kw::Ilike | Kw::Similar
                    if min <= LIKE && !restricted && (kw != Kw::Similar || self.kw_at(1, Kw::To)) =>
                {
                    if used == LIKE {
                        return Err(self.unexpected());
                    }
                    left = self.pattern_or_range(left, false, pos)?;
                    used = LIKE;
                }
                Kw::Not if min <= LIKE && !restricted => {
                    if !matches!(
                        self.peek_at(1),
                        Tok::Word(Some(Kw::Between | Kw::In | Kw::Like | Kw::Ilike | Kw::Similar))
                    ) {
                        return Ok(left);
                    }
                    if used == LIKE {
                        return Err(self.unexpected());
                    }
                    self.bump();
                    left = self.pattern_or_range(left, true, pos)?;
                    used = LIKE;
                }
                Kw::At if min <= AT && self.kw_at(1, Kw::Time) => {
                    self.at += 2;
                    self.expect_kw(Kw::Zone)?;
                    let zone = self.expr_at(AT + 1, restricted)?;
                    left = self.system_call("timezone", vec![zone, left], pos);
                }
                Kw::Collate if min <= COLLATE => {
                    self.bump();
                    let collation = self.object_name()?;
                    left = Expr::new(ExprKind::Collate(Box::new(left), collation), pos);
                }
                Kw::Overlaps if !restricted && min <= OTHER => {
                    self.bump();
                    let right = self.expr_at(OTHER + 1, restricted)?;
                    match (left.kind, right.kind) {
                        (ExprKind::Row(mut a), ExprKind::Row(b)) if a.len() == 2 && b.len() == 2 => {
                            a.extend(b);
                            left = self.system_call("overlaps", a, pos);
                        }
                        (ExprKind::Row(a), _) if a.len() != 2 => {
                            return Err(self.syntax("wrong number of parameters on left side of OVERLAPS expression", left.pos));
                        }
                        _ => return Err(self.syntax("wrong number of parameters on right side of OVERLAPS expression", right.pos)),
                    }
                }
                _ => return Ok(left),
            }
        }
    }

    /// A flat chain of AND or of OR.
    fn logical(&mut self, left: Expr, kw: Kw, level: Level) -> Result<Expr> {
        let pos = self.pos();
        let mut list = vec![left];
        while self.accept_kw(kw) {
            list.push(self.expr_at(level + 1, false)?);
        }
        let kind = if level == AND { ExprKind::And(list) } else { ExprKind::Or(list) };
        Ok(Expr::new(kind, pos))
    }

    /// A flat chain of operators of one left-associative level.
    fn binary_chain(&mut self, left: Expr, level: Level, restricted: bool) -> Result<Expr> {
        let mut tails = Vec::new();
        let mut last = self.pos();
        while self.infix_operator() == Some(level) && !self.quantifier_follows() {
            let pos = self.pos();
            let op = self.take_operator()?;
            let right = self.expr_at(level + 1, restricted)?;
            tails.push(BinaryTail { op, pos, right });
            last = pos;
        }
        self.deepen(tails.len().saturating_sub(1))?;
        Ok(Expr::new(ExprKind::Binary(Box::new(left), tails), last))
    }

    /// `op ANY (`, `op ALL (`, `op SOME (`
    fn quantifier_follows(&self) -> bool {
        let mut ahead = 1;
        if self.at_kw(Kw::Operator) {
            while !matches!(self.peek_at(ahead), Tok::RParen | Tok::Eof) {
                ahead += 1;
            }
            ahead += 1;
        }
        matches!(self.peek_at(ahead), Tok::Word(Some(Kw::Any | Kw::All | Kw::Some)))
    }

    fn quantified(&mut self, left: Expr) -> Result<Expr> {
        let pos = self.pos();
        let op = self.take_operator()?;
        let all = self.at_kw(Kw::All);
        self.bump();
        if self.peek() != Tok::LParen {
            return Err(self.unexpected());
        }
        let right = if self.opens_query() {
            QuantifiedRight::Query(Box::new(self.query_in_parens()?))
        } else {
            QuantifiedRight::Array(self.parenthesized(|p| p.expr())?)
        };
        Ok(Expr::new(
            ExprKind::Quantified {
                arg: Box::new(left),
                op,
                all,
                right: Box::new(right),
            },
            pos,
        ))
    }

    /// Whether what follows IS makes a test; otherwise IS is a label.
    fn is_test_follows(&self) -> bool {
        matches!(
            self.peek_at(1),
            Tok::Word(Some(
                Kw::Not
                    | Kw::Null
                    | Kw::True
                    | Kw::False
                    | Kw::Unknown
                    | Kw::Distinct
                    | Kw::Normalized
                    | Kw::Nfc
                    | Kw::Nfd
                    | Kw::Nfkc
                    | Kw::Nfkd
            ))
        )
    }

    /// IS ...
    fn is_test(&mut self, left: Expr, restricted: bool) -> Result<Expr> {
        let pos = self.pos();
        self.bump();
        let negated = self.accept_kw(Kw::Not);
        let arg = Box::new(left);
        let kind = match self.kw() {
            Some(Kw::Distinct) => {
                self.bump();
                self.expect_kw(Kw::From)?;
                let right = self.expr_at(IS + 1, restricted)?;
                return Ok(Expr::new(
                    ExprKind::IsDistinct {
                        args: Box::new((*arg, right)),
                        negated,
                    },
                    pos,
                ));
            }
            Some(Kw::Null) if !restricted => ExprKind::IsNull { arg, negated },
            Some(Kw::True) if !restricted => ExprKind::IsBool {
                arg,
                test: Some(true),
                negated,
            },
            Some(Kw::False) if !restricted => ExprKind::IsBool {
                arg,
                test: Some(false),
                negated,
            },
            Some(Kw::Unknown) if !restricted => ExprKind::IsBool { arg, test: None, negated },
            Some(Kw::Normalized | Kw::Nfc | Kw::Nfd | Kw::Nfkc | Kw::Nfkd) if !restricted => {
                let form = if self.at_kw(Kw::Normalized) {
                    "NFC".to_owned()
                } else {
                    self.label()?.name.to_uppercase()
                };
                self.expect_kw(Kw::Normalized)?;
                let form = Expr::new(ExprKind::Literal(Literal::String(form)), pos);
                let call = self.system_call("is_normalized", vec![*arg, form], pos);
                return Ok(if negated {
                    Expr::new(ExprKind::Not(Box::new(call)), pos)
                } else {
                    call
                });
            }
            _ => return Err(self.unexpected()),
        };
        self.bump();
        Ok(Expr::new(kind, pos))
    }

    /// BETWEEN, IN, LIKE, ILIKE, SIMILAR TO at the cursor.
    fn pattern_or_range(&mut self, left: Expr, negated: bool, pos: u32) -> Result<Expr> {
        let arg = Box::new(left);
        let kw = self.kw();
        self.bump();
        let kind = match kw {
            Some(Kw::Between) => {
                let symmetric = self.accept_kw(Kw::Symmetric);
                if !symmetric {
                    self.accept_kw(Kw::Asymmetric);
                }
                let low = self.restricted_expr()?;
                self.expect_kw(Kw::And)?;
                let high = self.expr_at(LIKE + 1, false)?;
                ExprKind::Between {
                    args: Box::new((*arg, low, high)),
                    symmetric,
                    negated,
                }
            }
            Some(Kw::In) => {
                if self.opens_query() {
                    ExprKind::InQuery {
                        arg,
                        query: Box::new(self.query_in_parens()?),
                        negated,
                    }
                } else {
                    ExprKind::InList {
                        arg,
                        list: self.paren_list(|p| p.expr())?,
                        negated,
                    }
                }
            }
            _ => {
                let kind = match kw {
                    Some(Kw::Like) => LikeKind::Like,
                    Some(Kw::Ilike) => LikeKind::ILike,
                    _ => {
                        self.expect_kw(Kw::To)?;
                        LikeKind::SimilarTo
                    }
                };
                if matches!(self.kw(), Some(Kw::Any | Kw::All | Kw::Some)) && self.peek_at(1) == Tok::LParen {
                    let name = match (kind, negated) {
                        (LikeKind::Like, false) => "~~",
                        (LikeKind::Like, true) => "!~~",
                        (LikeKind::ILike, false) => "~~*",
                        (LikeKind::ILike, true) => "!~~*",
                        (LikeKind::SimilarTo, _) => return Err(self.unexpected()),
                    };
                    let all = self.at_kw(Kw::All);
                    self.bump();
                    let right = if self.opens_query() {
                        QuantifiedRight::Query(Box::new(self.query_in_parens()?))
                    } else {
                        QuantifiedRight::Array(self.parenthesized(|p| p.expr())?)
                    };
                    let op = Operator {
                        schema: None,
                        name: name.into(),
                    };
                    return Ok(Expr::new(
                        ExprKind::Quantified {
                            arg,
                            op,
                            all,
                            right: Box::new(right),
                        },
                        pos,
                    ));
                }
                let pattern = self.expr_at(LIKE + 1, false)?;
                let escape = if self.accept_kw(Kw::Escape) {
                    Some(Box::new(self.expr_at(LIKE + 1, false)?))
                } else {
                    None
                };
                ExprKind::Like {
                    kind,
                    args: Box::new((*arg, pattern)),
                    escape,
                    negated,
                }
            }
        };
        Ok(Expr::new(kind, pos))
    }

    /// `c_expr` with its indirection and casts.
    fn primary(&mut self) -> Result<Expr> {
        let mut expr = self.atom()?;
        while self.peek() == Tok::ColonColon {
            self.deepen(1)?;
            let pos = self.bump().pos;
            let ty = Box::new(self.type_name()?);
            expr = Expr::new(
                ExprKind::Cast {
                    arg: Box::new(expr),
                    ty,
                    syntax: CastSyntax::Colons,
                },
                pos,
            );
        }
        Ok(expr)
    }

    fn atom(&mut self) -> Result<Expr> {
        let token = self.token();
        let pos = token.pos;
        let literal = |l| Ok(Expr::new(ExprKind::Literal(l), pos));
        match token.kind {
            Tok::Number => {
                let text = self.number()?;
                literal(match text.parse::<i32>() {
                    Ok(n) => Literal::Integer(n),
                    Err(_) => Literal::Number(text.to_owned()),
                })
            }
            Tok::String | Tok::EscapeString | Tok::UnicodeString | Tok::DollarString => {
                let text = self.string()?;
                literal(Literal::String(text))
            }
            Tok::Bits | Tok::HexBits => {
                self.bump();
                let digits = token::plain_string(self.text_of(token));
                literal(if token.kind == Tok::Bits {
                    Literal::Bits(digits)
                } else {
                    Literal::HexBits(digits)
                })
            }
            Tok::Param => {
                self.bump();
                let text = &self.text_of(token)[1..];
                let number =
                    text.parse::<u32>().ok().filter(|n| *n <= MAX_PARAM).ok_or_else(|| {
                        SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter ${text}")).at(Some(pos))
                    })?;
                self.indirection(Expr::new(ExprKind::Param(number), pos))
            }
            Tok::LParen => self.parenthesis(),
            Tok::Word(Some(kw)) => self.keyword_atom(kw),
            Tok::Word(None) | Tok::QuotedIdent | Tok::UnicodeIdent => self.name_atom(),
            _ => Err(self.unexpected()),
        }
    }

    /// A subquery, a row, or an expression in parentheses.
    fn parenthesis(&mut self) -> Result<Expr> {
        let pos = self.pos();
        if self.opens_query() {
            let query = self.query_in_parens()?;
            return self.indirection(Expr::new(ExprKind::Subquery(Box::new(query)), pos));
        }
        self.expect(Tok::LParen)?;
        let first = self.expr()?;
        if self.accept(Tok::Comma) {
            let mut items = vec![first];
            items.extend(self.comma_list(|p| p.expr())?);
            self.expect(Tok::RParen)?;
            return Ok(Expr::new(ExprKind::Row(items), pos));
        }
        self.expect(Tok::RParen)?;
        self.indirection(first)
    }

    /// `.field`, `.*` and `[subscripts]` after a parenthesis or parameter.
    fn indirection(&mut self, mut expr: Expr) -> Result<Expr> {
        loop {
            let pos = expr.pos;
            if matches!(self.peek(), Tok::Dot | Tok::LBracket) {
                self.deepen(1)?;
            }
            match self.peek() {
                Tok::Dot => {
                    self.bump();
                    if self.accept_op("*") {
                        return Ok(Expr::new(ExprKind::FieldStar(Box::new(expr)), pos));
                    }
                    let field = self.label()?;
                    expr = Expr::new(ExprKind::Field(Box::new(expr), field), pos);
                }
                Tok::LBracket => {
                    let subscripts = self.subscripts()?;
                    expr = Expr::new(ExprKind::Subscript(Box::new(expr), subscripts), pos);
                }
                _ => return Ok(expr),
            }
        }
    }

    pub(super) fn subscripts(&mut self) -> Result<Vec<Subscript>> {
        let mut out = Vec::new();
        while self.accept(Tok::LBracket) {
            let low = if self.peek() == Tok::Colon { None } else { Some(self.expr()?) };
            if self.accept(Tok::Colon) {
                let high = if self.peek() == Tok::RBracket { None } else { Some(self.expr()?) };
                out.push(Subscript::Slice(low, high));
            } else {
                out.push(Subscript::Index(low.ok_or_else(|| self.unexpected())?));
            }
            self.expect(Tok::RBracket)?;
        }
        Ok(out)
    }

    /// A column reference, function call or typed literal that starts with a name.
    pub(super) fn name_atom(&mut self) -> Result<Expr> {
        let start = self.at;
        let pos = self.pos();
        let category = self.kw().map(Kw::category);
        if category == Some(Category::Reserved) {
            return Err(self.unexpected());
        }
        let mut parts = vec![self.take_ident()?];
        while self.peek() == Tok::Dot {
            self.bump();
            if self.accept_op("*") {
                return Ok(Expr::new(ExprKind::Star(parts), pos));
            }
            parts.push(self.label()?);
        }
        let single = parts.len() == 1;
        // A single function-name keyword is no column; a single column-name keyword is no function or type.
        let callable = !(single && category == Some(Category::ColumnName));
        if self.peek() == Tok::LParen && callable {
            if let Some(literal) = self.typed_literal_with_modifiers(start)? {
                return Ok(literal);
            }
            return self.call(ObjectName { parts });
        }
        if self.at_string() && callable {
            let ty = TypeName {
                name: ObjectName { parts },
                modifiers: Vec::new(),
                array_dimensions: 0,
                setof: false,
                pos,
            };
            return self.typed_literal(ty);
        }
        if single && category == Some(Category::FunctionName) {
            return Err(self.unexpected());
        }
        let column = Expr::new(ExprKind::Column(parts), pos);
        if self.peek() == Tok::LBracket {
            self.indirection(column)
        } else {
            Ok(column)
        }
    }

    /// `type '...'`: the string follows.
    pub(super) fn typed_literal(&mut self, ty: TypeName) -> Result<Expr> {
        let (pos, string_pos) = (ty.pos, self.pos());
        let text = self.string()?;
        let arg = Box::new(Expr::new(ExprKind::Literal(Literal::String(text)), string_pos));
        Ok(Expr::new(
            ExprKind::Cast {
                arg,
                ty: Box::new(ty),
                syntax: CastSyntax::TypedLiteral,
            },
            pos,
        ))
    }

    /// `name(1, 2) 'text'`: looks past the parenthesis for a string.
    fn typed_literal_with_modifiers(&mut self, start: usize) -> Result<Option<Expr>> {
        let mut ahead = 1;
        while matches!(self.peek_at(ahead), Tok::Number | Tok::Comma | Tok::Word(None)) {
            ahead += 1;
        }
        let string = matches!(
            self.peek_at(ahead + 1),
            Tok::String | Tok::EscapeString | Tok::UnicodeString | Tok::DollarString
        );
        if self.peek_at(ahead) != Tok::RParen || !string || ahead == 1 {
            return Ok(None);
        }
        self.at = start;
        let ty = self.type_name()?;
        self.typed_literal(ty).map(Some)
    }
}

/// A sign before an expression; a literal takes it up, as PostgreSQL's `doNegate` does.
fn signed(op: &str, arg: Expr, pos: u32) -> Expr {
    let kind = match arg.kind {
        ExprKind::Literal(Literal::Integer(n)) if op == "-" => match n.checked_neg() {
            Some(n) => ExprKind::Literal(Literal::Integer(n)),
            None => ExprKind::Literal(Literal::Number("2147483648".to_owned())),
        },
        ExprKind::Literal(Literal::Number(n)) if op == "-" => {
            let negated = match n.strip_prefix('-') {
                Some(positive) => positive.to_owned(),
                None => format!("-{n}"),
            };
            ExprKind::Literal(match negated.parse::<i32>() {
                Ok(n) => Literal::Integer(n),
                Err(_) => Literal::Number(negated),
            })
        }
        kind => ExprKind::Unary(
            Operator {
                schema: None,
                name: op.into(),
            },
            Box::new(Expr::new(kind, arg.pos)),
        ),
    };
    Expr::new(kind, pos)
}
