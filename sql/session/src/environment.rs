//! What a session's settings mean for binding and formatting, computed when a setting or the catalog changes and not per statement.

use crate::context::{Shared, io_context, search_path_of};
use crate::identity::{Identity, usable};
use crate::keyed::KEY;
use crate::names::Names;
use crate::notice::Severity;
use crate::session::IDLE_SESSION_TIMEOUT;
use curia_catalog::{Catalog, temporary};
use curia_consensus::ids::Csn;
use curia_execute::CatalogTypes;
use curia_types::IoContext;
use std::sync::Arc;
use std::time::Duration;

/// Settings in the form that statements use.
pub struct Environment {
    generation: u64,
    catalog_version: u64,
    /// Formatting parameters; `now` is filled in for each transaction.
    pub io: IoContext,
    /// The same, for transactions to keep.
    pub io_shared: Arc<IoContext>,
    /// Who the session is.
    pub identity: Arc<Identity>,
    /// Schemas of the search path, `$user` replaced, the session's temporary one included if there is one.
    pub search_path: Arc<[String]>,
    /// Everything that a bound statement depends on, as a key.
    pub key: Arc<str>,
    /// `statement_timeout`
    pub statement_timeout: Option<Duration>,
    /// `idle_in_transaction_session_timeout`
    pub idle_in_transaction_timeout: Option<Duration>,
    /// `idle_session_timeout`
    pub idle_session_timeout: Option<Duration>,
    /// `curia.min_csn`
    pub min_csn: Csn,
    /// `curia.idempotency_key`
    pub idempotency_key: Arc<str>,
    /// `lock_timeout`
    pub lock_timeout: Option<Duration>,
    /// `default_transaction_isolation` is REPEATABLE READ or SERIALIZABLE.
    pub keeps_snapshot: bool,
    /// `track_activities`
    pub track_activities: bool,
    /// `client_min_messages`
    pub min_messages: Severity,
}

/// The search path with the session's temporary schema, once there is one: where the setting says `pg_temp`, else in front.
fn with_temporary(path: Vec<String>, own: &str, catalog: &Catalog) -> Arc<[String]> {
    // Nobody is to name another session's.
    let mut path: Vec<String> = path.into_iter().filter(|s| !temporary::is_temporary(s)).collect();
    if catalog.schema(own).is_some() {
        match path.iter().position(|s| s == temporary::ALIAS) {
            Some(at) => path[at] = own.to_owned(),
            None => path.insert(0, own.to_owned()),
        }
    }
    path.into()
}

impl Environment {
    /// Computes it.
    pub fn new(shared: &Shared, catalog: &Arc<Catalog>) -> Environment {
        let settings = shared.settings.lock();
        let identity = Identity::of(&settings, shared, catalog);
        let written = usable(search_path_of(&settings, &identity.current_name), &identity, catalog);
        let search_path = with_temporary(written, &shared.temporary, catalog);
        let names = Arc::new(Names {
            catalog: catalog.clone(),
            search_path: search_path.clone(),
        });
        let types = CatalogTypes::new(catalog.clone(), shared.engine.clone(), shared.slot.clone());
        let io = io_context(&settings, names, Arc::new(types));
        let text = |name: &str| settings.get(name).unwrap_or("").to_owned();
        let key = format!(
            "{}\n{}\n{}\n{}\n{}\n{}\n{}",
            // Superusers share plans: nothing in them asks for a right.
            if identity.superuser { 0 } else { identity.current },
            search_path.join("\n"),
            text("datestyle"),
            text("intervalstyle"),
            text("timezone"),
            text("bytea_output"),
            text("extra_float_digits"),
        );
        let time = |name: &str| match settings.integer(name) {
            0 => None,
            ms => Some(Duration::from_millis(ms.unsigned_abs())),
        };
        Environment {
            generation: settings.generation(),
            catalog_version: catalog.version,
            io_shared: Arc::new(io.clone()),
            io,
            search_path,
            identity: Arc::new(identity),
            key: key.into(),
            statement_timeout: time("statement_timeout"),
            idle_in_transaction_timeout: time("idle_in_transaction_session_timeout"),
            idle_session_timeout: time(IDLE_SESSION_TIMEOUT),
            lock_timeout: time("lock_timeout"),
            min_csn: Csn(settings.get("curia.min_csn").and_then(|csn| csn.parse().ok()).unwrap_or(0)),
            idempotency_key: settings.get(KEY).unwrap_or("").into(),
            keeps_snapshot: matches!(
                settings.get("default_transaction_isolation"),
                Some("repeatable read" | "serializable")
            ),
            track_activities: settings.is_on("track_activities"),
            min_messages: match settings.get("client_min_messages") {
                Some("log") => Severity::Log,
                Some("warning") => Severity::Warning,
                Some("error") => Severity::Info,
                Some(d) if d.starts_with("debug") => Severity::Debug,
                _ => Severity::Notice,
            },
        }
    }

    /// Whether a setting changed since.
    pub fn generation_moved(&self, shared: &Shared) -> bool {
        self.generation != shared.settings.lock().generation()
    }

    /// Whether it still says what settings and catalog say.
    pub fn is_current(&self, shared: &Shared, catalog_version: u64) -> bool {
        self.catalog_version == catalog_version && self.generation == shared.settings.lock().generation()
    }
}
