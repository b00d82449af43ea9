//! A session goes on at another consul: what it tells of itself while it is passed on, and how it is opened again.
//!
//! The server at whose door the client is keeps what it heard last as [`Carried`]. A session tells before ReadyForQuery, and only what is
//! new; parameters, channels and sequence values outside of transactions only, since a rollback takes them back.

use crate::backends::Interrupt;
use crate::carried::{Carried, CarriedStatement, Part, list, put};
use crate::identity::{assume, is_identity};
use crate::notifications::Action;
use crate::planning::Prepared;
use crate::remote::Quiet;
use crate::session::Session;
use crate::sessions::{Login, Sessions};
use crate::settings::Scope;
use curia_consensus::ids::Csn;
use curia_parse::Statement;
use curia_types::{PgType, Result};
use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::Arc;

/// A session with a prepared statement whose text is longer stays where it is: it would be sent twice.
const STATEMENT_BYTES_MAX: usize = 1 << 20;
/// So does one with more text in all of them.
const STATEMENTS_BYTES_MAX: usize = 16 << 20;

/// Prepared statements by name, the unnamed one is "". Knows which changed since somebody was told.
#[derive(Default)]
pub(crate) struct Statements {
    all: HashMap<String, Arc<Prepared>>,
    /// Only while somebody is told.
    changed: Option<BTreeSet<String>>,
    bytes: usize,
}

impl Deref for Statements {
    type Target = HashMap<String, Arc<Prepared>>;
    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl Statements {
    pub(crate) fn insert(&mut self, name: String, statement: Arc<Prepared>) {
        self.remove(&name);
        self.bytes += statement.sql.len();
        self.note(&name);
        self.all.insert(name, statement);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(gone) = self.all.remove(name) {
            self.bytes -= gone.sql.len();
            self.note(name);
        }
    }

    pub(crate) fn clear(&mut self) {
        if let Some(changed) = &mut self.changed {
            changed.extend(self.all.keys().cloned());
        }
        self.all.clear();
        self.bytes = 0;
    }

    fn note(&mut self, name: &str) {
        if let Some(changed) = &mut self.changed {
            changed.insert(name.to_owned());
        }
    }

    fn too_long(&self) -> bool {
        self.bytes > STATEMENT_BYTES_MAX
            && (self.bytes > STATEMENTS_BYTES_MAX || self.all.values().any(|s| s.sql.len() > STATEMENT_BYTES_MAX))
    }
}

impl CarriedStatement {
    fn of(statement: &Prepared) -> CarriedStatement {
        CarriedStatement {
            sql: statement.sql.clone(),
            from_sql: statement.from_sql,
            prepared_at: statement.prepared_at,
            types: statement.params.iter().map(|t| t.oid).collect(),
        }
    }
}

impl Session {
    /// What the session takes along. To be asked outside of transactions.
    pub fn carried(&self) -> Carried {
        let (drawn, last_drawn) = self.shared.slot.drawn();
        Carried {
            settings: self.shared.settings.lock().carried(),
            statements: self
                .statements
                .iter()
                .map(|(name, s)| (name.clone(), CarriedStatement::of(s)))
                .collect(),
            channels: self.shared.backends.channels(self.shared.process).into_iter().collect(),
            drawn,
            last_drawn,
            stays: self.stays(),
            seen: self.last_csn(),
        }
    }

    /// The client has committed or read at this CSN elsewhere.
    pub fn saw(&self, csn: u64) {
        self.shared.saw(Csn(csn));
    }

    /// Why the session can't go on elsewhere.
    pub fn stays(&self) -> Option<String> {
        let why = if self.has_temporary {
            "it has used temporary tables"
        } else if self.portals.values().any(|p| p.cursor.as_ref().is_some_and(|c| c.held)) {
            "it has a cursor WITH HOLD"
        } else if self.shared.slot.holds_advisory() {
            "it holds advisory locks"
        } else if self.statements.too_long() {
            "its prepared statements are too long"
        } else {
            return None;
        };
        Some(why.to_owned())
    }

    /// From now on the session is passed on, and [`Session::news`] has something to tell.
    pub fn pass_on(&mut self) {
        self.statements.changed = Some(BTreeSet::new());
        self.told_carried = Some(Box::new(self.carried()));
        self.know_reported();
    }

    /// Whether the session's client is at another server's door.
    pub fn is_passed_on(&self) -> bool {
        self.told_carried.is_some()
    }

