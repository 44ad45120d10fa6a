//! Every flow that is counted is in ClickHouse, once, whatever becomes of it, of answers and of the collector.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use clickhouse::{Client, Request, Settings};
use testing::Service;

use crate::collector::Collector;
use crate::crashes::{EXPORTERS, Exporter, FLOWS_A_DATAGRAM, counted, run_until_killed, send_some};
use crate::kafka::{borrowed, is_sent, reader, register};

const READER: &str = "clickhouse";

struct Server {
    service: Service,
}

impl Server {
    fn start(settings: &[(&str, &str)]) -> Self {
        Self { service: Service::start("clickhouse", 1, settings) }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let host = self.service.hosts[0].clone();
        vec![("NETFLOW__CLICKHOUSE__HOSTS", host), ("NETFLOW__SERVER__CORES", "2".to_owned())]
    }

    fn client(&self, user: Option<&str>, password: Option<&str>) -> Client {
        Client::new(Settings {
            hosts: self.service.hosts.clone(),
            authorities: None,
            database: "default".to_owned(),
            table: "flows".to_owned(),
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
        })
    }

    fn ask(&self, sql: &str) -> String {
        let client = self.client(None, None);
        client.text(&Request::new(sql)).unwrap_or_else(|error| panic!("{sql}: {error}")).trim_end().to_owned()
    }

    /// The next inserts are carried out, and their answers are lost.
    fn lose_answers(&self, count: u32) {
        let mut stream = TcpStream::connect(&self.service.hosts[0]).unwrap();
        write!(stream, "POST /fault?kind=lose&count={count} HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
}

/// Compares what is counted and what is in the table.
fn is_complete(server: &Server, collector: &Collector) {
    let expected = EXPORTERS.map(|exporter| {
        let [octets, flows] = counted(collector, exporter);
        format!("{exporter}\t{octets}\t{flows}")
    });
    assert!(!expected[0].ends_with("\t0"));
    let sums = "SELECT replaceOne(toString(ExporterAddress), '::ffff:', '') AS exporter, sum(Bytes * SamplingRate), sum(Flows) \
                FROM flows GROUP BY exporter ORDER BY exporter";
    assert_eq!(server.ask(sums), expected.join("\n"));
    let twice = "SELECT count() - uniqExact(Writer, Epoch, Flush, Part, Row) FROM flows";
    assert_eq!(server.ask(twice), "0", "each identity once");
}

#[test]
fn every_counted_flow_is_once_in_clickhouse_although_it_and_the_collector_are_killed() {
    let server = Server::start(&[]);
    let settings = server.settings();
    let mut collector = Collector::start_with(&borrowed(&settings));
    register(&collector);
    let mut exporters = EXPORTERS.map(|_| Exporter::default());
    for (kill, moment) in [1500, 300, 2500, 900].into_iter().enumerate() {
        server.lose_answers(kill as u32);
        if kill % 2 == 1 {
            server.service.run(&["kill", "1"]);
        }
        let (directory, sent, _) = run_until_killed(collector, &exporters, Duration::from_millis(moment));
        for (exporter, sent) in exporters.iter_mut().zip(sent) {
            exporter.sent += sent.in_all;
        }
        server.service.run(&["start", "1"]);
        collector = Collector::start_in_with(directory, &borrowed(&settings));
    }
    is_sent(&collector, READER);
    is_complete(&server, &collector);
    // What is sent to a server that does not answer is carried out when it does.
    server.service.run(&["pause", "1"]);
    send_some(EXPORTERS[0], collector.receiving, exporters[0].sent + 1, 20);
    collector.wait_until("failing", || !reader(&collector, READER)["failingSeconds"].is_null());
    let failing = reader(&collector, READER);
    assert!(failing["lastError"].as_str().is_some_and(|error| error.contains("no answer from")), "{failing:#}");
    server.service.run(&["resume", "1"]);
    is_sent(&collector, READER);
    is_complete(&server, &collector);
    collector.terminate();
}

#[test]
fn what_keeps_flows_from_clickhouse_is_reported_and_counting_continues() {
    let server = Server::start(&[("USER", "netflow"), ("PASSWORD", "secret")]);
    let client = server.client(Some("netflow"), Some("secret"));
    let settings = |password: &str| {
        let access = [
            ("NETFLOW__CLICKHOUSE__USER", "netflow".to_owned()),
            ("NETFLOW__CLICKHOUSE__PASSWORD", password.to_owned()),
            ("NETFLOW__CLICKHOUSE__DATABASE", "traffic".to_owned()),
        ];
        [server.settings(), access.to_vec()].concat()
    };
    let collector = Collector::start_with(&borrowed(&settings("wrong")));
    register(&collector);
    EXPORTERS.iter().for_each(|exporter| send_some(exporter, collector.receiving, 1, 40));
    let fails = |collector: &Collector, error: &str| {
        collector.wait_until(error, || {
            reader(collector, READER)["lastError"].as_str().is_some_and(|last| last.ends_with(error))
        });
        collector.wait_until("counted", || counted(collector, EXPORTERS[1])[1] == 40 * FLOWS_A_DATAGRAM);
    };
    fails(&collector, "check clickhouse.user and clickhouse.password");
    let collector = Collector::start_in_with(collector.kill(), &borrowed(&settings("secret")));
    fails(&collector, "create the database (CREATE DATABASE), or set clickhouse.database");
    client.text(&Request::new("CREATE DATABASE traffic")).unwrap();
    is_sent(&collector, READER);
    let found = client.text(&Request::new("SELECT sum(Bytes), count() FROM traffic.flows")).unwrap();
    let sums = EXPORTERS.map(|exporter| counted(&collector, exporter));
    let [octets, flows] = [0, 1].map(|index| sums.iter().map(|sums| sums[index]).sum::<u64>());
    assert_eq!(found.trim_end(), format!("{octets}\t{flows}"));
    collector.terminate();
}
