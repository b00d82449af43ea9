//! Running statements for clients: one-off, prepared, inside a client's transaction, and bulk ingest.

use crate::arrow_form::{ArrowForm, Column};
use crate::seat::{BatchStream, Prepared, Seat};
use crate::{House, metadata, parameters};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use curia_session::CopyPiece;
use curia_types::{Datum, IoContext, PgType, Result, SqlError, SqlState, text_io, type_info};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::mpsc;
use tonic::Status;

/// Most rows of parameters bound to one prepared statement at a time.
const BOUND_ROWS: usize = 65_536;
/// Pieces of COPY text between the client's stream and the session.
const COPY_PIECES: usize = 4;
/// Size of a piece of COPY text, bytes.
const COPY_PIECE: usize = 256 << 10;

/// A statement that a client prepared.
pub struct Statement {
    /// Where it was prepared and runs.
    pub seat: Arc<Seat>,
    /// The session's own handle and types.
    pub prepared: Prepared,
    /// Parameter rows bound last; empty when none were.
    pub bound: Mutex<Vec<Vec<Datum>>>,
}

impl Statement {
    /// Schema of the result; without fields when there is none.
    pub fn result_schema(&self) -> SchemaRef {
        result_schema(&self.prepared)
    }

    /// Schema of the parameters.
    pub fn parameter_schema(&self) -> Schema {
        let columns = (1..).zip(&self.prepared.parameters).map(|(n, ty)| Column {
            name: format!("${n}"),
            ty: *ty,
            nullable: true,
        });
        Schema::new(columns.map(|column| crate::arrow_form::field(&column)).collect::<Vec<_>>())
    }
}

/// Schema of what a statement returns; without fields when it returns nothing.
pub fn result_schema(prepared: &Prepared) -> SchemaRef {
    Arc::clone(ArrowForm::new(prepared.columns.as_deref().unwrap_or_default()).schema())
}

/// Rows on their way to a client.
pub type DoGetStream = BoxStream<'static, Result<FlightData, Status>>;

/// Runs a prepared statement, once for each row of parameters (once without parameters), and streams what it returns.
/// The stream owns the seat: the session lives as long as its rows flow.
pub fn stream(seat: Arc<Seat>, prepared: Prepared, rows: Vec<Vec<Datum>>) -> DoGetStream {
    let form = ArrowForm::new(prepared.columns.as_deref().unwrap_or_default());
    let schema = Arc::clone(form.schema());
    let io = seat.io();
    let executions = if prepared.parameters.is_empty() && rows.is_empty() {
        vec![Vec::new()]
    } else {
        rows
    };
    let returns_rows = prepared.columns.is_some();
    let batches = futures::stream::iter(executions)
        .then(move |parameters| {
            let (seat, prepared) = (Arc::clone(&seat), prepared.clone());
            async move {
                if returns_rows {
                    let rows = seat.query(&prepared, parameters).await?;
                    // The seat is dropped after the last batch, not before.
                    let keep = rows.map(move |batch| {
                        let _seat = &seat;
                        batch
                    });
                    Ok::<BatchStream, SqlError>(keep.boxed())
                } else {
                    seat.update(&prepared, vec![parameters]).await?;
                    Ok(futures::stream::empty().boxed())
                }
            }
        })
        .try_flatten();
    let converted = batches.map(move |batch| batch.and_then(|batch| form.convert(&batch, &io)));
    encode(
        schema,
        converted.map_err(|error| FlightError::Tonic(Box::new(crate::status::of(&error)))),
    )
}

/// Record batches as Flight messages.
pub fn encode(schema: SchemaRef, batches: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static) -> DoGetStream {
    FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .build(batches)
        .map_err(Status::from)
        .boxed()
}

