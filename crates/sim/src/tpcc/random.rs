//! What the specification draws (clauses 2.1.6 and 4.3.2).

use super::Size;
use rand::{Rng, RngExt};

const SYLLABLES: [&str; 10] = ["BAR", "OUGHT", "ABLE", "PRI", "PRES", "ESE", "ANTI", "CALLY", "ATION", "EING"];
/// The run-time constant C of all uneven draws.
const UNEVEN: i32 = 123;
/// Customers whose names are all different.
const NAMES: i32 = 1_000;

/// The name of a number below a thousand.
pub fn last_name(number: i32) -> String {
    [number / 100 % 10, number / 10 % 10, number % 10]
        .map(|n| SYLLABLES[n as usize])
        .concat()
}

/// Letters, so many.
pub fn letters(random: &mut impl Rng, least: usize, most: usize) -> String {
    let length = random.random_range(least..=most);
    (0..length).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect()
}

/// Digits, so many.
pub fn digits(random: &mut impl Rng, count: usize) -> String {
    (0..count).map(|_| char::from(random.random_range(b'0'..=b'9'))).collect()
}

/// Some come much more often than others.
fn uneven(random: &mut impl Rng, most: i32, least: i32, greatest: i32) -> i32 {
    let mixed = random.random_range(0..=most) | random.random_range(least..=greatest);
    (mixed + UNEVEN) % (greatest - least + 1) + least
}

impl Size {
    /// A customer's number.
    pub(super) fn customer(self, random: &mut impl Rng) -> i32 {
        uneven(random, 1_023, 1, self.customers)
    }

    /// An item's number.
    pub(super) fn item(self, random: &mut impl Rng) -> i32 {
        uneven(random, 8_191, 1, self.items)
    }

    /// A name that somebody in each district has.
    pub(super) fn name(self, random: &mut impl Rng) -> String {
        last_name(uneven(random, 255, 0, self.customers.min(NAMES) - 1))
    }

    /// The name of a customer at first: each name once, then some more often.
    pub(super) fn name_of(self, random: &mut impl Rng, customer: i32) -> String {
        match customer <= NAMES {
            true => last_name(customer - 1),
            false => self.name(random),
        }
    }
}
