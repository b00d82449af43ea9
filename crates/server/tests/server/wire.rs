//! The PostgreSQL protocol by hand, for messages that no driver would send.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A raw connection.
pub struct Wire {
    stream: TcpStream,
}

/// One message of the server.
#[derive(Debug)]
pub struct Message {
    pub tag: u8,
    pub body: Vec<u8>,
}

impl Message {
    /// A field of an ErrorResponse.
    pub fn field(&self, code: u8) -> Option<String> {
        assert_eq!(self.tag, b'E');
        self.body
            .split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&code))
            .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
    }
}

impl Wire {
    /// Connects without saying anything.
    pub async fn connect(sql: &str) -> Wire {
        Wire {
            stream: TcpStream::connect(sql).await.unwrap(),
        }
    }

    /// Connects and signs in as the superuser.
    pub async fn sign_in(sql: &str) -> Wire {
        let mut wire = Wire::connect(sql).await;
        let mut body = vec![0, 3, 0, 0];
        body.extend_from_slice(b"user\0curia\0database\0curia\0\0");
        let mut message = (body.len() as i32 + 4).to_be_bytes().to_vec();
        message.extend(body);
        wire.raw(&message).await;
        wire.until_ready().await;
        wire
    }

    /// Sends bytes as they are. The server may have closed the connection; what it answers tells.
    pub async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Sends a message with a right length.
    pub async fn send(&mut self, tag: u8, body: &[u8]) {
        let mut message = vec![tag];
        message.extend((body.len() as i32 + 4).to_be_bytes());
        message.extend_from_slice(body);
        self.raw(&message).await;
    }

    /// A simple query.
    pub async fn query(&mut self, sql: &[u8]) {
        self.send(b'Q', &[sql, b"\0"].concat()).await;
    }

    /// The next byte by itself, as the answer to an encryption request is.
    pub async fn byte(&mut self) -> Option<u8> {
        tokio::time::timeout(PATIENCE, self.stream.read_u8())
            .await
            .expect("the server answers or closes")
            .ok()
    }

    /// The next message; `None` when the server has closed the connection.
    pub async fn receive(&mut self) -> Option<Message> {
        tokio::time::timeout(PATIENCE, self.read())
            .await
            .expect("the server answers or closes")
            .ok()
    }

    async fn read(&mut self) -> io::Result<Message> {
        let tag = self.stream.read_u8().await?;
        let length = self.stream.read_i32().await?;
        let mut body = vec![0; usize::try_from(length - 4).map_err(io::Error::other)?];
        self.stream.read_exact(&mut body).await?;
        Ok(Message { tag, body })
    }

    /// Everything up to ReadyForQuery.
    pub async fn until_ready(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let message = self.receive().await.expect("ReadyForQuery before the end");
            if message.tag == b'Z' {
                return messages;
            }
            messages.push(message);
        }
    }

    /// Everything up to the server closing the connection, or ReadyForQuery.
    pub async fn until_closed_or_ready(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.receive().await {
            if message.tag == b'Z' {
                break;
            }
            messages.push(message);
        }
        messages
    }

    /// The SQLSTATE of the first error up to ReadyForQuery.
    pub async fn error_state(&mut self) -> Option<String> {
        let messages = self.until_ready().await;
        messages
            .iter()
            .find(|message| message.tag == b'E')
            .and_then(|error| error.field(b'C'))
    }
}
