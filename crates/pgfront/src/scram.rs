//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it. Pure: messages in, messages out; the nonce is given.
//!
//! ```text
//! client  n,,n=,r=<client nonce>
//! server  r=<client nonce><server nonce>,s=<salt>,i=<iterations>
//! client  c=biws,r=<both nonces>,p=<proof>
//! server  v=<signature>
//! ```

use crate::decode::violation;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use curia_session::password::{Verifier, hash, sign};
use curia_types::{Result, SqlError, SqlState};

/// The mechanism's name.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// After the client's first message.
pub struct Exchange {
    verifier: Verifier,
    gs2_header: String,
    client_first_bare: String,
    server_first: String,
    nonce: String,
}

impl Exchange {
    /// Takes the client's first message; [`Exchange::challenge`] is the answer.
    pub fn start(verifier: Verifier, client_first: &[u8], server_nonce: [u8; 18]) -> Result<Exchange> {
        let text = std::str::from_utf8(client_first).map_err(|_| malformed())?;
        let mut parts = text.splitn(3, ',');
        let (flag, authzid, bare) = match (parts.next(), parts.next(), parts.next()) {
            (Some(f), Some(a), Some(b)) => (f, a, b),
            _ => return Err(malformed()),
        };
        match flag {
            "n" | "y" => {}
            f if f.starts_with("p=") => {
                return Err(violation("malformed SCRAM message")
                    .detail("The client selected SCRAM-SHA-256 with channel binding, which the server did not offer."));
            }
            _ => return Err(malformed()),
        }
        if !authzid.is_empty() {
            return Err(SqlError::unsupported("client uses authorization identity, but it"));
        }
        let mut client_nonce = None;
        for (i, attribute) in bare.split(',').enumerate() {
            match (i, attribute.split_once('=')) {
                (0, Some(("n", _))) => {} // the start-up packet's user counts
                (1, Some(("r", nonce))) if !nonce.is_empty() && nonce.bytes().all(|b| (0x21..=0x7e).contains(&b)) => {
                    client_nonce = Some(nonce)
                }
                (0, Some(("m", _))) => return Err(SqlError::unsupported("client requires a SCRAM extension, which")),
                (0 | 1, _) => return Err(malformed()),
                _ => {}
            }
        }
        let nonce = format!("{}{}", client_nonce.ok_or_else(malformed)?, BASE64.encode(server_nonce));
        let server_first = format!("r={nonce},s={},i={}", BASE64.encode(&verifier.salt), verifier.iterations);
        Ok(Exchange {
            verifier,
            gs2_header: format!("{flag},{authzid},"),
            client_first_bare: bare.to_owned(),
            server_first,
            nonce,
        })
    }

    /// The server's first message.
    pub fn challenge(&self) -> &str {
        &self.server_first
    }

    /// Takes the client's final message. `Ok(Some(..))` is the server's final message; `Ok(None)` means a wrong password.
    pub fn finish(self, client_final: &[u8]) -> Result<Option<String>> {
        let text = std::str::from_utf8(client_final).map_err(|_| malformed())?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or_else(malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|a| a.strip_prefix("c=")).ok_or_else(malformed)?;
        if BASE64.decode(binding).map_err(|_| malformed())? != self.gs2_header.as_bytes() {
            return Err(violation("unexpected SCRAM channel-binding attribute in client-final-message"));
        }
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).ok_or_else(malformed)?;
        if nonce != self.nonce {
            return Err(violation("invalid SCRAM response").detail("Nonce does not match."));
        }
        let proof: [u8; 32] = BASE64.decode(proof).ok().and_then(|p| p.try_into().ok()).ok_or_else(malformed)?;
        let message = format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let signature = sign(&self.verifier.stored_key, message.as_bytes());
        let mut client_key = [0u8; 32];
        for (k, (p, s)) in client_key.iter_mut().zip(proof.iter().zip(signature)) {
            *k = p ^ s;
        }
        // Equal time whatever differs.
        let difference = hash(&client_key)
            .iter()
            .zip(self.verifier.stored_key)
            .fold(0u8, |d, (a, b)| d | (a ^ b));
        if difference != 0 {
            return Ok(None);
        }
        Ok(Some(format!(
            "v={}",
            BASE64.encode(sign(&self.verifier.server_key, message.as_bytes()))
        )))
    }
}

fn malformed() -> SqlError {
    violation("malformed SCRAM message")
}

/// 28P01 in PostgreSQL's words, for a wrong password and for a role without one alike.
pub fn failed(user: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_PASSWORD,
        format!("password authentication failed for user \"{user}\""),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifier() -> Verifier {
        Verifier::parse(
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        )
        .unwrap()
    }

    fn answer(e: &Exchange, password_is_right: bool) -> String {
        // A client that knows the salted password of "pencil".
        let mut salted = [0u8; 32];
        let word: &[u8] = if password_is_right { b"pencil" } else { b"wrong" };
        ring::pbkdf2::derive(
            ring::pbkdf2::PBKDF2_HMAC_SHA256,
            std::num::NonZeroU32::new(4096).unwrap(),
            &e.verifier.salt,
            word,
            &mut salted,
        );
        let client_key = sign(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={}", e.nonce);
        let message = format!("{},{},{without_proof}", e.client_first_bare, e.server_first);
        let signature = sign(&hash(&client_key), message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        format!("{without_proof},p={}", BASE64.encode(proof))
    }

    #[test]
    fn the_right_password_is_answered_with_the_servers_signature() {
        let e = Exchange::start(verifier(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", [7; 18]).unwrap();
        let last = answer(&e, true);
        assert!(e.finish(last.as_bytes()).unwrap().unwrap().starts_with("v="));
    }

    #[test]
    fn a_wrong_password_is_told_apart_from_a_malformed_message() {
        let start = || Exchange::start(verifier(), b"n,,n=,r=abc", [7; 18]).unwrap();
        let e = start();
        let last = answer(&e, false);
        assert_eq!(e.finish(last.as_bytes()).unwrap(), None);
        for bad in ["", "c=biws", "c=biws,r=other,p=AAAA", "x,p=!", "c=eSws,r=abc,p="] {
            assert_eq!(
                start().finish(bad.as_bytes()).unwrap_err().code(),
                SqlState::PROTOCOL_VIOLATION,
                "{bad}"
            );
        }
        for bad in [
            "",
            "n",
            "n,,",
            "n,,n=u",
            "n,,r=abc,n=u",
            "p=tls-server-end-point,,n=,r=abc",
            "n,,n=,r=",
        ] {
            assert!(Exchange::start(verifier(), bad.as_bytes(), [0; 18]).is_err(), "{bad}");
        }
    }
}
