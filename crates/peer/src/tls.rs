//! TLS between servers: both sides show a certificate of the cluster's own authority.
//!
//! A *server's* certificate is for both ends of a connection and names the hosts and addresses where the server is
//! reached; a *client's* one can only dial, and only for requests. `curia cert` makes both.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, client::verify_server_cert_signed_by_trust_anchor};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate, a key or an authority can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(pub(crate) String);

/// One side's certificate and the authority that it trusts.
#[derive(Clone)]
pub struct PeerTls {
    pub(crate) connector: TlsConnector,
    /// `None` with a client's certificate.
    pub(crate) acceptor: Option<TlsAcceptor>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl PeerTls {
    /// From PEM files' contents: certificates of the authority, the own chain, and its private key.
    ///
    /// # Errors
    /// When one of them can't be used.
    pub fn new(authority: &[u8], chain: &[u8], key: &[u8]) -> Result<PeerTls, TlsError> {
        let wrong = |what: &str, why: &dyn std::fmt::Display| TlsError(format!("{what}: {why}"));
        let mut roots = RootCertStore::empty();
        for certificate in certificates("the authority's certificate", authority)? {
            roots.add(certificate).map_err(|e| wrong("the authority's certificate", &e))?;
        }
        let roots = Arc::new(roots);
        let chain = certificates("the certificate", chain)?;
        let key = || -> Result<PrivateKeyDer<'static>, TlsError> {
            rustls_pemfile::private_key(&mut &*key)
                .map_err(|e| wrong("the private key", &e))?
                .ok_or_else(|| wrong("the private key", &"the file holds none"))
        };
        let provider = Arc::new(ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| wrong("TLS", &e))?
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain.clone(), key()?)
            .map_err(|e| wrong("the certificate and its key", &e))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|e| wrong("the authority's certificate", &e))?;
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| wrong("TLS", &e))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key()?)
            .map_err(|e| wrong("the certificate and its key", &e))?;
        let mut tls = PeerTls {
            connector: TlsConnector::from(Arc::new(client)),
            acceptor: None,
            roots,
            provider,
        };
        if tls.is_servers(&chain) {
            tls.acceptor = Some(TlsAcceptor::from(Arc::new(server)));
        }
        Ok(tls)
    }

    /// Whether the own certificate is a server's.
    pub fn can_serve(&self) -> bool {
        self.acceptor.is_some()
    }

    /// Whether a chain is that of a server of this authority.
    pub(crate) fn is_servers(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((certificate, intermediates)) = chain.split_first() else {
            return false;
        };
        let algorithms = self.provider.signature_verification_algorithms.all;
        ParsedCertificate::try_from(certificate).is_ok_and(|certificate| {
            verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, UnixTime::now(), algorithms).is_ok()
        })
    }
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = rustls_pemfile::certs(&mut &*pem).collect();
    match read {
        Ok(chain) if chain.is_empty() => Err(TlsError(format!("{what}: the file holds none"))),
        Ok(chain) => Ok(chain),
        Err(error) => Err(TlsError(format!("{what}: {error}"))),
    }
}
