//! Majorities, joint majorities, and the cut, by examples small enough to check by hand.

use std::sync::Arc;

use bytes::Bytes;
use curia_consensus::cut;
use curia_consensus::*;

fn servers(ids: &[u64]) -> Vec<ServerId> {
    ids.iter().copied().map(ServerId).collect()
}

fn joint(incoming: &[u64], outgoing: &[u64], learners: &[u64]) -> Members {
    Members::joint(servers(incoming), servers(outgoing), servers(learners)).expect("a membership")
}

#[test]
fn a_quorum_is_more_than_half() {
    for (size, needed) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)] {
        let members = joint(&(1..=size).collect::<Vec<_>>(), &[], &[]);
        assert!(members.quorum(|server| server.0 <= needed), "{needed} of {size}");
        assert!(!members.quorum(|server| server.0 < needed), "{} of {size}", needed - 1);
        let reached = members.quorum_index(|server| Index(if server.0 <= needed { 9 } else { 1 }));
        assert_eq!(reached, Index(9), "{needed} of {size} have it");
        let missed = members.quorum_index(|server| Index(if server.0 < needed { 9 } else { 1 }));
        assert_eq!(missed, Index(1), "{} of {size} have it", needed - 1);
    }
}

#[test]
fn a_joint_quorum_needs_a_majority_of_both() {
    let members = joint(&[3, 4, 5], &[1, 2, 3], &[]);
    assert!(members.quorum(|server| [2, 3, 4].contains(&server.0)));
    assert!(!members.quorum(|server| [3, 4, 5].contains(&server.0)));
    assert!(!members.quorum(|server| [1, 2, 3].contains(&server.0)));
    let reached = members.quorum_index(|server| Index(server.0));
    assert_eq!(reached, Index(2), "4 on the incoming, 2 on the outgoing");
}

#[test]
fn learners_count_nowhere() {
    let members = joint(&[1, 2, 3], &[], &[4, 5]);
    assert!(!members.quorum(|server| server.0 >= 3));
    assert!(members.contains(ServerId(4)) && !members.is_voter(ServerId(4)));
    assert_eq!(members.all().count(), 5);
}

#[test]
fn who_stays_through_a_change_is_named_once() {
    let members = joint(&[1, 2, 4], &[1, 2, 3], &[3]);
    let mut all: Vec<_> = members.all().collect();
    all.sort_unstable();
    assert_eq!(all, servers(&[1, 2, 3, 4]));
}

#[test]
fn impossible_memberships_are_refused() {
    assert_eq!(Members::new(vec![]), None);
    assert_eq!(Members::new(servers(&[1, 1])), None);
    assert_eq!(Members::new(servers(&[0])), None);
    assert_eq!(Members::joint(servers(&[1]), servers(&[2, 2]), vec![]), None);
    assert_eq!(Configuration::founding(ClusterId(1), servers(&[1]), 0), None);
}

