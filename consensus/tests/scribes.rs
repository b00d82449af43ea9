//! Rules of layouts in which logs and state are apart (DESIGN 3.5).

mod harness;

use curia_consensus::*;
use harness::cluster::{Cluster, TIMEOUT, ids};

fn three_and_two() -> Cluster {
    let mut cluster = Cluster::three_scribes_and_two_states(2);
    cluster.run(300);
    cluster
}

fn senate_tail(cluster: &mut Cluster, server: u64) -> Option<(Term, Index)> {
    let entries = cluster.server(server).disk.entries(LogId::Senate);
    entries.last().map(|entry| (entry.term, entry.index))
}

#[test]
fn a_scribe_never_stands() {
    let mut cluster = three_and_two();
    let consul = cluster.elect();
    assert!(consul > 3);
    cluster.commit("a");
    cluster.crash(4);
    cluster.crash(5);
    cluster.run(2000);
    for scribe in 1..=3 {
        assert!(matches!(cluster.node(scribe).office(), Office::Senator { .. }));
    }
}

#[test]
fn a_state_only_server_writes_nothing_to_its_log() {
    let mut cluster = three_and_two();
    cluster.commit("a");
    for server in [4, 5] {
        assert_eq!(cluster.server(server).disk.logs.len(), 0);
        assert_eq!(cluster.server(server).disk.hard_state, None);
        assert_eq!(cluster.server(server).row(1, 0), Some("a"));
    }
}

#[test]
fn state_only_servers_do_not_vote() {
    let mut cluster = three_and_two();
    let consul = cluster.elect();
    cluster.cut = [2, 3].into();
    cluster.run(400);
    assert_eq!(
        cluster.consul(),
        None,
        "server {consul} with one scribe and another state is no quorum"
    );
    cluster.cut = [2].into();
    cluster.elect();
}

#[test]
fn a_state_only_server_with_nothing_copies_the_senates_log_and_wins_by_the_scribes_votes() {
    let mut cluster = three_and_two();
    let consul = cluster.elect();
    cluster.commit("a");
    let change = Change {
        feature_level: Some(3),
        ..Change::default()
    };
    cluster.change(&change);
    // Both states are lost, with all that they knew; one of them comes back.
    cluster.crash(4);
    cluster.crash(5);
    cluster.run(300);
    let other = 9 - consul;
    cluster.restart(other);
    assert_eq!(cluster.configuration(other).feature_level, 0, "as founded");
    assert_eq!(cluster.elect(), other);
    assert_eq!(cluster.configuration(other).feature_level, 3);
    assert_eq!(cluster.server(other).row(1, 0), Some("a"), "from the scribes' logs");
    cluster.commit("b");
}

#[test]
fn an_entry_that_only_scribes_hold_does_not_block_elections_for_good() {
    let mut cluster = three_and_two();
    let consul = cluster.elect();
    // An entry of the senate gets to one scribe only, and both states are lost.
    let change = Change {
        feature_level: Some(9),
        ..Change::default()
    };
    cluster.cut = [1, 2, 9 - consul].into();
    cluster.node(consul).reconfigure(&change).expect("it may begin");
    cluster.settle();
    cluster.crash(4);
    cluster.crash(5);
    cluster.cut = [1].into();
    cluster.run(300);
    assert!(senate_tail(&mut cluster, 3) > senate_tail(&mut cluster, 2));
    cluster.restart(4);
    assert_eq!(cluster.elect(), 4);
    assert_eq!(
        cluster.configuration(4).feature_level,
        9,
        "it had to copy from the highest of the two"
    );
}

#[test]
fn a_scribe_grants_a_term_again_only_to_the_same_run_of_a_state_only_server() {
    let mut cluster = three_and_two();
    let consul = cluster.elect();
    let Office::Consul { term, .. } = cluster.node(consul).office() else {
        panic!("it serves")
    };
    // It comes back and has forgotten that it led this term. Nobody lets it do so again.
    cluster.crash(consul);
    cluster.crash(9 - consul);
    cluster.restart(consul);
    assert_eq!(cluster.elect(), consul);
    let Office::Consul { term: later, .. } = cluster.node(consul).office() else {
        panic!("it serves")
    };
    assert!(later > term, "and no term is led twice, which the harness checks");
}

#[test]
fn a_state_only_server_that_joins_an_old_cluster_follows_as_a_learner() {
    let mut cluster = Cluster::new(3, 2);
    cluster.elect_this(1);
    cluster.commit("a");
    cluster.join(4);
    let change = Change {
        add: vec![(ServerId(4), Roles::STATE)],
        ..Change::default()
    };
    cluster.change(&change);
    cluster.commit("b");
    cluster.run(50);
    let rows: Vec<_> = cluster.server(4).state.rows.values().map(|row| row[&GroupId(0)].clone()).collect();
    assert_eq!(rows, [b"a", b"b"]);
    assert!(cluster.configuration(4).senate.learners().contains(&ServerId(4)));
    let change = Change::voters(&cluster.configuration(1), &ids(&[1, 2, 3, 4]));
    assert_eq!(
        cluster.node(1).reconfigure(&change),
        Err(ReconfigureError::StoresNoLog(ServerId(4)))
    );
    // It may lead none the less.
    cluster.node(1).transfer(ServerId(4)).expect("it may");
    cluster.run(30);
    assert_eq!(cluster.consul(), Some(4));
    cluster.commit("c");
}

