//! Errors on their way to a Flight client: a gRPC status whose message begins with the SQLSTATE in brackets, as in
//! `[23505] duplicate key value violates unique constraint "t_pkey" DETAIL: Key (id)=(1) already exists.`
//! The SQLSTATE also travels alone in the response header `curia-sqlstate`.

use curia_types::{SqlError, SqlState};
use tonic::{Code, Status};

/// The gRPC code that says best what a client could do about it.
fn code(state: SqlState) -> Code {
    match state {
        SqlState::QUERY_CANCELED => Code::Cancelled,
        SqlState::UNIQUE_VIOLATION | SqlState::DUPLICATE_TABLE | SqlState::DUPLICATE_SCHEMA | SqlState::DUPLICATE_OBJECT => {
            Code::AlreadyExists
        }
        SqlState::UNDEFINED_TABLE | SqlState::INVALID_CATALOG_NAME | SqlState::INVALID_SCHEMA_NAME => Code::NotFound,
        SqlState::INSUFFICIENT_PRIVILEGE => Code::PermissionDenied,
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => Code::Unauthenticated,
        state => match &state.as_str()[..2] {
            "0A" => Code::Unimplemented,
            "22" | "23" | "21" | "26" | "34" | "42" => Code::InvalidArgument,
            "40" => Code::Aborted,
            "25" | "55" => Code::FailedPrecondition,
            "53" | "54" => Code::ResourceExhausted,
            "57" => Code::Unavailable,
            "08" => Code::Unknown,
            _ => Code::Internal,
        },
    }
}

/// The status that tells a client of `error`.
pub fn of(error: &SqlError) -> Status {
    let mut message = format!("[{}] {}", error.code().as_str(), error.message());
    let fields = error.fields();
    for (label, text) in [("DETAIL", &fields.detail), ("HINT", &fields.hint), ("CONTEXT", &fields.context)] {
        if let Some(text) = text {
            message.push_str(&format!(" {label}: {text}"));
        }
    }
    if let Some(position) = fields.position {
        message.push_str(&format!(" (at character {position})"));
    }
    let mut status = Status::new(code(error.code()), message);
    if let Ok(state) = error.code().as_str().parse() {
        status.metadata_mut().insert("curia-sqlstate", state);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_leads_the_message_and_travels_alone() {
        let error = SqlError::new(SqlState::UNIQUE_VIOLATION, "duplicate key").detail("Key (id)=(1) already exists.");
        let status = of(&error);
        assert_eq!(status.code(), Code::AlreadyExists);
        assert_eq!(status.message(), "[23505] duplicate key DETAIL: Key (id)=(1) already exists.");
        assert_eq!(status.metadata().get("curia-sqlstate").unwrap(), "23505");
    }

    #[test]
    fn what_may_be_retried_is_told_from_what_may_not() {
        assert_eq!(code(SqlState::SERIALIZATION_FAILURE), Code::Aborted);
        assert_eq!(code(SqlState::DEADLOCK_DETECTED), Code::Aborted);
        assert_eq!(code(SqlState::SYNTAX_ERROR), Code::InvalidArgument);
        assert_eq!(code(SqlState::FEATURE_NOT_SUPPORTED), Code::Unimplemented);
    }
}
