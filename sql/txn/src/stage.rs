//! Stage records of one transaction: pieces of its write set that are in the log already, ahead of the fragments that will name them.
//!
//! Each covers a range of write numbers. Undoing to a mark drops the records after it; the one that the mark falls into is dropped too,
//! and what of it remains is staged again at commit, from the spill. Records that are dropped, and those of a transaction that ends
//! without a commit, are given up, so that the log can be truncated past them.

use crate::replication::{Replication, StageRef, StageTicket};
use bytes::Bytes;
use curia_catalog::{Catalog, StorageId};
use curia_consensus::ids::GroupId;
use curia_storage::fragment::FragmentWriter;
use curia_types::Result;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Stage records handed over and not in the log yet, above which a transaction waits.
const UNDER_WAY: usize = 4;

#[derive(Default)]
pub(crate) struct Stages {
    /// Whom the records were handed to.
    replication: Option<Arc<dyn Replication>>,
    staged: Vec<Stage>,
    /// Ranges of write numbers whose records were dropped only because later ones in them were undone, or were refused.
    again: Vec<Range<u64>>,
    /// Bytes of what has left memory and is not undone, by write numbers.
    sizes: Vec<(Range<u64>, u64)>,
    /// What it adds to the gauge of all transactions.
    shown: u64,
}

struct Stage {
    group: GroupId,
    seqs: Range<u64>,
    place: Place,
}

enum Place {
    UnderWay(StageTicket),
    Known(StageRef),
}

impl Stages {
    pub(crate) fn undo_to(&mut self, mark: u64) {
        for stage in &self.staged {
            if stage.seqs.start < mark && mark < stage.seqs.end {
                stage_again(&mut self.again, stage.seqs.start..mark);
            }
        }
        let (kept, dropped) = std::mem::take(&mut self.staged).into_iter().partition(|s| s.seqs.end <= mark);
        self.staged = kept;
        self.give_up(dropped);
        self.again.retain_mut(|r| {
            r.end = r.end.min(mark);
            r.start < r.end
        });
        self.sizes.retain_mut(|(r, bytes)| {
            if mark < r.end {
                // About: writes are of about one size.
                let kept = mark.saturating_sub(r.start);
                *bytes = (u128::from(*bytes) * u128::from(kept) / u128::from(r.end - r.start)) as u64;
                r.end = mark;
            }
            r.start < r.end
        });
        self.show(self.sizes.iter().map(|(_, bytes)| bytes).sum());
    }

    /// Takes note of how much left memory, and tells how much has in all.
    pub(crate) fn grow(&mut self, seqs: Range<u64>, bytes: u64) -> u64 {
        self.sizes.push((seqs, bytes));
        let all = self.sizes.iter().map(|(_, bytes)| bytes).sum();
        self.show(all);
        all
    }

    fn show(&mut self, bytes: u64) {
        if bytes == self.shown {
            return;
        }
        metrics::gauge!("curia_uncommitted_bytes").increment(bytes as f64 - self.shown as f64);
        self.shown = bytes;
    }

    /// No commit will name these.
    fn give_up(&self, stages: Vec<Stage>) {
        let Some(replication) = &self.replication else { return };
        let mut places: BTreeMap<GroupId, Vec<StageRef>> = BTreeMap::new();
        for stage in stages {
            let at = match stage.place {
                Place::Known(at) => Some(at),
                Place::UnderWay(ticket) => ticket.withdraw(),
            };
            if let Some(at) = at {
                places.entry(stage.group).or_default().push(at);
            }
        }
        for (group, stages) in places {
            replication.discard(group, stages);
        }
    }

    /// Write numbers to be staged again.
    pub(crate) fn again(&self) -> &[Range<u64>] {
        &self.again
    }

    /// Has these writes staged at commit, from the spill, because their records were not taken.
    pub(crate) fn stage_again(&mut self, seqs: Range<u64>) {
        stage_again(&mut self.again, seqs);
    }

    /// Hands a payload over; waits while too many are under way.
    pub(crate) async fn push(
        &mut self,
        replication: &Arc<dyn Replication>,
        group: GroupId,
        seqs: Range<u64>,
        payload: Bytes,
    ) -> Result<()> {
        self.replication.get_or_insert_with(|| replication.clone());
        self.staged.push(Stage {
            group,
            seqs,
            place: Place::UnderWay(replication.stage(group, payload)),
        });
        while self.staged.iter().filter(|s| matches!(s.place, Place::UnderWay(_))).count() > UNDER_WAY {
            self.settle_first().await?;
        }
        Ok(())
    }

