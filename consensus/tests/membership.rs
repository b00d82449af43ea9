//! Rules of memberships that change (thesis, chapter 4; DESIGN 3.2).

mod harness;

use curia_consensus::*;
use harness::cluster::{Cluster, ids};

fn add(server: u64) -> Change {
    Change {
        add: vec![(ServerId(server), Roles::BOTH)],
        ..Change::default()
    }
}

fn remove(server: u64) -> Change {
    Change {
        remove: ids(&[server]),
        ..Change::default()
    }
}

fn voters(cluster: &mut Cluster, voters: &[u64]) -> Change {
    let consul = cluster.elect();
    Change::voters(&cluster.configuration(consul), &ids(voters))
}

fn records(cluster: &mut Cluster, server: u64, log: LogId) -> Vec<Record> {
    cluster
        .server(server)
        .disk
        .entries(log)
        .into_iter()
        .map(|entry| entry.record)
        .collect()
}

#[test]
fn a_blank_server_joins_as_a_learner_catches_up_and_votes() {
    let mut cluster = Cluster::new(3, 2);
    cluster.commit("before");
    cluster.join(4);
    cluster.change(&add(4));
    assert_eq!(cluster.server(4).row(1, 0), Some("before"), "it caught up");
    let change = voters(&mut cluster, &[1, 2, 3, 4]);
    cluster.change(&change);
    let configuration = cluster.configuration(4);
    assert_eq!(configuration.senate.incoming(), ids(&[1, 2, 3, 4]));
    assert!(
        configuration
            .groups
            .iter()
            .all(|(_, members)| members.incoming() == ids(&[1, 2, 3, 4]))
    );
    cluster.commit("after");
    cluster.run(50);
    assert_eq!(cluster.server(4).row(2, 0), Some("after"));
}

#[test]
fn a_new_voter_must_have_been_a_learner_and_have_caught_up() {
    let mut cluster = Cluster::new(3, 1);
    let consul = cluster.elect();
    let everywhere = voters(&mut cluster, &[1, 2, 3, 4]);
    let at_once = Change {
        add: add(4).add,
        ..everywhere.clone()
    };
    let error = cluster.node(consul).reconfigure(&at_once);
    assert_eq!(
        error,
        Err(ReconfigureError::NotLearner {
            server: ServerId(4),
            log: LogId::Senate
        })
    );
    cluster.change(&add(4));
    let error = cluster.node(consul).reconfigure(&everywhere);
    assert!(
        matches!(
            error,
            Err(ReconfigureError::Behind {
                server: ServerId(4),
                log: LogId::Senate,
                ..
            })
        ),
        "it never answered: {error:?}"
    );
    cluster.join(4);
    cluster.change(&everywhere);
}

#[test]
fn a_blank_server_never_stands_nor_votes_before_it_has_a_configuration() {
    let mut cluster = Cluster::new(3, 1);
    cluster.join(4);
    cluster.run(1000);
    assert_eq!(cluster.node(4).office(), Office::Senator { term: Term(0) });
    let vote = Message {
        cluster: ClusterId(7),
        from: ServerId(1),
        to: ServerId(4),
        incarnation: Incarnation(1),
        term: Term(50),
        body: Body::Vote {
            tail: Tail {
                term: Term(1),
                index: Index(9),
            },
            transfer: false,
        },
    };
    cluster.put(vote);
    let server = cluster.server(4);
    server.settle();
    let granted = |message: &Message| matches!(message.body, Body::VoteReply { granted: true, .. });
    assert!(!server.outbox.iter().any(granted));
}

#[test]
fn one_change_at_a_time() {
    let mut cluster = Cluster::new(3, 1);
    let consul = cluster.elect();
    cluster.node(consul).reconfigure(&add(4)).expect("none is under way");
    assert_eq!(cluster.node(consul).reconfigure(&add(5)), Err(ReconfigureError::Underway));
    cluster.run(50);
    cluster.node(consul).reconfigure(&add(5)).expect("the first is finished");
}

