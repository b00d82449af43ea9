//! The list workload: transactions that append unique numbers to lists and read lists, for [`crate::dependencies`].
//!
//! Lists are rows of `lists_N`. Each isolation level has lists of its own. A few lists are in use at a time; after so many appends
//! the oldest gives way to a new one, so that lists stay short and contended. The same with registers, which keep the last number only:
//! [`crate::registers`].

use crate::bank::said;
use crate::dependencies::{Level, Micros, Step, Transaction};
use crate::ledger::Said;
use crate::registers::{self, Versions};
use rand::{Rng, RngExt};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// Tables that lists are in.
const TABLES: i64 = 4;
/// Lists in use at a time, of one level.
const IN_USE: i64 = 6;
/// Every so many appends a new list replaces the oldest.
const APPENDS_A_LIST: i64 = 30;
/// Most statements of a transaction.
const STEPS_MAX: usize = 4;
/// Keys of one level.
const LEVEL_KEYS: i64 = 1_000_000_000;

/// How far away from the consul a connection reads: what `curia.read` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Everything answered before.
    Strict,
    /// Everything answered longer than this before.
    Bounded(Duration),
    /// What the connection has seen, or is told of.
    Session,
}

impl Reading {
    /// One of them.
    pub fn draw(random: &mut impl Rng) -> Reading {
        match random.random_range(0..3) {
            0 => Reading::Strict,
            1 => Reading::Bounded(Duration::from_secs(random.random_range(1..=3))),
            _ => Reading::Session,
        }
    }

    /// As a statement.
    pub fn set(self) -> String {
        match self {
            Reading::Strict => "SET curia.read = 'strict'".to_owned(),
            Reading::Bounded(age) => format!("SET curia.read = 'bounded {}s'", age.as_secs()),
            Reading::Session => "SET curia.read = 'session'".to_owned(),
        }
    }
}

/// A connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Whose, and where to.
    pub who: String,
    /// Different from all others.
    pub number: u64,
    /// It only reads, so.
    pub reading: Option<Reading>,
}

/// What stands at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All numbers that were written.
    List,
    /// The last one.
    Register,
}

/// See the module's page.
#[derive(Debug)]
pub struct Lists {
    form: Form,
    levels: Vec<Level>,
    /// What writes to registers were answered.
    versions: Versions,
    begun: Instant,
    /// Appends so far; each has the number that it appends.
    appends: [AtomicI64; 3],
    /// The number of a commit of each level that was acknowledged lately.
    tokens: [AtomicU64; 3],
}

impl Lists {
    /// None yet. Times are from `begun`.
    pub fn of(form: Form, levels: Vec<Level>, begun: Instant) -> Lists {
        Lists {
            form,
            levels,
            versions: Versions::default(),
            begun,
            appends: Default::default(),
            tokens: Default::default(),
        }
    }

    /// Creates the tables.
    ///
    /// # Errors
    /// Any SQL error.
    pub async fn open(&self, client: &Client) -> Result<(), Error> {
        let create = |table| match self.form {
            Form::List => format!("CREATE TABLE IF NOT EXISTS lists_{table} (key bigint PRIMARY KEY, elements text NOT NULL);"),
            Form::Register => registers::create(table),
        };
        client.batch_execute(&(0..TABLES).map(create).collect::<String>()).await
    }

    /// The transactions as [`crate::dependencies`] takes them, and what is wrong with them already. Reads of registers become the lists of all
    /// that had been written.
    pub fn unfold(&self, transactions: Vec<Transaction>) -> (Vec<Transaction>, Vec<String>) {
        match self.form {
            Form::List => (transactions, Vec::new()),
            Form::Register => self.versions.unfold(transactions),
        }
    }

    /// Time since the beginning.
    pub fn now(&self) -> Micros {
        self.begun.elapsed().as_micros() as Micros
    }

    /// The number of a commit that was acknowledged lately; zero for none.
    pub fn token(&self, random: &mut impl Rng) -> u64 {
        self.tokens[random.random_range(0..self.tokens.len())].load(Ordering::Relaxed)
    }

    /// From now on new lists are used only.
    pub fn turn_over(&self) {
        for appends in &self.appends {
            appends.fetch_add(IN_USE * APPENDS_A_LIST, Ordering::Relaxed);
        }
        self.versions.forget();
    }

