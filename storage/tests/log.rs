//! The log through its public doors, on a disk that forgets.

#![allow(clippy::unwrap_used)] // what a test calls is a test too

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use curia_consensus::{Base, Csn, Entry, GroupId, HardState, Index, LogId, Payload, Record, Term, TermStartAt, Timestamp, Write};
use curia_storage::StorageError;
use curia_storage::file::{BufferedUntilSync, Crash, FileLayer, ForgetfulFiles, RealFiles};
use curia_storage::log::{LogOptions, LogStore, Recovery};

const DIR: &str = "/data/log";
const GROUP: LogId = LogId::Group(GroupId(0));
const OTHER: LogId = LogId::Group(GroupId(1));

fn options(salt: u64) -> LogOptions {
    LogOptions {
        segment_bytes: 16 << 10,
        salt,
        prepare_beside: false,
    }
}

fn open(files: &ForgetfulFiles, salt: u64) -> (LogStore, Recovery) {
    LogStore::open(Arc::new(files.clone()), Path::new(DIR), options(salt)).unwrap()
}

fn entry(index: u64, term: u64, text: &str) -> Entry {
    Entry {
        index: Index(index),
        term: Term(term),
        record: Record::Stage(Payload::Held(Bytes::copy_from_slice(text.as_bytes()))),
    }
}

fn append(log: LogId, index: u64, term: u64, text: &str) -> Write {
    Write::Append {
        log,
        entry: entry(index, term, text),
    }
}

fn base(index: u64, term: u64) -> Base {
    let term_start = TermStartAt {
        term: Term(term),
        cut: Csn(index),
    };
    Base {
        index: Index(index),
        term: Term(term),
        csn: Csn(index),
        timestamp: Timestamp(1),
        term_start,
        configuration: None,
    }
}

fn replayed(log: &LogStore) -> Vec<(LogId, u64, u64, String)> {
    let mut found = Vec::new();
    log.replay(&mut |id, entry| {
        let Record::Stage(Payload::Held(bytes)) = &entry.record else {
            panic!("only stage records were written")
        };
        found.push((id, entry.index.0, entry.term.0, String::from_utf8(bytes.to_vec()).unwrap()));
        Ok(())
    })
    .unwrap();
    found
}

fn segment(number: u64) -> PathBuf {
    PathBuf::from(format!("{DIR}/{number:016}.log"))
}

/// Offset of the n-th occurrence of some text in a segment.
fn find(files: &ForgetfulFiles, path: &Path, text: &str) -> u64 {
    let contents = files.contents(path).unwrap();
    contents.windows(text.len()).position(|window| window == text.as_bytes()).unwrap() as u64
}

#[test]
fn what_was_appended_survives_a_crash_that_loses_everything_unsynced() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    let state = HardState { term: Term(3), vote: None };
    log.append(Some(&state), &[append(GROUP, 1, 3, "a"), append(OTHER, 1, 3, "b")])
        .unwrap();
    log.append(None, &[append(GROUP, 2, 3, "c")]).unwrap();
    files.crash(Crash::LoseAll);
    let (log, recovery) = open(&files, 2);
    assert_eq!(recovery.hard_state, Some(state));
    recovery.require_whole().unwrap();
    assert_eq!(
        replayed(&log),
        [(GROUP, 1, 3, "a".into()), (OTHER, 1, 3, "b".into()), (GROUP, 2, 3, "c".into())]
    );
    assert_eq!(log.read(GROUP, Index(2)).unwrap(), entry(2, 3, "c"));
    assert!(matches!(log.read(GROUP, Index(3)), Err(StorageError::NoEntry { .. })));
}

#[test]
fn a_batch_is_one_sync() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    log.append(None, &[append(GROUP, 1, 1, "warm")]).unwrap();
    let before = files.syncs();
    let writes: Vec<Write> = (2..40).map(|i| append(GROUP, i, 1, "x")).collect();
    log.append(Some(&HardState::default()), &writes).unwrap();
    assert_eq!(files.syncs() - before, 1);
}