#[test]
fn a_change_needs_a_committed_entry_of_the_consuls_own_term_first() {
    // The hole in unguarded single-server changes: a consul that has not committed anything in its term may overlook an
    // undecided configuration of an earlier one.
    let mut cluster = Cluster::new(4, 1);
    let consul = cluster.elect();
    let others: Vec<_> = (1..=4).filter(|id| *id != consul).collect();
    cluster.cut.insert(consul);
    cluster.node(consul).reconfigure(&remove(others[0])).expect("it may begin");
    cluster.hold = |message| matches!(message.body, Body::Append(_));
    cluster.until("another is elected", |cluster| {
        others
            .iter()
            .any(|id| matches!(cluster.node(*id).office(), Office::Inaugurating { .. }))
    });
    for id in others {
        assert_eq!(cluster.node(id).reconfigure(&add(9)), Err(ReconfigureError::NotConsul));
    }
}

#[test]
fn the_senate_is_joint_from_append_on_and_needs_both_majorities() {
    let mut cluster = Cluster::new(5, 1);
    cluster.elect_this(1);
    let change = voters(&mut cluster, &[1, 2, 3]);
    cluster.change(&change);
    // From {1, 2, 3} to {1, 4, 5}: the old majority is cut off.
    cluster.cut = [2, 3].into();
    let change = voters(&mut cluster, &[1, 4, 5]);
    cluster.node(1).reconfigure(&change).expect("they caught up");
    assert!(!cluster.configuration(1).senate.outgoing().is_empty());
    cluster.run(60);
    assert!(!cluster.node(1).is_settled(), "the new majority alone decided");
    cluster.cut.clear();
    cluster.until("it ends", |cluster| cluster.node(1).is_settled());
    assert_eq!(cluster.configuration(1).senate.incoming(), ids(&[1, 4, 5]));
}

#[test]
fn the_old_members_go_only_when_a_barrier_is_on_both_majorities_of_every_changed_group() {
    let mut cluster = Cluster::new(5, 2);
    cluster.elect_this(1);
    let change = voters(&mut cluster, &[1, 2, 3]);
    cluster.change(&change);
    cluster.commit("old members only");
    // Group entries don't reach 4 and 5, the senate's do.
    let change = Change {
        senate: None,
        ..voters(&mut cluster, &[1, 4, 5])
    };
    cluster.hold = |message| {
        let Body::Append(append) = &message.body else { return false };
        message.to.0 > 3 && append.sections.iter().any(|section| section.log != LogId::Senate)
    };
    cluster.node(1).reconfigure(&change).expect("they caught up");
    cluster.run(60);
    let configuration = cluster.configuration(1);
    assert!(
        configuration.groups.iter().all(|(_, members)| !members.outgoing().is_empty()),
        "the change ended without the barriers"
    );
    assert!(matches!(
        records(&mut cluster, 1, LogId::Group(GroupId(0))).last(),
        Some(Record::Barrier)
    ));
    cluster.hold = |_| false;
    cluster.until("it ends", |cluster| cluster.node(1).is_settled());
    for group in 0..2 {
        let barriers = records(&mut cluster, 4, LogId::Group(GroupId(group)));
        assert_eq!(
            barriers.iter().filter(|record| **record == Record::Barrier).count(),
            2,
            "one for each change"
        );
    }
}

#[test]
fn a_new_consul_finishes_the_change_that_it_finds() {
    let mut cluster = Cluster::new(5, 2);
    cluster.elect_this(1);
    let change = voters(&mut cluster, &[1, 2, 3]);
    cluster.change(&change);
    cluster.commit("before");
    // The barriers don't get anywhere, then the consul is gone.
    cluster.hold = |message| {
        let Body::Append(append) = &message.body else { return false };
        message.from.0 == 1 && append.sections.iter().any(|section| section.log != LogId::Senate)
    };
    let change = voters(&mut cluster, &[3, 4, 5]);
    cluster.node(1).reconfigure(&change).expect("they caught up");
    cluster.run(30);
    assert!(!cluster.node(1).is_settled());
    cluster.crash(1);
    cluster.hold = |_| false;
    cluster.until("another consul finished it", |cluster| {
        let consul = cluster.consul();
        consul.is_some_and(|id| id != 1 && cluster.node(id).is_settled())
    });
    let consul = cluster.elect();
    assert_eq!(cluster.configuration(consul).senate.incoming(), ids(&[3, 4, 5]));
    assert_eq!(cluster.server(consul).row(1, 0), Some("before"));
    cluster.commit("after");
}

