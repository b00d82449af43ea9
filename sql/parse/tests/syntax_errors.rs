//! Statements that PostgreSQL 15 refuses are refused with its words at its position; `golden/rejected.txt` holds its answers, written by
//! `golden/reject.py`.

use curia_parse::parse;

#[test]
fn syntax_errors_name_the_token_and_position_that_postgresql_names() {
    let mut lines = include_str!("golden/rejected.txt").lines();
    let (mut total, mut wrong) = (0, Vec::new());
    while let Some(line) = lines.next() {
        let Some(sql) = line.strip_prefix("> ") else { continue };
        let theirs = lines.next().unwrap_or("");
        let ours = match parse(sql) {
            Ok(_) => "parses".to_owned(),
            Err(e) => {
                let position = e.fields().position.map_or("-".to_owned(), |p| p.to_string());
                let hint = e.fields().hint.as_ref().map_or(String::new(), |h| format!(" | HINT: {h}"));
                format!("{} at {position}: {}{hint}", e.code().as_str(), e.message())
            }
        };
        total += 1;
        if ours != theirs {
            wrong.push(format!("{sql}\n    want {theirs}\n    have {ours}"));
        }
    }
    assert!(total > 100);
    assert!(wrong.is_empty(), "{} of {total} differ\n{}", wrong.len(), wrong.join("\n"));
}
