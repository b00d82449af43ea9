//! Foreign keys that refer to a partitioned table: to each of its partitions, at any depth, they have a part, which PostgreSQL shows as a
//! constraint of the referencing table. Nothing but this is different of a part, so none is stored: they follow from the catalog.

use crate::lookup::choose_name;
use crate::object::{Constraint, ForeignKey, Index, Oid, Table};
use crate::version::Catalog;
use std::sync::Arc;

/// The part of a foreign key that refers to one partition.
#[derive(Clone, Debug)]
pub struct ReferencedPart {
    /// Made of the OIDs of the constraint and of the partition, the same on every server.
    pub oid: Oid,
    /// The part, or the constraint itself, for the table of which this is a partition.
    pub parent: Oid,
    /// `conname`
    pub name: String,
    /// What it refers to.
    pub partition: Arc<Table>,
    /// The referenced columns (indexes into the partition's columns).
    pub key: Vec<usize>,
    /// The partition's part of the index that the foreign key rests on; 0 while there is none.
    pub index: Oid,
}

impl Catalog {
    /// The parts of a foreign key of `table`, those of partitions after that of the table that they are partitions of.
    pub fn referenced_parts(&self, table: &Table, constraint: &Constraint, key: &ForeignKey) -> Vec<ReferencedPart> {
        let mut found = Vec::new();
        if let (None, Some(referenced)) = (constraint.parent, self.tables.get(&key.table)) {
            self.collect_parts((table, constraint, key), referenced, (constraint.oid, key.index), &mut found);
        }
        found
    }

    fn collect_parts(
        &self,
        of: (&Table, &Constraint, &ForeignKey),
        referenced: &Arc<Table>,
        (parent, index): (Oid, Oid),
        found: &mut Vec<ReferencedPart>,
    ) {
        let Ok(Some(partitions)) = referenced.partitions(self) else {
            return;
        };
        let (table, constraint, key) = of;
        let columns: Vec<&str> = key.columns.iter().map(|c| table.columns[*c].name.as_str()).collect();
        for oid in partitions.oids() {
            let Some(partition) = self.tables.get(&oid) else { continue };
            let taken = |name: &str| {
                let stored = |t: &Arc<Table>| t.schema == table.schema && t.constraints.iter().any(|c| c.name == name);
                self.tables.values().any(stored) || found.iter().any(|p| p.name == name)
            };
            let name = choose_name(&table.name, Some(&columns.join("_")), "fkey", taken);
            let top = self.tables.get(&key.table);
            let own = |i: &usize| partition.column(&top?.columns.get(*i)?.name).map(|(i, _)| i);
            let own_index = partition
                .indexes
                .iter()
                .find(|i: &&Index| i.parent == Some(index))
                .map_or(0, |i| i.oid);
            let part = ReferencedPart {
                oid: 0xC000_0000 | (constraint.oid.wrapping_mul(0x9E37_79B1).wrapping_add(oid) & 0x3FFF_FFFF),
                parent,
                name,
                partition: partition.clone(),
                key: key.key.iter().filter_map(own).collect(),
                index: own_index,
            };
            let inner = (part.oid, own_index);
            found.push(part);
            self.collect_parts(of, partition, inner, found);
        }
    }
}
