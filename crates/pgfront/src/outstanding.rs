//! [`Outstanding`]: what a client has asked and was not answered, on its way through a server that passes its session on.
//!
//! ```text
//!   Query                                    a unit: answered by one ReadyForQuery
//!   Parse, Bind, Describe, Execute .. Sync   another
//! ```
//!
//! Messages are kept until they are answered, up to a size. When the consul gives its office up in good order, what it did not act on is sent to
//! the next one. When it is lost, they tell whether a unit may have committed: a COMMIT, or a statement outside of a transaction that may
//! write. In doubt it may have.

use crate::decode::{self, Message};
use curia_functions::candidates;
use curia_parse::Statement;
use curia_parse::ast::TwoPhase;
use curia_session::Carried;
use std::collections::{HashMap, VecDeque};

/// Most units; the client is read no further then.
const UNITS_MAX: usize = 10_000;
/// Most bytes of messages that are kept.
const BYTES_MAX: usize = 256 << 10;

/// See the module's page.
#[derive(Default)]
pub struct Outstanding {
    units: VecDeque<Unit>,
    bytes: usize,
    /// Data of a COPY is on its way to the consul.
    copying: bool,
    /// The client has a part of the answer to the oldest.
    begun: bool,
}

/// What one ReadyForQuery answers.
pub struct Unit {
    /// Its messages, while all of them are kept.
    messages: Option<Vec<u8>>,
    /// Nothing of it is missing.
    pub complete: bool,
    /// It is a simple query.
    simple: bool,
    /// The consul has answered it with an error.
    pub failed: bool,
    /// Data of a COPY followed that is not kept.
    data: bool,
}

/// What may have become of a unit whose consul was lost.
pub struct Fate {
    /// It may have committed something.
    pub may_have_committed: bool,
    /// After it the session was in a transaction block, or may have been.
    pub in_block: bool,
    /// It only closes so many statements and portals: clients seldom look at what comes of that.
    pub closes: Option<usize>,
}

/// Where a session stands, as far as its messages tell: one of the two, or nobody knows which.
#[derive(Clone, Copy)]
struct Standing {
    /// It may be in a transaction block.
    inside: bool,
    /// It may be outside of one.
    outside: bool,
}

const INSIDE: Standing = Standing {
    inside: true,
    outside: false,
};
const OUTSIDE: Standing = Standing {
    inside: false,
    outside: true,
};
const UNKNOWN: Standing = Standing {
    inside: true,
    outside: true,
};

impl Outstanding {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Whether no more should be asked.
    pub fn is_full(&self) -> bool {
        self.units.len() >= UNITS_MAX
    }

    /// A message goes to the consul. `bytes` are all of it, or the beginning of a long one.
    pub fn sent(&mut self, kind: u8, bytes: &[u8], whole: bool) {
        match kind {
            b'd' | b'c' | b'f' => {
                if let Some(unit) = self.units.back_mut() {
                    unit.data = true;
                }
                self.copying &= kind == b'd';
                return;
            }
            // A COPY passes over these.
            b'S' | b'H' if self.copying => return,
            b'X' => return,
            _ => {}
        }
        if self.units.back().is_none_or(|unit| unit.complete) {
            self.units.push_back(Unit {
                messages: Some(Vec::new()),
                complete: false,
                simple: kind == b'Q',
                failed: false,
                data: false,
            });
        }
        let room = whole && self.bytes + bytes.len() <= BYTES_MAX;
        let Some(unit) = self.units.back_mut() else { return };
        match &mut unit.messages {
            Some(messages) if room => {
                messages.extend_from_slice(bytes);
                self.bytes += bytes.len();
            }
            kept => self.bytes -= kept.take().map_or(0, |messages| messages.len()),
        }
        unit.complete = matches!(kind, b'Q' | b'S' | b'F');
    }

    /// The consul began to take the data of a COPY.
    pub fn copy_in(&mut self) {
        self.copying = true;
        // Its Sync, which came already, is passed over: another one follows the data.
        if let Some(unit) = self.units.front_mut().filter(|unit| !unit.simple) {
            unit.complete = false;
        }
    }

    /// A part of an answer went to the client.
    pub fn begun(&mut self) {
        self.begun = true;
    }

    /// The consul answered the oldest with an error.
    pub fn failed(&mut self) {
        self.copying = false;
        if let Some(unit) = self.units.front_mut() {
            unit.failed = true;
        }
    }

