//! Asks a PostgreSQL server for the answers, through psql.

use super::cases::{Line, escape};
use std::io::Write;
use std::process::{Command, Stdio};

const TRY: &str = r"
create function pg_temp.try(q text) returns text language plpgsql as $$
declare r text; state text; message text; detail text;
begin
  execute q into r;
  return replace(replace(replace(replace(r, E'\\', E'\\\\'), E'\n', E'\\n'), E'\t', E'\\t'), E'\r', E'\\r');
exception when others then
  get stacked diagnostics state = returned_sqlstate, message = message_text, detail = pg_exception_detail;
  return replace('!' || state || ' ' || message || case when detail <> '' then ' DETAIL ' || detail else '' end, E'\n', E'\\n');
end $$;
";

fn quote(s: &str) -> String {
    format!("'{}'", s.replace('\'', "''"))
}

fn literal(v: &Option<String>, ty: &str) -> String {
    match v {
        None => format!("NULL::{ty}"),
        Some(v) => format!("{}::{ty}", quote(v)),
    }
}

const SHOWN: &str = "case when x is null then 'NULL' else '=' || format('%s', x) end";

fn query(signature: &str, args: &[Option<String>]) -> String {
    if let Some(ty) = signature.strip_prefix("in ") {
        return format!("select {SHOWN} from (select {} as x offset 0) s", literal(&args[0], ty));
    }
    let (name, types) = signature.trim_end_matches(')').split_once('(').expect("name(types)");
    if let Some(name) = name.strip_prefix("agg ") {
        let types: Vec<&str> = types.split(',').filter(|t| !t.is_empty()).collect();
        let element = types.first().copied().unwrap_or("int4");
        let mut call: Vec<String> = if types.is_empty() {
            vec!["*".to_owned()]
        } else {
            vec!["e".to_owned()]
        };
        for (ty, v) in types.iter().zip(args).skip(1) {
            call.push(literal(v, ty));
        }
        let call = call.join(", ");
        return format!(
            "select {SHOWN} from (select pg_catalog.{name}({call}) as x from unnest({}) e) s",
            literal(&args[0], &format!("{element}[]"))
        );
    }
    let types = types.split(',').filter(|t| !t.is_empty());
    let mut list: Vec<String> = types.zip(args).map(|(ty, v)| literal(v, ty)).collect();
    // Given as the array that the function sees.
    if (name.starts_with("json_extract_path") || name.starts_with("jsonb_extract_path"))
        && let Some(last) = list.last_mut()
    {
        last.insert_str(0, "variadic ");
    }
    let set = [
        "generate_series",
        "unnest",
        "generate_subscripts",
        "regexp_matches",
        "regexp_split_to_table",
        "string_to_table",
        "json_object_keys",
        "json_array_elements",
        "json_array_elements_text",
        "jsonb_object_keys",
        "jsonb_array_elements",
        "jsonb_array_elements_text",
    ];
    if set.contains(&name) {
        return format!(
            "select {SHOWN} from (select string_agg(format('%s', e), '/') as x from pg_catalog.{name}({}) e) s",
            list.join(", ")
        );
    }
    format!(
        "select {SHOWN} from (select pg_catalog.{}({}) as x offset 0) s",
        format_args!("\"{name}\""),
        list.join(", ")
    )
}

/// The golden file of these calls.
pub fn answers(server: &str, lines: &[Line]) -> String {
    let mut script = String::from(TRY);
    script.push_str("set timezone = 'UTC'; set datestyle = 'ISO, MDY'; set extra_float_digits = 1;\n");
    for line in lines {
        match line {
            Line::Set(name, v) => script.push_str(&format!("set {name} = {};\n", quote(v))),
            Line::Call(signature, args) => script.push_str(&format!("select pg_temp.try({});\n", quote(&query(signature, args)))),
        }
    }
    let mut child = Command::new("psql")
        .args([server, "-XAtq", "-v", "ON_ERROR_STOP=1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql is installed");
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = child.wait_with_output().expect("psql runs");
    writer.join().expect("writer").expect("psql reads its script");
    assert!(output.status.success(), "psql failed");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut results = text.lines();
    let mut golden = String::new();
    for line in lines {
        match line {
            Line::Set(name, v) => golden.push_str(&format!("set\t{name}\t{v}\n")),
            Line::Call(signature, args) => {
                let args = args
                    .iter()
                    .map(|a| a.as_ref().map_or("NULL".to_owned(), |a| format!("'{}'", escape(a))));
                let call: Vec<String> = std::iter::once(signature.clone()).chain(args).collect();
                golden.push_str(&format!(
                    "{}\t=>\t{}\n",
                    call.join("\t"),
                    results.next().expect("one result a call")
                ));
            }
        }
    }
    golden
}
