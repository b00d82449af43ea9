//! Ports for servers that are started soon, for demonstrations and tests.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what systems give by themselves to connections that go out (from 32768 on Linux): one of those could have taken
/// the port before the server starts.
const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// Ports of 127.0.0.1 that nobody listens on. Callers in one process get different ones, those in several most likely.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] when there are not so many.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id().wrapping_mul(61) % u32::from(COUNT);
    let mut free = Vec::with_capacity(count);
    while free.len() < count {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        if tried >= COUNT {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let port = FIRST + ((start + u32::from(tried)) % u32::from(COUNT)) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            free.push(port);
        }
    }
    Ok(free)
}
