//! What the server says about itself: GetSqlInfo and GetXdbcTypeInfo.

use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{
    Nullable, Searchable, SqlInfo, SqlNullOrdering, SqlSupportedCaseSensitivity, SqlSupportedTransaction, SqlTransactionIsolationLevel,
    XdbcDataType, XdbcDatetimeSubcode,
};

/// The answers to GetSqlInfo.
///
/// # Errors
/// When Arrow cannot build the table.
pub fn sql_info() -> Result<SqlInfoData> {
    let mut info = SqlInfoDataBuilder::new();
    info.append(SqlInfo::FlightSqlServerName, "Curia");
    info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    info.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
    info.append(SqlInfo::FlightSqlServerReadOnly, false);
    info.append(SqlInfo::FlightSqlServerSql, true);
    info.append(SqlInfo::FlightSqlServerSubstrait, false);
    // An int32, as the specification says: ADBC reads nothing else here.
    info.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::Transaction as i32);
    info.append(SqlInfo::FlightSqlServerCancel, false);
    info.append(SqlInfo::FlightSqlServerBulkIngestion, true);
    info.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, true);
    info.append(SqlInfo::FlightSqlServerStatementTimeout, 0i32);
    info.append(SqlInfo::FlightSqlServerTransactionTimeout, 0i32);
    info.append(SqlInfo::SqlDdlCatalog, false);
    info.append(SqlInfo::SqlDdlSchema, true);
    info.append(SqlInfo::SqlDdlTable, true);
    info.append(
        SqlInfo::SqlIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32,
    );
    info.append(
        SqlInfo::SqlQuotedIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32,
    );
    info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    info.append(SqlInfo::SqlAllTablesAreSelectable, true);
    info.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    info.append(SqlInfo::SqlTransactionsSupported, true);
    info.append(
        SqlInfo::SqlDefaultTransactionIsolation,
        SqlTransactionIsolationLevel::SqlTransactionReadCommitted as i64,
    );
    let levels = (1 << SqlTransactionIsolationLevel::SqlTransactionReadCommitted as i32)
        | (1 << SqlTransactionIsolationLevel::SqlTransactionRepeatableRead as i32)
        | (1 << SqlTransactionIsolationLevel::SqlTransactionSerializable as i32);
    info.append(SqlInfo::SqlSupportedTransactionsIsolationLevels, levels);
    info.append(SqlInfo::SqlDataDefinitionCausesTransactionCommit, false);
    info.append(SqlInfo::SqlDataDefinitionsInTransactionsIgnored, false);
    info.append(SqlInfo::SqlBatchUpdatesSupported, true);
    info.append(SqlInfo::SqlSavepointsSupported, true);
    info.append(SqlInfo::SqlSelectForUpdateSupported, true);
    info.append(SqlInfo::SqlSchemaTerm, "schema");
    info.append(SqlInfo::SqlCatalogTerm, "database");
    info.append(SqlInfo::SqlMaxColumnsInTable, 1600i64);
    info.append(SqlInfo::SqlMaxTableNameLength, 63i64);
    info.append(SqlInfo::SqlMaxColumnNameLength, 63i64);
    info.append(SqlInfo::SqlDbSchemaNameLength, 63i64);
    info.build()
}

struct Xdbc {
    name: &'static str,
    ty: XdbcDataType,
    size: i32,
    /// Quotes around a literal.
    quoted: bool,
    parameters: &'static [&'static str],
    subcode: Option<XdbcDatetimeSubcode>,
    radix: Option<i32>,
    scales: Option<(i32, i32)>,
}

const fn number(name: &'static str, ty: XdbcDataType, size: i32) -> Xdbc {
    Xdbc {
        name,
        ty,
        size,
        quoted: false,
        parameters: &[],
        subcode: None,
        radix: Some(10),
        scales: None,
    }
}

