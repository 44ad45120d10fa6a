//! The brokers of a cluster: which of them leads which partition, and the connections to them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use crate::connection::{Connection, PATIENCE};
use crate::error::Error;
use crate::messages::{self, Metadata};
use crate::settings::Settings;

/// How long a broker waits for its replicas, in milliseconds: less than its answer is waited for.
const REPLICAS: i32 = PATIENCE.as_millis() as i32 / 2;

/// Instead of the leader of a partition that has none.
const NONE: i32 = -1;

/// The brokers of a cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    settings: Settings,
    /// `host:port` by the number of the broker.
    addresses: BTreeMap<i32, String>,
    connections: BTreeMap<i32, Connection>,
    /// The broker that leads each partition, -1 for none; empty before they are known.
    leaders: Vec<i32>,
}

impl Cluster {
    /// Nothing is connected yet.
    pub(crate) const fn new(settings: Settings) -> Self {
        Self { settings, addresses: BTreeMap::new(), connections: BTreeMap::new(), leaders: Vec::new() }
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many partitions the topic has; 0 before it is known.
    pub(crate) const fn partitions(&self) -> usize {
        self.leaders.len()
    }

    /// Asks who leads which partition: the brokers that are known, then those of the settings.
    pub(crate) fn learn(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let known: Vec<String> = self.addresses.values().chain(&self.settings.brokers).cloned().collect();
        let mut last = None;
        for broker in known {
            match self.ask(&broker, deadline) {
                Ok(metadata) => return self.take(metadata),
                // Others would refuse as well.
                Err(error @ Error::Refused { .. }) => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| self.no_leader(0)))
    }

    fn ask(&self, broker: &str, deadline: Instant) -> Result<Metadata, Error> {
        // One that hangs leaves time for the others.
        let deadline = deadline.min(Instant::now() + PATIENCE / 2);
        let mut connection = Connection::open(broker, &self.settings, deadline)?;
        let answer = connection.ask(&messages::metadata(&self.settings.topic), deadline)?;
        Metadata::decode(&answer).ok_or_else(|| connection.nonsense("of the topic"))
    }

    fn take(&mut self, metadata: Metadata) -> Result<(), Error> {
        let Metadata { brokers, error, partitions } = metadata;
        if error != 0 {
            return Err(self.refused(error));
        }
        // Partitions are numbered from 0 without gaps.
        let mut leaders = vec![NONE; partitions.len()];
        for (partition, leader) in partitions {
            if let Some(place) = usize::try_from(partition).ok().and_then(|partition| leaders.get_mut(partition)) {
                *place = leader;
            }
        }
        self.leaders = leaders;
        let addresses = brokers.into_iter().collect();
        if self.addresses != addresses {
            // One may have another address.
            self.connections.clear();
            self.addresses = addresses;
        }
        Ok(())
    }

    /// Sends a batch to each of some partitions, to all brokers side by side, and waits until all replicas in sync have them.
    /// Returns what became of each.
    pub(crate) fn produce(&mut self, batches: &[(usize, Vec<u8>)]) -> Vec<Result<(), Error>> {
        let deadline = Instant::now() + PATIENCE;
        let mut by_leader: BTreeMap<i32, Vec<(i32, &[u8])>> = BTreeMap::new();
        for (partition, batch) in batches {
            let leader = self.leaders.get(*partition).copied().unwrap_or(NONE);
            by_leader.entry(leader).or_default().push((*partition as i32, batch));
        }
        let sent: Vec<(i32, Result<(), Error>)> =
            by_leader.iter().map(|(leader, batches)| (*leader, self.send(*leader, batches, deadline))).collect();
        let mut answers = BTreeMap::new();
        for (leader, sent) in sent {
            let answer = sent.and_then(|()| self.receive(leader, deadline));
            if answer.is_err() {
                // What still comes on it would be taken for another answer.
                self.connections.remove(&leader);
            }
            answers.insert(leader, answer.map_err(Arc::new));
        }
        let outcome = |(partition, _): &(usize, Vec<u8>)| {
            let leader = self.leaders.get(*partition).copied().unwrap_or(NONE);
            match answers.get(&leader) {
                Some(Ok(answer)) => self.outcome(*partition, answer),
                Some(Err(error)) => Err(Error::Leader(Arc::clone(error))),
                None => Err(self.no_leader(*partition)),
            }
        };
        batches.iter().map(outcome).collect()
    }

    fn send(&mut self, leader: i32, batches: &[(i32, &[u8])], deadline: Instant) -> Result<(), Error> {
        let connection = match self.connections.entry(leader) {
            Entry::Occupied(entry) if entry.get().is_open() => entry.into_mut(),
            entry => {
                let Some(address) = self.addresses.get(&leader) else {
                    let partition = batches.first().map_or(0, |(partition, _)| *partition as usize);
                    return Err(Error::NoLeader { topic: self.settings.topic.clone(), partition });
                };
                entry.insert_entry(Connection::open(address, &self.settings, deadline)?).into_mut()
            }
        };
        connection.send(&messages::produce(&self.settings.topic, batches, REPLICAS), deadline)
    }

    fn receive(&mut self, leader: i32, deadline: Instant) -> Result<Vec<(i32, i16)>, Error> {
        let Some(connection) = self.connections.get_mut(&leader) else { return Err(self.no_leader(0)) };
        let answer = connection.receive(deadline)?;
        messages::produced(&answer).ok_or_else(|| connection.nonsense("to records"))
    }

    fn outcome(&self, partition: usize, answers: &[(i32, i16)]) -> Result<(), Error> {
        match answers.iter().find(|(answered, _)| usize::try_from(*answered) == Ok(partition)) {
            Some((_, 0)) => Ok(()),
            Some((_, code)) => Err(self.refused(*code)),
            None => Err(self.no_leader(partition)),
        }
    }

    fn refused(&self, code: i16) -> Error {
        Error::Broker { topic: self.settings.topic.clone(), code }
    }

    fn no_leader(&self, partition: usize) -> Error {
        Error::NoLeader { topic: self.settings.topic.clone(), partition }
    }
}
