//! Data sets that arrive before their template.

use super::*;

#[test]
fn data_before_its_template_waits_and_keeps_its_message() {
    let template = packets_and_bytes();
    let mut exchange = Exchange::new();
    for (second, bytes) in [(100_u32, 10), (200, 20)] {
        let header = netflow_v9::Header { unix_seconds: second.into(), ..Default::default() };
        let decoded =
            exchange.send(&NetflowV9::new(header).data(&template, &[numbers(&template, &[1, bytes])]).finish());
        assert_eq!((decoded.missing_template_sets, decoded.missing_template_bytes, decoded.pending), (1, 8, 1));
    }
    assert_eq!(exchange.session.pending(), 2);
    let header = netflow_v9::Header { unix_seconds: 300.into(), ..Default::default() };
    let last = NetflowV9::new(header).template(&template).data(&template, &[numbers(&template, &[1, 30])]).finish();
    let decoded = exchange.send(&last);
    assert_eq!((decoded.pending_decoded, decoded.pending_data, decoded.data), (2, 2, 3));
    let booked: Vec<_> = exchange.flows.iter().map(|flow| (flow.exported.seconds(), flow.forward.bytes)).collect();
    assert_eq!(booked, [(100, 10), (200, 20), (300, 30)]);
    assert_eq!(exchange.session.pending(), 0);
}

#[test]
fn waiting_sets_expire_and_give_their_room_back() {
    let limits = PendingLimits { octets: 4096, age: Duration::from_secs(60) };
    let budget = PendingBudget::new(1 << 20);
    let mut exchange = Exchange::new();
    exchange.session = Session::with_budget(SessionLimits { pending: limits, ..Default::default() }, budget.clone());
    let template = bytes_only();
    let lone = v9().data(&template, &vec![numbers(&template, &[1]); 300]).finish();
    let held: u32 = (0..10).map(|_| exchange.send(&lone).pending).sum();
    assert!((1..10).contains(&held), "{held} sets of 1200 octets wait in 4096");
    assert!(budget.free() < 1 << 20);
    exchange.now += 61;
    assert_eq!(exchange.send(&v9().finish()).pending_expired, held);
    assert_eq!((exchange.session.pending(), budget.free()), (0, 1 << 20));
    exchange.send(&lone);
    assert!(budget.free() < 1 << 20);
    drop(exchange);
    assert_eq!(budget.free(), 1 << 20);
}

/// Lengths that are not multiples of four: padding must not look like another record.
#[test]
fn what_waits_can_be_given_to_another_session_as_datagrams() {
    let template = TemplateSpec::data(256, [iana(1, 1)]);
    let mut exchange = Exchange::new();
    let ipfix = |seconds: u32| Ipfix::new(ipfix::Header { export_seconds: seconds.into(), ..Default::default() });
    let v9_header = |seconds: u32| netflow_v9::Header {
        unix_seconds: seconds.into(),
        uptime: 77.into(),
        source_id: 5.into(),
        ..Default::default()
    };
    let records: Vec<_> = (1..=3).map(|bytes| numbers(&template, &[bytes])).collect();
    exchange.send(&NetflowV9::new(v9_header(100)).data(&template, &records).finish());
    exchange.port += 1;
    exchange.now += 1;
    exchange.send(&ipfix(200).data(&template, &records[..1]).data(&template, &records[1..]).finish());

    let mut other = Exchange::new();
    let waiting = exchange.session.waiting();
    assert_eq!(waiting.len(), 3);
    let mut pending = 0;
    for (exporter, received, payload) in &waiting {
        let datagram = Datagram { exporter: *exporter, received: *received, payload };
        pending += other.session.decode(&datagram, &mut |_| panic!("there is no template yet")).pending;
    }
    assert_eq!((pending, other.session.waiting()), (3, waiting));
    other.send(&NetflowV9::new(v9_header(300)).template(&template).finish());
    other.send(&ipfix(300).template(&template).finish());
    let booked: Vec<_> = other.flows.iter().map(|flow| (flow.exported.seconds(), flow.forward.bytes)).collect();
    assert_eq!(booked, [(100, 1), (100, 2), (100, 3), (200, 1), (200, 2), (200, 3)]);
    assert_eq!(other.session.waiting(), []);
}
