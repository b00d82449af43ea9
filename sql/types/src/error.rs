//! The one error type a client can see. Fields are those of PostgreSQL's ErrorResponse
//! (<https://www.postgresql.org/docs/15/protocol-error-fields.html>).

use std::fmt;

/// A five-character SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState(pub [u8; 5]);

impl SqlState {
    /// Makes a state from its five characters.
    pub const fn new(code: &str) -> SqlState {
        let b = code.as_bytes();
        SqlState([b[0], b[1], b[2], b[3], b[4]])
    }
    /// The five characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// SQLSTATEs in use, named as in PostgreSQL's errcodes.txt.
        #[allow(missing_docs)] // the names are PostgreSQL's own and are the documentation
        impl SqlState { $($(#[$doc])* pub const $name: SqlState = SqlState::new($code);)* }
    };
}

states! {
    SUCCESSFUL_COMPLETION = "00000";
    WARNING = "01000";
    NO_DATA = "02000";
    PROTOCOL_VIOLATION = "08P01";
    TRANSACTION_RESOLUTION_UNKNOWN = "08007";
    FEATURE_NOT_SUPPORTED = "0A000";
    CARDINALITY_VIOLATION = "21000";
    STRING_DATA_RIGHT_TRUNCATION = "22001";
    NUMERIC_VALUE_OUT_OF_RANGE = "22003";
    INVALID_DATETIME_FORMAT = "22007";
    DATETIME_FIELD_OVERFLOW = "22008";
    INVALID_TIME_ZONE_DISPLACEMENT_VALUE = "22009";
    SUBSTRING_ERROR = "22011";
    DIVISION_BY_ZERO = "22012";
    INVALID_PRECEDING_OR_FOLLOWING_SIZE = "22013";
    INTERVAL_FIELD_OVERFLOW = "22015";
    INVALID_ARGUMENT_FOR_LOGARITHM = "2201E";
    INVALID_ARGUMENT_FOR_POWER_FUNCTION = "2201F";
    INVALID_ROW_COUNT_IN_LIMIT_CLAUSE = "2201W";
    INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE = "2201X";
    INVALID_REGULAR_EXPRESSION = "2201B";
    CHARACTER_NOT_IN_REPERTOIRE = "22021";
    INVALID_PARAMETER_VALUE = "22023";
    NULL_VALUE_NOT_ALLOWED = "22004";
    INVALID_ESCAPE_SEQUENCE = "22025";
    STRING_DATA_LENGTH_MISMATCH = "22026";
    ARRAY_SUBSCRIPT_ERROR = "2202E";
    INVALID_TEXT_REPRESENTATION = "22P02";
    INVALID_BINARY_REPRESENTATION = "22P03";
    BAD_COPY_FILE_FORMAT = "22P04";
    UNTRANSLATABLE_CHARACTER = "22P05";
    NOT_NULL_VIOLATION = "23502";
    FOREIGN_KEY_VIOLATION = "23503";
    UNIQUE_VIOLATION = "23505";
    CHECK_VIOLATION = "23514";
    INVALID_CURSOR_STATE = "24000";
    INVALID_TRANSACTION_STATE = "25000";
    ACTIVE_SQL_TRANSACTION = "25001";
    READ_ONLY_SQL_TRANSACTION = "25006";
    NO_ACTIVE_SQL_TRANSACTION = "25P01";
    IN_FAILED_SQL_TRANSACTION = "25P02";
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = "25P03";
    INVALID_SQL_STATEMENT_NAME = "26000";
    INVALID_AUTHORIZATION_SPECIFICATION = "28000";
    INVALID_PASSWORD = "28P01";
    DEPENDENT_OBJECTS_STILL_EXIST = "2BP01";
    INVALID_CURSOR_NAME = "34000";
    INVALID_CATALOG_NAME = "3D000";
    INVALID_SCHEMA_NAME = "3F000";
    SAVEPOINT_EXCEPTION = "3B000";
    INVALID_SAVEPOINT_SPECIFICATION = "3B001";
    TRANSACTION_ROLLBACK = "40000";
    SERIALIZATION_FAILURE = "40001";
    DEADLOCK_DETECTED = "40P01";
    SYNTAX_ERROR = "42601";
    INSUFFICIENT_PRIVILEGE = "42501";
    INVALID_NAME = "42602";
    NAME_TOO_LONG = "42622";
    INVALID_COLUMN_DEFINITION = "42611";
    DUPLICATE_COLUMN = "42701";
    AMBIGUOUS_COLUMN = "42702";
    UNDEFINED_COLUMN = "42703";
    UNDEFINED_OBJECT = "42704";
    DUPLICATE_OBJECT = "42710";
    DUPLICATE_ALIAS = "42712";
    DUPLICATE_FUNCTION = "42723";
    AMBIGUOUS_FUNCTION = "42725";
    GROUPING_ERROR = "42803";
    DATATYPE_MISMATCH = "42804";
    WRONG_OBJECT_TYPE = "42809";
    INVALID_FOREIGN_KEY = "42830";
    CANNOT_COERCE = "42846";
    UNDEFINED_FUNCTION = "42883";
    RESERVED_NAME = "42939";
    UNDEFINED_TABLE = "42P01";
    UNDEFINED_PARAMETER = "42P02";
    DUPLICATE_CURSOR = "42P03";
    DUPLICATE_DATABASE = "42P04";
    DUPLICATE_PREPARED_STATEMENT = "42P05";
    DUPLICATE_SCHEMA = "42P06";
    DUPLICATE_TABLE = "42P07";
    AMBIGUOUS_PARAMETER = "42P08";
    INVALID_COLUMN_REFERENCE = "42P10";
    INVALID_CURSOR_DEFINITION = "42P11";
    INVALID_TABLE_DEFINITION = "42P16";
    INDETERMINATE_DATATYPE = "42P18";
    INVALID_SCHEMA_DEFINITION = "42P15";
    WITH_CHECK_OPTION_VIOLATION = "44000";
    INVALID_OBJECT_DEFINITION = "42P17";
    WINDOWING_ERROR = "42P20";
    DISK_FULL = "53100";
    OUT_OF_MEMORY = "53200";
    TOO_MANY_CONNECTIONS = "53300";
    CONFIGURATION_LIMIT_EXCEEDED = "53400";
    PROGRAM_LIMIT_EXCEEDED = "54000";
    STATEMENT_TOO_COMPLEX = "54001";
    TOO_MANY_COLUMNS = "54011";
    TOO_MANY_ARGUMENTS = "54023";
    OBJECT_NOT_IN_PREREQUISITE_STATE = "55000";
    OBJECT_IN_USE = "55006";
    CANT_CHANGE_RUNTIME_PARAM = "55P02";
    LOCK_NOT_AVAILABLE = "55P03";
    UNSAFE_NEW_ENUM_VALUE_USAGE = "55P04";
    QUERY_CANCELED = "57014";
    ADMIN_SHUTDOWN = "57P01";
    CRASH_SHUTDOWN = "57P02";
    CANNOT_CONNECT_NOW = "57P03";
    IO_ERROR = "58030";
    INTERNAL_ERROR = "XX000";
    DATA_CORRUPTED = "XX001";
}

/// Optional fields of an error beyond severity, state and message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorField {
    /// DETAIL, as PostgreSQL words it.
    pub detail: Option<String>,
    /// HINT, as PostgreSQL words it.
    pub hint: Option<String>,
    /// 1-based character (not byte) position in the statement text.
    pub position: Option<u32>,
    /// CONTEXT lines.
    pub context: Option<String>,
    /// Schema of the object the error is about.
    pub schema: Option<String>,
    /// Table the error is about.
    pub table: Option<String>,
    /// Column the error is about.
    pub column: Option<String>,
    /// Data type the error is about.
    pub data_type: Option<String>,
    /// Constraint the error is about.
    pub constraint: Option<String>,
}

/// An error as a PostgreSQL client sees it. Boxed inside, so that `Result` stays two words.
#[derive(Clone, PartialEq, Eq)]
pub struct SqlError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    code: SqlState,
    message: String,
    fields: ErrorField,
}

