//! Random statements over tables that random statements made.

use super::Random;
use super::expression::{Column, Expression, Scope};
use super::registry::Registry;
use super::values::{COLUMN_TYPES, literal, written};
use rand::RngExt;
use rand::seq::IndexedRandom;

/// Tables at a time.
const TABLES: usize = 5;
/// Depth of expressions over no table.
const DEPTH: u32 = 3;

/// A table as it should be; a statement that fails may leave it otherwise.
#[derive(Clone, Debug)]
struct Table {
    name: String,
    columns: Vec<(String, String)>,
}

/// A statement. What is between head and tail are expressions, each of which may stand there alone.
pub struct Statement {
    /// Before the expressions.
    pub head: String,
    /// Separated by commas.
    pub expressions: Vec<Expression>,
    /// After them.
    pub tail: String,
}

impl Statement {
    /// Its text.
    pub fn sql(&self) -> String {
        let expressions: Vec<_> = self.expressions.iter().map(|expression| expression.sql.as_str()).collect();
        format!("{}{}{}", self.head, expressions.join(", "), self.tail)
    }
}

/// One without expressions that may stand alone.
pub fn plain(sql: String) -> Statement {
    Statement {
        head: sql,
        expressions: Vec::new(),
        tail: String::new(),
    }
}

/// Draws statements one after the other.
pub struct Statements<'a> {
    registry: &'a Registry,
    tables: Vec<Table>,
    made: usize,
    in_transaction: bool,
}

