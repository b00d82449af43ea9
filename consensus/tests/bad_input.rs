//! Whatever arrives, nothing panics, and what is impossible is refused.

mod harness;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use curia_consensus::*;
use harness::cluster::Cluster;

const HUGE: u64 = u64::MAX;

fn forged(from: u64, to: u64, incarnation: u64, term: u64, body: Body) -> Message {
    Message {
        cluster: ClusterId(7),
        from: ServerId(from),
        to: ServerId(to),
        incarnation: Incarnation(incarnation),
        term: Term(term),
        body,
    }
}

fn tail(n: u64) -> Tail {
    Tail {
        term: Term(n),
        index: Index(n),
    }
}

fn base(n: u64) -> Base {
    Base {
        index: Index(n),
        term: Term(n),
        csn: Csn(n),
        timestamp: Timestamp(n),
        term_start: TermStartAt {
            term: Term(n),
            cut: Csn(n),
        },
        configuration: None,
    }
}

/// Every kind of message, with its numbers at their ends.
fn bodies(n: u64) -> Vec<Body> {
    let group = GroupId(n as u32 - u32::from(n == HUGE));
    let logs = [LogId::Senate, LogId::Group(GroupId(0)), LogId::Group(group)];
    let freshness = Freshness {
        logged: n,
        applied: Csn(n),
    };
    let mut bodies = vec![
        Body::PreVote { tail: tail(n), freshness },
        Body::PreVoteReply {
            granted: false,
            tail: tail(n),
            freshness,
        },
        Body::PreVoteReply {
            granted: true,
            tail: tail(n),
            freshness,
        },
        Body::Vote {
            tail: tail(n),
            transfer: false,
        },
        Body::VoteReply {
            granted: true,
            tails: vec![(GroupId(0), tail(n)), (group, tail(n))],
        },
        Body::TimeoutNow { tail: tail(n) },
        Body::ReadIndex { id: n },
        Body::ReadIndexReply { id: n, csn: Some(Csn(n)) },
        Body::AppendReply(AppendReply {
            round: n,
            ..AppendReply::default()
        }),
        Body::AppendReply(AppendReply {
            applied: Csn(n),
            durable_applied: Csn(n),
            tails: Some(vec![(group, tail(n))]),
            healing: true,
            ..AppendReply::default()
        }),
        Body::SnapshotFetch { group, of: n, offset: n },
        Body::Snapshot {
            commit: Index(n),
            of: n,
            group: GroupId(0),
            base: Some(base(n)),
            offset: n,
            data: Bytes::new(),
            last: true,
        },
    ];
    for log in logs {
        bodies.push(Body::Fetch { log, after: tail(n) });
        let entry = |record| Entry {
            index: Index(n),
            term: Term(n),
            record,
        };
        let entries = vec![entry(Record::Noop), entry(Record::Barrier)];
        for donated in [
            Donated::Parted(tail(n)),
            Donated::Begins(base(n)),
            Donated::Entries(entries.clone()),
        ] {
            bodies.push(Body::Fetched {
                log,
                after: tail(n),
                donated,
            });
        }
        for matched in [Matched::Upto(Index(n)), Matched::Not(tail(n))] {
            bodies.push(Body::AppendReply(AppendReply {
                sections: vec![(log, matched)],
                ..AppendReply::default()
            }));
        }
        for base in [None, Some(base(n))] {
            for entries in [Vec::new(), entries.clone()] {
                let section = Section {
                    log,
                    base: base.clone(),
                    previous: tail(n),
                    entries,
                    complete: Csn(n),
                    closed: Index(n),
                };
                bodies.push(Body::Append(Append {
                    sections: vec![section],
                    ..Append::default()
                }));
            }
        }
    }
    bodies
}

