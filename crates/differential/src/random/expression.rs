//! Random expressions of a wanted type.

use super::Random;
use super::registry::{Form, Maker, Registry};
use super::values::{literal, written};
use rand::RngExt;
use rand::seq::IndexedRandom;

/// An expression, with the parts that can stand alone.
#[derive(Clone, Debug)]
pub struct Expression {
    /// Its text.
    pub sql: String,
    /// Its operands.
    pub parts: Vec<Expression>,
}

/// A column that expressions may use.
#[derive(Clone, Debug)]
pub struct Column {
    /// As it is written.
    pub sql: String,
    /// Its type.
    pub type_name: String,
}

/// What an expression may use.
pub struct Scope<'a> {
    /// Functions and operators.
    pub registry: &'a Registry,
    /// Columns.
    pub columns: &'a [Column],
}

impl Scope<'_> {
    /// A type that expressions can have.
    pub fn type_name(&self, random: &mut Random) -> String {
        let types: Vec<_> = self.registry.types.iter().collect();
        types.choose(random).map_or_else(|| "int4".to_owned(), |name| (*name).clone())
    }

    /// An expression of a type, at most `depth` calls deep.
    pub fn expression(&self, type_name: &str, depth: u32, random: &mut Random) -> Expression {
        let columns: Vec<_> = self.columns.iter().filter(|column| column.type_name == type_name).collect();
        if let Some(column) = columns.choose(random)
            && (depth == 0 || random.random_ratio(1, 3))
        {
            return leaf(column.sql.clone());
        }
        if depth == 0 || random.random_ratio(1, 10) {
            return leaf(literal(type_name, random));
        }
        let part = |type_name: &str, random: &mut Random| self.expression(type_name, depth - 1, random);
        if type_name == "bool" && random.random_ratio(1, 3) {
            return self.condition(depth, random);
        }
        match random.random_range(0..20) {
            0 => {
                let parts = vec![part("bool", random), part(type_name, random), part(type_name, random)];
                let [condition, yes, no] = [&parts[0].sql, &parts[1].sql, &parts[2].sql];
                joined(format!("CASE WHEN {condition} THEN {yes} ELSE {no} END"), parts)
            }
            1 | 2 => {
                let name = *["coalesce", "nullif", "greatest", "least"].choose(random).unwrap_or(&"coalesce");
                let parts = vec![part(type_name, random), part(type_name, random)];
                joined(format!("{name}({}, {})", parts[0].sql, parts[1].sql), parts)
            }
            3 => {
                let inner = part(type_name, random);
                joined(format!("(SELECT {})", inner.sql), vec![inner])
            }
            4 => {
                let from = self.type_name(random);
                let inner = part(&from, random);
                joined(format!("({})::{}", inner.sql, written(type_name)), vec![inner])
            }
            _ => match self.registry.scalars.get(type_name).and_then(|makers| makers.choose(random)) {
                Some(maker) => self.call(maker, depth, random),
                None => leaf(literal(type_name, random)),
            },
        }
    }

    /// A call of a function, an operator or a cast.
    pub fn call(&self, maker: &Maker, depth: u32, random: &mut Random) -> Expression {
        let parts: Vec<_> = maker
            .arguments
            .iter()
            .map(|type_name| self.expression(type_name, depth.saturating_sub(1), random))
            .collect();
        let sql = match (&maker.form, &parts[..]) {
            (Form::Operator(name), [left, right]) => format!("({} {name} {})", left.sql, right.sql),
            (Form::Operator(name), [operand]) => format!("({name} {})", operand.sql),
            (Form::Cast(to), [operand]) => format!("({})::{to}", operand.sql),
            (Form::Function(name) | Form::Operator(name) | Form::Cast(name), parts) => {
                let arguments: Vec<_> = parts.iter().map(|part| part.sql.as_str()).collect();
                format!("\"{name}\"({})", arguments.join(", "))
            }
        };
        joined(sql, parts)
    }

    fn condition(&self, depth: u32, random: &mut Random) -> Expression {
        let type_name = self.type_name(random);
        let mut part = |type_name: &str| self.expression(type_name, depth - 1, random);
        let parts = [
            part(&type_name),
            part(&type_name),
            part(&type_name),
            part("bool"),
            part("bool"),
            part("text"),
            part("text"),
        ];
        let [a, b, c, p, q, s, t] = std::array::from_fn(|at| parts[at].sql.as_str());
        let (sql, used): (String, &[usize]) = match random.random_range(0..9) {
            0 => (format!("({p} AND {q})"), &[3, 4]),
            1 => (format!("({p} OR {q})"), &[3, 4]),
            2 => (format!("(NOT {p})"), &[3]),
            3 => (format!("({a} IS NULL)"), &[0]),
            4 => (format!("({p} IS NOT TRUE)"), &[3]),
            5 => (format!("({a} IN ({b}, {c}))"), &[0, 1, 2]),
            6 => (format!("({a} BETWEEN {b} AND {c})"), &[0, 1, 2]),
            7 => (format!("({a} IS DISTINCT FROM {b})"), &[0, 1]),
            _ => (format!("({s} LIKE {t})"), &[5, 6]),
        };
        let parts = used.iter().map(|at| parts[*at].clone()).collect();
        joined(sql, parts)
    }
}

fn leaf(sql: String) -> Expression {
    Expression { sql, parts: Vec::new() }
}

fn joined(sql: String, parts: Vec<Expression>) -> Expression {
    Expression { sql, parts }
}
