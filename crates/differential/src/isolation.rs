//! PostgreSQL's isolation specs, run by its own `isolationtester` against both servers and compared permutation by permutation.
//!
//! A spec names sessions with steps and the orders in which the steps are sent; the tester prints what each step answered, which ones
//! had to wait, and in which order they went on. Whatever an earlier spec left is dropped first, so that each begins with an empty schema.

use crate::Result;
use crate::place::{Place, Start};
use crate::wire::{Address, Connection};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longest run of one spec against one server; what it had printed by then counts.
const SPEC_WITHIN: Duration = Duration::from_secs(180);
/// Seconds that a step may wait before the tester cancels it.
const STEP_SECONDS: &str = "10";
/// How often a run is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What begins a permutation in the tester's output.
const PERMUTATION: &str = "starting permutation: ";
/// Empties the only schema that specs make things in.
const EMPTY: &str = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";

/// What to run.
pub struct Options<'a> {
    /// The folder with the specs, or with a folder `specs` of them.
    pub folder: &'a Path,
    /// Names of specs; all if empty.
    pub only: &'a [String],
    /// PostgreSQL's program.
    pub tester: &'a Path,
    /// Where permutations that differ are written with both answers.
    pub failures: Option<&'a Path>,
}

/// What one permutation printed.
#[derive(Debug, PartialEq, Eq)]
struct Permutation {
    /// Its steps; the head of the output stands before the first one and has none.
    steps: String,
    lines: Vec<String>,
}

/// Runs the specs; the table goes to standard output as it grows. Whether nothing differed.
pub fn run(options: &Options<'_>, against: &[(String, String); 2], start: &Start) -> Result<bool> {
    let mut failures = options
        .failures
        .map(|path| std::fs::File::create(path).map_err(|error| format!("{}: {error}", path.display())))
        .transpose()?;
    let specs = specs(options)?;
    let places = [
        Place::open(&against[0].0, &against[0].1, start)?,
        Place::open(&against[1].0, &against[1].1, start)?,
    ];
    let (mut same_specs, mut all, mut all_same) = (0, 0, 0);
    println!("{:<28} {:>12} {:>5}", "spec", "permutations", "same");
    for path in &specs {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut outputs = Vec::new();
        for place in &places {
            let address = place.address();
            empty(&address)?;
            outputs.push(permutations(&test(options.tester, &address, &text)?));
        }
        let [expected, actual] = &outputs[..] else { continue };
        // What stands before the first permutation is one only where something went wrong.
        let count = expected.iter().filter(|p| !p.steps.is_empty()).count();
        let mut differing = Vec::new();
        for (at, one) in expected.iter().enumerate() {
            let other = actual.get(at).filter(|other| other.steps == one.steps);
            if other != Some(one) {
                differing.push((one, other));
            }
        }
        let same = count.saturating_sub(differing.len());
        println!("{name:<28} {count:>12} {same:>5}");
        for (one, other) in &differing {
            println!("    {}: {}", one.steps, first_difference(one, *other));
            if let Some(out) = &mut failures {
                writeln!(out, "==== {name}: {}", one.steps)?;
                writeln!(out, "---- PostgreSQL\n{}", one.lines.join("\n"))?;
                let other = other.map_or_else(|| "(nothing)".to_owned(), |other| other.lines.join("\n"));
                writeln!(out, "---- Curia\n{other}\n")?;
            }
        }
        same_specs += usize::from(differing.is_empty() && actual.len() == expected.len());
        all += count;
        all_same += same;
    }
    println!("{:<28} {all:>12} {all_same:>5}", "all");
    println!("{same_specs} of {} specs are the same", specs.len());
    Ok(same_specs == specs.len())
}

fn specs(options: &Options<'_>) -> Result<Vec<PathBuf>> {
    let inner = options.folder.join("specs");
    let folder = if inner.is_dir() { &inner } else { options.folder };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "spec") {
            found.push(path);
        }
    }
    found.sort();
    let named = |path: &Path, name: &str| path.file_stem().is_some_and(|stem| stem == name);
    if let Some(unknown) = options.only.iter().find(|name| !found.iter().any(|path| named(path, name))) {
        return Err(format!("there is no spec {unknown}.spec in {}", folder.display()).into());
    }
    found.retain(|path| options.only.is_empty() || options.only.iter().any(|name| named(path, name)));
    Ok(found)
}

