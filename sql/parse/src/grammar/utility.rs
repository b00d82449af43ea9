//! The statement at the cursor by its first word; transactions, sessions, cursors, COPY, EXPLAIN, VACUUM.

use super::*;

impl<'a> Parser<'a> {
    /// Any statement.
    pub(super) fn statement(&mut self) -> Result<Statement> {
        if self.peek() == Tok::LParen {
            return Ok(Statement::Query(Box::new(self.query()?)));
        }
        let Some(kw) = self.kw() else { return Err(self.unexpected()) };
        match kw {
            Kw::Select | Kw::Values => self.select_statement(None),
            Kw::Table => self.select_statement(None),
            Kw::With => {
                let with = self.with()?;
                match self.kw() {
                    Some(Kw::Insert) => Ok(Statement::Insert(Box::new(self.insert(with)?))),
                    Some(Kw::Update) => Ok(Statement::Update(Box::new(self.update(with)?))),
                    Some(Kw::Delete) => Ok(Statement::Delete(Box::new(self.delete(with)?))),
                    Some(Kw::Merge) => Ok(Statement::Merge(Box::new(self.merge(with)?))),
                    _ => self.select_statement(with),
                }
            }
            Kw::Insert => Ok(Statement::Insert(Box::new(self.insert(None)?))),
            Kw::Update => Ok(Statement::Update(Box::new(self.update(None)?))),
            Kw::Delete => Ok(Statement::Delete(Box::new(self.delete(None)?))),
            Kw::Merge => Ok(Statement::Merge(Box::new(self.merge(None)?))),
            Kw::Copy => self.copy(),
            Kw::Explain => self.explain(),
            Kw::Create => self.create(),
            Kw::Alter => self.alter(),
            Kw::Drop => self.drop(),
            Kw::Comment => self.comment(),
            Kw::Truncate => self.truncate(),
            Kw::Vacuum => self.vacuum(),
            Kw::Analyze | Kw::Analyse => self.analyze(),
            Kw::Checkpoint => {
                self.bump();
                Ok(Statement::Checkpoint)
            }
            Kw::Reindex => self.reindex(),
            Kw::Begin | Kw::Start | Kw::Commit | Kw::End | Kw::Rollback | Kw::Abort | Kw::Savepoint | Kw::Release => self.transaction(kw),
            Kw::Lock => self.lock(),
            Kw::Set => self.set(),
            Kw::Show => {
                self.bump();
                if self.accept_kw(Kw::All) {
                    return Ok(Statement::Show(Show::All));
                }
                Ok(Statement::Show(Show::Name(self.parameter_name()?)))
            }
            Kw::Reset => {
                self.bump();
                if self.accept_kw(Kw::All) {
                    return Ok(Statement::Reset(Reset::All));
                }
                Ok(Statement::Reset(Reset::Name(self.parameter_name()?)))
            }
            Kw::Discard => {
                self.bump();
                let what = match self.kw() {
                    Some(Kw::All) => Discard::All,
                    Some(Kw::Plans) => Discard::Plans,
                    Some(Kw::Sequences) => Discard::Sequences,
                    Some(Kw::Temp | Kw::Temporary) => Discard::Temp,
                    _ => return Err(self.unexpected()),
                };
                self.bump();
                Ok(Statement::Discard(what))
            }
            Kw::Prepare => self.prepare(),
            Kw::Execute => {
                self.bump();
                Ok(Statement::Execute(Box::new(self.execute()?)))
            }
            Kw::Deallocate => {
                self.bump();
                self.accept_kw(Kw::Prepare);
                if self.accept_kw(Kw::All) {
                    return Ok(Statement::Deallocate(None));
                }
                Ok(Statement::Deallocate(Some(self.column_id()?)))
            }
            Kw::Declare => self.declare(),
            Kw::Fetch | Kw::Move => self.fetch(),
            Kw::Close => {
                self.bump();
                if self.accept_kw(Kw::All) {
                    return Ok(Statement::Close(None));
                }
                Ok(Statement::Close(Some(self.column_id()?)))
            }
            Kw::Listen => {
                self.bump();
                Ok(Statement::Listen(self.column_id()?))
            }
            Kw::Notify => {
                self.bump();
                let channel = self.column_id()?;
                let payload = if self.accept(Tok::Comma) { Some(self.string()?) } else { None };
                Ok(Statement::Notify { channel, payload })
            }
            Kw::Unlisten => {
                self.bump();
                if self.accept_op("*") {
                    return Ok(Statement::Unlisten(None));
                }
                Ok(Statement::Unlisten(Some(self.column_id()?)))
            }
            Kw::Grant | Kw::Revoke => self.grant(),
            Kw::Refresh => {
                self.bump();
                self.expect_kw(Kw::Materialized)?;
                self.expect_kw(Kw::View)?;
                let concurrently = self.accept_kw(Kw::Concurrently);
                Ok(Statement::RefreshMaterializedView(Box::new(RefreshMaterializedView {
                    name: self.relation_name()?,
                    concurrently,
                    with_data: self.with_data()?,
                })))
            }
            Kw::Reassign => {
                self.bump();
                self.reassign_owned()
            }
            Kw::Call | Kw::Do | Kw::Cluster | Kw::Load | Kw::Security | Kw::Import => Ok(self.unsupported(kw.word().to_uppercase())),
            _ => Err(self.unexpected()),
        }
    }

