//! Domains at run time: whether a value satisfies the constraints of a domain.
//!
//! Every way into a domain (a cast, a literal, a parameter, COPY, a field of a composite value) ends at
//! [`curia_types::UserTypes::check_domain`], so a constraint has one meaning. Conditions are bound and compiled when a domain is first
//! met and kept as long as the catalog version is.

use crate::engine::Engine;
use crate::eval::{Env, Program, Scope, compile};
use crate::exec::{Exec, Execution, Uninterrupted};
use crate::rows::Compiler;
use curia_bind::domain::check_bound;
use curia_catalog::{Catalog, ConstraintKind, Oid};
use curia_functions::PlainContext;
use curia_txn::SessionSlot;
use curia_types::{Attribute, Datum, IoContext, PgType, Result, SqlError, SqlState, UserTypes, type_info};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The types of one catalog version, for one session.
pub struct CatalogTypes {
    /// The version.
    pub catalog: Arc<Catalog>,
    engine: Arc<Engine>,
    slot: Arc<SessionSlot>,
    /// One entry for each domain of the catalog at most.
    compiled: Mutex<HashMap<Oid, Arc<Checks>>>,
}

/// What one domain demands, beyond what the domain under it does.
struct Checks {
    name: String,
    schema: String,
    /// The domain that this one is over.
    under: Option<Oid>,
    not_null: bool,
    conditions: Vec<(String, Program)>,
}

impl CatalogTypes {
    /// The types of a version.
    pub fn new(catalog: Arc<Catalog>, engine: Arc<Engine>, slot: Arc<SessionSlot>) -> CatalogTypes {
        CatalogTypes {
            catalog,
            engine,
            slot,
            compiled: Mutex::default(),
        }
    }

    fn checks(&self, oid: Oid) -> Result<Arc<Checks>> {
        if let Some(found) = self.compiled.lock().get(&oid) {
            return Ok(found.clone());
        }
        let found = self.catalog.types.get(&oid).and_then(|t| Some((t, t.domain()?)));
        let (ty, domain) = found.ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type with OID {oid} does not exist")))?;
        let base = type_info::base_of(domain.base);
        let mut conditions = Vec::new();
        // PostgreSQL checks in the order of the names.
        let mut stored: Vec<_> = domain.checks.iter().collect();
        stored.sort_by(|a, b| a.name.cmp(&b.name));
        for check in stored {
            let ConstraintKind::Check { expression } = &check.kind else {
                continue;
            };
            let (value, bound) = check_bound(
                &self.catalog,
                expression,
                PgType {
                    typmod: domain.base.typmod,
                    ..base
                },
            )?;
            let scope = Scope::over(&[value], &HashMap::new());
            let mut compiler = Compiler::new(self.catalog.clone());
            conditions.push((check.name.clone(), compile(&bound, &scope, &mut compiler)?));
        }
        let checks = Arc::new(Checks {
            name: ty.name.clone(),
            schema: self.catalog.schema_name(ty.schema).to_owned(),
            under: type_info::is_domain(domain.base.oid).then_some(domain.base.oid),
            not_null: domain.not_null,
            conditions,
        });
        self.compiled.lock().insert(oid, checks.clone());
        Ok(checks)
    }

    fn exec(&self, io: &IoContext) -> Exec {
        let execution = Execution {
            params: Arc::from([]),
            context: Arc::new(PlainContext { io: io.clone() }),
            interrupt: Arc::new(Uninterrupted),
            catalog: self.catalog.clone(),
            session_views: None,
            reference_plans: Arc::default(),
        };
        Exec::new(self.engine.database().view_of(&self.slot), execution, &self.engine)
    }
}

impl Checks {
    fn of_domain(&self, error: SqlError) -> SqlError {
        error.data_type(&self.schema, &self.name)
    }
}

impl UserTypes for CatalogTypes {
    fn enum_label(&self, ty: u32, value: i64) -> Option<Arc<str>> {
        self.catalog.enum_label(ty, value)
    }
    fn enum_value(&self, ty: u32, label: &str) -> Option<i64> {
        self.catalog.enum_value(ty, label)
    }
    fn is_usable(&self, ty: u32, value: i64) -> bool {
        if self.catalog.version & Catalog::PRIVATE == 0 {
            return true;
        }
        match self.engine.database().catalog().types.get(&ty) {
            Some(published) => published.labels().iter().any(|l| l.value == value),
            None => true,
        }
    }
    fn enum_values(&self, ty: u32) -> Vec<i64> {
        self.catalog.enum_values(ty)
    }
    fn attributes(&self, ty: u32) -> Option<Arc<[Attribute]>> {
        self.catalog.attributes(ty)
    }
    fn check_domain(&self, domain: u32, value: &Datum, io: &IoContext) -> Result<()> {
        let outer = self.checks(domain)?;
        // The innermost domain speaks first, in the name of the outermost.
        let mut chain = vec![outer.clone()];
        while let Some(under) = chain.last().and_then(|c| c.under) {
            chain.push(self.checks(under)?);
        }
        let shown = type_info::quote_identifier(&outer.name);
        if value.is_null() && chain.iter().any(|c| c.not_null) {
            let error = SqlError::new(SqlState::NOT_NULL_VIOLATION, format!("domain {shown} does not allow null values"));
            return Err(outer.of_domain(error));
        }
        if chain.iter().all(|c| c.conditions.is_empty()) {
            return Ok(());
        }
        let exec = self.exec(io);
        let env = Env { exec: &exec, frame: &[] };
        for (name, condition) in chain.iter().rev().flat_map(|c| &c.conditions) {
            if matches!(condition.eval(env, std::slice::from_ref(value))?, Datum::Bool(false)) {
                let error = SqlError::new(
                    SqlState::CHECK_VIOLATION,
                    format!("value for domain {shown} violates check constraint \"{name}\""),
                );
                return Err(outer.of_domain(error).constraint(name));
            }
        }
        Ok(())
    }
}
