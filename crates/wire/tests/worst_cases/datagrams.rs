//! The most expensive datagrams: each as large as UDP allows, and built to cost as much as possible to decode, display
//! or store. The test counts the cost, the bench measures time.

use wire::{FieldSpecifier, VARIABLE_LENGTH};

/// The largest payload of a UDP datagram over IPv4.
pub const LARGEST: usize = 65_507;

/// A datagram, and the earlier datagrams of its exporter.
pub struct Case {
    pub name: &'static str,
    pub before: Vec<Vec<u8>>,
    pub datagram: Vec<u8>,
}

/// A chain of sets, without the header of the message.
#[derive(Clone, Default)]
pub struct Sets(Vec<u8>);

/// Octets of the longest header.
const HEADER: usize = 20;

impl Sets {
    /// Adds a set with this content as it is.
    pub fn set(mut self, id: u16, content: &[u8]) -> Self {
        self.0.extend(id.to_be_bytes());
        self.0.extend(u16::try_from(4 + content.len()).expect("a set fits a datagram").to_be_bytes());
        self.0.extend(content);
        self
    }

    /// Adds sets of this kind until the datagram is full.
    pub fn repeat(mut self, mut set: impl FnMut(u16) -> (u16, Vec<u8>)) -> Self {
        for number in 0.. {
            let (id, content) = set(number);
            if self.0.len() + 4 + content.len() + HEADER > LARGEST {
                break;
            }
            self = self.set(id, &content);
        }
        self
    }

    pub fn ipfix(self) -> Vec<u8> {
        let length = u16::try_from(16 + self.0.len()).expect("a message fits a datagram");
        let header = [&10_u16.to_be_bytes()[..], &length.to_be_bytes(), &[0; 12]].concat();
        [header, self.0].concat()
    }

    pub fn netflow_v9(self) -> Vec<u8> {
        [&[0, 9, 0xff, 0xff][..], &[0; 16], &self.0].concat()
    }
}

/// A template as in a set of IPFIX, or, for data templates, of NetFlow v9.
pub fn template(id: u16, fields: &[FieldSpecifier]) -> Vec<u8> {
    let count = u16::try_from(fields.len()).expect("a template fits a datagram");
    [id.to_be_bytes(), count.to_be_bytes()].concat().into_iter().chain(specifiers(fields)).collect()
}

/// An options template of IPFIX with one scope field.
pub fn options_template(id: u16, fields: &[FieldSpecifier]) -> Vec<u8> {
    let count = u16::try_from(fields.len()).expect("a template fits a datagram");
    [id, count, 1].map(u16::to_be_bytes).concat().into_iter().chain(specifiers(fields)).collect()
}

fn specifiers(fields: &[FieldSpecifier]) -> impl Iterator<Item = u8> + '_ {
    fields.iter().flat_map(|field| [field.element.id, field.length].map(u16::to_be_bytes).concat())
}

pub fn iana(id: u16, length: u16) -> FieldSpecifier {
    FieldSpecifier::iana(id, length)
}

/// As many octets as a set has room for in a datagram of its own.
const CONTENT: usize = LARGEST - HEADER - 4;

/// As many field specifiers as a template has room for.
const FIELDS: usize = (CONTENT - 4) / 4;

/// Words of an sFlow datagram.
fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_be_bytes).collect()
}

/// An sFlow v5 datagram full of these samples.
fn sflow_samples(sample: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let mut datagram = words([5, 1, 0xc000_0201, 0, 1, 1, u32::MAX]);
    for number in 0.. {
        let sample = sample(number);
        if datagram.len() + sample.len() > LARGEST {
            break;
        }
        datagram.extend(sample);
    }
    datagram
}

/// A flow sample with one record.
fn flow_sample(number: u32, format: u32, record: &[u8]) -> Vec<u8> {
    let length = u32::try_from(record.len()).expect("a record fits a datagram");
    let head = [number, number & 0x00ff_ffff, 1000, 1000, 0, 1, 2, 1, format, length];
    let mut sample = words([1, 4 * 10 + length]);
    sample.extend(words(head));
    sample.extend(record);
    sample
}

