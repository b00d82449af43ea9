//! CREATE TABLE (LIKE ..): the definition of another relation, taken over as if it had been written.
//!
//! Columns and constraints become parts of the statement before it runs, with their expressions parsed again; indexes that enforce no
//! constraint, and comments, are added to the table when it exists.

use crate::Ddl;
use crate::constraint::joined;
use curia_catalog::{
    Change, Comment, ConstraintKind, Identity, Index, IndexKey, KeyOf, Oid, Relation, Sequence, Table, Timing, choose_name,
};
use curia_parse::ast::{
    ColumnConstraint, ColumnConstraintKind, ColumnDef, ConstraintAttributes, CreateTable, Expr, Ident, SequenceOption, SequenceOptionKind,
    TableConstraint, TableConstraintKind, TableLike,
};
use curia_types::{PgType, Result, SqlError, SqlState};
use std::sync::Arc;

/// What INCLUDING says, for the parts that exist here.
#[derive(Clone, Copy, Default)]
struct Including {
    comments: bool,
    constraints: bool,
    defaults: bool,
    generated: bool,
    identity: bool,
    indexes: bool,
}

impl Including {
    fn of(like: &TableLike) -> Result<Including> {
        let mut what = Including::default();
        for (including, word) in &like.options {
            let flag = match word.as_str() {
                "all" => {
                    what = Including {
                        comments: *including,
                        constraints: *including,
                        defaults: *including,
                        generated: *including,
                        identity: *including,
                        indexes: *including,
                    };
                    continue;
                }
                "comments" => &mut what.comments,
                "constraints" => &mut what.constraints,
                "defaults" => &mut what.defaults,
                "generated" => &mut what.generated,
                "identity" => &mut what.identity,
                "indexes" => &mut what.indexes,
                // Tune a heap and a planner that Curia does not have.
                "storage" | "statistics" | "compression" => continue,
                other => {
                    return Err(SqlError::new(
                        SqlState::SYNTAX_ERROR,
                        format!("syntax error at or near \"{other}\""),
                    ));
                }
            };
            *flag = *including;
        }
        Ok(what)
    }
}

/// What is added when the table exists: source, and what of it.
pub(crate) struct Rest(Vec<(Arc<Table>, Including)>);

impl Ddl<'_> {
    /// The statement with what its LIKE clauses stand for.
    pub(crate) fn expand_like(&mut self, s: &CreateTable) -> Result<(CreateTable, Rest)> {
        let mut new = s.clone();
        let mut rest = Vec::new();
        let mut before = 0;
        for like in std::mem::take(&mut new.like) {
            let what = Including::of(&like)?;
            let columns = match self.find_relation(&like.table).map_err(|e| e.at(Some(like.table.pos())))? {
                Relation::Table(oid) => {
                    let table = self.table(oid)?;
                    let columns = self.columns_like(&table, what)?;
                    new.constraints.extend(constraints_like(&table, what)?);
                    rest.push((table, what));
                    columns
                }
                Relation::View(oid) => {
                    let view = self.view(oid)?;
                    let columns = view.columns.iter().map(|c| plain(&c.name, c.ty));
                    columns.collect::<Result<Vec<_>>>()?
                }
                Relation::Sequence(_) => return Err(invalid_source(&like, "sequences")),
                Relation::Index(..) => return Err(invalid_source(&like, "indexes")),
            };
            let at = like.at + before;
            before += columns.len();
            new.columns.splice(at..at, columns);
        }
        Ok((new, Rest(rest)))
    }

    fn columns_like(&self, table: &Table, what: Including) -> Result<Vec<ColumnDef>> {
        let mut out = Vec::new();
        for (_, c) in table.live_columns() {
            let mut def = plain(&c.name, c.ty)?;
            let mut add = |kind| {
                def.constraints.push(ColumnConstraint { name: None, kind, pos: 0 });
            };
            match &c.default {
                Some(text) if c.generated && what.generated => add(ColumnConstraintKind::Generated(parsed(text)?)),
                Some(text) if !c.generated && what.defaults => add(ColumnConstraintKind::Default(parsed(text)?)),
                _ => {}
            }
            match c.identity {
                Some(identity) if what.identity => {
                    let sequence = self.catalog().owned_sequences(table.oid, Some(c.attnum)).next().cloned();
                    add(ColumnConstraintKind::Identity {
                        always: identity == Identity::Always,
                        options: sequence.map_or_else(Vec::new, |s| options_of(&s)),
                    });
                }
                _ if c.not_null => add(ColumnConstraintKind::NotNull),
                _ => {}
            }
            out.push(def);
        }
        Ok(out)
    }

    /// Adds what LIKE brings along to the table that it made.
    pub(crate) async fn finish_like(&mut self, oid: Oid, rest: Rest) -> Result<()> {
        for (source, what) in rest.0 {
            let mut table = (*self.table(oid)?).clone();
            let mut pairs: Vec<(Oid, Oid)> = Vec::new();
            if what.indexes {
                for index in &source.indexes {
                    if let Some(made) = self.index_like(&mut table, &source, index)? {
                        pairs.push((index.oid, made));
                    }
                }
                self.change(Change::put(table.clone()))?;
            }
            if what.comments {
                self.comments_like(&table, &source, &pairs)?;
            }
        }
        Ok(())
    }

    /// An index as of another table; those of constraints exist already. Gives its OID.
    fn index_like(&mut self, table: &mut Table, source: &Table, index: &Index) -> Result<Option<Oid>> {
        if crate::constraint::of_index(source, index.oid).is_some() {
            return Ok(None);
        }
        let column = |i: usize| {
            let name = &source.columns[i].name;
            table.column(name).map(|(i, _)| i)
        };
        let mut keys = Vec::with_capacity(index.keys.len());
        for key in &index.keys {
            // Texts name columns, which are called the same here.
            let of = match &key.of {
                KeyOf::Column(i) => match column(*i) {
                    Some(i) => KeyOf::Column(i),
                    None => return Ok(None),
                },
                expression => expression.clone(),
            };
            keys.push(IndexKey { of, ..key.clone() });
        }
        let include: Vec<usize> = index.include.iter().filter_map(|i| column(*i)).collect();
        let included = include.iter().map(|i| table.columns[*i].name.as_str());
        let names: Vec<&str> = keys.iter().map(|k| k.name(table)).chain(included).collect();
        let catalog = self.catalog();
        let name = choose_name(&table.name, Some(&joined(&names)), "idx", |n| {
            catalog.relation_in(table.schema, n).is_some() || table.indexes.iter().any(|i| i.name == n)
        });
        let made = Index {
            oid: self.new_oid()?,
            name,
            storage: Some(self.new_storage()?),
            keys,
            include,
            parent: None,
            incomplete: false,
            ..index.clone()
        };
        let oid = made.oid;
        table.indexes.push(made);
        Ok(Some(oid))
    }

    fn comments_like(&mut self, table: &Table, source: &Table, indexes: &[(Oid, Oid)]) -> Result<()> {
        let catalog = self.catalog();
        let mut new = Vec::new();
        let mut copy = |from: (Oid, i16), to: (Oid, i16)| {
            if let Some(comment) = catalog.comments.get(&from) {
                new.push(Comment {
                    object: to.0,
                    attnum: to.1,
                    text: comment.text.clone(),
                });
            }
        };
        for (_, c) in source.live_columns() {
            if let Some((_, own)) = table.column(&c.name) {
                copy((source.oid, c.attnum), (table.oid, own.attnum));
            }
        }
        for c in &source.constraints {
            if let Some(own) = table.constraints.iter().find(|o| o.name == c.name) {
                copy((c.oid, 0), (own.oid, 0));
            }
        }
        for (from, to) in indexes {
            copy((*from, 0), (*to, 0));
        }
        new.into_iter().try_for_each(|comment| self.change(Change::put(comment)))
    }
}

