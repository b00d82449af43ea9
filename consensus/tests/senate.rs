//! Rules of the senate: elections, check-quorum, stickiness, freshness, transfer (thesis, chapters 3, 4 and 6; DESIGN 3.1).

mod harness;

use std::time::Duration;

use curia_consensus::*;
use harness::cluster::{Cluster, TIMEOUT, ids};

fn term(cluster: &mut Cluster, server: u64) -> Term {
    match cluster.node(server).office() {
        Office::Senator { term } | Office::Inaugurating { term } | Office::Consul { term, .. } => term,
    }
}

/// A message that claims to come from a server.
fn forged(from: u64, to: u64, term: Term, body: Body) -> Message {
    Message {
        cluster: ClusterId(7),
        from: ServerId(from),
        to: ServerId(to),
        incarnation: Incarnation(1),
        term,
        body,
    }
}

fn vote(from: u64, to: u64, term: Term, transfer: bool) -> Message {
    let tail = Tail {
        term: Term(1000),
        index: Index(1000),
    };
    forged(from, to, term, Body::Vote { tail, transfer })
}

fn votes(cluster: &mut Cluster, server: u64) -> usize {
    cluster.server(server).settle();
    let outbox = std::mem::take(&mut cluster.server(server).outbox);
    let granted = |message: &&Message| matches!(message.body, Body::VoteReply { granted: true, .. });
    outbox.iter().filter(granted).count()
}

#[test]
fn a_consul_that_no_quorum_answers_steps_down_after_an_election_time_out() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.cut = [2, 3].into();
    cluster.run(60);
    assert_eq!(cluster.consul(), Some(1));
    cluster.run(60);
    assert_eq!(cluster.consul(), None);
}

#[test]
fn a_consul_that_a_groups_quorum_does_not_answer_steps_down() {
    let mut cluster = Cluster::new(5, 1);
    cluster.elect_this(1);
    let configuration = cluster.configuration(1);
    let group = Target {
        voters: ids(&[1, 4, 5]),
        learners: vec![],
    };
    let change = Change {
        groups: vec![(
            GroupId(0),
            Target {
                learners: ids(&[2, 3]),
                ..group
            },
        )],
        ..Change::default()
    };
    assert_eq!(configuration.groups.len(), 1);
    cluster.change(&change);
    cluster.cut = [4, 5].into(); // the senate has 1, 2 and 3
    cluster.run(120);
    assert_eq!(cluster.consul(), None, "it serves a group that it can't write");
}

#[test]
fn a_consul_whose_quorum_hears_it_but_gets_nothing_on_disk_steps_down() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.stuck = [2, 3].into();
    cluster.propose(1, &[(0, "a")]).expect("room");
    cluster.run(250);
    assert_eq!(cluster.consul(), None);
}

#[test]
fn a_consul_with_a_stuck_disk_steps_down() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.stuck = [1].into();
    cluster.propose(1, &[(0, "a")]).expect("room");
    cluster.run(250);
    assert_ne!(cluster.consul(), Some(1));
    let consul = cluster.elect();
    assert_eq!(cluster.server(consul).row(1, 0), Some("a"), "it was on a quorum without it");
}

#[test]
fn a_consul_that_was_asleep_for_a_time_out_steps_down_before_it_serves_anything() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    let late = cluster.now + TIMEOUT * 2;
    cluster.node(1).tick(late);
    assert!(matches!(cluster.node(1).office(), Office::Senator { .. }));
}

#[test]
fn a_server_that_only_the_consul_cannot_reach_does_not_disturb() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    let before = term(&mut cluster, 1);
    cluster.one_way = [(1, 3), (3, 1)].into();
    cluster.run(2000);
    assert_eq!((cluster.consul(), term(&mut cluster, 1)), (Some(1), before));
}

#[test]
fn a_voter_sticks_to_its_consul_even_when_it_hears_of_a_higher_term_in_between() {
    // A consul with a lease counts on those who answered it, whatever terms they meet afterwards.
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    let term = term(&mut cluster, 2);
    cluster.put(forged(3, 2, term.next(), Body::AppendReply(AppendReply::default())));
    cluster.server(2).settle();
    assert_eq!(cluster.node(2).office(), Office::Senator { term: term.next() });
    cluster.put(vote(3, 2, Term(term.0 + 2), false));
    assert_eq!(cluster.delivered.last().expect("put").1, Err(Refusal::Sticky));
}

#[test]
fn stickiness_counts_from_the_next_tick_as_nobody_knows_how_late_it_is() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    // Server 2 has not been woken for long: an append that comes now was not sent when it last looked at the clock.
    let now = cluster.now + TIMEOUT * 5;
    let term = term(&mut cluster, 1);
    let append = Append {
        tails_known: true,
        round: 1_000_000,
        ..Append::default()
    };
    cluster.put(forged(1, 2, term, Body::Append(append)));
    cluster.node(2).tick(now);
    let almost = now + TIMEOUT - Duration::from_millis(5);
    cluster.node(2).tick(almost);
    cluster.put(vote(3, 2, term.next(), false));
    assert_eq!(cluster.delivered.last().expect("put").1, Err(Refusal::Sticky));
}

