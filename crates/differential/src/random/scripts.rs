//! Random transactions of one session: definitions, changes of rows, savepoints and errors in any mix, over a few small tables whose values meet
//! often. What they leave is asked for all the while.
//!
//! Whether a statement succeeded is told back, so that what is drawn next mostly names what is there.

use super::Random;
use super::statement::{Statement, plain};
use rand::RngExt;
use rand::seq::IndexedRandom;

/// Tables at a time.
const TABLES: usize = 4;
/// Savepoints at a time.
const SAVEPOINTS: usize = 6;

#[derive(Clone, Debug)]
struct Table {
    name: String,
    columns: Vec<(String, Kind)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Bigint,
    Numeric,
    Text,
    Bool,
    Date,
}

impl Kind {
    const ALL: [Kind; 6] = [Kind::Int, Kind::Bigint, Kind::Numeric, Kind::Text, Kind::Bool, Kind::Date];

    fn sql(self) -> &'static str {
        match self {
            Kind::Int => "int",
            Kind::Bigint => "bigint",
            Kind::Numeric => "numeric(8,2)",
            Kind::Text => "text",
            Kind::Bool => "boolean",
            Kind::Date => "date",
        }
    }

    fn value(self, random: &mut Random) -> String {
        if random.random_ratio(1, 9) {
            return "NULL".to_owned();
        }
        let n = random.random_range(0..12);
        match self {
            Kind::Int | Kind::Bigint => n.to_string(),
            Kind::Numeric => format!("{n}.5"),
            Kind::Text => format!("'{}'", ["a", "b", "c", "d", "ee", "7", "11", "x y"][n % 8]),
            Kind::Bool => ["true", "false"][n % 2].to_owned(),
            Kind::Date => format!("date '2026-01-{:02}'", n + 1),
        }
    }
}

