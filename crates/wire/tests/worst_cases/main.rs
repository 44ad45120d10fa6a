//! The worst cases of other decoders, and the dearest datagrams that there are: what they cost is counted, not timed, so
//! that it is the same on every machine. Time is measured by the bench of the same name.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "the bench shares the datagrams")]

mod datagrams;

use allocation_counter::measure;
use datagrams::{Case, LARGEST, Sets, cases, gateway, iana, nested_lists, template};
use flow::{Exporter, FlowRecord, Timestamp};
use wire::{Datagram, Decoded, ErrorKind, Field, Session, SessionLimits, VARIABLE_LENGTH, Value};

/// What any datagram may cost, in octets that are held at once while it is decoded and after: a megabyte and a half.
const MEMORY: u64 = 3 << 19;

fn datagram(payload: &[u8]) -> Datagram<'_> {
    let exporter = Exporter::udp([192, 0, 2, 1].into(), 1);
    Datagram { exporter, received: Timestamp::from_seconds(1_000_000), payload }
}

fn session_after(before: &[Vec<u8>]) -> Session {
    let mut session = Session::new(SessionLimits::default());
    for payload in before {
        session.decode(&datagram(payload), &mut |_| {});
    }
    session
}

/// What came out.
#[derive(Default)]
struct Seen {
    flows: Vec<FlowRecord>,
    records: usize,
    /// Fields and items of lists, lists in lists included.
    fields: usize,
    depth: usize,
}

impl Seen {
    fn field(&mut self, field: &Field<'_>, depth: usize) {
        self.fields += 1;
        self.depth = self.depth.max(depth);
        if let Value::List(list) = field.value {
            list.visit(&mut |item| {
                self.fields += 1;
                item.visit(&mut |field| self.field(field, depth + 1));
            });
        }
    }
}

/// Decodes the datagrams and reads every field.
fn decode(payloads: &[Vec<u8>]) -> (Vec<Decoded>, Seen) {
    let mut session = Session::new(SessionLimits::default());
    let mut seen = Seen::default();
    let decoded = payloads
        .iter()
        .map(|payload| {
            session.decode(&datagram(payload), &mut |record| {
                seen.records += 1;
                seen.flows.extend(record.flow);
                record.fields(&mut |field| seen.field(field, 0));
            })
        })
        .collect();
    (decoded, seen)
}

fn first_error(decoded: &Decoded) -> ErrorKind {
    decoded.first_error.expect("there is an error").kind
}

#[test]
fn a_template_of_no_field_is_refused_and_its_data_waits_in_vain() {
    let set = template(256, &[]);
    let data = [1; 1000];
    for (payload, refused) in [
        (Sets::default().set(0, &set).set(256, &data).netflow_v9(), 1),
        // In IPFIX a template of no field is a withdrawal.
        (Sets::default().set(2, &set).set(256, &data).ipfix(), 0),
    ] {
        let (decoded, seen) = decode(&[payload]);
        assert_eq!((decoded[0].errors, decoded[0].pending, seen.records), (refused, 1, 0));
    }
}

#[test]
fn records_of_no_length_do_not_fill_a_set_without_end() {
    let fields = vec![iana(82, 0); 16_000];
    let announced = Sets::default().set(2, &template(256, &fields)).ipfix();
    let (decoded, seen) = decode(&[announced, Sets::default().set(256, &[0; 60_000]).ipfix()]);
    assert_eq!((decoded[0].templates, decoded[1].errors, seen.records), (1, 0, 0));
}

/// Sixteen thousand fields of no length and one of one octet: a decoder that walks the fields for each record walks
/// through a thousand million.
#[test]
fn fields_of_no_length_are_not_looked_at_for_every_record() {
    let mut fields = vec![iana(82, 0); 16_000];
    fields.push(iana(4, 1));
    let announced = Sets::default().set(2, &template(256, &fields)).ipfix();
    let mut session = session_after(std::slice::from_ref(&announced));
    assert_eq!(session.templates().next().unwrap().template.fields().len(), 1);
    assert_eq!(session.decode(&datagram(&announced), &mut |_| {}).templates, 1);
    let (_, seen) = decode(&[announced, Sets::default().set(256, &[6; 64_000]).ipfix()]);
    assert_eq!((seen.records, seen.fields), (64_000, 64_000));
}

#[test]
fn lengths_that_sum_past_sixteen_bits_are_refused() {
    for fields in [[iana(1, 40_000), iana(2, 40_000)], [iana(82, 65_534), iana(83, 2)]] {
        let announced = Sets::default().set(2, &template(256, &fields)).ipfix();
        let (decoded, seen) = decode(&[announced, Sets::default().set(256, &[1; 60_000]).ipfix()]);
        assert_eq!((first_error(&decoded[0]), seen.records), (ErrorKind::BadTemplate, 0));
    }
}

