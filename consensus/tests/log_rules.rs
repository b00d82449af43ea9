//! Rules of the log side that one test each can show; the protocol's stories are in `scenarios`.

mod harness;

use bytes::Bytes;
use curia_consensus::*;
use harness::cluster::{Cluster, TIMEOUT};
use harness::{Server, part};

/// Three servers, the third of which lacks what the others truncated.
fn third_behind_the_base() -> Cluster {
    let mut cluster = Cluster::new(3, 2);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.append_bytes_max = 100;
        config.retained_bytes_max = 0;
        config.memory_bytes_max = 0;
    });
    cluster.commit_five_without(3);
    cluster.run(20);
    assert!(cluster.server(1).checkpoint(), "the consul truncates");
    cluster
}

fn rows(cluster: &mut Cluster, id: u64) -> usize {
    cluster.server(id).state.rows.len()
}

#[test]
fn checkpoints_go_on_after_a_truncation() {
    let mut server = Server::new(3);
    server.start();
    for round in 0..3u32 {
        for n in 0..10 {
            server.propose(&[(n % 3, "x")]).expect("room");
        }
        server.settle();
        let checkpoint = server.node().checkpoint().expect("there is something to truncate");
        let groups = checkpoint.bases.iter().filter(|(log, _)| *log != LogId::Senate).count();
        assert_eq!(groups, 3, "round {round}");
        assert!(server.checkpoint());
    }
}

#[test]
fn a_piece_of_a_snapshot_that_comes_twice_is_taken_once() {
    let mut cluster = third_behind_the_base();
    cluster.hold = |message| matches!(message.body, Body::Snapshot { .. });
    cluster.cut.clear();
    for _ in 0..200 {
        cluster.run(5);
        for message in std::mem::take(&mut cluster.held) {
            cluster.put(message.clone());
            cluster.put(message);
        }
    }
    assert_eq!(rows(&mut cluster, 3), 5);
    assert_eq!(cluster.server(3).installs.len(), 1, "one snapshot, of the group that needed it");
}

#[test]
fn pieces_of_two_snapshots_never_mix() {
    let mut cluster = third_behind_the_base();
    cluster.hold = |message| matches!(message.body, Body::Snapshot { .. });
    cluster.cut.clear();
    // The first piece arrives, the second is late; the consul starts again and serves another snapshot of the same state.
    cluster.until("the first piece", |cluster| !cluster.held.is_empty());
    let first = cluster.held.remove(0);
    cluster.put(first);
    cluster.until("the second piece", |cluster| !cluster.held.is_empty());
    let mut late = cluster.held.remove(0);
    let Body::Snapshot { data, offset, .. } = &mut late.body else {
        unreachable!()
    };
    assert!(*offset > 0);
    *data = Bytes::from(vec![0xff; data.len()]);
    cluster.held.clear();
    cluster.crash(1);
    cluster.restart(1);
    cluster.elect_this(1);
    for _ in 0..200 {
        cluster.run(5);
        let term = cluster.held.last().map(|message| message.term);
        for message in std::mem::take(&mut cluster.held) {
            cluster.put(message);
        }
        // Whatever else is right about it.
        late.term = term.unwrap_or(late.term);
        cluster.put(late.clone());
    }
    assert_eq!(rows(&mut cluster, 3), 5);
}

#[test]
fn a_proposal_waits_for_the_window_of_its_own_groups_only() {
    let mut cluster = Cluster::new(3, 2);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.group_window_bytes_max = 250;
    });
    cluster.elect_this(1);
    cluster.cut.extend([2, 3]);
    let text = "x".repeat(100);
    assert!(cluster.propose(1, &[(0, &text)]).is_ok());
    assert_eq!(cluster.propose(1, &[(0, &text), (1, "y")]), Err(ProposeError::Full));
    assert!(cluster.propose(1, &[(1, "y")]).is_ok(), "the other group has room");
    cluster.cut.clear();
    cluster.run(50);
    assert!(cluster.propose(1, &[(0, &text)]).is_ok());
}

#[test]
fn a_stage_record_stays_on_a_follower_that_has_not_seen_the_fragment_which_names_it() {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.append_bytes_max = 10; // an entry a message
        config.peer_window_entries_max = 1;
    });
    cluster.elect_this(1);
    cluster.cut.insert(3);
    let node = cluster.node(1);
    let stage = node.stage(GroupId(0), Bytes::from_static(b"staged ")).expect("room");
    node.propose(Timestamp(1), None, &mut vec![part(0, "other")]).expect("room");
    let mut parts = vec![Part {
        stages: vec![stage],
        ..part(0, "rest")
    }];
    node.propose(Timestamp(1), None, &mut parts).expect("room");
    cluster.run(20);
    assert_eq!(rows(&mut cluster, 1), 2, "the consul and server 2 have applied it");
    // Server 3 gets the stage record and what follows it, but not the fragment; and truncates what it can.
    cluster.hold = |message| match &message.body {
        Body::Append(append) => {
            let entries = append.sections.iter().flat_map(|section| &section.entries);
            message.to.0 == 3
                && entries.clone().any(|entry| match &entry.record {
                    Record::Fragment(fragment) => fragment.csn == Csn(2),
                    _ => false,
                })
        }
        _ => false,
    };
    cluster.cut.clear();
    cluster.run(50);
    assert_eq!(rows(&mut cluster, 3), 1);
    cluster.server(3).checkpoint();
    cluster.hold = |_| false;
    cluster.held.clear();
    cluster.run(100);
    assert_eq!(cluster.server(3).row(2, 0), Some("staged rest"));
}