#[test]
fn entries_that_were_replaced_or_dropped_stay_away() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    log.append(None, &(1..=5).map(|i| append(GROUP, i, 1, "old")).collect::<Vec<_>>())
        .unwrap();
    log.append(
        None,
        &[Write::DropSuffix {
            log: GROUP,
            after: Index(2),
        }],
    )
    .unwrap();
    assert!(matches!(log.read(GROUP, Index(3)), Err(StorageError::NoEntry { .. })));
    log.append(None, &[append(GROUP, 3, 2, "new")]).unwrap();
    // Without a drop before it, an entry replaces what stood at its index and after it.
    log.append(None, &[append(GROUP, 2, 3, "newer")]).unwrap();
    for _ in 0..2 {
        assert_eq!(replayed(&log), [(GROUP, 1, 1, "old".into()), (GROUP, 2, 3, "newer".into())]);
        assert_eq!(log.read(GROUP, Index(2)).unwrap(), entry(2, 3, "newer"));
        drop(log);
        log = open(&files, 2).0;
    }
}

/// Catches: taking a torn batch in part; taking records of an earlier torn batch for those of one written over it (run
/// this without the salt or without seeding records by their batch); losing an acknowledged batch behind a torn one.
#[test]
fn after_any_torn_write_a_batch_is_wholly_there_or_wholly_absent() {
    for seed in 0..200 {
        let files = ForgetfulFiles::new();
        let mut acknowledged: Vec<(LogId, u64, u64, String)> = Vec::new();
        for round in 0..12u64 {
            let salt = seed * 100 + round;
            let options = LogOptions {
                segment_bytes: 96 << 10,
                salt,
                prepare_beside: false,
            };
            let (mut log, recovery) = LogStore::open(Arc::new(files.clone()), Path::new(DIR), options).unwrap();
            recovery
                .require_whole()
                .unwrap_or_else(|e| panic!("seed {seed} round {round}: {e}"));
            let found = replayed(&log);
            assert!(
                found.starts_with(&acknowledged),
                "seed {seed} round {round}: an acknowledged entry is lost"
            );
            // What was torn may be there, then whole: three entries of one round.
            let extra = &found[acknowledged.len()..];
            assert!(
                extra.is_empty() || extra.len() == 3,
                "seed {seed} round {round}: half a batch: {extra:?}"
            );
            assert!(
                extra.windows(2).all(|two| two[0].3 == two[1].3),
                "seed {seed} round {round}: a mixed batch: {extra:?}"
            );
            acknowledged = found;
            for good in 0..seed % 3 {
                let next = acknowledged.len() as u64 + 1;
                let text = format!("good {round} {good}");
                log.append(None, &[append(GROUP, next, round + 1, &text)]).unwrap();
                acknowledged.push((GROUP, next, round + 1, text));
            }
            let next = acknowledged.len() as u64 + 1;
            // Equal lengths in every round, so that records of two rounds fall on the same places.
            let text = format!("{:02}", round).repeat(2500);
            // A segment is prepared with honest syncs.
            log.reserve(8 << 10).unwrap();
            let writes = [0, 1, 2].map(|i| append(GROUP, next + i, round + 1, &text));
            tear(&files, &mut log, &writes, seed * 31 + round);
        }
    }
}

/// Writes a batch whose sync never happens, and crashes.
fn tear(files: &ForgetfulFiles, log: &mut LogStore, writes: &[Write], seed: u64) {
    // The sync "fails" after the crash has decided what survives: a write with no sync.
    let frozen = files.clone();
    frozen.skip_syncs(true);
    let _ = log.append(None, writes);
    files.crash(Crash::Seeded(seed));
    frozen.skip_syncs(false);
}

/// The disk after one good batch and a second one of three records, which a run with this salt wrote.
fn image(salt: u64, text: char) -> Vec<u8> {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    log.append(None, &[append(GROUP, 1, 1, "good")]).unwrap();
    drop(log);
    let (mut log, _) = open(&files, salt);
    let text = text.to_string().repeat(1_000);
    log.append(None, &[2, 3, 4].map(|i| append(GROUP, i, 1, &text))).unwrap();
    files.contents(&segment(1)).unwrap()
}

