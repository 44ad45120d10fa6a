//! The reader of the log that sends every flow to Kafka.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use collector::{LogConsumer, Logged, Position, ReadFlush};
use columns::Row;
use kafka::{Error, Producer, Sent};
use view::{Counter, Status};

use crate::config::Config;

/// Sends every flow.
pub(crate) struct KafkaStream {
    producer: Producer,
    row: Row,
    /// Why a record of the flush could not be sent.
    failed: Option<Error>,
    view: KafkaView,
}

/// What `/status` and `/metrics` show of the stream.
#[derive(Clone, Debug, Default)]
pub(super) struct KafkaView(Arc<Mutex<Sent>>);

impl KafkaStream {
    /// The stream of these settings. Nothing is connected before there are flows to send.
    ///
    /// # Errors
    /// If the CA certificates cannot be read.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let settings = config.kafka_settings()?;
        tracing::info!(
            "sending every flow to the topic {} of Kafka at {}",
            settings.topic,
            settings.brokers.join(", ")
        );
        let producer = Producer::new(settings);
        Ok(Self { producer, row: Row::new(), failed: None, view: KafkaView::default() })
    }

    /// What is shown of it.
    pub(super) fn view(&self) -> KafkaView {
        self.view.clone()
    }
}

impl LogConsumer for KafkaStream {
    fn take(&mut self, Position { writer, flush }: Position, record: &Logged<'_>) {
        if self.failed.is_none() && record.row(&mut self.row) {
            self.failed = self.producer.take(writer, flush, &self.row).err();
        }
    }

    fn end_flush(&mut self, _read: &ReadFlush) -> io::Result<bool> {
        let ended = self.failed.take().map_or_else(|| self.producer.end_flush(), Err);
        *self.view.0.lock().unwrap_or_else(PoisonError::into_inner) = self.producer.sent();
        ended.map_err(io::Error::other)?;
        Ok(true)
    }

    fn rewind(&mut self) {
        self.failed = None;
        self.producer.rewind();
    }

    fn begin_again(&mut self) {
        self.failed = None;
        self.producer.begin_again();
    }
}

impl KafkaView {
    /// Adds it to the status of the collector.
    pub(super) fn add_to(&self, status: &mut Status) {
        let Sent { flows, batches, octets } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        status.counters.extend([
            Counter::plain("kafka_sent_flows", "Flows that brokers of Kafka have acknowledged", flows),
            Counter::plain("kafka_sent_batches", "Batches of flows that brokers of Kafka have acknowledged", batches),
            Counter::plain("kafka_sent_bytes", "Bytes of these batches, compressed", octets),
        ]);
    }
}
