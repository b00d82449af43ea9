//! CREATE, ALTER and DROP of indexes, schemas, sequences, views and roles; COMMENT and TRUNCATE.

use super::*;

impl<'a> Parser<'a> {
    /// CREATE at the cursor.
    pub(super) fn create(&mut self) -> Result<Statement> {
        self.expect_kw(Kw::Create)?;
        let or_replace = self.accept_kws(&[Kw::Or, Kw::Replace]);
        let mut persistence = Persistence::Permanent;
        let mut local = false;
        while let Some(kw @ (Kw::Temp | Kw::Temporary | Kw::Unlogged | Kw::Local | Kw::Global)) = self.kw() {
            self.bump();
            match kw {
                Kw::Unlogged => persistence = Persistence::Unlogged,
                Kw::Local | Kw::Global => local = true,
                _ => persistence = Persistence::Temporary,
            }
        }
        if local && persistence != Persistence::Temporary {
            return Err(self.unexpected());
        }
        let kw = self.kw().ok_or_else(|| self.unexpected())?;
        if or_replace
            && !matches!(
                kw,
                Kw::View
                    | Kw::Function
                    | Kw::Procedure
                    | Kw::Aggregate
                    | Kw::Rule
                    | Kw::Trigger
                    | Kw::Language
                    | Kw::Recursive
                    | Kw::Transform
                    | Kw::Trusted
                    | Kw::Procedural
                    | Kw::Constraint
            )
        {
            return Err(self.unexpected());
        }
        match kw {
            Kw::Table => {
                self.bump();
                self.create_table(persistence)
            }
            Kw::View => {
                self.bump();
                self.create_view(or_replace, persistence == Persistence::Temporary, false)
            }
            Kw::Recursive => {
                self.bump();
                self.expect_kw(Kw::View)?;
                self.create_view(or_replace, persistence == Persistence::Temporary, true)
            }
            Kw::Materialized => {
                self.bump();
                self.expect_kw(Kw::View)?;
                self.create_materialized_view()
            }
            Kw::Sequence => {
                self.bump();
                let if_not_exists = self.if_not_exists()?;
                let name = self.relation_name()?;
                let options = self.sequence_options()?;
                Ok(Statement::CreateSequence(Box::new(CreateSequence {
                    name,
                    persistence,
                    if_not_exists,
                    options,
                })))
            }
            Kw::Function => {
                self.bump();
                self.create_function(RoutineKind::Function, or_replace)
            }
            Kw::Procedure => {
                self.bump();
                self.create_function(RoutineKind::Procedure, or_replace)
            }
            Kw::Unique | Kw::Index => self.create_index(),
            Kw::Type => {
                self.bump();
                self.create_type()
            }
            Kw::Domain => {
                self.bump();
                self.create_domain()
            }
            Kw::Schema => {
                self.bump();
                self.create_schema()
            }
            Kw::Role | Kw::User | Kw::Group => {
                self.bump();
                if kw == Kw::User && self.at_kw(Kw::Mapping) {
                    return Ok(self.unsupported("CREATE USER MAPPING"));
                }
                let role = self.role_spec()?;
                self.accept_kw(Kw::With);
                let options = self.role_options()?;
                Ok(Statement::CreateRole(Box::new(RoleStatement {
                    role,
                    user: kw == Kw::User,
                    options,
                })))
            }
            _ => {
                let mut words = "CREATE".to_owned();
                for ahead in 0..2 {
                    if let Tok::Word(Some(kw)) = self.peek_at(ahead) {
                        let more = matches!(
                            kw,
                            Kw::Foreign | Kw::Event | Kw::Text | Kw::Access | Kw::Default | Kw::Constraint | Kw::Operator
                        );
                        if ahead == 0
                            || (ahead == 1
                                && matches!(
                                    kw,
                                    Kw::Table | Kw::Trigger | Kw::Search | Kw::Method | Kw::Data | Kw::Conversion | Kw::Class | Kw::Family
                                ))
                        {
                            words = format!("{words} {}", kw.word().to_uppercase());
                        }
                        if !more {
                            break;
                        }
                    }
                }
                let known = matches!(
                    kw,
                    Kw::Function
                        | Kw::Procedure
                        | Kw::Aggregate
                        | Kw::Rule
                        | Kw::Trigger
                        | Kw::Language
                        | Kw::Transform
                        | Kw::Trusted
                        | Kw::Procedural
                        | Kw::Constraint
                        | Kw::Extension
                        | Kw::Database
                        | Kw::Tablespace
                        | Kw::Cast
                        | Kw::Collation
                        | Kw::Conversion
                        | Kw::Default
                        | Kw::Event
                        | Kw::Foreign
                        | Kw::Operator
                        | Kw::Policy
                        | Kw::Publication
                        | Kw::Subscription
                        | Kw::Server
                        | Kw::Statistics
                        | Kw::Text
                        | Kw::Access
                );
                if known {
                    Ok(self.unsupported(words))
                } else {
                    Err(self.unexpected())
                }
            }
        }
    }