/// Reads parameter rows off a client's stream, with a limit.
pub async fn bind(
    stream: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
    wanted: &[PgType],
) -> Result<Vec<Vec<Datum>>, Status> {
    let mut batches = decode(stream);
    let mut rows = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(Status::from)?;
        // Clients send an empty batch without columns for a statement without parameters.
        if batch.num_columns() == 0 && wanted.is_empty() {
            continue;
        }
        if rows.len() + batch.num_rows() > BOUND_ROWS {
            let error = SqlError::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                format!("more than {BOUND_ROWS} rows of parameters"),
            )
            .hint("Use bulk ingest, or several executions.");
            return Err(crate::status::of(&error));
        }
        rows.extend(parameters::rows(&batch, wanted, &IoContext::default()).map_err(|error| crate::status::of(&error))?);
    }
    Ok(rows)
}

fn decode(stream: impl Stream<Item = Result<FlightData, Status>> + Send + 'static) -> FlightRecordBatchStream {
    FlightRecordBatchStream::new_from_flight_data(stream.map_err(|status| FlightError::Tonic(Box::new(status))))
}

/// Runs an update once for each row of parameters, all of them or none. Returns the rows affected.
pub async fn update(statement: &Statement, rows: Vec<Vec<Datum>>) -> Result<i64> {
    let Statement { seat, prepared, .. } = statement;
    let executions = if prepared.parameters.is_empty() { vec![Vec::new()] } else { rows };
    let affected = seat.update(prepared, executions).await?;
    Ok(i64::try_from(affected).unwrap_or(i64::MAX))
}

/// Bulk ingest: creates or replaces the table as the client asks, then feeds its batches to COPY. All of it or nothing.
pub async fn ingest(
    house: &House,
    seat: Arc<Seat>,
    in_transaction: bool,
    command: CommandStatementIngest,
    stream: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
) -> Result<i64, Status> {
    if command
        .catalog
        .as_deref()
        .is_some_and(|name| !name.is_empty() && name != metadata::DATABASE)
    {
        return Err(crate::status::of(&SqlError::unsupported("ingest into another database")));
    }
    if !in_transaction {
        seat.run("BEGIN").await.map_err(|error| crate::status::of(&error))?;
    }
    let outcome = ingest_in_block(house, &seat, command, stream).await;
    if !in_transaction {
        let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        seat.run(end).await.map_err(|error| crate::status::of(&error))?;
    }
    outcome
}

async fn ingest_in_block(
    house: &House,
    seat: &Arc<Seat>,
    command: CommandStatementIngest,
    stream: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
) -> Result<i64, Status> {
    let sql = |error: SqlError| crate::status::of(&error);
    let mut batches = decode(stream).peekable();
    // The first batch brings the schema; the stream may end after the schema alone.
    let first = std::pin::Pin::new(&mut batches)
        .peek()
        .await
        .map(|batch| batch.as_ref().map(RecordBatch::schema));
    let schema = match first {
        Some(Ok(schema)) => schema,
        Some(Err(_)) => match batches.next().await {
            Some(Err(error)) => return Err(error.into()),
            _ => return Err(Status::internal("the ingest stream changed its mind")),
        },
        None => match batches.get_ref().schema() {
            Some(schema) => Arc::clone(schema),
            None => return Err(Status::invalid_argument("[08P01] the ingest stream holds no schema")),
        },
    };
    let target = target(&command);
    define(house, seat, &command, &target, &schema).await.map_err(sql)?;

    let columns: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| type_info::quote_identifier(field.name()).into_owned())
        .collect();
    let copy = format!("COPY {target} ({}) FROM STDIN", columns.join(", "));
    let types = schema
        .fields()
        .iter()
        .map(|field| parameters::type_for(field.data_type()))
        .collect::<Result<Vec<_>>>()
        .map_err(sql)?;
    let (pieces, input) = mpsc::channel(COPY_PIECES);
    let feed = async move {
        let fed = feed(&mut batches, &types, &pieces).await;
        let last = match &fed {
            Ok(()) => CopyPiece::Done,
            Err(status) => CopyPiece::Fail(status.message().to_owned()),
        };
        // The session is gone when COPY has failed already; then its error is the one to report.
        let _ = pieces.send(last).await;
        fed
    };
    let (fed, copied) = futures::join!(feed, seat.copy_in(&copy, input));
    match (fed, copied) {
        (Err(status), _) => Err(status),
        (Ok(()), copied) => copied.map(|count| i64::try_from(count).unwrap_or(i64::MAX)).map_err(sql),
    }
}

