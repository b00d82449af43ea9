//! How things are written in a trace; the README explains the notation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use curia_consensus::*;

use crate::harness::Server;

pub fn office(office: Office) -> String {
    match office {
        Office::Senator { term } => format!("is a senator of {term:?}"),
        Office::Inaugurating { term } => format!("is elected in {term:?}"),
        Office::Consul { term, cut } => format!("serves {term:?} from cut {cut:?}"),
    }
}

pub fn rows(rows: &BTreeMap<GroupId, Vec<u8>>) -> String {
    let rows = rows
        .iter()
        .map(|(group, row)| format!("{group:?}={}", String::from_utf8_lossy(row)));
    rows.collect::<Vec<_>>().join(" ")
}

/// `1>2 append t3: commit 4, resolved 2; g0 after t1/3: t3 cut2, t3 c3`
pub fn message(message: &Message) -> String {
    let Message { from, to, term, .. } = message;
    let kind = kind(&message.body).trim_end_matches("-reply");
    let said = match &message.body {
        Body::PreVote { tail, freshness } => format!("senate {}{}", place(*tail), self::freshness(*freshness)),
        Body::PreVoteReply { granted, .. } => yes(*granted).to_owned(),
        Body::Vote { tail, transfer } => format!("senate {}{}", place(*tail), if *transfer { ", transfer" } else { "" }),
        Body::VoteReply { granted, tails } => format!("{}{}", yes(*granted), known_tails(tails)),
        Body::Append(append) => append_said(append),
        Body::AppendReply(reply) => reply_said(reply),
        Body::Fetch { log, after } => format!("{log:?} after {}", place(*after)),
        Body::Fetched { log, after, donated } => format!("{log:?} after {}: {}", place(*after), donated_said(*log, donated)),
        Body::SnapshotFetch { group, of, offset } => {
            format!("{group:?} {}from byte {offset}", if *of == 0 { "any, " } else { "" })
        }
        Body::Snapshot { group, base: None, .. } => format!("{group:?}: none to be had"),
        Body::Snapshot {
            group,
            base: Some(base),
            offset,
            data,
            last,
            ..
        } => {
            let end = if *last { ", the last" } else { "" };
            format!("{group:?} {} from byte {offset}: {} bytes{end}", based(base), data.len())
        }
        Body::TimeoutNow { .. } => "stand at once".to_owned(),
        Body::ReadIndex { id } => format!("read {id}"),
        Body::ReadIndexReply { id, csn: Some(csn) } => format!("read {id} at {csn:?}"),
        Body::ReadIndexReply { id, csn: None } => format!("read {id}: not serving"),
    };
    format!("{from}>{to} {kind} {term:?}: {said}")
}

/// The word by which a story picks messages.
pub fn kind(body: &Body) -> &'static str {
    match body {
        Body::PreVote { .. } => "pre-vote",
        Body::PreVoteReply { .. } => "pre-vote-reply",
        Body::Vote { .. } => "vote",
        Body::VoteReply { .. } => "vote-reply",
        Body::Append(_) => "append",
        Body::AppendReply(_) => "append-reply",
        Body::Fetch { .. } => "fetch",
        Body::Fetched { .. } => "fetch-reply",
        Body::SnapshotFetch { .. } => "snapshot",
        Body::Snapshot { .. } => "snapshot-reply",
        Body::TimeoutNow { .. } => "timeout-now",
        Body::ReadIndex { .. } => "read-index",
        Body::ReadIndexReply { .. } => "read-index-reply",
    }
}

/// What a candidate has, where that is anything.
fn freshness(freshness: Freshness) -> String {
    match freshness {
        Freshness {
            logged: 0,
            applied: Csn(0),
        } => String::new(),
        Freshness { logged, applied } => format!(", {logged} logged, {applied:?} applied"),
    }
}

/// `base t3/7 c4`: what a log begins behind.
pub fn based(base: &Base) -> String {
    let tail = Tail {
        term: base.term,
        index: base.index,
    };
    format!("base {} {:?}", place(tail), base.csn)
}

