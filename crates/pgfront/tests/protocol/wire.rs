//! A client that sends what it is told, sense or nonsense.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A message from the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub kind: char,
    pub body: Vec<u8>,
}

impl Message {
    /// The fields of an ErrorResponse or NoticeResponse.
    pub fn fields(&self) -> HashMap<char, String> {
        let mut fields = HashMap::new();
        for part in self.body.split(|b| *b == 0).filter(|p| !p.is_empty()) {
            fields.insert(part[0] as char, String::from_utf8_lossy(&part[1..]).into_owned());
        }
        fields
    }
    /// SQLSTATE and message of an ErrorResponse.
    pub fn error(&self) -> (String, String) {
        assert_eq!(self.kind, 'E', "{self:?}");
        let mut f = self.fields();
        (f.remove(&'C').unwrap_or_default(), f.remove(&'M').unwrap_or_default())
    }
    /// The tag of a CommandComplete.
    pub fn tag(&self) -> String {
        assert_eq!(self.kind, 'C', "{self:?} {:?}", self.fields());
        String::from_utf8_lossy(&self.body[..self.body.len() - 1]).into_owned()
    }
    /// The values of a DataRow.
    pub fn row(&self) -> Vec<Option<Vec<u8>>> {
        assert_eq!(self.kind, 'D', "{self:?}");
        let mut rest = &self.body[2..];
        let mut values = Vec::new();
        while !rest.is_empty() {
            let length = i32::from_be_bytes(rest[..4].try_into().unwrap());
            rest = &rest[4..];
            if length < 0 {
                values.push(None);
            } else {
                values.push(Some(rest[..length as usize].to_vec()));
                rest = &rest[length as usize..];
            }
        }
        values
    }
    /// The values of a DataRow as text.
    pub fn texts(&self) -> Vec<String> {
        self.row()
            .into_iter()
            .map(|v| v.map_or("NULL".into(), |v| String::from_utf8(v).unwrap()))
            .collect()
    }
}

/// A raw connection.
pub struct Wire {
    stream: TcpStream,
    /// BackendKeyData.
    pub key: Vec<u8>,
    /// ParameterStatus by name.
    pub parameters: HashMap<String, String>,
}

impl Wire {
    /// A socket and nothing sent.
    pub fn bare(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Wire {
            stream,
            key: Vec::new(),
            parameters: HashMap::new(),
        }
    }

    /// A session of role `curia`, with further start-up parameters.
    pub fn with(address: SocketAddr, parameters: &[(&str, &str)]) -> Wire {
        let mut wire = Wire::bare(address);
        wire.startup(parameters);
        loop {
            let m = wire.read();
            match m.kind {
                'R' => assert_eq!(m.body, [0, 0, 0, 0]),
                'S' => {
                    let mut parts = m.body.split(|b| *b == 0).map(|p| String::from_utf8_lossy(p).into_owned());
                    wire.parameters.insert(parts.next().unwrap(), parts.next().unwrap());
                }
                'K' => wire.key = m.body,
                'Z' => return wire,
                _ => panic!("{:?}", m.fields()),
            }
        }
    }

    /// A session of role `curia`.
    pub fn open(address: SocketAddr) -> Wire {
        Wire::with(address, &[])
    }

    /// Sends a start-up packet.
    pub fn startup(&mut self, parameters: &[(&str, &str)]) {
        let mut body = 196_608u32.to_be_bytes().to_vec();
        for (n, v) in [("user", "curia"), ("database", "curia")].iter().chain(parameters) {
            body.extend(n.bytes().chain([0]).chain(v.bytes()).chain([0]));
        }
        body.push(0);
        let mut packet = (body.len() as u32 + 4).to_be_bytes().to_vec();
        packet.extend(body);
        self.bytes(&packet);
    }

    /// Sends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        // A server that has seen enough may close while we still write.
        let _ = self.stream.write_all(bytes);
    }

    /// Sends a message.
    pub fn send(&mut self, kind: char, body: &[u8]) {
        self.bytes(&message(kind, body));
    }

    /// The next message; `None` when the server has closed.
    pub fn try_read(&mut self) -> Option<Message> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        Some(Message {
            kind: head[0] as char,
            body,
        })
    }

    /// The next message.
    pub fn read(&mut self) -> Message {
        self.try_read().expect("the server closed the connection")
    }

    /// Messages up to and with ReadyForQuery.
    pub fn until_ready(&mut self) -> Vec<Message> {
        let mut all = Vec::new();
        loop {
            all.push(self.read());
            if all.last().unwrap().kind == 'Z' {
                return all;
            }
        }
    }

    /// Runs a simple query.
    pub fn query(&mut self, sql: &str) -> Vec<Message> {
        self.send('Q', &[sql.as_bytes(), &[0]].concat());
        self.until_ready()
    }

    /// Runs a simple query that must not fail; gives its rows as text.
    pub fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        let all = self.query(sql);
        if let Some(e) = all.iter().find(|m| m.kind == 'E') {
            panic!("{sql}: {:?}", e.fields());
        }
        all.iter().filter(|m| m.kind == 'D').map(Message::texts).collect()
    }

    /// Runs a simple query that must fail; gives SQLSTATE and message.
    pub fn failure(&mut self, sql: &str) -> (String, String) {
        let all = self.query(sql);
        all.iter()
            .find(|m| m.kind == 'E')
            .unwrap_or_else(|| panic!("{sql} did not fail: {}", kinds(&all)))
            .error()
    }

    /// Runs a simple query and gives its command tags.
    pub fn tags(&mut self, sql: &str) -> Vec<String> {
        let all = self.query(sql);
        if let Some(e) = all.iter().find(|m| m.kind == 'E') {
            panic!("{sql}: {:?}", e.fields());
        }
        all.iter().filter(|m| m.kind == 'C').map(Message::tag).collect()
    }

    /// The last transaction status letter after a query.
    pub fn status(&mut self, sql: &str) -> char {
        self.query(sql).last().unwrap().body[0] as char
    }
}

/// A message's bytes.
pub fn message(kind: char, body: &[u8]) -> Vec<u8> {
    let mut all = vec![kind as u8];
    all.extend((body.len() as u32 + 4).to_be_bytes());
    all.extend(body);
    all
}

/// The kinds of messages, as one word.
pub fn kinds(all: &[Message]) -> String {
    all.iter().map(|m| m.kind).collect()
}

/// Parse of an unnamed or named statement without declared types.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    message('P', &[name.as_bytes(), &[0], sql.as_bytes(), &[0, 0, 0]].concat())
}

/// Bind of text parameters, all results text.
pub fn bind(portal: &str, statement: &str, values: &[Option<&str>]) -> Vec<u8> {
    let mut body = [portal.as_bytes(), &[0], statement.as_bytes(), &[0, 0, 0]].concat();
    body.extend((values.len() as u16).to_be_bytes());
    for v in values {
        match v {
            None => body.extend((-1i32).to_be_bytes()),
            Some(v) => {
                body.extend((v.len() as u32).to_be_bytes());
                body.extend(v.bytes());
            }
        }
    }
    body.extend([0, 0]);
    message('B', &body)
}

/// Execute.
pub fn execute(portal: &str, max_rows: u32) -> Vec<u8> {
    message('E', &[portal.as_bytes(), &[0], &max_rows.to_be_bytes()].concat())
}

/// Describe of a statement (`S`) or portal (`P`).
pub fn describe(target: u8, name: &str) -> Vec<u8> {
    message('D', &[&[target], name.as_bytes(), &[0]].concat())
}

/// Sync.
pub fn sync() -> Vec<u8> {
    message('S', &[])
}
