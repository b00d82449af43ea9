//! The exposure rule: beyond loopback only with a password and TLS, or with `--insecure`.

use crate::failure::Failure;
use crate::options::Options;
use std::net::SocketAddr;

/// What can be said before the catalog is open: TLS and the console, which has no password at all.
///
/// # Errors
/// [`Failure::Exposed`].
pub fn check_addresses(options: &Options) -> Result<(), Failure> {
    if options.insecure {
        return Ok(());
    }
    if !options.http_addr.ip().is_loopback() {
        return Err(Failure::Exposed {
            address: options.http_addr,
            reason: "the console has no password",
        });
    }
    match exposed(options) {
        Some(address) if options.tls_cert.is_none() => Err(Failure::Exposed {
            address,
            reason: "TLS is not configured (--tls-cert, --tls-key)",
        }),
        _ => Ok(()),
    }
}

/// The rule for the peer port: between servers there is TLS, and both sides show certificates.
///
/// # Errors
/// [`Failure::Exposed`].
pub fn check_peers(options: &Options) -> Result<(), Failure> {
    if options.insecure || options.certs.is_some() || options.peer_addr.ip().is_loopback() {
        return Ok(());
    }
    Err(Failure::Exposed {
        address: options.peer_addr,
        reason: "TLS between servers is not configured (--certs; curia cert makes certificates)",
    })
}

/// The rest of the rule, once it is known whether the superuser has a password.
///
/// # Errors
/// [`Failure::Exposed`].
pub fn check_password(options: &Options, superuser_has_password: bool) -> Result<(), Failure> {
    match exposed(options) {
        Some(address) if !options.insecure && !superuser_has_password => Err(Failure::Exposed {
            address,
            reason: "role curia has no password; start on loopback and run ALTER ROLE curia PASSWORD '...' first",
        }),
        _ => Ok(()),
    }
}

/// The first SQL or Flight address that others than this machine can reach.
fn exposed(options: &Options) -> Option<SocketAddr> {
    [options.sql_addr, options.flight_addr]
        .into_iter()
        .find(|address| !address.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everywhere() -> Options {
        Options {
            sql_addr: SocketAddr::from(([0, 0, 0, 0], 5454)),
            ..Options::default()
        }
    }

    #[test]
    fn beyond_loopback_needs_tls_and_a_password() {
        let open = everywhere();
        assert!(check_addresses(&open).is_err());
        let with_tls = Options {
            tls_cert: Some("c".into()),
            tls_key: Some("k".into()),
            ..open
        };
        assert!(check_addresses(&with_tls).is_ok());
        assert!(check_password(&with_tls, false).is_err());
        assert!(check_password(&with_tls, true).is_ok());
    }

    #[test]
    fn insecure_lifts_the_rule() {
        let open = Options {
            insecure: true,
            ..everywhere()
        };
        assert!(check_addresses(&open).is_ok());
        assert!(check_password(&open, false).is_ok());
    }

    #[test]
    fn loopback_needs_nothing() {
        assert!(check_addresses(&Options::default()).is_ok());
        assert!(check_password(&Options::default(), false).is_ok());
    }

    #[test]
    fn between_servers_there_are_certificates() {
        let open = Options {
            peer_addr: SocketAddr::from(([0, 0, 0, 0], 5457)),
            ..Options::default()
        };
        assert!(check_peers(&open).is_err());
        let certified = Options {
            certs: Some("certs".into()),
            ..open.clone()
        };
        assert!(check_peers(&certified).is_ok());
        let insecure = Options { insecure: true, ..open };
        assert!(check_peers(&insecure).is_ok());
        assert!(check_peers(&Options::default()).is_ok());
    }

    #[test]
    fn the_console_stays_on_loopback_even_with_tls() {
        let http = SocketAddr::from(([192, 0, 2, 1], 5456));
        let options = Options {
            http_addr: http,
            tls_cert: Some("c".into()),
            tls_key: Some("k".into()),
            ..Options::default()
        };
        assert!(check_addresses(&options).is_err());
    }
}
