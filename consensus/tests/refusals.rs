//! What no history leads to is refused with the field that is wrong, is counted, and changes nothing: afterwards the
//! message as it was sent does what it should.

mod harness;

use curia_consensus::*;
use harness::cluster::{Cluster, TIMEOUT};

const GROUP: LogId = LogId::Group(GroupId(0));

/// The message arrives, changed: it is refused for this field and counted, and nothing else happens.
fn refused(cluster: &mut Cluster, original: &Message, field: &'static str, change: impl FnOnce(&mut Message)) {
    let mut message = original.clone();
    change(&mut message);
    let node = cluster.node(message.to.0);
    let (office, before) = (node.office(), node.refusals().impossible);
    assert_eq!(node.step(message.clone()), Err(Refusal::Impossible(field)), "{message:?}");
    assert_eq!(node.office(), office);
    assert_eq!(
        (node.refusals().impossible, node.refusals().last_impossible),
        (before + 1, Some(field))
    );
}

fn term_of(cluster: &mut Cluster, id: u64) -> Term {
    match cluster.node(id).office() {
        Office::Consul { term, .. } | Office::Inaugurating { term } | Office::Senator { term } => term,
    }
}

/// A message between first runs.
fn message(cluster: &mut Cluster, from: u64, to: u64, body: Body) -> Message {
    Message {
        cluster: ClusterId(7),
        from: ServerId(from),
        to: ServerId(to),
        incarnation: Incarnation(1),
        term: term_of(cluster, to),
        body,
    }
}

/// What is held back, once there is something.
fn held(cluster: &mut Cluster, what: &str) -> Message {
    cluster.until(what, |cluster| !cluster.held.is_empty());
    cluster.held.remove(0)
}

fn release(cluster: &mut Cluster, message: Message) {
    cluster.hold = |_| false;
    cluster.held.clear();
    cluster.put(message);
    cluster.run(300);
}

fn section(message: &mut Message) -> &mut Section {
    let Body::Append(append) = &mut message.body else {
        panic!("an append")
    };
    append.sections.first_mut().expect("it says something")
}

fn base_at(place: Tail) -> Base {
    Base {
        index: place.index,
        term: place.term,
        ..Base::default()
    }
}

fn with_configuration(base: Base) -> Base {
    let configuration = Configuration::founding(ClusterId(7), vec![ServerId(1)], 1).expect("a membership");
    Base {
        configuration: Some(configuration.into()),
        ..base
    }
}

#[test]
fn appends_that_no_consul_sends_are_refused() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    cluster.commit("a");
    cluster.run(50);
    cluster.hold = |message| message.to == ServerId(2) && matches!(&message.body, Body::Append(append) if !append.sections.is_empty());
    let csn = cluster.propose(1, &[(0, "b")]).expect("room");
    let sent = held(&mut cluster, "the append");

    refused(&mut cluster, &sent, "second consul of a term", |message| message.from = ServerId(3));
    refused(&mut cluster, &sent, "second consul of a term", |message| {
        (message.from, message.to) = (ServerId(2), ServerId(1));
    });
    refused(&mut cluster, &sent, "entries", |message| section(message).log = LogId::Senate);
    refused(&mut cluster, &sent, "entries", |message| {
        section(message).entries[0].index = Index(77);
    });
    refused(&mut cluster, &sent, "entries", |message| section(message).entries[0].term = Term(0));
    refused(&mut cluster, &sent, "entries", |message| {
        // A term starts once in a log.
        section(message).entries[0].record = Record::TermStart(TermStart {
            cut: Csn(0),
            timestamp: Timestamp(0),
        });
    });
    refused(&mut cluster, &sent, "entry term", |message| {
        section(message).entries[0].term = Term(99)
    });
    refused(&mut cluster, &sent, "base", |message| {
        let section = section(message);
        section.base = Some(base_at(Tail::default()));
    });
    refused(&mut cluster, &sent, "base", |message| {
        let section = section(message);
        section.base = Some(with_configuration(base_at(section.previous)));
    });
    refused(&mut cluster, &sent, "base", |message| {
        let section = section(message);
        let term_start = TermStartAt {
            term: section.previous.term.next(),
            cut: Csn(0),
        };
        section.base = Some(Base {
            term_start,
            ..base_at(section.previous)
        });
    });
    refused(&mut cluster, &sent, "base", |message| {
        let section = section(message);
        (section.log, section.entries) = (LogId::Senate, Vec::new());
        section.base = Some(base_at(section.previous));
    });
    // The first entry is applied here. Nothing else can stand there, nor can the log begin after something else.
    refused(&mut cluster, &sent, "change of what is decided", |message| {
        let section = section(message);
        section.previous = Tail::default();
        section.entries.truncate(1);
        (section.entries[0].index, section.entries[0].term) = (Index(1), Term(0));
    });
    refused(&mut cluster, &sent, "change of what is decided", |message| {
        let section = section(message);
        section.entries.clear();
        section.previous = Tail {
            term: Term(0),
            index: Index(1),
        };
        section.base = Some(base_at(section.previous));
    });

    assert_eq!(cluster.server(2).row(csn.0, 0), None);
    release(&mut cluster, sent);
    assert_eq!(cluster.server(2).row(csn.0, 0), Some("b"));
    assert_eq!(cluster.consul(), Some(1));
}

