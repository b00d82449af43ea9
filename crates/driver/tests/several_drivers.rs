//! Several drivers form one database: what was acknowledged outlives every one of them.

mod harness;

use std::sync::Arc;

use curia_consensus::ids::{Csn, GroupId, Index, LogId, Term, Timestamp};
use curia_consensus::{Base, Entry, HardState, Payload, Record, Roles, TermStart, TermStartAt, Write};
use curia_driver::{DriverError, Founding, NoPeers};
use curia_storage::StateStore;
use curia_storage::state::{ApplyBatch, StateOptions};
use curia_txn::Replication;
use curia_types::SqlState;
use harness::cluster::*;
use harness::*;

#[test]
fn three_servers_elect_one_and_what_it_commits_reaches_all() {
    let cluster = Cluster::three();
    let consul = cluster.consul();
    let before: Vec<_> = cluster.places.iter().map(|place| place.files.syncs()).collect();
    let tickets: Vec<_> = (0..300)
        .map(|n| commit(cluster.driver(consul), vec![row_of(n % 3, &format!("k{n}"), "v")]))
        .collect();
    let csns: Vec<_> = tickets.into_iter().map(|ticket| wait(ticket).expect("committed").0).collect();
    assert_eq!(csns, (1..=300).collect::<Vec<_>>());
    cluster.agree_at(Csn(300));
    for (place, before) in cluster.places.iter().zip(before) {
        let syncs = place.files.syncs() - before;
        assert!(syncs < 250, "300 commits that came together took {syncs} syncs on one server");
    }
}

#[test]
fn a_server_that_is_not_consul_refuses_writes_and_names_the_consul() {
    let cluster = Cluster::three();
    let consul = cluster.consul();
    let other = consul % 3 + 1;
    let refuses = || commit(cluster.driver(other), vec![row_of(0, "k", "v")]);
    eventually("it knows the consul", || {
        cluster
            .driver(other)
            .standing()
            .borrow()
            .consul
            .is_some_and(|known| known.0 == consul)
    });
    let error = wait(refuses()).expect_err("not the consul");
    assert_eq!(error.code(), SqlState::READ_ONLY_SQL_TRANSACTION);
    assert_eq!(error.fields().detail, Some(format!("Server {consul} is the consul.")));
    assert_eq!(get_of(cluster.driver(other), 0, "k"), None);
}

#[test]
fn when_the_consul_is_cut_off_another_serves_and_the_old_one_follows_later() {
    let cluster = Cluster::three();
    let old = cluster.consul();
    cluster.put(0, "before", "1");
    let term = cluster.term(old);
    cluster.cut_off(&[old]);
    let lost = commit(cluster.driver(old), vec![row_of(0, "lost", "x")]);
    let new = cluster.consul_after(term);
    assert_ne!(new, old);
    assert_eq!(get_of(cluster.driver(new), 0, "before").as_deref(), Some("1"));
    let error = wait(lost).expect_err("nobody could acknowledge it");
    assert_eq!(error.code(), SqlState::TRANSACTION_RESOLUTION_UNKNOWN);
    assert_eq!(
        get_of(cluster.driver(old), 0, "lost"),
        None,
        "nothing is in the state that was not resolved"
    );
    let csn = wait(commit(cluster.driver(new), vec![row_of(1, "after", "2")])).expect("committed");
    cluster.heal();
    cluster.agree_at(csn);
    assert_eq!(get_of(cluster.driver(old), 1, "after").as_deref(), Some("2"));
    assert_eq!(get_of(cluster.driver(old), 0, "lost"), None);
}

#[test]
fn a_transaction_that_began_under_an_earlier_consul_fails_with_40001() {
    let cluster = Cluster::three();
    let old = cluster.consul();
    let term = cluster.term(old);
    cluster.cut_off(&[old]);
    let new = cluster.consul_after(term);
    let stale = curia_txn::WriteSet {
        begun: Some(term),
        after: Vec::new(),
        fragments: vec![row_of(0, "k", "v")],
    };
    for server in [old, new] {
        let error = wait(cluster.driver(server).commit(stale.clone())).expect_err("its locks are gone");
        assert!(
            error.code() == SqlState::SERIALIZATION_FAILURE || server == old && error.code() == SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
            "{error}"
        );
    }
}