/// A raw header record.
fn raw_header(protocol: u32, header: &[u8]) -> Vec<u8> {
    let mut record = words([protocol, 1500, 4, u32::try_from(header.len()).expect("a header fits a datagram")]);
    record.extend(header);
    record.resize(record.len().next_multiple_of(4), 0);
    record
}

/// An extended_gateway of version 5 with an AS path of this many segments, each of which announces this many AS
/// numbers, followed by as many octets as fit.
pub fn gateway(segments: u32, length: u32, octets: usize) -> Vec<u8> {
    let mut record = words([1, 0xc000_0209, 64496, 64497, 64498, segments]);
    while record.len() + 8 <= octets {
        record.extend(words([2, length]));
    }
    record
}

/// A basicList of basicLists, nested to this depth.
pub fn nested_lists(depth: usize) -> Vec<u8> {
    let mut list = vec![3, 0, 4, 0, 1, 6];
    for _ in 0..depth {
        let length = u16::try_from(list.len()).expect("a list fits a datagram");
        let head = [3, 1, 35, 0xff, 0xff, 255];
        list = [&head[..], &length.to_be_bytes(), &list].concat();
    }
    list
}

fn variable(octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len()).expect("a field fits a datagram");
    [&[255][..], &length.to_be_bytes(), octets].concat()
}

/// All cases.
pub fn cases() -> Vec<Case> {
    [announcements(), data(), lists(), options(), sflow(), fixed()].into_iter().flatten().collect()
}

fn alone(name: &'static str, datagram: Vec<u8>) -> Case {
    Case { name, before: Vec::new(), datagram }
}

/// Datagrams whose content has to be stored.
fn announcements() -> Vec<Case> {
    let many = |first: u16| Sets::default().repeat(|number| (2, template(first + number, &[iana(1, 4)])));
    let in_turns = Sets::default().repeat(|number| (2, template(256, &[iana(1, 4 + number % 2), iana(2, 4)])));
    let mut zeros = vec![0; CONTENT];
    zeros[CONTENT - 1] = 1;
    let headers_of_templates = [1, 0, 0, 0].repeat(CONTENT / 4);
    vec![
        alone("as many templates as fit", many(256).ipfix()),
        Case { name: "templates beyond the limit", before: vec![many(256).ipfix()], datagram: many(10_000).ipfix() },
        alone("a template redefined again and again", in_turns.clone().ipfix()),
        alone("a template redefined again and again, v9", {
            Sets::default().repeat(|n| (0, template(256, &[iana(1, 4 + n % 2), iana(2, 4)]))).netflow_v9()
        }),
        alone("a template of fields of one octet", one_template(iana(1, 1)).ipfix()),
        alone("a template of fields of variable length", one_template(iana(82, VARIABLE_LENGTH)).ipfix()),
        alone("a template of fields of no length", one_template(iana(82, 0)).ipfix()),
        alone("templates of no field, after zeros", Sets::default().set(2, &zeros).ipfix()),
        alone("templates of no field, after zeros, v9", Sets::default().set(0, &zeros).netflow_v9()),
        alone("withdrawals", Sets::default().set(2, &headers_of_templates).ipfix()),
        alone("data sets that wait, each for a template of its own", {
            Sets::default().repeat(|number| (256 + number, vec![1])).ipfix()
        }),
        alone("data sets that wait for one template", Sets::default().repeat(|_| (256, vec![1])).ipfix()),
        alone("empty sets", Sets::default().repeat(|_| (256, Vec::new())).ipfix()),
    ]
}

fn one_template(field: FieldSpecifier) -> Sets {
    Sets::default().set(2, &template(256, &vec![field; FIELDS]))
}

