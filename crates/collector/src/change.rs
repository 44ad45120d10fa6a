//! Applies a reload to a running collector without losing a datagram, in two steps: the first does everything that can
//! fail and changes nothing; the second makes the change.
//!
//! The number of threads, their receive buffers and the store change only at a restart.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;

use crate::export_connections::PreparedConnections;
use crate::forwarding::PreparedTargets;
use crate::listening::{Bound, Place, open, per_thread};
use crate::lock::{locked, locked_in_turn};
use crate::monitoring::PreparedListeners;
use crate::receiver::SocketChange;
use crate::settings::{Reloadable, Settings};
use crate::start::Collector;
use crate::start_error::StartError;

/// A change that cannot fail any more.
#[derive(Debug)]
pub struct Prepared {
    wanted: Reloadable,
    opened: Vec<Bound>,
    listeners: PreparedListeners,
    connections: PreparedConnections,
    targets: PreparedTargets,
}

impl Collector {
    /// Binds the new addresses. Datagrams queue there from now on.
    ///
    /// # Errors
    /// If an address cannot be bound, or none would remain.
    pub fn prepare(&self, wanted: Reloadable) -> Result<Prepared, StartError> {
        let settings = Settings {
            passed: Vec::new(),
            passed_streams: Vec::new(),
            kept_connections: Vec::new(),
            origins: self.settings.origins.clone(),
            reloadable: wanted,
            ..self.settings
        };
        let targets = self.forwarders.prepare(&settings.reloadable)?;
        let listen = &settings.reloadable.listen;
        let stays = |address: &SocketAddr| self.places.iter().any(|place| place.configured.contains(address));
        let mut opened: Vec<Bound> = Vec::new();
        for address in listen.iter().filter(|address| !stays(address)) {
            if !opened.iter().any(|(place, _)| place.bound == *address) {
                opened.extend(open(*address, &settings, &self.places)?);
            }
        }
        if opened.is_empty() && !self.places.iter().any(|place| is_kept(place, listen)) {
            return Err(StartError::NoAddress);
        }
        let listeners = self.monitoring.prepare(&settings.reloadable.bmp)?;
        let connections = self.export_connections.prepare(&settings.reloadable.export_connections, Vec::new())?;
        Ok(Prepared { wanted: settings.reloadable, opened, listeners, connections, targets })
    }

    /// Applies a prepared change. Returns when closed sockets have been read to their end, some tenths of a second later.
    pub async fn change(&mut self, prepared: Prepared) {
        let Prepared { wanted, opened, listeners, connections, targets } = prepared;
        self.exporters.set_limits(wanted.rules.session);
        for shard in &self.shards {
            locked_in_turn(shard).set_rules(wanted.rules);
        }
        (*locked(&self.current)).clone_from(&wanted);
        self.senders_changed.notify_one();
        if let Some(journal) = &self.journal {
            journal.set(wanted.journal);
        }
        if let Some(limit) = &self.spool_limit {
            limit.store(wanted.spool_bytes, Ordering::Relaxed);
        }
        self.monitoring.change(&wanted.bmp, listeners);
        self.export_connections.change(&wanted.export_connections, connections);
        self.forwarders.change(targets);
        let (opened, sockets): (Vec<Place>, Vec<_>) = opened.into_iter().unzip();
        for (thread, sockets) in self.socket_changes.iter().zip(per_thread(sockets, self.settings.threads)) {
            // A thread without a receiver has died; `stop` reports that.
            sockets.into_iter().for_each(|socket| drop(thread.send(SocketChange::Open(socket))));
        }
        let (closing, closed) = channel();
        for place in self.places.extract_if(.., |place| !is_kept(place, &wanted.listen)) {
            tracing::info!("stopped listening on {}", place.bound);
            for thread in &self.socket_changes {
                let close = SocketChange::Close { address: place.bound, _closing: closing.clone() };
                drop(thread.send(close));
            }
        }
        drop(closing);
        // Ends when the last thread has dropped its sender: then the addresses are free.
        let _ = tokio::task::spawn_blocking(move || closed.recv()).await;
        for place in &self.places {
            if !place.configured.iter().any(|address| wanted.listen.contains(address)) {
                tracing::warn!(
                    "still listening on {}: systemd holds this socket; change the socket unit and restart both",
                    place.bound
                );
            }
        }
        opened.iter().for_each(|place| tracing::info!("listening on {}", place.bound));
        self.places.extend(opened);
        self.view.reconfigure(self.addresses(), wanted.rules.scale_samples);
    }
}

/// Passed sockets stay open: systemd holds them too, so after a close they would fill up unread.
fn is_kept(place: &Place, wanted: &[SocketAddr]) -> bool {
    place.is_passed || place.configured.iter().any(|address| wanted.contains(address))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use accounting::block::WriterId;
    use flow::Timestamp;
    use storage::memory::Memory;
    use storage::{WriterState, Writers};
    use testing::wait::DEADLINE;
    use tokio::sync::oneshot;

    use super::*;
    use crate::origins::Origins;
    use crate::settings::reloadable;
    use crate::start;

    /// The runtime has one thread. The receiving thread closes its socket when another task has run meanwhile.
    #[tokio::test(flavor = "current_thread")]
    async fn other_tasks_run_while_sockets_are_closed() {
        let (store, writer) = (Arc::new(Memory::default()), WriterState::new(WriterId(1), 1, Timestamp::EPOCH));
        store.put_writer(&writer).await.unwrap();
        let reloadable = reloadable();
        let elsewhere = Reloadable { listen: vec!["127.0.0.2:0".parse().unwrap()], ..reloadable.clone() };
        let settings = Settings {
            passed: Vec::new(),
            passed_streams: Vec::new(),
            kept_connections: Vec::new(),
            threads: 1,
            receive_buffer: 1 << 16,
            steering: udp::Steering::default(),
            origins: Origins::default(),
            reloadable,
        };
        let mut collector = start(settings, store, None, None, writer, Arc::default(), None).await.unwrap();
        let prepared = collector.prepare(elsewhere).unwrap();
        let (thread, changes) = channel();
        collector.socket_changes = vec![thread];
        let (begin, begun) = oneshot::channel();
        let (run, ran) = channel();
        let closing = thread::spawn(move || {
            let _close = changes.iter().find(|change| matches!(change, SocketChange::Close { .. })).unwrap();
            begin.send(()).unwrap();
            ran.recv_timeout(DEADLINE)
        });
        let other = async {
            begun.await.unwrap();
            // Received only if it is in time.
            let _ = run.send(());
        };
        tokio::join!(collector.change(prepared), other);
        assert_eq!(closing.join().unwrap(), Ok(()), "no other task has run");
        collector.stop().await.unwrap();
    }
}
