//! Rules of reads (DESIGN 3.6; thesis, section 6.4).

mod harness;

use std::time::Duration;

use curia_consensus::*;
use harness::cluster::{Cluster, TIMEOUT};

fn leased(config: &mut Config) {
    config.election_timeout = TIMEOUT;
    config.lease_drift_percent = Some(10);
}

fn with_leases() -> Cluster {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(leased);
    cluster.run(200);
    cluster.elect_this(1);
    cluster
}

#[test]
fn a_strict_read_on_the_consul_waits_for_a_round_that_left_after_it_came() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.commit("a");
    // Answers to what left before the read say nothing about it.
    cluster.hold = |message| matches!(message.body, Body::AppendReply(_));
    cluster.propose(1, &[(0, "b")]).expect("room");
    cluster.settle();
    let read = cluster.read(1, ReadLevel::Strict);
    for answer in std::mem::take(&mut cluster.held) {
        cluster.put(answer);
    }
    cluster.hold = |message| matches!(message.body, Body::Append(_));
    cluster.settle();
    assert_eq!(cluster.result(1, read), None);
    cluster.hold = |_| false;
    cluster.run(20);
    assert_eq!(cluster.result(1, read), Some(Ok(Csn(2))));
}

#[test]
fn a_consul_that_was_deposed_unknowingly_answers_no_strict_read() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.cut.insert(1);
    let read = cluster.read(1, ReadLevel::Strict);
    cluster.run(80);
    assert_eq!(cluster.result(1, read), None);
    cluster.run(6000);
    assert_eq!(cluster.result(1, read), Some(Err(ReadError::NoConsul)));
}

#[test]
fn a_strict_read_anywhere_sees_what_was_acknowledged_before_it() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    for n in 0..20 {
        let csn = cluster.propose(1, &[(0, "a")]).expect("room");
        while cluster.server(1).state.applied.csn < csn {
            cluster.settle();
        }
        let server = 1 + n % 3;
        let read = cluster.read(server, ReadLevel::Strict);
        cluster.run(20);
        let result = cluster.result(server, read);
        assert!(matches!(result, Some(Ok(seen)) if seen >= csn), "{result:?}");
    }
}

#[test]
fn a_question_that_is_lost_is_asked_again_and_the_next_consul_answers_what_the_last_one_did_not() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    let csn = cluster.commit("a");
    cluster.hold = |message| matches!(message.body, Body::ReadIndex { .. });
    let read = cluster.read(2, ReadLevel::Strict);
    cluster.run(50);
    assert!(cluster.held.len() > 1, "it repeats the question");
    assert_eq!(cluster.result(2, read), None);
    cluster.crash(1);
    cluster.hold = |_| false;
    cluster.elect();
    cluster.run(50);
    assert_eq!(cluster.result(2, read), Some(Ok(csn)));
}

#[test]
fn an_answer_counts_only_for_reads_that_came_before_its_question() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.commit("a");
    cluster.hold = |message| matches!(message.body, Body::ReadIndexReply { .. });
    let first = cluster.read(2, ReadLevel::Strict);
    cluster.settle();
    let answer = cluster.held.pop().expect("the first question is answered");
    let second = cluster.read(2, ReadLevel::Strict);
    cluster.put(answer);
    cluster.settle();
    assert_eq!(cluster.result(2, first), Some(Ok(Csn(1))));
    assert_eq!(cluster.result(2, second), None);
}

#[test]
fn a_session_read_waits_for_its_csn_and_an_as_of_read_is_at_exactly_its_csn() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.commit("a");
    let session = cluster.read(2, ReadLevel::Session(Csn(3)));
    let as_of = cluster.read(2, ReadLevel::AsOf(Csn(2)));
    let past = cluster.read(2, ReadLevel::AsOf(Csn(1)));
    cluster.run(20);
    assert_eq!((cluster.result(2, session), cluster.result(2, past)), (None, Some(Ok(Csn(1)))));
    for _ in 0..3 {
        cluster.commit("b");
    }
    cluster.run(20);
    assert!(matches!(cluster.result(2, session), Some(Ok(csn)) if csn >= Csn(3)));
    assert_eq!(cluster.result(2, as_of), Some(Ok(Csn(2))));
    let never = cluster.read(2, ReadLevel::Session(Csn(99)));
    cluster.run(6000);
    assert_eq!(cluster.result(2, never), Some(Err(ReadError::Late)));
}

