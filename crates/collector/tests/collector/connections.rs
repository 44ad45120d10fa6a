//! Messages of TCP connections after a kill and in the log: they are read with the templates of their connections.

use collector::status::Status;
use collector::{LogRecords, Origins};
use flow::{Counters, Exporter, Timestamp};
use wire::encode::{Ipfix, TemplateSpec};
use wire::{FieldSpecifier, ipfix};

use super::recovery::{NOW, ROUTER, Run};
use super::rules;

/// The first or second template, with the same id: both have the destination address and bytes, one also packets between them.
fn template(kind: usize) -> TemplateSpec {
    let [destination, bytes, packets] = [(12, 4), (1, 4), (2, 4)].map(|(id, length)| FieldSpecifier::iana(id, length));
    match kind {
        0 => TemplateSpec::data(300, [destination, bytes]),
        _ => TemplateSpec::data(300, [destination, packets, bytes]),
    }
}

fn message() -> Ipfix {
    Ipfix::new(ipfix::Header { export_seconds: (NOW as u32).into(), ..Default::default() })
}

/// Data of the first or second template, of this many bytes.
fn data(kind: usize, bytes: u32) -> Vec<u8> {
    let mut record = vec![192, 0, 2, 1];
    if kind == 1 {
        record.extend(7_u32.to_be_bytes());
    }
    record.extend(bytes.to_be_bytes());
    message().data(&template(kind), &[record]).finish()
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_seconds(NOW + second)
}

fn of(port: u16) -> Exporter {
    Exporter::tcp(ROUTER, port)
}

/// Announces a template in a connection, and sends data of it.
fn begin(run: &Run, second: u64, port: u16, kind: usize, bytes: u32) {
    run.take_from(of(port), at(second), &message().template(&template(kind)).finish());
    run.take_from(of(port), at(second + 1), &data(kind, bytes));
}

#[test]
fn after_a_kill_messages_are_counted_by_the_templates_of_their_connections() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::start(folder.path(), 1, &[(ROUTER, "")], &[]);
    begin(&run, 0, 1, 0, 1);
    begin(&run, 2, 2, 1, 20);
    let durable = run.flush();
    // With the templates of the flush before, in a connection that begins again, and in one that ends.
    run.take_from(of(1), at(10), &data(0, 300));
    run.take_from(of(2), at(11), &data(1, 4000));
    run.end_connection(of(1), at(12));
    begin(&run, 13, 1, 1, 50_000);
    run.end_connection(of(2), at(15));
    drop(run);

    let mut run = Run::start(folder.path(), 2, &[(ROUTER, "")], &durable.announced);
    let expected = Counters { bytes: 54_300, packets: 7 + 7, flows: 3 };
    assert_eq!(run.recovered_of(ROUTER), expected);
    // The connections have ended with the process.
    run.take_from(of(1), at(20), &data(1, 600_000));
    let sealed = run.flush();
    let announced = sealed.announced.into_iter().next().unwrap();
    let mut session = wire::Session::new(wire::SessionLimits::default());
    assert_eq!(session.learn(&announced.1), Ok(0));
    assert_eq!(run.counted_of(&sealed.tallies, ROUTER), Counters::default());
}

#[test]
fn readers_of_the_log_read_messages_as_they_were_counted_also_over_a_restart() {
    const READER: &str = "reader";
    let folder = tempfile::tempdir().unwrap();
    let run = |epoch, announced: &[_]| {
        Run::start_with(folder.path(), epoch, &[(ROUTER, "")], announced, &Origins::default(), Some(READER))
    };
    let mut first = run(1, &[]);
    begin(&first, 0, 1, 0, 1);
    first.take_from(Exporter::udp(ROUTER, 1), at(2), &message().template(&template(1)).finish());
    first.take_from(Exporter::udp(ROUTER, 1), at(3), &data(1, 20));
    first.take_from(of(1), at(4), &data(0, 300));
    first.end_connection(of(1), at(5));
    begin(&first, 6, 1, 1, 4000);
    let durable = first.flush();
    drop(first);
    // The same port, and no end of the connection of the killed process.
    let mut second = run(2, &durable.announced);
    second.take_from(of(1), at(10), &data(0, 50_000));
    begin(&second, 11, 1, 0, 600_000);
    second.flush();
    let mut log = LogRecords::open(&second.journal, READER, rules(), Status::new(1)).unwrap();
    let mut read = Vec::new();
    while log
        .read_flush(&mut |_, logged| read.extend(logged.record.flow.map(|flow| flow.forward.bytes)))
        .unwrap()
        .is_some()
    {}
    assert_eq!(read, [1, 20, 300, 4000, 600_000]);
}
