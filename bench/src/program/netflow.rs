//! Our collector: `netflow serve` on SQLite. Exporters are registered in its store before it starts; totals are queried
//! over REST.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, ensure};
use flow::{Counters, Prefix, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::{Value, json};
use storage::{Registry, Sqlite};

use super::{Finished, Program, Reported, Running, Setup, Tls, netflow_binary, receive_buffer};
use crate::process::{PATIENCE, Process};
use crate::transport::Transport;

/// The key of the operator.
const OPERATOR: Key =
    Key { auth: "bench-authentication-key-of-the-bench", sign: "bench-signing-key-of-the-bench-itself" };

/// A key of the REST interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) auth: &'static str,
    pub(crate) sign: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Netflow {
    /// The suffix of its name in the table.
    pub(crate) variant: &'static str,
    /// The monitored prefixes of each exporter. The first `once` of them must be disjoint, and each flow must have
    /// exactly one endpoint in them.
    pub(crate) prefixes: Vec<Prefix>,
    /// The number of prefixes, from the start, that together contain each flow once.
    pub(crate) once: usize,
    /// Settings, as environment variables.
    pub(crate) settings: Vec<(&'static str, String)>,
    /// Serves its REST interface over TLS.
    pub(crate) tls: Option<Tls>,
    /// How exporters reach it.
    pub(crate) transport: Transport,
}

impl Program for Netflow {
    fn name(&self) -> String {
        format!("netflow{}", self.variant)
    }

    fn transport(&self) -> Transport {
        self.transport.clone()
    }

    fn start(&self, setup: &Setup<'_>) -> anyhow::Result<Box<dyn Running>> {
        Ok(Box::new(self.start_collector(setup)?))
    }
}

/// A running collector.
pub(crate) struct RunningNetflow {
    pub(crate) process: Process,
    api: SocketAddr,
    directory: PathBuf,
    settings: Vec<(&'static str, String)>,
    tls: Option<Arc<ClientConfig>>,
    senders: Vec<Ipv4Addr>,
    prefixes: Vec<Prefix>,
}

impl Netflow {
    pub(crate) fn start_collector(&self, setup: &Setup<'_>) -> anyhow::Result<RunningNetflow> {
        register(&setup.directory.join("data"), setup.exporters, &self.prefixes)?;
        let mut settings = vec![
            ("NETFLOW__SFLOW__LISTEN", String::new()),
            ("NETFLOW__ARCHIVE__ENABLED", "false".into()),
            ("NETFLOW__HTTP__LISTEN", "127.0.0.1:0".into()),
            ("NETFLOW__SERVER__RECEIVE_BUFFER", format!("{}KiB", receive_buffer() / 1024)),
            ("NETFLOW__ADMIN__AUTH_KEY", OPERATOR.auth.into()),
            ("NETFLOW__ADMIN__SIGN_KEY", OPERATOR.sign.into()),
        ];
        settings.extend(self.listening(setup.port));
        settings.extend(self.settings.iter().cloned());
        settings.extend(self.tls.iter().flat_map(Tls::settings));
        let directory = setup.directory.to_path_buf();
        let (process, api) = launch(&directory, &settings)?;
        let prefixes = self.prefixes.get(..self.once).unwrap_or_default().to_vec();
        let tls = self.tls.as_ref().map(|tls| Arc::clone(&tls.client));
        Ok(RunningNetflow { process, api, directory, settings, tls, senders: setup.exporters.to_vec(), prefixes })
    }

    /// Settings: it listens at this port for datagrams, and for the connections of its transport.
    fn listening(&self, port: u16) -> Vec<(&'static str, String)> {
        let address = format!("127.0.0.1:{port}");
        let mut settings = vec![("NETFLOW__NETFLOW__LISTEN", address.clone())];
        match &self.transport {
            Transport::Udp => {}
            Transport::Tcp => settings.push(("NETFLOW__NETFLOW__TCP__LISTEN", address)),
            Transport::Tls(tls) => {
                settings.push(("NETFLOW__NETFLOW__TLS__LISTEN", address));
                settings.extend(tls.exporter_settings());
            }
        }
        settings
    }
}

/// The key of a counter in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CounterKey {
    pub(crate) prefix: String,
    pub(crate) direction: String,
    pub(crate) name: String,
}

/// Starts the collector and waits until it serves requests.
fn launch(directory: &Path, settings: &[(&str, String)]) -> anyhow::Result<(Process, SocketAddr)> {
    let mut command = Command::new(netflow_binary()?);
    command.arg("serve").current_dir(directory).envs(settings.iter().map(|(key, value)| (key, value)));
    let mut process = Process::start(&mut command, directory)?;
    let api = process.wait_for("the line 'serving' with a URL", || {
        let log = std::fs::read_to_string(directory.join("netflow.log")).ok()?;
        let (_, url) = log.split_once("serving http")?;
        let (_, address) = url.split_once("://")?;
        address.split_whitespace().next()?.parse().ok()
    })?;
    Ok((process, api))
}

/// A client of the REST interface.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) server: SocketAddr,
    key: Key,
    tls: Option<Arc<ClientConfig>>,
}

impl RunningNetflow {
    /// A client that other threads can use.
    pub(crate) fn client(&self) -> Client {
        self.client_with(OPERATOR)
    }

    /// A client with another key.
    pub(crate) fn client_with(&self, key: Key) -> Client {
        Client { server: self.api, key, tls: self.tls.clone() }
    }

    /// Its store, which it continues to use.
    pub(crate) fn store(&self) -> anyhow::Result<Sqlite> {
        Ok(Sqlite::open(&self.directory.join("data/netflow.sqlite"))?)
    }

    /// The folder of its archive.
    pub(crate) fn flows_folder(&self) -> PathBuf {
        self.directory.join("data/flows")
    }

    /// A counter in its status, summed over all labels.
    pub(crate) fn status_counter(&self, name: &str) -> anyhow::Result<u64> {
        let status = self.request("GET", "/status", "")?;
        let counter = status.pointer(&format!("/counters/{name}")).with_context(|| format!("no counter {name}"))?;
        Ok(match counter {
            Value::Object(labels) => labels.values().filter_map(Value::as_u64).sum(),
            number => number.as_u64().unwrap_or_default(),
        })
    }

    /// The number of ledgers that do not balance, or did not at any time since the start.
    pub(crate) fn unbalanced_ledgers(&self) -> anyhow::Result<usize> {
        let status = self.request("GET", "/status", "")?;
        let ledgers = status.get("ledgers").and_then(Value::as_array).context("no ledgers")?;
        let balances =
            |ledger: &&Value| ["difference", "violations"].iter().all(|key| ledger.get(key) == Some(&json!(0)));
        Ok(ledgers.len() - ledgers.iter().filter(balances).count())
    }

    /// Stops the collector and starts another on the same store, so that later queries include the last flush. Returns
    /// the processor time of the stopped one. Seconds.
    pub(crate) fn restart(&mut self) -> anyhow::Result<f64> {
        let processor_seconds = self.process.end()?;
        (self.process, self.api) = launch(&self.directory, &self.settings)?;
        Ok(processor_seconds)
    }

    /// The totals of this year over all exporters.
    pub(crate) fn totals(&self) -> anyhow::Result<Counters> {
        let mut sum = Counters::ZERO;
        for sender in &self.senders {
            for (_, counters) in self.counted(*sender, &["all"])? {
                sum.add(counters);
            }
        }
        Ok(sum)
    }

    /// The counters of one exporter this year under these names, for each direction and each of the first `once`
    /// prefixes.
    pub(crate) fn counted(&self, sender: Ipv4Addr, names: &[&str]) -> anyhow::Result<Vec<(CounterKey, Counters)>> {
        let year = year();
        let question: serde_json::Map<String, Value> =
            self.prefixes.iter().map(|prefix| (prefix.to_string(), json!({ "years": [{ &year: names }] }))).collect();
        let answer = self.request("POST", &format!("/stats/{sender}"), &Value::Object(question).to_string())?;
        let mut counted = Vec::new();
        for (prefix, periods) in answer.as_object().context("no answer")? {
            let rows = periods.pointer(&format!("/years/0/{year}")).and_then(Value::as_array);
            for row in rows.with_context(|| format!("no totals: {answer}"))? {
                let number = |key: &str| row.get(key).and_then(Value::as_u64).context("no counter");
                let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let name = CounterKey { prefix: prefix.clone(), direction: text("direction"), name: text("name") };
                let counters = Counters { bytes: number("bytes")?, packets: number("pkts")?, flows: number("flows")? };
                counted.push((name, counters));
            }
        }
        Ok(counted)
    }

    fn request(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        self.client().request(method, path, body)
    }
}

impl Client {
    /// Sends a request and waits for the answer.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        let stream = TcpStream::connect(self.server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = self.encoded(method, path, body)?;
        let answer = match &self.tls {
            None => exchange(stream, &request)?,
            Some(tls) => {
                let session = ClientConnection::new(Arc::clone(tls), self.server.ip().into())?;
                exchange(StreamOwned::new(session, stream), &request)?
            }
        };
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "{method} {path}: {head}\n{body}");
        Ok(serde_json::from_str(body)?)
    }

    /// The request as it is sent.
    pub(crate) fn encoded(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Vec<u8>> {
        let Key { auth, sign } = self.key;
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(sign.as_bytes())?;
        mac.update(auth.as_bytes());
        let sign: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: netflow\r\nConnection: close\r\nX-Io-Auth: {auth}\r\n\
             X-Io-Sign: {sign}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Ok(request.into_bytes())
    }
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> std::io::Result<String> {
    stream.write_all(request)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

impl Running for RunningNetflow {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Restarts the collector first, so that the totals include the last flush.
    fn finish(mut self: Box<Self>) -> anyhow::Result<Finished> {
        let processor_seconds = self.restart()?;
        let counted = self.totals()?;
        Ok(Finished { counted: Reported::All(counted), processor_seconds })
    }
}

/// The current year in the form of the REST interface.
fn year() -> String {
    Timestamp::from(SystemTime::now()).to_string().chars().take(4).collect()
}

/// Registers exporters in the store of a collector that is not running.
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