#[test]
fn a_killed_consul_loses_nothing_that_it_acknowledged() {
    let mut cluster = Cluster::three();
    let mut term = Term::ZERO;
    let mut last = Csn::ZERO;
    for round in 0..4 {
        for n in 0..10 {
            last = cluster.put(n % 3, &format!("{round}.{n}"), "v");
        }
        let consul = cluster.consul_after(term);
        term = cluster.term(consul);
        cluster.kill(consul);
        let new = cluster.consul_after(term);
        for n in 0..10 {
            assert_eq!(get_of(cluster.driver(new), n % 3, &format!("{round}.{n}")).as_deref(), Some("v"));
        }
        cluster.start(consul);
    }
    cluster.agree_at(last);
}

#[test]
fn all_acknowledged_commits_survive_a_power_cut_of_all_servers() {
    let mut cluster = Cluster::three();
    let last = (0..30)
        .map(|n| cluster.put(n % 3, &format!("{n}"), "v"))
        .reduce(|_, last| last)
        .expect("some");
    for server in 1..=3 {
        cluster.kill(server);
    }
    for server in 1..=3 {
        cluster.start(server);
    }
    let next = cluster.put(0, "next", "v");
    assert_eq!(next, Csn(last.0 + 1));
    cluster.agree_at(next);
    for n in 0..30 {
        assert_eq!(get_of(cluster.driver(1), n % 3, &format!("{n}")).as_deref(), Some("v"));
    }
}

#[test]
fn a_restarted_follower_catches_up_from_the_log() {
    let mut cluster = Cluster::three();
    let consul = cluster.consul();
    let follower = consul % 3 + 1;
    cluster.put(0, "a", "1");
    cluster.kill(follower);
    let last = (0..200)
        .map(|n| cluster.put(n % 3, &format!("{n}"), "v"))
        .reduce(|_, last| last)
        .expect("some");
    cluster.start(follower);
    cluster.agree_at(last);
}

#[test]
fn a_follower_that_is_far_behind_gets_snapshots_while_commits_go_on() {
    let mut cluster = Cluster::of(&[Roles::BOTH; 3], |place| {
        place.segment_bytes = 64 << 10;
        place.options.log_bytes_max = 128 << 10;
        place.options.retained_bytes_max = 64 << 10;
    });
    let consul = cluster.consul();
    let follower = consul % 3 + 1;
    cluster.put(0, "old", "1");
    cluster.agree_at(Csn(1));
    let last_had = cluster.examine(follower).groups[0].last;
    cluster.kill(follower);
    let row = "x".repeat(1000);
    for n in 0..30 {
        let tickets: Vec<_> = (0..50)
            .map(|m| commit(cluster.driver(consul), vec![row_of(m % 3, &format!("{n}.{m}"), &row)]))
            .collect();
        for ticket in tickets {
            wait(ticket).expect("committed");
        }
    }
    eventually("the consul lets go of what the follower lacks", || {
        wait(async { cluster.driver(consul).checkpoint() }).expect("it runs");
        let examined = cluster.examine(consul);
        examined.groups.iter().any(|group| group.base > last_had)
    });
    cluster.start(follower);
    let last = (0..50)
        .map(|n| cluster.put(n % 3, &format!("meanwhile {n}"), "v"))
        .reduce(|_, last| last)
        .expect("some");
    cluster.agree_at(last);
    let pieces = cluster.network.snapshot_pieces.load(std::sync::atomic::Ordering::Relaxed);
    assert!(pieces > 0, "the follower came back without a snapshot");
    // And it is as good as any other: alone with one of the others it goes on.
    let term = cluster.term(consul);
    cluster.kill(consul);
    cluster.consul_after(term);
    let last = cluster.put(2, "end", "v");
    cluster.agree_at(last);
}

#[test]
fn an_office_that_is_handed_over_moves_without_a_lost_commit() {
    let cluster = Cluster::three();
    let old = cluster.consul();
    let next = old % 3 + 1;
    let last = (0..20)
        .map(|n| cluster.put(n % 3, &format!("{n}"), "v"))
        .reduce(|_, last| last)
        .expect("some");
    let term = cluster.term(old);
    wait(cluster.driver(old).transfer(curia_consensus::ServerId(next)))
        .expect("it runs")
        .expect("a candidate");
    assert_eq!(cluster.consul_after(term), next);
    let csn = cluster.put(0, "after", "v");
    assert_eq!(csn, Csn(last.0 + 1));
    cluster.agree_at(csn);
}

