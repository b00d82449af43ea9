//! A connection that shows everything a server answers to a simple query.
//!
//! Drivers hide what is compared here: command tags, type OIDs of empty results, notices, the fields of an error, which of
//! several statements in one message gave what. So this is the protocol itself, as far as simple queries and COPY need it.
//! Servers have to let the user in without a password.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Protocol 3.0.
const PROTOCOL: u32 = 196_608;
/// The code that stands where a protocol's does and asks for a cancel.
const CANCEL: u32 = 80_877_102;
/// Time that a cancelled statement has to end in.
const CANCEL_WITHIN: Duration = Duration::from_secs(20);
/// Bytes of one COPY message.
const COPY_CHUNK: usize = 64 << 10;
/// Bytes of one statement's rows that are kept; one that gives more is cancelled.
const KEPT_BYTES: usize = 64 << 20;
/// Longest message that is taken for one.
const MESSAGE_LIMIT: usize = 1 << 30;

/// Where and as whom.
#[derive(Clone, Debug)]
pub struct Address {
    /// Host and port.
    pub at: String,
    /// Role.
    pub user: String,
    /// Database.
    pub database: String,
    /// Further start-up parameters: name, value.
    pub parameters: Vec<(String, String)>,
    /// Longest time for one statement.
    pub limit: Duration,
}

/// An error or a notice: its fields by their letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report(BTreeMap<u8, String>);

impl Report {
    /// A field: `C` SQLSTATE, `M` message, `D` DETAIL, `H` HINT, `P` position, ...
    pub fn field(&self, letter: u8) -> &str {
        self.0.get(&letter).map_or("", String::as_str)
    }

    /// SQLSTATE.
    pub fn code(&self) -> &str {
        self.field(b'C')
    }

    /// The message.
    pub fn message(&self) -> &str {
        self.field(b'M')
    }
}

/// A result's column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type's OID.
    pub type_oid: u32,
    /// Type's modifier.
    pub modifier: i32,
}

/// A value in text form.
pub type Value = Option<String>;

/// What came of one statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Its columns, if it returns rows.
    pub columns: Option<Vec<Column>>,
    /// Its rows; of COPY TO STDOUT the lines.
    pub rows: Vec<Vec<Value>>,
    /// The command tag; none after an error.
    pub tag: Option<String>,
    /// Why it failed.
    pub error: Option<Report>,
}

/// What came of one simple query: an outcome for each statement in it, up to the first error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// By statement.
    pub outcomes: Vec<Outcome>,
    /// Notices, in order.
    pub notices: Vec<Report>,
    /// Why the connection is gone.
    pub lost: Option<String>,
}

impl Answer {
    /// The error in it.
    pub fn error(&self) -> Option<&Report> {
        self.outcomes.iter().find_map(|outcome| outcome.error.as_ref())
    }
}

/// Gives the data of a COPY FROM STDIN when the server asks for it.
pub type CopySource<'a> = &'a mut dyn FnMut() -> Vec<u8>;

/// A connection.
pub struct Connection {
    stream: io::BufReader<TcpStream>,
    address: Address,
    key: Option<[u8; 8]>,
    /// What the server reports of its parameters.
    pub parameters: BTreeMap<String, String>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server cannot be reached, or ended.
    #[error("cannot connect: {0}")]
    Io(#[from] io::Error),
    /// The server does not want.
    #[error("connection refused: {} ({})", .0.message(), .0.code())]
    Refused(Report),
    /// It wants a password.
    #[error("the server asks for a password, which is not supported")]
    Password,
}

impl Connection {
    /// Connects.
    pub fn open(address: &Address) -> Result<Connection, ConnectError> {
        let stream = TcpStream::connect(&address.at)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(address.limit))?;
        let mut connection = Connection {
            stream: io::BufReader::new(stream),
            address: address.clone(),
            key: None,
            parameters: BTreeMap::new(),
        };
        let mut body = PROTOCOL.to_be_bytes().to_vec();
        let own = [("user", &address.user), ("database", &address.database)];
        let given = address.parameters.iter().map(|(name, value)| (name.as_str(), value));
        for (name, value) in own.into_iter().chain(given) {
            for text in [name, value.as_str()] {
                body.extend_from_slice(text.as_bytes());
                body.push(0);
            }
        }
        body.push(0);
        connection.send_untyped(&body)?;
        loop {
            let (letter, body) = connection.receive()?;
            match letter {
                b'R' if body.starts_with(&[0; 4]) => {}
                b'R' => return Err(ConnectError::Password),
                b'K' => connection.key = body.get(..8).and_then(|key| key.try_into().ok()),
                b'S' => connection.parameter(&body),
                b'E' => return Err(ConnectError::Refused(report(&body))),
                b'Z' => return Ok(connection),
                _ => {}
            }
        }
    }

