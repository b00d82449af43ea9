//! Consular Raft: one elected server, the consul, leads a senate and every worker group beside it, so that a transaction
//! over many replicated logs commits in one round trip with no distributed commit protocol.
//!
//! The crate is the protocol and nothing else: no files, sockets, threads, clocks or ambient randomness. A [`Node`] is
//! one server. Its driver
//!
//! 1. restores it from disk with [`Restore`];
//! 2. feeds it events: [`Node::tick`] with the time, [`Node::propose`] with transactions, [`Node::persisted`] when a batch
//!    is on disk, [`Node::applied`] when the state has caught up, [`Node::step`] with messages of other servers;
//! 3. after events takes [`Output`]s until they are empty, and does what they say: write and sync the
//!    [`Persist`] batches in the order of their numbers, send the messages, apply the fragments in the order given.
//!
//! Writing, sending and applying may go on while further events are fed: the node holds back whatever depends on a batch
//! that was not reported durable.
//!
//! ```text
//!             tick   step   propose   persisted   applied
//!               │      │       │          │          │
//!   ┌───────────▼───────▼──────────▼──────────▼────────────┐
//!   │ Node                                                  │
//!   │   senate/   Senator: term, vote, log ── elects ──┐    │
//!   │   election, inauguration ◄───────────────────────┘    │
//!   │   worker/   Worker per group: log, position, cut      │
//!   │   commit/   Sequencer: CSNs, resolved, handed         │
//!   │   persistence: what waits for which batch             │
//!   └───────────────────────────┬───────────────────────────┘
//!                               ▼
//!          Output { persist, messages, apply, applied, office }
//! ```
//!
//! # What is promised
//!
//! * CSNs are gap-free: a consul that serves from cut N gives N + 1, N + 2, and so on; fragments are handed out in exactly
//!   that order, across restarts too.
//! * A transaction that was handed out is never lost and never changes; one that was not is, after a restart, either wholly
//!   there or never happened, and which of the two is decided once.
//! * A term is never led twice: every start goes through an election at a higher term, whose vote is on disk before it
//!   counts. A server that is alone in its cluster is no special case; it only needs to ask nobody.
//!
//! # What a driver must know of snapshots
//!
//! A group's snapshot is copied by who lacks it, piece by piece: [`Output::snapshot_reads`] asks for the pieces on one side,
//! [`Output::installs`] hands them over on the other. A snapshot is one of the state as it is when its first piece is read,
//! with [`AppliedState::position`] as its base, and is kept until another one begins for the same server: who lacks several
//! groups copies one after the other. One that nothing was read of for a while may go too, as its reader may be gone for
//! good; [`Missing`] then lets it begin anew. The whole replaces the group's state and position at once and durably, before
//! [`Node::installed`]; until the other groups have caught up with it there are no reads.
//!
//! Broken internal invariants panic, so that the damage doesn't spread. Input never does: it is refused with a reason.

mod adoption;
mod arrivals;
mod check_quorum;
mod codec;
mod commit;
mod election;
mod feeding;
#[cfg(feature = "fingerprint")]
mod fingerprint;
mod following;
pub mod ids;
mod inauguration;
mod log;
mod log_read;
mod membership;
mod mending;
mod message;
mod mutation;
mod node;
mod output;
mod persistence;
mod progress;
mod propose;
mod quorum;
mod random;
mod reads;
pub mod record;
mod refusals;
mod replication;
mod restore;
mod senate;
mod senate_copy;
mod slots;
mod snapshot;
mod status;
mod step;
mod transfer;
mod truncation;
mod wire;
mod worker;

pub use codec::{
    DecodeError, ENTRY_HEADER_BYTES, decode_base, decode_entry, decode_hard_state, encode_base, encode_entry, encode_hard_state,
};
pub use ids::{ClusterId, Csn, GroupId, Incarnation, Index, Key, LogId, Participant, PersistSeq, ServerId, Tail, Term, Timestamp};
pub use log::{Base, Log, TermStartAt};
pub use message::{Append, AppendReply, Body, Donated, Freshness, Matched, Message, Refusal, Section};
#[cfg(feature = "mutations")]
pub use mutation::Mutation;
pub use node::{Config, HardState, Node};
pub use output::{
    AppliedTo, Apply, InstallChunk, LogRead, Missing, Office, Output, Persist, ReadError, ReadReady, SnapshotPiece, SnapshotRead, Write,
};
pub use propose::{PAYLOAD_BYTES_MAX, Part, ProposeError};
pub use quorum::Members;
pub use reads::ReadLevel;
pub use record::{Entry, Fragment, Participants, Payload, Record, Stages, TermStart};
pub use refusals::Refusals;
pub use restore::{AppliedState, Restore, RestoreError};
pub use senate::{Change, Configuration, ReconfigureError, Recovered, Roles, Target, Vote};
pub use status::{Accession, GroupStatus, SenateStatus};
pub use transfer::TransferError;
pub use truncation::Checkpoint;
pub use wire::{NotHeld, decode_message, encode_message};
pub use worker::cut;
