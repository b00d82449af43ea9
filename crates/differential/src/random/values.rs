//! Types that random statements use, and values of each that are worth trying.

use super::Random;
use rand::RngExt;

/// Name as SQL writes it, as `pg_type` does, and texts of values; the first few are ordinary, as most rows want those.
pub const TYPES: &[(&str, &str, &[&str])] = &[
    ("boolean", "bool", &["t", "f", "yes", "off", "1", "maybe"]),
    ("smallint", "int2", &["0", "1", "-7", "42", "32767", "-32768", " 12 ", "1x"]),
    (
        "integer",
        "int4",
        &["0", "1", "2", "-1", "3", "100", "2147483647", "-2147483648", "2147483648", "12abc"],
    ),
    (
        "bigint",
        "int8",
        &[
            "0",
            "1",
            "5",
            "-3",
            "4567890123456789",
            "9223372036854775807",
            "-9223372036854775808",
            "x",
        ],
    ),
    (
        "real",
        "float4",
        &[
            "0",
            "1.5",
            "-2.25",
            "1e30",
            "-1e-30",
            "NaN",
            "Infinity",
            "-Infinity",
            "3.4e39",
            "0.1",
        ],
    ),
    (
        "double precision",
        "float8",
        &[
            "0",
            "1.5",
            "-2.25",
            "1e200",
            "-1e-200",
            "NaN",
            "Infinity",
            "-Infinity",
            "1e400",
            "0.1",
        ],
    ),
    (
        "numeric",
        "numeric",
        &[
            "0",
            "1",
            "-1.5",
            "3.14159",
            "100.00",
            "1e10",
            "0.000001",
            "NaN",
            "Infinity",
            "-Infinity",
            "99999999999999999999.999",
            "1.2.3",
        ],
    ),
    (
        "text",
        "text",
        &[
            "",
            "a",
            "abc",
            "Hello World",
            "  padded ",
            "%_",
            "äöü€",
            "12",
            "-3.5",
            "2020-02-29",
            "a,b,c",
            "x''y",
            "\\",
            "ABC",
            "zz",
        ],
    ),
    ("character varying", "varchar", &["", "v", "varying", "Über", "tr  "]),
    ("character", "bpchar", &["c", "d"]),
    ("name", "name", &["pg_class", "n", "Name"]),
    ("bytea", "bytea", &["", "abc", "\\\\x00ff10", "\\\\xzz", "\\\\001x"]),
    (
        "date",
        "date",
        &[
            "2020-02-29",
            "1999-12-31",
            "2000-01-01",
            "infinity",
            "-infinity",
            "0044-03-15 BC",
            "epoch",
            "2021-02-30",
            "5874897-12-31",
        ],
    ),
    (
        "time without time zone",
        "time",
        &["00:00", "12:34:56", "23:59:59.999999", "24:00:00", "25:00", "04:05 PM"],
    ),
    (
        "time with time zone",
        "timetz",
        &["00:00+00", "12:34:56+02", "23:59:59.999999-08", "24:00:00+00"],
    ),
    (
        "timestamp without time zone",
        "timestamp",
        &[
            "2020-02-29 12:00:00",
            "1999-12-31 23:59:59.5",
            "2000-01-01",
            "infinity",
            "-infinity",
            "4713-01-01 BC",
            "294276-12-31 23:59:59",
        ],
    ),
    (
        "timestamp with time zone",
        "timestamptz",
        &[
            "2020-02-29 12:00:00+00",
            "1999-12-31 23:59:59-08",
            "2021-03-28 02:30 Europe/Berlin",
            "infinity",
            "-infinity",
            "2000-01-01 PST",
        ],
    ),
    (
        "interval",
        "interval",
        &[
            "0",
            "1 day",
            "1 month",
            "-1 year 2 mons",
            "01:02:03.456",
            "1 day -00:00:01",
            "P1Y2M3DT4H5M6S",
            "178000000 years",
            "3 weeks ago",
        ],
    ),
    (
        "uuid",
        "uuid",
        &[
            "00000000-0000-0000-0000-000000000000",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC999C0B4EF8BB6D6BB9BD380A12",
            "zz",
        ],
    ),
    (
        "json",
        "json",
        &[
            "null",
            "1",
            "\"a\"",
            "[1,2,{\"a\":null}]",
            "{\"a\": 1, \"b\": [true, \"x\"], \"a\": 2}",
            "{bad",
        ],
    ),
    (
        "jsonb",
        "jsonb",
        &[
            "null",
            "1.50",
            "\"a\"",
            "[1,2,{\"a\":null}]",
            "{\"a\": 1, \"b\": [true, \"x\"], \"a\": 2}",
            "[]",
            "{}",
            "{bad",
        ],
    ),
    (
        "integer[]",
        "_int4",
        &["{}", "{1,2,3}", "{NULL,-5}", "{{1,2},{3,4}}", "[2:3]={7,8}", "{1,{2}}"],
    ),
    ("text[]", "_text", &["{}", "{a,b}", "{NULL,\"NULL\",\"x,y\"}", "{{a},{b}}"]),
    ("bigint[]", "_int8", &["{}", "{1,2}", "{NULL}"]),
];

/// Types that columns of tables get.
pub const COLUMN_TYPES: &[&str] = &[
    "int4",
    "int8",
    "text",
    "numeric",
    "bool",
    "date",
    "timestamp",
    "float8",
    "varchar",
    "int2",
    "timestamptz",
    "interval",
    "uuid",
];

/// How SQL writes a type.
pub fn written(type_name: &str) -> &'static str {
    TYPES.iter().find(|known| known.1 == type_name).map_or("text", |known| known.0)
}

/// A value as a literal with its type, most of the time one that ordinary rows hold.
pub fn literal(type_name: &str, random: &mut Random) -> String {
    let Some((written, _, texts)) = TYPES.iter().find(|known| known.1 == type_name) else {
        return "NULL".to_owned();
    };
    if random.random_ratio(1, 25) {
        return format!("NULL::{written}");
    }
    let ordinary = texts.len().min(5);
    let among = if random.random_ratio(2, 3) { ordinary } else { texts.len() };
    let text = texts[random.random_range(0..among)].replace("\\\\", "\\");
    let text = text.replace("''", "'").replace('\'', "''");
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match type_name {
        "int4" if is_number && text.len() < 10 && random.random() => text,
        "text" if random.random_ratio(1, 4) => format!("'{text}'"),
        "numeric" if is_number || text == "-1.5" || text == "3.14159" => format!("{text}::numeric"),
        _ => format!("'{text}'::{written}"),
    }
}
