//! Does any order of moments explain what transactions over lists saw? After Kingsbury and Alvaro, "Elle: Inferring Isolation
//! Anomalies from Experimental Observations" (VLDB 2020).
//!
//! Every transaction appends unique numbers to lists and reads lists. A list names the order of its writers, so what must have
//! come before what can be read off:
//!
//! ```text
//!   write-write   a list has 3, then 5           3's writer committed before 5's
//!   write-read    a list read as [3]             3's writer committed before the read
//!   read-write    a list read as [3], later 3,5  the read came before 5's writer committed
//!   real time     answered, then asked           the one committed before the other began
//!   session       one after the other on one connection, or after a CSN that was asked for
//! ```
//!
//! A transaction is the moments that its isolation level gives it, in this order; all of them must fit on one line:
//!
//! ```text
//!   SERIALIZABLE       one moment            reads and writes
//!   REPEATABLE READ    snapshot, commit      reads at the first; no other writer of its lists commits between them
//!   READ COMMITTED     read, read, commit    each read at its own
//! ```
//!
//! If they do, the edges between moments have no cycle. If there is one it is the proof, and its edges name the anomaly. Checked
//! before that: what was read was committed (no aborted or intermediate reads), all reads of a list are prefixes of one order, and
//! nothing acknowledged is missing from a list read at the end.

use crate::ledger::Said;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Microseconds since the run began, on the one clock of all clients.
pub type Micros = u64;

/// An isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

impl Level {
    /// All of them, the weakest first.
    pub const ALL: [Level; 3] = [Level::ReadCommitted, Level::RepeatableRead, Level::Serializable];
}

/// One statement of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The number went to the end of the list of this key.
    Append(i64, i64),
    /// The list of this key was this.
    Read(i64, Vec<i64>),
}

/// A transaction and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Who ran it and where.
    pub who: String,
    /// Its isolation level.
    pub level: Level,
    /// When its first statement was asked; what had been answered by then comes before it. Earlier by as much as it may be stale.
    pub asked: Micros,
    /// When its end was answered, or given up on.
    pub answered: Micros,
    /// What it did; of one that failed, as far as it came.
    pub steps: Vec<Step>,
    /// What its client was told.
    pub said: Said,
    /// Its commit sequence number, if it was told.
    pub csn: Option<u64>,
    /// Its connection: one transaction of a connection comes after the other.
    pub session: u64,
    /// It asked to come after the commit with this number.
    pub floor: Option<u64>,
}

impl Transaction {
    fn appends(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.steps.iter().filter_map(|step| match step {
            Step::Append(key, value) => Some((*key, *value)),
            Step::Read(..) => None,
        })
    }
}

/// What no order explains in transactions of one level. The last ones read every list, after all others were over.
pub fn check(transactions: &[Transaction]) -> Vec<String> {
    let mut lists = Lists::default();
    for (number, transaction) in transactions.iter().enumerate() {
        for (key, value) in transaction.appends() {
            lists.writers.insert((key, value), number);
        }
    }
    let mut wrong = Vec::new();
    for transaction in transactions {
        lists.take_reads(transaction, &mut wrong);
    }
    for (number, transaction) in transactions.iter().enumerate() {
        lists.check_reads(number, transaction, transactions, &mut wrong);
        lists.check_appends(transaction, &mut wrong);
    }
    if wrong.is_empty() {
        wrong.extend(lists.check_numbers(transactions));
        wrong.extend(Moments::of(transactions, &lists).cycle(transactions));
    }
    wrong
}

