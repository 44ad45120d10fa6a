//! Datagrams with the address of an exporter, but from another source port: what they announce, number and contain does
//! not displace or overrule what the exporter has sent, and exporters that use several ports work.

use flow::Sampling;
use testing::Random;
use wire::{Arrivals, Unit};

use super::*;

const EXPORTER: u16 = 4000;
const STRANGER: u16 = 6666;

/// As many fields as a router exports.
fn twenty_fields(id: u16) -> TemplateSpec {
    let mut fields = vec![iana(1, 4)];
    fields.extend((0..19).map(|_| iana(210, 1)));
    TemplateSpec::data(id, fields)
}

/// A template and one record of it, in a domain.
fn announced_data(domain: u32, id: u16) -> Vec<u8> {
    let template = twenty_fields(id);
    let record = [&[0, 0, 0, 9][..], &[0; 19]].concat();
    Ipfix::new(ipfix::Header { domain: domain.into(), ..Default::default() })
        .template(&template)
        .data(&template, &[record])
        .finish()
}

fn data(domain: u32, id: u16) -> Vec<u8> {
    let record = [&[0, 0, 0, 9][..], &[0; 19]].concat();
    let message = Ipfix::new(ipfix::Header { domain: domain.into(), ..Default::default() });
    message.data(&twenty_fields(id), &[record]).finish()
}

impl Exchange {
    /// Sends from a port, a microsecond later than before; returns how many data records were decoded.
    fn from(&mut self, port: u16, payload: &[u8]) -> u32 {
        self.port = port;
        self.nanoseconds += 1000;
        self.send(payload).data
    }

    /// The session of a collector that starts with what this one has stored.
    fn restart(&mut self) {
        let announcements = self.session.announcements();
        self.session = Session::new(SessionLimits::default());
        self.session.learn(&announcements).expect("it has just been made");
    }

    fn last_sampling(&self) -> Sampling {
        self.flows.last().expect("there was a flow").sampling
    }
}

#[test]
fn forged_domains_with_data_do_not_keep_new_domains_of_the_exporter_out() {
    let mut exchange = Exchange::new();
    assert_eq!(exchange.from(EXPORTER, &announced_data(7, 256)), 1);
    for forged in 0..6000 {
        exchange.from(STRANGER, &announced_data(1000 + forged, 256));
        assert_eq!(exchange.from(EXPORTER, &data(7, 256)), 1, "after {forged} forged domains");
    }
    let of_new: u32 = (0..50).map(|new| exchange.from(EXPORTER, &announced_data(100_000 + new, 256))).sum();
    assert_eq!(of_new, 50);
    exchange.restart();
    for forged in 0..6000 {
        exchange.from(STRANGER, &announced_data(10_000 + forged, 256));
    }
    let again: u32 = (0..50).map(|new| exchange.from(EXPORTER, &data(100_000 + new, 256))).sum();
    assert_eq!(again, 50, "after a restart of the collector");
}

#[test]
fn a_flood_from_all_ports_displaces_nothing_of_the_exporter() {
    let mut exchange = Exchange::new();
    assert_eq!(exchange.from(EXPORTER, &announced_data(7, 256)), 1);
    let mut random = Random::new(1);
    for forged in 0..20_000 {
        let port = 1024 + random.below(60_000) as u16;
        if port != EXPORTER {
            exchange.from(port, &announced_data(random.below(1 << 32) as u32, 256));
        }
        if forged % 1000 == 0 {
            assert_eq!(exchange.from(EXPORTER, &announced_data(100_000 + forged, 256)), 1, "{forged}");
        }
        assert_eq!(exchange.from(EXPORTER, &data(forged / 1000 * 1000 + 100_000, 256)), 1, "{forged}");
    }
    let domains = exchange.session.templates().filter(|known| known.port == EXPORTER).count();
    assert_eq!((domains, exchange.session.refused_templates()), (21, 0));
    assert!(exchange.session.template_count() < 6000, "{}", exchange.session.template_count());
}

