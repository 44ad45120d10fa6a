//! XDR (RFC 4506) as far as sFlow needs it, packets to sample, and the result of decoding a datagram.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use flow::sender_settings::Tunnels;
use flow::{Exporter, FlowRecord, Timestamp};
use wire::record::Fields;
use wire::sflow;
use wire::{Datagram, Decoded, Field, FieldName, Message, RecordKind, SequenceNumber, Value};

/// Words in network byte order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Xdr(pub(crate) Vec<u8>);

impl Xdr {
    pub(crate) fn words(mut self, words: &[u32]) -> Self {
        self.0.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        self
    }

    pub(crate) fn hyper(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Octets without a length.
    pub(crate) fn octets(mut self, octets: &[u8]) -> Self {
        self.0.extend(octets);
        self
    }

    /// Opaque data or a string of variable length, padded to a whole word.
    pub(crate) fn opaque(self, octets: &[u8]) -> Self {
        let fill = [0; 3];
        let length = u32::try_from(octets.len()).unwrap();
        self.words(&[length]).octets(octets).octets(&fill[..octets.len().next_multiple_of(4) - octets.len()])
    }

    pub(crate) fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.words(&[1]).octets(&address.octets()),
            IpAddr::V6(address) => self.words(&[2]).octets(&address.octets()),
        }
    }

    /// A sample or record of version 5: format, length, content.
    pub(crate) fn record(self, format: u32, content: &Self) -> Self {
        let length = u32::try_from(content.0.len()).unwrap();
        self.words(&[format, length]).octets(&content.0)
    }
}

pub(crate) const AGENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
pub(crate) const SOURCE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 1, 2, 3), 40_000);
pub(crate) const DESTINATION: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 53);

/// A datagram of version 5 with this many samples.
pub(crate) fn version_5(samples: u32, content: &Xdr) -> Vec<u8> {
    Xdr::default().words(&[5]).address(AGENT).words(&[3, 77, 60_000, samples]).octets(&content.0).0
}

/// A flow sample of version 5 with this many records: source of kind 2 with index 5, one packet of 1000, from interface
/// 7 to several.
pub(crate) fn flow_sample(count: u32, records: &Xdr) -> Xdr {
    Xdr::default().words(&[9, 0x0200_0005, 1000, 9000, 1, 7, 0x8000_0003, count]).octets(&records.0)
}

/// The headers of an Ethernet frame with IPv4 and UDP from `SOURCE` to `DESTINATION`.
pub(crate) fn frame() -> Vec<u8> {
    let ip = [0x45, 0, 0, 100, 0, 7, 0, 0, 64, 17, 0, 0];
    let ports = [SOURCE.port(), DESTINATION.port(), 80, 0].map(u16::to_be_bytes);
    let macs = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
    [&macs[..], &ip, &SOURCE.ip().octets(), &DESTINATION.ip().octets(), ports.as_flattened()].concat()
}

/// A record that was visited.
#[derive(Clone, Debug)]
pub(crate) struct Visited {
    pub(crate) message: Message,
    pub(crate) kind: RecordKind,
    pub(crate) format: u32,
    pub(crate) flow: Option<FlowRecord>,
    /// Names and displayed values.
    pub(crate) fields: Vec<(String, String)>,
}

impl Visited {
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map_or_else(|| panic!("no {name} in {:?}", self.fields), |(_, value)| value)
    }
}

/// The result of decoding a datagram.
#[derive(Clone, Debug)]
pub(crate) struct Decoding {
    pub(crate) records: Vec<Visited>,
    pub(crate) numbers: Vec<SequenceNumber>,
    pub(crate) report: Decoded,
}

pub(crate) fn decode(payload: &[u8]) -> Decoding {
    let exporter = Exporter::udp(IpAddr::V4(Ipv4Addr::LOCALHOST), 6343);
    let datagram = Datagram { exporter, received: Timestamp::from_seconds(1_700_000_000), payload };
    let (mut records, mut numbers, mut report) = (Vec::new(), Vec::new(), Decoded::default());
    sflow::decode(
        &datagram,
        Tunnels::Outer,
        &mut |record| {
            records.push(Visited {
                message: *record.message,
                kind: record.kind,
                format: record.format.unwrap(),
                flow: record.flow.copied(),
                fields: shown(record.content),
            });
        },
        &mut |number| numbers.push(*number),
        &mut report,
    );
    Decoding { records, numbers, report }
}

/// Names and values of fields; a list shows as `[name=value,... name=value,...]`.
pub(crate) fn shown(fields: &dyn Fields) -> Vec<(String, String)> {
    let mut all = Vec::new();
    fields.visit(&mut |field: &Field<'_>| {
        let value = match field.value {
            Value::List(list) => {
                let mut items = Vec::new();
                list.visit(&mut |item| {
                    let members = shown(item).into_iter().map(|(name, value)| format!("{name}={value}"));
                    items.push(members.collect::<Vec<_>>().join(","));
                });
                format!("[{}]", items.join(" "))
            }
            value => format!("{value:?}"),
        };
        assert!(!matches!(field.name, FieldName::Element(..)));
        all.push((field.name.to_string(), value));
    });
    all
}
