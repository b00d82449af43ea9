//! Clients at work on all servers at once: transfers and other deeds of the [`Bank`], sums of all balances, transactions over
//! [`Lists`]. They connect to whatever server comes next, give up on what takes too long, and write down what they were told.

use crate::bank::{Bank, connect, has_key};
use crate::dependencies::{Level, Micros, Transaction};
use crate::ledger::{Attempt, Said};
use crate::lists::{Connection, Form, Lists, Reading};
use crate::tpcc::{Desk, Outcome, Size};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{RwLock, RwLockWriteGuard};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

/// How long a client waits for a connection, and how long for a transaction.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long the one that only looks whether anybody commits waits.
const PROBE_PATIENCE: Duration = Duration::from_millis(500);
/// How soon a client that was refused tries another server.
const AGAIN: Duration = Duration::from_millis(20);
/// Of how many connections one only reads, where it may read: at any server.
const READERS: u32 = 3;
/// How often a client asks again what became of a transaction.
const QUESTIONS_MAX: u32 = 8;
/// Most transactions on one connection.
const TRANSACTIONS_A_CONNECTION: u32 = 40;

/// What the wholesale supplier has: little, so that its clients meet.
pub const SUPPLIER: Size = Size {
    warehouses: 2,
    customers: 30,
    items: 100,
};

/// What clients share.
#[derive(Debug)]
pub struct Load {
    /// Transfers, batches, tables.
    pub bank: Bank,
    /// Lists.
    pub lists: Lists,
    /// Registers.
    pub registers: Lists,
    /// Where servers take clients.
    pub places: Mutex<Vec<String>>,
    /// What they noted since it was taken last.
    pub notes: Mutex<Notes>,
    ids: AtomicI64,
    connections: AtomicU64,
    /// Clients hold it for reading while they work.
    turns: RwLock<()>,
    /// Clients are to let go of it.
    halting: AtomicBool,
}

/// What clients saw.
#[derive(Debug, Default)]
pub struct Notes {
    /// Of the bank.
    pub attempts: Vec<Attempt>,
    /// Over lists.
    pub lists: Vec<Transaction>,
    /// Over registers.
    pub registers: Vec<Transaction>,
    /// How many of the bank's were found to have committed by trying them again under their keys.
    pub found_out: u64,
    /// When each commit that was acknowledged was begun, and when it was answered.
    pub commits: Vec<(Micros, Micros)>,
    /// How many of them read away from the consul, as far as there was a way to.
    pub away: usize,
    /// Sums of all balances that were right.
    pub sums: u64,
    /// The supplier's transactions that committed.
    pub deals: u64,
    /// What each table's balances added up to at a commit, whoever asked, and how often it was asked.
    pub past: BTreeMap<u64, (Vec<i64>, u64)>,
    /// What must not be.
    pub wrong: Vec<String>,
}

impl Notes {
    /// What is past adds up, and is the same whenever and wherever it is asked for.
    fn take_past(&mut self, csn: u64, totals: Vec<i64>, opening: i64, connection: &Connection) {
        let (first, times) = self.past.entry(csn).or_insert_with(|| (totals.clone(), 0));
        *times += 1;
        if *first != totals || totals.iter().sum::<i64>() != opening {
            let text = format!("balances as of {csn} are {totals:?}, were {first:?} and must be {opening} in all: {connection:?}");
            self.wrong.push(text);
        }
    }
}

impl Load {
    /// Nobody works yet.
    pub fn new(bank: Bank) -> Load {
        let begun = Instant::now();
        let of = |form| Lists::of(form, Level::ALL.to_vec(), begun);
        Load {
            bank,
            lists: of(Form::List),
            registers: of(Form::Register),
            places: Mutex::default(),
            notes: Mutex::default(),
            ids: AtomicI64::new(1),
            connections: AtomicU64::new(1),
            turns: RwLock::new(()),
            halting: AtomicBool::new(false),
        }
    }

    /// Starts a client.
    pub fn employ(self: &Arc<Load>, number: i32, random: ChaCha12Rng) -> JoinHandle<()> {
        tokio::spawn(self.clone().work(number, random))
    }

    /// Starts a client that only finds out whether anybody commits, and gives up sooner than others.
    pub fn probe(self: &Arc<Load>) -> JoinHandle<()> {
        let load = self.clone();
        tokio::spawn(async move {
            for turn in 0.. {
                let _turn = load.turns.read().await;
                let place = {
                    let places = load.places.lock();
                    places.get(turn % places.len().max(1)).cloned()
                };
                let asked = load.lists.now();
                let pulse = async {
                    connect(&place?)
                        .await
                        .ok()?
                        .batch_execute("INSERT INTO pulse VALUES (0)")
                        .await
                        .ok()
                };
                if let Ok(Some(())) = tokio::time::timeout(PROBE_PATIENCE, pulse).await {
                    load.notes.lock().commits.push((asked, load.lists.now()));
                }
                tokio::time::sleep(AGAIN).await;
            }
        })
    }

