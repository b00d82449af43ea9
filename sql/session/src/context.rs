//! What functions may ask of the session: [`curia_functions::Context`].
//!
//! A statement may compute on other threads than its session's, so what its functions see is shared and thread-safe: the session's
//! parameters behind a lock, its slot for sequence values, a copy of the formatting parameters as they were when the statement began.

use crate::activity::{Activity, Wait};
use crate::advisory::Journal;
use crate::backends::{Backends, Cause, Interrupt};
use crate::cluster_views::ClusterViews;
use crate::identity::{Identity, assume, is_identity};
use crate::notice::{Notice, Notices};
use crate::notifications::{Action, Pending};
use crate::objects::OwnObjects;
use crate::settings::{Scope, Settings, search_path, unrecognized};
use curia_catalog::privilege::authority::denied;
use curia_catalog::{Catalog, Kind, Oid, Rights, Sequence, temporary};
use curia_execute::{CatalogScope, CatalogTypes, Engine, ReferencePlans, catalog_call};
use curia_functions::Context;
use curia_txn::transaction::Isolation;
use curia_txn::{Database, SessionSlot};
use curia_types::{Datum, IoContext, Result, SqlError, SqlState, oid};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime};

/// Microseconds from 1970-01-01 to 2000-01-01.
pub(crate) const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Microseconds since 2000-01-01 UTC, now.
pub fn now_micros() -> i64 {
    micros(SystemTime::now())
}

/// Microseconds since 2000-01-01 UTC.
pub(crate) fn micros(at: SystemTime) -> i64 {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(d) => d.as_micros() as i64 - EPOCH_MICROS,
        Err(e) => -(e.duration().as_micros() as i64) - EPOCH_MICROS,
    }
}

/// The part of a session that its statements' functions see, from any thread.
pub struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) database: Arc<Database>,
    pub(crate) slot: Arc<SessionSlot>,
    pub(crate) backends: Arc<Backends>,
    pub(crate) interrupt: Arc<Interrupt>,
    pub(crate) settings: Mutex<Settings>,
    pub(crate) notices: Notices,
    pub(crate) activity: Activity,
    /// What the transaction will tell and hear when it commits.
    pub(crate) notifications: Mutex<Pending>,
    /// What advisory lock functions of the running statement did.
    pub(crate) advisory: Mutex<Journal>,
    /// The newest CSN that was committed or read at.
    pub(crate) last_csn: AtomicU64,
    /// The session reads here whether or not this server is the consul, and writes nothing.
    pub(crate) local: bool,
    pub(crate) process: i32,
    /// Name of its temporary schema, existing or not.
    pub(crate) temporary: String,
    pub(crate) role: Oid,
    pub(crate) user: String,
    pub(crate) database_name: String,
    pub(crate) peer: Option<SocketAddr>,
    /// When the session was opened, microseconds since 2000-01-01 UTC.
    pub(crate) opened: i64,
    /// When the server started, microseconds since 2000-01-01 UTC.
    pub(crate) server_start: i64,
    /// Plans of foreign keys.
    pub(crate) reference_plans: Arc<ReferencePlans>,
    /// What the server knows of its cluster.
    pub(crate) cluster: Option<Arc<dyn ClusterViews>>,
}

/// One statement's view of its session.
pub struct StatementContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) io: IoContext,
    pub(crate) transaction_timestamp: i64,
    pub(crate) statement_timestamp: i64,
    pub(crate) catalog: Arc<Catalog>,
    /// Schemas of the search path, `$user` replaced.
    pub(crate) search_path: Arc<[String]>,
    /// Who the session is.
    pub(crate) identity: Arc<Identity>,
    /// The transaction may not write.
    pub(crate) read_only: bool,
    /// Its isolation level.
    pub(crate) isolation: Isolation,
    /// It is in a savepoint.
    pub(crate) in_savepoint: bool,
    /// Prepared statements and portals, for a statement that lists them.
    pub(crate) own: Option<OwnObjects>,
}

impl StatementContext {
    /// The same surroundings at another version of the catalog: a statement sees what it has defined itself.
    pub(crate) fn at_catalog(&self, catalog: &Arc<Catalog>) -> Arc<StatementContext> {
        Arc::new(StatementContext {
            shared: self.shared.clone(),
            io: self.io.clone(),
            transaction_timestamp: self.transaction_timestamp,
            statement_timestamp: self.statement_timestamp,
            catalog: catalog.clone(),
            search_path: self.search_path.clone(),
            identity: self.identity.clone(),
            read_only: self.read_only,
            isolation: self.isolation,
            in_savepoint: self.in_savepoint,
            own: None,
        })
    }
}

