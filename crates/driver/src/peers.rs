//! The other servers, as the driver reaches them.

use curia_consensus::{Message, ServerId};

/// Takes messages to other servers. They may be lost, repeated or overtake each other: the protocol bears all of that, but not to wait.
pub trait Peers: Send + Sync + 'static {
    /// Sends a message to the server that it names. Never blocks; what finds no room is dropped.
    fn send(&self, message: Message);

    /// Whether entries for this server have not all left, while later messages without entries may have.
    fn entries_wait(&self, server: ServerId) -> bool;
}

/// Nobody: the peers of a server that is alone and stays so.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPeers;

impl Peers for NoPeers {
    fn send(&self, _: Message) {}

    fn entries_wait(&self, _: ServerId) -> bool {
        false
    }
}
