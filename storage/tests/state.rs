//! The state store through its public doors, beside a model that keeps every version in a map.

#![allow(clippy::unwrap_used)] // what a test calls is a test too

use std::collections::BTreeMap;
use std::path::Path;

use curia_consensus::{Base, Csn, GroupId, Index, Timestamp};
use curia_storage::StateStore;
use curia_storage::fragment::FragmentWriter;
use curia_storage::state::{ApplyBatch, Direction, KeyRange, StateOptions};
use proptest::prelude::*;
use rand_chacha::rand_core::SeedableRng;

const TABLE: u32 = 7;

fn open(path: &Path) -> StateStore {
    StateStore::open(path, &StateOptions::small()).unwrap()
}

fn put(store: &StateStore, csn: u64, key: &[u8], row: &[u8]) {
    let mut batch = ApplyBatch::new();
    batch.put(TABLE, key, Csn(csn), row).unwrap();
    store.apply(batch).unwrap();
}

fn delete(store: &StateStore, csn: u64, key: &[u8]) {
    let mut batch = ApplyBatch::new();
    batch.delete(TABLE, key, Csn(csn));
    store.apply(batch).unwrap();
}

fn scan(store: &StateStore, storage: u32, range: &KeyRange, csn: u64, direction: Direction) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut scan = store.scan(storage, range, Csn(csn), direction);
    let mut rows = Vec::new();
    while let Some((key, row)) = scan.next().unwrap() {
        rows.push((key.to_vec(), row.to_vec()));
    }
    rows
}

#[test]
fn a_read_sees_the_newest_version_at_or_below_its_csn() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, 3, b"k", b"three");
    put(&store, 5, b"k", b"five");
    delete(&store, 8, b"k");
    let at = |csn| store.get(TABLE, b"k", Csn(csn)).unwrap();
    assert_eq!(at(2), None);
    assert_eq!(at(3).as_deref(), Some(&b"three"[..]));
    assert_eq!(at(7).as_deref(), Some(&b"five"[..]));
    assert_eq!(at(8), None);
    let newest = store.newest(TABLE, b"k").unwrap().unwrap();
    assert_eq!((newest.csn, newest.row), (Csn(8), None));
    assert_eq!(store.newest(TABLE, b"j").unwrap(), None);
    // Neither a longer key nor another storage is this row.
    assert_eq!(store.get(TABLE, b"k\0", Csn(9)).unwrap(), None);
    assert_eq!(store.get(TABLE + 1, b"k", Csn(9)).unwrap(), None);
}

#[test]
fn a_reused_iterator_sees_what_was_applied_since_its_last_use() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for csn in 1..=2_000u64 {
        put(&store, csn, &(csn % 50).to_be_bytes(), &csn.to_be_bytes().map(|b| b | 1));
        assert!(store.get(TABLE, &(csn % 50).to_be_bytes(), Csn(csn)).unwrap().is_some());
        if csn % 500 == 0 {
            store.flush().unwrap();
        }
    }
}

#[test]
fn a_read_within_a_read_works() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, 1, b"a", b"b");
    put(&store, 1, b"b", b"value");
    let found = store
        .read(TABLE, b"a", Csn(1), |key| store.get(TABLE, key, Csn(1)).unwrap())
        .unwrap()
        .flatten();
    assert_eq!(found.as_deref(), Some(&b"value"[..]));
}

fn position(index: u64) -> Base {
    Base {
        index: Index(index),
        ..Base::default()
    }
}

