//! [`Sessions`]: what the sessions of one server share, and how one is opened.

use crate::backends::{Backends, Key};
use crate::cluster_views::ClusterViews;
use crate::context::{Shared, now_micros};
use crate::identity::is_identity;
use crate::password::Verifier;
use crate::plan_cache::PlanCache;
use crate::session::Session;
use crate::settings::Settings;
use curia_catalog::{Rights, temporary};
use curia_execute::{Engine, ReferencePlans};
use curia_txn::Database;
use curia_types::{Result, SqlError, SqlState};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

/// Limits of the sessions of one server.
#[derive(Clone, Debug)]
pub struct SessionsConfig {
    /// Most sessions at a time (53300 beyond).
    pub connections: usize,
    /// Lets roles without a password in from beyond loopback.
    pub insecure: bool,
    /// Most plans that are kept for texts.
    pub plans: usize,
    /// Which server of a cluster this is, 0 for none.
    pub server: u64,
}

impl Default for SessionsConfig {
    fn default() -> SessionsConfig {
        SessionsConfig {
            connections: 100,
            insecure: false,
            plans: 2000,
            server: 0,
        }
    }
}

/// What a client says of itself.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// Role name.
    pub user: String,
    /// Database name.
    pub database: String,
    /// Parameters to start with, in order.
    pub parameters: Vec<(String, String)>,
    /// Where the client is.
    pub peer: Option<SocketAddr>,
    /// What it was given to cancel with, if that was before its session was opened here.
    pub key: Option<Key>,
    /// The server that passes it on, if the client is not connected to this one.
    pub through: Option<u64>,
}

/// Where a client comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// This machine.
    Loopback,
    /// Elsewhere.
    Remote,
}

/// What a client must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Nothing.
    Trust,
    /// A password, by SCRAM-SHA-256.
    Scram(Verifier),
}

/// The sessions of one server.
pub struct Sessions {
    pub(crate) engine: Arc<Engine>,
    pub(crate) database: Arc<Database>,
    pub(crate) plans: PlanCache,
    pub(crate) reference_plans: Arc<ReferencePlans>,
    backends: Arc<Backends>,
    config: SessionsConfig,
    /// Makes decoy verifiers repeatable.
    decoy_secret: [u8; 32],
    started: i64,
    cluster: OnceLock<Arc<dyn ClusterViews>>,
}

impl Sessions {
    /// The sessions over an engine.
    pub fn new(engine: Arc<Engine>, database: Arc<Database>, config: SessionsConfig) -> Arc<Sessions> {
        Arc::new(Sessions {
            engine,
            database,
            plans: PlanCache::new(config.plans),
            reference_plans: Arc::default(),
            backends: Backends::new(config.connections, config.server),
            decoy_secret: rand::random(),
            started: now_micros(),
            cluster: OnceLock::new(),
            config,
        })
    }

    /// From now on sessions that are opened show this in the schema `curia`.
    pub fn show_cluster(&self, cluster: Arc<dyn ClusterViews>) {
        let _ = self.cluster.set(cluster);
    }

    /// Who is connected.
    pub fn backends(&self) -> &Arc<Backends> {
        &self.backends
    }

