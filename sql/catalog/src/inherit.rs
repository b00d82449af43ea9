//! Which tables are children of which: by inheritance, or as partitions of a partitioned table. A child names its parents; the catalog
//! keeps the other direction beside it.

use crate::object::{Oid, Table};
use crate::version::Catalog;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Catalog {
    /// Whether a table has children (`relhassubclass`).
    pub fn has_children(&self, table: Oid) -> bool {
        self.children.contains_key(&table)
    }
    /// A table's children, by OID.
    pub fn children(&self, table: Oid) -> impl Iterator<Item = &Arc<Table>> {
        let children = self.children.get(&table).into_iter().flatten();
        children.filter_map(|oid| self.tables.get(oid))
    }
    /// A table and everything below it, each once: level by level, children by OID, as PostgreSQL's `find_all_inheritors` gives them.
    pub fn family(&self, table: Oid) -> Vec<Oid> {
        let mut found = vec![table];
        let mut seen = BTreeSet::from([table]);
        let mut at = 0;
        while at < found.len() {
            let children = self.children.get(&found[at]).into_iter().flatten();
            found.extend(children.copied().filter(|child| seen.insert(*child)).collect::<Vec<_>>());
            at += 1;
        }
        found
    }
    /// A table's descendants, in the order of [`Catalog::family`].
    pub fn descendants(&self, table: Oid) -> Vec<Oid> {
        self.family(table).split_off(1)
    }
    /// A table's ancestors, nearest first, each once.
    pub fn ancestors(&self, table: Oid) -> Vec<Oid> {
        let parents = |oid: Oid| self.tables.get(&oid).map_or(&[][..], |t| &t.parents);
        let mut found: Vec<Oid> = Vec::new();
        let mut next: Vec<Oid> = parents(table).to_vec();
        while let Some(at) = (!next.is_empty()).then(|| next.remove(0)) {
            if !found.contains(&at) {
                found.push(at);
                next.extend(parents(at));
            }
        }
        found
    }
    /// The partitioned table at the top of a partition's tree; the table itself when it is no partition.
    pub fn partition_root(&self, table: Oid) -> Oid {
        let mut at = table;
        while let Some(parent) = self.tables.get(&at).and_then(|t| t.partition_of()) {
            at = parent;
        }
        at
    }

    pub(crate) fn enter_parents(&mut self, table: &Table) {
        for parent in &table.parents {
            Arc::make_mut(&mut self.children).entry(*parent).or_default().insert(table.oid);
        }
    }
    pub(crate) fn forget_parents(&mut self, table: &Table) {
        for parent in &table.parents {
            let children = Arc::make_mut(&mut self.children);
            if let Some(of) = children.get_mut(parent) {
                of.remove(&table.oid);
                if of.is_empty() {
                    children.remove(parent);
                }
            }
        }
    }
}
