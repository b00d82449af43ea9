//! The driver through its public door: what is acknowledged is there, whatever happens to the process and its disk.

mod harness;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use curia_consensus::ids::{Csn, GroupId};
use curia_driver::Driver;
use curia_storage::file::Crash;
use curia_txn::Replication;
use curia_types::SqlState;
use harness::*;

#[test]
fn a_commit_can_be_read_at_its_csn_and_not_before() {
    let mut place = Place::new();
    let driver = place.start();
    assert_eq!(put(&driver, 0, "a", "1"), Ok(Csn(1)));
    assert_eq!(put(&driver, 0, "a", "2"), Ok(Csn(2)));
    assert_eq!(driver.applied(), Csn(2));
    assert_eq!(get(&driver, "a").as_deref(), Some("2"));
    assert_eq!(
        driver.state().get(STORAGE, b"a", Csn(1)).expect("readable").as_deref(),
        Some(&b"1"[..])
    );
}

#[test]
fn a_clean_stop_leaves_nothing_to_replay() {
    let mut place = Place::new();
    let driver = place.start();
    put(&driver, 1, "a", "1").expect("committed");
    driver.shutdown().expect("stopped");
    assert_eq!(driver.state().flushed_csn().expect("readable").0, Csn(1));
    drop(driver);
    let driver = place.start();
    assert_eq!(get(&driver, "a").as_deref(), Some("1"));
    assert_eq!(put(&driver, 1, "b", "2"), Ok(Csn(2)));
}

#[test]
fn acknowledged_commits_survive_a_power_cut() {
    let mut place = Place::new();
    let driver = place.start();
    for n in 0..20 {
        let fragments = vec![fragment(0, &[(&format!("a{n}"), "1")]), fragment(2, &[(&format!("b{n}"), "2")])];
        wait(commit(&driver, fragments)).expect("committed");
    }
    place.kill(driver, Crash::LoseAll);
    let driver = place.start();
    assert_eq!(driver.applied(), Csn(20));
    for n in 0..20 {
        assert_eq!(get(&driver, &format!("a{n}")).as_deref(), Some("1"));
        assert_eq!(get(&driver, &format!("b{n}")).as_deref(), Some("2"));
    }
    assert_eq!(put(&driver, 0, "next", "x"), Ok(Csn(21)));
}

#[test]
fn requests_get_their_csns_in_the_order_in_which_they_were_handed_over() {
    let mut place = Place::new();
    let driver = place.start();
    let tickets: Vec<_> = (0..500).map(|n| commit(&driver, vec![fragment(n % 3, &[("k", "v")])])).collect();
    let csns: Vec<_> = tickets.into_iter().map(|ticket| wait(ticket).expect("committed").0).collect();
    assert_eq!(csns, (1..=500).collect::<Vec<_>>());
}

