//! System views that only the session can fill: `pg_settings`, `pg_stat_activity`, `pg_locks`, and those of its own objects.

use crate::context::{Shared, StatementContext, micros, read_only};
use crate::settings::known::{Change, KNOWN, Kind};
use curia_catalog::lookup::FIRST_DATABASE;
use curia_catalog::privilege::system::READ_ALL_STATS;
use curia_execute::SessionViews;
use curia_execute::ViewRows;
use curia_txn::{Build, ListedLock, LockTarget};
use curia_types::net::Inet;
use curia_types::{Datum, Result, oid};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

impl SessionViews for StatementContext {
    fn rows(&self, schema: &str, view: &str) -> Result<Option<ViewRows>> {
        if schema == "curia" {
            return self.cluster(view).map(Some);
        }
        if self.shared.local
            && matches!(
                view,
                "pg_stat_activity" | "pg_locks" | "pg_prepared_xacts" | "pg_stat_progress_create_index"
            )
        {
            return Err(read_only(&format!("SELECT FROM {view}"))); // these are the consul's
        }
        Ok(match view {
            "pg_settings" => Some(self.pg_settings()),
            "pg_stat_activity" => Some(self.pg_stat_activity()),
            "pg_locks" => Some(self.pg_locks()),
            "pg_stat_progress_create_index" => Some(self.index_builds()),
            "pg_prepared_xacts" => Some(self.prepared_transactions()),
            "pg_prepared_statements" => Some(self.own.as_ref().map_or_else(Vec::new, |own| own.prepared_statements.clone())),
            "pg_cursors" => Some(self.own.as_ref().map_or_else(Vec::new, |own| own.cursors.clone())),
            _ => None,
        })
    }
}

impl StatementContext {
    fn pg_settings(&self) -> Vec<Vec<(&'static str, Datum)>> {
        let settings = self.shared.settings_now();
        KNOWN
            .iter()
            .map(|k| {
                let (vartype, unit, min, max) = match k.kind {
                    Kind::Bool => ("bool", None, None, None),
                    Kind::Int { min, max, unit } => ("integer", unit, Some(min.to_string()), Some(max.to_string())),
                    Kind::Real { min, max } => ("real", None, Some(min.to_string()), Some(max.to_string())),
                    Kind::Enum(_) => ("enum", None, None, None),
                    Kind::Text => ("string", None, None, None),
                };
                let value = settings.get(k.name).unwrap_or(k.default);
                let words = match k.kind {
                    Kind::Enum(words) => Datum::list(oid::TEXT, words.iter().map(Datum::text).collect()),
                    _ => Datum::Null,
                };
                let optional = |t: Option<String>| t.map_or(Datum::Null, Datum::text);
                vec![
                    ("name", Datum::text(k.name)),
                    ("setting", Datum::text(value)),
                    ("unit", unit.map_or(Datum::Null, |u| Datum::text(u.name()))),
                    ("short_desc", Datum::text(k.description)),
                    (
                        "context",
                        Datum::text(match k.change {
                            Change::User => "user",
                            Change::Internal => "internal",
                            Change::Server => "postmaster",
                        }),
                    ),
                    ("vartype", Datum::text(vartype)),
                    ("source", Datum::text(if value == k.default { "default" } else { "session" })),
                    ("min_val", optional(min)),
                    ("max_val", optional(max)),
                    ("enumvals", words),
                    ("boot_val", Datum::text(k.default)),
                    ("reset_val", Datum::text(settings.reset_value(k.name))),
                    ("pending_restart", Datum::Bool(false)),
                ]
            })
            .collect()
    }

    fn pg_locks(&self) -> ViewRows {
        self.shared.database.list_locks().iter().map(lock_row).collect()
    }

    /// Nothing here is counted in blocks. What others build is shown as `pg_stat_get_progress_info` does.
    fn index_builds(&self) -> ViewRows {
        let database = &self.shared.database;
        let (role, authority) = (self.identity.current, self.catalog.authority());
        let sessions = self.shared.backends.sessions();
        let permitted = |process: i32| {
            let session = sessions.iter().find(|s| s.process == process);
            authority.has(role, READ_ALL_STATS) || session.is_some_and(|s| authority.has(role, s.role))
        };
        let number = |n: &AtomicU64| Datum::Int8(n.load(Ordering::Relaxed) as i64);
        let row = |build: Arc<Build>| {
            let mut row = vec![
                ("pid", Datum::Int4(build.process_id)),
                ("datid", Datum::Oid(FIRST_DATABASE)),
                ("datname", Datum::text(&self.shared.database_name)),
            ];
            if !permitted(build.process_id) {
                return row;
            }
            row.extend([
                ("relid", Datum::Oid(build.table)),
                ("index_relid", Datum::Oid(build.index)),
                ("command", Datum::text(build.command)),
                ("phase", Datum::text(build.phase().name())),
                ("lockers_total", number(&build.lockers[0])),
                ("lockers_done", number(&build.lockers[1])),
                ("current_locker_pid", Datum::Int8(0)),
                ("blocks_total", Datum::Int8(0)),
                ("blocks_done", Datum::Int8(0)),
                ("tuples_total", number(&build.rows[0])),
                ("tuples_done", number(&build.rows[1])),
                ("partitions_total", Datum::Int8(0)),
                ("partitions_done", Datum::Int8(0)),
            ]);
            row
        };
        database.builds().into_iter().map(row).collect()
    }