#[test]
fn a_change_that_never_committed_is_forgotten_with_its_groups() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.cut.insert(1);
    let change = Change {
        create: vec![Target {
            voters: ids(&[1, 2, 3]),
            learners: vec![],
        }],
        ..Change::default()
    };
    cluster.node(1).reconfigure(&change).expect("it may begin");
    cluster.settle();
    assert_eq!(cluster.configuration(1).groups.len(), 2, "the latest, not committed");
    assert_eq!(cluster.propose(1, &[(1, "a")]), Err(ProposeError::UnknownGroup(GroupId(1))));
    cluster.crash(1);
    cluster.restart(1);
    cluster.run(300);
    cluster.cut.clear();
    cluster.run(300);
    assert_eq!(cluster.configuration(1).groups.len(), 1);
    assert_eq!(records(&mut cluster, 1, LogId::Group(GroupId(1))), []);
    cluster.change(&change);
    cluster.run(50);
    assert_eq!(
        cluster.configuration(1).groups[1].0,
        GroupId(1),
        "an id that was never given is given"
    );
}

#[test]
fn a_consul_that_is_removed_manages_the_change_and_then_steps_down() {
    let mut cluster = Cluster::new(3, 2);
    cluster.elect_this(1);
    cluster.commit("a");
    cluster.node(1).reconfigure(&remove(1)).expect("it may go");
    cluster.until("it stepped down", |cluster| cluster.consul() != Some(1));
    let consul = cluster.elect();
    assert_ne!(consul, 1);
    assert_eq!(cluster.configuration(consul).senate.incoming(), ids(&[2, 3]));
    assert_eq!(cluster.configuration(consul).servers.len(), 2);
    let term = cluster.node(consul).office();
    cluster.commit("b");
    cluster.run(1000);
    assert_eq!(cluster.node(consul).office(), term, "who was removed disturbs nobody");
}

#[test]
fn a_removed_server_is_refused_even_while_no_consul_lives() {
    let mut cluster = Cluster::new(4, 1);
    cluster.elect_this(1);
    cluster.cut.insert(4); // it never learns that it was removed
    cluster.change(&remove(4));
    cluster.run(1000);
    let term = cluster.node(1).office();
    cluster.cut.clear();
    cluster.run(1000);
    assert_eq!(cluster.node(1).office(), term, "it disturbs nobody");
    cluster.crash(1);
    cluster.run(90);
    cluster.delivered.clear();
    cluster.run(600);
    let strange = cluster
        .delivered
        .iter()
        .any(|(message, result)| message.from == ServerId(4) && *result == Err(Refusal::Stranger));
    assert!(strange, "it asks in vain");
    let consul = cluster.elect();
    assert_ne!(consul, 4);
    assert!(cluster.node(consul).refusals().stranger > 0);
}

#[test]
fn a_candidate_that_the_voter_does_not_know_yet_gets_its_vote_when_its_log_is_ahead() {
    // 1, 2, 3 become 2, 4, 5; only 2 and 4 have all of it, and then 2 lags by an entry that 4 has.
    let mut cluster = Cluster::new(5, 1);
    cluster.elect_this(1);
    let change = voters(&mut cluster, &[1, 2, 3]);
    cluster.change(&change);
    cluster.cut.insert(3);
    let change = Change {
        add: vec![(ServerId(6), Roles::BOTH)],
        ..Change::default()
    };
    cluster.change(&change);
    let vote = |from| Message {
        cluster: ClusterId(7),
        from,
        to: ServerId(3),
        incarnation: Incarnation(1),
        term: Term(50),
        body: Body::Vote {
            tail: Tail {
                term: Term(40),
                index: Index(60),
            },
            transfer: false,
        },
    };
    cluster.run(300); // nobody sticks to a consul at server 3 any more
    assert!(cluster.configuration(3).roles(ServerId(6)).is_none());
    let granted = |cluster: &mut Cluster, from| {
        cluster.put(vote(from));
        cluster.server(3).settle();
        let outbox = std::mem::take(&mut cluster.server(3).outbox);
        outbox
            .iter()
            .any(|message| matches!(message.body, Body::VoteReply { granted: true, .. }))
    };
    assert!(granted(&mut cluster, ServerId(6)));
    let mut behind = vote(ServerId(7));
    behind.term = Term(60);
    behind.body = Body::Vote {
        tail: Tail::default(),
        transfer: false,
    };
    cluster.put(behind);
    assert_eq!(cluster.delivered.last().expect("put").1, Err(Refusal::Stranger));
}