/// Datagrams that are expensive to decode.
fn data() -> Vec<Case> {
    let after = |name, fields: &[FieldSpecifier], record: &[u8]| {
        let before = vec![Sets::default().set(2, &template(256, fields)).ipfix()];
        let records = record.repeat(CONTENT / record.len());
        Case { name, before, datagram: Sets::default().set(256, &records).ipfix() }
    };
    let mut mostly_nothing = vec![iana(82, 0); FIELDS - 1];
    mostly_nothing.push(iana(4, 1));
    let variable_fields = vec![iana(82, VARIABLE_LENGTH); FIELDS];
    let everything: Vec<_> = (1..=500).map(|id| iana(id, 1)).collect();
    vec![
        after("records of one octet", &[iana(1, 1)], &[1]),
        after("records of one octet with a rate", &[iana(34, 1)], &[1]),
        after("records of an empty field", &[iana(82, VARIABLE_LENGTH)], &[0]),
        after("records of an unknown field", &[iana(32_767, 1)], &[1]),
        after("records of one octet in sixteen thousand fields", &mostly_nothing, &[1]),
        after("records of sixteen thousand empty fields", &variable_fields, &vec![0; FIELDS]),
        after("fields of one octet, each another", &everything, &[1; 500]),
        after("heads of packets of one octet", &[iana(315, VARIABLE_LENGTH)], &[1, 0]),
        after("heads of packets", &[iana(315, VARIABLE_LENGTH)], &variable(&deep_frame())),
        after("samplers by name", &[iana(1, 1), iana(48, 1)], &[1, 9]),
        Case {
            name: "a template for which a megabyte is pending",
            before: (0..15).map(|_| Sets::default().set(256, &[1; CONTENT]).ipfix()).collect(),
            datagram: Sets::default().set(2, &template(256, &[iana(1, 1)])).ipfix(),
        },
    ]
}