/// Catches: damage that is taken for the end of a log, or that keeps the whole server away.
#[test]
fn a_follower_with_a_damaged_log_is_mended_by_the_others() {
    let mut cluster = Cluster::three();
    let consul = cluster.consul();
    let follower = consul % 3 + 1;
    let last = (0..30)
        .map(|n| cluster.put(n % 3, &format!("{n}"), "some row"))
        .reduce(|_, last| last)
        .expect("some");
    cluster.agree_at(last);
    cluster.kill(follower);
    let files = cluster.places[follower as usize - 1].files.clone();
    let path = files.paths().into_iter().find(|path| path.extension().is_some_and(|e| e == "log"));
    let path = path.expect("a segment");
    let bytes = files.contents(&path).expect("it has bytes");
    let rows: Vec<_> = (0..bytes.len() - 8).filter(|at| &bytes[*at..at + 8] == b"some row").collect();
    assert!(files.rot(&path, rows[rows.len() / 2] as u64, 1));
    assert!(!cluster.places[follower as usize - 1].damage().is_empty(), "the place was durable");
    cluster.start(follower);
    let next = cluster.put(1, "next", "v");
    cluster.agree_at(next);
    eventually("its log is whole again", || {
        let examined = cluster.examine(follower);
        examined.groups.iter().all(|group| !group.damaged)
    });
    // The damaged place is still in its files: the next start finds it again, and the log behind it.
    cluster.kill(follower);
    assert!(!cluster.places[follower as usize - 1].damage().is_empty());
    cluster.start(follower);
    let term = cluster.term(consul);
    let last = cluster.put(2, "last", "v");
    cluster.agree_at(last);
    eventually("its log is whole again", || {
        let examined = cluster.examine(follower);
        examined.groups.iter().all(|group| !group.damaged)
    });
    cluster.kill(consul);
    cluster.consul_after(term);
    let end = cluster.put(0, "end", "v");
    cluster.agree_at(end);
}

#[test]
fn commits_go_on_while_one_servers_disk_is_full() {
    let mut cluster = Cluster::of(&[Roles::BOTH; 3], |place| place.segment_bytes = 64 << 10);
    let consul = cluster.consul();
    let follower = consul % 3 + 1;
    let row = "x".repeat(2000);
    for full in [follower, consul] {
        cluster.put(0, "before", "1");
        let files = cluster.places[full as usize - 1].files.clone();
        let taken = files
            .paths()
            .iter()
            .filter_map(|path| files.contents(path))
            .map(|bytes| bytes.len() as u64)
            .sum();
        files.limit_capacity(Some(taken));
        let last = (0..150)
            .map(|n| cluster.put(n % 3, &format!("{full}.{n}"), &row))
            .reduce(|_, last| last)
            .expect("some");
        files.limit_capacity(None);
        cluster.agree_at(last);
    }
    for server in 1..=3 {
        cluster.kill(server);
    }
    for server in 1..=3 {
        cluster.start(server);
    }
    let last = cluster.put(0, "end", "v");
    cluster.agree_at(last);
    assert_eq!(
        get_of(cluster.driver(1), 149 % 3, &format!("{consul}.149")).as_deref(),
        Some(row.as_str())
    );
}

#[test]
fn a_large_transaction_in_stages_reaches_all_servers_and_outlives_its_consul() {
    let mut cluster = Cluster::of(&[Roles::BOTH; 3], |place| place.options.apply_bytes_max = 50_000);
    let consul = cluster.consul();
    let row = "x".repeat(500);
    let driver = cluster.driver(consul);
    let mut stages = Vec::new();
    for piece in 0..50 {
        let mut writer = curia_storage::fragment::FragmentWriter::new();
        for n in 0..20 {
            writer
                .put(101, format!("{piece}.{n}").as_bytes(), row.as_bytes())
                .expect("a small row");
        }
        stages.push(wait(driver.stage(GroupId(1), writer.finish().into())).expect("staged"));
    }
    let mut fragments = vec![row_of(0, "with", "it"), row_of(1, "end", "of it")];
    fragments[1].stages = stages;
    let csn = wait(commit(driver, fragments)).expect("committed");
    cluster.agree_at(csn);
    let term = cluster.term(consul);
    cluster.kill(consul);
    let new = cluster.consul_after(term);
    assert_eq!(get_of(cluster.driver(new), 1, "49.19").as_deref(), Some(row.as_str()));
    cluster.start(consul);
    let last = cluster.put(0, "later", "v");
    cluster.agree_at(last);
}