#[test]
fn an_exporter_that_begins_after_the_forger_gets_room() {
    for ports in [1, 40] {
        let mut exchange = Exchange::new();
        for forged in 0..6000 {
            exchange.from(STRANGER + (forged % ports) as u16, &announced_data(forged, 256));
        }
        let begun: u32 = (0..10).map(|domain| exchange.from(EXPORTER, &announced_data(100_000 + domain, 256))).sum();
        assert_eq!(begun, 10, "{ports} ports");
        for forged in 6000..12_000 {
            exchange.from(STRANGER + (forged % ports) as u16, &announced_data(forged, 256));
            let flows = exchange.from(EXPORTER, &data(100_000 + forged % 10, 256));
            assert_eq!(flows, 1, "{ports} ports, {forged} forged domains");
        }
    }
}

#[test]
fn an_exporter_may_have_thousands_of_domains() {
    let mut exchange = Exchange::new();
    for domain in 0..1000 {
        for id in 256..259 {
            assert_eq!(exchange.from(EXPORTER, &announced_data(domain, id)), 1, "domain {domain}");
        }
    }
    for domain in 0..1000 {
        assert_eq!(exchange.from(EXPORTER, &data(domain, 257)), 1, "domain {domain}");
    }
    assert_eq!(exchange.session.refused_templates() + exchange.session.displaced_templates(), 0);
}

#[test]
fn after_a_restart_of_the_exporter_its_data_are_not_read_with_a_forged_template() {
    let (own, forged) = (packets_and_bytes(), bytes_only());
    let packet = |sequence: u32, seconds: u32, uptime: u32| {
        NetflowV9::new(netflow_v9::Header {
            sequence: sequence.into(),
            unix_seconds: seconds.into(),
            uptime: (uptime * 1000).into(),
            ..Default::default()
        })
    };
    let mut exchange = Exchange::new();
    exchange.from(EXPORTER, &packet(70, 10_000, 5_000).template(&own).finish());
    exchange.from(STRANGER, &packet(70, 10_000, 5_000).template(&forged).finish());
    let data = packet(0, 10_060, 5).data(&own, &[numbers(&own, &[1, 9])]).finish();
    assert_eq!(exchange.from(EXPORTER, &data), 0, "the template of the exporter is missing");
    exchange.from(EXPORTER, &packet(1, 10_061, 6).template(&own).finish());
    assert_eq!(exchange.bytes(), [9]);
}

/// Options data with the rate of the whole domain, and that of sampler 1.
fn options(rate: u32) -> Vec<u8> {
    let of_domain = TemplateSpec::options(300, 1, [iana(149, 4), iana(34, 4)]);
    let of_sampler = TemplateSpec::options(301, 1, [iana(149, 4), iana(48, 4), iana(34, 4)]);
    message()
        .template(&of_domain)
        .data(&of_domain, &[numbers(&of_domain, &[0, rate.into()])])
        .template(&of_sampler)
        .data(&of_sampler, &[numbers(&of_sampler, &[0, 1, rate.into()])])
        .finish()
}

/// A flow that names no sampler, and one that names sampler 1.
fn flows() -> Vec<u8> {
    let (plain, naming) = (bytes_only(), TemplateSpec::data(257, [iana(1, 4), iana(48, 2)]));
    message()
        .template(&plain)
        .data(&plain, &[numbers(&plain, &[5])])
        .template(&naming)
        .data(&naming, &[numbers(&naming, &[5, 1])])
        .finish()
}

impl Exchange {
    /// The rates of two flows from a port.
    fn rates(&mut self, port: u16) -> [u32; 2] {
        self.flows.clear();
        self.from(port, &flows());
        [self.flows[0].sampling.rate, self.flows[1].sampling.rate]
    }
}

#[test]
fn options_data_forged_from_another_port_change_no_rate() {
    for own in [None, Some(100)] {
        let mut exchange = Exchange::new();
        if let Some(rate) = own {
            exchange.from(EXPORTER, &options(rate));
        }
        let expected = [own.unwrap_or(1); 2];
        assert_eq!(exchange.rates(EXPORTER), expected);
        for _ in 0..10 {
            exchange.from(STRANGER, &options(1000));
            assert_eq!(exchange.rates(EXPORTER), expected, "own rate {own:?}");
            exchange.now += 1;
        }
        exchange.restart();
        assert_eq!(exchange.rates(EXPORTER), expected, "own rate {own:?}, after a restart of the collector");
        exchange.now += 10 * 3600;
        assert_eq!(exchange.rates(EXPORTER), expected, "own rate {own:?}, ten hours later");
    }
}

