//! The facts of `pg_type`: every base and pseudo type PostgreSQL 15 ships ([`by_oid`]), those that users made ([`user`]), and the
//! questions that both answer ([`category`], [`element_of`], [`format_type`], ...).

mod rows;
pub mod user;

pub use user::{UserKind, UserType};

use crate::{PgType, oid};
use std::collections::HashMap;
use std::sync::LazyLock;

/// A row of `pg_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeInfo {
    /// `oid`
    pub oid: u32,
    /// `typname`
    pub name: &'static str,
    /// `typlen`: bytes, -1 varlena, -2 C string.
    pub len: i16,
    /// `typbyval`
    pub by_value: bool,
    /// `typtype`: 'b' base, 'p' pseudo.
    pub kind: char,
    /// `typcategory`
    pub category: char,
    /// `typispreferred`
    pub preferred: bool,
    /// `typdelim`
    pub delimiter: char,
    /// `typelem`: subscript result; a true array type has len -1 and category 'A'.
    pub element: u32,
    /// `typarray`: 0 when there is none.
    pub array: u32,
    /// `typinput`
    pub input: &'static str,
    /// `typoutput`
    pub output: &'static str,
    /// `typreceive`, "-" for none.
    pub receive: &'static str,
    /// `typsend`, "-" for none.
    pub send: &'static str,
    /// `typmodin`, "-" for none.
    pub modin: &'static str,
    /// `typmodout`, "-" for none.
    pub modout: &'static str,
    /// `typalign`
    pub align: char,
    /// `typstorage`
    pub storage: char,
    /// `typcollation`
    pub collation: u32,
}

/// By OID itself: asked for at every step of every expression.
static BY_OID: LazyLock<Vec<Option<&'static TypeInfo>>> = LazyLock::new(|| {
    let last = rows::ROWS.iter().map(|r| r.oid).max().unwrap_or_default();
    let mut table = vec![None; last as usize + 1];
    for row in rows::ROWS {
        table[row.oid as usize] = Some(row);
    }
    table
});
static BY_NAME: LazyLock<HashMap<&'static str, &'static TypeInfo>> = LazyLock::new(|| rows::ROWS.iter().map(|r| (r.name, r)).collect());

/// Every row, in OID order.
pub fn all() -> &'static [TypeInfo] {
    rows::ROWS
}

/// The type with this OID.
pub fn by_oid(oid: u32) -> Option<&'static TypeInfo> {
    BY_OID.get(oid as usize).copied().flatten()
}

/// The type with this `typname` (`int4`, `_text`); SQL spellings such as `integer` are [`by_sql_name`].
pub fn by_name(typname: &str) -> Option<&'static TypeInfo> {
    BY_NAME.get(typname).copied()
}

/// The type with this `typname` or SQL spelling (`integer`, `double precision`, `timestamp with time zone`), lower case, no modifier.
pub fn by_sql_name(name: &str) -> Option<&'static TypeInfo> {
    let typname = match name {
        "int" | "integer" => "int4",
        "smallint" => "int2",
        "bigint" => "int8",
        "real" => "float4",
        "float" | "double precision" => "float8",
        "boolean" => "bool",
        "decimal" | "dec" => "numeric",
        "character varying" | "char varying" => "varchar",
        "character" | "char" => "bpchar",
        "\"char\"" => "char",
        "bit varying" => "varbit",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        other => other,
    };
    by_name(typname)
}

/// The array type over an element type; `None` when there is none.
pub fn array_of(element: u32) -> Option<u32> {
    let array = match by_oid(element) {
        Some(t) => t.array,
        None => user::get(element)?.array,
    };
    (array != 0).then_some(array)
}

/// `typcategory`; 'X' for a type that is not known. A domain has its base type's.
pub fn category(oid: u32) -> char {
    match by_oid(oid) {
        Some(t) => t.category,
        None => user::get(oid).map_or('X', |t| match t.kind {
            UserKind::Enum => 'E',
            UserKind::Composite => 'C',
            UserKind::Array { .. } => 'A',
            UserKind::Domain { base } => category(base.oid),
        }),
    }
}

/// `typispreferred`
pub fn is_preferred(oid: u32) -> bool {
    by_oid(oid).is_some_and(|t| t.preferred)
}

