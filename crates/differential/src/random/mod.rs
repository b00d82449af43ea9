//! A random stream of statements, played to both servers.
//!
//! The same seed against the same catalogs draws the same statements. What differs is made smaller where that is cheap: an operand of
//! the expression that differs by itself takes its place.

mod expression;
mod registry;
mod statement;
mod values;

use crate::causes::{Causes, IN_FAILED_TRANSACTION};
use crate::compare::{Difference, Level, difference};
use crate::place::Place;
use crate::player::{Played, Side};
use crate::script::{Variables, outer_words};
use crate::{Result, report};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use registry::Registry;
use statement::{Statement, Statements};
use std::collections::BTreeMap;

/// Where everything random comes from.
pub type Random = ChaCha12Rng;

/// Differences of one cause that are shown.
const SHOWN: usize = 3;

/// Clears what statements made, where it may differ.
const CLEAR: &str = "ROLLBACK; DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public";

/// Plays `count` statements; gives how many differ.
pub fn run(seed: u64, count: u64, level: Level, [expected, actual]: [&mut Place; 2], causes: &mut Causes) -> Result<u64> {
    let [mut expected, mut actual] = [Side::new(expected, Variables::new()), Side::new(actual, Variables::new())];
    let registry = Registry::read(&mut expected, &mut actual)?;
    println!("seed {seed}: {} functions, operators, casts and aggregates", registry.count());
    let mut sides = Sides { expected, actual, level };
    let mut random = Random::seed_from_u64(seed);
    let mut statements = Statements::new(&registry);
    let mut differ = 0;
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    for number in 1..=count {
        let statement = statements.draw(&mut random);
        let (mut played, found) = sides.play(&statement.sql())?;
        let Some(mut found) = found else { continue };
        let is_change = statement.expressions.is_empty();
        if sides.failed_by_planning(&played)? {
            if is_change || statements.in_transaction() {
                sides.play(CLEAR)?;
                statements = Statements::new(&registry);
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
            statements = Statements::new(&registry);
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
