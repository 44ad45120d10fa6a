//! The streams of flows to other systems: readers of the log, each with what is shown of it.

use collector::Collector;
use view::Status;

use super::clickhouse_stream::{ClickhouseStream, ClickhouseView};
use super::kafka_stream::{KafkaStream, KafkaView};
use super::start_failure;
use crate::config::{Clickhouse, Config, Kafka};
use crate::exit_code::{ExitCode, Failure, OrExit};

/// The streams that run.
#[derive(Debug)]
pub(super) struct Streams {
    kafka: Option<KafkaView>,
    clickhouse: Option<ClickhouseView>,
}

impl Streams {
    /// Begins to send flows where the configuration wants them.
    ///
    /// # Errors
    /// If a file that the configuration names cannot be read, or the log refuses a reader.
    pub(super) fn start(config: &Config, collector: &mut Collector) -> Result<Self, Failure> {
        let mut streams = Self { kafka: None, clickhouse: None };
        if config.kafka.is_on() {
            let stream = KafkaStream::new(config).or_exit(ExitCode::Config)?;
            streams.kafka = Some(stream.view());
            collector.read_log(Kafka::READER, Box::new(stream)).map_err(start_failure)?;
        }
        if config.clickhouse.is_on() {
            let stream = ClickhouseStream::new(config).or_exit(ExitCode::Config)?;
            streams.clickhouse = Some(stream.view());
            collector.read_log(Clickhouse::READER, Box::new(stream)).map_err(start_failure)?;
        }
        Ok(streams)
    }

    /// Adds them to the status of the collector.
    pub(super) fn add_to(&self, status: &mut Status) {
        if let Some(kafka) = &self.kafka {
            kafka.add_to(status);
        }
        if let Some(clickhouse) = &self.clickhouse {
            clickhouse.add_to(status);
        }
    }
}
