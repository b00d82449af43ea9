//! Tables and indexes for tests, from the simplest definitions: this crate does not link DDL.

use curia_catalog::lookup::PUBLIC;
use curia_catalog::*;
use curia_txn::Transaction;
use curia_types::{PgType, Result};

/// Splits at commas outside of parentheses.
fn parts(list: &str) -> Vec<&str> {
    let (mut out, mut depth, mut start) = (Vec::new(), 0, 0);
    for (i, c) in list.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                out.push(list[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    out.push(list[start..].trim());
    out
}

fn ty(name: &str) -> PgType {
    curia_bind::ddl::resolve_type(&curia_catalog::Catalog::default(), &[], &curia_parse::parse_type(name).unwrap()).unwrap()
}

async fn oid(tx: &mut Transaction) -> Oid {
    tx.database().next_oid().unwrap()
}

/// `create table t (name type [primary key] [not null] [unique] [default x] [check (x)], ..)` or `create [unique] index i on t (a, ..)`.
pub async fn create(tx: &mut Transaction, sql: &str) -> Result<()> {
    let (head, body) = sql.split_once('(').unwrap();
    let body = &body[..body.rfind(')').unwrap()];
    let words: Vec<&str> = head.split_whitespace().collect();
    match words.as_slice() {
        ["create", "table", name] => table(tx, name, body).await,
        ["create", rest @ .., name, "on", table] => {
            let unique = rest.contains(&"unique");
            let catalog = tx.catalog();
            let old = catalog.tables.values().find(|t| t.name == *table).unwrap();
            let mut new = Table::clone(old);
            let keys = parts(body)
                .into_iter()
                .map(|c| IndexKey {
                    of: KeyOf::Column(new.column(c.trim_end_matches(" desc")).unwrap().0),
                    descending: c.ends_with(" desc"),
                    nulls_first: c.ends_with(" desc"),
                    ..Default::default()
                })
                .collect();
            let storage = Some(tx.new_storage()?);
            let oid = oid(tx).await;
            new.indexes.push(Index {
                oid,
                name: name.to_string(),
                storage,
                keys,
                unique,
                primary: false,
                ..Default::default()
            });
            tx.change_catalog(Change::put(new))?;
            Ok(())
        }
        other => panic!("{other:?}"),
    }
}

async fn table(tx: &mut Transaction, name: &str, body: &str) -> Result<()> {
    let mut new = Table {
        oid: oid(tx).await,
        schema: PUBLIC,
        name: name.to_owned(),
        owner: 10,
        row_type: oid(tx).await,
        row_array: 0,
        columns: Vec::new(),
        storage: tx.new_storage()?,
        row_key: Vec::new(),
        indexes: Vec::new(),
        constraints: Vec::new(),
        on_commit: None,
        materialized: None,
        parents: Vec::new(),
        partition_key: None,
        partition_bound: None,
    };
    let key = |column| vec![IndexKey::column(column)];
    for (i, part) in parts(body).into_iter().enumerate() {
        let (column, rest) = part.split_once(' ').unwrap();
        let end = ["primary key", "not null", "unique", "default", "check"]
            .iter()
            .filter_map(|w| rest.find(w))
            .min()
            .unwrap_or(rest.len());
        let serial = rest.starts_with("serial");
        let primary = rest.contains("primary key");
        let mut default = rest
            .split_once("default ")
            .map(|(_, d)| d.split_whitespace().next().unwrap().to_owned());
        if serial {
            let sequence = Sequence {
                oid: oid(tx).await,
                schema: PUBLIC,
                name: format!("{name}_{column}_seq"),
                owner: 10,
                ty: PgType::INT4,
                start: 1,
                increment: 1,
                min: 1,
                max: i64::from(i32::MAX),
                cache: 1,
                cycle: false,
                owned_by: Some((new.oid, i as i16 + 1)),
                storage: tx.new_storage()?,
            };
            default = Some(format!("nextval('{}'::regclass)", sequence.oid));
            tx.change_catalog(Change::put(sequence))?;
        }
        new.columns.push(Column {
            attnum: i as i16 + 1,
            name: column.to_owned(),
            ty: if serial { PgType::INT4 } else { ty(rest[..end].trim()) },
            not_null: primary || serial || rest.contains("not null"),
            default,
            generated: false,
            missing: None,
            identity: None,
            dropped: false,
            origin: Default::default(),
        });
        if primary {
            let index = oid(tx).await;
            new.row_key = vec![i];
            new.indexes.push(Index {
                oid: index,
                name: format!("{name}_pkey"),
                storage: None,
                keys: key(i),
                unique: true,
                primary,
                ..Default::default()
            });
            let kind = ConstraintKind::Unique { index, primary: true };
            new.constraints.push(Constraint::new(oid(tx).await, format!("{name}_pkey"), kind));
        } else if rest.contains("unique") {
            let (index, storage) = (oid(tx).await, Some(tx.new_storage()?));
            let name = format!("{name}_{column}_key");
            new.indexes.push(Index {
                oid: index,
                name: name.clone(),
                storage,
                keys: key(i),
                unique: true,
                primary: false,
                ..Default::default()
            });
            let kind = ConstraintKind::Unique { index, primary: false };
            new.constraints.push(Constraint::new(oid(tx).await, name, kind));
        }
        if let Some((_, check)) = rest.split_once("check (") {
            let kind = ConstraintKind::Check {
                expression: check.trim_end_matches(')').to_owned(),
            };
            new.constraints
                .push(Constraint::new(oid(tx).await, format!("{name}_{column}_check"), kind));
        }
    }
    tx.change_catalog(Change::put(new))?;
    Ok(())
}
