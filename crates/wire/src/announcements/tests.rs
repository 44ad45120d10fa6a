//! Announcements that are restored after a restart decode the same data; damaged ones are refused as a whole.

use flow::SamplingSource;
use proptest::prelude::*;

use super::*;
use crate::decoded::Decoded;
use crate::field_specifier::{FieldSpecifier, TemplateKind, VARIABLE_LENGTH};
use crate::record::ElementId;
use crate::template_store::TemplateLimits;
use crate::{Session, SessionLimits, netflow_v9};

/// When everything is received, in seconds.
const NOW: u64 = 1_700_000_000;

/// A template, where it was announced, and the content of a data set of it.
#[derive(Clone, Debug)]
struct Announced {
    ipfix: bool,
    domain: u32,
    port: u16,
    template: TemplateSpec,
    data: Vec<u8>,
}

impl Announced {
    /// A datagram of the exporter at its run's thousandth second.
    fn datagram(&self, announce: bool, data: &[Vec<u8>]) -> Vec<u8> {
        if self.ipfix {
            let message = Ipfix::new(ipfix::Header { domain: self.domain.into(), ..Default::default() });
            let message = if announce { message.template(&self.template) } else { message };
            message.data(&self.template, data).finish()
        } else {
            let message = NetflowV9::new(v9_header(self.domain, NOW, 1000));
            let message = if announce { message.template(&self.template) } else { message };
            message.data(&self.template, data).finish()
        }
    }
}

fn v9_header(source_id: u32, seconds: u64, uptime_seconds: u32) -> netflow_v9::Header {
    netflow_v9::Header {
        source_id: source_id.into(),
        sequence: 77.into(),
        unix_seconds: u32::try_from(seconds).unwrap().into(),
        uptime: (uptime_seconds * 1000).into(),
        ..Default::default()
    }
}

fn send(session: &mut Session, port: u16, payload: &[u8]) -> (Decoded, Vec<String>) {
    let exporter = Exporter::udp([192, 0, 2, 1].into(), port);
    let mut seen = Vec::new();
    let datagram = Datagram { exporter, received: Timestamp::from_seconds(NOW), payload };
    let mut decoded = session.decode(&datagram, &mut |record| {
        let mut shown = format!("{:?} {:?} {:?}", record.kind, record.format, record.flow);
        record.fields(&mut |field| shown += &format!(" {field:?}"));
        seen.push(shown);
    });
    // Sequence numbers are not stored.
    decoded.arrival = None;
    (decoded, seen)
}

fn new() -> Session {
    Session::new(SessionLimits::default())
}

fn sealed(content: &[u8]) -> Vec<u8> {
    [content, &crc32fast::hash(content).to_be_bytes()].concat()
}

fn field() -> impl Strategy<Value = (ElementId, u16)> {
    let booked = [1_u16, 2, 4, 7, 8, 10, 11, 12, 16, 27, 34, 48, 50, 82, 130, 131, 145, 302, 305, 306, 396, 397];
    // What counts of a sum depends on what has counted before, and that is not stored.
    let other = (1..0x8000_u16).prop_filter("a sum", |id| ![85, 86, 231, 232, 298, 299].contains(id));
    let id = prop_oneof![4 => prop::sample::select(booked.to_vec()), 1 => other];
    let enterprise = prop_oneof![4 => Just(0), 1 => Just(29305), 1 => any::<u32>()];
    let length = prop_oneof![8 => 0..17_u16, 1 => Just(VARIABLE_LENGTH)];
    (id, enterprise, length).prop_map(|(id, enterprise, length)| (ElementId { enterprise, id }, length))
}

/// Few domains, ports and ids, so that templates are replaced and ports compete.
fn announced() -> impl Strategy<Value = Announced> {
    let template = (256..260_u16, prop::collection::vec(field(), 1..12), prop::option::of(0..4_usize));
    (any::<bool>(), 0..3_u32, 1..4_u16, template, prop::collection::vec(any::<u8>(), 0..200)).prop_map(
        |(ipfix, domain, port, (id, fields, scope), data)| {
            let field = |(element, length): (ElementId, u16)| FieldSpecifier {
                element: ElementId { enterprise: if ipfix { element.enterprise } else { 0 }, ..element },
                length,
            };
            let fields: Vec<_> = fields.into_iter().map(field).collect();
            let kind = scope.map_or(TemplateKind::Data, |scope| TemplateKind::Options {
                scope_fields: scope.min(fields.len()) as u16,
            });
            Announced { ipfix, domain, port, template: TemplateSpec { id, kind, fields }, data }
        },
    )
}

