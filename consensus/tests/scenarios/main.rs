//! Protocol stories: every file in `testdata/consensus` is one, with the trace that it must give.
//!
//! `testdata/consensus/README.md` says how to read and to write one. Each file is a test of its own, named after it;
//! arguments choose those whose names contain them. `UPDATE_SCENARIOS=1` writes the traces that were
//! found into the files, to be read before they are believed.
//!
//! The `datadriven` crate has much the same format, but forgets the order of arguments and takes one command a block; a
//! parser of the size of its adapter does neither.

#[path = "../harness/mod.rs"]
mod harness;

mod commands;
mod pick;
mod requests;
mod script;
mod trace;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use script::Script;
use world::World;

const UPDATE: &str = "UPDATE_SCENARIOS=1 cargo test -p curia-consensus --test scenarios";

/// What the arguments of a test binary ask for; other options of such binaries are passed over.
#[derive(Default)]
struct Asked {
    /// Names, or parts of names.
    names: Vec<String>,
    exact: bool,
    list: bool,
    ignored: bool,
}

impl Asked {
    fn of(arguments: impl Iterator<Item = String>) -> Self {
        let (mut asked, mut value) = (Self::default(), false);
        for argument in arguments {
            match argument.as_str() {
                _ if std::mem::take(&mut value) => {}
                "--exact" => asked.exact = true,
                "--list" => asked.list = true,
                "--ignored" => asked.ignored = true,
                "--format" | "--test-threads" | "--skip" | "--color" | "--logfile" | "-Z" => value = true,
                option if option.starts_with('-') => {}
                _ => asked.names.push(argument),
            }
        }
        asked
    }

    fn wants(&self, story: &str) -> bool {
        let fits = |name: &String| if self.exact { story == name } else { story.contains(name.as_str()) };
        !self.ignored && (self.names.is_empty() || self.names.iter().any(fits))
    }
}

fn main() -> ExitCode {
    let asked = Asked::of(std::env::args().skip(1));
    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/consensus");
    let stories: BTreeMap<String, PathBuf> = find(&root)
        .into_iter()
        .map(|path| (name(&root, &path), path))
        .filter(|(name, _)| asked.wants(name))
        .collect();
    if asked.list {
        stories.keys().for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let mut failed = Vec::new();
    for (name, path) in &stories {
        match tell(path, update) {
            Ok(()) => println!("test {name} ... ok"),
            Err(why) => {
                println!("test {name} ... FAILED\n{why}");
                failed.push(name.as_str());
            }
        }
    }
    println!("\n{} stories, {} failed", stories.len(), failed.len());
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!(
        "failed: {}\nwhere the new traces are right: {UPDATE} -- {}",
        failed.join(", "),
        failed.join(" ")
    );
    ExitCode::FAILURE
}

fn find(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of the stories can be read");
    let paths = entries.map(|entry| entry.expect("the folder of the stories can be read").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => find(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect()
}

fn name(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).expect("found there").with_extension("");
    relative.to_string_lossy().into_owned()
}

/// Runs a story and compares, or rewrites, its trace.
fn tell(path: &Path, update: bool) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut script = Script::parse(&text)?;
    let mut world = World::default();
    for block in &mut script.blocks {
        block.found = catch_unwind(AssertUnwindSafe(|| {
            for command in &block.commands {
                if let Err(why) = world.run(command) {
                    world.say(format!("error: {why}"));
                }
            }
            world.take_trace()
        }))
        .map_err(|panic| {
            let why = panic.downcast_ref::<String>().cloned();
            let why = why.or_else(|| panic.downcast_ref::<&str>().map(|why| (*why).to_owned()));
            let trace = world.take_trace();
            let why = why.unwrap_or_default();
            format!("line {}: it panicked: {why}\nafter this trace:\n{trace}", block.line)
        })?;
    }
    let found = script.to_string();
    if found == text {
        return Ok(());
    }
    if update {
        return std::fs::write(path, found).map_err(|error| error.to_string());
    }
    Err(difference(&text, &found))
}

/// The lines that differ, with a little of what is around them.
fn difference(expected: &str, found: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    // Longest common subsequence: stories are short.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            common[i][j] = if a == b {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', i, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(('-', i, old[i]));
            i += 1;
        } else {
            lines.push(('+', i, new[j]));
            j += 1;
        }
    }
    let near = |at: usize| {
        lines[at.saturating_sub(3)..(at + 4).min(lines.len())]
            .iter()
            .any(|(mark, ..)| *mark != ' ')
    };
    let shown = (0..lines.len()).filter(|at| near(*at)).map(|at| {
        let (mark, line, text) = lines[at];
        format!("{:>5} {mark} {text}\n", line + 1)
    });
    shown.collect()
}