/// Catches: a position that is durable without its rows, or rows without their position.
#[test]
fn a_crash_loses_rows_and_positions_together_back_to_the_last_flush() {
    let folder = tempfile::tempdir().unwrap();
    let group = GroupId(4);
    let store = open(folder.path());
    for csn in 1..=10 {
        let mut batch = ApplyBatch::new();
        batch.put(TABLE, &[csn as u8], Csn(csn), b"row").unwrap();
        batch.applied(group, position(csn * 10));
        batch.committed(Csn(csn), Timestamp(csn * 100));
        batch.commit_timestamp(Csn(csn), Timestamp(csn * 100));
        store.apply(batch).unwrap();
        if csn == 6 {
            assert_eq!(store.flushed(group).unwrap(), Base::default());
            store.flush().unwrap();
        }
    }
    assert_eq!(store.applied(group).unwrap(), position(100));
    assert_eq!(store.flushed(group).unwrap(), position(60));
    assert_eq!(store.flushed_csn().unwrap(), (Csn(6), Timestamp(600)));
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.applied(group).unwrap(), position(60));
    assert_eq!(store.applied_csn().unwrap(), (Csn(6), Timestamp(600)));
    assert_eq!(scan(&store, TABLE, &KeyRange::all(), 100, Direction::Forward).len(), 6);
    assert_eq!(store.csn_at(Timestamp(450)).unwrap(), Some(Csn(4)));
    assert_eq!(store.csn_at(Timestamp(99)).unwrap(), None);
    assert_eq!(store.csn_at(Timestamp(9_999)).unwrap(), Some(Csn(6)));
}

#[test]
fn commit_timestamps_below_the_horizon_go_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path(), &StateOptions::small()).unwrap();
    let mut batch = ApplyBatch::new();
    for csn in 1..=20_000 {
        batch.commit_timestamp(Csn(csn), Timestamp(csn * 100));
    }
    store.apply(batch).unwrap();
    while store.collect_garbage(Csn(19_000)).unwrap().more {}
    assert_eq!(store.commit_timestamp(Csn(18_999)).unwrap(), None);
    assert_eq!(
        store.commit_timestamp(Csn(19_000)).unwrap(),
        Some((Csn(19_000), Timestamp(1_900_000)))
    );
    assert_eq!(store.csn_at(Timestamp(1_950_050)).unwrap(), Some(Csn(19_500)));
}

/// Catches the same where RocksDB flushes by itself, in the middle of things.
#[test]
fn positions_never_run_ahead_of_rows_whenever_memory_tables_were_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let group = GroupId(0);
    let store = open(folder.path());
    let row = vec![b'x'; 4_000];
    for csn in 1..=1_500u64 {
        let mut batch = ApplyBatch::new();
        batch.put(TABLE, &csn.to_be_bytes(), Csn(csn), &row).unwrap();
        batch.applied(group, position(csn));
        store.apply(batch).unwrap();
    }
    drop(store);
    let store = open(folder.path());
    let applied = store.applied(group).unwrap().index;
    assert!(applied > Index::ZERO, "nothing was flushed; the test is too small");
    assert_eq!(
        scan(&store, TABLE, &KeyRange::all(), u64::MAX, Direction::Forward).len() as u64,
        applied.0
    );
}

#[test]
fn a_fragment_is_applied_in_order_and_malformed_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut fragment = FragmentWriter::new();
    fragment.put(TABLE, b"a", b"1").unwrap();
    fragment.put(TABLE, b"b", b"2").unwrap();
    fragment.delete(TABLE, b"b").unwrap();
    assert!(fragment.put(TABLE, b"c", b"\0").is_err());
    let payload = fragment.finish();
    let mut batch = ApplyBatch::new();
    batch.fragment(GroupId(0), Csn(1), &payload).unwrap();
    store.apply(batch).unwrap();
    assert_eq!(
        scan(&store, TABLE, &KeyRange::all(), 1, Direction::Forward),
        [(b"a".to_vec(), b"1".to_vec())]
    );
    assert!(
        ApplyBatch::new()
            .fragment(GroupId(0), Csn(1), &payload[..payload.len() - 1])
            .is_err()
    );
    assert!(ApplyBatch::new().fragment(GroupId(0), Csn(1), b"").is_err());
}