/// Whether commit sequence numbers grow with real time: a transaction that was asked after another's answer has a higher one.
pub fn check_order(transactions: &[Transaction]) -> Vec<String> {
    let numbered = || transactions.iter().filter_map(|t| Some((t.answered, t.csn?)));
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (_, csn) in numbered() {
        if !seen.insert(csn) {
            wrong.push(format!("CSN {csn} was given to two transactions that were acknowledged"));
        }
    }
    // By time of the answer, the highest CSN until then.
    let mut answers: Vec<(Micros, u64)> = numbered().collect();
    answers.sort_unstable();
    let mut highest = 0;
    for answer in &mut answers {
        highest = highest.max(answer.1);
        answer.1 = highest;
    }
    for transaction in transactions {
        let Some(csn) = transaction.csn else { continue };
        let before = answers.partition_point(|(at, _)| *at < transaction.asked);
        if let Some((_, floor)) = before.checked_sub(1).map(|last| answers[last])
            && csn <= floor
        {
            wrong.push(format!("{transaction:?} was asked when CSN {floor} had been answered"));
        }
    }
    wrong
}

/// What is known of the lists.
#[derive(Default)]
struct Lists {
    /// Who appended what.
    writers: BTreeMap<(i64, i64), usize>,
    /// The longest that each list was read as.
    longest: BTreeMap<i64, Vec<i64>>,
}

/// Each read of a transaction: which statement, which list, how it was before the transaction's own appends; `None` when those are
/// missing from it.
fn reads(transaction: &Transaction) -> Vec<(usize, i64, Option<&[i64]>)> {
    let mut own: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let mut reads = Vec::new();
    for (at, step) in transaction.steps.iter().enumerate() {
        match step {
            Step::Append(key, value) => own.entry(*key).or_default().push(*value),
            Step::Read(key, seen) => {
                let appended = own.get(key).map_or(&[][..], Vec::as_slice);
                reads.push((at, *key, seen.strip_suffix(appended)));
            }
        }
    }
    reads
}

impl Lists {
    fn take_reads(&mut self, transaction: &Transaction, wrong: &mut Vec<String>) {
        for (_, key, before) in reads(transaction) {
            match before {
                Some(before) => {
                    let longest = self.longest.entry(key).or_default();
                    if before.len() > longest.len() {
                        *longest = before.to_vec();
                    }
                }
                None => wrong.push(format!("a transaction does not see its own appends to list {key}: {transaction:?}")),
            }
        }
    }

    fn check_reads(&self, number: usize, transaction: &Transaction, all: &[Transaction], wrong: &mut Vec<String>) {
        for (_, key, before) in reads(transaction) {
            let (Some(before), Some(longest)) = (before, self.longest.get(&key)) else {
                continue; // said already
            };
            if !longest.starts_with(before) {
                wrong.push(format!(
                    "list {key} was read as {before:?} and as {longest:?}; the first by {transaction:?}"
                ));
                continue;
            }
            let mut met = BTreeSet::new();
            for value in before {
                if !met.insert(value) {
                    wrong.push(format!("list {key} has {value} twice: {before:?}"));
                }
                match self.writers.get(&(key, *value)) {
                    None => wrong.push(format!("list {key} has {value}, which nobody appended")),
                    Some(writer) if *writer == number => {
                        wrong.push(format!("{value} was in list {key} before it was appended: {transaction:?}"));
                    }
                    Some(writer) if all[*writer].said == Said::Failed => {
                        wrong.push(format!("list {key} has {value} of a transaction that failed: {:?}", all[*writer]));
                    }
                    Some(_) => {}
                }
            }
            // Whoever appended the last one seen appended nothing more to this list.
            if let Some(last) = before.last()
                && let Some(writer) = self.writers.get(&(key, *last))
                && let Some((_, later)) = all[*writer].appends().filter(|(other, _)| *other == key).last()
                && later != *last
            {
                wrong.push(format!(
                    "half of a transaction was read in list {key}: {transaction:?} of {:?}",
                    all[*writer]
                ));
            }
        }
    }

    fn has(&self, key: i64, value: i64) -> bool {
        self.longest.get(&key).is_some_and(|list| list.contains(&value))
    }

    fn check_appends(&self, transaction: &Transaction, wrong: &mut Vec<String>) {
        let there = transaction.appends().filter(|(key, value)| self.has(*key, *value)).count();
        let of = transaction.appends().count();
        match transaction.said {
            Said::Committed if there < of => wrong.push(format!("{} of {of} acknowledged appends are lost: {transaction:?}", of - there)),
            Said::Nothing if 0 < there && there < of => wrong.push(format!("{there} of {of} appends are there: {transaction:?}")),
            _ => {}
        }
    }