    /// The consul answered the oldest.
    pub fn ready(&mut self) {
        (self.copying, self.begun) = (false, false);
        let unit = self.units.pop_front();
        self.bytes -= unit.and_then(|unit| unit.messages).map_or(0, |messages| messages.len());
    }

    /// All of it, to be sent once more; `None` when the client has a part of the answer, or not all of it was kept. Then it stays.
    pub fn again(&mut self) -> Option<Vec<u8>> {
        if self.begun || !self.units.iter().all(|unit| unit.messages.is_some() && !unit.data) {
            return None;
        }
        self.bytes = 0;
        Some(self.units.drain(..).filter_map(|unit| unit.messages).flatten().collect())
    }

    /// What may have become of each unit, in a session that was in a transaction block or not, and had these prepared statements.
    pub fn fates(&self, in_block: bool, carried: &Carried) -> Vec<Fate> {
        let mut standing = if in_block { INSIDE } else { OUTSIDE };
        let mut known: HashMap<String, String> = HashMap::new();
        let judge = |unit: &Unit| Fate {
            may_have_committed: unit.may_have_committed(&mut standing, &mut known, carried),
            in_block: standing.inside,
            closes: unit.closes(),
        };
        self.units.iter().map(judge).collect()
    }

    /// Forgets all of it.
    pub fn give_up(&mut self) -> VecDeque<Unit> {
        std::mem::take(self).units
    }
}

impl Standing {
    /// A block ends here, if there is one; with `chain` the next one begins.
    fn end(&mut self, chain: bool) {
        if !chain {
            *self = OUTSIDE;
        }
    }
}

impl Unit {
    fn closes(&self) -> Option<usize> {
        let mut rest = self.messages.as_deref().filter(|_| self.complete && !self.failed)?;
        let mut closes = 0;
        while let Ok(Some(frame)) = decode::frame(rest, usize::MAX) {
            match frame.kind {
                b'C' => closes += 1,
                b'S' | b'H' => {}
                _ => return None,
            }
            rest = rest.get(frame.size()..)?;
        }
        Some(closes)
    }

    fn may_have_committed(&self, standing: &mut Standing, known: &mut HashMap<String, String>, carried: &Carried) -> bool {
        let Some(mut rest) = self.messages.as_deref() else {
            // It may have begun a block, or ended one.
            *standing = UNKNOWN;
            return true;
        };
        let (mut writes, mut commits) = (false, false);
        let mut portals: HashMap<&str, String> = HashMap::new();
        while let Ok(Some(frame)) = decode::frame(rest, usize::MAX) {
            let Some((message, after)) = rest.split_at_checked(frame.size()) else {
                break;
            };
            rest = after;
            match decode::message(frame.kind, &message[decode::Frame::HEADER..]) {
                Ok(Message::Query(sql)) => judge(sql, standing, &mut writes, &mut commits),
                Ok(Message::Parse { statement, sql, .. }) => {
                    known.insert(statement.to_owned(), sql.to_owned());
                }
                Ok(Message::Bind { portal, statement, .. }) => {
                    let of_before = || carried.statements.get(statement).map(|s| s.sql.to_string());
                    match known.get(statement).cloned().or_else(of_before) {
                        Some(sql) => portals.insert(portal, sql),
                        None => portals.remove(portal),
                    };
                }
                Ok(Message::Execute { portal, .. }) => match portals.get(portal) {
                    Some(sql) => judge(sql, standing, &mut writes, &mut commits),
                    // A portal of before is of an open transaction, and may be its COMMIT.
                    None => {
                        commits |= standing.inside;
                        writes |= standing.outside;
                        standing.outside = true;
                    }
                },
                _ => {}
            }
        }
        // An implicit transaction commits at the end, unless something failed.
        commits || (writes && self.complete && !self.failed)
    }
}