/// Catches: checksums of records that don't depend on their batch. Two runs tear batches of the same shape in one place, and
/// what is left of both looks like one batch.
#[test]
fn records_of_two_torn_batches_in_one_place_are_not_taken_for_one_batch() {
    let (first, second) = (image(2, 'a'), image(3, 'b'));
    let record = second
        .windows(1_000)
        .position(|window| window.iter().all(|byte| *byte == b'b'))
        .unwrap()
        - 40;
    let stride = 40 + 1_000;
    for records in 0..=3 {
        let mut mixed = second.clone();
        mixed[record + records * stride..].copy_from_slice(&first[record + records * stride..]);
        let files = ForgetfulFiles::new();
        files.plant(&segment(1), mixed);
        let (log, recovery) = open(&files, 4);
        recovery.require_whole().unwrap();
        assert_eq!(
            replayed(&log).len(),
            if records == 3 { 4 } else { 1 },
            "{records} records of the second batch"
        );
    }
}

/// Catches: checksums of batches that don't depend on their segment, so that what a recycled file still holds counts again.
#[test]
fn a_batch_of_another_segment_is_not_taken_for_one_of_this() {
    let whole = image(2, 'a');
    let batch = whole
        .windows(1_000)
        .position(|window| window.iter().all(|byte| *byte == b'a'))
        .unwrap()
        - 40
        - 48;
    // A second segment, made ready and never written to.
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    for i in 1..20 {
        log.append(None, &[append(GROUP, i, 1, &"x".repeat(1_000))]).unwrap();
    }
    let mut recycled = files.contents(&segment(2)).unwrap();
    let stale = &whole[batch..];
    recycled[64..64 + stale.len().min(8_000)].copy_from_slice(&stale[..stale.len().min(8_000)]);
    let mut front = whole.clone();
    front[batch..].fill(0);
    let files = ForgetfulFiles::new();
    files.plant(&segment(1), front);
    files.plant(&segment(2), recycled);
    let (log, recovery) = open(&files, 3);
    recovery.require_whole().unwrap();
    assert_eq!(replayed(&log).len(), 1);
}

/// Catches: reporting rot as a torn end, which would silently drop acknowledged entries.
#[test]
fn rot_in_a_batch_known_durable_is_damage_with_file_and_offset() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    for (i, text) in ["first", "second", "third"].iter().enumerate() {
        log.append(None, &[append(GROUP, i as u64 + 1, 1, text)]).unwrap();
    }
    drop(log);
    let at = find(&files, &segment(1), "second");
    assert!(files.rot(&segment(1), at, 0x04));
    let (_log, recovery) = open(&files, 2);
    let error = recovery.require_whole().unwrap_err();
    let StorageError::Damaged { path, offset, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(path, &segment(1));
    // The record that holds the byte: 16 bytes of record header and 24 of the entry's come before its text.
    assert_eq!(*offset, at - 40);
}

/// Catches: losing everything behind a rotten batch header, whose length can't be trusted.
#[test]
fn rot_in_a_batch_header_is_damage_and_what_follows_is_found() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    for (i, text) in ["first", "second", "third"].iter().enumerate() {
        log.append(None, &[append(GROUP, i as u64 + 1, 1, text)]).unwrap();
    }
    drop(log);
    // The batch header is right before the record.
    let header = find(&files, &segment(1), "second") - 40 - 48;
    assert!(files.rot(&segment(1), header + 32, 0xff));
    let (log, recovery) = open(&files, 2);
    let StorageError::Damaged { offset, .. } = recovery.require_whole().unwrap_err() else {
        panic!()
    };
    assert_eq!(offset, header);
    assert_eq!(log.tail(GROUP).index, Index(3));
}

#[test]
fn rot_in_the_last_batch_is_damage_once_it_was_sealed_and_a_torn_end_before() {
    for sealed in [false, true] {
        let files = ForgetfulFiles::new();
        let (mut log, _) = open(&files, 1);
        log.append(None, &[append(GROUP, 1, 1, "first")]).unwrap();
        log.append(None, &[append(GROUP, 2, 1, "last")]).unwrap();
        if sealed {
            log.seal().unwrap();
        }
        drop(log);
        let at = find(&files, &segment(1), "last");
        files.rot(&segment(1), at, 1);
        let (log, recovery) = open(&files, 2);
        assert_eq!(recovery.require_whole().is_err(), sealed);
        assert_eq!(recovery.torn.is_some(), !sealed);
        if !sealed {
            assert_eq!(log.tail(GROUP).index, Index(1));
        }
    }
}