    /// Whether it took effect, as far as can be known.
    fn took_effect(&self, transaction: &Transaction) -> bool {
        match transaction.said {
            Said::Committed => true,
            Said::Failed => false,
            Said::Nothing => transaction.appends().any(|(key, value)| self.has(key, value)),
        }
    }

    /// Along each list commit sequence numbers grow.
    fn check_numbers(&self, transactions: &[Transaction]) -> Vec<String> {
        let mut wrong = Vec::new();
        for (key, list) in &self.longest {
            let writers = list.iter().filter_map(|value| self.writers.get(&(*key, *value)));
            let numbers: Vec<u64> = writers.filter_map(|writer| transactions[*writer].csn).collect();
            if !numbers.is_sorted() {
                wrong.push(format!("along list {key} the CSNs of its writers are {numbers:?}"));
            }
        }
        wrong
    }
}

/// Why one moment is before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    WriteWrite(i64),
    WriteRead(i64),
    ReadWrite(i64),
    RealTime,
    Session,
    Within,
}

/// The moments of all transactions, and what must come before what.
struct Moments {
    /// The transaction of each; `None` of moments of the clock.
    of: Vec<Option<usize>>,
    after: Vec<Vec<(usize, Why)>>,
}

/// The moments of one transaction.
struct Own {
    first: usize,
    /// By statement.
    reads: BTreeMap<usize, usize>,
    commit: usize,
}

impl Moments {
    fn of(transactions: &[Transaction], lists: &Lists) -> Moments {
        let mut moments = Moments {
            of: Vec::new(),
            after: Vec::new(),
        };
        let mut own = BTreeMap::new();
        for (number, transaction) in transactions.iter().enumerate() {
            if lists.took_effect(transaction) {
                own.insert(number, moments.place(number, transaction));
            }
        }
        for (key, list) in &lists.longest {
            let mut writers: Vec<usize> = list
                .iter()
                .filter_map(|value| lists.writers.get(&(*key, *value)).copied())
                .collect();
            writers.dedup();
            for pair in writers.windows(2) {
                let (before, after) = (&own[&pair[0]], &own[&pair[1]]);
                // Who writes a list after its snapshot was taken, and somebody else meanwhile, must fail.
                let meets = match transactions[pair[1]].level {
                    Level::RepeatableRead => after.first,
                    Level::ReadCommitted | Level::Serializable => after.commit,
                };
                moments.edge(before.commit, meets, Why::WriteWrite(*key));
            }
        }
        for (number, moment) in &own {
            for (statement, key, before) in reads(&transactions[*number]) {
                let before = before.unwrap_or_default();
                let at = moment.reads[&statement];
                let writer = |place: usize| {
                    let value = lists.longest.get(&key)?.get(place)?;
                    lists.writers.get(&(key, *value)).filter(|writer| *writer != number)
                };
                if let Some(writer) = before.len().checked_sub(1).and_then(writer) {
                    moments.edge(own[writer].commit, at, Why::WriteRead(key));
                }
                if let Some(writer) = writer(before.len()) {
                    moments.edge(at, own[writer].commit, Why::ReadWrite(key));
                }
            }
        }
        moments.tell_time(transactions, &own);
        moments.tell_sessions(transactions, &own);
        moments
    }

    fn moment(&mut self, transaction: Option<usize>) -> usize {
        self.of.push(transaction);
        self.after.push(Vec::new());
        self.of.len() - 1
    }

    fn edge(&mut self, before: usize, after: usize, why: Why) {
        self.after[before].push((after, why));
    }

