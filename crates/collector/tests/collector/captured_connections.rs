//! The messages of captures, as datagrams and in connections: the same is counted.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use accounting::block::Tables;
use capture::Capture;
use collector::ExportConnectionSettings;
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

/// What the addresses of the senders in this test begin with.
const UDP: u8 = 1;
const TCP: u8 = 2;

/// Here the exporter changes its port without announcing its templates again. A connection would have to end for that.
const OTHER_TEMPLATES: [&str; 1] = ["mix-ipfix-source-port-changes.pcap"];

#[tokio::test(flavor = "multi_thread")]
async fn captured_messages_count_in_connections_as_they_do_in_datagrams() {
    let found: Vec<(PathBuf, Streams)> =
        captures().into_iter().filter_map(|path| Some((path.clone(), streams(&path)?))).collect();
    if found.is_empty() {
        return;
    }
    let address = |kind: u8, number: usize| IpAddr::from([127, kind, u8::try_from(number).unwrap(), 1]);
    let senders = (0..found.len()).flat_map(|number| [UDP, TCP].map(|kind| address(kind, number)));
    let senders: Vec<IpAddr> = senders.collect();
    let mut settings = settings(&["127.0.0.1:0"]);
    settings.reloadable.export_connections =
        ExportConnectionSettings { tcp: vec!["127.0.0.1:0".parse().unwrap()], ..ExportConnectionSettings::default() };
    let bench = Bench::start_with(settings, &[]).await;
    for sender in &senders {
        bench.store.add_prefixes(*sender, &["0.0.0.0/0".parse().unwrap()]).await.unwrap();
    }
    bench.changed.notify_one();
    let view = bench.collector.view();
    let (datagrams_to, connections_to) =
        (bench.collector.addresses()[0], view.status().export_connections.unwrap().listening[0].address);
    let mut sent = 0;
    testing::wait::wait_for("registered senders", async || {
        drop(connect(*senders.last()?, connections_to));
        (view.status().export_connections?.counts.accepted > 0).then_some(())
    })
    .await;
    for (number, (_, streams)) in found.iter().enumerate() {
        for messages in streams.values() {
            let socket = exporter(address(UDP, number));
            let mut connection = connect(address(TCP, number), connections_to);
            for message in messages {
                socket.send_to(message, datagrams_to).unwrap();
                connection.write_all(message).unwrap();
                sent += 2;
                // No datagram may be dropped.
                if sent % 64 == 0 {
                    bench.until(|counts| counts.datagrams.total() == sent).await;
                }
            }
            bench.until(|counts| counts.datagrams.total() == sent).await;
        }
    }
    let (store, status) = (Arc::clone(&bench.store), bench.collector.status());
    bench.collector.stop().await.unwrap();
    balances(&status, &["datagrams", "records"]);
    for (number, (path, _)) in found.iter().enumerate() {
        let [over_udp, over_tcp] = [UDP, TCP].map(|kind| address(kind, number));
        let over_udp = all_counted(view.as_ref(), store.as_ref(), over_udp).await;
        let over_tcp = all_counted(view.as_ref(), store.as_ref(), over_tcp).await;
        let is_same = over_udp == over_tcp;
        let is_other = OTHER_TEMPLATES.iter().any(|name| path.ends_with(name));
        assert!(is_same != is_other, "{}:\n{:?}\n{:?}", path.display(), over_udp.0, over_tcp.0);
    }
    println!("{} captures", found.len());
    assert!(found.len() > 40);
}

fn connect(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}
