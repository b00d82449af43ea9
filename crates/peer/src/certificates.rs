//! Certificates of a cluster: an authority, and what it signs for servers and clients.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use crate::tls::TlsError;

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A server, reached by these host names and addresses. Its certificate is for both ends of a connection.
    Server(Vec<String>),
    /// A person or a program that asks servers.
    Client(String),
}

/// Clocks of servers may differ by so much.
const BEFORE: Duration = Duration::from_secs(3_600);

/// A new authority, valid for so long.
///
/// # Errors
/// When the library can't make it.
pub fn authority(valid: Duration) -> Result<Signed, TlsError> {
    let mut params = params(Vec::new(), "Curia cluster authority", valid)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(wrong)?;
    Ok(Signed {
        certificate: params.self_signed(&key).map_err(wrong)?.pem(),
        key: key.serialize_pem(),
    })
}

/// A certificate signed by an authority, valid for so long.
///
/// # Errors
/// When the authority's files can't be used, or a name is none.
pub fn sign(authority: &Signed, holder: &Holder, valid: Duration) -> Result<Signed, TlsError> {
    let key = KeyPair::from_pem(&authority.key).map_err(|error| TlsError(format!("the authority's key: {error}")))?;
    let issuer =
        Issuer::from_ca_cert_pem(&authority.certificate, key).map_err(|error| TlsError(format!("the authority's certificate: {error}")))?;
    let mut params = match holder {
        Holder::Server(names) => {
            let first = names
                .first()
                .ok_or_else(|| TlsError("a server needs a name or an address".into()))?;
            params(names.clone(), first, valid)?
        }
        Holder::Client(name) => params(Vec::new(), name, valid)?,
    };
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match holder {
        Holder::Server(_) => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        Holder::Client(_) => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(wrong)?;
    Ok(Signed {
        certificate: params.signed_by(&key, &issuer).map_err(wrong)?.pem(),
        key: key.serialize_pem(),
    })
}

fn params(names: Vec<String>, common_name: &str, valid: Duration) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(names).map_err(wrong)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    params.not_before = date_time_ymd(1970, 1, 1) + now.saturating_sub(BEFORE);
    params.not_after = date_time_ymd(1970, 1, 1) + now + valid;
    Ok(params)
}

fn wrong(error: rcgen::Error) -> TlsError {
    TlsError(error.to_string())
}
