//! The datagrams that the bodies start from: made here, and those of the captures (`testing::captures`) if there are
//! any.

use std::net::SocketAddrV4;
use std::path::PathBuf;

use capture::Capture;
use flow::{Exporter, Timestamp};
use wire::encode::{self, Ipfix, NetflowV9, TemplateSpec};
use wire::sflow::encode as sflow;
use wire::{
    Datagram, ElementId, FieldName, FieldSpecifier, Session, SessionLimits, VARIABLE_LENGTH, Value, ipfix, netflow_v1,
    netflow_v5, netflow_v6, netflow_v7, netflow_v8, netflow_v9,
};

/// Datagrams of one exporter, in the order of arrival.
pub type Conversation = Vec<Vec<u8>>;

/// The limit of datagrams taken from a capture: announcements come early, and the rest is similar.
const TAKEN_OF_A_CAPTURE: usize = 40;

/// The most datagrams in one conversation.
const CONVERSATION: usize = 4;

/// All seeds.
pub fn conversations() -> Vec<Conversation> {
    let mut conversations = made_here();
    for path in captures() {
        let mut capture = Capture::open(&path).expect("a capture of the corpus can be read");
        let mut datagrams = Vec::new();
        while datagrams.len() < TAKEN_OF_A_CAPTURE
            && let Ok(Some(datagram)) = capture.next()
        {
            datagrams.push(datagram.payload.to_vec());
        }
        conversations.extend(datagrams.chunks(CONVERSATION).map(<[_]>::to_vec));
    }
    conversations
}

/// The third-party capture files, in a fixed order.
fn captures() -> Vec<PathBuf> {
    let Some(sources) = testing::captures().and_then(|folder| std::fs::read_dir(folder).ok()) else {
        return Vec::new();
    };
    let folders = sources.filter_map(|source| std::fs::read_dir(source.ok()?.path()).ok());
    let files = folders.flatten().filter_map(|file| Some(file.ok()?.path()));
    let mut captures: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "pcap")).collect();
    captures.sort();
    captures
}

/// A conversation for each protocol.
pub fn made_here() -> Vec<Conversation> {
    let v8 = (1..=14).map(|scheme| {
        let header = netflow_v8::Header { aggregation: scheme, ..Default::default() };
        encode::netflow_v8(&header, &vec![netflow_v8::record(scheme, u64::from); 3])
    });
    vec![
        vec![
            encode::netflow_v1(&Default::default(), &[netflow_v1::Record::default(); 3]),
            encode::netflow_v5(&Default::default(), &[netflow_v5::Record::default(); 3]),
            encode::netflow_v6(&Default::default(), &[netflow_v6::Record::default(); 3]),
            encode::netflow_v7(&Default::default(), &[netflow_v7::Record::default(); 3]),
        ],
        v8.collect(),
        netflow_v9(),
        ipfix(),
        sflow(),
    ]
}

fn flow_template(id: u16) -> TemplateSpec {
    let fields = [(8, 4), (12, 4), (27, 16), (7, 2), (11, 2), (4, 1), (1, 4), (2, 3), (48, 1), (82, VARIABLE_LENGTH)];
    TemplateSpec::data(id, fields.map(|(id, length)| FieldSpecifier::iana(id, length)))
}

/// A record with ascending octets, so that no two fields are equal.
fn record(template: &TemplateSpec) -> Vec<u8> {
    let fields: Vec<Vec<u8>> = template
        .fields
        .iter()
        .map(|field| (1..=field.fixed_length().unwrap_or(5)).map(|n| n as u8).collect())
        .collect();
    template.record(&fields.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn netflow_v9() -> Conversation {
    let data = flow_template(256);
    let samplers = TemplateSpec::options(257, 1, [(1, 4), (48, 1), (50, 4)].map(|(id, n)| FieldSpecifier::iana(id, n)));
    let packet = || NetflowV9::new(netflow_v9::Header::default());
    let records = [record(&data), record(&data)];
    vec![
        packet().data(&data, &records).finish(),
        packet().template(&data).template(&samplers).finish(),
        packet().data(&samplers, &[record(&samplers)]).data(&data, &records).finish(),
    ]
}

fn ipfix() -> Conversation {
    let data = flow_template(256);
    let enterprise = |enterprise, id, length| FieldSpecifier { element: ElementId { enterprise, id }, length };
    let lists = TemplateSpec::data(
        257,
        [
            FieldSpecifier::iana(291, VARIABLE_LENGTH),
            FieldSpecifier::iana(292, VARIABLE_LENGTH),
            FieldSpecifier::iana(293, VARIABLE_LENGTH),
            FieldSpecifier::iana(315, VARIABLE_LENGTH),
            enterprise(29305, 1, 4),
            enterprise(4_294_967_295, 7, 2),
        ],
    );
    let types = TemplateSpec::options(
        258,
        2,
        [(346, 4), (303, 2), (339, 1), (344, 1), (341, VARIABLE_LENGTH)].map(|(id, n)| FieldSpecifier::iana(id, n)),
    );
    let part = TemplateSpec::data(259, [FieldSpecifier::iana(4, 1), FieldSpecifier::iana(7, 2)]);
    let basic = [3, 0, 4, 0, 1, 6, 17];
    let records = [4, 1, 3, 6, 0, 80, 17, 0, 53];
    let groups = [3, 1, 3, 0, 7, 6, 1, 187];
    let message = || Ipfix::new(ipfix::Header::default());
    vec![
        message().template(&data).template(&lists).template(&types).template(&part).finish(),
        message()
            .data(&data, &[record(&data)])
            .data(&lists, &[lists.record(&[&basic, &records, &groups, &frame(), &[0, 0, 0, 9], &[1, 2]])])
            .data(&types, &[types.record(&[&[255; 4], &[0, 7], &[2], &[0], b"ofAStranger"])])
            .finish(),
    ]
}

/// The headers of a TCP packet on Ethernet.
fn frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1]);
    frame.extend([1, 187, 200, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0, 0, 0, 0, 0, 0]);
    frame
}

