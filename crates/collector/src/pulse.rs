//! Heartbeats: each thread reports progress, so that a watchdog distinguishes a collector that hangs from an idle one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// The reference time of beats.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Instead of a time: the thread has ended normally.
const ENDED: u64 = u64::MAX;

/// The pulse of one thread.
#[derive(Clone, Debug)]
pub struct Pulse {
    name: String,
    /// When it last beat, in milliseconds.
    last: Arc<AtomicU64>,
}

impl Pulse {
    /// The pulse of a thread that starts now.
    pub(crate) fn new(name: &str) -> Self {
        let pulse = Self { name: name.to_owned(), last: Arc::default() };
        pulse.beat();
        pulse
    }

    /// Reports progress.
    pub(crate) fn beat(&self) {
        self.last.store(now(), Ordering::Relaxed);
    }

    /// Reports a normal end: no more beats are expected.
    pub(crate) fn end(&self) {
        self.last.store(ENDED, Ordering::Relaxed);
    }

    /// Reports a normal end when this value is dropped, as with a task that is aborted.
    pub(crate) fn ending(&self) -> impl Drop + use<> {
        struct Ending(Pulse);

        impl Drop for Ending {
            fn drop(&mut self) {
                self.0.end();
            }
        }

        Ending(self.clone())
    }

    /// Runs a future, and beats whenever it makes progress.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|context| {
            self.beat();
            work.as_mut().poll(context)
        })
        .await
    }

    /// The name of the thread.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time since the last beat; zero for a thread that has ended.
    #[must_use]
    pub fn age(&self) -> Duration {
        match self.last.load(Ordering::Relaxed) {
            ENDED => Duration::ZERO,
            last => Duration::from_millis(now().saturating_sub(last)),
        }
    }
}

fn now() -> u64 {
    u64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(ENDED - 1)
}

#[cfg(test)]
mod tests {
    use accounting::block::WriterId;
    use flow::Timestamp;
    use storage::memory::Memory;
    use storage::{WriterState, Writers};

    use super::*;
    use crate::lock::locked_in_turn;
    use crate::settings::reloadable;
    use crate::{ExportConnectionSettings, Reloadable, Settings, start};

    #[tokio::test(flavor = "multi_thread")]
    async fn idle_threads_beat_and_stalled_threads_do_not() {
        let (store, writer) = (Arc::new(Memory::default()), WriterState::new(WriterId(1), 1, Timestamp::EPOCH));
        store.put_writer(&writer).await.unwrap();
        let settings = Settings {
            passed: Vec::new(),
            passed_streams: Vec::new(),
            kept_connections: Vec::new(),
            threads: 1,
            receive_buffer: 1 << 16,
            steering: udp::Steering::default(),
            origins: crate::Origins::default(),
            reloadable: Reloadable {
                flush_interval: Duration::from_millis(50),
                export_connections: ExportConnectionSettings {
                    tcp: vec!["127.0.0.1:0".parse().unwrap()],
                    ..ExportConnectionSettings::default()
                },
                ..reloadable()
            },
        };
        let collector = start(settings, store, None, None, writer, Arc::default(), None).await.unwrap();
        let pulses = collector.pulses().to_vec();
        let names = ["receiver-0", "flusher", "senders", "bmp", "tcp", "tcp-0"];
        assert_eq!(pulses.iter().map(Pulse::name).collect::<Vec<_>>(), names);
        // The senders are read every few seconds, whatever the shards do.
        let counting = &pulses[..2];
        let wait_until = |what: &dyn Fn(&[Pulse]) -> bool| {
            let end = Instant::now() + Duration::from_secs(20);
            while !what(counting) {
                assert!(Instant::now() < end, "{pulses:?}");
                std::thread::yield_now();
            }
        };
        let hanging = Duration::from_millis(1500);
        std::thread::sleep(hanging);
        wait_until(&|_| pulses.iter().skip(3).all(|pulse| pulse.age() < Duration::from_secs(1)));
        wait_until(&|pulses| pulses.iter().all(|pulse| pulse.age() < Duration::from_secs(1)));
        {
            // One thread waits for the shard to count a datagram, the other to flush.
            let _shard = locked_in_turn(&collector.shards[0]);
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(b"x", collector.addresses()[0]).unwrap();
            wait_until(&|pulses| pulses.iter().all(|pulse| pulse.age() > hanging));
            let threads = collector.view().status().threads;
            let silent = threads.iter().filter(|thread| thread.name != "senders" && thread.silent > hanging);
            assert_eq!(silent.count(), 2, "{threads:?}");
        }
        wait_until(&|pulses| pulses.iter().all(|pulse| pulse.age() < Duration::from_secs(1)));
        collector.stop().await.unwrap();
        wait_until(&|_| pulses[2].age() == Duration::ZERO);
        assert!(pulses.iter().all(|pulse| pulse.age() == Duration::ZERO));
    }
}