#[test]
fn a_scope_that_is_longer_than_its_set_costs_the_set_alone() {
    let good = template(257, &[iana(1, 4)]);
    // Template id, octets of scope, octets of options.
    let scope = [300, 40_000, 4].map(u16::to_be_bytes).concat();
    let v9 = Sets::default().set(1, &scope).set(0, &good).set(257, &[0, 0, 0, 5]).netflow_v9();
    // Template id, fields, fields of scope.
    let ipfix = [300, 1, 9].map(u16::to_be_bytes).concat();
    let ipfix = [ipfix, vec![0, 1, 0, 4]].concat();
    let ipfix = Sets::default().set(3, &ipfix).set(2, &good).set(257, &[0, 0, 0, 5]).ipfix();
    for (payload, kind) in [(v9, ErrorKind::TruncatedTemplate), (ipfix, ErrorKind::BadTemplate)] {
        let (decoded, seen) = decode(&[payload]);
        assert_eq!((first_error(&decoded[0]), decoded[0].errors), (kind, 1));
        assert_eq!(seen.flows[0].forward.bytes, 5);
    }
}

#[test]
fn an_address_of_fifty_octets_shows_as_octets_and_is_no_address() {
    let announced = Sets::default().set(2, &template(256, &[iana(8, 50), iana(1, 4)])).ipfix();
    let record = [&[0xff; 50][..], &[0, 0, 0, 9]].concat();
    let (_, seen) = decode(&[announced, Sets::default().set(256, &record).ipfix()]);
    assert_eq!(seen.flows[0].source.to_string(), "0.0.0.0");
    assert_eq!((seen.flows[0].forward.bytes, seen.fields), (9, 2));
}

/// A datagram of 104 octets whose counts, believed, would take 16 GiB.
#[test]
fn nothing_is_reserved_for_what_an_sflow_datagram_only_announces() {
    for format in [1, 2, 3, 4] {
        for count in [0x3fff_ffff_u32, u32::MAX] {
            let head = [5, 1, 0xc000_0201, 0, 1, 1, count, format, 68];
            let words = head.into_iter().chain([1, 1, 1, 1, 1, 1, 1]).chain([count; 10]);
            let payload: Vec<u8> = words.flat_map(u32::to_be_bytes).collect();
            assert_eq!(payload.len(), 104);
            let mut session = session_after(&[]);
            let cost = measure(|| {
                session.decode(&datagram(&payload), &mut |record| record.fields(&mut |_| {}));
            });
            assert!(cost.bytes_max < 16 << 10, "{cost:?}");
        }
    }
}

#[test]
fn an_as_path_is_as_long_as_its_octets_whatever_its_count_is() {
    for (segments, length) in [(1, u32::MAX), (u32::MAX, 0), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
        for octets in [24, 200] {
            let gateway = gateway(segments, length, octets);
            let length = u32::try_from(gateway.len()).unwrap();
            let head = [5, 1, 0xc000_0201, 0, 1, 1, 1, 1, 40 + length, 1, 1, 1000, 1, 0, 1, 2, 1, 1003, length];
            let mut payload: Vec<u8> = head.into_iter().flat_map(u32::to_be_bytes).collect();
            payload.extend(gateway);
            let (_, seen) = decode(&[payload]);
            assert!(seen.records == 1 && seen.fields < 100, "{} fields", seen.fields);
            // What stood before the path is kept.
            assert_eq!(seen.flows[0].source_as, 64497);
        }
    }
}

#[test]
fn lists_in_lists_are_opened_only_so_deep() {
    let announced = Sets::default().set(2, &template(256, &[iana(291, VARIABLE_LENGTH)])).ipfix();
    let list = nested_lists(5000);
    let field = [&[255][..], &u16::try_from(list.len()).unwrap().to_be_bytes(), &list].concat();
    let (decoded, seen) = decode(&[announced, Sets::default().set(256, &field).ipfix()]);
    assert_eq!((decoded[1].errors, seen.records, seen.depth), (0, 1, 4));
}

#[test]
fn no_datagram_costs_more_memory_than_a_megabyte_and_a_half() {
    let mut dear = Vec::new();
    for Case { name, before, datagram: payload } in cases() {
        let mut session = session_after(&before);
        let datagram = datagram(&payload);
        let cost = measure(|| {
            session.decode(&datagram, &mut |record| record.fields(&mut |_| {}));
        });
        println!("{:>8} at most, {:>8} kept: {name}", cost.bytes_max, cost.bytes_current);
        if cost.bytes_max > MEMORY {
            dear.push((name, cost.bytes_max));
        }
    }
    assert!(dear.is_empty(), "{dear:?}");
}

#[test]
fn no_datagram_is_more_records_and_fields_than_its_octets_could_be() {
    for Case { name, before, datagram: payload } in cases() {
        assert!(payload.len() <= LARGEST, "{name}: {}", payload.len());
        let octets: usize = payload.len() + before.iter().map(Vec::len).sum::<usize>();
        let (_, seen) = decode(&[before, vec![payload]].concat());
        println!("{name}: {} records, {} fields", seen.records, seen.fields);
        assert!(seen.records <= octets && seen.fields <= 4 * octets, "{name}: {} of {octets}", seen.fields);
    }
}
