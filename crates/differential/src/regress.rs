//! PostgreSQL's regression tests, scored by statement.
//!
//! Each file is played in a state of its own that `test_setup` left, in the order of PostgreSQL's schedule. A statement counts as the
//! same if both servers return the same rows, or refuse it with the same SQLSTATE. A plan that EXPLAIN shows is a server's own: such
//! statements stand in a column of their own.

use crate::causes::Causes;
use crate::compare::{Difference, Level, difference};
use crate::place::{Place, Start};
use crate::player::{Played, environment, play};
use crate::script::Variables;
use crate::{Result, report};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// The file that the others build on.
const SETUP: &str = "test_setup";
/// The order of PostgreSQL 15's `parallel_schedule`, for those that are there; others follow by name.
const SCHEDULE: &str = "boolean char name varchar text int2 int4 int8 oid float4 float8 bit numeric txid uuid enum money rangetypes \
    strings md5 numerology date time timetz timestamp timestamptz interval inet multirangetypes horology regex comments expressions \
    copy copyselect copydml insert insert_conflict create_misc create_operator create_procedure create_table create_type \
    create_schema create_index create_view index_including create_aggregate create_function_sql create_cast constraints triggers \
    select inherit typed_table vacuum drop_if_exists updatable_views roleattributes errors select_into select_distinct \
    select_distinct_on select_implicit select_having subselect union case join aggregates transactions random portals arrays \
    btree_index hash_index update delete namespace prepared_xacts privileges collate matview lock replica_identity rowsecurity \
    object_address tablesample groupingsets drop_operator password identity generated join_hash create_table_like alter_generic \
    misc async dbsize merge misc_functions sysviews rules psql combocid foreign_key cluster dependency guc window xmlmap \
    functional_deps advisory_lock equivclass json jsonb json_encoding jsonpath plancache limit plpgsql copy2 temp domain rangefuncs \
    prepare conversion truncate alter_table sequence polymorphism rowtypes returning largeobject with xml";

/// What to score and where to write.
pub struct Options<'a> {
    /// The folder with `sql` and `data`.
    pub folder: &'a Path,
    /// Names of files; all if empty.
    pub only: &'a [String],
    /// How much has to agree.
    pub level: Level,
    /// Where differing statements are written.
    pub failures: Option<&'a Path>,
    /// Where causes are written.
    pub causes: Option<&'a Path>,
}

/// What came of a file.
#[derive(Default)]
struct Score {
    statements: usize,
    same: usize,
    order: usize,
    plans: usize,
    lost: usize,
    internal: usize,
}

impl Score {
    fn add(&mut self, other: &Score) {
        self.statements += other.statements;
        self.same += other.same;
        self.order += other.order;
        self.plans += other.plans;
        self.lost += other.lost;
        self.internal += other.internal;
    }

    fn line(&self, name: &str) -> String {
        let percent = |of: usize| {
            #[allow(clippy::cast_precision_loss)] // a percentage for people
            let percent = 100.0 * self.same as f64 / of.max(1) as f64;
            percent
        };
        format!(
            "{name:<20} {:>6} {:>6} {:>7.1} {:>9.1} {:>6} {:>6} {:>6} {:>6}",
            self.statements,
            self.same,
            percent(self.statements),
            percent(self.statements - self.plans),
            self.order,
            self.plans,
            self.lost,
            self.internal
        )
    }
}

