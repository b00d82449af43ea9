//! SCRAM-SHA-256 verifiers: what is stored instead of a password, in the form of PostgreSQL's `pg_authid.rolpassword`
//! (`SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, RFC 5802 and RFC 7677).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;

/// PostgreSQL's SCRAM_DEFAULT_ITERATIONS.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");
/// PostgreSQL's SCRAM_DEFAULT_SALT_LEN.
const SALT_BYTES: usize = 16;

/// A parsed verifier.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// PBKDF2 rounds.
    pub iterations: u32,
    /// Random salt.
    pub salt: Vec<u8>,
    /// H(ClientKey): checks the client's proof.
    pub stored_key: [u8; 32],
    /// Signs the server's answer.
    pub server_key: [u8; 32],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(..)") // keys stay out of logs
    }
}

impl Verifier {
    /// A verifier of `password` with a fresh random salt.
    pub fn new(password: &str) -> Verifier {
        Verifier::with_salt(password, &rand::random::<[u8; SALT_BYTES]>())
    }

    /// Whether this is the verifier of `password`: for clients that send it in the clear, inside TLS.
    pub fn accepts(&self, password: &str) -> bool {
        let Some(iterations) = NonZeroU32::new(self.iterations) else {
            return false;
        };
        let computed = Verifier::derive(password, &self.salt, iterations);
        // The keys are hashes: comparing them in variable time tells nothing about the password.
        computed.stored_key == self.stored_key
    }

    fn with_salt(password: &str, salt: &[u8]) -> Verifier {
        Verifier::derive(password, salt, ITERATIONS)
    }

    fn derive(password: &str, salt: &[u8], iterations: NonZeroU32) -> Verifier {
        // RFC 5802 wants SASLprep; PostgreSQL falls back to the bytes as they are where it does not apply.
        let prepared = stringprep::saslprep(password).unwrap_or(std::borrow::Cow::Borrowed(password));
        let mut salted = [0u8; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, prepared.as_bytes(), &mut salted);
        let client_key = sign(&salted, b"Client Key");
        Verifier {
            iterations: iterations.get(),
            salt: salt.to_vec(),
            stored_key: hash(&client_key),
            server_key: sign(&salted, b"Server Key"),
        }
    }

    /// A verifier that no password fits, the same at every call for one user: an attacker cannot tell which roles exist.
    pub fn decoy(user: &str, secret: &[u8; 32]) -> Verifier {
        let salt = sign(secret, user.as_bytes());
        Verifier {
            iterations: ITERATIONS.get(),
            salt: salt[..SALT_BYTES].to_vec(),
            stored_key: rand::random(),
            server_key: sign(secret, b"Server Key"),
        }
    }

    /// Parses the stored form; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Verifier> {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (head, keys) = rest.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let iterations: u32 = iterations.parse().ok().filter(|n| *n > 0)?;
        Some(Verifier {
            iterations,
            salt: BASE64.decode(salt).ok()?,
            stored_key: BASE64.decode(stored).ok()?.try_into().ok()?,
            server_key: BASE64.decode(server).ok()?.try_into().ok()?,
        })
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            BASE64.encode(&self.salt),
            BASE64.encode(self.stored_key),
            BASE64.encode(self.server_key)
        )
    }
}

/// What ALTER ROLE .. PASSWORD stores: a verifier as it is, anything else hashed. The empty password means none.
pub fn to_stored(password: &str) -> Option<String> {
    if password.is_empty() {
        None
    } else if Verifier::parse(password).is_some() {
        Some(password.to_owned())
    } else {
        Some(Verifier::new(password).to_string())
    }
}

/// HMAC-SHA-256.
pub fn sign(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut out = [0u8; 32];
    out.copy_from_slice(tag.as_ref());
    out
}

/// SHA-256.
pub fn hash(message: &[u8]) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_the_one_postgresql_computes() {
        // RFC 7677's example exchange: user "user", password "pencil".
        let v = Verifier::with_salt("pencil", &BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap());
        assert_eq!(
            v.to_string(),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
        assert!(v.accepts("pencil") && !v.accepts("Pencil"));
        assert_eq!(Verifier::parse(&v.to_string()), Some(v));
    }

    #[test]
    fn passwords_are_hashed_once_and_verifiers_are_kept() {
        let stored = to_stored("secret").unwrap();
        assert!(Verifier::parse(&stored).is_some());
        assert_eq!(to_stored(&stored).as_deref(), Some(stored.as_str()));
        assert_ne!(to_stored("secret").unwrap(), stored, "salts are random");
        assert_eq!(to_stored(""), None);
        assert_eq!(Verifier::parse("md5abc"), None);
    }
}