#[test]
fn answers_that_no_follower_gives_are_refused() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    let csn = cluster.commit("a");
    let reply = |log, matched| {
        Body::AppendReply(AppendReply {
            sections: vec![(log, matched)],
            run: Incarnation(1),
            ..AppendReply::default()
        })
    };
    for log in [LogId::Senate, GROUP] {
        let past_the_end = message(&mut cluster, 2, 1, reply(log, Matched::Upto(Index(1 << 20))));
        refused(&mut cluster, &past_the_end, "matching index", |_| {});
    }
    // Of a group that isn't known, nothing follows; nor does a follower care for answers.
    let unknown = message(&mut cluster, 2, 1, reply(LogId::Group(GroupId(9)), Matched::Upto(Index(1 << 20))));
    assert_eq!(cluster.node(1).step(unknown), Ok(()));
    let astray = message(&mut cluster, 2, 3, reply(GROUP, Matched::Upto(Index(1 << 20))));
    assert_eq!(cluster.node(3).step(astray), Ok(()));
    assert_eq!(cluster.commit("b"), csn.next());
}

#[test]
fn only_the_consul_of_the_term_can_wish_that_another_stands() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(1);
    let tail = Tail {
        term: term_of(&mut cluster, 1),
        index: Index(99),
    };
    for (from, to) in [(2, 1), (2, 3)] {
        let wish = message(&mut cluster, from, to, Body::TimeoutNow { tail });
        refused(&mut cluster, &wish, "transfer", |_| {});
    }
    // Whose log doesn't end where the consul's does would only end the term.
    let term = term_of(&mut cluster, 3);
    let wish = message(&mut cluster, 1, 3, Body::TimeoutNow { tail });
    assert_eq!(cluster.node(3).step(wish), Ok(()));
    cluster.run(100);
    assert_eq!((cluster.consul(), term_of(&mut cluster, 3)), (Some(1), term));
}

/// Server 3, elected, waits for the first answer of server 2, its donor; server 1 is down.
fn third_copies_from_the_second(truncated: bool) -> Cluster {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.append_bytes_max = 1;
    });
    cluster.run(300);
    cluster.elect_this(1);
    cluster.commit("a");
    cluster.run(50);
    if truncated {
        cluster.server(3).checkpoint();
    }
    cluster.cut = [3].into();
    for text in ["b", "c", "d"] {
        cluster.commit(text);
    }
    cluster.crash(1);
    cluster.run(150);
    cluster.cut.clear();
    cluster.hold = |message| {
        let stands = message.to == ServerId(2) && matches!(message.body, Body::PreVoteReply { .. });
        stands || matches!(message.body, Body::Fetched { .. })
    };
    cluster
}

fn answer_of_the_donor(cluster: &mut Cluster) -> Message {
    loop {
        let message = held(cluster, "the donor's answer");
        if matches!(message.body, Body::Fetched { .. }) {
            return message;
        }
    }
}

fn donated(message: &mut Message) -> &mut Donated {
    let Body::Fetched { donated, .. } = &mut message.body else {
        panic!("a donor's answer")
    };
    donated
}

