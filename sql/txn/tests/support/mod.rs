//! A cluster of one for tests: commits apply at once, or when the test lets them.

#![allow(dead_code)] // each test file uses its part

use curia_catalog::{Change, Column, Constraint, ConstraintKind, Index, IndexKey, Sequence, Table};
use curia_consensus::ids::{Csn, GroupId, Index as LogIndex, Term, Timestamp};
use curia_storage::state::{ApplyBatch, StateOptions, StateStore};
use curia_txn::*;
use curia_types::{Datum, PgType, Result, SqlError};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

pub struct Direct {
    state: Arc<StateStore>,
    applied: AtomicU64,
    inner: Mutex<Inner>,
    pub commits: AtomicUsize,
    pub stages: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    next: u64,
    staged: HashMap<(u32, u64), bytes::Bytes>,
    held: Option<Vec<(WriteSet, CommitSender)>>,
    refuse: Option<SqlError>,
    refuse_stages: Option<SqlError>,
}

/// The same state on a server that follows.
pub struct Following(pub Arc<Direct>);

impl Replication for Following {
    fn applied(&self) -> Csn {
        self.0.applied()
    }
    fn state(&self) -> &Arc<StateStore> {
        self.0.state()
    }
    fn office(&self) -> Term {
        Term::ZERO
    }
    fn groups(&self) -> u32 {
        self.0.groups()
    }
    fn commit(&self, _: WriteSet) -> CommitTicket {
        panic!("a server that follows commits nothing")
    }
    fn stage(&self, _: GroupId, _: bytes::Bytes) -> StageTicket {
        panic!("a server that follows stages nothing")
    }
    fn wait_applied(&self, csn: Csn) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> {
        self.0.wait_applied(csn)
    }
}

impl Direct {
    pub fn open(path: &Path) -> Arc<Direct> {
        let state = Arc::new(StateStore::open(path, &StateOptions::small()).unwrap());
        let applied = state.applied_csn().unwrap().0.0;
        let inner = Inner {
            next: applied + 1,
            ..Inner::default()
        };
        Arc::new(Direct {
            state,
            applied: AtomicU64::new(applied),
            inner: Mutex::new(inner),
            commits: AtomicUsize::new(0),
            stages: AtomicUsize::new(0),
        })
    }
    /// From now on commits wait for [`Direct::let_go`].
    pub fn hold(&self) {
        self.inner.lock().held = Some(Vec::new());
    }
    pub fn let_go(&self) {
        let held = self.inner.lock().held.take().unwrap_or_default();
        for (writes, sender) in held {
            sender.send(self.apply(writes));
        }
    }
    /// The oldest commit that waits gets its outcome: it applies, or fails as at a loss of office.
    pub fn decide_next(&self, commits: bool) {
        let (writes, sender) = self.inner.lock().held.as_mut().unwrap().remove(0);
        match commits {
            true => sender.send(self.apply(writes)),
            false => drop(sender),
        }
    }
    /// The newest commit that waits is looked at before the others, and refused. How many are left.
    pub fn refuse_last(&self) -> usize {
        let mut inner = self.inner.lock();
        let held = inner.held.as_mut().unwrap();
        let (writes, sender) = held.pop().unwrap();
        assert!(writes.after.iter().any(CommitTicket::has_failed));
        sender.send(Err(undone()));
        held.len()
    }
    /// Commits that wait.
    pub fn waiting(&self) -> usize {
        self.inner.lock().held.as_ref().map_or(0, Vec::len)
    }
    /// Stage records that keep the log from being truncated.
    pub fn open_stages(&self) -> usize {
        self.inner.lock().staged.len()
    }
    /// Stage records fail with this error, or succeed again.
    pub fn refuse_stages(&self, error: Option<SqlError>) {
        self.inner.lock().refuse_stages = error;
    }
    /// Commits fail with this error, or succeed again.
    pub fn refuse(&self, error: Option<SqlError>) {
        self.inner.lock().refuse = error;
    }
    fn apply(&self, writes: WriteSet) -> Result<Csn> {
        let mut inner = self.inner.lock();
        if let Some(error) = &inner.refuse {
            return Err(error.clone());
        }
        if writes.after.iter().any(CommitTicket::has_failed) {
            return Err(undone());
        }
        assert!(!writes.after.iter().any(CommitTicket::is_under_way), "commits apply in order");
        assert!(!writes.fragments.is_empty(), "a transaction needs at least one fragment");
        let csn = Csn(inner.next);
        let mut batch = ApplyBatch::new();
        for fragment in &writes.fragments {
            for stage in &fragment.stages {
                let payload = inner
                    .staged
                    .remove(&(fragment.group.0, stage.index.0))
                    .expect("an open stage record");
                batch.fragment(fragment.group, csn, &payload)?;
            }
            batch.fragment(fragment.group, csn, &fragment.payload)?;
        }
        batch.committed(csn, Timestamp(csn.0));
        batch.commit_timestamp(csn, Timestamp(csn.0));
        self.state.apply(batch)?;
        inner.next += 1;
        self.applied.store(csn.0, Ordering::SeqCst);
        self.commits.fetch_add(1, Ordering::SeqCst);
        Ok(csn)
    }
}

