//! Privileges: who may do what with an object, and who gave them that (`utils/acl.h`).
//!
//! - Here: the data. What is granted on an object is a catalog row of its own, by the object's OID and, for a column, its attnum; an object
//!   without one has what PostgreSQL grants to begin with ([`Kind::initial`]).
//! - [`list`]: what GRANT and REVOKE do to a list.
//! - [`authority`]: what a role may do, by membership, ownership and lists.
//! - [`system`]: roles that every database has, and what is granted on system objects to begin with.

pub mod authority;
pub mod list;
pub mod system;

use crate::object::Oid;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

/// A set of privileges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rights(pub u32);

#[allow(missing_docs)] // SQL's own words
impl Rights {
    pub const NONE: Rights = Rights(0);
    pub const INSERT: Rights = Rights(1);
    pub const SELECT: Rights = Rights(1 << 1);
    pub const UPDATE: Rights = Rights(1 << 2);
    pub const DELETE: Rights = Rights(1 << 3);
    pub const TRUNCATE: Rights = Rights(1 << 4);
    pub const REFERENCES: Rights = Rights(1 << 5);
    pub const TRIGGER: Rights = Rights(1 << 6);
    pub const EXECUTE: Rights = Rights(1 << 7);
    pub const USAGE: Rights = Rights(1 << 8);
    pub const CREATE: Rights = Rights(1 << 9);
    pub const TEMPORARY: Rights = Rights(1 << 10);
    pub const CONNECT: Rights = Rights(1 << 11);
    pub const SET: Rights = Rights(1 << 12);
    pub const ALTER_SYSTEM: Rights = Rights(1 << 13);
}

/// Every privilege in the order of PostgreSQL's bits: its letter in an ACL's text form, its name.
pub const NAMED: [(Rights, char, &str); 14] = [
    (Rights::INSERT, 'a', "INSERT"),
    (Rights::SELECT, 'r', "SELECT"),
    (Rights::UPDATE, 'w', "UPDATE"),
    (Rights::DELETE, 'd', "DELETE"),
    (Rights::TRUNCATE, 'D', "TRUNCATE"),
    (Rights::REFERENCES, 'x', "REFERENCES"),
    (Rights::TRIGGER, 't', "TRIGGER"),
    (Rights::EXECUTE, 'X', "EXECUTE"),
    (Rights::USAGE, 'U', "USAGE"),
    (Rights::CREATE, 'C', "CREATE"),
    (Rights::TEMPORARY, 'T', "TEMPORARY"),
    (Rights::CONNECT, 'c', "CONNECT"),
    (Rights::SET, 's', "SET"),
    (Rights::ALTER_SYSTEM, 'A', "ALTER SYSTEM"),
];

impl Rights {
    /// Whether all of `other` are in it.
    pub fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }
    /// Whether any of `other` is in it.
    pub fn intersects(self, other: Rights) -> bool {
        self.0 & other.0 != 0
    }
    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// Without those of `other`.
    pub fn without(self, other: Rights) -> Rights {
        self & !other
    }
    /// How many there are.
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }
    /// A privilege by its name in upper case; TEMP is TEMPORARY.
    pub fn named(name: &str) -> Option<Rights> {
        if name == "TEMP" {
            return Some(Rights::TEMPORARY);
        }
        NAMED.iter().find(|(_, _, n)| *n == name).map(|(r, ..)| *r)
    }
    /// Each privilege with its name, in the order of PostgreSQL's bits.
    pub fn each(self) -> impl Iterator<Item = (Rights, &'static str)> {
        NAMED
            .iter()
            .filter(move |(r, ..)| self.contains(*r))
            .map(|(r, _, name)| (*r, *name))
    }
}

impl BitOr for Rights {
    type Output = Rights;
    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}
impl BitOrAssign for Rights {
    fn bitor_assign(&mut self, other: Rights) {
        self.0 |= other.0;
    }
}
impl BitAnd for Rights {
    type Output = Rights;
    fn bitand(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}
impl Not for Rights {
    type Output = Rights;
    fn not(self) -> Rights {
        Rights(!self.0)
    }
}

/// Kinds of objects by what can be granted on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // named after the objects
pub enum Kind {
    Column,
    Relation,
    Sequence,
    Database,
    Function,
    Language,
    Schema,
    Tablespace,
    Type,
}

impl Kind {
    /// All that can be granted on it.
    pub fn all(self) -> Rights {
        let r = |list: &[Rights]| list.iter().fold(Rights::NONE, |a, b| a | *b);
        match self {
            Kind::Column => r(&[Rights::INSERT, Rights::SELECT, Rights::UPDATE, Rights::REFERENCES]),
            Kind::Relation => r(&[
                Rights::INSERT,
                Rights::SELECT,
                Rights::UPDATE,
                Rights::DELETE,
                Rights::TRUNCATE,
                Rights::REFERENCES,
                Rights::TRIGGER,
            ]),
            Kind::Sequence => r(&[Rights::USAGE, Rights::SELECT, Rights::UPDATE]),
            Kind::Database => r(&[Rights::CREATE, Rights::TEMPORARY, Rights::CONNECT]),
            Kind::Function => Rights::EXECUTE,
            Kind::Language | Kind::Type => Rights::USAGE,
            Kind::Schema => r(&[Rights::USAGE, Rights::CREATE]),
            Kind::Tablespace => Rights::CREATE,
        }
    }

