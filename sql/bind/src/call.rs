//! Function calls: plain ones, aggregates, window functions and set-returning functions (`parse_func.c`, `parse_agg.c`).

use crate::binder::{Binder, at};
use crate::coerce::type_text;
use crate::ir::*;
use crate::operator::operator;
use crate::ordered_set::{AggregateKind, aggregate_kind};
use crate::resolve::{Choice, FunctionMatch, choose, concretize, function_candidates, signature};
use crate::scope::{Clause, Scope};
use crate::walk;
use curia_functions::{CastContext, Kernel};
use curia_parse::ast::{self, FunctionCall, Over};
use curia_types::geometry::is_geometric;
use curia_types::{Datum, PgType, Result, SqlError, SqlState, oid, type_info};

/// What may not be called somewhere.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Aggregate,
    Window,
    Set,
}

/// What a level had before an aggregate's arguments were bound.
struct Before {
    windows: usize,
    sets: usize,
    /// Outer references, of the level and of those around it.
    outer: Vec<usize>,
}

/// `pg_proc.oid` of what asks for rights on a sequence; in a function that runs as its owner it is given that role behind its arguments.
const NEXTVAL: u32 = 1574;
const CURRVAL: u32 = 1575;
const SETVAL: u32 = 1576;
const SETVAL_CALLED: u32 = 1765;

/// A function with its converted arguments and result type.
pub(crate) struct Resolved {
    pub function: &'static curia_functions::Function,
    pub args: Vec<Expr>,
    pub ret: PgType,
}