/// Version 5 as an agent sends it; versions 4 and 2 with a raw header, an AS path and counters of an interface.
fn sflow() -> Conversation {
    let header = sflow::DatagramHeader { agent: [192, 0, 2, 9].into(), sub_agent: 1, sequence: 2, uptime: 3 };
    let sample = sflow::FlowSample {
        sequence: 1,
        sampling_rate: 1000,
        data_source: 1,
        input: 1,
        output: 2,
        source: SocketAddrV4::new([192, 0, 2, 1].into(), 80),
        destination: SocketAddrV4::new([198, 51, 100, 1].into(), 443),
        frame_length: 1518,
    };
    let old = |version: u32| {
        let head = [version, 1, 0xc000_0209, 1, 2, 2].into_iter();
        let flow_sample = [1, 5, 1, 1000, 2000, 0, 1, 2, 1, 1, 1518, 54].into_iter();
        let mut datagram: Vec<u8> = head.chain(flow_sample).flat_map(u32::to_be_bytes).collect();
        datagram.extend(frame());
        datagram.extend([0; 2]);
        let path: &[u32] = if version == 2 { &[64500, 64501] } else { &[2, 64500, 64501] };
        let extended = [1, 3, 64496, 64497, 64498, 2 - u32::from(version == 4)];
        let counters = [2, 1, 5, 30, 1].into_iter().chain(std::iter::repeat_n(7, 23));
        let words = extended.into_iter().chain(path.iter().copied()).chain(counters);
        datagram.extend(words.flat_map(u32::to_be_bytes));
        datagram
    };
    vec![sflow::sflow_v5(&header, &[sample; 3]), old(4), old(2)]
}

/// Packet headers, each preceded by the octet that [`crate::bodies::sampled_packet`] reads as the link type.
pub fn sampled_packets(conversations: &[Conversation]) -> Vec<Vec<u8>> {
    let mut packets = vec![[&[0][..], &frame()].concat(), [&[9][..], &frame()[14..]].concat()];
    for payload in conversations.iter().flatten() {
        let exporter = Exporter::udp([127, 0, 0, 1].into(), 6343);
        let datagram = Datagram { exporter, received: Timestamp::EPOCH, payload };
        Session::new(SessionLimits::default()).decode(&datagram, &mut |record| {
            record.fields(&mut |field| {
                if let (FieldName::Named("sampled_header.header"), Value::Octets(head)) = (field.name, field.value) {
                    packets.push([&[0], head].concat());
                }
            });
        });
    }
    packets.sort();
    packets.dedup();
    packets
}

/// Lists in the format of [`crate::bodies::structured_data`]: two templates, the kind of list, and the list.
pub fn structured_lists() -> Vec<Vec<u8>> {
    const TEMPLATES: [u8; 13] = [2, 2, 5, 2, 3, 3, 3, 3, 2, 0, 0, 1, 0];
    let lists: [(u8, &[u8]); 4] = [
        (0, &[3, 0, 14, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4]),
        (0, &[3, 1, 35, 0xff, 0xff, 7, 3, 0, 4, 0, 1, 6, 17]),
        (1, &[4, 1, 0, 6, 0, 80, 17, 0, 53]),
        (2, &[3, 1, 0, 0, 7, 6, 0, 80, 1, 1, 0, 13, 7, 3, 0, 4, 0, 1, 6, 17, 0]),
    ];
    lists.into_iter().map(|(kind, list)| [&TEMPLATES[..], &[kind], list].concat()).collect()
}
