//! Who is asking. A client signs in once with name and password (HTTP basic, as ADBC and JDBC do) and gets a bearer token
//! for everything after. When no password is set for its role and it is on this machine, nothing is asked. The rule itself
//! is the sessions' own, the same as for PostgreSQL clients.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, STANDARD_NO_PAD as BASE64_NO_PAD};
use curia_session::{Authentication, Peer};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tonic::{Request, Status};

/// Most tokens alive; the one that has been idle longest makes room.
const TOKENS: usize = 10_000;
/// A token that nobody shows for so long is forgotten.
const TOKEN_IDLE: Duration = Duration::from_secs(24 * 3600);
/// Role of a client that names none.
const DEFAULT_ROLE: &str = "curia";

/// What a request says about its sender.
#[derive(Clone, Debug, Default)]
pub struct Asker {
    /// The authorization header.
    authorization: Option<String>,
    /// Where it came from.
    pub peer: Option<SocketAddr>,
}

impl Asker {
    /// The sender of a request.
    pub fn of<T>(request: &Request<T>) -> Asker {
        // A header that is not ASCII text fits no scheme below and is refused there.
        let authorization = request
            .metadata()
            .get("authorization")
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Asker {
            authorization,
            peer: request.remote_addr(),
        }
    }

    fn from(&self) -> Peer {
        match self.peer {
            Some(peer) if peer.ip().is_loopback() => Peer::Loopback,
            _ => Peer::Remote,
        }
    }
}

struct Token {
    role: String,
    /// What the role had to show when the token was given: a changed password ends the token.
    authentication: Authentication,
    used: Instant,
}

/// Tokens given and not yet forgotten.
#[derive(Default)]
pub struct SignIn {
    tokens: Mutex<HashMap<String, Token>>,
}

impl SignIn {
    /// The role that a request may act as. `gate` tells what a role must show.
    ///
    /// # Errors
    /// `Unauthenticated` when a password is needed and neither a fitting one nor a living token came.
    pub fn role(&self, asker: &Asker, gate: impl Fn(&str, Peer) -> curia_types::Result<Authentication>) -> Result<String, Status> {
        let gate = |role: &str| gate(role, asker.from()).map_err(|error| crate::status::of(&error));
        match asker.authorization.as_deref().map(Shown::read).transpose()? {
            Some(Shown::Bearer(token)) => self.by_token(&token, gate),
            Some(Shown::Basic { role, password }) => check(&gate(&role)?, &role, Some(&password)).map(|()| role),
            None => check(&gate(DEFAULT_ROLE)?, DEFAULT_ROLE, None).map(|()| DEFAULT_ROLE.to_owned()),
        }
    }

    /// Checks name and password and gives a token for them.
    ///
    /// # Errors
    /// See [`SignIn::role`].
    pub fn give_token(&self, asker: &Asker, gate: impl Fn(&str, Peer) -> curia_types::Result<Authentication>) -> Result<String, Status> {
        let role = self.role(asker, &gate)?;
        let authentication = gate(&role, asker.from()).map_err(|error| crate::status::of(&error))?;
        // From a cryptographic generator; 256 bits.
        let name = BASE64.encode(rand::random::<[u8; 32]>());
        let now = Instant::now();
        let mut tokens = self.tokens.lock();
        if tokens.len() >= TOKENS {
            tokens.retain(|_, token| now.duration_since(token.used) < TOKEN_IDLE);
        }
        if tokens.len() >= TOKENS
            && let Some(oldest) = tokens.iter().min_by_key(|(_, token)| token.used).map(|(name, _)| name.clone())
        {
            tokens.remove(&oldest);
        }
        tokens.insert(
            name.clone(),
            Token {
                role,
                authentication,
                used: now,
            },
        );
        Ok(name)
    }

    fn by_token(&self, name: &str, gate: impl Fn(&str) -> Result<Authentication, Status>) -> Result<String, Status> {
        let now = Instant::now();
        let mut tokens = self.tokens.lock();
        if let Some(token) = tokens.get_mut(name)
            && now.duration_since(token.used) < TOKEN_IDLE
            && gate(&token.role)? == token.authentication
        {
            token.used = now;
            return Ok(token.role.clone());
        }
        tokens.remove(name);
        Err(Status::unauthenticated(
            "[28000] the token is unknown or has expired; sign in again",
        ))
    }
}