impl Binder<'_> {
    pub fn call(&self, call: &FunctionCall, scope: &Scope<'_>, pos: u32) -> Result<Expr> {
        let name = call.name.name();
        let named = call.args.iter().any(|a| a.name.is_some());
        if named && self.user_functions(&call.name).is_empty() {
            return self.call(&self.positional(call, scope, pos)?, scope, pos);
        }
        let may_aggregate = curia_functions::candidates(name).iter().any(|f| f.is_aggregate());
        let before = Before {
            windows: scope.windows.borrow().len(),
            sets: scope.sets.borrow().len(),
            outer: if may_aggregate { scope.outer_marks() } else { Vec::new() },
        };
        // An aggregate's arguments are bound at the same level, but may hold no other aggregate.
        let clause = scope.clause.get();
        let windowed_aggregate = may_aggregate && call.over.is_some();
        let inner = if may_aggregate && call.over.is_none() && aggregates_allowed(clause) {
            Clause::AggregateArgument
        } else {
            clause
        };
        let bind_args = || call.args.iter().map(|a| self.expr(&a.value, scope)).collect::<Result<Vec<_>>>();
        let args = scope.within(inner, bind_args)?;
        if let Some(user) = self.user_call(call, &args, pos)? {
            self.not_aggregate(call, pos)?;
            if user.function.set {
                self.check_clause(Kind::Set, scope, pos)?;
            }
            return self.user_value(user, scope, pos);
        }
        if !call.within_group.is_empty() && may_aggregate {
            let (resolved, order_by) = self.ordered_set(call, args, scope, pos)?;
            return self.aggregate(call, resolved, order_by, scope, &before, pos);
        }
        if named {
            return self.call(&self.positional(call, scope, pos)?, scope, pos);
        }
        let given: Vec<u32> = args.iter().map(|a| a.ty.oid).collect();
        // DISTINCT compares ORDER BY with the arguments as they were written, before any implicit conversion.
        let written = if call.distinct && !call.order_by.is_empty() {
            args.clone()
        } else {
            Vec::new()
        };
        let resolved = if call.star {
            self.resolve_star(call, pos)?
        } else {
            self.resolve_call(call, args, &given, pos)?
        };
        let resolved = match resolved {
            Ok(mut resolved) => {
                let function = resolved.function.oid;
                if self.cx.catalog.privileges.contains_key(&(function, 0)) {
                    self.calls_function(function);
                }
                if let (Some(role), NEXTVAL | CURRVAL | SETVAL | SETVAL_CALLED) = (self.definer(), function) {
                    resolved.args.push(self.constant(Datum::Oid(role), PgType::OID, None));
                }
                resolved
            }
            // The name of a type called like a function is a cast.
            Err(cast) => return self.plain_only(call, cast, pos),
        };
        match resolved.function.kernel {
            Kernel::Aggregate(_) if aggregate_kind(resolved.function.name) != AggregateKind::Plain => {
                let (state, message) = if call.over.is_some() {
                    let kind = "OVER is not supported for ordered-set aggregate";
                    (SqlState::FEATURE_NOT_SUPPORTED, format!("{kind} {name}"))
                } else {
                    let kind = "WITHIN GROUP is required for ordered-set aggregate";
                    (SqlState::WRONG_OBJECT_TYPE, format!("{kind} {name}"))
                };
                Err(SqlError::new(state, message).at(at(pos)))
            }
            Kernel::Aggregate(_) if windowed_aggregate => self.window_call(call, resolved, scope, pos),
            Kernel::Aggregate(_) => {
                if !call.star && call.args.is_empty() {
                    let message = format!("{}(*) must be used to call a parameterless aggregate function", call.name);
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(at(pos)));
                }
                let order_by = scope.within(Clause::AggregateArgument, || self.sort_keys(&call.order_by, scope))?;
                if call.distinct && order_by.iter().any(|k| !written.iter().any(|a| walk::same(a, &k.expr))) {
                    return Err(SqlError::new(
                        SqlState::INVALID_COLUMN_REFERENCE,
                        "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
                    )
                    .at(order_by.first().and_then(|k| walk::location(&k.expr))));
                }
                self.aggregate(call, resolved, order_by, scope, &before, pos)
            }
            Kernel::Window(_) => {
                if call.over.is_none() {
                    let message = format!("window function {} requires an OVER clause", call.name);
                    return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(at(pos)));
                }
                self.window_call(call, resolved, scope, pos)
            }
            Kernel::Set(_) => {
                self.not_aggregate(call, pos)?;
                self.check_clause(Kind::Set, scope, pos)?;
                let output = self.column(resolved.ret);
                if !resolved.function.columns.is_empty() {
                    self.records.borrow_mut().insert(output.id, record_columns(&resolved).into());
                }
                let kind = ExprKind::Column(output.id);
                scope.sets.borrow_mut().push((output, resolved.function.oid, resolved.args));
                Ok(Expr {
                    kind,
                    ty: resolved.ret,
                    position: at(pos),
                })
            }
            _ => {
                self.not_aggregate(call, pos)?;
                Ok(self.call_function(resolved.function.oid, resolved.args, resolved.ret, at(pos)))
            }
        }
    }

    /// A call with named arguments as one without: in the function's order, with its defaults in between.
    fn positional(&self, call: &FunctionCall, scope: &Scope<'_>, pos: u32) -> Result<FunctionCall> {
        let first_named = call.args.iter().position(|a| a.name.is_some()).unwrap_or(call.args.len());
        if call.args[first_named..].iter().any(|a| a.name.is_none()) {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "positional argument cannot follow named argument").at(at(pos)));
        }
        let arranged = |f: &curia_functions::Function| -> Option<Vec<Option<ast::Expr>>> {
            let names = curia_functions::argument_names(f.oid);
            if names.len() != f.args.len() || call.args.len() > names.len() {
                return None;
            }
            let mut places: Vec<Option<ast::Expr>> = vec![None; names.len()];
            for (i, arg) in call.args.iter().enumerate() {
                let place = match &arg.name {
                    Some(name) => names.iter().position(|n| *n == name.name)?,
                    None => i,
                };
                if places[place].replace(arg.value.clone()).is_some() {
                    return None;
                }
            }
            let required = names.len() - f.defaults.len();
            places[..required].iter().all(Option::is_some).then_some(places)
        };
        let candidates = curia_functions::candidates(call.name.name());
        let found = candidates
            .iter()
            .filter_map(|f| Some((*f, arranged(f)?)))
            .min_by_key(|(f, _)| f.args.len());
        let Some((function, places)) = found else {
            let mut given = Vec::with_capacity(call.args.len());
            for arg in &call.args {
                let ty = type_text(self.expr(&arg.value, scope)?.ty.oid);
                given.push(arg.name.as_ref().map_or_else(|| ty.clone(), |n| format!("{} => {ty}", n.name)));
            }
            let message = format!("function {}({}) does not exist", call.name, given.join(", "));
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
                .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
                .at(at(pos)));
        };
        let missing = function.args.len() - function.defaults.len();
        let mut args = Vec::with_capacity(places.len());
        for (i, place) in places.into_iter().enumerate() {
            let value = match place {
                Some(value) => value,
                None => curia_parse::parse_expression(function.defaults[i - missing])?,
            };
            args.push(ast::FunctionArg { name: None, value });
        }
        Ok(FunctionCall { args, ..call.clone() })
    }

    fn plain_only(&self, call: &FunctionCall, value: Expr, pos: u32) -> Result<Expr> {
        self.not_aggregate(call, pos)?;
        Ok(value)
    }

    /// Refuses aggregate syntax on other functions.
    pub fn not_aggregate(&self, call: &FunctionCall, pos: u32) -> Result<()> {
        let name = &call.name;
        let message = if call.distinct {
            format!("DISTINCT specified, but {name} is not an aggregate function")
        } else if !call.within_group.is_empty() {
            format!("WITHIN GROUP specified, but {name} is not an aggregate function")
        } else if !call.order_by.is_empty() {
            format!("ORDER BY specified, but {name} is not an aggregate function")
        } else if call.filter.is_some() {
            format!("FILTER specified, but {name} is not an aggregate function")
        } else if call.over.is_some() {
            format!("OVER specified, but {name} is not a window function nor an aggregate function")
        } else {
            return Ok(());
        };
        Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(at(pos)))
    }

    /// `f(*)`
    fn resolve_star(&self, call: &FunctionCall, pos: u32) -> Result<std::result::Result<Resolved, Expr>> {
        let candidates = curia_functions::candidates(call.name.name());
        let own = call.name.schema().is_none_or(|s| s == "pg_catalog");
        match candidates.iter().find(|f| own && f.args.is_empty()) {
            Some(f) if f.is_aggregate() => Ok(Ok(Resolved {
                function: f,
                args: Vec::new(),
                ret: PgType { oid: f.ret, typmod: -1 },
            })),
            Some(_) => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("{}(*) specified, but {} is not an aggregate function", call.name, call.name),
            )
            .at(at(pos))),
            None => Err(no_function(&call.name.to_string(), &[], false, pos)),
        }
    }

    /// Finds the function; `Err` inside is the cast that a type's name means.
    pub(crate) fn resolve_call(
        &self,
        call: &FunctionCall,
        args: Vec<Expr>,
        given: &[u32],
        pos: u32,
    ) -> Result<std::result::Result<Resolved, Expr>> {
        let shown = call.name.to_string();
        // Functions of information_schema are found there only.
        let home = if call.name.name().starts_with("_pg_") {
            Some("information_schema")
        } else {
            None
        };
        if call.name.schema() != home && (home.is_some() || call.name.schema() != Some("pg_catalog")) {
            return Err(no_function(&shown, given, false, pos));
        }
        self.resolve_named(call.name.name(), &shown, args, given, call.variadic, pos)
    }

    fn resolve_named(
        &self,
        name: &str,
        shown: &str,
        mut args: Vec<Expr>,
        given: &[u32],
        variadic: bool,
        pos: u32,
    ) -> Result<std::result::Result<Resolved, Expr>> {
        let candidates = function_candidates(name, given.len(), variadic);
        let exact = candidates.iter().any(|c| c.args == given);
        if !exact && args.len() == 1 {
            // A type's name with one argument: a cast, if the argument is a literal or the types allow it without a function.
            let named = self.cx.catalog.type_named(self.cx.search_path, name);
            if let Some(target) = named.filter(|t| type_info::category(*t) != 'P' && type_info::is_supported(*t)) {
                let relabel = matches!(
                    curia_functions::coercion(given[0], target, CastContext::Explicit),
                    Some(curia_functions::Coercion::Relabel | curia_functions::Coercion::Io)
                );
                if given[0] == oid::UNKNOWN || relabel {
                    let arg = args.remove(0);
                    let target = PgType { oid: target, typmod: -1 };
                    if let Some(mut cast) = self.coerce(arg, target, CastContext::Explicit)? {
                        cast.position = cast.position.or(at(pos));
                        return Ok(Err(cast));
                    }
                    return Err(no_function(shown, given, false, pos));
                }
            }
        }
        match choose(candidates, given) {
            Choice::One(c) => self.finish_call(c.what, c.args, args, given, variadic, pos).map(Ok),
            Choice::Ambiguous => Err(no_function(shown, given, true, pos)),
            Choice::None => match self.attribute_called(name, &args, pos) {
                Some(field) => Ok(Err(field)),
                None => Err(no_function(shown, given, false, pos)),
            },
        }
    }

    fn finish_call(
        &self,
        found: FunctionMatch,
        mut declared: Vec<u32>,
        args: Vec<Expr>,
        given: &[u32],
        variadic: bool,
        pos: u32,
    ) -> Result<Resolved> {
        let function = found.function;
        if variadic && function.variadic != 0 {
            let last = given.len().saturating_sub(1);
            let position = args.last().and_then(|a| a.position);
            if given
                .get(last)
                .is_none_or(|t| *t != oid::UNKNOWN && crate::coerce::element_of(*t).is_none())
            {
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, "VARIADIC argument must be an array").at(position));
            }
        }
        let ret = concretize(&mut declared, given, function.ret).map_err(|e| e.at(at(pos)))?;
        let mut bound = Vec::with_capacity(args.len());
        for (arg, ty) in args.into_iter().zip(&declared) {
            // A literal stays unknown: pg_typeof('x') says so. A parameter must become something.
            bound.push(if *ty == oid::ANY && matches!(arg.kind, ExprKind::Const(_)) {
                arg
            } else if *ty == oid::ANY {
                self.text_if_unknown(arg)?
            } else {
                self.implicit(arg, *ty)?
            });
        }
        if variadic
            && function.variadic == oid::ANY
            && let Some(array) = bound.pop()
        {
            // The kernel is told by this type that the elements are meant.
            bound.push(Expr {
                position: array.position,
                kind: ExprKind::Relabel(Box::new(array)),
                ty: PgType {
                    oid: oid::ANYARRAY,
                    typmod: -1,
                },
            });
        }
        if let Some(from) = found.variadic_from
            && function.variadic != oid::ANY
        {
            let elements = bound.split_off(from);
            let element = declared.get(from).copied().unwrap_or(function.variadic);
            let array = type_info::array_of(element).ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("could not find array type for data type {}", type_text(element)),
                )
            })?;
            bound.push(Expr {
                kind: ExprKind::Array(elements),
                ty: PgType { oid: array, typmod: -1 },
                position: at(pos),
            });
        }
        for i in function.args.len() - found.defaulted..function.args.len() {
            let text = function.defaults[function.defaults.len() - (function.args.len() - i)];
            let default = self.expr(&curia_parse::parse_expression(text)?, &Scope::root())?;
            bound.push(self.implicit(default, function.args[i])?);
        }
        Ok(Resolved {
            function,
            args: bound,
            ret: PgType { oid: ret, typmod: -1 },
        })
    }

    /// Calls a function of `pg_catalog` by name.
    pub fn named_call(&self, name: &str, args: Vec<Expr>, pos: u32) -> Result<Expr> {
        let given: Vec<u32> = args.iter().map(|a| a.ty.oid).collect();
        match self.resolve_named(name, name, args, &given, false, pos)? {
            Ok(r) => Ok(self.call_function(r.function.oid, r.args, r.ret, at(pos))),
            Err(cast) => Ok(cast),
        }
    }

    /// A function in FROM, resolved but not called.
    pub fn function_in_from(&self, call: &FunctionCall, scope: &Scope<'_>, pos: u32) -> Result<std::result::Result<Resolved, Expr>> {
        self.not_aggregate(call, pos)?;
        if call.star {
            return Err(no_function(&call.name.to_string(), &[], false, pos));
        }
        let args = call
            .args
            .iter()
            .map(|a| self.expr_in(&a.value, scope, Clause::From))
            .collect::<Result<Vec<_>>>()?;
        let given: Vec<u32> = args.iter().map(|a| a.ty.oid).collect();
        let resolved = self.resolve_call(call, args, &given, pos)?;
        if let Ok(r) = &resolved {
            if r.function.is_aggregate() {
                return Err(
                    SqlError::new(SqlState::GROUPING_ERROR, "aggregate functions are not allowed in functions in FROM").at(at(pos)),
                );
            }
            if r.function.is_window() {
                return Err(SqlError::new(SqlState::WINDOWING_ERROR, "window functions are not allowed in functions in FROM").at(at(pos)));
            }
        }
        Ok(resolved)
    }

    fn aggregate(
        &self,
        call: &FunctionCall,
        resolved: Resolved,
        order_by: Vec<SortKey>,
        scope: &Scope<'_>,
        before: &Before,
        pos: u32,
    ) -> Result<Expr> {
        if scope.windows.borrow().len() > before.windows {
            return Err(SqlError::new(
                SqlState::GROUPING_ERROR,
                "aggregate function calls cannot contain window function calls",
            )
            .at(at(pos)));
        }
        if scope.sets.borrow().len() > before.sets {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "aggregate function calls cannot contain set-returning function calls",
            )
            .at(at(pos)));
        }
        if call.distinct {
            for arg in &resolved.args {
                self.check_hashable(arg)?;
            }
        }
        let filter = match &call.filter {
            Some(f) => Some(self.condition(f, scope, Clause::Filter, "FILTER")?),
            None => None,
        };
        let mut resolved = resolved;
        if let Some(filter) = filter.as_ref().filter(|f| !walk::is_volatile(f)) {
            // An argument that can fail is computed for the rows that pass, wherever the filter itself is applied.
            for arg in &mut resolved.args {
                if matches!(arg.kind, ExprKind::Call { .. } | ExprKind::IoCast(_)) {
                    *arg = Expr {
                        ty: arg.ty,
                        position: arg.position,
                        kind: ExprKind::Case {
                            branches: vec![(filter.clone(), arg.clone())],
                            otherwise: None,
                        },
                    };
                }
            }
        }
        // An aggregate belongs to the level of its innermost columns.
        let mut used = Vec::new();
        for e in resolved.args.iter().chain(order_by.iter().map(|k| &k.expr)).chain(&filter) {
            walk::columns_of(e, &mut |id| used.push(id));
        }
        let (depth, level) = scope.level_of(&used);
        if depth > 0 && level.clause.get() == Clause::From {
            let message = "aggregate functions are not allowed in FROM clause of their own query level";
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(at(pos)));
        }
        self.check_clause(Kind::Aggregate, level, pos)?;
        if level.recursing.get() {
            let message = "aggregate functions are not allowed in a recursive query's recursive term";
            return Err(SqlError::new(crate::recursion::RECURSION, message).at(at(pos)));
        }
        let ty = resolved.ret;
        let mut aggregates = level.aggregates.borrow_mut();
        if aggregates.iter().any(|a| used.contains(&a.output.id)) {
            let message = "aggregate function calls cannot be nested";
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(at(pos)));
        }
        let reusable = |a: &&Aggregate| {
            a.function == resolved.function.oid
                && a.distinct == call.distinct
                && a.order_by.is_empty()
                && order_by.is_empty()
                && a.args.len() == resolved.args.len()
                && a.args
                    .iter()
                    .zip(&resolved.args)
                    .all(|(x, y)| walk::same(x, y) && !walk::is_volatile(x))
                && match (&a.filter, &filter) {
                    (None, None) => true,
                    (Some(x), Some(y)) => walk::same(x, y),
                    _ => false,
                }
        };
        if let Some(a) = aggregates.iter().find(reusable) {
            if depth > 0 {
                scope.refer_instead(&before.outer, depth, a.output.id);
            }
            return Ok(Expr {
                kind: ExprKind::Column(a.output.id),
                ty,
                position: at(pos),
            });
        }
        let output = self.column(ty);
        let id = output.id;
        if depth > 0 {
            scope.refer_instead(&before.outer, depth, id);
        }
        aggregates.push(Aggregate {
            output,
            function: resolved.function.oid,
            args: resolved.args,
            distinct: call.distinct,
            order_by,
            filter,
        });
        Ok(Expr {
            kind: ExprKind::Column(id),
            ty,
            position: at(pos),
        })
    }

    fn window_call(&self, call: &FunctionCall, resolved: Resolved, scope: &Scope<'_>, pos: u32) -> Result<Expr> {
        self.check_clause(Kind::Window, scope, pos)?;
        if call.distinct {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "DISTINCT is not implemented for window functions").at(at(pos)));
        }
        if !call.order_by.is_empty() {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "aggregate ORDER BY is not implemented for window functions",
            )
            .at(at(pos)));
        }
        if call.filter.is_some() && resolved.function.is_window() {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "FILTER is not implemented for non-aggregate window functions",
            )
            .at(at(pos)));
        }
        let mut used = Vec::new();
        for arg in &resolved.args {
            walk::columns_of(arg, &mut |id| used.push(id));
        }
        if scope.windows.borrow().iter().any(|w| used.contains(&w.output.id)) {
            return Err(SqlError::new(SqlState::WINDOWING_ERROR, "window function calls cannot be nested").at(at(pos)));
        }
        let filter = match &call.filter {
            Some(f) => Some(self.condition(f, scope, Clause::Filter, "FILTER")?),
            None => None,
        };
        let spec = match &call.over {
            Some(Over::Named(name)) => {
                let windows = scope.named_windows.borrow();
                let found = windows.iter().find(|(n, _)| n.name == name.name).map(|(_, s)| s.clone());
                found.ok_or_else(|| {
                    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("window \"{}\" does not exist", name.name)).at(at(name.pos))
                })?
            }
            Some(Over::Spec(spec)) => spec.clone(),
            None => return Err(SqlError::internal("window call without OVER")),
        };
        let (partition_by, order_by, frame) = self.window(&spec, scope, 0)?;
        let output = self.column(resolved.ret);
        let kind = ExprKind::Column(output.id);
        let (function, args, ty) = (resolved.function.oid, resolved.args, resolved.ret);
        if let Some(Over::Named(name)) = &call.over {
            self.note_window(output.id, name);
        }
        scope.windows.borrow_mut().push(WindowCall {
            output,
            function,
            args,
            filter,
            partition_by,
            order_by,
            frame,
        });
        Ok(Expr {
            kind,
            ty,
            position: at(pos),
        })
    }

    #[allow(clippy::type_complexity)] // the three parts of a window, taken apart at once
    fn window(&self, spec: &ast::WindowSpec, scope: &Scope<'_>, depth: usize) -> Result<(Vec<Expr>, Vec<SortKey>, Option<WindowFrame>)> {
        let mut partition_by = Vec::new();
        for e in &spec.partition_by {
            let e = self.expr_in(e, scope, Clause::WindowPartition)?;
            partition_by.push(self.text_if_unknown(e)?);
        }
        let mut order_by = scope.within(Clause::WindowOrder, || self.sort_keys(&spec.order_by, scope))?;
        if let Some(base) = &spec.base {
            let found = scope
                .named_windows
                .borrow()
                .iter()
                .find(|(n, _)| n.name == base.name)
                .map(|(_, s)| s.clone());
            let position = at(base.pos);
            let base_spec = found.filter(|_| depth < 100).ok_or_else(|| {
                SqlError::new(SqlState::UNDEFINED_OBJECT, format!("window \"{}\" does not exist", base.name)).at(position)
            })?;
            let refuse = |what: &str| Err(SqlError::new(SqlState::WINDOWING_ERROR, what.to_owned()).at(position));
            if !partition_by.is_empty() {
                return refuse(&format!("cannot override PARTITION BY clause of window \"{}\"", base.name));
            }
            let (base_partition, base_order, _) = self.window(&base_spec, scope, depth + 1)?;
            if !order_by.is_empty() && !base_order.is_empty() {
                return refuse(&format!("cannot override ORDER BY clause of window \"{}\"", base.name));
            }
            if base_spec.frame.is_some() {
                return refuse(&format!("cannot copy window \"{}\" because it has a frame clause", base.name));
            }
            partition_by = base_partition;
            if order_by.is_empty() {
                order_by = base_order;
            }
        }
        let frame = match &spec.frame {
            Some(f) => Some(self.frame(f, &order_by, scope)?),
            None => None,
        };
        Ok((partition_by, order_by, frame))
    }

    fn frame(&self, frame: &ast::Frame, order_by: &[SortKey], scope: &Scope<'_>) -> Result<WindowFrame> {
        let unit = frame.unit;
        if unit == FrameUnit::Groups && order_by.is_empty() {
            return Err(SqlError::new(SqlState::WINDOWING_ERROR, "GROUPS mode requires an ORDER BY clause").at(at(frame.pos)));
        }
        let offset = |e: &ast::Expr| -> Result<Box<Expr>> {
            let e = self.expr_in(e, scope, Clause::WindowFrame)?;
            let target = match (unit, order_by) {
                (FrameUnit::Range, [key]) => range_offset(&key.expr, &e)?,
                (FrameUnit::Range, _) => {
                    let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
                    return Err(SqlError::new(SqlState::WINDOWING_ERROR, message).at(at(frame.pos)));
                }
                _ => PgType::INT8,
            };
            let what = match unit {
                FrameUnit::Rows => "ROWS",
                FrameUnit::Range => "RANGE",
                FrameUnit::Groups => "GROUPS",
            };
            let mut columns = false;
            let own = |id: ColId| scope.items.iter().flat_map(|i| &i.columns).any(|c| c.column.id == id);
            walk::columns_of(&e, &mut |id| columns |= own(id));
            if columns {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!("argument of {what} must not contain variables"),
                )
                .at(e.position));
            }
            let e = self.specific(e, target, what)?;
            // RANGE adds integers as int8, whichever their width.
            Ok(Box::new(
                if unit == FrameUnit::Range && target.oid != PgType::INT8.oid && is_integer(target.oid) {
                    self.specific(e, PgType::INT8, what)?
                } else {
                    e
                },
            ))
        };
        let bound = |b: &ast::FrameBound| -> Result<FrameBound> {
            Ok(match b {
                ast::FrameBound::UnboundedPreceding => FrameBound::UnboundedPreceding,
                ast::FrameBound::Preceding(e) => FrameBound::Preceding(offset(e)?),
                ast::FrameBound::CurrentRow => FrameBound::CurrentRow,
                ast::FrameBound::Following(e) => FrameBound::Following(offset(e)?),
                ast::FrameBound::UnboundedFollowing => FrameBound::UnboundedFollowing,
            })
        };
        Ok(WindowFrame {
            unit,
            start: bound(&frame.start)?,
            end: bound(&frame.end)?,
            exclude: frame.exclude,
        })
    }

    /// Refuses aggregates, window functions and sets in clauses that cannot have them.
    fn check_clause(&self, kind: Kind, scope: &Scope<'_>, pos: u32) -> Result<()> {
        let clause = scope.clause.get();
        let place = match clause {
            Clause::Select | Clause::OrderBy | Clause::DistinctOn => return Ok(()),
            Clause::Having if kind == Kind::Aggregate => return Ok(()),
            Clause::GroupBy if kind == Kind::Set => return Ok(()),
            Clause::WindowPartition | Clause::WindowOrder if kind != Kind::Window => return Ok(()),
            Clause::AggregateArgument => {
                let (state, message) = match kind {
                    Kind::Aggregate => (SqlState::GROUPING_ERROR, "aggregate function calls cannot be nested"),
                    Kind::Window => (
                        SqlState::GROUPING_ERROR,
                        "aggregate function calls cannot contain window function calls",
                    ),
                    Kind::Set => (
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "aggregate function calls cannot contain set-returning function calls",
                    ),
                };
                return Err(SqlError::new(state, message).at(at(pos)));
            }
            Clause::From => "functions in FROM",
            Clause::Where | Clause::ConflictWhere => "WHERE",
            Clause::On => "JOIN conditions",
            Clause::MergeWhen => "MERGE WHEN conditions",
            Clause::GroupBy => "GROUP BY",
            Clause::Having => "HAVING",
            Clause::Limit => "LIMIT",
            Clause::Offset => "OFFSET",
            Clause::Values => "VALUES",
            Clause::Returning => "RETURNING",
            Clause::UpdateSet => "UPDATE",
            Clause::Check => "check constraints",
            Clause::Generated => "column generation expressions",
            Clause::Default => "DEFAULT expressions",
            Clause::PartitionKey => "partition key expressions",
            Clause::PartitionBound => "partition bound",
            Clause::Filter => "FILTER",
            Clause::WindowPartition | Clause::WindowOrder => "window definitions",
            Clause::WindowFrame => "window ROWS",
            Clause::AlterUsing => "transform expressions",
            Clause::IndexExpression => "index expressions",
            Clause::IndexPredicate => "index predicates",
            Clause::CopyWhere => "COPY FROM WHERE conditions",
        };
        let (state, what) = match kind {
            Kind::Aggregate => (SqlState::GROUPING_ERROR, "aggregate functions"),
            Kind::Window => (SqlState::WINDOWING_ERROR, "window functions"),
            Kind::Set => (SqlState::FEATURE_NOT_SUPPORTED, "set-returning functions"),
        };
        Err(SqlError::new(state, format!("{what} are not allowed in {place}")).at(at(pos)))
    }

    /// Refuses types without equality where values are grouped or compared.
    pub fn check_hashable(&self, e: &Expr) -> Result<()> {
        if e.ty.oid == oid::RECORD || (!is_geometric(e.ty.oid) && self.find_operator(&operator("="), e.ty.oid, e.ty.oid, 0).is_ok()) {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("could not identify an equality operator for type {}", type_text(e.ty.oid)),
        )
        .at(e.position))
    }
}

