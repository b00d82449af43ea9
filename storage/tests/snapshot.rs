//! Group snapshots: what one state gives, another one takes, wholly or not at all.

use std::path::Path;

use curia_consensus::{Base, Csn, GroupId, Index, Term, Timestamp};
use curia_storage::fragment::FragmentWriter;
use curia_storage::state::{ApplyBatch, GroupSnapshot, StateOptions};
use curia_storage::{StateStore, StorageError};

const ONE: GroupId = GroupId(1);
const TWO: GroupId = GroupId(2);

fn open(path: &Path) -> StateStore {
    StateStore::open(path, &StateOptions::small()).expect("the state opens")
}

fn base(csn: u64) -> Base {
    Base {
        index: Index(csn),
        term: Term(1),
        csn: Csn(csn),
        timestamp: Timestamp(csn),
        ..Base::default()
    }
}

/// Commits a fragment of one group.
fn write(state: &StateStore, group: GroupId, csn: u64, change: impl FnOnce(&mut FragmentWriter)) {
    let mut writer = FragmentWriter::new();
    change(&mut writer);
    let mut batch = ApplyBatch::new();
    batch.fragment(group, Csn(csn), &writer.finish()).expect("a sound payload");
    batch.applied(group, base(csn));
    batch.committed(Csn(csn), Timestamp(csn));
    state.apply(batch).expect("applied");
}

fn put(state: &StateStore, group: GroupId, csn: u64, storage: u32, key: &str, row: &str) {
    write(state, group, csn, |writer| {
        writer.put(storage, key.as_bytes(), row.as_bytes()).expect("a small row");
    });
}

fn get(state: &StateStore, storage: u32, key: &str, csn: u64) -> Option<String> {
    let row = state.get(storage, key.as_bytes(), Csn(csn)).expect("readable");
    row.map(|row| String::from_utf8(row).expect("text"))
}

/// All pieces, of so many bytes.
fn pieces(snapshot: &mut GroupSnapshot, bytes: usize) -> Vec<Vec<u8>> {
    let (mut pieces, mut offset) = (Vec::new(), 0);
    loop {
        let piece = snapshot.piece(offset, bytes).expect("readable").expect("the next piece");
        offset += piece.data.len() as u64;
        pieces.push(piece.data.to_vec());
        if piece.last {
            return pieces;
        }
    }
}

fn copy(from: &StateStore, to: &StateStore, group: GroupId, csn: u64) {
    let mut snapshot = from.snapshot(group, base(csn)).expect("taken");
    let mut incoming = to.receive(group, base(csn)).expect("begun");
    for piece in pieces(&mut snapshot, 100) {
        incoming.add(&piece).expect("room");
    }
    to.install(&incoming).expect("installed");
}

fn filled(path: &Path) -> StateStore {
    let state = open(path);
    for n in 1..=50 {
        put(&state, ONE, n, 10, &format!("k{n:03}"), &"x".repeat(n as usize));
    }
    put(&state, TWO, 51, 20, "other", "group");
    write(&state, ONE, 52, |writer| writer.delete(10, b"k001").expect("a small key"));
    put(&state, ONE, 53, 11, "second", "storage");
    state
}

#[test]
fn an_installed_snapshot_is_the_group_as_it_was_and_nothing_of_another() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, path) = (filled(from.path()), to.path());
    let to = open(path);
    put(&to, ONE, 1, 10, "old", "row");
    put(&to, ONE, 2, 12, "old", "storage");
    put(&to, TWO, 3, 20, "stays", "here");
    copy(&from, &to, ONE, 53);
    assert_eq!(to.digest(ONE, Csn(53)).unwrap(), from.digest(ONE, Csn(53)).unwrap());
    assert_eq!(
        to.digest(ONE, Csn(40)).unwrap(),
        from.digest(ONE, Csn(40)).unwrap(),
        "older versions come too"
    );
    assert_ne!(to.digest(ONE, Csn(53)).unwrap(), to.digest(ONE, Csn(40)).unwrap());
    assert_eq!(get(&to, 10, "old", 60), None);
    assert_eq!(get(&to, 12, "old", 60), None);
    assert_eq!(get(&to, 10, "k001", 51).as_deref(), Some("x"));
    assert_eq!(get(&to, 10, "k001", 52), None);
    assert_eq!(get(&to, 20, "stays", 60).as_deref(), Some("here"));
    assert_eq!(get(&to, 20, "other", 60), None);
    assert_eq!(to.flushed(ONE).unwrap(), base(53), "durable, with its position");
    drop(to);
    let to = open(path);
    assert_eq!(to.digest(ONE, Csn(53)).unwrap(), from.digest(ONE, Csn(53)).unwrap());
    assert_eq!(to.storages_of(ONE), [10, 11]);
}

#[test]
fn deletions_that_came_with_a_snapshot_are_collected_as_ones_own() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (filled(from.path()), open(to.path()));
    to.collect_garbage(Csn(60)).unwrap();
    copy(&from, &to, ONE, 53);
    let collected = to.collect_garbage(Csn(60)).unwrap();
    assert_eq!(collected.removed, 2, "the deletion and what it hides");
}

