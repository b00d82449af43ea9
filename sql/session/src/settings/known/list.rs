//! The list of parameters, in alphabetical order (SHOW ALL's): name, values, default, who may change it, description.

use super::Change::{Internal, Server, User};
use super::Kind::{Bool, Enum, Int, Real, Text};
use super::Known;
use super::Unit::{Bytes, Kilobytes, Milliseconds, Pages, Seconds};

macro_rules! parameters {
    ($($name:literal : $kind:expr => $default:expr, $change:ident, $description:literal;)*) => {
        &[$(Known { name: $name, kind: $kind, default: $default, change: $change, description: $description },)*]
    };
}

/// All parameters, sorted by lower-case name.
pub static KNOWN: &[Known] = parameters! {
    "allow_in_place_tablespaces": Bool => "off", User, "Allows tablespaces directly inside pg_tblspc, for testing.";
    "allow_system_table_mods": Bool => "off", User, "Allows modifications of the structure of system tables.";
    "application_name": Text => "", User, "Sets the application name to be reported in statistics and logs.";
    "array_nulls": Bool => "on", User, "Enable input of NULL elements in arrays.";
    "autovacuum": Bool => "on", Server, "Starts the autovacuum subprocess.";
    "backend_flush_after": Int { min: 0, max: 256, unit: Some(Pages) } => "0", User,
        "Number of pages after which previously performed writes are flushed to disk.";
    "backslash_quote": Enum(&["safe_encoding", "on", "off"]) => "safe_encoding", User,
        "Sets whether \"\\'\" is allowed in string literals.";
    "backtrace_functions": Text => "", User, "Log backtrace for errors in these functions.";
    "bytea_output": Enum(&["escape", "hex"]) => "hex", User, "Sets the output format for bytea.";
    "check_function_bodies": Bool => "on", User, "Check routine bodies during CREATE FUNCTION and CREATE PROCEDURE.";
    "client_connection_check_interval": Int { min: 0, max: 2147483647, unit: Some(Milliseconds) } => "0", User,
        "Sets the time interval between checks for disconnection while running queries.";
    "client_encoding": Text => "UTF8", User, "Sets the client's character set encoding.";
    "client_min_messages": Enum(&["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"]) => "notice", User,
        "Sets the message levels that are sent to the client.";
    "cluster_name": Text => "", Server, "Sets the name of the cluster, which is included in the process title.";
    "commit_delay": Int { min: 0, max: 100000, unit: None } => "0", User,
        "Sets the delay in microseconds between transaction commit and flushing WAL to disk.";
    "commit_siblings": Int { min: 0, max: 1000, unit: None } => "5", User,
        "Sets the minimum number of concurrent open transactions required before performing commit_delay.";
    "compute_query_id": Enum(&["auto", "regress", "on", "off"]) => "auto", User, "Enables in-core computation of query identifiers.";
    "constraint_exclusion": Enum(&["partition", "on", "off"]) => "partition", User,
        "Enables the planner to use constraints to optimize queries.";
    "cpu_index_tuple_cost": Real { min: 0.0, max: f64::MAX } => "0.005", User,
        "Sets the planner's estimate of the cost of processing each index entry during an index scan.";
    "cpu_operator_cost": Real { min: 0.0, max: f64::MAX } => "0.0025", User,
        "Sets the planner's estimate of the cost of processing each operator or function call.";
    "cpu_tuple_cost": Real { min: 0.0, max: f64::MAX } => "0.01", User,
        "Sets the planner's estimate of the cost of processing each tuple (row).";
    "curia.idempotency_key": Text => "", User, "Names the transaction, or the next one, so that it happens once when it is tried again.";
    "curia.last_csn": Text => "0", Internal, "Shows the newest commit sequence number that the session has committed or read at.";
    "curia.max_snapshot_age": Int { min: 0, max: 2147483647, unit: Some(Seconds) } => "0", Server,
        "Sets for how long a transaction may read a state that is not the newest any more.";
    "curia.min_csn": Text => "0", User, "Sets the commit sequence number that statements of the session see at least.";
    "curia.read": Text => "consul", User, "Sets on which servers the session reads, and how fresh: consul, strict, bounded and a time, session.";
    "cursor_tuple_fraction": Real { min: 0.0, max: 1.0 } => "0.1", User,
        "Sets the planner's estimate of the fraction of a cursor's rows that will be retrieved.";
    "DateStyle": Text => "ISO, MDY", User, "Sets the display format for date and time values.";
    "deadlock_timeout": Int { min: 1, max: 2147483647, unit: Some(Milliseconds) } => "1000", User,
        "Sets the time to wait on a lock before checking for deadlock.";
    "debug_discard_caches": Int { min: 0, max: 0, unit: None } => "0", User, "Aggressively flush system caches for debugging purposes.";
    "debug_pretty_print": Bool => "on", User, "Indents parse and plan tree displays.";
    "debug_print_parse": Bool => "off", User, "Logs each query's parse tree.";
    "debug_print_plan": Bool => "off", User, "Logs each query's execution plan.";
    "debug_print_rewritten": Bool => "off", User, "Logs each query's rewritten parse tree.";
    "default_statistics_target": Int { min: 1, max: 10000, unit: None } => "100", User, "Sets the default statistics target.";
    "default_table_access_method": Text => "heap", User, "Sets the default table access method for new tables.";
    "default_tablespace": Text => "", User, "Sets the default tablespace to create tables and indexes in.";
    "default_text_search_config": Text => "pg_catalog.english", User, "Sets default text search configuration.";
    "default_toast_compression": Enum(&["pglz", "lz4"]) => "pglz", User, "Sets the default compression method for compressible values.";
    "default_transaction_deferrable": Bool => "off", User, "Sets the default deferrable status of new transactions.";
    "default_transaction_isolation": Enum(&["serializable", "repeatable read", "read committed", "read uncommitted"]) => "read committed", User,
        "Sets the transaction isolation level of each new transaction.";
    "default_transaction_read_only": Bool => "off", User, "Sets the default read-only status of new transactions.";
    "dynamic_library_path": Text => "$libdir", User, "Sets the path for dynamically loadable modules.";
    "effective_cache_size": Int { min: 1, max: 2147483647, unit: Some(Pages) } => "524288", User,
        "Sets the planner's assumption about the total size of the data caches.";
    "effective_io_concurrency": Int { min: 0, max: 1000, unit: None } => "1", User,
        "Number of simultaneous requests that can be handled efficiently by the disk subsystem.";
    "enable_async_append": Bool => "on", User, "Enables the planner's use of async append plans.";
    "enable_bitmapscan": Bool => "on", User, "Enables the planner's use of bitmap-scan plans.";
    "enable_gathermerge": Bool => "on", User, "Enables the planner's use of gather merge plans.";
    "enable_hashagg": Bool => "on", User, "Enables the planner's use of hashed aggregation plans.";
    "enable_hashjoin": Bool => "on", User, "Enables the planner's use of hash join plans.";
    "enable_incremental_sort": Bool => "on", User, "Enables the planner's use of incremental sort steps.";
    "enable_indexonlyscan": Bool => "on", User, "Enables the planner's use of index-only-scan plans.";
    "enable_indexscan": Bool => "on", User, "Enables the planner's use of index-scan plans.";
    "enable_material": Bool => "on", User, "Enables the planner's use of materialization.";
    "enable_memoize": Bool => "on", User, "Enables the planner's use of memoization.";
    "enable_mergejoin": Bool => "on", User, "Enables the planner's use of merge join plans.";
    "enable_nestloop": Bool => "on", User, "Enables the planner's use of nested-loop join plans.";
    "enable_parallel_append": Bool => "on", User, "Enables the planner's use of parallel append plans.";
    "enable_parallel_hash": Bool => "on", User, "Enables the planner's use of parallel hash plans.";
    "enable_partition_pruning": Bool => "on", User, "Enables plan-time and execution-time partition pruning.";
    "enable_partitionwise_aggregate": Bool => "off", User, "Enables partitionwise aggregation and grouping.";
    "enable_partitionwise_join": Bool => "off", User, "Enables partitionwise join.";
    "enable_seqscan": Bool => "on", User, "Enables the planner's use of sequential-scan plans.";
    "enable_sort": Bool => "on", User, "Enables the planner's use of explicit sort steps.";
    "enable_tidscan": Bool => "on", User, "Enables the planner's use of TID scan plans.";
    "escape_string_warning": Bool => "on", User, "Warn about backslash escapes in ordinary string literals.";
    "exit_on_error": Bool => "off", User, "Terminate session on any error.";
    "extra_float_digits": Int { min: -15, max: 3, unit: None } => "1", User,
        "Sets the number of digits displayed for floating-point values.";
    "force_parallel_mode": Enum(&["off", "on", "regress"]) => "off", User, "Forces use of parallel query facilities.";
    "from_collapse_limit": Int { min: 1, max: 2147483647, unit: None } => "8", User,
        "Sets the FROM-list size beyond which subqueries are not collapsed.";
    "fsync": Bool => "on", Server, "Forces synchronization of updates to disk.";
    "full_page_writes": Bool => "on", Server, "Writes full pages to WAL when first modified after a checkpoint.";
    "geqo": Bool => "on", User, "Enables genetic query optimization.";
    "geqo_effort": Int { min: 1, max: 10, unit: None } => "5", User, "GEQO: effort is used to set the default for other GEQO parameters.";
    "geqo_generations": Int { min: 0, max: 2147483647, unit: None } => "0", User, "GEQO: number of iterations of the algorithm.";
    "geqo_pool_size": Int { min: 0, max: 2147483647, unit: None } => "0", User, "GEQO: number of individuals in the population.";
    "geqo_seed": Real { min: 0.0, max: 1.0 } => "0", User, "GEQO: seed for random path selection.";
    "geqo_selection_bias": Real { min: 1.5, max: 2.0 } => "2", User, "GEQO: selective pressure within the population.";
    "geqo_threshold": Int { min: 2, max: 2147483647, unit: None } => "12", User,
        "Sets the threshold of FROM items beyond which GEQO is used.";
    "gin_fuzzy_search_limit": Int { min: 0, max: 2147483647, unit: None } => "0", User,
        "Sets the maximum allowed result for exact search by GIN.";
    "gin_pending_list_limit": Int { min: 64, max: 2147483647, unit: Some(Kilobytes) } => "4096", User,
        "Sets the maximum size of the pending list for GIN index.";
    "hash_mem_multiplier": Real { min: 1.0, max: 1000.0 } => "2", User, "Multiple of work_mem to use for hash tables.";
    "hot_standby": Bool => "on", Server, "Allows connections and queries during recovery.";
    "idle_in_transaction_session_timeout": Int { min: 0, max: 2147483647, unit: Some(Milliseconds) } => "0", User,
        "Sets the maximum allowed idle time between queries, when in a transaction.";
    "idle_session_timeout": Int { min: 0, max: 2147483647, unit: Some(Milliseconds) } => "0", User,
        "Sets the maximum allowed idle time between queries, when not in a transaction.";
    "ignore_checksum_failure": Bool => "off", User, "Continues processing after a checksum failure.";
    "in_hot_standby": Bool => "off", Internal, "Shows whether hot standby is currently active.";
    "integer_datetimes": Bool => "on", Internal, "Shows whether datetimes are integer based.";
    "IntervalStyle": Enum(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]) => "postgres", User,
        "Sets the display format for interval values.";
    "is_superuser": Bool => "on", Internal, "Shows whether the current user is a superuser.";
    "jit": Bool => "off", User, "Allow JIT compilation.";
    "jit_above_cost": Real { min: -1.0, max: f64::MAX } => "100000", User, "Perform JIT compilation if query is more expensive.";
    "jit_dump_bitcode": Bool => "off", User, "Write out LLVM bitcode to facilitate JIT debugging.";
    "jit_expressions": Bool => "on", User, "Allow JIT compilation of expressions.";
    "jit_inline_above_cost": Real { min: -1.0, max: f64::MAX } => "500000", User, "Perform JIT inlining if query is more expensive.";
    "jit_optimize_above_cost": Real { min: -1.0, max: f64::MAX } => "500000", User, "Optimize JIT-compiled functions if query is more expensive.";
    "jit_tuple_deforming": Bool => "on", User, "Allow JIT compilation of tuple deforming.";
    "join_collapse_limit": Int { min: 1, max: 2147483647, unit: None } => "8", User,
        "Sets the FROM-list size beyond which JOIN constructs are not flattened.";
    "lc_collate": Text => "C.UTF-8", Internal, "Shows the collation order locale.";
    "lc_ctype": Text => "C.UTF-8", Internal, "Shows the character classification and case conversion locale.";
    "lc_messages": Text => "C.UTF-8", User, "Sets the language in which messages are displayed.";
    "lc_monetary": Text => "C.UTF-8", User, "Sets the locale for formatting monetary amounts.";
    "lc_numeric": Text => "C.UTF-8", User, "Sets the locale for formatting numbers.";
    "lc_time": Text => "C.UTF-8", User, "Sets the locale for formatting date and time values.";
    "lo_compat_privileges": Bool => "off", User, "Enables backward compatibility mode for privilege checks on large objects.";
    "local_preload_libraries": Text => "", User, "Lists unprivileged shared libraries to preload into each backend.";
    "lock_timeout": Int { min: 0, max: 2147483647, unit: Some(Milliseconds) } => "0", User,
        "Sets the maximum allowed duration of any wait for a lock.";
    "log_duration": Bool => "off", User, "Logs the duration of each completed SQL statement.";
    "log_error_verbosity": Enum(&["terse", "default", "verbose"]) => "default", User, "Sets the verbosity of logged messages.";
    "log_executor_stats": Bool => "off", User, "Writes executor performance statistics to the server log.";
    "log_lock_waits": Bool => "off", User, "Logs long lock waits.";
    "log_min_duration_sample": Int { min: -1, max: 2147483647, unit: Some(Milliseconds) } => "-1", User,
        "Sets the minimum execution time above which a sample of statements will be logged. Sampling is determined by log_statement_sample_rate.";
    "log_min_duration_statement": Int { min: -1, max: 2147483647, unit: Some(Milliseconds) } => "-1", User,
        "Sets the minimum execution time above which all statements will be logged.";
    "log_min_error_statement": Enum(&["debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error", "log", "fatal", "panic"]) => "error", User,
        "Causes all statements generating error at or above this level to be logged.";
    "log_min_messages": Enum(&["debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error", "log", "fatal", "panic"]) => "warning", User,
        "Sets the message levels that are logged.";
    "log_parameter_max_length": Int { min: -1, max: 1073741823, unit: Some(Bytes) } => "-1", User,
        "Sets the maximum length in bytes of data logged for bind parameter values when logging statements.";
    "log_parameter_max_length_on_error": Int { min: -1, max: 1073741823, unit: Some(Bytes) } => "0", User,
        "Sets the maximum length in bytes of data logged for bind parameter values when logging statements, on error.";
    "log_parser_stats": Bool => "off", User, "Writes parser performance statistics to the server log.";
    "log_planner_stats": Bool => "off", User, "Writes planner performance statistics to the server log.";
    "log_replication_commands": Bool => "off", User, "Logs each replication command.";
    "log_statement": Enum(&["none", "ddl", "mod", "all"]) => "none", User, "Sets the type of statements logged.";
    "log_statement_sample_rate": Real { min: 0.0, max: 1.0 } => "1", User,
        "Fraction of statements exceeding log_min_duration_sample to be logged.";
    "log_statement_stats": Bool => "off", User, "Writes cumulative performance statistics to the server log.";
    "log_temp_files": Int { min: -1, max: 2147483647, unit: Some(Kilobytes) } => "-1", User,
        "Log the use of temporary files larger than this number of kilobytes.";
    "log_transaction_sample_rate": Real { min: 0.0, max: 1.0 } => "0", User,
        "Sets the fraction of transactions from which to log all statements.";
    "logical_decoding_work_mem": Int { min: 64, max: 2147483647, unit: Some(Kilobytes) } => "65536", User,
        "Sets the maximum memory to be used for logical decoding.";
    "maintenance_io_concurrency": Int { min: 0, max: 1000, unit: None } => "10", User,
        "A variant of effective_io_concurrency that is used for maintenance work.";
    "maintenance_work_mem": Int { min: 1024, max: 2147483647, unit: Some(Kilobytes) } => "65536", User,
        "Sets the maximum memory to be used for maintenance operations.";
    "max_connections": Int { min: 1, max: 262143, unit: None } => "100", Server, "Sets the maximum number of concurrent connections.";
    "max_function_args": Int { min: 100, max: 100, unit: None } => "100", Internal, "Shows the maximum number of function arguments.";
    "max_identifier_length": Int { min: 63, max: 63, unit: None } => "63", Internal, "Shows the maximum identifier length.";
    "max_index_keys": Int { min: 32, max: 32, unit: None } => "32", Internal, "Shows the maximum number of index keys.";
    "max_locks_per_transaction": Int { min: 10, max: 2147483647, unit: None } => "64", Server,
        "Sets the maximum number of locks per transaction.";
    "max_parallel_maintenance_workers": Int { min: 0, max: 1024, unit: None } => "2", User,
        "Sets the maximum number of parallel processes per maintenance operation.";
    "max_parallel_workers": Int { min: 0, max: 1024, unit: None } => "8", User,
        "Sets the maximum number of parallel workers that can be active at one time.";
    "max_parallel_workers_per_gather": Int { min: 0, max: 1024, unit: None } => "2", User,
        "Sets the maximum number of parallel processes per executor node.";
    "max_prepared_transactions": Int { min: 0, max: 262143, unit: None } => "64", Server,
        "Sets the maximum number of simultaneously prepared transactions.";
    "max_replication_slots": Int { min: 0, max: 262143, unit: None } => "10", Server,
        "Sets the maximum number of simultaneously defined replication slots.";
    "max_stack_depth": Int { min: 100, max: 2147483647, unit: Some(Kilobytes) } => "100", User,
        "Sets the maximum stack depth, in kilobytes.";
    "max_wal_senders": Int { min: 0, max: 262143, unit: None } => "10", Server,
        "Sets the maximum number of simultaneously running WAL sender processes.";
    "max_worker_processes": Int { min: 0, max: 262143, unit: None } => "8", Server, "Maximum number of concurrent worker processes.";
    "min_parallel_index_scan_size": Int { min: 0, max: 715827882, unit: Some(Pages) } => "64", User,
        "Sets the minimum amount of index data for a parallel scan.";
    "min_parallel_table_scan_size": Int { min: 0, max: 715827882, unit: Some(Pages) } => "1024", User,
        "Sets the minimum amount of table data for a parallel scan.";
    "parallel_leader_participation": Bool => "on", User, "Controls whether Gather and Gather Merge also run subplans.";
    "parallel_setup_cost": Real { min: 0.0, max: f64::MAX } => "1000", User,
        "Sets the planner's estimate of the cost of starting up worker processes for parallel query.";
    "parallel_tuple_cost": Real { min: 0.0, max: f64::MAX } => "0.1", User,
        "Sets the planner's estimate of the cost of passing each tuple (row) from worker to leader backend.";
    "password_encryption": Enum(&["md5", "scram-sha-256"]) => "scram-sha-256", User, "Chooses the algorithm for encrypting passwords.";
    "plan_cache_mode": Enum(&["auto", "force_generic_plan", "force_custom_plan"]) => "auto", User,
        "Controls the planner's selection of custom or generic plan.";
    "quote_all_identifiers": Bool => "off", User, "When generating SQL fragments, quote all identifiers.";
    "random_page_cost": Real { min: 0.0, max: f64::MAX } => "4", User,
        "Sets the planner's estimate of the cost of a nonsequentially fetched disk page.";
    "recursive_worktable_factor": Real { min: 0.001, max: 1_000_000.0 } => "10", User,
        "Sets the planner's estimate of the average size of a recursive query's working table.";
    "restrict_nonsystem_relation_kind": Text => "", User, "Prohibits access to non-system relations of specified kinds.";
    "role": Text => "none", User, "Sets the current role.";
    "row_security": Bool => "on", User, "Enable row security.";
    "search_path": Text => "\"$user\", public", User, "Sets the schema search order for names that are not schema-qualified.";
    "seq_page_cost": Real { min: 0.0, max: f64::MAX } => "1", User,
        "Sets the planner's estimate of the cost of a sequentially fetched disk page.";
    "server_encoding": Text => "UTF8", Internal, "Shows the server (database) character set encoding.";
    "server_version": Text => concat!("15.18 (Curia ", env!("CARGO_PKG_VERSION"), ")"), Internal, "Shows the server version.";
    "server_version_num": Int { min: 150018, max: 150018, unit: None } => "150018", Internal, "Shows the server version as an integer.";
    "session_authorization": Text => "curia", User, "Sets the session user name.";
    "session_preload_libraries": Text => "", User, "Lists shared libraries to preload into each backend.";
    "session_replication_role": Enum(&["origin", "replica", "local"]) => "origin", User,
        "Sets the session's behavior for triggers and rewrite rules.";
    "ssl": Bool => "off", Server, "Enables SSL connections.";
    "standard_conforming_strings": Bool => "on", User, "Causes '...' strings to treat backslashes literally.";
    "statement_timeout": Int { min: 0, max: 2147483647, unit: Some(Milliseconds) } => "0", User,
        "Sets the maximum allowed duration of any statement.";
    "stats_fetch_consistency": Enum(&["none", "cache", "snapshot"]) => "cache", User, "Sets the consistency of accesses to statistics data.";
    "synchronize_seqscans": Bool => "on", User, "Enable synchronized sequential scans.";
    "synchronous_commit": Enum(&["local", "remote_write", "remote_apply", "on", "off"]) => "on", User,
        "Sets the current transaction's synchronization level.";
    "tcp_keepalives_count": Int { min: 0, max: 2147483647, unit: None } => "0", User, "Maximum number of TCP keepalive retransmits.";
    "tcp_keepalives_idle": Int { min: 0, max: 2147483647, unit: Some(Seconds) } => "0", User, "Time between issuing TCP keepalives.";
    "tcp_keepalives_interval": Int { min: 0, max: 2147483647, unit: Some(Seconds) } => "0", User, "Time between TCP keepalive retransmits.";
    "tcp_user_timeout": Int { min: 0, max: 2147483647, unit: Some(Milliseconds) } => "0", User, "TCP user timeout.";
    "temp_buffers": Int { min: 100, max: 1073741823, unit: Some(Pages) } => "1024", User,
        "Sets the maximum number of temporary buffers used by each session.";
    "temp_file_limit": Int { min: -1, max: 2147483647, unit: Some(Kilobytes) } => "-1", User,
        "Limits the total size of all temporary files used by each process.";
    "temp_tablespaces": Text => "", User, "Sets the tablespace(s) to use for temporary tables and sort files.";
    "TimeZone": Text => "Etc/UTC", User, "Sets the time zone for displaying and interpreting time stamps.";
    "timezone_abbreviations": Text => "", User, "Selects a file of time zone abbreviations.";
    "trace_notify": Bool => "off", User, "Generates debugging output for LISTEN and NOTIFY.";
    "trace_sort": Bool => "off", User, "Emit information about resource usage in sorting.";
    "track_activities": Bool => "on", User, "Collects information about executing commands.";
    "track_activity_query_size": Int { min: 100, max: 1048576, unit: Some(Bytes) } => "1024", Server,
        "Sets the size reserved for pg_stat_activity.query, in bytes.";
    "track_commit_timestamp": Bool => "off", Server, "Collects transaction commit time.";
    "track_counts": Bool => "on", User, "Collects statistics on database activity.";
    "track_functions": Enum(&["none", "pl", "all"]) => "none", User, "Collects function-level statistics on database activity.";
    "track_io_timing": Bool => "off", User, "Collects timing statistics for database I/O activity.";
    "track_wal_io_timing": Bool => "off", User, "Collects timing statistics for WAL I/O activity.";
    "transaction_deferrable": Bool => "off", User,
        "Whether to defer a read-only serializable transaction until it can be executed with no possible serialization failures.";
    "transaction_isolation": Enum(&["serializable", "repeatable read", "read committed", "read uncommitted"]) => "read committed", User,
        "Sets the current transaction's isolation level.";
    "transaction_read_only": Bool => "off", User, "Sets the current transaction's read-only status.";
    "transform_null_equals": Bool => "off", User, "Treats \"expr=NULL\" as \"expr IS NULL\".";
    "update_process_title": Bool => "on", User, "Updates the process title to show the active SQL command.";
    "vacuum_cost_delay": Real { min: 0.0, max: 100.0 } => "0", User, "Vacuum cost delay in milliseconds.";
    "vacuum_cost_limit": Int { min: 1, max: 10000, unit: None } => "200", User, "Vacuum cost amount available before napping.";
    "vacuum_cost_page_dirty": Int { min: 0, max: 10000, unit: None } => "20", User, "Vacuum cost for a page dirtied by vacuum.";
    "vacuum_cost_page_hit": Int { min: 0, max: 10000, unit: None } => "1", User, "Vacuum cost for a page found in the buffer cache.";
    "vacuum_cost_page_miss": Int { min: 0, max: 10000, unit: None } => "2", User, "Vacuum cost for a page not found in the buffer cache.";
    "vacuum_failsafe_age": Int { min: 0, max: 2100000000, unit: None } => "1600000000", User,
        "Age at which VACUUM should trigger failsafe to avoid a wraparound outage.";
    "vacuum_freeze_min_age": Int { min: 0, max: 1000000000, unit: None } => "50000000", User,
        "Minimum age at which VACUUM should freeze a table row.";
    "vacuum_freeze_table_age": Int { min: 0, max: 2000000000, unit: None } => "150000000", User,
        "Age at which VACUUM should scan whole table to freeze tuples.";
    "vacuum_multixact_failsafe_age": Int { min: 0, max: 2100000000, unit: None } => "1600000000", User,
        "Multixact age at which VACUUM should trigger failsafe to avoid a wraparound outage.";
    "vacuum_multixact_freeze_min_age": Int { min: 0, max: 1000000000, unit: None } => "5000000", User,
        "Minimum age at which VACUUM should freeze a MultiXactId in a table row.";
    "vacuum_multixact_freeze_table_age": Int { min: 0, max: 2000000000, unit: None } => "150000000", User,
        "Multixact age at which VACUUM should scan whole table to freeze tuples.";
    "wal_compression": Enum(&["pglz", "lz4", "zstd", "on", "off"]) => "off", User,
        "Compresses full-page writes written in WAL file with specified method.";
    "wal_consistency_checking": Text => "", User, "Sets the WAL resource managers for which WAL consistency checks are done.";
    "wal_init_zero": Bool => "on", User, "Writes zeroes to new WAL files before first use.";
    "wal_level": Enum(&["minimal", "replica", "logical"]) => "replica", Server, "Sets the level of information written to the WAL.";
    "wal_recycle": Bool => "on", User, "Recycles WAL files by renaming them.";
    "wal_segment_size": Int { min: 1048576, max: 1073741824, unit: Some(Bytes) } => "16777216", Internal,
        "Shows the size of write ahead log segments.";
    "wal_sender_timeout": Int { min: 0, max: 2147483647, unit: Some(Milliseconds) } => "60000", User,
        "Sets the maximum time to wait for WAL replication.";
    "wal_skip_threshold": Int { min: 0, max: 2147483647, unit: Some(Kilobytes) } => "2048", User,
        "Minimum size of new file to fsync instead of writing WAL.";
    "work_mem": Int { min: 64, max: 2147483647, unit: Some(Kilobytes) } => "4096", User,
        "Sets the maximum memory to be used for query workspaces.";
    "xmlbinary": Enum(&["base64", "hex"]) => "base64", User, "Sets how binary values are to be encoded in XML.";
    "xmloption": Enum(&["content", "document"]) => "content", User,
        "Sets whether XML data in implicit parsing and serialization operations is to be considered as documents or content fragments.";
    "zero_damaged_pages": Bool => "off", User, "Continues processing past damaged page headers.";
};