/// A group's log, entry by entry: `(term, what)`.
enum What {
    Start(u64),
    Fragment(u64, &'static [(u32, u64)]),
    Stage,
}
use What::{Fragment as F, Stage, Start as S};

fn log(entries: &[(u64, What)]) -> Vec<Entry> {
    let payload = || Payload::Held(Bytes::new());
    let record = |what: &What| match what {
        S(cut) => Record::TermStart(TermStart {
            cut: Csn(*cut),
            timestamp: Timestamp(0),
        }),
        F(csn, places) => {
            let places: Vec<_> = places
                .iter()
                .map(|(g, i)| Participant {
                    group: GroupId(*g),
                    index: Index(*i),
                })
                .collect();
            let participants = if places.len() < 2 {
                Participants::Alone
            } else {
                Participants::Several(Arc::from(places))
            };
            Record::Fragment(Arc::new(Fragment {
                key: None,
                csn: Csn(*csn),
                timestamp: Timestamp(*csn),
                participants,
                stages: Stages::NONE,
                payload: payload(),
            }))
        }
        Stage => Record::Stage(payload()),
    };
    let numbered = entries.iter().zip(1..);
    numbered
        .map(|((term, what), index)| Entry {
            index: Index(index),
            term: Term(*term),
            record: record(what),
        })
        .collect()
}

fn cut_of(floor: u64, logs: &[Vec<Entry>]) -> (u64, Vec<u64>) {
    let groups = logs.iter().enumerate().map(|(group, log)| (GroupId(group as u32), log.iter()));
    let cut = cut::find(Csn(floor), groups);
    (cut.csn.0, cut.whole.iter().map(|whole| whole.csn.0).collect())
}

#[test]
fn empty_logs_are_cut_at_the_floor() {
    assert_eq!(cut_of(0, &[vec![], vec![]]), (0, vec![]));
    assert_eq!(cut_of(7, &[vec![], vec![]]), (7, vec![]));
}

#[test]
fn whole_transactions_count_in_whatever_group_they_are() {
    let logs = [
        log(&[(1, S(0)), (1, F(1, &[])), (1, F(3, &[]))]),
        log(&[(1, S(0)), (1, Stage), (1, F(2, &[]))]),
    ];
    assert_eq!(cut_of(0, &logs), (3, vec![1, 2, 3]));
}

#[test]
fn a_transaction_that_lacks_a_fragment_stops_the_cut() {
    const BOTH: &[(u32, u64)] = &[(0, 2), (1, 2)];
    let logs = [log(&[(1, S(0)), (1, F(1, BOTH)), (1, F(2, &[]))]), log(&[(1, S(0))])];
    assert_eq!(cut_of(0, &logs), (0, vec![]));
}

#[test]
fn a_fragment_at_another_place_than_the_list_names_does_not_count() {
    const BOTH: &[(u32, u64)] = &[(0, 2), (1, 3)];
    let logs = [log(&[(1, S(0)), (1, F(1, BOTH))]), log(&[(1, S(0)), (1, F(1, BOTH))])];
    assert_eq!(cut_of(0, &logs), (0, vec![]));
}

#[test]
fn fragments_that_a_later_term_start_cut_off_do_not_count_and_their_csn_may_stand_again() {
    const OLD: &[(u32, u64)] = &[(0, 2), (1, 2)];
    let logs = [
        log(&[(1, S(0)), (1, F(1, OLD)), (2, S(0)), (2, F(1, &[]))]),
        log(&[(1, S(0)), (1, F(1, OLD)), (2, S(0))]),
    ];
    assert_eq!(cut_of(0, &logs), (1, vec![1]));
    let groups = logs.iter().enumerate().map(|(group, log)| (GroupId(group as u32), log.iter()));
    assert_eq!(
        cut::find(Csn(0), groups).whole[0].place,
        Participant {
            group: GroupId(0),
            index: Index(4)
        }
    );
}

#[test]
fn the_lowest_of_several_later_cuts_decides() {
    let logs = [log(&[(1, S(0)), (1, F(1, &[])), (1, F(2, &[])), (2, S(2)), (3, S(1))])];
    assert_eq!(cut_of(0, &logs), (1, vec![1]));
}

#[test]
fn a_transaction_void_in_one_group_is_void() {
    // The second term's start reached group 0 only.
    const BOTH: &[(u32, u64)] = &[(0, 2), (1, 2)];
    let logs = [log(&[(1, S(0)), (1, F(1, BOTH)), (2, S(0))]), log(&[(1, S(0)), (1, F(1, BOTH))])];
    assert_eq!(cut_of(0, &logs), (0, vec![]));
}

#[test]
fn what_is_at_or_below_the_floor_is_not_looked_at() {
    const GONE: &[(u32, u64)] = &[(0, 2), (1, 9)];
    let logs = [log(&[(1, S(0)), (1, F(4, GONE)), (1, F(5, &[]))]), log(&[(1, S(0))])];
    assert_eq!(cut_of(4, &logs), (5, vec![5]));
}
