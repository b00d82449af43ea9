//! CREATE, ALTER and DROP FUNCTION and PROCEDURE, for routines in SQL.

use crate::Ddl;
use crate::names::no_schema;
use curia_bind::BindContext;
use curia_catalog::{BodyForm, Change, Class, Function, ObjectKey, Oid, Parameter};
use curia_parse::ast::{
    self, AlterFunction, AlterFunctionAction as Action, CreateFunction, DropFunction, FunctionBody, ParameterMode, RoutineKind,
    RoutineName, TypeName,
};
use curia_parse::quote_identifier;
use curia_types::{PgType, Result, SqlError, SqlState, oid, type_info};

/// 42P13
const INVALID: SqlState = SqlState::new("42P13");

impl Ddl<'_> {
    pub(crate) async fn create_function(&mut self, s: &CreateFunction) -> Result<()> {
        let schema = self.creation_schema(&s.name, ast::Persistence::Permanent)?.oid;
        let name = s.name.name().to_owned();
        let invalid = |message: &str| Err(SqlError::new(INVALID, message));
        if let Some(feature) = s.options.unsupported {
            return Err(SqlError::unsupported(feature));
        }
        let Some(body) = &s.options.body else {
            return invalid("no function body specified");
        };
        let standard = matches!(body, FunctionBody::Return(_) | FunctionBody::Atomic(_));
        let language = match &s.options.language {
            Some(language) => language.to_lowercase(),
            None if standard => "sql".to_owned(),
            None => return invalid("no language specified"),
        };
        match language.as_str() {
            "sql" => {}
            "plpgsql" | "c" | "internal" | "plperl" | "plpython3u" | "pltcl" => {
                return Err(SqlError::unsupported(format!("LANGUAGE {language}")));
            }
            other => {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("language \"{other}\" does not exist"),
                ));
            }
        }
        let (body, form) = match body {
            FunctionBody::Text(text) => (text.clone(), BodyForm::Text),
            FunctionBody::Return(text) => (text.clone(), BodyForm::Return),
            FunctionBody::Atomic(text) => (text.clone(), BodyForm::Atomic),
            FunctionBody::Symbol(_) => return invalid("only one AS item needed for language \"sql\""),
        };
        let procedure = s.kind == RoutineKind::Procedure;
        let parameters = self.parameters(&s.parameters, procedure)?;
        let (returns, set) = self.result(s, &parameters)?;
        if s.options.rows.is_some() && !set {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "ROWS is not applicable when function does not return a set",
            ));
        }
        self.lock_name(schema, &name).await?;
        let inputs: Vec<u32> = parameters.iter().filter(|p| p.is_input()).map(|p| p.ty.oid).collect();
        let catalog = self.catalog();
        let old = catalog.functions_in(schema, &name).find(|f| f.input_types() == inputs).cloned();
        if let Some(old) = &old {
            self.must_own(old.oid)?;
            self.check_replaced(s, old, procedure, &parameters, returns, set)?;
        }
        let o = &s.options;
        let function = Function {
            oid: match &old {
                Some(old) => old.oid,
                None => self.new_oid()?,
            },
            schema,
            name,
            owner: old.as_ref().map_or(self.env.role, |f| f.owner),
            procedure,
            parameters,
            returns,
            set,
            language,
            body,
            form,
            volatility: o.volatility.unwrap_or('v'),
            strict: o.strict.unwrap_or(false),
            security_definer: o.security_definer.unwrap_or(false),
            leakproof: o.leakproof.unwrap_or(false),
            parallel: o.parallel.as_deref().and_then(|p| p.chars().next()).unwrap_or('u'),
            cost: o.cost.unwrap_or(100.0) as f32,
            rows: o.rows.unwrap_or(if set { 1000.0 } else { 0.0 }) as f32,
        };
        self.check_function(&function)?;
        self.change(Change::put(function))
    }

    fn check_function(&self, function: &Function) -> Result<()> {
        // A body that is a string may name what is yet to be made: dumps write functions first.
        if !self.env.check_bodies && function.form == BodyForm::Text {
            return Ok(());
        }
        let io = self.shown_io();
        let catalog = self.catalog();
        let cx = BindContext {
            row_keys: false,
            role: None,
            cursor: None,
            catalog: &catalog,
            search_path: self.env.search_path,
            database: "",
            params: None,
            io: &io,
        };
        curia_bind::check_function(&cx, function)
    }

    fn check_replaced(
        &self,
        s: &CreateFunction,
        old: &Function,
        procedure: bool,
        parameters: &[Parameter],
        returns: PgType,
        set: bool,
    ) -> Result<()> {
        if !s.or_replace {
            return Err(SqlError::new(
                SqlState::new("42723"),
                format!("function \"{}\" already exists with same argument types", old.name),
            ));
        }
        if old.procedure != procedure {
            let is = if old.procedure { "procedure" } else { "function" };
            return Err(
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, "cannot change routine kind").detail(format!("\"{}\" is a {is}.", old.name))
            );
        }
        let word = if procedure { "PROCEDURE" } else { "FUNCTION" };
        let hint = format!("Use DROP {word} {} first.", signature(old));
        let outputs = |list: &[Parameter]| -> Vec<(String, u32)> {
            let outputs = list.iter().filter(|p| p.is_output());
            outputs.map(|p| (p.name.clone(), p.ty.oid)).collect()
        };
        if old.returns.oid != returns.oid || old.set != set {
            return Err(SqlError::new(INVALID, "cannot change return type of existing function").hint(hint));
        }
        if outputs(&old.parameters) != outputs(parameters) {
            return Err(SqlError::new(INVALID, "cannot change return type of existing function")
                .detail("Row type defined by OUT parameters is different.")
                .hint(hint));
        }
        let new: Vec<&Parameter> = parameters.iter().filter(|p| p.is_input()).collect();
        for (old, new) in old.inputs().zip(&new) {
            if !old.name.is_empty() && old.name != new.name {
                return Err(SqlError::new(INVALID, format!("cannot change name of input parameter \"{}\"", old.name)).hint(hint));
            }
            if old.default.is_some() && new.default.is_none() {
                return Err(SqlError::new(INVALID, "cannot remove parameter defaults from existing function").hint(hint));
            }
        }
        Ok(())
    }

    /// Parameters with their types (`interpret_function_parameter_list`).
    fn parameters(&self, list: &[ast::Parameter], procedure: bool) -> Result<Vec<Parameter>> {
        let invalid = |message: String| Err(SqlError::new(INVALID, message));
        let mut out: Vec<Parameter> = Vec::with_capacity(list.len());
        let (mut defaults, mut variadic) = (false, false);
        for p in list {
            if p.ty.setof {
                let what = if procedure { "procedures" } else { "functions" };
                return invalid(format!("{what} cannot accept set arguments"));
            }
            let ty = self.routine_type(&p.ty)?;
            let mode = mode(p.mode);
            let parameter = Parameter {
                name: p.name.as_ref().map(|n| n.name.clone()).unwrap_or_default(),
                mode,
                ty,
                default: p.default.as_ref().map(|(_, text)| text.clone()),
            };
            if parameter.is_input() {
                if variadic {
                    return invalid("VARIADIC parameter must be the last input parameter".to_owned());
                }
                variadic = mode == 'v';
                if variadic
                    && type_info::element_of(ty.oid).is_none()
                    && !matches!(ty.oid, oid::ANYARRAY | oid::ANYCOMPATIBLEARRAY | oid::ANY)
                {
                    return invalid("VARIADIC parameter must be an array".to_owned());
                }
                match &p.default {
                    Some((default, _)) => {
                        let catalog = self.catalog();
                        if !type_info::is_polymorphic(ty.oid) {
                            let name = &parameter.name;
                            curia_bind::ddl::default_text(&catalog, self.env.search_path, default, name, ty)?;
                        }
                        defaults = true;
                    }
                    None if defaults => {
                        return invalid("input parameters after one with a default value must also have defaults".to_owned());
                    }
                    None => {}
                }
            } else if p.default.is_some() {
                return invalid("only input parameters can have default values".to_owned());
            }
            // Inputs and outputs are told apart, but for those that are both.
            let clash = |q: &Parameter| {
                q.name == parameter.name && ((q.is_input() && parameter.is_input()) || (q.is_output() && parameter.is_output()))
            };
            if !parameter.name.is_empty() && out.iter().any(clash) {
                return invalid(format!("parameter name \"{}\" used more than once", parameter.name));
            }
            out.push(parameter);
        }
        Ok(out)
    }

    /// A type of a parameter or result, without modifiers.
    fn routine_type(&self, name: &TypeName) -> Result<PgType> {
        let mut plain = name.clone();
        plain.setof = false;
        let ty = self.resolve_type(&plain)?;
        Ok(PgType { oid: ty.oid, typmod: -1 })
    }

    /// What the function gives, and whether it is a set.
    fn result(&self, s: &CreateFunction, parameters: &[Parameter]) -> Result<(PgType, bool)> {
        let plain = |oid| PgType { oid, typmod: -1 };
        let outputs: Vec<&Parameter> = parameters.iter().filter(|p| p.is_output()).collect();
        let table = parameters.iter().any(|p| p.mode == 't');
        let by_outputs = match outputs.as_slice() {
            [] => None,
            [one] if s.kind == RoutineKind::Function => Some(one.ty),
            _ => Some(plain(oid::RECORD)),
        };
        match (&s.returns, by_outputs) {
            (None, Some(ty)) => Ok((ty, table)),
            (None, None) if s.kind == RoutineKind::Procedure => Ok((plain(oid::VOID), false)),
            (None, None) => Err(SqlError::new(INVALID, "function result type must be specified")),
            (Some(written), by_outputs) => {
                let ty = self.routine_type(written)?;
                if let Some(must) = by_outputs
                    && must.oid != ty.oid
                {
                    let must = type_info::format_type(must.oid, -1);
                    return Err(SqlError::new(
                        INVALID,
                        format!("function result type must be {must} because of OUT parameters"),
                    ));
                }
                Ok((ty, written.setof))
            }
        }
    }

    /// A routine to grant on, the system's own among them.
    pub(crate) fn granted_routine(&self, kind: RoutineKind, name: &RoutineName) -> Result<Oid> {
        if let Some(found) = self.routine(kind, name)? {
            return Ok(found.oid);
        }
        let mut types = Vec::new();
        for p in name.parameters.iter().flatten().filter(|p| !matches!(p.mode, ParameterMode::Out)) {
            types.push(self.routine_type(&p.ty)?.oid);
        }
        let right = |f: &&curia_functions::Function| name.parameters.is_none() || f.args == types;
        let built_in = name.name.schema().is_none_or(|s| s == "pg_catalog");
        let found = curia_functions::candidates(name.name.name())
            .iter()
            .copied()
            .find(right)
            .filter(|_| built_in);
        found.map(|f| f.oid).ok_or_else(|| self.no_routine(kind, name))
    }

    /// The routine that a name means; `None` where there is none.
    pub(crate) fn routine(&self, kind: RoutineKind, name: &RoutineName) -> Result<Option<Function>> {
        let catalog = self.catalog();
        let path: Vec<String> = match name.name.schema() {
            Some(schema) => {
                catalog.schema(schema).ok_or_else(|| no_schema(schema))?;
                vec![schema.to_owned()]
            }
            None => self.env.search_path.to_vec(),
        };
        let found = catalog.functions_named(&path, name.name.name());
        let word = kind.word();
        let right = |f: &Function| match kind {
            RoutineKind::Function => !f.procedure,
            RoutineKind::Procedure => f.procedure,
            RoutineKind::Routine => true,
        };
        let Some(parameters) = &name.parameters else {
            let mut fitting = found.iter().filter(|f| right(f));
            return match (fitting.next(), fitting.next()) {
                (None, _) => Ok(None),
                (Some(one), None) => Ok(Some((***one).clone())),
                (Some(_), Some(_)) => Err(SqlError::new(
                    SqlState::AMBIGUOUS_FUNCTION,
                    format!("{word} name \"{}\" is not unique", name.name),
                )
                .hint(format!("Specify the argument list to select the {word} unambiguously."))),
            };
        };
        let mut inputs = Vec::new();
        for p in parameters {
            let ty = self.routine_type(&p.ty)?;
            if !matches!(p.mode, ParameterMode::Out) {
                inputs.push(ty.oid);
            }
        }
        let Some(one) = found.into_iter().find(|f| f.input_types() == inputs) else {
            return Ok(None);
        };
        if !right(one) {
            let message = format!("{} is not a {word}", signature(one));
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        Ok(Some((**one).clone()))
    }

    /// 42883, as PostgreSQL words it with and without arguments.
    pub(crate) fn no_routine(&self, kind: RoutineKind, name: &RoutineName) -> SqlError {
        let message = match &name.parameters {
            None => format!("could not find a {} named \"{}\"", kind.word(), name.name),
            Some(parameters) => {
                let types: Vec<String> = parameters
                    .iter()
                    .map(|p| match self.routine_type(&p.ty) {
                        Ok(ty) => type_info::format_type(ty.oid, -1),
                        Err(_) => p.ty.name.to_string(),
                    })
                    .collect();
                format!("{} {}({}) does not exist", kind.word(), name.name, types.join(", "))
            }
        };
        SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
    }

    pub(crate) async fn drop_function(&mut self, s: &DropFunction) -> Result<()> {
        for name in &s.names {
            let found = match self.routine(s.kind, name) {
                Err(e) if s.if_exists && matches!(e.code(), SqlState::INVALID_SCHEMA_NAME | SqlState::UNDEFINED_OBJECT) => {
                    self.notice(format!("{}, skipping", e.message()));
                    continue;
                }
                found => found?,
            };
            match found {
                Some(function) => {
                    self.may_drop(function.oid)?;
                    self.drop_calls_of(&function, s.cascade).await?;
                    self.drop_routine(function.oid)?;
                }
                None if self.is_built_in(name) => {
                    let message = format!(
                        "cannot drop {} {} because it is required by the database system",
                        s.kind.word(),
                        name.text
                    );
                    return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
                }
                None if s.if_exists => {
                    let types = match &name.parameters {
                        None => String::new(),
                        Some(parameters) => parameters.iter().map(|p| p.ty.name.name().to_owned()).collect::<Vec<_>>().join(","),
                    };
                    self.notice(format!("{} {}({types}) does not exist, skipping", s.kind.word(), name.name));
                }
                None => return Err(self.no_routine(s.kind, name)),
            }
        }
        Ok(())
    }

    fn is_built_in(&self, name: &RoutineName) -> bool {
        let Some(parameters) = &name.parameters else { return false };
        let types: Option<Vec<u32>> = parameters.iter().map(|p| self.routine_type(&p.ty).ok().map(|t| t.oid)).collect();
        let own = name.name.schema().is_none_or(|s| s == "pg_catalog");
        own && types.is_some_and(|types| curia_bind::is_built_in_function(name.name.name(), &types))
    }

    /// A routine as messages name it: qualified where the search path doesn't find it.
    pub(crate) fn shown_function(&self, function: &Function) -> String {
        let catalog = self.catalog();
        let found = catalog.functions_named(self.env.search_path, &function.name);
        if found.iter().any(|f| f.oid == function.oid) {
            return signature(function);
        }
        format!("{}.{}", quote_identifier(catalog.schema_name(function.schema)), signature(function))
    }

    /// Drops a routine and its comment.
    pub(crate) fn drop_routine(&mut self, oid: Oid) -> Result<()> {
        self.change(Change::drop(Class::Function, oid))?;
        self.change(Change::Drop(ObjectKey {
            class: Class::Comment,
            oid,
            sub: 0,
        }))
    }

    pub(crate) async fn alter_function(&mut self, s: &AlterFunction) -> Result<()> {
        let mut function = self.routine(s.kind, &s.name)?.ok_or_else(|| self.no_routine(s.kind, &s.name))?;
        if !matches!(s.action, Action::OwnerTo(_)) {
            self.must_own(function.oid)?;
        }
        let taken = |this: &Self, schema: Oid, name: &str| {
            let catalog = this.catalog();
            let inputs = function.input_types();
            catalog
                .functions_in(schema, name)
                .any(|f| f.input_types() == inputs && f.oid != function.oid)
        };
        let exists = |this: &Self, schema: Oid, name: &str| {
            let shown = signature(&Function {
                name: name.to_owned(),
                ..function.clone()
            });
            let schema = this.catalog().schema_name(schema).to_owned();
            SqlError::new(
                SqlState::new("42723"),
                format!("function {shown} already exists in schema \"{schema}\""),
            )
        };
        match &s.action {
            Action::RenameTo(name) => {
                if taken(self, function.schema, &name.name) {
                    return Err(exists(self, function.schema, &name.name));
                }
                function.name.clone_from(&name.name);
            }
            Action::OwnerTo(role) => function.owner = self.new_owner(function.oid, role)?,
            Action::SetSchema(name) => {
                let schema = self
                    .catalog()
                    .schema(&name.name)
                    .map(|s| s.oid)
                    .ok_or_else(|| no_schema(&name.name))?;
                if taken(self, schema, &function.name) {
                    return Err(exists(self, schema, &function.name));
                }
                function.schema = schema;
            }
            Action::Options(o) => {
                if let Some(feature) = o.unsupported {
                    return Err(SqlError::unsupported(feature));
                }
                if o.rows.is_some() && !function.set {
                    return Err(SqlError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        "ROWS is not applicable when function does not return a set",
                    ));
                }
                function.volatility = o.volatility.unwrap_or(function.volatility);
                function.strict = o.strict.unwrap_or(function.strict);
                function.security_definer = o.security_definer.unwrap_or(function.security_definer);
                function.leakproof = o.leakproof.unwrap_or(function.leakproof);
                if let Some(parallel) = o.parallel.as_deref().and_then(|p| p.chars().next()) {
                    function.parallel = parallel;
                }
                function.cost = o.cost.map_or(function.cost, |c| c as f32);
                function.rows = o.rows.map_or(function.rows, |r| r as f32);
            }
        }
        self.change(Change::put(function))
    }
}

fn mode(mode: ParameterMode) -> char {
    match mode {
        ParameterMode::In => 'i',
        ParameterMode::Out => 'o',
        ParameterMode::InOut => 'b',
        ParameterMode::Variadic => 'v',
        ParameterMode::Table => 't',
    }
}

/// `name(types of the inputs)`
pub(crate) fn signature(function: &Function) -> String {
    let types: Vec<String> = function.inputs().map(|p| type_info::format_type(p.ty.oid, -1)).collect();
    format!("{}({})", quote_identifier(&function.name), types.join(","))
}
