//! The messages of captures, as datagrams and in connections with and without TLS: the same is counted, and the same rows are archived.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::mem;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use accounting::block::Tables;
use capture::Capture;
use collector::{ExportConnectionSettings, LogConsumer, ReadFlush, TlsCertificates, TlsSettings};
use columns::{Id, Row};
use journal::Position;
use pipeline::Logged;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use view::View;
use wire::framing::message_length;

use super::*;

/// The messages of each exporter, by its address and port in the capture.
type Streams = BTreeMap<SocketAddr, Vec<Vec<u8>>>;

/// The third-party capture files, in a fixed order.
fn captures() -> Vec<PathBuf> {
    let Some(sources) = testing::captures().and_then(|folder| fs::read_dir(folder).ok()) else { return Vec::new() };
    let folders = sources.filter_map(|source| fs::read_dir(source.ok()?.path()).ok());
    let files = folders.flatten().filter_map(|file| Some(file.ok()?.path()));
    let mut captures: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "pcap")).collect();
    captures.sort();
    captures
}

/// The IPFIX messages of a capture, if it has nothing else and each datagram is one.
fn streams(path: &Path) -> Option<Streams> {
    let (mut capture, mut streams) = (Capture::open(path).unwrap(), Streams::new());
    while let Ok(Some(datagram)) = capture.next() {
        if message_length(datagram.payload) != Ok(Some(datagram.payload.len())) {
            return None;
        }
        streams.entry(datagram.source).or_default().push(datagram.payload.to_vec());
    }
    (!streams.is_empty()).then_some(streams)
}

/// What was counted for a sender: its counters, but not that of queued data, of which connections have none; and its tables.
async fn all_counted(view: &dyn View, store: &dyn Store, sender: IpAddr) -> (Vec<(&'static str, String)>, Tables) {
    let exporter = view.exporter(sender).unwrap().exporter;
    let counters =
        exporter.counters.iter().filter(|counter| !["pending_sets", "discarded_sets"].contains(&counter.name));
    let counters = counters.map(|counter| (counter.name, format!("{:?}", counter.values)));
    let year = Interval::containing(Period::Year, Minute::of(now()));
    let everything = totals(store, sender, "0.0.0.0/0".parse().unwrap(), year, TableSet::COUNTED).await;
    (counters.collect(), everything.unwrap().tables)
}

/// The rows that the archive would have, by sender: all columns but the time of receipt and the exporter.
#[derive(Default)]
struct Rows {
    row: Row,
    taken: Vec<(IpAddr, String)>,
    read: Arc<Mutex<BTreeMap<IpAddr, Vec<String>>>>,
}

impl LogConsumer for Rows {
    fn take(&mut self, _: Position, logged: &Logged<'_>) {
        if logged.row(&mut self.row) {
            let columns = Id::ALL.into_iter().filter(|id| !matches!(id, Id::Received | Id::Exporter));
            let values: Vec<_> = columns.map(|id| self.row.value(id)).collect();
            self.taken.push((logged.exporter, format!("{values:?}")));
        }
    }

    fn end_flush(&mut self, read: &ReadFlush) -> io::Result<bool> {
        assert_eq!((read.missing, read.lost.is_some()), (0, false));
        let mut all = self.read.lock().unwrap();
        for (sender, row) in mem::take(&mut self.taken) {
            all.entry(sender).or_default().push(row);
        }
        Ok(true)
    }

    fn rewind(&mut self) {
        self.taken.clear();
    }
}

/// An authority, and certificates of the collector and of an exporter that it has signed, each with its key.
fn certificates() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let script = "key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'
        openssl req -x509 $key -subj /CN=authority -keyout ca.key -out ca.pem
        for name in collector exporter; do
          openssl req -x509 $key -CA ca.pem -CAkey ca.key -subj /CN=$name -addext subjectAltName=DNS:localhost \
            -addext basicConstraints=critical,CA:FALSE -keyout $name.key -out $name.pem
        done";
    let output = Command::new("sh").args(["-euc", script]).current_dir(directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    directory
}

fn certificate(directory: &Path, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(directory.join(name)).unwrap()
}

fn authority(directory: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(directory, "ca.pem")).unwrap();
    roots
}

/// A certificate with its key.
fn own(directory: &Path, name: &str) -> Arc<SingleCertAndKey> {
    let chain = vec![certificate(directory, &format!("{name}.pem"))];
    let key = PrivateKeyDer::from_pem_file(directory.join(format!("{name}.key"))).unwrap();
    Arc::new(SingleCertAndKey::from(CertifiedKey::from_der(chain, key, &ring::default_provider()).unwrap()))
}

fn exporter_with_tls(directory: &Path) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(authority(directory)).with_client_cert_resolver(own(directory, "exporter")))
}

/// The ways to the collector. The addresses of the senders in this test begin with 127 and one of these.
#[derive(Clone, Copy)]
enum Transport {
    Udp = 1,
    Tcp = 2,
    Tls = 3,
}

const TRANSPORTS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// The sender of a capture.
fn sender(transport: Transport, number: usize) -> IpAddr {
    IpAddr::from([127, transport as u8, u8::try_from(number).unwrap(), 1])
}

/// Where the collector receives, and how exporters encrypt.
struct Ways {
    udp: SocketAddr,
    tcp: SocketAddr,
    tls: SocketAddr,
    encryption: Arc<ClientConfig>,
}

/// An exporter that sends messages.
type Sending = Box<dyn FnMut(&[u8]) -> io::Result<()>>;

