//! The state of a cluster, what can happen in it, and what that leads to.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use curia_consensus::{
    Apply, Body, ClusterId, Configuration, GroupId, Incarnation, LogId, Message, Office, Part, Payload, ServerId, Term, Timestamp,
};
use stateright::{Model, Property};

use crate::history::{History, Rule};
use crate::server::{Bug, Disk, ELECTION_TIMEOUT, Server, hasher};

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Servers.
    pub servers: u8,
    /// Worker groups.
    pub groups: u8,
    /// Servers that stand for election, after the first consul.
    pub elections: u8,
    /// Transactions.
    pub proposals: u8,
    /// Crashes, each followed by a restart.
    pub crashes: u8,
    /// Messages that arrive twice.
    pub repeats: u8,
    /// Steps whose batches are not durable at once; they stay pending until their server's disk syncs.
    pub delays: u8,
    /// Whether messages from one server to another arrive in the order in which they were sent, if at all; otherwise they
    /// may overtake each other.
    pub ordered: bool,
}

/// All that there is at one moment.
#[derive(Clone, Debug)]
pub struct State {
    servers: Vec<Arc<Server>>,
    /// Under way, with their fingerprints: each once, ascending by these; or by link, in the order in which they were sent.
    network: Vec<(u64, Arc<Message>)>,
    /// What was seen.
    pub history: History,
    left: Bounds,
}

impl State {
    fn identity(&self) -> impl PartialEq + Hash + '_ {
        let servers: Vec<_> = self.servers.iter().map(|server| server.fingerprint).collect();
        let network: Vec<_> = self.network.iter().map(|(fingerprint, _)| *fingerprint).collect();
        (servers, network, &self.history, self.left)
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.identity().hash(hasher);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

/// Something that can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The message with this fingerprint arrives.
    Deliver(u64, Disks),
    /// It arrives, and may arrive again.
    Repeat(u64, Disks),
    /// A server's disk makes its oldest batch durable.
    Sync(usize),
    /// A server starts again; so many of its pending batches became durable.
    Crash(usize, usize),
    /// A server stands for election: those who would, say so at once.
    Stand(usize, Disks),
    /// A transaction in these groups is proposed to a consul.
    Propose(usize, u8, Disks),
}

/// How fast disks are in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disks {
    /// What the step writes is durable at once, unless earlier batches are pending.
    Fast,
    /// It stays pending.
    Slow,
}

/// The model: what all states have in common.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// How far it goes.
    pub bounds: Bounds,
    /// What all servers have.
    pub bug: Bug,
}

const CLUSTER: ClusterId = ClusterId(1);

impl Cluster {
    fn founding(&self) -> Configuration {
        let servers = (1..=u64::from(self.bounds.servers)).map(ServerId).collect();
        Configuration::founding(CLUSTER, servers, u32::from(self.bounds.groups)).expect("there are servers and groups")
    }

    /// The first server serves, and everybody knows it.
    fn beginning(&self) -> State {
        let founding = self.founding();
        let servers = founding.servers.iter().map(|(id, _)| {
            let server = Server::start(*id, 1, Disk::default(), &founding, self.bug);
            Arc::new(server.expect("an empty disk can be read"))
        });
        let mut state = State {
            servers: servers.collect(),
            network: Vec::new(),
            history: History::default(),
            left: self.bounds,
        };
        for at in 0..state.servers.len() {
            state.pump(at);
        }
        state.settle();
        state.network.clear(); // nobody stands but the first
        state.stand(0);
        state.settle();
        state.take_fingerprints();
        state
    }