#[test]
fn concurrent_commits_share_syncs() {
    let mut place = Place::new();
    let driver = Arc::new(place.start());
    let before = place.files.syncs();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let driver = driver.clone();
            std::thread::spawn(move || {
                let tickets: Vec<_> = (0..100)
                    .map(|n| commit(&driver, vec![fragment(0, &[(&format!("{thread}.{n}"), "v")])]))
                    .collect();
                tickets
                    .into_iter()
                    .map(|ticket| wait(ticket).expect("committed").0)
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut csns: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
    csns.sort_unstable();
    assert_eq!(csns, (1..=800).collect::<Vec<_>>(), "gap-free, none twice");
    let syncs = place.files.syncs() - before;
    assert!(syncs < 400, "800 commits took {syncs} syncs");
}

#[test]
fn after_a_full_disk_writes_are_refused_reads_go_on_and_service_resumes() {
    let mut place = Place::new();
    place.segment_bytes = 64 << 10;
    let driver = place.start();
    put(&driver, 0, "before", "1").expect("committed");
    let taken = place
        .files
        .paths()
        .iter()
        .filter_map(|path| place.files.contents(path))
        .map(|bytes| bytes.len() as u64)
        .sum();
    place.files.limit_capacity(Some(taken));
    let row = "x".repeat(2000);
    let mut acknowledged = Vec::new();
    let refusal = (0..1000).find_map(|n| match put(&driver, 0, &format!("k{n}"), &row) {
        Ok(_) => {
            acknowledged.push(n);
            None
        }
        Err(error) => Some(error),
    });
    assert_eq!(refusal.expect("the disk fills up").code(), SqlState::DISK_FULL);
    let refused = acknowledged.len();
    assert_eq!(get(&driver, "before").as_deref(), Some("1"));
    assert_eq!(get(&driver, &format!("k{refused}")), None, "what was refused has not happened");
    assert_eq!(stage(&driver, 0, &[("s", &row)]).expect_err("no room").code(), SqlState::DISK_FULL);
    place.files.limit_capacity(None);
    let again = Instant::now();
    while put(&driver, 0, "after", "2").is_err() {
        assert!(again.elapsed() < Duration::from_secs(20), "service resumes when there is room");
        std::thread::yield_now();
    }
    place.kill(driver, Crash::LoseAll);
    let driver = place.start();
    for n in acknowledged {
        assert_eq!(get(&driver, &format!("k{n}")).as_deref(), Some(row.as_str()));
    }
    assert_eq!(get(&driver, &format!("k{refused}")), None);
    assert_eq!(get(&driver, "after").as_deref(), Some("2"));
}

#[test]
fn a_failed_sync_stops_the_driver_with_a_reason_and_acknowledges_nothing() {
    let mut place = Place::new();
    let driver = place.start();
    put(&driver, 0, "a", "1").expect("committed");
    place.files.fail_syncs(1);
    let error = put(&driver, 0, "b", "2").expect_err("not known to be durable");
    assert_eq!(error.code(), SqlState::TRANSACTION_RESOLUTION_UNKNOWN);
    let reason = wait(driver.failure()).to_string();
    assert!(reason.contains("sync"), "{reason}");
    assert_eq!(get(&driver, "a").as_deref(), Some("1"), "reads go on until the process ends");
    assert!(put(&driver, 0, "c", "3").is_err());
    assert!(driver.shutdown().is_err());
    place.kill(driver, Crash::LoseAll);
    let driver = place.start();
    assert_eq!(get(&driver, "a").as_deref(), Some("1"));
    assert_eq!(get(&driver, "c"), None);
}

#[test]
fn a_stopped_driver_refuses_with_57p01() {
    let mut place = Place::new();
    let driver = place.start();
    let tickets: Vec<_> = (0..50)
        .map(|n| commit(&driver, vec![fragment(0, &[(&format!("{n}"), "v")])]))
        .collect();
    driver.shutdown().expect("stopped");
    for ticket in tickets {
        wait(ticket).expect("what came before the stop is finished");
    }
    assert_eq!(put(&driver, 0, "late", "v").expect_err("stopped").code(), SqlState::ADMIN_SHUTDOWN);
    assert_eq!(driver.checkpoint().expect_err("stopped").code(), SqlState::ADMIN_SHUTDOWN);
}

#[test]
fn a_large_write_set_goes_ahead_in_stages_and_appears_as_a_whole() {
    let mut place = Place::new();
    place.options.unresolved_bytes_max = 100_000;
    place.options.apply_bytes_max = 50_000;
    place.options.replay_bytes_max = 10_000;
    let driver = place.start();
    let row = "x".repeat(500);
    let mut stages = Vec::new();
    for piece in 0..50 {
        let keys: Vec<_> = (0..20).map(|n| format!("{piece}.{n}")).collect();
        let rows: Vec<_> = keys.iter().map(|key| (key.as_str(), row.as_str())).collect();
        stages.push(stage(&driver, 1, &rows).expect("staged"));
    }
    put(&driver, 0, "meanwhile", "1").expect("committed");
    assert_eq!(get(&driver, "0.0"), None);
    let fragments = vec![
        fragment(0, &[("with", "2")]),
        staged(1, stages.clone(), &[("0.0", "last write wins")]),
    ];
    let csn = wait(commit(&driver, fragments)).expect("committed");
    assert_eq!(get(&driver, "0.0").as_deref(), Some("last write wins"));
    assert_eq!(driver.state().get(STORAGE, b"0.1", Csn(csn.0 - 1)).expect("readable"), None);
    place.kill(driver, Crash::LoseAll);
    let driver = place.start();
    assert_eq!(get(&driver, "with").as_deref(), Some("2"));
    assert_eq!(get(&driver, "0.0").as_deref(), Some("last write wins"));
    assert_eq!(get(&driver, "49.19").as_deref(), Some(row.as_str()));
    let late = commit(&driver, vec![staged(1, stages, &[("x", "y")])]);
    assert_eq!(wait(late).expect_err("their term is over").code(), SqlState::SERIALIZATION_FAILURE);
}

/// Catches: a large transaction that keeps everybody from the log until all of it is applied.
#[test]
fn the_log_takes_records_while_a_large_transaction_is_applied() {
    let mut place = Place::new();
    place.options.apply_bytes_max = 4 << 10;
    let driver = place.start();
    let row = "x".repeat(4 << 10);
    let pieces: Vec<_> = (0..400)
        .map(|n| stage(&driver, 1, &[(&format!("large {n}"), &row)]).expect("a piece is logged"))
        .collect();
    let large = commit(&driver, vec![staged(1, pieces, &[("end", "of it")])]);
    let later = commit(&driver, vec![fragment(2, &[("later", "row")])]);
    let mut logged = 0;
    while large.try_outcome().is_none() {
        stage(&driver, 0, &[("piece", "of another")]).expect("a piece is logged");
        logged += 1;
        if get(&driver, "later").is_some() {
            assert!(get(&driver, "end").is_some(), "what came later is seen after it only");
        }
    }
    assert!(logged > 10, "the log took {logged} records meanwhile");
    assert!(wait(later).is_ok());
    assert_eq!(get(&driver, "large 399").as_deref(), Some(row.as_str()));
    assert_eq!(get(&driver, "later").as_deref(), Some("row"));
}

#[test]
fn the_log_is_truncated_as_it_grows_and_what_it_held_is_in_the_state() {
    let mut place = Place::new();
    place.segment_bytes = 64 << 10;
    place.options.log_bytes_max = 256 << 10;
    let driver = place.start();
    let row = "x".repeat(1000);
    for n in 0..40 {
        let tickets: Vec<_> = (0..50)
            .map(|m| commit(&driver, vec![fragment(n % 3, &[(&format!("{n}.{m}"), &row)])]))
            .collect();
        for ticket in tickets {
            wait(ticket).expect("committed");
        }
    }
    let bytes = driver.status().log_bytes;
    assert!(bytes < 5 * (256 << 10), "2 MB were logged, {bytes} bytes are kept");
    place.kill(driver, Crash::LoseAll);
    let driver = place.start();
    for n in 0..40 {
        assert_eq!(get(&driver, &format!("{n}.49")).as_deref(), Some(row.as_str()));
    }
}

#[test]
fn whatever_may_be_written_at_once_a_transaction_is_applied() {
    let mut place = Place::new();
    place.options.apply_bytes_max = 1;
    let driver = place.start();
    wait(commit(&driver, vec![fragment(0, &[("a", "1")]), fragment(1, &[("b", "2")])])).expect("committed");
    assert_eq!((get(&driver, "a").as_deref(), get(&driver, "b").as_deref()), (Some("1"), Some("2")));
}

#[test]
fn stages_that_are_given_up_do_not_keep_the_log() {
    let mut place = Place::new();
    place.segment_bytes = 64 << 10;
    let driver = place.start();
    let row = "x".repeat(10_000);
    let stages: Vec<_> = (0..50).map(|_| stage(&driver, 1, &[("k", &row)]).expect("staged")).collect();
    driver.checkpoint().expect("it runs");
    let kept = driver.status().log_bytes;
    driver.discard(GroupId(1), stages);
    put(&driver, 0, "a", "1").expect("committed");
    assert!(driver.checkpoint().expect("it runs"));
    put(&driver, 0, "b", "1").expect("committed");
    driver.checkpoint().expect("it runs");
    let left = driver.status().log_bytes;
    assert!(left < kept / 2, "{left} bytes of {kept} are kept");
}

#[test]
fn stages_of_a_commit_that_is_refused_do_not_keep_the_log() {
    let mut place = Place::new();
    place.segment_bytes = 64 << 10;
    let driver = place.start();
    let row = "x".repeat(10_000);
    let stages: Vec<_> = (0..50).map(|_| stage(&driver, 1, &[("k", &row)]).expect("staged")).collect();
    let unknown_group = vec![staged(1, stages, &[]), fragment(9, &[("a", "b")])];
    wait(commit(&driver, unknown_group)).expect_err("there is no group 9");
    drop(driver.stage(GroupId(2), puts(&[("nobody waits for this", &row)])));
    let kept = driver.status().log_bytes;
    for key in ["a", "b"] {
        put(&driver, 0, key, "1").expect("committed");
        driver.checkpoint().expect("it runs");
    }
    let left = driver.status().log_bytes;
    assert!(left < kept / 2, "{left} bytes of {kept} are kept");
}

#[test]
fn who_waits_for_a_csn_is_woken_when_it_can_be_read() {
    let mut place = Place::new();
    let driver = Arc::new(place.start());
    let waiter = {
        let driver = driver.clone();
        std::thread::spawn(move || {
            wait(driver.wait_applied(Csn(3))).expect("reached");
            driver.applied()
        })
    };
    for n in 0..3 {
        put(&driver, n, "k", "v").expect("committed");
    }
    assert!(waiter.join().expect("no panic") >= Csn(3));
}

#[test]
fn damage_to_durable_records_is_refused_with_file_and_offset() {
    let mut place = Place::new();
    let driver = place.start();
    for n in 0..10 {
        put(&driver, 0, &format!("{n}"), "some row").expect("committed");
    }
    place.kill(driver, Crash::LoseAll);
    let path = place
        .files
        .paths()
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "log"))
        .expect("a segment");
    let bytes = place.files.contents(&path).expect("it has bytes");
    let at = bytes
        .windows(8)
        .position(|window| window == b"some row")
        .expect("the first row is in the log");
    assert!(place.files.rot(&path, at as u64, 1));
    let error = place.try_start().err().expect("damage that nobody can repair").to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("offset"), "{error}");
}

