//! The names of values, of the columns that have some.

use std::sync::LazyLock;

use flow::AsSource;
use names::Names;

use crate::column::Kind;
use crate::row::RowKind;
use crate::table::Id;

/// Columns whose values have the same names.
pub struct Named {
    /// The columns.
    pub columns: &'static [Id],
    names: fn() -> &'static Names,
}

/// All columns whose values have names.
pub const NAMED: [Named; 6] = [
    Named { columns: &[Id::Proto, Id::InnerProto], names: names::protocols },
    Named {
        columns: &[Id::SrcPort, Id::DstPort, Id::InnerSrcPort, Id::InnerDstPort, Id::NatSrcPort, Id::NatDstPort],
        names: names::ports,
    },
    Named { columns: &[Id::Kind], names: kinds },
    Named { columns: &[Id::Direction], names: directions },
    Named { columns: &[Id::EtherType], names: ether_types },
    Named { columns: &[Id::SrcAsFrom, Id::DstAsFrom], names: as_sources },
];

impl Named {
    /// The names of their values.
    #[must_use]
    pub fn names(&self) -> &'static Names {
        (self.names)()
    }
}

fn kinds() -> &'static Names {
    static NAMES: LazyLock<Names> =
        LazyLock::new(|| RowKind::ALL.into_iter().map(|kind| (kind.name(), kind as u64)).collect());
    &NAMES
}

fn directions() -> &'static Names {
    static NAMES: LazyLock<Names> = LazyLock::new(|| [("ingress", 1), ("egress", 2)].into_iter().collect());
    &NAMES
}

fn ether_types() -> &'static Names {
    static NAMES: LazyLock<Names> =
        LazyLock::new(|| [("ipv4", 0x0800), ("arp", 0x0806), ("ipv6", 0x86dd), ("mpls", 0x8847)].into_iter().collect());
    &NAMES
}

fn as_sources() -> &'static Names {
    /// In a filter, `exporter` and `router` begin another comparison.
    const fn name(from: AsSource) -> &'static str {
        match from {
            AsSource::Exporter => "flow",
            from => from.name(),
        }
    }
    static NAMES: LazyLock<Names> =
        LazyLock::new(|| AsSource::ALL.into_iter().map(|from| (name(from), from as u64)).collect());
    &NAMES
}

impl Id {
    /// The names of its values, if these have names.
    #[must_use]
    pub fn names(self) -> Option<&'static Names> {
        NAMED.iter().find(|named| named.columns.contains(&self)).map(Named::names)
    }

    /// Whether its values are AS numbers, whose names are not known here.
    #[must_use]
    pub const fn is_as(self) -> bool {
        matches!(self, Self::SrcAs | Self::DstAs | Self::NextAs)
    }

    /// Whether its values may have names, be they known here or not.
    #[must_use]
    pub fn has_names(self) -> bool {
        self.names().is_some() || self.is_as() || self.column().kind == Kind::Country
    }

    /// The column with the IP protocol that a port belongs to; `None` for columns without ports.
    #[must_use]
    pub const fn protocol_of_port(self) -> Option<Self> {
        match self {
            Self::SrcPort | Self::DstPort | Self::NatSrcPort | Self::NatDstPort => Some(Self::Proto),
            Self::InnerSrcPort | Self::InnerDstPort => Some(Self::InnerProto),
            _ => None,
        }
    }

    /// The name of a value. The name of a port depends on the IP protocol, if that is known; a missing one is 0.
    #[must_use]
    pub fn name_of(self, number: u64, protocol: Option<u64>) -> Option<&'static str> {
        match protocol {
            Some(protocol @ 1..) if self.protocol_of_port().is_some() => {
                names::port_over(u8::try_from(protocol).ok()?, u16::try_from(number).ok()?)
            }
            _ => self.names()?.name(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_a_value_of_its_column_and_back() {
        for Named { columns, names } in NAMED {
            for id in columns {
                for (name, number) in names().all() {
                    assert!(*number <= id.column().kind.largest(), "{name}");
                    assert_eq!(id.names().and_then(|names| names.number(name)), Some(*number), "{name}");
                    let shown = id.name_of(*number, None).unwrap();
                    assert_eq!(names().number(shown), Some(*number), "{name}");
                }
            }
        }
        assert_eq!(Id::Bytes.name_of(443, None), None);
    }

    #[test]
    fn the_name_of_a_port_depends_on_its_protocol() {
        for port in [Id::SrcPort, Id::DstPort, Id::InnerSrcPort, Id::NatDstPort] {
            let name = |protocol| port.name_of(514, protocol);
            assert_eq!(
                [Some(6), Some(17), Some(1), Some(0), None].map(name),
                [Some("shell"), Some("syslog"), None, Some("syslog"), Some("syslog")]
            );
        }
        assert_eq!(Id::Proto.name_of(6, Some(17)), Some("tcp"));
        let ports = Id::ALL.into_iter().filter(|id| id.protocol_of_port().is_some());
        assert!(ports.eq(Id::ALL.into_iter().filter(|id| id.column().name.ends_with("port"))));
    }
}
