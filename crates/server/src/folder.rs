//! The data folder: who may use it, what it holds.
//!
//! ```text
//! DIR/curia.lock     locked (flock) while a server runs; holds its process id
//! DIR/format.toml    format version and the number of worker groups, written once
//! DIR/cluster.toml   which server of which cluster this is; not there for a database of its own (cluster/identity.rs)
//! DIR/peers.toml     where the servers of the cluster are, as last heard
//! DIR/running.toml   process id and addresses of the running server; gone after a clean stop
//! DIR/log/           log segments          (storage/src/log)
//! DIR/state/         RocksDB               (storage/src/state)
//! DIR/spill/         scratch space of large queries, emptied at every start
//! ```
//!
//! A folder without `format.toml` is taken only when it is empty, so that a mistyped path never mixes our files into
//! somebody's home. The format file is written last, by rename, after the folder is ours.

use crate::failure::Failure;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The format this program reads and writes.
pub const FORMAT: u32 = 1;
/// Worker groups of a new folder when nobody asks for another number.
const DEFAULT_WORKER_GROUPS: u32 = 8;

const LOCK_FILE: &str = "curia.lock";
const FORMAT_FILE: &str = "format.toml";
const RUNNING_FILE: &str = "running.toml";

/// `format.toml`.
#[derive(Serialize, Deserialize)]
struct FormatFile {
    /// Format version.
    format: u32,
    /// Number of worker groups.
    worker_groups: u32,
    /// Which program made the folder; for people.
    created_by: String,
}

/// `running.toml`: where the running server can be reached.
#[derive(Debug, Serialize, Deserialize)]
pub struct Running {
    /// Process id.
    pub pid: u32,
    /// SQL address.
    pub sql: String,
    /// Flight SQL address.
    pub flight: String,
    /// Console address.
    pub http: String,
    /// Peer address, of a server that is or will be in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// A data folder that this process has locked. The lock lasts as long as the value.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    worker_groups: u32,
    _lock: File,
}

impl Folder {
    /// Opens and locks `path`, creating and initialising it when it is missing or empty.
    ///
    /// # Errors
    /// [`Failure::Folder`] when it cannot be written, [`Failure::InUse`] when another server has it,
    /// [`Failure::Foreign`] when what it holds is not ours, of another version, or of another number of worker groups
    /// than `worker_groups` asks for.
    pub fn open(path: &Path, worker_groups: Option<u32>) -> Result<Folder, Failure> {
        let failed = |doing: &'static str| {
            move |source: io::Error| Failure::Folder {
                folder: path.to_owned(),
                doing,
                source,
            }
        };
        fs::create_dir_all(path).map_err(failed("cannot create it"))?;
        let path = path.canonicalize().map_err(failed("cannot resolve its path"))?;
        sync_parents(&path).map_err(failed("cannot make it durable"))?;
        let format = read_format(&path)?;
        if format.is_none() {
            refuse_unless_empty(&path)?;
        }
        let lock = lock(&path)?;
        // Read again: whoever held the lock a moment ago may have initialised the folder.
        let format = match read_format(&path)? {
            Some(format) => check_format(&path, format, worker_groups)?,
            None => {
                let format = FormatFile {
                    format: FORMAT,
                    worker_groups: worker_groups.unwrap_or(DEFAULT_WORKER_GROUPS),
                    created_by: format!("curia {}", env!("CARGO_PKG_VERSION")),
                };
                write_durably(&path, FORMAT_FILE, &to_toml(&format)?).map_err(failed("cannot write format.toml"))?;
                format
            }
        };
        let folder = Folder {
            path,
            worker_groups: format.worker_groups,
            _lock: lock,
        };
        folder.forget_running();
        fs::remove_dir_all(folder.spill())
            .or_else(ignore_missing)
            .map_err(failed("cannot empty spill/"))?;
        for part in [folder.log(), folder.state(), folder.spill()] {
            fs::create_dir_all(part).map_err(failed("cannot create its parts"))?;
        }
        File::open(&folder.path)
            .and_then(|dir| dir.sync_all())
            .map_err(failed("cannot sync it"))?;
        Ok(folder)
    }

    /// The folder itself, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many worker groups the folder was made for.
    pub fn worker_groups(&self) -> u32 {
        self.worker_groups
    }

    /// Log segments.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Whether a database was made in it.
    pub fn is_used(&self) -> bool {
        let has = |folder: PathBuf, what: &str| {
            fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(what)))
        };
        has(self.log(), ".log") || has(self.state(), "CURRENT")
    }

    /// The state store.
    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Scratch space of queries.
    pub fn spill(&self) -> PathBuf {
        self.path.join("spill")
    }

    /// Says where the server listens, once it does.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn announce(&self, running: &Running) -> Result<(), Failure> {
        write_durably(&self.path, RUNNING_FILE, &to_toml(running)?).map_err(|source| Failure::Folder {
            folder: self.path.clone(),
            doing: "cannot write running.toml",
            source,
        })
    }

    /// Takes the announcement back.
    pub fn forget_running(&self) {
        if let Err(error) = fs::remove_file(self.path.join(RUNNING_FILE)).or_else(ignore_missing) {
            tracing::warn!(%error, "cannot remove running.toml");
        }
    }
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}