/// Juniper MX routers do so.
#[test]
fn options_data_from_another_port_than_the_flows_count_and_a_third_port_does_not_overrule_them() {
    const OPTIONS: u16 = 5000;
    let mut exchange = Exchange::new();
    exchange.from(OPTIONS, &options(100));
    for minute in 0..300 {
        assert_eq!(exchange.rates(EXPORTER), [100; 2], "minute {minute}");
        exchange.from(STRANGER, &options(1000));
        assert_eq!(exchange.rates(EXPORTER), [100; 2], "minute {minute}");
        if minute % 30 == 0 {
            exchange.from(OPTIONS, &options(100));
        }
        if minute == 150 {
            exchange.restart();
        }
        exchange.now += 60;
    }
    // It announces another rate, which counts at once.
    exchange.from(OPTIONS, &options(200));
    assert_eq!(exchange.rates(EXPORTER), [200; 2]);
    // The exporter restarts with other ports.
    exchange.from(OPTIONS + 1, &options(300));
    assert_eq!(exchange.rates(EXPORTER + 1), [300; 2]);
}

#[test]
fn options_data_that_begin_after_the_flows_of_another_port_count_when_they_are_repeated() {
    const OPTIONS: u16 = 5000;
    let mut exchange = Exchange::new();
    assert_eq!(exchange.rates(EXPORTER), [1; 2]);
    exchange.now += 600;
    exchange.from(OPTIONS, &options(100));
    assert_eq!(exchange.rates(EXPORTER), [1; 2], "anybody may have sent them");
    exchange.now += 60;
    exchange.from(OPTIONS, &options(100));
    assert_eq!(exchange.rates(EXPORTER), [100; 2]);
}

#[test]
fn options_data_and_templates_from_one_port_count_for_flows_from_another() {
    let mut exchange = Exchange::new();
    let template = bytes_only();
    for second in 0..10 {
        exchange.now += second;
        exchange.from(5000, &options(100));
        exchange.from(5000, &message().template(&template).finish());
        let flow = message().data(&template, &[numbers(&template, &[5])]).finish();
        assert_eq!(exchange.from(EXPORTER, &flow), 1);
        assert_eq!(exchange.last_sampling(), Sampling::of_packets(100, SamplingSource::Options));
        // Forged ones of the same ids.
        exchange.from(STRANGER, &options(1000));
        exchange.from(STRANGER, &message().template(&packets_and_bytes()).finish());
    }
}

#[test]
fn forged_samplers_do_not_keep_those_of_the_exporter_out() {
    let named = TemplateSpec::options(300, 1, [iana(149, 4), iana(302, 8), iana(34, 4)]);
    let naming = TemplateSpec::data(257, [iana(1, 4), iana(302, 8)]);
    let announce = |domain: u32, samplers: std::ops::Range<u64>| {
        let records: Vec<_> = samplers.map(|sampler| numbers(&named, &[0, sampler, 100])).collect();
        let message = Ipfix::new(ipfix::Header { domain: domain.into(), ..Default::default() });
        message.template(&named).data(&named, &records).finish()
    };
    let mut exchange = Exchange::new();
    let flow = |sampler| message().template(&naming).data(&naming, &[numbers(&naming, &[5, sampler])]).finish();
    exchange.from(EXPORTER, &announce(0, 0..10));
    exchange.from(EXPORTER, &flow(3));
    for forged in 0..200 {
        exchange.from(STRANGER + forged % 50, &announce(forged.into(), 0..100));
        exchange.from(STRANGER + forged % 50, &announced_data(forged.into(), 256));
    }
    assert!(exchange.session.samplers().len() <= 4096);
    exchange.from(EXPORTER, &announce(0, 100..200));
    for sampler in [3, 150] {
        exchange.from(EXPORTER, &flow(sampler));
        assert_eq!(exchange.last_sampling().rate, 100, "sampler {sampler}");
    }
}