#[test]
fn a_bounded_read_is_ready_at_once_while_an_own_question_was_answered_lately_enough() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.commit("a");
    let age = Duration::from_millis(50);
    let first = cluster.read(2, ReadLevel::Bounded(age));
    cluster.run(5);
    assert_eq!(cluster.result(2, first), Some(Ok(Csn(1))), "it asked");
    cluster.cut.insert(2);
    let second = cluster.read(2, ReadLevel::Bounded(age));
    cluster.run(5);
    assert_eq!(cluster.result(2, second), Some(Ok(Csn(1))), "the answer is fresh enough");
    cluster.run(45);
    let third = cluster.read(2, ReadLevel::Bounded(age));
    cluster.run(20);
    assert_eq!(cluster.result(2, third), None, "it is too old by now");
}

#[test]
fn a_consul_with_a_lease_reads_without_asking() {
    let mut cluster = with_leases();
    cluster.commit("a");
    cluster.hold = |message| matches!(message.body, Body::Append(_));
    let read = cluster.read(1, ReadLevel::Strict);
    cluster.run(5);
    assert_eq!(cluster.result(1, read), Some(Ok(Csn(1))));
    cluster.run(80);
    let late = cluster.read(1, ReadLevel::Strict);
    cluster.run(5);
    assert_eq!(cluster.result(1, late), None, "the lease ends by the drift before the time-out");
    assert_eq!(cluster.consul(), Some(1));
}

#[test]
fn a_lease_is_believed_only_at_a_tick_as_the_clock_may_have_gone_on() {
    let mut cluster = with_leases();
    cluster.commit("a");
    let read = cluster.read(1, ReadLevel::Strict);
    cluster.hold = |message| matches!(message.body, Body::Append(_));
    cluster.settle();
    assert_eq!(cluster.result(1, read), None, "no tick has said what time it is");
    // The process was asleep.
    let now = cluster.now + Duration::from_millis(95);
    cluster.node(1).tick(now);
    cluster.settle();
    assert_eq!(cluster.result(1, read), None);
}

#[test]
fn after_somebody_was_told_to_stand_there_is_no_lease_in_that_term() {
    let mut cluster = with_leases();
    cluster.commit("a");
    cluster.hold = |message| matches!(message.body, Body::TimeoutNow { .. });
    cluster.node(1).transfer(ServerId(2)).expect("a candidate");
    cluster.run(150);
    assert_eq!(cluster.consul(), Some(1), "the transfer was given up");
    cluster.hold = |message| matches!(message.body, Body::Append(_));
    let read = cluster.read(1, ReadLevel::Strict);
    cluster.run(10);
    assert_eq!(cluster.result(1, read), None);
    cluster.hold = |_| false;
    cluster.run(20);
    assert_eq!(cluster.result(1, read), Some(Ok(Csn(1))), "rounds still prove it");
}

#[test]
fn so_many_reads_wait_and_no_more() {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.reads_max = 2;
    });
    cluster.cut = [1, 2, 3].into();
    let reads = [(); 3].map(|()| cluster.read(1, ReadLevel::Strict));
    cluster.settle();
    assert_eq!(reads.map(|read| cluster.result(1, read)), [None, None, Some(Err(ReadError::Full))]);
}

#[test]
fn a_scribe_serves_no_reads() {
    let mut cluster = Cluster::with_roles(&[(1, Roles::BOTH), (2, Roles::LOG), (3, Roles::LOG)], 1);
    cluster.elect_this(1);
    let read = cluster.read(2, ReadLevel::Session(Csn(0)));
    cluster.settle();
    assert_eq!(cluster.result(2, read), Some(Err(ReadError::NoState)));
}

#[test]
fn a_lone_server_reads_at_once() {
    let mut cluster = Cluster::new(1, 1);
    cluster.elect_this(1);
    let csn = cluster.commit("a");
    let read = cluster.read(1, ReadLevel::Strict);
    cluster.settle();
    assert_eq!(cluster.result(1, read), Some(Ok(csn)));
}

