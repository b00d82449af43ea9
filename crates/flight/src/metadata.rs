//! What is in the database: catalogs, schemas, tables and keys, read from one version of the catalog.

use crate::arrow_form::{Column, field};
use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::{FlightError, Result};
use arrow_flight::sql::{CommandGetCatalogs, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTableTypes, CommandGetTables};
use curia_catalog::system::system_tables;
use curia_catalog::{Catalog, Table};
use curia_types::type_info;
use std::sync::{Arc, LazyLock};

/// The one database.
pub const DATABASE: &str = "curia";
const TABLE: &str = "TABLE";
const SYSTEM_TABLE: &str = "SYSTEM TABLE";
const SYSTEM_VIEW: &str = "SYSTEM VIEW";

/// GetCatalogs.
pub fn catalogs(command: CommandGetCatalogs) -> Result<RecordBatch> {
    let mut rows = command.into_builder();
    rows.append(DATABASE);
    rows.build()
}

/// GetDbSchemas.
pub fn schemas(command: CommandGetDbSchemas, catalog: &Catalog) -> Result<RecordBatch> {
    let mut rows = command.into_builder();
    for schema in catalog.schemas.values() {
        rows.append(DATABASE, &schema.name);
    }
    rows.build()
}

/// GetTableTypes.
pub fn table_types(command: CommandGetTableTypes) -> Result<RecordBatch> {
    let mut rows = command.into_builder();
    for name in [TABLE, SYSTEM_TABLE, SYSTEM_VIEW] {
        rows.append(name);
    }
    rows.build()
}

/// GetTables, with the schema of each when asked for.
pub fn tables(command: CommandGetTables, catalog: &Catalog) -> Result<RecordBatch> {
    let mut rows = command.into_builder();
    for table in catalog.tables.values() {
        rows.append(
            DATABASE,
            catalog.schema_name(table.schema),
            &table.name,
            TABLE,
            &table_schema(table),
        )?;
    }
    for table in system_tables() {
        let columns = table.columns.iter().map(|c| Column {
            name: c.name.to_owned(),
            ty: c.ty,
            nullable: !c.not_null,
        });
        let schema = Schema::new(columns.map(|column| field(&column)).collect::<Vec<_>>());
        rows.append(
            DATABASE,
            table.schema_name,
            table.name,
            if table.kind == 'v' { SYSTEM_VIEW } else { SYSTEM_TABLE },
            &schema,
        )?;
    }
    rows.build()
}

/// The public schema of a table.
pub fn table_schema(table: &Table) -> Schema {
    let columns = table.live_columns().map(|(_, c)| Column {
        name: c.name.clone(),
        ty: c.ty,
        nullable: !c.not_null,
    });
    Schema::new(columns.map(|column| field(&column)).collect::<Vec<_>>())
}

/// Schema of GetPrimaryKeys, from the specification.
pub static PRIMARY_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
});

/// Schema of GetImportedKeys, GetExportedKeys and GetCrossReference, from the specification.
pub static FOREIGN_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
});

/// GetPrimaryKeys. A name that fits no table gives no rows, as the specification leaves open and drivers expect.
pub fn primary_keys(command: &CommandGetPrimaryKeys, catalog: &Catalog) -> Result<RecordBatch> {
    let here = command.catalog.as_deref().is_none_or(|name| name == DATABASE);
    let wanted = |table: &Table| {
        table.name == command.table
            && command
                .db_schema
                .as_deref()
                .is_none_or(|name| name == catalog.schema_name(table.schema))
    };
    let mut rows: Vec<(&str, &str, &str, &str, i32)> = Vec::new();
    for table in catalog.tables.values().filter(|table| here && wanted(table)) {
        let Some(key) = table.primary_key() else { continue };
        for (sequence, part) in (1..).zip(&key.keys) {
            rows.push((
                catalog.schema_name(table.schema),
                &table.name,
                part.name(table),
                &key.name,
                sequence,
            ));
        }
    }
    // The specification's order: catalog, schema, table, key, sequence.
    rows.sort_by_key(|row| (row.0, row.1, row.3, row.4));
    let text =
        |of: fn(&(&str, &str, &str, &str, i32)) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(of))) };
    let batch = RecordBatch::try_new(
        Arc::clone(&PRIMARY_KEYS),
        vec![
            text(|_| DATABASE.to_owned()),
            text(|row| row.0.to_owned()),
            text(|row| row.1.to_owned()),
            text(|row| row.2.to_owned()),
            text(|row| row.3.to_owned()),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.4))),
        ],
    );
    batch.map_err(FlightError::from)
}

/// GetImportedKeys and its kin: there are no foreign keys yet, so no rows.
pub fn foreign_keys() -> RecordBatch {
    RecordBatch::new_empty(Arc::clone(&FOREIGN_KEYS))
}

/// CREATE TABLE for a batch schema that a client ingests. Column names are quoted, so they stay as they are.
pub fn create_table(target: &str, temporary: bool, schema: &Schema) -> curia_types::Result<String> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let ty = crate::parameters::type_for(field.data_type())?;
            let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
            Ok(format!(
                "{} {}{not_null}",
                type_info::quote_identifier(field.name()),
                type_info::format_type(ty.oid, ty.typmod)
            ))
        })
        .collect::<curia_types::Result<Vec<_>>>()?;
    let temporary = if temporary { "TEMPORARY " } else { "" };
    Ok(format!("CREATE {temporary}TABLE {target} ({})", columns.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_made_from_an_arrow_schema() {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("Price each", DataType::Decimal128(10, 2), true),
        ]);
        assert_eq!(
            create_table("public.sales", false, &schema).unwrap(),
            "CREATE TABLE public.sales (id bigint NOT NULL, \"Price each\" numeric(10,2))"
        );
    }

    #[test]
    fn there_are_no_foreign_keys() {
        assert_eq!(foreign_keys().num_rows(), 0);
    }
}
