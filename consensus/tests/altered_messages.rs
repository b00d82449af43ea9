//! Whatever a message says, it doesn't bring a server down: messages of a living cluster, each with something about it altered,
//! arrive at copies of its servers.

mod harness;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use curia_consensus::*;
use harness::cluster::{Cluster, TIMEOUT};
use harness::{Dice, seeds};

#[derive(Default)]
struct Parts<'a> {
    numbers: Vec<&'a mut u64>,
    groups: Vec<&'a mut GroupId>,
    flags: Vec<&'a mut bool>,
}

impl<'a> Parts<'a> {
    fn of(message: &'a mut Message) -> Self {
        let mut parts = Self::default();
        parts.numbers.push(&mut message.term.0);
        match &mut message.body {
            Body::PreVote { tail, freshness } => {
                parts.tail(tail);
                parts.numbers.extend([&mut freshness.logged, &mut freshness.applied.0]);
            }
            Body::PreVoteReply { granted, tail, freshness } => {
                parts.tail(tail);
                parts.flags.push(granted);
                parts.numbers.extend([&mut freshness.logged, &mut freshness.applied.0]);
            }
            Body::Vote { tail, transfer } => {
                parts.tail(tail);
                parts.flags.push(transfer);
            }
            Body::VoteReply { granted, tails } => {
                parts.flags.push(granted);
                parts.tails(tails);
            }
            Body::Append(append) => {
                parts.flags.extend([&mut append.tails_known, &mut append.favoured]);
                parts
                    .numbers
                    .extend([&mut append.round, &mut append.commit.0, &mut append.snapshot_floor.0]);
                parts.numbers.extend(append.resolved.as_mut().map(|csn| &mut csn.0));
                parts.numbers.extend(append.run.as_mut().map(|run| &mut run.0));
                append.mended.iter_mut().for_each(|log| parts.log(log));
                append.sections.iter_mut().for_each(|section| parts.section(section));
            }
            Body::AppendReply(reply) => {
                parts.flags.push(&mut reply.healing);
                parts.numbers.extend([
                    &mut reply.round,
                    &mut reply.applied.0,
                    &mut reply.durable_applied.0,
                    &mut reply.run.0,
                ]);
                reply.tails.iter_mut().for_each(|tails| parts.tails(tails));
                reply.damaged.iter_mut().for_each(|log| parts.log(log));
                for (log, matched) in &mut reply.sections {
                    parts.log(log);
                    match matched {
                        Matched::Upto(index) => parts.numbers.push(&mut index.0),
                        Matched::Not(tail) => parts.tail(tail),
                    }
                }
            }
            Body::Fetch { log, after } => {
                parts.log(log);
                parts.tail(after);
            }
            Body::Fetched { log, after, donated } => {
                parts.log(log);
                parts.tail(after);
                match donated {
                    Donated::Entries(entries) => entries.iter_mut().for_each(|entry| parts.entry(entry)),
                    Donated::Parted(tail) => parts.tail(tail),
                    Donated::Begins(base) => parts.base(base),
                }
            }
            Body::SnapshotFetch { group, of, offset } => {
                parts.groups.push(group);
                parts.numbers.extend([of, offset]);
            }
            Body::Snapshot {
                group,
                commit,
                of,
                base,
                offset,
                data: _,
                last,
            } => {
                parts.groups.push(group);
                parts.numbers.extend([&mut commit.0, of, offset]);
                parts.flags.push(last);
                base.iter_mut().for_each(|base| parts.base(base));
            }
            Body::TimeoutNow { tail } => parts.tail(tail),
            Body::ReadIndex { id } => parts.numbers.push(id),
            Body::ReadIndexReply { id, csn } => {
                parts.numbers.push(id);
                parts.numbers.extend(csn.as_mut().map(|csn| &mut csn.0));
            }
        }
        parts
    }

    fn tail(&mut self, tail: &'a mut Tail) {
        self.numbers.extend([&mut tail.term.0, &mut tail.index.0]);
    }

    fn tails(&mut self, tails: &'a mut [(GroupId, Tail)]) {
        for (group, tail) in tails {
            self.groups.push(group);
            self.tail(tail);
        }
    }

