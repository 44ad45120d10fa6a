//! The words in which the table of columns is written.

use crate::table::{COLUMNS, Id};

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its number: the index in the table.
    pub id: Id,
    /// The word that operators type, the key in JSON, and the name in files.
    pub name: &'static str,
    /// What it means. 0, or 0.0.0.0, is the value of what a record does not carry.
    pub meaning: &'static str,
    /// Its values.
    pub kind: Kind,
    /// The unit of its values.
    pub unit: Unit,
    /// Where it is read from, the most preferred place first.
    pub sources: &'static [Source],
    /// The name in ClickHouse: Akvorado's, if it has the column.
    pub clickhouse: &'static str,
    /// The number of the field in goflow2's protobuf message.
    pub protobuf: Option<u32>,
    /// Further words for it in filters, as tcpdump and nfdump have them.
    pub words: &'static [&'static str],
}

impl Column {
    /// The column with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        COLUMNS.iter().find(|column| column.name == name)
    }
}

/// What values a column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A number of 8 bits.
    U8,
    /// A number of 16 bits.
    U16,
    /// A number of 32 bits.
    U32,
    /// A number of 64 bits.
    U64,
    /// Milliseconds since 1970, UTC.
    Time,
    /// A MAC address as a number of 48 bits, the first octet in the highest bits.
    Mac,
    /// The two letters of a country, the first in the higher bits of a number of 16 bits; 0 for none. A text in files.
    Country,
    /// An IPv4 or IPv6 address.
    Address,
    /// An AS path as a text, such as `64500 64501 {64502,64503}`; empty for none.
    AsPath,
}

impl Kind {
    /// The largest number that it has; 0 for addresses and paths.
    #[must_use]
    pub const fn largest(self) -> u64 {
        match self {
            Self::U8 => u8::MAX as u64,
            Self::U16 | Self::Country => u16::MAX as u64,
            Self::U32 => u32::MAX as u64,
            Self::U64 => u64::MAX,
            Self::Time => i64::MAX as u64,
            Self::Mac => (1 << 48) - 1,
            Self::Address | Self::AsPath => 0,
        }
    }

    /// The columns of a Parquet file that it becomes.
    #[must_use]
    pub const fn leaves(self) -> &'static [Leaf] {
        const U8: &[Leaf] = &[Leaf::required(Physical::Int32, Logical::Unsigned(8))];
        const U16: &[Leaf] = &[Leaf::required(Physical::Int32, Logical::Unsigned(16))];
        const U32: &[Leaf] = &[Leaf::required(Physical::Int32, Logical::Unsigned(32))];
        const U64: &[Leaf] = &[Leaf::required(Physical::Int64, Logical::Unsigned(64))];
        const TEXT: &[Leaf] =
            &[Leaf { encoding: Encoding::Dictionary, ..Leaf::required(Physical::ByteArray, Logical::Text) }];
        const TIME: &[Leaf] = &[Leaf::required(Physical::Int64, Logical::Milliseconds)];
        const ADDRESS: &[Leaf] = &[
            Leaf { suffix: "_v4", ..Leaf::required(Physical::Int32, Logical::Unsigned(32)) },
            Leaf { suffix: "_v6", optional: true, ..Leaf::required(Physical::Fixed16, Logical::None) },
        ];
        match self {
            Self::U8 => U8,
            Self::U16 => U16,
            Self::U32 => U32,
            Self::U64 | Self::Mac => U64,
            Self::Time => TIME,
            Self::Address => ADDRESS,
            Self::Country | Self::AsPath => TEXT,
        }
    }

    /// The type in ClickHouse.
    #[must_use]
    pub const fn clickhouse(self) -> &'static str {
        match self {
            Self::U8 => "UInt8",
            Self::U16 => "UInt16",
            Self::U32 => "UInt32",
            Self::U64 | Self::Mac => "UInt64",
            Self::Time => "DateTime64(3, 'UTC')",
            Self::Address => "IPv6",
            Self::Country | Self::AsPath => "LowCardinality(String)",
        }
    }
}

/// A column of a Parquet file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// What its name has after that of the column.
    pub suffix: &'static str,
    /// How its values are stored.
    pub physical: Physical,
    /// What they mean.
    pub logical: Logical,
    /// Whether there may be none.
    pub optional: bool,
    /// How they are best encoded.
    pub encoding: Encoding,
}

impl Leaf {
    const fn required(physical: Physical, logical: Logical) -> Self {
        Self { suffix: "", physical, logical, optional: false, encoding: Encoding::ByteStreamSplit }
    }
}

/// Parquet's physical types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Physical {
    /// INT32.
    Int32,
    /// INT64.
    Int64,
    /// FIXED_LEN_BYTE_ARRAY of 16 octets.
    Fixed16,
    /// BYTE_ARRAY.
    ByteArray,
}

/// Parquet's logical types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Logical {
    /// Octets.
    None,
    /// An unsigned integer of this many bits.
    Unsigned(u8),
    /// TIMESTAMP in milliseconds, adjusted to UTC.
    Milliseconds,
    /// STRING.
    Text,
}

/// Parquet's encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// BYTE_STREAM_SPLIT, without a dictionary: smaller than others after compression, and faster to write.
    ByteStreamSplit,
    /// RLE_DICTIONARY: each text once for a group of rows, and its number for each row.
    Dictionary,
}

/// The unit of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// No quantity.
    None,
    /// Octets.
    Octets,
    /// Packets.
    Packets,
    /// Flows.
    Flows,
    /// Milliseconds since 1970, UTC.
    Milliseconds,
    /// Bits of a prefix.
    Bits,
    /// Hops.
    Hops,
    /// Units of eight octets.
    EightOctets,
}

impl Unit {
    /// As documents have it; empty for none.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Octets => "octets",
            Self::Packets => "packets",
            Self::Flows => "flows",
            Self::Milliseconds => "milliseconds since 1970, UTC",
            Self::Bits => "bits",
            Self::Hops => "hops",
            Self::EightOctets => "8 octets",
        }
    }
}

/// A place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A field of the header, or something that is known of the datagram.
    Datagram(&'static str),
    /// An information element, which is also the name for the fields of NetFlow v1 to v8: enterprise and number.
    Element(u32, u16),
    /// A field without an information element, by the name that `netflow decode` shows.
    Field(&'static str),
}
