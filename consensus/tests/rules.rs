//! One test per rule of the protocol that a lone server can show.

mod harness;

use bytes::Bytes;
use curia_consensus::*;
use harness::{Server, part};

const SENATE: LogId = LogId::Senate;

fn group(group: u32) -> LogId {
    LogId::Group(GroupId(group))
}

fn serving(groups: u32) -> Server {
    let mut server = Server::new(groups);
    server.start();
    server
}

/// Writes everything out and loses the process, not the disk.
fn restart(server: &mut Server) {
    server.settle();
    server.crash(usize::MAX);
    server.start();
}

fn fragments(server: &Server, log: LogId) -> Vec<(Term, Csn)> {
    let entries = server.disk.entries(log).into_iter();
    entries
        .filter_map(|entry| match entry.record {
            Record::Fragment(fragment) => Some((entry.term, fragment.csn)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_term_is_never_led_twice() {
    let mut server = serving(2);
    let mut last = Term::ZERO;
    for _ in 0..5 {
        let Office::Consul { term, .. } = server.node().office() else {
            panic!("it serves")
        };
        assert!(term > last);
        last = term;
        restart(&mut server);
    }
}

#[test]
fn a_vote_counts_only_once_it_is_durable() {
    let mut server = Server::new(1);
    server.restore().expect("an empty disk can be founded");
    server.tick();
    server.take();
    assert!(
        matches!(server.node().office(), Office::Senator { term: Term(1) }),
        "elected by a vote that a crash can undo"
    );
    server.sync(usize::MAX);
    assert!(matches!(server.node().office(), Office::Inaugurating { term: Term(1) }));
    assert_eq!(server.disk.hard_state.map(|state| state.term), Some(Term(1)));
}

#[test]
fn a_crash_before_the_vote_is_durable_leaves_the_term_unused() {
    let mut server = Server::new(1);
    server.restore().expect("an empty disk can be founded");
    server.tick();
    server.take();
    server.crash(0);
    server.start();
    assert_eq!(fragments(&server, group(0)), []);
    assert!(matches!(server.node().office(), Office::Consul { term: Term(1), .. }));
}

#[test]
fn the_senate_commits_its_no_op_before_any_group_is_touched() {
    let mut server = Server::new(2);
    server.restore().expect("an empty disk can be founded");
    server.tick();
    server.take();
    server.sync(usize::MAX);
    server.take();
    assert!(
        server
            .unsynced
            .iter()
            .flat_map(|p| &p.writes)
            .all(|w| matches!(w, Write::Append { log: LogId::Senate, .. }))
    );
    server.sync(usize::MAX);
    server.take();
    let logs: Vec<_> = server
        .unsynced
        .iter()
        .flat_map(|p| &p.writes)
        .map(|w| match w {
            Write::Append { log, entry } => (*log, matches!(entry.record, Record::TermStart(_))),
            Write::DropSuffix { log, .. } | Write::Base { log, .. } | Write::DropLog { log } => (*log, false),
        })
        .collect();
    assert_eq!(logs, [(group(0), true), (group(1), true)]);
}

#[test]
fn nothing_is_served_before_the_term_starts_of_all_groups_are_on_quorums() {
    let mut server = Server::new(3);
    server.restore().expect("an empty disk can be founded");
    server.tick();
    for _ in 0..3 {
        assert_eq!(server.propose(&[(0, "a")]), Err(ProposeError::NotConsul));
        assert_eq!(server.node().stage(GroupId(0), part(0, "a").payload), Err(ProposeError::NotConsul));
        assert!(server.node().checkpoint().is_none());
        server.take();
        assert_eq!(server.propose(&[(0, "a")]), Err(ProposeError::NotConsul));
        server.sync(usize::MAX);
    }
    assert_eq!(server.propose(&[(0, "a")]), Ok(Csn(1)));
}

#[test]
fn every_start_writes_a_term_start_with_the_cut_to_every_group() {
    let mut server = serving(3);
    server.propose(&[(1, "a")]).expect("room");
    restart(&mut server);
    for g in 0..3 {
        let starts: Vec<_> = server
            .disk
            .entries(group(g))
            .into_iter()
            .filter_map(|entry| match entry.record {
                Record::TermStart(start) => Some((entry.term.0, start.cut.0)),
                _ => None,
            })
            .collect();
        assert_eq!(starts, [(1, 0), (2, 1)], "group {g}");
    }
}

#[test]
fn the_next_csn_follows_the_cut_and_csns_are_gap_free() {
    let mut server = serving(2);
    for n in 1..=5 {
        assert_eq!(server.propose(&[(n % 2, "a")]), Ok(Csn(u64::from(n))));
    }
    restart(&mut server);
    assert_eq!(server.propose(&[(0, "b")]), Ok(Csn(6)));
}

#[test]
fn a_transaction_is_handed_out_only_when_it_is_durable_and_in_csn_order() {
    let mut server = serving(2);
    server.propose(&[(0, "a"), (1, "b")]).expect("room");
    server.take();
    server.propose(&[(0, "c")]).expect("room");
    server.take();
    server.take();
    assert_eq!(server.state.applied.csn, Csn::ZERO);
    server.sync(1);
    server.take();
    assert_eq!((server.row(1, 0), server.row(1, 1), server.row(2, 0)), (Some("a"), Some("b"), None));
    server.sync(1);
    server.take();
    assert_eq!(server.row(2, 0), Some("c"));
}

#[test]
fn every_fragment_names_the_places_of_all() {
    let mut server = serving(3);
    server.propose(&[(0, "a")]).expect("room");
    server.propose(&[(0, "b"), (2, "c")]).expect("room");
    server.settle();
    let places = [
        Participant {
            group: GroupId(0),
            index: Index(3),
        },
        Participant {
            group: GroupId(2),
            index: Index(2),
        },
    ];
    for place in places {
        let Record::Fragment(fragment) = server.disk.entry(LogId::Group(place.group), place.index).record else {
            panic!("a fragment")
        };
        assert_eq!(fragment.participants, Participants::Several(places.into()));
    }
}

#[test]
fn a_transaction_that_lost_a_fragment_is_void_in_all_groups() {
    let mut server = serving(3);
    server.propose(&[(0, "a"), (1, "b"), (2, "c")]).expect("room");
    server.take();
    server.crash(3); // the batch is torn: its head and two of three fragments reached the disk
    assert_eq!([0, 1, 2].map(|g| fragments(&server, group(g)).len()), [1, 1, 0]);
    server.start();
    assert_eq!(
        server.node().office(),
        Office::Consul {
            term: Term(2),
            cut: Csn(0)
        }
    );
    assert!(server.state.rows.is_empty());
}

#[test]
fn a_voided_csn_is_given_again_and_the_void_fragment_stays_void_for_ever() {
    let mut server = serving(2);
    server.propose(&[(0, "void"), (1, "lost")]).expect("room");
    server.take();
    server.crash(2);
    server.start();
    assert_eq!(server.propose(&[(0, "new")]), Ok(Csn(1)));
    restart(&mut server);
    restart(&mut server);
    assert_eq!(fragments(&server, group(0)), [(Term(1), Csn(1)), (Term(2), Csn(1))]);
    assert_eq!(server.row(1, 0), Some("new"));
    assert_eq!(server.row(1, 1), None);
}

#[test]
fn a_verdict_that_reached_some_groups_only_is_no_verdict() {
    let mut server = serving(2);
    server.propose(&[(0, "a"), (1, "b")]).expect("room");
    server.settle();
    server.crash(usize::MAX);
    // The next term's start reaches one group, then the server dies again.
    server.restore().expect("restored");
    server.tick();
    for _ in 0..2 {
        server.take();
        server.sync(usize::MAX);
    }
    server.take();
    server.crash(2);
    server.start();
    assert_eq!(
        server.node().office(),
        Office::Consul {
            term: Term(3),
            cut: Csn(1)
        }
    );
    assert_eq!((server.row(1, 0), server.row(1, 1)), (Some("a"), Some("b")));
}

#[test]
fn the_cut_stops_at_the_first_gap_even_where_later_transactions_are_whole() {
    let mut server = serving(3);
    server.propose(&[(0, "a"), (1, "b")]).expect("room");
    server.propose(&[(0, "c"), (1, "d")]).expect("room");
    server.propose(&[(2, "e")]).expect("room");
    server.take();
    server.sync(usize::MAX);
    server.crash(0); // nothing was applied or acknowledged
    // As on a quorum that never held the second transaction's second fragment.
    server.disk.logs.get_mut(&group(1)).expect("has entries").split_off(&Index(3));
    server.start();
    assert_eq!(
        server.node().office(),
        Office::Consul {
            term: Term(2),
            cut: Csn(1)
        }
    );
    assert_eq!(server.state.rows.len(), 1);
    assert_eq!(server.propose(&[(2, "f")]), Ok(Csn(2)));
    restart(&mut server);
    assert_eq!((server.row(2, 2), server.row(3, 2)), (Some("f"), None));
}

#[test]
fn unacknowledged_transactions_that_are_whole_are_kept() {
    let mut server = serving(2);
    server.propose(&[(0, "a"), (1, "b")]).expect("room");
    server.take();
    server.crash(usize::MAX);
    server.start();
    assert_eq!((server.row(1, 0), server.row(1, 1)), (Some("a"), Some("b")));
}

#[test]
fn unresolved_bytes_are_bounded_and_a_refused_proposal_is_unchanged() {
    let mut server = Server::new(1);
    server.configure = |config| config.unresolved_bytes_max = 10;
    server.start();
    server.propose(&[(0, "12345678")]).expect("room");
    let mut parts = vec![part(0, "abc")];
    assert_eq!(server.node().propose(Timestamp(1), None, &mut parts), Err(ProposeError::Full));
    assert_eq!(parts, [part(0, "abc")]);
    assert_eq!(server.node().stage(GroupId(0), part(0, "abc").payload), Err(ProposeError::Full));
    server.settle();
    assert_eq!(server.node().propose(Timestamp(1), None, &mut parts), Ok(Csn(2)));
}

#[test]
fn a_transaction_larger_than_the_limit_goes_alone() {
    let mut server = Server::new(1);
    server.configure = |config| config.unresolved_bytes_max = 10;
    server.start();
    server.propose(&[(0, "more than ten bytes")]).expect("alone it may");
    assert_eq!(server.propose(&[(0, "a")]), Err(ProposeError::Full));
    server.settle();
    server.propose(&[(0, "a")]).expect("room again");
}

#[test]
fn proposals_that_make_no_sense_are_refused_and_use_no_csn() {
    let mut server = serving(2);
    assert_eq!(server.propose(&[]), Err(ProposeError::Empty));
    assert_eq!(server.propose(&[(9, "a")]), Err(ProposeError::UnknownGroup(GroupId(9))));
    assert_eq!(server.propose(&[(1, "a"), (0, "b")]), Err(ProposeError::GroupOrder(GroupId(0))));
    assert_eq!(server.propose(&[(1, "a"), (1, "b")]), Err(ProposeError::GroupOrder(GroupId(1))));
    let mut parts = vec![Part {
        stages: vec![Index(1)],
        ..part(0, "a")
    }];
    assert_eq!(
        server.node().propose(Timestamp(1), None, &mut parts),
        Err(ProposeError::UnknownStage(GroupId(0), Index(1)))
    );
    // A record's length must fit its frame.
    let too_long = || Bytes::from(vec![0; PAYLOAD_BYTES_MAX + 1]);
    let mut parts = vec![Part {
        payload: too_long(),
        ..part(1, "")
    }];
    let too_large = ProposeError::TooLarge(GroupId(1));
    assert_eq!(server.node().propose(Timestamp(1), None, &mut parts), Err(too_large));
    assert_eq!(server.node().stage(GroupId(1), too_long()), Err(too_large));
    assert_eq!(server.propose(&[(1, "a")]), Ok(Csn(1)));
}

#[test]
fn stage_records_are_applied_before_their_fragment_at_its_csn() {
    let mut server = serving(2);
    let one = server.node().stage(GroupId(0), part(0, "one ").payload).expect("room");
    server.propose(&[(0, "other")]).expect("room");
    let two = server.node().stage(GroupId(0), part(0, "two ").payload).expect("room");
    server.settle();
    assert_eq!(server.state.applied.csn, Csn(1), "a stage record by itself is never applied");
    let mut parts = vec![Part {
        stages: vec![one, two],
        ..part(0, "three")
    }];
    server.node().propose(Timestamp(1), None, &mut parts).expect("room");
    server.settle();
    assert_eq!(server.row(2, 0), Some("one two three"));
    restart(&mut server);
    assert_eq!(server.row(2, 0), Some("one two three"));
}

#[test]
fn a_stage_record_is_named_once_in_order_and_only_in_its_term() {
    let mut server = serving(1);
    let a = server.node().stage(GroupId(0), part(0, "a").payload).expect("room");
    let b = server.node().stage(GroupId(0), part(0, "b").payload).expect("room");
    let propose = |server: &mut Server, stages: &[Index]| {
        server.node().propose(
            Timestamp(1),
            None,
            &mut vec![Part {
                stages: stages.to_vec(),
                ..part(0, "x")
            }],
        )
    };
    assert_eq!(propose(&mut server, &[b, a]), Err(ProposeError::UnknownStage(GroupId(0), a)));
    assert_eq!(propose(&mut server, &[a, a]), Err(ProposeError::UnknownStage(GroupId(0), a)));
    propose(&mut server, &[a]).expect("open");
    assert_eq!(propose(&mut server, &[a]), Err(ProposeError::UnknownStage(GroupId(0), a)));
    restart(&mut server);
    assert_eq!(propose(&mut server, &[b]), Err(ProposeError::UnknownStage(GroupId(0), b)));
}

#[test]
fn a_log_does_not_begin_after_a_stage_record_that_is_still_needed() {
    let mut server = serving(1);
    server.propose(&[(0, "before")]).expect("room");
    let stage = server.node().stage(GroupId(0), part(0, "staged ").payload).expect("room");
    server.propose(&[(0, "after")]).expect("room");
    server.settle();
    server.checkpoint();
    assert_eq!(server.disk.bases[&group(0)].index, stage.previous());
    assert_eq!(server.disk.bases[&group(0)].csn, Csn(1));
    let mut parts = vec![Part {
        stages: vec![stage],
        ..part(0, "named")
    }];
    server.node().propose(Timestamp(1), None, &mut parts).expect("open");
    server.take();
    server.crash(usize::MAX);
    server.start();
    assert_eq!(server.row(3, 0), Some("staged named"));
    server.checkpoint();
    assert!(server.disk.bases[&group(0)].index > stage, "applied and durable: no longer needed");
}

#[test]
fn stage_records_that_were_given_up_let_the_log_begin_after_them() {
    let mut server = serving(1);
    let stages: Vec<_> = (0..3)
        .map(|_| server.node().stage(GroupId(0), part(0, "s").payload).expect("room"))
        .collect();
    server.settle();
    server.checkpoint();
    assert!(server.disk.bases[&group(0)].index < stages[0]);
    server.node().discard(GroupId(0), &stages);
    assert!(server.checkpoint());
    assert_eq!(server.disk.bases[&group(0)].index, stages[2]);
    assert_eq!(server.node().unresolved_bytes(), 0);
    restart(&mut server);
}

#[test]
fn stage_records_of_an_earlier_term_that_no_fragment_names_are_dropped() {
    let mut server = serving(1);
    let stage = server.node().stage(GroupId(0), part(0, "s").payload).expect("room");
    restart(&mut server);
    server.checkpoint();
    assert!(server.disk.bases[&group(0)].index > stage);
}

#[test]
fn stage_records_count_against_the_limit_until_they_are_on_a_quorum() {
    let mut server = Server::new(1);
    server.configure = |config| config.unresolved_bytes_max = 10;
    server.start();
    let stage = server.node().stage(GroupId(0), part(0, "123456").payload).expect("room");
    server.node().discard(GroupId(0), &[stage]);
    assert_eq!(server.node().stage(GroupId(0), part(0, "123456").payload), Err(ProposeError::Full));
    server.settle();
    server.node().stage(GroupId(0), part(0, "123456").payload).expect("room");
}

#[test]
fn a_restart_from_bases_replays_only_what_the_state_lacks() {
    let mut server = serving(2);
    server.propose(&[(0, "a"), (1, "b")]).expect("room");
    server.settle();
    assert!(server.checkpoint());
    server.propose(&[(1, "c")]).expect("room");
    server.settle();
    server.crash(0);
    server.start();
    assert_eq!((server.row(1, 0), server.row(2, 1)), (Some("a"), Some("c")));
    assert_eq!(server.propose(&[(0, "d")]), Ok(Csn(3)));
}

#[test]
fn logs_of_groups_that_nobody_writes_to_are_truncated_too() {
    let mut server = serving(2);
    for _ in 0..3 {
        restart(&mut server);
    }
    server.propose(&[(0, "a")]).expect("room");
    server.settle();
    assert!(server.checkpoint());
    assert_eq!(server.disk.entries(group(1)), []);
    assert_eq!(server.disk.entries(SENATE), []);
    restart(&mut server);
    assert_eq!(server.propose(&[(1, "b")]), Ok(Csn(2)));
}

#[test]
fn the_base_holds_the_latest_term_start_and_the_senates_the_configuration() {
    let mut server = serving(1);
    restart(&mut server);
    server.propose(&[(0, "a")]).expect("room");
    server.settle();
    server.checkpoint();
    assert_eq!(
        server.disk.bases[&group(0)].term_start,
        TermStartAt {
            term: Term(2),
            cut: Csn(0)
        }
    );
    assert_eq!(server.disk.bases[&SENATE].configuration.as_deref(), Some(&server.founding));
}

#[test]
fn a_state_behind_the_logs_base_is_refused() {
    let mut server = serving(1);
    server.propose(&[(0, "a")]).expect("room");
    server.settle();
    server.checkpoint();
    server.crash(0);
    server.flushed = Default::default();
    let expected = RestoreError::StateBehindLog {
        log: group(0),
        base: Csn(1),
        applied: Csn(0),
    };
    assert_eq!(server.restore(), Err(expected));
}

#[test]
fn a_log_behind_the_state_is_refused() {
    let mut server = serving(1);
    server.propose(&[(0, "a")]).expect("room");
    server.settle();
    server.flushed = server.state.clone();
    server.crash(0);
    server.disk.logs.get_mut(&group(0)).expect("has entries").split_off(&Index(2));
    let expected = RestoreError::LogBehindState {
        log: group(0),
        last: Index(1),
        applied: Index(2),
    };
    assert_eq!(server.restore(), Err(expected));
}

#[test]
fn damaged_records_that_no_other_server_has_are_refused() {
    for log in [SENATE, group(0)] {
        let mut server = serving(1);
        server.propose(&[(0, "a")]).expect("room");
        server.settle();
        server.crash(0);
        server.disk.damaged.insert(log, Index(1));
        assert_eq!(server.restore(), Err(RestoreError::Damaged { log, after: Index(1) }));
    }
}

#[test]
fn a_log_of_a_group_that_never_was_is_refused() {
    let mut server = serving(1);
    server.crash(0);
    let disk = &server.disk;
    let mut restore = Restore::new(
        Config::new(server.id, Incarnation(2), 1),
        disk.hard_state,
        [],
        AppliedState::default(),
    )
    .expect("no bases");
    for log in [SENATE, group(0)] {
        disk.entries(log)
            .into_iter()
            .for_each(|entry| restore.entry(log, entry).expect("sound"));
    }
    let stray = disk.entries(group(0)).remove(0);
    restore.entry(group(5), stray).expect("sound in itself");
    assert_eq!(restore.finish(None).err(), Some(RestoreError::UnknownGroup(GroupId(5))));
}

#[test]
fn a_gap_in_a_log_is_refused() {
    let mut server = serving(1);
    server.propose(&[(0, "a")]).expect("room");
    server.propose(&[(0, "b")]).expect("room");
    server.settle();
    server.crash(0);
    server.disk.logs.get_mut(&group(0)).expect("has entries").remove(&Index(2));
    assert_eq!(
        server.restore(),
        Err(RestoreError::Gap {
            log: group(0),
            after: Index(1),
            found: Index(3)
        })
    );
}

#[test]
fn a_log_that_is_ahead_of_the_stored_term_is_refused() {
    let mut server = serving(1);
    server.crash(0);
    server.disk.hard_state = None;
    assert!(matches!(server.restore(), Err(RestoreError::Term { .. })));
}

#[test]
fn without_a_configuration_nothing_starts() {
    let restore = Restore::new(Config::new(ServerId(1), Incarnation(1), 1), None, [], AppliedState::default()).expect("empty");
    assert_eq!(restore.finish(None).err(), Some(RestoreError::NoConfiguration));
}

#[test]
fn commit_timestamps_grow_when_the_clock_goes_back_and_across_restarts() {
    let mut server = serving(2);
    let propose = |server: &mut Server, at: u64| server.node().propose(Timestamp(at), None, &mut vec![part(0, "a")]).expect("room");
    propose(&mut server, 1_000);
    propose(&mut server, 10);
    server.settle();
    server.checkpoint();
    restart(&mut server);
    propose(&mut server, 20);
    restart(&mut server);
    propose(&mut server, 30);
    server.settle();
    let timestamps: Vec<_> = server.state.timestamps.values().map(|t| t.0).collect();
    assert_eq!(timestamps, [1_000, 1_001, 1_002, 1_003]);
}

#[test]
fn an_output_is_bounded_and_the_next_one_goes_on() {
    let mut server = Server::new(1);
    server.configure = |config| config.apply_fragments_max = 2;
    server.start();
    for _ in 0..5 {
        server.propose(&[(0, "a")]).expect("room");
    }
    server.take();
    server.sync(usize::MAX);
    let mut sizes = Vec::new();
    loop {
        let output = server.node().take_output();
        if output.is_empty() {
            break;
        }
        sizes.push(output.apply.len());
    }
    assert_eq!(sizes, [2, 2, 1]);
}

#[test]
fn a_checkpoint_names_what_was_handed_out_to_be_applied_first() {
    let mut server = serving(1);
    server.propose(&[(0, "a")]).expect("room");
    server.take();
    server.sync(usize::MAX);
    let output = server.node().take_output();
    assert_eq!(output.apply.len(), 1);
    let checkpoint = server.node().checkpoint().expect("something was logged");
    assert_eq!(checkpoint.csn, Csn(1));
    server.node().applied(Csn(1));
    server.node().truncate(checkpoint);
    assert_eq!(server.node().durable_applied(), Csn(1));
}

#[test]
fn what_the_log_store_still_has_below_a_base_is_passed_over() {
    let mut server = serving(1);
    server.propose(&[(0, "a")]).expect("room");
    server.settle();
    let before = server.disk.logs.clone();
    server.checkpoint();
    server.crash(0);
    server.disk.logs = before;
    server.start();
    assert_eq!(server.propose(&[(0, "b")]), Ok(Csn(2)));
    server.settle();
    assert_eq!((server.row(1, 0), server.row(2, 0)), (Some("a"), Some("b")));
}

#[test]
fn a_checkpoint_that_is_told_twice_changes_nothing_more() {
    let mut server = serving(1);
    server.propose(&[(0, "a")]).expect("room");
    server.settle();
    let checkpoint = server.node().checkpoint().expect("there is something to truncate");
    server.flushed = server.state.clone();
    for _ in 0..2 {
        server.node().truncate(checkpoint.clone());
        assert_eq!(server.node().checkpoint(), None);
    }
    assert_eq!(server.propose(&[(0, "b")]), Ok(Csn(2)));
}

#[test]
fn groups_of_any_number_have_logs() {
    let mut server = Server::new(1);
    let members = server.founding.senate.clone();
    let groups = [1, 70_000, 70_001];
    server.founding.groups = groups.map(|group| (GroupId(group), members.clone())).to_vec();
    server.founding.next_group = GroupId(70_002);
    server.start();
    for (n, other) in [70_000, 70_001, 70_000].into_iter().enumerate() {
        server.propose(&[(1, "a"), (other, "b")]).expect("room");
        server.settle();
        assert!(server.node().is_durable());
        assert_eq!(server.row(n as u64 + 1, other), Some("b"));
    }
    restart(&mut server);
    assert_eq!(server.state.rows.len(), 3);
    assert_eq!(server.propose(&[(70_001, "c")]), Ok(Csn(4)));
}
