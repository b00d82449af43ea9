//! Functions in SQL: found by name and arguments as built-in ones are, and put in place of their calls.
//!
//! ```text
//!   f(x, y)  with the body  SELECT a + g FROM t WHERE h = b
//!
//!   Join lateral ─┬─ one row: x AS a, y AS b
//!                 └─ the body, which sees that row as an enclosing query's
//! ```
//!
//! A call of a scalar function is a subquery of the first row that this gives, a call in FROM the relation itself. The arguments are
//! computed once. The body is bound anew in each call, so polymorphic parameters have the types of the call.

use crate::binder::{Binder, at};
use crate::call::no_function;
use crate::coerce::{can_coerce, type_text};
use crate::context::BindContext;
use crate::from::Part;
use crate::ir::*;
use crate::resolve::{Candidate, Choice, choose, concretize, function_candidates};
use crate::scope::{Clause, NsColumn, NsItem, Scope};
use crate::select::Unknown;
use crate::walk;
use curia_catalog::{BodyForm, Function, Parameter, temporary};
use curia_functions::CastContext;
use curia_parse::ast::{Alias, FunctionCall, ObjectName, RecordColumn};
use curia_parse::{Parsed, Statement};
use curia_types::{Datum, PgType, Result, SqlError, SqlState, oid, type_info};
use std::rc::Rc;
use std::sync::Arc;

/// 42P13
const INVALID_FUNCTION_DEFINITION: SqlState = SqlState::new("42P13");
/// `unnest(anyarray)`
const UNNEST: u32 = 2331;
/// Functions that call each other, at most.
const MAX_CALLS: u32 = 100;

/// A function that a call means, with its arguments in the order of its inputs.
pub(crate) struct UserCall {
    pub function: Arc<Function>,
    args: Vec<Expr>,
    returns: PgType,
}

/// Which function of the catalog, and where the given arguments go.
#[derive(Clone)]
struct UserMatch {
    function: Arc<Function>,
    /// The input that each given argument is for.
    places: Vec<usize>,
    /// From this argument on, arguments are elements of the VARIADIC array.
    variadic_from: Option<usize>,
}

#[derive(Clone)]
enum Callee {
    BuiltIn,
    User(UserMatch),
}