fn commit_in_both(cluster: &mut Cluster, text: &str) -> Csn {
    let consul = cluster.elect();
    let csn = cluster.propose(consul, &[(0, text), (1, text)]).expect("room");
    cluster.run(50);
    csn
}

/// The senate's log begins at a configuration that doesn't have the joining server yet: it has groups before it has roles.
fn joined_behind_the_senates_base() -> Cluster {
    let mut cluster = Cluster::new(1, 2);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.memory_bytes_max = 0;
    });
    commit_in_both(&mut cluster, "a");
    assert!(cluster.server(1).checkpoint());
    cluster.join(2);
    cluster.server(2).configure = cluster.server(1).configure;
    cluster.crash(2);
    cluster.restart(2);
    let add = Change {
        add: vec![(ServerId(2), Roles::STATE)],
        ..Change::default()
    };
    cluster.change(&add);
    cluster.run(50);
    cluster
}

#[test]
fn a_state_only_server_has_in_memory_what_it_does_not_store_though_it_learned_its_roles_late() {
    let mut cluster = joined_behind_the_senates_base();
    assert!(cluster.server(2).disk.bases.contains_key(&LogId::Senate));
    let csn = commit_in_both(&mut cluster, "b");
    cluster.run(50);
    assert_eq!(cluster.server(2).state.applied.csn, csn);
}

#[test]
fn a_state_only_server_whose_disk_has_an_old_configuration_goes_on_from_its_state() {
    let mut cluster = joined_behind_the_senates_base();
    let drop = Change {
        drop: vec![GroupId(0)],
        ..Change::default()
    };
    cluster.change(&drop);
    (1..=2).for_each(|server| cluster.server(server).flush());
    cluster.run(100);
    assert_eq!(cluster.configuration(2).groups.len(), 1);
    cluster.crash(2);
    cluster.restart(2);
    assert_eq!(cluster.configuration(2).groups.len(), 2, "as its disk has it");
    cluster.server(2).installs.clear();
    let before = cluster.server(2).state.clone();
    cluster.run(100);
    let csn = cluster.propose(1, &[(1, "c")]).expect("room");
    cluster.run(50);
    let state = &cluster.server(2).state;
    assert_eq!((state.applied.csn, state.rows.len()), (csn, before.rows.len() + 1));
    assert_eq!(cluster.server(2).installs, [], "its state had everything");
}

#[test]
fn a_state_only_server_goes_on_from_its_state_after_a_restart() {
    let mut cluster = three_and_two();
    cluster.commit("a");
    cluster.commit("b");
    let consul = cluster.elect();
    let other = 9 - consul;
    cluster.run(50);
    cluster.server(other).flush();
    cluster.commit("c");
    cluster.crash(other);
    cluster.restart(other);
    assert_eq!(cluster.server(other).state.applied.csn, Csn(2));
    cluster.commit("d");
    cluster.run(100);
    assert_eq!(cluster.server(other).row(4, 0), Some("d"));
}

#[test]
fn a_state_only_server_that_joined_stands_after_a_restart_though_nobody_is_left_to_tell_it_who_takes_part() {
    let mut cluster = three_and_two();
    cluster.commit("a");
    cluster.join(6);
    let add = Change {
        add: vec![(ServerId(6), Roles::STATE)],
        ..Change::default()
    };
    cluster.change(&add);
    cluster.commit("b");
    cluster.run(50);
    cluster.server(6).flush();
    cluster.server(6).keep_senate();
    (4..=6).for_each(|server| cluster.crash(server));
    cluster.restart(6);
    cluster.until("it is elected", |cluster| cluster.consul() == Some(6));
    assert_eq!(cluster.commit("c"), Csn(3));
    assert_eq!(cluster.server(6).row(3, 0), Some("c"));
}

#[test]
fn a_state_that_is_whole_only_by_groups_gives_a_consul_what_no_log_has_any_more() {
    let mut cluster = three_and_two();
    cluster.elect_this(5);
    commit_in_both(&mut cluster, "a");
    cluster.server(4).flush();
    let last = commit_in_both(&mut cluster, "b");
    assert!(cluster.server(5).checkpoint());
    cluster.node(5).snapshots_durable(last);
    cluster.run(500);
    assert!(cluster.server(1).disk.bases.contains_key(&LogId::Group(GroupId(1))));
    cluster.join(6);
    let add = Change {
        add: vec![(ServerId(6), Roles::BOTH)],
        ..Change::default()
    };
    cluster.change(&add);
    cluster.until("both snapshots came", |cluster| cluster.server(6).installs.len() == 2);
    (4..=6).for_each(|server| cluster.crash(server));
    (4..=6).filter(|server| *server != 5).for_each(|server| cluster.restart(server));
    assert_eq!(cluster.server(4).state.applied.csn, Csn(1));
    assert_eq!(cluster.server(6).state.applied.csn, Csn(0), "it was nowhere with all groups");
    cluster.until("it serves", |cluster| cluster.consul() == Some(4));
    assert_eq!(cluster.server(4).state.applied.csn, last);
    assert_eq!(commit_in_both(&mut cluster, "c"), last.next());
}

