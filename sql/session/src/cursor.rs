//! Cursors: DECLARE, FETCH and MOVE, and where a cursor stands (`portalcmds.c`, `pquery.c`).
//!
//! ```text
//!   place        0        1 .. n       n + 1
//!            before    on a row     behind the
//!           the first                 last
//! ```
//!
//! A cursor that is declared SCROLL or WITH HOLD keeps the rows that it has passed. One that is declared neither, nor NO SCROLL, over a query
//! that PostgreSQL's executor runs backward, keeps the first [`KEPT_ROWS`] as long as it has passed no more; any other one goes forward
//! only. At the end of its transaction a cursor WITH HOLD reads what is left, and lives on without the transaction.

use crate::output::{Field, Output, Stop};
use crate::planning::Prepared;
use crate::portal::{Portal, Progress, Ran, Rows, Tag};
use crate::session::Session;
use curia_bind::CursorRow;
use curia_execute::HeldRows;
use curia_parse::Statement;
use curia_parse::ast::{Declare, Fetch, FetchDirection};
use curia_types::{Datum, Result, SqlError, SqlState};
use std::sync::Arc;

/// Rows that a cursor keeps which nobody declared to go backward.
const KEPT_ROWS: usize = 10_000;

/// What a cursor has besides its rows.
pub(crate) struct CursorState {
    /// As declared: SCROLL, NO SCROLL, or neither.
    pub scroll: Option<bool>,
    /// It may go backward, by its declaration or by its query.
    pub scrollable: bool,
    /// WITH HOLD.
    pub hold: bool,
    /// Its transaction is over.
    pub held: bool,
    /// Rows passed, the current one included; one more behind the last.
    place: u64,
    /// There are no rows behind those that were read.
    exhausted: bool,
    /// The row it stands on, hidden columns included.
    current: Option<Vec<Datum>>,
    /// All rows so far, where it can go back to them.
    kept: Option<HeldRows>,
    /// The tables of the hidden columns behind the visible ones.
    row_keys: Vec<u32>,
}

impl CursorState {
    /// A cursor that went forward over `moved` rows of its source; `current` is the last one, unless the source came to its end.
    pub(crate) fn advanced(&mut self, moved: u64, current: Option<Vec<Datum>>) {
        self.place += moved;
        if current.is_none() && !self.exhausted {
            self.exhausted = true;
            self.place += 1;
        }
        self.current = current;
    }

    /// Keeps rows for as long as they are few.
    fn keeps_few(&self) -> bool {
        self.kept.is_some() && !self.hold && self.scroll.is_none()
    }
}

/// 34000
pub(crate) fn no_cursor(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}

fn forward_only() -> SqlError {
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward")
        .hint("Declare it with SCROLL option to enable backward scan.")
}

/// What a FETCH comes to.
enum Way {
    /// Over rows, without giving them; then on, at most so many (0: all).
    Forward { skip: u64, limit: u64 },
    /// The row it stands on.
    Here,
    /// Anything that leads back.
    Back,
}

