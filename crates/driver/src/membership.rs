//! Servers come and go: the steps of a change, one after the other, as an operator means them.
//!
//! ```text
//!   add      learner of every log ──caught up──► voter (joint consensus) of those logs that it stores
//!   remove   learner (joint consensus) ──settled──► gone
//! ```
//!
//! Each step is an entry of the senate's log, so a consul that fails in between leaves a cluster that is whole; the same
//! call, made to the next consul, goes on from where it was left.

use std::time::Duration;

use curia_consensus::ids::ServerId;
use curia_consensus::{Change, Configuration, Members, ReconfigureError, Roles, Target};
use curia_types::{Result, SqlError, SqlState};
use tokio::time::{Instant, sleep};

use crate::handle::Driver;

/// How often a step that can't begin yet is tried again.
const AGAIN: Duration = Duration::from_millis(50);

impl Driver {
    /// Makes a server part of the cluster: a learner first, then, where it stores logs, a voter. It must be there to be reached, with an
    /// empty folder, under an id that the cluster never had. Returns when it is done; gives up after `patience`, when the server stays a
    /// learner until the call is made again.
    ///
    /// # Errors
    /// 55000 with the reason; 57P01 when the driver has stopped.
    pub async fn add_server(&self, server: ServerId, roles: Roles, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        self.change(until, |configuration| learning(configuration, server, roles)).await?;
        if roles.log {
            self.change(until, |configuration| {
                with_voters(configuration, |voters| {
                    if !voters.contains(&server) {
                        voters.push(server);
                    }
                })
            })
            .await?;
        }
        Ok(())
    }

    /// Takes a server out of the cluster: it ceases to vote, then it is gone. Its folder is of no use any more.
    ///
    /// # Errors
    /// 55000 with the reason; 57P01 when the driver has stopped.
    pub async fn remove_server(&self, server: ServerId, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        self.change(until, |configuration| {
            with_voters(configuration, |voters| voters.retain(|voter| *voter != server))
        })
        .await?;
        self.change(until, |configuration| {
            configuration.roles(server).map(|_| Change {
                remove: vec![server],
                ..Change::default()
            })
        })
        .await
    }

    /// Lets the cluster use features of this level, which all its servers must know.
    ///
    /// # Errors
    /// 55000 with the reason; 57P01 when the driver has stopped.
    pub async fn raise_features(&self, level: u32, patience: Duration) -> Result<()> {
        self.change(Instant::now() + patience, |configuration| {
            (configuration.feature_level < level).then(|| Change {
                feature_level: Some(level),
                ..Change::default()
            })
        })
        .await
    }

    /// Makes a change and waits until it is finished. `None`: there is nothing left to change.
    async fn change(&self, until: Instant, change: impl Fn(&Configuration) -> Option<Change>) -> Result<()> {
        loop {
            let now = self.configuration().borrow().clone();
            let Some(change) = change(&now) else { break };
            match self.reconfigure(change).await? {
                Ok(_) => break,
                Err(ReconfigureError::Nothing) => break,
                // These pass: a change under way, a learner that has not caught up, an office that is being handed over.
                Err(
                    error @ (ReconfigureError::Underway
                    | ReconfigureError::Behind { .. }
                    | ReconfigureError::NotLearner { .. }
                    | ReconfigureError::Damaged { .. }
                    | ReconfigureError::NoCandidate
                    | ReconfigureError::Transferring),
                ) if Instant::now() < until => {
                    tracing::debug!(%error, "a change of the configuration waits");
                    sleep(AGAIN).await;
                }
                Err(error) => return Err(refused(&error)),
            }
        }
        while !self.examine().await?.settled {
            if Instant::now() >= until {
                return Err(refused(&ReconfigureError::Underway));
            }
            sleep(AGAIN).await;
        }
        Ok(())
    }
}

/// The server becomes a learner of the senate and of all groups; `None` when it has their logs. Who runs the state becomes one by
/// itself, who only stores logs has to be named.
fn learning(configuration: &Configuration, server: ServerId, roles: Roles) -> Option<Change> {
    let lacking = configuration.groups.iter().filter(|(_, members)| !members.contains(server));
    let groups = lacking.map(|(group, members)| {
        let target = Target {
            voters: members.incoming().to_vec(),
            learners: members.learners().iter().copied().chain([server]).collect(),
        };
        (*group, target)
    });
    let change = Change {
        groups: groups.collect(),
        add: match configuration.roles(server) {
            Some(_) => Vec::new(),
            None => vec![(server, roles)],
        },
        ..Change::default()
    };
    (change != Change::default()).then_some(change)
}

/// The senate and all groups get other voters; `None` when they have them.
fn with_voters(configuration: &Configuration, change: impl Fn(&mut Vec<ServerId>)) -> Option<Change> {
    let changed = |members: &Members| {
        let mut voters = members.incoming().to_vec();
        change(&mut voters);
        voters.sort_unstable();
        (voters != members.incoming()).then_some(voters)
    };
    let logs = [&configuration.senate]
        .into_iter()
        .chain(configuration.groups.iter().map(|(_, members)| members));
    if logs.clone().all(|members| changed(members).is_none()) {
        return None;
    }
    let mut voters = configuration.senate.incoming().to_vec();
    change(&mut voters);
    Some(Change::voters(configuration, &voters))
}

fn refused(error: &ReconfigureError) -> SqlError {
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, error.to_string())
}
