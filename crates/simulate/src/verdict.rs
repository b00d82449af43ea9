//! A plan's verdict: its report, or the violation that ended it. Violations are panics, the core's own assertions among them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use crate::plan::Plan;
use crate::world::{Report, World};

/// Where the last panic was.
static PLACE: Mutex<String> = Mutex::new(String::new());

/// What was violated, and where that was noticed.
#[derive(Clone, Debug)]
pub struct Violation {
    /// In words; what comes before the first colon names the rule.
    pub words: String,
    /// File and line of the check.
    pub place: String,
}

impl Violation {
    /// The check that noticed it: the rule's name, or that of the core's file whose assertion failed.
    pub fn check(&self) -> String {
        match self.place.rsplit_once("consensus/src/") {
            Some((_, place)) => format!("the core's assertion at {}", place.split(':').next().unwrap_or_default()),
            None => {
                let words = self.words.trim_start_matches("assertion `left == right` failed: ");
                words.split([':', '\n']).next().unwrap_or_default().chars().take(60).collect()
            }
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.words, self.place)
    }
}

/// Makes panics leave nothing but their place: whoever asks for verdicts reports them by their seeds.
pub fn catch_violations() {
    std::panic::set_hook(Box::new(|info| {
        if let (Ok(mut place), Some(location)) = (PLACE.lock(), info.location()) {
            *place = format!("{}:{}", location.file(), location.line());
        }
    }));
}

/// Runs a plan; tells what happens, if wanted.
///
/// # Errors
/// The violation that ended it.
pub fn verdict(plan: Plan, told: bool) -> Result<Report, Violation> {
    catch_unwind(AssertUnwindSafe(|| World::new(plan, told).run())).map_err(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Violation {
            words: message.unwrap_or_default(),
            place: PLACE.lock().map(|place| place.clone()).unwrap_or_default(),
        }
    })
}
