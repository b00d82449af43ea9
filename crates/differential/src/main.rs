//! Plays SQL to Curia and to PostgreSQL 15 and compares the answers.
//!
//! ```text
//! curia-differential --against postgres postgresql://postgres@127.0.0.1:5432/postgres --against program target/debug/curia \
//!     play FILE.sql...           each file, in fresh databases; all of the answers compared (--level rows: rows or SQLSTATE)
//!     regress DIR [NAME...]      PostgreSQL's regression tests (a folder with sql and data): a table by file
//!     isolation DIR [NAME...] --tester PATH
//!                                PostgreSQL's isolation specs, by its isolationtester: a table by spec and permutation
//!     random [--seed N] [--statements N] [--form scripts]
//!                                a random stream of statements: expressions of functions and operators that both have, or
//!                                transactions of definitions, changes and savepoints
//! ```
//!
//! The role `curia` is made on PostgreSQL if there is none, a superuser as on Curia; databases that are made are dropped again.
//!
//! | module | what |
//! | --- | --- |
//! | [`wire`] | a connection that shows everything a server answers |
//! | [`place`] | servers, and the databases that scripts are played in |
//! | [`script`] | files as psql reads them |
//! | [`player`] | a script on both servers |
//! | [`compare`] | what makes two answers the same |
//! | [`causes`], [`report`] | what differs, by why and one by one |
//! | [`regress`] | the regression tests |
//! | [`isolation`] | the isolation specs |
//! | [`random`] | random statements |

mod causes;
mod compare;
mod isolation;
mod place;
mod player;
mod random;
mod regress;
mod report;
mod script;
mod wire;

use causes::Causes;
use clap::{Parser, Subcommand};
use compare::{Level, difference};
use place::{Place, Start};
use player::{Played, play};
use script::Variables;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Whatever goes wrong besides differences ends the run; the text says what.
type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Play SQL to Curia and to PostgreSQL and compare the answers.
#[derive(Debug, Parser)]
struct Options {
    /// `postgres URI` and `program PATH` of a curia program to start, or `curia URI`; the URIs as postgresql://USER@HOST:PORT/DATABASE.
    #[arg(long, required = true, num_args = 2, value_names = ["KIND", "PLACE"])]
    against: Vec<String>,
    /// Longest time for one statement; then it is cancelled.
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    statement_seconds: u64,
    /// Writes each statement, or permutation, that differs with both answers.
    #[arg(long, value_name = "FILE")]
    failures: Option<PathBuf>,
    /// Writes what differs grouped by cause, the most expensive first.
    #[arg(long, value_name = "FILE")]
    causes: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Files of SQL, each in fresh databases. Exit code 1 if something differs.
    Play {
        /// How much has to agree.
        #[arg(long, default_value = "exact")]
        level: Level,
        /// Files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// A random stream of expressions, queries, changes and definitions. Exit code 1 if something differs.
    Random {
        /// Draws the same statements from the same catalogs.
        #[arg(long, default_value = "1")]
        seed: u64,
        /// How many.
        #[arg(long, default_value = "1000")]
        statements: u64,
        /// What is drawn.
        #[arg(long, default_value = "expressions")]
        form: random::Form,
        /// How much has to agree.
        #[arg(long, default_value = "exact")]
        level: Level,
    },
    /// Score PostgreSQL's regression tests by statement.
    Regress {
        /// How much has to agree.
        #[arg(long, default_value = "rows")]
        level: Level,
        /// The folder with `sql` and `data`.
        folder: PathBuf,
        /// Only these files, by their names without `.sql`.
        names: Vec<String>,
    },
    /// Run PostgreSQL's isolation specs against both. Exit code 1 if a permutation differs.
    Isolation {
        /// The folder with the specs.
        folder: PathBuf,
        /// Only these specs, by their names without `.spec`.
        names: Vec<String>,
        /// PostgreSQL's `isolationtester`.
        #[arg(long, value_name = "PATH")]
        tester: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is well.
fn run(options: &Options) -> Result<bool> {
    let mut against: Vec<_> = options.against.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    against.sort_by_key(|(kind, _)| kind != "postgres");
    let against: [_; 2] = against.try_into().map_err(|_| "two servers are compared: give --against twice")?;
    if against[0].0 != "postgres" || against[1].0 == "postgres" {
        return Err("one of the servers has to be PostgreSQL".into());
    }
    let start = Start {
        parameters: Vec::new(),
        limit: Duration::from_secs(options.statement_seconds),
    };
    match &options.what {
        What::Play { level, files } => {
            let mut statements = 0;
            let mut differences = 0;
            for file in files {
                let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
                let name = file.display().to_string();
                let mut expected = Place::open(&against[0].0, &against[0].1, &start)?;
                let mut actual = Place::open(&against[1].0, &against[1].1, &start)?;
                let mut written = Ok(());
                let mut see = |played: Played| {
                    statements += 1;
                    if let Some(found) = difference(&played.sql, &played.expected, &played.actual, *level) {
                        differences += 1;
                        if written.is_ok() {
                            written = report::write(&mut std::io::stdout(), &name, &played, &found);
                        }
                    }
                };
                play(&text, [&mut expected, &mut actual], &Variables::new(), false, &mut see)?;
                written?;
            }
            println!("{statements} statements, {differences} differ");
            Ok(differences == 0)
        }
        What::Random {
            seed,
            statements,
            form,
            level,
        } => {
            let mut expected = Place::open(&against[0].0, &against[0].1, &start)?;
            let mut actual = Place::open(&against[1].0, &against[1].1, &start)?;
            let mut causes = Causes::default();
            let differ = random::run(*form, *seed, *statements, *level, [&mut expected, &mut actual], &mut causes)?;
            match &options.causes {
                Some(path) => causes.write(&mut std::fs::File::create(path)?)?,
                None => causes.write(&mut std::io::stdout())?,
            }
            println!("{statements} statements, {differ} differ");
            Ok(differ == 0)
        }
        What::Regress { level, folder, names } => {
            let options = regress::Options {
                folder,
                only: names,
                level: *level,
                failures: options.failures.as_deref(),
                causes: options.causes.as_deref(),
            };
            regress::run(&options, &against, &start)?;
            Ok(true)
        }
        What::Isolation { folder, names, tester } => {
            let options = isolation::Options {
                folder,
                only: names,
                tester,
                failures: options.failures.as_deref(),
            };
            isolation::run(&options, &against, &start)
        }
    }
}