/// Commits from several threads until told to stop; gives what was acknowledged, and the first that was not.
fn load(driver: &Arc<Driver>, thread: u64, stop: &Arc<AtomicBool>, round: u64) -> std::thread::JoinHandle<(u64, u64)> {
    let (driver, stop) = (driver.clone(), stop.clone());
    std::thread::spawn(move || {
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) {
            let (key, row) = (format!("{round}.{thread}.{n}"), format!("{n}"));
            let fragments = (0..3)
                .filter(|group| (n >> group) & 1 == 0 || *group == 0)
                .map(|group| fragment(group, &[(&format!("{key}.{group}"), row.as_str())]));
            if wait(commit(&driver, fragments.collect())).is_err() {
                break;
            }
            n += 1;
        }
        (thread, n)
    })
}

#[test]
fn killed_at_random_under_load_every_acknowledged_commit_is_there_and_none_is_half_there() {
    let mut place = Place::new();
    place.segment_bytes = 64 << 10;
    place.options.log_bytes_max = 200 << 10;
    let mut acknowledged = 0;
    for round in 0..15 {
        let driver = Arc::new(place.start());
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..4).map(|thread| load(&driver, thread, &stop, round)).collect();
        let target = driver.applied().0 + 5 + round * 13;
        while driver.applied().0 < target {
            std::thread::yield_now();
        }
        place.files.crash(Crash::Seeded(round));
        stop.store(true, Ordering::Relaxed);
        let counts: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        drop(driver);
        let driver = place.start();
        for (thread, count) in counts {
            acknowledged += count;
            for n in 0..=count {
                let rows: Vec<_> = (0..3)
                    .filter(|group| (n >> group) & 1 == 0 || *group == 0)
                    .map(|group| get(&driver, &format!("{round}.{thread}.{n}.{group}")))
                    .collect();
                let there = rows.iter().all(|row| row.as_deref() == Some(n.to_string().as_str()));
                let absent = rows.iter().all(Option::is_none);
                assert!(there || absent, "round {round}: {thread}.{n} is half there: {rows:?}");
                assert!(there || n == count, "round {round}: {thread}.{n} was acknowledged and is gone");
            }
        }
        drop(driver);
    }
    assert!(acknowledged > 200, "{acknowledged} commits were acknowledged");
}
