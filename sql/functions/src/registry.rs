//! Joins the generated rows of PostgreSQL's catalogs with the kernels, once, and answers lookups from hash tables.

use crate::facts::{CAST_ROWS, NAME_ROWS, OPERATOR_ROWS, PROC_ROWS};
use crate::kernels::Binding;
use crate::{Cast, CastMethod, Function, Kernel, Operator};
use std::collections::HashMap;
use std::sync::LazyLock;

struct Registry {
    functions: &'static [Function],
    /// By OID itself: asked for at every step of every expression.
    by_oid: Vec<Option<&'static Function>>,
    by_name: HashMap<&'static str, Vec<&'static Function>>,
    operators: HashMap<&'static str, Vec<&'static Operator>>,
    operator_by_oid: HashMap<u32, &'static Operator>,
    casts: Vec<Cast>,
    cast_by_types: HashMap<(u32, u32), usize>,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(build);

fn build() -> Registry {
    let bindings: HashMap<&str, &Binding> = crate::kernels::all().map(|b| (b.source, b)).collect();
    let functions: Vec<Function> = PROC_ROWS
        .iter()
        .filter_map(|row| {
            let binding = bindings.get(row.source)?;
            Some(Function {
                oid: row.oid,
                name: row.name,
                args: row.args,
                variadic: row.variadic,
                defaults: row.defaults,
                ret: row.ret,
                columns: row.columns,
                strict: row.strict,
                volatility: row.volatility,
                set: row.set,
                fallible: binding.fallible,
                kernel: binding.kernel,
            })
        })
        .collect();
    // The registry lives as long as the process; references to it are handed out for that long.
    let functions: &'static [Function] = Box::leak(functions.into_boxed_slice());
    let last = functions.iter().map(|f| f.oid).max().unwrap_or_default();
    let mut by_oid: Vec<Option<&'static Function>> = vec![None; last as usize + 1];
    for f in functions {
        by_oid[f.oid as usize] = Some(f);
    }
    let has = |oid: u32| by_oid.get(oid as usize).copied().flatten();
    let mut by_name: HashMap<&'static str, Vec<&'static Function>> = HashMap::new();
    for f in functions {
        by_name.entry(f.name).or_default().push(f);
    }
    let mut operators: HashMap<&'static str, Vec<&'static Operator>> = HashMap::new();
    let mut operator_by_oid = HashMap::new();
    for o in OPERATOR_ROWS.iter().filter(|o| has(o.function).is_some()) {
        operators.entry(o.name).or_default().push(o);
        operator_by_oid.insert(o.oid, o);
    }
    let known = |method: &CastMethod| match method {
        // Of what only a session can compute, the conversion of a name to a relation is the one that PostgreSQL applies by itself.
        CastMethod::Function(TEXT_REGCLASS) => true,
        CastMethod::Function(f) => has(*f).is_some_and(|f| !matches!(f.kernel, Kernel::Session)),
        CastMethod::Relabel | CastMethod::Io => true,
    };
    let casts: Vec<Cast> = CAST_ROWS.iter().filter(|c| known(&c.method)).copied().collect();
    let cast_by_types = casts.iter().enumerate().map(|(i, c)| ((c.source, c.target), i)).collect();
    Registry {
        functions,
        by_oid,
        by_name,
        operators,
        operator_by_oid,
        casts,
        cast_by_types,
    }
}

/// Names of a function's input parameters; empty when it has none.
pub fn argument_names(oid: u32) -> &'static [&'static str] {
    NAME_ROWS.binary_search_by_key(&oid, |r| r.0).map_or(&[], |i| NAME_ROWS[i].1)
}

/// `regclass(text)`
const TEXT_REGCLASS: u32 = 1079;

/// Every function, in OID order.
pub fn functions() -> &'static [Function] {
    REGISTRY.functions
}

/// The function with this OID.
pub fn by_oid(oid: u32) -> Option<&'static Function> {
    REGISTRY.by_oid.get(oid as usize).copied().flatten()
}

/// Functions, aggregates and window functions of a name (lower case); empty when there is none.
pub fn candidates(name: &str) -> &'static [&'static Function] {
    REGISTRY.by_name.get(name).map_or(&[], Vec::as_slice)
}

/// Operators of a name; empty when there is none. Prefix operators have left type 0.
pub fn operators(name: &str) -> &'static [&'static Operator] {
    REGISTRY.operators.get(name).map_or(&[], Vec::as_slice)
}

/// The operator with this OID.
pub fn operator(oid: u32) -> Option<&'static Operator> {
    REGISTRY.operator_by_oid.get(&oid).copied()
}

/// Names that have operators.
pub fn operator_names() -> impl Iterator<Item = &'static str> {
    REGISTRY.operators.keys().copied()
}

/// The row of `pg_cast` for two types; length coercions have equal types.
pub fn cast(source: u32, target: u32) -> Option<&'static Cast> {
    REGISTRY.cast_by_types.get(&(source, target)).map(|i| &REGISTRY.casts[*i])
}

/// Every cast.
pub fn casts() -> &'static [Cast] {
    &REGISTRY.casts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_serves_a_row_of_pg_proc() {
        let sources: std::collections::HashSet<&str> = PROC_ROWS.iter().map(|p| p.source).collect();
        let idle: Vec<&str> = crate::kernels::all().map(|b| b.source).filter(|s| !sources.contains(s)).collect();
        assert!(idle.is_empty(), "{idle:?}");
    }

    #[test]
    fn no_source_is_bound_twice() {
        let mut seen = std::collections::HashSet::new();
        let twice: Vec<&str> = crate::kernels::all().map(|b| b.source).filter(|s| !seen.insert(*s)).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn operators_and_casts_name_functions_that_exist() {
        assert!(operators("+").iter().any(|o| o.left == 23 && o.right == 23 && o.result == 23));
        for name in operator_names() {
            for o in operators(name) {
                let f = by_oid(o.function).expect("function of an operator");
                assert_eq!(f.ret, o.result, "{name}");
            }
        }
        for c in casts() {
            if let CastMethod::Function(f) = c.method {
                assert!(by_oid(f).is_some());
            }
        }
    }

    #[test]
    fn set_returning_rows_have_set_kernels_and_no_others_do() {
        for f in functions() {
            assert_eq!(
                f.set,
                matches!(f.kernel, Kernel::Set(_)) || (f.set && matches!(f.kernel, Kernel::Session)),
                "{f:?}"
            );
        }
    }
}
