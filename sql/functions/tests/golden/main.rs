//! Every answer in `testdata/functions/*.golden` was given by PostgreSQL 15; ours has to be the same, value or error.
//!
//! A `.cases` file lists calls; the `.golden` beside it has one line per call with PostgreSQL's answer. To ask again (after adding cases):
//! `CURIA_GOLDEN="host=127.0.0.1 port=5432 user=postgres" cargo test -p curia-functions --test golden`, then run it once more without.
//!
//! ```text
//! # comment
//! @ints = 0 | 1 | -1                    a named list of values
//! set datestyle = German                a setting of the session, from here on
//! in numeric(5,2) : 1.005 | x           text input and output of a type
//! int4pl(int4,int4) : @ints ; @ints     a function over all combinations of its arguments
//! agg sum(int4) : {1,2,NULL} | {}       an aggregate over the elements of an array
//! ```
//! `NULL` is NULL, `''` the empty string; `\n`, `\t`, `\|`, `\;` and `\\` escape.

mod ask;
mod cases;
mod evaluate;

use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/functions")
}

/// Answers that differ, each with its reason, one `file: call` a line.
fn known_differences() -> Vec<String> {
    let text = fs::read_to_string(folder().join("differs.txt")).expect("differs.txt");
    text.lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn check(name: &str) {
    if let Ok(server) = std::env::var("CURIA_GOLDEN") {
        let cases = fs::read_to_string(folder().join(format!("{name}.cases"))).expect("cases");
        let golden = ask::answers(&server, &cases::expand(&cases));
        fs::write(folder().join(format!("{name}.golden")), golden).expect("golden file is writable");
    }
    let golden = fs::read_to_string(folder().join(format!("{name}.golden"))).expect("golden");
    let known = known_differences();
    let mut evaluator = evaluate::Evaluator::default();
    let (mut total, mut wrong, mut unexpectedly_right) = (0, Vec::new(), Vec::new());
    for line in golden.lines() {
        let Some((call, expected)) = line.split_once("\t=>\t") else {
            evaluator.set(line);
            continue;
        };
        total += 1;
        let ours = evaluator.answer(call);
        let listed = known.iter().any(|k| k.strip_prefix(&format!("{name}: ")) == Some(call));
        match (ours == expected, listed) {
            (true, true) => unexpectedly_right.push(call.to_owned()),
            (false, false) => wrong.push(format!("{call}\n    PostgreSQL {expected}\n    ours       {ours}")),
            _ => {}
        }
    }
    assert!(total > 0, "{name}.golden is empty");
    assert!(
        unexpectedly_right.is_empty(),
        "no longer different, remove from differs.txt: {unexpectedly_right:#?}"
    );
    assert!(
        wrong.is_empty(),
        "{} of {total} answers differ in {name}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

macro_rules! golden {
    ($($test:ident = $name:literal;)*) => { $(#[test] fn $test() { check($name); })* };
}

golden! {
    values_are_read_and_printed_as_postgresql_does = "text_io";
    dates_are_read_and_printed_as_postgresql_does = "datetime_io";
    integers_compute_as_in_postgresql = "integers";
    floats_compute_as_in_postgresql = "floats";
    numerics_compute_as_in_postgresql = "numeric";
    dates_compute_as_in_postgresql = "datetime";
    text_functions_answer_as_in_postgresql = "text";
    patterns_match_as_in_postgresql = "patterns";
    arrays_behave_as_in_postgresql = "arrays";
    aggregates_answer_as_in_postgresql = "aggregates";
    comparisons_answer_as_in_postgresql = "comparison";
    templates_print_and_read_as_in_postgresql = "to_char";
    json_is_looked_into_as_in_postgresql = "json";
    jsonb_answers_as_in_postgresql = "jsonb";
}