    /// EXECUTE, after the word.
    pub(super) fn execute(&mut self) -> Result<Execute> {
        let name = self.column_id()?;
        let args = if self.peek() == Tok::LParen {
            self.paren_list(|p| p.expr())?
        } else {
            Vec::new()
        };
        Ok(Execute { name, args })
    }

    /// A query as a statement; SELECT INTO becomes CREATE TABLE AS.
    fn select_statement(&mut self, with: Option<With>) -> Result<Statement> {
        let mut query = self.nested(|p| p.query_after_with(with))?;
        if let SetExpr::Select(select) = &mut query.body
            && let Some((name, persistence)) = select.into.take()
        {
            return Ok(Statement::CreateTableAs(Box::new(CreateTableAs {
                name,
                persistence,
                if_not_exists: false,
                columns: Vec::new(),
                source: TableSource::Query {
                    query: Box::new(query),
                    text: String::new(),
                },
                with_data: true,
                materialized: false,
                options: Vec::new(),
                on_commit: None,
                tablespace: None,
            })));
        }
        Ok(Statement::Query(Box::new(query)))
    }

    fn transaction(&mut self, kw: Kw) -> Result<Statement> {
        self.bump();
        match kw {
            Kw::Begin | Kw::Start => {
                if kw == Kw::Start {
                    self.expect_kw(Kw::Transaction)?;
                } else if !self.accept_kw(Kw::Work) {
                    self.accept_kw(Kw::Transaction);
                }
                Ok(Statement::Begin {
                    modes: self.transaction_modes()?,
                    start: kw == Kw::Start,
                })
            }
            Kw::Savepoint => Ok(Statement::Savepoint(self.column_id()?)),
            Kw::Release => {
                self.accept_kw(Kw::Savepoint);
                Ok(Statement::Release(self.column_id()?))
            }
            Kw::Commit | Kw::Rollback if self.accept_kw(Kw::Prepared) => Ok(Statement::TwoPhase {
                step: if kw == Kw::Commit { TwoPhase::Commit } else { TwoPhase::RollBack },
                identifier: self.string()?,
            }),
            _ => {
                if !self.accept_kw(Kw::Work) {
                    self.accept_kw(Kw::Transaction);
                }
                if kw == Kw::Rollback && self.accept_kw(Kw::To) {
                    self.accept_kw(Kw::Savepoint);
                    return Ok(Statement::RollbackTo(self.column_id()?));
                }
                let mut chain = false;
                if self.accept_kw(Kw::And) {
                    chain = !self.accept_kw(Kw::No);
                    self.expect_kw(Kw::Chain)?;
                }
                Ok(if matches!(kw, Kw::Commit | Kw::End) {
                    Statement::Commit { chain }
                } else {
                    Statement::Rollback { chain }
                })
            }
        }
    }