impl Binder<'_> {
    /// Functions of a name in sight, which are not built in.
    pub fn user_functions(&self, name: &ObjectName) -> Vec<Arc<Function>> {
        let catalog = self.cx.catalog;
        if catalog.functions.is_empty() {
            return Vec::new();
        }
        match name.schema() {
            Some(schema) => catalog
                .schema(temporary::meant(schema, self.cx.search_path))
                .map(|s| catalog.functions_in(s.oid, name.name()).cloned().collect())
                .unwrap_or_default(),
            None => catalog
                .functions_named(self.cx.search_path, name.name())
                .into_iter()
                .cloned()
                .collect(),
        }
    }

    /// The function in SQL that a call means; `None` when it means none.
    pub fn user_call(&self, call: &FunctionCall, args: &[Expr], pos: u32) -> Result<Option<UserCall>> {
        self.check_schema(&call.name)?;
        let functions = self.user_functions(&call.name);
        if functions.is_empty() || call.star {
            return Ok(None);
        }
        let given: Vec<u32> = args.iter().map(|a| a.ty.oid).collect();
        let names: Vec<Option<&str>> = call.args.iter().map(|a| a.name.as_ref().map(|n| n.name.as_str())).collect();
        let mut candidates: Vec<Candidate<Callee>> = Vec::new();
        if call.name.schema().is_none_or(|s| s == "pg_catalog") && names.iter().all(Option::is_none) {
            let built_in = function_candidates(call.name.name(), given.len(), call.variadic);
            candidates.extend(built_in.into_iter().map(|c| Candidate {
                what: Callee::BuiltIn,
                args: c.args,
            }));
        }
        for function in functions {
            candidates.extend(user_candidate(function, &names, call.variadic));
        }
        let found = match choose(candidates, &given) {
            Choice::One(Candidate {
                what: Callee::User(found),
                args: declared,
            }) => (found, declared),
            Choice::One(_) | Choice::None => return Ok(None),
            Choice::Ambiguous => return Err(no_function(&call.name.to_string(), &given, true, pos)),
        };
        let (found, mut declared) = found;
        let returns = concretize(&mut declared, &given, found.function.returns.oid).map_err(|e| e.at(at(pos)))?;
        let inputs: Vec<&Parameter> = found.function.inputs().collect();
        let mut values: Vec<Option<Expr>> = vec![None; inputs.len()];
        let mut elements = Vec::new();
        for (i, (arg, ty)) in args.iter().zip(&declared).enumerate() {
            let value = self.implicit(arg.clone(), *ty)?;
            match found.variadic_from {
                Some(from) if i >= from => elements.push(value),
                _ => values[found.places[i]] = Some(value),
            }
        }
        if let Some(from) = found.variadic_from {
            let element = declared.get(from).copied().unwrap_or(oid::TEXT);
            let array = type_info::array_of(element).ok_or_else(|| {
                let message = format!("could not find array type for data type {}", type_text(element));
                SqlError::new(SqlState::UNDEFINED_OBJECT, message)
            })?;
            values[from] = Some(Expr {
                kind: ExprKind::Array(elements),
                ty: PgType { oid: array, typmod: -1 },
                position: at(pos),
            });
        }
        let mut args = Vec::with_capacity(inputs.len());
        for (value, input) in values.into_iter().zip(inputs) {
            args.push(match (value, &input.default) {
                (Some(value), _) => value,
                (None, Some(text)) => {
                    let default = self.expr(&curia_parse::parse_expression(text)?, &Scope::root())?;
                    walk::without_positions(&self.implicit(default, input.ty.oid)?)
                }
                (None, None) => return Err(SqlError::internal("an argument is left out that has no default")),
            });
        }
        Ok(Some(UserCall {
            function: found.function,
            args,
            returns: PgType { oid: returns, typmod: -1 },
        }))
    }

    /// The value of a call in an expression; a set's comes from the level's sets.
    pub fn user_value(&self, call: UserCall, scope: &Scope<'_>, pos: u32) -> Result<Expr> {
        let (set, returns) = (call.function.set, call.returns);
        // A definition keeps the call; its body takes its place where the definition is used.
        if !self.fold && !set {
            return Ok(Expr {
                kind: ExprKind::Call {
                    function: call.function.oid,
                    args: call.args,
                },
                ty: returns,
                position: at(pos),
            });
        }
        let (rel, columns, mut outer) = self.user_rows(call, None, pos)?;
        let value = match columns.as_slice() {
            [(_, one)] => column(one),
            many => Expr {
                kind: ExprKind::Row(many.iter().map(|(_, c)| column(c)).collect(), None),
                ty: returns,
                position: None,
            },
        };
        let ty = value.ty;
        let output = self.column(ty);
        let rel = Rel::Project {
            input: Box::new(rel),
            columns: vec![(output, value)],
        };
        outer.sort_unstable();
        outer.dedup();
        let subquery = |kind, ty| Expr {
            kind: ExprKind::Subquery {
                kind,
                query: Box::new(rel),
                outer,
            },
            ty,
            position: at(pos),
        };
        if !set {
            let ty = if returns.oid == oid::VOID { returns } else { ty };
            return Ok(subquery(SubqueryKind::Scalar, ty));
        }
        let array = type_info::array_of(ty.oid).filter(|_| type_info::element_of(ty.oid).is_none());
        let array = array.ok_or_else(|| SqlError::unsupported("a set of arrays in a select list").at(at(pos)))?;
        let rows = subquery(SubqueryKind::Array, PgType { oid: array, typmod: -1 });
        let element = self.column(ty);
        let kind = ExprKind::Column(element.id);
        scope.sets.borrow_mut().push((element, UNNEST, vec![rows]));
        Ok(Expr {
            kind,
            ty,
            position: at(pos),
        })
    }

    /// A call in FROM.
    pub fn user_item(
        &self,
        call: UserCall,
        alias: Option<&Alias>,
        definitions: &[RecordColumn],
        left: &[Rc<NsItem>],
        pos: u32,
    ) -> Result<Part> {
        let name = call.function.name.clone();
        self.note_loose(
            pos,
            &Expr {
                kind: ExprKind::Call {
                    function: call.function.oid,
                    args: call.args.clone(),
                },
                ty: call.returns,
                position: at(pos),
            },
        );
        let (rel, mut columns, outer) = self.user_rows(call, Some(definitions), pos)?;
        let single = columns.len() == 1;
        if let ([one], Some(alias)) = (columns.as_mut_slice(), alias)
            && one.0 == name
        {
            one.0.clone_from(&alias.name.name);
        }
        let of_left = |id: &ColId| left.iter().flat_map(|i| &i.columns).any(|c| c.column.id == *id);
        let refers = outer.into_iter().filter(of_left).collect();
        self.function_part(rel, alias, &name, columns, single, refers)
    }

    /// The rows of a call, their columns, and the columns around it that its arguments refer to.
    #[allow(clippy::type_complexity)] // three results of one step
    fn user_rows(
        &self,
        call: UserCall,
        definitions: Option<&[RecordColumn]>,
        pos: u32,
    ) -> Result<(Rel, Vec<(String, RelColumn)>, Vec<ColId>)> {
        let UserCall { function, args, returns } = call;
        let mut outer = Vec::new();
        args.iter().for_each(|a| walk::columns_of(a, &mut |id| outer.push(id)));
        let arguments: Vec<(RelColumn, Expr)> = args.into_iter().map(|a| (self.column(a.ty), a)).collect();
        let inputs: Vec<(String, RelColumn)> = function
            .inputs()
            .zip(&arguments)
            .map(|(p, (c, _))| (p.name.clone(), c.clone()))
            .collect();
        let shape = self.result_shape(&function, returns, definitions.unwrap_or_default(), pos)?;
        if self.calls.get() >= MAX_CALLS {
            let message = format!("a function that calls itself: {}()", function.name);
            return Err(SqlError::unsupported(message).at(at(pos)));
        }
        self.calls.set(self.calls.get() + 1);
        self.calls_function(function.oid);
        let body = self.as_called(&function, || self.body(&function, &inputs, &shape));
        self.calls.set(self.calls.get() - 1);
        // Its positions are in another text than the client's.
        let mut body = body.map_err(|e| SqlError::new(e.code(), e.message().to_owned()).at(at(pos)))?;
        walk::forget_positions(&mut body.rel);
        let (mut rel, outputs) = self.distinct_columns(
            body.rel,
            body.output
                .iter()
                .zip(&shape)
                .map(|(o, (name, _))| (name.clone(), RelColumn { id: o.id, ty: o.ty }))
                .collect(),
        );
        if function.strict {
            let mut terms: Vec<Expr> = arguments
                .iter()
                .map(|(c, _)| Expr {
                    kind: ExprKind::IsNull {
                        arg: Box::new(column(c)),
                        negated: true,
                    },
                    ty: PgType::BOOL,
                    position: None,
                })
                .collect();
            let predicate = match terms.len() {
                0 => None,
                1 => terms.pop(),
                _ => Some(Expr {
                    kind: ExprKind::And(terms),
                    ty: PgType::BOOL,
                    position: None,
                }),
            };
            if let Some(predicate) = predicate {
                // Above LIMIT or not, no argument is a row of the body's.
                rel = Rel::Filter {
                    input: Box::new(rel),
                    predicate,
                };
            }
        }
        if !function.set {
            rel = Rel::Limit {
                input: Box::new(rel),
                limit: Some(Box::new(self.constant(Datum::Int8(1), PgType::INT8, None))),
                offset: None,
                ties: Vec::new(),
            };
        }
        let one_row = Rel::Project {
            input: Box::new(Rel::Unit),
            columns: arguments,
        };
        let rel = Rel::Join {
            kind: if function.set { JoinKind::Inner } else { JoinKind::Left },
            left: Box::new(one_row),
            right: Box::new(rel),
            on: None,
            lateral: true,
        };
        Ok((rel, outputs, outer))
    }

    /// Names and types of the columns that a function gives.
    fn result_shape(&self, function: &Function, returns: PgType, definitions: &[RecordColumn], pos: u32) -> Result<Vec<(String, PgType)>> {
        let outputs: Vec<(String, PgType)> = function
            .outputs()
            .enumerate()
            .map(|(i, p)| {
                let name = if p.name.is_empty() {
                    format!("column{}", i + 1)
                } else {
                    p.name.clone()
                };
                (name, p.ty)
            })
            .collect();
        if !definitions.is_empty() {
            if returns.oid != oid::RECORD || !outputs.is_empty() {
                let message = if outputs.is_empty() {
                    "a column definition list is only allowed for functions returning \"record\""
                } else {
                    "a column definition list is redundant for a function with OUT parameters"
                };
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(definitions.first().and_then(|d| at(d.name.pos))));
            }
            return definitions
                .iter()
                .map(|d| {
                    Ok((
                        d.name.name.clone(),
                        crate::type_name::resolve(&d.ty, self.cx.catalog, self.cx.search_path)?,
                    ))
                })
                .collect();
        }
        if outputs.len() > 1 {
            return Ok(outputs);
        }
        if let [one] = outputs.as_slice() {
            // One column keeps its name when it is a table's, or the function's result by itself.
            return Ok(vec![one.clone()]);
        }
        if let Some(columns) = self.result_columns(returns.oid) {
            return Ok(columns);
        }
        if returns.oid == oid::RECORD {
            let message = "a column definition list is required for functions returning \"record\"";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at(pos)));
        }
        Ok(vec![(function.name.clone(), returns)])
    }

    /// The columns of a composite type.
    fn result_columns(&self, ty: u32) -> Option<Vec<(String, PgType)>> {
        let attributes = self.cx.catalog.attributes_of(ty)?;
        Some(attributes.iter().map(|a| (a.name.to_string(), a.ty)).collect())
    }

    /// The body's rows, converted to the result's columns.
    fn body(&self, function: &Function, inputs: &[(String, RelColumn)], shape: &[(String, PgType)]) -> Result<Query> {
        if function.language != "sql" {
            return Err(SqlError::unsupported(format!("LANGUAGE {}", function.language)));
        }
        let mut statements = curia_parse::parse(&function.body)?;
        let parsed = statements.pop();
        if !statements.is_empty() {
            return Err(SqlError::unsupported("calling a SQL function of several statements"));
        }
        self.last_statement(function, parsed.as_ref(), inputs, shape)
    }

    fn last_statement(
        &self,
        function: &Function,
        parsed: Option<&Parsed>,
        inputs: &[(String, RelColumn)],
        shape: &[(String, PgType)],
    ) -> Result<Query> {
        let void = function.returns.oid == oid::VOID;
        let query = match parsed.map(|p| &p.statement) {
            Some(Statement::Query(q)) => q,
            None if void => {
                return self.nothing();
            }
            None => {
                return Err(mismatch(
                    function,
                    "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.",
                ));
            }
            Some(_) => return Err(SqlError::unsupported("calling a SQL function that does more than query")),
        };
        let depth = parsed.map_or(0, |p| p.depth);
        let scope = arguments(&function.name, inputs);
        let bound = self.as_text_of_its_own(depth, || self.query(query, &scope, Unknown::Keep))?;
        if void {
            return self.of_void(bound);
        }
        self.as_result(function, bound, shape)
    }

    /// One row with a void value.
    fn nothing(&self) -> Result<Query> {
        self.of_void(Query {
            rel: Rel::Unit,
            output: Vec::new(),
        })
    }

    /// A query's rows, as the value of nothing.
    fn of_void(&self, bound: Query) -> Result<Query> {
        let ty = PgType {
            oid: oid::VOID,
            typmod: -1,
        };
        let output = self.column(ty);
        let id = output.id;
        let value = self.constant(Datum::Null, ty, None);
        Ok(Query {
            rel: Rel::Project {
                input: Box::new(bound.rel),
                columns: vec![(output, value)],
            },
            output: vec![OutputColumn {
                name: String::new(),
                id,
                ty,
                origin: None,
            }],
        })
    }

    /// Converts a body's columns as by assignment (`check_sql_fn_retval`).
    fn as_result(&self, function: &Function, bound: Query, shape: &[(String, PgType)]) -> Result<Query> {
        let scalar = shape.len() == 1 && function.returns.oid != oid::RECORD && self.result_columns(function.returns.oid).is_none();
        if bound.output.len() != shape.len() {
            let detail = if scalar {
                "Final statement must return exactly one column."
            } else if bound.output.len() < shape.len() {
                "Final statement returns too few columns."
            } else {
                "Final statement returns too many columns."
            };
            return Err(mismatch(function, detail));
        }
        let types: Vec<PgType> = bound
            .output
            .iter()
            .zip(shape)
            .map(|(o, (_, ty))| {
                if o.ty.oid == oid::UNKNOWN {
                    PgType { oid: ty.oid, typmod: -1 }
                } else {
                    o.ty
                }
            })
            .collect();
        let bound = self.convert_outputs(bound, &types)?;
        let mut columns = Vec::with_capacity(shape.len());
        let mut output = Vec::with_capacity(shape.len());
        for (i, (o, (name, ty))) in bound.output.iter().zip(shape).enumerate() {
            let value = Expr {
                kind: ExprKind::Column(o.id),
                ty: o.ty,
                position: None,
            };
            if !can_coerce(o.ty.oid, ty.oid, CastContext::Assignment) {
                let (is, should) = (type_text(o.ty.oid), type_text(ty.oid));
                let detail = if scalar {
                    format!("Actual return type is {is}.")
                } else {
                    format!("Final statement returns {is} instead of {should} at column {}.", i + 1)
                };
                return Err(mismatch(function, &detail));
            }
            let value = self
                .coerce(value, PgType { oid: ty.oid, typmod: -1 }, CastContext::Assignment)?
                .ok_or_else(|| mismatch(function, "The final statement's type has no conversion."))?;
            let column = self.column(value.ty);
            output.push(OutputColumn {
                name: name.clone(),
                id: column.id,
                ty: column.ty,
                origin: None,
            });
            columns.push((column, value));
        }
        Ok(Query {
            rel: Rel::Project {
                input: Box::new(bound.rel),
                columns,
            },
            output,
        })
    }

    /// Binds every statement of a body for parameters of its declared types.
    fn check_body(&self, function: &Function) -> Result<()> {
        let inputs: Vec<(String, RelColumn)> = function.inputs().map(|p| (p.name.clone(), self.column(p.ty))).collect();
        let mut statements = curia_parse::parse(&function.body)?;
        let last = statements.pop();
        for parsed in &statements {
            self.check_statement(function, parsed, &inputs)?;
        }
        let void = function.returns.oid == oid::VOID;
        match &last {
            Some(parsed) if !matches!(parsed.statement, Statement::Query(_)) => {
                let returning = self.check_statement(function, parsed, &inputs)?;
                if !void && !returning {
                    return Err(mismatch(
                        function,
                        "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.",
                    ));
                }
            }
            _ if function.returns.oid == oid::RECORD && function.outputs().next().is_none() => {
                if let Some(parsed) = &last {
                    self.check_statement(function, parsed, &inputs)?;
                }
            }
            last => {
                let shape = self.result_shape(function, function.returns, &[], 0)?;
                self.last_statement(function, last.as_ref(), &inputs, &shape)?;
            }
        }
        Ok(())
    }

    /// Binds a statement of a body; whether it returns rows.
    fn check_statement(&self, function: &Function, parsed: &Parsed, inputs: &[(String, RelColumn)]) -> Result<bool> {
        let scope = arguments(&function.name, inputs);
        self.as_text_of_its_own(parsed.depth, || {
            self.outermost.set(true);
            let inner = Scope::inside(&scope);
            let bound = match &parsed.statement {
                Statement::Query(q) => Bound::Query(self.query(q, &scope, Unknown::Keep)?),
                Statement::Insert(i) => self.insert(i, inner)?,
                Statement::Update(u) => self.update(u, inner)?,
                Statement::Delete(d) => self.delete(d, inner)?,
                Statement::Unsupported { feature } => return Err(SqlError::unsupported(feature)),
                // What defines or controls is looked at when it runs.
                _ => return Ok(false),
            };
            Ok(matches!(bound, Bound::Query(_)) || bound.returning().is_some())
        })
    }
}

