//! How a story names servers, messages, logs, times and entries.

use std::collections::BTreeSet;
use std::time::Duration;

use curia_consensus::*;

use crate::script::Command;
use crate::trace;
use crate::world::World;

/// A server's number.
pub fn server(word: &str) -> Result<ServerId, String> {
    word.parse().map(ServerId).map_err(|_| format!("{word} is no server"))
}

/// `4`, or `4:log`, `4:state`.
pub fn server_with_roles(word: &str) -> Result<(ServerId, Roles), String> {
    let (id, roles) = word.split_once(':').unwrap_or((word, "both"));
    let roles = match roles {
        "both" => Roles::BOTH,
        "log" => Roles::LOG,
        "state" => Roles::STATE,
        _ => return Err(format!("{roles} is no role")),
    };
    Ok((server(id)?, roles))
}

/// The servers that a command names; all of them when it names none.
pub fn servers(world: &World, command: &Command) -> Result<Vec<ServerId>, String> {
    let named: Vec<_> = command
        .plain()
        .filter(|word| word.parse::<u64>().is_ok())
        .map(server)
        .collect::<Result<_, _>>()?;
    Ok(if named.is_empty() { world.ids() } else { named })
}

/// The one server that a command names first.
pub fn first(command: &Command) -> Result<ServerId, String> {
    server(command.plain().next().ok_or("a server is missing")?)
}

/// `1s`, `250ms`
pub fn time(word: &str) -> Option<Duration> {
    let (number, unit) = word.split_at(word.find(|c: char| !c.is_ascii_digit())?);
    let number = number.parse().ok()?;
    match unit {
        "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        _ => None,
    }
}

/// `senate`, `g0`
pub fn log(word: &str) -> Option<LogId> {
    match word {
        "senate" => Some(LogId::Senate),
        _ => group(word).map(LogId::Group),
    }
}

/// `g0`
pub fn group(word: &str) -> Option<GroupId> {
    word.strip_prefix('g')?.parse().ok().map(GroupId)
}

/// `1,2,3` are voters, `1,2->2,3` joint ones, `1,2+3` has a learner.
pub fn members(text: &str) -> Result<Members, String> {
    let list = |text: &str| {
        text.split(',')
            .filter(|word| !word.is_empty())
            .map(server)
            .collect::<Result<Vec<_>, _>>()
    };
    let (voters, learners) = text.split_once('+').unwrap_or((text, ""));
    let (outgoing, incoming) = voters.split_once("->").unwrap_or(("", voters));
    Members::joint(list(incoming)?, list(outgoing)?, list(learners)?).ok_or_else(|| format!("{text} are no members"))
}

/// `1,2+3`
pub fn target(text: &str) -> Result<Target, String> {
    let members = members(text)?;
    Ok(Target {
        voters: members.incoming().to_vec(),
        learners: members.learners().to_vec(),
    })
}

/// Where a configuration says who stores this log.
pub fn members_of(configuration: &mut Configuration, log: LogId) -> Result<&mut Members, String> {
    match log {
        LogId::Senate => Ok(&mut configuration.senate),
        LogId::Group(group) => configuration
            .groups
            .iter_mut()
            .find_map(|(found, members)| (*found == group).then_some(members))
            .ok_or_else(|| format!("there is no {group:?}")),
    }
}

/// Whether a message is of one of these kinds, or its line in a trace has one of these words.
pub fn is_any(message: &Message, kinds: &[&str]) -> bool {
    let line = trace::message(message);
    let (_, said) = line.split_once(": ").unwrap_or_default();
    let says = |kind: &&str| trace::kind(&message.body) == *kind || said.split([' ', ',', ':', ';']).any(|word| word == *kind);
    kinds.iter().any(says)
}

/// The kinds of message that a command leaves under way.
pub fn without(command: &Command) -> Vec<&str> {
    command
        .named()
        .filter(|(name, _)| *name == "without")
        .map(|(_, kind)| kind)
        .collect()
}