    fn transaction_modes(&mut self) -> Result<TransactionModes> {
        let mut modes = TransactionModes::default();
        loop {
            let after_comma = self.peek() == Tok::Comma;
            if after_comma {
                self.bump();
            }
            match self.kw() {
                Some(Kw::Isolation) => {
                    self.bump();
                    self.expect_kw(Kw::Level)?;
                    modes.isolation = Some(self.isolation()?);
                }
                Some(Kw::Read) => {
                    self.bump();
                    let read_only = self.accept_kw(Kw::Only);
                    if !read_only {
                        self.expect_kw(Kw::Write)?;
                    }
                    modes.read_only = Some(read_only);
                }
                Some(Kw::Deferrable) => {
                    self.bump();
                    modes.deferrable = Some(true);
                }
                Some(Kw::Not) => {
                    self.bump();
                    self.expect_kw(Kw::Deferrable)?;
                    modes.deferrable = Some(false);
                }
                Some(Kw::As) if self.at_as_of() => self.as_of()?,
                _ if after_comma => return Err(self.unexpected()),
                _ => return Ok(modes),
            }
        }
    }

    fn isolation(&mut self) -> Result<Isolation> {
        if self.accept_kw(Kw::Serializable) {
            return Ok(Isolation::Serializable);
        }
        if self.accept_kw(Kw::Repeatable) {
            self.expect_kw(Kw::Read)?;
            return Ok(Isolation::RepeatableRead);
        }
        self.expect_kw(Kw::Read)?;
        if self.accept_kw(Kw::Committed) {
            return Ok(Isolation::ReadCommitted);
        }
        self.expect_kw(Kw::Uncommitted)?;
        Ok(Isolation::ReadUncommitted)
    }

    fn lock(&mut self) -> Result<Statement> {
        self.bump();
        self.accept_kw(Kw::Table);
        let tables = self.relation_list()?;
        let mut mode = TableLockMode::AccessExclusive;
        if self.accept_kw(Kw::In) {
            let modes: [(&[Kw], TableLockMode); 8] = [
                (&[Kw::Access, Kw::Share], TableLockMode::AccessShare),
                (&[Kw::Row, Kw::Share], TableLockMode::RowShare),
                (&[Kw::Row, Kw::Exclusive], TableLockMode::RowExclusive),
                (&[Kw::Share, Kw::Update, Kw::Exclusive], TableLockMode::ShareUpdateExclusive),
                (&[Kw::Share, Kw::Row, Kw::Exclusive], TableLockMode::ShareRowExclusive),
                (&[Kw::Share], TableLockMode::Share),
                (&[Kw::Exclusive], TableLockMode::Exclusive),
                (&[Kw::Access, Kw::Exclusive], TableLockMode::AccessExclusive),
            ];
            mode = modes
                .iter()
                .find(|(words, _)| self.accept_kws(words))
                .map(|(_, m)| *m)
                .ok_or_else(|| self.unexpected())?;
            self.expect_kw(Kw::Mode)?;
        }
        let nowait = self.accept_kw(Kw::Nowait);
        Ok(Statement::Lock(Box::new(LockTable { tables, mode, nowait })))
    }

    /// `var_name` and its special spellings in SHOW and RESET.
    pub(super) fn parameter_name(&mut self) -> Result<String> {
        if self.accept_kws(&[Kw::Time, Kw::Zone]) {
            return Ok("timezone".to_owned());
        }
        if self.accept_kws(&[Kw::Transaction, Kw::Isolation, Kw::Level]) {
            return Ok("transaction_isolation".to_owned());
        }
        if self.accept_kws(&[Kw::Session, Kw::Authorization]) {
            return Ok("session_authorization".to_owned());
        }
        Ok(self.variable_name()?.to_ascii_lowercase())
    }

    fn variable_name(&mut self) -> Result<String> {
        let mut name = self.column_id()?.name;
        while self.accept(Tok::Dot) {
            name.push('.');
            name.push_str(&self.column_id()?.name);
        }
        Ok(name)
    }