/// `typdelim`
pub fn delimiter(oid: u32) -> char {
    by_oid(base_type(oid)).map_or(',', |t| t.delimiter)
}

/// `typlen`
pub fn length(oid: u32) -> i16 {
    match by_oid(oid) {
        Some(t) => t.len,
        None => match user::get(oid).map(|t| t.kind) {
            Some(UserKind::Enum) => 4,
            Some(UserKind::Domain { base }) => length(base.oid),
            _ => -1,
        },
    }
}

/// The type under a domain, through domains over domains; any other type is its own.
pub fn base_type(oid: u32) -> u32 {
    base_of(PgType { oid, typmod: -1 }).oid
}

/// [`base_type`] with its modifier.
pub fn base_of(mut ty: PgType) -> PgType {
    while let Some(UserKind::Domain { base }) = user::kind(ty.oid) {
        ty = base;
    }
    ty
}

/// Whether it is a domain.
pub fn is_domain(oid: u32) -> bool {
    matches!(user::kind(oid), Some(UserKind::Domain { .. }))
}

/// Whether it is an enum.
pub fn is_enum(oid: u32) -> bool {
    matches!(user::kind(oid), Some(UserKind::Enum))
}

/// Whether it is a composite type: one that CREATE TYPE made, or a relation's row type. Not `record`.
pub fn is_composite(oid: u32) -> bool {
    matches!(user::kind(oid), Some(UserKind::Composite))
}

/// The built-in type whose form values of a type have, in memory, on disk and in Arrow: an enum's are int8, a domain's are its base
/// type's, a composite's are records. Arrays and built-in types are their own.
pub fn physical(oid: u32) -> u32 {
    match user::kind(oid) {
        Some(UserKind::Enum) => oid::INT8,
        Some(UserKind::Domain { base }) => physical(base.oid),
        Some(UserKind::Composite) => oid::RECORD,
        Some(UserKind::Array { .. }) | None => oid,
    }
}

/// The element type of a true array type (not of `name` or `oidvector`, which merely take subscripts).
pub fn element_of(array: u32) -> Option<u32> {
    if let Some(UserKind::Array { element }) = user::kind(array) {
        return Some(element);
    }
    by_oid(array)
        .filter(|t| t.len == -1 && t.element != 0 && t.input == "array_in")
        .map(|t| t.element)
}

/// Whether values of this type can be held, read and printed. Types that PostgreSQL has and we do not answer 0A000 when named.
pub fn is_supported(oid: u32) -> bool {
    use oid::*;
    if let Some(element) = element_of(oid) {
        return is_supported(element);
    }
    if user::kind(oid).is_some() {
        return is_supported(physical(oid));
    }
    matches!(
        oid,
        BOOL | BYTEA
            | CHAR
            | NAME
            | INT8
            | INT2
            | INT2VECTOR
            | INT4
            | TEXT
            | OID
            | OIDVECTOR
            | JSON
            | JSONB
            | JSONPATH
            | FLOAT4
            | FLOAT8
            | UNKNOWN
            | BPCHAR
            | VARCHAR
            | DATE
            | TIME
            | TIMESTAMP
            | TIMESTAMPTZ
            | INTERVAL
            | NUMERIC
            | RECORD
            | VOID
            | UUID
            | XID
            | CID
            | PG_NODE_TREE
            | ACLITEM
            | CSTRING
            | TIMETZ
            | BIT
            | VARBIT
            | INET
            | CIDR
            | MACADDR
            | POINT
            | LSEG
            | LINE
            | BOX
            | PATH
            | POLYGON
            | CIRCLE
            | XID8
            | PG_LSN
            | TXID_SNAPSHOT
            | PG_SNAPSHOT
    ) || is_oid_like(oid)
}

/// oid and the types that are one underneath: the reg* family, xid and cid.
pub fn is_oid_like(oid: u32) -> bool {
    matches!(
        oid,
        24 | 26 | 28 | 29 | 2202 | 2203 | 2204 | 2205 | 2206 | 3734 | 3769 | 4089 | 4096 | 4191
    )
}