    fn take(&self, state: &mut State, action: &Action) -> bool {
        let place = |state: &State, fingerprint: u64| state.network.iter().position(|(known, _)| *known == fingerprint);
        let (at, disks) = match *action {
            Action::Deliver(fingerprint, disks) => {
                let Some(place) = place(state, fingerprint) else { return false };
                let message = state.take(place);
                (state.deliver(&message), disks)
            }
            Action::Repeat(fingerprint, disks) => {
                let Some(place) = place(state, fingerprint) else { return false };
                state.left.repeats -= 1;
                let message = state.network[place].1.clone();
                (state.deliver(&message), disks)
            }
            Action::Sync(at) => {
                state.sync(at);
                (at, Disks::Slow)
            }
            Action::Crash(at, kept) => {
                state.left.crashes -= 1;
                self.crash(state, at, kept);
                (at, Disks::Fast)
            }
            Action::Stand(at, disks) => {
                state.left.elections -= 1;
                if !state.stand(at) {
                    return false;
                }
                (at, disks)
            }
            Action::Propose(at, groups, disks) => {
                state.left.proposals -= 1;
                state.propose(at, groups);
                (at, disks)
            }
        };
        let pending = state.servers[at].disk.pending.len();
        match (action, disks) {
            (Action::Sync(_), _) => {}
            (_, Disks::Slow) if pending == 0 => return false, // as if it were fast
            (_, Disks::Slow) => {
                state.left.delays -= 1;
                state.server(at).slow = true;
            }
            (_, Disks::Fast) => state.sync_new(at),
        }
        state.forget_answers();
        state.take_fingerprints();
        true
    }

    fn crash(&self, state: &mut State, at: usize, kept: usize) {
        let mut disk = state.servers[at].disk.clone();
        for _ in 0..kept {
            disk.sync();
        }
        disk.pending.clear();
        let (id, run) = (state.servers[at].id, state.servers[at].run + 1);
        match Server::start(id, run, disk, &self.founding(), self.bug) {
            Some(server) => state.servers[at] = Arc::new(server),
            None => state.history.hold(Rule::NeverLost, false),
        }
        state.pump_quietly(at);
    }
}

impl State {
    fn server(&mut self, at: usize) -> &mut Server {
        let server = Arc::make_mut(&mut self.servers[at]);
        server.fingerprint = 0; // to be taken again
        server
    }

    fn take_fingerprints(&mut self) {
        for server in self.servers.iter_mut().filter(|server| server.fingerprint == 0) {
            Arc::make_mut(server).take_fingerprint();
        }
    }

    fn office(&self, at: usize) -> Office {
        self.servers[at].node.office()
    }

    /// Gives the receiver.
    fn deliver(&mut self, message: &Message) -> usize {
        let at = message.to.0 as usize - 1;
        // A refusal is an outcome like any other.
        let _ = self.server(at).node.step(message.clone());
        self.pump(at);
        at
    }

    /// Makes everything durable, unless it waits behind what is slow.
    fn sync_new(&mut self, at: usize) {
        if self.servers[at].slow {
            return;
        }
        while !self.servers[at].disk.pending.is_empty() {
            self.sync(at);
        }
    }

    fn sync(&mut self, at: usize) {
        let server = self.server(at);
        if let Some(seq) = server.disk.sync() {
            server.node.persisted(seq);
        }
        server.slow &= !server.disk.pending.is_empty();
        self.pump(at);
    }

    /// Does what a node asks for.
    fn pump(&mut self, at: usize) {
        loop {
            let output = self.server(at).node.take_output();
            if output.is_empty() {
                break;
            }
            for message in output.messages {
                if let Body::Append(_) = &message.body {
                    let run = Incarnation(self.servers[at].run);
                    self.history.leads(message.term, message.from, run);
                }
                self.send(message);
            }
            let server = self.server(at);
            server.disk.pending.extend(output.persist.map(Arc::new));
            for transaction in output.apply.chunk_by(|a, b| a.csn == b.csn) {
                self.apply(at, transaction);
            }
            if let Some(applied) = output.applied {
                self.server(at).node.applied(applied.csn);
            }
            if let Some(Office::Consul { term, cut }) = output.office {
                self.history.serves(term, cut);
            }
        }
    }

    /// The same, and what it says is lost.
    fn pump_quietly(&mut self, at: usize) {
        let before = self.network.clone();
        self.pump(at);
        self.network = before;
    }

