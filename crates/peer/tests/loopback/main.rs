//! Servers' transports in one process, over loopback.

#![allow(clippy::unwrap_used)] // a test that cannot go on should stop where it is

mod house;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use curia_consensus::{ClusterId, Incarnation, ServerId};
use curia_peer::certificates::Holder;
use curia_peer::{Address, Book, Hello, PeerTls, Purpose, RefusalCode, call};
use house::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

fn messages_travel_both_ways(tls: Option<PeerTls>) {
    let service = service();
    let (first, second) = pair(&service, tls);
    let long = append(1, 2, 5 << 20);
    first.transport.send(long.clone());
    first.transport.send(message(1, 2, 5));
    second.transport.send(message(2, 1, 6));
    wait("messages", || {
        second.guest.messages.lock().len() == 2 && first.guest.messages.lock().len() == 1
    });
    assert!(second.guest.messages.lock().contains(&long));
    assert_eq!(first.guest.messages.lock()[0], message(2, 1, 6));
    wait("a round trip", || first.transport.links()[0].round_trip.is_some());
    let link = &first.transport.links()[0];
    assert!(link.sent_bytes > 5 << 20 && link.feature_level == Some(1), "{link:?}");
    assert!(second.transport.links()[0].received_bytes > 5 << 20);
}

#[test]
fn messages_travel_both_ways_over_plain_connections() {
    messages_travel_both_ways(None);
}

#[test]
fn messages_travel_both_ways_under_tls() {
    messages_travel_both_ways(Some(tls(&authority(), &local_server())));
}

#[test]
fn addresses_spread_from_server_to_server() {
    let service = service();
    let (first, second) = pair(&service, None);
    let third = House::open(&service, member(3), 33, None, book(&[(2, &second.address)]));
    wait("everybody knows everybody", || {
        [&first, &second, &third]
            .iter()
            .all(|house| house.transport.book().iter().count() == 3)
    });
    wait("all connections", || first.reaches(3) && third.reaches(1));
    assert_eq!(first.guest.book.lock().clone(), first.transport.book());
}

#[test]
fn who_is_not_expected_is_answered_for_as_long_as_it_is_there() {
    let service = service();
    let (first, second) = pair(&service, None);
    first.transport.expect(vec![ServerId(1), ServerId(3)]);
    wait("the end of a connection", || !first.reaches(2));
    second.transport.send(message(2, 1, 5));
    wait("a message of a later configuration", || first.guest.messages.lock().len() == 1);
    wait("an answer", || {
        first.transport.send(message(1, 2, 6));
        !second.guest.messages.lock().is_empty()
    });
    drop(second);
    wait("its end", || first.transport.links().is_empty());
}

#[test]
fn a_server_that_comes_back_elsewhere_is_found_again() {
    let service = service();
    let (first, second) = pair(&service, None);
    drop(second);
    wait("the loss is noticed", || !first.reaches(2));
    let again = House::open(&service, member(2), 23, None, book(&[(1, &first.address)]));
    wait("a new connection", || first.reaches(2) && again.reaches(1));
    first.transport.send(message(1, 2, 5));
    wait("a message", || again.guest.messages.lock().len() == 1);
}

#[test]
fn requests_are_answered_for_servers_and_tools() {
    let service = service();
    let (first, second) = pair(&service, None);
    let fresh = House::open(&service, None, 5, None, Book::default());
    service.block_on(async {
        let tool = call(&first.address, None, &Hello::of_tool(), b"x", PATIENCE).await.unwrap();
        assert_eq!(tool, "?[x]");
        let server = second.transport.call(&first.address, b"y", PATIENCE).await.unwrap();
        assert_eq!(server, "2[y]");
        let long = vec![b'z'; 1 << 20];
        let answer = fresh.transport.call(&first.address, &long, PATIENCE).await.unwrap();
        assert_eq!(answer.len(), long.len() + 3);
        let uninitialised = call(&fresh.address, None, &Hello::of_tool(), b"x", PATIENCE).await.unwrap();
        assert_eq!(uninitialised, "?[x]");
    });
}

#[test]
fn a_session_is_bytes_in_both_directions() {
    let service = service();
    let (first, _second) = pair(&service, None);
    service.block_on(async {
        let mut session = first.transport.open_session(ServerId(2)).await.unwrap();
        session.write_all(&vec![9; 3 << 20]).await.unwrap();
        session.shutdown().await.unwrap();
        let mut answer = String::new();
        session.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, format!("[{}]", 3 << 20));
    });
}

fn refused(service: &Runtime, at: &House, tls: Option<&PeerTls>, hello: &Hello) -> (Option<RefusalCode>, String) {
    let error = service.block_on(call(&at.address, tls, hello, b"x", PATIENCE)).unwrap_err();
    (error.refused, error.why)
}

