//! Writes MaxMind databases (<https://maxmind.github.io/MaxMind-DB/>): as publishers have them, and damaged ones.

use std::collections::HashMap;
use std::net::IpAddr;

/// A database in the making.
#[derive(Clone, Debug)]
pub struct Mmdb {
    nodes: Vec<[Child; 2]>,
    data: Vec<u8>,
    places: HashMap<Vec<u8>, u32>,
    ipv6: bool,
    record_bits: u16,
    database: &'static str,
}

/// What a node of the search tree leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    /// No record.
    Nothing,
    /// Another node.
    Node(u32),
    /// A record, by its place in the data.
    Record(u32),
}

/// A value of a record.
#[derive(Clone, Debug)]
pub enum Value<'t> {
    /// A text, up to 65,820 octets.
    Text(&'t str),
    /// A number of two octets.
    Short(u16),
    /// A number of four octets.
    Number(u32),
    /// A number of eight octets.
    Long(u64),
    /// Up to 28 values by name.
    Map(Vec<(&'t str, Value<'t>)>),
    /// Up to 28 values.
    Array(Vec<Value<'t>>),
}

impl Mmdb {
    /// An empty database of this type. Numbers of its search tree have 24, 28 or 32 bits.
    #[must_use]
    pub fn new(database: &'static str, ipv6: bool, record_bits: u16) -> Self {
        let nodes = vec![[Child::Nothing; 2]];
        Self { nodes, data: Vec::new(), places: HashMap::new(), ipv6, record_bits, database }
    }

    /// Sets the record of a network; of networks within each other, the outer one first. An IPv4 network in an IPv6 database
    /// is in ::/96.
    pub fn insert(&mut self, network: IpAddr, length: u32, record: &Value<'_>) {
        let record = Child::Record(self.record(record));
        self.lead(network, length, record);
    }

    /// Lets a network lead to something.
    pub fn lead(&mut self, network: IpAddr, length: u32, to: Child) {
        let (bits, length) = self.place(network, length);
        self.set(bits, length, to);
    }

    /// Lets an IPv6 network lead to the IPv4 addresses, which must have one already.
    pub fn alias(&mut self, network: IpAddr, length: u32) {
        let mut node = 0;
        for _ in 0..96 {
            let Child::Node(next) = self.nodes[node as usize][0] else { panic!("there are no IPv4 addresses") };
            node = next;
        }
        self.lead(network, length, Child::Node(node));
    }

    /// Appends a record to the data, or finds it there.
    pub fn record(&mut self, record: &Value<'_>) -> u32 {
        let mut octets = Vec::new();
        encode(record, &mut octets);
        let next = u32::try_from(self.data.len()).expect("a small database");
        if let Some(place) = self.places.get(&octets) {
            return *place;
        }
        self.data.extend_from_slice(&octets);
        self.places.insert(octets, next);
        next
    }

    /// Appends octets to the data as they are.
    pub fn raw_data(&mut self, octets: &[u8]) -> u32 {
        let place = u32::try_from(self.data.len()).expect("a small database");
        self.data.extend_from_slice(octets);
        place
    }

    /// The nodes of the search tree, for what no writer would do.
    pub fn nodes(&mut self) -> &mut Vec<[Child; 2]> {
        &mut self.nodes
    }

    /// The octets of the file.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let node_count = u32::try_from(self.nodes.len()).expect("a small database");
        let mut file = Vec::new();
        for [zero, one] in &self.nodes {
            let number = |child: &Child| match *child {
                Child::Nothing => node_count,
                Child::Node(node) => node,
                Child::Record(place) => node_count + 16 + place,
            };
            let (zero, one) = (number(zero), number(one));
            match self.record_bits {
                24 => [zero, one].iter().for_each(|number| file.extend_from_slice(&number.to_be_bytes()[1..])),
                28 => {
                    file.extend_from_slice(&zero.to_be_bytes()[1..]);
                    file.push((zero >> 20 & 0xf0 | one >> 24) as u8);
                    file.extend_from_slice(&one.to_be_bytes()[1..]);
                }
                _ => [zero, one].iter().for_each(|number| file.extend_from_slice(&number.to_be_bytes())),
            }
        }
        file.extend([0; 16]);
        file.extend_from_slice(&self.data);
        file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        let metadata = Value::Map(vec![
            ("binary_format_major_version", Value::Short(2)),
            ("binary_format_minor_version", Value::Short(0)),
            ("build_epoch", Value::Long(1_700_000_000)),
            ("database_type", Value::Text(self.database)),
            ("description", Value::Map(vec![("en", Value::Text("made by a test"))])),
            ("ip_version", Value::Short(if self.ipv6 { 6 } else { 4 })),
            ("languages", Value::Array(vec![Value::Text("en")])),
            ("node_count", Value::Number(node_count)),
            ("record_size", Value::Short(self.record_bits)),
        ]);
        encode(&metadata, &mut file);
        file
    }

    /// A network as the upper bits of a number, and how many there are.
    fn place(&self, network: IpAddr, length: u32) -> (u128, u32) {
        match network {
            IpAddr::V4(address) if self.ipv6 => (address.to_bits().into(), 96 + length),
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, length),
            IpAddr::V6(address) => (address.to_bits(), length),
        }
    }

    fn set(&mut self, bits: u128, length: u32, child: Child) {
        let bit = |depth: u32| (bits >> (127 - depth) & 1) as usize;
        let mut node = 0;
        for depth in 0..length.saturating_sub(1) {
            let next = self.nodes[node][bit(depth)];
            node = match next {
                Child::Node(next) => next as usize,
                // What was there is true of both halves.
                leaf => {
                    let new = self.nodes.len();
                    self.nodes.push([leaf; 2]);
                    self.nodes[node][bit(depth)] = Child::Node(u32::try_from(new).expect("a small database"));
                    new
                }
            };
        }
        match length {
            0 => self.nodes[0] = [child; 2],
            _ => self.nodes[node][bit(length - 1)] = child,
        }
    }
}

fn encode(value: &Value<'_>, octets: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            match text.len() {
                length @ ..29 => octets.push(2 << 5 | length as u8),
                length @ 29..285 => octets.extend([2 << 5 | 29, (length - 29) as u8]),
                length => {
                    octets.push(2 << 5 | 30);
                    octets.extend(u16::try_from(length - 285).expect("a short text").to_be_bytes());
                }
            }
            octets.extend_from_slice(text.as_bytes());
        }
        Value::Short(number) => {
            octets.push(5 << 5 | 2);
            octets.extend(number.to_be_bytes());
        }
        Value::Number(number) => {
            octets.push(6 << 5 | 4);
            octets.extend(number.to_be_bytes());
        }
        Value::Long(number) => {
            octets.extend([8, 2]);
            octets.extend(number.to_be_bytes());
        }
        Value::Map(values) => {
            assert!(values.len() < 29, "a small map");
            octets.push(7 << 5 | values.len() as u8);
            for (name, value) in values {
                encode(&Value::Text(name), octets);
                encode(value, octets);
            }
        }
        Value::Array(values) => {
            assert!(values.len() < 29, "a small array");
            octets.extend([values.len() as u8, 4]);
            values.iter().for_each(|value| encode(value, octets));
        }
    }
}