    pub(super) fn set(&mut self) -> Result<Statement> {
        self.bump();
        if self.accept_kw(Kw::Constraints) {
            let names = if self.accept_kw(Kw::All) {
                Vec::new()
            } else {
                self.comma_list(|p| p.relation_name())?
            };
            let deferred = self.accept_kw(Kw::Deferred);
            if !deferred {
                self.expect_kw(Kw::Immediate)?;
            }
            return Ok(Statement::SetConstraints { names, deferred });
        }
        let mut local = false;
        if self.at_kw(Kw::Local) && self.peek_at(1) != Tok::Op && !self.kw_at(1, Kw::To) {
            self.bump();
            local = true;
        } else if self.at_kw(Kw::Session) && self.kw_at(1, Kw::Characteristics) {
            self.at += 2;
            self.expect_kw(Kw::As)?;
            self.expect_kw(Kw::Transaction)?;
            return Ok(Statement::SetTransaction {
                modes: self.transaction_modes()?,
                session: true,
            });
        } else if self.at_kw(Kw::Session) && !self.kw_at(1, Kw::Authorization) && !self.kw_at(1, Kw::To) && self.peek_at(1) != Tok::Op {
            self.bump();
        }
        if self.at_kw(Kw::Transaction) {
            self.bump();
            if self.accept_kw(Kw::Snapshot) {
                return Ok(Statement::SetSnapshot(self.string()?));
            }
            return Ok(Statement::SetTransaction {
                modes: self.transaction_modes()?,
                session: false,
            });
        }
        let text = |t: String| SetValue::Values(vec![SetItem::Text(t)]);
        let (name, value) = if self.accept_kws(&[Kw::Time, Kw::Zone]) {
            ("timezone".to_owned(), self.zone_value()?)
        } else if self.accept_kws(&[Kw::Session, Kw::Authorization]) {
            let value = if self.accept_kw(Kw::Default) {
                SetValue::Default
            } else if self.at_string() {
                text(self.string()?)
            } else {
                text(self.column_id()?.name)
            };
            ("session_authorization".to_owned(), value)
        } else if self.at_kw(Kw::Names) && !self.kw_at(1, Kw::To) && self.peek_at(1) != Tok::Op {
            self.bump();
            let value = if self.at_string() {
                text(self.string()?)
            } else {
                self.accept_kw(Kw::Default);
                SetValue::Default
            };
            ("client_encoding".to_owned(), value)
        } else if self.at_kw(Kw::Role) && !self.kw_at(1, Kw::To) && self.peek_at(1) != Tok::Op {
            self.bump();
            let value = if self.at_string() { self.string()? } else { self.label()?.name };
            ("role".to_owned(), text(value))
        } else if self.at_kw(Kw::Schema) && matches!(self.peek_at(1), Tok::String | Tok::EscapeString) {
            self.bump();
            ("search_path".to_owned(), text(self.string()?))
        } else if self.at_kw(Kw::Xml) && self.kw_at(1, Kw::Option) {
            self.at += 2;
            ("xmloption".to_owned(), text(self.label()?.name))
        } else {
            let name = self.variable_name()?.to_ascii_lowercase();
            if self.accept_kws(&[Kw::From, Kw::Current]) {
                (name, SetValue::FromCurrent)
            } else {
                if !self.accept_kw(Kw::To) && !self.accept_op("=") {
                    return Err(self.unexpected());
                }
                let value = if self.accept_kw(Kw::Default) {
                    SetValue::Default
                } else {
                    SetValue::Values(self.comma_list(|p| p.set_item())?)
                };
                (name, value)
            }
        };
        Ok(Statement::Set(Box::new(Set { name, value, local })))
    }

    fn set_item(&mut self) -> Result<SetItem> {
        if self.at_string() {
            return Ok(SetItem::Text(self.string()?));
        }
        match self.peek() {
            Tok::Number => Ok(SetItem::Number(self.number()?.to_owned())),
            Tok::Op if self.at_op("-") || self.at_op("+") => {
                let sign = if self.at_op("-") { "-" } else { "" };
                self.bump();
                Ok(SetItem::Number(format!("{sign}{}", self.number()?)))
            }
            // TRUE, FALSE, ON and non-reserved words.
            Tok::Word(Some(Kw::True | Kw::False | Kw::On)) => Ok(SetItem::Text(self.take_ident()?.name)),
            _ if self.names(0, |k| k.category() != Category::Reserved) => Ok(SetItem::Text(self.take_ident()?.name)),
            _ => Err(self.unexpected()),
        }
    }

    /// The value of SET TIME ZONE.
    fn zone_value(&mut self) -> Result<SetValue> {
        if self.accept_kw(Kw::Default) || self.accept_kw(Kw::Local) {
            return Ok(SetValue::Default);
        }
        if self.at_kw(Kw::Interval) {
            self.bump();
            let text = self.string()?;
            while matches!(self.kw(), Some(Kw::Hour | Kw::To | Kw::Minute)) {
                self.bump();
            }
            return Ok(SetValue::Values(vec![SetItem::Text(format!("interval {text}"))]));
        }
        Ok(SetValue::Values(vec![self.set_item()?]))
    }