impl Context for StatementContext {
    fn io(&self) -> &IoContext {
        &self.io
    }
    fn transaction_timestamp(&self) -> i64 {
        self.transaction_timestamp
    }
    fn statement_timestamp(&self) -> i64 {
        self.statement_timestamp
    }
    fn setting(&self, name: &str) -> Option<String> {
        self.shared.settings_now().show(name)
    }
    fn session_call(&self, function: u32, args: &[Datum]) -> Result<Datum> {
        match self.call(function, args)? {
            Some(value) => Ok(value),
            None => {
                let name = curia_functions::by_oid(function).map_or("function", |f| f.name);
                if let Some(found) = self.object_named(name, args) {
                    return found;
                }
                let state = self.shared.database.replication().state();
                let scope = CatalogScope {
                    catalog: &self.catalog,
                    search_path: &self.search_path,
                    role: self.identity.current,
                    storage_bytes: &|storage| state.approximate_bytes(storage.0),
                };
                catalog_call(&scope, name, args).unwrap_or_else(|| Err(SqlError::unsupported(format!("function {name}()"))))
            }
        }
    }
}

/// `pg_proc.oid` of what the session computes.
mod proc {
    pub const VERSION: u32 = 89;
    pub const CURRENT_USER: u32 = 745;
    pub const SESSION_USER: u32 = 746;
    pub const PG_CLIENT_ENCODING: u32 = 810;
    pub const CURRENT_DATABASE: u32 = 861;
    pub const GETDATABASEENCODING: u32 = 1039;
    pub const TEXT_REGCLASS: u32 = 1079;
    pub const CURRENT_SCHEMA: u32 = 1402;
    pub const CURRENT_SCHEMAS: u32 = 1403;
    pub const NEXTVAL: u32 = 1574;
    pub const CURRVAL: u32 = 1575;
    pub const SETVAL: u32 = 1576;
    pub const SETVAL_CALLED: u32 = 1765;
    pub const PG_BACKEND_PID: u32 = 2026;
    pub const PG_CONF_LOAD_TIME: u32 = 2034;
    pub const CURRENT_SETTING: u32 = 2077;
    pub const SET_CONFIG: u32 = 2078;
    pub const PG_TERMINATE_BACKEND: u32 = 2096;
    pub const PG_CANCEL_BACKEND: u32 = 2171;
    pub const INET_CLIENT_ADDR: u32 = 2196;
    pub const INET_CLIENT_PORT: u32 = 2197;
    pub const LASTVAL: u32 = 2559;
    pub const TXID_CURRENT: u32 = 2943;
    pub const TXID_CURRENT_SNAPSHOT: u32 = 2944;
    pub const TXID_CURRENT_IF_ASSIGNED: u32 = 3348;
    pub const TXID_STATUS: u32 = 3360;
    pub const PG_XACT_STATUS: u32 = 5066;
    pub const PG_CURRENT_XACT_ID: u32 = 5059;
    pub const PG_CURRENT_XACT_ID_IF_ASSIGNED: u32 = 5060;
    pub const PG_CURRENT_SNAPSHOT: u32 = 5061;
    pub const PG_POSTMASTER_START_TIME: u32 = 2560;
    pub const PG_BLOCKING_PIDS: u32 = 2561;
    pub const PG_ISOLATION_TEST_SESSION_IS_BLOCKED: u32 = 3378;
    pub const PG_SLEEP: u32 = 2626;
    pub const PG_MY_TEMP_SCHEMA: u32 = 2854;
    pub const PG_IS_OTHER_TEMP_SCHEMA: u32 = 2855;
    pub const PG_LISTENING_CHANNELS: u32 = 3035;
    pub const PG_NOTIFY: u32 = 3036;
    pub const CURRENT_SETTING_MISSING: u32 = 3294;
    pub const PG_NOTIFICATION_QUEUE_USAGE: u32 = 3296;
    pub const PG_SEQUENCE_LAST_VALUE: u32 = 4032;
    pub const PG_EXPORT_SNAPSHOT: u32 = 3809;
    pub const PG_IS_IN_RECOVERY: u32 = 3810;

