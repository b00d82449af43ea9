//! Typed expressions as SQL text, in the form of PostgreSQL's `pg_get_expr`; constraints and indexes as `pg_get_constraintdef` and
//! `pg_get_indexdef` print them.
//!
//! The text of an expression binds back to the same expression.

use crate::ir::*;
use curia_catalog::{Catalog, Constraint, ConstraintKind, ForeignKey, ForeignKeyAction, Index, IndexKey, KeyOf, Table, Timing};
use curia_functions::{CastMethod, Function};
use curia_parse::{ast, quote_identifier};
use curia_types::{Datum, IoContext, PgType, oid, text_io, type_info};
use std::sync::Arc;

/// Gives the text of what is not shown as in a definition.
pub type Special<'a> = &'a dyn Fn(&Expr) -> Option<String>;

/// How an expression is shown.
pub struct Deparse<'a> {
    /// The name of a column (already quoted); `None` prints `?`.
    pub column: &'a dyn Fn(ColId) -> Option<String>,
    /// Prints regclass constants by name, qualified where the search path does not find them; without it by OID, which survives renaming.
    pub names: Option<(&'a Catalog, &'a [String])>,
    /// Leaves out parentheses that are not needed, as the `pretty` argument of PostgreSQL's functions does.
    pub pretty: bool,
    /// Where functions that are not built in have their names.
    pub catalog: &'a Catalog,
    /// What is shown in another way.
    pub special: Option<Special<'a>>,
}

/// `pg_proc.oid` of now().
const NOW: u32 = 1299;

