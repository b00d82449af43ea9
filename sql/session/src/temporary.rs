//! Temporary relations of sessions: what a commit does to them, and that they go with their session, or at the next start.

use crate::context::Shared;
use crate::definitions::DefinitionQueries;
use crate::identity::Identity;
use crate::password;
use crate::session::Session;
use crate::sessions::{Login, Sessions};
use curia_catalog::lookup::{FIRST_DATABASE, FIRST_ROLE};
use curia_catalog::temporary;
use curia_ddl::Ddl;
use curia_types::{Result, SqlError};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How long the end of a session waits for others that look at its temporary relations.
const END_WAIT: Duration = Duration::from_secs(10);

/// What DDL needs to know of a session, for as long as a statement runs.
pub(crate) struct Surroundings {
    search_path: Arc<[String]>,
    shared: Arc<Shared>,
    temporary_first: bool,
    check_bodies: bool,
    identity: Arc<Identity>,
}

impl Surroundings {
    /// As DDL takes it.
    pub fn environment(&self) -> curia_ddl::Environment<'_> {
        curia_ddl::Environment {
            search_path: &self.search_path,
            temporary: &self.shared.temporary,
            temporary_first: self.temporary_first,
            role: self.identity.current,
            session_role: self.identity.session,
            check_bodies: self.check_bodies,
            verifier: |password| Ok(password::to_stored(password).unwrap_or_default()),
        }
    }

    /// The schema in which CREATE puts a relation without a schema.
    pub fn creation_schema(&self, catalog: &curia_catalog::Catalog, temporary: bool) -> Option<String> {
        if temporary || self.temporary_first {
            return Some(self.shared.temporary.clone());
        }
        catalog.creation_schema(&self.search_path).map(|s| s.name.clone())
    }
}

impl Session {
    pub(crate) fn surroundings(&self) -> Surroundings {
        let written = crate::context::search_path_of(&self.shared.settings.lock(), &self.environment.identity.current_name);
        Surroundings {
            search_path: self.environment.search_path.clone(),
            shared: self.shared.clone(),
            check_bodies: self.shared.settings.lock().show("check_function_bodies").as_deref() != Some("off"),
            temporary_first: written.first().is_some_and(|s| s == temporary::ALIAS),
            identity: self.environment.identity.clone(),
        }
    }

    /// ON COMMIT of its temporary tables.
    pub(crate) async fn before_commit(&mut self) -> Result<()> {
        if !self.has_temporary || self.block.tx.as_ref().is_none_or(|tx| tx.read_only()) {
            return Ok(());
        }
        let catalog = self.transaction()?.catalog();
        let queries = DefinitionQueries::new(self, &catalog);
        let surroundings = self.surroundings();
        Ddl::new(self.transaction()?, surroundings.environment(), &queries)
            .before_commit()
            .await
    }

    /// DISCARD TEMP.
    pub(crate) async fn discard_temporary(&mut self) -> Result<()> {
        if self.has_temporary {
            self.drop_temporary(&self.shared.temporary.clone()).await?;
        }
        Ok(())
    }

    /// At the end of the session. What stays is dropped by the next start.
    pub(crate) async fn drop_own_temporary(&mut self) {
        if self.has_temporary {
            let own = self.shared.temporary.clone();
            if let Err(error) = self.drop_committed(&own).await {
                tracing::warn!(schema = own, %error, "temporary relations outlive their session until the next start");
            }
        }
    }

    async fn drop_committed(&mut self, schema: &str) -> Result<()> {
        self.transaction()?.set_lock_timeout(Some(END_WAIT));
        self.drop_temporary(schema).await?;
        match self.block.tx.take() {
            Some(tx) => tx.commit().await.map(|_| ()),
            None => Err(SqlError::internal("no transaction after DDL")),
        }
    }

    async fn drop_temporary(&mut self, schema: &str) -> Result<()> {
        let catalog = self.transaction()?.catalog();
        let queries = DefinitionQueries::new(self, &catalog);
        let surroundings = self.surroundings();
        let tx = self.transaction()?;
        tx.start_statement();
        Ddl::new(tx, surroundings.environment(), &queries).drop_temporary(schema).await
    }
}

impl Sessions {
    /// Drops what sessions that ended elsewhere, or in earlier runs, left behind. What has the number of a session that is open stays: it may
    /// be that one's.
    ///
    /// # Errors
    /// Those of reading and changing the catalog.
    pub async fn sweep_temporary(self: &Arc<Self>) -> Result<()> {
        let catalog = self.database.catalog();
        let own: HashSet<String> = self.backends().processes().into_iter().map(temporary::schema_of).collect();
        let left = catalog
            .schemas
            .values()
            .map(|s| &s.name)
            .filter(|name| temporary::is_temporary(name) && !own.contains(*name));
        let left: Vec<String> = left.cloned().collect();
        if left.is_empty() {
            return Ok(());
        }
        let missing = || SqlError::internal("a database without its first role");
        let login = Login {
            user: catalog.roles.get(&FIRST_ROLE).ok_or_else(missing)?.name.clone(),
            database: catalog.databases.get(&FIRST_DATABASE).ok_or_else(missing)?.name.clone(),
            ..Login::default()
        };
        let mut session = self.open_for_server(login)?;
        for schema in left {
            session.drop_committed(&schema).await?;
        }
        session.end().await;
        Ok(())
    }
}
