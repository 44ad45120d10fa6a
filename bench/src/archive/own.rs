//! Our own answers: this program once more, so that a whole process is measured.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use archive::Scan;
use archive::scan::{Counted, GroupQuestion, Order};
use clap::Args;
use columns::Value;
use flow::Timestamp;

use super::question::{Answer, By, MOST, Question, STEP};
use crate::process::{Cost, timed};

/// Arguments of `bench flows`.
#[derive(Args, Clone, Debug)]
pub(crate) struct FlowsArguments {
    /// The folder of the archive
    folder: PathBuf,
    /// Which flows
    #[arg(long, default_value = "")]
    filter: String,
    /// The keys of groups
    #[arg(long, value_delimiter = ',')]
    by: Vec<String>,
    /// All groups in the order of their keys
    #[arg(long)]
    all: bool,
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// The memory that the collector gives to a question. Octets.
const MEMORY: usize = 256 << 20;

/// Our answer, and what the whole process took.
pub(super) fn ask(question: &Question, folder: &Path, threads: usize) -> anyhow::Result<(Answer, Cost)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("flows").arg(folder).args(["--threads", &threads.to_string(), "--filter", question.filter]);
    match question.by {
        By::Sources => command.args(["--by", "srcip"]),
        By::SourcesAndPorts => command.args(["--by", "srcip,dstport"]),
        By::Steps => command.args(["--all", "--by", &format!("received/{STEP}ms")]),
    };
    let (output, cost) = timed(&mut command)?;
    Ok((Answer::read(&output)?, cost))
}

/// Answers a question: a line for each group with its keys, flows, packets and octets.
pub(crate) fn flows(arguments: &FlowsArguments) -> anyhow::Result<()> {
    let keys = arguments.by.iter().map(|key| key.parse()).collect::<Result<_, _>>()?;
    let cancelled = AtomicBool::new(false);
    let scan = Scan {
        folder: &arguments.folder,
        open: None,
        octets: MEMORY,
        threads: arguments.threads,
        cancelled: &cancelled,
        progress: None,
    };
    let question = GroupQuestion {
        received: Timestamp::EPOCH..Timestamp::from_seconds(u64::from(u32::MAX)),
        filter: arguments.filter.parse()?,
        keys,
        distinct: Vec::new(),
        counted: Counted::SCALED,
        order: if arguments.all { Order::Keys } else { Order::Bytes },
        most: if arguments.all { usize::MAX } else { MOST },
    };
    let groups = scan.groups(&question)?;
    anyhow::ensure!(groups.read.left_out.is_empty(), "unreadable files: {:?}", groups.read.left_out);
    for group in groups.first {
        for key in group.keys {
            match key {
                Value::Number(number) => print!("{number} "),
                Value::Address(address) => print!("{address} "),
                Value::Time(time) => print!("{} ", time.milliseconds()),
                Value::Mac(_) | Value::Country(_) | Value::AsPath(_) => {}
            }
        }
        println!("{} {} {}", group.sums.flows, group.sums.packets, group.sums.bytes);
    }
    Ok(())
}