#[test]
fn every_single_rotten_bit_is_found() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    for i in 1..=3 {
        log.append(None, &[append(GROUP, i, 1, "some text")]).unwrap();
    }
    log.seal().unwrap();
    drop(log);
    let image = files.contents(&segment(1)).unwrap();
    let end = image.iter().rposition(|byte| *byte != 0).unwrap();
    // Padding between records is not covered by a checksum, and means nothing.
    let mut unnoticed = 0;
    for at in 0..end as u64 {
        let disk = ForgetfulFiles::new();
        disk.plant(&segment(1), image.clone());
        disk.rot(&segment(1), at, 0x10);
        match LogStore::open(Arc::new(disk), Path::new(DIR), options(2)) {
            Err(_) => {}
            Ok((log, recovery)) if recovery.damage.is_empty() => {
                // Rot in the seal, or in padding: nothing that was appended may be missing.
                assert_eq!(replayed(&log).len(), 3, "byte {at}");
                unnoticed += 1;
            }
            Ok(_) => {}
        }
    }
    assert!(unnoticed < 100, "{unnoticed} bytes may rot unnoticed");
}

#[test]
fn the_log_rolls_over_truncates_recycles_and_never_takes_old_bytes_for_new() {
    for seed in 0..20u64 {
        let files = ForgetfulFiles::new();
        let (mut log, _) = open(&files, seed);
        let mut texts: BTreeMap<u64, String> = BTreeMap::new();
        let mut base_at = 0;
        for i in 1..=400u64 {
            let text = format!("{i:05}").repeat(20 + ((i * 7 + seed) % 50) as usize);
            log.append(None, &[append(GROUP, i, 1, &text)]).unwrap();
            texts.insert(i, text);
            if i % 60 == seed % 60 && i > 40 {
                base_at = i - 30;
                log.truncate(&[(GROUP, base(base_at, 1))]).unwrap();
                texts.retain(|index, _| *index > base_at);
            }
            if i % 97 == 0 {
                files.crash(Crash::Seeded(seed + i));
                let (reopened, recovery) = open(&files, seed + i);
                recovery.require_whole().unwrap_or_else(|e| panic!("seed {seed} entry {i}: {e}"));
                log = reopened;
            }
        }
        let found: Vec<(u64, String)> = replayed(&log).into_iter().map(|(_, index, _, text)| (index, text)).collect();
        assert_eq!(found, texts.into_iter().collect::<Vec<_>>());
        assert!(log.live_bytes() < 10 * (16 << 10), "{} bytes are kept", log.live_bytes());
        assert!(files.paths().len() < 12, "{:?}", files.paths());
        assert!(matches!(log.read(GROUP, Index(base_at)), Err(StorageError::NoEntry { .. })));
        for index in base_at + 1..=400 {
            assert_eq!(log.read(GROUP, Index(index)).unwrap().index, Index(index));
        }
    }
}

#[test]
fn bases_and_hard_state_outlive_the_segments_that_they_were_written_to() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    let state = HardState { term: Term(9), vote: None };
    log.append(Some(&state), &[append(OTHER, 1, 1, "early"), append(GROUP, 1, 1, "early")])
        .unwrap();
    log.truncate(&[(OTHER, base(1, 1))]).unwrap();
    for i in 2..200 {
        log.append(None, &[append(GROUP, i, 1, &"x".repeat(1000))]).unwrap();
    }
    log.truncate(&[(GROUP, base(150, 1))]).unwrap();
    drop(log);
    assert!(files.contents(&segment(1)).is_none(), "the first segment should be gone");
    let (log, recovery) = open(&files, 2);
    recovery.require_whole().unwrap();
    assert_eq!(recovery.hard_state, Some(state));
    assert_eq!(recovery.bases, [(GROUP, base(150, 1)), (OTHER, base(1, 1))]);
    assert_eq!(log.tail(GROUP).index, Index(199));
    assert_eq!(log.tail(OTHER).index, Index(1));
}

