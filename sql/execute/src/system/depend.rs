//! `pg_depend`: what needs what, as clients ask for it and as `pg_dump` orders what it writes.
//!
//! Nothing of it is stored: dependencies follow from the catalog, as those that DROP looks at do.

use super::relations::{CLASS, EXTENSION, EXTENSIONS, default_oid, is_identity, rule_oid};
use super::{Rows, int4, oid_of, text};
use curia_bind::ddl::{check_columns, functions_called};
use curia_catalog::system::{CURIA, system_tables};
use curia_catalog::{Catalog, ConstraintKind, Oid, Table, TypeKind, ViewRelation};
use curia_types::type_info::{self, UserKind};

/// System tables whose rows depend on others.
const TYPE: u32 = 1247;
const PROC: u32 = 1255;
const ATTRDEF: u32 = 2604;
const CONSTRAINT: u32 = 2606;
const NAMESPACE: u32 = 2615;
const REWRITE: u32 = 2618;

/// An object, or a column of one: the system table of its row, its OID, and the column's number or 0.
type Address = (u32, Oid, i16);

struct Dependencies<'a> {
    catalog: &'a Catalog,
    out: &'a mut Rows,
}

/// All rows.
pub(super) fn produce(catalog: &Catalog, out: &mut Rows) {
    let mut found = Dependencies { catalog, out };
    let extension = (EXTENSIONS, EXTENSION, 0);
    found.add((NAMESPACE, CURIA, 0), extension, "e");
    for view in system_tables().iter().filter(|view| view.schema == CURIA) {
        found.add((CLASS, view.oid, 0), extension, "e");
    }
    for s in catalog.sequences.values() {
        let this = (CLASS, s.oid, 0);
        found.add(this, (NAMESPACE, s.schema, 0), "n");
        if let Some((table, attnum)) = s.owned_by {
            found.add(this, (CLASS, table, attnum), if is_identity(catalog, s) { "i" } else { "a" });
        }
    }
    for v in catalog.views.values() {
        let this = (CLASS, v.oid, 0);
        found.add(this, (NAMESPACE, v.schema, 0), "n");
        found.row_type(v.row_type, v.row_array, v.oid);
        found.rule(v.oid, &v.relations);
        for (attnum, column) in (1..).zip(&v.columns) {
            found.on_type((CLASS, v.oid, attnum), column.ty.oid);
        }
    }
    for t in catalog.tables.values() {
        found.table(t);
    }
    for t in catalog.types.values() {
        let this = (TYPE, t.oid, 0);
        found.add(this, (NAMESPACE, t.schema, 0), "n");
        found.add((TYPE, t.array, 0), this, "i");
        match &t.kind {
            TypeKind::Enum(_) => {}
            TypeKind::Domain(d) => {
                found.on_type(this, d.base.oid);
                found.on_functions(this, d.default.as_deref(), None);
                for c in &d.checks {
                    found.add((CONSTRAINT, c.oid, 0), this, "a");
                    if let ConstraintKind::Check { expression } = &c.kind {
                        found.on_functions((CONSTRAINT, c.oid, 0), Some(expression), None);
                    }
                }
            }
            TypeKind::Composite { relation, attributes } => {
                found.add((CLASS, *relation, 0), this, "i");
                for a in attributes {
                    found.on_type((CLASS, *relation, a.attnum), a.ty.oid);
                }
            }
        }
    }
    for f in catalog.functions.values() {
        let this = (PROC, f.oid, 0);
        found.add(this, (NAMESPACE, f.schema, 0), "n");
        for p in &f.parameters {
            found.on_type(this, p.ty.oid);
        }
        found.on_type(this, f.returns.oid);
    }
}

