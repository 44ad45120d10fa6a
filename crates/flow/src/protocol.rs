//! The export protocols, one variant for each wire format.

use std::fmt;

/// An export protocol and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// NetFlow version 1.
    NetflowV1,
    /// NetFlow version 5.
    NetflowV5,
    /// NetFlow version 6.
    NetflowV6,
    /// NetFlow version 7 (Catalyst switches).
    NetflowV7,
    /// NetFlow version 8 (router-based aggregation).
    NetflowV8,
    /// NetFlow version 9 (RFC 3954).
    NetflowV9,
    /// IPFIX (RFC 7011), version 10 on the wire.
    Ipfix,
    /// sFlow version 2.
    SflowV2,
    /// sFlow version 4.
    SflowV4,
    /// sFlow version 5.
    SflowV5,
}

impl Protocol {
    /// Whether it is a version of sFlow.
    #[must_use]
    pub const fn is_sflow(self) -> bool {
        matches!(self, Self::SflowV2 | Self::SflowV4 | Self::SflowV5)
    }

    /// All protocols, in the order of their declaration; `protocol as usize` indexes it.
    pub const ALL: [Self; 10] = [
        Self::NetflowV1,
        Self::NetflowV5,
        Self::NetflowV6,
        Self::NetflowV7,
        Self::NetflowV8,
        Self::NetflowV9,
        Self::Ipfix,
        Self::SflowV2,
        Self::SflowV4,
        Self::SflowV5,
    ];

    /// Short lower-case name, as in metrics labels and `netflow decode`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetflowV1 => "netflow-v1",
            Self::NetflowV5 => "netflow-v5",
            Self::NetflowV6 => "netflow-v6",
            Self::NetflowV7 => "netflow-v7",
            Self::NetflowV8 => "netflow-v8",
            Self::NetflowV9 => "netflow-v9",
            Self::Ipfix => "ipfix",
            Self::SflowV2 => "sflow-v2",
            Self::SflowV4 => "sflow-v4",
            Self::SflowV5 => "sflow-v5",
        }
    }

    /// Whether the protocol describes its records by templates.
    #[must_use]
    pub const fn has_templates(self) -> bool {
        matches!(self, Self::NetflowV9 | Self::Ipfix)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_all_is_in_the_order_of_declaration() {
        for (index, protocol) in Protocol::ALL.into_iter().enumerate() {
            assert_eq!(protocol as usize, index);
        }
    }
}