    /// A statement that PREPARE, EXPLAIN and COPY may contain.
    fn inner_statement(&mut self) -> Result<Statement> {
        match self.kw() {
            _ if self.peek() == Tok::LParen => self.nested(|p| p.statement()),
            Some(Kw::Select | Kw::Values | Kw::Table | Kw::With | Kw::Insert | Kw::Update | Kw::Delete | Kw::Merge) => {
                self.nested(|p| p.statement())
            }
            _ => Err(self.unexpected()),
        }
    }

    fn prepare(&mut self) -> Result<Statement> {
        self.bump();
        if self.at_kw(Kw::Transaction) && self.peek_at(1) == Tok::String {
            self.bump();
            return Ok(Statement::TwoPhase {
                step: TwoPhase::Prepare,
                identifier: self.string()?,
            });
        }
        let name = self.column_id()?;
        let types = if self.peek() == Tok::LParen {
            self.paren_list(|p| p.type_name())?
        } else {
            Vec::new()
        };
        self.expect_kw(Kw::As)?;
        let start = self.token().start as usize;
        let statement = self.inner_statement()?;
        let span = start..self.previous_end();
        Ok(Statement::Prepare(Box::new(Prepare {
            name,
            types,
            statement,
            span,
        })))
    }

    fn declare(&mut self) -> Result<Statement> {
        self.bump();
        let name = self.column_id()?;
        let (mut binary, mut scroll, mut insensitive) = (false, None, false);
        loop {
            if self.accept_kws(&[Kw::No, Kw::Scroll]) {
                scroll = Some(false);
            } else if self.accept_kw(Kw::Scroll) {
                scroll = Some(true);
            } else if self.accept_kw(Kw::Binary) {
                binary = true;
            } else if self.accept_kw(Kw::Insensitive) {
                insensitive = true;
            } else if !self.accept_kw(Kw::Asensitive) {
                break;
            }
        }
        self.expect_kw(Kw::Cursor)?;
        let mut hold = false;
        if self.at_kw(Kw::With) || self.at_kw(Kw::Without) {
            hold = self.at_kw(Kw::With);
            self.bump();
            self.expect_kw(Kw::Hold)?;
        }
        self.expect_kw(Kw::For)?;
        let start = self.token().start as usize;
        let query = Box::new(self.query()?);
        let span = start..self.previous_end();
        Ok(Statement::Declare(Box::new(Declare {
            name,
            binary,
            scroll,
            hold,
            insensitive,
            query,
            span,
        })))
    }

    fn fetch(&mut self) -> Result<Statement> {
        let is_move = self.at_kw(Kw::Move);
        self.bump();
        use FetchDirection as D;
        let count_follows = |p: &Self| p.peek() == Tok::Number || matches!(p.op(), Some("-" | "+"));
        // A direction word may also be the cursor's name, when nothing follows.
        let last = matches!(self.peek_at(1), Tok::Semicolon | Tok::Eof);
        let direction = match self.kw() {
            _ if count_follows(self) => D::Forward(Some(self.signed_integer()?)),
            _ if last => D::Forward(Some(1)),
            Some(
                kw @ (Kw::Next | Kw::Prior | Kw::First | Kw::Last | Kw::Absolute | Kw::Relative | Kw::All | Kw::Forward | Kw::Backward),
            ) => {
                self.bump();
                match kw {
                    Kw::Next => D::Forward(Some(1)),
                    Kw::Prior => D::Backward(Some(1)),
                    Kw::First => D::Absolute(1),
                    Kw::Last => D::Absolute(-1),
                    Kw::Absolute => D::Absolute(self.signed_integer()?),
                    Kw::Relative => D::Relative(self.signed_integer()?),
                    Kw::All => D::Forward(None),
                    _ => {
                        let count = if self.accept_kw(Kw::All) {
                            None
                        } else if count_follows(self) {
                            Some(self.signed_integer()?)
                        } else {
                            Some(1)
                        };
                        if kw == Kw::Forward { D::Forward(count) } else { D::Backward(count) }
                    }
                }
            }
            _ => D::Forward(Some(1)),
        };
        if !self.accept_kw(Kw::From) {
            self.accept_kw(Kw::In);
        }
        let cursor = self.column_id()?;
        Ok(Statement::Fetch(Fetch {
            cursor,
            direction,
            is_move,
        }))
    }

