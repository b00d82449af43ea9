//! What a seed decides before anything happens: the cluster, its limits, the faults and how often they come.
//!
//! This is a swarm (Groce et al., 2012): each seed leaves out some kinds of fault and exaggerates others, so that no kind
//! hides what another would find. All of it is printed with a failure.

use std::fmt;
use std::time::Duration;

use curia_consensus::Roles;

use crate::dice::Dice;
use crate::network::Kind;

/// Microseconds of virtual time.
pub type Micros = u64;

/// Everything that a seed decides.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The name of its storm, if it is one.
    pub storm: Option<&'static str>,
    /// Roles of the servers 1, 2, and so on.
    pub layout: Vec<Roles>,
    /// Roles of servers that wait to be added.
    pub spares: Vec<Roles>,
    /// Worker groups at the beginning.
    pub groups: u32,
    /// Client operations, after which faults stop.
    pub operations: u32,
    /// Concurrent clients.
    pub clients: u32,
    /// So many of them only read, and stay with a server that answers.
    pub readers: u32,
    /// Between an answer and a client's next operation, on average.
    pub think: Micros,
    /// One operation in so many has a payload beyond what an append carries.
    pub large_payload: f64,
    /// A write sends part of its payload ahead as stage records.
    pub staged: f64,
    /// An operation is a read.
    pub reads: f64,
    /// A write has an idempotency key, and is asked again until it is answered.
    pub keyed: f64,
    /// See `Config::lease_drift_percent`; clocks drift less.
    pub lease_drift_percent: Option<u8>,
    /// See `Config::election_timeout`.
    pub election_timeout: Duration,
    /// See `Config::append_bytes_max`.
    pub append_bytes_max: usize,
    /// See `Config::unresolved_bytes_max`.
    pub unresolved_bytes_max: u64,
    /// See `Config::apply_fragments_max`.
    pub apply_fragments_max: usize,
    /// See `Config::unapplied_bytes_max`.
    pub unapplied_bytes_max: u64,
    /// See `Config::message_bytes_max`.
    pub message_bytes_max: usize,
    /// See `Config::peer_window_bytes_max`.
    pub peer_window_bytes_max: usize,
    /// See `Config::peer_window_entries_max`.
    pub peer_window_entries_max: u64,
    /// See `Config::group_window_bytes_max`.
    pub group_window_bytes_max: u64,
    /// See `Config::memory_bytes_max`.
    pub memory_bytes_max: usize,
    /// See `Config::retained_bytes_max`.
    pub retained_bytes_max: u64,
    /// See `Config::news_delay`.
    pub news_delay: Duration,
    /// See `Config::read_rounds_max`.
    pub read_rounds_max: usize,
    /// See `Config::log_reads_max`.
    pub log_reads_max: usize,
    /// See `Config::catch_up_entries_max`.
    pub catch_up_entries_max: u64,
    /// See `Config::stale_entries_max`.
    pub stale_entries_max: u64,
    /// What is durable in the consul's state is in storage that survives, so that scribes may truncate it.
    pub archive: bool,
    /// There is no liveness phase.
    pub safety_only: bool,
    /// What goes wrong.
    pub faults: Faults,
    /// The bug that all servers have.
    #[cfg(feature = "mutations")]
    pub mutation: Option<curia_consensus::Mutation>,
}

/// How fast clocks are, within their bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clocks {
    /// Anything that is allowed.
    #[default]
    Any,
    /// As fast or as slow as they may be.
    Extreme,
    /// As slow as it may be in office, as fast as it may be out of it: what leases fear most.
    Adverse,
}

/// Kinds of fault, as probabilities or as mean times between two of them (zero: never).
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// A message is lost.
    pub lose: f64,
    /// A message arrives twice.
    pub repeat: f64,
    /// A message takes up to `late_max`, and is overtaken.
    pub late: f64,
    /// See `late`.
    pub late_max: Micros,
    /// Most messages of this kind are late.
    pub late_kind: Option<Kind>,
    /// The usual time of a message on its way, at most.
    pub latency: Micros,
    /// A client's answer is lost.
    pub lose_answer: f64,
    /// Between two changes of who can reach whom.
    pub partition: Micros,
    /// A change of who can reach whom cuts off the consul, so that nobody hears it any more; the next one mends that.
    pub depose: f64,
    /// Between two crashes at random moments.
    pub crash: Micros,
    /// A server crashes when a batch is handed to its disk: before, amid or after writing it.
    pub crash_at_batch: f64,
    /// A server crashes when it is elected, before anybody is told.
    pub crash_elected: f64,
    /// How long a crashed server is away, on average.
    pub away: Micros,
    /// A crash leaves part of what was not synced, torn at a record.
    pub tear: f64,
    /// The last durable records are damaged at a crash.
    pub rot: f64,
    /// The usual time of a sync, at most.
    pub sync: Micros,
    /// A sync takes up to fifty times as long.
    pub slow_sync: f64,
    /// On this server's disk only.
    pub slow_disk: Option<usize>,
    /// Applying waits for a moment, while the node goes on.
    pub slow_apply: f64,
    /// Between two times that a server makes its state durable.
    pub flush: Micros,
    /// Making the state durable truncates the logs too.
    pub truncate: f64,
    /// Between two stalls, during which a server does nothing and then everything.
    pub stall: Micros,
    /// Between two wishes that the consul hand over.
    pub transfer: Micros,
    /// A consul that has told another to stand is cut off at once: its server is to be shut down.
    pub leave: f64,
    /// Between two wishes that the configuration change.
    pub reconfigure: Micros,
    /// Clocks are apart by up to this.
    pub skew: Micros,
    /// Clocks are faster or slower by up to this many parts in a million.
    pub drift_ppm: u64,
    /// How fast each clock is.
    pub clocks: Clocks,
}

