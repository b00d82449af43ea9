//! The messages of an implicit transaction, kept to be run again after 40001 ([`Session::may_run_again`]).

use crate::connection::Connection;
use crate::decode::{self, Message, Target};
use curia_session::Session;

/// Bytes of messages that are kept; a transaction that takes more is not run again by itself.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Messages since the last Sync.
#[derive(Default)]
pub struct Replay {
    kept: Vec<(u8, Vec<u8>)>,
    bytes: usize,
    /// They are kept.
    on: bool,
    begun: bool,
}

impl Replay {
    /// A message is about to be handled.
    pub fn keep(&mut self, kind: u8, body: &[u8], session: &mut Session, connection: &mut Connection) {
        if !self.begun {
            self.begun = true;
            self.on = session.may_run_again();
            if self.on {
                connection.hold();
            }
        }
        if !self.on {
            return;
        }
        self.bytes += body.len();
        // What Close takes away would be missing the next time.
        if self.bytes > KEPT_BYTES_MAX || kind == b'C' && closes_statement(body) {
            self.on = false;
            self.kept.clear();
            connection.let_go();
            return;
        }
        self.kept.push((kind, body.to_vec()));
    }

    /// Whether the messages can be run again: all are here, and nothing that they answered has left.
    pub fn rewind(&self, connection: &mut Connection) -> bool {
        self.on && connection.rewind()
    }

    /// The messages, for another try.
    pub fn messages(&self, session: &mut Session) -> Vec<(u8, Vec<u8>)> {
        for (kind, body) in &self.kept {
            if let (b'P', Ok(Message::Parse { statement, .. })) = (*kind, decode::message(*kind, body)) {
                session.forget_statement(statement);
            }
        }
        self.kept.clone()
    }

    /// The transaction has its outcome.
    pub fn end(&mut self, session: &mut Session, connection: &mut Connection) {
        if self.on {
            connection.let_go();
            session.ran_for_good();
            self.kept.clear();
        }
        *self = Replay {
            kept: std::mem::take(&mut self.kept),
            ..Replay::default()
        };
    }
}

fn closes_statement(body: &[u8]) -> bool {
    matches!(decode::message(b'C', body), Ok(Message::Close(Target::Statement, _)))
}