fn empty(address: &Address) -> Result<()> {
    let answer = Connection::open(address)?.query(EMPTY, &mut Vec::new);
    match (answer.error(), &answer.lost) {
        (Some(error), _) => Err(format!("{EMPTY}: {} ({})", error.message(), error.code()).into()),
        (None, Some(lost)) => Err(format!("{EMPTY}: {lost}").into()),
        (None, None) => Ok(()),
    }
}

/// Runs the tester and gives all that it printed.
fn test(tester: &Path, address: &Address, spec: &[u8]) -> Result<String> {
    let (host, port) = address.at.rsplit_once(':').ok_or("an address without a port")?;
    let place = format!("host={host} port={port} user={} dbname={}", address.user, address.database);
    let mut child = Command::new(tester)
        .arg(place)
        .env("PGISOLATIONTIMEOUT", STEP_SECONDS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", tester.display()))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    if let Some(mut stdin) = stdin {
        stdin.write_all(spec)?;
    }
    let read = |from: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            from.map_or(Ok(0), |mut from| from.read_to_end(&mut bytes)).map(|_| bytes)
        })
    };
    let out = read(stdout.map(|s| Box::new(s) as Box<dyn Read + Send>));
    let err = read(stderr.map(|s| Box::new(s) as Box<dyn Read + Send>));
    let began = Instant::now();
    let mut late = "";
    while child.try_wait()?.is_none() {
        if began.elapsed() > SPEC_WITHIN {
            child.kill()?;
            child.wait()?;
            late = "\n(the spec took too long)";
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let text = |thread: std::thread::JoinHandle<std::io::Result<Vec<u8>>>| -> Result<String> {
        let bytes = thread.join().map_err(|_| "reading the tester's output panicked")??;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(format!("{}{}{late}", text(out)?, text(err)?))
}

/// The output cut at the permutations. What stands before the first is one without steps if it is more than the tester's greeting.
fn permutations(output: &str) -> Vec<Permutation> {
    let mut found: Vec<Permutation> = Vec::new();
    for line in output.lines().filter(|line| !line.starts_with("Parsed test spec with ")) {
        if let Some(steps) = line.strip_prefix(PERMUTATION) {
            found.push(Permutation {
                steps: steps.to_owned(),
                lines: Vec::new(),
            });
        } else if let Some(last) = found.last_mut() {
            last.lines.push(line.to_owned());
        } else if !line.is_empty() {
            found.push(Permutation {
                steps: String::new(),
                lines: vec![line.to_owned()],
            });
        }
    }
    found
}

/// The first line that is not the same, as both have it.
fn first_difference(expected: &Permutation, actual: Option<&Permutation>) -> String {
    let Some(actual) = actual else {
        return "was not run".to_owned();
    };
    let at = (0..).find(|&at| expected.lines.get(at) != actual.lines.get(at)).unwrap_or(0);
    let shown = |lines: &[String]| lines.get(at).map_or_else(|| "(the end)".to_owned(), Clone::clone);
    format!("{:?}, on Curia {:?}", shown(&expected.lines), shown(&actual.lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_is_cut_at_the_permutations_and_the_greeting_is_left_out() {
        let cut = permutations(
            "Parsed test spec with 2 sessions\n\nstarting permutation: a b\nstep a: X;\n\nstarting permutation: b a\nstep b: Y;\n",
        );
        assert_eq!(cut.iter().map(|p| p.steps.as_str()).collect::<Vec<_>>(), ["a b", "b a"]);
        assert_eq!(cut[0].lines, ["step a: X;", ""]);
        let refused = permutations("setup failed: ERROR:  no\n");
        assert_eq!(refused[0].steps, "", "{refused:?}");
    }

    #[test]
    fn the_first_line_that_differs_is_shown_of_both() {
        let of = |text: &str| permutations(&format!("{PERMUTATION}a\n{text}")).remove(0);
        assert_eq!(first_difference(&of("1\n2"), Some(&of("1\n3"))), "\"2\", on Curia \"3\"");
        assert_eq!(first_difference(&of("1\n2"), Some(&of("1"))), "\"2\", on Curia \"(the end)\"");
        assert_eq!(first_difference(&of("1"), None), "was not run");
    }
}