    /// One row a session.
    fn pg_stat_activity(&self) -> ViewRows {
        let waiting = self.shared.database.lock_waits();
        let role = self.identity.current;
        let authority = self.catalog.authority();
        let sees_all = authority.has(role, READ_ALL_STATS);
        let sessions = self.shared.backends.sessions();
        let row = |s: &Arc<Shared>| self.activity_row(s, waiting.get(&s.process).copied(), sees_all || authority.has(role, s.role));
        sessions.iter().map(row).collect()
    }

    /// `permitted`: whether the role may see what the session does (`pg_stat_get_activity`).
    fn activity_row(&self, s: &Shared, lock: Option<&'static str>, permitted: bool) -> Vec<(&'static str, Datum)> {
        let database = self.catalog.database(&s.database_name);
        let mut row = vec![
            ("datid", database.map_or(Datum::Null, |d| Datum::Oid(d.oid))),
            ("datname", Datum::text(&s.database_name)),
            ("pid", Datum::Int4(s.process)),
            ("usesysid", Datum::Oid(s.role)),
            ("usename", Datum::text(&s.user)),
            (
                "application_name",
                Datum::text(s.settings.lock().get("application_name").unwrap_or("")),
            ),
            // An xid has 32 bits; txid_current() and CSNs count on.
            (
                "backend_xid",
                s.database.txid_if_assigned(&s.slot).map_or(Datum::Null, |x| Datum::Oid(x as u32)),
            ),
            (
                "backend_xmin",
                s.slot.oldest_snapshot().map_or(Datum::Null, |csn| Datum::Oid(csn.0 as u32)),
            ),
        ];
        if !permitted {
            row.push(("query", Datum::text("<insufficient privilege>")));
            return row;
        }
        let seen = s.activity.seen();
        let time = |at: Option<i64>| at.map_or(Datum::Null, Datum::Timestamptz);
        row.extend([
            ("client_addr", s.peer.map_or(Datum::Null, |p| Datum::Inet(Inet::host(p.ip())))),
            ("client_port", s.peer.map_or(Datum::Null, |p| Datum::Int4(i32::from(p.port())))),
            ("backend_start", Datum::Timestamptz(s.opened)),
            ("xact_start", time(seen.times.transaction)),
            ("query_start", time(seen.times.query)),
            ("state_change", time(seen.times.state)),
            ("query", Datum::text(seen.query)),
            ("backend_type", Datum::text("client backend")),
        ]);
        if !seen.state.is_empty() {
            row.push(("state", Datum::text(seen.state)));
        }
        if let Some((kind, event)) = lock.map(|kind| ("Lock", kind)).or(seen.wait) {
            row.extend([("wait_event_type", Datum::text(kind)), ("wait_event", Datum::text(event))]);
        }
        row
    }
}

fn lock_row(lock: &ListedLock) -> Vec<(&'static str, Datum)> {
    let mut row = vec![
        ("virtualtransaction", Datum::text(lock.holder.to_string())),
        ("pid", lock.process_id.map_or(Datum::Null, Datum::Int4)),
        ("mode", Datum::text(lock.mode)),
        ("granted", Datum::Bool(lock.granted)),
        ("fastpath", Datum::Bool(lock.fast_path)),
        (
            "waitstart",
            lock.waits_since.map_or(Datum::Null, |at| Datum::Timestamptz(micros(at))),
        ),
    ];
    let (kind, target) = match lock.target {
        LockTarget::Relation(oid) => (
            "relation",
            vec![("database", Datum::Oid(FIRST_DATABASE)), ("relation", Datum::Oid(oid))],
        ),
        LockTarget::VirtualTransaction(id) => ("virtualxid", vec![("virtualxid", Datum::text(id.to_string()))]),
        // An xid has 32 bits; txid_current() counts on.
        LockTarget::Transaction(id) => (
            "transactionid",
            vec![("transactionid", id.map_or(Datum::Null, |id| Datum::Oid(id as u32)))],
        ),
        LockTarget::Advisory(key) => (
            "advisory",
            vec![
                ("database", Datum::Oid(FIRST_DATABASE)),
                ("classid", Datum::Oid(key.class)),
                ("objid", Datum::Oid(key.object)),
                ("objsubid", Datum::Int2(key.form as i16)),
            ],
        ),
    };
    row.push(("locktype", Datum::text(kind)));
    row.extend(target);
    row
}