    /// What only the consul knows, and what changes the client's session with it.
    pub const CONSULS: [u32; 20] = [
        NEXTVAL,
        CURRVAL,
        SETVAL,
        SETVAL_CALLED,
        SET_CONFIG,
        LASTVAL,
        TXID_CURRENT,
        TXID_CURRENT_SNAPSHOT,
        PG_CURRENT_XACT_ID,
        PG_CURRENT_SNAPSHOT,
        PG_NOTIFY,
        PG_SEQUENCE_LAST_VALUE,
        TXID_STATUS,
        PG_XACT_STATUS,
        PG_TERMINATE_BACKEND,
        PG_CANCEL_BACKEND,
        PG_BLOCKING_PIDS,
        PG_ISOLATION_TEST_SESSION_IS_BLOCKED,
        PG_LISTENING_CHANNELS,
        PG_EXPORT_SNAPSHOT,
    ];
}

impl StatementContext {
    /// `Ok(None)`: not ours.
    fn call(&self, function: u32, args: &[Datum]) -> Result<Option<Datum>> {
        let s = &self.shared;
        if s.local && proc::CONSULS.contains(&function) {
            let name = curia_functions::by_oid(function).map_or("function", |f| f.name);
            return Err(read_only(&format!("{name}()")));
        }
        Ok(Some(match function {
            proc::VERSION => Datum::text(version()),
            proc::CURRENT_USER => Datum::text(&self.identity.current_name),
            proc::SESSION_USER => Datum::text(&self.identity.session_name),
            proc::PG_CLIENT_ENCODING | proc::GETDATABASEENCODING => Datum::text("UTF8"),
            proc::CURRENT_DATABASE => Datum::text(&s.database_name),
            proc::CURRENT_SCHEMA => self.schemas(false).first().map_or(Datum::Null, Datum::text),
            proc::CURRENT_SCHEMAS => {
                let schemas = self.schemas(matches!(args, [Datum::Bool(true)]));
                Datum::list(oid::NAME, schemas.iter().map(Datum::text).collect())
            }
            proc::TXID_CURRENT => Datum::Int8(s.database.txid_current(&s.slot)? as i64),
            proc::PG_CURRENT_XACT_ID => Datum::Word(s.database.txid_current(&s.slot)?),
            proc::TXID_CURRENT_IF_ASSIGNED => s.database.txid_if_assigned(&s.slot).map_or(Datum::Null, |x| Datum::Int8(x as i64)),
            proc::PG_CURRENT_XACT_ID_IF_ASSIGNED => s.database.txid_if_assigned(&s.slot).map_or(Datum::Null, Datum::Word),
            proc::TXID_STATUS | proc::PG_XACT_STATUS => {
                let txid = match args.first() {
                    Some(Datum::Word(txid)) => *txid,
                    _ => u64::try_from(integer(args, 0)?).unwrap_or(u64::MAX),
                };
                s.database
                    .outcome(txid)?
                    .map_or(Datum::Null, |outcome| Datum::text(outcome.as_str()))
            }
            // Other transactions that run are not listed: everything from this one on counts as running.
            proc::TXID_CURRENT_SNAPSHOT | proc::PG_CURRENT_SNAPSHOT => {
                let own = s.database.txid_current(&s.slot)?;
                Datum::text(format!("{own}:{own}:"))
            }
            proc::PG_EXPORT_SNAPSHOT => {
                if self.in_savepoint {
                    let message = "cannot export a snapshot from a subtransaction";
                    return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
                }
                Datum::text(s.database.export_snapshot(&s.slot, self.isolation, self.read_only)?)
            }
            proc::TEXT_REGCLASS => match &self.io.names {
                Some(names) => Datum::Oid(names.oid_of(oid::REGCLASS, text(args, 0)?)?),
                None => return Err(SqlError::internal("a session without names")),
            },
            proc::NEXTVAL => {
                let sequence = self.sequence(args)?;
                self.must_have(sequence, args, Rights::USAGE | Rights::UPDATE)?;
                self.may_write(sequence, "nextval()")?;
                Datum::Int8(s.database.nextval(&s.slot, sequence)?)
            }
            proc::CURRVAL => {
                let sequence = self.sequence(args)?;
                self.must_have(sequence, args, Rights::USAGE | Rights::SELECT)?;
                Datum::Int8(s.database.currval(&s.slot, sequence)?)
            }
            proc::SETVAL | proc::SETVAL_CALLED => {
                let sequence = self.sequence(args)?;
                self.must_have(sequence, args, Rights::UPDATE)?;
                self.may_write(sequence, "setval()")?;
                let value = integer(args, 1)?;
                let called = !matches!(args.get(2), Some(Datum::Bool(false)));
                s.database.setval(&s.slot, sequence, value, called)?;
                Datum::Int8(value)
            }
            proc::PG_SEQUENCE_LAST_VALUE => {
                let (value, called) = s.database.sequence_value(self.sequence(args)?)?;
                // Reading the sequence as a table asks for the value in any case.
                if called || args.len() > 1 {
                    Datum::Int8(value)
                } else {
                    Datum::Null
                }
            }
            proc::LASTVAL => Datum::Int8(s.database.lastval(&s.slot)?),
            proc::PG_BACKEND_PID => Datum::Int4(s.process),
            proc::PG_CONF_LOAD_TIME | proc::PG_POSTMASTER_START_TIME => Datum::Timestamptz(s.server_start),
            proc::CURRENT_SETTING | proc::CURRENT_SETTING_MISSING => {
                let name = text(args, 0)?;
                match s.settings_now().show(name) {
                    Some(v) => Datum::text(v),
                    None if matches!(args.get(1), Some(Datum::Bool(true))) => Datum::Null,
                    None => return Err(unrecognized(name)),
                }
            }
            proc::SET_CONFIG => {
                let Some(Datum::Text(name)) = args.first() else {
                    return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "SET requires parameter name"));
                };
                let scope = if matches!(args.get(2), Some(Datum::Bool(true))) {
                    Scope::Local
                } else {
                    Scope::Session
                };
                if is_identity(name) {
                    let value = match args.get(1) {
                        Some(Datum::Text(v)) => Some(&**v),
                        _ => None,
                    };
                    assume(s, &self.catalog, name, value, scope)?;
                    return Ok(Some(s.settings.lock().show(name).map_or(Datum::Null, Datum::text)));
                }
                let mut settings = s.settings.lock();
                match args.get(1) {
                    Some(Datum::Text(v)) => settings.set(name, v, scope)?,
                    _ => settings.reset(name, scope)?,
                }
                settings.show(name).map_or(Datum::Null, Datum::text)
            }
            proc::PG_CANCEL_BACKEND => self.signal(args, Cause::Cancel)?,
            proc::PG_TERMINATE_BACKEND => self.signal(args, Cause::Terminate)?,
            proc::INET_CLIENT_ADDR => s.peer.map_or(Datum::Null, |p| Datum::Inet(curia_types::net::Inet::host(p.ip()))),
            proc::INET_CLIENT_PORT => s.peer.map_or(Datum::Null, |p| Datum::Int4(i32::from(p.port()))),
            proc::PG_SLEEP => {
                if let [Datum::Float8(seconds)] = args {
                    let _waiting = s.activity.waits(Wait::Sleep);
                    sleep(*seconds, &s.interrupt)?;
                }
                Datum::Text(Arc::from(""))
            }
            proc::PG_NOTIFY => {
                // NULL for a name is an empty one, as in PostgreSQL.
                let word = |i: usize| text(args, i).map(str::to_owned).unwrap_or_default();
                s.notifications.lock().add(Action::Notify {
                    channel: word(0),
                    payload: word(1),
                })?;
                Datum::Text(Arc::from(""))
            }
            proc::PG_LISTENING_CHANNELS => {
                let channels = s.backends.channels(s.process);
                Datum::list(oid::TEXT, channels.into_iter().map(Datum::text).collect())
            }
            proc::PG_NOTIFICATION_QUEUE_USAGE => Datum::Float8(0.0),
            proc::PG_MY_TEMP_SCHEMA => Datum::Oid(self.catalog.schema(&s.temporary).map_or(0, |s| s.oid)),
            proc::PG_IS_OTHER_TEMP_SCHEMA => {
                let name = match args {
                    [Datum::Oid(oid)] => self.catalog.schema_name(*oid),
                    _ => "",
                };
                Datum::Bool(temporary::is_temporary(name) && name != s.temporary)
            }
            proc::PG_IS_IN_RECOVERY => Datum::Bool(s.settings.lock().is_on("in_hot_standby")),
            proc::PG_BLOCKING_PIDS => {
                let process = i32::try_from(integer(args, 0)?).unwrap_or(0);
                let blocking = s.database.blocking_sessions(process);
                Datum::list(oid::INT4, blocking.into_iter().map(Datum::Int4).collect())
            }
            proc::PG_ISOLATION_TEST_SESSION_IS_BLOCKED => {
                let process = i32::try_from(integer(args, 0)?).unwrap_or(0);
                let interesting = match args.get(1) {
                    Some(Datum::Array(a)) => a.elements.as_slice(),
                    _ => &[],
                };
                let blocking = s.database.blocking_sessions(process);
                Datum::Bool(blocking.into_iter().any(|b| interesting.contains(&Datum::Int4(b))))
            }
            _ => return s.advisory_call(function, args),
        }))
    }

    /// `to_regclass` and its kin, which give NULL for what does not exist, and `regclass(text)`, which refuses it.
    fn object_named(&self, function: &str, args: &[Datum]) -> Option<Result<Datum>> {
        let (ty, refuses) = match function {
            "regclass" => (oid::REGCLASS, true),
            "to_regclass" => (oid::REGCLASS, false),
            "to_regtype" => (oid::REGTYPE, false),
            "to_regproc" => (oid::REGPROC, false),
            "to_regprocedure" => (oid::REGPROCEDURE, false),
            "to_regoper" => (oid::REGOPER, false),
            "to_regoperator" => (oid::REGOPERATOR, false),
            "to_regrole" => (oid::REGROLE, false),
            "to_regnamespace" => (oid::REGNAMESPACE, false),
            "to_regcollation" => (oid::REGCOLLATION, false),
            _ => return None,
        };
        let name = match text(args, 0) {
            Ok(name) => name,
            Err(e) => return Some(Err(e)),
        };
        // These print as the OIDs they are.
        if name.is_empty() || name == "-" || name.bytes().all(|b| b.is_ascii_digit()) {
            return Some(if refuses {
                curia_types::text_io::parse(curia_types::PgType::with_typmod(ty, -1), name, &self.io)
            } else {
                Ok(Datum::Null)
            });
        }
        Some(
            match curia_types::text_io::parse(curia_types::PgType::with_typmod(ty, -1), name, &self.io) {
                Err(e) if !refuses && is_missing(e.code()) => Ok(Datum::Null),
                found => found,
            },
        )
    }

    /// Existing schemas of the search path, `pg_catalog` in front when implicit ones are asked for.
    fn schemas(&self, implicit: bool) -> Vec<String> {
        let mut found: Vec<String> = self
            .search_path
            .iter()
            .filter(|s| self.catalog.schema(s).is_some())
            .cloned()
            .collect();
        let temporary_first = found.first().is_some_and(|s| *s == self.shared.temporary);
        let written = search_path_of(&self.shared.settings.lock(), &self.identity.current_name);
        if temporary_first && !implicit && !written.iter().any(|s| s == temporary::ALIAS) {
            found.remove(0);
        }
        if implicit && !found.iter().any(|s| s == "pg_catalog") {
            found.insert(usize::from(temporary_first), "pg_catalog".to_owned());
        }
        found
    }

    fn sequence(&self, args: &[Datum]) -> Result<&Sequence> {
        let oid: Oid = match args.first() {
            Some(Datum::Oid(o)) => *o,
            _ => return Err(SqlError::internal("a sequence function without a regclass")),
        };
        if let Some(s) = self.catalog.sequences.get(&oid) {
            return Ok(s);
        }
        match self.catalog.relation_by_oid(oid) {
            Some((_, name, _)) => Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a sequence"))),
            None => Err(SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("could not open relation with OID {oid}"),
            )),
        }
    }

    /// Refuses a sequence without any of some rights. Behind the other arguments may stand the role that a function runs as, or none.
    fn must_have(&self, sequence: &Sequence, args: &[Datum], rights: Rights) -> Result<()> {
        let role = match args {
            [_, .., Datum::Oid(0)] => return Ok(()),
            [_, .., Datum::Oid(role)] => *role,
            _ if self.identity.superuser => return Ok(()),
            _ => self.identity.current,
        };
        let held = self.catalog.rights_on(role, sequence.oid, Kind::Sequence, sequence.owner);
        if held.intersects(rights) {
            return Ok(());
        }
        Err(denied("sequence", &sequence.name))
    }

    /// READ ONLY transactions write temporary sequences only.
    fn may_write(&self, sequence: &Sequence, what: &str) -> Result<()> {
        if self.read_only && !self.catalog.is_temporary(sequence.schema) {
            return Err(read_only(what));
        }
        Ok(())
    }

    fn signal(&self, args: &[Datum], cause: Cause) -> Result<Datum> {
        let process = i32::try_from(integer(args, 0)?).unwrap_or(0);
        let found = self.shared.backends.raise(process, cause);
        if !found {
            self.shared.notices.push(Notice::warning(
                SqlState::WARNING,
                format!("PID {process} is not a PostgreSQL backend process"),
            ));
        }
        Ok(Datum::Bool(found))
    }
}