#[test]
fn two_state_servers_over_three_scribes_survive_the_loss_of_either() {
    let mut cluster = Cluster::of(&[Roles::LOG, Roles::LOG, Roles::LOG, Roles::STATE, Roles::STATE], |_| {});
    let consul = cluster.consul();
    assert!(consul > 3, "a scribe never leads");
    let last = (0..30)
        .map(|n| cluster.put(n % 3, &format!("{n}"), "v"))
        .reduce(|_, last| last)
        .expect("some");
    cluster.agree_at(last);
    let term = cluster.term(consul);
    cluster.kill(consul);
    cluster.kill(1);
    let new = cluster.consul_after(term);
    assert_eq!(get_of(cluster.driver(new), 29 % 3, "29").as_deref(), Some("v"));
    // A large transaction, by a consul that keeps no log.
    let staged = wait(cluster.driver(new).stage(GroupId(1), row_of(1, "staged", "v").payload));
    let mut fragment = row_of(1, "after", "v");
    fragment.stages = vec![staged.expect("staged")];
    let csn = wait(commit(cluster.driver(new), vec![fragment])).expect("committed");
    assert_eq!(get_of(cluster.driver(new), 1, "staged").as_deref(), Some("v"));
    cluster.start(consul);
    cluster.start(1);
    cluster.agree_at(csn);
    // All state servers at once: what they lose is in the scribes' logs.
    cluster.kill(4);
    cluster.kill(5);
    cluster.start(4);
    cluster.start(5);
    let last = cluster.put(1, "end", "v");
    assert_eq!(last, Csn(csn.0 + 1));
    cluster.agree_at(last);
}

#[test]
fn a_commit_that_meets_a_hand_over_is_refused_only_when_the_office_is_gone() {
    let cluster = Cluster::three();
    cluster.put(0, "before", "v");
    for n in 0..10 {
        let consul = cluster.consul();
        let term = cluster.term(consul);
        let transfer = cluster.driver(consul).transfer(curia_consensus::ServerId(consul % 3 + 1));
        let begun = wait(transfer).expect("it runs");
        let ticket = commit(cluster.driver(consul), vec![row_of(0, &format!("{n}"), "v")]);
        if wait(ticket).is_err() {
            begun.expect("a transfer");
            let serving = cluster.driver(consul).standing().borrow().serving();
            assert_ne!(serving, Some(term), "who tries again would meet the same hand-over");
        }
    }
}

#[test]
fn a_dead_server_that_lacks_little_of_an_idle_group_does_not_hold_up_the_log_of_all() {
    let mut cluster = Cluster::of(&[Roles::BOTH; 3], |place| {
        place.segment_bytes = 64 << 10;
        place.options.log_bytes_max = 128 << 10;
        place.options.retained_bytes_max = 64 << 10;
    });
    let consul = cluster.consul();
    let (dead, next) = (consul % 3 + 1, (consul + 1) % 3 + 1);
    let csn = cluster.put(1, "idle from here", "v");
    cluster.agree_at(csn);
    cluster.kill(dead);
    // Another consul begins its term in each group, and the dead one lacks that.
    let term = cluster.term(consul);
    let transfer = cluster.driver(consul).transfer(curia_consensus::ServerId(next));
    wait(transfer).expect("it runs").expect("it can be transferred");
    let consul = cluster.consul_after(term);
    let row = "x".repeat(1000);
    for n in 0..40 {
        let tickets: Vec<_> = (0..50)
            .map(|m| commit(cluster.driver(consul), vec![row_of(0, &format!("{n}.{m}"), &row)]))
            .collect();
        for ticket in tickets {
            wait(ticket).expect("committed");
        }
    }
    eventually("the log is short", || cluster.examine(consul).log_bytes < 1 << 20);
    cluster.start(dead);
    let csn = cluster.put(1, "all are there", "v");
    cluster.agree_at(csn);
}

#[test]
fn a_server_joins_votes_and_another_leaves_while_commits_go_on() {
    let mut cluster = Cluster::of(&[Roles::BOTH; 3], |place| {
        place.segment_bytes = 64 << 10;
        place.options.log_bytes_max = 128 << 10;
        place.options.retained_bytes_max = 64 << 10;
    });
    let consul = cluster.consul();
    let row = "x".repeat(1000);
    for n in 0..300 {
        cluster.put(n % 3, &format!("{n}"), &row);
    }
    wait(async { cluster.driver(consul).checkpoint() }).expect("it runs");
    let new = cluster.add(Roles::BOTH, Founding::Join, |_| {});
    cluster.start(new);
    let patience = std::time::Duration::from_secs(20);
    let add = cluster
        .driver(consul)
        .add_server(curia_consensus::ServerId(new), Roles::BOTH, patience);
    wait(add).expect("it joins");
    let csn = cluster.put(0, "joined", "v");
    cluster.agree_at(csn);
    assert_eq!(cluster.examine(new).configuration.senate.incoming().len(), 4);
    let leaves = consul % 3 + 1;
    let remove = cluster.driver(consul).remove_server(curia_consensus::ServerId(leaves), patience);
    wait(remove).expect("it leaves");
    cluster.kill(leaves);
    let term = cluster.term(consul);
    cluster.kill(consul);
    cluster.consul_after(term);
    let csn = cluster.put(1, "two of three are left", "v");
    cluster.agree_at(csn);
    let configuration = cluster.examine(new).configuration;
    assert!(configuration.roles(curia_consensus::ServerId(leaves)).is_none());
}

