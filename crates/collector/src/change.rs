//! What can change while a collector runs, without losing a datagram: where it receives, by which rules it counts, how it
//! flushes, how long it keeps blocks. In two steps: first all that can fail, which changes nothing; then the change itself.
//!
//! How many threads there are, their receive buffers, and the store are those of the start.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::flusher_thread::Flushing;
use crate::keep::Keep;
use crate::listening::{Bound, Place, open, per_thread};
use crate::lock::locked;
use crate::receiver::SocketChange;
use crate::settings::Settings;
use crate::start::Collector;
use crate::start_error::StartError;
use pipeline::Rules;

/// Settings that a running collector can take.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where to receive; any protocol at any of them.
    pub listen: Vec<SocketAddr>,
    /// How flows are counted.
    pub rules: Rules,
    /// The interval between flushes.
    pub flush_interval: Duration,
    /// How long blocks are kept.
    pub keep: Keep,
    /// Size limit and sync policy of the journal.
    pub journal: journal::Settings,
    /// Octets that may wait for a store on the network.
    pub spool_bytes: u64,
}

/// A change that will not fail.
#[derive(Debug)]
pub struct Prepared {
    change: Change,
    opened: Vec<Bound>,
}

impl Collector {
    /// Binds the addresses that are new. From now on datagrams wait there.
    ///
    /// # Errors
    /// When an address cannot be bound, or none would be left.
    pub fn prepare(&self, change: Change) -> Result<Prepared, StartError> {
        let wanted = Settings { listen: change.listen.clone(), passed: Vec::new(), ..self.settings };
        let stays = |address: &SocketAddr| self.places.iter().any(|place| place.configured.contains(address));
        let mut opened: Vec<Bound> = Vec::new();
        for address in change.listen.iter().filter(|address| !stays(address)) {
            if !opened.iter().any(|(place, _)| place.bound == *address) {
                opened.extend(open(*address, &wanted, &self.places)?);
            }
        }
        if opened.is_empty() && !self.places.iter().any(|place| is_kept(place, &change.listen)) {
            return Err(StartError::NoAddress);
        }
        Ok(Prepared { change, opened })
    }

    /// Changes to what was prepared. Returns when closed sockets have been read to their end, some tenths of a second
    /// later.
    pub async fn change(&mut self, Prepared { change, opened }: Prepared) {
        self.exporters.set_limits(change.rules.session);
        for shard in &self.shards {
            locked(shard).shard.set_rules(change.rules);
        }
        let (interval, spool_bytes) = (change.flush_interval, Some(change.spool_bytes));
        *locked(&self.flushing) = Flushing { interval, keep: change.keep, spool_bytes };
        if let Some(journal) = &self.journal {
            journal.set(change.journal);
        }
        let (opened, sockets): (Vec<Place>, Vec<_>) = opened.into_iter().unzip();
        for (thread, sockets) in self.socket_changes.iter().zip(per_thread(sockets, self.settings.threads)) {
            // A thread without a receiver has died; `stop` reports that.
            sockets.into_iter().for_each(|socket| drop(thread.send(SocketChange::Open(socket))));
        }
        let (closing, closed) = channel();
        for place in self.places.extract_if(.., |place| !is_kept(place, &change.listen)) {
            tracing::info!("stopped listening on {}", place.bound);
            for thread in &self.socket_changes {
                let close = SocketChange::Close { address: place.bound, _closing: closing.clone() };
                drop(thread.send(close));
            }
        }
        drop(closing);
        // Ends when the last thread has dropped its end: then the addresses are free. Nothing is ever sent.
        let _ = tokio::task::spawn_blocking(move || closed.recv()).await;
        for place in &self.places {
            if !place.configured.iter().any(|address| change.listen.contains(address)) {
                tracing::warn!(
                    "still listening on {}: systemd holds this socket; change the socket unit and restart both",
                    place.bound
                );
            }
        }
        opened.iter().for_each(|place| tracing::info!("listening on {}", place.bound));
        self.places.extend(opened);
        self.view.reconfigure(self.addresses(), change.spool_bytes, change.rules.scale_samples);
        self.settings.listen = change.listen;
    }
}

/// Sockets that somebody else holds stay: closed here, they would fill up and never be read.
fn is_kept(place: &Place, wanted: &[SocketAddr]) -> bool {
    place.is_passed || place.configured.iter().any(|address| wanted.contains(address))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use accounting::block::WriterId;
    use accounting::tally::TallySettings;
    use flow::Timestamp;
    use storage::memory::Memory;
    use storage::{WriterState, Writers};
    use wire::SessionLimits;

    use super::*;
    use crate::start;

    /// The runtime has one thread, and it is one of its tasks that closes the socket.
    #[tokio::test(flavor = "current_thread")]
    async fn other_tasks_run_while_sockets_are_closed() {
        let (store, writer) = (Arc::new(Memory::default()), WriterState::new(WriterId(1), 1, Timestamp::EPOCH));
        store.put_writer(&writer).await.unwrap();
        let rules = Rules {
            scale_samples: true,
            clock_limit: Duration::from_secs(600),
            session: SessionLimits::default(),
            tally: TallySettings::default(),
        };
        let flush_interval = Duration::from_secs(3600);
        let settings = Settings {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            passed: Vec::new(),
            threads: 1,
            receive_buffer: 1 << 16,
            steering: udp::Steering::default(),
            flush_interval,
            rules,
            keep: Keep::default(),
        };
        let mut collector = start(settings, store, None, None, writer, Arc::default()).await.unwrap();
        let listen = vec!["127.0.0.2:0".parse().unwrap()];
        let journal = journal::Settings { sync: journal::Sync::Off, limit_bytes: 0 };
        let change = Change { listen, rules, flush_interval, keep: Keep::default(), journal, spool_bytes: 0 };
        let prepared = collector.prepare(change).unwrap();
        let (thread, changes) = channel();
        collector.socket_changes = vec![thread];
        let closes = async {
            while !matches!(changes.try_recv(), Ok(SocketChange::Close { .. })) {
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(collector.change(prepared), closes);
        collector.stop().await.unwrap();
    }
}
