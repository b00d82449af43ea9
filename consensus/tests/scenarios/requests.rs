//! What a story asks of a server's node: transactions, changes, reads, checkpoints.

use std::time::Duration;

use bytes::Bytes;
use curia_consensus::*;

use crate::pick;
use crate::script::Command;
use crate::world::{Outcome, World};

impl World {
    /// `propose 1 g0=a g1=@2@3:b [key=7]`: the parts, with the indexes of stage records before the text.
    pub fn propose(&mut self, command: &Command) -> Outcome {
        let mut parts = Vec::new();
        let mut key = None;
        for (name, value) in command.named() {
            if name == "key" {
                key = Some(Key(value.parse().map_err(|_| "a key is a number")?));
                continue;
            }
            let (stages, text) = match value.strip_prefix('@') {
                None => ("", value),
                Some(rest) => rest.split_once(':').ok_or("a colon ends the stages")?,
            };
            let stages = stages.split('@').filter(|stage| !stage.is_empty());
            parts.push(Part {
                group: pick::group(name).ok_or_else(|| format!("{name} is no group"))?,
                stages: stages
                    .map(|stage| stage.parse().map(Index))
                    .collect::<Result<_, _>>()
                    .map_err(|_| "a stage is a number")?,
                payload: Bytes::copy_from_slice(text.as_bytes()),
            });
        }
        let id = pick::first(command)?;
        let now = Timestamp(self.server(id)?.now.as_micros() as u64);
        let outcome = self.node(id)?.propose(now, key, &mut parts);
        self.say(match outcome {
            Ok(csn) => format!("{csn:?}"),
            Err(why) => format!("refused: {why}"),
        });
        Ok(())
    }

    pub fn stage(&mut self, command: &Command) -> Outcome {
        let (name, text) = command.named().next().ok_or("a group is missing")?;
        let group = pick::group(name).ok_or_else(|| format!("{name} is no group"))?;
        let text = Bytes::copy_from_slice(text.as_bytes());
        let outcome = self.node(pick::first(command)?)?.stage(group, text);
        self.say(match outcome {
            Ok(index) => format!("{group:?}.{index}"),
            Err(why) => format!("refused: {why}"),
        });
        Ok(())
    }

    /// `discard 1 g0=2`
    pub fn discard(&mut self, command: &Command) -> Outcome {
        let (name, index) = command.named().next().ok_or("a group is missing")?;
        let group = pick::group(name).ok_or_else(|| format!("{name} is no group"))?;
        let index = Index(index.parse().map_err(|_| "a stage is a number")?);
        self.node(pick::first(command)?)?.discard(group, &[index]);
        Ok(())
    }

    /// `transfer 1 2`: server 1 hands over to 2.
    pub fn transfer(&mut self, command: &Command) -> Outcome {
        let mut servers = command.plain().map(pick::server);
        let (from, to) = (
            servers.next().ok_or("a consul is missing")??,
            servers.next().ok_or("a target is missing")??,
        );
        if let Err(why) = self.node(from)?.transfer(to) {
            self.say(format!("refused: {why}"));
        }
        Ok(())
    }

    /// `reconfigure 1 senate=1,2+3 g0=1,2,3 add=4:both remove=3 create=1,2,3 drop=g1`, or `voters=1,2,4` for all logs.
    pub fn reconfigure(&mut self, command: &Command) -> Outcome {
        let id = pick::first(command)?;
        let mut change = Change::default();
        for (name, value) in command.named() {
            match name {
                "voters" => {
                    let voters: Vec<_> = value.split(',').map(pick::server).collect::<Result<_, _>>()?;
                    change = Change::voters(self.node(id)?.configuration(), &voters);
                }
                "feature-level" => change.feature_level = Some(value.parse().map_err(|_| "a level is a number")?),
                "senate" => change.senate = Some(pick::target(value)?),
                "add" => change.add.push(pick::server_with_roles(value)?),
                "remove" => change.remove.push(pick::server(value)?),
                "create" => change.create.push(pick::target(value)?),
                "drop" => change.drop.push(pick::group(value).ok_or("groups are dropped")?),
                _ => {
                    let group = pick::group(name).ok_or_else(|| format!("{name} is no part of a change"))?;
                    change.groups.push((group, pick::target(value)?));
                }
            }
        }
        let outcome = self.node(id)?.reconfigure(&change);
        self.say(match outcome {
            Ok(index) => format!("senate.{index}"),
            Err(why) => format!("refused: {why}"),
        });
        Ok(())
    }

    /// `read 2 id=7 [bounded=500ms|session=3|asof=2]`
    pub fn read(&mut self, command: &Command) -> Outcome {
        let id = pick::first(command)?;
        let (mut read, mut level) = (1, ReadLevel::Strict);
        for (name, value) in command.named() {
            let csn = || value.parse().map(Csn).map_err(|_| format!("{value} is no CSN"));
            match name {
                "id" => read = value.parse().map_err(|_| "an id is a number")?,
                "bounded" => level = ReadLevel::Bounded(pick::time(value).ok_or("a bound is a time")?),
                "session" => level = ReadLevel::Session(csn()?),
                "asof" => level = ReadLevel::AsOf(csn()?),
                _ => return Err(format!("there is no read {name}")),
            }
        }
        self.node(id)?.read(read, level);
        self.tick(id, Duration::ZERO);
        Ok(())
    }

    /// `snapshots-durable 1 3`: tells the consul that CSN 3 is in storage that survives the state servers.
    pub fn snapshots_durable(&mut self, command: &Command) -> Outcome {
        let csn = command.plain().nth(1).and_then(|csn| csn.parse().ok()).ok_or("a CSN is missing")?;
        self.node(pick::first(command)?)?.snapshots_durable(Csn(csn));
        Ok(())
    }

    pub fn checkpoint(&mut self, id: ServerId) -> Outcome {
        let moved = self.server(id)?.checkpoint();
        if !moved {
            self.say("nothing to truncate");
        }
        Ok(())
    }
}