#[test]
fn a_group_exists_from_commit_on_and_takes_proposals_once_its_term_start_is_on_a_quorum() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.commit("a");
    let change = Change {
        create: vec![Target {
            voters: ids(&[1, 2, 3]),
            learners: vec![],
        }],
        ..Change::default()
    };
    cluster.hold = |message| {
        let Body::Append(append) = &message.body else { return false };
        append.sections.iter().any(|section| section.log == LogId::Group(GroupId(1)))
    };
    cluster.node(1).reconfigure(&change).expect("it may begin");
    cluster.run(50);
    assert_eq!(
        cluster.propose(1, &[(0, "b"), (1, "b")]),
        Err(ProposeError::ClosedGroup(GroupId(1)))
    );
    assert_eq!(
        records(&mut cluster, 1, LogId::Group(GroupId(1))),
        [Record::TermStart(TermStart {
            cut: Csn(1),
            timestamp: cluster.server(1).state.timestamps[&Csn(1)],
        })]
    );
    cluster.hold = |_| false;
    cluster.run(50);
    cluster.propose(1, &[(0, "b"), (1, "b")]).expect("it is open");
    cluster.run(50);
    for server in 1..=3 {
        assert_eq!(cluster.server(server).row(2, 1), Some("b"), "server {server}");
    }
    // Failovers and restarts know it.
    cluster.crash(1);
    cluster.elect();
    cluster.commit("c");
    cluster.restart(1);
    cluster.run(200);
    assert_eq!(cluster.server(1).row(2, 1), Some("b"));
    assert_eq!(cluster.server(1).row(3, 0), Some("c"));
}

#[test]
fn a_group_is_dropped_when_every_state_has_applied_it_durably_and_its_id_never_comes_back() {
    let mut cluster = Cluster::new(3, 2);
    cluster.elect_this(1);
    cluster.propose(1, &[(0, "a"), (1, "a")]).expect("room");
    cluster.run(50);
    let drop = Change {
        drop: vec![GroupId(1)],
        ..Change::default()
    };
    cluster.change(&drop);
    assert_eq!(cluster.propose(1, &[(1, "b")]), Err(ProposeError::ClosedGroup(GroupId(1))));
    assert_eq!(cluster.configuration(1).dropping, [(GroupId(1), Csn(1))]);
    // Failover while it is being dropped: an ordinary group in all but proposals.
    cluster.crash(1);
    let consul = cluster.elect();
    assert_eq!(cluster.propose(consul, &[(1, "b")]), Err(ProposeError::ClosedGroup(GroupId(1))));
    cluster.commit("b");
    cluster.restart(1);
    cluster.run(100);
    for server in 1..=3 {
        assert_eq!(cluster.configuration(1).groups.len(), 2, "not all states are durable");
        cluster.commit("more");
        cluster.run(50);
        cluster.server(server).flush();
        cluster.run(100);
    }
    for server in 1..=3 {
        let configuration = cluster.configuration(server);
        assert_eq!(configuration.groups.len(), 1);
        assert_eq!((configuration.dropped_floor, configuration.next_group), (Csn(1), GroupId(2)));
        assert!(!cluster.server(server).disk.logs.contains_key(&LogId::Group(GroupId(1))));
    }
    cluster.commit("c");
    let create = Change {
        create: vec![Target {
            voters: ids(&[1, 2, 3]),
            learners: vec![],
        }],
        ..Change::default()
    };
    cluster.change(&create);
    assert_eq!(cluster.configuration(1).groups[1].0, GroupId(2));
    for server in 1..=3 {
        cluster.crash(server);
        cluster.restart(server);
    }
    cluster.run(300);
    cluster.commit("d");
}