#[test]
fn a_scribe_is_replaced() {
    let mut cluster = three_and_two();
    cluster.commit("a");
    cluster.crash(3);
    cluster.join(6);
    let change = Change {
        add: vec![(ServerId(6), Roles::LOG)],
        ..Change::default()
    };
    cluster.change(&change);
    let consul = cluster.elect();
    let configuration = cluster.configuration(consul);
    let groups = configuration.groups.iter().map(|(group, members)| {
        let learners = members.learners().iter().copied().chain([ServerId(6)]).collect();
        let voters = members.incoming().to_vec();
        (*group, Target { voters, learners })
    });
    let change = Change {
        groups: groups.collect(),
        ..Change::default()
    };
    cluster.change(&change);
    let change = Change {
        remove: ids(&[3]),
        ..Change::voters(&cluster.configuration(consul), &ids(&[1, 2, 6]))
    };
    cluster.change(&change);
    let configuration = cluster.configuration(consul);
    assert_eq!(configuration.senate.incoming(), ids(&[1, 2, 6]));
    assert!(
        configuration
            .groups
            .iter()
            .all(|(_, members)| members.incoming() == ids(&[1, 2, 6]))
    );
    assert_eq!(configuration.roles(ServerId(3)), None);
    cluster.crash(1);
    cluster.commit("b");
}

#[test]
fn three_with_both_roles_one_scribe_and_one_reader() {
    let mut cluster = Cluster::with_roles(
        &[
            (1, Roles::BOTH),
            (2, Roles::BOTH),
            (3, Roles::BOTH),
            (4, Roles::LOG),
            (5, Roles::STATE),
        ],
        2,
    );
    cluster.run(300);
    for round in 0..6 {
        let consul = cluster.elect();
        cluster.commit("a");
        cluster.crash(consul);
        cluster.elect();
        cluster.commit("b");
        cluster.restart(consul);
        cluster.run(300);
        for server in [1, 2, 3, 5] {
            assert_eq!(cluster.server(server).state.rows.len(), 2 * (round + 1), "server {server}");
        }
    }
}

#[test]
fn a_state_only_server_that_is_removed_does_not_begin_to_write_its_log() {
    let mut cluster = three_and_two();
    let consul = cluster.elect();
    let other = 9 - consul;
    let change = Change {
        remove: ids(&[other]),
        ..Change::default()
    };
    cluster.commit("a");
    cluster.change(&change);
    cluster.commit("b");
    assert_eq!(cluster.configuration(consul).roles(ServerId(other)), None);
    assert_eq!(cluster.server(other).disk.logs.len(), 0);
}

#[test]
fn an_entry_that_only_a_scribe_has_on_disk_does_not_block_who_stores_logs_too() {
    let mut cluster = Cluster::with_roles(&[(1, Roles::BOTH), (2, Roles::LOG)], 1);
    cluster.elect_this(1);
    let change = Change {
        feature_level: Some(5),
        ..Change::default()
    };
    cluster.stuck.insert(1);
    cluster.node(1).reconfigure(&change).expect("it may begin");
    cluster.settle();
    cluster.crash(1); // the entry was not on its own disk yet
    cluster.stuck.clear();
    cluster.restart(1);
    assert_eq!(cluster.configuration(1).feature_level, 0);
    assert_eq!(cluster.elect(), 1);
    assert_eq!(cluster.configuration(1).feature_level, 5);
}

/// Two scribes have what follows, the third lags; the consul's log begins after that.
fn third_scribe_behind_the_consuls_base() -> Cluster {
    let mut cluster = three_and_two();
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.retained_bytes_max = 0;
    });
    cluster.run(400);
    cluster.commit("a");
    cluster.cut = [3].into();
    for text in ["b", "c", "d"] {
        cluster.commit(text);
    }
    let consul = cluster.elect();
    assert!(cluster.server(consul).checkpoint());
    cluster
}

#[test]
fn a_scribe_that_lags_gets_what_no_snapshot_covers_from_another_scribe() {
    let mut cluster = third_scribe_behind_the_consuls_base();
    cluster.cut.clear();
    cluster.run(500);
    let group = LogId::Group(GroupId(0));
    assert_eq!(cluster.server(3).disk.bases.get(&group), None);
    let (first, third) = (cluster.server(1).disk.entries(group), cluster.server(3).disk.entries(group));
    assert_eq!(first, third, "it holds every entry");
    assert!(third.len() > 4);
}