/// Ethernet with the maximum of tags and labels, in a tunnel of the same.
fn deep_frame() -> Vec<u8> {
    let mut ethernet = vec![2; 12];
    ethernet.extend([0x81, 0, 0, 1].repeat(8));
    ethernet.extend([8, 0, 0x45, 0, 1, 0, 0, 0, 0, 0, 64, 47, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    let mut frame = ethernet.clone();
    frame.extend([0, 0, 0x65, 0x58]);
    frame.extend(ethernet);
    frame
}

/// Lists in a field.
fn lists() -> Vec<Case> {
    let list = |name, id, content: &[u8], templates: &[Vec<u8>]| {
        let announced = templates.iter().fold(Sets::default(), |sets, template| sets.set(2, template));
        let before = vec![announced.set(2, &template(256, &[iana(id, VARIABLE_LENGTH)])).ipfix()];
        Case { name, before, datagram: Sets::default().set(256, &variable(content)).ipfix() }
    };
    let room = CONTENT - 3;
    let one_octet = template(257, &[iana(4, 1)]);
    let empty_group = [1, 1, 0, 4];
    let nested = nested_lists(room / 8 - 1);
    let part = nested_lists(3);
    let field = variable(&part);
    let mut many_nested = vec![3, 1, 35, 0xff, 0xff];
    many_nested.extend(field.repeat((room - 5) / field.len()));
    vec![
        list("a list of single octets", 291, &[&[3, 0, 4, 0, 1][..], &vec![6; room - 5]].concat(), &[]),
        list("a list of empty fields", 291, &[&[3, 0, 82, 0xff, 0xff][..], &vec![0; room - 5]].concat(), &[]),
        list("lists in lists in lists", 291, &nested, &[]),
        list("many lists in lists", 291, &many_nested, &[]),
        list(
            "a list of records of one octet",
            292,
            &[&[3, 1, 1][..], &vec![6; room - 3]].concat(),
            std::slice::from_ref(&one_octet),
        ),
        list("a list of empty groups", 293, &[&[3][..], &empty_group.repeat((room - 1) / 4)].concat(), &[one_octet]),
    ]
}

/// Options data of exporters.
fn options() -> Vec<Case> {
    let samplers = [iana(149, 1), iana(302, 2), iana(34, 1)];
    let record = |sampler: u16, rate: u8| [&[0][..], &sampler.to_be_bytes(), &[rate]].concat();
    let announce = Sets::default().set(3, &options_template(256, &samplers));
    let all: Vec<u8> = (0..4096).flat_map(|sampler| record(sampler, 1)).collect();
    let in_turns: Vec<u8> = (0..CONTENT / 8).flat_map(|_| [record(7, 2), record(7, 3)]).flatten().collect();
    let types = [iana(346, 4), iana(303, 2), iana(339, 1), iana(341, VARIABLE_LENGTH)];
    let described: Vec<u8> = (0..CONTENT / 9)
        .flat_map(|number| {
            let id = u16::try_from(number % 32_768).expect("15 bits");
            [&[0, 0, 0xff, 0xff][..], &id.to_be_bytes(), &[1, 1, b'x']].concat()
        })
        .collect();
    vec![
        Case {
            name: "the rate of a sampler among four thousand, changed again and again",
            before: vec![announce.clone().set(256, &all).ipfix()],
            datagram: Sets::default().set(256, &in_turns).ipfix(),
        },
        alone("as many samplers as fit", announce.set(256, &all).ipfix()),
        Case {
            name: "as many types of elements as fit",
            before: vec![Sets::default().set(3, &options_template(258, &types)).ipfix()],
            datagram: Sets::default().set(258, &described).ipfix(),
        },
    ]
}

fn sflow() -> Vec<Case> {
    let big = LARGEST - 28 - 8 - 40;
    vec![
        alone("empty samples", sflow_samples(|_| words([1, 0]))),
        alone("unknown samples", sflow_samples(|_| words([77, 0]))),
        alone("samples without record, each of another source", {
            sflow_samples(|number| words([1, 32, number, number, 1, 1, 0, 1, 2, 0]))
        }),
        alone("heads of packets that are cut to nothing", sflow_samples(|n| flow_sample(n, 1, &raw_header(1, &[])))),
        alone("deep heads of packets", sflow_samples(|n| flow_sample(n, 1, &raw_header(1, &deep_frame())))),
        alone("an AS path of many segments", flow_sample_alone(1003, &gateway(u32::MAX, 0, big))),
        alone("an AS path of four billion", flow_sample_alone(1003, &gateway(1, u32::MAX, big))),
        alone("unknown records", {
            let records = words([0x0000_1fff, 0]).repeat((LARGEST - 28 - 40) / 8);
            let length = u32::try_from(32 + records.len()).expect("a sample fits a datagram");
            let mut datagram = words([5, 1, 0xc000_0201, 0, 1, 1, 1, 1, length, 1, 1, 1, 1, 0, 1, 2, u32::MAX]);
            datagram.extend(records);
            datagram
        }),
        alone("version 4, empty samples", {
            let mut datagram = words([4, 1, 0xc000_0201, 1, 1, u32::MAX]);
            let sample = words([1, 1, 1, 1, 1, 0, 1, 2, 1, 1, 1500, 0, 0]);
            datagram.extend(sample.repeat((LARGEST - 24) / sample.len()));
            datagram
        }),
    ]
}

fn flow_sample_alone(format: u32, record: &[u8]) -> Vec<u8> {
    [words([5, 1, 0xc000_0201, 0, 1, 1, 1]), flow_sample(1, format, record)].concat()
}

/// Versions without templates, with a count that exceeds the content.
fn fixed() -> Vec<Case> {
    let full = |version: u8| {
        let mut datagram = vec![0, version, 0xff, 0xff];
        datagram.resize(LARGEST, 1);
        datagram
    };
    let mut v8 = full(8);
    v8[22] = 1;
    vec![
        alone("NetFlow v1", full(1)),
        alone("NetFlow v5", full(5)),
        alone("NetFlow v7", full(7)),
        alone("NetFlow v8", v8),
    ]
}
