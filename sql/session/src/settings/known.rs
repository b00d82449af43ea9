//! The session parameters that exist, with PostgreSQL 15's kinds, limits and defaults, in alphabetical order (SHOW ALL's).
//!
//! Parameters of PostgreSQL's planner and maintenance that steer nothing here are accepted and kept: applications set them, and every
//! value of them is within what they promise (`synchronous_commit = off` permits losing commits; it doesn't demand it).

/// One parameter.
pub struct Known {
    /// Name in PostgreSQL's spelling; look-ups ignore case.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Built-in value, in the form that `pg_settings.setting` shows (base units).
    pub default: &'static str,
    /// Who may change it.
    pub change: Change,
    /// `pg_settings.short_desc`
    pub description: &'static str,
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// on/off, in any of PostgreSQL's spellings.
    Bool,
    /// A number in base units.
    Int {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
        /// Base unit.
        unit: Option<Unit>,
    },
    /// A floating-point number.
    Real {
        /// Least value.
        min: f64,
        /// Greatest value.
        max: f64,
    },
    /// One of a list of words.
    Enum(&'static [&'static str]),
    /// Any text; some names have a check of their own.
    Text,
}

/// Base unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // named after what they are
pub enum Unit {
    Milliseconds,
    Seconds,
    Minutes,
    Bytes,
    Kilobytes,
    Megabytes,
    /// 8 kB pages.
    Pages,
}

/// Who may change a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// SET.
    User,
    /// Nobody: "cannot be changed".
    Internal,
    /// Only the server's configuration, at its start.
    Server,
}

/// Finds a parameter, ignoring case as PostgreSQL does.
pub fn find(name: &str) -> Option<usize> {
    KNOWN.binary_search_by(|k| compare(k.name, name)).ok()
}

fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    a.bytes()
        .map(|c| c.to_ascii_lowercase())
        .cmp(b.bytes().map(|c| c.to_ascii_lowercase()))
}