/// Which messages a command means: `1>2`, `1>*`, `*>2` say between whom, other words of what kind.
pub struct Which {
    pairs: Vec<(Option<ServerId>, Option<ServerId>)>,
    kinds: BTreeSet<String>,
    latest: bool,
}

impl Which {
    pub fn of(command: &Command) -> Result<Self, String> {
        let mut which = Self {
            pairs: Vec::new(),
            kinds: BTreeSet::new(),
            latest: false,
        };
        let end = |word: &str| (word != "*").then(|| server(word)).transpose();
        for word in command.plain() {
            match word.split_once('>') {
                Some((from, to)) => which.pairs.push((end(from)?, end(to)?)),
                None if word == "latest" => which.latest = true,
                None => drop(which.kinds.insert(word.to_owned())),
            }
        }
        Ok(which)
    }

    /// Where these messages are in the network, in the order in which they were sent; with `latest` only the last one.
    pub fn find(&self, network: &[Message]) -> Vec<usize> {
        let fits = |message: &Message| {
            let between = |(from, to): &(Option<ServerId>, Option<ServerId>)| {
                from.is_none_or(|s| s == message.from) && to.is_none_or(|s| s == message.to)
            };
            (self.pairs.is_empty() || self.pairs.iter().any(between))
                && (self.kinds.is_empty() || is_any(message, &self.kinds.iter().map(String::as_str).collect::<Vec<_>>()))
        };
        let found: Vec<_> = (0..network.len()).filter(|at| fits(&network[*at])).collect();
        match found.last() {
            Some(last) if self.latest => vec![*last],
            _ => found,
        }
    }
}

/// Entries as a trace writes them, with a colon for the space: `t1:cut0`, `t1:c1+g1.2`, `t2:no-op`. They begin at `first`.
pub fn entries(log: LogId, first: u64, text: &str) -> Result<Vec<Entry>, String> {
    let numbered = text.split(',').zip(first..);
    numbered
        .map(|(word, index)| entry(log, Index(index), word).ok_or_else(|| format!("{word} is no entry")))
        .collect()
}

fn entry(log: LogId, index: Index, word: &str) -> Option<Entry> {
    let (term, said) = word.strip_prefix('t')?.split_once(':')?;
    let term = Term(term.parse().ok()?);
    let timestamp = |csn: Csn| Timestamp(csn.0 * 1000 + term.0);
    let record = match said {
        "no-op" => Record::Noop,
        "stage" => Record::Stage(Payload::from(bytes::Bytes::from_static(b"stage"))),
        "barrier" => Record::Barrier,
        _ if said.starts_with("cut") => {
            let cut = Csn(said[3..].parse().ok()?);
            Record::TermStart(TermStart {
                cut,
                timestamp: timestamp(cut),
            })
        }
        _ => {
            let (said, stages) = said.split_once('<').unwrap_or((said, ""));
            let stages: Vec<_> = stages.split('<').filter_map(|stage| stage.parse().ok().map(Index)).collect();
            let mut words = said.strip_prefix('c')?.split('+');
            let csn = Csn(words.next()?.parse().ok()?);
            let LogId::Group(own) = log else { return None };
            let mut places = vec![Participant { group: own, index }];
            for word in words {
                let (group, index) = word.split_once('.')?;
                places.push(Participant {
                    group: self::group(group)?,
                    index: Index(index.parse().ok()?),
                });
            }
            places.sort_unstable();
            Record::Fragment(std::sync::Arc::new(Fragment {
                csn,
                timestamp: timestamp(csn),
                key: None,
                participants: match places.as_slice() {
                    [_] => Participants::Alone,
                    _ => Participants::Several(places.into()),
                },
                stages: Stages::from(stages),
                payload: Payload::from(bytes::Bytes::from(format!("{term:?}{csn:?}"))),
            }))
        }
    };
    Some(Entry { index, term, record })
}
