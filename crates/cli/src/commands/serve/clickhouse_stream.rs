//! The reader of the log that sends every flow to ClickHouse.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use clickhouse::{Error, Sent, Writer};
use collector::{LogConsumer, Logged, Position, ReadFlush};
use columns::Row;
use view::{Counter, Status};

use crate::config::Config;

/// Sends every flow.
pub(crate) struct ClickhouseStream {
    writer: Writer,
    row: Row,
    /// Why flows of the flush could not be sent.
    failed: Option<Error>,
    view: ClickhouseView,
}

/// What `/status` and `/metrics` show of the stream.
#[derive(Clone, Debug, Default)]
pub(super) struct ClickhouseView(Arc<Mutex<Sent>>);

impl ClickhouseStream {
    /// The stream of these settings. Nothing is connected before there are flows to send.
    ///
    /// # Errors
    /// If the CA certificates cannot be read.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let settings = config.clickhouse_settings()?;
        tracing::info!(
            "sending every flow to the table {}.{} of ClickHouse at {}",
            settings.database,
            settings.table,
            settings.hosts.join(", ")
        );
        let writer = Writer::new(settings, config.clickhouse.compression);
        Ok(Self { writer, row: Row::new(), failed: None, view: ClickhouseView::default() })
    }

    /// What is shown of it.
    pub(super) fn view(&self) -> ClickhouseView {
        self.view.clone()
    }
}

impl LogConsumer for ClickhouseStream {
    fn take(&mut self, Position { writer, flush }: Position, record: &Logged<'_>) {
        if self.failed.is_none() && record.row(&mut self.row) {
            self.failed = self.writer.take(writer, flush, &self.row).err();
        }
    }

    fn end_flush(&mut self, _read: &ReadFlush) -> io::Result<bool> {
        let ended = self.failed.take().map_or_else(|| self.writer.end_flush(), Err);
        *self.view.0.lock().unwrap_or_else(PoisonError::into_inner) = self.writer.sent();
        ended.map_err(io::Error::other)?;
        Ok(true)
    }

    fn rewind(&mut self) {
        self.failed = None;
        self.writer.rewind();
    }

    fn begin_again(&mut self) {
        self.failed = None;
        self.writer.begin_again();
    }
}

impl ClickhouseView {
    /// Adds it to the status of the collector.
    pub(super) fn add_to(&self, status: &mut Status) {
        let Sent { flows, inserts, octets, found } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        status.counters.extend([
            Counter::plain("clickhouse_sent_flows", "Flows that are in ClickHouse", flows),
            Counter::plain("clickhouse_inserts", "Inserts that ClickHouse has acknowledged", inserts),
            Counter::plain("clickhouse_sent_bytes", "Bytes of these inserts, compressed", octets),
            Counter::plain(
                "clickhouse_found_flows",
                "Flows that were already in ClickHouse, because the answer to their insert was lost",
                found,
            ),
        ]);
    }
}
