//! goflow2 decodes flows and sends them to Kafka, as `FlowMessage` of protobuf. It does not count.

use std::path::Path;
use std::process::Command;

use super::Setup;
use crate::process::{Process, sockets};

/// Starts goflow2, which sends to a topic with the defaults that are published for Kafka, and LZ4.
pub(crate) fn goflow2(binary: &Path, setup: &Setup<'_>, broker: &str, topic: &str) -> anyhow::Result<Process> {
    let mut command = Command::new(binary);
    command.args(["-format", "bin", "-transport", "kafka", "-transport.kafka.compression", "lz4", "-addr", ""]);
    command.args(["-transport.kafka.brokers", broker, "-transport.kafka.topic", topic]);
    command.arg("-listen").arg(format!("netflow://127.0.0.1:{}", setup.port));
    let mut process = Process::start(&mut command, setup.directory)?;
    process.wait_for("its socket", || sockets(setup.port).ok().filter(|sockets| sockets.count > 0))?;
    Ok(process)
}