    /// Sends `sql` and waits for all that it gives. A statement that takes longer than the limit, or gives more than is kept, is
    /// cancelled; one that goes on even then loses the connection.
    pub fn query(&mut self, sql: &str, copy: CopySource<'_>) -> Answer {
        let mut answer = Answer::default();
        if let Err(error) = self.run(sql, copy, &mut answer) {
            answer.lost = Some(error.to_string());
        }
        answer
    }

    fn run(&mut self, sql: &str, copy: CopySource<'_>, answer: &mut Answer) -> io::Result<()> {
        let mut body = sql.as_bytes().to_vec();
        body.push(0);
        self.send(b'Q', &body)?;
        let mut outcome = Outcome::default();
        let mut cancelled = false;
        let mut kept = 0;
        let begin = Instant::now();
        loop {
            let (letter, body) = match self.receive() {
                Err(error) if is_late(&error) && !cancelled => {
                    cancelled = true;
                    self.cancel()?;
                    continue;
                }
                other => other?,
            };
            kept += body.len();
            if !cancelled && (kept > KEPT_BYTES || begin.elapsed() > self.address.limit) {
                cancelled = true;
                self.cancel()?;
            }
            match letter {
                b'D' | b'd' if cancelled => {}
                b'T' => outcome.columns = Some(columns(&body)?),
                b'D' => outcome.rows.push(row(&body)?),
                b'd' => outcome.rows.push(vec![Some(text(&body).trim_end_matches('\n').to_owned())]),
                b'G' => self.copy_in(&copy())?,
                b'C' | b'I' => {
                    outcome.tag = Some(text(&body).trim_end_matches('\0').to_owned());
                    answer.outcomes.push(std::mem::take(&mut outcome));
                }
                b'E' => {
                    outcome.error = Some(report(&body));
                    answer.outcomes.push(std::mem::take(&mut outcome));
                }
                b'N' => answer.notices.push(report(&body)),
                b'S' => self.parameter(&body),
                b'Z' => {
                    if cancelled {
                        self.stream.get_ref().set_read_timeout(Some(self.address.limit))?;
                    }
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    fn copy_in(&mut self, data: &[u8]) -> io::Result<()> {
        for chunk in data.chunks(COPY_CHUNK) {
            self.send(b'd', chunk)?;
        }
        self.send(b'c', &[])
    }

    /// Asks for the end of the running statement, by a connection of its own.
    fn cancel(&mut self) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(CANCEL_WITHIN))?;
        let Some(key) = self.key else { return Ok(()) };
        let mut body = CANCEL.to_be_bytes().to_vec();
        body.extend_from_slice(&key);
        let mut stream = TcpStream::connect(&self.address.at)?;
        stream.write_all(&framed(&body))
    }

    fn parameter(&mut self, body: &[u8]) {
        let body = text(body);
        let mut parts = body.split('\0');
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            self.parameters.insert(name.to_owned(), value.to_owned());
        }
    }

    fn send(&mut self, letter: u8, body: &[u8]) -> io::Result<()> {
        let mut message = vec![letter];
        message.extend_from_slice(&framed(body));
        self.stream.get_mut().write_all(&message)
    }

    fn send_untyped(&mut self, body: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(&framed(body))
    }

    fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let length = length
            .checked_sub(4)
            .filter(|length| *length <= MESSAGE_LIMIT)
            .ok_or_else(malformed)?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((head[0], body))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The server notices either way.
        let _ = self.send(b'X', &[]);
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the server sent a malformed message")
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), body].concat()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn report(body: &[u8]) -> Report {
    let fields = body.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    Report(fields.map(|field| (field[0], text(&field[1..]))).collect())
}

/// Reads fixed-width integers and strings from a message, or says that it is malformed.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn u16(&mut self) -> io::Result<u16> {
        Ok(u16::from_be_bytes(self.take(2)?.try_into().map_err(|_| malformed())?))
    }

    fn i32(&mut self) -> io::Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into().map_err(|_| malformed())?))
    }

    fn string(&mut self) -> io::Result<String> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(malformed)?;
        let string = text(self.take(end)?);
        self.take(1)?;
        Ok(string)
    }
}

fn columns(body: &[u8]) -> io::Result<Vec<Column>> {
    let mut body = Body(body);
    let count = body.u16()?;
    (0..count)
        .map(|_| {
            let name = body.string()?;
            body.take(6)?; // table and column number
            let type_oid = body.i32()?.cast_unsigned();
            body.take(2)?; // length
            let modifier = body.i32()?;
            body.take(2)?; // format
            Ok(Column { name, type_oid, modifier })
        })
        .collect()
}

fn row(body: &[u8]) -> io::Result<Vec<Value>> {
    let mut body = Body(body);
    let count = body.u16()?;
    (0..count)
        .map(|_| match usize::try_from(body.i32()?) {
            Err(_) => Ok(None),
            Ok(length) => Ok(Some(text(body.take(length)?))),
        })
        .collect()
}