    /// The published catalog.
    pub fn catalog(&self) -> Arc<curia_catalog::Catalog> {
        self.database.catalog()
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// What a client that says it is `user` must show. A role without a password is trusted from this machine only.
    ///
    /// # Errors
    /// 28000 as PostgreSQL words it. From elsewhere an unknown role gets a challenge that nothing answers, like a known one.
    pub fn authentication(&self, user: &str, from: Peer) -> Result<Authentication> {
        self.require_office()?;
        self.authentication_here(user, from)
    }

    /// [`Sessions::authentication`] on any server that runs the state, by the roles as they are known here.
    ///
    /// # Errors
    /// The same but for 57P03.
    pub fn authentication_here(&self, user: &str, from: Peer) -> Result<Authentication> {
        self.database.follow()?;
        let catalog = self.database.catalog();
        let verifier = match catalog.role(user) {
            Some(role) if !role.login => {
                return Err(SqlError::new(
                    SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                    format!("role \"{user}\" is not permitted to log in"),
                ));
            }
            Some(role) => match role.password.as_deref() {
                // A password that is no longer good is one that nobody knows.
                Some(_) if role.valid_until.is_some_and(|until| until < now_micros()) => None,
                Some(stored) => Verifier::parse(stored),
                None if from == Peer::Loopback || self.config.insecure => return Ok(Authentication::Trust),
                None => None,
            },
            None if from == Peer::Loopback => {
                return Err(SqlError::new(
                    SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                    format!("role \"{user}\" does not exist"),
                ));
            }
            None => None,
        };
        Ok(Authentication::Scram(
            verifier.unwrap_or_else(|| Verifier::decoy(user, &self.decoy_secret)),
        ))
    }

    /// 57P03 where this server is not the consul, or not ready to serve yet.
    fn require_office(&self) -> Result<()> {
        match self.database.serves() {
            true => Ok(()),
            false => Err(self.database.replication().refusal()),
        }
    }

    /// Opens a session for a client that has shown who it is.
    ///
    /// # Errors
    /// 57P03 where this server is not the consul, 53300 when there are too many, 3D000 for an unknown database, 28000 for an unknown role, and the errors of its parameters.
    pub fn open(self: &Arc<Self>, login: Login) -> Result<Session> {
        self.require_office()?;
        self.open_here(login, false, self.config.connections)
    }

    /// Opens a session for the server's own work, however many clients are connected.
    pub(crate) fn open_for_server(self: &Arc<Self>, login: Login) -> Result<Session> {
        self.require_office()?;
        self.open_here(login, false, usize::MAX)
    }

    /// Opens a session that only reads, on any server that runs the state ([`crate::reading`]). It asks for no proof of who the client
    /// is: the caller has that.
    ///
    /// # Errors
    /// 57P03 before there is a catalog here, and those of [`Sessions::open`].
    pub fn open_local(self: &Arc<Self>, login: Login) -> Result<Session> {
        self.database.follow()?;
        if self.database.catalog().schemas.is_empty() {
            return Err(self.database.replication().refusal());
        }
        self.open_here(login, true, self.config.connections)
    }

    /// Opens a session on any server that runs the state: on the consul one as any, elsewhere a local one, which reads as strictly as the
    /// consul unless its parameters say otherwise.
    ///
    /// # Errors
    /// Those of [`Sessions::open`] and [`Sessions::open_local`].
    pub fn open_anywhere(self: &Arc<Self>, mut login: Login) -> Result<Session> {
        if self.database.serves() {
            return self.open(login);
        }
        login.parameters.insert(0, ("curia.read".to_owned(), "strict".to_owned()));
        self.open_local(login)
    }

    fn open_here(self: &Arc<Self>, login: Login, local: bool, limit: usize) -> Result<Session> {
        let catalog = self.database.catalog();
        let role = catalog.role(&login.user).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("role \"{}\" does not exist", login.user),
            )
        })?;
        if catalog.database(&login.database).is_none() {
            return Err(SqlError::new(
                SqlState::INVALID_CATALOG_NAME,
                format!("database \"{}\" does not exist", login.database),
            ));
        }
        if let Some(database) = catalog.database(&login.database)
            && catalog.require(role.oid, database.oid, Rights::CONNECT).is_err()
        {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied for database \"{}\"", login.database),
            )
            .detail("User does not have CONNECT privilege."));
        }
        let mut settings = Settings::new();
        // What is asked for all, for the database, for the role, for both: the later wins.
        for key in [(0, 0), (0, 1), (role.oid, 0), (role.oid, 1)] {
            for (name, value) in catalog.start_settings.get(&key).iter().flat_map(|s| &s.settings) {
                // One that is no longer good is passed over, as in PostgreSQL.
                if !is_identity(name) {
                    let _ = settings.set_default(name, value);
                }
            }
        }
        settings.set_internal("is_superuser", if role.superuser { "on" } else { "off" });
        settings.set_internal("session_authorization", &login.user);
        let age = self.database.max_snapshot_age().as_secs();
        if age > 0 {
            settings.set_internal("curia.max_snapshot_age", &age.to_string());
        }
        if local || login.through.is_some() {
            settings.set_internal("in_hot_standby", "on");
        }
        for (name, value) in &login.parameters {
            if is_identity(name) {
                return Err(SqlError::unsupported(format!("the start-up parameter {name}")));
            }
            settings.set_default(name, value)?;
        }
        let registration = match login.key {
            Some(key) => self.backends.register_as(key)?,
            None => self.backends.register_within(limit)?,
        };
        let shared = Shared {
            engine: self.engine.clone(),
            database: self.database.clone(),
            slot: self.database.session(registration.key.process),
            backends: self.backends.clone(),
            interrupt: registration.interrupt.clone(),
            settings: Mutex::new(settings),
            notices: Default::default(),
            activity: Default::default(),
            opened: now_micros(),
            notifications: Default::default(),
            advisory: Default::default(),
            last_csn: AtomicU64::new(0),
            local,
            process: registration.key.process,
            // Those that there are belong to sessions of the consul.
            temporary: temporary::schema_of(if local { -1 } else { registration.key.process }),
            role: role.oid,
            user: login.user,
            database_name: login.database,
            peer: login.peer,
            server_start: self.started,
            reference_plans: self.reference_plans.clone(),
            cluster: self.cluster.get().cloned(),
        };
        let shared = Arc::new(shared);
        registration.introduce(&shared);
        Ok(Session::new(self.clone(), shared, registration))
    }
}