/// One to seven servers in all layouts; somebody stores logs and somebody runs state machines.
fn draw_layout(dice: &mut Dice) -> Vec<Roles> {
    let count = dice.pick(&[1, 2, 3, 3, 3, 4, 5, 5, 6, 7]);
    let mut layout = vec![Roles::BOTH; count];
    match dice.below(4) {
        // Logs apart from state machines.
        0 if count > 1 => {
            let states = dice.between(1, (count as u64 / 2).max(1)) as usize;
            layout = vec![Roles::LOG; count];
            layout[..states].fill(Roles::STATE);
        }
        // Anything goes.
        1 => {
            for roles in &mut layout[1..] {
                *roles = dice.pick(&[Roles::BOTH, Roles::BOTH, Roles::LOG, Roles::STATE]);
            }
        }
        _ => {}
    }
    layout
}

/// A limit: often so small that it is met all the time.
fn small(dice: &mut Dice, low: u64, high: u64, usual: u64) -> u64 {
    let (tiny, value) = (dice.chance(0.4), dice.between(low, high));
    if tiny { value } else { usual }
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(seed: u64, operations: u32) -> Self {
        let dice = &mut Dice::new(seed, "plan");
        let layout = draw_layout(dice);
        let spares = (0..dice.below(3))
            .map(|_| dice.pick(&[Roles::BOTH, Roles::BOTH, Roles::LOG, Roles::STATE]))
            .collect();
        let groups = dice.pick(&[1, 1, 2, 3, 4, 5, 8, 16, 64]);
        let timeout = dice.pick(&[150, 300, 1000]) * 1000;
        let tiny = dice.chance(0.4);
        let pace = dice.pick(&[1, 2, 4]);
        let faults = Faults::draw(dice, timeout);
        let reads = &mut Dice::new(seed, "reads"); // apart, so that the rest of a seed's plan stays as it was
        Self {
            seed,
            storm: None,
            layout,
            spares,
            groups,
            operations,
            clients: dice.between(2, 10) as u32,
            readers: 0,
            think: timeout * pace / 3,
            large_payload: if dice.chance(0.3) { 0.05 } else { 0.0 },
            staged: if dice.chance(0.3) { 0.1 } else { 0.0 },
            reads: dice.pick(&[0.2, 0.4]),
            keyed: dice.pick(&[0.0, 0.5, 0.9]),
            lease_drift_percent: dice.chance(0.5).then_some(5),
            election_timeout: Duration::from_micros(timeout),
            append_bytes_max: if tiny { dice.between(60, 600) as usize } else { 1 << 20 },
            unresolved_bytes_max: if dice.chance(0.3) { dice.between(200, 4000) } else { 64 << 20 },
            apply_fragments_max: if dice.chance(0.3) { dice.between(1, 5) as usize } else { 16 << 10 },
            message_bytes_max: small(dice, 1, 2000, 8 << 20) as usize,
            peer_window_bytes_max: small(dice, 1, 2000, 8 << 20) as usize,
            peer_window_entries_max: small(dice, 1, 10, 64 << 10),
            group_window_bytes_max: small(dice, 200, 4000, 32 << 20),
            memory_bytes_max: small(dice, 0, 4000, 64 << 20) as usize,
            retained_bytes_max: small(dice, 0, 4000, 256 << 20),
            log_reads_max: small(dice, 1, 3, 256) as usize,
            catch_up_entries_max: small(dice, 1, 50, 4 << 10),
            stale_entries_max: small(dice, 1, 50, 64 << 10),
            archive: dice.chance(0.5),
            unapplied_bytes_max: small(dice, 0, 2000, 64 << 20),
            news_delay: Duration::from_micros(reads.pick(&[0, 0, 2, 20]) * timeout / 1000),
            read_rounds_max: reads.pick(&[1, 2, 8]) as usize,
            safety_only: false,
            faults,
            #[cfg(feature = "mutations")]
            mutation: None,
        }
        .gather_storm()
    }

    /// How long faults go on at most, in case clients get nowhere.
    pub fn safety_phase(&self) -> Micros {
        let timeout = self.election_timeout.as_micros() as Micros;
        timeout * 60 + Micros::from(self.operations / self.clients) * self.think * 2
    }

    /// How soon after the last fault everything must have recovered.
    pub fn liveness_phase(&self) -> Micros {
        self.election_timeout.as_micros() as Micros * 60
    }
}

