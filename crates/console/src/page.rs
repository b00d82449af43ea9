//! The status page: what a person wants to know first, with no script and no style sheet to fetch.

use crate::health::Stage;
use crate::http::ServerFacts;
use crate::process::ProcessUse;
use std::fmt::Write;
use std::time::Duration;

/// Renders the page.
pub fn render(facts: &ServerFacts, stage: Stage, uptime: Duration, used: &ProcessUse) -> String {
    let mut rows = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(rows, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value));
    };
    row("state", stage.name());
    row("version", &facts.version);
    row("up for", &whole_seconds(uptime));
    if let Some(bytes) = used.resident_bytes {
        row("resident memory", &format!("{} MiB", bytes >> 20));
    }
    for (name, value) in &facts.rows {
        row(name, value);
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Curia</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:42rem;padding:0 1rem}}\
         th{{text-align:left;font-weight:normal;color:#666;padding-right:2rem;vertical-align:top}}\
         td{{font-family:ui-monospace,monospace}}</style></head>\n\
         <body><h1>Curia</h1>\n<table>\n{rows}</table>\n\
         <p><a href=\"/metrics\">metrics</a> &middot; <a href=\"/healthz\">health</a></p></body></html>\n"
    )
}

/// `1d 2h 3m 4s`, without the leading parts that are zero.
fn whole_seconds(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, m) => format!("{m}m {}s", seconds % 60),
        (0, h, m) => format!("{h}h {m}m {}s", seconds % 60),
        (d, h, m) => format!("{d}d {h}h {m}m {}s", seconds % 60),
    }
}

/// Makes text safe inside an element.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_escapes_what_it_shows() {
        let facts = ServerFacts {
            version: "1".into(),
            rows: vec![("data".into(), "/tmp/<b>&".into())],
        };
        let page = render(&facts, Stage::Ready, Duration::from_secs(3700), &ProcessUse::default());
        assert!(page.contains("/tmp/&lt;b&gt;&amp;"), "{page}");
        assert!(page.contains("1h 1m 40s"), "{page}");
        assert!(page.contains("<td>ready</td>"), "{page}");
    }
}
