//! What other machines may send and operators may ask for by mistake: refused with one clear line.

use crate::cluster::{Cluster, free_addresses, said};
use crate::house::{PATIENCE, run, start};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Sends bytes to the peer port; what comes back until the connection ends.
fn answer(peer: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(peer).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut back = Vec::new();
    let _ = stream.read_to_end(&mut back); // it may be reset
    String::from_utf8_lossy(&back).into_owned()
}

#[test]
fn nonsense_at_the_peer_port_is_refused_in_words_and_logged() {
    let cluster = Cluster::of(1, &[]);
    let _servers = cluster.form();
    cluster.consul(&[0]);
    let peer = &cluster.peers[0];
    let foreign = answer(peer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(foreign.is_empty() || foreign.contains("doesn't speak the protocol"), "{foreign}");
    // A hello of versions 9 to 11, whose rest this program doesn't know.
    let mut hello = b"CURIANET\x09\0\x0b\0\x04\0\0\0\x10\xec\x31\x54rest".to_vec();
    let version = answer(peer, &hello);
    assert!(version.contains("speaks versions 9 to 11"), "{version}");
    hello[17] ^= 1;
    answer(peer, &hello);
    let from = Instant::now();
    for line in [
        "doesn't speak the protocol of Curia's servers",
        "speaks versions 9 to 11",
        "handshake is damaged",
    ] {
        while !cluster.logs().contains(line) {
            assert!(from.elapsed() < PATIENCE, "{line}: {}", cluster.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert_eq!(cluster.consul(&[0]), 0, "it goes on");
}

#[test]
fn changes_that_nobody_could_live_with_are_refused() {
    let mut cluster = Cluster::of(2, &[]);
    cluster.launches[1].arguments.extend(["--roles", "log"].map(str::to_owned));
    let mut servers = cluster.form();
    cluster.consul(&[0]);
    let only = crate::operations::number(&cluster, 0);
    let refused = |arguments: &[&str], says: &str| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(9), "{arguments:?}");
        assert!(said(&output).contains(says), "{arguments:?}: {}", said(&output));
    };
    let host = cluster.peers[0].as_str();
    refused(&["server", "remove", &only, "--host", host], "no server could become consul");
    refused(
        &["server", "drain", &only, "--host", host],
        "no other server is there that could become consul",
    );
    refused(&["server", "replace", &only, "127.0.0.1:1", "--host", host], "stores logs");
    refused(&["transfer", "9", "--host", host], "9");
    drop(servers.pop());
    let peer = free_addresses(1).remove(0);
    crate::operations::wait_for(&["status", "--host", host], "knows no consul");
    refused(&["server", "add", &peer, "--host", host], "it needs a majority of its servers");

    let mut scribes = Cluster::of(2, &["--roles", "log"]);
    let _waiting: Vec<_> = scribes.launches.iter().map(start).collect();
    refused(&["init", "--host", &scribes.peers[0]], "some run the state");
    scribes.launches.clear();
}
