//! CREATE DOMAIN and ALTER DOMAIN: defaults, NOT NULL and CHECK over VALUE.

use super::uses::Column;
use crate::Ddl;
use curia_bind::ddl::type_text;
use curia_catalog::{Change, Class, Constraint, ConstraintKind, Domain, ObjectKey, Type, TypeKind, choose_name};
use curia_parse::ast::{AlterTypeAction as Action, ColumnConstraint, ColumnConstraintKind as Kind, CreateDomain, Expr, Ident};
use curia_parse::quote_identifier;
use curia_types::{Result, SqlError, SqlState, type_info};

impl Ddl<'_> {
    pub(crate) async fn create_domain(&mut self, s: &CreateDomain) -> Result<()> {
        let base = self.resolve_type(&s.ty)?;
        if type_info::category(base.oid) == 'P' {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("\"{}\" is not a valid base type for a domain", s.ty.name.name()),
            ));
        }
        let name = s.name.name();
        let mut domain = Domain {
            base,
            not_null: false,
            default: None,
            checks: Vec::new(),
        };
        let wrong = |c: &ColumnConstraint, message: &str| Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(Some(c.pos)));
        let mut null = None;
        let mut default = false;
        for c in &s.constraints {
            match &c.kind {
                Kind::Default(expr) => {
                    if std::mem::replace(&mut default, true) {
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "multiple default expressions"));
                    }
                    domain.default = self.domain_default(Some(expr), name, &domain)?;
                }
                Kind::NotNull | Kind::Null => {
                    let not_null = matches!(c.kind, Kind::NotNull);
                    if null.is_some_and(|n| n != not_null) {
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting NULL/NOT NULL constraints"));
                    }
                    null = Some(not_null);
                    domain.not_null = not_null;
                }
                Kind::Check { expr, no_inherit, .. } => {
                    if *no_inherit {
                        return Err(SqlError::new(
                            SqlState::INVALID_OBJECT_DEFINITION,
                            "check constraints for domains cannot be marked NO INHERIT",
                        ));
                    }
                    self.add_check(&mut domain, name, c.name.as_ref(), expr)?;
                }
                Kind::Unique { .. } => return wrong(c, "unique constraints not possible for domains").map_err(SqlError::nowhere),
                Kind::PrimaryKey { .. } => return wrong(c, "primary key constraints not possible for domains").map_err(SqlError::nowhere),
                Kind::References(_) => return wrong(c, "foreign key constraints not possible for domains").map_err(SqlError::nowhere),
                Kind::Generated(_) | Kind::Identity { .. } => {
                    return wrong(c, "specifying GENERATED not supported for domains").map_err(SqlError::nowhere);
                }
            }
        }
        self.add_type(&s.name, TypeKind::Domain(domain)).await
    }

    fn domain_default(&self, expr: Option<&Expr>, name: &str, domain: &Domain) -> Result<Option<String>> {
        let Some(expr) = expr else { return Ok(None) };
        self.column_default(expr, name, domain.base)
    }

    fn add_check(&mut self, domain: &mut Domain, of: &str, name: Option<&Ident>, expr: &Expr) -> Result<()> {
        let expression = curia_bind::domain::check_text(&self.catalog(), self.env.search_path, expr, domain.base)?;
        let taken = |n: &str| domain.checks.iter().any(|c| c.name == n);
        let name = match name {
            Some(name) if taken(&name.name) => {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_OBJECT,
                    format!("constraint \"{}\" for domain \"{of}\" already exists", name.name),
                ));
            }
            Some(name) => name.name.clone(),
            None => choose_name(of, None, "check", taken),
        };
        let oid = self.new_oid()?;
        let kind = ConstraintKind::Check { expression };
        domain.checks.push(Constraint::new(oid, name, kind));
        Ok(())
    }

    /// ALTER DOMAIN for what only domains have.
    pub(super) async fn alter_domain(&mut self, mut ty: Type, action: &Action) -> Result<()> {
        let name = ty.name.clone();
        let oid = ty.oid;
        let TypeKind::Domain(domain) = &mut ty.kind else {
            return Err(super::not_a(&self.shown_type(oid), "a domain"));
        };
        let missing = |c: &Ident| {
            SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("constraint \"{}\" of domain \"{name}\" does not exist", c.name),
            )
        };
        match action {
            Action::Default(expr) => domain.default = self.domain_default(expr.as_ref(), &name, domain)?,
            Action::NotNull(not_null) => {
                if *not_null && !domain.not_null {
                    self.check_columns(oid, None).await?;
                }
                domain.not_null = *not_null;
            }
            Action::AddConstraint { constraint, not_valid } => {
                let expr = match &constraint.kind {
                    Kind::Check { expr, .. } => expr,
                    Kind::Unique { .. } => return Err(impossible("unique")),
                    Kind::PrimaryKey { .. } => return Err(impossible("primary key")),
                    Kind::References(_) => return Err(impossible("foreign key")),
                    _ => return Err(SqlError::unsupported("this constraint of a domain")),
                };
                self.add_check(domain, &name, constraint.name.as_ref(), expr)?;
                if let Some(added) = domain.checks.last_mut().filter(|_| *not_valid) {
                    added.not_valid = true;
                } else if let Some(added) = domain.checks.last() {
                    self.check_columns(oid, Some((added, domain))).await?;
                }
            }
            Action::DropConstraint { name: dropped, if_exists } => {
                let Some(at) = domain.checks.iter().position(|c| c.name == dropped.name) else {
                    if !if_exists {
                        return Err(missing(dropped));
                    }
                    self.notice(format!("{}, skipping", missing(dropped).message()));
                    return Ok(());
                };
                let gone = domain.checks.remove(at).oid;
                self.change(Change::Drop(ObjectKey {
                    class: Class::Comment,
                    oid: gone,
                    sub: 0,
                }))?;
            }
            Action::RenameConstraint(from, to) => {
                let Some(at) = domain.checks.iter().position(|c| c.name == from.name) else {
                    return Err(SqlError::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!("constraint \"{}\" for domain {} does not exist", from.name, self.shown_type(oid)),
                    ));
                };
                if domain.checks.iter().any(|c| c.name == to.name) {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_OBJECT,
                        format!("constraint \"{}\" for domain {} already exists", to.name, self.shown_type(oid)),
                    ));
                }
                domain.checks[at].name.clone_from(&to.name);
            }
            Action::ValidateConstraint(c) => {
                let at = domain.checks.iter().position(|x| x.name == c.name).ok_or_else(|| missing(c))?;
                if domain.checks[at].not_valid {
                    self.check_columns(oid, Some((&domain.checks[at], domain))).await?;
                    domain.checks[at].not_valid = false;
                }
            }
            _ => return Err(SqlError::internal("not an action of ALTER DOMAIN")),
        }
        self.change(Change::put(ty))
    }

    /// Reads the columns of a domain, and of domains over it, for values that a new constraint refuses: a CHECK, or NOT NULL.
    async fn check_columns(&mut self, domain: u32, check: Option<(&Constraint, &Domain)>) -> Result<()> {
        let held = self.columns_of(|ty| self.contains(ty, domain) && !over(ty, domain));
        if let Some(Column { table, column }) = held.first() {
            let table = self.table(*table)?;
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!(
                    "cannot alter type \"{}\" because column \"{}.{}\" uses it",
                    self.shown_type(domain),
                    table.name,
                    table.columns[*column].name
                ),
            ));
        }
        for Column { table, column } in self.columns_of(|ty| over(ty, domain)) {
            let table = self.table(table)?;
            self.lock_table(table.oid, curia_txn::TableLock::Share).await?;
            let name = &table.columns[column].name;
            let quoted = quote_identifier(name);
            let (query, error) = match check {
                None => (
                    format!("SELECT 1 FROM {} WHERE {quoted} IS NULL LIMIT 1", self.qualified(&table)),
                    SqlError::new(
                        SqlState::NOT_NULL_VIOLATION,
                        format!("column \"{name}\" of table \"{}\" contains null values", table.name),
                    ),
                ),
                Some((
                    Constraint {
                        kind: ConstraintKind::Check { expression },
                        ..
                    },
                    domain,
                )) => (
                    // The name VALUE is the only one in the condition.
                    format!(
                        "SELECT 1 FROM (SELECT {quoted}::{} AS value FROM {}) AS d WHERE NOT ({expression}) LIMIT 1",
                        type_text(domain.base),
                        self.qualified(&table)
                    ),
                    SqlError::new(
                        SqlState::CHECK_VIOLATION,
                        format!(
                            "column \"{name}\" of table \"{}\" contains values that violate the new constraint",
                            table.name
                        ),
                    ),
                ),
                Some(_) => continue,
            };
            if self.any(&query).await? {
                let catalog = self.catalog();
                return Err(error.table(catalog.schema_name(table.schema), &table.name).column(name));
            }
        }
        Ok(())
    }

    async fn any(&mut self, query: &str) -> Result<bool> {
        let mut rows = self.queries.open(self.tx, query).await?;
        while let Some(batch) = rows.next().await? {
            if !batch.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a type is a domain or over it.
fn over(mut ty: u32, domain: u32) -> bool {
    loop {
        if ty == domain {
            return true;
        }
        match type_info::user::kind(ty) {
            Some(type_info::UserKind::Domain { base }) => ty = base.oid,
            _ => return false,
        }
    }
}

fn impossible(what: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, format!("{what} constraints not possible for domains"))
}
