//! Messages of TCP connections: what was announced in a connection applies to it alone, in the order of the stream.

use super::*;

/// A withdrawal of a template, or of all of a kind.
fn withdrawal(set: u16, id: u16) -> Vec<u8> {
    message().set(set, &[id.to_be_bytes(), [0, 0]].concat()).finish()
}

impl Exchange {
    /// Sends a message in the connection from a port.
    fn send_in(&mut self, port: u16, payload: &[u8]) -> Decoded {
        let exporter = Exporter::tcp([192, 0, 2, 1].into(), port);
        let datagram = Datagram { exporter, received: Timestamp::new(self.now, self.nanoseconds), payload };
        self.session.decode(&datagram, &mut |record| self.flows.extend(record.flow))
    }
}

#[test]
fn templates_belong_to_their_connection_also_beside_datagrams_of_the_same_port() {
    let (one, other, third) = (bytes_only(), packets_and_bytes(), TemplateSpec::data(256, [iana(2, 4), iana(1, 4)]));
    let mut exchange = Exchange::new();
    exchange.send_in(1, &message().template(&one).finish());
    exchange.send_in(2, &message().template(&other).finish());
    exchange.port = 1;
    exchange.send(&message().template(&third).finish());
    assert_eq!(exchange.session.template_count(), 3);

    exchange.send_in(1, &message().data(&one, &[numbers(&one, &[5])]).finish());
    exchange.send_in(2, &message().data(&other, &[numbers(&other, &[1, 6])]).finish());
    exchange.send(&message().data(&third, &[numbers(&third, &[1, 7])]).finish());
    assert_eq!(exchange.bytes(), [5, 6, 7]);
    // Neither the datagrams nor the other connections announce anything for a third one.
    let decoded = exchange.send_in(3, &message().data(&one, &[numbers(&one, &[8])]).finish());
    assert_eq!((decoded.data, decoded.missing_template_sets, decoded.discarded_sets, decoded.pending), (0, 1, 1, 0));
    assert_eq!(exchange.bytes(), [5, 6, 7]);
}

#[test]
fn a_connection_that_has_ended_leaves_its_sums_only() {
    let template = bytes_only();
    let numbered = |sequence: u32| ipfix::Header { sequence: sequence.into(), ..Default::default() };
    let data = |sequence| Ipfix::new(numbered(sequence)).data(&template, &[numbers(&template, &[5])]).finish();
    let mut exchange = Exchange::new();
    exchange.send_in(1, &message().template(&template).finish());
    exchange.send_in(1, &data(0));
    exchange.send_in(1, &data(3));
    let sums = |exchange: &Exchange| {
        let arrivals = exchange.session.arrivals(wire::Unit::Records);
        (arrivals.received, arrivals.lost)
    };
    assert_eq!(sums(&exchange), (2, 2));
    let before = exchange.session.announcements_changed();

    exchange.session.end_connection(1);
    assert_eq!((exchange.session.template_count(), exchange.session.connection_ports().count()), (0, 0));
    assert_ne!(exchange.session.announcements_changed(), before);
    assert_eq!(sums(&exchange), (2, 2));
    assert_eq!(exchange.send_in(1, &data(4)).missing_template_sets, 1);
    // It begins again: nothing is missing before its first number.
    exchange.send_in(1, &message().template(&template).finish());
    exchange.send_in(1, &data(100));
    assert_eq!(sums(&exchange), (3, 2));
}

#[test]
fn withdrawals_take_effect_in_the_order_of_the_stream() {
    let (one, other) = (bytes_only(), packets_and_bytes());
    let mut exchange = Exchange::new();
    let in_one_message = message()
        .template(&one)
        .data(&one, &[numbers(&one, &[5])])
        .set(ipfix::TEMPLATE_SET, &[256_u16.to_be_bytes(), [0, 0]].concat())
        .template(&other)
        .data(&other, &[numbers(&other, &[1, 6])])
        .finish();
    let decoded = exchange.send_in(1, &in_one_message);
    assert_eq!((decoded.withdrawals, decoded.errors, decoded.data), (1, 0, 2));
    assert_eq!(exchange.bytes(), [5, 6]);

    exchange.send_in(1, &withdrawal(ipfix::TEMPLATE_SET, 256));
    let decoded = exchange.send_in(1, &message().data(&other, &[numbers(&other, &[1, 7])]).finish());
    assert_eq!((decoded.data, decoded.missing_template_sets), (0, 1));
    let decoded = exchange.send_in(1, &withdrawal(ipfix::TEMPLATE_SET, 256));
    assert_eq!(decoded.first_error.map(|error| error.kind), Some(ErrorKind::UnknownWithdrawal));
}