    fn create_view(&mut self, or_replace: bool, temporary: bool, recursive: bool) -> Result<Statement> {
        let name = self.relation_name()?;
        let columns = if recursive || self.peek() == Tok::LParen {
            self.paren_list(|p| p.column_id())?
        } else {
            Vec::new()
        };
        let mut options = if self.accept_kw(Kw::With) {
            self.statement_options()?
        } else {
            Vec::new()
        };
        self.expect_kw(Kw::As)?;
        let start = self.token().start as usize;
        let mut query = Box::new(self.query()?);
        let mut text = self.text[start..self.previous_end()].to_owned();
        let pos = self.pos();
        if self.accept_kw(Kw::With) {
            let local = self.accept_kw(Kw::Local);
            if !local {
                self.accept_kw(Kw::Cascaded);
            }
            self.expect_kw(Kw::Check)?;
            self.expect_kw(Kw::Option)?;
            if recursive {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "WITH CHECK OPTION not supported on recursive views",
                )
                .at(Some(pos)));
            }
            options.push(StatementOption {
                name: "check_option".to_owned(),
                value: Some(if local { "local" } else { "cascaded" }.to_owned()),
                pos,
            });
        }
        if recursive {
            let own = crate::quote_identifier(name.name()).into_owned();
            let list: Vec<_> = columns.iter().map(|c| crate::quote_identifier(&c.name).into_owned()).collect();
            let list = list.join(", ");
            text = format!("WITH RECURSIVE {own} ({list}) AS ({text}) SELECT {list} FROM {own}");
            if let Some(Statement::Query(whole)) = crate::parse(&text)?.pop().map(|p| p.statement) {
                query = whole;
            }
        }
        Ok(Statement::CreateView(Box::new(CreateView {
            name,
            or_replace,
            temporary,
            columns,
            options,
            query,
            text,
        })))
    }

    fn create_materialized_view(&mut self) -> Result<Statement> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.relation_name()?;
        let columns = if self.peek() == Tok::LParen {
            self.paren_list(|p| p.column_id())?
        } else {
            Vec::new()
        };
        if self.accept_kw(Kw::Using) {
            self.column_id()?;
        }
        let options = if self.accept_kw(Kw::With) {
            self.statement_options()?
        } else {
            Vec::new()
        };
        let tablespace = if self.accept_kw(Kw::Tablespace) {
            Some(self.column_id()?)
        } else {
            None
        };
        self.expect_kw(Kw::As)?;
        let source = self.table_source()?;
        let with_data = self.with_data()?;
        Ok(Statement::CreateTableAs(Box::new(CreateTableAs {
            name,
            persistence: Persistence::Permanent,
            if_not_exists,
            columns,
            source,
            with_data,
            materialized: true,
            options,
            on_commit: None,
            tablespace,
        })))
    }

    fn create_index(&mut self) -> Result<Statement> {
        let unique = self.accept_kw(Kw::Unique);
        self.expect_kw(Kw::Index)?;
        let concurrently = self.accept_kw(Kw::Concurrently);
        let if_not_exists = self.if_not_exists()?;
        let name = if self.at_kw(Kw::On) { None } else { Some(self.column_id()?) };
        if if_not_exists && name.is_none() {
            return Err(self.unexpected());
        }
        self.expect_kw(Kw::On)?;
        let only = self.accept_kw(Kw::Only);
        let table = self.relation_name()?;
        let method = if self.accept_kw(Kw::Using) { Some(self.column_id()?) } else { None };
        let keys = self.paren_list(|p| p.index_element())?;
        let include = if self.accept_kw(Kw::Include) {
            self.paren_list(|p| p.index_element())?
        } else {
            Vec::new()
        };
        let nulls_not_distinct = self.accept_kws(&[Kw::Nulls, Kw::Not, Kw::Distinct]);
        if !nulls_not_distinct {
            self.accept_kws(&[Kw::Nulls, Kw::Distinct]);
        }
        let options = if self.accept_kw(Kw::With) {
            self.statement_options()?
        } else {
            Vec::new()
        };
        let tablespace = if self.accept_kw(Kw::Tablespace) {
            Some(self.column_id()?)
        } else {
            None
        };
        let filter = if self.accept_kw(Kw::Where) { Some(self.expr()?) } else { None };
        Ok(Statement::CreateIndex(Box::new(CreateIndex {
            name,
            unique,
            concurrently,
            if_not_exists,
            table,
            only,
            method,
            keys,
            include,
            nulls_not_distinct,
            options,
            tablespace,
            filter,
        })))
    }

    /// A column, a function call, or an expression in parentheses.
    pub(super) fn index_expression(&mut self) -> Result<Expr> {
        if self.peek() == Tok::LParen {
            return self.parenthesized(|p| p.expr());
        }
        let column = self.at_column_id() && !matches!(self.peek_at(1), Tok::LParen | Tok::Dot);
        if column {
            let name = self.column_id()?;
            let pos = name.pos;
            return Ok(Expr::new(ExprKind::Column(vec![name]), pos));
        }
        match self.kw() {
            Some(kw) if !matches!(kw.category(), Category::Unreserved | Category::FunctionName) => self.keyword_atom(kw),
            _ => self.name_atom(),
        }
    }

    pub(super) fn index_element(&mut self) -> Result<IndexElement> {
        let expr = self.index_expression()?;
        let collation = if self.accept_kw(Kw::Collate) {
            Some(self.object_name()?)
        } else {
            None
        };
        let opclass = if self.at_column_id() && !self.at_kw(Kw::Nulls) {
            let name = self.object_name()?;
            if self.peek() == Tok::LParen {
                self.statement_options()?;
            }
            Some(name)
        } else {
            None
        };
        let descending = self.accept_kw(Kw::Desc);
        if !descending {
            self.accept_kw(Kw::Asc);
        }
        let nulls_first = if self.accept_kws(&[Kw::Nulls, Kw::First]) {
            Some(true)
        } else if self.accept_kws(&[Kw::Nulls, Kw::Last]) {
            Some(false)
        } else {
            None
        };
        Ok(IndexElement {
            expr,
            collation,
            opclass,
            descending,
            nulls_first,
        })
    }

    fn create_schema(&mut self) -> Result<Statement> {
        let if_not_exists = self.if_not_exists()?;
        let name = if self.at_kw(Kw::Authorization) {
            None
        } else {
            Some(self.column_id()?)
        };
        let authorization = if self.accept_kw(Kw::Authorization) {
            Some(self.role_spec()?)
        } else {
            None
        };
        let mut elements = Vec::new();
        while matches!(self.kw(), Some(Kw::Create | Kw::Grant)) {
            let pos = self.pos();
            if if_not_exists {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "CREATE SCHEMA IF NOT EXISTS cannot include schema elements",
                )
                .at(Some(pos)));
            }
            let grant = self.at_kw(Kw::Grant);
            elements.push(self.nested(|p| if grant { p.grant() } else { p.create() })?);
        }
        Ok(Statement::CreateSchema(Box::new(CreateSchema {
            name,
            if_not_exists,
            authorization,
            elements,
        })))
    }

    /// `SeqOptList`
    pub(super) fn sequence_options(&mut self) -> Result<Vec<SequenceOption>> {
        let mut out = Vec::new();
        while let Some(option) = self.sequence_option()? {
            out.push(option);
        }
        Ok(out)
    }

    pub(super) fn sequence_option(&mut self) -> Result<Option<SequenceOption>> {
        use SequenceOptionKind as K;
        let pos = self.pos();
        let Some(kw) = self.kw() else { return Ok(None) };
        let kind = match kw {
            Kw::As => {
                self.bump();
                K::As(self.type_name()?)
            }
            Kw::Cache => {
                self.bump();
                K::Cache(self.signed_integer()?)
            }
            Kw::Cycle => {
                self.bump();
                K::Cycle(true)
            }
            Kw::No => {
                self.bump();
                match self.kw() {
                    Some(Kw::Cycle) => {
                        self.bump();
                        K::Cycle(false)
                    }
                    Some(Kw::Maxvalue) => {
                        self.bump();
                        K::MaxValue(None)
                    }
                    Some(Kw::Minvalue) => {
                        self.bump();
                        K::MinValue(None)
                    }
                    _ => return Err(self.unexpected()),
                }
            }
            Kw::Increment => {
                self.bump();
                self.accept_kw(Kw::By);
                K::Increment(self.signed_integer()?)
            }
            Kw::Maxvalue => {
                self.bump();
                K::MaxValue(Some(self.signed_integer()?))
            }
            Kw::Minvalue => {
                self.bump();
                K::MinValue(Some(self.signed_integer()?))
            }
            Kw::Owned => {
                self.bump();
                self.expect_kw(Kw::By)?;
                if self.accept_kw(Kw::None) {
                    K::OwnedBy(None)
                } else {
                    K::OwnedBy(Some(self.object_name()?))
                }
            }
            Kw::Sequence => {
                self.bump();
                self.expect_kw(Kw::Name)?;
                K::Name(self.object_name()?)
            }
            Kw::Start => {
                self.bump();
                self.accept_kw(Kw::With);
                K::Start(self.signed_integer()?)
            }
            Kw::Restart => {
                self.bump();
                let with = self.accept_kw(Kw::With);
                if with || self.peek() == Tok::Number || matches!(self.op(), Some("-" | "+")) {
                    K::Restart(Some(self.signed_integer()?))
                } else {
                    K::Restart(None)
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(SequenceOption { kind, pos }))
    }

    /// `RoleSpec`
    pub(super) fn role_spec(&mut self) -> Result<RoleSpec> {
        match self.kw() {
            Some(Kw::CurrentUser | Kw::CurrentRole) => {
                self.bump();
                Ok(RoleSpec::CurrentUser)
            }
            Some(Kw::SessionUser) => {
                self.bump();
                Ok(RoleSpec::SessionUser)
            }
            _ => {
                let quoted = self.peek() == Tok::QuotedIdent;
                if !self.names(0, |k| k.category() != Category::Reserved) {
                    return Err(self.unexpected());
                }
                let name = self.take_ident()?;
                Ok(if name.name == "public" && !quoted {
                    RoleSpec::Public
                } else {
                    RoleSpec::Name(name)
                })
            }
        }
    }

    fn role_options(&mut self) -> Result<Vec<RoleOption>> {
        let mut out = Vec::new();
        loop {
            let option = match self.kw() {
                Some(Kw::Password) => {
                    self.bump();
                    RoleOption::Password(if self.accept_kw(Kw::Null) { None } else { Some(self.string()?) })
                }
                Some(Kw::Encrypted | Kw::Unencrypted) => {
                    let pos = self.pos();
                    let plain = self.at_kw(Kw::Unencrypted);
                    self.bump();
                    self.expect_kw(Kw::Password)?;
                    if plain {
                        return Err(
                            SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "UNENCRYPTED PASSWORD is no longer supported")
                                .hint("Remove UNENCRYPTED to store the password in encrypted form instead.")
                                .at(Some(pos)),
                        );
                    }
                    RoleOption::Password(Some(self.string()?))
                }
                Some(Kw::Inherit) => {
                    self.bump();
                    RoleOption::Inherit(true)
                }
                Some(Kw::Connection) => {
                    self.bump();
                    self.expect_kw(Kw::Limit)?;
                    RoleOption::ConnectionLimit(self.signed_integer()?)
                }
                Some(Kw::Valid) => {
                    self.bump();
                    self.expect_kw(Kw::Until)?;
                    RoleOption::ValidUntil(self.string()?)
                }
                Some(Kw::Sysid) => {
                    self.bump();
                    self.signed_integer()?;
                    continue;
                }
                Some(Kw::In) => {
                    self.bump();
                    if !self.accept_kw(Kw::Role) {
                        self.expect_kw(Kw::Group)?;
                    }
                    RoleOption::InRole(self.comma_list(|p| p.role_spec())?)
                }
                Some(kw @ (Kw::Role | Kw::Admin | Kw::User)) => {
                    self.bump();
                    RoleOption::Members(self.comma_list(|p| p.role_spec())?, kw == Kw::Admin)
                }
                _ if self.peek() == Tok::Word(None) => {
                    let word = self.text_of(self.token()).to_ascii_lowercase();
                    let option = match word.as_str() {
                        "superuser" => RoleOption::Superuser(true),
                        "nosuperuser" => RoleOption::Superuser(false),
                        "login" => RoleOption::Login(true),
                        "nologin" => RoleOption::Login(false),
                        "createdb" => RoleOption::CreateDb(true),
                        "nocreatedb" => RoleOption::CreateDb(false),
                        "createrole" => RoleOption::CreateRole(true),
                        "nocreaterole" => RoleOption::CreateRole(false),
                        "noinherit" => RoleOption::Inherit(false),
                        "replication" => RoleOption::Replication(true),
                        "noreplication" => RoleOption::Replication(false),
                        "bypassrls" => RoleOption::BypassRls(true),
                        "nobypassrls" => RoleOption::BypassRls(false),
                        other => return Err(self.syntax(&format!("unrecognized role option \"{other}\""), self.pos())),
                    };
                    self.bump();
                    option
                }
                _ => return Ok(out),
            };
            out.push(option);
        }
    }

    /// ALTER at the cursor.
    pub(super) fn alter(&mut self) -> Result<Statement> {
        self.expect_kw(Kw::Alter)?;
        let kw = self.kw().ok_or_else(|| self.unexpected())?;
        self.bump();
        match kw {
            Kw::Table => self.alter_table(ObjectKind::Table),
            Kw::Index => self.alter_table(ObjectKind::Index),
            Kw::View => self.alter_table(ObjectKind::View),
            Kw::Materialized => {
                self.expect_kw(Kw::View)?;
                self.alter_table(ObjectKind::MaterializedView)
            }
            Kw::Sequence => {
                let (start, truncated) = (self.at, self.truncated.len());
                let if_exists = self.if_exists();
                let name = self.relation_name()?;
                let shared = matches!(self.kw(), Some(Kw::Rename | Kw::Owner)) || (self.at_kw(Kw::Set));
                if shared {
                    self.at = start;
                    self.truncated.truncate(truncated);
                    return self.alter_table(ObjectKind::Sequence);
                }
                let options = self.sequence_options()?;
                if options.is_empty() {
                    return Err(self.unexpected());
                }
                Ok(Statement::AlterSequence(Box::new(AlterSequence { name, if_exists, options })))
            }
            Kw::Schema => {
                let name = self.column_id()?;
                let action = if self.accept_kw(Kw::Rename) {
                    self.expect_kw(Kw::To)?;
                    AlterSchemaAction::RenameTo(self.column_id()?)
                } else {
                    self.expect_kw(Kw::Owner)?;
                    self.expect_kw(Kw::To)?;
                    AlterSchemaAction::OwnerTo(self.role_spec()?)
                };
                Ok(Statement::AlterSchema(Box::new(AlterSchema { name, action })))
            }
            Kw::Role | Kw::User => {
                if self.at_kw(Kw::Mapping) {
                    return Ok(self.unsupported("ALTER USER MAPPING"));
                }
                if self.accept_kw(Kw::All) {
                    return self.role_settings(None);
                }
                let role = self.role_spec()?;
                if self.accept_kw(Kw::Rename) {
                    return self.rename_role(role);
                }
                if matches!(self.kw(), Some(Kw::Set | Kw::Reset | Kw::In)) {
                    return self.role_settings(Some(role));
                }
                self.accept_kw(Kw::With);
                let options = self.role_options()?;
                Ok(Statement::AlterRole(Box::new(RoleStatement {
                    role,
                    user: kw == Kw::User,
                    options,
                })))
            }
            Kw::Group => self.alter_group(),
            Kw::Database => self.alter_database(),
            Kw::Default => self.alter_default_privileges(),
            Kw::Type => self.alter_user_type(false),
            Kw::Domain => self.alter_user_type(true),
            Kw::Function => self.alter_function(RoutineKind::Function),
            Kw::Procedure => self.alter_function(RoutineKind::Procedure),
            Kw::Routine => self.alter_function(RoutineKind::Routine),
            Kw::Aggregate
            | Kw::Extension
            | Kw::Tablespace
            | Kw::Collation
            | Kw::Conversion
            | Kw::Event
            | Kw::Foreign
            | Kw::Operator
            | Kw::Policy
            | Kw::Publication
            | Kw::Subscription
            | Kw::Server
            | Kw::Statistics
            | Kw::Text
            | Kw::System
            | Kw::Trigger
            | Kw::Rule
            | Kw::Language
            | Kw::Large
            | Kw::Procedural => Ok(self.unsupported(format!("ALTER {}", kw.word().to_uppercase()))),
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }

    /// DROP at the cursor.
    pub(super) fn drop(&mut self) -> Result<Statement> {
        self.expect_kw(Kw::Drop)?;
        let kw = self.kw().ok_or_else(|| self.unexpected())?;
        self.bump();
        if let Some(statement) = self.drop_absent(kw)? {
            return Ok(statement);
        }
        let kind = match kw {
            Kw::Table => ObjectKind::Table,
            Kw::Sequence => ObjectKind::Sequence,
            Kw::View => ObjectKind::View,
            Kw::Index => ObjectKind::Index,
            Kw::Schema => ObjectKind::Schema,
            Kw::Type => ObjectKind::Type,
            Kw::Domain => ObjectKind::Domain,
            Kw::Materialized => {
                self.expect_kw(Kw::View)?;
                ObjectKind::MaterializedView
            }
            Kw::Role | Kw::User | Kw::Group => {
                if self.at_kw(Kw::Mapping) {
                    return Ok(self.unsupported("DROP USER MAPPING"));
                }
                let if_exists = self.if_exists();
                let names = self.comma_list(|p| p.role_spec())?;
                return Ok(Statement::DropRole { names, if_exists });
            }
            Kw::Function => return self.drop_function(RoutineKind::Function),
            Kw::Procedure => return self.drop_function(RoutineKind::Procedure),
            Kw::Routine => return self.drop_function(RoutineKind::Routine),
            Kw::Owned => return self.drop_owned(),
            Kw::Transform => {
                return Ok(self.unsupported(format!("DROP {}", kw.word().to_uppercase())));
            }
            _ => {
                self.at -= 1;
                return Err(self.unexpected());
            }
        };
        let concurrently = kind == ObjectKind::Index && self.accept_kw(Kw::Concurrently);
        let if_exists = self.if_exists();
        let names = self.comma_list(|p| p.object_name())?;
        let cascade = self.cascade();
        Ok(Statement::Drop(Box::new(DropObjects {
            kind,
            if_exists,
            names,
            cascade,
            concurrently,
        })))
    }

    /// COMMENT ON
    pub(super) fn comment(&mut self) -> Result<Statement> {
        self.expect_kw(Kw::Comment)?;
        self.expect_kw(Kw::On)?;
        let kw = self.kw().ok_or_else(|| self.unexpected())?;
        let kind = match kw {
            Kw::Table => ObjectKind::Table,
            Kw::Index => ObjectKind::Index,
            Kw::Sequence => ObjectKind::Sequence,
            Kw::View => ObjectKind::View,
            Kw::Materialized => {
                self.bump();
                if !self.at_kw(Kw::View) {
                    return Err(self.unexpected());
                }
                ObjectKind::MaterializedView
            }
            Kw::Schema => ObjectKind::Schema,
            Kw::Column => ObjectKind::Column,
            Kw::Constraint => ObjectKind::Constraint,
            Kw::Database => ObjectKind::Database,
            Kw::Role => ObjectKind::Role,
            Kw::Type => ObjectKind::Type,
            Kw::Domain => ObjectKind::Domain,
            Kw::Function | Kw::Procedure | Kw::Routine => ObjectKind::Function,
            _ => return Ok(self.unsupported(format!("COMMENT ON {}", kw.word().to_uppercase()))),
        };
        self.bump();
        let routine = match kw {
            Kw::Function => Some(RoutineKind::Function),
            Kw::Procedure => Some(RoutineKind::Procedure),
            Kw::Routine => Some(RoutineKind::Routine),
            _ => None,
        };
        let routine = routine.map(|kind| Ok((kind, self.routine_name()?))).transpose()?;
        let name = match &routine {
            Some((_, routine)) => routine.name.clone(),
            None => self.object_name()?,
        };
        let mut on_domain = false;
        let table = if kind == ObjectKind::Constraint {
            self.expect_kw(Kw::On)?;
            on_domain = self.accept_kw(Kw::Domain);
            Some(self.relation_name()?)
        } else {
            None
        };
        self.expect_kw(Kw::Is)?;
        let text = if self.accept_kw(Kw::Null) { None } else { Some(self.string()?) };
        Ok(Statement::Comment(Box::new(Comment {
            kind,
            name,
            table,
            on_domain,
            routine,
            text,
        })))
    }

    /// TRUNCATE
    pub(super) fn truncate(&mut self) -> Result<Statement> {
        self.expect_kw(Kw::Truncate)?;
        self.accept_kw(Kw::Table);
        let tables = self.relation_list()?;
        let restart_identity = if self.accept_kw(Kw::Restart) {
            self.expect_kw(Kw::Identity)?;
            true
        } else {
            if self.accept_kw(Kw::Continue) {
                self.expect_kw(Kw::Identity)?;
            }
            false
        };
        let cascade = self.cascade();
        Ok(Statement::Truncate(Box::new(Truncate {
            tables,
            restart_identity,
            cascade,
        })))
    }

    /// `relation_expr_list`: names, each with whether ONLY is said.
    pub(super) fn relation_list(&mut self) -> Result<Vec<(ObjectName, bool)>> {
        self.comma_list(|p| {
            let only = p.accept_kw(Kw::Only);
            let name = if only && p.peek() == Tok::LParen {
                p.parenthesized(|p| p.relation_name())?
            } else {
                p.relation_name()?
            };
            p.accept_op("*");
            Ok((name, only))
        })
    }
}