/// Whether a name stands for nothing, or for too much.
fn is_missing(code: SqlState) -> bool {
    [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_OBJECT,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::AMBIGUOUS_FUNCTION,
        SqlState::INVALID_SCHEMA_NAME,
    ]
    .contains(&code)
}

/// 25006 in PostgreSQL's words.
pub fn read_only(command: &str) -> SqlError {
    SqlError::new(
        SqlState::READ_ONLY_SQL_TRANSACTION,
        format!("cannot execute {command} in a read-only transaction"),
    )
}

/// What `version()` says: PostgreSQL's form, because drivers parse it, and whose it is.
pub fn version() -> String {
    format!(
        "PostgreSQL 15.18 (Curia {}) on {}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    )
}

fn text(args: &[Datum], i: usize) -> Result<&str> {
    match args.get(i) {
        Some(Datum::Text(t)) => Ok(t),
        _ => Err(SqlError::internal("a text argument is missing")),
    }
}

fn integer(args: &[Datum], i: usize) -> Result<i64> {
    match args.get(i) {
        Some(Datum::Int8(v)) => Ok(*v),
        Some(Datum::Int4(v)) => Ok(i64::from(*v)),
        _ => Err(SqlError::internal("an integer argument is missing")),
    }
}

/// Sleeps on the calling thread, in slices, so that a cancel ends it. The session's own fast path for `SELECT pg_sleep(..)` does not
/// come here.
fn sleep(seconds: f64, interrupt: &Interrupt) -> Result<()> {
    if seconds.is_nan() || seconds <= 0.0 {
        return Ok(());
    }
    let end = Instant::now()
        + Duration::try_from_secs_f64(seconds)
            .unwrap_or(Duration::MAX / 4)
            .min(Duration::from_secs(1 << 31));
    loop {
        interrupt.check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(5)));
    }
}

