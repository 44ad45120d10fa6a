//! Ours: `netflow serve` on SQLite. Senders are registered in its store before it starts; totals are asked for over REST.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, ensure};
use flow::{Counters, Prefix, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use storage::{Sqlite, Store};

use super::{Counted, Finished, Place, Program, Running, netflow_binary, receive_buffer};
use crate::process::{PATIENCE, Process};

const AUTH_KEY: &str = "bench-authentication-key-of-the-bench";
const SIGN_KEY: &str = "bench-signing-key-of-the-bench-itself";

#[derive(Clone, Debug)]
pub(crate) struct Netflow {
    /// What is different from other rows, for the table.
    pub(crate) variant: &'static str,
    /// The prefixes that are monitored for each sender. The first ones have to be apart and hold one end of each flow.
    pub(crate) prefixes: Vec<Prefix>,
    /// How many of them, from the start, hold each flow once.
    pub(crate) once: usize,
    /// Settings of the environment.
    pub(crate) settings: Vec<(&'static str, String)>,
}

impl Program for Netflow {
    fn name(&self) -> String {
        format!("netflow{}", self.variant)
    }

    fn start(&self, place: &Place<'_>) -> anyhow::Result<Box<dyn Running>> {
        Ok(Box::new(self.begin(place)?))
    }
}

/// A running collector.
pub(crate) struct RunningNetflow {
    pub(crate) process: Process,
    api: SocketAddr,
    directory: PathBuf,
    settings: Vec<(&'static str, String)>,
    senders: Vec<Ipv4Addr>,
    prefixes: Vec<Prefix>,
}

impl Netflow {
    pub(crate) fn begin(&self, place: &Place<'_>) -> anyhow::Result<RunningNetflow> {
        register(&place.directory.join("data"), place.exporters, &self.prefixes)?;
        let mut settings = vec![
            ("NETFLOW__NETFLOW__LISTEN", format!("127.0.0.1:{}", place.port)),
            ("NETFLOW__SFLOW__LISTEN", String::new()),
            ("NETFLOW__HTTP__LISTEN", "127.0.0.1:0".into()),
            ("NETFLOW__SERVER__RECEIVE_BUFFER", format!("{}KiB", receive_buffer() / 1024)),
            ("NETFLOW__ADMIN__AUTH_KEY", AUTH_KEY.into()),
            ("NETFLOW__ADMIN__SIGN_KEY", SIGN_KEY.into()),
        ];
        settings.extend(self.settings.iter().cloned());
        let directory = place.directory.to_path_buf();
        let (process, api) = launch(&directory, &settings)?;
        let prefixes = self.prefixes.get(..self.once).unwrap_or_default().to_vec();
        Ok(RunningNetflow { process, api, directory, settings, senders: place.exporters.to_vec(), prefixes })
    }
}

/// What a counter stands under in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) prefix: String,
    pub(crate) direction: String,
    pub(crate) name: String,
}

/// Starts it, and waits until it serves.
fn launch(directory: &Path, settings: &[(&str, String)]) -> anyhow::Result<(Process, SocketAddr)> {
    let mut command = Command::new(netflow_binary()?);
    command.arg("serve").current_dir(directory).envs(settings.iter().map(|(key, value)| (key, value)));
    let mut process = Process::start(&mut command, directory)?;
    let api = process.wait_for("the line 'serving http://'", || {
        let log = std::fs::read_to_string(directory.join("netflow.log")).ok()?;
        let (_, behind) = log.split_once("serving http://")?;
        behind.split_whitespace().next()?.parse().ok()
    })?;
    Ok((process, api))
}

/// Asks its REST interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker(SocketAddr);

impl RunningNetflow {
    /// What asks its REST interface while others have it.
    pub(crate) const fn asker(&self) -> Asker {
        Asker(self.api)
    }

    /// A counter of its status, summed over its labels.
    pub(crate) fn status_counter(&self, name: &str) -> anyhow::Result<u64> {
        let status = self.ask("GET", "/status", "")?;
        let counter = status.pointer(&format!("/counters/{name}")).with_context(|| format!("no counter {name}"))?;
        Ok(match counter {
            Value::Object(labels) => labels.values().filter_map(Value::as_u64).sum(),
            number => number.as_u64().unwrap_or_default(),
        })
    }

    /// Ends it, and starts another on the same store, so that the last flush is in what is asked for next. Returns the
    /// processor time that the first one had used at its end. Seconds.
    pub(crate) fn restart(&mut self) -> anyhow::Result<f64> {
        let processor_seconds = self.process.end()?;
        (self.process, self.api) = launch(&self.directory, &self.settings)?;
        Ok(processor_seconds)
    }

    /// What was counted this year for all senders.
    pub(crate) fn totals(&self) -> anyhow::Result<Counters> {
        let mut sum = Counters::ZERO;
        for sender in &self.senders {
            for (_, counters) in self.counted(*sender, &["all"])? {
                sum.add(counters);
            }
        }
        Ok(sum)
    }

    /// Counters of one sender this year under these names, for each prefix that holds each flow once, and each direction.
    pub(crate) fn counted(&self, sender: Ipv4Addr, names: &[&str]) -> anyhow::Result<Vec<(Row, Counters)>> {
        let year = year();
        let question: serde_json::Map<String, Value> =
            self.prefixes.iter().map(|prefix| (prefix.to_string(), json!({ "years": [{ &year: names }] }))).collect();
        let answer = self.ask("POST", &format!("/stats/{sender}"), &Value::Object(question).to_string())?;
        let mut counted = Vec::new();
        for (prefix, periods) in answer.as_object().context("no answer")? {
            let rows = periods.pointer(&format!("/years/0/{year}")).and_then(Value::as_array);
            for row in rows.with_context(|| format!("no totals: {answer}"))? {
                let number = |key: &str| row.get(key).and_then(Value::as_u64).context("no counter");
                let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let name = Row { prefix: prefix.clone(), direction: text("direction"), name: text("name") };
                let counters = Counters { bytes: number("bytes")?, packets: number("pkts")?, flows: number("flows")? };
                counted.push((name, counters));
            }
        }
        Ok(counted)
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        self.asker().ask(method, path, body)
    }
}

impl Asker {
    /// Asks, and waits for the answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SIGN_KEY.as_bytes())?;
        mac.update(AUTH_KEY.as_bytes());
        let sign: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
        let mut stream = TcpStream::connect(self.0)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: netflow\r\nConnection: close\r\nX-Io-Auth: {AUTH_KEY}\r\n\
             X-Io-Sign: {sign}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "{method} {path}: {head}\n{body}");
        Ok(serde_json::from_str(body)?)
    }
}

impl Running for RunningNetflow {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it has counted is asked of another that is started on the same store, so that the last flush is in it.
    fn finish(mut self: Box<Self>) -> anyhow::Result<Finished> {
        let processor_seconds = self.restart()?;
        let counted = self.totals()?;
        Ok(Finished { counted: Counted::All(counted), processor_seconds })
    }
}

/// The year, as the REST interface names it.
fn year() -> String {
    Timestamp::from(SystemTime::now()).to_string().chars().take(4).collect()
}

/// Registers senders in the store of a collector that is not running.
fn register(data: &Path, senders: &[Ipv4Addr], prefixes: &[Prefix]) -> anyhow::Result<()> {
    std::fs::create_dir(data)?;
    let store = Sqlite::open(&data.join("netflow.sqlite"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for sender in senders {
            store.add_prefixes((*sender).into(), prefixes).await?;
        }
        Ok(())
    })
}