/// Result of everything that can fail towards a client.
pub type Result<T, E = SqlError> = std::result::Result<T, E>;

impl SqlError {
    /// An error with a state and PostgreSQL's primary message.
    pub fn new(code: SqlState, message: impl Into<String>) -> SqlError {
        SqlError(Box::new(Inner {
            code,
            message: message.into(),
            fields: ErrorField::default(),
        }))
    }
    /// 0A000: names the feature that is missing.
    pub fn unsupported(feature: impl fmt::Display) -> SqlError {
        SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{feature} is not supported"))
    }
    /// XX000: a broken expectation of ours; never the user's fault.
    pub fn internal(message: impl Into<String>) -> SqlError {
        SqlError::new(SqlState::INTERNAL_ERROR, message)
    }
    /// Adds DETAIL.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> SqlError {
        self.0.fields.detail = Some(text.into());
        self
    }
    /// Adds HINT.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> SqlError {
        self.0.fields.hint = Some(text.into());
        self
    }
    /// Adds the 1-based character position, unless one is already set (the innermost wins).
    #[must_use]
    pub fn at(mut self, position: Option<u32>) -> SqlError {
        if self.0.fields.position.is_none() {
            self.0.fields.position = position;
        }
        self
    }
    /// Takes the position away.
    #[must_use]
    pub fn nowhere(mut self) -> SqlError {
        self.0.fields.position = None;
        self
    }
    /// With another message.
    #[must_use]
    pub fn reworded(mut self, message: String) -> SqlError {
        self.0.message = message;
        self
    }
    /// Adds CONTEXT.
    #[must_use]
    pub fn context(mut self, text: impl Into<String>) -> SqlError {
        self.0.fields.context = Some(text.into());
        self
    }
    /// Names the table.
    #[must_use]
    pub fn table(mut self, schema: &str, table: &str) -> SqlError {
        self.0.fields.schema = Some(schema.to_owned());
        self.0.fields.table = Some(table.to_owned());
        self
    }
    /// Names the column.
    #[must_use]
    pub fn column(mut self, column: &str) -> SqlError {
        self.0.fields.column = Some(column.to_owned());
        self
    }
    /// Names the data type.
    #[must_use]
    pub fn data_type(mut self, schema: &str, name: &str) -> SqlError {
        self.0.fields.schema = Some(schema.to_owned());
        self.0.fields.data_type = Some(name.to_owned());
        self
    }
    /// Names the constraint.
    #[must_use]
    pub fn constraint(mut self, name: &str) -> SqlError {
        self.0.fields.constraint = Some(name.to_owned());
        self
    }
    /// The SQLSTATE.
    pub fn code(&self) -> SqlState {
        self.0.code
    }
    /// The primary message.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// Every other field.
    pub fn fields(&self) -> &ErrorField {
        &self.0.fields
    }
}

impl fmt::Debug for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.code.as_str(), self.0.message)?;
        if self.0.fields != ErrorField::default() {
            write!(f, " {:?}", self.0.fields)?;
        }
        Ok(())
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for SqlError {}