const fn text(name: &'static str, ty: XdbcDataType, size: i32, parameters: &'static [&'static str]) -> Xdbc {
    Xdbc {
        name,
        ty,
        size,
        quoted: true,
        parameters,
        subcode: None,
        radix: None,
        scales: None,
    }
}

const fn moment(name: &'static str, ty: XdbcDataType, size: i32, subcode: XdbcDatetimeSubcode) -> Xdbc {
    Xdbc {
        name,
        ty,
        size,
        quoted: true,
        parameters: &[],
        subcode: Some(subcode),
        radix: None,
        scales: Some((0, 6)),
    }
}

/// Types in PostgreSQL's names. Sizes are digits of numbers, characters of texts.
const TYPES: [Xdbc; 17] = [
    Xdbc {
        radix: None,
        ..number("bool", XdbcDataType::XdbcBit, 1)
    },
    number("int2", XdbcDataType::XdbcSmallint, 5),
    number("int4", XdbcDataType::XdbcInteger, 10),
    number("int8", XdbcDataType::XdbcBigint, 19),
    Xdbc {
        radix: Some(2),
        ..number("float4", XdbcDataType::XdbcReal, 24)
    },
    Xdbc {
        radix: Some(2),
        ..number("float8", XdbcDataType::XdbcDouble, 53)
    },
    Xdbc {
        parameters: &["precision", "scale"],
        scales: Some((0, 1000)),
        ..number("numeric", XdbcDataType::XdbcNumeric, 1000)
    },
    text("text", XdbcDataType::XdbcLongvarchar, 1_073_741_823, &[]),
    text("varchar", XdbcDataType::XdbcVarchar, 10_485_760, &["length"]),
    text("bpchar", XdbcDataType::XdbcChar, 10_485_760, &["length"]),
    text("json", XdbcDataType::XdbcLongvarchar, 1_073_741_823, &[]),
    text("uuid", XdbcDataType::XdbcChar, 36, &[]),
    text("bytea", XdbcDataType::XdbcVarbinary, 1_073_741_823, &[]),
    // Subcode 1 is SQL_CODE_DATE in ODBC; the specification names it YEAR.
    moment("date", XdbcDataType::XdbcDate, 13, XdbcDatetimeSubcode::XdbcSubcodeYear),
    moment("time", XdbcDataType::XdbcTime, 15, XdbcDatetimeSubcode::XdbcSubcodeTime),
    moment(
        "timestamp",
        XdbcDataType::XdbcTimestamp,
        29,
        XdbcDatetimeSubcode::XdbcSubcodeTimestamp,
    ),
    moment(
        "timestamptz",
        XdbcDataType::XdbcTimestamp,
        35,
        XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone,
    ),
];

/// The answers to GetXdbcTypeInfo.
///
/// # Errors
/// When Arrow cannot build the table.
pub fn xdbc_types() -> Result<XdbcTypeInfoData> {
    let mut table = XdbcTypeInfoDataBuilder::new();
    for ty in &TYPES {
        let is_text = matches!(
            ty.ty,
            XdbcDataType::XdbcLongvarchar | XdbcDataType::XdbcVarchar | XdbcDataType::XdbcChar
        );
        table.append(XdbcTypeInfo {
            type_name: ty.name.to_owned(),
            data_type: ty.ty,
            column_size: Some(ty.size),
            literal_prefix: ty.quoted.then(|| "'".to_owned()),
            literal_suffix: ty.quoted.then(|| "'".to_owned()),
            create_params: (!ty.parameters.is_empty()).then(|| ty.parameters.iter().map(|name| (*name).to_owned()).collect()),
            nullable: Nullable::NullabilityNullable,
            case_sensitive: is_text,
            searchable: if is_text { Searchable::Full } else { Searchable::Basic },
            unsigned_attribute: ty.radix.map(|_| false),
            fixed_prec_scale: false,
            auto_increment: ty.radix.map(|_| false),
            local_type_name: Some(ty.name.to_owned()),
            minimum_scale: ty.scales.map(|(least, _)| least),
            maximum_scale: ty.scales.map(|(_, most)| most),
            sql_data_type: ty.ty,
            datetime_subcode: ty.subcode,
            num_prec_radix: ty.radix,
            interval_precision: None,
        });
    }
    table.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray, Int32Array};

    #[test]
    fn transaction_support_is_told_as_an_int32() {
        let id = SqlInfo::FlightSqlServerTransaction as u32;
        let batch = sql_info().unwrap().record_batch([id]).unwrap();
        let value = batch.column(1).as_union().value(0);
        let value = value.as_any().downcast_ref::<Int32Array>().expect("an int32");
        assert_eq!(value.value(0), SqlSupportedTransaction::Transaction as i32);
    }

    #[test]
    fn types_can_be_asked_for_one_at_a_time() {
        let types = xdbc_types().unwrap();
        assert_eq!(types.record_batch(None).unwrap().num_rows(), TYPES.len());
        let bigint = types.record_batch(Some(XdbcDataType::XdbcBigint as i32)).unwrap();
        assert_eq!(bigint.column(0).as_string::<i32>().value(0), "int8");
    }
}
