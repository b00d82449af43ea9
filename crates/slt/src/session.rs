//! A connection as the `sqllogictest` runner uses it: SQL text in, rows of text out.
//!
//! Statements go by the simple query protocol: every value arrives in the server's own text form, and a statement is planned
//! where it is run. A session that lost its connection makes a new one for the next record, so that one statement which ends a
//! backend costs one record and not the rest of the file.

use crate::value::written;
use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// What a file's sessions have in common.
pub struct Common {
    /// Where, as whom, and in which schema.
    pub config: Config,
    /// Longest time for one statement.
    pub limit: Duration,
    /// Column types that the current record declares. The runner compares text, so the text has to be in their form.
    pub declared: Mutex<Vec<DefaultColumnType>>,
}

impl Common {
    /// Says what the next record declares.
    pub fn declare(&self, types: &[DefaultColumnType]) {
        *self.declared.lock().unwrap_or_else(PoisonError::into_inner) = types.to_vec();
    }
}

/// Why a statement gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server refused it.
    #[error("{} ({})", .0.message(), .0.code().code())]
    Server(Box<tokio_postgres::error::DbError>),
    /// The connection is gone, or never was.
    #[error("connection lost: {0}")]
    Lost(String),
    /// It took longer than the limit, was cancelled, and its connection given up.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        match error.as_db_error() {
            Some(refusal) => Failure::Server(Box::new(refusal.clone())),
            None => Failure::Lost(error.to_string()),
        }
    }
}

/// One connection.
pub struct Session {
    common: Arc<Common>,
    client: Option<Client>,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn connect(common: Arc<Common>) -> Result<Session, Failure> {
        let client = Some(connect(&common.config).await?);
        Ok(Session { common, client })
    }
}

/// Connects, and lets the connection live as long as its client.
///
/// # Errors
/// When the server cannot be reached or refuses.
pub async fn connect(config: &Config) -> Result<Client, Failure> {
    let (client, connection) = config.connect(NoTls).await?;
    // Ends by itself when the client is dropped; what went wrong is told to the client too.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(client)
}

#[async_trait]
impl AsyncDB for Session {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => connect(&self.common.config).await?,
        };
        let messages = match tokio::time::timeout(self.common.limit, client.simple_query(sql)).await {
            Ok(Ok(messages)) => messages,
            Ok(Err(error)) => {
                self.client = Some(client);
                return Err(error.into());
            }
            Err(_) => {
                // Best effort: the connection is dropped either way.
                let _ = client.cancel_token().cancel_query(NoTls).await;
                return Err(Failure::Late(self.common.limit));
            }
        };
        self.client = Some(client);
        let declared = self.common.declared.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(output(&messages, &declared))
    }

    async fn shutdown(&mut self) {
        self.client = None;
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn error_sql_state(error: &Failure) -> Option<String> {
        match error {
            Failure::Server(refusal) => Some(refusal.code().code().to_owned()),
            Failure::Lost(_) | Failure::Late(_) => None,
        }
    }
}

fn output(messages: &[SimpleQueryMessage], declared: &[DefaultColumnType]) -> DBOutput<DefaultColumnType> {
    let column = |at: usize| declared.get(at).unwrap_or(&DefaultColumnType::Any);
    let mut columns = None;
    let mut rows = Vec::new();
    let mut affected = 0;
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(described) => columns = Some(described.len()),
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|at| written(column(at), row.get(at))).collect());
            }
            SimpleQueryMessage::CommandComplete(count) => affected = *count,
            _ => {}
        }
    }
    match columns {
        Some(columns) => {
            let types = (0..columns).map(|at| column(at).clone()).collect();
            DBOutput::Rows { types, rows }
        }
        None => DBOutput::StatementComplete(affected),
    }
}