impl Deparse<'_> {
    /// The text of an expression.
    pub fn text(&self, e: &Expr) -> String {
        if let Some(text) = self.special.and_then(|special| special(e)) {
            return text;
        }
        let list = |items: &[Expr]| items.iter().map(|e| self.text(e)).collect::<Vec<_>>().join(", ");
        let joined = |items: &[Expr], word: &str| {
            let item = |e: &Expr| match e.kind {
                // An OR inside an AND keeps its parentheses, an AND inside an OR needs none when they are left out.
                ExprKind::Or(_) => self.operand(e),
                ExprKind::InList { .. } | ExprKind::ArrayCompare { .. } => self.operand(e),
                _ => self.text(e),
            };
            self.wrapped(items.iter().map(item).collect::<Vec<_>>().join(word))
        };
        match &e.kind {
            ExprKind::Const(value) => self.constant(value, e.ty),
            ExprKind::Param(n) => format!("${}", n + 1),
            ExprKind::Column(id) => (self.column)(*id).unwrap_or_else(|| "?".to_owned()),
            ExprKind::Call { function, args } => self.call(*function, args, e.ty),
            ExprKind::IoCast(arg) | ExprKind::Relabel(arg) => self.cast(arg, e.ty),
            ExprKind::And(items) => joined(items, " AND "),
            ExprKind::Or(items) => joined(items, " OR "),
            ExprKind::Not(arg) => self.wrapped(format!("NOT {}", self.operand(arg))),
            ExprKind::IsNull { arg, negated } => self.wrapped(format!("{} IS {}NULL", self.operand(arg), not(*negated))),
            ExprKind::IsBool { arg, test, negated } => {
                let word = match test {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                self.wrapped(format!("{} IS {}{word}", self.operand(arg), not(*negated)))
            }
            ExprKind::IsDistinct { args, negated, .. } => self.wrapped(format!(
                "{} IS {}DISTINCT FROM {}",
                self.operand(&args.0),
                not(*negated),
                self.operand(&args.1)
            )),
            ExprKind::Case { branches, otherwise } => {
                let mut out = "CASE".to_owned();
                for (condition, result) in branches {
                    out.push_str(&format!(" WHEN {} THEN {}", self.text(condition), self.text(result)));
                }
                match otherwise {
                    Some(o) => out.push_str(&format!(" ELSE {}", self.text(o))),
                    None => out.push_str(&format!(" ELSE NULL::{}", type_name(e.ty, self.names))),
                }
                out.push_str(" END");
                out
            }
            ExprKind::Coalesce(args) => format!("COALESCE({})", list(args)),
            ExprKind::NullIf { args, .. } => format!("NULLIF({}, {})", self.text(&args.0), self.text(&args.1)),
            ExprKind::MinMax { args, greatest, .. } => format!("{}({})", if *greatest { "GREATEST" } else { "LEAST" }, list(args)),
            ExprKind::InList {
                arg, list: items, negated, ..
            } => {
                let op = if *negated { "<> ALL" } else { "= ANY" };
                self.wrapped(format!("{} {op} (ARRAY[{}])", self.operand(arg), list(items)))
            }
            ExprKind::ArrayCompare { arg, array, function, all } => {
                let op = operator_of(*function).map_or("=", |o| o.name);
                let word = if *all { "ALL" } else { "ANY" };
                self.wrapped(format!("{} {op} {word} ({})", self.operand(arg), self.text(array)))
            }
            ExprKind::Array(items) if items.is_empty() => format!("ARRAY[]::{}", type_name(e.ty, self.names)),
            ExprKind::Array(items) => format!("ARRAY[{}]", list(items)),
            ExprKind::Subscript { array, subscripts } => {
                let subscripts: String = subscripts.iter().map(|s| format!("[{}]", self.text(s))).collect();
                self.subscripted(array, &subscripts)
            }
            ExprKind::Slice { array, bounds, shape } | ExprKind::SetElements { array, bounds, shape, .. } => {
                let mut bounds = bounds.iter().map(|b| self.text(b));
                let mut given = |is: bool| if is { bounds.next() } else { None }.unwrap_or_default();
                let subscripts: String = shape
                    .iter()
                    .map(|b| match b {
                        Bounds::Index => format!("[{}]", given(true)),
                        Bounds::Slice { low, high } => format!("[{}:{}]", given(*low), given(*high)),
                    })
                    .collect();
                self.subscripted(array, &subscripts)
            }
            ExprKind::Row(items, _) if type_info::is_composite(e.ty.oid) => {
                format!("ROW({})::{}", list(items), type_name(e.ty, self.names))
            }
            ExprKind::Row(items, _) => format!("ROW({})", list(items)),
            ExprKind::Field { record, index } => {
                let attributes = self.names.and_then(|(c, _)| c.attributes_of(type_info::base_type(record.ty.oid)));
                let name = attributes.and_then(|a| a.get(*index).map(|a| a.name.to_string()));
                let name = name.unwrap_or_else(|| crate::composite::name_by_number(*index));
                format!("({}).{}", self.text(record), quote_identifier(&name))
            }
            ExprKind::Subquery { .. } => "(SubPlan)".to_owned(),
        }
    }

    fn subscripted(&self, array: &Expr, subscripts: &str) -> String {
        match array.kind {
            ExprKind::Column(_) => format!("{}{subscripts}", self.text(array)),
            _ => format!("({}){subscripts}", self.text(array)),
        }
    }

    fn call(&self, function: u32, args: &[Expr], ty: PgType) -> String {
        if let Some(op) = operator_of(function) {
            match args {
                [arg] if op.left == 0 => return self.wrapped(format!("{} {}", op.name, self.operand(arg))),
                [left, right] if op.left != 0 => {
                    return self.wrapped(format!("{} {} {}", self.operand(left), op.name, self.operand(right)));
                }
                _ => {}
            }
        }
        if let Some(first) = args.first() {
            let by_cast = curia_functions::cast(first.ty.oid, ty.oid).is_some_and(|c| c.method == CastMethod::Function(function));
            if by_cast {
                return self.cast(first, ty);
            }
        }
        let mut list: Vec<String> = args.iter().map(|e| self.text(e)).collect();
        if let Some(f) = self.catalog.functions.get(&function) {
            // Defaults that a call did not write stand nowhere.
            let written = |(p, arg): (&curia_catalog::Parameter, &Expr)| p.default.is_none() || crate::walk::location(arg).is_some();
            let shown = f
                .inputs()
                .zip(args)
                .collect::<Vec<_>>()
                .into_iter()
                .rposition(written)
                .map_or(0, |i| i + 1);
            list.truncate(shown);
            if f.inputs().last().is_some_and(|p| p.mode == 'v')
                && let Some(last) = list.last_mut()
            {
                last.insert_str(0, "VARIADIC ");
            }
            return format!("{}({})", self.user_function(f), list.join(", "));
        }
        let f: Option<&Function> = curia_functions::by_oid(function);
        let name = f.map_or("?", |f| f.name);
        format!("{}({})", quote_identifier(name), list.join(", "))
    }

    /// The name of a function that is not built in: bare where it is shown to somebody whose search path finds it.
    fn user_function(&self, f: &curia_catalog::Function) -> String {
        let name = quote_identifier(&f.name);
        match self.names {
            Some((catalog, path)) if catalog.functions_named(path, &f.name).iter().any(|g| g.oid == f.oid) => name.into_owned(),
            _ => format!("{}.{name}", quote_identifier(self.catalog.schema_name(f.schema))),
        }
    }

    fn cast(&self, arg: &Expr, ty: PgType) -> String {
        if let ExprKind::Call { function: NOW, .. } = arg.kind {
            match ty.oid {
                oid::DATE => return "CURRENT_DATE".to_owned(),
                oid::TIMESTAMP if ty.typmod < 0 => return "LOCALTIMESTAMP".to_owned(),
                oid::TIME if ty.typmod < 0 => return "LOCALTIME".to_owned(),
                _ => {}
            }
        }
        let simple = matches!(
            arg.kind,
            ExprKind::Const(_) | ExprKind::Column(_) | ExprKind::Call { .. } | ExprKind::Coalesce(_) | ExprKind::Case { .. }
        ) && !self.is_operator(arg);
        if self.pretty && simple {
            return format!("{}::{}", self.text(arg), type_name(ty, self.names));
        }
        format!("({})::{}", self.text(arg), type_name(ty, self.names))
    }

    /// An expression of operators: in parentheses, unless it stands alone and may do without.
    fn wrapped(&self, text: String) -> String {
        if self.pretty { text } else { format!("({text})") }
    }

    /// An operand: what [`Deparse::wrapped`] left bare gets its parentheses here.
    fn operand(&self, e: &Expr) -> String {
        let query = matches!(
            e.kind,
            ExprKind::Subquery {
                kind: SubqueryKind::Scalar,
                ..
            }
        );
        if self.pretty && (query || self.is_operator(e)) {
            format!("({})", self.text(e))
        } else {
            self.text(e)
        }
    }

    fn is_operator(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Call { function, args } => match (operator_of(*function), args.len()) {
                (Some(op), 1) => op.left == 0,
                (Some(op), 2) => op.left != 0,
                _ => false,
            },
            ExprKind::And(_) | ExprKind::Or(_) | ExprKind::Not(_) | ExprKind::IsNull { .. } | ExprKind::IsBool { .. } => true,
            ExprKind::IsDistinct { .. } | ExprKind::InList { .. } | ExprKind::ArrayCompare { .. } => true,
            _ => false,
        }
    }

    fn constant(&self, value: &Datum, ty: PgType) -> String {
        let cx = IoContext {
            types: self.names.map(|(catalog, _)| Arc::new(catalog.clone()) as _),
            ..IoContext::default()
        };
        match value {
            Datum::Null => format!("NULL::{}", type_name(ty, self.names)),
            Datum::Bool(b) => if *b { "true" } else { "false" }.to_owned(),
            Datum::Int4(n) if *n >= 0 && ty.oid == oid::INT4 => n.to_string(),
            Datum::Numeric(_) if ty.typmod < 0 => {
                let text = text_io::to_string(ty, value, &cx);
                // A number that reads back as numeric needs no cast.
                let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.contains('.');
                if plain { text } else { format!("'{text}'::numeric") }
            }
            Datum::Oid(oid) if ty.oid == oid::REGCLASS => {
                let text = match self.names.and_then(|(c, path)| c.relation_by_oid(*oid).map(|r| (c, path, r))) {
                    Some((c, path, (_, name, found))) if c.relation(path, name) == Some(found) => quote_identifier(name).into_owned(),
                    Some((c, _, (schema, name, _))) => {
                        format!("{}.{}", quote_identifier(c.schema_name(schema)), quote_identifier(name))
                    }
                    None => oid.to_string(),
                };
                format!("{}::regclass", literal(&text))
            }
            // An enum's label may be renamed, its value stays.
            Datum::Array(a) if self.names.is_none() && a.dimensions.len() == 1 && type_info::user::kind(a.element).is_some() => {
                let element = PgType::with_typmod(a.element, -1);
                let list: Vec<_> = a.elements.iter().map(|e| self.constant(e, element)).collect();
                format!("ARRAY[{}]::{}", list.join(", "), type_name(ty, None))
            }
            Datum::Record(fields) if self.names.is_none() && type_info::is_composite(ty.oid) => {
                let list: Vec<_> = fields.iter().map(|(ty, f)| self.constant(f, *ty)).collect();
                format!("ROW({})::{}", list.join(", "), type_name(ty, None))
            }
            Datum::Int8(v) if self.names.is_none() && type_info::is_enum(ty.oid) => format!("{v}::{}", type_name(ty, None)),
            other => format!("{}::{}", literal(&text_io::to_string(ty, other, &cx)), type_name(ty, self.names)),
        }
    }
}

