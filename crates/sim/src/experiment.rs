//! What the programs of this crate have in common: an experiment with a seed, and how it ends.

use std::process::ExitCode;

/// Runs an experiment on a runtime of its own. When it fails, says why, with which seed, and what else there is to say.
pub fn conduct(seed: u64, more: &str, experiment: impl Future<Output = Result<(), String>>) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(experiment));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("FAILED with seed {seed}: {reason}{more}");
            ExitCode::FAILURE
        }
    }
}
