//! Group snapshots on their way into the state.

mod harness;

use curia_consensus::*;
use harness::cluster::{Cluster, TIMEOUT};

/// Server 3 lacks a transaction of group 0, and got one of group 1 after that. Then the log of group 1 goes on without it and
/// is truncated, so that its snapshot comes. The state takes its time with that.
fn with_a_snapshot_on_its_way() -> Cluster {
    let mut cluster = Cluster::new(3, 2);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.retained_bytes_max = 1000;
        config.read_timeout = TIMEOUT * 5;
        config.message_bytes_max = 1; // each group has messages of its own
    });
    cluster.elect_this(1);
    cluster.hold = |message| {
        let Body::Append(append) = &message.body else { return false };
        let of_group_0 = |section: &Section| section.log == LogId::Group(GroupId(0)) && !section.entries.is_empty();
        message.to == ServerId(3) && append.sections.iter().any(of_group_0)
    };
    cluster.propose(1, &[(0, "c1")]).expect("room");
    cluster.settle();
    cluster.propose(1, &[(1, "c2")]).expect("room");
    cluster.settle();
    assert_eq!(cluster.held.len(), 1, "what server 3 lacks of group 0");
    cluster.cut.insert(3);
    for _ in 0..20 {
        cluster
            .propose(1, &[(1, "text of a certain length, so that the log has enough of it")])
            .expect("room");
        cluster.settle();
    }
    assert!(cluster.server(1).checkpoint());
    cluster.cut.clear();
    cluster.server(3).is_slow = true;
    cluster.until("the snapshot", |cluster| !cluster.server(3).chunks.is_empty());
    assert_eq!(cluster.server(3).state.applied.csn, Csn(0));
    cluster
}

#[test]
fn what_a_snapshot_may_hold_is_not_applied_while_it_is_put_into_the_state() {
    let mut cluster = with_a_snapshot_on_its_way();
    let held = cluster.held.remove(0);
    cluster.put(held);
    cluster.settle();
    assert_eq!(cluster.server(3).state.applied.csn, Csn(1), "the next one is in the snapshot");
    cluster.hold = |_| false;
    cluster.server(3).is_slow = false;
    cluster.server(3).serve();
    cluster.until("all is there", |cluster| cluster.server(3).state.applied.csn == Csn(22));
}

#[test]
fn no_read_is_ready_while_a_snapshot_is_put_into_the_state() {
    let mut cluster = with_a_snapshot_on_its_way();
    let read = cluster.read(3, ReadLevel::Session(Csn(0)));
    cluster.settle();
    assert_eq!(cluster.result(3, read), None);
    cluster.hold = |_| false;
    cluster.server(3).is_slow = false;
    cluster.server(3).serve();
    cluster.until("the read", |cluster| cluster.result(3, read).is_some());
    assert_eq!(cluster.result(3, read), Some(Ok(Csn(22))));
}

#[test]
fn reads_that_waited_too_long_are_given_up_while_group_snapshots_are_ahead_of_the_state() {
    let mut cluster = with_a_snapshot_on_its_way();
    cluster.server(3).serve();
    cluster.settle();
    // Group 0 still lacks what comes before.
    let read = cluster.read(3, ReadLevel::Session(Csn(1)));
    cluster.until("the read", |cluster| cluster.result(3, read).is_some());
    assert_eq!(cluster.result(3, read), Some(Err(ReadError::Late)));
}

/// Catches: fragments without a position, after which the state is further than the node is told.
#[test]
fn what_waits_for_a_slow_state_has_its_position_though_a_snapshot_comes_next() {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.retained_bytes_max = 1000;
        config.unapplied_bytes_max = 300;
    });
    cluster.elect_this(1);
    cluster.server(3).holds_applied = true;
    let text = "text of a certain length, so that the log has enough of it";
    for _ in 0..10 {
        cluster.propose(1, &[(0, text)]).expect("room");
        cluster.settle();
    }
    let applied = cluster.server(3).state.applied.csn;
    assert!(applied < Csn(10), "the rest waits: {applied:?}");
    cluster.cut.insert(3);
    for _ in 0..20 {
        cluster.propose(1, &[(0, text)]).expect("room");
        cluster.settle();
    }
    assert!(cluster.server(1).checkpoint());
    cluster.cut.clear();
    cluster.server(3).is_slow = true;
    cluster.run(50);
    cluster.server(3).holds_applied = false;
    cluster.server(3).report_applied();
    cluster.settle();
    assert!(!cluster.server(3).chunks.is_empty(), "the snapshot comes");
    assert_eq!(cluster.server(3).state.applied.csn, Csn(10));
}