impl Replication for Direct {
    fn applied(&self) -> Csn {
        Csn(self.applied.load(Ordering::SeqCst))
    }
    fn state(&self) -> &Arc<StateStore> {
        &self.state
    }
    fn groups(&self) -> u32 {
        3
    }
    fn commit(&self, writes: WriteSet) -> CommitTicket {
        let (sender, ticket) = CommitTicket::pair();
        let mut inner = self.inner.lock();
        match &mut inner.held {
            Some(held) => held.push((writes, sender)),
            None => {
                drop(inner);
                sender.send(self.apply(writes));
            }
        }
        ticket
    }
    fn stage(&self, group: GroupId, payload: bytes::Bytes) -> StageTicket {
        let (sender, ticket) = StageTicket::pair();
        let mut inner = self.inner.lock();
        if let Some(error) = &inner.refuse_stages {
            let _ = sender.send(Err(error.clone()));
            return ticket;
        }
        let n = self.stages.fetch_add(1, Ordering::SeqCst) as u64;
        inner.staged.insert((group.0, n), payload);
        let _ = sender.send(Ok(StageRef {
            index: LogIndex(n),
            term: Term(1),
        }));
        ticket
    }
    fn discard(&self, group: GroupId, stages: Vec<StageRef>) {
        let mut inner = self.inner.lock();
        for stage in stages {
            inner.staged.remove(&(group.0, stage.index.0));
        }
    }
    fn wait_applied(&self, csn: Csn) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> {
        assert!(csn <= self.applied());
        Box::pin(async { Ok(()) })
    }
}

pub struct Cluster {
    pub direct: Arc<Direct>,
    pub db: Arc<Database>,
    pub folder: tempfile::TempDir,
    sessions: std::cell::Cell<i32>,
}

