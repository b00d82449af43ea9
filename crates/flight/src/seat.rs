//! One session as this crate uses it: by statements, values and Arrow batches, from any thread.

use crate::House;
use crate::arrow_form::Column;
use arrow::array::RecordBatch;
use curia_session::{CopyPiece, Login, RemotePrepared, RemoteSession, Sessions};
use curia_types::{Datum, IoContext, PgType, Result};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Rows of a query, in the form that the server uses inside.
pub type BatchStream = BoxStream<'static, Result<RecordBatch>>;

/// A statement that a seat prepared.
#[derive(Clone)]
pub struct Prepared {
    id: u64,
    /// Result columns; `None` when it returns no rows.
    pub columns: Option<Vec<Column>>,
    /// Types of its parameters.
    pub parameters: Vec<PgType>,
}

impl From<RemotePrepared> for Prepared {
    fn from(remote: RemotePrepared) -> Prepared {
        let column = |field: &curia_session::Field| Column {
            name: field.name.clone(),
            ty: field.ty,
            nullable: true,
        };
        Prepared {
            id: remote.id,
            columns: remote.fields.map(|fields| fields.iter().map(column).collect()),
            parameters: remote.parameters,
        }
    }
}

/// A session that ends when the seat is dropped.
pub struct Seat {
    session: RemoteSession,
    role: String,
    sessions: Arc<Sessions>,
}

impl Seat {
    /// Opens a session for a role that has shown who it is.
    ///
    /// # Errors
    /// 53300 when there are too many, 28000 for an unknown role.
    pub async fn open(house: &House, role: String, peer: Option<SocketAddr>) -> Result<Seat> {
        let login = Login {
            user: role.clone(),
            database: crate::metadata::DATABASE.to_owned(),
            parameters: vec![("application_name".to_owned(), "flight".to_owned())],
            peer,
            ..Login::default()
        };
        let session = RemoteSession::open(&house.cores, &house.sessions, login).await?;
        let sessions = Arc::clone(&house.sessions);
        Ok(Seat { session, role, sessions })
    }

    /// Whose session it is.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// How values become text: the published catalog knows the labels of enums.
    pub fn io(&self) -> IoContext {
        IoContext {
            types: Some(self.sessions.catalog()),
            ..IoContext::default()
        }
    }

    /// Prepares one statement.
    pub async fn prepare(&self, sql: &str) -> Result<Prepared> {
        self.session.prepare(sql).await.map(Prepared::from)
    }

    /// Forgets a prepared statement.
    pub async fn close(&self, prepared: &Prepared) -> Result<()> {
        self.session.close(prepared.id).await
    }

    /// Runs a statement that returns rows. Dropping the stream ends the query.
    pub async fn query(&self, prepared: &Prepared, parameters: Vec<Datum>) -> Result<BatchStream> {
        let rows = self.session.query(prepared.id, parameters).await?;
        Ok(stream::unfold(rows.batches, |mut batches| async {
            batches.recv().await.map(|batch| (batch, batches))
        })
        .boxed())
    }

    /// Runs a statement to its end, once with each row of parameters: outside of a client's transaction all of it or nothing. Returns the
    /// rows affected.
    pub async fn update(&self, prepared: &Prepared, rows: Vec<Vec<Datum>>) -> Result<u64> {
        self.session.update(prepared.id, rows).await
    }

    /// Runs statements that neither take parameters nor return rows.
    pub async fn run(&self, sql: &str) -> Result<()> {
        self.session.run(sql).await
    }

    /// Commits the client's transaction. SQL's COMMIT of a failed one quietly rolls back; a Flight client is told.
    ///
    /// # Errors
    /// 25P02 when the transaction had failed (it is rolled back), and whatever the commit meets.
    pub async fn commit(&self) -> Result<()> {
        if let Err(failed) = self.prepare("SELECT 1").await {
            self.run("ROLLBACK").await?;
            return Err(failed);
        }
        self.run("COMMIT").await
    }

    /// Runs COPY .. FROM STDIN. Returns the rows copied.
    pub async fn copy_in(&self, sql: &str, input: mpsc::Receiver<CopyPiece>) -> Result<u64> {
        self.session.copy_in(sql, input).await
    }
}