proptest! {
    #[test]
    fn what_was_learnt_reads_the_same_data_after_a_restart(all in prop::collection::vec(announced(), 1..20)) {
        let mut before = new();
        for announced in &all {
            send(&mut before, announced.port, &announced.datagram(true, std::slice::from_ref(&announced.data)));
        }
        let octets = before.announcements();
        let mut after = new();
        prop_assert_eq!(after.learn(&octets), Ok(before.templates().count()));
        prop_assert_eq!(after.announcements(), octets);
        for announced in &all {
            // From a port of its own, and from one that has announced nothing.
            for port in [announced.port, 9999] {
                let datagram = announced.datagram(false, &[announced.data.clone(), announced.data.clone()]);
                prop_assert_eq!(send(&mut after, port, &datagram), send(&mut before, port, &datagram));
            }
        }
    }

    #[test]
    fn octets_that_have_changed_are_refused_and_nothing_is_learnt(
        all in prop::collection::vec(announced(), 1..4),
        at in any::<prop::sample::Index>(),
        change in 1..=255_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut session = new();
        for announced in &all {
            send(&mut session, announced.port, &announced.datagram(true, &[]));
        }
        let octets = session.announcements();
        let mut changed = octets.clone();
        changed[at.index(octets.len())] ^= change;
        let mut knowing = new();
        knowing.learn(&octets).unwrap();
        for damaged in [&changed, &octets[..cut.index(octets.len())]] {
            prop_assert_eq!(knowing.learn(damaged), Err(AnnouncementsError::Checksum));
            prop_assert_eq!(&knowing.announcements(), &octets);
            // With a checksum that fits, the decoders have to cope.
            let mut session = new();
            let outcome = session.learn(&sealed(damaged));
            prop_assert!(outcome.is_ok() || session.templates().count() == 0);
        }
    }

    #[test]
    fn any_octets_are_learnt_whole_or_not_at_all(octets in prop::collection::vec(any::<u8>(), 0..300), kind in 0..5_u8) {
        for content in [octets.clone(), [&[VERSION, kind], &octets[..]].concat()] {
            let mut session = new();
            let outcome = session.learn(&sealed(&content));
            prop_assert!(outcome.is_ok() || session.announcements() == new().announcements());
            prop_assert!(session.learn(&content).is_err());
        }
    }
}

const fn iana(id: u16, length: u16) -> FieldSpecifier {
    FieldSpecifier::iana(id, length)
}

fn v9(seconds: u64, uptime_seconds: u32) -> NetflowV9 {
    NetflowV9::new(v9_header(5, seconds, uptime_seconds))
}

#[test]
fn repeated_announcements_are_no_change_and_all_else_is() {
    let template = TemplateSpec::data(256, [iana(1, 4)]);
    let options = TemplateSpec::options(300, 1, [iana(1, 4), iana(48, 1), iana(50, 1)]);
    let rates = |rates: &[[u8; 2]]| {
        let records = rates.iter().map(|[sampler, rate]| [&[0; 4][..], &[*sampler, *rate]].concat());
        v9(NOW, 9).template(&options).data(&options, &records.collect::<Vec<_>>()).finish()
    };
    let datagrams = [
        (true, v9(NOW, 9).template(&template).finish()),
        (false, v9(NOW, 9).template(&template).template(&template).finish()),
        (true, rates(&[[1, 10], [2, 20]])),
        (false, rates(&[[2, 20], [1, 10]])),
        (true, rates(&[[1, 11]])),
        // The first data of the port.
        (true, v9(NOW, 9).data(&template, &[vec![0, 0, 0, 1]]).finish()),
        (false, v9(NOW, 9).data(&template, &[vec![0, 0, 0, 1]]).finish()),
        (true, v9(NOW, 9).template(&TemplateSpec::data(256, [iana(2, 4)])).finish()),
    ];
    let mut session = new();
    let mut changed = session.announcements_changed();
    for (number, (expected, datagram)) in datagrams.iter().enumerate() {
        send(&mut session, 1, datagram);
        assert_eq!(session.announcements_changed() != changed, *expected, "datagram {number}");
        changed = session.announcements_changed();
    }
}

