//! CREATE, ALTER and DROP FUNCTION and PROCEDURE.

use super::*;

impl Parser<'_> {
    /// CREATE FUNCTION behind FUNCTION or PROCEDURE.
    pub(super) fn create_function(&mut self, kind: RoutineKind, or_replace: bool) -> Result<Statement> {
        let name = self.routine_id()?;
        let mut parameters = self.parameters(true)?;
        let mut returns = None;
        if self.at_kw(Kw::Returns) && kind == RoutineKind::Function {
            self.bump();
            if self.at_kw(Kw::Table) && self.peek_at(1) == Tok::LParen {
                self.bump();
                let columns = self.paren_list(|p| {
                    let name = Some(p.argument_name()?);
                    Ok(Parameter {
                        name,
                        mode: ParameterMode::Table,
                        ty: p.type_name()?,
                        default: None,
                    })
                })?;
                parameters.extend(columns);
            } else {
                returns = Some(self.type_name()?);
            }
        }
        let options = self.function_options(true)?;
        Ok(Statement::CreateFunction(Box::new(CreateFunction {
            name,
            kind,
            or_replace,
            parameters,
            returns,
            options,
        })))
    }

    /// DROP FUNCTION behind FUNCTION, PROCEDURE or ROUTINE.
    pub(super) fn drop_function(&mut self, kind: RoutineKind) -> Result<Statement> {
        let if_exists = self.if_exists();
        let names = self.comma_list(|p| p.routine_name())?;
        let cascade = self.cascade();
        Ok(Statement::DropFunction(Box::new(DropFunction {
            kind,
            if_exists,
            names,
            cascade,
        })))
    }

    /// ALTER FUNCTION behind FUNCTION, PROCEDURE or ROUTINE.
    pub(super) fn alter_function(&mut self, kind: RoutineKind) -> Result<Statement> {
        let name = self.routine_name()?;
        let action = if self.accept_kws(&[Kw::Rename, Kw::To]) {
            AlterFunctionAction::RenameTo(self.column_id()?)
        } else if self.accept_kws(&[Kw::Owner, Kw::To]) {
            AlterFunctionAction::OwnerTo(self.role_spec()?)
        } else if self.accept_kws(&[Kw::Set, Kw::Schema]) {
            AlterFunctionAction::SetSchema(self.column_id()?)
        } else if self.at_kw(Kw::Depends) || self.at_kw(Kw::No) {
            return Ok(self.unsupported("ALTER FUNCTION .. DEPENDS ON EXTENSION"));
        } else {
            let options = self.function_options(false)?;
            if options == FunctionOptions::default() {
                return Err(self.unexpected());
            }
            self.accept_kw(Kw::Restrict);
            AlterFunctionAction::Options(Box::new(options))
        };
        Ok(Statement::AlterFunction(Box::new(AlterFunction { kind, name, action })))
    }

    /// A routine with the types of its parameters.
    pub(super) fn routine_name(&mut self) -> Result<RoutineName> {
        let start = self.token().start as usize;
        let name = self.routine_id()?;
        let parameters = if self.peek() == Tok::LParen {
            Some(self.parameters(false)?)
        } else {
            None
        };
        Ok(RoutineName {
            name,
            parameters,
            text: self.text[start..self.previous_end()].to_owned(),
        })
    }

    fn routine_id(&mut self) -> Result<ObjectName> {
        let first = self.function_id()?;
        self.object_name_from(first)
    }

    fn parameters(&mut self, defaults: bool) -> Result<Vec<Parameter>> {
        if self.peek() == Tok::LParen && self.peek_at(1) == Tok::RParen {
            self.bump();
            self.bump();
            return Ok(Vec::new());
        }
        self.paren_list(|p| p.parameter(defaults))
    }

    fn argument_name(&mut self) -> Result<Ident> {
        self.function_id()
    }

    /// `func_arg_with_default`
    fn parameter(&mut self, defaults: bool) -> Result<Parameter> {
        let mut mode = self.parameter_mode();
        let at = self.at;
        let ends = |p: &Self| matches!(p.peek(), Tok::Comma | Tok::RParen) || p.at_kw(Kw::Default) || p.at_op("=");
        // A type alone, else a name, perhaps a mode, and a type.
        let (name, ty) = match self.type_name() {
            Ok(ty) if ends(self) => (None, ty),
            first => {
                self.at = at;
                let Ok(name) = self.argument_name() else {
                    return first.and_then(|_| Err(self.unexpected()));
                };
                if mode.is_none() {
                    mode = self.parameter_mode();
                }
                (Some(name), self.type_name()?)
            }
        };
        let default = if defaults && (self.accept_kw(Kw::Default) || self.accept_op("=")) {
            let start = self.token().start as usize;
            let value = self.expr()?;
            Some((value, self.text[start..self.previous_end()].to_owned()))
        } else {
            None
        };
        Ok(Parameter {
            name,
            mode: mode.unwrap_or(ParameterMode::In),
            ty,
            default,
        })
    }

    fn parameter_mode(&mut self) -> Option<ParameterMode> {
        let mode = match self.kw()? {
            Kw::In => {
                self.bump();
                if self.accept_kw(Kw::Out) {
                    ParameterMode::InOut
                } else {
                    ParameterMode::In
                }
            }
            Kw::Out => {
                self.bump();
                ParameterMode::Out
            }
            Kw::Inout => {
                self.bump();
                ParameterMode::InOut
            }
            Kw::Variadic => {
                self.bump();
                ParameterMode::Variadic
            }
            _ => return None,
        };
        Some(mode)
    }

    /// `createfunc_opt_list` or `alterfunc_opt_list`, and the body of the SQL standard.
    fn function_options(&mut self, creating: bool) -> Result<FunctionOptions> {
        let mut o = FunctionOptions::default();
        loop {
            let pos = self.pos();
            let redundant = || SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options").at(Some(pos));
            let once = |taken: bool| if taken { Err(redundant()) } else { Ok(()) };
            let Some(kw) = self.kw() else { break };
            match kw {
                Kw::As if creating => {
                    self.bump();
                    once(o.body.is_some())?;
                    let text = self.string()?;
                    o.body = Some(if self.accept(Tok::Comma) {
                        self.string()?;
                        FunctionBody::Symbol(text)
                    } else {
                        FunctionBody::Text(text)
                    });
                }
                Kw::Language if creating => {
                    self.bump();
                    once(o.language.is_some())?;
                    o.language = Some(if self.at_string() { self.string()? } else { self.label()?.name });
                }
                Kw::Immutable | Kw::Stable | Kw::Volatile => {
                    self.bump();
                    once(o.volatility.is_some())?;
                    o.volatility = kw.word().chars().next();
                }
                Kw::Strict => {
                    self.bump();
                    once(o.strict.is_some())?;
                    o.strict = Some(true);
                }
                Kw::Called => {
                    self.bump();
                    [Kw::On, Kw::Null, Kw::Input]
                        .into_iter()
                        .try_for_each(|k| self.expect_kw(k).map(|_| ()))?;
                    once(o.strict.is_some())?;
                    o.strict = Some(false);
                }
                Kw::Returns => {
                    self.bump();
                    [Kw::Null, Kw::On, Kw::Null, Kw::Input]
                        .into_iter()
                        .try_for_each(|k| self.expect_kw(k).map(|_| ()))?;
                    once(o.strict.is_some())?;
                    o.strict = Some(true);
                }
                Kw::External | Kw::Security => {
                    self.accept_kw(Kw::External);
                    self.expect_kw(Kw::Security)?;
                    once(o.security_definer.is_some())?;
                    let definer = self.accept_kw(Kw::Definer);
                    if !definer {
                        self.expect_kw(Kw::Invoker)?;
                    }
                    o.security_definer = Some(definer);
                }
                Kw::Leakproof | Kw::Not => {
                    let not = self.accept_kw(Kw::Not);
                    self.expect_kw(Kw::Leakproof)?;
                    once(o.leakproof.is_some())?;
                    o.leakproof = Some(!not);
                }
                Kw::Parallel => {
                    self.bump();
                    once(o.parallel.is_some())?;
                    let word = self.column_id()?.name;
                    if !matches!(word.as_str(), "safe" | "restricted" | "unsafe") {
                        let message = "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE";
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                    }
                    o.parallel = Some(word);
                }
                Kw::Cost | Kw::Rows => {
                    self.bump();
                    let negative = self.accept_op("-");
                    let value: f64 = self.number()?.parse().unwrap_or(f64::MAX);
                    let value = if negative { -value } else { value };
                    let place = if kw == Kw::Cost { &mut o.cost } else { &mut o.rows };
                    once(place.is_some())?;
                    if value <= 0.0 {
                        let message = format!("{} must be positive", kw.word().to_uppercase());
                        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
                    }
                    *place = Some(value);
                }
                Kw::Window if creating => {
                    self.bump();
                    o.unsupported = Some("CREATE FUNCTION .. WINDOW");
                }
                Kw::Transform if creating => {
                    self.bump();
                    self.comma_list(|p| {
                        p.expect_kw(Kw::For)?;
                        p.expect_kw(Kw::Type)?;
                        p.type_name()
                    })?;
                    o.unsupported = Some("CREATE FUNCTION .. TRANSFORM");
                }
                Kw::Support => {
                    self.bump();
                    self.object_name()?;
                    o.unsupported = Some("SUPPORT of a function");
                }
                Kw::Set | Kw::Reset => {
                    // To the end of the setting: what it means is not looked at.
                    self.bump();
                    o.unsupported = Some("SET of a function");
                    while !matches!(self.peek(), Tok::Semicolon | Tok::Eof) && !self.at_kw(Kw::As) && !self.at_kw(Kw::Language) {
                        self.bump();
                    }
                }
                Kw::Return if creating && o.body.is_none() => {
                    self.bump();
                    let start = self.token().start as usize;
                    self.expr()?;
                    o.body = Some(FunctionBody::Return(format!("SELECT {}", &self.text[start..self.previous_end()])));
                }
                Kw::Begin if creating && o.body.is_none() => {
                    self.bump();
                    self.expect_kw(Kw::Atomic)?;
                    let start = self.token().start as usize;
                    let mut end = start;
                    while !self.at_kw(Kw::End) {
                        self.nested(|p| p.statement())?;
                        end = self.previous_end();
                        self.expect(Tok::Semicolon)?;
                    }
                    self.bump();
                    o.body = Some(FunctionBody::Atomic(self.text[start..end.max(start)].to_owned()));
                }
                _ => break,
            }
        }
        Ok(o)
    }
}
