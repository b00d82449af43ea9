//! Limits, and waits that end: whatever is slow, dead or far behind takes a bounded part of its peers' memory and time.

mod harness;

use curia_consensus::*;
use harness::cluster::{Cluster, TIMEOUT};

fn entries_of(message: &Message) -> Vec<Entry> {
    match &message.body {
        Body::Append(append) => append.sections.iter().flat_map(|section| section.entries.clone()).collect(),
        _ => Vec::new(),
    }
}

fn brings_entries(message: &Message) -> bool {
    !entries_of(message).is_empty()
}

/// What is under way to a server that was held up: entries, and their bytes.
fn under_way(cluster: &Cluster, to: u64) -> (usize, usize) {
    let entries: Vec<_> = cluster
        .held
        .iter()
        .filter(|message| message.to.0 == to)
        .flat_map(entries_of)
        .collect();
    (entries.len(), entries.iter().map(Entry::bytes).sum())
}

#[test]
fn a_snapshot_arrives_though_each_piece_takes_longer_to_read_than_a_heartbeat() {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.retained_bytes_max = 0;
        config.append_bytes_max = 30;
    });
    cluster.elect_this(1);
    cluster.cut.insert(3);
    for _ in 0..3 {
        cluster.commit("0123456789");
    }
    assert!(cluster.server(1).checkpoint());
    cluster.cut.clear();
    cluster.server(1).is_slow = true;
    for _ in 0..20 {
        cluster.run(25);
        cluster.server(1).serve_one();
    }
    assert_eq!(cluster.server(3).state.applied.csn, Csn(3), "it has the snapshot");
}

#[test]
fn a_consul_that_gets_on_with_a_long_backlog_stays_in_office() {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.append_bytes_max = 1;
        config.peer_window_entries_max = 1;
    });
    cluster.elect_this(1);
    cluster.hold = |message| matches!(message.body, Body::Append(_));
    for _ in 0..30 {
        cluster.propose(1, &[(0, "a")]).expect("room");
    }
    for _ in 0..200 {
        cluster.run(15);
        for message in std::mem::take(&mut cluster.held) {
            cluster.put(message);
        }
        assert_eq!(cluster.consul(), Some(1), "applied {:?}", cluster.server(1).state.applied.csn);
    }
    assert_eq!(cluster.server(1).state.applied.csn, Csn(30));
}

#[test]
fn what_is_on_its_way_is_not_sent_again_and_what_is_lost_is() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.hold = |message| matches!(message.body, Body::Append(_));
    cluster.propose(1, &[(0, "a")]).expect("room");
    cluster.run(60);
    assert_eq!(under_way(&cluster, 2).0, 1, "six heartbeats, one copy");
    // Only later messages arrive.
    cluster.hold = |_| false;
    for message in std::mem::take(&mut cluster.held) {
        if !brings_entries(&message) {
            cluster.put(message);
        }
    }
    cluster.run(20);
    assert_eq!(cluster.server(1).state.applied.csn, Csn(1));
}

#[test]
fn all_logs_together_have_one_window_to_a_peer() {
    let mut cluster = Cluster::new(3, 8);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.peer_window_bytes_max = 600;
        config.append_bytes_max = 200;
        config.message_bytes_max = 200;
        config.memory_bytes_max = 0;
        config.log_reads_max = 2;
    });
    cluster.elect_this(1);
    cluster.cut.insert(3);
    for _ in 0..10 {
        for group in 0..8 {
            cluster.propose(1, &[(group, "0123456789")]).expect("room");
        }
        cluster.run(10);
    }
    cluster.run(200);
    cluster.cut.clear();
    cluster.hold = |message| message.to == ServerId(3) && brings_entries(message);
    cluster.server(1).is_slow = true;
    cluster.until("entries leave", |cluster| {
        cluster.server(1).serve();
        !cluster.held.is_empty()
    });
    for _ in 0..50 {
        cluster.settle();
        assert!(cluster.server(1).log_reads.len() <= 2, "reads of the log store have a limit");
        cluster.server(1).serve();
    }
    let (count, bytes) = under_way(&cluster, 3);
    assert!(count > 0 && bytes <= 600 + 200, "{count} entries, {bytes} bytes");
    // It takes turns: all of it arrives.
    cluster.hold = |_| false;
    for message in std::mem::take(&mut cluster.held) {
        cluster.put(message);
    }
    for _ in 0..200 {
        cluster.run(5);
        cluster.server(1).serve();
    }
    assert_eq!(cluster.server(3).state.applied.csn, Csn(80));
}