/// A literal as `standard_conforming_strings` reads it (`simple_quote_literal`).
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

/// A type's name for a cast; a bare `character` would mean length 1. Users' types are named by OID where names may change.
pub(crate) fn type_name(ty: PgType, names: Option<(&Catalog, &[String])>) -> String {
    let user = |oid| type_info::user::kind(oid).is_some();
    match (names, type_info::element_of(ty.oid)) {
        (Some((catalog, path)), _) if user(ty.oid) => return catalog.format_type(path, ty),
        (None, Some(element)) if user(element) => return format!("{}[]", crate::type_name::name_by_oid(element)),
        (None, _) if user(ty.oid) => return crate::type_name::name_by_oid(ty.oid),
        _ => {}
    }
    if ty.oid == oid::BPCHAR && ty.typmod < 0 {
        "bpchar".to_owned()
    } else {
        type_info::format_type(ty.oid, ty.typmod)
    }
}

/// The operator that a function computes, when it is the only way it is meant to be called.
pub(crate) fn operator_of(function: u32) -> Option<&'static curia_functions::Operator> {
    use std::collections::HashMap;
    use std::sync::LazyLock;
    static BY_FUNCTION: LazyLock<HashMap<u32, &'static curia_functions::Operator>> = LazyLock::new(|| {
        let mut map = HashMap::new();
        let mut names: Vec<&str> = curia_functions::operator_names().collect();
        names.sort_unstable();
        for op in names.into_iter().flat_map(curia_functions::operators) {
            map.entry(op.function).or_insert(*op);
        }
        map
    });
    BY_FUNCTION.get(&function).copied()
}

