//! A server that files are run against.
//!
//! Each file gets a schema of its own, the only one on its search path, which is made before it and dropped after it: files need
//! not clean up, and none sees what another left. That works the same on every server, also on one that has a single database.

use crate::session::{Common, Failure, Session, connect};
use crate::{Options, Result};
use curia_sim::server::{Launch, Server};
use sqllogictest::{MakeConnection, Runner};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_postgres::Config;

/// Longest start of a server.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The schema of the file that is being run. What it holds is dropped.
const SCHEMA: &str = "slt";

/// A server.
pub struct Target {
    /// How it is called in the report; a label of its records too.
    pub name: &'static str,
    config: Config,
    /// The server that was started for this run, with its data.
    _started: Option<(Server, tempfile::TempDir)>,
}

impl Target {
    /// `kind` and `place` are those of the option `--against`.
    pub fn open(kind: &str, place: &str) -> Result<Target> {
        let (name, config, started) = match kind {
            "postgres" => ("postgresql", place.parse()?, None),
            "curia" => ("curia", place.parse()?, None),
            "program" => {
                let folder = tempfile::tempdir()?;
                let server = Launch::in_folder(PathBuf::from(place), folder.path())
                    .start(READY_WITHIN)
                    .map_err(|error| format!("{place} does not start: {error:?}"))?;
                let uri = format!("postgresql://curia@{}/curia", server.sql);
                ("curia", uri.parse()?, Some((server, folder)))
            }
            _ => return Err(format!("--against knows postgres, curia and program, not {kind}").into()),
        };
        Ok(Target {
            name,
            config,
            _started: started,
        })
    }

    /// An empty schema, and what sessions in it need to know.
    pub async fn prepare(&self, options: &Options) -> Result<Arc<Common>> {
        let client = connect(&self.config).await?;
        client
            .batch_execute(&format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}"))
            .await?;
        let mut config = self.config.clone();
        config.options(format!("-c search_path={SCHEMA}"));
        Ok(Arc::new(Common {
            config,
            limit: Duration::from_secs(options.record_seconds),
            declared: Mutex::default(),
        }))
    }
}

/// A runner whose connections are [`Session`]s.
pub type SltRunner = Runner<Session, Connector>;

/// Makes the connections of one file.
pub struct Connector(pub Arc<Common>);

impl MakeConnection for Connector {
    type Conn = Session;
    type MakeFuture = Pin<Box<dyn Future<Output = Result<Session, Failure>> + Send>>;

    fn make(&mut self) -> Self::MakeFuture {
        Box::pin(Session::connect(Arc::clone(&self.0)))
    }
}