/// Catches: trusting that removed segments stay removed; removals are not synced, so a crash may bring any of them back.
#[test]
fn segments_that_come_back_after_a_crash_are_removed_again() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    for i in 1..100 {
        log.append(None, &[append(GROUP, i, 1, &"x".repeat(1000))]).unwrap();
    }
    let old = (files.contents(&segment(1)).unwrap(), files.contents(&segment(3)).unwrap());
    log.truncate(&[(GROUP, base(90, 1))]).unwrap();
    drop(log);
    files.plant(&segment(1), old.0);
    files.plant(&segment(3), old.1);
    let (log, recovery) = open(&files, 2);
    recovery.require_whole().unwrap();
    assert_eq!(replayed(&log).first().unwrap().1, 91);
    assert!(files.contents(&segment(1)).is_none());
}

#[test]
fn a_missing_segment_is_damage() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    for i in 1..100 {
        log.append(None, &[append(GROUP, i, 1, &"x".repeat(1000))]).unwrap();
    }
    drop(log);
    files.remove(&segment(2)).unwrap();
    let (_log, recovery) = open(&files, 2);
    assert!(recovery.require_whole().is_err());
}

#[test]
fn a_full_disk_is_told_before_anything_is_lost_and_appending_goes_on_once_there_is_room() {
    let files = ForgetfulFiles::new();
    files.limit_capacity(Some(50 << 10));
    let (mut log, _) = open(&files, 1);
    let mut last = 0;
    let error = loop {
        match log.append(None, &[append(GROUP, last + 1, 1, &"x".repeat(1000))]) {
            Ok(()) => last += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_no_space(), "{error}");
    assert!(last > 20);
    assert!(log.reserve(1000).unwrap_err().is_no_space());
    assert_eq!(log.read(GROUP, Index(last)).unwrap().index, Index(last));
    files.limit_capacity(None);
    log.reserve(1000).unwrap();
    log.append(None, &[append(GROUP, last + 1, 1, "room")]).unwrap();
    files.crash(Crash::LoseAll);
    let (log, recovery) = open(&files, 2);
    recovery.require_whole().unwrap();
    assert_eq!(log.tail(GROUP).index, Index(last + 1));
}

#[test]
fn truncation_makes_room_on_a_full_disk() {
    let files = ForgetfulFiles::new();
    files.limit_capacity(Some(50 << 10));
    let (mut log, _) = open(&files, 1);
    let mut last = 0;
    while log.append(None, &[append(GROUP, last + 1, 1, &"x".repeat(1000))]).is_ok() {
        last += 1;
    }
    log.truncate(&[(GROUP, base(last, 1))]).unwrap();
    log.append(None, &[append(GROUP, last + 1, 1, &"x".repeat(1000))]).unwrap();
}

#[test]
fn a_failed_sync_stops_the_log_for_good() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    log.append(None, &[append(GROUP, 1, 1, "a")]).unwrap();
    files.fail_syncs(1);
    assert!(matches!(
        log.append(None, &[append(GROUP, 2, 1, "b")]),
        Err(StorageError::Io { action: "sync", .. })
    ));
    // The next sync would succeed, and say nothing about what the failed one lost.
    assert!(matches!(log.append(None, &[append(GROUP, 2, 1, "b")]), Err(StorageError::Poisoned)));
    assert!(matches!(log.reserve(1), Err(StorageError::Poisoned)));
}

#[test]
fn a_batch_larger_than_a_segment_gets_one_of_its_own() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    let text = "large".repeat(20_000);
    log.append(None, &[append(GROUP, 1, 1, "small"), append(GROUP, 2, 1, &text)])
        .unwrap();
    log.append(None, &[append(GROUP, 3, 1, "small")]).unwrap();
    drop(log);
    let (log, recovery) = open(&files, 2);
    recovery.require_whole().unwrap();
    assert_eq!(log.read(GROUP, Index(2)).unwrap(), entry(2, 1, &text));
    assert_eq!(log.read(GROUP, Index(3)).unwrap(), entry(3, 1, "small"));
}

