//! Bounds as SQL: what `pg_get_expr(relpartbound, ..)` and messages show.

use super::{Bound, Edge};
use curia_types::{Datum, IoContext, PgType, oid, text_io, type_info};

impl Bound {
    /// `FOR VALUES ..` or `DEFAULT`.
    pub fn text(&self, types: &[PgType], io: &IoContext) -> String {
        match self {
            Bound::Default => "DEFAULT".to_owned(),
            Bound::List(values) => {
                let ty = types.first().copied().unwrap_or(PgType::TEXT);
                let shown: Vec<String> = values.iter().map(|v| literal(ty, v, io)).collect();
                format!("FOR VALUES IN ({})", shown.join(", "))
            }
            Bound::Range { from, to } => {
                format!("FOR VALUES FROM {} TO {}", edges_text(from, types, io), edges_text(to, types, io))
            }
            Bound::Hash { modulus, remainder } => format!("FOR VALUES WITH (modulus {modulus}, remainder {remainder})"),
        }
    }
}

/// One end of a range: `(1, MINVALUE)`.
pub fn edges_text(edges: &[Edge], types: &[PgType], io: &IoContext) -> String {
    let edge = |(edge, ty): (&Edge, &PgType)| match edge {
        Edge::Min => "MINVALUE".to_owned(),
        Edge::Max => "MAXVALUE".to_owned(),
        Edge::Value(v) => literal(*ty, v, io),
    };
    let shown: Vec<String> = edges.iter().zip(types).map(edge).collect();
    format!("({})", shown.join(", "))
}

/// A constant without its type, as `get_const_expr` shows it: bare where it reads back as the same number.
pub fn literal(ty: PgType, value: &Datum, io: &IoContext) -> String {
    if value.is_null() {
        return "NULL".to_owned();
    }
    let text = text_io::to_string(PgType::with_typmod(ty.oid, -1), value, io);
    let bare = match type_info::base_type(ty.oid) {
        oid::BOOL => return if text == "t" { "true" } else { "false" }.to_owned(),
        oid::INT4 => !text.starts_with('-'),
        oid::NUMERIC => text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(['e', 'E', '.']),
        _ => false,
    };
    if bare {
        return text;
    }
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        return format!("E'{}'", quoted.replace('\\', "\\\\"));
    }
    format!("'{quoted}'")
}
