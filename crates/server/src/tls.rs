//! Certificates: read once at start, so that a wrong file is found before anything listens.

use crate::failure::Failure;
use crate::options::Options;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

/// One identity in the two forms that the front ends want.
#[derive(Clone)]
pub struct Identity {
    /// For the SQL listener.
    pub acceptor: TlsAcceptor,
    /// Certificate chain, PEM, for Flight.
    pub certificate_pem: Vec<u8>,
    /// Private key, PEM, for Flight.
    pub key_pem: Vec<u8>,
}

/// Reads the configured identity, if one is configured.
///
/// # Errors
/// [`Failure::Configuration`] when a file is unreadable, holds no certificate or key, or the two do not belong together.
pub fn load(options: &Options) -> Result<Option<Identity>, Failure> {
    let (Some(cert_path), Some(key_path)) = (&options.tls_cert, &options.tls_key) else {
        return Ok(None);
    };
    let certificate_pem = read(cert_path)?;
    let key_pem = read(key_path)?;
    let chain = rustls_pemfile::certs(&mut certificate_pem.as_slice())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(cert_path, error))?;
    if chain.is_empty() {
        return Err(wrong(cert_path, "holds no certificate"));
    }
    let key = rustls_pemfile::private_key(&mut key_pem.as_slice())
        .map_err(|error| wrong(key_path, error))?
        .ok_or_else(|| wrong(key_path, "holds no private key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Unexpected(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong(cert_path, error))?;
    Ok(Some(Identity {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        certificate_pem,
        key_pem,
    }))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| wrong(path, error))
}

fn wrong(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::Configuration(format!("{}: {why}", path.display()))
}