#[test]
fn two_processes_cannot_have_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let open = || LogStore::open(Arc::new(RealFiles), folder.path(), options(1));
    let first = open().unwrap();
    assert!(matches!(open().map(|_| ()), Err(StorageError::Locked { .. })));
    drop(first);
    open().unwrap();
}

#[test]
fn real_files_keep_what_was_appended_with_segments_prepared_beside() {
    for layer in [Arc::new(RealFiles) as Arc<dyn FileLayer>, Arc::new(BufferedUntilSync::default())] {
        let folder = tempfile::tempdir().unwrap();
        let options = |salt| LogOptions {
            segment_bytes: 64 << 10,
            salt,
            prepare_beside: true,
        };
        let (mut log, _) = LogStore::open(layer.clone(), folder.path(), options(1)).unwrap();
        for i in 1..=500 {
            log.append(None, &[append(GROUP, i, 1, &"x".repeat(1000))]).unwrap();
            if i % 200 == 0 {
                log.truncate(&[(GROUP, base(i - 50, 1))]).unwrap();
            }
        }
        drop(log);
        let (log, recovery) = LogStore::open(layer, folder.path(), options(2)).unwrap();
        recovery.require_whole().unwrap();
        assert_eq!(replayed(&log).len(), 150);
    }
}

#[test]
fn unsynced_writes_under_the_buffered_layer_never_reach_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let layer = BufferedUntilSync::default();
    let file = layer.open(&path, curia_storage::file::OpenMode::Create).unwrap();
    file.allocate(100).unwrap();
    file.write_at(b"synced", 0).unwrap();
    file.sync_data().unwrap();
    file.write_at(b"forgotten", 3).unwrap();
    let mut buffer = [0; 12];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 12);
    assert_eq!(&buffer, b"synforgotten");
    drop(file);
    assert_eq!(&std::fs::read(&path).unwrap()[..8], b"synced\0\0");
}

#[test]
fn the_bytes_of_a_segment_are_these() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 0x5a17);
    let state = HardState { term: Term(2), vote: None };
    log.append(
        Some(&state),
        &[
            append(GROUP, 1, 2, "abc"),
            Write::DropSuffix {
                log: OTHER,
                after: Index(7),
            },
        ],
    )
    .unwrap();
    let image = files.contents(&segment(1)).unwrap();
    let end = image.iter().rposition(|byte| *byte != 0).unwrap();
    let hex: Vec<String> = image[..(end + 1).next_multiple_of(16)]
        .chunks(16)
        .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        .collect();
    assert_eq!(hex, include_str!("golden/segment.hex").lines().collect::<Vec<_>>());
}

#[test]
fn a_range_of_entries_is_read_in_order_up_to_its_end_or_the_bytes_asked_for() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    for i in 1..=6 {
        log.append(None, &[append(GROUP, i, 1, "old"), append(OTHER, i, 1, "other")])
            .unwrap();
    }
    log.append(None, &[append(GROUP, 4, 2, "new")]).unwrap();
    let indexes = |entries: Vec<Entry>| entries.iter().map(|entry| (entry.index.0, entry.term.0)).collect::<Vec<_>>();
    assert_eq!(
        indexes(log.read_range(GROUP, Index(1), Index(9), 1 << 20).unwrap()),
        [(2, 1), (3, 1), (4, 2)]
    );
    assert_eq!(
        indexes(log.read_range(GROUP, Index(0), Index(2), 1 << 20).unwrap()),
        [(1, 1), (2, 1)]
    );
    assert_eq!(indexes(log.read_range(GROUP, Index(0), Index(4), 1).unwrap()), [(1, 1)]);
    assert!(matches!(
        log.read_range(GROUP, Index(4), Index(9), 100),
        Err(StorageError::NoEntry { .. })
    ));
}