    /// Waits for all records under way; what was refused is to be staged again.
    pub(crate) async fn settle(&mut self) {
        while self.staged.iter().any(|s| matches!(s.place, Place::UnderWay(_))) {
            // Whoever stages it again is told when there is still no room.
            let _ = self.settle_first().await;
        }
    }

    async fn settle_first(&mut self) -> Result<()> {
        let Some(at) = self.staged.iter().position(|s| matches!(s.place, Place::UnderWay(_))) else {
            return Ok(());
        };
        let stage = &mut self.staged[at];
        let Place::UnderWay(ticket) = &mut stage.place else { return Ok(()) };
        match ticket.await {
            Ok(place) => {
                stage.place = Place::Known(place);
                Ok(())
            }
            Err(error) => {
                // The statement fails, but a savepoint may keep these writes.
                let refused = self.staged.remove(at);
                stage_again(&mut self.again, refused.seqs);
                Err(error)
            }
        }
    }

    /// The places of all records, by group and ascending, for the commit that names them: it is not for this to give them up any more.
    pub(crate) async fn places(&mut self) -> Result<BTreeMap<GroupId, Vec<StageRef>>> {
        while self.staged.iter().any(|s| matches!(s.place, Place::UnderWay(_))) {
            self.settle_first().await?;
        }
        let mut places: BTreeMap<GroupId, Vec<StageRef>> = BTreeMap::new();
        for stage in std::mem::take(&mut self.staged) {
            if let Place::Known(at) = stage.place {
                places.entry(stage.group).or_default().push(at);
            }
        }
        places.values_mut().for_each(|p| p.sort_by_key(|s| s.index));
        Ok(places)
    }
}

fn stage_again(again: &mut Vec<Range<u64>>, seqs: Range<u64>) {
    if !again.contains(&seqs) {
        again.push(seqs);
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        let staged = std::mem::take(&mut self.staged);
        self.give_up(staged);
        self.show(0);
    }
}

/// Sorts writes into payloads by group, cutting them at a size.
pub(crate) struct Payloads<'a> {
    catalog: &'a Catalog,
    cut_bytes: usize,
    /// The group of the storage that came last.
    last: Option<(u32, GroupId)>,
    pub(crate) open: BTreeMap<GroupId, FragmentWriter>,
    /// Payloads that reached the size.
    pub(crate) full: Vec<(GroupId, Bytes)>,
    pub(crate) bytes: u64,
}

impl<'a> Payloads<'a> {
    pub(crate) fn new(catalog: &'a Catalog, cut_bytes: usize) -> Payloads<'a> {
        Payloads {
            catalog,
            cut_bytes,
            last: None,
            open: BTreeMap::new(),
            full: Vec::new(),
            bytes: 0,
        }
    }

    fn group(&mut self, storage: u32) -> GroupId {
        match self.last {
            Some((last, group)) if last == storage => group,
            _ => {
                let group = GroupId(self.catalog.group_of(StorageId(storage)));
                self.last = Some((storage, group));
                group
            }
        }
    }

    pub(crate) fn writer(&mut self, group: GroupId) -> &mut FragmentWriter {
        self.open.entry(group).or_default()
    }

    pub(crate) fn write(&mut self, storage: u32, key: &[u8], row: Option<&[u8]>) -> Result<()> {
        let group = self.group(storage);
        let cut_bytes = self.cut_bytes;
        let writer = self.writer(group);
        match row {
            Some(row) => writer.put(storage, key, row)?,
            None => writer.delete(storage, key)?,
        }
        let full = writer.len() >= cut_bytes;
        self.bytes += (key.len() + row.map_or(0, <[u8]>::len)) as u64;
        if full {
            let payload = std::mem::take(self.writer(group)).finish();
            self.full.push((group, Bytes::from(payload)));
        }
        Ok(())
    }

    /// All payloads, those below the size included.
    pub(crate) fn finish(mut self) -> Vec<(GroupId, Bytes)> {
        for (group, writer) in self.open {
            if !writer.is_empty() {
                self.full.push((group, Bytes::from(writer.finish())));
            }
        }
        self.full
    }
}