/// Scores; the table goes to standard output as it grows.
pub fn run(options: &Options<'_>, against: &[(String, String); 2], start: &Start) -> Result<()> {
    let start = &Start {
        parameters: [
            ("datestyle", "Postgres, MDY"),
            ("timezone", "PST8PDT"),
            ("options", "-c intervalstyle=postgres_verbose"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        ..start.clone()
    };
    let mut failures = create(options.failures)?;
    let mut causes = Causes::default();
    let results = tempfile::tempdir()?;
    let variables = environment_of(options.folder, results.path())?;
    let mut templates = [
        Place::open(&against[0].0, &against[0].1, start)?,
        Place::open(&against[1].0, &against[1].1, start)?,
    ];
    println!(
        "{:<20} {:>6} {:>6} {:>7} {:>9} {:>6} {:>6} {:>6} {:>6}",
        "file", "all", "same", "%", "% no plan", "order", "plan", "lost", "XX"
    );
    let mut total = Score::default();
    let mut file = |name: &str, places: [&mut Place; 2]| -> Result<()> {
        let path = options.folder.join("sql").join(format!("{name}.sql"));
        let text = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let text = String::from_utf8_lossy(&text);
        let mut score = Score::default();
        let mut written = Ok(());
        causes.begin_file();
        let mut see = |played: Played| {
            let found = count(&played, options.level, &mut score);
            if let Some(found) = found {
                causes.add(name, &played, &found);
                if let Some(failures) = &mut failures
                    && written.is_ok()
                {
                    written = report::write(failures, name, &played, &found);
                }
            }
        };
        play(&text, places, &variables, true, &mut see)?;
        written?;
        println!("{}", score.line(name));
        total.add(&score);
        if name == SETUP {
            causes.end_setup();
        }
        Ok(())
    };
    let [expected, actual] = &mut templates;
    file(SETUP, [&mut *expected, &mut *actual])?;
    expected.freeze()?;
    actual.freeze()?;
    for name in names(options)? {
        file(&name, [&mut expected.copy(start)?, &mut actual.copy(start)?])?;
    }
    println!("{}", total.line("all"));
    if let Some(mut out) = create(options.causes)? {
        causes.write(&mut out)?;
        out.flush()?;
    }
    if let Some(failures) = &mut failures {
        failures.flush()?;
    }
    Ok(())
}

fn count(played: &Played, level: Level, score: &mut Score) -> Option<Difference> {
    score.statements += 1;
    if played.actual.error().is_some_and(|error| error.code().starts_with("XX")) {
        score.internal += 1;
    }
    let found = difference(&played.sql, &played.expected, &played.actual, level);
    match &found {
        None => score.same += 1,
        Some(Difference::Order) => score.order += 1,
        Some(Difference::Plan) => score.plans += 1,
        Some(Difference::Lost) => score.lost += 1,
        Some(_) => {}
    }
    found
}

fn names(options: &Options<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(options.folder.join("sql"))? {
        let path = entry?.path();
        if let (Some(name), Some("sql")) = (path.file_stem(), path.extension().and_then(|ending| ending.to_str())) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    if let Some(unknown) = options.only.iter().find(|name| !names.contains(name)) {
        return Err(format!("there is no file {unknown}.sql").into());
    }
    let schedule: Vec<_> = SCHEDULE.split_whitespace().collect();
    names.retain(|name| name != SETUP && (options.only.is_empty() || options.only.contains(name)));
    names.sort_by_key(|name| {
        (
            schedule.iter().position(|other| other == name).unwrap_or(schedule.len()),
            name.clone(),
        )
    });
    Ok(names)
}

/// What `pg_regress` puts into psql's environment.
fn environment_of(folder: &Path, results: &Path) -> Result<Variables> {
    std::fs::create_dir(results.join("results"))?;
    let folder = folder.canonicalize()?;
    let values = [
        ("PG_ABS_SRCDIR", folder.display().to_string()),
        ("PG_ABS_BUILDDIR", results.display().to_string()),
        ("PG_LIBDIR", "$libdir".to_owned()),
        ("PG_DLSUFFIX", ".so".to_owned()),
    ];
    Ok(values.map(|(name, value)| (environment(name), value)).into_iter().collect())
}

fn create(path: Option<&Path>) -> Result<Option<BufWriter<File>>> {
    let create = |path: &Path| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
    Ok(path.map(create).transpose()?.map(BufWriter::new))
}