/// A level that shows the arguments: by name, and by the function's name and theirs.
fn arguments(function: &str, inputs: &[(String, RelColumn)]) -> Scope<'static> {
    let mut scope = Scope::root();
    let columns = inputs.iter().map(|(name, column)| NsColumn {
        name: name.clone(),
        column: column.clone(),
        merged: None,
        origin: None,
    });
    scope.items.push(Rc::new(NsItem::new(function, columns.collect())));
    scope.arguments = true;
    scope.clause.set(Clause::Select);
    scope
}

fn column(c: &RelColumn) -> Expr {
    Expr {
        kind: ExprKind::Column(c.id),
        ty: c.ty,
        position: None,
    }
}

fn mismatch(function: &Function, detail: &str) -> SqlError {
    let returns = type_text(function.returns.oid);
    SqlError::new(
        INVALID_FUNCTION_DEFINITION,
        format!("return type mismatch in function declared to return {returns}"),
    )
    .detail(detail)
}

/// A function for arguments of these names, given in this order.
fn user_candidate(function: Arc<Function>, names: &[Option<&str>], explicit_variadic: bool) -> Option<Candidate<Callee>> {
    if function.procedure {
        return None;
    }
    let inputs: Vec<&Parameter> = function.inputs().collect();
    let variadic = inputs.last().is_some_and(|p| p.mode == 'v') && !explicit_variadic;
    let mut places = Vec::with_capacity(names.len());
    let mut args = Vec::with_capacity(names.len());
    let mut variadic_from = None;
    for (i, name) in names.iter().enumerate() {
        match name {
            None if variadic && i + 1 >= inputs.len() => {
                variadic_from = Some(inputs.len() - 1);
                let array = inputs.last()?.ty.oid;
                let element = match array {
                    oid::ANYARRAY => oid::ANYELEMENT,
                    oid::ANYCOMPATIBLEARRAY => oid::ANYCOMPATIBLE,
                    _ => type_info::element_of(array)?,
                };
                places.push(inputs.len() - 1);
                args.push(element);
            }
            None => {
                args.push(inputs.get(i)?.ty.oid);
                places.push(i);
            }
            Some(name) => {
                let at = inputs.iter().position(|p| p.name == *name)?;
                if places.contains(&at) {
                    return None;
                }
                args.push(inputs[at].ty.oid);
                places.push(at);
            }
        }
    }
    let filled = |i: usize| places.contains(&i) || inputs[i].default.is_some();
    (0..inputs.len()).all(filled).then(|| Candidate {
        what: Callee::User(UserMatch {
            function: function.clone(),
            places,
            variadic_from,
        }),
        args,
    })
}