fn target(command: &CommandStatementIngest) -> String {
    let table = type_info::quote_identifier(&command.table);
    match command.schema.as_deref().filter(|name| !name.is_empty()) {
        Some(schema) => format!("{}.{table}", type_info::quote_identifier(schema)),
        None => table.into_owned(),
    }
}

/// Makes the table be there as the client wants it.
async fn define(house: &House, seat: &Seat, command: &CommandStatementIngest, target: &str, schema: &Schema) -> Result<()> {
    let options = command.table_definition_options.unwrap_or_default();
    if exists(house, seat, command).await? {
        return match options.if_exists() {
            TableExistsOption::Append | TableExistsOption::Unspecified => Ok(()),
            TableExistsOption::Fail => Err(SqlError::new(
                SqlState::DUPLICATE_TABLE,
                format!("relation \"{}\" already exists", command.table),
            )),
            TableExistsOption::Replace => {
                seat.run(&format!("DROP TABLE {target}")).await?;
                seat.run(&metadata::create_table(target, command.temporary, schema)?).await
            }
        };
    }
    match options.if_not_exist() {
        TableNotExistOption::Create => seat.run(&metadata::create_table(target, command.temporary, schema)?).await,
        TableNotExistOption::Fail | TableNotExistOption::Unspecified => Err(SqlError::new(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{}\" does not exist", command.table),
        )),
    }
}

async fn exists(house: &House, seat: &Seat, command: &CommandStatementIngest) -> Result<bool> {
    let catalog = house.catalog();
    let schema = command.schema.as_deref().filter(|name| !name.is_empty()).unwrap_or("public");
    if let Some(schema) = catalog.schema(schema)
        && catalog.relation_in(schema.oid, &command.table).is_some()
    {
        return Ok(true);
    }
    // Not in the published catalog, but perhaps made earlier in this very transaction.
    let prepared = seat
        .prepare("SELECT 1 FROM information_schema.tables WHERE table_schema = $1::text AND table_name = $2::text")
        .await?;
    let mut rows = seat
        .query(&prepared, vec![Datum::text(schema), Datum::text(&command.table)])
        .await?;
    while let Some(batch) = rows.next().await {
        if batch?.num_rows() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes batches as COPY text. Every value goes through PostgreSQL's text form, so the table's own types decide what fits.
async fn feed(
    batches: &mut (impl Stream<Item = Result<RecordBatch, FlightError>> + Unpin),
    types: &[PgType],
    pieces: &mpsc::Sender<CopyPiece>,
) -> Result<(), Status> {
    let io = IoContext::default();
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(Status::from)?;
        let columns = batch
            .columns()
            .iter()
            .zip(types)
            .map(|(array, ty)| parameters::column(array.as_ref(), *ty, &io))
            .collect::<Result<Vec<_>>>()
            .map_err(|error| crate::status::of(&error))?;
        let mut piece = Vec::with_capacity(COPY_PIECE + (COPY_PIECE >> 3));
        for row in 0..batch.num_rows() {
            for (n, (column, ty)) in columns.iter().zip(types).enumerate() {
                if n > 0 {
                    piece.push(b'\t');
                }
                write_copy_value(*ty, &column[row], &io, &mut piece);
            }
            piece.push(b'\n');
            if piece.len() >= COPY_PIECE && pieces.send(CopyPiece::Data(std::mem::take(&mut piece))).await.is_err() {
                return Ok(()); // COPY has failed; its error tells
            }
        }
        if !piece.is_empty() && pieces.send(CopyPiece::Data(piece)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// One value in COPY's text format (<https://www.postgresql.org/docs/15/sql-copy.html>).
fn write_copy_value(ty: PgType, value: &Datum, io: &IoContext, out: &mut Vec<u8>) {
    if value.is_null() {
        out.extend_from_slice(b"\\N");
        return;
    }
    let mut text = Vec::new();
    text_io::format(ty, value, io, &mut text);
    for byte in text {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            byte => out.push(byte),
        }
    }
}