/// `pg_get_constraintdef`: `PRIMARY KEY (a, b)`, `UNIQUE (a)`, `CHECK ((a > 0))`, `FOREIGN KEY (a) REFERENCES t(b) ON DELETE CASCADE`.
pub fn constraint(catalog: &Catalog, search_path: &[String], table: &Table, constraint: &Constraint, pretty: bool) -> String {
    let mut out = match &constraint.kind {
        ConstraintKind::Check { expression } => {
            format!(
                "CHECK ({})",
                crate::ddl::stored_text_shown(catalog, search_path, expression, Some(table), pretty)
            )
        }
        ConstraintKind::Unique { index, primary } => {
            let mut out = if *primary { "PRIMARY KEY" } else { "UNIQUE" }.to_owned();
            if let Some(i) = table.index(*index) {
                if i.nulls_not_distinct {
                    out.push_str(" NULLS NOT DISTINCT");
                }
                out.push_str(&format!(" ({})", column_list(table, i.columns())));
                if !i.include.is_empty() {
                    out.push_str(&format!(" INCLUDE ({})", column_list(table, i.include.iter().copied())));
                }
            }
            out
        }
        ConstraintKind::ForeignKey(key) => foreign_key(catalog, search_path, table, key),
    };
    if constraint.no_inherit {
        out.push_str(" NO INHERIT");
    }
    out.push_str(match constraint.timing {
        Timing::Immediate => "",
        Timing::Deferrable => " DEFERRABLE",
        Timing::Deferred => " DEFERRABLE INITIALLY DEFERRED",
    });
    if constraint.not_valid {
        out.push_str(" NOT VALID");
    }
    out
}