#[test]
fn what_no_donor_has_is_refused() {
    let mut cluster = third_copies_from_the_second(false);
    let sent = answer_of_the_donor(&mut cluster);
    let place = |term, index| Tail {
        term: Term(term),
        index: Index(index),
    };
    refused(&mut cluster, &sent, "entries", |message| {
        let Donated::Entries(entries) = donated(message) else {
            panic!("it has what follows")
        };
        entries[0].index = Index(77);
    });
    for base in [
        base_at(place(99, 3)),
        base_at(place(1, 1 << 20)),
        with_configuration(base_at(place(1, 3))),
    ] {
        refused(&mut cluster, &sent, "base", |message| *donated(message) = Donated::Begins(base));
    }
    refused(&mut cluster, &sent, "change of what is decided", |message| {
        *donated(message) = Donated::Begins(base_at(place(0, 1)));
    });
    // From somebody else, or not asked for.
    for (from, index) in [(1, 3), (2, 77)] {
        let mut other = sent.clone();
        other.from = ServerId(from);
        if let Body::Fetched { after, .. } = &mut other.body {
            after.index = Index(index);
        }
        assert_eq!(cluster.node(3).step(other), Ok(()));
    }
    // Its log came to begin where both agree: it is asked what follows.
    let mut begins = sent.clone();
    if let Body::Fetched { after, donated, .. } = &mut begins.body {
        *donated = Donated::Begins(base_at(*after));
    }
    assert_eq!(cluster.node(3).step(begins), Ok(()));
    assert_eq!(cluster.consul(), None);
    release(&mut cluster, sent);
    assert_eq!(cluster.consul(), Some(3));
    assert_eq!(cluster.server(3).row(4, 0), Some("d"));
}

#[test]
fn a_donor_that_lacks_what_is_decided_is_refused() {
    let mut cluster = third_copies_from_the_second(true);
    let sent = answer_of_the_donor(&mut cluster);
    refused(&mut cluster, &sent, "log that lacks what is decided", |message| {
        *donated(message) = Donated::Parted(Tail::default());
    });
    release(&mut cluster, sent);
    assert_eq!(cluster.server(3).row(4, 0), Some("d"));
}

/// Three servers, the third of which needs a snapshot.
fn third_behind_the_base() -> Cluster {
    let mut cluster = Cluster::new(3, 1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.append_bytes_max = 50;
        config.retained_bytes_max = 0;
    });
    cluster.commit_five_without(3);
    assert!(cluster.server(1).checkpoint());
    cluster.hold = |message| matches!(message.body, Body::Snapshot { .. });
    cluster.cut.clear();
    cluster
}

#[test]
fn pieces_of_snapshots_that_cannot_be_are_refused() {
    let mut cluster = third_behind_the_base();
    let sent = held(&mut cluster, "the first piece");
    let Body::Snapshot { base: Some(base), .. } = sent.body.clone() else {
        panic!("it gives one")
    };
    let later = TermStartAt {
        term: base.term.next(),
        cut: base.csn,
    };
    for base in [
        Base {
            term: Term(99),
            ..base.clone()
        },
        Base {
            term_start: later,
            ..base.clone()
        },
        with_configuration(base.clone()),
    ] {
        refused(&mut cluster, &sent, "snapshot's base", |message| {
            if let Body::Snapshot { base: changed, .. } = &mut message.body {
                *changed = Some(base);
            }
        });
    }
    // Of no use, and no fault: a snapshot from before the place where it is needed, one that nobody asked this server
    // for, a later piece of another one.
    let changes: [fn(&mut Message); 4] = [
        |message| {
            if let Body::Snapshot { base: Some(base), .. } = &mut message.body {
                base.index = Index(1);
            }
        },
        |message| message.from = ServerId(2),
        |message| {
            if let Body::Snapshot { group, .. } = &mut message.body {
                *group = GroupId(9);
            }
        },
        |message| {
            if let Body::Snapshot { offset, .. } = &mut message.body {
                *offset = 999;
            }
        },
    ];
    for change in changes {
        let mut other = sent.clone();
        change(&mut other);
        assert_eq!(cluster.node(3).step(other), Ok(()));
    }
    assert!(cluster.server(3).installs.is_empty());
    release(&mut cluster, sent);
    assert_eq!(cluster.server(3).state.rows.len(), 5);
}

fn scribes_and_states() -> Cluster {
    let mut cluster = Cluster::three_scribes_and_two_states(1);
    cluster.configure(|config| {
        config.election_timeout = TIMEOUT;
        config.retained_bytes_max = 0;
    });
    cluster.run(400);
    cluster
}