/// All parameters, sorted by lower-case name.
pub static KNOWN: &[Known] = &[
    Known {
        name: "application_name",
        kind: Kind::Text,
        default: "",
        change: Change::User,
        description: "Sets the application name to be reported in statistics and logs.",
    },
    Known {
        name: "autovacuum",
        kind: Kind::Bool,
        default: "on",
        change: Change::Server,
        description: "Starts the autovacuum subprocess.",
    },
    Known {
        name: "backslash_quote",
        kind: Kind::Enum(&["safe_encoding", "on", "off"]),
        default: "safe_encoding",
        change: Change::User,
        description: "Sets whether \"\\'\" is allowed in string literals.",
    },
    Known {
        name: "bytea_output",
        kind: Kind::Enum(&["escape", "hex"]),
        default: "hex",
        change: Change::User,
        description: "Sets the output format for bytea.",
    },
    Known {
        name: "check_function_bodies",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Check routine bodies during CREATE FUNCTION and CREATE PROCEDURE.",
    },
    Known {
        name: "client_encoding",
        kind: Kind::Text,
        default: "UTF8",
        change: Change::User,
        description: "Sets the client's character set encoding.",
    },
    Known {
        name: "client_min_messages",
        kind: Kind::Enum(&[
            "debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error",
        ]),
        default: "notice",
        change: Change::User,
        description: "Sets the message levels that are sent to the client.",
    },
    Known {
        name: "cluster_name",
        kind: Kind::Text,
        default: "",
        change: Change::Server,
        description: "Sets the name of the cluster, which is included in the process title.",
    },
    Known {
        name: "constraint_exclusion",
        kind: Kind::Enum(&["partition", "on", "off"]),
        default: "partition",
        change: Change::User,
        description: "Enables the planner to use constraints to optimize queries.",
    },
    Known {
        name: "cpu_index_tuple_cost",
        kind: Kind::Real { min: 0.0, max: f64::MAX },
        default: "0.005",
        change: Change::User,
        description: "Sets the planner's estimate of the cost of processing each index entry during an index scan.",
    },
    Known {
        name: "cpu_operator_cost",
        kind: Kind::Real { min: 0.0, max: f64::MAX },
        default: "0.0025",
        change: Change::User,
        description: "Sets the planner's estimate of the cost of processing each operator or function call.",
    },
    Known {
        name: "cpu_tuple_cost",
        kind: Kind::Real { min: 0.0, max: f64::MAX },
        default: "0.01",
        change: Change::User,
        description: "Sets the planner's estimate of the cost of processing each tuple (row).",
    },
    Known {
        name: "curia.last_csn",
        kind: Kind::Text,
        default: "0",
        change: Change::Internal,
        description: "Shows the commit sequence number of the session's last commit.",
    },
    Known {
        name: "cursor_tuple_fraction",
        kind: Kind::Real { min: 0.0, max: 1.0 },
        default: "0.1",
        change: Change::User,
        description: "Sets the planner's estimate of the fraction of a cursor's rows that will be retrieved.",
    },
    Known {
        name: "DateStyle",
        kind: Kind::Text,
        default: "ISO, MDY",
        change: Change::User,
        description: "Sets the display format for date and time values.",
    },
    Known {
        name: "deadlock_timeout",
        kind: Kind::Int {
            min: 1,
            max: 2147483647,
            unit: Some(Unit::Milliseconds),
        },
        default: "1000",
        change: Change::User,
        description: "Sets the time to wait on a lock before checking for deadlock.",
    },
    Known {
        name: "debug_pretty_print",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Indents parse and plan tree displays.",
    },
    Known {
        name: "debug_print_parse",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "Logs each query's parse tree.",
    },
    Known {
        name: "debug_print_plan",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "Logs each query's execution plan.",
    },
    Known {
        name: "debug_print_rewritten",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "Logs each query's rewritten parse tree.",
    },
    Known {
        name: "default_statistics_target",
        kind: Kind::Int {
            min: 1,
            max: 10000,
            unit: None,
        },
        default: "100",
        change: Change::User,
        description: "Sets the default statistics target.",
    },
    Known {
        name: "default_table_access_method",
        kind: Kind::Text,
        default: "heap",
        change: Change::User,
        description: "Sets the default table access method for new tables.",
    },
    Known {
        name: "default_tablespace",
        kind: Kind::Text,
        default: "",
        change: Change::User,
        description: "Sets the default tablespace to create tables and indexes in.",
    },
    Known {
        name: "default_text_search_config",
        kind: Kind::Text,
        default: "pg_catalog.english",
        change: Change::User,
        description: "Sets default text search configuration.",
    },
    Known {
        name: "default_toast_compression",
        kind: Kind::Enum(&["pglz", "lz4"]),
        default: "pglz",
        change: Change::User,
        description: "Sets the default compression method for compressible values.",
    },
    Known {
        name: "default_transaction_deferrable",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "Sets the default deferrable status of new transactions.",
    },
    Known {
        name: "default_transaction_isolation",
        kind: Kind::Enum(&["serializable", "repeatable read", "read committed", "read uncommitted"]),
        default: "read committed",
        change: Change::User,
        description: "Sets the transaction isolation level of each new transaction.",
    },
    Known {
        name: "default_transaction_read_only",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "Sets the default read-only status of new transactions.",
    },
    Known {
        name: "effective_cache_size",
        kind: Kind::Int {
            min: 1,
            max: 2147483647,
            unit: Some(Unit::Pages),
        },
        default: "524288",
        change: Change::User,
        description: "Sets the planner's assumption about the total size of the data caches.",
    },
    Known {
        name: "enable_async_append",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of async append plans.",
    },
    Known {
        name: "enable_bitmapscan",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of bitmap-scan plans.",
    },
    Known {
        name: "enable_gathermerge",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of gather merge plans.",
    },
    Known {
        name: "enable_hashagg",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of hashed aggregation plans.",
    },
    Known {
        name: "enable_hashjoin",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of hash join plans.",
    },
    Known {
        name: "enable_incremental_sort",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of incremental sort steps.",
    },
    Known {
        name: "enable_indexonlyscan",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of index-only-scan plans.",
    },
    Known {
        name: "enable_indexscan",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of index-scan plans.",
    },
    Known {
        name: "enable_material",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of materialization.",
    },
    Known {
        name: "enable_memoize",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of memoization.",
    },
    Known {
        name: "enable_mergejoin",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of merge join plans.",
    },
    Known {
        name: "enable_nestloop",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of nested-loop join plans.",
    },
    Known {
        name: "enable_parallel_append",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of parallel append plans.",
    },
    Known {
        name: "enable_parallel_hash",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of parallel hash plans.",
    },
    Known {
        name: "enable_partition_pruning",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables plan-time and execution-time partition pruning.",
    },
    Known {
        name: "enable_partitionwise_aggregate",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "Enables partitionwise aggregation and grouping.",
    },
    Known {
        name: "enable_partitionwise_join",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "Enables partitionwise join.",
    },
    Known {
        name: "enable_seqscan",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of sequential-scan plans.",
    },
    Known {
        name: "enable_sort",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of explicit sort steps.",
    },
    Known {
        name: "enable_tidscan",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables the planner's use of TID scan plans.",
    },
    Known {
        name: "escape_string_warning",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Warn about backslash escapes in ordinary string literals.",
    },
    Known {
        name: "extra_float_digits",
        kind: Kind::Int {
            min: -15,
            max: 3,
            unit: None,
        },
        default: "1",
        change: Change::User,
        description: "Sets the number of digits displayed for floating-point values.",
    },
    Known {
        name: "from_collapse_limit",
        kind: Kind::Int {
            min: 1,
            max: 2147483647,
            unit: None,
        },
        default: "8",
        change: Change::User,
        description: "Sets the FROM-list size beyond which subqueries are not collapsed.",
    },
    Known {
        name: "fsync",
        kind: Kind::Bool,
        default: "on",
        change: Change::Server,
        description: "Forces synchronization of updates to disk.",
    },
    Known {
        name: "full_page_writes",
        kind: Kind::Bool,
        default: "on",
        change: Change::Server,
        description: "Writes full pages to WAL when first modified after a checkpoint.",
    },
    Known {
        name: "geqo",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enables genetic query optimization.",
    },
    Known {
        name: "geqo_effort",
        kind: Kind::Int {
            min: 1,
            max: 10,
            unit: None,
        },
        default: "5",
        change: Change::User,
        description: "GEQO: effort is used to set the default for other GEQO parameters.",
    },
    Known {
        name: "geqo_generations",
        kind: Kind::Int {
            min: 0,
            max: 2147483647,
            unit: None,
        },
        default: "0",
        change: Change::User,
        description: "GEQO: number of iterations of the algorithm.",
    },
    Known {
        name: "geqo_pool_size",
        kind: Kind::Int {
            min: 0,
            max: 2147483647,
            unit: None,
        },
        default: "0",
        change: Change::User,
        description: "GEQO: number of individuals in the population.",
    },
    Known {
        name: "geqo_seed",
        kind: Kind::Real { min: 0.0, max: 1.0 },
        default: "0",
        change: Change::User,
        description: "GEQO: seed for random path selection.",
    },
    Known {
        name: "geqo_selection_bias",
        kind: Kind::Real { min: 1.5, max: 2.0 },
        default: "2",
        change: Change::User,
        description: "GEQO: selective pressure within the population.",
    },
    Known {
        name: "geqo_threshold",
        kind: Kind::Int {
            min: 2,
            max: 2147483647,
            unit: None,
        },
        default: "12",
        change: Change::User,
        description: "Sets the threshold of FROM items beyond which GEQO is used.",
    },
    Known {
        name: "hot_standby",
        kind: Kind::Bool,
        default: "on",
        change: Change::Server,
        description: "Allows connections and queries during recovery.",
    },
    Known {
        name: "idle_in_transaction_session_timeout",
        kind: Kind::Int {
            min: 0,
            max: 2147483647,
            unit: Some(Unit::Milliseconds),
        },
        default: "0",
        change: Change::User,
        description: "Sets the maximum allowed idle time between queries, when in a transaction.",
    },
    Known {
        name: "idle_session_timeout",
        kind: Kind::Int {
            min: 0,
            max: 2147483647,
            unit: Some(Unit::Milliseconds),
        },
        default: "0",
        change: Change::User,
        description: "Sets the maximum allowed idle time between queries, when not in a transaction.",
    },
    Known {
        name: "in_hot_standby",
        kind: Kind::Bool,
        default: "off",
        change: Change::Internal,
        description: "Shows whether hot standby is currently active.",
    },
    Known {
        name: "integer_datetimes",
        kind: Kind::Bool,
        default: "on",
        change: Change::Internal,
        description: "Shows whether datetimes are integer based.",
    },
    Known {
        name: "IntervalStyle",
        kind: Kind::Enum(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        default: "postgres",
        change: Change::User,
        description: "Sets the display format for interval values.",
    },
    Known {
        name: "is_superuser",
        kind: Kind::Bool,
        default: "on",
        change: Change::Internal,
        description: "Shows whether the current user is a superuser.",
    },
    Known {
        name: "jit",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "Allow JIT compilation.",
    },
    Known {
        name: "join_collapse_limit",
        kind: Kind::Int {
            min: 1,
            max: 2147483647,
            unit: None,
        },
        default: "8",
        change: Change::User,
        description: "Sets the FROM-list size beyond which JOIN constructs are not flattened.",
    },
    Known {
        name: "lc_collate",
        kind: Kind::Text,
        default: "C.UTF-8",
        change: Change::Internal,
        description: "Shows the collation order locale.",
    },
    Known {
        name: "lc_ctype",
        kind: Kind::Text,
        default: "C.UTF-8",
        change: Change::Internal,
        description: "Shows the character classification and case conversion locale.",
    },
    Known {
        name: "lc_messages",
        kind: Kind::Text,
        default: "C.UTF-8",
        change: Change::User,
        description: "Sets the language in which messages are displayed.",
    },
    Known {
        name: "lc_monetary",
        kind: Kind::Text,
        default: "C.UTF-8",
        change: Change::User,
        description: "Sets the locale for formatting monetary amounts.",
    },
    Known {
        name: "lc_numeric",
        kind: Kind::Text,
        default: "C.UTF-8",
        change: Change::User,
        description: "Sets the locale for formatting numbers.",
    },
    Known {
        name: "lc_time",
        kind: Kind::Text,
        default: "C.UTF-8",
        change: Change::User,
        description: "Sets the locale for formatting date and time values.",
    },
    Known {
        name: "lock_timeout",
        kind: Kind::Int {
            min: 0,
            max: 2147483647,
            unit: Some(Unit::Milliseconds),
        },
        default: "0",
        change: Change::User,
        description: "Sets the maximum allowed duration of any wait for a lock.",
    },
    Known {
        name: "log_duration",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "Logs the duration of each completed SQL statement.",
    },
    Known {
        name: "log_min_duration_statement",
        kind: Kind::Int {
            min: -1,
            max: 2147483647,
            unit: Some(Unit::Milliseconds),
        },
        default: "-1",
        change: Change::User,
        description: "Sets the minimum execution time above which all statements will be logged.",
    },
    Known {
        name: "log_min_error_statement",
        kind: Kind::Enum(&[
            "debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error", "log", "fatal", "panic",
        ]),
        default: "error",
        change: Change::User,
        description: "Causes all statements generating error at or above this level to be logged.",
    },
    Known {
        name: "log_min_messages",
        kind: Kind::Enum(&[
            "debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error", "log", "fatal", "panic",
        ]),
        default: "warning",
        change: Change::User,
        description: "Sets the message levels that are logged.",
    },
    Known {
        name: "log_statement",
        kind: Kind::Enum(&["none", "ddl", "mod", "all"]),
        default: "none",
        change: Change::User,
        description: "Sets the type of statements logged.",
    },
    Known {
        name: "maintenance_work_mem",
        kind: Kind::Int {
            min: 1024,
            max: 2147483647,
            unit: Some(Unit::Kilobytes),
        },
        default: "65536",
        change: Change::User,
        description: "Sets the maximum memory to be used for maintenance operations.",
    },
    Known {
        name: "max_connections",
        kind: Kind::Int {
            min: 1,
            max: 262143,
            unit: None,
        },
        default: "100",
        change: Change::Server,
        description: "Sets the maximum number of concurrent connections.",
    },
    Known {
        name: "max_function_args",
        kind: Kind::Int {
            min: 100,
            max: 100,
            unit: None,
        },
        default: "100",
        change: Change::Internal,
        description: "Shows the maximum number of function arguments.",
    },
    Known {
        name: "max_identifier_length",
        kind: Kind::Int {
            min: 63,
            max: 63,
            unit: None,
        },
        default: "63",
        change: Change::Internal,
        description: "Shows the maximum identifier length.",
    },
    Known {
        name: "max_index_keys",
        kind: Kind::Int {
            min: 32,
            max: 32,
            unit: None,
        },
        default: "32",
        change: Change::Internal,
        description: "Shows the maximum number of index keys.",
    },
    Known {
        name: "max_locks_per_transaction",
        kind: Kind::Int {
            min: 10,
            max: 2147483647,
            unit: None,
        },
        default: "64",
        change: Change::Server,
        description: "Sets the maximum number of locks per transaction.",
    },
    Known {
        name: "max_parallel_maintenance_workers",
        kind: Kind::Int {
            min: 0,
            max: 1024,
            unit: None,
        },
        default: "2",
        change: Change::User,
        description: "Sets the maximum number of parallel processes per maintenance operation.",
    },
    Known {
        name: "max_parallel_workers",
        kind: Kind::Int {
            min: 0,
            max: 1024,
            unit: None,
        },
        default: "8",
        change: Change::User,
        description: "Sets the maximum number of parallel workers that can be active at one time.",
    },
    Known {
        name: "max_parallel_workers_per_gather",
        kind: Kind::Int {
            min: 0,
            max: 1024,
            unit: None,
        },
        default: "2",
        change: Change::User,
        description: "Sets the maximum number of parallel processes per executor node.",
    },
    Known {
        name: "max_prepared_transactions",
        kind: Kind::Int {
            min: 0,
            max: 262143,
            unit: None,
        },
        default: "0",
        change: Change::Server,
        description: "Sets the maximum number of simultaneously prepared transactions.",
    },
    Known {
        name: "max_replication_slots",
        kind: Kind::Int {
            min: 0,
            max: 262143,
            unit: None,
        },
        default: "10",
        change: Change::Server,
        description: "Sets the maximum number of simultaneously defined replication slots.",
    },
    Known {
        name: "max_stack_depth",
        kind: Kind::Int {
            min: 100,
            max: 2147483647,
            unit: Some(Unit::Kilobytes),
        },
        default: "100",
        change: Change::User,
        description: "Sets the maximum stack depth, in kilobytes.",
    },
    Known {
        name: "max_wal_senders",
        kind: Kind::Int {
            min: 0,
            max: 262143,
            unit: None,
        },
        default: "10",
        change: Change::Server,
        description: "Sets the maximum number of simultaneously running WAL sender processes.",
    },
    Known {
        name: "max_worker_processes",
        kind: Kind::Int {
            min: 0,
            max: 262143,
            unit: None,
        },
        default: "8",
        change: Change::Server,
        description: "Maximum number of concurrent worker processes.",
    },
    Known {
        name: "parallel_setup_cost",
        kind: Kind::Real { min: 0.0, max: f64::MAX },
        default: "1000",
        change: Change::User,
        description: "Sets the planner's estimate of the cost of starting up worker processes for parallel query.",
    },
    Known {
        name: "parallel_tuple_cost",
        kind: Kind::Real { min: 0.0, max: f64::MAX },
        default: "0.1",
        change: Change::User,
        description: "Sets the planner's estimate of the cost of passing each tuple (row) from worker to leader backend.",
    },
    Known {
        name: "password_encryption",
        kind: Kind::Enum(&["md5", "scram-sha-256"]),
        default: "scram-sha-256",
        change: Change::User,
        description: "Chooses the algorithm for encrypting passwords.",
    },
    Known {
        name: "plan_cache_mode",
        kind: Kind::Enum(&["auto", "force_generic_plan", "force_custom_plan"]),
        default: "auto",
        change: Change::User,
        description: "Controls the planner's selection of custom or generic plan.",
    },
    Known {
        name: "quote_all_identifiers",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "When generating SQL fragments, quote all identifiers.",
    },
    Known {
        name: "random_page_cost",
        kind: Kind::Real { min: 0.0, max: f64::MAX },
        default: "4",
        change: Change::User,
        description: "Sets the planner's estimate of the cost of a nonsequentially fetched disk page.",
    },
    Known {
        name: "role",
        kind: Kind::Text,
        default: "none",
        change: Change::User,
        description: "Sets the current role.",
    },
    Known {
        name: "row_security",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Enable row security.",
    },
    Known {
        name: "search_path",
        kind: Kind::Text,
        default: "\"$user\", public",
        change: Change::User,
        description: "Sets the schema search order for names that are not schema-qualified.",
    },
    Known {
        name: "seq_page_cost",
        kind: Kind::Real { min: 0.0, max: f64::MAX },
        default: "1",
        change: Change::User,
        description: "Sets the planner's estimate of the cost of a sequentially fetched disk page.",
    },
    Known {
        name: "server_encoding",
        kind: Kind::Text,
        default: "UTF8",
        change: Change::Internal,
        description: "Shows the server (database) character set encoding.",
    },
    Known {
        name: "server_version",
        kind: Kind::Text,
        default: concat!("15.18 (Curia ", env!("CARGO_PKG_VERSION"), ")"),
        change: Change::Internal,
        description: "Shows the server version.",
    },
    Known {
        name: "server_version_num",
        kind: Kind::Int {
            min: 150018,
            max: 150018,
            unit: None,
        },
        default: "150018",
        change: Change::Internal,
        description: "Shows the server version as an integer.",
    },
    Known {
        name: "session_authorization",
        kind: Kind::Text,
        default: "curia",
        change: Change::User,
        description: "Sets the session user name.",
    },
    Known {
        name: "session_replication_role",
        kind: Kind::Enum(&["origin", "replica", "local"]),
        default: "origin",
        change: Change::User,
        description: "Sets the session's behavior for triggers and rewrite rules.",
    },
    Known {
        name: "ssl",
        kind: Kind::Bool,
        default: "off",
        change: Change::Server,
        description: "Enables SSL connections.",
    },
    Known {
        name: "standard_conforming_strings",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Causes '...' strings to treat backslashes literally.",
    },
    Known {
        name: "statement_timeout",
        kind: Kind::Int {
            min: 0,
            max: 2147483647,
            unit: Some(Unit::Milliseconds),
        },
        default: "0",
        change: Change::User,
        description: "Sets the maximum allowed duration of any statement.",
    },
    Known {
        name: "synchronous_commit",
        kind: Kind::Enum(&["local", "remote_write", "remote_apply", "on", "off"]),
        default: "on",
        change: Change::User,
        description: "Sets the current transaction's synchronization level.",
    },
    Known {
        name: "temp_buffers",
        kind: Kind::Int {
            min: 100,
            max: 1073741823,
            unit: Some(Unit::Pages),
        },
        default: "1024",
        change: Change::User,
        description: "Sets the maximum number of temporary buffers used by each session.",
    },
    Known {
        name: "temp_tablespaces",
        kind: Kind::Text,
        default: "",
        change: Change::User,
        description: "Sets the tablespace(s) to use for temporary tables and sort files.",
    },
    Known {
        name: "TimeZone",
        kind: Kind::Text,
        default: "Etc/UTC",
        change: Change::User,
        description: "Sets the time zone for displaying and interpreting time stamps.",
    },
    Known {
        name: "timezone_abbreviations",
        kind: Kind::Text,
        default: "",
        change: Change::User,
        description: "Selects a file of time zone abbreviations.",
    },
    Known {
        name: "track_activities",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Collects information about executing commands.",
    },
    Known {
        name: "track_commit_timestamp",
        kind: Kind::Bool,
        default: "off",
        change: Change::Server,
        description: "Collects transaction commit time.",
    },
    Known {
        name: "track_counts",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Collects statistics on database activity.",
    },
    Known {
        name: "transaction_deferrable",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "Whether to defer a read-only serializable transaction until it can be executed with no possible serialization failures.",
    },
    Known {
        name: "transaction_isolation",
        kind: Kind::Enum(&["serializable", "repeatable read", "read committed", "read uncommitted"]),
        default: "read committed",
        change: Change::User,
        description: "Sets the current transaction's isolation level.",
    },
    Known {
        name: "transaction_read_only",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "Sets the current transaction's read-only status.",
    },
    Known {
        name: "transform_null_equals",
        kind: Kind::Bool,
        default: "off",
        change: Change::User,
        description: "Treats \"expr=NULL\" as \"expr IS NULL\".",
    },
    Known {
        name: "update_process_title",
        kind: Kind::Bool,
        default: "on",
        change: Change::User,
        description: "Updates the process title to show the active SQL command.",
    },
    Known {
        name: "wal_level",
        kind: Kind::Enum(&["minimal", "replica", "logical"]),
        default: "replica",
        change: Change::Server,
        description: "Sets the level of information written to the WAL.",
    },
    Known {
        name: "wal_segment_size",
        kind: Kind::Int {
            min: 1048576,
            max: 1073741824,
            unit: Some(Unit::Bytes),
        },
        default: "16777216",
        change: Change::Internal,
        description: "Shows the size of write ahead log segments.",
    },
    Known {
        name: "work_mem",
        kind: Kind::Int {
            min: 64,
            max: 2147483647,
            unit: Some(Unit::Kilobytes),
        },
        default: "4096",
        change: Change::User,
        description: "Sets the maximum memory to be used for query workspaces.",
    },
    Known {
        name: "xmlbinary",
        kind: Kind::Enum(&["base64", "hex"]),
        default: "base64",
        change: Change::User,
        description: "Sets how binary values are to be encoded in XML.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_found_by_its_name_in_any_case() {
        for (i, k) in KNOWN.iter().enumerate() {
            assert_eq!(find(k.name), Some(i), "{}", k.name);
            assert_eq!(find(&k.name.to_uppercase()), Some(i), "{}", k.name);
        }
        assert_eq!(find("no_such_parameter"), None);
    }
}
