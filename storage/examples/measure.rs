//! What storage costs per operation: run with `cargo run --release -p curia-storage --example measure [FOLDER]`.
//!
//! Times are of the measuring thread on a processor; flushes, compactions and waiting for the disk are not in them, except for the
//! log, whose append is measured on the wall.
//!
//! Loads a million rows of pgbench's accounts as COPY would, updates some as TPC-B would, then reads by key and in whole.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use curia_consensus::{Base, Csn, Entry, GroupId, Index, LogId, Payload, Record, Term, Timestamp, Write};
use curia_storage::fragment::FragmentWriter;
use curia_storage::log::{LogOptions, LogStore};
use curia_storage::row::{ColumnRef, RowLayout};
use curia_storage::state::{ApplyBatch, Direction, KeyRange, StateOptions};
use curia_storage::{StateStore, file::RealFiles, key};
use curia_types::arrow_map::ColumnBuilder;
use curia_types::{Datum, PgType};

const ROWS: i32 = 1_000_000;
const TABLE: u32 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args()
        .nth(1)
        .map_or_else(|| std::env::temp_dir().join("curia-measure"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let state = StateStore::open(&folder.join("state"), &StateOptions::default())?;
    let types = [
        PgType::INT4,
        PgType::INT4,
        PgType::INT4,
        PgType::with_typmod(PgType::BPCHAR.oid, 88),
    ];
    let layout = RowLayout::new(&types, Vec::new());
    let filler = Datum::text(" ".repeat(84));
    let row_of = |aid: i32, balance: i32| [Datum::Int4(aid), Datum::Int4(1), Datum::Int4(balance), filler.clone()];

    let begun = Clock::now();
    let (mut fragment, mut csn) = (FragmentWriter::new(), 0);
    let (mut key_bytes, mut row_bytes) = (Vec::new(), Vec::new());
    for aid in 1..=ROWS {
        key_bytes.clear();
        row_bytes.clear();
        key::encode(&Datum::Int4(aid), PgType::INT4, false, false, &mut key_bytes)?;
        layout.encode(&row_of(aid, 0), &mut row_bytes)?;
        fragment.put(TABLE, &key_bytes, &row_bytes)?;
        if aid % 8_192 == 0 || aid == ROWS {
            csn += 1;
            apply(&state, csn, &std::mem::take(&mut fragment).finish())?;
        }
    }
    report("load", begun.elapsed(), ROWS);

    let begun = Clock::now();
    let mut random = 1u64;
    let mut next = move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as i32 % ROWS + 1
    };
    for _ in 0..100_000 {
        csn += 1;
        let aid = next();
        key_bytes.clear();
        row_bytes.clear();
        key::encode(&Datum::Int4(aid), PgType::INT4, false, false, &mut key_bytes)?;
        layout.encode(&row_of(aid, csn as i32), &mut row_bytes)?;
        fragment.put(TABLE, &key_bytes, &row_bytes)?;
        apply(&state, csn, &std::mem::take(&mut fragment).finish())?;
    }
    report("update, one row a batch", begun.elapsed(), 100_000);

    for name in ["read by key, cold", "read by key"] {
        let begun = Clock::now();
        for _ in 0..300_000 {
            key_bytes.clear();
            key::encode(&Datum::Int4(next()), PgType::INT4, false, false, &mut key_bytes)?;
            black_box(state.read(TABLE, &key_bytes, Csn(csn), |row| {
                layout.column(row, 2).map(|c| c == Some(ColumnRef::Null))
            })?);
        }
        report(name, begun.elapsed(), 300_000);
    }

    for direction in [Direction::Forward, Direction::Backward] {
        let begun = Clock::now();
        let mut scan = state.scan(TABLE, &KeyRange::all(), Csn(csn), direction);
        let (mut rows, mut sum) = (0, 0i64);
        while let Some((_, row)) = scan.next()? {
            if let Some(ColumnRef::Int4(balance)) = layout.column(row, 2)? {
                sum += i64::from(balance);
            }
            rows += 1;
        }
        black_box(sum);
        report(&format!("scan {direction:?}, one column"), begun.elapsed(), rows);
    }

    let begun = Clock::now();
    let mut scan = state.scan(TABLE, &KeyRange::all(), Csn(csn), Direction::Forward);
    let mut builders: Vec<ColumnBuilder> = types.iter().map(|ty| ColumnBuilder::new(*ty, 8_192)).collect();
    let mut rows = 0;
    while let Some((_, row)) = scan.next()? {
        layout.append_columns(row, &[0, 1, 2, 3], &mut builders)?;
        rows += 1;
        if rows % 8_192 == 0 {
            builders.iter_mut().for_each(|builder| drop(black_box(builder.finish())));
        }
    }
    report("scan into Arrow, four columns", begun.elapsed(), rows);

    let begun = Instant::now();
    state.flush()?;
    println!("{:<40} {:>10.1} ms", "flush", begun.elapsed().as_secs_f64() * 1e3);
    println!("{:?}", state.sizes());

    let (mut log, _) = LogStore::open(Arc::new(RealFiles), &folder.join("log"), LogOptions::new(1))?;
    let payload = Bytes::from(vec![7; 400]);
    let begun = Instant::now();
    for index in 1..=5_000 {
        let record = Record::Stage(Payload::Held(payload.clone()));
        let entry = Entry {
            index: Index(index),
            term: Term(1),
            record,
        };
        log.append(
            None,
            &[Write::Append {
                log: LogId::Group(GroupId(0)),
                entry,
            }],
        )?;
    }
    report("log append with sync, 400 bytes", begun.elapsed(), 5_000);
    Ok(())
}

/// Time that this thread ran, so that a busy machine measures the same.
struct Clock(Duration);

impl Clock {
    fn now() -> Clock {
        // "run ns, wait ns, time slices"; Linux only, like the rest.
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        Clock(Duration::from_nanos(
            text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0),
        ))
    }

    fn elapsed(&self) -> Duration {
        Clock::now().0.saturating_sub(self.0)
    }
}

fn apply(state: &StateStore, csn: u64, payload: &[u8]) -> curia_storage::Result<()> {
    let mut batch = ApplyBatch::new();
    batch.fragment(GroupId(0), Csn(csn), payload)?;
    let position = Base {
        index: Index(csn),
        ..Base::default()
    };
    batch.applied(GroupId(0), position);
    batch.committed(Csn(csn), Timestamp(csn));
    state.apply(batch)
}

fn report(what: &str, elapsed: Duration, count: i32) {
    println!(
        "{what:<40} {:>10.3} us each {:>12.0} a second",
        elapsed.as_secs_f64() * 1e6 / f64::from(count),
        f64::from(count) / elapsed.as_secs_f64()
    );
}
