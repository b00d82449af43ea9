//! What each step of a statement's way costs, in microseconds: one connection, one message exchange at a time, over a blocking
//! socket whose own cost is the first row. The difference between a row and the one before is the step that was added.

use crate::peer::{Peer, Peers};
use crate::report::{Row, Table};
use crate::{Result, Setting};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Exchanges measured in a round for a row that writes nothing.
const EXCHANGES: usize = 10_000;
/// Exchanges for a row that commits.
const COMMITS: usize = 1_000;

/// One kind of exchange.
struct Step {
    what: &'static str,
    /// Prepared under the name `s` before, if any.
    prepared: Option<&'static str>,
    /// The messages of one exchange.
    messages: fn(key: i32) -> Vec<u8>,
    exchanges: usize,
}

const BY_KEY: &str = "select abalance from pgbench_accounts where aid = $1";
/// Leaves the balance as it is: the pgbench part checks the sums of all balances afterwards.
const UPDATE: &str = "update pgbench_accounts set abalance = abalance + 0 where aid = $1";

const STEPS: [Step; 7] = [
    Step {
        what: "Sync alone: socket, framing, thread",
        prepared: None,
        messages: |_| sync(),
        exchanges: EXCHANGES,
    },
    Step {
        what: "+ Bind and Execute of an empty statement",
        prepared: Some(""),
        messages: |_| run(None),
        exchanges: EXCHANGES,
    },
    Step {
        what: "+ transaction, plan, one row (`select 1`)",
        prepared: Some("select 1"),
        messages: |_| run(None),
        exchanges: EXCHANGES,
    },
    Step {
        what: "+ a row by primary key",
        prepared: Some(BY_KEY),
        messages: |key| run(Some(key)),
        exchanges: EXCHANGES,
    },
    Step {
        what: "+ Parse with every execution",
        prepared: None,
        messages: parse_and_run,
        exchanges: EXCHANGES,
    },
    Step {
        what: "the same as a simple query",
        prepared: None,
        messages: simple,
        exchanges: EXCHANGES,
    },
    Step {
        what: "an update by primary key, committed",
        prepared: Some(UPDATE),
        messages: |key| run(Some(key)),
        exchanges: COMMITS,
    },
];

/// Microseconds of each exchange.
pub fn measure(peers: &Peers, setting: &Setting) -> Result<Table> {
    let keys = i32::try_from(setting.scale).unwrap_or(1) * 100_000;
    let mut rows = Vec::new();
    for step in &STEPS {
        let mut row = Row::new(step.what.to_owned());
        for round in 0..setting.rounds {
            for peer in peers.in_turn(round) {
                let microseconds = once(peer, step, keys)?;
                row.add(peer.kind, microseconds);
            }
        }
        rows.push(row);
    }
    Ok(Table {
        title: "Cost per step of the point path, one connection".to_owned(),
        unit: "microseconds",
        rows,
    })
}

fn once(peer: &Peer, step: &Step, keys: i32) -> Result<f64> {
    let mut wire = Wire::sign_in(peer)?;
    if let Some(text) = step.prepared {
        let mut messages = message(b'P', &[b"s\0", text.as_bytes(), b"\0\0\0"]);
        messages.extend(sync());
        wire.exchange(&messages)?;
    }
    // A stride that is prime to the number of keys visits them in a scattered order, the same for both servers.
    let mut key = 1;
    let mut next = || {
        key = (key + 7_919) % keys;
        (step.messages)(key + 1)
    };
    for _ in 0..step.exchanges / 10 {
        wire.exchange(&next())?;
    }
    let from = Instant::now();
    for _ in 0..step.exchanges {
        wire.exchange(&next())?;
    }
    Ok(from.elapsed().as_secs_f64() * 1e6 / step.exchanges as f64)
}

/// A protocol message: tag, length, body.
fn message(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[tag], &length.to_be_bytes()[..], &body].concat()
}

fn sync() -> Vec<u8> {
    message(b'S', &[])
}

/// Bind of `s` (or of the unnamed statement) with a binary int4, Execute, Sync.
fn bind_and_execute(statement: &[u8], key: Option<i32>) -> Vec<u8> {
    let mut messages = match key {
        None => message(b'B', &[b"\0", statement, b"\0\0\0\0\0\0"]),
        Some(key) => message(
            b'B',
            &[b"\0", statement, b"\0\x01\0\x01\0\x01\0\0\0\x04", &key.to_be_bytes(), b"\0\0"],
        ),
    };
    messages.extend(message(b'E', &[b"\0\0\0\0\0"]));
    messages.extend(sync());
    messages
}

fn run(key: Option<i32>) -> Vec<u8> {
    bind_and_execute(b"s\0", key)
}

fn parse_and_run(key: i32) -> Vec<u8> {
    let mut messages = message(b'P', &[b"\0", BY_KEY.as_bytes(), b"\0\0\0"]);
    messages.extend(bind_and_execute(b"\0", Some(key)));
    messages
}

fn simple(key: i32) -> Vec<u8> {
    message(
        b'Q',
        &[format!("select abalance from pgbench_accounts where aid = {key}\0").as_bytes()],
    )
}

/// A blocking connection.
struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    fn sign_in(peer: &Peer) -> Result<Wire> {
        let stream = TcpStream::connect(("127.0.0.1", peer.port))?;
        stream.set_nodelay(true)?;
        let mut wire = Wire {
            stream,
            buffer: Vec::new(),
        };
        let body = format!("user\0{0}\0database\0{0}\0\0", peer.user());
        let length = u32::try_from(body.len() + 8)?;
        wire.exchange(&[&length.to_be_bytes()[..], &196_608u32.to_be_bytes(), body.as_bytes()].concat())?;
        Ok(wire)
    }

    /// Sends, and reads up to ReadyForQuery.
    fn exchange(&mut self, messages: &[u8]) -> Result<()> {
        self.stream.write_all(messages)?;
        self.buffer.clear();
        let mut at = 0;
        loop {
            let mut piece = [0; 4096];
            let count = self.stream.read(&mut piece)?;
            if count == 0 {
                return Err("the server closed the connection".into());
            }
            self.buffer.extend_from_slice(&piece[..count]);
            while let Some(head) = self.buffer.get(at..at + 5) {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                let Some(body) = self.buffer.get(at + 5..at + 1 + length) else {
                    break;
                };
                match head[0] {
                    b'E' => return Err(format!("the server answered {}", String::from_utf8_lossy(body)).into()),
                    b'Z' => return Ok(()),
                    _ => at += 1 + length,
                }
            }
        }
    }
}
