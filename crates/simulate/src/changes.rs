//! What an operator wants: that the office be handed over, and that servers and groups come and go.

use curia_consensus::{Change, Configuration, GroupId, Members, Office, ReconfigureError, Roles, ServerId, Target};

use crate::cases::Case;
use crate::world::{Event, World};

impl World {
    /// Asks a consul to hand over to somebody.
    pub(crate) fn transfer(&mut self) {
        if self.calm {
            return;
        }
        let mut to = 1 + self.chance.below(self.servers.len() as u64);
        if self.faults.leave > 0.0 {
            // Somebody who may.
            let able = self.servers.iter().filter(|server| server.roles.state && !server.serves());
            to = self.chance.pick(&able.map(|server| server.id.0).chain([to]).collect::<Vec<_>>());
        }
        if let Some(at) = (0..self.servers.len()).find(|at| self.servers[*at].serves()) {
            let begun = self.node(at).transfer(ServerId(to));
            self.cases.met_if(Case::Transfer, begun.is_ok());
            if let Office::Consul { term, .. } = self.servers[at].office
                && begun.is_ok()
            {
                self.successor = Some((ServerId(to), term));
            }
            self.story.add(self.now, &[50, at as u64, to], || {
                format!("-- s{} shall hand over to s{to}: {begun:?}", at + 1)
            });
            self.pump(at);
        }
        self.schedule(self.faults.transfer, Event::Transfer);
    }

    /// Asks a consul for another configuration.
    pub(crate) fn reconfigure(&mut self) {
        if self.calm {
            return;
        }
        let consul = (0..self.servers.len()).rev().find(|at| self.servers[*at].serves());
        // Nobody takes voters away while what another one lost is not repaired.
        let sound = self.servers.iter().all(|server| server.disk.damaged().is_none());
        if let Some(at) = consul.filter(|_| sound) {
            let configuration = self.node(at).configuration().clone();
            let change = self.wish(&configuration);
            let begun = self.node(at).reconfigure(&change);
            match &begun {
                Ok(_) => {
                    self.cases.met(Case::Reconfigured);
                    self.cases.met_if(Case::ReconfiguredApart, self.network.is_broken());
                    self.cases.met_if(Case::GroupCreated, !change.create.is_empty());
                    self.cases.met_if(Case::GroupDropped, !change.drop.is_empty());
                    self.cases.met_if(Case::ServerAdded, !change.add.is_empty());
                    self.cases.met_if(Case::ServerRemoved, !change.remove.is_empty());
                }
                Err(ReconfigureError::Impossible(field)) => panic!("a change of {configuration:?} by {change:?} is impossible: {field}"),
                Err(_) => {}
            }
            self.story.add(self.now, &[51, at as u64, u64::from(begun.is_ok())], || {
                format!("-- s{} shall change the configuration by {change:?}: {begun:?}", at + 1)
            });
            self.pump(at);
        }
        self.schedule(self.faults.reconfigure, Event::Reconfigure);
    }

    fn wish(&mut self, configuration: &Configuration) -> Change {
        let dice = &mut self.chance;
        let voters = |roles: &Roles| roles.log;
        let eligible: Vec<_> = configuration
            .servers
            .iter()
            .filter(|(_, roles)| voters(roles))
            .map(|(server, _)| *server)
            .collect();
        let some = |dice: &mut crate::dice::Dice| -> Vec<ServerId> {
            let mut chosen: Vec<_> = eligible.iter().copied().filter(|_| dice.chance(0.6)).collect();
            if chosen.is_empty() {
                chosen.push(dice.pick(&eligible));
            }
            chosen
        };
        let target = |members: &Members, voters: Vec<ServerId>| Target {
            learners: members.all().filter(|server| !voters.contains(server)).collect(),
            voters,
        };
        let group = dice.pick(&configuration.groups.iter().map(|(group, _)| *group).collect::<Vec<GroupId>>());
        let members = configuration.group(group).expect("picked from them");
        let mut change = Change::default();
        match dice.below(8) {
            0 => change = Change::voters(configuration, &some(dice)),
            1 => change.senate = Some(target(&configuration.senate, some(dice))),
            2 => change.groups = vec![(group, target(members, some(dice)))],
            3 => {
                let candidates = (0..self.servers.len()).filter(|at| configuration.roles(self.servers[*at].id).is_none());
                // Who was removed has a disk that tells of a past that may have been forgotten: only fresh ones join.
                let fresh = candidates.filter(|at| self.servers[*at].is_blank());
                change
                    .add
                    .extend(fresh.take(1).map(|at| (self.servers[at].id, self.servers[at].roles)));
            }
            4 => {
                let server = dice.pick(&configuration.servers).0;
                let staying = |list: &[ServerId]| list.iter().copied().filter(|other| *other != server).collect::<Vec<_>>();
                let without = |members: &Members| Target {
                    voters: staying(members.incoming()),
                    learners: staying(members.learners()),
                };
                change.senate = Some(without(&configuration.senate));
                change.groups = configuration
                    .groups
                    .iter()
                    .map(|(group, members)| (*group, without(members)))
                    .collect();
                change.groups.retain(|(group, _)| configuration.dropping(*group).is_none());
                change.remove.push(server);
            }
            5 if configuration.groups.len() < 64 => change.create.push(target(&configuration.senate, some(dice))),
            6 if configuration.groups.len() > 1 => change.drop.push(group),
            // Everything that stores logs votes again.
            _ => change = Change::voters(configuration, &eligible),
        }
        change
    }
}
