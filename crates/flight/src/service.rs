//! The Flight SQL service: each request finds who asks, finds or opens a seat, and hands over to [`crate::statements`] and
//! [`crate::metadata`].

use crate::seat::Seat;
use crate::sign_in::Asker;
use crate::statements::{self, Statement};
use crate::{House, metadata, status};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::metadata::{SqlInfoData, XdbcTypeInfoData};
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionBeginTransactionRequest, ActionBeginTransactionResult, ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, ActionEndTransactionRequest, CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas,
    CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandGetXdbcTypeInfo, CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementIngest, CommandStatementQuery,
    CommandStatementUpdate, DoPutPreparedStatementResult, EndTransaction, ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage, SchemaAsIpc, Ticket,
};
use bytes::Bytes;
use futures::Stream;
use parking_lot::Mutex;
use prost::Message;
use std::pin::Pin;
use std::sync::Arc;
use tonic::{Request, Response, Status, Streaming};

/// A transaction that a client began by an action.
pub struct Block {
    seat: Arc<Seat>,
}

/// See the module page.
pub struct Service {
    house: Arc<House>,
    sql_info: SqlInfoData,
    xdbc: XdbcTypeInfoData,
}

type DoGet = Response<<Service as FlightService>::DoGetStream>;
type Info = Result<Response<FlightInfo>, Status>;

fn sql(error: curia_types::SqlError) -> Status {
    status::of(&error)
}

fn arrow(error: impl std::fmt::Display) -> Status {
    Status::internal(format!("[XX000] {error}"))
}

/// A schema in the framing that prepared statement results carry.
fn ipc(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let message: IpcMessage = SchemaAsIpc::new(schema, &options).try_into().map_err(arrow)?;
    Ok(message.0)
}

/// The answer to a request for flight info: the same command again as the one ticket.
fn info(schema: &Schema, descriptor: FlightDescriptor, ticket: &impl ProstMessageExt) -> Info {
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket.as_any().encode_to_vec()));
    let info = FlightInfo::new()
        .try_with_schema(schema)
        .map_err(arrow)?
        .with_endpoint(endpoint)
        .with_descriptor(descriptor);
    Ok(Response::new(info))
}

/// The answer when the statement returns no rows: it has run already, and its ticket fetches nothing. Clients such as ADBC
/// send every statement this way and are free to fetch late, or never; a CREATE TABLE must not wait for that.
fn done(descriptor: FlightDescriptor) -> Info {
    info(
        &Schema::empty(),
        descriptor,
        &TicketStatementQuery {
            statement_handle: Bytes::new(),
        },
    )
}

fn one_batch(batch: RecordBatch) -> DoGet {
    Response::new(statements::encode(batch.schema(), futures::stream::iter([Ok(batch)])))
}

impl Service {
    /// A service over the sessions of one server.
    ///
    /// # Errors
    /// When the constant tables cannot be built.
    pub fn new(house: Arc<House>) -> Result<Service, FlightError> {
        Ok(Service {
            house,
            sql_info: crate::server_facts::sql_info()?,
            xdbc: crate::server_facts::xdbc_types()?,
        })
    }

    fn role(&self, asker: &Asker) -> Result<String, Status> {
        self.house.sign_in.role(asker, self.house.gate())
    }

    /// The seat of the client's transaction, or a fresh one.
    async fn seat(&self, asker: Asker, transaction: Option<&Bytes>) -> Result<Arc<Seat>, Status> {
        let role = self.role(&asker)?;
        let seat = match transaction.filter(|id| !id.is_empty()) {
            Some(id) => Arc::clone(&self.house.blocks.get(id).map_err(sql)?.seat),
            None => return Seat::open(&self.house, role, asker.peer).await.map(Arc::new).map_err(sql),
        };
        if seat.role() != role {
            return Err(Status::permission_denied("[42501] the transaction belongs to another role"));
        }
        Ok(seat)
    }