#[test]
fn forged_rates_of_templates_neither_apply_nor_keep_those_of_the_exporter_out() {
    let options = TemplateSpec::options(300, 1, [iana(145, 2), iana(34, 4)]);
    let announce = |templates: std::ops::Range<u64>, rate| {
        let records: Vec<_> = templates.map(|id| numbers(&options, &[id, rate])).collect();
        message().template(&options).data(&options, &records).finish()
    };
    let mut exchange = Exchange::new();
    exchange.from(EXPORTER, &message().template(&bytes_only()).finish());
    let flow = message().data(&bytes_only(), &[numbers(&bytes_only(), &[5])]).finish();
    exchange.from(EXPORTER, &flow);
    for forged in 0..100 {
        exchange.from(STRANGER + forged % 50, &announce(256..1256, 9999));
        exchange.from(EXPORTER, &flow);
        assert_eq!(exchange.last_sampling().rate, 1);
    }
    assert!(exchange.session.samplers().len() <= 4096);
    exchange.from(EXPORTER, &announce(256..300, 100));
    exchange.from(EXPORTER, &flow);
    assert_eq!(exchange.last_sampling().rate, 100);
    exchange.restart();
    exchange.from(EXPORTER, &flow);
    assert_eq!(exchange.last_sampling().rate, 100);
}

/// A datagram of 30 flows.
fn v5(sequence: u32, engine: u8) -> Vec<u8> {
    let header = netflow_v5::Header { sequence: sequence.into(), engine_id: engine, ..Default::default() };
    encode::netflow_v5(&header, &[netflow_v5::Record::default(); 30])
}

#[test]
fn one_forged_sequence_number_is_no_loss_and_no_restart() {
    for port in [EXPORTER, STRANGER] {
        for far in [5000, 100_000, 1_000_000_000, u32::MAX - 50_000] {
            let mut exchange = Exchange::new();
            for number in 0..100_u32 {
                exchange.from(EXPORTER, &v5(number * 30, 0));
                if number == 50 {
                    exchange.from(port, &v5((number * 30).wrapping_add(far), 0));
                }
            }
            let expected = Arrivals { received: 101 * 30, ..Default::default() };
            assert_eq!(exchange.session.arrivals(Unit::Records), expected, "{far} from port {port}");
        }
    }
}

#[test]
fn a_stranger_who_goes_on_numbering_does_not_disturb_the_numbers_of_the_exporter() {
    let mut exchange = Exchange::new();
    for number in 0..1000_u32 {
        exchange.from(EXPORTER, &v5(number * 30, 0));
        exchange.from(STRANGER, &v5(500_000 + number * 30, 0));
    }
    let expected = Arrivals { received: 2000 * 30, ..Default::default() };
    assert_eq!(exchange.session.arrivals(Unit::Records), expected);
}

#[test]
fn forged_streams_do_not_keep_those_of_the_exporter_out() {
    let mut exchange = Exchange::new();
    exchange.from(EXPORTER, &announced_data(0, 256));
    let empty = |domain: u32, sequence: u32| {
        Ipfix::new(ipfix::Header { domain: domain.into(), sequence: sequence.into(), ..Default::default() }).finish()
    };
    for forged in 0..10_000_u32 {
        exchange.from(STRANGER + (forged % 100) as u16, &empty(1000 + forged, 0));
    }
    assert!(exchange.session.streams().count() <= 4096);
    for sequence in [0, 1, 12, 13] {
        let message = Ipfix::new(ipfix::Header { domain: 7.into(), sequence: sequence.into(), ..Default::default() });
        let template = bytes_only();
        exchange.from(EXPORTER, &message.template(&template).data(&template, &[numbers(&template, &[1])]).finish());
    }
    let (_, stream) =
        exchange.session.streams().find(|(key, stream)| key.domain == 7 && stream.port == EXPORTER).unwrap();
    assert_eq!((stream.datagrams, stream.lost), (4, 10));
    assert_eq!(exchange.session.arrivals(Unit::Records).lost, 10);
}