    fn place(&mut self, number: usize, transaction: &Transaction) -> Own {
        let first = self.moment(Some(number));
        let read_statements = reads(transaction).into_iter().map(|(statement, ..)| statement);
        let mut last = first;
        let mut reads = BTreeMap::new();
        for statement in read_statements {
            if transaction.level == Level::ReadCommitted {
                let read = self.moment(Some(number));
                self.edge(last, read, Why::Within);
                last = read;
            }
            reads.insert(statement, last);
        }
        let commit = match transaction.level {
            Level::Serializable => first,
            Level::ReadCommitted | Level::RepeatableRead => {
                let commit = self.moment(Some(number));
                self.edge(last, commit, Why::Within);
                commit
            }
        };
        Own { first, reads, commit }
    }

    /// A line of the clock's moments, one for each answer: an answered commit is before the next of them, and it before who asks then.
    fn tell_time(&mut self, transactions: &[Transaction], own: &BTreeMap<usize, Own>) {
        let answered = own.iter().filter(|(number, _)| transactions[**number].said == Said::Committed);
        let mut answers: Vec<(Micros, usize)> = answered.map(|(number, own)| (transactions[*number].answered, own.commit)).collect();
        answers.sort_unstable();
        let mut clock: Vec<(Micros, usize)> = Vec::new();
        for (at, commit) in answers {
            let now = self.moment(None);
            if let Some((_, before)) = clock.last() {
                self.edge(*before, now, Why::RealTime);
            }
            self.edge(commit, now, Why::RealTime);
            clock.push((at, now));
        }
        for (number, own) in own {
            let before = clock.partition_point(|(at, _)| *at < transactions[*number].asked);
            if let Some(last) = before.checked_sub(1) {
                self.edge(clock[last].1, own.first, Why::RealTime);
            }
        }
    }

    fn tell_sessions(&mut self, transactions: &[Transaction], own: &BTreeMap<usize, Own>) {
        let mut last: BTreeMap<u64, usize> = BTreeMap::new();
        let numbered = own
            .iter()
            .filter_map(|(number, own)| Some((transactions[*number].csn?, own.commit)));
        let numbered: BTreeMap<u64, usize> = numbered.collect();
        for (number, own) in own {
            let transaction = &transactions[*number];
            let floor = transaction.floor.and_then(|csn| numbered.get(&csn).copied());
            let before = last.insert(transaction.session, own.commit);
            for before in floor.into_iter().chain(before) {
                self.edge(before, own.first, Why::Session);
            }
        }
    }

    /// A cycle, told as a proof.
    fn cycle(&self, transactions: &[Transaction]) -> Option<String> {
        let left = self.in_cycles();
        let starts = (0..self.of.len()).filter(|moment| left[*moment] && self.of[*moment].is_some());
        let shortest = starts
            .take(200)
            .filter_map(|start| self.shortest_back(start, &left))
            .min_by_key(Vec::len)?;
        let mut told = String::from("no order explains these transactions:");
        let mut since: Option<Why> = None;
        for (moment, why) in shortest {
            if let Some(transaction) = self.of[moment].filter(|_| why != Why::Within) {
                let why = match since.take().unwrap_or(why) {
                    Why::RealTime => "answered before the next was asked".to_owned(),
                    other => format!("{other:?}"),
                };
                told.push_str(&format!("\n  {:?}\n    -- {why} -->", transactions[transaction]));
            }
        }
        Some(told)
    }

    /// Which moments are left when those are taken away, again and again, that nothing is before or nothing is after.
    fn in_cycles(&self) -> Vec<bool> {
        let mut left = vec![true; self.of.len()];
        let mut before: Vec<Vec<usize>> = vec![Vec::new(); self.of.len()];
        for (moment, after) in self.after.iter().enumerate() {
            for (next, _) in after {
                before[*next].push(moment);
            }
        }
        let forward: Vec<Vec<usize>> = self
            .after
            .iter()
            .map(|after| after.iter().map(|(next, _)| *next).collect())
            .collect();
        for (to, from) in [(&forward, &before), (&before, &forward)] {
            let mut count: Vec<usize> = from
                .iter()
                .map(|those| those.iter().filter(|moment| left[**moment]).count())
                .collect();
            let mut free: VecDeque<usize> = (0..left.len()).filter(|moment| left[*moment] && count[*moment] == 0).collect();
            while let Some(moment) = free.pop_front() {
                left[moment] = false;
                for next in &to[moment] {
                    if left[*next] {
                        count[*next] -= 1;
                        if count[*next] == 0 {
                            free.push_back(*next);
                        }
                    }
                }
            }
        }
        left
    }