fn foreign_key(catalog: &Catalog, search_path: &[String], table: &Table, key: &ForeignKey) -> String {
    let mut out = format!("FOREIGN KEY ({}) REFERENCES ", column_list(table, key.columns.iter().copied()));
    if let Some(other) = catalog.tables.get(&key.table) {
        if catalog.table(search_path, &other.name).is_none_or(|t| t.oid != other.oid) {
            out.push_str(&quote_identifier(catalog.schema_name(other.schema)));
            out.push('.');
        }
        out.push_str(&quote_identifier(&other.name));
        out.push_str(&format!("({})", column_list(other, key.key.iter().copied())));
    }
    if key.full {
        out.push_str(" MATCH FULL");
    }
    for (event, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        let action = match action {
            ForeignKeyAction::NoAction => continue,
            ForeignKeyAction::Restrict => "RESTRICT",
            ForeignKeyAction::Cascade => "CASCADE",
            ForeignKeyAction::SetNull => "SET NULL",
            ForeignKeyAction::SetDefault => "SET DEFAULT",
        };
        out.push_str(&format!(" ON {event} {action}"));
    }
    if !key.set.is_empty() {
        out.push_str(&format!(" ({})", column_list(table, key.set.iter().copied())));
    }
    out
}

fn column_list(table: &Table, columns: impl Iterator<Item = usize>) -> String {
    let names: Vec<_> = columns
        .filter_map(|i| table.columns.get(i))
        .map(|c| quote_identifier(&c.name).into_owned())
        .collect();
    names.join(", ")
}

/// What one key of an index is of: `a`, `lower(a)`, `(a + b)`.
pub fn index_key_of(catalog: &Catalog, table: &Table, key: &IndexKey, pretty: bool) -> String {
    match &key.of {
        KeyOf::Column(i) => table
            .columns
            .get(*i)
            .map_or_else(String::new, |c| quote_identifier(&c.name).into_owned()),
        KeyOf::Expression { text, .. } => {
            let shown = crate::ddl::stored_text_shown(catalog, &[], text, Some(table), pretty);
            let is_call = curia_parse::parse_expression(text).is_ok_and(|e| {
                matches!(
                    e.kind,
                    ast::ExprKind::Call(_) | ast::ExprKind::Coalesce(_) | ast::ExprKind::NullIf(_) | ast::ExprKind::MinMax { .. }
                )
            });
            if is_call { shown } else { format!("({shown})") }
        }
    }
}

/// One key of `pg_get_indexdef`: `a`, `a DESC`, `lower(a) text_pattern_ops NULLS FIRST`.
pub fn index_key(catalog: &Catalog, table: &Table, key: &IndexKey, pretty: bool) -> String {
    let mut out = index_key_of(catalog, table, key, pretty);
    if let Some(collation) = &key.collation {
        out.push_str(&format!(" COLLATE {}", quote_identifier(collation)));
    }
    if let Some(class) = &key.opclass {
        out.push_str(&format!(" {}", quote_identifier(class)));
    }
    if key.descending {
        out.push_str(" DESC");
        if !key.nulls_first {
            out.push_str(" NULLS LAST");
        }
    } else if key.nulls_first {
        out.push_str(" NULLS FIRST");
    }
    out
}

/// `pg_get_indexdef`: `CREATE UNIQUE INDEX i ON public.t USING btree (a, b DESC) INCLUDE (c) WHERE (d > 0)`. Pretty-printed, the table's
/// name stands alone where the search path finds it.
pub fn index(catalog: &Catalog, table: &Table, index: &Index, pretty: bool) -> String {
    let keys: Vec<String> = index.keys.iter().map(|k| index_key(catalog, table, k, pretty)).collect();
    let mut out = format!(
        "CREATE {}INDEX {} ON {}{}.{} USING {} ({})",
        if index.unique { "UNIQUE " } else { "" },
        quote_identifier(&index.name),
        // Its parts in partitions are indexes with definitions of their own.
        if table.is_partitioned() { "ONLY " } else { "" },
        quote_identifier(catalog.schema_name(table.schema)),
        quote_identifier(&table.name),
        index.method.name(),
        keys.join(", ")
    );
    if !index.include.is_empty() {
        out.push_str(&format!(" INCLUDE ({})", column_list(table, index.include.iter().copied())));
    }
    if index.nulls_not_distinct {
        out.push_str(" NULLS NOT DISTINCT");
    }
    if let Some(predicate) = &index.predicate {
        let shown = crate::ddl::stored_text_shown(catalog, &[], predicate, Some(table), pretty);
        out.push_str(&format!(" WHERE {shown}"));
    }
    out
}
