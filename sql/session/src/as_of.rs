//! AS OF SYSTEM TIME: reading a state of the past, on any server that has it.
//!
//! A commit sequence number is a state as it stands. A time is the newest CSN whose commit timestamp is at or before it, which must be the
//! same whoever asks and whenever: so it is only answered once nothing can commit with such a timestamp any more.
//!
//! ```text
//!   timestamps of commits    .. 9:59:58 │ 10:00:01 ..        as of 10:00:00: what is left of the line
//!   as of a time after the last commit                       is everything applied here? the consul says; may one be under way? wait SETTLED
//! ```
//!
//! Commit timestamps are of the consul's clock and never go back; "now" is this server's.

use crate::context::{EPOCH_MICROS, now_micros};
use crate::output::{Output, Stop};
use crate::session::Session;
use curia_consensus::ReadLevel as Wanted;
use curia_consensus::ids::{Csn, Timestamp};
use curia_parse::Statement;
use curia_parse::ast::AsOf;
use curia_txn::snapshot_too_old;
use curia_types::{IoContext, Result, SqlError, SqlState, datetime};
use std::time::Duration;

/// A consul resolves what it has given a timestamp within this time, or is consul no longer.
const SETTLED: Duration = Duration::from_secs(1);

/// Which statements beside queries may carry the clause.
pub(crate) fn takes_as_of(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Begin { .. } | Statement::SetTransaction { session: false, .. } | Statement::Explain(_) | Statement::Prepare(_)
    )
}

impl Session {
    /// BEGIN or SET TRANSACTION with the clause: all of the transaction reads that state.
    pub(crate) async fn stand_block_as_of<O: Output>(&mut self, as_of: &AsOf, out: &mut O) -> Result<(), Stop> {
        self.require_block("SET TRANSACTION AS OF SYSTEM TIME")?;
        let csn = self.csn_as_of(as_of, out).await?;
        Ok(self.transaction()?.stand_at(csn)?)
    }

    /// A statement with the clause: its own transaction reads that state.
    pub(crate) async fn stand_as_of<O: Output>(&mut self, as_of: &AsOf, out: &mut O) -> Result<(), Stop> {
        if self.block.is_explicit() || self.in_string || self.block.tx.is_some() {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "a statement AS OF SYSTEM TIME cannot run inside a transaction block",
            )
            .hint("BEGIN AS OF SYSTEM TIME sets the time of a whole block.")
            .into());
        }
        let csn = self.csn_as_of(as_of, out).await?;
        Ok(self.transaction()?.stand_at(csn)?)
    }

    async fn csn_as_of<O: Output>(&mut self, as_of: &AsOf, out: &mut O) -> Result<Csn, Stop> {
        let text = match as_of {
            AsOf::Csn(csn) => return self.applied_csn(Csn(*csn), out).await,
            AsOf::Time(text) => text.trim(),
        };
        if let Ok(csn) = text.parse() {
            return self.applied_csn(Csn(csn), out).await;
        }
        let time = point_in_time(text, &self.io())?;
        let replication = self.shared.database.replication().clone();
        let state = replication.state().clone();
        let last = || state.applied_csn().map(|(_, last)| last).map_err(SqlError::from);
        if last()? <= time {
            // Nobody knows yet that nothing else belongs to it.
            let settled = i64::try_from(time.0).unwrap_or(i64::MAX) - EPOCH_MICROS + SETTLED.as_micros() as i64;
            let wait = Duration::from_micros(u64::try_from(settled - now_micros()).unwrap_or(0));
            let known = async {
                tokio::time::sleep(wait).await;
                // On the consul too: what is resolved may not be applied yet.
                replication.reach(Wanted::Strict).await
            };
            self.waits.run(out, known).await?;
        }
        match state.csn_at(time).map_err(SqlError::from)? {
            // A commit's timestamp may be there before it is to be read.
            Some(csn) => Ok(csn.min(replication.applied())),
            None => Err(snapshot_too_old(self.shared.database.horizon()).into()),
        }
    }

    /// A CSN that a follower may still be waiting for; on the consul there is nothing newer than what is applied.
    async fn applied_csn<O: Output>(&mut self, csn: Csn, out: &mut O) -> Result<Csn, Stop> {
        if !self.shared.database.serves() {
            self.reach_csn(csn, out).await?;
        }
        Ok(csn)
    }
}

/// A timestamp, or one that lies so far back from now.
fn point_in_time(text: &str, io: &IoContext) -> Result<Timestamp> {
    let now = now_micros();
    let time = match text.strip_prefix('-') {
        Some(_) => datetime::timestamptz_add(now, datetime::parse_interval(text, -1, io)?, &io.zone)?,
        None => datetime::parse_timestamptz(text, io)?,
    };
    if time > now {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "AS OF SYSTEM TIME cannot be in the future",
        ));
    }
    u64::try_from(time.saturating_add(EPOCH_MICROS))
        .map(Timestamp)
        .map_err(|_| SqlError::new(SqlState::new("72000"), "snapshot too old").detail("There was no database before 1970."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_timestamps_or_lead_back_from_now() {
        let io = IoContext::default();
        let micros = point_in_time("2024-01-01 00:00:00+00", &io).unwrap().0;
        assert_eq!(micros, 1_704_067_200_000_000);
        let now = (now_micros() + EPOCH_MICROS) as u64;
        let earlier = point_in_time("-10s", &io).unwrap().0;
        assert!((9_000_000..12_000_000).contains(&(now - earlier)), "{earlier} and {now}");
        assert_eq!(
            point_in_time("2999-01-01", &io).unwrap_err().code(),
            SqlState::INVALID_PARAMETER_VALUE
        );
        assert_eq!(point_in_time("soon", &io).unwrap_err().code(), SqlState::INVALID_DATETIME_FORMAT);
        assert!(point_in_time("-infinity", &io).is_err());
    }
}