#[test]
fn all_templates_of_a_kind_are_withdrawn_at_once() {
    let (data, options) = (bytes_only(), TemplateSpec::options(300, 1, [iana(149, 4), iana(305, 4)]));
    let mut exchange = Exchange::new();
    let announce = message().template(&data).template(&options).finish();
    exchange.send_in(1, &announce);
    assert_eq!(exchange.send_in(1, &withdrawal(ipfix::TEMPLATE_SET, ipfix::TEMPLATE_SET)).errors, 0);
    let left: Vec<_> = exchange.session.templates().map(|known| known.template.id()).collect();
    assert_eq!(left, [300]);
    exchange.send_in(1, &announce);
    assert_eq!(exchange.send_in(1, &withdrawal(ipfix::OPTIONS_TEMPLATE_SET, ipfix::OPTIONS_TEMPLATE_SET)).errors, 0);
    let left: Vec<_> = exchange.session.templates().map(|known| known.template.id()).collect();
    assert_eq!(left, [256]);
    // To withdraw all of none is no error.
    assert_eq!(exchange.send_in(1, &withdrawal(ipfix::OPTIONS_TEMPLATE_SET, ipfix::OPTIONS_TEMPLATE_SET)).errors, 0);
}

#[test]
fn a_template_that_is_redefined_without_a_withdrawal_is_an_error_and_the_new_one_counts() {
    let (one, other) = (bytes_only(), packets_and_bytes());
    let mut exchange = Exchange::new();
    exchange.send_in(1, &message().template(&one).finish());
    assert_eq!(exchange.send_in(1, &message().template(&one).finish()).errors, 0, "the same again");
    let decoded = exchange.send_in(1, &message().template(&other).finish());
    assert_eq!(decoded.first_error.map(|error| error.kind), Some(ErrorKind::RedefinedTemplate));
    exchange.send_in(1, &message().data(&other, &[numbers(&other, &[1, 6])]).finish());
    assert_eq!(exchange.bytes(), [6]);
    assert_eq!(exchange.send(&message().template(&one).finish()).errors, 0);
    assert_eq!(exchange.send(&message().template(&other).finish()).errors, 0, "allowed over UDP");
}

#[test]
fn templates_of_a_connection_have_no_lifetime() {
    let limits = TemplateLimits { lifetime: Some(Duration::from_secs(60)), ..TemplateLimits::default() };
    let template = bytes_only();
    let mut exchange = Exchange::with(SessionLimits { templates: limits, ..SessionLimits::default() });
    exchange.send_in(1, &message().template(&template).finish());
    exchange.send(&message().template(&template).finish());
    exchange.now += 3600;
    let data = message().data(&template, &[numbers(&template, &[5])]).finish();
    assert_eq!(exchange.send_in(1, &data).data, 1);
    assert_eq!(exchange.send(&data).data, 0);
}

#[test]
fn announcements_of_connections_are_restored_for_the_same_connections() {
    let (one, other) = (bytes_only(), packets_and_bytes());
    let mut exchange = Exchange::new();
    exchange.send_in(1, &message().template(&one).finish());
    exchange.send_in(2, &message().template(&other).finish());
    let mut restored = Exchange::new();
    assert_eq!(restored.session.learn(&exchange.session.announcements()), Ok(2));
    restored.send_in(1, &message().data(&one, &[numbers(&one, &[5])]).finish());
    restored.send_in(2, &message().data(&other, &[numbers(&other, &[1, 6])]).finish());
    assert_eq!(restored.bytes(), [5, 6]);
    assert_eq!(restored.send(&message().data(&one, &[numbers(&one, &[7])]).finish()).missing_template_sets, 1);
    assert_eq!(restored.session.connection_ports().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn an_address_with_more_connections_than_anybody_allows_loses_the_state_of_some() {
    let template = bytes_only();
    let mut exchange = Exchange::new();
    for port in 1..=2000 {
        exchange.send_in(port, &message().template(&template).finish());
    }
    assert_eq!(exchange.session.template_count(), 1024);
    let data = message().data(&template, &[numbers(&template, &[5])]).finish();
    assert_eq!(exchange.send_in(2000, &data).data, 1);
}