fn to_toml(value: &impl Serialize) -> Result<String, Failure> {
    toml::to_string(value).map_err(|error| Failure::Unexpected(error.to_string()))
}

fn foreign(folder: &Path, reason: impl Into<String>) -> Failure {
    Failure::Foreign {
        folder: folder.to_owned(),
        reason: reason.into(),
    }
}

fn read_format(folder: &Path) -> Result<Option<FormatFile>, Failure> {
    let text = match fs::read_to_string(folder.join(FORMAT_FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(Failure::Folder {
                folder: folder.to_owned(),
                doing: "cannot read format.toml",
                source,
            });
        }
    };
    toml::from_str(&text)
        .map(Some)
        .map_err(|_| foreign(folder, "its format.toml is not one that Curia wrote"))
}

fn check_format(folder: &Path, format: FormatFile, worker_groups: Option<u32>) -> Result<FormatFile, Failure> {
    if format.format != FORMAT {
        let age = if format.format > FORMAT { "a newer" } else { "an older" };
        let reason = format!(
            "{age} version of Curia wrote it ({}, format {}; this program reads format {FORMAT})",
            format.created_by, format.format
        );
        return Err(foreign(folder, reason));
    }
    match worker_groups {
        Some(wanted) if wanted != format.worker_groups => Err(foreign(
            folder,
            format!(
                "it was made with {} worker groups, which cannot become {wanted}",
                format.worker_groups
            ),
        )),
        _ => Ok(format),
    }
}

fn refuse_unless_empty(folder: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::Folder {
        folder: folder.to_owned(),
        doing: "cannot list it",
        source,
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // `lost+found` is in the root of every ext file system; the lock file remains of a start that got no further;
        // the temporary file is a format file that was never renamed.
        if name != LOCK_FILE && name != "lost+found" && name != temporary(FORMAT_FILE).as_str() {
            let reason = format!("it holds {name:?} but no format.toml: not a data folder of Curia, and not empty");
            return Err(foreign(folder, reason));
        }
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<File, Failure> {
    let failed = |source| Failure::Folder {
        folder: folder.to_owned(),
        doing: "cannot write to it",
        source,
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join(LOCK_FILE))
        .map_err(failed)?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(failed(error.into()));
        }
        let mut pid = String::new();
        let read = file.read_to_string(&mut pid).is_ok();
        return Err(Failure::InUse {
            folder: folder.to_owned(),
            pid: pid.trim().parse().ok().filter(|_| read),
        });
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(failed)?;
    Ok(file)
}

fn temporary(name: &str) -> String {
    format!("{name}.new")
}

/// Writes a small file so that after a crash it is either absent, as before, or complete.
/// Makes the name of a folder durable that may just have been made, and those of the folders that it is in as far as they can be opened.
pub(crate) fn sync_parents(folder: &Path) -> io::Result<()> {
    let parents = folder.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
    parents
        .map_while(|parent| File::open(parent).ok())
        .try_for_each(|parent| parent.sync_all())
}

pub(crate) fn write_durably(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let new = folder.join(temporary(name));
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, folder.join(name))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_remembers_its_worker_groups() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/data");
        assert_eq!(Folder::open(&path, Some(3)).unwrap().worker_groups(), 3);
        assert_eq!(Folder::open(&path, None).unwrap().worker_groups(), 3);
        assert!(matches!(Folder::open(&path, Some(4)), Err(Failure::Foreign { .. })));
    }

    #[test]
    fn a_folder_serves_one_server_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Folder::open(dir.path(), None).unwrap();
        match Folder::open(dir.path(), None).unwrap_err() {
            Failure::InUse { pid, .. } => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other}"),
        }
        drop(first);
        Folder::open(dir.path(), None).unwrap();
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "x").unwrap();
        let error = Folder::open(dir.path(), None).unwrap_err();
        assert!(matches!(&error, Failure::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("thesis.tex"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        drop(Folder::open(dir.path(), None).unwrap());
        fs::write(
            dir.path().join(FORMAT_FILE),
            "format = 99\nworker_groups = 8\ncreated_by = \"curia 7.0.0\"\n",
        )
        .unwrap();
        let error = Folder::open(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("newer version") && error.contains("curia 7.0.0"), "{error}");
    }

    #[test]
    fn the_announcement_is_gone_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), None).unwrap();
        let address = String::from("127.0.0.1:1");
        folder
            .announce(&Running {
                pid: 1,
                sql: address.clone(),
                flight: address.clone(),
                http: address,
                peer: None,
            })
            .unwrap();
        assert!(dir.path().join(RUNNING_FILE).exists());
        drop(folder);
        drop(Folder::open(dir.path(), None).unwrap());
        assert!(!dir.path().join(RUNNING_FILE).exists());
    }
}