#[test]
fn a_voter_that_has_just_started_grants_nothing_for_the_longest_election_time_out() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    let before = term(&mut cluster, 2);
    cluster.crash(2);
    cluster.server(2).restore().expect("restored");
    for transfer in [false, true] {
        cluster.put(vote(3, 2, Term(before.0 + 5), transfer));
        assert_eq!(
            cluster.delivered.last().expect("put").1,
            Err(Refusal::Sticky),
            "before the first tick"
        );
    }
    let now = cluster.now;
    cluster.node(2).tick(now);
    cluster.node(2).tick(now + TIMEOUT * 2 - Duration::from_millis(1));
    cluster.put(vote(3, 2, Term(before.0 + 5), false));
    assert_eq!(cluster.delivered.last().expect("put").1, Err(Refusal::Sticky));
    cluster.node(2).tick(now + TIMEOUT * 2);
    cluster.put(vote(3, 2, Term(before.0 + 5), false));
    assert_eq!(votes(&mut cluster, 2), 1);
}

#[test]
fn a_vote_is_given_again_to_the_same_run_of_its_candidate_only() {
    let mut cluster = Cluster::new(3, 1);
    cluster.run(0);
    cluster.node(2).tick(TIMEOUT * 2);
    let first = vote(3, 2, Term(5), false);
    let mut second = first.clone();
    second.incarnation = Incarnation(2);
    cluster.put(first.clone());
    assert_eq!(votes(&mut cluster, 2), 1);
    cluster.put(second.clone());
    assert_eq!(votes(&mut cluster, 2), 0, "another run");
    cluster.crash(2);
    cluster.restart(2);
    cluster.put(second);
    assert_eq!(votes(&mut cluster, 2), 0, "another run, after a restart");
    cluster.put(first);
    assert_eq!(votes(&mut cluster, 2), 1, "the same run");
}

#[test]
fn a_fresher_voter_refuses_a_far_staler_candidate_for_two_time_outs() {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.stale_entries_max = 3;
    });
    cluster.run(200);
    cluster.elect_this(1);
    for _ in 0..6 {
        cluster.commit("a");
    }
    cluster.crash(1);
    let tail = Tail {
        term: Term(1000),
        index: Index(1000),
    };
    let next = Term(term(&mut cluster, 2).0 + 1);
    let ask = |cluster: &mut Cluster| {
        let freshness = Freshness::default();
        cluster.put(forged(3, 2, next, Body::PreVote { tail, freshness }));
        cluster.server(2).settle();
        let outbox = std::mem::take(&mut cluster.server(2).outbox);
        let granted = |message: &Message| matches!(message.body, Body::PreVoteReply { granted: true, .. });
        outbox.iter().any(granted)
    };
    let now = cluster.now;
    cluster.node(2).tick(now); // what it heard until now
    cluster.node(2).tick(now + TIMEOUT);
    assert!(!ask(&mut cluster));
    cluster.node(2).tick(now + TIMEOUT * 3 - Duration::from_millis(5));
    assert!(!ask(&mut cluster));
    cluster.node(2).tick(now + TIMEOUT * 3);
    assert!(ask(&mut cluster), "it may be the only one left");
}

#[test]
fn servers_with_the_longest_worker_logs_stand_first() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(3, 1);
        cluster.configure(|config| {
            config.election_timeout = TIMEOUT;
            config.catch_up_entries_max = 2;
            config.seed += 1000;
        });
        cluster.run(200 + seed * 5);
        cluster.elect_this(1);
        cluster.stuck.insert(3);
        for _ in 0..10 {
            cluster.commit("a");
        }
        cluster.run(30);
        cluster.crash(1);
        let crashed = cluster.now;
        cluster.stuck.clear();
        assert_eq!(cluster.elect(), 2, "seed {seed}");
        assert!(cluster.now < crashed + TIMEOUT * 2, "it costs no time");
    }
}

#[test]
fn a_transfer_hands_the_office_over_at_once_and_loses_nothing() {
    let mut cluster = Cluster::new(3, 2);
    cluster.elect_this(1);
    let csn = cluster.propose(1, &[(0, "a"), (1, "b")]).expect("room");
    let before = (cluster.now, term(&mut cluster, 1));
    cluster.node(1).transfer(ServerId(2)).expect("a candidate");
    assert_eq!(cluster.propose(1, &[(0, "c")]), Err(ProposeError::Transferring));
    cluster.run(10);
    assert_eq!(cluster.consul(), Some(2));
    assert!(cluster.now < before.0 + TIMEOUT / 2, "nobody waited for a time-out");
    assert_eq!(term(&mut cluster, 2), before.1.next());
    assert_eq!(cluster.server(2).row(csn.0, 1), Some("b"));
}