#[test]
fn who_may_not_come_is_told_why() {
    let service = service();
    let (first, _second) = pair(&service, None);
    let fresh = House::open(&service, None, 5, None, Book::default());
    let hello = |cluster, server, whom| Hello {
        purpose: Purpose::Messages,
        cluster: Some(ClusterId(cluster)),
        server: Some(ServerId(server)),
        incarnation: Incarnation(99),
        whom: Some(ServerId(whom)),
        ..Hello::of_tool()
    };
    let nobody = Hello {
        cluster: None,
        server: None,
        ..hello(77, 3, 1)
    };
    let cases = [
        (
            &first,
            hello(78, 3, 1),
            RefusalCode::Cluster,
            "of cluster 000000000000004d, not of 000000000000004e",
        ),
        (&first, hello(77, 1, 1), RefusalCode::Identity, "server 1 is running already"),
        (&first, hello(77, 3, 2), RefusalCode::NotMe, "this is server 1, not server 2"),
        (&first, nobody, RefusalCode::Cluster, "only servers of the cluster"),
        (&fresh, hello(77, 3, 1), RefusalCode::Cluster, "in no cluster yet"),
    ];
    for (at, hello, code, text) in cases {
        let (refused, why) = refused(&service, at, None, &hello);
        assert_eq!(refused, Some(code), "{why}");
        assert!(why.contains(text), "{why}");
    }
}

#[test]
fn of_two_runs_with_one_identity_the_first_stays() {
    let service = service();
    let (first, second) = pair(&service, None);
    let copy = House::open(&service, member(2), 23, None, book(&[(1, &first.address)]));
    let told = service.block_on(async { tokio::time::timeout(PATIENCE, copy.transport.misidentified()).await });
    assert!(told.unwrap().contains("server 2 is running already"));
    assert!(second.reaches(1), "the first is left alone");
}

#[test]
fn certificates_of_others_are_refused() {
    let service = service();
    let own = authority();
    let (first, _second) = pair(&service, Some(tls(&own, &local_server())));
    let strangers = tls(&authority(), &local_server());
    let (_, why) = refused(&service, &first, Some(&strangers), &Hello::of_tool());
    assert!(why.starts_with("TLS:"), "{why}");
    let (_, why) = refused(&service, &first, None, &Hello::of_tool());
    assert!(why.contains("TLS"), "plain connections are not taken: {why}");

    let client = tls(&own, &Holder::Client("admin".into()));
    assert!(!client.can_serve());
    let asked = service.block_on(call(&first.address, Some(&client), &Hello::of_tool(), b"x", PATIENCE));
    assert_eq!(asked.unwrap(), "?[x]");
    let pretender = Hello {
        cluster: Some(CLUSTER),
        server: Some(ServerId(3)),
        ..Hello::of_tool()
    };
    let (code, why) = refused(&service, &first, Some(&client), &pretender);
    assert_eq!(code, Some(RefusalCode::Certificate), "{why}");

    let elsewhere = tls(&own, &Holder::Server(vec!["elsewhere.example".into()]));
    let third = House::open(&service, member(3), 33, Some(elsewhere), Book::default());
    let (_, why) = refused(&service, &third, Some(&client), &Hello::of_tool());
    assert!(why.contains("certificate"), "the name must be the certificate's: {why}");
}

#[test]
fn garbage_at_the_peer_port_is_closed_and_the_others_go_on() {
    let service = service();
    let (first, second) = pair(&service, None);
    let garbage = [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 4_096],
        b"CURIANET\x01\0\x01\0\xff\xff\xff\xff\0\0\0\0",
    ];
    for garbage in garbage {
        let mut stream = TcpStream::connect(first.transport.local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.write_all(garbage);
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            // Reset, because bytes were left unread.
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
    assert!(second.reaches(1));
    second.transport.send(message(2, 1, 6));
    wait("a message", || first.guest.messages.lock().len() == 1);
}

#[test]
fn messages_to_a_peer_that_is_away_do_not_pile_up() {
    let service = service();
    let away = TcpListener::bind("127.0.0.1:0").unwrap(); // takes connections and says nothing
    let address: Address = away.local_addr().unwrap().to_string().parse().unwrap();
    let first = House::open(&service, member(1), 11, None, book(&[(2, &address)]));
    for id in 0..10_000 {
        first.transport.send(message(1, 2, id));
        first.transport.send(append(1, 2, 1_000));
    }
    let link = &first.transport.links()[0];
    assert!(link.waiting_bytes < 64 << 10, "{link:?}");
    assert!(link.dropped > 19_000, "{link:?}");
    let second = House::open_at(away, &service, member(2), 22, None, Book::default());
    wait("the latest of them", || {
        second.guest.messages.lock().contains(&message(1, 2, 9_999))
    });
}
