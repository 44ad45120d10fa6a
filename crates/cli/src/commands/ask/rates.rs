//! Mean rates of counters, in the units of the web interface.

use clap::ValueEnum;
use serde_json::Value;

use super::number;
use crate::amounts::Unit;
use crate::table::Cell;

/// What rates are of.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct RateOf {
    /// Unit of rates and shares: bits, bytes, packets or flows [default: bits, or what --by sorts by]; with --csv also a column of them
    #[arg(long, value_name = "UNIT", hide_possible_values = true)]
    unit: Option<Measured>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Measured {
    Bits,
    Bytes,
    Packets,
    Flows,
}

impl RateOf {
    /// What is measured, if rows are sorted by this counter.
    pub(super) fn measured(self, by: Option<&str>) -> Measured {
        self.unit.unwrap_or(match by {
            Some("pkts") => Measured::Packets,
            Some("flows") => Measured::Flows,
            _ => Measured::Bits,
        })
    }

    /// What programs get: only what they ask for.
    pub(super) fn for_programs(self) -> Option<Measured> {
        self.unit
    }
}

impl Measured {
    /// The counter.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Bits | Self::Bytes => "bytes",
            Self::Packets => "pkts",
            Self::Flows => "flows",
        }
    }

    /// The heading of a column for programs.
    pub(super) const fn heading(self) -> &'static str {
        match self {
            Self::Bits => "bits_per_second",
            Self::Bytes => "bytes_per_second",
            Self::Packets => "packets_per_second",
            Self::Flows => "flows_per_second",
        }
    }

    /// The unit of its rates over this time.
    pub(super) const fn unit(self, seconds: u64) -> Unit {
        let (name, factor) = match self {
            Self::Bits => ("bit/s", 8),
            Self::Bytes => ("B/s", 1),
            Self::Packets => ("p/s", 1),
            Self::Flows => ("f/s", 1),
        };
        Unit { name, factor, divisor: seconds, digits: 2 }
    }

    /// The mean rate of counters over this time; none of no time, and of a collector that does not know it.
    pub(super) fn cell(self, of: &Value, seconds: u64) -> Cell {
        if seconds == 0 { Cell::Gap } else { Cell::Rate(number(&of[self.key()]), self.unit(seconds)) }
    }
}