#[test]
fn rates_of_samplers_and_domains_survive() {
    let samplers = TemplateSpec::options(300, 1, [iana(1, 4), iana(48, 1), iana(50, 4)]);
    let domain = TemplateSpec::options(301, 1, [iana(149, 4), iana(34, 4)]);
    let data = TemplateSpec::data(256, [iana(1, 1), iana(48, 1)]);
    let lone = TemplateSpec::data(257, [iana(1, 1)]);
    let mut before = new();
    let table = [[0, 0, 0, 0, 7, 0, 0, 1, 0].to_vec(), [0, 0, 0, 0, 8, 0, 0, 2, 0].to_vec()];
    let announcing = v9(NOW, 9).template(&samplers).data(&samplers, &table).template(&data);
    send(&mut before, 1, &announcing.finish());
    let message = Ipfix::new(ipfix::Header::default()).template(&domain).template(&lone);
    send(&mut before, 1, &message.data(&domain, &[[0, 0, 0, 0, 0, 0, 0, 50].to_vec()]).finish());
    let mut after = new();
    assert_eq!(after.learn(&before.announcements()), Ok(4));
    let mut rates = Vec::new();
    for payload in [
        v9(NOW, 9).data(&data, &[[1, 8].to_vec(), [1, 7].to_vec()]).finish(),
        Ipfix::new(ipfix::Header::default()).data(&lone, &[vec![1]]).finish(),
    ] {
        let exporter = Exporter::udp([192, 0, 2, 1].into(), 1);
        let datagram = Datagram { exporter, received: Timestamp::from_seconds(NOW), payload: &payload };
        after.decode(&datagram, &mut |record| rates.extend(record.flow.map(|flow| flow.sampling)));
    }
    let rates: Vec<_> = rates.iter().map(|sampling| (sampling.rate, sampling.source)).collect();
    assert_eq!(rates, [512, 256, 50].map(|rate| (rate, SamplingSource::Options)));
}

#[test]
fn the_exporters_behind_a_relay_that_send_updates_survive() {
    let mut before = new();
    let named = [
        ("", 210, vec![0; 4]),
        ("192.0.2.9", 130, vec![192, 0, 2, 9]),
        ("2001:db8::9", 131, [&[0x20, 0x01, 0x0d, 0xb8][..], &[0; 11], &[9]].concat()),
    ];
    for ((_, element, exporter), id) in named.iter().zip(256..) {
        // flowId, an update of it, its octets.
        let fields = [iana(148, 1), iana(233, 1), iana(231, 1), iana(*element, exporter.len() as u16)];
        let template = TemplateSpec::data(id, fields);
        let record = [&[1, 5, 100][..], exporter].concat();
        send(&mut before, 1, &v9(NOW, 9).template(&template).data(&template, &[record]).finish());
    }
    let mut after = new();
    assert_eq!(after.learn(&before.announcements()), Ok(3));
    let expected = named.map(|(exporter, ..)| exporter.parse::<IpAddr>().ok());
    assert_eq!(after.state.connections.updating(), expected);
    assert_eq!(after.announcements(), before.announcements());
}

/// As version 0.1 wrote them: samplers of a domain, and the rate of another one.
#[test]
fn rates_of_version_1_are_read_and_give_way_to_announced_ones() {
    let domain = |kind: u8, domain: u8| [kind, 10, 0, 0, 0, domain];
    let version_1 = [
        &[VERSION_1][..],
        &domain(SAMPLER, 1),
        &[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 100],
        &domain(DOMAIN, 2),
        &[0, 0, 0, 50],
    ];
    let mut session = new();
    assert_eq!(session.learn(&sealed(&version_1.concat())), Ok(0));
    let known: Vec<_> = session.samplers().iter().map(|it| (it.domain, it.sampler, it.rate)).collect();
    assert_eq!(known, [(1, Some(7), 100), (2, None, 50)]);
    let mut again = new();
    assert_eq!(again.learn(&session.announcements()), Ok(0));
    assert_eq!(again.samplers(), session.samplers());

    let data = TemplateSpec::data(256, [iana(1, 1)]);
    let options = TemplateSpec::options(300, 1, [iana(149, 4), iana(34, 4)]);
    let mut rate = |announced: Option<u8>, second| {
        let message = Ipfix::new(ipfix::Header { domain: 2.into(), ..Default::default() }).template(&data);
        let message = match announced {
            Some(rate) => message.template(&options).data(&options, &[vec![0, 0, 0, 0, 0, 0, 0, rate]]),
            None => message,
        };
        let payload = message.data(&data, &[vec![1]]).finish();
        let exporter = Exporter::udp([192, 0, 2, 1].into(), 1);
        let datagram = Datagram { exporter, received: Timestamp::from_seconds(NOW + second), payload: &payload };
        let mut rate = 0;
        session.decode(&datagram, &mut |record| rate = record.flow.map_or(rate, |flow| flow.sampling.rate));
        rate
    };
    assert_eq!([rate(None, 0), rate(None, 7200), rate(Some(60), 7201), rate(None, 7202)], [50, 50, 60, 60]);
}

