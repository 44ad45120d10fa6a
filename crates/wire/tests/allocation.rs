//! In steady state nothing is allocated: not for a datagram, not for a record, not for a template that is announced
//! again unchanged.

use std::net::Ipv4Addr;

use allocation_counter::measure;
use flow::{Exporter, Timestamp};
use wire::encode::{self, Ipfix, NetflowV9, TemplateSpec};
use wire::sflow::encode as sflow;
use wire::{
    Datagram, FieldSpecifier, Session, SessionLimits, VARIABLE_LENGTH, ipfix, netflow_v1, netflow_v5, netflow_v6,
    netflow_v7, netflow_v8, netflow_v9,
};

/// A datagram of each protocol, those with templates announcing them as well, options data included.
fn datagrams() -> Vec<(&'static str, Vec<u8>)> {
    let data =
        TemplateSpec::data(256, [(8, 4), (12, 4), (1, 8), (2, 4), (48, 2)].map(|(id, n)| FieldSpecifier::iana(id, n)));
    let named = TemplateSpec::data(257, [(96, VARIABLE_LENGTH), (1, 4)].map(|(id, n)| FieldSpecifier::iana(id, n)));
    let options = TemplateSpec::options(258, 1, [(1, 4), (48, 2), (34, 4)].map(|(id, n)| FieldSpecifier::iana(id, n)));
    let (data_record, options_record) = (vec![1; 22], vec![0, 0, 0, 0, 1, 1, 0, 0, 1, 0]);
    let named_record = named.record(&[b"https", &[0, 0, 0, 9]]);
    let v9 = NetflowV9::new(netflow_v9::Header::default())
        .template(&data)
        .template(&options)
        .data(&options, std::slice::from_ref(&options_record))
        .data(&data, &vec![data_record.clone(); 20]);
    let ipfix = Ipfix::new(ipfix::Header::default())
        .template(&data)
        .template(&named)
        .template(&options)
        .data(&options, &[options_record])
        .data(&data, &vec![data_record; 10])
        .data(&named, &vec![named_record; 10]);
    let v8 = netflow_v8::Header { aggregation: 13, ..Default::default() };
    let address = Ipv4Addr::new(192, 0, 2, 1);
    let sample = sflow::FlowSample {
        sequence: 1,
        sampling_rate: 100,
        data_source: 1,
        input: 1,
        output: 2,
        source: std::net::SocketAddrV4::new(address, 1),
        destination: std::net::SocketAddrV4::new(address, 2),
        frame_length: 1000,
    };
    let header = sflow::DatagramHeader { agent: address.into(), sub_agent: 0, sequence: 1, uptime: 1 };
    let sflow_v5 = sflow::sflow_v5(&header, &[sample]);
    vec![
        ("netflow-v1", encode::netflow_v1(&Default::default(), &[netflow_v1::Record::default(); 24])),
        ("netflow-v5", encode::netflow_v5(&Default::default(), &[netflow_v5::Record::default(); 30])),
        ("netflow-v6", encode::netflow_v6(&Default::default(), &[netflow_v6::Record::default(); 27])),
        ("netflow-v7", encode::netflow_v7(&Default::default(), &[netflow_v7::Record::default(); 27])),
        ("netflow-v8", encode::netflow_v8(&v8, &vec![netflow_v8::record(13, u64::from); 20])),
        ("netflow-v9", v9.finish()),
        ("ipfix", ipfix.finish()),
        ("sflow-v5", sflow_v5),
    ]
}

#[test]
fn a_datagram_of_any_protocol_allocates_nothing_in_steady_state() {
    for (name, payload) in datagrams() {
        let mut session = Session::new(SessionLimits::default());
        let exporter = Exporter::udp(Ipv4Addr::LOCALHOST.into(), 1);
        let mut decode = |second| {
            let datagram = Datagram { exporter, received: Timestamp::from_seconds(second), payload: &payload };
            let mut bytes = 0;
            let decoded = session.decode(&datagram, &mut |record| {
                bytes += record.flow.map_or(0, |flow| flow.forward.bytes);
            });
            assert_eq!((decoded.errors, decoded.missing_template_sets), (0, 0), "{name}");
            decoded.data
        };
        assert!(decode(1) > 0, "{name}");
        let allocations = measure(|| {
            for second in 2..100 {
                decode(second);
            }
        });
        assert_eq!(allocations.count_total, 0, "{name} allocates");
    }
}

#[test]
fn rows_and_a_batch_of_them_allocate_nothing_in_steady_state() {
    for (name, payload) in datagrams() {
        let mut session = Session::new(SessionLimits::default());
        let exporter = Exporter::udp(Ipv4Addr::LOCALHOST.into(), 1);
        let mut batch = columns::Batch::new();
        let mut fill = |second| {
            let datagram = Datagram { exporter, received: Timestamp::from_seconds(second), payload: &payload };
            session.decode(&datagram, &mut |record| {
                if record.row(batch.room()) {
                    batch.keep();
                }
            });
            let rows = batch.rows();
            // A value is looked at, for which the rows are moved to the columns.
            batch.values(columns::Id::Bytes);
            batch.clear();
            rows
        };
        assert!(fill(1) > 0, "{name}");
        let allocations = measure(|| {
            for second in 2..100 {
                fill(second);
            }
        });
        assert_eq!(allocations.count_total, 0, "{name} allocates");
    }
}
