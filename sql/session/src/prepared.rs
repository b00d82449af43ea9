//! PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED, `pg_prepared_xacts`.

use crate::block::State;
use crate::context::{StatementContext, now_micros};
use crate::output::{Output, Stop};
use crate::session::Session;
use curia_catalog::lookup::FIRST_DATABASE;
use curia_consensus::ids::Csn;
use curia_execute::ViewRows;
use curia_parse::ast::TwoPhase;
use curia_txn::{Decision, PreparedTransaction};
use curia_types::{Datum, Result, SqlError, SqlState};

impl Session {
    /// Runs one of the three statements; returns its tag.
    pub(crate) async fn two_phase(&mut self, step: TwoPhase, identifier: &str, out: &mut impl Output) -> Result<&'static str, Stop> {
        let (decision, tag) = match step {
            TwoPhase::Prepare => return self.prepare_transaction(identifier, out).await,
            TwoPhase::Commit => (Decision::Commit, "COMMIT PREPARED"),
            TwoPhase::RollBack => (Decision::RollBack, "ROLLBACK PREPARED"),
        };
        self.refuse_in_block(tag)?;
        let catalog = self.shared.database.catalog();
        self.refresh_environment(&catalog);
        let identity = self.environment.identity.clone();
        let permit = |what: &PreparedTransaction| match identity.superuser || identity.current == what.owner {
            true => Ok(()),
            false => Err(
                SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to finish prepared transaction")
                    .hint("Must be superuser or the user that prepared the transaction."),
            ),
        };
        // Not to be cut short: once it is handed over, only its outcome ends it.
        let csn = self.shared.database.clone().finish_prepared(identifier, decision, permit).await?;
        self.shared.saw(Csn(csn));
        Ok(tag)
    }

    /// PREPARE TRANSACTION ends a block whatever comes of it.
    async fn prepare_transaction(&mut self, identifier: &str, out: &mut impl Output) -> Result<&'static str, Stop> {
        match self.block.state {
            State::Explicit => {}
            State::Failed => {
                self.rollback();
                return Ok("ROLLBACK");
            }
            State::Idle | State::Implicit => {
                self.outside_block(false, "PREPARE TRANSACTION", out)?;
                return Ok("ROLLBACK");
            }
        }
        let prepared = self.prepare_block(identifier).await;
        if prepared.is_err() {
            self.rollback();
        }
        prepared.map(|()| "PREPARE TRANSACTION")
    }

    async fn prepare_block(&mut self, identifier: &str) -> Result<(), Stop> {
        let refuse = |what: &str| {
            Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot PREPARE a transaction that has {what}"),
            ))
        };
        if self.portals.values().any(|p| p.cursor.as_ref().is_some_and(|c| c.hold && !c.held)) {
            refuse("created a cursor WITH HOLD")?;
        }
        if self.shared.notifications.lock().mark() > 0 {
            refuse("executed LISTEN, UNLISTEN, or NOTIFY")?;
        }
        if self.shared.slot.has_exported() {
            refuse("exported snapshots")?;
        }
        if self.block.keyed.is_some() {
            refuse("an idempotency key")?;
        }
        self.drop_portals();
        self.settle_at_commit().await?;
        let catalog = self.shared.database.catalog();
        self.refresh_environment(&catalog);
        let what = PreparedTransaction {
            identifier: identifier.to_owned(),
            txid: 0,
            prepared_at: now_micros(),
            owner: self.environment.identity.current,
            database: FIRST_DATABASE,
        };
        let limit = usize::try_from(self.shared.settings.lock().integer("max_prepared_transactions")).unwrap_or(0);
        self.transaction()?;
        let Some(tx) = self.block.tx.take() else {
            return Err(SqlError::internal("no transaction to prepare").into());
        };
        tx.prepare(what, limit).await?;
        self.block.end();
        self.shared.settings.lock().commit();
        Ok(())
    }
}

impl StatementContext {
    pub(crate) fn prepared_transactions(&self) -> ViewRows {
        let names = &self.catalog;
        let all = self.shared.database.prepared_transactions();
        let row = |what: &PreparedTransaction| {
            vec![
                ("transaction", Datum::Oid(what.txid as u32)), // an xid has 32 bits
                ("gid", Datum::text(&what.identifier)),
                ("prepared", Datum::Timestamptz(what.prepared_at)),
                ("owner", names.roles.get(&what.owner).map_or(Datum::Null, |r| Datum::text(&r.name))),
                (
                    "database",
                    names.databases.get(&what.database).map_or(Datum::Null, |d| Datum::text(&d.name)),
                ),
            ]
        };
        all.iter().map(row).collect()
    }
}