    fn explain(&mut self) -> Result<Statement> {
        self.bump();
        let mut options = ExplainOptions::default();
        if self.peek() == Tok::LParen && !self.opens_query() {
            for option in self.generic_options()? {
                let on = option_is_on(&option)?;
                match option.name.as_str() {
                    "analyze" | "analyse" => options.analyze = on,
                    "verbose" => options.verbose = on,
                    "costs" => options.costs = Some(on),
                    "settings" => options.settings = on,
                    "buffers" => options.buffers = on,
                    "wal" => options.wal = on,
                    "timing" => options.timing = Some(on),
                    "summary" => options.summary = Some(on),
                    "format" => {
                        options.format = match option.value.as_deref() {
                            Some("text") => ExplainFormat::Text,
                            Some("xml") => ExplainFormat::Xml,
                            Some("json") => ExplainFormat::Json,
                            Some("yaml") => ExplainFormat::Yaml,
                            other => {
                                let message = format!("unrecognized value for EXPLAIN option \"format\": \"{}\"", other.unwrap_or(""));
                                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(Some(option.pos)));
                            }
                        }
                    }
                    other => return Err(self.syntax(&format!("unrecognized EXPLAIN option \"{other}\""), option.pos)),
                }
            }
        } else {
            options.analyze = self.accept_kw(Kw::Analyze) || self.accept_kw(Kw::Analyse);
            options.verbose = self.accept_kw(Kw::Verbose);
        }
        let statement = match self.kw() {
            Some(Kw::Create | Kw::Declare | Kw::Execute | Kw::Refresh) => self.nested(|p| p.statement())?,
            _ => self.inner_statement()?,
        };
        Ok(Statement::Explain(Box::new(Explain { options, statement })))
    }

    /// `( name [value], .. )` of EXPLAIN, VACUUM, ANALYZE.
    fn generic_options(&mut self) -> Result<Vec<StatementOption>> {
        self.paren_list(|p| {
            let name = p.label()?;
            let value = if matches!(p.peek(), Tok::Comma | Tok::RParen) {
                None
            } else {
                Some(p.option_value()?.to_ascii_lowercase())
            };
            Ok(StatementOption {
                name: name.name,
                value,
                pos: name.pos,
            })
        })
    }

    fn vacuum(&mut self) -> Result<Statement> {
        self.bump();
        let mut vacuum = Vacuum::default();
        if self.peek() == Tok::LParen {
            vacuum.options = self.generic_options()?;
        } else {
            for kw in [Kw::Full, Kw::Freeze, Kw::Verbose, Kw::Analyze, Kw::Analyse] {
                let pos = self.pos();
                if self.accept_kw(kw) {
                    let name = if kw == Kw::Analyse { "analyze" } else { kw.word() };
                    vacuum.options.push(StatementOption {
                        name: name.to_owned(),
                        value: None,
                        pos,
                    });
                }
            }
        }
        vacuum.tables = self.vacuum_tables()?;
        Ok(Statement::Vacuum(Box::new(vacuum)))
    }

    fn analyze(&mut self) -> Result<Statement> {
        self.bump();
        let mut analyze = Vacuum::default();
        let pos = self.pos();
        if self.peek() == Tok::LParen {
            analyze.options = self.generic_options()?;
        } else if self.accept_kw(Kw::Verbose) {
            analyze.options.push(StatementOption {
                name: "verbose".to_owned(),
                value: None,
                pos,
            });
        }
        analyze.tables = self.vacuum_tables()?;
        Ok(Statement::Analyze(Box::new(analyze)))
    }

    fn vacuum_tables(&mut self) -> Result<Vec<(ObjectName, Vec<Ident>)>> {
        if matches!(self.peek(), Tok::Semicolon | Tok::Eof) {
            return Ok(Vec::new());
        }
        self.comma_list(|p| {
            let name = p.relation_name()?;
            let columns = if p.peek() == Tok::LParen {
                p.paren_list(|p| p.column_id())?
            } else {
                Vec::new()
            };
            Ok((name, columns))
        })
    }

    fn reindex(&mut self) -> Result<Statement> {
        self.bump();
        let mut concurrently = false;
        if self.peek() == Tok::LParen {
            for option in self.generic_options()? {
                match option.name.as_str() {
                    "concurrently" => concurrently = !matches!(option.value.as_deref(), Some("false" | "off" | "0")),
                    "verbose" | "tablespace" => {}
                    other => {
                        let message = format!("unrecognized REINDEX option \"{other}\"");
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(Some(option.pos)));
                    }
                }
            }
        }
        let scope = match self.kw() {
            Some(Kw::Table) => ReindexScope::Table,
            Some(Kw::Index) => ReindexScope::Index,
            Some(Kw::Schema) => ReindexScope::Schema,
            Some(Kw::System | Kw::Database) => ReindexScope::Database,
            _ => return Err(self.unexpected()),
        };
        self.bump();
        concurrently |= self.accept_kw(Kw::Concurrently);
        if self.peek() == Tok::Eof || self.peek() == Tok::Semicolon {
            return Err(self.unexpected());
        }
        let name = self.relation_name()?;
        Ok(Statement::Reindex(Reindex { scope, name, concurrently }))
    }

    fn copy(&mut self) -> Result<Statement> {
        self.bump();
        let mut options = CopyOptions::default();
        if self.accept_kw(Kw::Binary) {
            options.format = CopyFormat::Binary;
        }
        let source = if self.peek() == Tok::LParen {
            CopySource::Query(Box::new(self.parenthesized(|p| p.inner_statement())?))
        } else {
            let name = self.relation_name()?;
            let columns = if self.peek() == Tok::LParen {
                self.paren_list(|p| p.column_id())?
            } else {
                Vec::new()
            };
            CopySource::Table { name, columns }
        };
        let is_query = matches!(source, CopySource::Query(_));
        let from = !is_query && self.accept_kw(Kw::From);
        if !from {
            self.expect_kw(Kw::To)?;
        }
        let program = self.accept_kw(Kw::Program);
        let direction = if self.at_string() {
            let target = self.string()?;
            match (from, program) {
                (true, true) => CopyDirection::FromProgram(target),
                (true, false) => CopyDirection::FromFile(target),
                (false, true) => CopyDirection::ToProgram(target),
                (false, false) => CopyDirection::ToFile(target),
            }
        } else if !program && matches!(self.kw(), Some(Kw::Stdin | Kw::Stdout)) {
            // Either word stands for the client, in both directions.
            self.bump();
            if from { CopyDirection::FromStdin } else { CopyDirection::ToStdout }
        } else {
            return Err(self.unexpected());
        };
        if self.accept_kw(Kw::Using) {
            self.expect_kw(Kw::Delimiters)?;
            options.delimiter = Some(self.string()?);
        }
        let with = self.accept_kw(Kw::With);
        if self.peek() == Tok::LParen {
            self.copy_option_list(&mut options)?;
        } else {
            self.copy_old_options(&mut options, with)?;
        }
        let filter_pos = self.pos();
        let filter = if self.accept_kw(Kw::Where) { Some(self.expr()?) } else { None };
        if filter.is_some() && !from {
            return Err(self.syntax("WHERE clause not allowed with COPY TO", filter_pos));
        }
        Ok(Statement::Copy(Box::new(Copy {
            source,
            direction,
            options,
            filter,
        })))
    }

    fn copy_option_list(&mut self, options: &mut CopyOptions) -> Result<()> {
        let mut seen: Vec<String> = Vec::new();
        self.expect(Tok::LParen)?;
        loop {
            let name = self.label()?;
            if seen.contains(&name.name) {
                return Err(self.syntax("conflicting or redundant options", name.pos));
            }
            let word_follows = !matches!(self.peek(), Tok::Comma | Tok::RParen | Tok::LParen) && !self.at_op("*");
            match name.name.as_str() {
                "force_quote" if self.accept_op("*") => options.force_quote = Some(Vec::new()),
                "force_quote" => options.force_quote = Some(self.paren_list(|p| p.column_id())?),
                "force_not_null" => options.force_not_null = Some(self.paren_list(|p| p.column_id())?),
                "force_null" => options.force_null = Some(self.paren_list(|p| p.column_id())?),
                _ => {
                    let value = if word_follows { Some(self.option_value()?) } else { None };
                    copy_option(
                        options,
                        &StatementOption {
                            name: name.name.clone(),
                            value,
                            pos: name.pos,
                        },
                    )?;
                }
            }
            seen.push(name.name);
            if !self.accept(Tok::Comma) {
                break;
            }
        }
        self.expect(Tok::RParen)?;
        Ok(())
    }

    /// The syntax before 9.0: words in a row.
    fn copy_old_options(&mut self, options: &mut CopyOptions, with: bool) -> Result<()> {
        let mut any = false;
        while let Some(kw) = self.kw() {
            match kw {
                Kw::Binary => {
                    self.bump();
                    options.format = CopyFormat::Binary;
                }
                Kw::Csv => {
                    self.bump();
                    options.format = CopyFormat::Csv;
                }
                Kw::Freeze => {
                    self.bump();
                    options.freeze = true;
                }
                Kw::Header => {
                    self.bump();
                    options.header = CopyHeader::On;
                }
                Kw::Delimiter | Kw::Null | Kw::Quote | Kw::Escape | Kw::Encoding => {
                    self.bump();
                    if kw != Kw::Encoding {
                        self.accept_kw(Kw::As);
                    }
                    let value = Some(self.string()?);
                    match kw {
                        Kw::Delimiter => options.delimiter = value,
                        Kw::Null => options.null = value,
                        Kw::Quote => options.quote = value,
                        Kw::Escape => options.escape = value,
                        _ => options.encoding = value,
                    }
                }
                Kw::Force => {
                    self.bump();
                    if self.accept_kw(Kw::Quote) {
                        options.force_quote = Some(if self.accept_op("*") {
                            Vec::new()
                        } else {
                            self.comma_list(|p| p.column_id())?
                        });
                    } else if self.accept_kws(&[Kw::Not, Kw::Null]) {
                        options.force_not_null = Some(self.comma_list(|p| p.column_id())?);
                    } else {
                        self.expect_kw(Kw::Null)?;
                        options.force_null = Some(self.comma_list(|p| p.column_id())?);
                    }
                }
                _ => break,
            }
            any = true;
        }
        let ends = matches!(self.peek(), Tok::Semicolon | Tok::Eof) || self.at_kw(Kw::Where);
        if with && !any && !ends {
            return Err(self.unexpected());
        }
        Ok(())
    }
}