#[test]
fn an_exporter_that_started_again_meanwhile_is_not_read_with_its_old_templates() {
    let old = TemplateSpec::data(256, [iana(1, 4)]);
    let mut before = new();
    send(&mut before, 1, &v9(NOW, 9).template(&old).finish());
    let learnt = before.announcements();
    for (seconds, uptime, decoded) in [(NOW + 600, 609, 1), (NOW + 600, 60, 0)] {
        let mut after = new();
        after.learn(&learnt).unwrap();
        let (report, _) = send(&mut after, 1, &v9(seconds, uptime).data(&old, &[vec![0, 0, 0, 1]]).finish());
        assert_eq!((report.data, report.pending), (decoded, 1 - decoded));
    }
}

#[test]
fn a_session_with_tighter_limits_learns_what_fits() {
    let mut before = new();
    for id in 256..276 {
        send(&mut before, 1, &v9(NOW, 9).template(&TemplateSpec::data(id, [iana(1, 4)])).finish());
    }
    let templates = TemplateLimits { octets: 4096, ..Default::default() };
    let mut after = Session::new(SessionLimits { templates, ..Default::default() });
    let learnt = after.learn(&before.announcements()).unwrap();
    assert!((5..20).contains(&learnt), "{learnt}");
}

#[test]
fn a_template_of_the_longest_datagram_survives() {
    let longest = TemplateSpec::data(256, vec![iana(1, 1); 16_370]);
    let datagram = v9(NOW, 9).template(&longest).finish();
    assert!(datagram.len() > 65_500 && datagram.len() <= 65_527);
    let mut before = new();
    let (decoded, _) = send(&mut before, 1, &datagram);
    assert_eq!(decoded.templates, 1);
    assert_eq!(new().learn(&before.announcements()), Ok(1));
}

#[test]
fn a_template_of_no_content_survives_and_harms_no_other() {
    let (nothing, good) = (TemplateSpec::data(256, [iana(1, 0)]), TemplateSpec::data(257, [iana(1, 4)]));
    let mut before = new();
    let (decoded, _) = send(&mut before, 1, &v9(NOW, 9).template(&nothing).template(&good).finish());
    assert_eq!(decoded.templates, 2);
    assert_eq!(new().learn(&before.announcements()), Ok(2));
}

#[test]
fn an_unknown_version_is_named() {
    assert_eq!(new().learn(&sealed(&[4, 1, 2, 3])), Err(AnnouncementsError::UnknownVersion(4)));
    assert_eq!(new().learn(&sealed(&[])), Err(AnnouncementsError::Checksum));
    assert_eq!(new().learn(&sealed(&[VERSION, 9])), Err(AnnouncementsError::Damaged(1)));
    assert_eq!(new().learn(&sealed(&[VERSION])), Ok(0));
}

/// The octets of the second worked example in docs/storage.md: the text before `#` in its block marked `hex`.
fn documented_example() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/storage.md");
    let document = std::fs::read_to_string(path).unwrap();
    let example = document.split("```hex\n").nth(2).unwrap().split("```").next().unwrap();
    let digits = example.lines().flat_map(|line| line.split('#').next().unwrap().split_whitespace());
    digits.map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
}

#[test]
fn the_worked_example_of_the_documentation_is_what_is_written() {
    let template = TemplateSpec::data(256, [iana(8, 4), iana(1, 8)]);
    let options = TemplateSpec::options(257, 1, [iana(1, 4), iana(48, 1), iana(34, 2)]);
    let mut session = new();
    let datagram = v9(NOW, 9).template(&template).finish();
    send(&mut session, 2055, &datagram);
    let mut announced = new();
    send(&mut announced, 2055, &v9(NOW, 9).template(&options).data(&options, &[vec![0, 0, 0, 0, 3, 3, 232]]).finish());
    session.state.samplers = announced.state.samplers;
    session.state.ports.note(2055, Timestamp::from_seconds(NOW));
    let octets = session.announcements();
    assert_eq!(octets, documented_example(), "{octets:02x?}");
}