#[test]
fn a_server_without_a_log_joins_and_takes_the_office() {
    let mut cluster = Cluster::three();
    let consul = cluster.consul();
    cluster.put(0, "key", "before");
    let added = cluster.add(Roles::STATE, Founding::Join, |_| {});
    cluster.start(added);
    let id = curia_consensus::ServerId(added);
    let patience = std::time::Duration::from_secs(20);
    wait(cluster.driver(consul).add_server(id, Roles::STATE, patience)).expect("it joins");
    let csn = cluster.put(0, "key", "after");
    cluster.agree_at(csn);
    eventually("it takes the office", || {
        let consul = cluster.consul();
        // On a busy machine a transfer may be given up, or come in between.
        let _ = wait(cluster.driver(consul).transfer(id));
        consul == added
    });
    assert_eq!(get_of(cluster.driver(added), 0, "key").as_deref(), Some("after"));
}

#[test]
fn a_scribe_joins_and_counts() {
    let mut cluster = Cluster::of(&[Roles::STATE, Roles::LOG], |_| {});
    let consul = cluster.consul();
    cluster.put(0, "key", "before");
    let patience = std::time::Duration::from_secs(20);
    for _ in 0..2 {
        let added = cluster.add(Roles::LOG, Founding::Join, |_| {});
        cluster.start(added);
        let add = cluster
            .driver(consul)
            .add_server(curia_consensus::ServerId(added), Roles::LOG, patience);
        wait(add).expect("it joins");
    }
    cluster.kill(2); // the first of the three
    let csn = cluster.put(0, "key", "after");
    cluster.agree_at(csn);
}

#[test]
fn a_server_that_is_alone_grows_into_three() {
    let mut cluster = Cluster::down(&[Roles::BOTH], |_| {});
    cluster.start(1);
    let before = cluster.put(0, "alone", "1");
    let patience = std::time::Duration::from_secs(20);
    for _ in 0..2 {
        let new = cluster.add(Roles::BOTH, Founding::Join, |_| {});
        cluster.start(new);
        wait(cluster.driver(1).add_server(curia_consensus::ServerId(new), Roles::BOTH, patience)).expect("it joins");
    }
    assert_eq!(cluster.put(1, "together", "2"), Csn(before.0 + 1));
    let term = cluster.term(1);
    cluster.kill(1);
    let new = cluster.consul_after(term);
    assert_eq!(get_of(cluster.driver(new), 0, "alone").as_deref(), Some("1"));
    let csn = cluster.put(2, "without the first", "3");
    cluster.start(1);
    cluster.agree_at(csn);
}

/// Catches: a planned stop that costs the others an election time-out.
#[test]
fn a_consul_that_stops_hands_its_office_over_first() {
    let mut cluster = Cluster::of(&[Roles::BOTH; 3], |place| {
        place.options.election_timeout = std::time::Duration::from_secs(2);
    });
    let old = cluster.consul();
    let last = cluster.put(0, "before", "v");
    cluster.agree_at(last);
    let term = cluster.term(old);
    let begun = std::time::Instant::now();
    let driver = cluster.drivers[old as usize - 1].take().expect("it is up");
    driver.shutdown().expect("it stops");
    drop(driver);
    cluster.consul_after(term);
    let took = begun.elapsed();
    assert!(
        took < std::time::Duration::from_millis(1900),
        "somebody else serves after {took:?} only"
    );
    assert_eq!(cluster.put(1, "after", "v"), Csn(last.0 + 1));
}

