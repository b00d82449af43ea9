//! The extended protocol: Parse, Bind, Describe, Execute, Close, Sync.

use crate::activity::Query;
use crate::block::State;
use crate::context::now_micros;
use crate::output::{Field, Format, Output, Stop};
use crate::planning::Prepared;
use crate::portal::{Portal, Progress};
use crate::session::Session;
use curia_parse::{Parsed, Statement};
use curia_types::{Datum, PgType, Result, SqlError, SqlState, binary_io, text_io, type_info};
use parking_lot::Mutex;
use std::sync::Arc;

/// Most prepared statements of one session.
const STATEMENT_LIMIT: usize = 10_000;
/// Most portals of one session.
const PORTAL_LIMIT: usize = 10_000;

impl Session {
    /// Parse: makes a prepared statement, replacing the unnamed one.
    ///
    /// # Errors
    /// 42601 and the binder's; 42P05 for a name in use.
    pub async fn parse<O: Output>(&mut self, name: &str, sql: &str, types: &[u32], out: &mut O) -> Result<(), Stop> {
        self.start_command();
        self.note_query(Query::Said(sql));
        self.in_string = false;
        if name.is_empty() {
            self.statements.remove("");
        } else if self.statements.contains_key(name) {
            return Err(duplicate(name).into());
        } else if self.statements.len() >= STATEMENT_LIMIT {
            return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many prepared statements").into());
        }
        let mut statements = curia_parse::parse(sql)?;
        if statements.len() > 1 {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "cannot insert multiple commands into a prepared statement").into());
        }
        let parsed = statements.pop();
        if let Some(parsed) = &parsed {
            self.notify_truncated(parsed, out);
        }
        self.refuse_when_failed(parsed.as_ref().map(|p| &p.statement))?;
        let prepared = self.prepare(Arc::from(sql), parsed.map(Arc::new), types, out).await?;
        self.statements.insert(name.to_owned(), Arc::new(prepared));
        out.parse_complete();
        Ok(())
    }

    /// Makes a prepared statement: binds and plans it, so that its errors come now.
    pub(crate) async fn prepare<O: Output>(
        &mut self,
        sql: Arc<str>,
        parsed: Option<Arc<Parsed>>,
        types: &[u32],
        out: &mut O,
    ) -> Result<Prepared, Stop> {
        let mut prepared = Prepared {
            sql,
            parsed,
            declared: Some(types.to_vec()),
            params: Vec::new(),
            fields: None,
            prepared_at: 0,
            from_sql: false,
            row_keys: false,
            planned: Mutex::new(None),
        };
        match prepared.statement() {
            Some(s) if s.is_bindable() => {
                if self.shared.local {
                    self.take_ground(out).await?; // with the tables that its session knows of
                }
                let catalog = match &mut self.block.tx {
                    Some(tx) => tx.catalog(),
                    None => self.shared.database.catalog(),
                };
                let planned = self.plan_prepared(&prepared, &catalog, out).await?;
                prepared.params.clone_from(&planned.params);
                prepared.fields.clone_from(&planned.fields);
            }
            Some(s) => {
                let statement = s.clone();
                prepared.fields = self.utility_fields(&statement)?;
                prepared.params = match (&statement, &prepared.parsed) {
                    // The parameters of a cursor are those of its query.
                    (Statement::Declare(d), Some(parsed)) => {
                        let mut parsed = Parsed::clone(parsed);
                        parsed.statement = Statement::Query(d.query.clone());
                        let mut query = Prepared::transient(&prepared.sql, Arc::new(parsed));
                        query.declared = Some(types.to_vec());
                        let catalog = match &mut self.block.tx {
                            Some(tx) => tx.catalog(),
                            None => self.shared.database.catalog(),
                        };
                        self.plan_prepared(&query, &catalog, out).await?.params.clone()
                    }
                    _ => types.iter().map(|t| PgType { oid: *t, typmod: -1 }).collect(),
                };
            }
            None => {}
        }
        prepared.prepared_at = now_micros();
        Ok(prepared)
    }

    /// A prepared statement by name.
    pub(crate) fn statement(&self, name: &str) -> Result<&Arc<Prepared>> {
        self.statements.get(name).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_SQL_STATEMENT_NAME,
                if name.is_empty() {
                    "unnamed prepared statement does not exist".to_owned()
                } else {
                    format!("prepared statement \"{name}\" does not exist")
                },
            )
        })
    }

    /// Bind: makes a portal, replacing the unnamed one.
    ///
    /// # Errors
    /// 26000, 08P01 on wrong counts, 22P02 and others of values that don't read; 42P03 for a name in use.
    pub async fn bind<O: Output>(
        &mut self,
        portal: &str,
        statement: &str,
        parameter_formats: &[Format],
        parameters: &[Option<&[u8]>],
        result_formats: &[Format],
        out: &mut O,
    ) -> Result<(), Stop> {
        let prepared = self.statement(statement)?.clone();
        self.refuse_when_failed(prepared.statement())?;
        if parameters.len() != prepared.params.len() {
            return Err(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {}",
                    parameters.len(),
                    prepared.params.len()
                ),
            )
            .into());
        }
        if self.block.state == State::Idle || self.block.tx.is_none() {
            // now() of a portal is that of the message that began its transaction.
            self.start_command();
        }
        let params = self.read_parameters(&prepared.params, parameter_formats, parameters)?;
        let columns = prepared.fields.as_ref().map_or(0, |f| f.len());
        if result_formats.len() > 1 && result_formats.len() != columns {
            return Err(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "bind message has {} result formats but query has {columns} columns",
                    result_formats.len()
                ),
            )
            .into());
        }
        let opened_at = self.statement_start;
        self.open_portal(
            portal,
            Portal {
                statement: prepared,
                params,
                formats: result_formats.to_vec(),
                progress: Progress::Ready,
                cursor: None,
                opened_at,
                savepoints: self.block.savepoints(),
            },
        )?;
        out.bind_complete();
        Ok(())
    }

    fn read_parameters(&self, types: &[PgType], formats: &[Format], values: &[Option<&[u8]>]) -> Result<Arc<[Datum]>> {
        if values.is_empty() {
            return Ok(Arc::from([]));
        }
        // Copied only when a value needs it.
        let mut io = None;
        values
            .iter()
            .zip(types)
            .enumerate()
            .map(|(i, (value, ty))| {
                let Some(bytes) = value else {
                    if type_info::is_domain(ty.oid) {
                        io.get_or_insert_with(|| self.io()).check_domain(ty.oid, &Datum::Null)?;
                    }
                    return Ok(Datum::Null);
                };
                let format = if formats.len() == 1 {
                    formats[0]
                } else {
                    formats.get(i).copied().unwrap_or_default()
                };
                match format {
                    Format::Binary if type_info::user::kind(ty.oid).is_none() => binary_io::decode(*ty, bytes),
                    Format::Binary => binary_io::receive(*ty, bytes, io.get_or_insert_with(|| self.io())),
                    Format::Text => {
                        let io = io.get_or_insert_with(|| self.io());
                        text_io::parse(*ty, binary_io::check_text(bytes)?, io)
                    }
                }
            })
            .collect()
    }

    /// Puts a portal under a name.
    pub(crate) fn open_portal(&mut self, name: &str, portal: Portal) -> Result<()> {
        if !name.is_empty() && self.portals.contains_key(name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{name}\" already exists"),
            ));
        }
        if self.portals.len() >= PORTAL_LIMIT {
            return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many portals"));
        }
        match self.portals.get_mut(name) {
            Some(place) => *place = portal,
            None => {
                self.portals.insert(name.to_owned(), portal);
            }
        }
        Ok(())
    }

    /// Describe of a statement.
    ///
    /// # Errors
    /// 26000.
    pub async fn describe_statement<O: Output>(&mut self, name: &str, out: &mut O) -> Result<(), Stop> {
        let prepared = self.statement(name)?.clone();
        self.refuse_rows_when_failed(&prepared)?;
        // A table may have changed since: the client must learn it here rather than from the rows.
        if prepared.statement().is_some_and(Statement::is_bindable) {
            let catalog = match &mut self.block.tx {
                Some(tx) => tx.catalog(),
                None => self.shared.database.catalog(),
            };
            self.plan_prepared(&prepared, &catalog, out).await?;
        }
        let types: Vec<u32> = prepared.params.iter().map(|t| t.oid).collect();
        out.parameter_description(&types);
        describe(prepared.fields.as_deref(), &[], out);
        Ok(())
    }

    /// Describe of a portal.
    ///
    /// # Errors
    /// 34000.
    pub async fn describe_portal<O: Output>(&mut self, name: &str, out: &mut O) -> Result<(), Stop> {
        let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
        self.refuse_rows_when_failed(&portal.statement)?;
        describe(portal.statement.fields.as_deref(), &portal.formats, out);
        Ok(())
    }

    fn refuse_rows_when_failed(&self, prepared: &Prepared) -> Result<()> {
        if prepared.fields.is_some() {
            self.refuse_when_failed(prepared.statement())
        } else {
            Ok(())
        }
    }

    /// An Execute comes next, and after it at once a Sync or not.
    pub fn expect_sync(&mut self, follows: bool) {
        self.commits_next = follows;
    }

    /// Execute: runs a portal, or goes on with it; at most `max_rows` rows (0: all).
    ///
    /// # Errors
    /// 34000 and whatever the statement fails with.
    pub async fn execute<O: Output>(&mut self, name: &str, max_rows: u32, out: &mut O) -> Result<(), Stop> {
        // Taken out while it runs: a failure drops it.
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        let Some(statement) = portal.statement.statement() else {
            out.empty_query();
            self.portals.insert(name.to_owned(), portal);
            return Ok(());
        };
        self.refuse_when_failed(Some(statement))?;
        let ends_transaction = matches!(
            statement,
            Statement::Commit { .. } | Statement::Rollback { .. } | Statement::RollbackTo(_)
        );
        if matches!(portal.progress, Progress::Ready) {
            if self.block.tx.is_some() {
                // A statement timeout counts from each Execute.
                self.start_command();
            }
            let prepared = portal.statement.clone();
            self.note_query(Query::Prepared(&prepared.sql));
            let ran = self.run(&prepared, portal.params.clone(), out).await?;
            portal.progress = match (ran.rows, ran.fields) {
                (Some(rows), Some(fields)) => Progress::Open {
                    rows,
                    fields,
                    tag: ran.tag,
                },
                _ => {
                    self.notify_all(out);
                    out.command_complete(&ran.tag.text(0));
                    if out.is_full() {
                        self.settle_answer().await?;
                    }
                    Progress::Done(ran.tag)
                }
            };
            if matches!(portal.progress, Progress::Done(_)) {
                if !ends_transaction && !name.is_empty() {
                    self.portals.insert(name.to_owned(), portal);
                }
                return Ok(());
            }
        }
        match &mut portal.progress {
            Progress::Ready => {}
            Progress::Open { rows, fields, tag } => {
                let fields = fields.clone();
                let moved = self
                    .move_rows(rows, &fields, &portal.formats, u64::from(max_rows), true, out)
                    .await?;
                self.notify_all(out);
                if moved.limited {
                    out.portal_suspended();
                } else {
                    out.command_complete(&tag.text(moved.sent));
                    portal.progress = Progress::Done(tag.clone());
                }
                if out.is_full() {
                    self.settle_answer().await?;
                }
            }
            // A finished portal has no more rows; one without rows cannot run twice.
            Progress::Done(tag) if portal.statement.fields.is_some() => out.command_complete(&tag.text(0)),
            Progress::Done(_) | Progress::Failed => {
                return Err(SqlError::new(
                    SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("portal \"{name}\" cannot be run"),
                )
                .into());
            }
        }
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    /// Close of a statement; closing what isn't there is no error.
    pub fn close_statement(&mut self, name: &str, out: &mut impl Output) {
        self.statements.remove(name);
        out.close_complete();
    }

    /// Close of a portal; closing what isn't there is no error.
    pub fn close_portal(&mut self, name: &str, out: &mut impl Output) {
        self.portals.remove(name);
        out.close_complete();
    }

    /// Sync: the end of a pipeline commits its implicit transaction.
    ///
    /// # Errors
    /// The commit's.
    pub async fn sync<O: Output>(&mut self, out: &mut O) -> Result<(), Stop> {
        if !self.block.is_explicit() {
            self.commit().await?;
            self.notify_all(out);
        }
        Ok(())
    }
}

fn describe(fields: Option<&[Field]>, formats: &[Format], out: &mut impl Output) {
    match fields {
        Some(fields) => out.row_description(fields, formats),
        None => out.no_data(),
    }
}

/// 42P05
pub(crate) fn duplicate(name: &str) -> SqlError {
    SqlError::new(
        SqlState::DUPLICATE_PREPARED_STATEMENT,
        format!("prepared statement \"{name}\" already exists"),
    )
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}
