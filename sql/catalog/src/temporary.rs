//! Temporary schemas. Session N keeps its temporary relations in the schema `pg_temp_N`, which it calls `pg_temp`; they are stored as any
//! others are, and go with the session, or at the next start when that was not to be.
//!
//! A session's search path holds its temporary schema as soon as that exists, in front unless the setting says another place.

/// What every session calls its own temporary schema.
pub const ALIAS: &str = "pg_temp";

/// The temporary schema of a session.
pub fn schema_of(session: i32) -> String {
    format!("{ALIAS}_{session}")
}

/// Whether a schema is some session's temporary one.
pub fn is_temporary(schema: &str) -> bool {
    schema
        .strip_prefix("pg_temp_")
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The temporary schema on a search path, which is the session's own.
pub fn own(search_path: &[String]) -> Option<&str> {
    search_path.iter().map(String::as_str).find(|s| is_temporary(s))
}

/// The schema that a written name means: `pg_temp` is the session's own.
pub fn meant<'a>(schema: &'a str, search_path: &'a [String]) -> &'a str {
    match own(search_path) {
        Some(own) if schema == ALIAS => own,
        _ => schema,
    }
}

/// Whether a written name means the temporary schema of another session.
pub fn is_foreign(schema: &str, search_path: &[String]) -> bool {
    is_temporary(schema) && own(search_path) != Some(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_means_its_own_temporary_schema_and_knows_others() {
        let path = ["pg_temp_3".to_owned(), "public".to_owned()];
        assert_eq!(schema_of(3), "pg_temp_3");
        assert_eq!(meant("pg_temp", &path), "pg_temp_3");
        assert_eq!(meant("pg_temp", &path[1..]), "pg_temp");
        assert_eq!(meant("public", &path), "public");
        assert!(is_foreign("pg_temp_4", &path));
        assert!(!is_foreign("pg_temp_3", &path));
        assert!(!is_foreign("pg_temp", &path));
        assert!(!is_temporary("pg_temp_"));
        assert!(!is_temporary("pg_temp_x"));
    }
}