/// CHECK constraints by their names; keys without, so that they get names of the new table.
fn constraints_like(table: &Table, what: Including) -> Result<Vec<TableConstraint>> {
    let mut out = Vec::new();
    for c in &table.constraints {
        let (name, kind) = match &c.kind {
            ConstraintKind::Check { expression } if what.constraints => {
                (Some(ident(&c.name)), TableConstraintKind::Check(parsed(expression)?))
            }
            ConstraintKind::Unique { index, primary } if what.indexes => {
                let Some(index) = table.index(*index) else { continue };
                let named = |i: usize| ident(&table.columns[i].name);
                let columns: Vec<Ident> = index.columns().map(named).collect();
                let include: Vec<Ident> = index.include.iter().copied().map(named).collect();
                let kind = if *primary {
                    TableConstraintKind::PrimaryKey { columns, include }
                } else {
                    TableConstraintKind::Unique {
                        columns,
                        nulls_not_distinct: index.nulls_not_distinct,
                        include,
                    }
                };
                (None, kind)
            }
            _ => continue,
        };
        out.push(TableConstraint {
            name,
            kind,
            attributes: ConstraintAttributes {
                deferrable: c.timing != Timing::Immediate,
                initially_deferred: c.timing == Timing::Deferred,
                no_inherit: c.no_inherit,
                not_valid: false,
            },
            pos: 0,
        });
    }
    Ok(out)
}

fn ident(name: &str) -> Ident {
    Ident {
        name: name.to_owned(),
        pos: 0,
    }
}

pub(crate) fn plain(name: &str, ty: PgType) -> Result<ColumnDef> {
    Ok(ColumnDef {
        name: ident(name),
        ty: curia_parse::parse_type(&curia_bind::ddl::type_text(ty))?,
        collation: None,
        constraints: Vec::new(),
    })
}

pub(crate) fn parsed(text: &str) -> Result<Expr> {
    curia_parse::parse_expression(text)
}

/// The numbers of an identity column's sequence, for one of its own.
fn options_of(s: &Sequence) -> Vec<SequenceOption> {
    use SequenceOptionKind as K;
    [
        K::Start(s.start),
        K::Increment(s.increment),
        K::MinValue(Some(s.min)),
        K::MaxValue(Some(s.max)),
        K::Cache(s.cache),
        K::Cycle(s.cycle),
    ]
    .into_iter()
    .map(|kind| SequenceOption { kind, pos: 0 })
    .collect()
}

fn invalid_source(like: &TableLike, kind: &str) -> SqlError {
    SqlError::new(
        SqlState::WRONG_OBJECT_TYPE,
        format!("relation \"{}\" is invalid in LIKE clause", like.table.name()),
    )
    .detail(format!("This operation is not supported for {kind}."))
    .at(Some(like.table.pos()))
}