impl Session {
    /// DECLARE.
    pub(crate) async fn declare(
        &mut self,
        d: &Declare,
        prepared: &Prepared,
        params: Arc<[Datum]>,
        out: &mut impl Output,
    ) -> Result<(), Stop> {
        let name = &d.name.name;
        if !d.hold {
            self.require_block("DECLARE CURSOR")?;
        }
        for (on, what) in [
            (d.hold, "DECLARE CURSOR WITH HOLD"),
            (d.scroll == Some(true), "DECLARE SCROLL CURSOR"),
        ] {
            if on && let Some(lock) = d.query.locking.first() {
                let detail = if d.hold {
                    "Holdable cursors must be READ ONLY."
                } else {
                    "Scrollable cursors must be READ ONLY."
                };
                let message = format!("{what} ... {} is not supported", lock.strength.clause());
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).detail(detail).into());
            }
        }
        if d.insensitive
            && let Some(lock) = d.query.locking.first()
        {
            let message = format!("DECLARE INSENSITIVE CURSOR ... {} is not valid", lock.strength.clause());
            return Err(SqlError::new(SqlState::INVALID_CURSOR_DEFINITION, message)
                .detail("Insensitive cursors must be READ ONLY.")
                .into());
        }
        if self.portals.contains_key(name) {
            return Err(SqlError::new(SqlState::DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists")).into());
        }
        let parsed = curia_parse::Parsed {
            statement: Statement::Query(d.query.clone()),
            span: d.span.clone(),
            depth: prepared.parsed.as_ref().map_or(1, |p| p.depth),
            truncated: Vec::new(),
            as_of: None,
        };
        let mut inner = Prepared::transient(&prepared.sql, Arc::new(parsed));
        inner.row_keys = true;
        if !prepared.params.is_empty() {
            inner.declared = Some(prepared.params.iter().map(|p| p.oid).collect());
        }
        let ran = self.run_plan(&inner, params, out).await?;
        let (Some(mut rows), Some(fields)) = (ran.rows, ran.fields) else {
            return Err(SqlError::internal("a cursor without rows").into());
        };
        let (row_keys, backward) = inner
            .planned
            .lock()
            .as_ref()
            .map(|p| (p.plan.row_keys().to_vec(), p.plan.goes_backward()))
            .unwrap_or_default();
        let scrollable = d.scroll.unwrap_or(backward);
        if let Rows::Plan(source) = &mut rows {
            source.show(fields.len());
        }
        inner.fields = Some(fields.clone());
        let format = if d.binary { crate::Format::Binary } else { crate::Format::Text };
        let keeps = d.hold || scrollable;
        let state = CursorState {
            scroll: d.scroll,
            scrollable,
            hold: d.hold,
            held: false,
            place: 0,
            exhausted: false,
            current: None,
            kept: keeps.then(|| self.shared.engine.hold_rows()),
            row_keys,
        };
        let portal = Portal {
            statement: Arc::new(inner),
            params: Arc::from([]),
            formats: vec![format],
            progress: Progress::Open {
                rows,
                fields,
                tag: Tag::Sent("FETCH"),
            },
            cursor: Some(Box::new(state)),
            opened_at: self.statement_start,
            savepoints: self.block.savepoints(),
        };
        Ok(self.open_portal(name, portal)?)
    }

    /// FETCH and MOVE.
    pub(crate) async fn fetch<O: Output>(&mut self, f: &Fetch, out: &mut O) -> Result<Ran, Stop> {
        let name = &f.cursor.name;
        self.start_portal(name, out).await?;
        let portal = self.portals.get(name).ok_or_else(|| no_cursor(name))?;
        if matches!(portal.progress, Progress::Failed) {
            let message = format!("portal \"{name}\" cannot be run");
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).into());
        }
        let fields: Arc<[Field]> = portal.statement.fields.clone().unwrap_or_else(|| Arc::from([]));
        let values = match &portal.cursor {
            Some(cursor) if cursor.kept.is_some() && (!cursor.keeps_few() || leads_back(f.direction, cursor.place)) => {
                if !cursor.scrollable && leads_back(f.direction, cursor.place) {
                    return Err(forward_only().into());
                }
                let mut portal = self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
                let found = self.scroll(&mut portal, f.direction, out).await;
                if found.is_err() {
                    portal.progress = Progress::Failed;
                }
                self.portals.insert(name.clone(), portal);
                found?
            }
            cursor => {
                let place = cursor.as_ref().map_or(0, |c| c.place);
                match way(f.direction, place) {
                    Way::Back => return Err(forward_only().into()),
                    Way::Here if !f.is_move && cursor.as_ref().is_some_and(|c| !c.scrollable && c.current.is_some()) => {
                        return Err(forward_only().into());
                    }
                    Way::Here => cursor.iter().filter_map(|c| c.current.clone()).collect(),
                    Way::Forward { skip, limit } => return self.go_on(name, fields, skip, limit, f.is_move, out).await,
                }
            }
        };
        if f.is_move {
            return Ok(Ran {
                rows: None,
                fields: None,
                tag: Tag::Affected("MOVE", values.len() as u64),
            });
        }
        Ok(Ran {
            rows: Some(Rows::Values(values.into_iter())),
            fields: Some(fields),
            tag: Tag::Sent("FETCH"),
        })
    }

    /// Runs a portal that a Bind message made and nothing has run yet.
    async fn start_portal<O: Output>(&mut self, name: &str, out: &mut O) -> Result<(), Stop> {
        let ready = |p: &Portal| matches!(p.progress, Progress::Ready) && p.statement.fields.is_some();
        let Some(portal) = self.portals.get(name).filter(|p| ready(p)) else {
            return Ok(());
        };
        let (statement, params) = (portal.statement.clone(), portal.params.clone());
        let ran = Box::pin(self.run(&statement, params, out)).await?;
        if let (Some(portal), Some(rows), Some(fields)) = (self.portals.get_mut(name), ran.rows, ran.fields) {
            portal.progress = Progress::Open {
                rows,
                fields,
                tag: ran.tag,
            };
        }
        Ok(())
    }

    /// Goes forward over rows that are not kept.
    async fn go_on<O: Output>(
        &mut self,
        name: &str,
        fields: Arc<[Field]>,
        skip: u64,
        limit: u64,
        is_move: bool,
        out: &mut O,
    ) -> Result<Ran, Stop> {
        let rows_of = |left| Rows::Cursor {
            name: name.to_owned(),
            left,
        };
        if skip > 0 {
            self.move_rows(&mut rows_of(skip), &fields, &[], 0, false, out).await?;
        }
        let mut rows = rows_of(limit);
        if is_move {
            let moved = self.move_rows(&mut rows, &fields, &[], 0, false, out).await?;
            return Ok(Ran {
                rows: None,
                fields: None,
                tag: Tag::Affected("MOVE", moved.sent),
            });
        }
        Ok(Ran {
            rows: Some(rows),
            fields: Some(fields),
            tag: Tag::Sent("FETCH"),
        })
    }

    /// Moves a cursor that keeps its rows, and gives those that it came upon.
    async fn scroll<O: Output>(&mut self, portal: &mut Portal, direction: FetchDirection, out: &mut O) -> Result<Vec<Vec<Datum>>, Stop> {
        let (Some(cursor), Progress::Open { rows, .. }) = (&mut portal.cursor, &mut portal.progress) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        let all = |count: Option<i64>| count.map_or(u64::MAX, i64::unsigned_abs);
        let (steps, back) = match direction {
            FetchDirection::Forward(n) => (all(n), n.is_some_and(|n| n < 0)),
            FetchDirection::Backward(n) => (all(n), n.is_none_or(|n| n >= 0)),
            FetchDirection::Relative(n) => {
                let before = n.unsigned_abs().saturating_sub(1);
                for _ in 0..before {
                    self.step(cursor, rows, n < 0, out).await?;
                }
                (n.unsigned_abs().min(1), n < 0)
            }
            FetchDirection::Absolute(n) if n >= 0 => {
                let to = n.unsigned_abs().saturating_sub(1);
                if cursor.place > to {
                    cursor.place = to;
                }
                while cursor.place < to && self.step(cursor, rows, false, out).await?.is_some() {}
                if n == 0 {
                    cursor.current = None;
                    return Ok(found);
                }
                (1, false)
            }
            FetchDirection::Absolute(n) => {
                while self.step(cursor, rows, false, out).await?.is_some() {}
                for _ in 1..n.unsigned_abs() {
                    if self.step(cursor, rows, true, out).await?.is_none() {
                        break;
                    }
                }
                (1, true)
            }
        };
        if steps == 0 {
            return Ok(cursor.current.clone().into_iter().collect());
        }
        for _ in 0..steps {
            match self.step(cursor, rows, back, out).await? {
                Some(row) => found.push(row),
                None => break,
            }
        }
        Ok(found)
    }

    /// One row on, or back.
    async fn step<O: Output>(
        &mut self,
        cursor: &mut CursorState,
        rows: &mut Rows,
        back: bool,
        out: &mut O,
    ) -> Result<Option<Vec<Datum>>, Stop> {
        let few = cursor.keeps_few();
        let Some(kept) = &mut cursor.kept else {
            return Err(SqlError::internal("a cursor that keeps no rows cannot scroll").into());
        };
        let end = |kept: &HeldRows| kept.len() as u64 + 1;
        if back {
            cursor.place = cursor.place.saturating_sub(1);
        } else if cursor.place < end(kept) {
            cursor.place += 1;
            if cursor.place == end(kept) && !cursor.exhausted {
                match self.take_rows(rows, 1, out).await?.pop() {
                    Some(row) if few && kept.len() >= KEPT_ROWS => {
                        cursor.kept = None;
                        cursor.current = Some(row);
                        return Ok(cursor.current.clone());
                    }
                    Some(row) => kept.push(row)?,
                    None => cursor.exhausted = true,
                }
            }
        }
        let at = usize::try_from(cursor.place).unwrap_or(usize::MAX);
        cursor.current = at.checked_sub(1).and_then(|at| kept.get(at)).map(<[Datum]>::to_vec);
        Ok(cursor.current.clone())
    }

    /// Goes on with a cursor that keeps its first rows, until it keeps them no longer; gives each row, and says whether it came to the end
    /// of its rows.
    pub(crate) async fn step_on<O: Output>(
        &mut self,
        cursor: &mut CursorState,
        rows: &mut Rows,
        limit: u64,
        out: &mut O,
        give: &mut impl FnMut(&mut O, &[Datum]) -> Result<(), Stop>,
    ) -> Result<(u64, bool), Stop> {
        let mut sent = 0;
        while cursor.keeps_few() && (limit == 0 || sent < limit) {
            let Some(row) = self.step(cursor, rows, false, out).await? else {
                return Ok((sent, true));
            };
            give(out, &row)?;
            sent += 1;
            if out.is_full() {
                crate::portal::relieve(out).await?;
            }
        }
        Ok((sent, false))
    }

    /// Before a commit: cursors WITH HOLD read what is left of their rows.
    pub(crate) async fn hold_cursors(&mut self) -> Result<()> {
        for portal in self.portals.values_mut() {
            let (Some(cursor), Progress::Open { rows, .. }) = (&mut portal.cursor, &mut portal.progress) else {
                continue;
            };
            if !cursor.hold || cursor.held {
                continue;
            }
            if let (Rows::Plan(source), Some(kept)) = (&mut *rows, &mut cursor.kept) {
                while source.next().await? {
                    kept.push(source.take_row())?;
                }
            }
            cursor.exhausted = true;
            cursor.held = true;
            *rows = Rows::Values(Vec::new().into_iter());
        }
        Ok(())
    }

    /// The transaction is over: cursors that are held stay, nothing else does.
    pub(crate) fn drop_portals(&mut self) {
        self.portals.retain(|_, p| p.cursor.as_ref().is_some_and(|c| c.held));
    }

    /// Where the cursor of WHERE CURRENT OF stands.
    pub(crate) fn cursor_row(&self, statement: &Statement, preparing: bool) -> Option<CursorRow> {
        let name = current_of(statement)?;
        let cursor = self.portals.get(name).and_then(|p| p.cursor.as_ref().map(|c| (p, c)));
        let Some((portal, cursor)) = cursor else {
            return preparing.then(|| CursorRow {
                preparing,
                ..CursorRow::default()
            });
        };
        let visible = portal.statement.fields.as_ref().map_or(0, |f| f.len());
        let keys = cursor.row_keys.iter().enumerate().map(|(i, table)| {
            let key = match cursor.current.as_ref().and_then(|row| row.get(visible + i)) {
                Some(Datum::Bytea(key)) => Some(key.clone()),
                _ => None,
            };
            (*table, key)
        });
        Some(CursorRow {
            held: cursor.held,
            keys: keys.collect(),
            preparing,
        })
    }
}

