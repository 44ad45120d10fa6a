//! nfacctd (pmacct) with its memory plugin, tuned. With its default settings, the table contains a fraction of the
//! flows, because its memory pools fill up, which only its log reports.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use super::{Finished, Program, Reported, Running, Setup, receive_buffer};
use crate::process::{Process, sockets};

pub(crate) struct Nfacctd {
    aggregates: &'static [&'static str],
}

impl Nfacctd {
    /// One aggregate, by the five-tuple.
    pub(crate) const ONE_KEY: Self = Self { aggregates: &["src_host, dst_host, src_port, dst_port, proto"] };
    /// Eight aggregates by one field each: what netflow does, without prefixes, directions and periods. The input
    /// interface, which is always the same here, represents the total: this version shows nothing for `none`.
    pub(crate) const EIGHT_FIELDS: Self =
        Self { aggregates: &["in_iface", "proto", "src_host", "src_port", "src_as", "dst_host", "dst_port", "dst_as"] };
    /// Flows a second that eight aggregates can handle here without loss.
    const EIGHT_FIELDS_RATE: u64 = 40_000;
    /// The same for one aggregate.
    const ONE_KEY_RATE: u64 = 200_000;
}

/// The pipe between the decoding process and the counting processes. Octets.
const PIPE_SIZE: u32 = 256 << 20;
const BUFFER_SIZE: u32 = 64 << 10;
/// The minimum size of a flow in a buffer. Octets. A buffer is passed on only when it is full, so flows in the last one
/// are not in the table. They do not count as lost.
const FLOW_SIZE: u32 = 64;
/// A prime, large enough for short chains with the number of names in a load.
const BUCKETS: u32 = 524_287;
/// Size of a pool of entries. Octets. The number of pools is unlimited.
const POOL_SIZE: u32 = 8 << 20;

impl Program for Nfacctd {
    fn name(&self) -> String {
        if self.aggregates.len() == 1 { "nfacctd, one key" } else { "nfacctd, eight fields" }.into()
    }

    fn moderate_rate(&self, wanted: u64) -> u64 {
        wanted.min(if self.aggregates.len() == 1 { Self::ONE_KEY_RATE } else { Self::EIGHT_FIELDS_RATE })
    }

    fn start(&self, setup: &Setup<'_>) -> anyhow::Result<Box<dyn Running>> {
        let names: Vec<String> = (0..self.aggregates.len()).map(|number| format!("a{number}")).collect();
        let plugins = names.iter().map(|name| format!("memory[{name}]")).collect::<Vec<_>>().join(", ");
        let mut settings = format!(
            "daemonize: false\nnfacctd_ip: 127.0.0.1\nnfacctd_port: {}\nnfacctd_pipe_size: {}\nnfacctd_as: netflow\n\
             nfacctd_disable_checks: true\nplugin_pipe_size: {PIPE_SIZE}\nplugin_buffer_size: {BUFFER_SIZE}\n\
             imt_buckets: {BUCKETS}\nimt_mem_pools_number: 0\nimt_mem_pools_size: {POOL_SIZE}\nplugins: {plugins}\n",
            setup.port,
            receive_buffer(),
        );
        let mut tables = Vec::new();
        for (name, aggregate) in names.iter().zip(self.aggregates) {
            let table = setup.directory.join(name);
            writeln!(settings, "aggregate[{name}]: {aggregate}\nimt_path[{name}]: {}", table.display())?;
            tables.push(table);
        }
        let file = setup.directory.join("nfacctd.conf");
        std::fs::write(&file, settings)?;
        let mut process = Process::start(Command::new("nfacctd").arg("-f").arg(&file), setup.directory)?;
        process.wait_for("its socket", || sockets(setup.port).ok().filter(|sockets| sockets.count > 0))?;
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

    /// The tables of all plugins should agree; if they do not, the smallest is used.
    fn finish(mut self: Box<Self>) -> anyhow::Result<Finished> {
        let sums = self.tables.iter().map(table_sum).collect::<anyhow::Result<Vec<_>>>()?;
        let (bytes, packets) = sums.into_iter().min().context("no table")?;
        let processor_seconds = self.process.end()?;
        Ok(Finished {
            counted: Reported::Volume { bytes, packets, held_back: (BUFFER_SIZE / FLOW_SIZE).into() },
            processor_seconds,
        })
    }
}

/// The sums of bytes and packets in a table.
fn table_sum(path: &PathBuf) -> anyhow::Result<(u64, u64)> {
    let output = Command::new("pmacct").args(["-s", "-O", "csv", "-p"]).arg(path).output()?;
    let table = String::from_utf8_lossy(&output.stdout);
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next().context("pmacct printed nothing")?.split(',').collect();
    let column = |name| header.iter().position(|column| *column == name).context("pmacct printed other columns");
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