/// What an authorization header holds.
enum Shown {
    Bearer(String),
    Basic { role: String, password: String },
}

impl Shown {
    fn read(header: &str) -> Result<Shown, Status> {
        let unreadable = || Status::unauthenticated("[28000] the authorization header is malformed");
        let (scheme, rest) = header.split_once(' ').ok_or_else(unreadable)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Shown::Bearer(rest.trim().to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(unreadable());
        }
        // Go's Flight client, which ADBC is made of, leaves the padding out.
        let decoded = BASE64_NO_PAD.decode(rest.trim().trim_end_matches('=')).map_err(|_| unreadable())?;
        let decoded = String::from_utf8(decoded).map_err(|_| unreadable())?;
        let (role, password) = decoded.split_once(':').ok_or_else(unreadable)?;
        Ok(Shown::Basic {
            role: role.to_owned(),
            password: password.to_owned(),
        })
    }
}

fn check(authentication: &Authentication, role: &str, password: Option<&str>) -> Result<(), Status> {
    match (authentication, password) {
        (Authentication::Trust, _) => Ok(()),
        (Authentication::Scram(verifier), Some(password)) if verifier.accepts(password) => Ok(()),
        _ => Err(Status::unauthenticated(format!(
            "[28P01] password authentication failed for user \"{role}\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use curia_session::password::Verifier;

    type Gate = Box<dyn Fn(&str, Peer) -> curia_types::Result<Authentication>>;

    fn open() -> Gate {
        Box::new(|_, _| Ok(Authentication::Trust))
    }

    fn locked(password: &str) -> Gate {
        let verifier = Verifier::new(password);
        Box::new(move |_, _| Ok(Authentication::Scram(verifier.clone())))
    }

    fn asker(authorization: &str) -> Asker {
        Asker {
            authorization: Some(authorization.to_owned()),
            peer: None,
        }
    }

    fn basic(text: &str) -> Asker {
        asker(&format!("Basic {}", BASE64.encode(text)))
    }

    #[test]
    fn without_a_password_nothing_is_asked() {
        assert_eq!(SignIn::default().role(&Asker::default(), open()).unwrap(), "curia");
    }

    #[test]
    fn a_password_must_fit_and_then_a_token_serves() {
        let (sign_in, gate) = (SignIn::default(), locked("secret"));
        assert!(sign_in.role(&Asker::default(), &gate).is_err());
        assert!(sign_in.give_token(&basic("curia:wrong"), &gate).is_err());
        let token = sign_in.give_token(&basic("curia:secret"), &gate).unwrap();
        assert_eq!(sign_in.role(&asker(&format!("Bearer {token}")), &gate).unwrap(), "curia");
        assert!(sign_in.role(&asker("Bearer made-up"), &gate).is_err());
        for malformed in ["", "Basic", "Basic !!!", "Digest x", "Basic bm9jb2xvbg=="] {
            assert!(sign_in.role(&asker(malformed), &gate).is_err(), "{malformed}");
        }
    }

    #[test]
    fn a_header_is_read_with_and_without_padding() {
        for password in ["s", "se", "sec"] {
            let (sign_in, gate) = (SignIn::default(), locked(password));
            let padded = BASE64.encode(format!("curia:{password}"));
            for encoded in [padded.as_str(), padded.trim_end_matches('=')] {
                assert_eq!(
                    sign_in.role(&asker(&format!("Basic {encoded}")), &gate).unwrap(),
                    "curia",
                    "{encoded}"
                );
            }
        }
    }

    #[test]
    fn a_changed_password_ends_its_tokens() {
        let sign_in = SignIn::default();
        let token = sign_in.give_token(&basic("curia:secret"), locked("secret")).unwrap();
        assert!(sign_in.role(&asker(&format!("Bearer {token}")), locked("other")).is_err());
    }
}