#[test]
fn a_dropped_storage_is_read_until_the_horizon_passes_and_gone_after() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, 1, b"k", b"row");
    let mut batch = ApplyBatch::new();
    batch.put(TABLE + 1, b"k", Csn(1), b"neighbour").unwrap();
    batch.drop_storage(TABLE, Csn(5));
    store.apply(batch).unwrap();
    store.collect_garbage(Csn(4)).unwrap();
    assert!(store.get(TABLE, b"k", Csn(4)).unwrap().is_some());
    assert_eq!(store.dropped().unwrap(), [(TABLE, Csn(5))]);
    assert_eq!(store.collect_garbage(Csn(5)).unwrap().storages, 1);
    assert_eq!(store.get(TABLE, b"k", Csn(9)).unwrap(), None);
    assert!(store.get(TABLE + 1, b"k", Csn(9)).unwrap().is_some());
    assert_eq!(store.dropped().unwrap(), []);
}

#[test]
fn deletions_go_when_nobody_can_see_them_with_all_that_they_hide() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for key in 0..100u8 {
        put(&store, 1, &[key], b"row");
        delete(&store, 2, &[key]);
    }
    store.flush().unwrap();
    assert_eq!(store.collect_garbage(Csn(1)).unwrap().removed, 0);
    assert_eq!(store.collect_garbage(Csn(2)).unwrap().removed, 200);
    assert_eq!(store.newest(TABLE, &[5]).unwrap(), None);
}

/// Catches: a pass that reads a table again because it holds deletions that are not to be collected yet.
#[test]
fn a_pass_reads_what_it_can_collect_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut rows = ApplyBatch::new();
    for key in 0..10_000u32 {
        rows.put(TABLE, &key.to_be_bytes(), Csn(1), b"row").unwrap();
    }
    store.apply(rows).unwrap();
    delete(&store, 5, &7u32.to_be_bytes());
    delete(&store, 9, &8u32.to_be_bytes());
    store.flush().unwrap();
    let examined = |horizon| store.collect_garbage(Csn(horizon)).unwrap().examined;
    assert_eq!(examined(4), 0, "nothing is to be collected below the first deletion");
    // One listed deletion, its version and the one that it hides, and the look past them.
    assert_eq!(examined(5), 4);
    assert_eq!(examined(8), 0, "what is collected is not read again");
    assert_eq!(examined(9), 4);
    assert_eq!(examined(1_000), 0);
}

#[test]
fn a_row_written_after_its_deletion_in_one_transaction_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, 1, b"k", b"old");
    delete(&store, 2, b"k");
    put(&store, 2, b"k", b"new");
    while store.collect_garbage(Csn(5)).unwrap().more {}
    assert_eq!(store.get(TABLE, b"k", Csn(5)).unwrap().as_deref(), Some(&b"new"[..]));
}

#[test]
fn deletions_are_collected_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, 1, b"k", b"row");
    delete(&store, 2, b"k");
    store.flush().unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.collect_garbage(Csn(2)).unwrap().removed, 2);
}

