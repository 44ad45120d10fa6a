//! What a filter compares: columns, and values that are derived from columns.

use std::fmt;

use columns::{Id, Kind, Row};

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A column as it is.
    Column(Id),
    /// Octets of both directions.
    Bytes,
    /// Packets of both directions.
    Packets,
    /// Milliseconds from the first to the last packet.
    Duration,
    /// Bits a second.
    BitsPerSecond,
    /// Packets a second.
    PacketsPerSecond,
    /// Octets a packet.
    BytesPerPacket,
    /// The six bits of differentiated services.
    Dscp,
    /// The two bits of congestion notification.
    Ecn,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Number,
    Milliseconds,
    Time,
    Mac,
    Country,
    Flags,
    Address,
    AsPath,
}

/// The most columns that one is derived from.
pub(crate) const MOST_INPUTS: usize = 4;

impl Quantity {
    /// Those that are derived, with the formula that documents show.
    pub(crate) const DERIVED: [(Self, &'static str); 8] = [
        (Self::Bytes, "octets of both directions: `bytes` + `revbytes`"),
        (Self::Packets, "packets of both directions: `packets` + `revpackets`"),
        (
            Self::Duration,
            "`end` - `start` in milliseconds; 0 if one of them is missing or they are the wrong way round",
        ),
        (Self::BitsPerSecond, "bits a second: (`bytes` + `revbytes`) x 8 / duration; 0 if the duration is 0"),
        (Self::PacketsPerSecond, "packets a second: (`packets` + `revpackets`) / duration; 0 if the duration is 0"),
        (
            Self::BytesPerPacket,
            "octets a packet: (`bytes` + `revbytes`) / (`packets` + `revpackets`); 0 without packets",
        ),
        (Self::Dscp, "the upper six bits of `tos`"),
        (Self::Ecn, "the lower two bits of `tos`"),
    ];

    /// The word that reads as this one.
    pub(crate) fn name(self) -> &'static str {
        match self {
            // In filters, the names of these columns mean both directions.
            Self::Column(Id::Bytes) => "in bytes",
            Self::Column(Id::Packets) => "in packets",
            Self::Column(id) => id.column().name,
            Self::Bytes => "bytes",
            Self::Packets => "packets",
            Self::Duration => "duration",
            Self::BitsPerSecond => "bps",
            Self::PacketsPerSecond => "pps",
            Self::BytesPerPacket => "bpp",
            Self::Dscp => "dscp",
            Self::Ecn => "ecn",
        }
    }

    pub(crate) fn form(self) -> Form {
        match self {
            Self::Column(Id::TcpFlags | Id::RevTcpFlags) => Form::Flags,
            Self::Column(id) => match id.column().kind {
                Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => Form::Number,
                Kind::Time => Form::Time,
                Kind::Mac => Form::Mac,
                Kind::Country => Form::Country,
                Kind::Address => Form::Address,
                Kind::AsPath => Form::AsPath,
            },
            Self::Duration => Form::Milliseconds,
            _ => Form::Number,
        }
    }

    /// The largest value.
    pub(crate) fn largest(self) -> u64 {
        match self {
            Self::Column(id) => id.column().kind.largest(),
            Self::Dscp => 63,
            Self::Ecn => 3,
            _ => u64::MAX,
        }
    }

    /// The columns that it is computed from.
    pub(crate) fn inputs(self) -> &'static [Id] {
        match self {
            Self::Column(id) => std::slice::from_ref(&id.column().id),
            Self::Bytes => &[Id::Bytes, Id::RevBytes],
            Self::Packets => &[Id::Packets, Id::RevPackets],
            Self::Duration => &[Id::Start, Id::End],
            Self::BitsPerSecond => &[Id::Bytes, Id::RevBytes, Id::Start, Id::End],
            Self::PacketsPerSecond => &[Id::Packets, Id::RevPackets, Id::Start, Id::End],
            Self::BytesPerPacket => &[Id::Bytes, Id::RevBytes, Id::Packets, Id::RevPackets],
            Self::Dscp | Self::Ecn => &[Id::Tos],
        }
    }

    /// The value for those of the inputs, in their order.
    #[inline]
    pub(crate) fn compute(self, [a, b, c, d]: [u64; MOST_INPUTS]) -> u64 {
        match self {
            Self::Column(_) => a,
            Self::Bytes | Self::Packets => a.saturating_add(b),
            Self::Duration => duration(a, b),
            Self::BitsPerSecond => scaled(a.saturating_add(b), 8 * 1000, duration(c, d)),
            Self::PacketsPerSecond => scaled(a.saturating_add(b), 1000, duration(c, d)),
            Self::BytesPerPacket => a.saturating_add(b).checked_div(c.saturating_add(d)).unwrap_or_default(),
            Self::Dscp => a >> 2,
            Self::Ecn => a & 3,
        }
    }

    /// The value of a row.
    #[inline]
    pub(crate) fn of(self, row: &Row) -> u64 {
        if let Self::Column(id) = self {
            return row.number(id);
        }
        let mut inputs = [0; MOST_INPUTS];
        for (input, id) in inputs.iter_mut().zip(self.inputs()) {
            *input = row.number(*id);
        }
        self.compute(inputs)
    }
}

/// Milliseconds; 0 is the value of a time that is missing.
#[inline]
fn duration(start: u64, end: u64) -> u64 {
    if start == 0 { 0 } else { end.saturating_sub(start) }
}

/// `amount * factor / divisor`; 0 if the divisor is 0.
#[inline]
fn scaled(amount: u64, factor: u64, divisor: u64) -> u64 {
    let scaled = (u128::from(amount) * u128::from(factor)).checked_div(divisor.into()).unwrap_or_default();
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[(Id, u64)]) -> Row {
        let mut row = Row::new();
        for (id, number) in values {
            row.set(*id, *number);
        }
        row
    }

    #[test]
    fn derived_values_are_of_both_directions_and_of_the_time_between() {
        let flow = row(&[
            (Id::Bytes, 1000),
            (Id::RevBytes, 500),
            (Id::Packets, 3),
            (Id::RevPackets, 1),
            (Id::Start, 10_000),
            (Id::End, 12_000),
            (Id::Tos, 0b1011_1001),
        ]);
        let of = Quantity::DERIVED.map(|(quantity, _)| quantity.of(&flow));
        assert_eq!(of, [1500, 4, 2000, 6000, 2, 375, 0b10_1110, 1]);
        assert_eq!(Quantity::DERIVED.map(|(quantity, _)| quantity.of(&Row::new())), [0; 8]);
    }

    #[test]
    fn a_time_that_is_missing_or_wrong_makes_no_duration() {
        for (start, end) in [(0, 12_000), (12_000, 0), (12_000, 11_000)] {
            let flow = row(&[(Id::Bytes, 1000), (Id::Start, start), (Id::End, end)]);
            assert_eq!((Quantity::Duration.of(&flow), Quantity::BitsPerSecond.of(&flow)), (0, 0));
        }
    }

    #[test]
    fn no_value_overflows() {
        let largest = row(&Id::ALL.map(|id| (id, u64::MAX)));
        assert_eq!(Quantity::Bytes.of(&largest), u64::MAX);
        let largest = row(&[(Id::Bytes, u64::MAX), (Id::Start, 1), (Id::End, 2)]);
        assert_eq!(Quantity::BitsPerSecond.of(&largest), u64::MAX);
    }
}