/// Reads a boolean option as `defGetBoolean` does.
fn option_is_on(option: &StatementOption) -> Result<bool> {
    if option.name == "format" {
        return Ok(false);
    }
    match option.value.as_deref() {
        None => Ok(true),
        Some(v) => match v.to_ascii_lowercase().as_str() {
            "true" | "on" | "1" => Ok(true),
            "false" | "off" | "0" => Ok(false),
            _ => Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("{} requires a Boolean value", option.name),
            )),
        },
    }
}

fn copy_option(options: &mut CopyOptions, option: &StatementOption) -> Result<()> {
    let required = || {
        option
            .value
            .clone()
            .ok_or_else(|| SqlError::new(SqlState::SYNTAX_ERROR, format!("{} requires a parameter", option.name)))
    };
    match option.name.as_str() {
        "format" => {
            let value = required()?;
            options.format = match value.as_str() {
                "text" => CopyFormat::Text,
                "csv" => CopyFormat::Csv,
                "binary" => CopyFormat::Binary,
                _ => {
                    let message = format!("COPY format \"{value}\" not recognized");
                    return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(Some(option.pos)));
                }
            };
        }
        "freeze" => options.freeze = option_is_on(option)?,
        "delimiter" => options.delimiter = Some(required()?),
        "null" => options.null = Some(required()?),
        "header" => {
            options.header = if option.value.as_deref().is_some_and(|v| v.eq_ignore_ascii_case("match")) {
                CopyHeader::Match
            } else if option_is_on(option)
                .map_err(|_| SqlError::new(SqlState::SYNTAX_ERROR, "header requires a Boolean value or \"match\""))?
            {
                CopyHeader::On
            } else {
                CopyHeader::Off
            };
        }
        "quote" => options.quote = Some(required()?),
        "escape" => options.escape = Some(required()?),
        "encoding" => options.encoding = Some(required()?),
        other => {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("option \"{other}\" not recognized")).at(Some(option.pos)));
        }
    }
    Ok(())
}