#[test]
fn a_read_of_the_log_store_in_vain_is_repeated_with_a_heartbeat_and_not_before() {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.memory_bytes_max = 0;
    });
    cluster.elect_this(1);
    cluster.cut.insert(3);
    for _ in 0..3 {
        cluster.commit("a");
    }
    cluster.cut.clear();
    cluster.server(1).is_slow = true;
    cluster.until("a read", |cluster| !cluster.server(1).log_reads.is_empty());
    let mut vain = 0;
    for _ in 0..100 {
        for read in std::mem::take(&mut cluster.server(1).log_reads) {
            vain += 1;
            cluster.node(1).log_read(read.id, Err(Missing));
        }
        cluster.settle();
    }
    assert_eq!(vain, 1, "time stands still");
    cluster.until("another read", |cluster| !cluster.server(1).log_reads.is_empty());
    cluster.server(1).is_slow = false;
    cluster.server(1).serve();
    cluster.run(50);
    assert_eq!(cluster.server(3).state.applied.csn, Csn(3));
}

#[test]
fn a_state_that_lags_holds_up_what_is_handed_out_and_then_proposals() {
    let mut cluster = Cluster::new(1, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.apply_bytes_max = 100;
        config.unapplied_bytes_max = 300;
        config.unresolved_bytes_max = 500;
    });
    cluster.elect_this(1);
    cluster.server(1).holds_applied = true;
    let mut taken = 0;
    while cluster.propose(1, &[(0, "0123456789")]).is_ok() {
        taken += 1;
        cluster.settle();
        assert!(taken < 100, "proposals wait for the state");
    }
    let handed = cluster.server(1).state.applied.csn;
    assert!(handed > Csn::ZERO && handed < Csn(taken), "{handed:?} of {taken}");
    cluster.server(1).holds_applied = false;
    cluster.server(1).report_applied();
    cluster.settle();
    assert_eq!(cluster.server(1).state.applied.csn, Csn(taken));
    cluster.propose(1, &[(0, "0123456789")]).expect("room");
}

#[test]
fn transactions_that_write_nothing_are_bounded_too() {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.unresolved_bytes_max = 1000;
    });
    cluster.elect_this(1);
    cluster.cut.extend([2, 3]);
    let taken = (0..100).take_while(|_| cluster.propose(1, &[(0, "")]).is_ok()).count();
    assert!((2..50).contains(&taken), "{taken} are sequenced");
}

#[test]
fn what_waits_for_a_stuck_disk_is_bounded() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.stuck.insert(2);
    cluster.commit("a");
    let heartbeat = Message {
        cluster: ClusterId(7),
        from: ServerId(1),
        to: ServerId(2),
        incarnation: Incarnation(1),
        term: cluster.delivered.last().expect("they talk").0.term,
        body: Body::Append(Append::default()),
    };
    for _ in 0..100_000 {
        cluster.node(2).step(heartbeat.clone()).expect("the consul's");
    }
    cluster.stuck.clear();
    let server = cluster.server(2);
    server.settle();
    server.settle();
    let answers = server.outbox.len();
    assert!((1..=10_000).contains(&answers), "{answers} answers were kept");
}

#[test]
fn logs_are_kept_for_a_dead_peer_up_to_one_limit_for_all() {
    let mut cluster = Cluster::new(3, 4);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.retained_bytes_max = 1 << 20;
    });
    cluster.elect_this(1);
    cluster.cut.insert(3);
    let large = "x".repeat(300 << 10);
    for group in 0..4 {
        cluster.propose(1, &[(group, &large)]).expect("room");
    }
    cluster.run(50);
    cluster.server(1).checkpoint();
    let logs = &cluster.server(1).disk.logs;
    let kept: usize = logs.values().flat_map(|log| log.values()).map(|entry| entry.len()).sum();
    assert!(kept <= 1 << 20, "{kept} bytes");
}
