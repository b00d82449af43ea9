//! `curia cert`: the certificates of a cluster, in a folder of files that `--certs` reads.
//!
//! ```text
//! DIR/ca.crt      the authority's certificate: everybody has it
//! DIR/ca.key      its private key: stays where certificates are made
//! DIR/server.crt, server.key    one server's, different on each
//! DIR/client.crt, client.key    of those who run curia init, status, server, transfer
//! ```

use crate::failure::Failure;
use clap::{Args, Subcommand};
use curia_peer::certificates::{self, Holder, Signed};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `curia cert`.
#[derive(Subcommand, Clone, Debug)]
pub enum Cert {
    /// Make the authority: ca.crt and ca.key.
    Ca(Place),
    /// Make a server's certificate, for the names and addresses at which others reach it: server.crt and server.key.
    Server {
        /// Host names and IP addresses.
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Make a certificate for the commands that ask servers: client.crt and client.key.
    Client {
        /// Who holds it.
        #[arg(default_value = "operator")]
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Where, and for how long.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Folder of the files; created when missing.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
    /// Folder of ca.crt and ca.key, when it is another one.
    #[arg(long, value_name = "DIR")]
    ca_dir: Option<PathBuf>,
    /// How long the certificate is good.
    #[arg(long, value_name = "DAYS", default_value_t = 3_650)]
    days: u32,
}

/// Makes certificates.
///
/// # Errors
/// [`Failure::Configuration`] when a file exists, is missing or can't be written.
pub fn run(command: &Cert) -> Result<(), Failure> {
    let (name, place, holder) = match command {
        Cert::Ca(place) => ("ca", place, None),
        Cert::Server { names, place } => ("server", place, Some(Holder::Server(names.clone()))),
        Cert::Client { name, place } => ("client", place, Some(Holder::Client(name.clone()))),
    };
    let wrong = |error: curia_peer::TlsError| Failure::Configuration(error.to_string());
    let valid = Duration::from_secs(u64::from(place.days) * 86_400);
    let signed = match &holder {
        None => certificates::authority(valid).map_err(wrong)?,
        Some(holder) => {
            let of = place.ca_dir.as_deref().unwrap_or(&place.dir);
            let authority = Signed {
                certificate: read(&of.join("ca.crt"))?,
                key: read(&of.join("ca.key"))?,
            };
            let signed = certificates::sign(&authority, holder, valid).map_err(wrong)?;
            if place.ca_dir.is_some() && !place.dir.join("ca.crt").exists() {
                write(&place.dir, "ca.crt", &authority.certificate, 0o644)?;
            }
            signed
        }
    };
    // The key first: a certificate without its key would be in the way of the next try.
    write(&place.dir, &format!("{name}.key"), &signed.key, 0o600)?;
    write(&place.dir, &format!("{name}.crt"), &signed.certificate, 0o644)?;
    println!("{0}/{name}.crt and {0}/{name}.key", place.dir.display());
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::Configuration(format!("{}: {error}", path.display())))
}

/// Writes a new file; one that exists is somebody's and stays.
fn write(dir: &Path, name: &str, text: &str, mode: u32) -> Result<(), Failure> {
    let path = dir.join(name);
    let failed = |error: std::io::Error| Failure::Configuration(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&path)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}