#[test]
fn changes_that_make_no_sense_are_refused() {
    let mut cluster = Cluster::with_roles(&[(1, Roles::BOTH), (2, Roles::LOG), (3, Roles::LOG), (4, Roles::STATE)], 1);
    cluster.elect_this(1);
    let configuration = cluster.configuration(1);
    let voters = |voters: &[u64]| Change::voters(&configuration, &ids(voters));
    let senate = |members: &[u64]| Change {
        senate: Some(Target {
            voters: ids(members),
            learners: vec![],
        }),
        ..Change::default()
    };
    let drop = |groups: &[u32]| Change {
        drop: groups.iter().copied().map(GroupId).collect(),
        ..Change::default()
    };
    let cases = [
        (Change::default(), ReconfigureError::Nothing),
        (remove(9), ReconfigureError::UnknownServer(ServerId(9))),
        (add(1), ReconfigureError::KnownServer(ServerId(1))),
        (voters(&[1, 4]), ReconfigureError::StoresNoLog(ServerId(4))),
        (voters(&[]), ReconfigureError::Members(Some(LogId::Senate))),
        (senate(&[1, 1]), ReconfigureError::Members(Some(LogId::Senate))),
        (drop(&[7]), ReconfigureError::UnknownGroup(GroupId(7))),
        (drop(&[0, 0]), ReconfigureError::UnknownGroup(GroupId(0))),
        (drop(&[0]), ReconfigureError::LastGroup),
        (senate(&[1, 9]), ReconfigureError::UnknownServer(ServerId(9))),
        (
            Change {
                create: vec![Target::default()],
                ..Change::default()
            },
            ReconfigureError::Members(None),
        ),
        (
            Change {
                add: vec![(ServerId(9), Roles { log: false, state: false })],
                ..Change::default()
            },
            ReconfigureError::Impossible("server"),
        ),
        (
            Change {
                remove: ids(&[1, 4]),
                ..Change::default()
            },
            ReconfigureError::NoCandidate,
        ),
    ];
    for (change, error) in cases {
        assert_eq!(cluster.node(1).reconfigure(&change), Err(error), "{change:?}");
    }
    assert!(cluster.node(1).is_settled());
}

#[test]
fn a_group_with_unresolved_transactions_is_not_dropped() {
    let mut cluster = Cluster::new(3, 2);
    cluster.elect_this(1);
    cluster.cut = [2, 3].into();
    cluster.propose(1, &[(1, "a")]).expect("room");
    let drop = Change {
        drop: vec![GroupId(1)],
        ..Change::default()
    };
    assert_eq!(cluster.node(1).reconfigure(&drop), Err(ReconfigureError::Unresolved(GroupId(1))));
}

#[test]
fn a_state_that_comes_after_a_group_was_dropped_takes_snapshots_instead_of_replaying_logs() {
    let mut cluster = Cluster::new(3, 3);
    cluster.elect_this(1);
    cluster.propose(1, &[(0, "a"), (1, "b")]).expect("room");
    cluster.propose(1, &[(1, "c")]).expect("room");
    cluster.propose(1, &[(0, "d")]).expect("room");
    cluster.run(50);
    let drop = Change {
        drop: vec![GroupId(1)],
        ..Change::default()
    };
    cluster.change(&drop);
    (1..=3).for_each(|server| cluster.server(server).flush());
    cluster.run(100);
    assert_eq!(cluster.configuration(1).groups.len(), 2);
    cluster.commit("e");
    cluster.join(4);
    cluster.change(&add(4));
    cluster.run(200);
    let csn = cluster.commit("f");
    cluster.run(100);
    assert_eq!(cluster.server(4).state.applied.csn, csn);
    assert_eq!(cluster.server(4).row(1, 0), Some("a"), "from the snapshot");
    assert_eq!(cluster.server(4).row(5, 0), Some("f"));
    assert!(
        cluster
            .server(4)
            .state
            .applied
            .positions
            .iter()
            .any(|(group, _)| *group == GroupId(2))
    );
}