    fn statement(&self, asker: &Asker, handle: &Bytes) -> Result<Arc<Statement>, Status> {
        let role = self.role(asker)?;
        let statement = self.house.statements.get(handle).map_err(sql)?;
        if statement.seat.role() != role {
            return Err(Status::permission_denied("[42501] the prepared statement belongs to another role"));
        }
        Ok(statement)
    }
}

#[tonic::async_trait]
impl FlightSqlService for Service {
    type FlightService = Service;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>>, Status> {
        let token = self.house.sign_in.give_token(&Asker::of(&request), self.house.gate())?;
        let answer = HandshakeResponse {
            protocol_version: 0,
            payload: Bytes::copy_from_slice(token.as_bytes()),
        };
        let stream: Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>> = Box::pin(futures::stream::iter([Ok(answer)]));
        let mut response = Response::new(stream);
        let header = format!("Bearer {token}").parse().map_err(|_| Status::internal("[XX000] token"))?;
        response.metadata_mut().insert("authorization", header);
        Ok(response)
    }

    // Statements.

    async fn get_flight_info_statement(&self, query: CommandStatementQuery, request: Request<FlightDescriptor>) -> Info {
        let seat = self.seat(Asker::of(&request), query.transaction_id.as_ref()).await?;
        let prepared = seat.prepare(&query.query).await.map_err(sql)?;
        if prepared.columns.is_none() {
            seat.update(&prepared, vec![Vec::new()]).await.map_err(sql)?;
            return done(request.into_inner());
        }
        let ticket = TicketStatementQuery {
            statement_handle: query.encode_to_vec().into(),
        };
        info(&statements::result_schema(&prepared), request.into_inner(), &ticket)
    }

    async fn do_get_statement(&self, ticket: TicketStatementQuery, request: Request<Ticket>) -> Result<DoGet, Status> {
        if ticket.statement_handle.is_empty() {
            return Ok(one_batch(RecordBatch::new_empty(Arc::new(Schema::empty()))));
        }
        let query = CommandStatementQuery::decode(ticket.statement_handle)
            .map_err(|_| Status::invalid_argument("[08P01] the ticket is not one of this server"))?;
        let seat = self.seat(Asker::of(&request), query.transaction_id.as_ref()).await?;
        let prepared = seat.prepare(&query.query).await.map_err(sql)?;
        Ok(Response::new(statements::stream(seat, prepared, Vec::new())))
    }

    async fn do_put_statement_update(
        &self,
        command: CommandStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let seat = self.seat(Asker::of(&request), command.transaction_id.as_ref()).await?;
        let prepared = seat.prepare(&command.query).await.map_err(sql)?;
        let affected = seat.update(&prepared, vec![Vec::new()]).await.map_err(sql)?;
        Ok(i64::try_from(affected).unwrap_or(i64::MAX))
    }

    async fn do_put_statement_ingest(
        &self,
        command: CommandStatementIngest,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let in_transaction = command.transaction_id.as_ref().is_some_and(|id| !id.is_empty());
        let seat = self.seat(Asker::of(&request), command.transaction_id.as_ref()).await?;
        statements::ingest(&self.house, seat, in_transaction, command, request.into_inner()).await
    }

