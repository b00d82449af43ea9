//! The order of durability: no message reveals what isn't on its sender's disk.

use curia_consensus::{Body, LogId, Matched, Message, Tail};

use crate::disk::Disk;

/// Compares a message that leaves with what is durable at its sender.
pub fn check(disk: &Disk, message: &Message) {
    let hard_state = disk.hard_state.unwrap_or_default();
    let says = || format!("durability order: {message:?}, but on disk is {hard_state:?}");
    match &message.body {
        // They promise nothing: who asks again after a crash, in a lower term, is told of the higher one.
        Body::PreVote { .. } | Body::PreVoteReply { .. } | Body::ReadIndex { .. } => return,
        _ => assert!(message.term <= hard_state.term, "{}", says()),
    }
    let current = message.term == hard_state.term;
    match &message.body {
        Body::Vote { .. } if current => {
            let vote = hard_state.vote;
            assert!(
                vote.is_some_and(|vote| vote.server == message.from && vote.incarnation == message.incarnation),
                "{}",
                says()
            );
        }
        Body::VoteReply { granted: true, tails, .. } if current => {
            let vote = hard_state.vote;
            assert!(
                vote.is_some_and(|vote| vote.server == message.to && vote.incarnation == message.incarnation),
                "{}",
                says()
            );
            tails
                .iter()
                .for_each(|(group, tail)| check_tail(disk, LogId::Group(*group), *tail, message));
        }
        Body::AppendReply(reply) if current => {
            for (group, tail) in reply.tails.iter().flatten() {
                check_tail(disk, LogId::Group(*group), *tail, message);
            }
            for (log, matched) in &reply.sections {
                if let Matched::Upto(index) = matched {
                    let last = disk.lane(*log).map(|lane| lane.tail().index).unwrap_or_default();
                    assert!(
                        *index <= last,
                        "durability order: {message:?}, but {log:?} ends on disk at {last:?}"
                    );
                }
            }
        }
        _ => {}
    }
}

fn check_tail(disk: &Disk, log: LogId, tail: Tail, message: &Message) {
    let holds = match disk.lane(log) {
        Some(lane) => lane.holds(tail.index, tail.term) || lane.is_dropped(),
        None => tail == Tail::default(),
    };
    assert!(
        holds,
        "durability order: {message:?} reports {tail:?} of {log:?}, which is not on disk"
    );
}
