//! A wall clock that can be set wrong, for one process: libfaketime reads from a file by how much. Clocks that only go on, by which
//! servers know how long something takes, stay right.

use std::io;
use std::path::{Path, PathBuf};

/// Where Debian's package puts it, by architecture.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// The wall clock of one server.
#[derive(Clone, Debug)]
pub struct Clock {
    library: &'static str,
    file: PathBuf,
}

impl Clock {
    /// A clock that is right, with its setting in a file; `None` where the library is missing.
    pub fn kept_in(file: &Path) -> Option<Clock> {
        let library = LIBRARIES.into_iter().find(|library| Path::new(library).exists())?;
        let clock = Clock {
            library,
            file: file.to_owned(),
        };
        clock.set(0).ok()?;
        Some(clock)
    }

    /// Sets it wrong by so many seconds; whoever runs by it notices within a second.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn set(&self, seconds: i64) -> io::Result<()> {
        // Renamed, so that nobody reads half of it.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n"))?;
        std::fs::rename(&new, &self.file)
    }

    /// What a process that is to run by it finds in its environment.
    pub fn environment(&self) -> [(&'static str, &Path); 5] {
        [
            ("LD_PRELOAD", Path::new(self.library)),
            ("FAKETIME_TIMESTAMP_FILE", &self.file),
            ("FAKETIME_CACHE_DURATION", Path::new("1")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
            ("NO_FAKE_STAT", Path::new("1")),
        ]
    }
}