impl Dependencies<'_> {
    fn add(&mut self, object: Address, on: Address, kind: &str) {
        self.out.add(&[
            ("classid", oid_of(object.0)),
            ("objid", oid_of(object.1)),
            ("objsubid", int4(i32::from(object.2))),
            ("refclassid", oid_of(on.0)),
            ("refobjid", oid_of(on.1)),
            ("refobjsubid", int4(i32::from(on.2))),
            ("deptype", text(kind)),
        ]);
    }

    /// What is built in is there for good, and not mentioned.
    fn on_type(&mut self, object: Address, ty: Oid) {
        let ty = match type_info::user::kind(ty) {
            Some(UserKind::Array { element }) => element,
            Some(_) => ty,
            None => return,
        };
        self.add(object, (TYPE, ty, 0), "n");
    }

    fn on_functions(&mut self, object: Address, expression: Option<&str>, table: Option<&Table>) {
        let called = expression.map_or_else(Vec::new, |text| functions_called(self.catalog, text, table));
        for function in called {
            self.add(object, (PROC, function, 0), "n");
        }
    }

    fn row_type(&mut self, ty: Oid, array: Oid, relation: Oid) {
        self.add((TYPE, ty, 0), (CLASS, relation, 0), "i");
        if array != 0 {
            self.add((TYPE, array, 0), (TYPE, ty, 0), "i");
        }
    }

    /// The rule that a view's query is: it is the view's, and needs what the query reads.
    fn rule(&mut self, view: Oid, relations: &[ViewRelation]) {
        let rule = (REWRITE, rule_oid(view), 0);
        self.add(rule, (CLASS, view, 0), "i");
        for relation in relations {
            if relation.used.is_empty() {
                self.add(rule, (CLASS, relation.oid, 0), "n");
            }
            for attnum in &relation.used {
                self.add(rule, (CLASS, relation.oid, *attnum), "n");
            }
        }
    }

    fn table(&mut self, t: &Table) {
        let this = (CLASS, t.oid, 0);
        let column = |i: usize| (CLASS, t.oid, t.columns[i].attnum);
        self.add(this, (NAMESPACE, t.schema, 0), "n");
        self.row_type(t.row_type, t.row_array, t.oid);
        if let Some(m) = &t.materialized {
            self.rule(t.oid, &m.relations);
        }
        for parent in &t.parents {
            self.add(this, (CLASS, *parent, 0), if t.is_partition() { "a" } else { "n" });
        }
        for (i, c) in t.live_columns() {
            self.on_type(column(i), c.ty.oid);
            let Some(default) = &c.default else { continue };
            let own = (ATTRDEF, default_oid(t.oid, i), 0);
            self.add(own, column(i), "a");
            for s in self.catalog.sequences.values().filter(|s| s.is_mentioned(default)) {
                self.add(own, (CLASS, s.oid, 0), "n");
            }
            self.on_functions(own, Some(default), Some(t));
        }
        for c in &t.constraints {
            let own = (CONSTRAINT, c.oid, 0);
            if let Some(parent) = c.parent {
                self.add(own, (CONSTRAINT, parent, 0), "P");
                self.add(own, this, "S");
            }
            match &c.kind {
                ConstraintKind::Unique { index, .. } => {
                    self.add((CLASS, *index, 0), own, "i");
                    t.index(*index)
                        .iter()
                        .flat_map(|i| i.columns())
                        .for_each(|i| self.add(own, column(i), "a"));
                }
                ConstraintKind::ForeignKey(key) => {
                    key.columns.iter().for_each(|i| self.add(own, column(*i), "a"));
                    if let Some(other) = self.catalog.tables.get(&key.table) {
                        for i in &key.key {
                            self.add(own, (CLASS, other.oid, other.columns[*i].attnum), "n");
                        }
                    }
                    self.add(own, (CLASS, key.index, 0), "n");
                }
                ConstraintKind::Check { expression } => {
                    match check_columns(self.catalog, expression, t).unwrap_or_default().as_slice() {
                        [] => self.add(own, this, "a"),
                        columns => columns.iter().for_each(|i| self.add(own, column(*i), "a")),
                    }
                    self.on_functions(own, Some(expression), Some(t));
                }
            }
        }
        for i in &t.indexes {
            if let Some(parent) = i.parent {
                self.add((CLASS, i.oid, 0), (CLASS, parent, 0), "P");
                self.add((CLASS, i.oid, 0), this, "S");
            }
            let backs = |c: &curia_catalog::Constraint| matches!(&c.kind, ConstraintKind::Unique { index, .. } if *index == i.oid);
            if !t.constraints.iter().any(backs) {
                let columns = curia_bind::index::index_columns(self.catalog, t, i).unwrap_or_default();
                columns.into_iter().for_each(|c| self.add((CLASS, i.oid, 0), column(c), "a"));
            }
        }
    }
}