fn aggregates_allowed(clause: Clause) -> bool {
    matches!(
        clause,
        Clause::Select
            | Clause::OrderBy
            | Clause::DistinctOn
            | Clause::Having
            | Clause::WindowPartition
            | Clause::WindowOrder
            | Clause::AggregateArgument
    )
}

fn is_integer(ty: u32) -> bool {
    matches!(ty, oid::INT2 | oid::INT4 | oid::INT8)
}

/// The type of a RANGE offset for a key's type, as the `in_range` functions of PostgreSQL have it.
fn range_offset(key: &Expr, offset: &Expr) -> Result<PgType> {
    let plain = |oid| PgType { oid, typmod: -1 };
    let given = offset.ty.oid;
    let unknown = given == oid::UNKNOWN;
    let position = walk::location(offset);
    let key = key.ty.oid;
    let (target, fits) = match key {
        oid::INT2 | oid::INT4 | oid::INT8 => (if is_integer(given) { given } else { key }, is_integer(given)),
        oid::FLOAT4 | oid::FLOAT8 => (
            oid::FLOAT8,
            is_integer(given) || matches!(given, oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC),
        ),
        oid::NUMERIC => (oid::NUMERIC, is_integer(given) || given == oid::NUMERIC),
        oid::DATE | oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL => (oid::INTERVAL, given == oid::INTERVAL),
        _ => {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!(
                    "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {}",
                    type_text(key)
                ),
            )
            .at(position));
        }
    };
    if fits || unknown {
        return Ok(plain(target));
    }
    Err(SqlError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!(
            "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {} and offset type {}",
            type_text(key),
            type_text(given)
        ),
    )
    .hint("Cast the offset value to an appropriate type.")
    .at(position))
}

pub(crate) fn no_function(name: &str, given: &[u32], ambiguous: bool, pos: u32) -> SqlError {
    let shown = signature(name, given);
    if ambiguous {
        return SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("function {shown} is not unique"))
            .hint("Could not choose a best candidate function. You might need to add explicit type casts.")
            .at(at(pos));
    }
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function {shown} does not exist"))
        .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
        .at(at(pos))
}

/// Names and types of the columns that a function returns.
pub(crate) fn record_columns(call: &Resolved) -> Vec<(String, PgType)> {
    let element = call.args.first().and_then(|a| type_info::element_of(a.ty.oid));
    let columns = call.function.columns.iter().map(|(name, ty)| {
        let ty = match (*ty, element) {
            (oid::ANYELEMENT, Some(element)) => element,
            (ty, _) => ty,
        };
        ((*name).to_owned(), PgType { oid: ty, typmod: -1 })
    });
    columns.collect()
}