#[test]
fn a_heartbeat_and_an_idle_tick_say_nothing_of_idle_groups() {
    let mut cluster = Cluster::new(3, 64);
    cluster.elect_this(1);
    cluster.commit("a");
    cluster.run(100);
    cluster.delivered.clear();
    cluster.run(100);
    let sections = cluster.delivered.iter().map(|(message, _)| match &message.body {
        Body::Append(append) => append.sections.len(),
        Body::AppendReply(reply) => reply.sections.len(),
        _ => 0,
    });
    assert_eq!(sections.sum::<usize>(), 0);
}

#[test]
fn a_snapshot_that_the_state_cannot_give_is_asked_for_again() {
    let mut cluster = third_behind_the_base();
    cluster.server(1).is_slow = true;
    cluster.cut.clear();
    cluster.until("the first piece is read", |cluster| !cluster.server(1).snapshot_reads.is_empty());
    for read in std::mem::take(&mut cluster.server(1).snapshot_reads) {
        cluster.node(1).snapshot_read(read.id, Err(Missing));
    }
    cluster.run(20);
    assert!(cluster.server(3).installs.is_empty());
    cluster.server(1).is_slow = false;
    cluster.run(500);
    assert_eq!(rows(&mut cluster, 3), 5);
}

#[test]
fn an_installation_that_nobody_asked_for_says_nothing() {
    let mut cluster = third_behind_the_base();
    for (group, csn) in [(0, 5), (9, 5)] {
        cluster.node(3).installed(GroupId(group), Csn(csn));
    }
    cluster.cut.clear();
    cluster.run(500);
    assert_eq!((rows(&mut cluster, 3), cluster.server(3).installs.len()), (5, 1));
}

#[test]
fn a_snapshot_that_is_in_the_state_and_not_in_the_log_store_is_not_taken_again() {
    let mut cluster = third_behind_the_base();
    cluster.stuck.insert(3);
    cluster.cut.clear();
    cluster.until("it is installed", |cluster| !cluster.server(3).installs.is_empty());
    assert_eq!(cluster.server(3).disk.bases.get(&LogId::Group(GroupId(0))), None);
    cluster.crash(3);
    cluster.stuck.clear();
    cluster.restart(3);
    cluster.run(500);
    assert_eq!((rows(&mut cluster, 3), cluster.server(3).installs.len()), (5, 1));
    assert_eq!(cluster.commit("six"), Csn(6));
}

#[test]
fn a_log_is_kept_for_a_member_that_lags_up_to_a_limit() {
    let group = LogId::Group(GroupId(0));
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.retained_bytes_max = 1 << 20;
    });
    cluster.elect_this(1);
    cluster.cut.insert(3);
    let text = "x".repeat(300 << 10);
    for written in 1..=8 {
        cluster.commit(&text);
        cluster.run(50);
        cluster.server(1).checkpoint();
        let begins = cluster.server(1).disk.bases.get(&group).map_or(Csn(0), |base| base.csn);
        // Four of them are too much.
        assert_eq!(begins, Csn(written / 4 * 4), "after {written}");
    }
    // What was long and never committed goes as well.
    cluster.cut = [1, 3].into();
    for _ in 0..3 {
        cluster.propose(1, &[(0, &text)]).expect("room");
        cluster.settle();
    }
    cluster.cut = [1].into();
    cluster.run(500);
    cluster.cut.clear();
    cluster.run(500);
    assert_eq!(cluster.commit("short"), Csn(9));
    cluster.run(100);
    assert_eq!(cluster.server(1).row(9, 0), Some("short"));
}

#[test]
fn entries_after_damaged_ones_are_not_kept() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.commit("a");
    cluster.commit("b");
    cluster.run(50);
    cluster.crash(3);
    let group = LogId::Group(GroupId(0));
    let disk = cluster.server(3).disk.clone();
    let config = Config::new(ServerId(3), Incarnation(2), 1);
    let mut restore = Restore::new(config, disk.hard_state, [], AppliedState::default()).expect("no bases");
    for log in [LogId::Senate, group] {
        for entry in disk.entries(log) {
            restore.entry(log, entry).expect("sound");
        }
    }
    restore.damaged(group, Index(2));
    let mut node = restore.finish(None).expect("others have the rest");
    let persist = node.take_output().persist.expect("it drops what follows");
    let dropped = |write: &Write| matches!(write, Write::DropSuffix { log, after: Index(2) } if *log == group);
    assert!(persist.writes.iter().any(dropped), "{:?}", persist.writes);
}

#[test]
fn who_lost_records_of_a_log_gives_nothing_of_it() {
    let mut cluster = Cluster::new(3, 2);
    cluster.elect_this(1);
    cluster.commit("a");
    cluster.run(50);
    cluster.crash(3);
    let Office::Consul { term, .. } = cluster.node(1).office() else {
        panic!("it serves")
    };
    cluster.server(3).disk.damaged.insert(LogId::Group(GroupId(0)), Index(1));
    cluster.cut = [3].into();
    cluster.restart(3);
    for (group, gives) in [(0, false), (1, true)] {
        cluster.put(Message {
            cluster: ClusterId(7),
            from: ServerId(1),
            to: ServerId(3),
            incarnation: Incarnation(1),
            term,
            body: Body::Fetch {
                log: LogId::Group(GroupId(group)),
                after: Tail::default(),
            },
        });
        let server = cluster.server(3);
        server.settle();
        let gave = std::mem::take(&mut server.outbox);
        assert_eq!(gave.iter().any(|message| matches!(message.body, Body::Fetched { .. })), gives);
    }
}