impl Ways {
    fn open(&self, transport: Transport, number: usize) -> Sending {
        let (from, udp) = (sender(transport, number), self.udp);
        match transport {
            Transport::Udp => {
                let socket = exporter(from);
                Box::new(move |message| socket.send_to(message, udp).map(drop))
            }
            Transport::Tcp => {
                let mut connection = connect(from, self.tcp);
                Box::new(move |message| connection.write_all(message))
            }
            Transport::Tls => {
                let session = ClientConnection::new(Arc::clone(&self.encryption), "localhost".try_into().unwrap());
                let mut connection = StreamOwned::new(session.unwrap(), connect(from, self.tls));
                Box::new(move |message| connection.write_all(message).and_then(|()| connection.flush()))
            }
        }
    }
}

/// A collector that receives over all transports, with what it archives.
async fn collecting(directory: &Path) -> (Bench, Arc<Mutex<BTreeMap<IpAddr, Vec<String>>>>) {
    let at = vec!["127.0.0.1:0".parse().unwrap()];
    let certificates = TlsCertificates::new(own(directory, "collector"), authority(directory)).unwrap();
    let mut settings = settings(&["127.0.0.1:0"]);
    let tls = Some(TlsSettings { listen: at.clone(), certificates });
    settings.reloadable.export_connections =
        ExportConnectionSettings { tcp: at, tls, ..ExportConnectionSettings::default() };
    let kept = journal::Settings { sync: Sync::Off, limit_bytes: 1 << 30 };
    let disk = Box::new(Directory::open(&directory.join("journal")).unwrap());
    let journal = Journal::open(disk, WriterId(1), kept).unwrap();
    journal.keep_for(&["rows"], 1 << 30).unwrap();
    let mut bench = Bench::start_on(settings, &[], Some(journal)).await;
    let rows = Rows::default();
    let read = Arc::clone(&rows.read);
    bench.collector.read_log("rows", Box::new(rows)).unwrap();
    (bench, read)
}

/// Sends each message of the captures over all transports.
async fn send(bench: &Bench, ways: &Ways, found: &[(PathBuf, Streams)]) {
    let mut sent = 0;
    for (number, (_, streams)) in found.iter().enumerate() {
        for messages in streams.values() {
            let mut exporters = TRANSPORTS.map(|transport| ways.open(transport, number));
            for message in messages {
                for exporter in &mut exporters {
                    exporter(message).unwrap();
                    sent += 1;
                }
                // No datagram may be dropped.
                if sent % 96 == 0 {
                    bench.until(|counts| counts.datagrams.total() == sent).await;
                }
            }
            bench.until(|counts| counts.datagrams.total() == sent).await;
        }
    }
}

/// Here the exporter changes its port without announcing its templates again. A connection would have to end for that.
const OTHER_TEMPLATES: [&str; 1] = ["mix-ipfix-source-port-changes.pcap"];

#[tokio::test(flavor = "multi_thread")]
async fn captured_messages_count_in_connections_as_they_do_in_datagrams() {
    let found: Vec<(PathBuf, Streams)> =
        captures().into_iter().filter_map(|path| Some((path.clone(), streams(&path)?))).collect();
    if found.is_empty() {
        return;
    }
    let directory = certificates();
    let (bench, archived) = collecting(directory.path()).await;
    let everything: Prefix = "0.0.0.0/0".parse().unwrap();
    for number in 0..found.len() {
        for transport in TRANSPORTS {
            bench.store.add_prefixes(sender(transport, number), &[everything]).await.unwrap();
        }
    }
    bench.changed.notify_one();
    let view = bench.collector.view();
    let listening = view.status().export_connections.unwrap().listening;
    let connections_to = [false, true].map(|tls| listening.iter().find(|place| place.tls == tls).unwrap().address);
    let [tcp, tls] = connections_to;
    let (udp, encryption) = (*bench.collector.addresses().first().unwrap(), exporter_with_tls(directory.path()));
    let ways = Ways { udp, tcp, tls, encryption };
    testing::wait::wait_for("registered senders", async || {
        drop(connect(sender(Transport::Tls, found.len() - 1), tcp));
        (view.status().export_connections?.counts.accepted > 0).then_some(())
    })
    .await;
    send(&bench, &ways, &found).await;
    let flows = bench.collector.status().counts().flows.total();
    testing::wait::wait_for("archived flows", async || {
        let archived: usize = archived.lock().unwrap().values().map(Vec::len).sum();
        (archived as u64 == flows).then_some(())
    })
    .await;
    let (store, status) = (Arc::clone(&bench.store), bench.collector.status());
    bench.collector.stop().await.unwrap();
    balances(&status, &["datagrams", "records"]);
    let mut archived = mem::take(&mut *archived.lock().unwrap());
    for (number, (path, _)) in found.iter().enumerate() {
        let mut all = Vec::new();
        for sender in TRANSPORTS.map(|transport| sender(transport, number)) {
            let mut rows = archived.remove(&sender).unwrap_or_default();
            // Threads read them in any order.
            rows.sort_unstable();
            all.push((all_counted(view.as_ref(), store.as_ref(), sender).await, rows));
        }
        let [over_udp, over_tcp, over_tls] = &all[..] else { unreachable!("three transports") };
        assert!(over_tcp == over_tls, "{}:\n{:?}\n{:?}", path.display(), over_tcp.0.0, over_tls.0.0);
        let is_same = [over_udp.0 == over_tcp.0, over_udp.1 == over_tcp.1];
        let is_other = OTHER_TEMPLATES.iter().any(|name| path.ends_with(name));
        assert_eq!(is_same, [!is_other; 2], "{}:\n{:?}\n{:?}", path.display(), over_udp.0.0, over_tcp.0.0);
    }
    assert!(archived.is_empty());
    println!("{} captures, {flows} flows archived", found.len());
    assert!(found.len() > 40 && flows > 1000);
}

fn connect(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}