#[test]
fn a_snapshot_shows_one_moment_while_commits_go_on() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (filled(from.path()), open(to.path()));
    let mut snapshot = from.snapshot(ONE, base(53)).unwrap();
    let mut incoming = to.receive(ONE, base(53)).unwrap();
    let first = snapshot.piece(0, 200).unwrap().unwrap();
    incoming.add(&first.data).unwrap();
    for n in 54..90 {
        put(&from, ONE, n, 10, &format!("k{:03}", n % 10), "new");
    }
    from.flush().unwrap();
    from.compact().unwrap();
    assert_eq!(snapshot.piece(0, 200).unwrap(), Some(first), "a lost piece can be had again");
    assert_eq!(snapshot.piece(7, 200).unwrap(), None, "one before it can't");
    let mut offset = 200;
    loop {
        let piece = snapshot.piece(offset, 200).unwrap().unwrap();
        offset += piece.data.len() as u64;
        incoming.add(&piece.data).unwrap();
        if piece.last {
            break;
        }
    }
    to.install(&incoming).unwrap();
    assert_eq!(to.digest(ONE, Csn(53)).unwrap(), from.digest(ONE, Csn(53)).unwrap());
}

#[test]
fn a_snapshot_that_is_not_what_was_sent_changes_nothing() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (filled(from.path()), open(to.path()));
    put(&to, ONE, 1, 10, "old", "row");
    let whole = pieces(&mut from.snapshot(ONE, base(53)).unwrap(), 1 << 20).concat();
    let mut step = 1;
    for at in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (step % 8);
        step += 1;
        if step % 3 == 0 {
            bytes.truncate(at);
        }
        let mut incoming = to.receive(ONE, base(53)).unwrap();
        incoming.add(&bytes).unwrap();
        assert!(matches!(to.install(&incoming), Err(StorageError::Format { .. })), "changed at {at}");
        assert_eq!(get(&to, 10, "old", 1).as_deref(), Some("row"));
    }
}

/// Catches: an install that a crash leaves half done, of which the position says that it never began.
#[test]
fn an_install_that_a_crash_interrupted_is_finished_by_the_next_start() {
    let (from, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let from = filled(from.path());
    let to = open(folder.path());
    put(&to, ONE, 1, 10, "old", "row");
    to.flush().unwrap();
    let mut incoming = to.receive(ONE, base(53)).unwrap();
    for piece in pieces(&mut from.snapshot(ONE, base(53)).unwrap(), 1000) {
        incoming.add(&piece).unwrap();
    }
    drop(incoming);
    // What a crash leaves right after the file got its name, with the old rows out already.
    let inside = folder.path().join("incoming");
    std::fs::rename(inside.join("1.partial"), inside.join("1.1.whole")).unwrap();
    to.drop_storage(10).unwrap();
    drop(to);
    let to = open(folder.path());
    assert_eq!(to.digest(ONE, Csn(53)).unwrap(), from.digest(ONE, Csn(53)).unwrap());
    assert_eq!(to.applied(ONE).unwrap(), base(53));
    // And one after the state was durable, before the file went: it must not undo what came later.
    put(&to, ONE, 54, 10, "later", "row");
    to.flush().unwrap();
    let mut again = to.receive(ONE, base(53)).unwrap();
    for piece in pieces(&mut from.snapshot(ONE, base(53)).unwrap(), 1000) {
        again.add(&piece).unwrap();
    }
    std::fs::rename(inside.join("1.partial"), inside.join("1.1.whole")).unwrap();
    drop(to);
    let to = open(folder.path());
    assert_eq!(get(&to, 10, "later", 60).as_deref(), Some("row"));
    assert!(std::fs::read_dir(inside).unwrap().next().is_none());
}

#[test]
fn storages_without_a_noted_owner_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    let mut batch = ApplyBatch::new();
    batch.put(5, b"a", Csn(1), b"row").unwrap();
    batch.put(1030, b"a", Csn(1), b"row").unwrap();
    state.apply(batch).unwrap();
    state.adopt_storages(|storage| GroupId(storage % 8)).unwrap();
    assert_eq!(
        (state.storages_of(GroupId(5)), state.storages_of(GroupId(6))),
        (vec![5], vec![1030])
    );
}

#[test]
fn the_bytes_of_a_snapshot_are_these() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    put(&state, ONE, 1, 10, "k", "row");
    write(&state, ONE, 2, |writer| writer.drop_storage(11));
    let bytes = pieces(&mut state.snapshot(ONE, base(2)).unwrap(), 1 << 20).concat();
    let expected: &[&[u8]] = &[
        b"\x01",                                        // version
        b"\x01\0\0\0",                                  // group
        b"\x02\0\0\0\0\0\0\0",                          // CSN
        b"\0\0\0\0\0\0\0\0",                            // horizon
        b"\x04\x0a\0\0\0",                              // a storage
        b"\x04\x0b\0\0\0",                              // another
        b"\x02\x0b\0\0\0\x02\0\0\0\0\0\0\0",            // which was given up
        b"\x01\x0d\0\0\0\x03\0\0\0",                    // a row: lengths
        b"\0\0\0\x0ak\xff\xff\xff\xff\xff\xff\xff\xfe", // its key and the inverted CSN
        b"row",
        b"\0\x04\0\0\0\0\0\0\0", // the end, after four records
    ];
    let (body, crc) = bytes.split_at(bytes.len() - 4);
    assert_eq!(body, expected.concat());
    assert_eq!(crc.len(), 4);
}
