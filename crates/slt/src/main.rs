//! Runs sqllogictest files against Curia, against PostgreSQL, or against both.
//!
//! ```text
//! curia-slt --against program target/debug/curia testdata/slt          a server of its own
//! curia-slt --against curia postgresql://curia@localhost/curia DIR     a running server
//! curia-slt --against postgres postgresql://postgres@localhost DIR     calibrates: what passes there is what can pass
//! curia-slt --against postgres URI --against program PATH DIR          both, file by file: what PostgreSQL passes must pass
//! ```
//!
//! The first failures of each file are shown as the records' text with expected and actual lines. The exit code is 0 if all is
//! well, 1 if a record failed (with two servers: that the first one passes), 2 if files or servers could not be used.
//!
//! Records carry conditions by label: `postgresql` holds everywhere, `curia` only on Curia. So `skipif curia` and `onlyif curia`
//! mark what differs on purpose.
//!
//! | module | what |
//! | --- | --- |
//! | [`script`] | files and their records |
//! | [`target`] | servers |
//! | [`session`], [`value`] | a connection, and how values are written |
//! | [`run`] | one file on one server |
//! | [`report`] | what is printed |

mod report;
mod run;
mod script;
mod session;
mod target;
mod value;

use clap::Parser;
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;
use target::Target;

/// Whatever goes wrong besides records ends the run; the text says what.
type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Run sqllogictest files against Curia or PostgreSQL.
#[derive(Debug, Parser)]
struct Options {
    /// Where: `postgres URI`, `curia URI`, or `program PATH` of a curia program to start. At most twice; of two, the first is the
    /// yardstick. In its database, the schema `slt` is dropped and made again for each file.
    #[arg(long, required = true, num_args = 2, value_names = ["KIND", "PLACE"])]
    against: Vec<String>,
    /// Further labels that hold, besides the server's own.
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Of the queries run only each N-th; of the statements all.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Longest time for one file on one server; the rest of it counts as not reached.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Longest time for one record.
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    record_seconds: u64,
    /// Failures of each file that are shown.
    #[arg(long, value_name = "N", default_value = "5")]
    show: usize,
    /// Writes one line for each failure: server, file, line, what.
    #[arg(long, value_name = "FILE")]
    failures: Option<PathBuf>,
    /// Files, or folders of files that end in .slt or .test.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

impl Options {
    fn labels(&self, target: &str) -> Vec<String> {
        let mut labels = self.label.clone();
        labels.push("postgresql".to_owned());
        labels.push(target.to_owned());
        labels
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let run = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run_all(&options)));
    match run {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is well.
async fn run_all(options: &Options) -> Result<bool> {
    let targets = options
        .against
        .chunks(2)
        .map(|pair| Target::open(&pair[0], &pair[1]))
        .collect::<Result<Vec<_>>>()?;
    if targets.len() > 2 {
        return Err("at most two servers can be compared".into());
    }
    let mut files = Vec::new();
    for path in &options.paths {
        files.extend(script::files(path).map_err(|error| format!("{}: {error}", path.display()))?);
    }
    if files.is_empty() {
        return Err("there are no test files".into());
    }
    let mut report = Report::new(options, targets.iter().map(|target| target.name).collect())?;
    for file in files {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{name}: {error}"))?;
        let mut outcomes = Vec::new();
        for target in &targets {
            let records = script::records(&text, &name, &options.labels(target.name))?;
            outcomes.push(run::run(&records, target, &name, options).await?);
        }
        report.file(&name, outcomes)?;
    }
    Ok(report.summary())
}
