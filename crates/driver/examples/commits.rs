//! What commits cost, and what they wait: run with `cargo run --release -p curia-driver --example commits [FOLDER]`.
//!
//! Clients on current-thread runtimes, as sessions are, commit one row each, one after the other: alone, and while a
//! transaction of a million rows is staged, committed and applied.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use curia_consensus::ids::{GroupId, Incarnation};
use curia_driver::{Driver, DriverOptions};
use curia_storage::StateStore;
use curia_storage::file::RealFiles;
use curia_storage::fragment::FragmentWriter;
use curia_storage::log::{LogOptions, LogStore};
use curia_storage::state::StateOptions;
use curia_txn::{FragmentWrites, Replication, WriteSet};
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

const TABLE: u32 = 100;
const LARGE: u32 = 101;
const RUNTIMES: usize = 2;
const ROWS: u64 = 1_000_000;
const ALONE: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let folder = std::env::args()
        .nth(1)
        .map_or_else(|| std::env::temp_dir().join("curia-commits"), PathBuf::from);
    std::fs::create_dir_all(folder.join("log"))?;
    metrics::set_global_recorder(Sums).map_err(|e| e.to_string())?;
    let (log, recovery) = LogStore::open(Arc::new(RealFiles), &folder.join("log"), LogOptions::new(1))?;
    let state = Arc::new(StateStore::open(&folder.join("state"), &StateOptions::default())?);
    let driver = Arc::new(Driver::start(DriverOptions::default(), Incarnation(1), log, recovery, state)?);
    for clients in [1, 16, 64, 256] {
        let load = Load::start(&driver, clients);
        std::thread::sleep(ALONE);
        load.stop(&format!("{clients} clients"))?;
    }
    let load = Load::start(&driver, 16);
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stages = runtime.block_on(stage_large(&driver))?;
    println!("a million rows staged in {:.2} s", begun.elapsed().as_secs_f64());
    load.stop("16 clients meanwhile")?;
    let load = Load::start(&driver, 16);
    let begun = Instant::now();
    runtime.block_on(driver.commit(WriteSet {
        begun: None,
        after: Vec::new(),
        fragments: vec![FragmentWrites {
            group: GroupId(1),
            stages,
            payload: Bytes::from(FragmentWriter::new().finish()),
        }],
    }))?;
    println!("and committed in {:.2} s", begun.elapsed().as_secs_f64());
    load.stop("16 clients meanwhile")?;
    driver.shutdown().map_err(|e| e.to_string())?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

async fn stage_large(driver: &Arc<Driver>) -> Result<Vec<curia_txn::StageRef>, Failure> {
    let mut stages = Vec::new();
    let mut writer = FragmentWriter::new();
    for id in 0..ROWS {
        writer.put(LARGE, &id.to_be_bytes(), &[1; 100])?;
        if writer.len() > 2 << 20 || id + 1 == ROWS {
            let payload = Bytes::from(std::mem::take(&mut writer).finish());
            stages.push(driver.stage(GroupId(1), payload).await?);
        }
    }
    Ok(stages)
}

/// Adds up the driver's own measures, by name.
struct Sums;

static SUMS: Mutex<BTreeMap<String, (f64, u64)>> = Mutex::new(BTreeMap::new());

struct Sum(String);

impl HistogramFn for Sum {
    fn record(&self, value: f64) {
        if let Ok(mut sums) = SUMS.lock() {
            let (sum, count) = sums.entry(self.0.clone()).or_default();
            *sum += value;
            *count += 1;
        }
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Sum(key.name().to_owned())))
    }
}

/// What the driver's steps took since the last call, in parts of the time that passed.
fn steps(elapsed: f64) {
    let Ok(mut sums) = SUMS.lock() else { return };
    for (name, (sum, count)) in std::mem::take(&mut *sums) {
        if name.ends_with("_seconds") {
            let micros = sum * 1e6 / count as f64;
            println!(
                "    {name}: {:.1} % of the time, {micros:.1} microseconds each",
                sum * 100.0 / elapsed
            );
        }
    }
}

struct Load {
    stop: Arc<AtomicBool>,
    begun: Instant,
    threads: Vec<std::thread::JoinHandle<Result<Vec<u64>, Failure>>>,
}

impl Load {
    fn start(driver: &Arc<Driver>, clients: usize) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let keys = Arc::new(AtomicU64::new(0));
        let threads = (0..RUNTIMES.min(clients))
            .map(|_| {
                let (driver, stop, keys) = (driver.clone(), stop.clone(), keys.clone());
                let clients = (clients / RUNTIMES).max(1);
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                    let local = tokio::task::LocalSet::new();
                    local.block_on(&runtime, async {
                        let clients: Vec<_> = (0..clients)
                            .map(|_| tokio::task::spawn_local(client(driver.clone(), stop.clone(), keys.clone())))
                            .collect();
                        let mut micros = Vec::new();
                        for client in clients {
                            micros.extend(client.await??);
                        }
                        Ok(micros)
                    })
                })
            })
            .collect();
        Load {
            stop,
            begun: Instant::now(),
            threads,
        }
    }

    fn stop(self, what: &str) -> Result<(), Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let elapsed = self.begun.elapsed().as_secs_f64();
        let mut micros = Vec::new();
        for thread in self.threads {
            micros.extend(thread.join().map_err(|_| "a client panicked")??);
        }
        micros.sort_unstable();
        let at = |part: f64| {
            micros
                .get((micros.len() as f64 * part) as usize)
                .or(micros.last())
                .copied()
                .unwrap_or(0)
        };
        println!(
            "{what}: {:.0} commits/s, microseconds: median {}, 99 % {}, longest {}",
            micros.len() as f64 / elapsed,
            at(0.5),
            at(0.99),
            at(1.0)
        );
        steps(elapsed);
        Ok(())
    }
}

async fn client(driver: Arc<Driver>, stop: Arc<AtomicBool>, keys: Arc<AtomicU64>) -> Result<Vec<u64>, Failure> {
    let mut micros = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let key = keys.fetch_add(1, Ordering::Relaxed) % 100_000;
        let mut writer = FragmentWriter::new();
        writer.put(TABLE, &key.to_be_bytes(), &[1; 100])?;
        let begun = Instant::now();
        let fragment = FragmentWrites {
            group: GroupId((key % 8) as u32),
            stages: Vec::new(),
            payload: Bytes::from(writer.finish()),
        };
        driver
            .commit(WriteSet {
                begun: None,
                after: Vec::new(),
                fragments: vec![fragment],
            })
            .await?;
        micros.push(begun.elapsed().as_micros() as u64);
    }
    Ok(micros)
}