    fn log(&mut self, log: &'a mut LogId) {
        if let LogId::Group(group) = log {
            self.groups.push(group);
        }
    }

    fn base(&mut self, base: &'a mut Base) {
        let start = &mut base.term_start;
        self.numbers.extend([&mut base.index.0, &mut base.term.0, &mut base.csn.0]);
        self.numbers.extend([&mut base.timestamp.0, &mut start.term.0, &mut start.cut.0]);
    }

    fn section(&mut self, section: &'a mut Section) {
        self.log(&mut section.log);
        self.tail(&mut section.previous);
        self.numbers.extend([&mut section.complete.0, &mut section.closed.0]);
        section.base.iter_mut().for_each(|base| self.base(base));
        section.entries.iter_mut().for_each(|entry| self.entry(entry));
    }

    fn entry(&mut self, entry: &'a mut Entry) {
        self.numbers.extend([&mut entry.index.0, &mut entry.term.0]);
        match &mut entry.record {
            Record::TermStart(start) => self.numbers.extend([&mut start.cut.0, &mut start.timestamp.0]),
            Record::Fragment(fragment) => {
                let fragment = Arc::make_mut(fragment);
                self.numbers.extend([&mut fragment.csn.0, &mut fragment.timestamp.0]);
            }
            Record::Noop | Record::Configuration(_) | Record::Stage(_) | Record::Barrier => {}
        }
    }
}

/// Entries and sections are left out, repeated, or change places.
fn shuffle<T: Clone>(list: &mut Vec<T>, dice: &mut Dice) {
    if list.is_empty() {
        return;
    }
    let at = |dice: &mut Dice| dice.below(list.len() as u64) as usize;
    let (one, other) = (at(dice), at(dice));
    match dice.below(4) {
        0 => drop(list.remove(one)),
        1 => list.insert(other, list[one].clone()),
        2 => list.truncate(one),
        _ => list.swap(one, other),
    }
}

fn alter(message: &mut Message, dice: &mut Dice) {
    match (&mut message.body, dice.below(8)) {
        (Body::Append(append), 0) => return shuffle(&mut append.sections, dice),
        (Body::Append(append), 1) => return append.sections.iter_mut().for_each(|section| shuffle(&mut section.entries, dice)),
        (Body::Append(append), 2) => {
            // The log's beginning, or somebody's, at the place before the entries.
            return append.sections.iter_mut().for_each(|section| {
                section.base = dice.chance(70).then(|| Base {
                    index: section.previous.index,
                    term: section.previous.term,
                    csn: Csn(dice.below(20)),
                    ..Base::default()
                });
            });
        }
        (
            Body::Fetched {
                donated: Donated::Entries(entries),
                ..
            },
            0,
        ) => return shuffle(entries, dice),
        (Body::AppendReply(reply), 0) => return shuffle(&mut reply.sections, dice),
        (Body::AppendReply(reply), 2) => {
            let groups = (0..4).map(|group| LogId::Group(GroupId(group)));
            reply.damaged = groups.chain([LogId::Senate]).filter(|_| dice.chance(50)).collect();
            return;
        }
        (Body::Append(append), 3) => {
            append.mended = vec![LogId::Senate, LogId::Group(GroupId(dice.below(4) as u32))];
            return;
        }
        (Body::AppendReply(reply), 1) => {
            let groups = (0..20).map(GroupId);
            let tail = |dice: &mut Dice| Tail {
                term: Term(dice.below(5)),
                index: Index(1 << dice.below(63)),
            };
            reply.tails = Some(groups.map(|group| (group, tail(dice))).collect());
            return;
        }
        (Body::VoteReply { tails, .. }, 0) => return shuffle(tails, dice),
        (_, 1) => {
            // A run of it that is over.
            message.incarnation.0 = message.incarnation.0.saturating_sub(1);
            return;
        }
        _ => {}
    }
    let Parts { numbers, groups, flags } = Parts::of(message);
    let all = numbers.len() + groups.len() + flags.len();
    let chosen = dice.below(all as u64) as usize;
    let others: Vec<u64> = numbers.iter().map(|number| **number).collect();
    let mut numbers = numbers.into_iter();
    if let Some(number) = numbers.nth(chosen) {
        *number = match dice.below(9) {
            0 => 0,
            1 => number.saturating_add(1),
            2 => number.saturating_sub(1),
            3 => number.saturating_mul(2),
            4 => dice.below(20),
            5 => 1 << 40,
            6 => 1 << 62,
            7 => u64::MAX,
            _ => others[dice.below(others.len() as u64) as usize],
        };
        return;
    }
    let chosen = chosen - others.len();
    let grouped = groups.len();
    if let Some(group) = groups.into_iter().nth(chosen) {
        *group = GroupId([0, 1, 2, u32::MAX - 1][dice.below(4) as usize]);
        return;
    }
    if let Some(flag) = flags.into_iter().nth(chosen - grouped) {
        *flag = !*flag;
    }
}