fn donated_said(log: LogId, donated: &Donated) -> String {
    match donated {
        Donated::Entries(entries) => list(log, entries),
        Donated::Parted(hint) => format!("parted, perhaps {}", place(*hint)),
        Donated::Begins(base) => format!("begins behind {}", based(base)),
    }
}

fn yes(granted: bool) -> &'static str {
    if granted { "yes" } else { "no" }
}

/// `t3/7`: the entry 7 of a log, of term 3.
fn place(tail: Tail) -> String {
    format!("{:?}/{}", tail.term, tail.index)
}

fn known_tails(tails: &[(GroupId, Tail)]) -> String {
    tails.iter().fold(String::new(), |mut line, (group, tail)| {
        let _ = write!(line, ", {group:?} {}", place(*tail));
        line
    })
}

fn append_said(append: &Append) -> String {
    let mut line = format!("commit {}", append.commit);
    if let Some(resolved) = append.resolved {
        let _ = write!(line, ", resolved {resolved}");
    }
    for log in &append.mended {
        let _ = write!(line, ", {log:?} is mended");
    }
    for Section {
        log,
        base,
        previous,
        entries,
        .. // what is complete, and which stage records are closed, would repeat itself in every line
    } in &append.sections
    {
        let _ = write!(line, "; {log:?} ");
        if let Some(base) = base {
            let _ = write!(line, "{}, ", based(base));
        }
        let _ = write!(line, "after {}: {}", place(*previous), list(*log, entries));
    }
    line
}

fn reply_said(reply: &AppendReply) -> String {
    let mut said = Vec::new();
    for (log, matched) in &reply.sections {
        said.push(match matched {
            Matched::Upto(index) => format!("{log:?} to {index}"),
            Matched::Not(hint) => format!("{log:?} no, perhaps {}", place(*hint)),
        });
    }
    if let Some(tails) = &reply.tails {
        said.push(format!("tails{}", known_tails(tails).trim_start_matches(',')));
    }
    if reply.healing {
        said.push("healing".to_owned());
    }
    said.extend(reply.damaged.iter().map(|log| format!("{log:?} is damaged")));
    if said.is_empty() { "ok".to_owned() } else { said.join(", ") }
}

fn list(log: LogId, entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "nothing".to_owned();
    }
    let entries = entries.iter().map(|entry| self::entry(log, entry, false));
    entries.collect::<Vec<_>>().join(", ")
}

/// `t3 c7+g1.4`: of term 3, the transaction 7, which has its other fragment at entry 4 of group 1.
fn entry(log: LogId, entry: &Entry, void: bool) -> String {
    let said = match &entry.record {
        Record::Noop => "no-op".to_owned(),
        Record::Configuration(configuration) => self::configuration(configuration),
        Record::TermStart(start) => format!("cut{}", start.cut),
        Record::Barrier => "barrier".to_owned(),
        Record::Stage(_) => "stage".to_owned(),
        Record::Fragment(fragment) => {
            let mut said = format!("{:?}", fragment.csn);
            if let Participants::Several(places) = &fragment.participants {
                for place in places.iter().filter(|place| log != LogId::Group(place.group)) {
                    let _ = write!(said, "+{:?}.{}", place.group, place.index);
                }
            }
            for stage in fragment.stages.as_slice() {
                let _ = write!(said, "<{stage}");
            }
            if let Some(key) = fragment.key {
                let _ = write!(said, "{key:?}");
            }
            said
        }
    };
    let said = if void { format!("({said})") } else { said };
    format!("{:?} {said}", entry.term)
}

/// `senate{1,2,3} 2 groups`, and the groups whose members are others: voters, `->` during a change, learners behind `+`.
pub fn configuration(configuration: &Configuration) -> String {
    let mut said = format!("senate{}", members(&configuration.senate));
    if configuration.groups.len() > 1 {
        let _ = write!(said, " {} groups", configuration.groups.len());
    }
    for (group, found) in &configuration.groups {
        if *found != configuration.senate {
            let _ = write!(said, " {group:?}{}", members(found));
        }
    }
    for (group, csn) in &configuration.dropping {
        let _ = write!(said, " {group:?} goes at {csn:?}");
    }
    said
}