#[test]
fn who_is_about_to_leave_stands_if_nobody_else_has_the_entry_that_says_so() {
    let mut cluster = Cluster::new(2, 1);
    cluster.elect_this(1);
    let change = Change {
        senate: Some(Target {
            voters: ids(&[2]),
            learners: ids(&[1]),
        }),
        ..Change::default()
    };
    // The joint configuration gets to server 2, the one after it doesn't.
    cluster.hold = |message| {
        let Body::Append(append) = &message.body else { return false };
        let entries = append.sections.iter().flat_map(|section| &section.entries);
        let settled = |entry: &Entry| matches!(&entry.record, Record::Configuration(c) if c.senate.incoming().len() == 1 && c.at_rest());
        entries.filter(|entry| settled(entry)).count() > 0
    };
    cluster.node(1).reconfigure(&change).expect("it may begin");
    cluster.run(30);
    assert!(cluster.configuration(1).at_rest() && !cluster.configuration(2).at_rest());
    cluster.crash(1);
    cluster.hold = |_| false;
    cluster.run(300);
    cluster.restart(1);
    cluster.until("server 2 serves alone", |cluster| {
        cluster.consul() == Some(2) && cluster.node(2).is_settled()
    });
    assert_eq!(cluster.configuration(2).senate.incoming(), ids(&[2]));
}

#[test]
fn a_server_that_votes_in_a_group_only_becomes_a_learner_before_it_is_removed() {
    let mut cluster = Cluster::new(3, 2);
    cluster.elect_this(1);
    // Server 3 leaves the senate's voters and those of one group.
    let target = |voters: &[u64], learners: &[u64]| Target {
        voters: ids(voters),
        learners: ids(learners),
    };
    let change = Change {
        senate: Some(target(&[1, 2], &[3])),
        groups: vec![(GroupId(0), target(&[1, 2], &[3]))],
        ..Change::default()
    };
    cluster.change(&change);
    let error = ReconfigureError::StillVotes {
        server: ServerId(3),
        group: GroupId(1),
    };
    assert_eq!(cluster.node(1).reconfigure(&remove(3)), Err(error));
    let change = Change {
        groups: vec![(GroupId(1), target(&[1, 2], &[3]))],
        ..Change::default()
    };
    cluster.change(&change);
    cluster.change(&remove(3));
    assert_eq!(cluster.configuration(1).servers.len(), 2);
}

#[test]
fn the_level_of_features_never_falls() {
    let mut cluster = Cluster::new(3, 1);
    let level = |level| Change {
        feature_level: Some(level),
        ..Change::default()
    };
    cluster.change(&level(5));
    let consul = cluster.elect();
    assert_eq!(cluster.node(consul).reconfigure(&level(4)), Err(ReconfigureError::FeatureLevel));
    assert_eq!(cluster.node(consul).reconfigure(&level(5)), Err(ReconfigureError::Nothing));
    assert_eq!(cluster.configuration(consul).feature_level, 5);
}

#[test]
fn no_change_begins_while_the_office_is_being_handed_over() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.cut = [2].into();
    cluster.node(1).transfer(ServerId(2)).expect("it may lead");
    assert_eq!(cluster.node(1).reconfigure(&add(4)), Err(ReconfigureError::Transferring));
    cluster.run(150);
    cluster.node(1).reconfigure(&add(4)).expect("the transfer was given up");
}

#[test]
fn a_group_whose_end_was_never_committed_comes_back_on_a_server_that_lost_its_log() {
    let gone = GroupId(1);
    let mut cluster = Cluster::new(5, 2);
    cluster.elect_this(1);
    cluster.commit("a");
    cluster.change(&Change {
        drop: vec![gone],
        ..Change::default()
    });
    (2..=5).for_each(|server| cluster.server(server).flush());
    cluster.run(30);
    // Only server 3 hears that the group is gone.
    cluster.cut = [2, 4, 5].into();
    cluster.server(1).flush();
    cluster.run(30);
    assert_eq!(cluster.configuration(3).group(gone), None);
    cluster.crash(1);
    cluster.crash(3);
    cluster.cut.clear();
    cluster.server(3).disk.damaged.insert(LogId::Group(gone), Index(0));
    // The others flush nothing more, so the next consul has to wait before it drops the group.
    let consul = cluster.elect();
    cluster.restart(3);
    cluster.until("server 3 follows", |cluster| cluster.configuration(3).group(gone).is_some());
    assert!(cluster.configuration(consul).dropping(gone).is_some());
    cluster.restart(1);
    (1..=5).for_each(|server| cluster.server(server).flush());
    cluster.until("it is gone everywhere", |cluster| {
        (1..=5).all(|server| cluster.configuration(server).group(gone).is_none())
    });
    assert_eq!(cluster.commit("b"), Csn(2));
}