    /// What is new of what the session takes along, as a list of [`Carried`]; `None` when nothing is.
    pub fn news(&mut self) -> Option<Vec<u8>> {
        let told = self.told_carried.as_mut()?;
        let mut news = list();
        if let Some(changed) = self.statements.changed.as_mut().filter(|changed| !changed.is_empty()) {
            for name in std::mem::take(changed) {
                match self.statements.get(&name) {
                    // The session stays then.
                    Some(long) if long.sql.len() > STATEMENT_BYTES_MAX => {}
                    Some(statement) => put(&mut news, &Part::Statement(&name, &CarriedStatement::of(statement))),
                    None => put(&mut news, &Part::NoStatement(&name)),
                }
            }
        }
        let generation = self.shared.settings.lock().generation();
        let outside = self.block.state == crate::block::State::Idle;
        if outside && generation != self.told_carried_at {
            self.told_carried_at = generation;
            let settings = self.shared.settings.lock().carried();
            if settings != told.settings {
                told.settings = settings;
                put(&mut news, &Part::Settings(&told.settings));
            }
        }
        if outside && self.listening_changed {
            self.listening_changed = false;
            told.channels = self.shared.backends.channels(self.shared.process).into_iter().collect();
            put(&mut news, &Part::Channels(&told.channels));
        }
        let drawn = self.shared.slot.drawn();
        if drawn.0 != told.drawn || drawn.1 != told.last_drawn {
            (told.drawn, told.last_drawn) = drawn;
            put(&mut news, &Part::Drawn(&told.drawn, told.last_drawn));
        }
        let stays = self.stays();
        if let Some(told) = self.told_carried.as_mut().filter(|told| told.stays != stays) {
            told.stays = stays;
            put(&mut news, &Part::Stays(told.stays.as_deref()));
        }
        (news.len() > list().len()).then_some(news)
    }

    async fn take_up(&mut self, carried: &Carried) -> Result<()> {
        let catalog = self.shared.database.catalog();
        let identity = |name: &str| carried.settings.get(name).map(String::as_str);
        for parameter in ["session_authorization", "role"] {
            if let Some(name) = identity(parameter) {
                assume(&self.shared, &catalog, parameter, Some(name), Scope::Session)?;
            }
        }
        {
            let mut settings = self.shared.settings.lock();
            settings.commit();
            settings.take_up(carried.settings.iter().filter(|(name, _)| !is_identity(name)));
        }
        self.saw(carried.seen);
        self.shared.slot.restore_drawn(carried.drawn.clone(), carried.last_drawn);
        let listens = carried.channels.iter().cloned().map(Action::Listen).collect();
        self.shared.backends.act(self.shared.process, listens);
        self.refresh_environment(&catalog);
        for (name, statement) in &carried.statements {
            if let Some(prepared) = self.prepare_again(name, statement).await {
                self.statements.insert(name.clone(), Arc::new(prepared));
            }
        }
        // Planning may have begun a transaction.
        self.rollback();
        self.know_reported();
        Ok(())
    }

    /// A prepared statement from its text. One that can't be planned any more says so when it is executed, as any that was prepared before
    /// its table was dropped.
    async fn prepare_again(&mut self, name: &str, carried: &CarriedStatement) -> Option<Prepared> {
        let mut parsed = curia_parse::parse(&carried.sql).ok()?;
        let parsed = if carried.from_sql {
            let mut named = parsed.into_iter().filter_map(|parsed| match &parsed.statement {
                Statement::Prepare(p) if p.name.name == name => Some(curia_parse::Parsed {
                    statement: p.statement.clone(),
                    span: p.span.clone(),
                    depth: parsed.depth,
                    truncated: Vec::new(),
                    as_of: parsed.as_of.clone(),
                }),
                _ => None,
            });
            Some(named.next()?)
        } else {
            parsed.pop()
        };
        let parsed = parsed.map(Arc::new);
        let mut prepared = match self
            .prepare(carried.sql.clone(), parsed.clone(), &carried.types, &mut Quiet::default())
            .await
        {
            Ok(prepared) => prepared,
            Err(_) => Prepared {
                declared: Some(carried.types.clone()),
                params: carried.types.iter().map(|oid| PgType { oid: *oid, typmod: -1 }).collect(),
                ..Prepared::transient(&carried.sql, parsed?)
            },
        };
        prepared.from_sql = carried.from_sql;
        prepared.prepared_at = carried.prepared_at;
        Some(prepared)
    }
}

impl Sessions {
    /// Opens a session again that was open at another consul.
    ///
    /// # Errors
    /// As [`Sessions::open`]; 22023 and 42501 when the role that it had assumed is gone, or is not its own any more.
    pub async fn resume(self: &Arc<Self>, login: Login, carried: &Carried) -> Result<Session> {
        let mut session = self.open(login)?;
        if *carried != Carried::default() {
            session.take_up(carried).await?;
        }
        Ok(session)
    }

    /// Opens a session beside one at the consul, for its reads.
    ///
    /// # Errors
    /// As [`Sessions::open_local`] and [`Sessions::resume`].
    pub async fn read_beside(self: &Arc<Self>, login: Login, carried: &Carried) -> Result<Session> {
        let mut session = self.open_local(login)?;
        let carried = Carried {
            channels: BTreeSet::new(), // heard by the session at the consul
            ..carried.clone()
        };
        session.take_up(&carried).await?;
        Ok(session)
    }
}

/// 40001 for statements of a transaction that has outlived its consul's time in office.
pub(crate) fn refuse_while_moving(interrupt: &Interrupt, statement: Option<&Statement>) -> Result<()> {
    match statement {
        // A transaction that wrote nothing may commit; one that wrote hears from its commit that it can't.
        None | Some(Statement::Commit { .. } | Statement::Rollback { .. } | Statement::RollbackTo(_)) => Ok(()),
        Some(_) if interrupt.moves() => Err(crate::backends::consul_changed()),
        Some(_) => Ok(()),
    }
}