fn members(members: &Members) -> String {
    let list = |servers: &[ServerId]| servers.iter().map(ServerId::to_string).collect::<Vec<_>>().join(",");
    let mut said = match members.outgoing() {
        [] => list(members.incoming()),
        outgoing => format!("{}->{}", list(outgoing), list(members.incoming())),
    };
    if !members.learners().is_empty() {
        let _ = write!(said, "+{}", list(members.learners()));
    }
    format!("{{{said}}}")
}

/// A log of several servers, one line each: what is on disk, then `~` and what is only written.
pub fn log(log: LogId, servers: &BTreeMap<ServerId, Server>) -> String {
    let mut lines: Vec<(String, BTreeMap<u64, String>)> = Vec::new();
    for (id, server) in servers {
        let mut cells = BTreeMap::new();
        let (durable, written) = (server.disk.entries(log), written(server, log));
        let void = void(&written);
        for entry in &written {
            let mark = if durable.contains(entry) { "" } else { "~" };
            cells.insert(
                entry.index.0,
                format!("{}{mark}", self::entry(log, entry, void.contains(&entry.index))),
            );
        }
        if let Some(base) = server.disk.bases.get(&log) {
            cells.insert(base.index.0, format!("[{:?}/{} {:?}]", base.term, base.index, base.csn));
        }
        lines.push((format!("server {id}"), cells));
    }
    let columns: BTreeSet<u64> = lines.iter().flat_map(|(_, cells)| cells.keys().copied()).collect();
    let mut table: Vec<String> = vec![format!("{log:?}")];
    table.extend(lines.iter().map(|(name, _)| name.clone()));
    for column in columns {
        let width = |table: &[String]| table.iter().map(|line| line.chars().count()).max().unwrap_or_default();
        let left = width(&table);
        for (at, line) in table.iter_mut().enumerate() {
            let cell = match at.checked_sub(1) {
                None => column.to_string(),
                Some(at) => lines[at].1.get(&column).cloned().unwrap_or_default(),
            };
            *line = format!("{line:left$}  {cell}");
        }
    }
    table.join("\n")
}

/// The log as it will be when everything written is synced.
fn written(server: &Server, log: LogId) -> Vec<Entry> {
    let mut disk = server.disk.clone();
    for write in server.unsynced.iter().flat_map(|persist| &persist.writes) {
        disk.write(write);
    }
    disk.entries(log)
}

fn void(entries: &[Entry]) -> BTreeSet<Index> {
    let fragments = entries.iter().filter(|entry| matches!(entry.record, Record::Fragment(_)));
    let mut void: BTreeSet<Index> = fragments.map(|entry| entry.index).collect();
    cut::for_each_live(entries.iter(), |entry, _| {
        void.remove(&entry.index);
    });
    void
}

/// What a batch that is not synced writes: `batch 3: t2, vote 1; g0 4 t2 c3; g0 ends at 5`.
pub fn batch(batch: &Persist) -> String {
    let mut said = Vec::new();
    if let Some(HardState { term, vote }) = batch.hard_state {
        said.push(match vote {
            Some(vote) => format!("{term:?}, vote {}", vote.server),
            None => format!("{term:?}, no vote"),
        });
    }
    for write in &batch.writes {
        said.push(match write {
            Write::Append { log, entry } => format!("{log:?} {} {}", entry.index, self::entry(*log, entry, false)),
            Write::DropSuffix { log, after } => format!("{log:?} ends at {after}"),
            Write::Base { log, base } => format!("{log:?} {}", based(base)),
            Write::DropLog { log } => format!("{log:?} goes"),
        });
    }
    format!("batch {}: {}", batch.seq, said.join("; "))
}