#[test]
fn a_dropped_log_is_gone_and_holds_no_segment() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    let base = base(3, 1);
    log.append(None, &(1..=3).map(|i| append(GROUP, i, 1, "x")).collect::<Vec<_>>())
        .unwrap();
    log.append(None, &[append(OTHER, 1, 1, "y"), Write::Base { log: GROUP, base }])
        .unwrap();
    log.append(None, &[append(GROUP, 4, 1, "z"), Write::DropLog { log: OTHER }])
        .unwrap();
    for _ in 0..2 {
        assert_eq!(replayed(&log), [(GROUP, 4, 1, "z".into())]);
        assert_eq!(log.tail(OTHER), Default::default());
        drop(log);
        let (again, recovery) = open(&files, 2);
        assert_eq!(
            recovery.bases.iter().map(|(log, base)| (*log, base.index)).collect::<Vec<_>>(),
            [(GROUP, Index(3))]
        );
        log = again;
    }
}

#[test]
fn what_was_replaced_holds_no_segment() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    let long = "x".repeat(1 << 10);
    log.append(None, &[append(OTHER, 1, 1, "y")]).unwrap();
    for index in 2..100 {
        log.append(None, &[append(OTHER, index, 1, &long)]).unwrap();
    }
    // Another term has something else there, and then nothing more.
    log.append(
        None,
        &[
            Write::DropSuffix {
                log: OTHER,
                after: Index(1),
            },
            append(OTHER, 2, 2, "z"),
        ],
    )
    .unwrap();
    for index in 1..100 {
        log.append(None, &[append(GROUP, index, 2, &long)]).unwrap();
    }
    for salt in 2..4 {
        log.truncate(&[(OTHER, base(2, 2)), (GROUP, base(95, 2))]).unwrap();
        assert!(log.live_bytes() < 3 * (16 << 10), "{} bytes are kept", log.live_bytes());
        drop(log);
        (log, _) = open(&files, salt);
        assert_eq!(
            replayed(&log).iter().map(|(_, index, ..)| *index).collect::<Vec<_>>(),
            [96, 97, 98, 99]
        );
    }
}

#[test]
fn what_was_there_is_read_while_a_batch_is_on_its_way() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    log.append(None, &[append(GROUP, 1, 1, "old")]).unwrap();
    let mut on_its_way = 0;
    // Large ones, so that the log rolls over with some of them.
    for index in 2..20 {
        let writes = [append(GROUP, index, 1, &"x".repeat(5 << 10))];
        let mut flight = log.begin(None, &writes).unwrap().unwrap();
        assert_eq!(log.read(GROUP, Index(1)).unwrap(), entry(1, 1, "old"));
        assert_eq!(log.read(GROUP, Index(index - 1)).unwrap().index, Index(index - 1));
        assert!(matches!(log.read(GROUP, Index(index)), Err(StorageError::NoEntry { .. })));
        assert_eq!(log.read_range(GROUP, Index(0), Index(99), 1 << 20).unwrap().len() as u64, index - 1);
        flight.write();
        assert!(
            matches!(log.read(GROUP, Index(index)), Err(StorageError::NoEntry { .. })),
            "it isn't known yet"
        );
        log.finish(flight, None, &writes).unwrap();
        assert_eq!(log.read(GROUP, Index(index)).unwrap().index, Index(index));
        on_its_way += 1;
    }
    files.crash(Crash::LoseAll);
    assert_eq!(replayed(&open(&files, 2).0).len(), on_its_way + 1);
}

#[test]
fn a_batch_that_nobody_finished_leaves_a_log_that_takes_no_more() {
    let files = ForgetfulFiles::new();
    let (mut log, _) = open(&files, 1);
    let writes = [append(GROUP, 1, 1, "a")];
    drop(log.begin(None, &writes).unwrap());
    assert!(matches!(log.append(None, &writes), Err(StorageError::Poisoned)));
    drop(log);
    let (mut log, _) = open(&files, 2);
    log.append(None, &writes).unwrap();
    // One that was never written is not known either.
    let writes = [append(GROUP, 2, 1, "b")];
    let flight = log.begin(None, &writes).unwrap().unwrap();
    assert!(log.finish(flight, None, &writes).is_err());
    assert!(matches!(log.append(None, &writes), Err(StorageError::Poisoned)));
}