/// What a server's driver does until there is nothing more to do.
fn pump(node: &mut Node) {
    for _ in 0..100 {
        let output = node.take_output();
        if output.is_empty() {
            return;
        }
        if let Some(persist) = output.persist {
            node.persisted(persist.seq);
        }
        if let Some(applied) = output.applied {
            node.applied(applied.csn);
        }
        for read in output.log_reads {
            node.log_read(read.id, Err(Missing));
        }
        for read in output.snapshot_reads {
            node.snapshot_read(read.id, Err(Missing));
        }
        for chunk in output.installs.iter().filter(|chunk| chunk.last) {
            node.installed(chunk.group, chunk.base.csn);
        }
    }
}

fn survive(node: &Node, message: Message, now: std::time::Duration) -> bool {
    let what = format!("{message:?}");
    let survives = catch_unwind(AssertUnwindSafe(|| {
        let mut node = node.clone();
        let _ = node.step(message);
        pump(&mut node);
        for ticks in 1..4 {
            node.tick(now + TIMEOUT * ticks);
            pump(&mut node);
        }
        let _ = node.checkpoint();
    }));
    if survives.is_err() {
        eprintln!("it was brought down by {what}\n");
    }
    survives.is_ok()
}

#[test]
fn altered_messages_bring_nobody_down() {
    let (mut bad, mut altered) = (0, 0);
    for seed in seeds(12) {
        let mut dice = Dice(seed);
        let roles = [Roles::BOTH, Roles::BOTH, Roles::BOTH, Roles::LOG, Roles::STATE];
        let count = 3 + dice.below(3) as usize;
        let roles: Vec<_> = (1..).zip(roles).take(count).collect();
        let mut cluster = Cluster::with_roles(&roles, 2);
        cluster.configure(|config| {
            config.election_timeout = TIMEOUT;
            config.append_bytes_max = 300;
            config.retained_bytes_max = 1000;
            config.stale_entries_max = 5;
        });
        for _ in 0..300 {
            let any = 1 + dice.below(count as u64);
            match dice.below(30) {
                0 => cluster.crash(any),
                1..=9 if cluster.server(any).node.is_none() => cluster.restart(any),
                1..=4 if cluster.server(any).node.is_some() => {
                    cluster.server(any).checkpoint();
                }
                10 => drop(cluster.cut.insert(any)),
                11..=13 => cluster.cut.clear(),
                14 if cluster.server(any).node.is_some() => {
                    cluster.read(any, ReadLevel::Strict);
                }
                15 => {
                    if let Some(consul) = cluster.consul() {
                        let _ = cluster.node(consul).transfer(ServerId(any));
                    }
                }
                _ => {
                    if let Some(consul) = cluster.consul() {
                        let _ = cluster.propose(consul, &[(0, "some text"), (1, "and more")][dice.below(2) as usize..]);
                    }
                }
            }
            let before = cluster.delivered.len();
            cluster.run(5 * dice.below(5));
            let now = cluster.now;
            for at in before..cluster.delivered.len() {
                for _ in 0..2 {
                    let mut message = cluster.delivered[at].0.clone();
                    let Some(node) = cluster.servers.get(&message.to.0).and_then(|server| server.node.as_ref()) else {
                        continue;
                    };
                    alter(&mut message, &mut dice);
                    altered += 1;
                    bad += usize::from(!survive(node, message, now));
                }
            }
            cluster.delivered.clear();
        }
    }
    assert!(altered > 10_000, "only {altered}");
    assert_eq!(bad, 0, "servers were brought down, of {altered} messages");
}