    /// Runs one transaction, for `patience` at most; a client that gave up must not be used again.
    pub async fn attempt(&self, client: &Client, connection: &Connection, random: &mut impl Rng, patience: Duration) -> Transaction {
        let level = self.levels[random.random_range(0..self.levels.len())];
        let number = level as usize;
        let steps = if random.random_ratio(1, 4) {
            1
        } else {
            random.random_range(2..=STEPS_MAX)
        };
        let only_reads = connection.reading.is_some();
        let plan: Vec<Step> = (0..steps).map(|_| self.choose(number, only_reads, random)).collect();
        let token = self.tokens[number].load(Ordering::Relaxed);
        let told = connection.reading == Some(Reading::Session) && token > 0 && random.random_ratio(1, 2);
        let mut transaction = Transaction {
            who: format!("{} {:?}", connection.who, connection.reading),
            level,
            asked: match connection.reading {
                None | Some(Reading::Strict) => self.now(),
                Some(Reading::Bounded(age)) => self.now().saturating_sub(age.as_micros() as Micros),
                Some(Reading::Session) => 0,
            },
            answered: 0,
            steps: Vec::new(),
            said: Said::Nothing,
            csn: None,
            session: connection.number,
            floor: told.then_some(token),
        };
        let commit_asked = AtomicBool::new(false);
        let trying = async {
            if told {
                client.batch_execute(&format!("SET curia.min_csn = {token}")).await?;
            }
            self.run(client, level, plan, &mut transaction.steps, &commit_asked).await
        };
        let outcome = tokio::time::timeout(patience, trying).await;
        transaction.answered = self.now();
        transaction.said = match &outcome {
            Ok(Ok(())) => Said::Committed,
            Ok(Err(error)) => said(Some(error), &commit_asked),
            Err(_) => said(None, &commit_asked),
        };
        let appended = transaction.steps.iter().any(|step| matches!(step, Step::Append(..)));
        if transaction.said == Said::Committed && appended {
            transaction.csn = tokio::time::timeout(patience, last_csn(client))
                .await
                .ok()
                .and_then(Result::ok)
                .flatten();
            self.tokens[number].fetch_max(transaction.csn.unwrap_or(0), Ordering::Relaxed);
        }
        transaction
    }

    fn choose(&self, level: usize, only_reads: bool, random: &mut impl Rng) -> Step {
        let newest = |appends: i64| level as i64 * LEVEL_KEYS + appends / APPENDS_A_LIST;
        let among = random.random_range(0..IN_USE);
        if !only_reads && random.random_ratio(1, 2) {
            let value = self.appends[level].fetch_add(1, Ordering::Relaxed) + 1;
            Step::Append(newest(value) + among, value)
        } else {
            Step::Read(newest(self.appends[level].load(Ordering::Relaxed)) + among, Vec::new())
        }
    }

    /// Reads every list that these transactions touched: the last transaction of their history.
    ///
    /// # Errors
    /// Any SQL error.
    pub async fn read_all(&self, client: &Client, touched: &[Transaction]) -> Result<Transaction, Error> {
        let asked = self.now();
        let mut lists = BTreeMap::new();
        for step in touched.iter().flat_map(|transaction| &transaction.steps) {
            let (Step::Append(key, _) | Step::Read(key, _)) = step;
            if !lists.contains_key(key) {
                lists.insert(*key, self.read(client, *key).await?);
            }
        }
        Ok(Transaction {
            who: "the last look".to_owned(),
            level: Level::ReadCommitted,
            asked,
            answered: self.now(),
            steps: lists.into_iter().map(|(key, list)| Step::Read(key, list)).collect(),
            said: Said::Committed,
            csn: None,
            session: 0,
            floor: None,
        })
    }

    async fn run(
        &self,
        client: &Client,
        level: Level,
        plan: Vec<Step>,
        done: &mut Vec<Step>,
        commit_asked: &AtomicBool,
    ) -> Result<(), Error> {
        // A single statement needs no block, and may be repeated by the server itself.
        let alone = plan.len() == 1 && level == Level::ReadCommitted;
        if !alone {
            let level = match level {
                Level::ReadCommitted => "READ COMMITTED",
                Level::RepeatableRead => "REPEATABLE READ",
                Level::Serializable => "SERIALIZABLE",
            };
            client.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}")).await?;
        }
        commit_asked.store(alone, Ordering::Relaxed);
        for step in plan {
            let outcome = match step {
                Step::Append(key, value) => {
                    // Noted first: what becomes of it isn't known.
                    done.push(Step::Append(key, value));
                    self.append(client, key, value).await
                }
                Step::Read(key, _) => match self.read(client, key).await {
                    Ok(list) => {
                        done.push(Step::Read(key, list));
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = outcome {
                if !alone {
                    let _ = client.batch_execute("ROLLBACK").await; // the client may be gone with the server
                }
                return Err(error);
            }
        }
        if !alone {
            commit_asked.store(true, Ordering::Relaxed);
            client.batch_execute("COMMIT").await?;
        }
        Ok(())
    }

    async fn append(&self, client: &Client, key: i64, value: i64) -> Result<(), Error> {
        if self.form == Form::Register {
            let version = registers::write(client, key.rem_euclid(TABLES), key, value).await?;
            self.versions.note(key, version, value);
            return Ok(());
        }
        let table = format!("lists_{}", key.rem_euclid(TABLES));
        client
            .batch_execute(&format!(
                "INSERT INTO {table} VALUES ({key}, '{value}')
             ON CONFLICT (key) DO UPDATE SET elements = {table}.elements || ',' || excluded.elements"
            ))
            .await
    }

    async fn read(&self, client: &Client, key: i64) -> Result<Vec<i64>, Error> {
        if self.form == Form::Register {
            return registers::read(client, key.rem_euclid(TABLES), key).await;
        }
        let question = format!("SELECT elements FROM lists_{} WHERE key = {key}", key.rem_euclid(TABLES));
        let messages = client.simple_query(&question).await?;
        let text = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        // What is no number is none that anybody appended.
        Ok(text.map_or_else(Vec::new, |text| text.split(',').map(|n| n.parse().unwrap_or(i64::MIN)).collect()))
    }
}

/// The number of the session's last commit, wherever the session has moved since.
///
/// # Errors
/// Any SQL error.
pub async fn last_csn(client: &Client) -> Result<Option<u64>, Error> {
    let row = client.query_one("SHOW curia.last_csn", &[]).await?;
    Ok(row.get::<_, &str>(0).parse().ok())
}