/// Whether values are [`crate::Datum::Text`].
pub fn is_text_like(oid: u32) -> bool {
    use oid::*;
    matches!(
        oid,
        CHAR | NAME | TEXT | JSON | JSONPATH | UNKNOWN | BPCHAR | VARCHAR | PG_NODE_TREE | ACLITEM | CSTRING | TXID_SNAPSHOT | PG_SNAPSHOT
    )
}

/// Whether it is a polymorphic pseudo type (anyelement and friends, anycompatible and friends).
pub fn is_polymorphic(oid: u32) -> bool {
    matches!(oid, 2277 | 2283 | 2776 | 3500 | 3831 | 4537 | 5077..=5080 | 4538)
}

/// The type's name as `format_type` prints it: `integer`, `character varying(10)`, `numeric(10,2)[]`; `???` for an unknown OID.
pub fn format_type(oid: u32, typmod: i32) -> String {
    if oid == 0 {
        return "-".to_owned();
    }
    if let Some(element) = element_of(oid) {
        return format!("{}[]", format_type(element, typmod));
    }
    let Some(info) = by_oid(oid) else {
        return user::get(oid).map_or_else(|| "???".to_owned(), |t| quote_identifier(&t.name).into_owned());
    };
    let has = typmod >= 0;
    let precision = |name: &str, suffix: &str| {
        if has {
            format!("{name}({typmod}){suffix}")
        } else {
            format!("{name}{suffix}")
        }
    };
    match oid {
        oid::BOOL => "boolean".to_owned(),
        oid::INT2 => "smallint".to_owned(),
        oid::INT4 => "integer".to_owned(),
        oid::INT8 => "bigint".to_owned(),
        oid::FLOAT4 => "real".to_owned(),
        oid::FLOAT8 => "double precision".to_owned(),
        oid::CHAR => precision("\"char\"", ""),
        // A bare character means length 1 to the grammar, so a length-less one prints as bpchar.
        oid::BPCHAR if has => format!("character({})", typmod - 4),
        oid::BPCHAR => {
            if typmod < 0 {
                "character".to_owned()
            } else {
                "bpchar".to_owned()
            }
        }
        oid::VARCHAR if has => format!("character varying({})", typmod - 4),
        oid::VARCHAR => "character varying".to_owned(),
        oid::NUMERIC => match crate::numeric::precision_and_scale(typmod) {
            Some((p, s)) => format!("numeric({p},{s})"),
            None => "numeric".to_owned(),
        },
        oid::BIT if has => format!("bit({typmod})"),
        oid::BIT if typmod < 0 => "bit".to_owned(),
        oid::VARBIT => precision("bit varying", ""),
        oid::TIME => precision("time", " without time zone"),
        oid::TIMETZ => precision("time", " with time zone"),
        oid::TIMESTAMP => precision("timestamp", " without time zone"),
        oid::TIMESTAMPTZ => precision("timestamp", " with time zone"),
        oid::INTERVAL => {
            if !has {
                return "interval".to_owned();
            }
            let fields = crate::datetime::interval_fields_name((typmod >> 16) & 0x7fff);
            match typmod & 0xffff {
                0xffff => format!("interval{fields}"),
                p => format!("interval{fields}({p})"),
            }
        }
        _ if has => format!("{}({typmod})", quote_identifier(info.name)),
        _ => quote_identifier(info.name).into_owned(),
    }
}

/// Reads a type name as `regtype` input and `CREATE TABLE` spell it: optional `pg_catalog.`, modifiers in parentheses, `[]` suffixes.
/// `None` when there is no such type or modifier.
pub fn parse_type_name(text: &str) -> Option<PgType> {
    let mut name = text.trim().to_ascii_lowercase();
    if text.trim().starts_with('"') || text.contains(".\"") {
        name = text.trim().replace('"', "");
        if name == "char" {
            name = "\"char\"".to_owned();
        }
    }
    let mut array = false;
    while let Some(open) = name.trim_end().strip_suffix(']').and_then(|n| n.rfind('[')) {
        name.truncate(open);
        array = true;
    }
    let mut base = name.trim().to_owned();
    let mut modifiers: Vec<i32> = Vec::new();
    if let (Some(open), Some(close)) = (base.find('('), base.find(')')) {
        for m in base.get(open + 1..close)?.split(',') {
            modifiers.push(m.trim().parse().ok()?);
        }
        base = format!("{}{}", base[..open].trim_end(), &base[close + 1..]);
    }
    let words: Vec<&str> = base.split_whitespace().collect();
    let joined = words.join(" ");
    let bare = joined.strip_prefix("pg_catalog.").unwrap_or(&joined);
    let info = by_sql_name(bare)?;
    let typmod = match (modifiers.as_slice(), bare) {
        ([], "character" | "char") => 5,
        ([], "bit") => 1,
        ([], _) => -1,
        (m, _) => typmod_from(info.oid, m).ok()?,
    };
    let oid = if array { array_of(info.oid)? } else { info.oid };
    Some(PgType { oid, typmod })
}

