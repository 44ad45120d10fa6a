//! nfacctd of pmacct with its memory plugin, tuned: at its stock settings the table holds a fraction of what comes,
//! because its memory pools fill up, and nothing but its log says so.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use super::{Counted, Finished, Place, Program, Running, receive_buffer};
use crate::process::{Process, sockets};

pub(crate) struct Nfacctd {
    aggregates: &'static [&'static str],
}

impl Nfacctd {
    /// One aggregate, by the five-tuple.
    pub(crate) const ONE_KEY: Self = Self { aggregates: &["src_host, dst_host, src_port, dst_port, proto"] };
    /// Eight aggregates, each by one field: what netflow does, without prefixes, directions and periods. The input
    /// interface, which is always the same here, stands for the total: this version shows nothing for `none`.
    pub(crate) const EIGHT_FIELDS: Self =
        Self { aggregates: &["in_iface", "proto", "src_host", "src_port", "src_as", "dst_host", "dst_port", "dst_as"] };
    /// Flows a second that eight aggregates take here without loss.
    const EIGHT_FIELDS_RATE: u64 = 40_000;
    /// As above, for one.
    const ONE_KEY_RATE: u64 = 200_000;
}

/// Between the process that decodes and those that count. Octets.
const PIPE_SIZE: u32 = 256 << 20;
const BUFFER_SIZE: u32 = 64 << 10;
/// Octets that a flow has in a buffer, at least. A buffer is passed on when it is full, so that the flows of the last one
/// are not in the table; that is no loss.
const FLOW_SIZE: u32 = 64;
/// A prime; so that chains are short with as many names as a load has.
const BUCKETS: u32 = 524_287;
/// Octets of each pool of entries; their number is not limited.
const POOL_SIZE: u32 = 8 << 20;

impl Program for Nfacctd {
    fn name(&self) -> String {
        if self.aggregates.len() == 1 { "nfacctd, one key" } else { "nfacctd, eight fields" }.into()
    }

    fn moderate_rate(&self, wanted: u64) -> u64 {
        wanted.min(if self.aggregates.len() == 1 { Self::ONE_KEY_RATE } else { Self::EIGHT_FIELDS_RATE })
    }

    fn start(&self, place: &Place<'_>) -> anyhow::Result<Box<dyn Running>> {
        let names: Vec<String> = (0..self.aggregates.len()).map(|number| format!("a{number}")).collect();
        let plugins = names.iter().map(|name| format!("memory[{name}]")).collect::<Vec<_>>().join(", ");
        let mut settings = format!(
            "daemonize: false\nnfacctd_ip: 127.0.0.1\nnfacctd_port: {}\nnfacctd_pipe_size: {}\nnfacctd_as: netflow\n\
             nfacctd_disable_checks: true\nplugin_pipe_size: {PIPE_SIZE}\nplugin_buffer_size: {BUFFER_SIZE}\n\
             imt_buckets: {BUCKETS}\nimt_mem_pools_number: 0\nimt_mem_pools_size: {POOL_SIZE}\nplugins: {plugins}\n",
            place.port,
            receive_buffer(),
        );
        let mut tables = Vec::new();
        for (name, aggregate) in names.iter().zip(self.aggregates) {
            let table = place.directory.join(name);
            writeln!(settings, "aggregate[{name}]: {aggregate}\nimt_path[{name}]: {}", table.display())?;
            tables.push(table);
        }
        let file = place.directory.join("nfacctd.conf");
        std::fs::write(&file, settings)?;
        let mut process = Process::start(Command::new("nfacctd").arg("-f").arg(&file), place.directory)?;
        process.wait_for("its socket", || sockets(place.port).ok().filter(|sockets| sockets.count > 0))?;
        process.wait_for("its tables", || tables.iter().all(|table| table.exists()).then_some(()))?;
        Ok(Box::new(RunningNfacctd { process, tables }))
    }
}

struct RunningNfacctd {
    process: Process,
    tables: Vec<PathBuf>,
}

impl Running for RunningNfacctd {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The tables of all plugins must say the same; of different ones, the least counts.
    fn finish(mut self: Box<Self>) -> anyhow::Result<Finished> {
        let sums = self.tables.iter().map(table_sum).collect::<anyhow::Result<Vec<_>>>()?;
        let (bytes, packets) = sums.into_iter().min().context("no table")?;
        let processor_seconds = self.process.end()?;
        Ok(Finished {
            counted: Counted::Volume { bytes, packets, held_back: (BUFFER_SIZE / FLOW_SIZE).into() },
            processor_seconds,
        })
    }
}

/// Bytes and packets of a table.
fn table_sum(path: &PathBuf) -> anyhow::Result<(u64, u64)> {
    let output = Command::new("pmacct").args(["-s", "-O", "csv", "-p"]).arg(path).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut lines = said.lines();
    let header: Vec<&str> = lines.next().context("pmacct says nothing")?.split(',').collect();
    let column = |name| header.iter().position(|column| *column == name).context("pmacct has other columns");
    let (bytes, packets) = (column("BYTES")?, column("PACKETS")?);
    let mut sum = (0, 0);
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        if let (Some(bytes), Some(packets)) = (number(bytes), number(packets)) {
            sum = (sum.0 + bytes, sum.1 + packets);
        }
    }
    Ok(sum)
}
