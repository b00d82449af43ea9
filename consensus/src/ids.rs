//! The numbers of the protocol, each a type of its own so that one can't stand for another.
//!
//! All of them are 64 bits (groups and logs 32, keys 128), fixed on disk and on the wire, and start at zero, which always means
//! "none yet": no term has been seen, the log is empty, nothing has committed.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty), $letter:literal) => {
        number! { $(#[$doc])* $name($int), $letter, "{}" }
    };
    ($(#[$doc:meta])* $name:ident($int:ty), $letter:literal, $shown:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $int);

        impl $name {
            /// Nothing yet.
            pub const ZERO: Self = Self(0);

            /// The one after this.
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $shown, self.0)
            }
        }
    };
}

number! {
    /// A term of the senate, and so of every worker group: at most one consul leads it, and never twice.
    Term(u64), "t"
}
number! {
    /// Commit sequence number: gap-free, given by the consul to each transaction that writes; the global commit order.
    Csn(u64), "c"
}
number! {
    /// Position in one log; the first entry is 1.
    Index(u64), "i"
}
number! {
    /// A worker group. Ids are never reused.
    GroupId(u32), "g"
}
number! {
    /// A server of the cluster.
    ServerId(u64), "s"
}
number! {
    /// A number that a server draws at each start; names which run of it asked, voted or acknowledged.
    Incarnation(u64), "n"
}
number! {
    /// Names the cluster, so that servers of two clusters never talk by accident.
    ClusterId(u64), "k", "{:016x}"
}
number! {
    /// Wall-clock microseconds since 1970-01-01 UTC. Commit timestamps grow strictly with the CSN.
    Timestamp(u64), "@"
}
number! {
    /// Names a batch of records to persist; batches become durable in this order.
    PersistSeq(u64), "p"
}

number! {
    /// Idempotency key: names a transaction for its client, so that proposing it again finds it. Drawn at random by the
    /// client; zero is a key like any other.
    Key(u128), "#"
}

impl Index {
    /// The one before this; zero stays zero.
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// One of the logs that a server stores: the senate's, or a worker group's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogId {
    /// The control plane's log.
    Senate,
    /// A worker group's log.
    Group(GroupId),
}

impl LogId {
    /// The form on disk and on the wire: 0 is the senate, group `g` is `g + 1`.
    pub const fn to_u32(self) -> u32 {
        match self {
            LogId::Senate => 0,
            LogId::Group(group) => group.0 + 1,
        }
    }

    /// Reads the form of [`LogId::to_u32`].
    pub const fn from_u32(value: u32) -> Self {
        match value {
            0 => LogId::Senate,
            g => LogId::Group(GroupId(g - 1)),
        }
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogId::Senate => f.write_str("senate"),
            LogId::Group(group) => write!(f, "{group:?}"),
        }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogId::Senate => f.write_str("senate"),
            LogId::Group(group) => write!(f, "group {group}"),
        }
    }
}

/// Where a log ends: the term and index of its last entry. Ordered as Raft compares logs: term first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Tail {
    /// Term of the last entry.
    pub term: Term,
    /// Index of the last entry.
    pub index: Index,
}

/// The place of one fragment: transactions name all of theirs in each of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Participant {
    /// The group whose log holds the fragment.
    pub group: GroupId,
    /// The fragment's index there.
    pub index: Index,
}