#[test]
fn a_candidate_takes_no_senate_log_that_cannot_be() {
    let mut cluster = scribes_and_states();
    cluster.commit("a");
    cluster.crash(4);
    cluster.crash(5);
    cluster.run(300);
    cluster.hold = |message| matches!(message.body, Body::Fetched { .. });
    cluster.restart(4);
    let sent = held(&mut cluster, "a scribe's senate log");
    let tail = Tail {
        term: Term(1),
        index: Index(9),
    };
    let nowhere = Tail::default();
    for base in [base_at(tail), with_configuration(base_at(nowhere))] {
        refused(&mut cluster, &sent, "base", |message| *donated(message) = Donated::Begins(base));
    }
    refused(&mut cluster, &sent, "entries", |message| {
        let Donated::Entries(entries) = donated(message) else {
            panic!("it has what follows")
        };
        entries[0].index = Index(77);
    });
    let mut other = sent.clone();
    other.from = ServerId(if sent.from == ServerId(1) { 2 } else { 1 });
    assert_eq!(cluster.node(4).step(other), Ok(()), "not asked");
    release(&mut cluster, sent);
    assert_eq!(cluster.elect(), 4);
    assert_eq!(cluster.server(4).row(1, 0), Some("a"));
}

#[test]
fn a_scribe_that_is_fed_takes_nothing_that_cannot_be() {
    let mut cluster = scribes_and_states();
    let csn = cluster.commit("a");
    let consul = cluster.elect();
    cluster.node(consul).snapshots_durable(csn);
    cluster.run(100);
    assert_eq!(cluster.server(3).disk.bases.get(&GROUP).map(|base| base.csn), Some(csn));
    cluster.cut = [3].into();
    for text in ["b", "c", "d"] {
        cluster.commit(text);
    }
    assert!(cluster.server(consul).checkpoint());
    cluster.hold = |message| matches!(message.body, Body::Fetched { .. });
    cluster.cut.clear();
    let proof = held(&mut cluster, "another scribe has the consul's base");
    cluster.put(proof);
    let sent = held(&mut cluster, "what the third scribe lacks");
    let own = cluster.server(3).disk.bases[&GROUP].clone();
    refused(&mut cluster, &sent, "log that lacks what is decided", |message| {
        *donated(message) = Donated::Parted(Tail::default());
    });
    refused(&mut cluster, &sent, "base", |message| {
        let base = Base {
            csn,
            ..base_at(Tail {
                term: own.term,
                index: own.index.next(),
            })
        };
        *donated(message) = Donated::Begins(with_configuration(base));
    });
    refused(&mut cluster, &sent, "entries", |message| {
        let Donated::Entries(entries) = donated(message) else {
            panic!("it has what follows")
        };
        entries[0].index = Index(77);
    });
    // The other's log begins where this one does: it is asked what follows.
    let mut begins = sent.clone();
    *donated(&mut begins) = Donated::Begins(own);
    assert_eq!(cluster.node(3).step(begins), Ok(()));
    release(&mut cluster, sent);
    let last = |cluster: &mut Cluster, id| cluster.server(id).disk.entries(GROUP).pop();
    assert_eq!(last(&mut cluster, 3), last(&mut cluster, 1));
    assert_eq!(cluster.server(3).disk.bases[&GROUP].csn, csn);
}

#[test]
fn votes_that_nobody_asked_for_let_no_term_out_that_is_not_durable() {
    let mut cluster = Cluster::new(3, 1);
    cluster.elect_this(3);
    cluster.crash(3);
    cluster.stuck.insert(1);
    cluster.hold = |message| message.to == ServerId(2) && matches!(message.body, Body::PreVoteReply { .. });
    cluster.until("it stands", |cluster| {
        cluster.server(1).unsynced.iter().any(|batch| batch.hard_state.is_some())
    });
    let term = term_of(&mut cluster, 1);
    let vote = Body::VoteReply {
        granted: true,
        tails: Vec::new(),
    };
    for from in [2, 3] {
        let vote = message(&mut cluster, from, 1, vote.clone());
        assert_eq!(cluster.node(1).step(vote), Ok(()));
    }
    assert_eq!(cluster.node(1).office(), Office::Inaugurating { term });
    cluster.delivered.clear();
    cluster.run(50);
    let told = |message: &Message| message.from == ServerId(1) && message.term == term;
    assert!(!cluster.delivered.iter().any(|(message, _)| told(message)));
    cluster.stuck.clear();
    cluster.elect();
}