/// What the statements of a text do: `writes` outside of a block, `commits` one.
fn judge(sql: &str, standing: &mut Standing, writes: &mut bool, commits: &mut bool) {
    // What isn't understood is refused by the consul too.
    for parsed in curia_parse::parse(sql).unwrap_or_default() {
        let text = sql.get(parsed.span.clone()).unwrap_or(sql);
        match parsed.statement {
            Statement::Begin { .. } => *standing = INSIDE,
            Statement::Commit { chain } => {
                *commits |= standing.inside;
                standing.end(chain);
            }
            Statement::Rollback { chain } => standing.end(chain),
            Statement::TwoPhase {
                step: TwoPhase::Prepare, ..
            } => {
                *commits |= standing.inside;
                standing.end(false);
            }
            _ if !standing.outside => {}
            Statement::Query(_) | Statement::Explain(_) | Statement::Prepare(_) | Statement::Declare(_) => *writes |= may_write(text),
            Statement::Show(_)
            | Statement::Set(_)
            | Statement::Reset(_)
            | Statement::SetTransaction { .. }
            | Statement::SetSnapshot(_)
            | Statement::SetConstraints { .. }
            | Statement::Deallocate(_)
            | Statement::Fetch(_)
            | Statement::Close(_)
            | Statement::Savepoint(_)
            | Statement::Release(_)
            | Statement::RollbackTo(_)
            | Statement::Listen(_)
            | Statement::Unlisten(_)
            | Statement::Unsupported { .. } => {}
            _ => *writes = true,
        }
    }
}

/// Words that make a query write, or might.
const WRITING_WORDS: [&str; 7] = ["insert", "update", "delete", "merge", "into", "analyze", "call"];
/// Functions that do something that lasts.
const WRITING_FUNCTIONS: [&str; 3] = ["setval", "pg_notify", "set_config"];
/// Words before a parenthesis that are no functions.
const GRAMMAR: [&str; 38] = [
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "by",
    "case",
    "cast",
    "coalesce",
    "distinct",
    "else",
    "except",
    "exists",
    "extract",
    "filter",
    "from",
    "greatest",
    "group",
    "having",
    "in",
    "intersect",
    "join",
    "least",
    "like",
    "not",
    "nullif",
    "on",
    "or",
    "over",
    "row",
    "select",
    "some",
    "then",
    "union",
    "using",
    "values",
    "where",
];

