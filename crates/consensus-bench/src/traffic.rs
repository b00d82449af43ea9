//! How much is said: messages, and about how many bytes they take on a wire.

use curia_consensus::{Append, AppendReply, Body, Donated, Entry, Message};

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Bytes, with every number at its full width.
    pub bytes: u64,
}

impl Traffic {
    /// Counts a message.
    pub fn count(&mut self, message: &Message) {
        self.messages += 1;
        self.bytes += size(message) as u64;
    }
}

const TAIL: usize = 16;
const GROUP_TAIL: usize = 4 + TAIL;

fn size(message: &Message) -> usize {
    let envelope = 6 * 8 + 1;
    envelope
        + match &message.body {
            Body::VoteReply { tails, .. } => 1 + tails.len() * GROUP_TAIL,
            Body::Append(Append { sections, .. }) => {
                let entries = sections.iter().flat_map(|section| &section.entries);
                4 * 8 + 1 + sections.len() * (GROUP_TAIL + 4) + entries.map(entry).sum::<usize>()
            }
            Body::AppendReply(AppendReply { tails, sections, .. }) => {
                3 * 8 + 2 + tails.as_ref().map_or(0, |tails| tails.len() * GROUP_TAIL) + sections.len() * (4 + TAIL + 1)
            }
            Body::Fetched {
                donated: Donated::Entries(entries),
                ..
            } => GROUP_TAIL + entries.iter().map(entry).sum::<usize>(),
            _ => GROUP_TAIL, // of one size, whatever the cluster is
        }
}

fn entry(entry: &Entry) -> usize {
    curia_consensus::ENTRY_HEADER_BYTES + entry.record.payload().map_or(16, |payload| 32 + payload.len())
}
