//! Gauges about the process itself, read from `/proc` whenever somebody asks for metrics.
//!
//! Names follow the Prometheus client convention (`process_*`), so that ready-made dashboards find them.

use std::fs;
use std::time::Instant;

/// What `/proc/self` says about memory, files and threads. `None` where the system has no such file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ProcessUse {
    /// Resident set, bytes.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_files: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

/// Reads the present use.
pub fn read() -> ProcessUse {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ProcessUse {
        resident_bytes: status_field(&status, "VmRSS:").map(|kib| kib * 1024),
        open_files: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64),
        threads: status_field(&status, "Threads:"),
    }
}

/// Records the present use as gauges.
pub fn record(started: Instant) {
    let now = read();
    metrics::gauge!("process_uptime_seconds").set(started.elapsed().as_secs_f64());
    if let Some(bytes) = now.resident_bytes {
        metrics::gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    if let Some(count) = now.open_files {
        metrics::gauge!("process_open_fds").set(count as f64);
    }
    if let Some(count) = now.threads {
        metrics::gauge!("process_threads").set(count as f64);
    }
}

/// The first number of a `/proc/self/status` line such as `VmRSS: 1234 kB`.
fn status_field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_set_is_found_in_a_status_file() {
        let status = "Name:\tcuria\nVmRSS:\t   51234 kB\nThreads:\t9\n";
        assert_eq!(status_field(status, "VmRSS:"), Some(51234));
        assert_eq!(status_field(status, "Threads:"), Some(9));
        assert_eq!(status_field(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_has_memory_files_and_threads() {
        let now = read();
        assert!(now.resident_bytes.is_some_and(|bytes| bytes > 100 * 1024));
        assert!(now.open_files.is_some_and(|count| count > 0));
        assert!(now.threads.is_some_and(|count| count > 0));
    }
}