    fn send(&mut self, message: Message) {
        let mut hasher = hasher();
        message.fingerprint(&mut hasher);
        let fingerprint = hasher.finish();
        let place = if self.left.ordered {
            let link = (message.from, message.to);
            let place = self.network.partition_point(|(_, other)| (other.from, other.to) <= link);
            // Twice the same, one after the other, is a repetition.
            let again = self.network[..place].last().is_some_and(|(last, _)| *last == fingerprint);
            (!again).then_some(place)
        } else {
            self.network.binary_search_by_key(&fingerprint, |(known, _)| *known).err()
        };
        if let Some(place) = place {
            self.network.insert(place, (fingerprint, Arc::new(message)));
        }
    }

    /// Takes a message that arrives; what it overtakes on an ordered link is lost.
    fn take(&mut self, place: usize) -> Arc<Message> {
        let (_, message) = self.network.remove(place);
        if self.left.ordered {
            let link = |message: &Message| (message.from, message.to);
            let mut at = 0;
            self.network.retain(|(_, other)| {
                at += 1;
                at > place || link(other) != link(&message)
            });
        }
        message
    }

    fn apply(&mut self, at: usize, fragments: &[Apply]) {
        let number = match &fragments[0].fragment.payload {
            Payload::Held(bytes) => bytes.first().copied().unwrap_or(u8::MAX),
            Payload::Stored(_) => u8::MAX,
        };
        let groups = fragments.iter().fold(0, |groups, fragment| groups | 1 << fragment.group.0);
        let (csn, applied) = (fragments[0].csn, self.servers[at].applied);
        let first = self.history.applies(applied, csn, number, groups);
        self.server(at).applied = csn.0;
        if first {
            let term = self.history.proposed[usize::from(number)].term;
            for fragment in fragments {
                let holds = |server: &&Arc<Server>| {
                    let entries = server.disk.entries(LogId::Group(fragment.group));
                    entries.get(fragment.index.0 as usize - 1).is_some_and(|entry| entry.term == term)
                };
                let holders = self.servers.iter().filter(holds).count();
                self.history.hold(Rule::NeverLost, holders > self.servers.len() / 2);
            }
        }
    }

    fn propose(&mut self, at: usize, groups: u8) {
        let term = match self.office(at) {
            Office::Consul { term, .. } => term,
            _ => Term::ZERO,
        };
        let number = self.history.propose(term, groups);
        let parts = (0..8).filter(|group| groups >> group & 1 == 1).map(|group| Part {
            group: GroupId(group),
            stages: Vec::new(),
            payload: Bytes::copy_from_slice(&[number]),
        });
        let refused = self.server(at).node.propose(Timestamp(1), None, &mut parts.collect());
        if refused.is_err() {
            self.history.proposed.pop();
        }
        self.pump(at);
    }

    /// Time passes for everybody but consuls, and a server stands for election if a quorum would have it. Whether it does.
    fn stand(&mut self, at: usize) -> bool {
        let others: Vec<_> = (0..self.servers.len())
            .filter(|other| *other != at && matches!(self.office(*other), Office::Senator { .. }))
            .collect();
        for other in &others {
            self.pass_time(*other);
            self.pump_quietly(*other);
        }
        // The second time it knows the highest term.
        for _ in 0..2 {
            let before = std::mem::take(&mut self.network);
            self.pass_time(at);
            self.pump(at);
            let asked = std::mem::replace(&mut self.network, before);
            for (_, message) in asked {
                let to = message.to.0 as usize - 1;
                if !matches!(message.body, Body::PreVote { .. }) || !others.contains(&to) {
                    continue;
                }
                let before = std::mem::take(&mut self.network);
                let _ = self.deliver(&message);
                let answers = std::mem::replace(&mut self.network, before);
                for (_, answer) in answers {
                    let _ = self.deliver(&answer);
                }
            }
            // It stands once it has written its vote; who only asks has written nothing.
            let pending = self.servers[at].disk.pending.back();
            let voted = |state: &curia_consensus::HardState| state.vote.is_some_and(|vote| vote.server == self.servers[at].id);
            if pending.and_then(|batch| batch.hard_state).is_some_and(|state| voted(&state)) {
                return true;
            }
        }
        false
    }

    fn pass_time(&mut self, at: usize) {
        let server = self.server(at);
        // Once to notice what it heard, once to let it age.
        for _ in 0..2 {
            server.clock += ELECTION_TIMEOUT * 2;
            server.node.tick(server.clock);
        }
    }