    /// What everybody has before the first GRANT or REVOKE.
    pub fn public(self) -> Rights {
        match self {
            Kind::Database => Rights::TEMPORARY | Rights::CONNECT,
            Kind::Function => Rights::EXECUTE,
            Kind::Language | Kind::Type => Rights::USAGE,
            _ => Rights::NONE,
        }
    }

    /// The list of an object of `owner` on which nothing was granted or revoked (`acldefault`).
    pub fn initial(self, owner: Oid) -> Vec<AclItem> {
        let mut items = Vec::new();
        if !self.public().is_empty() {
            items.push(AclItem::new(PUBLIC_ROLE, owner, self.public()));
        }
        if self != Kind::Column {
            items.push(AclItem::new(owner, owner, self.all()));
        }
        items
    }

    /// As messages name it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Column => "column",
            Kind::Relation => "relation",
            Kind::Sequence => "sequence",
            Kind::Database => "database",
            Kind::Function => "function",
            Kind::Language => "language",
            Kind::Schema => "schema",
            Kind::Tablespace => "tablespace",
            Kind::Type => "type",
        }
    }

    /// The kind of `acldefault`'s and `pg_default_acl`'s letter.
    pub fn of_letter(letter: char) -> Option<Kind> {
        Some(match letter {
            'c' => Kind::Column,
            'r' => Kind::Relation,
            's' | 'S' => Kind::Sequence,
            'd' => Kind::Database,
            'f' => Kind::Function,
            'l' => Kind::Language,
            'n' => Kind::Schema,
            't' => Kind::Tablespace,
            'T' => Kind::Type,
            _ => return None,
        })
    }

    /// `defaclobjtype`
    pub fn letter(self) -> char {
        match self {
            Kind::Column => 'c',
            Kind::Relation => 'r',
            Kind::Sequence => 'S',
            Kind::Database => 'd',
            Kind::Function => 'f',
            Kind::Language => 'l',
            Kind::Schema => 'n',
            Kind::Tablespace => 't',
            Kind::Type => 'T',
        }
    }
}

/// The grantee that stands for everybody.
pub const PUBLIC_ROLE: Oid = 0;

/// What one role granted to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclItem {
    /// Who has it; [`PUBLIC_ROLE`] for everybody.
    pub grantee: Oid,
    /// Who gave it.
    pub grantor: Oid,
    /// What was given.
    pub rights: Rights,
    /// Which of them may be given on.
    pub options: Rights,
}

impl AclItem {
    /// An item without grant options.
    pub fn new(grantee: Oid, grantor: Oid, rights: Rights) -> AclItem {
        AclItem {
            grantee,
            grantor,
            rights,
            options: Rights::NONE,
        }
    }

    /// As `aclitemout` prints it, with names of roles by `name`.
    pub fn text(&self, name: impl Fn(Oid) -> String) -> String {
        let mut out = String::new();
        if self.grantee != PUBLIC_ROLE {
            put_name(&mut out, &name(self.grantee));
        }
        out.push('=');
        for (right, letter, _) in NAMED {
            if self.rights.contains(right) {
                out.push(letter);
            }
            if self.options.contains(right) {
                out.push('*');
            }
        }
        out.push('/');
        put_name(&mut out, &name(self.grantor));
        out
    }
}

/// A role's name in an ACL's text form (`putid`).
fn put_name(out: &mut String, name: &str) {
    let safe = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if safe {
        out.push_str(name);
    } else {
        // A String takes whatever is written.
        let _ = write!(out, "\"{}\"", name.replace('"', "\"\""));
    }
}

/// What is granted on one object: a catalog row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Privileges {
    /// The object's OID.
    pub object: Oid,
    /// The column's attnum, 0 for the object itself.
    pub attnum: i16,
    /// What is granted.
    pub items: Vec<AclItem>,
}

/// ALTER DEFAULT PRIVILEGES: what is granted on objects that a role will make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefaultPrivileges {
    /// `pg_default_acl.oid`
    pub oid: Oid,
    /// The role that makes objects.
    pub role: Oid,
    /// The schema; 0 for all of them.
    pub schema: Oid,
    /// What kind of objects.
    pub kind: Kind,
    /// Without a schema all that is granted, with one what is granted besides.
    pub items: Vec<AclItem>,
}

/// ALTER ROLE .. SET, ALTER DATABASE .. SET: parameters that sessions start with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartSettings {
    /// The role; 0 for every role.
    pub role: Oid,
    /// The database; 0 for every database.
    pub database: Oid,
    /// Names and values.
    pub settings: Vec<(String, String)>,
}

/// Membership of a role in another, kept with the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The role whose member it is.
    pub role: Oid,
    /// Who granted it.
    pub grantor: Oid,
    /// WITH ADMIN OPTION
    pub admin: bool,
}
