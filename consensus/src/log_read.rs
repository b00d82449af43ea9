//! Entries that memory doesn't have any more, read back from the log store for peers.
//!
//! The log may change while the driver reads: entries whose place has another term by then are not what was asked for and
//! are left out; and who asked may not need them any more.

use std::collections::BTreeMap;

use crate::ids::{Incarnation, Index, LogId, ServerId, Tail, Term};
use crate::message::{Body, Donated, Message};
use crate::node::{Config, Node};
use crate::output::{LogRead, Missing};
use crate::record::Entry;

/// What is being read.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogReads {
    last_id: u64,
    waiting: BTreeMap<u64, Reader>,
    /// To be given to the driver.
    pub(crate) asked: Vec<LogRead>,
}

#[derive(Clone, Debug)]
struct Reader {
    log: LogId,
    after: Index,
    to: ServerId,
    /// A consul that asked for it, in this term; else it is for a peer of this consul.
    donee: Option<(Incarnation, Term, Tail)>,
}

impl LogReads {
    /// Whether the log store may be asked for more.
    pub(crate) fn may_ask(&self, config: &Config) -> bool {
        self.waiting.len() < config.log_reads_max
    }
}

impl Node {
    /// The log store's answer to a [`LogRead`].
    pub fn log_read(&mut self, id: u64, result: Result<Vec<Entry>, Missing>) {
        let Some(reader) = self.log_reads.waiting.remove(&id) else { return };
        let Some(slot) = self.known(reader.log) else { return };
        let log = self.log(slot);
        let mut next = reader.after.next();
        let stands = |entry: &Entry| {
            let follows = entry.index == next && entry.is_held() && log.term_at(entry.index) == Some(entry.term);
            next = entry.index.next();
            follows
        };
        let mut entries = result.unwrap_or_default();
        let standing = entries.iter().map(stands).take_while(|stands| *stands).count();
        entries.truncate(standing);
        match reader.donee {
            None => {
                let after = reader.after;
                match slot {
                    None => self.senator.peers.read(reader.to, after, entries),
                    Some(slot) => {
                        self.workers[slot].peers.read(reader.to, after, entries);
                        self.sending.insert(slot);
                    }
                }
            }
            Some((incarnation, term, after)) if term == self.senator.term && !entries.is_empty() => {
                let donated = Donated::Entries(entries);
                let message = self.message(
                    reader.to,
                    incarnation,
                    term,
                    Body::Fetched {
                        log: reader.log,
                        after,
                        donated,
                    },
                );
                self.send_when_durable(message);
            }
            Some(_) => {}
        }
    }

    /// Reads what follows `after` for a peer of this consul.
    pub(crate) fn read_for_peer(&mut self, to: ServerId, log: LogId, after: Index, upto: Index) {
        self.read_log(
            Reader {
                log,
                after,
                to,
                donee: None,
            },
            upto,
        );
    }

    fn read_log(&mut self, reader: Reader, upto: Index) {
        let reads = &mut self.log_reads;
        reads.last_id += 1;
        reads.asked.push(LogRead {
            id: reads.last_id,
            log: reader.log,
            after: reader.after,
            upto,
            bytes_max: self.config.append_bytes_max,
        });
        reads.waiting.insert(reads.last_id, reader);
    }

    /// Gives a new consul, a candidate or a scribe what its log lacks of this one.
    pub(crate) fn donate(&mut self, message: &Message, log_id: LogId, after: Tail) {
        let Some(slot) = self.known(log_id) else { return };
        if slot.is_some_and(|slot| self.workers[slot].damaged.is_some()) {
            return; // it can't say what it had
        }
        let log = self.log(slot);
        let donated = if after.index < log.base().index {
            Donated::Begins(log.base().clone())
        } else if log.term_at(after.index) != Some(after.term) {
            Donated::Parted(log.hint(after))
        } else {
            let (mut bytes, mut index, mut entries) = (0, after.index.next(), Vec::new());
            while bytes < self.config.append_bytes_max
                && let Some(entry) = log.held(index)
            {
                bytes += entry.bytes();
                entries.push(entry.clone());
                index = index.next();
            }
            if entries.is_empty() && after.index < log.last() {
                let last = log.last();
                if self.log_reads.may_ask(&self.config) {
                    let reader = Reader {
                        log: log_id,
                        after: after.index,
                        to: message.from,
                        donee: Some((message.incarnation, self.senator.term, after)),
                    };
                    self.read_log(reader, last);
                }
                return; // who asked will ask again
            }
            Donated::Entries(entries)
        };
        let body = Body::Fetched {
            log: log_id,
            after,
            donated,
        };
        let reply = self.reply(message, self.senator.term, body);
        self.send_when_durable(reply);
    }

    /// Where a log is: `Some(None)` is the senate's.
    pub(crate) fn known(&self, log: LogId) -> Option<Option<usize>> {
        match log {
            LogId::Senate => Some(None),
            LogId::Group(group) => self.slot(group).map(Some),
        }
    }
}