#[test]
fn numbers_at_their_ends_are_refused_or_harmless() {
    let start = || {
        let mut cluster = Cluster::new(3, 1);
        cluster.elect_this(1);
        cluster.commit("a");
        cluster
    };
    let Office::Consul { term, .. } = start().node(1).office() else {
        panic!("it serves")
    };
    for n in [HUGE, HUGE - 1, HUGE / 2, 1 << 40, 0] {
        for (from, to) in [(1, 3), (2, 1), (2, 3), (9, 1), (9, 3)] {
            for term in [0, term.0, term.0 + 1, HUGE] {
                let mut cluster = start();
                for body in bodies(n) {
                    let message = forged(from, to, 1, term, body);
                    let what = format!("{message:?}");
                    let taken = catch_unwind(AssertUnwindSafe(|| {
                        let _ = cluster.node(to).step(message);
                        cluster.run(5);
                    }));
                    assert!(taken.is_ok(), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_term_that_no_history_reaches_changes_nothing() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    let office = cluster.node(1).office();
    let message = forged(2, 1, 1, HUGE, Body::AppendReply(AppendReply::default()));
    assert_eq!(cluster.node(1).step(message), Err(Refusal::Impossible("term")));
    assert_eq!(cluster.node(1).office(), office);
}

#[test]
fn who_claims_to_have_applied_what_is_not_resolved_is_refused() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    let Office::Consul { term, .. } = cluster.node(1).office() else {
        panic!("it serves")
    };
    for (applied, durable) in [(99, 0), (0, 99)] {
        let reply = AppendReply {
            applied: Csn(applied),
            durable_applied: Csn(durable),
            ..AppendReply::default()
        };
        let message = forged(2, 1, 1, term.0, Body::AppendReply(reply));
        assert_eq!(cluster.node(1).step(message), Err(Refusal::Impossible("applied CSN")));
    }
}

#[test]
fn entries_that_follow_another_entry_than_the_last_one_that_was_truncated_are_refused() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.commit("a");
    cluster.run(50);
    assert!(cluster.server(3).checkpoint());
    let Office::Consul { term, .. } = cluster.node(1).office() else {
        panic!("it serves")
    };
    for log in [LogId::Senate, LogId::Group(GroupId(0))] {
        let base = cluster.server(3).disk.bases[&log].clone();
        let mut section = Section {
            log,
            base: None,
            previous: Tail {
                index: base.index,
                term: Term::ZERO,
            },
            entries: Vec::new(),
            complete: Csn::ZERO,
            closed: Index::ZERO,
        };
        section.entries.push(Entry {
            index: base.index.next(),
            term: Term::ZERO,
            record: if log == LogId::Senate { Record::Noop } else { Record::Barrier },
        });
        let append = Append {
            sections: vec![section],
            ..Append::default()
        };
        let message = forged(1, 3, 1, term.0, Body::Append(append));
        let refusal = Refusal::Impossible("change of what is decided");
        assert_eq!(cluster.node(3).step(message), Err(refusal), "{log:?}");
    }
}

#[test]
fn fragments_out_of_the_commit_order_are_refused() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.commit("a");
    let Office::Consul { term, .. } = cluster.node(1).office() else {
        panic!("it serves")
    };
    let last = *cluster.server(3).disk.logs[&LogId::Group(GroupId(0))]
        .last_key_value()
        .expect("entries")
        .0;
    for (csns, timestamp) in [([3, 3], 9), ([4, 3], 9), ([3, HUGE], 9), ([3, 4], HUGE)] {
        let entry = |(index, csn): (u64, u64)| Entry {
            index: Index(last.0 + index),
            term,
            record: Record::Fragment(std::sync::Arc::new(Fragment {
                csn: Csn(csn),
                timestamp: Timestamp(timestamp),
                key: None,
                participants: Participants::Alone,
                stages: Stages::NONE,
                payload: Payload::Held(Bytes::new()),
            })),
        };
        let section = Section {
            log: LogId::Group(GroupId(0)),
            base: None,
            previous: Tail { term, index: last },
            entries: (1..).zip(csns).map(entry).collect(),
            complete: Csn::ZERO,
            closed: Index::ZERO,
        };
        let append = Append {
            sections: vec![section],
            ..Append::default()
        };
        let message = forged(1, 3, 1, term.0, Body::Append(append));
        assert_eq!(cluster.node(3).step(message), Err(Refusal::Impossible("commit order")), "{csns:?}");
    }
}

#[test]
fn tails_of_many_groups_beyond_any_history_are_no_reason_to_panic() {
    let mut cluster = Cluster::new(3, 8);
    cluster.run(300);
    cluster.elect();
    cluster.cut.extend([1, 2, 3]);
    cluster.run(500);
    // Server 2 stands; the others' logs are said to be longer than any.
    cluster.cut.remove(&2);
    cluster.hold = |message| matches!(message.body, Body::Vote { .. });
    cluster.cut.clear();
    cluster.until("somebody stands", |cluster| !cluster.held.is_empty());
    let Message {
        from,
        to,
        term,
        incarnation,
        ..
    } = cluster.held[0].clone();
    let tails = (0..8).map(|group| {
        let tail = Tail {
            term,
            index: Index(1 << 62),
        };
        (GroupId(group), tail)
    });
    let body = Body::VoteReply {
        granted: true,
        tails: tails.collect(),
    };
    cluster.put(forged(to.0, from.0, incarnation.0, term.0, body));
    cluster.hold = |_| false;
    cluster.run(100);
    assert!(matches!(
        cluster.node(from.0).office(),
        Office::Inaugurating { .. } | Office::Senator { .. }
    ));
}
