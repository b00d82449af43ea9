//! One Markdown table: what was measured, what it should be, what it is, and the peer beside it.

use std::fmt::Write;

/// When a row reaches its target.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
    /// Exactly this much.
    Exactly(f64),
    /// The peer's result, or something to compare with; reaches nothing.
    None,
}

impl Target {
    fn reached(self, value: f64) -> Option<bool> {
        match self {
            Target::AtLeast(bound) => Some(value >= bound),
            Target::AtMost(bound) => Some(value <= bound),
            #[expect(clippy::float_cmp, reason = "counts are compared")]
            Target::Exactly(bound) => Some(value == bound),
            Target::None => None,
        }
    }

    fn text(self) -> String {
        match self {
            Target::AtLeast(bound) => format!("≥ {}", number(bound)),
            Target::AtMost(bound) => format!("≤ {}", number(bound)),
            Target::Exactly(bound) => format!("= {}", number(bound)),
            Target::None => String::new(),
        }
    }
}

/// Rows in the order in which they were measured.
#[derive(Debug, Default)]
pub struct Table(String);

impl Table {
    /// Adds a row.
    pub fn row(&mut self, what: &str, target: Target, value: f64, note: &str) {
        let verdict = match target.reached(value) {
            Some(true) => "reached",
            Some(false) => "**missed**",
            None => "",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "| {what} | {} | {} | {verdict} | {note} |", target.text(), number(value));
    }

    /// The table as Markdown.
    pub fn markdown(&self) -> String {
        format!("| what | target | result | | |\n| --- | ---: | ---: | --- | --- |\n{}", self.0)
    }
}

/// The best of several measurements of a cost: neighbours on the machine only ever add to it.
pub fn least(costs: &[f64]) -> f64 {
    costs.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Integers from a hundred on, two places below.
fn number(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_its_target_is_reached() {
        let mut table = Table::default();
        table.row("speed", Target::AtLeast(2.0), 2.5, "");
        table.row("cost", Target::AtMost(2.0), 2.5, "");
        let text = table.markdown();
        assert!(text.contains("| speed | ≥ 2 | 2.50 | reached |"), "{text}");
        assert!(text.contains("| cost | ≤ 2 | 2.50 | **missed** |"), "{text}");
    }
}