/// Switches one kind of fault off.
pub type LeaveOut = fn(&mut Faults);

impl Faults {
    fn draw(dice: &mut Dice, timeout: Micros) -> Self {
        let mut some = |probability: f64, values: &[f64]| {
            let (on, value) = (dice.chance(probability), dice.pick(values));
            if on { value } else { 0.0 }
        };
        let lose = some(0.6, &[0.005, 0.02, 0.1]);
        let repeat = some(0.5, &[0.01, 0.1]);
        let late = some(0.6, &[0.01, 0.1, 0.3]);
        let lose_answer = some(0.5, &[0.02, 0.2]);
        let crash_at_batch = some(0.4, &[0.0005, 0.003]);
        let tear = some(0.7, &[0.3, 0.9]);
        let rot = some(0.3, &[0.3]);
        let slow_sync = some(0.4, &[0.02, 0.2]);
        let slow_apply = some(0.4, &[0.1, 0.6]);
        let truncate = some(0.7, &[0.3, 1.0]);
        let mut every = |probability: f64, timeouts: &[u64]| {
            let (on, value) = (dice.chance(probability), dice.pick(timeouts));
            if on { value * timeout } else { 0 }
        };
        let partition = every(0.6, &[2, 4, 10]);
        let crash = every(0.7, &[2, 5, 12]);
        let stall = every(0.3, &[3, 10]);
        let transfer = every(0.4, &[3, 10]);
        let reconfigure = every(0.5, &[1, 3, 8]);
        let away = every(1.0, &[1, 1, 3]);
        Self {
            lose,
            repeat,
            late,
            late_max: dice.pick(&[timeout / 10, timeout / 2, timeout * 3]),
            latency: dice.pick(&[timeout / 1000, timeout / 100, timeout / 20]),
            lose_answer,
            partition,
            crash,
            crash_at_batch,
            away,
            tear,
            rot,
            sync: dice.pick(&[timeout / 10_000, timeout / 500, timeout / 50]),
            slow_sync,
            slow_disk: None,
            slow_apply,
            flush: timeout * dice.pick(&[1, 3, 20]),
            truncate,
            stall,
            transfer,
            reconfigure,
            skew: timeout * dice.pick(&[0, 1, 100]),
            drift_ppm: dice.pick(&[0, 100, 10_000]),
            ..Self::default()
        }
    }

    /// The liveness phase: everything is slow or fast as before, nothing is lost any more.
    pub fn stop(&mut self, timeout: Micros) {
        let calm = Self {
            latency: self.latency,
            sync: self.sync,
            // Groups that are dropped wait for durable states.
            flush: self.flush.min(timeout * 2),
            truncate: self.truncate,
            slow_apply: self.slow_apply,
            away: self.away,
            skew: self.skew,
            drift_ppm: self.drift_ppm,
            clocks: self.clocks,
            ..Self::default()
        };
        *self = calm;
    }

    /// The kinds of fault by name, with a way to switch each off; for shrinking.
    pub fn kinds() -> Vec<(&'static str, LeaveOut)> {
        vec![
            ("lose", |f| f.lose = 0.0),
            ("repeat", |f| f.repeat = 0.0),
            ("late", |f| f.late = 0.0),
            ("late_kind", |f| f.late_kind = None),
            ("lose_answer", |f| f.lose_answer = 0.0),
            ("partition", |f| f.partition = 0),
            ("crash", |f| f.crash = 0),
            ("crash_at_batch", |f| f.crash_at_batch = 0.0),
            ("crash_elected", |f| f.crash_elected = 0.0),
            ("tear", |f| f.tear = 0.0),
            ("rot", |f| f.rot = 0.0),
            ("slow_sync", |f| f.slow_sync = 0.0),
            ("slow_apply", |f| f.slow_apply = 0.0),
            ("truncate", |f| f.truncate = 0.0),
            ("stall", |f| f.stall = 0),
            ("transfer", |f| f.transfer = 0),
            ("depose", |f| f.depose = 0.0),
            ("leave", |f| f.leave = 0.0),
            ("reconfigure", |f| f.reconfigure = 0),
            ("skew", |f| f.skew = 0),
            ("drift", |f| f.drift_ppm = 0),
        ]
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The derived form names every field, and grows with them.
        write!(f, "{self:?}")
    }
}