impl Cluster {
    pub async fn new() -> Cluster {
        Cluster::with(|_| {}).await
    }
    pub async fn with(adjust: impl FnOnce(&mut Limits)) -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let direct = Direct::open(&folder.path().join("state"));
        let mut limits = Limits::new(folder.path().join("spill"));
        limits.retention = std::time::Duration::ZERO; // this cluster's commits are of 1970
        adjust(&mut limits);
        let db = Database::open(direct.clone(), limits).await.unwrap();
        Cluster {
            direct,
            db,
            folder,
            sessions: 0.into(),
        }
    }
    /// Stops as a clean shutdown does and starts over the same state.
    pub async fn restart(self) -> Cluster {
        let Cluster {
            direct,
            db,
            folder,
            sessions,
        } = self;
        direct.state().flush().unwrap();
        let limits = db.limits().clone();
        drop(db);
        let state = Arc::downgrade(direct.state());
        drop(direct);
        assert!(state.upgrade().is_none(), "somebody still holds the state");
        let direct = Direct::open(&folder.path().join("state"));
        let db = Database::open(direct.clone(), limits).await.unwrap();
        Cluster {
            direct,
            db,
            folder,
            sessions,
        }
    }
    /// The database as a server that follows has it.
    pub async fn following(&self) -> Arc<Database> {
        let limits = Limits {
            spill_folder: self.folder.path().join("following"),
            ..self.db.limits().clone()
        };
        Database::open(Arc::new(Following(self.direct.clone())), limits).await.unwrap()
    }
    pub fn session(&self) -> Arc<SessionSlot> {
        self.sessions.set(self.sessions.get() + 1);
        self.db.session(self.sessions.get())
    }
    pub fn begin(&self) -> Transaction {
        self.begin_at(Isolation::ReadCommitted)
    }
    pub fn begin_at(&self, isolation: Isolation) -> Transaction {
        let mut tx = self.db.begin(
            &self.session(),
            Options {
                isolation,
                ..Options::default()
            },
        );
        tx.start_statement();
        tx
    }
    /// Makes `t (id int4 primary key, a int4, b text)`, with indexes: (name, column, unique).
    pub async fn table(&self, name: &str, indexes: &[(&str, usize, bool)]) -> TableLayout {
        let mut tx = self.begin();
        let layout = make_table(&mut tx, name, true, indexes).await;
        tx.commit().await.unwrap();
        layout
    }
    pub async fn fill(&self, layout: &TableLayout, rows: &[(i32, i32, &str)]) {
        let mut tx = self.begin();
        for &(id, a, b) in rows {
            tx.insert(layout, &row(id, a, b)).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    /// All rows as a new transaction sees them.
    pub fn rows(&self, layout: &TableLayout) -> Vec<(i32, i32, String)> {
        rows(&self.begin(), layout)
    }
}

pub async fn make_table(tx: &mut Transaction, name: &str, keyed: bool, indexes: &[(&str, usize, bool)]) -> TableLayout {
    let oid = tx.new_oid().unwrap();
    let column = |n: i16, name: &str, ty, not_null| Column {
        attnum: n,
        name: name.to_owned(),
        ty,
        not_null,
        default: None,
        generated: false,
        missing: None,
        identity: None,
        dropped: false,
        origin: Default::default(),
    };
    let key = |column| IndexKey::column(column);
    let mut table = Table {
        oid,
        schema: curia_catalog::lookup::PUBLIC,
        name: name.to_owned(),
        owner: 10,
        row_type: tx.new_oid().unwrap(),
        row_array: 0,
        columns: vec![
            column(1, "id", PgType::INT4, true),
            column(2, "a", PgType::INT4, false),
            column(3, "b", PgType::TEXT, false),
        ],
        storage: tx.new_storage().unwrap(),
        row_key: if keyed { vec![0] } else { vec![] },
        indexes: Vec::new(),
        constraints: Vec::new(),
        on_commit: None,
        materialized: None,
        parents: Vec::new(),
        partition_key: None,
        partition_bound: None,
    };
    if keyed {
        let index = tx.new_oid().unwrap();
        let name = format!("{name}_pkey");
        table.indexes.push(Index {
            oid: index,
            name: name.clone(),
            storage: None,
            keys: vec![key(0)],
            unique: true,
            primary: true,
            ..Default::default()
        });
        let kind = ConstraintKind::Unique { index, primary: true };
        table.constraints.push(Constraint::new(tx.new_oid().unwrap(), name, kind));
    }
    for &(name, column, unique) in indexes {
        let storage = Some(tx.new_storage().unwrap());
        let oid = tx.new_oid().unwrap();
        table.indexes.push(Index {
            oid,
            name: name.to_owned(),
            storage,
            keys: vec![key(column)],
            unique,
            primary: false,
            ..Default::default()
        });
    }
    tx.change_catalog(Change::put(table.clone())).unwrap();
    TableLayout::new(Arc::new(table), "public").unwrap()
}

pub fn sequence(db: &Arc<Database>, storage: u32) -> Sequence {
    Sequence {
        oid: db.next_oid().unwrap(),
        schema: curia_catalog::lookup::PUBLIC,
        name: "s".to_owned(),
        owner: 10,
        ty: PgType::INT8,
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cache: 1,
        cycle: false,
        owned_by: None,
        storage: curia_catalog::StorageId(storage),
    }
}

pub fn row(id: i32, a: i32, b: &str) -> Vec<Datum> {
    vec![Datum::Int4(id), Datum::Int4(a), Datum::text(b)]
}

pub fn key(layout: &TableLayout, id: i32) -> bytes::Bytes {
    let mut out = Vec::new();
    layout.encode_row_key_prefix(&[Datum::Int4(id)], &mut out).unwrap();
    out.into()
}

pub fn decode(layout: &TableLayout, bytes: &[u8]) -> (i32, i32, String) {
    match layout.decode_row(bytes).unwrap().as_slice() {
        [Datum::Int4(id), Datum::Int4(a), Datum::Text(b)] => (*id, *a, b.to_string()),
        other => panic!("unexpected row {other:?}"),
    }
}

pub fn rows(tx: &Transaction, layout: &TableLayout) -> Vec<(i32, i32, String)> {
    collect(tx.view().scan(layout.storage(), &KeyRange::all(), Direction::Forward), layout)
}

pub fn collect(mut scan: ViewScan, layout: &TableLayout) -> Vec<(i32, i32, String)> {
    let mut out = Vec::new();
    while let Some((_, row)) = scan.next().unwrap() {
        out.push(decode(layout, row));
    }
    out
}

pub fn get(tx: &Transaction, layout: &TableLayout, id: i32) -> Option<(i32, i32, String)> {
    tx.view()
        .read(layout.storage(), &key(layout, id), |row| decode(layout, row))
        .unwrap()
}

/// UPDATE t SET a = a + `by` WHERE id = `id`, as a statement that addresses its row by key.
pub async fn add(tx: &mut Transaction, layout: &TableLayout, id: i32, by: i32) -> Result<()> {
    tx.start_statement();
    let key = key(layout, id);
    match tx
        .lock_row(layout, &key, LockStrength::NoKeyUpdate, LockWait::Block, Seen::Newest)
        .await?
    {
        Locked::Row(old) => {
            let (id, a, b) = decode(layout, &old);
            tx.update(layout, &key, &old, &row(id, a + by, &b)).await.map(|_| ())
        }
        Locked::Gone => Ok(()),
        other => panic!("{other:?}"),
    }
}

/// DELETE FROM t WHERE id = `id`.
pub async fn delete(tx: &mut Transaction, layout: &TableLayout, id: i32) -> Result<bool> {
    tx.start_statement();
    let key = key(layout, id);
    match tx
        .lock_row(layout, &key, LockStrength::Update, LockWait::Block, Seen::Newest)
        .await?
    {
        Locked::Row(old) => tx.delete(layout, &key, &old).await.map(|()| true),
        _ => Ok(false),
    }
}

pub fn code(error: &SqlError) -> &'static str {
    Box::leak(error.code().as_str().to_owned().into_boxed_str())
}

/// The future has to wait.
#[macro_export]
macro_rules! waits {
    ($future:expr) => {
        assert!(futures::poll!(&mut $future).is_pending(), "it should have to wait")
    };
}
