//! System views that only the session can fill: `pg_settings`, `pg_stat_activity`, `pg_locks`, and those of its own objects.

use crate::context::{StatementContext, micros, read_only};
use crate::settings::known::{Change, KNOWN, Kind};
use curia_catalog::lookup::FIRST_DATABASE;
use curia_execute::SessionViews;
use curia_execute::ViewRows;
use curia_txn::{ListedLock, LockTarget};
use curia_types::{Datum, Result, oid};

impl SessionViews for StatementContext {
    fn rows(&self, schema: &str, view: &str) -> Result<Option<ViewRows>> {
        if schema == "curia" {
            return self.cluster(view).map(Some);
        }
        if self.shared.local && matches!(view, "pg_stat_activity" | "pg_locks" | "pg_prepared_xacts") {
            return Err(read_only(&format!("SELECT FROM {view}"))); // these are the consul's
        }
        Ok(match view {
            "pg_settings" => Some(self.pg_settings()),
            "pg_stat_activity" => Some(self.pg_stat_activity()),
            "pg_locks" => Some(self.pg_locks()),
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

    /// One row a session; what other sessions run is theirs to tell and not shown yet.
    fn pg_stat_activity(&self) -> Vec<Vec<(&'static str, Datum)>> {
        let s = &self.shared;
        let own = s.process;
        s.backends
            .processes()
            .into_iter()
            .map(|process| {
                let mut row = vec![
                    ("datname", Datum::text(&s.database_name)),
                    ("pid", Datum::Int4(process)),
                    ("backend_type", Datum::text("client backend")),
                ];
                if process == own {
                    row.push(("usesysid", Datum::Oid(s.role)));
                    row.push(("usename", Datum::text(&s.user)));
                    row.push((
                        "application_name",
                        Datum::text(s.settings.lock().get("application_name").unwrap_or("")),
                    ));
                    row.push(("state", Datum::text("active")));
                    row.push(("xact_start", Datum::Timestamptz(self.transaction_timestamp)));
                    row.push(("query_start", Datum::Timestamptz(self.statement_timestamp)));
                }
                row
            })
            .collect()
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