/// Formatting parameters from settings.
pub fn io_context(settings: &Settings, names: Arc<crate::names::Names>, types: Arc<CatalogTypes>) -> IoContext {
    use curia_types::{ByteaOutput, DateOrder, DateStyle, IntervalStyle, datetime::Zone};
    let (style, order) = settings.get("datestyle").and_then(|v| v.split_once(", ")).unwrap_or(("ISO", "MDY"));
    IoContext {
        date_style: match style {
            "SQL" => DateStyle::Sql,
            "Postgres" => DateStyle::Postgres,
            "German" => DateStyle::German,
            _ => DateStyle::Iso,
        },
        date_order: match order {
            "DMY" => DateOrder::Dmy,
            "YMD" => DateOrder::Ymd,
            _ => DateOrder::Mdy,
        },
        interval_style: match settings.get("intervalstyle") {
            Some("postgres_verbose") => IntervalStyle::PostgresVerbose,
            Some("sql_standard") => IntervalStyle::SqlStandard,
            Some("iso_8601") => IntervalStyle::Iso8601,
            _ => IntervalStyle::Postgres,
        },
        zone: settings
            .get("timezone")
            .and_then(|z| Zone::from_setting(z).ok())
            .unwrap_or_else(Zone::utc),
        extra_float_digits: settings.integer("extra_float_digits") as i32,
        bytea_output: if settings.get("bytea_output") == Some("escape") {
            ByteaOutput::Escape
        } else {
            ByteaOutput::Hex
        },
        now: 0,
        names: Some(names),
        types: Some(types),
    }
}

/// Schemas of the search path.
pub fn search_path_of(settings: &Settings, user: &str) -> Vec<String> {
    search_path::schemas(settings.get("search_path").unwrap_or(""), user)
}