    /// Waits until no client works, and keeps them from it as long as the guard lives.
    pub async fn halt(&self) -> RwLockWriteGuard<'_, ()> {
        self.halting.store(true, Ordering::Relaxed);
        let guard = self.turns.write().await;
        self.halting.store(false, Ordering::Relaxed);
        guard
    }

    /// Starts a client of the supplier's.
    pub fn trade(self: &Arc<Load>, number: i32, mut random: ChaCha12Rng) -> JoinHandle<()> {
        let load = self.clone();
        tokio::spawn(async move {
            loop {
                let _turn = load.turns.read().await;
                let place = load.somewhere(&mut random);
                let Ok(Ok(client)) = tokio::time::timeout(PATIENCE, connect(&place)).await else {
                    tokio::time::sleep(AGAIN).await;
                    continue;
                };
                let level = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"][random.random_range(0..3)];
                let mut desk = Desk::new(client, SUPPLIER, number, level);
                for _ in 0..random.random_range(1..=TRANSACTIONS_A_CONNECTION) {
                    // After an error nobody knows what the session has come to, or whether the transaction has committed.
                    let Ok(Ok((_, outcome))) = tokio::time::timeout(PATIENCE, desk.deal(&mut random)).await else {
                        break;
                    };
                    load.notes.lock().deals += u64::from(outcome == Outcome::Committed);
                    if load.halting.load(Ordering::Relaxed) {
                        break;
                    }
                }
            }
        })
    }

    fn somewhere(&self, random: &mut ChaCha12Rng) -> String {
        let places = self.places.lock();
        places[random.random_range(0..places.len())].clone()
    }

    async fn work(self: Arc<Load>, number: i32, mut random: ChaCha12Rng) {
        loop {
            let _turn = self.turns.read().await;
            let place = self.somewhere(&mut random);
            match tokio::time::timeout(PATIENCE, connect(&place)).await {
                Ok(Ok(mut client)) => {
                    let connection = Connection {
                        who: format!("client {number} at {place}"),
                        number: self.connections.fetch_add(1, Ordering::Relaxed),
                        reading: random.random_ratio(1, READERS).then(|| Reading::draw(&mut random)),
                    };
                    if let Some(reading) = connection.reading
                        && !matches!(
                            tokio::time::timeout(PATIENCE, client.batch_execute(&reading.set())).await,
                            Ok(Ok(()))
                        )
                    {
                        continue;
                    }
                    for _ in 0..random.random_range(1..=TRANSACTIONS_A_CONNECTION) {
                        let over = tokio::time::Instant::now() + PATIENCE;
                        self.one(&mut client, &connection, number, &mut random).await;
                        if client.is_closed() || self.halting.load(Ordering::Relaxed) || tokio::time::Instant::now() >= over {
                            break;
                        }
                    }
                }
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Tries a transaction again under its key until the client is told that it has committed.
    async fn find_out(&self, attempt: &mut Attempt, number: i32, random: &mut ChaCha12Rng) {
        for _ in 0..QUESTIONS_MAX {
            if self.halting.load(Ordering::Relaxed) {
                return;
            }
            let place = self.somewhere(random);
            match tokio::time::timeout(PATIENCE, connect(&place)).await {
                Ok(Ok(mut client)) => self.bank.again(&mut client, number, attempt, PATIENCE).await,
                _ => tokio::time::sleep(AGAIN).await,
            }
            if attempt.said == Said::Committed {
                self.notes.lock().found_out += 1;
                return;
            }
        }
    }

    /// One transaction, written down.
    async fn one(&self, client: &mut Client, connection: &Connection, number: i32, random: &mut ChaCha12Rng) {
        let asked = self.lists.now();
        // What is left over of a draw doesn't depend on how far this one comes.
        let mut own = ChaCha12Rng::seed_from_u64(random.random());
        let what = random.random_range(0..10);
        let csn = if own.random() { self.lists.token(&mut own) } else { 0 };
        let committed = match what {
            0..4 if connection.reading.is_none() => {
                let id = self.ids.fetch_add(1, Ordering::Relaxed);
                let mut attempt = self.bank.attempt(client, number, id, &mut own, PATIENCE).await;
                if attempt.said == Said::Nothing && has_key(id) {
                    self.find_out(&mut attempt, number, &mut own).await;
                }
                let said = attempt.said;
                self.notes.lock().attempts.push(attempt);
                said == Said::Committed
            }
            ..9 => {
                let in_registers = own.random_ratio(2, 5);
                let over = if in_registers { &self.registers } else { &self.lists };
                let transaction = over.attempt(client, connection, &mut own, PATIENCE).await;
                let committed = transaction.said == Said::Committed && transaction.csn.is_some();
                let mut notes = self.notes.lock();
                notes.away += usize::from(transaction.said == Said::Committed && connection.reading.is_some());
                let history = if in_registers { &mut notes.registers } else { &mut notes.lists };
                history.push(transaction);
                committed
            }
            _ if csn > 0 => {
                if let Ok(Ok(totals)) = tokio::time::timeout(PATIENCE, self.bank.past_totals(client, csn)).await {
                    self.notes.lock().take_past(csn, totals, self.bank.opening_total(), connection);
                }
                false
            }
            _ => {
                let sum = tokio::time::timeout(PATIENCE, self.bank.total(client)).await;
                let mut notes = self.notes.lock();
                match sum {
                    Ok(Ok(sum)) if sum == self.bank.opening_total() => notes.sums += 1,
                    Ok(Ok(sum)) => {
                        let opening = self.bank.opening_total();
                        let text = format!("at {asked} us all balances add up to {sum}, not to {opening}: {connection:?}");
                        notes.wrong.push(text);
                    }
                    _ => {}
                }
                false
            }
        };
        if committed {
            self.notes.lock().commits.push((asked, self.lists.now()));
        }
    }
}
