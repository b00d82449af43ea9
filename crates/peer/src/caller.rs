//! Requests: a connection of its own, one request, one answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use curia_consensus::Incarnation;
use tokio::time::timeout;

use crate::book::Address;
use crate::connection::{self, ConnectionError, FrameReader};
use crate::frame::{self, Kind, Whole};
use crate::handshake::{Hello, Purpose, RefusalCode};
use crate::tls::PeerTls;

/// Longest request or answer.
pub(crate) const REQUEST_BYTES_MAX: usize = 16 << 20;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {why}")]
pub struct CallError {
    /// Who was asked.
    pub address: Address,
    /// What went wrong.
    pub why: String,
    /// The reason, when it was refused in the handshake.
    pub refused: Option<RefusalCode>,
    /// Whether the other side may have seen the request.
    pub asked: bool,
}

impl Hello {
    /// Of a program that is no server.
    pub fn of_tool() -> Hello {
        Hello {
            purpose: Purpose::Requests,
            feature_level: 0,
            cluster: None,
            server: None,
            incarnation: Incarnation::ZERO,
            whom: None,
            places: None,
        }
    }
}

/// Asks whoever answers at an address.
///
/// # Errors
/// When there is no answer within `patience`, or it was refused.
pub async fn call(address: &Address, tls: Option<&PeerTls>, hello: &Hello, request: &[u8], patience: Duration) -> Result<Bytes, CallError> {
    let mut asked = false;
    let outcome = timeout(patience, ask(address, tls, hello, request, &mut asked)).await;
    outcome.unwrap_or(Err(ConnectionError::Silent)).map_err(|error| CallError {
        address: address.clone(),
        refused: match &error {
            ConnectionError::Refused(refused) => Some(refused.code),
            _ => None,
        },
        why: error.to_string(),
        asked,
    })
}

async fn ask(address: &Address, tls: Option<&PeerTls>, hello: &Hello, request: &[u8], asked: &mut bool) -> Result<Bytes, ConnectionError> {
    let (stream, _) = connection::dial(address, tls, hello).await?;
    let (read, mut write) = tokio::io::split(stream);
    let mut out = BytesMut::new();
    frame::encode_whole(Kind::Request, request, &mut out);
    *asked = true;
    connection::write(&mut write, &mut out).await?;
    let (mut frames, mut whole) = (FrameReader::new(read), Whole::default());
    loop {
        let frame = frames.next(Duration::MAX).await?; // the caller's patience bounds it
        if frame.kind != Kind::Response {
            return Err(ConnectionError::Nonsense("it answers a request with something else".into()));
        }
        if let Some(answer) = whole.take(frame.body, frame.last, REQUEST_BYTES_MAX)? {
            return Ok(answer);
        }
    }
}