/// A store of several levels, so that compactions of the upper ones meet deletions that nobody can see any more without
/// what they hide further down; crashes bring back what garbage collection removed from memory tables. Catches: a deletion
/// dropped by the compaction filter, or gone for good before what it hides.
#[test]
fn a_deleted_row_never_reappears_whatever_was_compacted_and_lost() {
    const ROWS: u32 = 1_500;
    const GONE: u32 = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let mut noise = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut fill = |store: &StateStore, csn: u64, keys: std::ops::Range<u32>, suffix: &[u8]| {
        let mut batch = ApplyBatch::new();
        let mut row = vec![1; 8_000];
        for key in keys {
            noise.fill_bytes(&mut row[1..]); // does not compress
            batch
                .put(TABLE, &[&key.to_be_bytes()[..], suffix].concat(), Csn(csn), &row)
                .unwrap();
            if batch.bytes() > 500_000 {
                store.apply(std::mem::take(&mut batch)).unwrap();
            }
        }
        store.apply(batch).unwrap();
    };
    let gone = |store: &StateStore, csn: u64, deleted: u32| {
        for key in 0..deleted {
            assert_eq!(store.get(TABLE, &key.to_be_bytes(), Csn(csn)).unwrap(), None, "row {key} at {csn}");
        }
    };
    fill(&store, 1, 0..ROWS, b"");
    store.compact().unwrap();
    let mut csn = 1;
    for round in 1..=5 {
        let deleted = round * GONE / 5;
        // More deletions than one call settles come first, so that the horizon is above those of the table, and they stay.
        csn += 1;
        let mut batch = ApplyBatch::new();
        for key in 0..50_000u32 {
            batch.delete(TABLE - 1, &key.to_be_bytes(), Csn(csn));
        }
        store.apply(batch).unwrap();
        for key in 0..deleted {
            csn += 1;
            delete(&store, csn, &key.to_be_bytes());
        }
        store.flush().unwrap();
        assert!(store.collect_garbage(Csn(csn)).unwrap().more);
        // Four files of the uppermost level are compacted into the next.
        for part in 0..8 {
            csn += 1;
            fill(&store, csn, part * 60..part * 60 + 60, b"+");
            store.flush().unwrap();
            gone(&store, csn, deleted);
        }
        while store.collect_garbage(Csn(csn)).unwrap().more {}
        gone(&store, csn, deleted);
        if round % 2 == 0 {
            store.flush().unwrap();
        }
        drop(store); // what was collected and not flushed comes back
        store = open(folder.path());
        gone(&store, csn, deleted);
        while store.collect_garbage(Csn(csn)).unwrap().more {}
        gone(&store, csn, deleted);
    }
    store.compact().unwrap();
    gone(&store, csn, GONE);
    assert_eq!(store.newest(TABLE, &3u32.to_be_bytes()).unwrap(), None, "collected for good");
    let rest = KeyRange::all().from(&GONE.to_be_bytes());
    assert_eq!(scan(&store, TABLE, &rest, csn, Direction::Forward).len(), (ROWS - GONE) as usize);
}

#[test]
fn the_last_key_of_a_storage_is_found_in_deletions_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(store.last_key(TABLE).unwrap(), None);
    put(&store, 1, b"a", b"row");
    put(&store, 1, b"b", b"row");
    delete(&store, 2, b"b");
    let mut neighbour = ApplyBatch::new();
    neighbour.put(TABLE + 1, b"z", Csn(2), b"row").unwrap();
    store.apply(neighbour).unwrap();
    assert_eq!(store.last_key(TABLE).unwrap().as_deref(), Some(&b"b"[..]));
}

#[test]
fn a_range_splits_into_ranges_that_together_have_every_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for part in 0..6u64 {
        for i in 0..200 {
            put(&store, part * 200 + i + 1, &(part * 1_000 + i).to_be_bytes(), &[1; 200]);
        }
        store.flush().unwrap();
    }
    let ranges = store.split(TABLE, &KeyRange::all(), 4).unwrap();
    assert_eq!(ranges.len(), 4);
    let mut rows = Vec::new();
    for range in &ranges {
        rows.extend(scan(&store, TABLE, range, u64::MAX, Direction::Forward));
    }
    assert_eq!(rows, scan(&store, TABLE, &KeyRange::all(), u64::MAX, Direction::Forward));
}

/// A row's versions, oldest first; `None` is a deletion.
type History = Vec<(u64, Option<Vec<u8>>)>;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Flush,
    Collect(u8),
    Compact,
}