#[test]
fn so_many_questions_may_be_lost_and_all_reads_are_answered() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.hold = |message| matches!(message.body, Body::ReadIndex { .. });
    let reads: Vec<_> = (0..100)
        .map(|_| {
            let read = cluster.read(2, ReadLevel::Strict);
            cluster.settle();
            read
        })
        .collect();
    cluster.hold = |_| false;
    cluster.run(50);
    for read in reads {
        assert_eq!(cluster.result(2, read), Some(Ok(Csn(0))));
    }
}

#[test]
fn a_server_that_comes_back_as_a_scribe_gives_up_its_reads() {
    let mut cluster = Cluster::new(4, 1);
    cluster.elect_this(1);
    let remove = Change {
        remove: vec![ServerId(4)],
        ..Change::default()
    };
    let add = Change {
        add: vec![(ServerId(4), Roles::LOG)],
        ..Change::default()
    };
    let waits = cluster.read(4, ReadLevel::Session(Csn(99)));
    cluster.change(&remove);
    let asks = cluster.read(4, ReadLevel::Strict);
    cluster.run(50);
    for read in [waits, asks] {
        assert_eq!(cluster.result(4, read), None);
    }
    cluster.change(&add);
    cluster.run(50);
    for read in [waits, asks] {
        assert_eq!(cluster.result(4, read), Some(Err(ReadError::NoState)));
    }
}

#[test]
fn reads_go_by_rounds_that_leave_anyway_and_few_leave_for_them_alone() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.commit("a");
    cluster.hold = |message| matches!(message.body, Body::Append(_));
    let mut reads = Vec::new();
    for _ in 0..5 {
        reads.push(cluster.read(1, ReadLevel::Strict));
        cluster.settle();
    }
    assert_eq!(cluster.node(1).read_rounds(), 2, "the others wait for one of them");
    assert_eq!(cluster.held.len(), 4);
    cluster.propose(1, &[(0, "b")]).expect("room");
    cluster.settle();
    assert_eq!(cluster.held.len(), 6, "the entry leaves");
    // One of the others hears of the entry, and of nothing before it.
    let entry = cluster.held.pop().expect("held");
    cluster.hold = |message| matches!(message.body, Body::Append(_));
    cluster.held.clear();
    cluster.put(entry);
    cluster.settle();
    for read in reads {
        assert_eq!(cluster.result(1, read), Some(Ok(Csn(1))), "what was resolved when the round left");
    }
    assert_eq!(cluster.node(1).read_rounds(), 2);
    // The rounds that were lost are in nobody's way.
    let next = cluster.read(1, ReadLevel::Strict);
    cluster.hold = |_| false;
    cluster.settle();
    assert!(cluster.result(1, next).is_some());
    assert_eq!(cluster.node(1).read_rounds(), 3);
}

#[test]
fn what_is_resolved_is_told_with_what_goes_there_anyway_or_when_its_time_has_come() {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT * 10;
        config.news_delay = Duration::from_millis(20);
    });
    cluster.run(2000);
    cluster.elect_this(1);
    cluster.run(100);
    let applied = |cluster: &mut Cluster| [1, 2, 3].map(|id| cluster.server(id).state.applied.csn);
    let first = cluster.propose(1, &[(0, "a")]).expect("room");
    cluster.settle();
    let before = Csn(first.0 - 1);
    assert_eq!(applied(&mut cluster), [first, before, before]);
    let due = cluster.node(1).news_due().expect("somebody is to be told");
    let second = cluster.propose(1, &[(0, "b")]).expect("room");
    cluster.settle();
    assert_eq!(applied(&mut cluster), [second, first, first], "the entry had room for it");
    let read = cluster.read(2, ReadLevel::Strict);
    cluster.settle();
    assert_eq!(cluster.result(2, read), Some(Ok(second)), "who asks hears it with the answer");
    let third = cluster.propose(1, &[(0, "c")]).expect("room");
    cluster.settle();
    assert!(cluster.node(1).news_due().is_some_and(|later| later >= due));
    cluster.run(25);
    assert_eq!(applied(&mut cluster), [third; 3]);
    assert_eq!(cluster.node(1).news_due(), None);
    // Who is no consul any more has nothing to be ticked for.
    cluster.propose(1, &[(0, "d")]).expect("room");
    cluster.settle();
    assert!(cluster.node(1).news_due().is_some());
    cluster.node(1).transfer(ServerId(2)).expect("a candidate");
    cluster.until("another consul", |cluster| cluster.consul() == Some(2));
    assert_eq!(cluster.node(1).news_due(), None);
}