/// The typmod of written modifiers (`varchar(10)`, `numeric(10,2)`, `timestamp(3)`) with PostgreSQL's errors (22023).
pub fn typmod_from(oid: u32, modifiers: &[i32]) -> crate::Result<i32> {
    use crate::{SqlError, SqlState};
    let invalid = |m: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, m);
    match oid {
        oid::BPCHAR | oid::VARCHAR => {
            let name = if oid == oid::BPCHAR { "char" } else { "varchar" };
            match modifiers {
                [n] if *n < 1 => Err(invalid(format!("length for type {name} must be at least 1"))),
                [n] if *n > 10_485_760 => Err(invalid(format!("length for type {name} cannot exceed 10485760"))),
                [n] => Ok(n + 4),
                _ => Err(invalid("invalid type modifier".to_owned())),
            }
        }
        oid::BIT | oid::VARBIT => {
            let name = if oid == oid::BIT { "bit" } else { "varbit" };
            match modifiers {
                [n] if *n < 1 => Err(invalid(format!("length for type {name} must be at least 1"))),
                [n] if *n > 83_886_080 => Err(invalid(format!("length for type {name} cannot exceed 83886080"))),
                [n] => Ok(*n),
                _ => Err(invalid("invalid type modifier".to_owned())),
            }
        }
        oid::NUMERIC => {
            let (p, s) = match modifiers {
                [p] => (*p, 0),
                [p, s] => (*p, *s),
                _ => return Err(invalid("invalid NUMERIC type modifier".to_owned())),
            };
            if !(1..=1000).contains(&p) {
                return Err(invalid(format!("NUMERIC precision {p} must be between 1 and 1000")));
            }
            if !(-1000..=1000).contains(&s) {
                return Err(invalid(format!("NUMERIC scale {s} must be between -1000 and 1000")));
            }
            Ok(((p << 16) | (s & 0x7ff)) + 4)
        }
        oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ => {
            let (name, tz) = match oid {
                oid::TIME => ("TIME", ""),
                oid::TIMETZ => ("TIME", " WITH TIME ZONE"),
                oid::TIMESTAMP => ("TIMESTAMP", ""),
                _ => ("TIMESTAMP", " WITH TIME ZONE"),
            };
            match modifiers {
                [p] if *p < 0 => Err(invalid(format!("{name}({p}){tz} precision must not be negative"))),
                [p] => Ok((*p).min(6)),
                _ => Err(invalid("invalid type modifier".to_owned())),
            }
        }
        oid::INTERVAL => match modifiers {
            [p] if *p < 0 => Err(invalid(format!("INTERVAL({p}) precision must not be negative"))),
            [p] => Ok((0x7fff << 16) | (*p).min(6)),
            [range, p] => Ok((range << 16) | (*p).clamp(0, 0xffff)),
            _ => Err(invalid("invalid INTERVAL type modifier".to_owned())),
        },
        _ => Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("type modifier is not allowed for type \"{}\"", format_type(oid, -1)),
        )),
    }
}

/// Double-quotes an identifier where PostgreSQL's `quote_ident` would.
pub fn quote_identifier(name: &str) -> std::borrow::Cow<'_, str> {
    let safe = name
        .bytes()
        .enumerate()
        .all(|(i, b)| b.is_ascii_lowercase() || b == b'_' || (i > 0 && b.is_ascii_digit()))
        && !name.is_empty();
    if safe && crate::keywords::is_unreserved_or_absent(name) {
        name.into()
    } else {
        format!("\"{}\"", name.replace('"', "\"\"")).into()
    }
}