    /// Everything becomes durable and arrives.
    fn settle(&mut self) {
        loop {
            let dirty = (0..self.servers.len()).find(|at| !self.servers[*at].disk.pending.is_empty());
            match dirty {
                Some(at) => self.sync(at),
                None => match self.network.pop() {
                    Some((_, message)) => drop(self.deliver(&message)),
                    None => return,
                },
            }
        }
    }

    /// Forgets answers that can only be refused: to an earlier run, or of a term that their reader left. A term that it forgets
    /// again by a crash was an earlier run's.
    fn forget_answers(&mut self) {
        let servers = &self.servers;
        self.network.retain(|(_, message)| {
            let reader = &servers[message.to.0 as usize - 1];
            let answers = matches!(
                message.body,
                Body::VoteReply { .. } | Body::AppendReply(_) | Body::Fetched { .. } | Body::PreVoteReply { .. }
            );
            let (Office::Senator { term } | Office::Inaugurating { term } | Office::Consul { term, .. }) = reader.node.office();
            let deposed = matches!(message.body, Body::AppendReply(_)) && matches!(reader.node.office(), Office::Senator { .. });
            let lives = message.term > term || message.term == term && !deposed;
            !answers || message.incarnation == Incarnation(reader.run) && lives
        });
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.beginning()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.history.broken.is_some() {
            return;
        }
        let speeds = if state.left.delays > 0 {
            &[Disks::Fast, Disks::Slow][..]
        } else {
            &[Disks::Fast]
        };
        for disks in speeds {
            actions.extend(state.network.iter().map(|(fingerprint, _)| Action::Deliver(*fingerprint, *disks)));
            if state.left.repeats > 0 {
                actions.extend(state.network.iter().map(|(fingerprint, _)| Action::Repeat(*fingerprint, *disks)));
            }
        }
        // The second and the third server are alike until one of them stands.
        let alike = state.servers.len() == 3 && state.left.elections == self.bounds.elections;
        for (at, server) in state.servers.iter().enumerate() {
            let pending = server.disk.pending.len();
            if pending > 0 {
                actions.push(Action::Sync(at));
            }
            if state.left.crashes > 0 {
                actions.extend((0..=pending).map(|kept| Action::Crash(at, kept)));
            }
            let office = state.office(at);
            for disks in speeds {
                if state.left.elections > 0 && matches!(office, Office::Senator { .. }) && !(alike && at == 2) {
                    actions.push(Action::Stand(at, *disks));
                }
                if state.left.proposals > 0 && matches!(office, Office::Consul { .. }) {
                    actions.extend((1..1 << self.bounds.groups).map(|groups| Action::Propose(at, groups, *disks)));
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match catch_unwind(AssertUnwindSafe(|| self.take(&mut state, &action))) {
            Ok(true) => Some(state),
            Ok(false) => None,
            Err(_) => {
                let mut state = last.clone();
                state.history.hold(Rule::Assertions, false);
                Some(state)
            }
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn holds(state: &State, rule: Rule) -> bool {
            state.history.broken != Some(rule)
        }
        vec![
            Property::always("one consul a term", |_, state| holds(state, Rule::OneConsul)),
            Property::always("acknowledged is never lost", |_, state| holds(state, Rule::NeverLost)),
            Property::always("prefix order", |_, state| holds(state, Rule::PrefixOrder)),
            Property::always("no transaction by halves", |_, state| holds(state, Rule::NoHalves)),
            Property::always("void stays void", |_, state| holds(state, Rule::VoidStaysVoid)),
            Property::always("the core's assertions", |_, state| holds(state, Rule::Assertions)),
            Property::sometimes("a second consul serves", |_, state: &State| state.history.successions > 1),
            Property::sometimes("all is decided", |model: &Self, state: &State| {
                state.history.decided.len() == usize::from(model.bounds.proposals)
            }),
            Property::sometimes("a transaction is void", |_, state: &State| {
                state.history.proposed.iter().any(|proposed| proposed.void)
            }),
        ]
    }
}
