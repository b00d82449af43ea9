//! A random stream of statements, played to both servers.
//!
//! The same seed against the same catalogs draws the same statements. What differs is made smaller where that is cheap: an operand of
//! the expression that differs by itself takes its place.

mod expression;
mod registry;
mod scripts;
mod statement;
mod values;

use crate::causes::{Causes, IN_FAILED_TRANSACTION};
use crate::compare::{Difference, Level, difference};
use crate::place::Place;
use crate::player::{Played, Side};
use crate::script::{Variables, outer_words};
use crate::{Result, report};
use clap::ValueEnum;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use registry::Registry;
use scripts::Scripts;
use statement::{Statement, Statements};
use std::collections::BTreeMap;

/// Where everything random comes from.
pub type Random = ChaCha12Rng;

/// Differences of one cause that are shown.
const SHOWN: usize = 3;

/// Statements of one script, all on what the ones before left.
const SCRIPT: u64 = 200;

/// Clears what statements made, where it may differ.
const CLEAR: &str = "ROLLBACK; DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public";

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Mostly expressions, over what both servers have.
    Expressions,
    /// Transactions of definitions, changes and savepoints.
    Scripts,
}

/// Statements one after the other.
enum Draws<'a> {
    Expressions(&'a Registry, Statements<'a>),
    Scripts(Box<Scripts>),
}

impl<'a> Draws<'a> {
    fn new(form: Form, registry: &'a Registry) -> Draws<'a> {
        match form {
            Form::Expressions => Draws::Expressions(registry, Statements::new(registry)),
            Form::Scripts => Draws::Scripts(Box::default()),
        }
    }

    /// Nothing is there any more.
    fn clear(&mut self) {
        match self {
            Draws::Expressions(registry, statements) => *statements = Statements::new(registry),
            Draws::Scripts(scripts) => **scripts = Scripts::default(),
        }
    }

    fn draw(&mut self, random: &mut Random) -> Statement {
        match self {
            Draws::Expressions(_, statements) => statements.draw(random),
            Draws::Scripts(scripts) => scripts.draw(random),
        }
    }

    fn learn(&mut self, failed: bool) {
        if let Draws::Scripts(scripts) = self {
            scripts.learn(failed);
        }
    }

    fn in_transaction(&self) -> bool {
        match self {
            Draws::Expressions(_, statements) => statements.in_transaction(),
            Draws::Scripts(scripts) => scripts.in_transaction(),
        }
    }
}

/// Plays `count` statements; gives how many differ.
pub fn run(form: Form, seed: u64, count: u64, level: Level, [expected, actual]: [&mut Place; 2], causes: &mut Causes) -> Result<u64> {
    let [mut expected, mut actual] = [Side::new(expected, Variables::new()), Side::new(actual, Variables::new())];
    let registry = Registry::read(&mut expected, &mut actual)?;
    println!("seed {seed}: {} functions, operators, casts and aggregates", registry.count());
    let mut sides = Sides { expected, actual, level };
    let mut random = Random::seed_from_u64(seed);
    let mut statements = Draws::new(form, &registry);
    let mut differ = 0;
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    for number in 1..=count {
        let statement = statements.draw(&mut random);
        let (mut played, found) = sides.play(&statement.sql())?;
        statements.learn(played.expected.error().is_some());
        let Some(mut found) = found else {
            if form == Form::Scripts && number % SCRIPT == 0 {
                sides.play(CLEAR)?;
                statements.clear();
            }
            continue;
        };
        let is_change = statement.expressions.is_empty();
        if sides.failed_by_planning(&played)? {
            if is_change || statements.in_transaction() {
                sides.play(CLEAR)?;
                statements.clear();
            }
            continue;
        }
        differ += 1;
        // What takes a server or a connection away is shown as it is: after it, anything may differ.
        if found != Difference::Lost
            && let Some(smaller) = sides.smaller(&statement)?
        {
            (played, found) = smaller;
        }
        if is_change || statements.in_transaction() {
            sides.play(CLEAR)?;
            statements.clear();
        }
        played.line = usize::try_from(number)?;
        let times = shown.entry(causes.add("random", &played, &found)).or_default();
        *times += 1;
        if *times <= SHOWN {
            report::write(&mut std::io::stdout(), &format!("seed {seed}, statement "), &played, &found)?;
        }
    }
    Ok(differ)
}

struct Sides<'a> {
    expected: Side<'a>,
    actual: Side<'a>,
    level: Level,
}

impl Sides<'_> {
    fn play(&mut self, sql: &str) -> Result<(Played, Option<Difference>)> {
        let expected = self.expected.query(sql, &mut Vec::new);
        let actual = self.actual.query(sql, &mut Vec::new);
        let found = difference(sql, &expected, &actual, self.level);
        let crash = self.actual.crash(&actual)?;
        let played = Played {
            line: 0,
            sql: sql.to_owned(),
            expected,
            actual,
            crash,
        };
        Ok((played, found))
    }

    /// Whether PostgreSQL failed by computing a constant that no row may need, as it does when it plans.
    fn failed_by_planning(&mut self, played: &Played) -> Result<bool> {
        let (Some(error), None, None) = (played.expected.error(), played.actual.error(), &played.actual.lost) else {
            return Ok(false);
        };
        if !outer_words(&played.sql)
            .iter()
            .any(|word| ["from", "update", "insert"].contains(&word.as_str()))
        {
            return Ok(false);
        }
        self.play("ROLLBACK")?;
        let planned = self.expected.query(&format!("EXPLAIN {}", played.sql), &mut Vec::new);
        Ok(planned.error().is_some_and(|other| other.code() == error.code()))
    }

    /// The smallest of a statement's expressions that differs by itself.
    fn smaller(&mut self, statement: &Statement) -> Result<Option<(Played, Difference)>> {
        let mut smallest = None;
        let mut candidates = statement.expressions.clone();
        while let Some(candidate) = candidates.pop() {
            let alone = format!("{}{}{}", statement.head, candidate.sql, statement.tail);
            // What needs no table is shown without one.
            for sql in [format!("SELECT {}", candidate.sql), alone] {
                let (played, found) = self.play(&sql)?;
                let says_nothing = played.actual.error().is_some_and(|error| error.code() == IN_FAILED_TRANSACTION);
                if let Some(found) = found.filter(|_| !says_nothing) {
                    smallest = Some((played, found));
                    candidates.clone_from(&candidate.parts);
                    break;
                }
            }
        }
        Ok(smallest)
    }
}