/// Catches: a server that votes and acknowledges again after its log was taken away, as if it had promised nothing.
#[test]
fn a_server_whose_log_was_emptied_is_refused() {
    let mut cluster = Cluster::three();
    let last = cluster.put(0, "k", "v");
    cluster.agree_at(last);
    let follower = cluster.consul() % 3 + 1;
    cluster.driver(follower).checkpoint().expect("it runs");
    cluster.kill(follower);
    let at = follower as usize - 1;
    cluster.places[at].files = curia_storage::file::ForgetfulFiles::new();
    let error = cluster.places[at]
        .start_among(Roles::BOTH, Arc::new(NoPeers))
        .err()
        .expect("refused");
    assert!(matches!(error, DriverError::PromiseLost), "{error}");
}

/// Catches: entries that were replaced, trusted again because what replaced them is damaged and what follows is not.
#[test]
fn entries_behind_damage_that_replaced_others_are_not_trusted() {
    let mut place = Cluster::down(&[Roles::BOTH; 3], |_| {}).places.remove(0);
    let Founding::Together(founding) = place.options.founding.clone() else {
        panic!("founded together")
    };
    let group = LogId::Group(GroupId(0));
    let append = |log, index, term, record| Write::Append {
        log,
        entry: Entry {
            index: Index(index),
            term: Term(term),
            record,
        },
    };
    let start = || {
        Record::TermStart(TermStart {
            cut: Csn(0),
            timestamp: Timestamp(0),
        })
    };
    let row = |text: &'static str| Record::Stage(Payload::Held(text.as_bytes().into()));
    let mut log = place.open_log().expect("the log opens").0;
    let promise = HardState { term: Term(2), vote: None };
    let first = append(LogId::Senate, 1, 0, Record::Configuration(founding.into()));
    log.append(Some(&promise), &[first, append(group, 1, 1, start())]).expect("room");
    for index in 2..=10 {
        log.append(None, &[append(group, index, 1, row("old"))]).expect("room");
    }
    log.append(None, &[append(group, 6, 2, start()), append(group, 7, 2, row("some row"))])
        .expect("room");
    log.append(None, &[append(group, 8, 2, row("new"))]).expect("room");
    log.append(None, &[append(group, 9, 2, row("new"))]).expect("room");
    drop(log);
    let path = place
        .files
        .paths()
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "log"));
    let path = path.expect("a segment");
    let bytes = place.files.contents(&path).expect("it has bytes");
    let at = (0..bytes.len() - 8)
        .find(|at| &bytes[*at..at + 8] == b"some row")
        .expect("it is there");
    assert!(place.files.rot(&path, at as u64, 1));
    let driver = place.start_among(Roles::BOTH, Arc::new(NoPeers)).expect("others can mend it");
    let examined = wait(driver.examine()).expect("it runs");
    assert!(examined.groups[0].damaged);
    assert!(
        examined.groups[0].last <= Index(7),
        "entries 8 and 9 follow others than those that are here: {examined:?}"
    );
}

/// Catches: reads of a state whose groups are at different places, after a start in the middle of a catch-up.
#[test]
fn a_state_that_is_no_prefix_is_not_readable_after_a_restart() {
    let source = tempfile::tempdir().expect("a folder");
    let from = StateStore::open(source.path(), &StateOptions::small()).expect("a state");
    let base = Base {
        index: Index(3),
        term: Term(1),
        csn: Csn(5),
        timestamp: Timestamp(5),
        term_start: TermStartAt {
            term: Term(1),
            cut: Csn(0),
        },
        configuration: None,
    };
    let mut batch = ApplyBatch::new();
    batch.fragment(GroupId(1), Csn(5), &puts(&[("k", "new")])).expect("a payload");
    batch.applied(GroupId(1), base.clone());
    batch.committed(Csn(5), Timestamp(5));
    from.apply(batch).expect("applied");
    let mut snapshot = from.snapshot(GroupId(1), base.clone()).expect("taken");
    let mut place = Cluster::down(&[Roles::BOTH; 3], |_| {}).places.remove(0);
    let driver = place.start_among(Roles::BOTH, Arc::new(NoPeers)).expect("it starts");
    assert!(driver.readable());
    driver.shutdown().expect("it stops");
    drop(driver);
    let to = StateStore::open(place.state.path(), &StateOptions::small()).expect("a state");
    let mut incoming = to.receive(GroupId(1), base).expect("room");
    let piece = snapshot.piece(0, 1 << 20).expect("readable").expect("the first");
    assert!(piece.last);
    incoming.add(&piece.data).expect("room");
    to.install(&incoming).expect("installed");
    drop(to);
    let driver = place.start_among(Roles::BOTH, Arc::new(NoPeers)).expect("it starts");
    assert!(!driver.readable());
}