/// Whether a query may leave something behind, by its words: functions that are not built in are not looked into.
fn may_write(sql: &str) -> bool {
    let mut rest = sql;
    while let Some(at) = rest.find(|c: char| c.is_alphabetic() || matches!(c, '_' | '\'' | '"' | '-' | '/' | '$')) {
        let from = &rest[at..];
        let skip = |open: &str, close: &str| from[open.len()..].find(close).map(|end| &from[open.len() + end + close.len()..]);
        rest = match from.as_bytes() {
            [b'\'', ..] => skip("'", "'").unwrap_or_default(),
            [b'"', ..] => return true, // a quoted name may be of anything
            [b'-', b'-', ..] => skip("--", "\n").unwrap_or_default(),
            [b'/', b'*', ..] => skip("/*", "*/").unwrap_or_default(),
            [b'-' | b'/' | b'$', ..] => &from[1..],
            _ => {
                let end = from.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(from.len());
                let word = from[..end].to_ascii_lowercase();
                let called = from[end..].trim_start().starts_with('(') && !GRAMMAR.contains(&word.as_str());
                let harmless = || !WRITING_FUNCTIONS.contains(&word.as_str()) && !candidates(&word).is_empty();
                if WRITING_WORDS.contains(&word.as_str()) || (called && !harmless()) {
                    return true;
                }
                &from[end..]
            }
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![kind];
        out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    fn query(sql: &str) -> Vec<u8> {
        message(b'Q', format!("{sql}\0").as_bytes())
    }

    fn send(all: &mut Outstanding, messages: &[Vec<u8>]) {
        for bytes in messages {
            all.sent(bytes[0], bytes, true);
        }
    }

    fn extended(sql: &str) -> [Vec<u8>; 3] {
        [
            message(b'P', format!("\0{sql}\0\0\0").as_bytes()),
            message(b'B', b"\0\0\0\0\0\0\0\0"),
            message(b'E', b"\0\0\0\0\0"),
        ]
    }

    fn judged(all: &mut Outstanding, in_block: bool) -> Vec<bool> {
        let judged = all
            .fates(in_block, &Carried::default())
            .iter()
            .map(|fate| fate.may_have_committed)
            .collect();
        all.give_up();
        judged
    }

    #[test]
    fn only_a_commit_and_what_writes_outside_of_a_transaction_may_have_committed() {
        for (sql, in_block, may) in [
            ("insert into t values (1)", false, true),
            ("insert into t values (1)", true, false),
            ("commit", true, true),
            ("commit", false, false),
            ("commit and chain; delete from t", true, true),
            ("rollback and chain; delete from t", true, false),
            ("prepare transaction 'x'", true, true),
            ("prepare transaction 'x'; delete from t", true, true),
            ("prepare transaction 'x'", false, false),
            ("commit prepared 'x'", false, true),
            ("insert into t values (1); commit", true, true),
            ("begin; insert into t values (1)", false, false),
            ("rollback; delete from t", true, true),
            ("select 'insert', count(*) from t where a in (1, 2) -- update", false, false),
            ("with x as (insert into t values (1) returning a) select a from x", false, true),
            ("select own_function(1)", false, true),
            ("select setval('s', 1)", false, true),
            ("show work_mem", false, false),
            ("create table x (a int)", false, true),
            ("this is no SQL", false, false),
        ] {
            let mut all = Outstanding::default();
            send(&mut all, &[query(sql)]);
            assert_eq!(judged(&mut all, in_block), [may], "{sql}");
        }
    }

    #[test]
    fn a_pipeline_commits_with_its_sync() {
        let mut all = Outstanding::default();
        send(&mut all, &extended("insert into t values (1)"));
        assert_eq!(judged(&mut all, false), [false]);
        send(&mut all, &extended("insert into t values (1)"));
        send(&mut all, &[message(b'S', b""), query("select 1")]);
        assert_eq!(judged(&mut all, false), [true, false]);
        send(&mut all, &extended("select 1"));
        send(&mut all, &[message(b'S', b"")]);
        assert_eq!(judged(&mut all, false), [false]);
        let unknown = [
            message(b'B', b"\0gone\0\0\0\0\0\0\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ];
        send(&mut all, &unknown);
        assert_eq!(judged(&mut all, false), [true]);
        send(&mut all, &unknown);
        all.failed();
        assert_eq!(judged(&mut all, false), [false]);
    }

    #[test]
    fn what_was_not_kept_may_have_begun_a_block_or_ended_one() {
        let long = query(&format!("insert into t values ('{}')", "x".repeat(BYTES_MAX)));
        let mut all = Outstanding::default();
        for in_block in [false, true] {
            send(&mut all, &[long.clone(), query("commit"), query("delete from t")]);
            assert_eq!(judged(&mut all, in_block), [true, true, true]);
            send(
                &mut all,
                &[long.clone(), query("delete from t"), query("begin"), query("delete from t")],
            );
            assert_eq!(judged(&mut all, in_block), [true, true, false, false]);
        }
        let fates = |all: &Outstanding, in_block| all.fates(in_block, &Carried::default()).pop().unwrap().in_block;
        send(&mut all, &[long]);
        assert!(fates(&all, true), "its client takes the block for lost until it has ended it");
    }

    #[test]
    fn a_portal_that_was_bound_before_may_be_of_the_commit() {
        let mut all = Outstanding::default();
        let [parse, bind, execute] = extended("commit");
        send(&mut all, &[query("begin"), parse, bind, message(b'S', b"")]);
        all.ready();
        all.ready();
        send(&mut all, &[execute, message(b'S', b""), query("delete from t")]);
        assert_eq!(judged(&mut all, true), [true, true]);
    }

    #[test]
    fn what_was_not_acted_on_is_sent_again_and_what_was_answered_is_not() {
        let mut all = Outstanding::default();
        send(&mut all, &[query("select 1"), query("select 2")]);
        all.ready();
        assert_eq!(all.again(), Some(query("select 2")));
        assert!(all.is_empty());
        send(&mut all, &[query("select 3")]);
        all.begun();
        assert_eq!(all.again(), None, "the client would have rows twice");
        all.ready();
        send(&mut all, &[query("copy t from stdin"), message(b'd', b"1\n")]);
        assert_eq!(all.again(), None);
        all.ready();
        all.sent(b'Q', &query("select 1")[..6], false);
        assert_eq!(all.again(), None);
    }

    #[test]
    fn the_sync_before_the_data_of_a_copy_does_not_count() {
        let mut all = Outstanding::default();
        send(&mut all, &extended("copy t from stdin"));
        send(&mut all, &[message(b'S', b"")]);
        all.copy_in();
        send(
            &mut all,
            &[message(b'd', b"1\n"), message(b'S', b""), message(b'c', b""), message(b'S', b"")],
        );
        all.ready();
        assert!(all.is_empty());
    }
}