/// The cursor that an UPDATE or DELETE names.
pub(crate) fn current_of(statement: &Statement) -> Option<&str> {
    let cursor = match statement {
        Statement::Update(u) => u.current_of.as_ref(),
        Statement::Delete(d) => d.current_of.as_ref(),
        _ => None,
    };
    cursor.map(|c| c.name.as_str())
}

fn way(direction: FetchDirection, place: u64) -> Way {
    let on = |n: i64| match u64::try_from(n) {
        Ok(0) => Way::Here,
        Ok(n) => Way::Forward { skip: 0, limit: n },
        Err(_) => Way::Back,
    };
    match direction {
        FetchDirection::Forward(None) => Way::Forward { skip: 0, limit: 0 },
        FetchDirection::Forward(Some(n)) => on(n),
        FetchDirection::Backward(Some(n)) => on(n.saturating_neg()),
        FetchDirection::Backward(None) => Way::Back,
        FetchDirection::Relative(n) if n > 0 => Way::Forward {
            skip: n.unsigned_abs() - 1,
            limit: 1,
        },
        FetchDirection::Relative(n) => on(n),
        FetchDirection::Absolute(n) => match u64::try_from(n) {
            Ok(n) if n > place => Way::Forward {
                skip: n - 1 - place,
                limit: 1,
            },
            _ => Way::Back,
        },
    }
}

fn leads_back(direction: FetchDirection, place: u64) -> bool {
    !matches!(way(direction, place), Way::Forward { .. })
}
