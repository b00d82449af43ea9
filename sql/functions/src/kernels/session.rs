//! Functions of the session and the catalog: declared here, computed by [`crate::Context::session_call`]; and the few that need no session.

use super::macros::{kernels, pure};
use crate::Kernel::{Session, Typed};
use curia_types::{Datum, type_info};

const UTF8: i32 = 6;
/// `pg_proc.oid` of format_type().
const FORMAT_TYPE: u32 = 1081;

kernels! {
    "acldefault_sql" => Session;
    "current_database" = Session;
    "current_query" => Session;
    "current_schema" = Session;
    "current_schemas" => Session;
    "current_user" = Session;
    "currval_oid" => Session;
    "has_any_column_privilege_id" => Session;
    "has_any_column_privilege_id_id" => Session;
    "has_any_column_privilege_id_name" => Session;
    "has_any_column_privilege_name" => Session;
    "has_any_column_privilege_name_id" => Session;
    "has_any_column_privilege_name_name" => Session;
    "has_column_privilege_id_attnum" => Session;
    "has_column_privilege_id_id_attnum" => Session;
    "has_column_privilege_id_id_name" => Session;
    "has_column_privilege_id_name" => Session;
    "has_column_privilege_id_name_attnum" => Session;
    "has_column_privilege_id_name_name" => Session;
    "has_column_privilege_name_attnum" => Session;
    "has_column_privilege_name_id_attnum" => Session;
    "has_column_privilege_name_id_name" => Session;
    "has_column_privilege_name_name" => Session;
    "has_column_privilege_name_name_attnum" => Session;
    "has_column_privilege_name_name_name" => Session;
    "has_database_privilege_id" => Session;
    "has_database_privilege_id_id" => Session;
    "has_database_privilege_id_name" => Session;
    "has_database_privilege_name" => Session;
    "has_database_privilege_name_id" => Session;
    "has_database_privilege_name_name" => Session;
    "has_foreign_data_wrapper_privilege_id" => Session;
    "has_foreign_data_wrapper_privilege_id_id" => Session;
    "has_foreign_data_wrapper_privilege_id_name" => Session;
    "has_foreign_data_wrapper_privilege_name" => Session;
    "has_foreign_data_wrapper_privilege_name_id" => Session;
    "has_foreign_data_wrapper_privilege_name_name" => Session;
    "has_function_privilege_id" => Session;
    "has_function_privilege_id_id" => Session;
    "has_function_privilege_id_name" => Session;
    "has_function_privilege_name" => Session;
    "has_function_privilege_name_id" => Session;
    "has_function_privilege_name_name" => Session;
    "has_language_privilege_id" => Session;
    "has_language_privilege_id_id" => Session;
    "has_language_privilege_id_name" => Session;
    "has_language_privilege_name" => Session;
    "has_language_privilege_name_id" => Session;
    "has_language_privilege_name_name" => Session;
    "has_parameter_privilege_id_name" => Session;
    "has_parameter_privilege_name" => Session;
    "has_parameter_privilege_name_name" => Session;
    "has_schema_privilege_id" => Session;
    "has_schema_privilege_id_id" => Session;
    "has_schema_privilege_id_name" => Session;
    "has_schema_privilege_name" => Session;
    "has_schema_privilege_name_id" => Session;
    "has_schema_privilege_name_name" => Session;
    "has_sequence_privilege_id" => Session;
    "has_sequence_privilege_id_id" => Session;
    "has_sequence_privilege_id_name" => Session;
    "has_sequence_privilege_name" => Session;
    "has_sequence_privilege_name_id" => Session;
    "has_sequence_privilege_name_name" => Session;
    "has_server_privilege_id" => Session;
    "has_server_privilege_id_id" => Session;
    "has_server_privilege_id_name" => Session;
    "has_server_privilege_name" => Session;
    "has_server_privilege_name_id" => Session;
    "has_server_privilege_name_name" => Session;
    "has_table_privilege_id" => Session;
    "has_table_privilege_id_id" => Session;
    "has_table_privilege_id_name" => Session;
    "has_table_privilege_name" => Session;
    "has_table_privilege_name_id" => Session;
    "has_table_privilege_name_name" => Session;
    "has_tablespace_privilege_id" => Session;
    "has_tablespace_privilege_id_id" => Session;
    "has_tablespace_privilege_id_name" => Session;
    "has_tablespace_privilege_name" => Session;
    "has_tablespace_privilege_name_id" => Session;
    "has_tablespace_privilege_name_name" => Session;
    "has_type_privilege_id" => Session;
    "has_type_privilege_id_id" => Session;
    "has_type_privilege_id_name" => Session;
    "has_type_privilege_name" => Session;
    "has_type_privilege_name_id" => Session;
    "has_type_privilege_name_name" => Session;
    "inet_client_port" => Session;
    "inet_server_port" => Session;
    "lastval" => Session;
    "makeaclitem" => Session;
    "nextval_oid" => Session;
    "obj_description(oid)" => Session;
    "pg_advisory_lock_int4" => Session;
    "pg_advisory_lock_int8" => Session;
    "pg_advisory_lock_shared_int4" => Session;
    "pg_advisory_lock_shared_int8" => Session;
    "pg_advisory_unlock_all" => Session;
    "pg_advisory_unlock_int4" => Session;
    "pg_advisory_unlock_int8" => Session;
    "pg_advisory_unlock_shared_int4" => Session;
    "pg_advisory_unlock_shared_int8" => Session;
    "pg_advisory_xact_lock_int4" => Session;
    "pg_advisory_xact_lock_int8" => Session;
    "pg_advisory_xact_lock_shared_int4" => Session;
    "pg_advisory_xact_lock_shared_int8" => Session;
    "pg_backend_pid" = Session;
    "pg_blocking_pids" => Session;
    "pg_cancel_backend" => Session;
    "pg_client_encoding" => Session;
    "pg_collation_is_visible" => Session;
    "pg_column_compression" => Session;
    "pg_column_is_updatable" => Session;
    "pg_conf_load_time" => Session;
    "pg_conversion_is_visible" => Session;
    "pg_current_xact_id" => Session;
    "pg_current_xact_id_if_assigned" => Session;
    "pg_database_size_name" => Session;
    "pg_database_size_oid" => Session;
    "pg_describe_object" => Session;
    "pg_export_snapshot" => Session;
    "pg_function_is_visible" => Session;
    "pg_get_constraintdef" => Session;
    "pg_get_constraintdef_ext" => Session;
    "pg_get_expr" => Session;
    "pg_get_expr_ext" => Session;
    "pg_get_function_arg_default" => Session;
    "pg_get_function_arguments" => Session;
    "pg_get_function_identity_arguments" => Session;
    "pg_get_function_result" => Session;
    "pg_get_function_sqlbody" => Session;
    "pg_get_functiondef" => Session;
    "pg_get_indexdef" => Session;
    "pg_get_indexdef_ext" => Session;
    "pg_get_partition_constraintdef" => Session;
    "pg_get_partkeydef" => Session;
    "pg_get_replica_identity_index" => Session;
    "pg_get_ruledef" => Session;
    "pg_get_ruledef_ext" => Session;
    "pg_get_serial_sequence" => Session;
    "pg_get_statisticsobjdef" => Session;
    "pg_get_statisticsobjdef_columns" => Session;
    "pg_get_triggerdef" => Session;
    "pg_get_triggerdef_ext" => Session;
    "pg_get_userbyid" => Session;
    "pg_get_viewdef" => Session;
    "pg_get_viewdef_ext" => Session;
    "pg_get_viewdef_name" => Session;
    "pg_get_viewdef_name_ext" => Session;
    "pg_get_viewdef_wrap" => Session;
    "pg_has_role_id" => Session;
    "pg_has_role_id_id" => Session;
    "pg_has_role_id_name" => Session;
    "pg_has_role_name" => Session;
    "pg_has_role_name_id" => Session;
    "pg_has_role_name_name" => Session;
    "pg_index_column_has_property" => Session;
    "pg_index_has_property" => Session;
    "pg_indexam_has_property" => Session;
    "pg_indexes_size" => Session;
    "pg_is_in_recovery" => Session;
    "pg_is_other_temp_schema" => Session;
    "pg_jit_available" => Session;
    "pg_isolation_test_session_is_blocked" => Session;
    "pg_my_temp_schema" => Session;
    "pg_notification_queue_usage" => Session;
    "pg_notify" => Session;
    "pg_opclass_is_visible" => Session;
    "pg_operator_is_visible" => Session;
    "pg_opfamily_is_visible" => Session;
    "pg_postmaster_start_time" => Session;
    "pg_relation_filenode" => Session;
    "pg_relation_filepath" => Session;
    "pg_relation_is_publishable" => Session;
    "pg_relation_is_updatable" => Session;
    "pg_relation_size" => Session;
    "pg_relation_size(regclass)" => Session;
    "pg_reload_conf" => Session;
    "pg_sequence_last_value" => Session;
    "pg_sleep" => Session;
    "pg_stat_get_numscans" => Session;
    "pg_statistics_obj_is_visible" => Session;
    "pg_table_is_visible" => Session;
    "pg_table_size" => Session;
    "pg_tablespace_location" => Session;
    "pg_tablespace_size_name" => Session;
    "pg_tablespace_size_oid" => Session;
    "pg_terminate_backend" => Session;
    "pg_total_relation_size" => Session;
    "pg_trigger_depth" => Session;
    "pg_try_advisory_lock_int4" => Session;
    "pg_try_advisory_lock_int8" => Session;
    "pg_try_advisory_lock_shared_int4" => Session;
    "pg_try_advisory_lock_shared_int8" => Session;
    "pg_try_advisory_xact_lock_int4" => Session;
    "pg_try_advisory_xact_lock_int8" => Session;
    "pg_try_advisory_xact_lock_shared_int4" => Session;
    "pg_try_advisory_xact_lock_shared_int8" => Session;
    "pg_ts_config_is_visible" => Session;
    "pg_ts_dict_is_visible" => Session;
    "pg_ts_parser_is_visible" => Session;
    "pg_ts_template_is_visible" => Session;
    "pg_type_is_visible" => Session;
    "pg_xact_status" => Session;
    "pgsql_version" = Session;
    "obj_description(oid,name)" => Session;
    "col_description(oid,integer)" => Session;
    "shobj_description(oid,name)" => Session;
    "row_security_active" => Session;
    "row_security_active_name" => Session;
    "session_user" = Session;
    "set_config_by_name" => Session;
    "setseed" => Session;
    "setval3_oid" => Session;
    "setval_oid" => Session;
    "show_config_by_name" => Session;
    "show_config_by_name_missing_ok" => Session;
    "text_regclass" => Session;
    "to_regclass" => Session;
    "to_regcollation" => Session;
    "to_regnamespace" => Session;
    "to_regoper" => Session;
    "to_regoperator" => Session;
    "to_regproc" => Session;
    "to_regprocedure" => Session;
    "to_regrole" => Session;
    "to_regtype" => Session;

    "pg_typeof" = Typed(|_, types, _| Ok(Datum::Oid(types.args.first().map_or(0, |t| t.oid))));
    "format_type" = Typed(|cx, _, args| match args {
        // A user's type has its name in the catalog, and its schema's where the search path does not find it.
        [Datum::Oid(ty), _] if type_info::user::kind(*ty).is_some() => cx.session_call(FORMAT_TYPE, args),
        [Datum::Oid(ty), Datum::Int4(typmod)] => Ok(Datum::text(formatted(*ty, Some(*typmod)))),
        [Datum::Oid(ty), _] => Ok(Datum::text(formatted(*ty, None))),
        _ => Ok(Datum::Null),
    });
    "PG_encoding_to_char" = pure!(|n: i32| ? Ok(Datum::text(if n == UTF8 { "UTF8" } else if n == 0 { "SQL_ASCII" } else { "" })));
    "PG_char_to_encoding" = pure!(|s: &str| -> Int4 if matches!(s.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode") { UTF8 } else if s.eq_ignore_ascii_case("sql_ascii") { 0 } else { -1 });
    "pg_encoding_max_length_sql" = pure!(|n: i32| ? Ok(if n == UTF8 { Datum::Int4(4) } else if n == 0 { Datum::Int4(1) } else { Datum::Null }));
    "getdatabaseencoding" = pure!(| | ? Ok(Datum::text("UTF8")));
    "pg_num_nulls" = Typed(|_, _, args| Ok(Datum::Int4(args.iter().filter(|a| a.is_null()).count() as i32)));
    "pg_num_nonnulls" = Typed(|_, _, args| Ok(Datum::Int4(args.iter().filter(|a| !a.is_null()).count() as i32)));
    "pg_column_size" = Typed(|_, types, args| {
        let Some(value) = args.first().filter(|a| !a.is_null()) else { return Ok(Datum::Null) };
        let mut bytes = Vec::new();
        curia_types::binary_io::encode(types.args[0], value, &mut bytes);
        // Variable-length values carry a header of one byte, or four when longer than 126 bytes.
        let header = match type_info::by_oid(types.args[0].oid).map_or(-1, |t| t.len) { -1 if bytes.len() > 126 => 4, -1 => 1, _ => 0 };
        Ok(Datum::Int4((bytes.len() + header) as i32))
    });
    "oidvectortypes" = pure!(|a: &std::sync::Arc<curia_types::ArrayValue>| ? Ok(Datum::text(
        a.elements.iter().map(|e| match e { Datum::Oid(o) => type_info::format_type(*o, -1), _ => String::new() }).collect::<Vec<_>>().join(", ")
    )));
}

/// With a modifier given, even -1, a bare bpchar is not the one-character `character` of the grammar.
fn formatted(ty: u32, typmod: Option<i32>) -> String {
    let element = type_info::element_of(ty);
    if typmod == Some(-1) && element.unwrap_or(ty) == curia_types::oid::BPCHAR {
        return if element.is_some() {
            "bpchar[]".to_owned()
        } else {
            "bpchar".to_owned()
        };
    }
    type_info::format_type(ty, typmod.unwrap_or(-1))
}