/// Whether a built-in function has this name and takes arguments of exactly these types.
pub fn is_built_in_function(name: &str, types: &[u32]) -> bool {
    curia_functions::candidates(name).iter().any(|f| f.args == types)
}

/// Checks a function that is to be made: its body has to bind, and to give what it says. `depth` is that of its text.
///
/// # Errors
/// 42P13 for a body of another result; those of binding.
pub fn check_function(cx: &BindContext<'_>, function: &Function) -> Result<()> {
    let depth = curia_parse::parse(&function.body)?.iter().map(|p| p.depth).max().unwrap_or(0);
    let polymorphic =
        function.parameters.iter().any(|p| type_info::is_polymorphic(p.ty.oid)) || type_info::is_polymorphic(function.returns.oid);
    if polymorphic {
        return Ok(());
    }
    crate::view::with_depth(depth, |depth| {
        let binder = Binder::new(cx, depth, true);
        binder.check_body(function).map_err(|e| {
            // Its positions are in the body.
            let mut error = SqlError::new(e.code(), e.message().to_owned());
            if let Some(detail) = &e.fields().detail {
                error = error.detail(detail);
            }
            if let Some(hint) = &e.fields().hint {
                error = error.hint(hint);
            }
            match function.form {
                BodyForm::Text => error.context(format!("SQL function \"{}\"", function.name)),
                BodyForm::Return | BodyForm::Atomic => error,
            }
        })
    })
}
