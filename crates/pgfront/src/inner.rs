//! What servers say to each other about a session that one passes on to the other. They are messages of the same outline as the client's and
//! the consul's, which they stand between, with types that the protocol has no use for.
//!
//! ```text
//!   the server at whose door the client is          the consul
//!   ASK who the client says it is              ──►
//!                                              ◄──  CHALLENGE what it must show; or an error and ENDED
//!   (once for a client)
//!   OPEN the session, or open it again         ──►
//!                                              ◄──  ParameterStatus of each, one more of idle_session_timeout, which the client doesn't
//!                                                   hear of and the door sees to, ReadyForQuery; or an error and ENDED
//!   the client's messages                      ──►
//!                                              ◄──  the answers; NEWS before ReadyForQuery
//!                                              ◄──  ENDED, or MOVED, and the connection closes
//! ```
//!
//! A connection that closes without ENDED or MOVED has failed. Integers and texts are those of [`curia_session::carried`].
//!
//! ```text
//!   ASK        1  u8 version 1, text role, u8 1 from the machine of the door
//!   CHALLENGE  2  u8 version 1, text SCRAM verifier, empty for none
//!   OPEN       3  u8 version 1, i64 door's server, u32 process, u32 secret, text role, text database, text client's address,
//!                 u32 how many parameters, each text name, text value; the rest is what the session carries, or nothing
//!   NEWS       4  a list of what the session carries
//!   MOVED      5  the consul is no consul any more: the session is outside of transactions, and what it sent after the last
//!                 ReadyForQuery was not acted on
//!   ENDED      6  the session is over
//! ```

use crate::encode;
use curia_session::carried::{Input, put_text};
use curia_session::password::Verifier;
use curia_session::{Authentication, Carried, Key, Login, Peer};

/// See the module's page.
pub const ASK: u8 = 1;
/// See the module's page.
pub const CHALLENGE: u8 = 2;
/// See the module's page.
pub const OPEN: u8 = 3;
/// See the module's page.
pub const NEWS: u8 = 4;
/// See the module's page.
pub const MOVED: u8 = 5;
/// See the module's page.
pub const ENDED: u8 = 6;

const VERSION: u8 = 1;

/// Appends an ASK.
pub fn ask(out: &mut Vec<u8>, role: &str, from: Peer) {
    encode::message(out, ASK, |out| {
        out.push(VERSION);
        put_text(out, role);
        out.push(u8::from(from == Peer::Loopback));
    });
}

/// Reads one.
pub fn asked(body: &[u8]) -> Option<(String, Peer)> {
    let mut input = versioned(body)?;
    let role = input.text()?;
    let from = if input.u8()? == 1 { Peer::Loopback } else { Peer::Remote };
    input.0.is_empty().then_some((role, from))
}

/// Appends a CHALLENGE.
pub fn challenge(out: &mut Vec<u8>, authentication: &Authentication) {
    encode::message(out, CHALLENGE, |out| {
        out.push(VERSION);
        match authentication {
            Authentication::Trust => put_text(out, ""),
            Authentication::Scram(verifier) => put_text(out, &verifier.to_string()),
        }
    });
}

/// Reads one.
pub fn challenged(body: &[u8]) -> Option<Authentication> {
    let mut input = versioned(body)?;
    let verifier = input.text()?;
    match verifier.as_str() {
        "" => Some(Authentication::Trust),
        verifier => Verifier::parse(verifier).map(Authentication::Scram),
    }
}

/// Appends an OPEN. The login has a key, and names the server that passes it on.
pub fn open(out: &mut Vec<u8>, login: &Login, carried: &Carried) {
    let key = login.key.unwrap_or(Key { process: 0, secret: 0 });
    let client = login.peer.map(|peer| peer.to_string());
    encode::message(out, OPEN, |out| {
        out.push(VERSION);
        out.extend_from_slice(&login.through.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&key.process.to_le_bytes());
        out.extend_from_slice(&key.secret.to_le_bytes());
        for text in [&login.user, &login.database, &client.unwrap_or_default()] {
            put_text(out, text);
        }
        out.extend_from_slice(&(login.parameters.len() as u32).to_le_bytes());
        for (name, value) in &login.parameters {
            put_text(out, name);
            put_text(out, value);
        }
        if *carried != Carried::default() {
            out.extend_from_slice(&carried.encode());
        }
    });
}

/// Reads one.
pub fn opened(body: &[u8]) -> Option<(Login, Carried)> {
    let mut input = versioned(body)?;
    let through = Some(input.i64()? as u64);
    let key = Key {
        process: input.u32()? as i32,
        secret: input.u32()? as i32,
    };
    let login = Login {
        user: input.text()?,
        database: input.text()?,
        peer: input.text()?.parse().ok(),
        parameters: input.many(|input| Some((input.text()?, input.text()?)))?,
        key: Some(key).filter(|key| key.process > 0),
        through,
    };
    let mut carried = Carried::default();
    if !input.0.is_empty() {
        carried.take(input.0)?;
    }
    Some((login, carried))
}

fn versioned(body: &[u8]) -> Option<Input<'_>> {
    let mut input = Input(body);
    (input.u8()? == VERSION).then_some(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_between_servers_have_the_bytes_that_the_format_says_and_read_back() {
        let mut out = Vec::new();
        ask(&mut out, "r", Peer::Loopback);
        assert_eq!(out, b"\x01\0\0\0\x0b\x01\x01\0\0\0r\x01");
        assert_eq!(asked(&out[5..]), Some(("r".to_owned(), Peer::Loopback)));

        out.clear();
        challenge(&mut out, &Authentication::Trust);
        assert_eq!(out, b"\x02\0\0\0\x09\x01\0\0\0\0");
        assert_eq!(challenged(&out[5..]), Some(Authentication::Trust));

        out.clear();
        let login = Login {
            user: "r".into(),
            database: "d".into(),
            parameters: vec![("a".into(), "b".into())],
            peer: Some(([127, 0, 0, 1], 7).into()),
            key: Some(Key { process: 5, secret: -1 }),
            through: Some(2),
        };
        open(&mut out, &login, &Carried::default());
        let body =
            b"\x01\x02\0\0\0\0\0\0\0\x05\0\0\0\xff\xff\xff\xff\x01\0\0\0r\x01\0\0\0d\x0b\0\0\x00127.0.0.1:7\x01\0\0\0\x01\0\0\0a\x01\0\0\0b";
        assert_eq!(out[5..], body[..]);
        let (read, carried) = opened(&out[5..]).unwrap();
        assert_eq!(carried, Carried::default());
        assert_eq!(format!("{read:?}"), format!("{login:?}"));
        for end in 0..body.len() {
            assert!(opened(&body[..end]).is_none());
        }
        assert_eq!(asked(b"\x02\0\0\0\0\0"), None, "of another version");
    }
}
