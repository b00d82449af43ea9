//! Errors are read by people: each says what is wrong, and of what.

use std::error::Error;

use curia_consensus::*;

fn words(error: impl Error) -> String {
    error.to_string()
}

#[test]
fn a_refused_message_says_why() {
    let said = [
        (Refusal::Cluster, "from another cluster"),
        (Refusal::Address, "meant for another server"),
        (Refusal::Stranger, "from a server that is no member"),
        (Refusal::StaleTerm, "from a lower term"),
        (Refusal::StaleIncarnation, "answers an earlier run of this server"),
        (Refusal::Sticky, "asks for a vote while a consul lives"),
        (Refusal::Impossible("round"), "impossible round"),
    ];
    for (refusal, text) in said {
        assert_eq!(words(refusal), text);
    }
}

#[test]
fn a_refused_proposal_says_which_group() {
    let group = GroupId(4);
    let said = [
        (ProposeError::NotConsul, "this server is not the consul"),
        (ProposeError::Transferring, "this server is handing its office over"),
        (ProposeError::Full, "too many bytes are unresolved"),
        (ProposeError::Known(Csn(7)), "a transaction with this key has CSN 7"),
        (ProposeError::Empty, "a transaction needs at least one fragment"),
        (ProposeError::GroupOrder(group), "group 4 is out of order or repeated"),
        (ProposeError::UnknownGroup(group), "there is no group 4"),
        (ProposeError::ClosedGroup(group), "group 4 takes no proposals yet, or not any more"),
        (ProposeError::UnknownStage(group, Index(9)), "group 4 has no open stage record at 9"),
        (ProposeError::TooLarge(group), "the part for group 4 is too large for one record"),
    ];
    for (error, text) in said {
        assert_eq!(words(error), text);
    }
}

#[test]
fn a_refused_change_says_of_which_server_and_log() {
    let (server, group) = (ServerId(3), GroupId(4));
    let log = LogId::Group(group);
    let said = [
        (ReconfigureError::NotConsul, "this server is not the consul"),
        (ReconfigureError::Transferring, "the office is being handed over"),
        (ReconfigureError::Underway, "an earlier change of the configuration is not finished"),
        (ReconfigureError::Nothing, "the change changes nothing"),
        (ReconfigureError::UnknownServer(server), "there is no server 3"),
        (ReconfigureError::KnownServer(server), "server 3 exists already"),
        (
            ReconfigureError::UnknownGroup(group),
            "there is no group 4, or it is named twice or being dropped",
        ),
        (ReconfigureError::StoresNoLog(server), "server 3 stores no logs, so it can't vote"),
        (
            ReconfigureError::Members(Some(LogId::Senate)),
            "the members of senate make no sense",
        ),
        (ReconfigureError::Members(None), "the members of a new group make no sense"),
        (
            ReconfigureError::NotLearner { server, log },
            "server 3 is no learner of group 4 yet",
        ),
        (
            ReconfigureError::Behind {
                server,
                log,
                matched: Index(1),
                last: Index(2),
            },
            "server 3 has entry 1 of group 4, which ends at 2",
        ),
        (
            ReconfigureError::StillVotes { server, group },
            "server 3 still votes in group 4: make it a learner first",
        ),
        (
            ReconfigureError::Unresolved(group),
            "group 4 has transactions that are not resolved",
        ),
        (ReconfigureError::LastGroup, "the last group can't be dropped"),
        (ReconfigureError::NoCandidate, "no server could become consul"),
        (ReconfigureError::FeatureLevel, "the level of features never falls"),
        (ReconfigureError::Impossible("server"), "impossible server"),
    ];
    for (error, text) in said {
        assert_eq!(words(error), text);
    }
}

#[test]
fn a_refused_transfer_says_to_whom() {
    let said = [
        (TransferError::NotConsul, "this server is not the consul"),
        (TransferError::UnderWay, "the office is being handed over already"),
        (TransferError::NoCandidate(ServerId(3)), "server 3 can't become consul"),
    ];
    for (error, text) in said {
        assert_eq!(words(error), text);
    }
}

#[test]
fn a_refused_start_says_which_log_and_entry() {
    let log = LogId::Group(GroupId(4));
    let said = [
        (RestoreError::NoConfiguration, "the log holds no configuration"),
        (
            RestoreError::Gap {
                log,
                after: Index(1),
                found: Index(3),
            },
            "the log of group 4 has a gap: entry 3 follows entry 1",
        ),
        (
            RestoreError::Term { log, index: Index(3) },
            "entry 3 of group 4 has an impossible term",
        ),
        (
            RestoreError::Damaged {
                log: LogId::Senate,
                after: Index(3),
            },
            "the log of senate is damaged after entry 3, and no other server has the rest",
        ),
        (
            RestoreError::StateBehindLog {
                log,
                base: Csn(5),
                applied: Csn(2),
            },
            "the log of group 4 begins after CSN 5, but the state ends at CSN 2",
        ),
        (
            RestoreError::LogBehindState {
                log,
                last: Index(1),
                applied: Index(2),
            },
            "the log of group 4 ends at entry 1, but the state has applied entry 2",
        ),
        (RestoreError::UnknownGroup(GroupId(4)), "group 4 is in no configuration"),
    ];
    for (error, text) in said {
        assert_eq!(words(error), text);
    }
}

#[test]
fn bytes_that_cannot_be_read_say_what_is_wrong() {
    let said = [
        (DecodeError::Short, "ends too early"),
        (DecodeError::Trailing, "has bytes after its end"),
        (DecodeError::Version(9), "has version 9, this program reads version 1"),
        (DecodeError::Kind(9), "has unknown record kind 9"),
        (DecodeError::Field("csn"), "has an impossible csn"),
    ];
    for (error, text) in said {
        assert_eq!(words(error), text);
    }
}