fn step() -> impl Strategy<Value = Step> {
    // Few keys, so that rows get long histories.
    prop_oneof![
        10 => (0..12u8, 1..255u8).prop_map(|(key, row)| Step::Put(key, row)),
        5 => (0..12u8).prop_map(Step::Delete),
        1 => Just(Step::Flush),
        1 => (0..40u8).prop_map(Step::Collect),
        1 => Just(Step::Compact),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Catches: garbage collection of something visible, versions resurrected by it, reseeks that skip or repeat a row,
    /// bounds off by one in either direction.
    #[test]
    fn reads_and_scans_at_every_csn_agree_with_a_map_of_all_versions(steps in prop::collection::vec(step(), 1..160)) {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mut model: BTreeMap<Vec<u8>, History> = BTreeMap::new();
        let (mut csn, mut horizon) = (0u64, 0u64);
        for step in steps {
            match step {
                Step::Put(key, row) => {
                    csn += 1;
                    put(&store, csn, &[key], &[row]);
                    model.entry(vec![key]).or_default().push((csn, Some(vec![row])));
                }
                Step::Delete(key) => {
                    csn += 1;
                    delete(&store, csn, &[key]);
                    model.entry(vec![key]).or_default().push((csn, None));
                }
                Step::Flush => store.flush().unwrap(),
                Step::Collect(back) => {
                    horizon = horizon.max(csn.saturating_sub(u64::from(back)));
                    store.collect_garbage(Csn(horizon)).unwrap();
                }
                Step::Compact => store.compact().unwrap(),
            }
        }
        let at = |csn: u64| -> Vec<(Vec<u8>, Vec<u8>)> {
            model.iter().filter_map(|(key, versions)| {
                let (_, row) = versions.iter().rev().find(|(written, _)| *written <= csn)?;
                Some((key.clone(), row.clone()?))
            }).collect()
        };
        for read in horizon..=csn {
            let expected = at(read);
            for key in 0..12u8 {
                let row = expected.iter().find(|(k, _)| k == &[key]).map(|(_, row)| row.clone());
                prop_assert_eq!(store.get(TABLE, &[key], Csn(read)).unwrap(), row, "key {} at {}", key, read);
            }
            for range in [KeyRange::all(), KeyRange::all().from(&[3]).before(&[9]), KeyRange::prefix(&[5]), KeyRange::all().after_prefix(&[4])] {
                let inside: Vec<_> = expected.iter().filter(|(key, _)| range.contains(key)).cloned().collect();
                prop_assert_eq!(&scan(&store, TABLE, &range, read, Direction::Forward), &inside);
                let backward: Vec<_> = inside.into_iter().rev().collect();
                prop_assert_eq!(&scan(&store, TABLE, &range, read, Direction::Backward), &backward);
            }
        }
    }
}

#[test]
fn a_scan_of_a_prefix_sees_what_was_applied_before_it_began_and_nothing_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let range = KeyRange::prefix(b"k");
    let keys = |csn| -> Vec<Vec<u8>> {
        let found = scan(&store, TABLE, &range, csn, Direction::Forward);
        found.into_iter().map(|(key, _)| key).collect()
    };
    put(&store, 1, b"ka", b"1");
    put(&store, 2, b"l", b"2");
    assert_eq!(keys(9), [b"ka"]);
    let mut under_way = store.scan(TABLE, &range, Csn(9), Direction::Forward);
    put(&store, 3, b"kb", b"3");
    assert_eq!(keys(9), [b"ka", b"kb"]);
    store.flush().unwrap();
    put(&store, 4, b"kc", b"4");
    assert_eq!(under_way.next().unwrap(), Some((&b"ka"[..], &b"1"[..])));
    assert_eq!(under_way.next().unwrap(), None);
    drop(under_way);
    // Whatever iterator it gets, one that begins now is up to date, at any CSN.
    assert_eq!(keys(9), [b"ka", b"kb", b"kc"]);
    assert_eq!(keys(3), [b"ka", b"kb"]);
    store.collect_garbage(Csn(4)).unwrap();
    delete(&store, 5, b"ka");
    assert_eq!(keys(9), [b"kb", b"kc"]);
}

#[test]
fn the_bytes_of_a_fragment_are_these() {
    let mut fragment = FragmentWriter::new();
    fragment.put(0x0102_0304, b"k", b"row").unwrap();
    fragment.delete(5, b"dk").unwrap();
    fragment.drop_storage(6);
    assert_eq!(
        fragment.finish(),
        b"\x01\x01\x04\x03\x02\x01\x01\0\0\0\x03\0\0\0krow\x02\x05\0\0\0\x02\0\0\0dk\x03\x06\0\0\0"
    );
}
