//! What may be answered: on the consul what it can prove, elsewhere what is as fresh as was asked for.

mod harness;

use std::sync::atomic::Ordering;
use std::time::Duration;

use curia_consensus::ids::{Csn, GroupId, Term};
use curia_consensus::{ReadLevel, Roles};
use curia_txn::{ProofTicket, Replication};
use curia_types::SqlState;
use harness::cluster::*;
use harness::*;

/// The outcome of a question, which is settled already where there is nothing to ask.
fn proof(asked: Option<ProofTicket>) -> curia_types::Result<()> {
    asked.map_or(Ok(()), wait)
}

#[test]
fn a_server_that_is_alone_asks_nobody() {
    let mut place = Place::new();
    let driver = place.start();
    assert!(driver.is_alone());
    assert!(driver.prove_office(driver.office()).is_none());
    wait(driver.reach(ReadLevel::Strict)).expect("it is the consul");
    let earlier = driver
        .prove_office(Term(driver.office().0 + 1))
        .expect("that is no term of this server");
    assert_eq!(wait(earlier).expect_err("not its term").code(), SqlState::SERIALIZATION_FAILURE);
}

#[test]
fn a_consul_that_is_cut_off_answers_nothing_that_is_old() {
    let cluster = Cluster::three();
    let old = cluster.consul();
    cluster.put(0, "k", "1");
    let term = cluster.term(old);
    proof(cluster.driver(old).prove_office(term)).expect("it is in office");
    cluster.cut_off(&[old]);
    // The office isn't lost yet, as far as this server knows; its state is not new any more, as far as anybody knows.
    let asked: Vec<_> = (0..20).map(|_| cluster.driver(old).prove_office(term)).collect();
    let new = cluster.consul_after(term);
    let csn = wait(commit(cluster.driver(new), vec![row_of(0, "k", "2")])).expect("committed");
    for asked in asked {
        let error = proof(asked).expect_err("nobody can confirm it");
        assert_eq!(error.code(), SqlState::SERIALIZATION_FAILURE);
    }
    cluster.heal();
    cluster.agree_at(csn);
    // Back in office it still can't vouch for what was read in the term before.
    wait(cluster.driver(new).transfer(curia_consensus::ids::ServerId(old)))
        .expect("it runs")
        .expect("it begins");
    eventually("the old consul serves again", || cluster.driver(old).office() > term);
    assert!(proof(cluster.driver(old).prove_office(term)).is_err());
    proof(cluster.driver(old).prove_office(cluster.driver(old).office())).expect("it is in office");
}

#[test]
fn those_who_ask_at_the_same_time_share_a_round() {
    let cluster = Cluster::three();
    let consul = cluster.driver(cluster.consul());
    let term = consul.office();
    let before = cluster.network.messages.load(Ordering::Relaxed);
    let asked: Vec<_> = (0..5_000).map(|_| consul.prove_office(term)).collect();
    for asked in asked {
        proof(asked).expect("it is in office");
    }
    let messages = cluster.network.messages.load(Ordering::Relaxed) - before;
    assert!(messages < 2_000, "5000 questions took {messages} messages");
}

#[test]
fn a_lease_is_over_before_another_server_serves() {
    let roles = [Roles::BOTH; 3];
    let cluster = Cluster::of(&roles, |place| place.options.lease_drift_percent = Some(20));
    let old = cluster.consul();
    let term = cluster.term(old);
    eventually("a lease holds", || cluster.driver(old).prove_office(term).is_none());
    cluster.cut_off(&[old]);
    let others: Vec<_> = (1..=3).filter(|server| *server != old).collect();
    let serves = |server: &u64| cluster.driver(*server).office() > term;
    eventually("another one serves", || {
        let sure = cluster.driver(old).prove_office(term).is_none(); // asked first: what holds afterwards holds then
        let other = others.iter().any(serves);
        assert!(!(sure && other), "two servers may answer");
        other
    });
    assert!(proof(cluster.driver(old).prove_office(term)).is_err());
}

#[test]
fn a_strict_read_elsewhere_sees_what_was_acknowledged_before_it() {
    let cluster = Cluster::three();
    let consul = cluster.consul();
    let other = cluster.driver(consul % 3 + 1);
    for n in 0..100 {
        let csn = cluster.put(n % 3, "k", &n.to_string());
        wait(other.reach(ReadLevel::Strict)).expect("the consul confirms");
        assert!(other.applied() >= csn, "{} after {csn} was acknowledged", other.applied());
        assert_eq!(get_of(other, n % 3, "k").as_deref(), Some(n.to_string().as_str()));
    }
}

#[test]
fn a_server_that_is_cut_off_answers_bounded_reads_for_that_long_only() {
    let cluster = Cluster::three();
    let consul = cluster.consul();
    let other = consul % 3 + 1;
    let csn = cluster.put(0, "k", "1");
    let bounded = |age| wait(cluster.driver(other).reach(ReadLevel::Bounded(age)));
    bounded(Duration::from_secs(60)).expect("it asks");
    assert!(cluster.driver(other).applied() >= csn);
    cluster.cut_off(&[other]);
    bounded(Duration::from_secs(60)).expect("the answer is young enough");
    let error = bounded(Duration::from_nanos(1)).expect_err("nobody answers");
    assert_eq!(error.code(), SqlState::SERIALIZATION_FAILURE);
    wait(cluster.driver(other).reach(ReadLevel::Session(csn))).expect("it has that");
}

#[test]
fn a_time_means_the_same_commit_on_every_server() {
    let mut cluster = Cluster::three();
    let away = cluster.consul() % 3 + 1;
    cluster.kill(away);
    for n in 0..200 {
        cluster.put(n % 3, &format!("k{n}"), "v");
    }
    cluster.start(away); // it gets all of that at once
    let last = cluster.put(0, "last", "v");
    cluster.agree_at(last);
    let stamps = |server: u64| {
        let state = cluster.driver(server).state();
        let stamp = |csn| state.commit_timestamp(Csn(csn)).expect("readable").expect("kept");
        (1..=last.0).map(stamp).collect::<Vec<_>>()
    };
    assert_eq!(stamps(1), stamps(2));
    assert_eq!(stamps(2), stamps(3));
    for (csn, time) in stamps(away) {
        let found = cluster.driver(away).state().csn_at(time).expect("readable").expect("kept");
        assert!(found >= csn, "{csn} is not in the state as of its own commit");
    }
    assert_eq!(
        cluster.driver(away).state().digest(GroupId(0), Csn(150)).unwrap(),
        cluster.driver(1).state().digest(GroupId(0), Csn(150)).unwrap()
    );
}