#[test]
fn a_transfer_waits_until_the_target_has_everything_and_is_given_up_after_a_time_out() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.hold = |message| matches!(&message.body, Body::Append(append) if message.to == ServerId(2) && append.sections.iter().any(|s| s.log != LogId::Senate));
    cluster.propose(1, &[(0, "a")]).expect("room");
    cluster.settle();
    cluster.node(1).transfer(ServerId(2)).expect("a candidate");
    assert_eq!(cluster.node(1).transfer(ServerId(3)), Err(TransferError::UnderWay));
    cluster.delivered.clear();
    cluster.run(90);
    assert!(
        !cluster
            .delivered
            .iter()
            .any(|(message, _)| matches!(message.body, Body::TimeoutNow { .. }))
    );
    assert_eq!(cluster.propose(1, &[(0, "b")]), Err(ProposeError::Transferring));
    cluster.run(20);
    cluster.propose(1, &[(0, "b")]).expect("the transfer was given up");
    assert_eq!(cluster.consul(), Some(1));
}

#[test]
fn only_a_serving_consul_hands_over_and_only_to_who_may_lead() {
    let mut cluster = Cluster::with_roles(&[(1, Roles::BOTH), (2, Roles::BOTH), (3, Roles::LOG), (4, Roles::STATE)], 1);
    cluster.elect_this(1);
    assert_eq!(cluster.node(2).transfer(ServerId(1)), Err(TransferError::NotConsul));
    for server in [1, 3, 9] {
        let server = ServerId(server);
        assert_eq!(cluster.node(1).transfer(server), Err(TransferError::NoCandidate(server)));
    }
    cluster.node(1).transfer(ServerId(4)).expect("it runs the state machines");
    cluster.run(20);
    assert_eq!(cluster.consul(), Some(4));
}

#[test]
fn a_transfers_vote_passes_stickiness_once_and_a_stale_wish_does_nothing() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    let term_one = term(&mut cluster, 1);
    cluster.hold = |message| matches!(message.body, Body::TimeoutNow { .. });
    cluster.node(1).transfer(ServerId(2)).expect("a candidate");
    cluster.run(150); // given up
    let wish = cluster.held.pop().expect("it was told");
    cluster.commit("after"); // what the target had then is not all any more, but it has this too
    cluster.put(wish.clone());
    cluster.run(50);
    assert_eq!(cluster.consul(), Some(2), "its senate log is the consul's still");
    assert_eq!(term(&mut cluster, 2), term_one.next());
    // The same wish again: its term is over.
    cluster.put(wish);
    assert_eq!(cluster.delivered.last().expect("put").1, Err(Refusal::StaleTerm));
    cluster.run(300);
    assert_eq!((cluster.consul(), term(&mut cluster, 2)), (Some(2), term_one.next()));
}

#[test]
fn messages_that_make_no_sense_are_counted_by_reason_and_change_nothing() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    let term = term(&mut cluster, 1);
    let reply = |round| {
        Body::AppendReply(AppendReply {
            round,
            ..AppendReply::default()
        })
    };
    let mut cases = vec![
        (forged(2, 3, term, reply(0)), Refusal::Address),
        (forged(9, 1, term, reply(0)), Refusal::Stranger),
        (forged(2, 1, term, reply(1 << 40)), Refusal::Impossible("round")),
        (forged(2, 1, Term(0), reply(0)), Refusal::StaleTerm),
        (vote(2, 1, Term(term.0 + 9), false), Refusal::Sticky),
    ];
    let mut other = forged(2, 1, term, reply(0));
    other.cluster = ClusterId(8);
    cases.push((other, Refusal::Cluster));
    let mut earlier = forged(2, 1, term, reply(0));
    earlier.incarnation = Incarnation(77);
    cases.push((earlier, Refusal::StaleIncarnation));
    let before = *cluster.node(1).refusals();
    for (message, refusal) in cases {
        let node = cluster.node(1);
        assert_eq!(node.step(message), Err(refusal));
    }
    let after = *cluster.node(1).refusals();
    assert_eq!(after.total(), before.total() + 7);
    assert_eq!(after.last_impossible, Some("round"));
    assert_eq!(cluster.consul(), Some(1));
}

#[test]
fn a_winner_that_would_have_to_fetch_a_lot_gives_way_once_to_who_has_it() {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.stale_entries_max = 5;
    });
    cluster.run(300);
    cluster.elect_this(1);
    cluster.stuck.insert(3);
    for _ in 0..20 {
        cluster.commit("a");
    }
    // Server 3 comes back without the last entries, and stands before server 2 can.
    cluster.crash(3);
    cluster.stuck.clear();
    cluster.run(300);
    cluster.crash(1);
    cluster.hold = |message| message.to == ServerId(2) && matches!(message.body, Body::PreVoteReply { .. });
    cluster.restart(3);
    cluster.delivered.clear();
    let consul = cluster.elect();
    assert_eq!(consul, 2);
    let wishes = cluster
        .delivered
        .iter()
        .filter(|(message, _)| matches!(message.body, Body::TimeoutNow { .. }));
    assert_eq!(
        wishes.map(|(message, _)| (message.from, message.to)).collect::<Vec<_>>(),
        [(ServerId(3), ServerId(2))]
    );
    assert_eq!(cluster.server(2).state.rows.len(), 20);
}