impl<'a> Statements<'a> {
    /// No table yet.
    pub fn new(registry: &'a Registry) -> Statements<'a> {
        Statements {
            registry,
            tables: Vec::new(),
            made: 0,
            in_transaction: false,
        }
    }

    /// Whether the last ones began a transaction.
    pub fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// The next one.
    pub fn draw(&mut self, random: &mut Random) -> Statement {
        if self.tables.len() < 2 {
            return self.create_table(random);
        }
        match random.random_range(0..100) {
            0..50 => self.values(random),
            50..72 => self.query(random),
            72..77 => self.aggregate_query(random),
            77..86 => self.insert(random),
            86..91 => self.update_or_delete(random),
            91..94 => self.transaction(random),
            94..97 => self.index_or_alter(random),
            _ => self.create_table(random),
        }
    }

    /// Expressions over constants: what they give depends on nothing else.
    fn values(&self, random: &mut Random) -> Statement {
        let scope = Scope {
            registry: self.registry,
            columns: &[],
        };
        let type_name = scope.type_name(random);
        Statement {
            head: "SELECT ".to_owned(),
            expressions: vec![scope.expression(&type_name, DEPTH, random)],
            tail: String::new(),
        }
    }

    fn table(&self, random: &mut Random) -> Table {
        self.tables.choose(random).cloned().unwrap_or(Table {
            name: "missing".to_owned(),
            columns: Vec::new(),
        })
    }

    /// One table or two, and the columns in sight.
    fn from(&self, random: &mut Random) -> (String, Vec<Column>) {
        let columns = |table: &Table, alias: &str| -> Vec<Column> {
            let column = |(name, type_name): &(String, String)| Column {
                sql: format!("{alias}.{name}"),
                type_name: type_name.clone(),
            };
            table.columns.iter().map(column).collect()
        };
        let first = self.table(random);
        let mut sight = columns(&first, "a");
        if random.random_ratio(1, 2) {
            return (format!("{} a", first.name), sight);
        }
        let second = self.table(random);
        sight.extend(columns(&second, "b"));
        let scope = Scope {
            registry: self.registry,
            columns: &sight,
        };
        let kind = ["JOIN", "LEFT JOIN", "CROSS JOIN", "JOIN"]
            .choose(random)
            .copied()
            .unwrap_or("JOIN");
        let on = if kind == "CROSS JOIN" {
            String::new()
        } else {
            format!(" ON {}", scope.expression("bool", 1, random).sql)
        };
        (format!("{} a {kind} {} b{on}", first.name, second.name), sight)
    }

    fn query(&self, random: &mut Random) -> Statement {
        let (from, columns) = self.from(random);
        let scope = Scope {
            registry: self.registry,
            columns: &columns,
        };
        let count = random.random_range(1..=3);
        let mut expressions = Vec::new();
        for _ in 0..count {
            let type_name = scope.type_name(random);
            expressions.push(scope.expression(&type_name, 2, random));
        }
        let mut tail = format!(" FROM {from}");
        if random.random_ratio(1, 2) {
            tail += &format!(" WHERE {}", scope.expression("bool", 2, random).sql);
        }
        if random.random_ratio(1, 4) {
            let order: Vec<_> = (1..=count).map(|at| at.to_string()).collect();
            tail += &format!(" ORDER BY {}", order.join(if random.random() { ", " } else { " DESC, " }));
            if random.random() {
                tail += " LIMIT 5";
            }
        }
        let head = if random.random_ratio(1, 8) { "SELECT DISTINCT " } else { "SELECT " };
        Statement {
            head: head.to_owned(),
            expressions,
            tail,
        }
    }

    fn aggregate_query(&self, random: &mut Random) -> Statement {
        let (from, columns) = self.from(random);
        let scope = Scope {
            registry: self.registry,
            columns: &columns,
        };
        let all: Vec<_> = self.registry.aggregates.values().flatten().collect();
        let mut expressions = Vec::new();
        for _ in 0..random.random_range(1..=2) {
            if let Some(maker) = all.choose(random) {
                expressions.push(scope.call(maker, 2, random));
            }
        }
        // Operands of an aggregate may not stand alone where it stood.
        expressions.iter_mut().for_each(|expression| expression.parts.clear());
        let mut tail = format!(" FROM {from}");
        if let Some(column) = columns.choose(random).filter(|_| random.random()) {
            tail += &format!(" GROUP BY {} HAVING count(*) < 1000", column.sql);
        }
        Statement {
            head: "SELECT ".to_owned(),
            expressions,
            tail,
        }
    }

    fn insert(&self, random: &mut Random) -> Statement {
        let table = self.table(random);
        let row = |random: &mut Random| {
            let values: Vec<_> = table.columns.iter().map(|(_, type_name)| literal(type_name, random)).collect();
            format!("({})", values.join(", "))
        };
        let rows: Vec<_> = (0..random.random_range(1..=4)).map(|_| row(random)).collect();
        let conflict = ["", "", " ON CONFLICT DO NOTHING", " RETURNING *"]
            .choose(random)
            .copied()
            .unwrap_or_default();
        plain(format!("INSERT INTO {} VALUES {}{conflict}", table.name, rows.join(", ")))
    }

    fn update_or_delete(&self, random: &mut Random) -> Statement {
        let table = self.table(random);
        let columns: Vec<_> = table
            .columns
            .iter()
            .map(|(name, type_name)| Column {
                sql: name.clone(),
                type_name: type_name.clone(),
            })
            .collect();
        let scope = Scope {
            registry: self.registry,
            columns: &columns,
        };
        let condition = scope.expression("bool", 2, random).sql;
        let Some(column) = columns.choose(random).filter(|_| random.random_ratio(3, 4)) else {
            return plain(format!("DELETE FROM {} WHERE {condition}", table.name));
        };
        let value = scope.expression(&column.type_name, 2, random).sql;
        plain(format!("UPDATE {} SET {} = {value} WHERE {condition}", table.name, column.sql))
    }

    fn transaction(&mut self, random: &mut Random) -> Statement {
        let sql = if self.in_transaction {
            let all = [
                "COMMIT",
                "ROLLBACK",
                "SAVEPOINT s",
                "ROLLBACK TO SAVEPOINT s",
                "RELEASE SAVEPOINT s",
                "COMMIT",
            ];
            all.choose(random).copied().unwrap_or("COMMIT")
        } else {
            "BEGIN"
        };
        self.in_transaction = !matches!(sql, "COMMIT" | "ROLLBACK");
        plain(sql.to_owned())
    }

    fn index_or_alter(&mut self, random: &mut Random) -> Statement {
        let table = self.table(random);
        self.made += 1;
        let number = self.made;
        let Some((column, _)) = table.columns.choose(random) else {
            return plain("SELECT 1".to_owned());
        };
        let name = &table.name;
        plain(match random.random_range(0..6) {
            0 => format!("CREATE INDEX i{number} ON {name} ({column})"),
            1 => format!("CREATE UNIQUE INDEX i{number} ON {name} ({column})"),
            2 => format!("ALTER TABLE {name} ALTER COLUMN {column} SET NOT NULL"),
            3 => format!("ALTER TABLE {name} ALTER COLUMN {column} DROP NOT NULL"),
            4 => format!("CREATE OR REPLACE VIEW v{number} AS SELECT {column}, count(*) FROM {name} GROUP BY {column}"),
            _ => format!("ALTER TABLE {name} ADD CHECK ({column} IS NOT NULL OR {column} IS NULL)"),
        })
    }

    fn create_table(&mut self, random: &mut Random) -> Statement {
        if self.tables.len() >= TABLES {
            let dropped = self.tables.remove(0);
            return plain(format!("DROP TABLE {} CASCADE", dropped.name));
        }
        self.made += 1;
        let name = format!("t{}", self.made);
        let types: Vec<_> = COLUMN_TYPES.iter().filter(|name| self.registry.types.contains(**name)).collect();
        let mut columns = Vec::new();
        for at in 0..random.random_range(2..=6) {
            if let Some(type_name) = types.choose(random) {
                columns.push((format!("c{at}"), (**type_name).to_string()));
            }
        }
        let definitions: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(at, (name, type_name))| {
                let key = if at == 0 && random.random_ratio(1, 3) { " PRIMARY KEY" } else { "" };
                format!("{name} {}{key}", written(type_name))
            })
            .collect();
        let sql = format!("CREATE TABLE {name} ({})", definitions.join(", "));
        self.tables.push(Table { name, columns });
        plain(sql)
    }
}