/// What exists, as far as it is known.
#[derive(Clone, Debug, Default)]
struct Known {
    tables: Vec<Table>,
    /// Views, indexes, sequences: what DROP takes and the name.
    others: Vec<(&'static str, String)>,
}

/// Draws statements one after the other.
#[derive(Default)]
pub struct Scripts {
    known: Known,
    /// What is known once the statement that was drawn last has succeeded.
    then: Known,
    /// What was known at BEGIN, and at each savepoint since.
    block: Option<(Known, Vec<(&'static str, Known)>)>,
    /// The block after the statement that was drawn last.
    block_then: Option<(Known, Vec<(&'static str, Known)>)>,
    failed: bool,
    /// The last one ended a transaction or wrote: all rows are asked for.
    look: Option<String>,
    made: usize,
}

impl Scripts {
    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.block.is_some()
    }

    /// How the statement that was drawn last ended.
    pub fn learn(&mut self, failed: bool) {
        if !failed {
            self.known = self.then.clone();
            self.block = self.block_then.clone();
            self.failed = false;
        } else if self.block.is_some() {
            self.failed = true;
        }
    }

    /// The next one.
    pub fn draw(&mut self, random: &mut Random) -> Statement {
        self.then = self.known.clone();
        self.block_then = self.block.clone();
        plain(self.text(random))
    }

    fn text(&mut self, random: &mut Random) -> String {
        if let Some(look) = self.look.take_if(|_| !self.failed) {
            return look;
        }
        if self.failed && random.random_ratio(9, 10) {
            return self.control(random);
        }
        if self.known.tables.len() < 2 {
            return self.create_table(random);
        }
        match random.random_range(0..100) {
            0..22 => self.control(random),
            22..44 => self.define(random),
            44..82 => self.change(random),
            82..97 => self.query(random),
            _ => self.wrong(random),
        }
    }

    /// BEGIN to COMMIT.
    fn control(&mut self, random: &mut Random) -> String {
        let Some((begun, mut savepoints)) = self.block.clone() else {
            self.block_then = Some((self.known.clone(), Vec::new()));
            let modes = ["", "", " ISOLATION LEVEL REPEATABLE READ", " ISOLATION LEVEL SERIALIZABLE"];
            return format!("BEGIN{}", modes.choose(random).copied().unwrap_or_default());
        };
        let name = ["s", "t", "u"][random.random_range(0..3)];
        let at = savepoints.iter().rposition(|(other, _)| *other == name);
        match (random.random_range(0..20), at) {
            (0..6, _) if savepoints.len() < SAVEPOINTS && !self.failed => {
                savepoints.push((name, self.known.clone()));
                self.block_then = Some((begun, savepoints));
                format!("SAVEPOINT {name}")
            }
            (6..13, Some(at)) => {
                savepoints.truncate(at + 1);
                self.then = savepoints[at].1.clone();
                self.block_then = Some((begun, savepoints));
                self.look(random);
                format!("ROLLBACK TO SAVEPOINT {name}")
            }
            (13..15, Some(at)) => {
                savepoints.truncate(at);
                self.block_then = Some((begun, savepoints));
                format!("RELEASE SAVEPOINT {name}")
            }
            (15..18, _) if !self.failed => {
                self.block_then = None;
                self.look(random);
                "COMMIT".to_owned()
            }
            (18..20, _) => {
                self.then = begun;
                self.block_then = None;
                self.look(random);
                if self.failed { "COMMIT" } else { "ROLLBACK" }.to_owned()
            }
            _ if self.failed => ["ROLLBACK TO SAVEPOINT s", "RELEASE SAVEPOINT t", "SAVEPOINT u", "SELECT 1"]
                .choose(random)
                .copied()
                .unwrap_or_default()
                .to_owned(),
            _ => self.change(random),
        }
    }

    /// What a table has, next.
    fn look(&mut self, random: &mut Random) {
        if let Some(table) = self.then.tables.choose(random) {
            self.look = Some(everything(&table.name, random));
        }
    }

    fn table(&self, random: &mut Random) -> Table {
        self.known.tables.choose(random).cloned().unwrap_or(Table {
            name: "missing".to_owned(),
            columns: vec![("k".to_owned(), Kind::Int)],
        })
    }

    fn column(table: &Table, random: &mut Random) -> (String, Kind) {
        table.columns.choose(random).cloned().unwrap_or(("missing".to_owned(), Kind::Int))
    }

    fn number(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    fn create_table(&mut self, random: &mut Random) -> String {
        let name = format!("t{}", self.number());
        let mut columns = vec![("k".to_owned(), Kind::Int)];
        for at in 1..random.random_range(2..5) {
            columns.push((format!("c{at}"), Kind::ALL.choose(random).copied().unwrap_or(Kind::Int)));
        }
        let mut parts: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(at, (name, kind))| {
                let more = match random.random_range(0..12) {
                    0 => " UNIQUE".to_owned(),
                    1 => " NOT NULL".to_owned(),
                    2 => format!(" DEFAULT {}", kind.value(random)),
                    _ => String::new(),
                };
                let key = if at == 0 { " PRIMARY KEY" } else { more.as_str() };
                format!("{name} {}{key}", kind.sql())
            })
            .collect();
        if let Some(other) = self.known.tables.choose(random).filter(|_| random.random_ratio(2, 3)) {
            parts.push(format!("r int REFERENCES {}{}", other.name, action(random)));
            columns.push(("r".to_owned(), Kind::Int));
        }
        self.then.tables.push(Table {
            name: name.clone(),
            columns,
        });
        if self.known.tables.len() >= TABLES {
            self.then = self.known.clone();
            let table = self.then.tables.remove(0);
            return format!("DROP TABLE {}{}", table.name, if random.random() { " CASCADE" } else { "" });
        }
        format!("CREATE TABLE {name} ({})", parts.join(", "))
    }

    fn define(&mut self, random: &mut Random) -> String {
        let table = self.table(random);
        let at = self.known.tables.iter().position(|t| t.name == table.name).unwrap_or_default();
        let (column, kind) = Self::column(&table, random);
        let number = self.number();
        let name = &table.name;
        self.look(random);
        match random.random_range(0..26) {
            0 | 1 => self.create_table(random),
            2 | 3 => {
                self.then.others.push(("INDEX", format!("i{number}")));
                format!("CREATE INDEX i{number} ON {name} ({column})")
            }
            4 => {
                self.then.others.push(("INDEX", format!("i{number}")));
                let filter = if random.random() { " WHERE k > 3" } else { "" };
                format!("CREATE UNIQUE INDEX i{number} ON {name} ({column}){filter}")
            }
            5..8 => {
                let kind = Kind::ALL.choose(random).copied().unwrap_or(Kind::Int);
                self.then.tables[at].columns.push((format!("d{number}"), kind));
                let default = if random.random() {
                    format!(" DEFAULT {}", kind.value(random))
                } else {
                    String::new()
                };
                format!("ALTER TABLE {name} ADD COLUMN d{number} {}{default}", kind.sql())
            }
            8 | 9 => {
                self.then.tables[at].columns.retain(|(other, _)| *other != column);
                format!("ALTER TABLE {name} DROP COLUMN {column}")
            }
            10 => {
                for (other, _) in &mut self.then.tables[at].columns {
                    if *other == column {
                        *other = format!("n{number}");
                    }
                }
                format!("ALTER TABLE {name} RENAME COLUMN {column} TO n{number}")
            }
            11 => {
                self.then.tables[at].name = format!("m{number}");
                self.look(random);
                format!("ALTER TABLE {name} RENAME TO m{number}")
            }
            12 | 13 => {
                let to = Kind::ALL.choose(random).copied().unwrap_or(Kind::Text);
                for (other, kind) in &mut self.then.tables[at].columns {
                    if *other == column {
                        *kind = to;
                    }
                }
                let using = match random.random_range(0..3) {
                    0 => String::new(),
                    1 => format!(" USING {column}::text::{}", to.sql()),
                    _ => format!(" USING {}", to.value(random)),
                };
                format!("ALTER TABLE {name} ALTER COLUMN {column} TYPE {}{using}", to.sql())
            }
            14 => format!("ALTER TABLE {name} ALTER COLUMN {column} SET NOT NULL"),
            15 => format!("ALTER TABLE {name} ALTER COLUMN {column} DROP NOT NULL"),
            16 => format!("ALTER TABLE {name} ALTER COLUMN {column} SET DEFAULT {}", kind.value(random)),
            17 => format!(
                "ALTER TABLE {name} ADD CONSTRAINT u{number} UNIQUE ({column}){}",
                deferrable(random)
            ),
            18 => {
                let other = self.table(random);
                let action = action(random);
                format!(
                    "ALTER TABLE {name} ADD CONSTRAINT f{number} FOREIGN KEY ({column}) REFERENCES {}{action}{}",
                    other.name,
                    deferrable(random)
                )
            }
            19 => format!(
                "ALTER TABLE {name} ADD CONSTRAINT g{number} CHECK ({column} IS DISTINCT FROM {})",
                kind.value(random)
            ),
            20 => format!(
                "ALTER TABLE {name} DROP CONSTRAINT {}{}",
                ["u", "f", "g"][random.random_range(0..3)],
                random.random_range(1..=number)
            ),
            21 => {
                self.then.others.push(("VIEW", format!("v{number}")));
                format!("CREATE VIEW v{number} AS SELECT {column}, count(*) AS n FROM {name} GROUP BY {column}")
            }
            22 => format!("TRUNCATE {name}{}", if random.random() { " CASCADE" } else { "" }),
            23 => {
                self.then.tables.push(Table {
                    name: format!("t{number}"),
                    ..table.clone()
                });
                format!("CREATE TABLE t{number} AS SELECT * FROM {name} WHERE k > 2")
            }
            _ => match self.known.others.choose(random).cloned() {
                Some((kind, other)) => {
                    self.then.others.retain(|(_, name)| *name != other);
                    format!("DROP {kind} {other}")
                }
                None => "DROP TABLE IF EXISTS nothing".to_owned(),
            },
        }
    }

    fn change(&mut self, random: &mut Random) -> String {
        let table = self.table(random);
        let (column, kind) = Self::column(&table, random);
        let (other, other_kind) = Self::column(&table, random);
        let name = &table.name;
        if random.random_ratio(1, 2) {
            self.look = Some(everything(name, random));
        }
        let condition = match random.random_range(0..5) {
            0 => String::new(),
            1 => format!(" WHERE {other} IS NOT NULL"),
            2 => format!(" WHERE {other} = {}", other_kind.value(random)),
            3 => format!(" WHERE k BETWEEN {} AND 9", random.random_range(0..9)),
            _ => format!(" WHERE k = {}", random.random_range(0..12)),
        };
        match random.random_range(0..14) {
            0..6 => {
                let names: Vec<_> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
                let row = |random: &mut Random| {
                    let values: Vec<_> = table.columns.iter().map(|(_, kind)| kind.value(random)).collect();
                    format!("({})", values.join(", "))
                };
                let rows: Vec<_> = (0..random.random_range(1..4)).map(|_| row(random)).collect();
                let conflict = match random.random_range(0..6) {
                    0 => " ON CONFLICT DO NOTHING".to_owned(),
                    1 => format!(" ON CONFLICT (k) DO UPDATE SET {column} = excluded.{column}"),
                    2 => " RETURNING *".to_owned(),
                    _ => String::new(),
                };
                format!("INSERT INTO {name} ({}) VALUES {}{conflict}", names.join(", "), rows.join(", "))
            }
            6 => {
                let offset = random.random_range(1..4) * 100;
                format!("INSERT INTO {name} (k) SELECT k + {offset} FROM {name} WHERE k < 12 ORDER BY k ON CONFLICT DO NOTHING")
            }
            7..10 if column == "k" => format!(
                "UPDATE {name} SET k = {} WHERE k = {}",
                kind.value(random),
                random.random_range(0..12)
            ),
            7..10 => format!("UPDATE {name} SET {column} = {}{condition}", kind.value(random)),
            10 => {
                let from = self.table(random);
                format!(
                    "UPDATE {name} SET {column} = {} FROM {} o WHERE o.k = {name}.k",
                    kind.value(random),
                    from.name
                )
            }
            11 => {
                let using = self.table(random);
                format!("DELETE FROM {name} USING {} o WHERE o.k = {name}.k + 1", using.name)
            }
            12 if self.block.is_some() => {
                ["SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS ALL IMMEDIATE"][random.random_range(0..2)].to_owned()
            }
            _ => format!("DELETE FROM {name}{condition}"),
        }
    }

    fn query(&self, random: &mut Random) -> String {
        let table = self.table(random);
        let (column, kind) = Self::column(&table, random);
        let name = &table.name;
        match random.random_range(0..8) {
            0 => format!("SELECT * FROM {name} WHERE {column} = {}", kind.value(random)),
            1 => format!("SELECT {column}, count(*) FROM {name} GROUP BY {column}"),
            2 => format!("SELECT a.k, b.k FROM {name} a JOIN {} b ON a.k = b.k", self.table(random).name),
            3 => format!(
                "SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '{name}'::regclass ORDER BY conname"
            ),
            4 => format!("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '{name}' ORDER BY indexname"),
            5 => format!(
                "SELECT attnum, attname, format_type(atttypid, atttypmod), attnotnull, attisdropped, atthasdef FROM pg_attribute WHERE attrelid = '{name}'::regclass AND attnum > 0 ORDER BY attnum"
            ),
            6 => match self.known.others.iter().find(|(kind, _)| *kind == "VIEW") {
                Some((_, view)) => format!("SELECT * FROM {view}"),
                None => everything(name, random),
            },
            _ => everything(name, random),
        }
    }

    /// What fails, at one stage or another.
    fn wrong(&self, random: &mut Random) -> String {
        let table = self.table(random);
        let name = &table.name;
        match random.random_range(0..6) {
            0 => format!("INSERT INTO {name} (k) SELECT 1 / (k - k) FROM {name}"),
            1 => format!("UPDATE {name} SET k = 'x'"),
            2 => format!("SELECT nothing FROM {name}"),
            3 => format!("DELETE FROM {name} WHERE 1 / (k - k) = 1"),
            4 => format!("CREATE TABLE {name} (k int)"),
            _ => "SELEC 1".to_owned(),
        }
    }
}

fn everything(table: &str, random: &mut Random) -> String {
    // Also by what an index has.
    match random.random_range(0..3) {
        0 => format!("SELECT * FROM {table} ORDER BY k"),
        1 => format!("SELECT * FROM {table} WHERE k >= 0"),
        _ => format!("TABLE {table}"),
    }
}

fn action(random: &mut Random) -> &'static str {
    let all = [
        "",
        "",
        " ON DELETE CASCADE",
        " ON DELETE SET NULL ON UPDATE CASCADE",
        " ON UPDATE CASCADE",
        " ON DELETE SET DEFAULT",
        " ON DELETE RESTRICT",
    ];
    all.choose(random).copied().unwrap_or_default()
}

fn deferrable(random: &mut Random) -> &'static str {
    ["", "", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"][random.random_range(0..4)]
}