    /// The shortest way from a moment back to it: each moment with the reason for the next.
    fn shortest_back(&self, start: usize, left: &[bool]) -> Option<Vec<(usize, Why)>> {
        let mut came: BTreeMap<usize, (usize, Why)> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(moment) = queue.pop_front() {
            for (next, why) in self.after[moment].iter().filter(|(next, _)| left[*next]) {
                if *next == start {
                    let mut way = vec![(moment, *why)];
                    let mut at = moment;
                    while at != start {
                        let (before, why) = came[&at];
                        way.push((before, why));
                        at = before;
                    }
                    way.reverse();
                    return Some(way);
                }
                if *next != start && !came.contains_key(next) {
                    came.insert(*next, (moment, *why));
                    queue.push_back(*next);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: i64 = 1;
    const OTHER: i64 = 2;

    fn append(key: i64, value: i64) -> Step {
        Step::Append(key, value)
    }

    fn read(key: i64, list: &[i64]) -> Step {
        Step::Read(key, list.to_vec())
    }

    fn done(level: Level, asked: Micros, answered: Micros, steps: &[Step]) -> Transaction {
        Transaction {
            who: String::new(),
            level,
            asked,
            answered,
            steps: steps.to_vec(),
            said: Said::Committed,
            csn: None,
            session: asked,
            floor: None,
        }
    }

    fn end(level: Level, lists: &[(i64, &[i64])]) -> Transaction {
        let steps: Vec<Step> = lists.iter().map(|(key, list)| read(*key, list)).collect();
        done(level, 1_000, 1_001, &steps)
    }

    /// Whether two transactions that run beside each other are explained at each level.
    fn explained(one: &[Step], other: &[Step], lists: &[(i64, &[i64])]) -> [bool; 3] {
        Level::ALL.map(|level| check(&[done(level, 0, 100, one), done(level, 1, 100, other), end(level, lists)]).is_empty())
    }

    #[test]
    fn transactions_one_after_the_other_are_explained() {
        let one = [append(KEY, 1), read(OTHER, &[])];
        let other = [read(KEY, &[1]), append(KEY, 2), read(KEY, &[1, 2])];
        assert_eq!(explained(&one, &other, &[(KEY, &[1, 2]), (OTHER, &[])]), [true; 3]);
    }

    #[test]
    fn write_skew_is_for_repeatable_read_and_less() {
        let one = [read(KEY, &[]), append(OTHER, 1)];
        let other = [read(OTHER, &[]), append(KEY, 2)];
        assert_eq!(explained(&one, &other, &[(KEY, &[2]), (OTHER, &[1])]), [true, true, false]);
    }

    #[test]
    fn a_read_that_changes_is_for_read_committed_only() {
        let one = [append(KEY, 1), append(OTHER, 2)];
        let other = [read(KEY, &[]), read(OTHER, &[2])];
        assert_eq!(explained(&one, &other, &[(KEY, &[1]), (OTHER, &[2])]), [true, false, false]);
    }

    #[test]
    fn a_lost_update_is_for_read_committed_only() {
        let one = [read(KEY, &[]), append(KEY, 1)];
        let other = [read(KEY, &[]), append(KEY, 2)];
        assert_eq!(explained(&one, &other, &[(KEY, &[1, 2])]), [true, false, false]);
    }

    #[test]
    fn writes_in_two_orders_are_for_nobody() {
        let one = [append(KEY, 1), append(OTHER, 1)];
        let other = [append(KEY, 2), append(OTHER, 2)];
        assert_eq!(explained(&one, &other, &[(KEY, &[1, 2]), (OTHER, &[2, 1])]), [false; 3]);
    }

    #[test]
    fn a_read_that_misses_what_was_answered_before_it_is_stale() {
        for level in Level::ALL {
            let history = |asked| {
                check(&[
                    done(level, 0, 10, &[append(KEY, 1)]),
                    done(level, asked, 20, &[read(KEY, &[])]),
                    end(level, &[(KEY, &[1])]),
                ])
            };
            assert_eq!(history(10), Vec::<String>::new(), "{level:?}");
            let stale = history(11);
            assert!(stale.len() == 1 && stale[0].contains("answered before"), "{level:?}: {stale:?}");
        }
    }

    #[test]
    fn a_connection_and_who_names_a_csn_see_what_they_know_of() {
        let level = Level::RepeatableRead;
        let write = Transaction {
            csn: Some(7),
            ..done(level, 0, 10, &[append(KEY, 1)])
        };
        // So stale that real time says nothing.
        let stale = done(level, 0, 30, &[read(KEY, &[])]);
        let history = |session, floor| {
            let stale = Transaction {
                session,
                floor,
                ..stale.clone()
            };
            check(&[write.clone(), stale, end(level, &[(KEY, &[1])])]).is_empty()
        };
        assert!(history(99, None) && history(99, Some(3)));
        assert!(!history(write.session, None) && !history(99, Some(7)));
    }

    #[test]
    fn what_was_acknowledged_is_in_its_list() {
        let level = Level::Serializable;
        let lost = check(&[done(level, 0, 10, &[append(KEY, 1)]), end(level, &[(KEY, &[])])]);
        assert!(lost[0].contains("lost"), "{lost:?}");
        let mut unknown = done(level, 0, 10, &[append(KEY, 1), append(OTHER, 2)]);
        unknown.said = Said::Nothing;
        for (lists, fine) in [((&[][..], &[][..]), true), ((&[1], &[2]), true), ((&[1], &[]), false)] {
            let wrong = check(&[unknown.clone(), end(level, &[(KEY, lists.0), (OTHER, lists.1)])]);
            assert_eq!(wrong.is_empty(), fine, "{lists:?}: {wrong:?}");
        }
        unknown.said = Said::Failed;
        assert!(!check(&[unknown, end(level, &[(KEY, &[1]), (OTHER, &[2])])]).is_empty());
    }

    #[test]
    fn half_of_a_transaction_is_never_read() {
        let level = Level::ReadCommitted;
        let whole = done(level, 0, 10, &[append(KEY, 1), append(KEY, 2)]);
        let half = done(level, 1, 10, &[read(KEY, &[1])]);
        let wrong = check(&[whole, half, end(level, &[(KEY, &[1, 2])])]);
        assert!(wrong[0].contains("half"), "{wrong:?}");
    }

    #[test]
    fn reads_of_a_list_are_of_one_order_without_repetition() {
        let level = Level::ReadCommitted;
        let (one, other) = (done(level, 0, 10, &[append(KEY, 1)]), done(level, 1, 10, &[append(KEY, 2)]));
        let strange = done(level, 2, 10, &[read(KEY, &[2])]);
        assert!(!check(&[one.clone(), other.clone(), strange, end(level, &[(KEY, &[1, 2])])]).is_empty());
        assert!(!check(&[one, other, end(level, &[(KEY, &[1, 2, 1])])]).is_empty());
    }

    #[test]
    fn numbers_grow_with_real_time_and_along_lists() {
        let level = Level::Serializable;
        let numbered = |asked, answered, value, csn| Transaction {
            csn: Some(csn),
            ..done(level, asked, answered, &[append(KEY, value)])
        };
        assert!(check_order(&[numbered(0, 10, 1, 5), numbered(11, 20, 2, 6)]).is_empty());
        assert!(!check_order(&[numbered(0, 10, 1, 6), numbered(11, 20, 2, 5)]).is_empty());
        assert!(!check_order(&[numbered(0, 10, 1, 5), numbered(1, 20, 2, 5)]).is_empty());
        let against = [numbered(0, 10, 1, 6), numbered(1, 20, 2, 5), end(level, &[(KEY, &[1, 2])])];
        assert!(!check(&against).is_empty());
    }
}