    // Prepared statements.

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let seat = self.seat(Asker::of(&request), query.transaction_id.as_ref()).await?;
        let prepared = seat.prepare(&query.query).await.map_err(sql)?;
        let statement = Arc::new(Statement {
            seat,
            prepared,
            bound: Mutex::new(Vec::new()),
        });
        let dataset_schema = ipc(&statement.result_schema())?;
        let parameter_schema = ipc(&statement.parameter_schema())?;
        let handle = self.house.statements.put(statement).map_err(sql)?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle,
            dataset_schema,
            parameter_schema,
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        self.statement(&Asker::of(&request), &query.prepared_statement_handle)?;
        let statement = self.house.statements.take(&query.prepared_statement_handle).map_err(sql)?;
        statement.seat.close(&statement.prepared).await.map_err(sql)
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let statement = self.statement(&Asker::of(&request), &query.prepared_statement_handle)?;
        let rows = statements::bind(request.into_inner(), &statement.prepared.parameters).await?;
        *statement.bound.lock() = rows;
        Ok(DoPutPreparedStatementResult {
            prepared_statement_handle: Some(query.prepared_statement_handle),
        })
    }

    async fn get_flight_info_prepared_statement(&self, query: CommandPreparedStatementQuery, request: Request<FlightDescriptor>) -> Info {
        let statement = self.statement(&Asker::of(&request), &query.prepared_statement_handle)?;
        if statement.prepared.columns.is_none() {
            let rows = statement.bound.lock().clone();
            statements::update(&statement, rows).await.map_err(sql)?;
            return done(request.into_inner());
        }
        info(&statement.result_schema(), request.into_inner(), &query)
    }

    async fn do_get_prepared_statement(&self, query: CommandPreparedStatementQuery, request: Request<Ticket>) -> Result<DoGet, Status> {
        let statement = self.statement(&Asker::of(&request), &query.prepared_statement_handle)?;
        let rows = statement.bound.lock().clone();
        if rows.is_empty() && !statement.prepared.parameters.is_empty() {
            return Err(Status::failed_precondition("[08P01] the statement's parameters are not bound"));
        }
        Ok(Response::new(statements::stream(
            Arc::clone(&statement.seat),
            statement.prepared.clone(),
            rows,
        )))
    }

    async fn do_put_prepared_statement_update(
        &self,
        query: CommandPreparedStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let statement = self.statement(&Asker::of(&request), &query.prepared_statement_handle)?;
        let rows = statements::bind(request.into_inner(), &statement.prepared.parameters).await?;
        statements::update(&statement, rows).await.map_err(sql)
    }

    // Transactions.

    async fn do_action_begin_transaction(
        &self,
        _query: ActionBeginTransactionRequest,
        request: Request<Action>,
    ) -> Result<ActionBeginTransactionResult, Status> {
        let seat = self.seat(Asker::of(&request), None).await?;
        seat.run("BEGIN").await.map_err(sql)?;
        let transaction_id = self.house.blocks.put(Arc::new(Block { seat })).map_err(sql)?;
        Ok(ActionBeginTransactionResult { transaction_id })
    }

    async fn do_action_end_transaction(&self, query: ActionEndTransactionRequest, request: Request<Action>) -> Result<(), Status> {
        let action = query.action();
        let seat = self.seat(Asker::of(&request), Some(&query.transaction_id)).await?;
        match action {
            EndTransaction::Unspecified => Err(Status::invalid_argument("[08P01] neither commit nor rollback was asked for")),
            EndTransaction::Rollback => {
                self.house.blocks.take(&query.transaction_id).map_err(sql)?;
                seat.run("ROLLBACK").await.map_err(sql)
            }
            EndTransaction::Commit => {
                self.house.blocks.take(&query.transaction_id).map_err(sql)?;
                seat.commit().await.map_err(sql)
            }
        }
    }

    // What is in the database.

    async fn get_flight_info_catalogs(&self, query: CommandGetCatalogs, request: Request<FlightDescriptor>) -> Info {
        self.role(&Asker::of(&request))?;
        info(&query.into_builder().schema(), request.into_inner(), &query)
    }

    async fn do_get_catalogs(&self, query: CommandGetCatalogs, request: Request<Ticket>) -> Result<DoGet, Status> {
        self.role(&Asker::of(&request))?;
        metadata::catalogs(query).map(one_batch).map_err(arrow)
    }

    async fn get_flight_info_schemas(&self, query: CommandGetDbSchemas, request: Request<FlightDescriptor>) -> Info {
        self.role(&Asker::of(&request))?;
        info(&query.clone().into_builder().schema(), request.into_inner(), &query)
    }

    async fn do_get_schemas(&self, query: CommandGetDbSchemas, request: Request<Ticket>) -> Result<DoGet, Status> {
        self.role(&Asker::of(&request))?;
        metadata::schemas(query, &self.house.catalog()).map(one_batch).map_err(arrow)
    }

    async fn get_flight_info_tables(&self, query: CommandGetTables, request: Request<FlightDescriptor>) -> Info {
        self.role(&Asker::of(&request))?;
        info(&query.clone().into_builder().schema(), request.into_inner(), &query)
    }

    async fn do_get_tables(&self, query: CommandGetTables, request: Request<Ticket>) -> Result<DoGet, Status> {
        self.role(&Asker::of(&request))?;
        metadata::tables(query, &self.house.catalog()).map(one_batch).map_err(arrow)
    }

    async fn get_flight_info_table_types(&self, query: CommandGetTableTypes, request: Request<FlightDescriptor>) -> Info {
        self.role(&Asker::of(&request))?;
        info(&query.into_builder().schema(), request.into_inner(), &query)
    }

    async fn do_get_table_types(&self, query: CommandGetTableTypes, request: Request<Ticket>) -> Result<DoGet, Status> {
        self.role(&Asker::of(&request))?;
        metadata::table_types(query).map(one_batch).map_err(arrow)
    }

    async fn get_flight_info_primary_keys(&self, query: CommandGetPrimaryKeys, request: Request<FlightDescriptor>) -> Info {
        self.role(&Asker::of(&request))?;
        info(&metadata::PRIMARY_KEYS, request.into_inner(), &query)
    }

    async fn do_get_primary_keys(&self, query: CommandGetPrimaryKeys, request: Request<Ticket>) -> Result<DoGet, Status> {
        self.role(&Asker::of(&request))?;
        metadata::primary_keys(&query, &self.house.catalog()).map(one_batch).map_err(arrow)
    }

    async fn get_flight_info_imported_keys(&self, query: CommandGetImportedKeys, request: Request<FlightDescriptor>) -> Info {
        self.role(&Asker::of(&request))?;
        info(&metadata::FOREIGN_KEYS, request.into_inner(), &query)
    }

    async fn do_get_imported_keys(&self, _query: CommandGetImportedKeys, request: Request<Ticket>) -> Result<DoGet, Status> {
        self.role(&Asker::of(&request))?;
        Ok(one_batch(metadata::foreign_keys()))
    }

    async fn get_flight_info_exported_keys(&self, query: CommandGetExportedKeys, request: Request<FlightDescriptor>) -> Info {
        self.role(&Asker::of(&request))?;
        info(&metadata::FOREIGN_KEYS, request.into_inner(), &query)
    }

    async fn do_get_exported_keys(&self, _query: CommandGetExportedKeys, request: Request<Ticket>) -> Result<DoGet, Status> {
        self.role(&Asker::of(&request))?;
        Ok(one_batch(metadata::foreign_keys()))
    }

    async fn get_flight_info_cross_reference(&self, query: CommandGetCrossReference, request: Request<FlightDescriptor>) -> Info {
        self.role(&Asker::of(&request))?;
        info(&metadata::FOREIGN_KEYS, request.into_inner(), &query)
    }

    async fn do_get_cross_reference(&self, _query: CommandGetCrossReference, request: Request<Ticket>) -> Result<DoGet, Status> {
        self.role(&Asker::of(&request))?;
        Ok(one_batch(metadata::foreign_keys()))
    }

    // What the server is.

    async fn get_flight_info_sql_info(&self, query: CommandGetSqlInfo, request: Request<FlightDescriptor>) -> Info {
        self.role(&Asker::of(&request))?;
        info(&self.sql_info.schema(), request.into_inner(), &query)
    }

    async fn do_get_sql_info(&self, query: CommandGetSqlInfo, request: Request<Ticket>) -> Result<DoGet, Status> {
        self.role(&Asker::of(&request))?;
        query.into_builder(&self.sql_info).build().map(one_batch).map_err(arrow)
    }

    async fn get_flight_info_xdbc_type_info(&self, query: CommandGetXdbcTypeInfo, request: Request<FlightDescriptor>) -> Info {
        self.role(&Asker::of(&request))?;
        info(&self.xdbc.schema(), request.into_inner(), &query)
    }

    async fn do_get_xdbc_type_info(&self, query: CommandGetXdbcTypeInfo, request: Request<Ticket>) -> Result<DoGet, Status> {
        self.role(&Asker::of(&request))?;
        query.into_builder(&self.xdbc).build().map(one_batch).map_err(arrow)
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}
